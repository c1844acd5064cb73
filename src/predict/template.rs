//! The pods that controllers make of their templates, and pods that are manifests, as an API server stores them today (Kubernetes 1.25 and newer):
//! with what the controller adds (`pkg/controller`), what the API server fills in (`pkg/apis/core/v1/defaults.go`), and
//! what `ServiceAccount` admission adds (`plugin/pkg/admission/serviceaccount/admission.go`), as far as a policy looks
//! at it.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::finding::{KnownName, Workload};
use super::owner::{Owner, namespace, text};
use crate::read::Object;

/// Where containers find the token of their service account.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What the name of the volume with that token begins with.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// The service accounts that say whether pods get a token.
pub(super) struct Accounts<'a> {
    /// By namespace and name.
    mounts: HashMap<(&'a str, &'a str), bool>,
    /// The namespace of objects that name none; empty: not known.
    default_namespace: &'a str,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(objects: &'a [Object], default_namespace: Option<&'a str>) -> Self {
        let default_namespace = default_namespace.unwrap_or_default();
        let accounts = objects.iter().filter(|object| object.kind == "ServiceAccount").filter_map(|object| {
            let mounts = object.value.get("automountServiceAccountToken")?.as_bool()?;
            let namespace = namespace(&object.value, default_namespace);
            Some(((namespace, text(&object.value, "/metadata/name")), mounts))
        });
        Self { mounts: accounts.collect(), default_namespace }
    }

    /// Do pods under this service account get its token, if they do not say it themselves?
    fn mount(&self, namespace: &str, name: &str) -> bool {
        self.mounts.get(&(namespace, name)).copied().unwrap_or(true)
    }
}

/// What a workload makes, and how its pods are known.
pub(super) struct Made<'w> {
    /// The workload as people know it.
    pub(super) workload: Workload,
    /// Is it made itself, by a Deployment or a `CronJob`?
    pub(super) owned: bool,
    /// The owner of the pods.
    pub(super) owner: Owner<'w>,
    /// The name by which events tell the pods.
    pub(super) name: KnownName,
    /// The pod.
    pub(super) pod: Value,
}

/// What becomes of a workload (`apps/v1.Deployment`, `batch/v1.CronJob`, …). None if it makes no pods: those of a Job
/// that has ended, of a `ReplicaSet` that its Deployment has scaled down, and those that the API server would refuse,
/// since the template is a part of one only, as in patches.
pub(super) fn made<'w>(workload: &'w Value, accounts: &Accounts<'_>) -> Option<Made<'w>> {
    let (kind, namespace) = (text(workload, "/kind"), namespace(workload, accounts.default_namespace));
    let template = match kind {
        "CronJob" => workload.pointer("/spec/jobTemplate/spec/template"),
        _ => workload.pointer("/spec/template"),
    }?;
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}});
    for part in ["metadata", "spec"] {
        if let (Some(own), Some(given)) = (pod.get_mut(part), template.get(part)) {
            *own = without_nulls(given);
        }
    }
    let spec = pod.get_mut("spec")?.as_object_mut()?;
    if !containers(spec).all(|container| container.contains_key("image")) || containers(spec).next().is_none()
    {
        return None;
    }
    if kind == "StatefulSet" {
        claim(spec, workload);
    }
    fill_in(spec);
    mount_token(spec, namespace, accounts);
    if !namespace.is_empty()
        && let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("namespace".to_owned(), namespace.into());
    }

    let (name, prefix) = (text(workload, "/metadata/name"), text(workload, "/metadata/generateName"));
    let (owner, known) = match kind {
        "CronJob" => ("Job", KnownName::JobOf(name.to_owned())),
        "Deployment" => ("ReplicaSet", KnownName::ReplicaSetOf(name.to_owned())),
        _ => (kind, KnownName::Owner(name.to_owned())),
    };
    let owner = Owner { kind: owner, name, index: 0 };
    let (workload, known) = match name {
        "" if prefix.is_empty() => return None,
        "" => {
            let name = format!("{prefix}*");
            let (namespace, kind) = (namespace.to_owned(), kind.to_owned());
            (Workload { namespace, kind, name }, KnownName::OwnerPrefix(prefix.to_owned()))
        }
        _ if owner.kind != kind => {
            let (namespace, kind) = (namespace.to_owned(), kind.to_owned());
            (Workload { namespace, kind, name: name.to_owned() }, known)
        }
        _ if has_ended(workload) => return None,
        _ => {
            let of = owner.workload(&pod, namespace);
            let scaled_down = workload.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0);
            if of.kind == "Deployment" && scaled_down {
                return None;
            }
            (of, owner.known_name(&pod))
        }
    };
    Some(Made { owned: workload.kind != kind, workload, owner, name: known, pod })
}

