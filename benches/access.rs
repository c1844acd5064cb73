//! What it costs to map RBAC and predict: 50 policies, 5,000 namespaces, 20,000 bindings, 100,000 pods. Run with
//! `cargo bench --bench access`.
//!
//! Roles and bindings lie in memory as they were read; pods come one by one, as from a paginated list.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::time::{Duration, Instant};

use psp2falco::access::Access;
use psp2falco::predict::Predictor;
use psp2falco::problem::Place;
use psp2falco::read::{Inventory, Object, Options, read_text};
use psp2falco::render;
use serde_json::{Value, json};

const POLICIES: usize = 50;
const NAMESPACES: usize = 5_000;
const BINDINGS: usize = 20_000;
const PODS: usize = 100_000;

/// Policies of the kinds that clusters have, each with its own ranges.
fn policies() -> Inventory {
    let restricted = include_str!("../fixtures/psp/policies/kubernetes-restricted.yaml");
    let baseline = include_str!("../fixtures/psp/policies/kubernetes-baseline.yaml");
    let text: Vec<String> = (0..POLICIES)
        .map(|n| {
            let base = if n % 3 == 0 { baseline } else { restricted };
            let name = if n % 3 == 0 { "name: baseline" } else { "name: restricted" };
            let max = format!("max: {}", 20_000 + n * 7);
            base.replace(name, &format!("name: p-{n:03}")).replace("max: 65535", &max)
        })
        .collect();
    read_text("policies.yaml", &text.join("\n---\n"), &Options::default()).unwrap()
}

fn object(kind: &str, value: Value) -> Object {
    let api_version = "rbac.authorization.k8s.io/v1".to_owned();
    Object { kind: kind.to_owned(), api_version, value, place: Place::default() }
}

/// A role for each policy, and bindings for service accounts, groups and users in every namespace.
fn rbac() -> Vec<Object> {
    let mut objects: Vec<Object> = (0..POLICIES)
        .map(|n| {
            let rule = json!({"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": [format!("p-{n:03}")]});
            object("ClusterRole", json!({"metadata": {"name": format!("use-{n}")}, "rules": [rule]}))
        })
        .collect();
    objects.extend((0..BINDINGS).map(|n| {
        let namespace = format!("team-{:04}", n % NAMESPACES);
        let subjects = match n / NAMESPACES {
            0 => json!([{"kind": "Group", "name": format!("system:serviceaccounts:{namespace}")}]),
            1 => json!([{"kind": "ServiceAccount", "name": "builder", "namespace": namespace}]),
            2 => json!([{"kind": "Group", "name": format!("group-{}", n % 400)}]),
            _ => json!([{"kind": "User", "name": format!("user-{}@example.com", n % 1000)}, {"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}]),
        };
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("use-{}", (n / 7) % POLICIES)});
        object("RoleBinding", json!({"metadata": {"name": format!("b-{n}"), "namespace": namespace}, "roleRef": role, "subjects": subjects}))
    }));
    objects
}

/// A pod of one of 20,000 workloads, which differ in how they are secured.
fn pod(n: usize) -> Value {
    let (workload, namespace) = (n / 5, format!("team-{:04}", (n / 5) % NAMESPACES));
    json!({
        "metadata": {
            "name": format!("app-{workload}-5d8f7c9b4d-{n:05}"), "namespace": namespace,
            "labels": {"app": "x", "pod-template-hash": "5d8f7c9b4d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("app-{workload}-5d8f7c9b4d"), "controller": true}],
        },
        "spec": {
            "serviceAccountName": if workload % 4 == 0 { "builder" } else { "default" },
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": format!("kube-api-access-{n:05}"), "projected": {"sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}},
            ],
            "containers": [{
                "name": "main", "image": "example/app:1", "env": [{"name": "A", "value": "b"}],
                "ports": [{"containerPort": 8080}], "resources": {"limits": {"cpu": "1"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}], "imagePullPolicy": "Always",
                "securityContext": {"runAsUser": workload % 300, "privileged": workload % 50 == 0},
            }],
            "securityContext": {"fsGroup": workload % 7},
        },
        "status": {"phase": "Running"},
    })
}

/// The largest resident set so far, in MiB (`VmHWM`); 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or_default() / 1024
}

/// The time that this process has had a core; where the system does not tell, the time since `start`.
fn spent(start: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn main() {
    let mut inventory = policies();
    inventory.objects = rbac();
    println!("{POLICIES} policies, {NAMESPACES} namespaces, {BINDINGS} bindings, {PODS} pods");
    println!("objects in memory: peak {} MiB", peak());
    let clock = Instant::now();
    let begun = spent(clock);
    let access = Access::of_inventory(&inventory).unwrap();
    let mapped = spent(clock);
    println!("who may use which policy: {:.0} ms", ms(mapped - begun));
    let options = render::Options { access: Some(access), ..render::Options::default() };
    let rendered = render::audit_rules(&inventory.policies, &options).unwrap();
    let ruled = spent(clock);
    println!("rules: {:.0} ms, {} KB", ms(ruled - mapped), rendered.text.len() / 1000);
    let mut predictor = Predictor::new(inventory.policies.iter().map(|p| &p.policy), &options);
    let mut predicting = Duration::ZERO;
    for chunk in 0..PODS / 500 {
        let pods: Vec<Value> = (chunk * 500..(chunk + 1) * 500).map(pod).collect();
        let start = spent(clock);
        pods.iter().for_each(|pod| predictor.add(pod));
        predicting += spent(clock) - start;
    }
    let prediction = predictor.finish();
    println!(
        "prediction: {:.0} ms; {} of {} workloads would alert",
        ms(predicting),
        prediction.findings.len(),
        prediction.workloads
    );
    println!("all: {:.0} ms", ms(ruled - begun + predicting));
    println!("peak {} MiB", peak());
    if std::env::args().any(|a| a == "--write") {
        std::fs::write("access-bench-rules.yaml", &rendered.text).unwrap();
    }
}
