//! The prediction for pods that run, and the exceptions that silence them.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Recording;
use crate::snapshot::root;
use falco_rules::{self as falco, Event, RuleSet};
use psp_admission::Field;
use psp2falco::predict::{self, Alert, Prediction, Predictor, predict};
use psp2falco::rbac;
use psp2falco::read::{self, Compact, Inventory};
use psp2falco::render::{Options, audit_rules};
use serde_json::{Value, json};

const CLUSTER: &str = "fixtures/cluster/cluster.yaml";

fn cluster() -> Inventory {
    read::read(&[read::Source::Path(root().join(CLUSTER))], &read::Options::default()).unwrap()
}

fn options(inventory: &Inventory, rbac: bool) -> Options {
    Options { access: rbac::access(inventory, None).filter(|_| rbac), ..Options::default() }
}

/// The rules with the suggested exceptions on top.
fn load(texts: &[&str]) -> RuleSet {
    let files: Vec<falco::Source<'_>> =
        texts.iter().map(|text| falco::Source { name: "rules", text }).collect();
    let loaded = falco::load(&files);
    assert!(loaded.findings.is_empty(), "{}\n{}", loaded.findings[0], texts.last().unwrap());
    loaded.rules.unwrap()
}

/// `value` with its keys in the API server's order, which the rules rely on.
fn ordered(pod: &Value) -> Value {
    const SPEC: [&str; 13] = [
        "volumes",
        "initContainers",
        "containers",
        "ephemeralContainers",
        "restartPolicy",
        "terminationGracePeriodSeconds",
        "dnsPolicy",
        "serviceAccountName",
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "securityContext",
        "runtimeClassName",
    ];
    const CONTAINER: [&str; 7] =
        ["name", "image", "ports", "resources", "volumeMounts", "imagePullPolicy", "securityContext"];
    fn sorted(value: &Value, keys: &[&str]) -> Value {
        let object = value.as_object().unwrap();
        assert!(object.keys().all(|k| keys.contains(&k.as_str())), "{:?}", object.keys());
        Value::Object(keys.iter().filter_map(|k| Some(((*k).to_owned(), object.get(*k)?.clone()))).collect())
    }
    let mut spec = sorted(&pod["spec"], &SPEC);
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let mut whole = container.clone();
            whole.as_object_mut().unwrap().entry("imagePullPolicy").or_insert("Always".into());
            *container = sorted(&whole, &CONTAINER);
        }
    }
    let fields = spec.as_object_mut().unwrap();
    fields.entry("terminationGracePeriodSeconds").or_insert(30.into());
    fields.entry("securityContext").or_insert(json!({}));
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": pod["metadata"], "spec": sorted(&spec, &SPEC)})
}

/// The event of a pod made again by whoever makes such pods.
fn event(pod: &Value) -> String {
    let kind = pod.pointer("/metadata/ownerReferences/0/kind").and_then(Value::as_str).unwrap_or_default();
    let controller = match kind {
        "ReplicaSet" => "replicaset-controller",
        "DaemonSet" => "daemon-set-controller",
        "StatefulSet" => "statefulset-controller",
        "Job" => "job-controller",
        _ => "",
    };
    let (user, groups) = match (kind, controller) {
        ("Node", _) => (
            format!("system:node:{}", pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap()),
            vec!["system:nodes"],
        ),
        (_, "") => ("someone".to_owned(), vec![]),
        (_, name) => (
            format!("system:serviceaccount:kube-system:{name}"),
            vec!["system:serviceaccounts", "system:serviceaccounts:kube-system"],
        ),
    };
    let stored = ordered(pod);
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods", "verb": "create", "user": {"username": user, "groups": groups},
        "objectRef": {"resource": "pods", "namespace": pod["metadata"]["namespace"], "apiVersion": "v1"},
        "responseStatus": {"code": 201}, "responseObject": stored,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    })
    .to_string()
}

