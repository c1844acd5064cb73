//! The generated rules, evaluated over what a real API server logged, against the verdicts that it gave.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};

use falco_rules::{self as falco, Event, RuleSet};
use psp_admission::policy::{IdRule, IdStrategy, SeLinux};
use psp_admission::{Pod, Verdict, judge};
use psp2falco::read::Located;
use psp2falco::render::{Options, audit_rules};
use serde_json::Value;

/// Generates the rules of some policies and loads them.
fn rules(policies: &[Located], options: &Options) -> (String, RuleSet) {
    let text = audit_rules(policies, options).unwrap().text;
    let loaded = falco::load(&[falco::Source { name: "rules.yaml", text: &text }]);
    assert!(loaded.findings.is_empty(), "{}\n{text}", loaded.findings[0]);
    (text, loaded.rules.unwrap())
}

/// What the alerts on one event say: verdict and fields, for the one policy in the rules.
fn verdict(rules: &RuleSet, line: &str) -> (Verdict, BTreeSet<String>) {
    let event = Event::parse(line.as_bytes()).unwrap();
    let (mut refused, mut corrected) = (BTreeSet::new(), BTreeSet::new());
    for alert in rules.alerts(&event) {
        let name = &alert.name;
        let field = name.split('(').nth(1).map(|f| f.trim_end_matches(')').to_owned());
        match field {
            Some(field) if name.contains(" Violation (") => refused.insert(field),
            Some(field) if name.contains(" Lost Default (") => corrected.insert(field),
            _ => panic!("{name} alerts on {line}"),
        };
    }
    match (refused.is_empty(), corrected.is_empty()) {
        (true, true) => (Verdict::Allowed, refused),
        (true, false) => (Verdict::Defaulted, corrected),
        (false, true) => (Verdict::Denied, refused),
        (false, false) => panic!("refused {refused:?} and corrected {corrected:?} on {line}"),
    }
}

