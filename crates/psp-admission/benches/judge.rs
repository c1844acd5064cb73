//! What an audit event costs admission by a bundle, and how that grows with policies and bindings. Run with
//! `cargo bench -p psp-admission`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use psp_admission::access::Given;
use psp_admission::policy::{HostPath, IdRule, IdStrategy, Range, Spec};
use psp_admission::{Access, Admission, Bundle, Policy};
use serde_json::{Value, json};

/// The least time of a run, out of half a second of them.
fn cost<T>(mut run: impl FnMut() -> T) -> Duration {
    let clock = Instant::now();
    let mut least = Duration::MAX;
    while clock.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        for _ in 0..16 {
            black_box(run());
        }
        least = least.min(start.elapsed() / 16);
    }
    least
}

fn row(what: &str, time: Duration) {
    println!("| {what} | {:.1} µs |", time.as_secs_f64() * 1e6);
}

/// A policy like Kubernetes' example of a restricted one.
fn policy(number: usize) -> Policy {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let ids = |rule| IdStrategy { rule, ranges: vec![Range { min: 1, max: 60_000 + number as i64 }] };
    let spec = Spec {
        required_drop_capabilities: words(&["ALL"]),
        volumes: words(&[
            "configMap",
            "emptyDir",
            "projected",
            "secret",
            "downwardAPI",
            "persistentVolumeClaim",
        ]),
        allowed_host_paths: vec![HostPath { path_prefix: "/var/log".to_owned(), read_only: true }],
        run_as_user: IdStrategy { rule: IdRule::MustRunAsNonRoot, ranges: Vec::new() },
        supplemental_groups: ids(IdRule::MustRunAs),
        fs_group: ids(IdRule::MustRunAs),
        read_only_root_filesystem: true,
        allow_privilege_escalation: false,
        ..Spec::default()
    };
    Policy { name: format!("restricted-{number:03}"), spec, ..Policy::default() }
}

/// A creation of a pod of some 12 KB with three containers, as an API server logs it; every policy admits it unchanged.
fn event(service_account: &str, namespace: &str) -> String {
    let environment: Vec<Value> = (0..30)
        .map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "a value of some length, as they are"}))
        .collect();
    let containers: Vec<Value> = (0..3)
        .map(|n| {
            json!({
                "name": format!("container-{n}"), "image": "registry.example.com/team/application:1.2.3",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}], "env": environment, "resources": {},
                "volumeMounts": [{"name": "kube-api-access-abcde", "readOnly": true, "mountPath": "/var/run/secrets"}],
                "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                },
            })
        })
        .collect();
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "application-7d4b9", "namespace": namespace},
        "spec": {
            "volumes": [{"name": "kube-api-access-abcde", "projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}],
            "containers": containers, "restartPolicy": "Always", "serviceAccountName": service_account,
            "securityContext": {"supplementalGroups": [5000], "fsGroup": 5000},
        },
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    });
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "0",
        "stage": "ResponseComplete", "requestURI": format!("/api/v1/namespaces/{namespace}/pods"), "verb": "create",
        "user": {"username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": namespace, "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201}, "requestObject": {"spec": pod["spec"]},
        "responseObject": pod,
    })
    .to_string()
}

/// A bundle of policies that are granted by so many bindings in so many namespaces; without bindings, without RBAC.
fn bundle(policies: usize, bindings: usize, namespaces: usize) -> Bundle {
    let policies: Vec<Policy> = (0..policies).map(policy).collect();
    let api = "rbac.authorization.k8s.io/v1";
    let mut objects = vec![json!({
        "apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "cluster-admin",
            "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": [],
    })];
    for policy in &policies {
        objects.push(json!({
            "apiVersion": api, "kind": "ClusterRole", "metadata": {"name": policy.name},
            "rules": [{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"],
                "resourceNames": [policy.name]}],
        }));
    }
    for n in 0..bindings {
        let role = &policies.get(n % policies.len().max(1)).unwrap().name;
        objects.push(json!({
            "apiVersion": api, "kind": "RoleBinding",
            "metadata": {"name": format!("b{n}"), "namespace": format!("namespace-{}", n % namespaces)},
            "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": format!("account-{}", n / namespaces)}],
        }));
    }
    let given: Vec<Given<'_>> = objects.iter().map(|value| Given { value, file: "" }).collect();
    let names: Vec<String> = policies.iter().map(|policy| policy.name.clone()).collect();
    let access = Access::new(&given, names.iter().map(String::as_str), None).filter(|_| bindings > 0);
    let policies = policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect();
    Bundle { policies, access, ..Bundle::default() }
}

fn main() {
    println!("| what | cost |\n| --- | --- |");
    let pod = event("account-0", "namespace-0");
    let length = pod.len();
    let other = pod.replace("\"pods\"", "\"deployments\"");
    let listed = pod.replace("\"verb\":\"create\"", "\"verb\":\"list\"");
    for policies in [1, 10, 50, 200] {
        let admission = Admission::new(bundle(policies, 0, 1));
        row(
            &format!("a new pod of {length} bytes, {policies} policies"),
            cost(|| admission.judge(pod.as_bytes())),
        );
        if policies == 1 {
            row("an event that is not about pods", cost(|| admission.judge(other.as_bytes())));
            row("an event about pods that makes none", cost(|| admission.judge(listed.as_bytes())));
        }
    }
    for (policies, bindings, namespaces) in
        [(50, 200, 50), (50, 2_000, 500), (50, 20_000, 5_000), (200, 20_000, 5_000)]
    {
        let bundle = bundle(policies, bindings, namespaces);
        let (text, _) = bundle.to_text();
        let admission = Admission::new(bundle);
        let mut what = String::new();
        let _ = write!(what, "{policies} policies, {bindings} bindings, {namespaces} namespaces");
        row(&format!("a new pod, {what}"), cost(|| admission.judge(pod.as_bytes())));
        row(
            &format!("reading their bundle of {} KB", text.len() / 1024),
            cost(|| Admission::parse(text.as_bytes())),
        );
    }
}
