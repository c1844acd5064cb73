//! What the rules would say of pods that run today, were they made anew, and of those that templates are to become:
//! which workloads would alert, and under which rules.

mod template;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher};
use std::rc::Rc;

use psp_admission::access::{self, Access, Request};
use psp_admission::pod::{List, Pod};
use psp_admission::scope::{IMAGES, NAMESPACES};
use psp_admission::{Field, Judgement, May, Policy, changes_under_all, choose, judge};
use serde_json::Value;

use crate::psp::validity::{self, unusable};
use crate::read::Inventory;
use crate::render::{Options, in_scope, in_scope_of_all};
use template::{Accounts, Made};

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

/// Predicts the alerts on all pods of an inventory, and on those that its workloads are to make.
pub fn predict<'p>(inventory: &'p Inventory, options: &'p Options) -> Prediction<'p> {
    let mut predictor = Predictor::new(inventory.policies.iter().map(|p| &p.policy), options);
    let accounts = Accounts::new(&inventory.objects, options.default_namespace.as_deref());
    inventory.pods.iter().for_each(|pod| predictor.add(&template::stored(pod.value(), &accounts)));
    // what a Deployment or CronJob has made comes after it, which says what it will make next
    for owned in [false, true] {
        for workload in &inventory.workloads {
            let workload = workload.value();
            if let Some(made) = template::made(&workload, &accounts).filter(|made| made.owned == owned) {
                predictor.add_made(made);
            }
        }
        predictor.declared = predictor.templates.clone();
    }
    predictor.finish()
}

/// The annotation in which admission noted the policy that it took.
const ADMITTED: &str = "/metadata/annotations/kubernetes.io~1psp";

/// What tells whether two pods get the same alerts: the places of what is known of them, and whether every policy
/// changes them.
type Alike = (*const Vec<Judgement>, *const Vec<Option<May>>, bool);

/// How each policy takes part in the decision over a pod, if it does.
type Usable = Rc<Vec<Option<May>>>;

/// Predicts pod by pod; keeps no pod.
pub struct Predictor<'p> {
    policies: Vec<&'p Policy>,
    options: &'p Options,
    /// Whether a policy's rules are narrowed, so that each pod is asked.
    narrowed: bool,
    /// Judgements by what admission saw of a pod.
    judged: HashMap<Seen, Rc<Vec<Judgement>>>,
    /// The alerts on pods alike in both, and in whether every policy changes them; where no policy is narrowed.
    known: HashMap<Alike, Rc<Vec<Alert<'p>>>>,
    /// Which policies may be used, by requester, namespace and service account.
    usable: HashMap<(&'static str, String, String), Usable>,
    /// The workloads with pods.
    running: BTreeSet<Workload>,
    /// The workloads known by their templates alone, and those of them that stand in the input themselves.
    templates: BTreeSet<Workload>,
    declared: BTreeSet<Workload>,
    prediction: Prediction<'p>,
}

impl<'p> Predictor<'p> {
    /// A prediction for these policies, in the order of their names, with the rules that `options` make.
    pub fn new(policies: impl IntoIterator<Item = &'p Policy>, options: &'p Options) -> Self {
        // with RBAC the rules decide as admission did, which skipped these
        let skipped = |p: &&Policy| options.access.is_some() && unusable(p).is_some();
        let policies: Vec<&Policy> = policies.into_iter().filter(|p| !skipped(p)).collect();
        let annotated = |p: &&Policy| [IMAGES, NAMESPACES].iter().any(|a| p.annotations.contains_key(*a));
        let narrowed = policies.iter().any(annotated)
            || !options.namespaces.is_empty()
            || !options.exclude_namespaces.is_empty();
        Self {
            policies,
            options,
            narrowed,
            judged: HashMap::new(),
            known: HashMap::new(),
            usable: HashMap::new(),
            running: BTreeSet::new(),
            templates: BTreeSet::new(),
            declared: BTreeSet::new(),
            prediction: Prediction::default(),
        }
    }

