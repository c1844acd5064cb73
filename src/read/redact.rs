//! What is kept of an object: what says who may use which policy and what admission looks at; no secrets, no command
//! lines, and nothing that changes from one scan to the next.

use serde_json::{Map, Value};

/// What the API server and its clients note down for themselves.
const CLUTTER: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// The whole object again, by `kubectl apply`.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What a container runs and with which values: admission does not look at it, and passwords are found there.
const PRIVATE: [&str; 8] =
    ["args", "command", "env", "envFrom", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"];

/// The kinds whose controllers make pods of a template, and the API groups that have served each.
const WORKLOADS: [(&str, &[&str]); 7] = [
    ("CronJob", &["batch"]),
    ("DaemonSet", &["apps", "extensions"]),
    ("Deployment", &["apps", "extensions"]),
    ("Job", &["batch"]),
    ("ReplicaSet", &["apps", "extensions"]),
    ("ReplicationController", &[""]),
    ("StatefulSet", &["apps"]),
];

/// Is this the name of a kind that makes pods of a template?
pub(crate) fn is_workload(kind: &str) -> bool {
    WORKLOADS.iter().any(|(known, _)| *known == kind)
}

/// Does an object make pods of a template?
pub(super) fn makes_pods(kind: &str, api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    WORKLOADS.iter().any(|(known, groups)| *known == kind && groups.contains(&group))
}

/// The object as it is kept. Items of a list do not say what they are, so that is filled in.
pub(super) fn redact(mut object: Map<String, Value>, kind: &str, api_version: &str) -> Value {
    let mut kept = Map::new();
    kept.insert("apiVersion".to_owned(), api_version.into());
    kept.insert("kind".to_owned(), kind.into());
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        tidy(metadata);
    }
    match kind {
        "Pod" => {
            let phase = object.get("status").and_then(|status| status.get("phase")).cloned();
            object.remove("status");
            if let Some(Value::Object(spec)) = object.get_mut("spec") {
                containers(spec);
            }
            if let Some(phase) = phase {
                object.insert(
                    "status".to_owned(),
                    Value::Object(Map::from_iter([("phase".to_owned(), phase)])),
                );
            }
        }
        _ if makes_pods(kind, api_version) => workload(&mut object),
        "ServiceAccount" => {
            object.remove("secrets");
            object.remove("imagePullSecrets");
        }
        _ => {
            object.remove("status");
        }
    }
    kept.extend(object.into_iter().filter(|(key, _)| key != "apiVersion" && key != "kind"));
    Value::Object(kept)
}

/// Of what makes pods: its name, whether it makes any, and its template.
fn workload(object: &mut Map<String, Value>) {
    retain(object, "metadata", &["name", "generateName", "namespace"]);
    retain(object, "status", &["conditions"]);
    retain(object, "spec", &["replicas", "template", "jobTemplate", "volumeClaimTemplates"]);
    let Some(Value::Object(spec)) = object.get_mut("spec") else { return };
    for claim in spec.get_mut("volumeClaimTemplates").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(claim) = claim else { continue };
        claim.retain(|key, _| key == "metadata");
        retain(claim, "metadata", &["name"]);
    }
    let template = match spec.get_mut("jobTemplate") {
        Some(job) => job.pointer_mut("/spec/template"),
        None => spec.get_mut("template"),
    };
    let Some(Value::Object(template)) = template else { return };
    retain(template, "metadata", &["annotations", "labels"]);
    if let Some(Value::Object(metadata)) = template.get_mut("metadata") {
        tidy(metadata);
    }
    if let Some(Value::Object(spec)) = template.get_mut("spec") {
        containers(spec);
    }
}

/// Leaves these keys in a part of an object.
fn retain(object: &mut Map<String, Value>, part: &str, keys: &[&str]) {
    if let Some(Value::Object(part)) = object.get_mut(part) {
        part.retain(|key, _| keys.contains(&key.as_str()));
    }
}

fn tidy(metadata: &mut Map<String, Value>) {
    metadata.retain(|key, _| !CLUTTER.contains(&key.as_str()));
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(LAST_APPLIED);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

fn containers(spec: &mut Map<String, Value>) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let Some(Value::Array(containers)) = spec.get_mut(list) else { continue };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            container.retain(|key, _| !PRIVATE.contains(&key.as_str()));
        }
    }
}

/// The number of values in it, a long text counted as several.
pub(super) fn weight(value: &Value) -> usize {
    1 + match value {
        Value::String(text) => text.len() / 64,
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(object) => object.iter().map(|(key, value)| key.len() / 64 + weight(value)).sum(),
        _ => 0,
    }
}
