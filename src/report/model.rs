//! The report as data: what every format shows, and what `--report json` prints.
//!
//! It holds no time, host or path but those that the user typed, so the same input gives the same bytes. Its schema is
//! `schemas/report.schema.json`; [`VERSION`] changes when a reader of the old schema could not read the new one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};
use psp_admission::{Field, Policy};
use serde::{Deserialize, Serialize};

use super::diff::Diff;
use super::pss::{self, Standing};
use super::rbac::Rbac;
use super::{Fidelity, fidelity, runtime_fidelity};
use crate::problem::{Place, Problem};
use crate::psp::validity::unusable;
use crate::read::{Inventory, Located};
use crate::render::{self, AuditObject, Options, Rendered};
use crate::restrictions::Mapped;
use crate::write::MARK;

/// The version of the schema.
pub const VERSION: u32 = 1;

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
    /// The policies, by name.
    pub policies: Vec<PolicyReport>,
    /// Who may use which policy, as far as the input says.
    #[serde(default)]
    pub rbac: Rbac,
    /// How many objects of other kinds the input held, by kind.
    pub passed_over: BTreeMap<String, usize>,
    /// What the user should know of the input.
    pub warnings: Vec<Remark>,
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
    /// Rules, the guard included.
    pub rules: usize,
    /// Fields by fidelity.
    pub exact: usize,
    /// Fields whose alerts may differ from what admission did.
    pub approximate: usize,
    /// Fields that restrict and have no alert.
    pub undetectable: usize,
    /// Fields that restrict nothing.
    pub unrestricted: usize,
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Spot,
    /// `sha256:` and 12 digits that change only with what the policy means.
    pub digest: String,
    /// Why admission skipped it, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// Which pods its rules look at.
    pub scope: Scope,
    /// The closest Pod Security Standard; absent for an unusable policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<Standing>,
    /// Every field of the API, in its order.
    pub fields: Vec<FieldReport>,
}

/// A place in the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spot {
    /// The file as the user named it.
    pub file: String,
    /// Counted from 1; 0: the whole file.
    pub line: usize,
    /// In characters, counted from 1; 0: the whole file.
    pub column: usize,
}

impl From<&Place> for Spot {
    fn from(place: &Place) -> Self {
        Self { file: place.file.clone(), line: place.line, column: place.column }
    }
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
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
    /// Is it a guess, for want of RBAC?
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
    pub place: Spot,
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

/// The two sources of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The Kubernetes audit log.
    pub audit: Layer,
    /// System calls of running containers; absent where no such rules were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Layer>,
}

/// What one layer detects of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The rules, by name.
    pub rules: Vec<String>,
    /// `exact`, `approximate`, `undetectable` or `unrestricted`.
    pub fidelity: String,
    /// Why it is not exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Layers {
    /// The layer that detects the field more faithfully; of two alike, audit.
    pub fn best(&self) -> &Layer {
        const ORDER: [&str; 3] = ["exact", "approximate", "undetectable"];
        let rank = |layer: &Layer| ORDER.iter().position(|word| *word == layer.fidelity).unwrap_or(3);
        self.runtime.as_ref().filter(|runtime| rank(runtime) < rank(&self.audit)).unwrap_or(&self.audit)
    }

    /// Both layers' names in words, with what they detect, where there is something to tell.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Layer)> {
        let audit = ("audit", &self.audit);
        std::iter::once(audit).chain(self.runtime.as_ref().map(|layer| ("runtime", layer)))
    }
}

impl Layer {
    fn new(rules: Vec<String>, fidelity: Fidelity) -> Self {
        let word = match &fidelity {
            Fidelity::Unrestricted => "unrestricted",
            other => other.name(),
        };
        Self {
            rules,
            fidelity: word.to_owned(),
            reason: match fidelity {
                Fidelity::Approximate(reason) => Some(reason.to_owned()),
                Fidelity::Undetectable(reason) => Some(reason),
                Fidelity::Exact | Fidelity::Unrestricted => None,
            },
        }
    }
}

/// Why a report of runtime rules alone shows none for the audit log.
const NOT_MADE: &str = "no rules for the audit log were made";

/// The names of the rules that were made.
struct RuleNames<'a> {
    /// Those for the audit log; none: no such file.
    audit: Option<HashSet<&'a str>>,
    /// Those for running containers, by policy and field; a rule may stand for several policies together.
    runtime: Option<HashMap<(&'a str, &'a str), Vec<&'a str>>>,
}

