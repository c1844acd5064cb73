//! Rules for a Falco with the plugin psp: the same alerts as the stock rules, on every event.
//!
//! A failure of a random one prints its seed; `PSP2FALCO_SEED=… cargo test --test it plugin::` runs it again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::random::{Random, seed};
use crate::common::sorted;
use crate::rbac::{ACCOUNTS, NAMESPACES};

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;

use crate::snapshot::{check, files, report, root, updating};
use clap::Parser as _;
use falco_rules::{self as falco, Event, RuleSet};
use psp_admission::Admission;
use psp2falco::cli::Cli;
use psp2falco::console::Console;
use psp2falco::read::{self, Located, read_text};
use psp2falco::render::{AuditObject, Options, Rendered, audit_rules};
use psp2falco::{commands, plugin};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The stock rules and the plugin rules of some policies.
fn both(policies: &[Located], options: &Options) -> [RuleSet; 2] {
    [false, true].map(|plugin| {
        let rendered = audit_rules(policies, &Options { plugin, ..options.clone() }).unwrap();
        let plugins = rendered.bundle.as_ref().map(|bundle| {
            let admission = Admission::parse(bundle.text.as_bytes()).unwrap();
            assert_eq!(admission.digest(), bundle.digest);
            plugin::loaded(admission)
        });
        assert_eq!(plugins.is_some(), plugin);
        let source = falco::Source { name: "rules.yaml", text: &rendered.text };
        let loaded = falco::load_with(&[source], plugins.as_slice());
        assert!(loaded.findings.is_empty(), "{}\n{}", loaded.findings[0], rendered.text);
        loaded.rules.unwrap()
    })
}

fn alerts(rules: &RuleSet, line: &str) -> BTreeSet<String> {
    let event = Event::parse(line.as_bytes()).unwrap();
    rules.alerts(&event).iter().map(|rule| format!("{} {}", rule.priority.name(), rule.name)).collect()
}

#[test]
fn every_recorded_event_alerts_the_same_in_any_order_of_keys() {
    let recording = crate::common::Recording::load();
    let mut alerting = 0;
    for (id, located) in &recording.located {
        let [stock, asked] = both(std::slice::from_ref(located), &Options::default());
        let names = |rules: &RuleSet| {
            let mut names: BTreeSet<_> = rules
                .rules()
                .iter()
                .map(|rule| (rule.name.clone(), rule.priority, rule.tags.clone()))
                .collect();
            names.retain(|(name, ..)| name != "PSP Policies Out Of Step");
            names
        };
        assert_eq!(names(&stock), names(&asked));
        for case in recording.cases.iter().filter(|case| case.policy == *id) {
            let line = &recording.events[&case.id];
            let wanted = alerts(&stock, line);
            assert_eq!(alerts(&asked, line), wanted, "{line}");
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(alerts(&asked, &sorted(&event).to_string()), wanted, "sorted: {line}");
            alerting += usize::from(!wanted.is_empty());
        }
    }
    assert!(alerting > 500, "{alerting} events alert");
}

/// Some random policies; one in four has a strategy that admission could make nothing of, and some are narrowed.
fn policies(random: &mut Random) -> Vec<Value> {
    let count = 1 + random.below(4);
    let one = |n| {
        let mut policy = crate::properties::policy(random);
        policy["metadata"]["name"] = format!("p{n}").into();
        if random.one_in(4) {
            let strategy = *random.pick(&["runAsUser", "fsGroup", "supplementalGroups", "seLinux"]);
            policy["spec"][strategy] = json!({"rule": "MustRunAs"});
        }
        if random.one_in(6) {
            policy["metadata"]["annotations"]["falco-rules-psp-namespaces"] = "[a,b]".into();
        }
        policy
    };
    (0..count).map(one).collect()
}

/// What lets everyone use a policy.
fn for_everyone(policy: &str) -> [Value; 2] {
    let api = "rbac.authorization.k8s.io/v1";
    let role = json!({
        "apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "everyone"},
        "rules": [{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": [policy]}],
    });
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": "everyone"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "everyone"},
        "subjects": [{"kind": "Group", "name": "system:authenticated"}],
    });
    [role, binding]
}