#[test]
fn every_recorded_verdict_and_field() {
    let recording = crate::common::Recording::load();
    let mut sets: BTreeMap<&str, RuleSet> = BTreeMap::new();
    for (id, located) in &recording.located {
        sets.insert(id, rules(std::slice::from_ref(located), &Options::default()).1);
    }
    let mut wrong = Vec::new();
    for case in &recording.cases {
        let (verdict, fields) = verdict(&sets[case.policy.as_str()], &recording.events[&case.id]);
        let fields: BTreeSet<String> = fields.iter().map(|f| crate::common::group(f)).collect();
        let verdict = format!("{verdict:?}").to_lowercase();
        if verdict != case.verdict || fields != case.fields {
            wrong.push(format!(
                "{}: {verdict} {fields:?}, recorded {} {:?}",
                case.id, case.verdict, case.fields
            ));
        }
    }
    assert_eq!(recording.cases.len(), 2376);
    assert!(wrong.is_empty(), "{} of 2376 differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn events_in_turn_alert_as_they_do_alone() {
    let recording = crate::common::Recording::load();
    let names = |rules: Vec<&falco::Rule>| rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    for name in ["kubernetes-restricted", "every-field", "forty-ranges"] {
        let (_, rules) = rules(&[fixture(name)], &Options::default());
        let mut evaluator = rules.evaluator();
        for line in recording.events.values() {
            let event = Event::parse(line.as_bytes()).unwrap();
            assert_eq!(names(evaluator.alerts(&event)), names(rules.alerts(&event)), "{name}: {line}");
        }
    }
}

/// The same with all policies in one file, as an operator has them: no policy's rules disturb another's.
#[test]
fn policies_in_one_file_do_not_disturb_each_other() {
    let recording = crate::common::Recording::load();
    let all: Vec<Located> = recording.located.values().cloned().collect();
    let (_, set) = rules(&all, &Options::default());
    for case in recording.cases.iter().step_by(9) {
        let event = Event::parse(recording.events[&case.id].as_bytes()).unwrap();
        let own = format!("PSP {} ", case.policy);
        let alerts: BTreeSet<String> = set
            .alerts(&event)
            .iter()
            .filter_map(|a| a.name.strip_prefix(&own))
            .map(|name| crate::common::group(name.split('(').nth(1).unwrap().trim_end_matches(')')))
            .collect();
        assert_eq!(alerts, case.fields, "{}", case.id);
    }
}

/// A strategy that admission could make nothing of restricts nothing; every other field alerts as it would alone.
#[test]
fn a_policy_that_admission_skipped_alerts_on_its_other_fields() {
    let recording = crate::common::Recording::load();
    let mut denied = 0;
    for located in recording.located.values().step_by(11) {
        let mut skipped = located.clone();
        skipped.policy.spec.run_as_user = IdStrategy { rule: IdRule::MustRunAs, ranges: Vec::new() };
        skipped.policy.spec.se_linux = SeLinux { must_run_as: true, options: None };
        let mut other = skipped.policy.clone();
        other.spec.run_as_user = IdStrategy::default();
        other.spec.se_linux = SeLinux::default();
        let (text, rules) = rules(&[skipped], &Options::default());
        assert!(text.contains(" (admission skipped it: "), "{text}");
        for (id, line) in recording.events.iter().step_by(17) {
            let judgement = judge(&other, &Pod::new(&recording.stored[id]));
            let fields: BTreeSet<String> = judgement.fields.iter().map(|f| f.name().to_owned()).collect();
            assert_eq!(verdict(&rules, line), (judgement.verdict, fields), "{id} under {}", other.name);
            denied += usize::from(judgement.verdict == Verdict::Denied);
        }
    }
    assert!(denied > 100, "{denied}");
}

/// Does the event tell of a pod that came to be, or got an ephemeral container?
fn stores_a_pod(event: &Value) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let code = event.pointer("/responseStatus/code").and_then(Value::as_i64).unwrap_or_default();
    let made = match (text("/verb"), text("/objectRef/subresource")) {
        ("create", "") => true,
        ("patch" | "update", "") => code == 201,
        ("patch" | "update", "ephemeralcontainers") => true,
        _ => false,
    };
    text("/objectRef/resource") == "pods"
        && text("/stage") == "ResponseComplete"
        && (200..300).contains(&code)
        && !text("/requestURI").contains("dryRun=All")
        && made
}

#[test]
fn every_way_to_make_a_pod_alerts_as_the_pod_deserves_and_nothing_else_does() {
    let recording = crate::common::Recording::load();
    let policies: Vec<&Located> = recording.located.values().step_by(7).collect();
    let mut judged = 0;
    for located in policies {
        let (_, set) = rules(std::slice::from_ref(located), &Options::default());
        for line in crate::common::lines("request-shapes.jsonl.gz") {
            let shape: Value = serde_json::from_str(&line).unwrap();
            for event in shape["events"].as_array().unwrap() {
                let line = event.to_string();
                let alerts = set
                    .alerts(&Event::parse(line.as_bytes()).unwrap())
                    .iter()
                    .map(|a| a.name.clone())
                    .collect::<Vec<_>>();
                if !stores_a_pod(event) {
                    assert!(alerts.is_empty(), "{}: {alerts:?}", shape["shape"]);
                } else if event.pointer("/responseObject/spec").is_none() {
                    // Kubernetes 1.20 answered with a kind of its own
                    assert_eq!(alerts, ["PSP Audit Event Incomplete"], "{}", shape["shape"]);
                } else {
                    let wanted = judge(&located.policy, &Pod::new(&event["responseObject"]));
                    let (verdict, fields) = verdict(&set, &line);
                    let names: BTreeSet<String> = wanted.fields.iter().map(|f| f.name().to_owned()).collect();
                    assert_eq!(
                        (verdict, fields),
                        (wanted.verdict, names),
                        "{} {}",
                        shape["shape"],
                        located.policy.name
                    );
                    judged += 1;
                }
            }
        }
    }
    assert!(judged > 400, "{judged}");
}