/// A pod as stored; what no API server has stored yet, it fills in.
pub(super) fn stored(pod: Value, accounts: &Accounts<'_>) -> Value {
    if !text(&pod, "/status/phase").is_empty() || pod.pointer("/metadata/ownerReferences").is_some() {
        return pod;
    }
    let mut pod = without_nulls(&pod);
    let namespace = namespace(&pod, accounts.default_namespace).to_owned();
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        fill_in(spec);
        mount_token(spec, &namespace, accounts);
    }
    pod
}

/// Has a Job ended?
fn has_ended(workload: &Value) -> bool {
    let conditions = workload.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        matches!(text(condition, "/type"), "Complete" | "Failed") && text(condition, "/status") == "True"
    })
}

/// A copy without the keys that say nothing: `key:` and `key: null` leave a field unset.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let set = object.iter().filter(|(_, value)| !value.is_null());
            Value::Object(set.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn containers(spec: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| spec.get(list)?.as_array())
        .flatten()
        .filter_map(Value::as_object)
}

fn containers_mut(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    spec.iter_mut()
        .filter(|(key, _)| matches!(key.as_str(), "initContainers" | "containers"))
        .filter_map(|(_, list)| list.as_array_mut())
        .flatten()
        .filter_map(Value::as_object_mut)
}

/// The list under a key, made where there is none.
fn list<'o>(object: &'o mut Map<String, Value>, key: &str) -> Option<&'o mut Vec<Value>> {
    object.entry(key).or_insert_with(|| json!([])).as_array_mut()
}

/// A stateful set gives each pod a claim a template, in the place of a volume with that name
/// (`pkg/controller/statefulset/stateful_set_utils.go`, `updateStorage`).
fn claim(spec: &mut Map<String, Value>, workload: &Value) {
    let templates = workload.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let names: Vec<&str> =
        templates.into_iter().flatten().map(|template| text(template, "/metadata/name")).collect();
    if names.is_empty() {
        return;
    }
    let Some(volumes) = list(spec, "volumes") else { return };
    volumes.retain(|volume| !names.contains(&text(volume, "/name")));
    let claims = names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
    volumes.splice(0..0, claims);
}

/// What the API server fills in.
fn fill_in(spec: &mut Map<String, Value>) {
    if spec.get("hostNetwork").and_then(Value::as_bool) == Some(true) {
        for container in containers_mut(spec) {
            let ports = container.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
                let unset = port.get("hostPort").and_then(Value::as_i64).unwrap_or_default() == 0;
                if let Some(inner) = port.get("containerPort").filter(|_| unset).cloned() {
                    port.insert("hostPort".to_owned(), inner);
                }
            }
        }
    }
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    for volume in volumes.into_iter().flatten().filter_map(Value::as_object_mut) {
        if volume.keys().all(|key| key == "name") {
            volume.insert("emptyDir".to_owned(), json!({}));
        }
        let sources = volume.get_mut("projected").and_then(|p| p.get_mut("sources")?.as_array_mut());
        for source in sources.into_iter().flatten() {
            let items = source.pointer_mut("/downwardAPI/items").and_then(Value::as_array_mut);
            for item in items.into_iter().flatten() {
                if let Some(Value::Object(field)) = item.get_mut("fieldRef") {
                    field.entry("apiVersion").or_insert_with(|| "v1".into());
                }
            }
        }
    }
    let given = |key: &str| spec.get(key).and_then(Value::as_str).filter(|name| !name.is_empty());
    let account = given("serviceAccountName").or(given("serviceAccount")).unwrap_or("default").to_owned();
    for key in ["serviceAccountName", "serviceAccount"] {
        spec.insert(key.to_owned(), account.as_str().into());
    }
}

/// The volume with the token of the service account, unless pod or account do without, or every container has something
/// else in its place.
fn mount_token(spec: &mut Map<String, Value>, namespace: &str, accounts: &Accounts<'_>) {
    let account = spec.get("serviceAccountName").and_then(Value::as_str).unwrap_or_default();
    let own = spec.get("automountServiceAccountToken").and_then(Value::as_bool);
    if !own.unwrap_or_else(|| accounts.mount(namespace, account)) {
        return;
    }
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let present = volumes.map(|volume| text(volume, "/name")).find(|name| name.starts_with(TOKEN_VOLUME));
    let (name, is_present) = (present.unwrap_or("kube-api-access-token").to_owned(), present.is_some());
    let mut mounted = false;
    for container in containers_mut(spec) {
        let Some(mounts) = list(container, "volumeMounts") else { continue };
        if !mounts.iter().any(|mount| text(mount, "/mountPath") == TOKEN_PATH) {
            mounts.push(json!({"name": name, "readOnly": true, "mountPath": TOKEN_PATH}));
            mounted = true;
        }
    }
    if mounted
        && !is_present
        && let Some(volumes) = list(spec, "volumes")
    {
        volumes.push(json!({"name": name, "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
                ]}},
            ],
            "defaultMode": 420,
        }}));
    }
}