/// The event of a random pod, from a random request.
fn event(random: &mut Random) -> Value {
    let pod = crate::properties::pod(random);
    let mut event: Value = serde_json::from_str(&crate::properties::event(&pod)).unwrap();
    event["objectRef"]["namespace"] = (*random.pick(&NAMESPACES)).into();
    let (user, groups) = crate::rbac::someone(random);
    let asks = if random.one_in(3) { "impersonatedUser" } else { "user" };
    event[asks] = json!({"username": user, "groups": groups});
    for object in ["responseObject", "requestObject"] {
        if !random.one_in(5) {
            event[object] = pod.clone();
        }
        if random.one_in(2) && event[object].is_object() {
            event[object]["spec"]["serviceAccountName"] = (*random.pick(&ACCOUNTS)).into();
        }
        if random.one_in(20) {
            event.as_object_mut().unwrap().remove(object);
        }
    }
    match random.below(12) {
        0 => event["verb"] = (*random.pick(&["patch", "update", "delete", "list"])).into(),
        1 => event["responseStatus"]["code"] = (*random.pick(&[200, 403, 409])).into(),
        2 => event["stage"] = "RequestReceived".into(),
        3 => event["objectRef"]["subresource"] = (*random.pick(&["ephemeralcontainers", "exec"])).into(),
        4 => event["requestURI"] = "/api/v1/namespaces/a/pods?dryRun=All&fieldManager=x".into(),
        _ => {}
    }
    event
}

#[test]
fn random_policies_rbac_and_events_alert_the_same() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let recording = crate::common::Recording::load();
    let recorded: Vec<&Located> = recording.located.values().collect();
    let lines: Vec<&String> = recording.events.values().collect();
    let mut kinds = BTreeMap::<(&str, &str), usize>::new();
    for _ in 0..90 {
        let values = policies(&mut random);
        let mut located: Vec<Located> = values.iter().map(crate::common::policy).collect();
        located.extend(random.some(&recorded, 3).into_iter().map(|policy| (*policy).clone()));
        located.sort_by(|left, right| left.policy.name.cmp(&right.policy.name));
        located.dedup_by(|left, right| left.policy.name == right.policy.name);
        let names: Vec<&str> = located.iter().map(|policy| policy.policy.name.as_str()).collect();
        let mut objects = Vec::new();
        let known = *random.pick(&["no RBAC", "partial RBAC", "whole RBAC"]);
        if known != "no RBAC" {
            objects = crate::rbac::random_rbac(&mut random, &names);
        }
        if known == "whole RBAC" {
            objects.push(crate::rbac::bootstrap());
        }
        if known != "no RBAC" && random.one_in(2) {
            objects.extend(for_everyone(random.pick::<&str>(&names)));
        }
        let access = psp2falco::rbac::access(&crate::rbac::inventory(&located, &objects), None);
        assert_eq!(access.is_some(), known != "no RBAC");
        let mut options = Options { access, ..Options::default() };
        if random.one_in(4) {
            options.object = AuditObject::Request;
        }
        match random.below(6) {
            0 => options.namespaces = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
            1 => options.exclude_namespaces = vec!["a".to_owned(), "e".to_owned()],
            _ => {}
        }
        let [stock, asked] = both(&located, &options);
        for n in 0..40 {
            let event = match n % 4 {
                0 => serde_json::from_str(random.pick::<&String>(&lines)).unwrap(),
                _ => event(&mut random),
            };
            let line = crate::properties::written(&event);
            let wanted = alerts(&stock, &line);
            let told =
                || format!("PSP2FALCO_SEED={seed}\n{}\n{names:?}\n{}\n{line}", json!(values), json!(objects));
            assert_eq!(alerts(&asked, &line), wanted, "{}", told());
            assert_eq!(alerts(&asked, &sorted(&event).to_string()), wanted, "sorted: {}", told());
            for kind in ["Violation", "Lost Default", "No Usable", "Incomplete"] {
                let found = wanted.iter().any(|alert| alert.contains(kind));
                *kinds.entry((known, kind)).or_default() += usize::from(found);
            }
            *kinds.entry((known, "silence")).or_default() += usize::from(wanted.is_empty());
        }
    }
    println!("{kinds:?}");
    let rare = kinds.iter().filter(|(_, count)| **count < 5).map(|(kind, _)| *kind);
    assert_eq!(
        rare.collect::<Vec<_>>(),
        [("no RBAC", "No Usable"), ("partial RBAC", "No Usable")],
        "{kinds:?}"
    );
}