/// Pods as Kubernetes 1.28, 1.31 and 1.37 store them, under every policy of the recordings.
#[test]
fn pods_of_newer_releases() {
    let recording = crate::common::Recording::load();
    let events: Vec<Value> = crate::common::lines("newer.jsonl.gz")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (mut judged, mut wrong) = (0, BTreeSet::new());
    for located in recording.located.values().step_by(3) {
        let large = Options { max_containers: 25, max_volumes: 20, ..Options::default() };
        let (_, set) = rules(std::slice::from_ref(located), &large);
        for record in &events {
            let event = &record["event"];
            let line = event.to_string();
            let alerts: BTreeSet<String> =
                set.alerts(&Event::parse(line.as_bytes()).unwrap()).iter().map(|a| a.name.clone()).collect();
            let wanted: BTreeSet<String> = if stores_a_pod(event) {
                judged += 1;
                let judgement = judge(&located.policy, &Pod::new(&event["responseObject"]));
                let kind = if judgement.verdict == Verdict::Denied { "Violation" } else { "Lost Default" };
                let name = &located.policy.name;
                judgement.fields.iter().map(|f| format!("PSP {name} {kind} ({f})")).collect()
            } else {
                BTreeSet::new()
            };
            if alerts != wanted {
                wrong
                    .insert(format!("{} {}: {alerts:?}, not {wanted:?}", record["release"], record["shape"]));
            }
        }
    }
    let shown: Vec<&String> = wrong.iter().take(30).collect();
    assert!(wrong.is_empty(), "{} of {judged} differ:\n{shown:#?}", wrong.len());
    assert!(judged > 10_000, "{judged}");
}

#[test]
fn a_log_without_response_objects_makes_noise() {
    let recording = crate::common::Recording::load();
    let (_, set) = rules(&[recording.located["a0000"].clone()], &Options::default());
    let mut event: Value = serde_json::from_str(&recording.events["a0000-000"]).unwrap();
    event.as_object_mut().unwrap().remove("responseObject");
    event["level"] = "Metadata".into();
    assert_eq!(names(&set, &event), ["PSP Audit Event Incomplete"]);
}

/// A plugin that writes events anew may sort their keys; the rules read the order of the API server. In such a log they
/// say of each pod that they cannot judge it, and nothing else.
#[test]
fn a_log_with_keys_in_another_order_makes_noise() {
    const INCOMPLETE: &str = "PSP Audit Event Incomplete";
    let recording = crate::common::Recording::load();
    let every_field = rules(&[fixture("every-field")], &Options::default()).1;
    for located in recording.located.values().step_by(29) {
        let (_, set) = rules(std::slice::from_ref(located), &Options::default());
        for (id, line) in recording.events.iter().step_by(7) {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(!names(&set, &event).iter().any(|name| name == INCOMPLETE), "{id}");
            for set in [&set, &every_field] {
                let sorted = crate::common::sorted(&event);
                assert_eq!(names(set, &sorted), [INCOMPLETE], "{id} under {}", located.policy.name);
            }
        }
    }
    // as k8saudit-gke hands them on: with keys sorted, and `@type` in every object
    let (mut pods, mut others) = (0, 0);
    for line in crate::common::lines("gke/single.jsonl.gz") {
        let names =
            every_field.alerts(&Event::parse(line.as_bytes()).unwrap()).into_iter().map(|rule| &rule.name);
        match names.collect::<Vec<_>>().as_slice() {
            [] => others += 1,
            [one] if *one == INCOMPLETE => pods += 1,
            other => panic!("{other:?} on {line}"),
        }
    }
    assert!(pods > 0, "{others} events of no pods");
}

