//! The report as data: what every format shows, and what `--report json` prints.
//!
//! It holds no time, host or path but those that the user typed, so the same input gives the same bytes. Its schema is
//! `schemas/report.schema.json`; [`VERSION`] changes when a reader of the old schema could not read the new one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};
use psp_admission::{Field, Policy};
use serde::{Deserialize, Serialize};

use super::diff::Diff;
use super::fidelity::{Detection, Fidelity, Tally, audit_detection, runtime_detection};
use super::passed_over::passed_over;
use super::pss::{self, Standing};
use super::rbac::Rbac;
use crate::count::counted;
use crate::predict::{self, Alert, Prediction, Workload};
use crate::problem::{Place, Problem};
use crate::psp::validity::unusable;
use crate::read::{Inventory, Located};
use crate::render::{self, AuditObject, Options, Rendered};
use crate::restrictions::Mapped;
use crate::write::MARK;
use psp_admission::access::{Grants, Subjects, account};

/// The version of the schema. 2: totals by layer; `layers` holds only those that were made.
pub const VERSION: u32 = 2;

/// A conversion: what became of each field of each policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The program and its version, in the words by which its files are known.
    pub generator: String,
    /// How the rules were made.
    pub options: Settings,
    /// Sums over all policies.
    pub totals: Totals,
    /// The files that hold the rules, in the order in which Falco loads them.
    pub files: Vec<RulesFile>,
    /// What would alert of the pods in the input; absent where there are none, or no rules for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_alert: Option<WouldAlert>,
    /// Who may use every policy; absent where RBAC is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_use_every_policy: Option<MayUse>,
    /// The policies, by name.
    pub policies: Vec<PolicyReport>,
    /// Who may use which policy, as far as the input says.
    #[serde(default)]
    pub rbac: Rbac,
    /// The conditions of the rules, by their names.
    pub conditions: BTreeMap<String, String>,
    /// How many objects of other kinds the input held, by kind.
    pub passed_over: BTreeMap<String, usize>,
    /// What the user should know of the input.
    pub warnings: Vec<Problem>,
    /// What changes against the file already there, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Diff>,
}

/// How the rules were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `response` or `request`.
    pub audit_object: String,
    /// The only namespaces that the rules look at; empty: all.
    pub namespaces: Vec<String>,
    /// Namespaces that the rules never look at.
    pub exclude_namespaces: Vec<String>,
    /// How many containers are counted.
    pub max_containers: usize,
    /// How many volumes are numbered.
    pub max_volumes: usize,
    /// Were built-in templates replaced?
    pub own_templates: bool,
}

/// Sums over all policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Policies.
    pub policies: usize,
    /// Policies that admission skipped, and that have no rules.
    pub unusable: usize,
    /// Of the rules for the Kubernetes audit log; absent where none were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<LayerTotals>,
    /// Of the rules for running containers; absent where none were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<LayerTotals>,
}

impl Totals {
    /// The layers that have rules.
    pub fn layers(&self) -> impl Iterator<Item = (render::Layer, &LayerTotals)> {
        let audit = self.audit.as_ref().map(|totals| (render::Layer::Audit, totals));
        audit.into_iter().chain(self.runtime.as_ref().map(|totals| (render::Layer::Runtime, totals)))
    }
}

/// Sums over the rules of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerTotals {
    /// Rules, those that belong to no policy included.
    pub rules: usize,
    /// The fields of all policies.
    #[serde(flatten)]
    pub fields: Tally,
}

/// A file of rules, and what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesFile {
    /// Its name.
    pub name: String,
    /// What its rules look at.
    pub layer: render::Layer,
    /// How many rules it holds.
    pub rules: usize,
    /// The version of Falco's engine that it needs at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The plugins that it needs, each in a version at least; one of several that stand for each other.
    pub plugins: Vec<Vec<Plugin>>,
}

/// A plugin of Falco, in a version at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl From<&render::Plugin> for Plugin {
    fn from(plugin: &render::Plugin) -> Self {
        Self { name: plugin.name.to_owned(), version: plugin.version.to_owned() }
    }
}

/// What would alert of the pods in the input, if they were made again, and of those that workloads are to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldAlert {
    /// How many workloads there are: those that the pods belong to, and those judged by their templates.
    pub workloads: usize,
    /// How many workloads are judged by their templates, since the input has no pods of theirs.
    pub templates: usize,
    /// How many pods there are.
    pub pods: usize,
    /// How many pods would alert.
    pub alerting_pods: usize,
    /// How many of the pods PodSecurityPolicy admission let pass, and filled in what they left unset.
    pub admitted_pods: usize,
    /// The workloads that would alert, those with the most pods first.
    pub alerting: Vec<AlertingWorkload>,
}