/// A policy that restricts little.
const POLICY: &str = "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: web}
spec:
  volumes: ['*']
  seLinux: {rule: RunAsAny}
  runAsUser: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
";

fn read(text: &str) -> Vec<Located> {
    read_text("psp.yaml", text, &read::Options::default()).unwrap().policies
}

fn rendered(policies: &[Located]) -> Rendered {
    audit_rules(policies, &Options { plugin: true, ..Options::default() }).unwrap()
}

#[test]
fn rules_and_bundle_of_different_runs_are_told() {
    let rules = rendered(&read(POLICY)).text;
    let other = rendered(&[]).bundle.unwrap();
    let plugin = plugin::loaded(Admission::parse(other.text.as_bytes()).unwrap());
    let source = falco::Source { name: "rules.yaml", text: &rules };
    let rules = falco::load_with(&[source], &[plugin]).rules.unwrap();
    let line = crate::properties::event(&crate::properties::pod(&mut Random(7)));
    assert_eq!(alerts(&rules, &line), BTreeSet::from(["Error PSP Policies Out Of Step".to_owned()]));
}

/// What the rules of every policy and their bundle are.
#[test]
fn every_policy_gives_its_expected_rules_and_bundle() {
    let (inputs, expected) = (root().join("fixtures/psp"), root().join("fixtures/expected/plugin"));
    let mut problems = Vec::new();
    let mut known = BTreeSet::new();
    for path in files(&inputs) {
        let rendered = rendered(&read(&fs::read_to_string(inputs.join(&path)).unwrap()));
        for (path, text) in
            [(path.clone(), rendered.text), (path.with_extension("json"), rendered.bundle.unwrap().text)]
        {
            problems.extend(check(&expected.join(&path), &text).err());
            known.insert(path);
        }
    }
    for extra in files(&expected).into_iter().filter(|path| !known.contains(path)) {
        if updating() {
            fs::remove_file(expected.join(&extra)).unwrap();
        } else {
            problems.push(format!("fixtures/expected/plugin/{}: nothing gives this", extra.display()));
        }
    }
    report(&problems, "it");
}

/// Runs the command in the process.
fn run(words: &[&str]) -> Result<String, String> {
    let cli = Cli::try_parse_from(["psp2falco"].iter().chain(words)).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let done = commands::run(cli, &mut Console::new(&mut out, &mut err));
    let text = String::from_utf8([out, err].concat()).unwrap();
    done.map(|_| text).map_err(|error| format!("{error:#}"))
}

/// A run writes the bundle beside the rules, and knows its own bundle again.
#[test]
fn the_bundle_lies_beside_the_rules() {
    let temp = TempDir::new().unwrap();
    let path = |name: &str| temp.path().join(name).display().to_string();
    fs::write(path("psp.yaml"), POLICY).unwrap();
    for output in ["out/", "one/rules.yaml"] {
        let words = ["convert", &path("psp.yaml"), "--plugin", "-o", &path(output)].map(str::to_owned);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&words).unwrap();
        run(&[&words[..], &["--namespace", "shop"]].concat()).unwrap();
    }
    let bundle = fs::read(path("out/psp_policies.json")).unwrap();
    assert_eq!(bundle, fs::read(path("one/psp_policies.json")).unwrap());
    let digest = Admission::parse(&bundle).unwrap().digest().to_owned();
    assert!(fs::read_to_string(path("out/psp_audit_rules.yaml")).unwrap().contains(&digest));
    let error = run(&["convert", &path("psp.yaml"), "--plugin"]).unwrap_err();
    assert_eq!(
        error,
        "--plugin: the rules need psp_policies.json beside them; name a folder or a file with --output"
    );

    let log = root().join("fixtures/audit/audit.log.gz").display().to_string();
    let replayed =
        ["replay", "--rules", &path("out/psp_audit_rules.yaml"), "--audit-log", &log].map(str::to_owned);
    let replayed: Vec<&str> = replayed.iter().map(String::as_str).collect();
    assert!(run(&replayed).unwrap().contains(" rules on 14 events"));
    fs::remove_file(path("out/psp_policies.json")).unwrap();
    assert!(run(&replayed).unwrap_err().contains("name the psp_policies.json that was written with them"));
}