fn fixture(name: &str) -> Located {
    let path = format!("{}/fixtures/psp/policies/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let sources = [psp2falco::read::Source::Path(path.into())];
    psp2falco::read::read(&sources, &psp2falco::read::Options::default()).unwrap().policies.remove(0)
}

/// The names of the rules that alert on an event.
fn names(rules: &RuleSet, event: &Value) -> Vec<String> {
    let line = event.to_string();
    rules.alerts(&Event::parse(line.as_bytes()).unwrap()).iter().map(|a| a.name.clone()).collect()
}

/// A host path that stands too far back to be told writable from read-only is not passed over in silence.
#[test]
fn a_pod_beyond_what_rules_can_number_makes_noise() {
    let policy = serde_json::json!({
        "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "p"},
        "spec": {
            "volumes": ["*"], "allowedHostPaths": [{"pathPrefix": "/srv", "readOnly": true}],
            "runAsUser": {"rule": "RunAsAny"}, "seLinux": {"rule": "RunAsAny"},
            "fsGroup": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"},
        },
    });
    let few = Options { max_volumes: 2, ..Options::default() };
    let (_, set) = rules(&[crate::common::policy(&policy)], &few);
    let recording = crate::common::Recording::load();
    let mut event: Value = serde_json::from_str(&recording.events["a0000-000"]).unwrap();
    let host =
        |n: usize| serde_json::json!({"name": format!("v{n}"), "hostPath": {"path": "/srv/x", "type": ""}});
    let other = |n: usize| serde_json::json!({"name": format!("v{n}"), "emptyDir": {}});
    let alerts = |volumes: Vec<Value>, event: &mut Value| -> Vec<String> {
        event["responseObject"]["spec"]["volumes"] = volumes.into();
        names(&set, event)
    };
    let procmount = "PSP p Violation (allowedProcMountTypes)".to_owned();
    assert_eq!(alerts(vec![host(0), host(1), other(2)], &mut event), std::slice::from_ref(&procmount));
    let beyond = alerts(vec![other(0), other(1), host(2)], &mut event);
    assert_eq!(beyond, [procmount, "PSP Audit Event Incomplete".to_owned()]);
}

/// Bytes of rules, in all and of what is judged (without the words for people), and distinct fields extracted from one
/// event.
#[test]
fn rules_are_short_and_cheap() {
    let recording = crate::common::Recording::load();
    let single: Vec<&String> = recording
        .stored
        .iter()
        .filter(|(_, pod)| {
            let spec = &pod["spec"];
            spec["containers"].as_array().unwrap().len() == 1 && spec.get("initContainers").is_none()
        })
        .map(|(id, _)| id)
        .collect();
    let limits = [("kubernetes-restricted", 45_000, 21_500, 60), ("every-field", 76_000, 36_000, 150)];
    for (policy, bytes, judged, fields) in limits {
        let (text, set) = rules(&[fixture(policy)], &Options::default());
        let most = single
            .iter()
            .map(|id| set.alerts_counted(&Event::parse(recording.events[*id].as_bytes()).unwrap()).1.distinct)
            .max()
            .unwrap();
        let words =
            |line: &&str| ["#", "desc:", "output:"].iter().any(|key| line.trim_start().starts_with(key));
        let without_words: usize = text.lines().filter(|line| !words(line)).map(|line| line.len() + 1).sum();
        println!(
            "{policy}: {} bytes, {without_words} without words, {most} fields of a single-container pod",
            text.len()
        );
        assert!(text.len() <= bytes, "{policy}: {} bytes", text.len());
        assert!(without_words <= judged, "{policy}: {without_words} bytes without words");
        assert!(most <= fields, "{policy}: {most} fields");
        let other = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stageTimestamp":"2026-01-01T00:00:00.000000Z","requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stage":"ResponseComplete","verb":"list","objectRef":{"resource":"nodes"}}"#;
        let counted = set.alerts_counted(&Event::parse(other.as_bytes()).unwrap()).1;
        assert!(counted.per_rule.iter().all(|n| *n <= 3), "{:?}", counted.per_rule);
    }
}