impl WouldAlert {
    /// `5 of 7 workloads would alert`.
    pub fn headline(&self) -> String {
        match self.alerting.len() {
            0 => format!("None of {} would alert", counted(self.workloads, "workload")),
            n if n == self.workloads && n > 1 => format!("All {n} workloads would alert"),
            n => format!("{n} of {} would alert", counted(self.workloads, "workload")),
        }
    }

    /// What is counted, in a sentence without its full stop.
    pub fn detail(&self) -> String {
        if self.pods == 0 {
            return "judged by their templates, since no pods are in the input".to_owned();
        }
        let mut detail =
            format!("{} of {}, if they were made again", self.alerting_pods, counted(self.pods, "pod"));
        if self.templates > 0 {
            let workloads = counted(self.templates, "workload");
            let _ = write!(detail, "; {workloads} judged by template alone");
        }
        if self.admitted_pods > 0 {
            detail.push_str("; ");
            detail.push_str(&counted(self.admitted_pods, "pod"));
            detail.push_str(
                " passed PodSecurityPolicy admission, which has filled in already what Lost Default would tell of",
            );
        }
        detail
    }

    fn new(prediction: &Prediction<'_>, policies: &[PolicyReport], options: &Options) -> Self {
        let by_name: HashMap<&str, &PolicyReport> = policies.iter().map(|p| (p.name.as_str(), p)).collect();
        let allowed = |policy: &str, field: Field| {
            let fields = by_name.get(policy).into_iter().flat_map(|policy| &policy.fields);
            fields.into_iter().find(|f| f.field == field.name()).map(|f| f.value.clone())
        };
        let alert = |alert: &Alert<'_>| {
            let (kind, policy, field) = match *alert {
                Alert::Violation(policy, field) => (AlertKind::Violation, Some(policy), Some(field)),
                Alert::LostDefault(policy, field) => (AlertKind::LostDefault, Some(policy), Some(field)),
                Alert::NoUsablePolicy => (AlertKind::NoUsablePolicy, None, None),
            };
            PredictedAlert {
                rule: alert.rule(),
                kind,
                policy: policy.map(str::to_owned),
                field: field.map(|field| field.name().to_owned()),
                allowed: policy.zip(field).and_then(|(policy, field)| allowed(policy, field)),
            }
        };
        let exceptions = predict::exceptions_by_workload(prediction, options.object);
        let alerting = exceptions.map(|(workload, finding, exception)| AlertingWorkload {
            kind: workload.kind.clone(),
            namespace: workload.namespace.clone(),
            name: workload.name.clone(),
            pods: finding.pods,
            alerts: finding.alerts.iter().map(alert).collect(),
            exception,
        });
        Self {
            workloads: prediction.workloads,
            templates: prediction.templates,
            pods: prediction.pods,
            alerting_pods: prediction.findings.values().map(|finding| finding.pods).sum(),
            admitted_pods: prediction.admitted,
            alerting: alerting.collect(),
        }
    }
}

/// A workload that would alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertingWorkload {
    /// `Deployment`, `CronJob`, …; `Node` for static pods; `Pod` for pods that nothing owns.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many of its pods would alert; 0: it is judged by its template.
    pub pods: usize,
    /// The alerts, each once.
    pub alerts: Vec<PredictedAlert>,
    /// The items of a rules file that silence these alerts of this workload.
    pub exception: String,
}

impl AlertingWorkload {
    /// `Deployment shop/cart`.
    pub fn title(&self) -> String {
        let Self { kind, namespace, name, .. } = self;
        Workload { namespace: namespace.clone(), kind: kind.clone(), name: name.clone() }.to_string()
    }
}

/// An alert that a workload would bring about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedAlert {
    /// The name of the rule.
    pub rule: String,
    /// What it tells.
    pub kind: AlertKind,
    /// The policy; absent where none may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The field of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the policy allows there, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// What an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The policy refuses the pod.
    Violation,
    /// The policy would have filled in what the pod leaves unset.
    LostDefault,
    /// No policy may be used for the pod.
    NoUsablePolicy,
}

impl AlertKind {
    /// The words in the rules' names.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Violation => "Violation",
            AlertKind::LostDefault => "Lost Default",
            AlertKind::NoUsablePolicy => "No Usable Policy",
        }
    }
}