/// Whoever exported the log, the events in it alert the same.
#[test]
fn a_cloud_s_export_alerts_as_the_log_does() {
    let temp = TempDir::new().unwrap();
    let path = |name: &str| temp.path().join(name).display().to_string();
    let log = root().join("fixtures/audit/audit.log.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(&log).unwrap()).read_to_string(&mut text).unwrap();
    let events: Vec<&str> = text.lines().collect();
    let google = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let name = event["responseObject"]["metadata"]["name"].as_str().unwrap();
        let namespace = event["objectRef"]["namespace"].as_str().unwrap();
        sorted(&json!({
            "insertId": event["auditID"], "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
            "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c"}},
            "receiveTimestamp": event["stageTimestamp"],
            "protoPayload": {
                "@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
                "methodName": "io.k8s.core.v1.pods.create",
                "resourceName": format!("core/v1/namespaces/{namespace}/pods/{name}"),
                "authenticationInfo": {"principalEmail": event["user"]["username"]},
                "request": event["requestObject"], "response": event["responseObject"],
            },
        }))
    };
    let google: Vec<Value> = events.iter().map(google).collect();
    let amazon: Vec<Value> = events.iter().map(|event| json!({"message": event, "timestamp": 1})).collect();
    let azure: Vec<Value> =
        events.iter().map(|e| json!({"category": "kube-audit", "properties": {"log": e}})).collect();
    // Log Analytics, as `az monitor log-analytics query` prints it: what a column holds is text
    let rows: Vec<Value> = events
        .iter()
        .map(|e| json!({"Category": "kube-audit", "TableName": "PrimaryResult", "log_s": e}))
        .collect();
    let columns = |line: &&str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| event.get(key).map(|value| sorted(value).to_string());
        json!({
            "TableName": "PrimaryResult", "Type": "AKSAuditAdmin", "AuditId": event["auditID"], "Level": event["level"],
            "Stage": event["stage"], "Verb": event["verb"], "RequestUri": event["requestURI"],
            "User": text("user"), "SourceIps": text("sourceIPs"), "UserAgent": event["userAgent"],
            "ObjectRef": text("objectRef"), "ResponseStatus": text("responseStatus"),
            "RequestObject": text("requestObject"), "ResponseObject": text("responseObject"),
            "RequestReceivedTime": event["requestReceivedTimestamp"], "StageReceivedTime": event["stageTimestamp"],
            "Annotations": text("annotations"),
        })
    };
    let columns: Vec<Value> = events.iter().map(columns).collect();
    let lines = |values: &[Value]| values.iter().map(|value| format!("{value}\n")).collect::<String>();
    let shapes = [
        ("gke.json", format!("{:#}", Value::from(google.clone()))),
        ("gke.jsonl", lines(&google)),
        ("eks.json", format!("{:#}", json!({ "events": amazon }))),
        ("eks.log", events.iter().map(|e| format!("2026-11-24T10:00:00.000Z {e}\n")).collect()),
        ("aks.json", json!({ "records": azure }).to_string()),
        ("aks.jsonl", lines(&azure)),
        ("aks-rows.json", format!("{:#}", Value::from(rows))),
        ("aks-columns.json", format!("{:#}", Value::from(columns))),
        ("plain.log", text.clone()),
    ];
    let policy = root().join("fixtures/psp/policies/kubernetes-restricted.yaml").display().to_string();
    let replay = |name: &str, more: &[&str]| {
        let log = path(name);
        let words = ["replay", &policy, "--format", "json", "--audit-log", &log];
        run(&[&words, more].concat()).unwrap()
    };
    // who asked is all that differs: Cloud Logging knows no impersonation
    let named = |text: &str| {
        let alerts = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        alerts
            .map(|alert| format!("{} {}", alert["rule"], alert["output_fields"]["ka.resp.name"]))
            .collect::<Vec<_>>()
    };
    for (name, text) in &shapes {
        fs::write(path(name), text).unwrap();
    }
    let wanted = named(&replay("plain.log", &[]));
    assert!(wanted.len() > 20, "{wanted:?}");
    for (name, _) in shapes {
        assert_eq!(named(&replay(name, &["--plugin"])), wanted, "{name}");
        let stock = replay(name, &[]);
        assert_eq!(
            stock.contains("stock rules cannot judge them; add --plugin"),
            name.starts_with("gke") || name == "aks-columns.json",
            "{stock}"
        );
    }
}