fn alerts(rules: &RuleSet, pod: &Value) -> BTreeSet<String> {
    let line = event(pod);
    rules.alerts(&Event::parse(line.as_bytes()).unwrap()).iter().map(|a| a.name.clone()).collect()
}

fn running(inventory: &Inventory) -> Vec<Value> {
    let ended = |pod: &Value| pod.pointer("/status/phase").is_some_and(|p| p == "Succeeded" || p == "Failed");
    inventory.pods.iter().map(Compact::value).filter(|p| !ended(p)).collect()
}

fn predicted(prediction: &Prediction<'_>) -> BTreeSet<String> {
    prediction.findings.values().flat_map(|f| &f.alerts).map(psp2falco::predict::Alert::rule).collect()
}

#[test]
fn the_rules_alert_as_predicted_and_exceptions_silence_just_that() {
    let inventory = cluster();
    for rbac in [true, false] {
        let options = options(&inventory, rbac);
        let prediction = predict(&inventory, &options);
        let text = audit_rules(&inventory.policies, &options).unwrap().text;
        let exceptions = predict::exceptions(&prediction, options.object).unwrap();
        let (plain, silenced) = (load(&[&text]), load(&[&text, &exceptions]));
        let pods = running(&inventory);
        assert_eq!(prediction.pods, pods.len());
        let all: BTreeSet<String> = pods.iter().flat_map(|pod| alerts(&plain, pod)).collect();
        assert_eq!(predicted(&prediction), all, "rbac {rbac}");
        let alerting = pods.iter().filter(|pod| !alerts(&plain, pod).is_empty()).count();
        assert_eq!(prediction.findings.values().map(|f| f.pods).sum::<usize>(), alerting);
        for pod in &pods {
            assert_eq!(alerts(&silenced, pod), BTreeSet::new(), "rbac {rbac} {pod}");
            // the next generation of the same workload is silent too
            let mut anew = pod.clone();
            if pod.pointer("/metadata/labels/pod-template-hash").is_some() {
                let name = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap();
                let (of, _) = name.rsplit_once('-').unwrap();
                anew["metadata"]["ownerReferences"][0]["name"] = format!("{of}-77aa77").into();
                anew["metadata"]["name"] = format!("{of}-77aa77-xxxxx").into();
                assert_eq!(alerts(&silenced, &anew), BTreeSet::new(), "{anew}");
            }
            // a new violation of it alerts, and so do its present ones elsewhere
            let mut changed = pod.clone();
            changed["spec"]["hostPID"] = true.into();
            let new: Vec<String> =
                alerts(&plain, &changed).difference(&alerts(&plain, pod)).cloned().collect();
            assert!(new.iter().all(|rule| alerts(&silenced, &changed).contains(rule)), "{new:?}");
            let mut elsewhere = pod.clone();
            elsewhere["metadata"]["namespace"] = "elsewhere".into();
            assert_eq!(alerts(&silenced, &elsewhere), alerts(&plain, &elsewhere));
            let mut other = pod.clone();
            other["metadata"]["name"] = "other".into();
            if let Some(owner) = other.pointer_mut("/metadata/ownerReferences/0/name") {
                *owner = "other-1".into();
            }
            assert_eq!(alerts(&silenced, &other), alerts(&plain, &other), "{other}");
        }
    }
}

#[test]
fn workloads_are_named_as_people_know_them() {
    let inventory = cluster();
    let options = options(&inventory, true);
    let prediction = predict(&inventory, &options);
    let names: Vec<String> = prediction.findings.keys().map(ToString::to_string).collect();
    for name in [
        "Deployment shop/cart",
        "CronJob shop/report",
        "DaemonSet infra/agent",
        "static pod kube-system/etcd",
        "Pod shop/debug",
    ] {
        assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
    }
    assert!(!names.iter().any(|n| n.contains("done")), "a pod that has ended does not count: {names:?}");
}

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_psp2falco")).args(args).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn exceptions_are_written_once() {
    let temp = tempfile::tempdir().unwrap();
    let input = root().join(CLUSTER).display().to_string();
    let args = ["convert", &input, "-o", "rules.yaml", "--suggest-exceptions", "today.yaml", "--predict"];
    let (code, told) = run(temp.path(), &args);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(" would alert, if their pods were made again: ") && told.contains("wrote today.yaml"),
        "{told}"
    );
    let first = fs::read_to_string(temp.path().join("today.yaml")).unwrap();
    fs::remove_file(temp.path().join("rules.yaml")).unwrap();
    let (code, told) = run(temp.path(), &args);
    assert_eq!(code, Some(2));
    assert!(told.starts_with("today.yaml: exists"), "{told}");
    assert!(!temp.path().join("rules.yaml").exists(), "nothing is written then");
    assert_eq!(fs::read_to_string(temp.path().join("today.yaml")).unwrap(), first);
}