impl PolicyReport {
    /// The closest level, or `unusable`.
    pub fn level_name(&self) -> &'static str {
        self.pod_security.as_ref().map_or("unusable", |standing| standing.level.name())
    }

    /// The fields by how faithfully each layer's rules detect them.
    pub fn tallies(&self) -> impl Iterator<Item = (render::Layer, Tally)> {
        let tally = |layer: fn(&Layers) -> Option<&Layer>| -> Option<Tally> {
            let mut layers = self.fields.iter().filter_map(|field| layer(&field.layers)).peekable();
            layers.peek()?;
            Some(layers.map(|layer| layer.fidelity).collect())
        };
        let audit = tally(|layers| layers.audit.as_ref()).map(|tally| (render::Layer::Audit, tally));
        let runtime = tally(|layers| layers.runtime.as_ref()).map(|tally| (render::Layer::Runtime, tally));
        audit.into_iter().chain(runtime)
    }
}

/// Who may use a policy: `group …`, `user …`, `service account NAMESPACE/NAME`, or `service account NAME of the pod's own
/// namespace`, where a manifest leaves the namespace open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MayUse {
    /// In every namespace.
    pub everywhere: Vec<String>,
    /// By namespace: who may use it there and not everywhere.
    pub namespaces: BTreeMap<String, Vec<String>>,
}

impl From<&Grants> for MayUse {
    fn from(grants: &Grants) -> Self {
        let named = |subjects: &Subjects| -> Vec<String> {
            let user = |user: &str| match account(user) {
                Some((namespace, name)) => format!("service account {namespace}/{name}"),
                None => format!("user {user}"),
            };
            let groups = subjects.groups.iter().map(|group| format!("group {group}"));
            groups.chain(subjects.users.iter().map(|name| user(name))).collect()
        };
        let at_home = grants.at_home.iter();
        let at_home = at_home.map(|name| format!("service account {name} of the pod's own namespace"));
        Self {
            everywhere: named(&grants.everywhere).into_iter().chain(at_home).collect(),
            namespaces: grants.within.iter().map(|(name, of)| (name.to_string(), named(of))).collect(),
        }
    }
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// `sha256:` and 12 digits that change only with what the policy means.
    pub digest: String,
    /// Why admission skipped it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// Which pods its rules look at.
    pub scope: Scope,
    /// Who may use it, besides those who may use every policy; absent where RBAC is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_use: Option<MayUse>,
    /// The closest Pod Security Standard; absent for an unusable policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<Standing>,
    /// Every field of the API, in its order.
    pub fields: Vec<FieldReport>,
}

/// Which pods a policy's rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Only those of these namespaces; empty: of all.
    pub namespaces: Vec<String>,
    /// None of these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// Only those with one of these images; empty: with any.
    pub images: Vec<String>,
    /// Is it a guess, since RBAC is not known?
    pub guess: bool,
}

impl Scope {
    /// The scope in words.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        for (what, names) in [
            ("namespaces", &self.namespaces),
            ("not namespaces", &self.exclude_namespaces),
            ("images", &self.images),
        ] {
            if !names.is_empty() {
                words.push(format!("{what} {}", names.join(", ")));
            }
        }
        if !self.guess {
            words.insert(0, "those whom RBAC lets use the policy".to_owned());
        }
        if words.is_empty() { "every pod".to_owned() } else { words.join("; ") }
    }
}

/// What became of one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldReport {
    /// The API's spelling.
    pub field: String,
    /// Where the manifest says it; the policy's place where it is left out.
    pub place: Place,
    /// The policy's value, in words.
    pub value: String,
    /// What the policy refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What the policy filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<String>,
    /// What the field leaves to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What detects it.
    pub layers: Layers,
    /// What admission did and no detection can.
    pub lost: Vec<Lost>,
}

/// The two sources of events; each is absent where no such rules were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The Kubernetes audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Layer>,
    /// System calls of running containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Layer>,
}