    /// Takes in a pod (`v1.Pod`); one that has ended does not count.
    pub fn add(&mut self, pod: &Value) {
        if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            return;
        }
        let namespace = namespace(pod, self.options.default_namespace.as_deref().unwrap_or_default());
        let owner = Owner::of(pod);
        let workload = owner.workload(pod, namespace);
        self.prediction.pods += 1;
        self.prediction.admitted += usize::from(pod.pointer(ADMITTED).is_some());
        let alerts = self.alerts(pod, namespace, &owner);
        if !alerts.is_empty() {
            let finding = self.finding(&workload, &alerts);
            finding.pods += 1;
            // what controllers make is known by its owner, the same for all pods of a workload
            if finding.known_by.is_empty() || matches!(workload.kind.as_str(), "Pod" | "Node") {
                finding.known_by.insert(owner.known_by(namespace, owner.known_name(pod)));
            }
        }
        if !self.running.contains(&workload) {
            self.running.insert(workload);
        }
    }

    /// Takes in what a workload is to make, unless its pods or what makes it have been taken in.
    fn add_made(&mut self, made: Made<'_>) {
        let Made { workload, owned, owner, name, pod } = made;
        if self.running.contains(&workload) || owned && self.declared.contains(&workload) {
            return;
        }
        let alerts = self.alerts(&pod, &workload.namespace, &owner);
        if !alerts.is_empty() {
            let known_by = owner.known_by(&workload.namespace, name);
            self.finding(&workload, &alerts).known_by.insert(known_by);
        }
        self.templates.insert(workload);
    }

    /// What is known of a workload, with these alerts.
    fn finding(&mut self, workload: &Workload, alerts: &[Alert<'p>]) -> &mut Finding<'p> {
        let findings = &mut self.prediction.findings;
        let finding = findings.entry(workload.clone()).or_default();
        if !alerts.iter().all(|a| finding.alerts.contains(a)) {
            finding.alerts.extend(alerts.iter().copied());
        }
        finding
    }

    /// What was predicted.
    pub fn finish(mut self) -> Prediction<'p> {
        self.prediction.templates = self.templates.len();
        self.prediction.workloads = self.running.len() + self.templates.len();
        self.prediction
    }

    /// The alerts on a pod; in the namespace `default` where its manifest names none.
    fn alerts(&mut self, pod: &Value, namespace: &str, owner: &Owner<'_>) -> Rc<Vec<Alert<'p>>> {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        let judgements = self.judgements(pod);
        let usable = self.options.access.as_ref().map(|access| {
            let account = access::service_account(pod);
            usable(&mut self.usable, &self.policies, access, owner, namespace, account)
        });
        let changed = changes_under_all(pod);
        // both stay in this predictor for as long as it lives, except for what nodes ask for
        let key = (Rc::as_ptr(&judgements), usable.as_ref().map_or(std::ptr::null(), Rc::as_ptr), changed);
        let lasting = !self.narrowed && owner.kind != "Node";
        if let Some(alerts) = self.known.get(&key).filter(|_| lasting) {
            return Rc::clone(alerts);
        }
        let alerts = Rc::new(self.decided(pod, namespace, &judgements, usable.as_deref(), changed));
        if lasting {
            self.known.insert(key, Rc::clone(&alerts));
        }
        alerts
    }

    fn decided(
        &self,
        pod: &Value,
        namespace: &str,
        judgements: &[Judgement],
        usable: Option<&Vec<Option<May>>>,
        changed: bool,
    ) -> Vec<Alert<'p>> {
        let within = |policy: &Policy| !self.narrowed || in_scope(policy, self.options, pod, namespace);
        let judged =
            self.policies.iter().zip(judgements).enumerate().filter_map(|(n, (policy, judgement))| {
                // without RBAC, each policy stands alone
                let may = usable.map_or(Some(May::Perhaps), |usable| usable.get(n).copied().flatten())?;
                Some((*policy, may, *judgement))
            });
        let decision = choose(judged, changed);
        let whole = self.options.access.as_ref().is_some_and(|access| access.whole);
        let mut alerts = Vec::new();
        if decision.none_usable && whole && in_scope_of_all(self.options, namespace) {
            alerts.push(Alert::NoUsablePolicy);
        }
        for (policy, fields) in decision.refused.into_iter().filter(|(p, _)| within(p)) {
            alerts.extend(fields.into_iter().map(|f| Alert::Violation(&policy.name, f)));
        }
        for (policy, fields) in decision.corrected.into_iter().filter(|(p, _)| within(p)) {
            alerts.extend(fields.into_iter().map(|f| Alert::LostDefault(&policy.name, f)));
        }
        alerts
    }

    /// What each policy makes of a pod as its controller would make it anew: without ephemeral containers.
    fn judgements(&mut self, pod: &Value) -> Rc<Vec<Judgement>> {
        let mut anew = Pod::new(pod).without_names();
        anew.containers.retain(|container| container.list != List::Ephemeral);
        let key = Seen::of(&anew);
        if let Some(judgements) = self.judged.get(&key) {
            return Rc::clone(judgements);
        }
        let judgements = Rc::new(self.policies.iter().map(|p| judge(&p.without_unusable(), &anew)).collect());
        self.judged.insert(key, Rc::clone(&judgements));
        judgements
    }
}

