//! What a prediction finds: workloads, the alerts on their pods, and how an event tells these pods.

use std::collections::{BTreeMap, BTreeSet};

use psp_admission::Field;

/// What owns pods: the object that a person would change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Workload {
    /// The namespace; empty where a manifest names none.
    pub namespace: String,
    /// The kind: `Deployment`, `CronJob`, …; `Node` for static pods; `Pod` for pods that nothing owns.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.kind == "Node" { "static pod" } else { &self.kind };
        match self.namespace.as_str() {
            "" => write!(f, "{kind} {}", self.name),
            namespace => write!(f, "{kind} {namespace}/{}", self.name),
        }
    }
}

/// An alert on a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert<'p> {
    /// A policy refuses a field.
    Violation(&'p str, Field),
    /// A policy filled in a field.
    LostDefault(&'p str, Field),
    /// No policy could be used.
    NoUsablePolicy,
}

impl Alert<'_> {
    /// The name of the rule that alerts.
    pub fn rule(&self) -> String {
        match self {
            Alert::Violation(policy, field) => format!("PSP {policy} Violation ({field})"),
            Alert::LostDefault(policy, field) => format!("PSP {policy} Lost Default ({field})"),
            Alert::NoUsablePolicy => "PSP No Usable Policy".to_owned(),
        }
    }
}

/// What would alert of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding<'p> {
    /// How many of its pods would alert; 0: it is known by its template alone.
    pub pods: usize,
    /// The alerts on any of them.
    pub alerts: BTreeSet<Alert<'p>>,
    /// How events tell its pods.
    pub known_by: BTreeSet<KnownBy>,
}

/// How an event tells the pods of a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownBy {
    /// Their namespace; empty: any, since their manifest names none.
    pub namespace: String,
    /// Where the owner stands among a pod's references, and its kind; none: nothing owns them.
    pub owner: Option<(usize, String)>,
    /// Their name, or their owner's.
    pub name: KnownName,
}

/// The name by which pods are known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KnownName {
    /// The pod's own.
    Pod(String),
    /// What the pod's generated name begins with.
    PodPrefix(String),
    /// The owner's.
    Owner(String),
    /// What the owner's generated name begins with.
    OwnerPrefix(String),
    /// The owner is a ReplicaSet of this Deployment.
    ReplicaSetOf(String),
    /// The owner is a Job of this CronJob.
    JobOf(String),
}

/// What would alert.
#[derive(Debug, Clone, Default)]
pub struct Prediction<'p> {
    /// How many pods there were that had not ended.
    pub pods: usize,
    /// How many workloads there were: those that the pods belong to, and those known by their templates alone.
    pub workloads: usize,
    /// How many workloads are known by their templates alone.
    pub templates: usize,
    /// How many of the pods PodSecurityPolicy admission has let pass, and filled in what they left unset.
    pub admitted: usize,
    /// The workloads that would alert.
    pub findings: BTreeMap<Workload, Finding<'p>>,
}

impl<'p> Prediction<'p> {
    /// The workloads that would alert, those with the most pods first.
    pub fn by_pods(&self) -> Vec<(&Workload, &Finding<'p>)> {
        let mut findings: Vec<_> = self.findings.iter().collect();
        findings.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.pods));
        findings
    }
}