/// What one layer detects of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The rules, by name.
    pub rules: Vec<String>,
    /// How faithfully.
    pub fidelity: Fidelity,
    /// Why it is not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Layers {
    /// Those that were made.
    pub fn made(&self) -> impl Iterator<Item = (render::Layer, &Layer)> {
        let audit = self.audit.as_ref().map(|layer| (render::Layer::Audit, layer));
        audit.into_iter().chain(self.runtime.as_ref().map(|layer| (render::Layer::Runtime, layer)))
    }

    /// The layer that detects the field more faithfully; of two alike, audit.
    pub fn best(&self) -> Option<&Layer> {
        self.made().map(|(_, layer)| layer).min_by_key(|layer| layer.fidelity)
    }

    /// How faithfully the better layer detects the field.
    pub fn fidelity(&self) -> Fidelity {
        self.best().map_or(Fidelity::Unrestricted, |layer| layer.fidelity)
    }

    /// Does the policy restrict anything here, as far as a layer's rules go?
    pub fn restricts(&self) -> bool {
        self.fidelity() != Fidelity::Unrestricted
    }
}

impl Layer {
    fn new(rules: Vec<String>, detection: Detection) -> Self {
        Self { rules, fidelity: detection.fidelity, reason: detection.reason }
    }
}

/// The names of the rules that were made.
struct RuleNames {
    /// Those for the audit log; none: no such file.
    audit: Option<HashSet<String>>,
    /// Those for running containers, by policy and field; a rule may stand for several policies together.
    runtime: Option<HashMap<(String, Field), Vec<String>>>,
}

impl RuleNames {
    fn new(files: &[Rendered]) -> Self {
        let of = |layer: render::Layer| files.iter().find(|file| file.layer == layer);
        let runtime = of(render::Layer::Runtime).map(|file| {
            let mut by_field: HashMap<_, Vec<String>> = HashMap::new();
            for rule in file.rules() {
                for (policy, field) in rule.policies().iter().zip(rule.field().into_iter().cycle()) {
                    by_field.entry((policy.clone(), field)).or_default().push(rule.name());
                }
            }
            by_field
        });
        let audit = of(render::Layer::Audit).map(|file| file.rules().map(render::Item::name).collect());
        Self { audit, runtime }
    }
}

/// What admission did and no detection can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lost {
    /// The pod was refused before it ran.
    Prevented,
    /// The pod was changed before it was stored.
    Corrected,
}

impl Lost {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Lost::Prevented => "prevented",
            Lost::Corrected => "corrected",
        }
    }
}

/// What admission did in a field, beside judging: see [`Lost`].
pub fn lost(mapped: &Mapped) -> Vec<Lost> {
    let prevented = mapped.refuses.is_some().then_some(Lost::Prevented);
    let corrected = (mapped.corrects.is_some() || mapped.alerts_as.is_some()).then_some(Lost::Corrected);
    prevented.into_iter().chain(corrected).collect()
}

impl Report {
    /// The report of a conversion; `prediction` is for the rules for the audit log.
    pub fn new(
        inventory: &Inventory,
        files: &[Rendered],
        options: &Options,
        prediction: Option<&Prediction<'_>>,
        changes: Option<Diff>,
    ) -> Self {
        let names = RuleNames::new(files);
        let mapped = files.first().map(|file| file.policies.as_slice()).unwrap_or_default();
        let located = inventory.policies.iter().zip(mapped);
        let policies: Vec<PolicyReport> =
            located.map(|(located, (_, mapped))| policy(located, mapped, &names, options)).collect();
        let conditions = files.iter().flat_map(Rendered::rules);
        let conditions = conditions.filter_map(|rule| Some((rule.name(), rule.condition()?)));
        let rules = |file: &Rendered| RulesFile {
            name: file.layer.file_name().to_owned(),
            layer: file.layer,
            rules: file.rules().count(),
            engine: Some(file.requirements.engine.to_owned()),
            plugins: file
                .requirements
                .plugins
                .iter()
                .map(|with| with.iter().map(Plugin::from).collect())
                .collect(),
        };
        let predicted = prediction.filter(|prediction| prediction.workloads > 0);
        Self {
            version: VERSION,
            generator: format!("{MARK} {}", env!("CARGO_PKG_VERSION")),
            options: settings(options),
            totals: totals(files, &policies),
            files: files.iter().map(rules).collect(),
            would_alert: predicted.map(|prediction| WouldAlert::new(prediction, &policies, options)),
            may_use_every_policy: options.access.as_ref().map(|access| access.every().into()),
            policies,
            rbac: Rbac::new(inventory, options.access.as_ref()),
            conditions: conditions.collect(),
            passed_over: passed_over(inventory, options),
            warnings: inventory.warnings.iter().cloned().map(Problem::without_source).collect(),
            changes,
        }
    }

