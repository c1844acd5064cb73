//! Verdict, fields, policy and evidence of every recorded pod.

use std::collections::{BTreeMap, BTreeSet};

use psp_admission::bundle::Bundle;
use psp_admission::{Field, Pod, Verdict, evidence, judge};
use serde_json::Value;

use crate::library::{Fields, Running};
use crate::recordings::{bundle, group, inventory, sorted, text, values, write};

/// What the fields say, in the words of the recordings: verdict and fields.
fn recorded_as(fields: &Fields) -> (&'static str, BTreeSet<&str>) {
    let (verdict, listed) = match fields.verdict.as_str() {
        "allowed" => ("allowed", &fields.violations),
        "corrected" => ("defaulted", &fields.lost_defaults),
        "refused" => ("denied", &fields.violations),
        "unusable" => ("denied", &fields.violations),
        other => panic!("{other}: {fields:?}"),
    };
    assert_eq!(fields.evidence.len(), fields.violations.len() + fields.lost_defaults.len());
    for evidence in &fields.evidence {
        assert!(!evidence.is_empty() && evidence.chars().count() <= 256, "{fields:?}");
    }
    (verdict, listed.iter().map(|about| group(about.rsplit_once('/').unwrap().1)).collect())
}

/// Why each field is listed, as admission says of one policy, one pod and one field at a time.
fn reasons(bundle: &Bundle, event: &Value, fields: &Fields) -> Vec<String> {
    let pod = Pod::new(&event["responseObject"]);
    let reason = |about: &String| {
        let (name, field) = about.rsplit_once('/').unwrap();
        let (policy, field) = (&bundle.policies[name], Field::named(field).unwrap());
        evidence(&match judge(policy, &pod).verdict {
            Verdict::Denied => field.refusals(policy, &pod),
            _ => field.corrections(policy, &pod),
        })
    };
    fields.violations.iter().chain(&fields.lost_defaults).map(reason).collect()
}

fn recorded(case: &Value) -> (&str, BTreeSet<&str>) {
    let fields = case["restrictions"].as_array().unwrap();
    (case["verdict"].as_str().unwrap(), fields.iter().map(|field| field.as_str().unwrap()).collect())
}

fn events(name: &str) -> BTreeMap<String, Value> {
    let named =
        |event: Value| (event["responseObject"]["metadata"]["name"].as_str().unwrap().to_owned(), event);
    values(name).into_iter().map(named).collect()
}

/// Does an event tell of a pod that was made, or given an ephemeral container, in plain steps?
fn makes_a_pod(event: &Value) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let code = event["responseStatus"]["code"].as_i64().unwrap_or_default();
    let succeeded = text("/stage") == "ResponseComplete" && (200..300).contains(&code);
    let made = match (text("/verb"), text("/objectRef/subresource")) {
        ("create", "") => true,
        ("patch" | "update", "") => code == 201,
        ("patch" | "update", "ephemeralcontainers") => true,
        _ => false,
    };
    text("/objectRef/resource") == "pods" && succeeded && made && !text("/requestURI").contains("dryRun=All")
}

/// Service account and owner of the pod that was stored.
fn whose(event: &Value) -> (String, String) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    if event.pointer("/responseObject/spec").is_none() {
        return Default::default();
    }
    let account = text("/responseObject/spec/serviceAccountName").unwrap_or("default");
    let part = |key: &str| text(&format!("/responseObject/metadata/ownerReferences/0/{key}"));
    let owner = part("kind").zip(part("name")).map(|(kind, name)| format!("{kind}/{name}"));
    (account.to_owned(), owner.unwrap_or_default())
}

#[test]
fn every_recorded_pod_under_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let events = events("single/audit.jsonl.gz");
    let mut cases: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in values("single/cases.jsonl.gz") {
        cases.entry(case["policy"].as_str().unwrap().to_owned()).or_default().push(case);
    }
    let (mut judged, mut wrong) = (0, Vec::new());
    for record in values("single/policies.jsonl.gz") {
        let Some(cases) = cases.get(record["id"].as_str().unwrap()) else { continue };
        let bundle = bundle(&inventory(&record["policy"].to_string()));
        let mut plugin = Running::with_bundle(&write(&bundle, folder.path()));
        for case in cases {
            let id = case["id"].as_str().unwrap();
            let event = &events[id];
            let fields = plugin.fields(event.to_string().as_bytes());
            assert_eq!(fields.bundle, bundle.digest());
            if recorded_as(&fields) != recorded(case) {
                wrong.push(format!("{id}: {fields:?}, recorded {:?}", recorded(case)));
            }
            assert_eq!(fields.evidence, reasons(&bundle, event, &fields), "{id}");
            assert_eq!((fields.service_account.clone(), fields.owner.clone()), whose(event), "{id}");
            let of_sorted = plugin.fields(sorted(event).to_string().as_bytes());
            if of_sorted != fields {
                wrong.push(format!("{id}: {fields:?}, with sorted keys {of_sorted:?}"));
            }
            judged += 1;
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(judged, 2376);
}

#[test]
fn a_pod_of_a_controller_has_an_owner() {
    let folder = tempfile::tempdir().unwrap();
    let record = values("single/policies.jsonl.gz").swap_remove(0);
    let bundle = bundle(&inventory(&record["policy"].to_string()));
    let mut plugin = Running::with_bundle(&write(&bundle, folder.path()));
    let mut event = events("single/audit.jsonl.gz").into_values().next().unwrap();
    event["responseObject"]["metadata"]["ownerReferences"] = serde_json::json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "controller": true}]);
    assert_eq!(plugin.fields(event.to_string().as_bytes()).owner, "ReplicaSet/web-5d");
}