impl<'a> RuleNames<'a> {
    fn new(files: &'a [Rendered]) -> Self {
        let of = |layer: render::Layer| files.iter().find(|file| file.layer == layer);
        let names = |file: &'a Rendered| file.text.lines().filter_map(|line| line.strip_prefix("- rule: "));
        let runtime = of(render::Layer::Runtime).map(|file| {
            let mut by_field: HashMap<_, Vec<&str>> = HashMap::new();
            for name in names(file) {
                let parts = name
                    .strip_prefix("PSP ")
                    .and_then(|rest| rest.strip_suffix(") System Activity"))
                    .and_then(|rest| rest.split_once(" Violation ("));
                for policy in parts.iter().flat_map(|(policies, _)| policies.split('+')) {
                    by_field.entry((policy, parts.map_or("", |(_, field)| field))).or_default().push(name);
                }
            }
            by_field
        });
        Self { audit: of(render::Layer::Audit).map(|file| names(file).collect()), runtime }
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

/// A remark about the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// Where.
    pub place: Spot,
    /// The field; empty when none is meant.
    pub path: String,
    /// What.
    pub message: String,
}

impl From<&Problem> for Remark {
    fn from(problem: &Problem) -> Self {
        let Problem { place, path, message } = problem;
        Self { place: place.into(), path: path.clone(), message: message.clone() }
    }
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        write!(f, "{}: {path}{}", self.place, self.message)
    }
}

/// What admission did in a field, beside judging: see [`Lost`].
pub fn lost(mapped: &Mapped) -> Vec<Lost> {
    let prevented = mapped.refuses.is_some().then_some(Lost::Prevented);
    let corrected = (mapped.corrects.is_some() || mapped.alerts_as.is_some()).then_some(Lost::Corrected);
    prevented.into_iter().chain(corrected).collect()
}

impl Report {
    /// The report of a conversion.
    pub fn new(inventory: &Inventory, files: &[Rendered], options: &Options, changes: Option<Diff>) -> Self {
        let rules = RuleNames::new(files);
        let mut totals = Totals {
            policies: inventory.policies.len(),
            rules: files.iter().map(|file| file.rules).sum(),
            ..Totals::default()
        };
        let mut policies = Vec::with_capacity(inventory.policies.len());
        let mapped = files.first().map(|file| file.policies.as_slice()).unwrap_or_default();
        for (located, (_, mapped)) in inventory.policies.iter().zip(mapped) {
            let report = policy(located, mapped, &rules, options);
            totals.unusable += usize::from(report.unusable.is_some());
            for field in &report.fields {
                match field.layers.best().fidelity.as_str() {
                    "exact" => totals.exact += 1,
                    "approximate" => totals.approximate += 1,
                    "undetectable" => totals.undetectable += 1,
                    _ => totals.unrestricted += 1,
                }
            }
            policies.push(report);
        }
        Self {
            version: VERSION,
            generator: format!("{MARK} {}", env!("CARGO_PKG_VERSION")),
            options: settings(options),
            totals,
            policies,
            rbac: Rbac::new(inventory, options.access.as_ref()),
            passed_over: super::passed_over(inventory, options),
            warnings: inventory.warnings.iter().map(Remark::from).collect(),
            changes,
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
    rules: &RuleNames<'_>,
    options: &Options,
) -> PolicyReport {
    let policy = &located.policy;
    let one = |(field, mapped): &(Field, Arc<Mapped>)| self::field(located, *field, mapped, rules, options);
    PolicyReport {
        name: policy.name.clone(),
        place: (&located.place).into(),
        digest: located.digest.clone(),
        unusable: unusable(policy),
        scope: scope(policy, options),
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
    rules: &RuleNames<'_>,
    options: &Options,
) -> FieldReport {
    let policy = &located.policy;
    let fidelity = fidelity(policy, field, mapped, options);
    let alerting = mapped.alerts_as.unwrap_or(field);
    let violation = mapped.refuses.as_ref().map(|_| format!("PSP {} Violation ({alerting})", policy.name));
    let lost_default = (mapped.corrects.is_some() || mapped.alerts_as.is_some())
        .then(|| format!("PSP {} Lost Default ({alerting})", policy.name));
    let place = located.fields.iter().find(|(known, ..)| *known == field);
    FieldReport {
        field: field.name().to_owned(),
        place: place.map_or_else(
            || (&located.place).into(),
            |(_, line, column)| Spot { file: located.place.file.clone(), line: *line, column: *column },
        ),
        value: mapped.value.clone(),
        refused: mapped.refuses.clone(),
        corrected: mapped.corrects.clone(),
        note: mapped.note.clone(),
        layers: Layers {
            audit: match &rules.audit {
                Some(names) => {
                    let named = violation.into_iter().chain(lost_default);
                    Layer::new(named.filter(|name| names.contains(name.as_str())).collect(), fidelity)
                }
                None if fidelity == Fidelity::Unrestricted => Layer::new(Vec::new(), fidelity),
                None => Layer::new(Vec::new(), Fidelity::Undetectable(NOT_MADE.to_owned())),
            },
            runtime: rules.runtime.as_ref().map(|names| {
                let key = (policy.name.as_str(), field.name());
                let named = names.get(&key).into_iter().flatten().map(|name| (*name).to_owned());
                Layer::new(named.collect(), runtime_fidelity(policy, field, mapped, options))
            }),
        },
        lost: lost(mapped),
    }
}