    /// Names the files of rules as they are written, each at its path, if it has one.
    pub fn name_files<'p>(&mut self, paths: impl IntoIterator<Item = Option<&'p Path>>) {
        for (file, path) in self.files.iter_mut().zip(paths) {
            if let Some(name) = path.and_then(Path::file_name) {
                file.name = name.to_string_lossy().into_owned();
            }
        }
    }

    /// The report as JSON, with an end of line.
    ///
    /// # Errors
    /// None that is known: the model holds text and numbers only.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

fn totals(files: &[Rendered], policies: &[PolicyReport]) -> Totals {
    let of = |wanted: render::Layer, layer: fn(&Layers) -> Option<&Layer>| {
        let file = files.iter().find(|file| file.layer == wanted)?;
        let fields = policies.iter().flat_map(|policy| &policy.fields);
        let fields = fields.filter_map(|field| layer(&field.layers)).map(|layer| layer.fidelity).collect();
        Some(LayerTotals { rules: file.rules().count(), fields })
    };
    Totals {
        policies: policies.len(),
        unusable: policies.iter().filter(|policy| policy.unusable.is_some()).count(),
        audit: of(render::Layer::Audit, |layers| layers.audit.as_ref()),
        runtime: of(render::Layer::Runtime, |layers| layers.runtime.as_ref()),
    }
}

fn settings(options: &Options) -> Settings {
    Settings {
        audit_object: match options.object {
            AuditObject::Response => "response",
            AuditObject::Request => "request",
        }
        .to_owned(),
        namespaces: options.namespaces.clone(),
        exclude_namespaces: options.exclude_namespaces.clone(),
        max_containers: options.max_containers,
        max_volumes: options.max_volumes,
        own_templates: options.templates.is_some(),
    }
}

fn policy(
    located: &Located,
    mapped: &[(Field, Arc<Mapped>)],
    rules: &RuleNames,
    options: &Options,
) -> PolicyReport {
    let policy = &located.policy;
    let one = |(field, mapped): &(Field, Arc<Mapped>)| self::field(located, *field, mapped, rules, options);
    PolicyReport {
        name: policy.name.clone(),
        place: located.place.clone(),
        digest: located.digest.clone(),
        unusable: unusable(policy),
        scope: scope(policy, options),
        may_use: options.access.as_ref().and_then(|access| access.of(&policy.name)).map(MayUse::from),
        pod_security: pss::standing(policy),
        fields: mapped.iter().map(one).collect(),
    }
}

fn scope(policy: &Policy, options: &Options) -> Scope {
    let annotated = listed_in(policy, NAMESPACES);
    Scope {
        // a pod must be of both, where both narrow
        namespaces: match (options.namespaces.is_empty(), annotated.is_empty()) {
            (false, false) => annotated.into_iter().filter(|n| options.namespaces.contains(n)).collect(),
            (false, true) => options.namespaces.clone(),
            (true, _) => annotated,
        },
        exclude_namespaces: options.exclude_namespaces.clone(),
        images: listed_in(policy, IMAGES),
        guess: options.access.as_ref().is_none_or(|access| access.stands_alone(&policy.name)),
    }
}

fn field(
    located: &Located,
    field: Field,
    mapped: &Mapped,
    rules: &RuleNames,
    options: &Options,
) -> FieldReport {
    let policy = &located.policy;
    let alerting = mapped.alerts_as.unwrap_or(field);
    let violation = mapped.refuses.as_ref().map(|_| format!("PSP {} Violation ({alerting})", policy.name));
    let lost_default = (mapped.corrects.is_some() || mapped.alerts_as.is_some())
        .then(|| format!("PSP {} Lost Default ({alerting})", policy.name));
    let place = located.fields.iter().find(|(known, ..)| *known == field);
    FieldReport {
        field: field.name().to_owned(),
        place: place.map_or_else(
            || located.place.clone(),
            |(_, line, column)| Place { file: located.place.file.clone(), line: *line, column: *column },
        ),
        value: mapped.value.clone(),
        refused: mapped.refuses.clone(),
        corrected: mapped.corrects.clone(),
        note: mapped.note.clone(),
        layers: Layers {
            audit: rules.audit.as_ref().map(|names| {
                let named = violation.into_iter().chain(lost_default);
                let made = named.filter(|name| names.contains(name.as_str())).collect();
                Layer::new(made, audit_detection(policy, field, mapped, options))
            }),
            runtime: rules.runtime.as_ref().map(|names| {
                let named = names.get(&(policy.name.clone(), field)).cloned().unwrap_or_default();
                Layer::new(named, runtime_detection(policy, field, mapped, options))
            }),
        },
        lost: lost(mapped),
    }
}