/// All that admission sees of a pod: what its hash is made of, so that nothing of it can be forgotten.
#[derive(PartialEq, Eq, Hash, Default)]
struct Seen(Vec<u8>);

impl Seen {
    fn of(pod: &Pod<'_>) -> Self {
        let mut seen = Self::default();
        pod.hash(&mut seen);
        seen
    }
}

impl Hasher for Seen {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.len() as u64
    }
}

fn usable(
    known: &mut HashMap<(&'static str, String, String), Usable>,
    policies: &[&Policy],
    access: &Access,
    owner: &Owner<'_>,
    namespace: &str,
    service_account: &str,
) -> Usable {
    let controller = owner.controller();
    let key = (controller, namespace.to_owned(), service_account.to_owned());
    // each node asks for its own pods, under its own name
    if let Some(usable) = known.get(&key).filter(|_| owner.kind != "Node") {
        return Rc::clone(usable);
    }
    let (user, groups) = owner.requester();
    let request = Request { user: &user, groups: &groups, namespace, service_account };
    let usable: Usable = Rc::new(policies.iter().map(|p| access.may(&p.name, &request)).collect());
    if owner.kind != "Node" {
        known.insert(key, Rc::clone(&usable));
    }
    usable
}

/// What a pod's owner reference says.
struct Owner<'a> {
    kind: &'a str,
    name: &'a str,
    /// Where the reference stands among the pod's.
    index: usize,
}

impl<'a> Owner<'a> {
    fn of(pod: &'a Value) -> Self {
        let references = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let references = || references.into_iter().flatten().enumerate();
        let controls = |r: &Value| r.get("controller").and_then(Value::as_bool) == Some(true);
        let owner = references().find(|(_, r)| controls(r)).or_else(|| references().next());
        let text = |key: &str| owner.and_then(|(_, r)| r.get(key)?.as_str()).unwrap_or_default();
        Self { kind: text("kind"), name: text("name"), index: owner.map_or(0, |(i, _)| i) }
    }

    fn workload(&self, pod: &Value, namespace: &str) -> Workload {
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
    fn controller(&self) -> &'static str {
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
    fn requester(&self) -> (String, Vec<String>) {
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
    fn known_name(&self, pod: &Value) -> KnownName {
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
    fn known_by(&self, namespace: &str, name: KnownName) -> KnownBy {
        let owner = (!self.kind.is_empty()).then(|| (self.index, self.kind.to_owned()));
        KnownBy { namespace: namespace.to_owned(), owner, name }
    }
}

/// The namespace of an object: `default` where its manifest names none, or has something in its place that a template
/// engine is yet to fill in. Empty: not known.
fn namespace<'a>(object: &'a Value, default: &'a str) -> &'a str {
    let name = text(object, "/metadata/namespace");
    if validity::namespace(name).is_none() { name } else { default }
}

/// The text at a place of an object; empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