#[test]
fn every_recorded_decision_of_several_policies() {
    let folder = tempfile::tempdir().unwrap();
    let (mut judged, mut unusable, mut chosen, mut wrong) = (0, 0, 0, Vec::new());
    for number in 0..8 {
        let bundle = bundle(&inventory(&text(&format!("rbac/w{number}/objects.json.gz"))));
        assert!(bundle.access.as_ref().is_some_and(|access| access.whole));
        let mut plugin = Running::with_bundle(&write(&bundle, folder.path()));
        let events = events(&format!("rbac/w{number}/audit.jsonl.gz"));
        for case in values(&format!("rbac/w{number}/cases.jsonl.gz")) {
            let id = case["id"].as_str().unwrap();
            let event = &events[id];
            let fields = plugin.fields(event.to_string().as_bytes());
            if recorded_as(&fields) != recorded(&case) {
                wrong.push(format!("{id}: {fields:?}, recorded {:?}", recorded(&case)));
            }
            if fields.policy != case["policy"].as_str().unwrap_or_default() {
                wrong.push(format!("{id}: {fields:?}, recorded policy {}", case["policy"]));
            }
            assert_eq!(fields.evidence, reasons(&bundle, event, &fields), "{id}");
            assert_eq!((fields.service_account.clone(), fields.owner.clone()), whose(event), "{id}");
            let of_sorted = plugin.fields(sorted(event).to_string().as_bytes());
            if of_sorted != fields {
                wrong.push(format!("{id}: {fields:?}, with sorted keys {of_sorted:?}"));
            }
            judged += 1;
            unusable += usize::from(fields.verdict == "unusable");
            chosen += usize::from(!fields.policy.is_empty());
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((judged, unusable), (480, 209));
    assert!(chosen > 129, "{chosen}");
}

/// As k8saudit-gke hands events to Falco: its converter has made these of the recordings, wrapped as Cloud Logging has
/// them (falcosecurity/plugins, `plugins/k8saudit-gke/pkg/k8sauditgke` 0.8.0). Keys are sorted, `@type` is added, the
/// code is guessed, and of the requester the name alone is left.
#[test]
fn every_recorded_pod_as_gke_tells_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut cases: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for case in values("single/cases.jsonl.gz") {
        cases.entry(case["policy"].as_str().unwrap().to_owned()).or_default().push(case);
    }
    let (mut judged, mut wrong) = (0, Vec::new());
    let converted = events("gke/single.jsonl.gz");
    for record in values("single/policies.jsonl.gz") {
        let Some(cases) = cases.get(record["id"].as_str().unwrap()) else { continue };
        let bundle = bundle(&inventory(&record["policy"].to_string()));
        let mut plugin = Running::with_bundle(&write(&bundle, folder.path()));
        for case in cases {
            let id = case["id"].as_str().unwrap();
            let fields = plugin.fields(converted[id].to_string().as_bytes());
            if recorded_as(&fields) != recorded(case) {
                wrong.push(format!("{id}: {fields:?}, recorded {:?}", recorded(case)));
            }
            judged += 1;
        }
    }
    let converted = events("gke/rbac.jsonl.gz");
    for number in 0..8 {
        let bundle = bundle(&inventory(&text(&format!("rbac/w{number}/objects.json.gz"))));
        let mut plugin = Running::with_bundle(&write(&bundle, folder.path()));
        for (id, mut event) in events(&format!("rbac/w{number}/audit.jsonl.gz")) {
            let fields = plugin.fields(converted[&id].to_string().as_bytes());
            // the same event without what the converter loses
            event.as_object_mut().unwrap().remove("impersonatedUser");
            event["user"] = converted[&id]["user"].clone();
            let kept = plugin.fields(event.to_string().as_bytes());
            if fields != kept {
                wrong.push(format!("{id}: {fields:?}, without what GKE loses {kept:?}"));
            }
            judged += 1;
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(judged, 2376 + 480);
}

/// How clients create and change pods: only what makes one has a verdict, and an event without the pod says so.
#[test]
fn every_recorded_way_to_make_a_pod() {
    let folder = tempfile::tempdir().unwrap();
    let policy = &values("single/policies.jsonl.gz")[0]["policy"];
    let mut plugin = Running::with_bundle(&write(&bundle(&inventory(&policy.to_string())), folder.path()));
    let (mut made, mut unknown, mut others) = (0, 0, 0);
    for shape in values("request-shapes.jsonl.gz") {
        for event in shape["events"].as_array().unwrap() {
            let fields = plugin.fields(event.to_string().as_bytes());
            let of_sorted = plugin.fields(sorted(event).to_string().as_bytes());
            assert_eq!(fields, of_sorted, "{}", shape["shape"]);
            let expected = match (makes_a_pod(event), event.pointer("/responseObject/spec").is_some()) {
                (false, _) => {
                    others += 1;
                    fields.verdict.is_empty() && fields.bundle.is_empty()
                }
                (true, true) => {
                    made += 1;
                    !fields.verdict.is_empty() && fields.verdict != "unknown"
                }
                // Kubernetes 1.20 answered to an ephemeral container with a kind of its own
                (true, false) => {
                    unknown += 1;
                    fields.verdict == "unknown"
                }
            };
            assert!(expected, "{}: {fields:?}\n{event}", shape["shape"]);
        }
    }
    assert!(made > 20 && unknown > 3 && others > 50, "{made} pods, {unknown} unknown, {others} other events");
}
