//! What the rules would say if the pods that run today were created again, and if the templates in the input became pods:
//! which workloads would alert, and under which rules.

mod exceptions;
mod finding;
mod owner;
mod template;

use std::collections::{BTreeSet, HashMap};
use std::hash::{Hash as _, Hasher};
use std::rc::Rc;

use psp_admission::access::{self, Access, Request};
use psp_admission::pod::{List, Pod};
use psp_admission::scope::{IMAGES, NAMESPACES, PolicyScope, Scope};
use psp_admission::{Judgement, May, Policy, changes_under_all, choose, judge};
use serde_json::Value;

use crate::psp::validity::unusable;
use crate::read::Inventory;
use crate::render::Options;
pub use exceptions::{exceptions, exceptions_by_workload};
pub use finding::{Alert, Finding, KnownBy, KnownName, Prediction, Workload};
use owner::{Owner, namespace, text};
use template::{Accounts, Made};

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
    /// What the user narrowed all rules to.
    scope: Scope,
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
        let scope = Scope {
            namespaces: options.namespaces.clone(),
            exclude_namespaces: options.exclude_namespaces.clone(),
        };
        Self {
            policies,
            options,
            scope,
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
        let seen = self.narrowed.then(|| recreated(pod));
        let within = |policy: &Policy| {
            seen.as_ref().is_none_or(|pod| {
                self.scope.contains(namespace) && PolicyScope::new(policy).contains(pod, namespace)
            })
        };
        let judged =
            self.policies.iter().zip(judgements).enumerate().filter_map(|(n, (policy, judgement))| {
                // without RBAC, each policy stands alone
                let may = usable.map_or(Some(May::Perhaps), |usable| usable.get(n).copied().flatten())?;
                Some((*policy, may, *judgement))
            });
        let decision = choose(judged, changed);
        let whole = self.options.access.as_ref().is_some_and(|access| access.whole);
        let mut alerts = Vec::new();
        if decision.none_usable && whole && self.scope.contains(namespace) {
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

    /// What each policy makes of the pod that a controller would create in place of this one.
    fn judgements(&mut self, pod: &Value) -> Rc<Vec<Judgement>> {
        let recreated = recreated(pod).without_names();
        let key = Seen::of(&recreated);
        if let Some(judgements) = self.judged.get(&key) {
            return Rc::clone(judgements);
        }
        let judgements =
            Rc::new(self.policies.iter().map(|p| judge(&p.without_unusable(), &recreated)).collect());
        self.judged.insert(key, Rc::clone(&judgements));
        judgements
    }
}

/// The pod that a controller would create in place of this one: it has no ephemeral containers.
fn recreated(pod: &Value) -> Pod<'_> {
    let mut pod = Pod::new(pod);
    pod.containers.retain(|container| container.list != List::Ephemeral);
    pod
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
