//! A cluster with 50 policies: who may use them, and pods of workloads that differ in how they are secured.
#![allow(unreachable_pub)]

use psp2falco::problem::Place;
use psp2falco::read::{Inventory, Object, Options, read_text};
use serde_json::{Value, json};

const POLICIES: usize = 50;

/// The policies, with RBAC as it was read.
pub fn inventory(bindings: usize) -> Inventory {
    let mut inventory = read_text("policies.yaml", &texts(), &Options::default()).unwrap();
    inventory.objects = rbac(bindings);
    inventory
}

/// Policies of the kinds that clusters have, each with its own ranges.
fn texts() -> String {
    let restricted = include_str!("../../fixtures/psp/policies/kubernetes-restricted.yaml");
    let baseline = include_str!("../../fixtures/psp/policies/kubernetes-baseline.yaml");
    let text: Vec<String> = (0..POLICIES)
        .map(|n| {
            let base = if n % 3 == 0 { baseline } else { restricted };
            let name = if n % 3 == 0 { "name: baseline" } else { "name: restricted" };
            let max = format!("max: {}", 20_000 + n * 7);
            base.replace(name, &format!("name: p-{n:03}")).replace("max: 65535", &max)
        })
        .collect();
    text.join("\n---\n")
}

fn object(kind: &str, value: Value) -> Object {
    let api_version = "rbac.authorization.k8s.io/v1".to_owned();
    Object { kind: kind.to_owned(), api_version, value, place: Place::default() }
}

/// A role for each policy, and so many bindings, four a namespace.
fn rbac(bindings: usize) -> Vec<Object> {
    let namespaces = bindings / 4;
    let mut objects: Vec<Object> = (0..POLICIES)
        .map(|n| {
            let rule = json!({"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": [format!("p-{n:03}")]});
            object("ClusterRole", json!({"metadata": {"name": format!("use-{n}")}, "rules": [rule]}))
        })
        .collect();
    objects.extend((0..bindings).map(|n| {
        let namespace = format!("team-{:04}", n % namespaces);
        let subjects = match n / namespaces {
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
pub fn pod(n: usize) -> Value {
    let (workload, namespace) = (n / 5, format!("team-{:04}", (n / 5) % 500));
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

/// The policies and RBAC as manifests.
pub fn manifests(bindings: usize) -> String {
    let list: Vec<Value> = rbac(bindings)
        .into_iter()
        .map(|object| {
            let mut value = object.value;
            value["kind"] = object.kind.into();
            value["apiVersion"] = object.api_version.into();
            value
        })
        .collect();
    format!("{}\n---\n{}\n", texts(), json!({"apiVersion": "v1", "kind": "List", "items": list}))
}
