//! What owns a pod, and so who asks for it and how it is known.

use psp_admission::access;
use serde_json::Value;

use super::finding::{KnownBy, KnownName, Workload};
use crate::psp::names;

/// What a pod's owner reference says.
pub(super) struct Owner<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    /// Where the reference stands among the pod's.
    pub(super) index: usize,
}

impl<'a> Owner<'a> {
    pub(super) fn of(pod: &'a Value) -> Self {
        let references = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let references = || references.into_iter().flatten().enumerate();
        let controls = |r: &Value| r.get("controller").and_then(Value::as_bool) == Some(true);
        let owner = references().find(|(_, r)| controls(r)).or_else(|| references().next());
        let text = |key: &str| owner.and_then(|(_, r)| r.get(key)?.as_str()).unwrap_or_default();
        Self { kind: text("kind"), name: text("name"), index: owner.map_or(0, |(i, _)| i) }
    }

    pub(super) fn workload(&self, pod: &Value, namespace: &str) -> Workload {
        let of = |kind: &str, name: &str| Workload {
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        };
        match self.kind {
            "" => match text(pod, "/metadata/generateName") {
                "" => of("Pod", text(pod, "/metadata/name")),
                prefix => of("Pod", &format!("{prefix}*")),
            },
            "Node" => {
                let name = text(pod, "/metadata/name");
                of("Node", name.strip_suffix(self.name).and_then(|n| n.strip_suffix('-')).unwrap_or(name))
            }
            _ => match (self.deployment(pod), self.cron_job()) {
                (Some(deployment), _) => of("Deployment", deployment),
                (_, Some(cron_job)) => of("CronJob", cron_job),
                _ => of(self.kind, self.name),
            },
        }
    }

    /// The Deployment that a ReplicaSet belongs to, by the hash of its template.
    fn deployment(&self, pod: &Value) -> Option<&'a str> {
        let hash = pod.pointer("/metadata/labels/pod-template-hash").and_then(Value::as_str)?;
        let of = self.name.strip_suffix(hash)?.strip_suffix('-')?;
        (self.kind == "ReplicaSet" && !hash.is_empty()).then_some(of)
    }

    /// The CronJob that a Job belongs to, by the time in its name (minutes, in old releases seconds).
    fn cron_job(&self) -> Option<&'a str> {
        let (of, time) = self.name.rsplit_once('-')?;
        let is_time = (8..=10).contains(&time.len()) && time.bytes().all(|b| b.is_ascii_digit());
        (self.kind == "Job" && is_time).then_some(of)
    }

    /// The service account of the controller that makes such pods, in kube-system; empty where it is not known.
    pub(super) fn controller(&self) -> &'static str {
        match self.kind {
            "ReplicaSet" => "replicaset-controller",
            "ReplicationController" => "replication-controller",
            "DaemonSet" => "daemon-set-controller",
            "StatefulSet" => "statefulset-controller",
            "Job" => "job-controller",
            _ => "",
        }
    }

    /// Who asks for such a pod: its controller, the node for static pods; somebody without rights where not known.
    pub(super) fn requester(&self) -> (String, Vec<String>) {
        match (self.kind, self.controller()) {
            ("Node", _) => {
                let groups = ["system:nodes", access::AUTHENTICATED].map(str::to_owned);
                (format!("system:node:{}", self.name), groups.to_vec())
            }
            (_, "") => (String::new(), Vec::new()),
            (_, controller) => (
                access::account_user("kube-system", controller),
                access::account_groups("kube-system").to_vec(),
            ),
        }
    }

    /// The name by which an event tells a pod of this owner: of the owner that controllers write, else its own.
    pub(super) fn known_name(&self, pod: &Value) -> KnownName {
        match (self.kind, self.deployment(pod), self.cron_job()) {
            ("", ..) => match text(pod, "/metadata/generateName") {
                "" => KnownName::Pod(text(pod, "/metadata/name").to_owned()),
                prefix => KnownName::PodPrefix(prefix.to_owned()),
            },
            ("Node", ..) => KnownName::Pod(text(pod, "/metadata/name").to_owned()),
            (_, Some(deployment), _) => KnownName::ReplicaSetOf(deployment.to_owned()),
            (_, _, Some(cron_job)) => KnownName::JobOf(cron_job.to_owned()),
            _ => KnownName::Owner(self.name.to_owned()),
        }
    }

    /// How an event tells the pods of this owner that are known by a name.
    pub(super) fn known_by(&self, namespace: &str, name: KnownName) -> KnownBy {
        let owner = (!self.kind.is_empty()).then(|| (self.index, self.kind.to_owned()));
        KnownBy { namespace: namespace.to_owned(), owner, name }
    }
}

/// The namespace of an object: `default` where its manifest names none, or has something in its place that a template
/// engine is yet to fill in. Empty: not known.
pub(super) fn namespace<'a>(object: &'a Value, default: &'a str) -> &'a str {
    let name = text(object, "/metadata/namespace");
    if names::namespace(name).is_none() { name } else { default }
}

/// The text at a place of an object; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