#[test]
fn rbac_can_be_turned_off() {
    let temp = tempfile::tempdir().unwrap();
    let input = root().join(CLUSTER).display().to_string();
    let (_, with) = run(temp.path(), &["convert", &input, "-o", "with.yaml"]);
    let (_, without) = run(temp.path(), &["convert", &input, "-o", "without.yaml", "--no-rbac"]);
    assert!(
        with.contains("scope: whole RBAC of ") && without.contains("scope: every pod"),
        "{with}{without}"
    );
    let text = |name: &str| fs::read_to_string(temp.path().join(name)).unwrap();
    assert!(text("with.yaml").contains("__usable") && !text("without.yaml").contains("__usable"));
    // the same policies without any RBAC in the input
    let policies: Vec<Value> = serde_yaml::from_multiple::<Value>(&fs::read_to_string(&input).unwrap())
        .unwrap()
        .into_iter()
        .filter(|o| o["kind"] == "PodSecurityPolicy")
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": policies});
    fs::write(temp.path().join("policies.json"), list.to_string()).unwrap();
    let (code, told) = run(temp.path(), &["convert", "policies.json", "-o", "alone.yaml"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(text("alone.yaml"), text("without.yaml"));
}

/// What the cluster under `fixtures/cluster` becomes stands under `fixtures/expected/cluster`, for review.
#[test]
fn a_cluster_gives_its_expected_rules_and_exceptions() {
    let inventory = cluster();
    let options = options(&inventory, true);
    let rules = audit_rules(&inventory.policies, &options).unwrap().text;
    let exceptions = predict::exceptions(&predict(&inventory, &options), options.object).unwrap();
    let folder = root().join("fixtures/expected/cluster");
    let problems: Vec<String> = [("psp_audit_rules.yaml", rules), ("today.yaml", exceptions)]
        .iter()
        .filter_map(|(name, text)| crate::snapshot::check(&folder.join(name), text).err())
        .collect();
    crate::snapshot::report(&problems, "predict");
}

/// Judgements are remembered for pods alike. A pod is like another one only if nothing differs that a field looks at.
#[test]
fn what_is_remembered_of_one_pod_is_not_said_of_another() {
    let recording = Recording::load();
    let options = Options::default();
    let new = || Predictor::new(recording.policies.values(), &options);
    let mut one_for_all = new();
    recording.stored.values().for_each(|pod| one_for_all.add(pod));
    let together = one_for_all.finish();
    let mut seen = BTreeSet::new();
    let mut found = 0;
    for pod in recording.stored.values() {
        let mut alone = new();
        alone.add(pod);
        for (workload, finding) in alone.finish().findings {
            assert_eq!(together.findings[&workload].alerts, finding.alerts, "{workload}");
            found += 1;
            seen.extend(finding.alerts.iter().filter_map(|alert| match alert {
                Alert::Violation(_, field) | Alert::LostDefault(_, field) => Some(*field),
                _ => None,
            }));
        }
    }
    assert_eq!(together.findings.len(), found);
    // its defaults bear the name of the pod's field
    let unseen: Vec<Field> = Field::ALL.into_iter().filter(|field| !seen.contains(field)).collect();
    assert_eq!(unseen, [Field::DefaultAllowPrivilegeEscalation]);
}
