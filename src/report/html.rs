//! The report as one page that needs nothing else: no network, no inline handler, and no script to be read.
//!
//! The markup is in `templates/report/*.html.hbs`; this module says what goes into it. Each value passes through the
//! escape function. The page's policy of content lets in its own style and script by their digests and nothing else, so
//! that markup that came in from a manifest could not run even if it got through the escaping.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use handlebars::{Handlebars, handlebars_helper};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::escape::{html, short};
use super::fidelity::{Fidelity, Tally};
use super::model::{AlertingWorkload, FieldReport, Layer, MayUse, PolicyReport, Report, WouldAlert};
use super::pss::Standing;
use super::steps::{self, FileStep, LabelStep};
use crate::count::counted;
use crate::pod_security::Level;
use crate::render;
use psp_admission::Field;

const STYLE: &str = include_str!("../../templates/report/report.css");
const SCRIPT: &str = include_str!("../../templates/report/report.js");
/// Longest value shown, in characters; the JSON report has it whole.
const WIDEST: usize = 600;
/// The most workloads that are shown; the JSON report has all.
const MOST_WORKLOADS: usize = 200;
/// The most users, groups and service accounts that are shown of a policy and a namespace; the JSON report has all.
const MOST_USERS: usize = 20;
/// The most namespaces in which others may use a policy that are shown; the JSON report has all.
const MOST_NAMESPACES: usize = 20;
/// Longest condition shown, in bytes; longer ones are read in the rules file.
const LONGEST_CONDITION: usize = 4000;

/// The page's template and its partials.
macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../templates/report/", $name, ".html.hbs")))),+]
    };
}

const TEMPLATES: &[(&str, &str)] = embedded![
    "report",
    "would_alert",
    "summary",
    "next_steps",
    "changes",
    "whose",
    "warnings",
    "matrix",
    "policy",
    "pod_security",
    "demands",
    "fields",
    "snippet",
];

/// The report as a page.
///
/// # Errors
/// None that is known: the templates are part of the program, and a test renders them.
pub(super) fn render(report: &Report) -> Result<String> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(html);
    // text of several lines, in which an end of line stays one
    handlebars_helper!(lines: |text: str| text.lines().map(html).collect::<Vec<_>>().join("\n"));
    handlebars_helper!(concat: |left: str, right: str| format!("{left}{right}"));
    registry.register_helper("lines", Box::new(lines));
    registry.register_helper("concat", Box::new(concat));
    for (name, text) in TEMPLATES {
        registry.register_template_string(name, text)?;
    }
    Ok(registry.render("report", &Page::new(report, &Anchors::new(&report.policies)))?)
}

/// A source of a content security policy: SHA-256 in Base64.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("sha256-");
    for chunk in Sha256::digest(text.as_bytes()).chunks(3) {
        let byte = |i: usize| chunk.get(i).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// The data of the template.
#[derive(Serialize)]
struct Page<'r> {
    generator: &'r str,
    style: &'static str,
    style_digest: String,
    script: &'static str,
    script_digest: String,
    /// What became of how many policies, in a sentence.
    intro: String,
    would_alert: Option<WouldAlertView<'r>>,
    layers: Vec<LayerSum>,
    /// The layer that the matrix shows, or `both`.
    shown: &'static str,
    two_layers: bool,
    files: Vec<FileStep>,
    falco_yaml: String,
    audit_policy: Option<&'static str>,
    labels: Vec<LabelView<'r>>,
    changes: Option<Changes>,
    whose: Vec<String>,
    warnings: Vec<String>,
    levels: Vec<&'static str>,
    columns: Vec<Column>,
    may_use_every_policy: Option<Vec<MayUseView>>,
    policies: Vec<PolicyView<'r>>,
    passed_over: String,
}

#[derive(Serialize)]
struct WouldAlertView<'r> {
    headline: String,
    detail: String,
    /// Would nothing alert?
    quiet: bool,
    workloads: Vec<WorkloadView<'r>>,
    more: Option<String>,
}

#[derive(Serialize)]
struct WorkloadView<'r> {
    title: String,
    pods: String,
    /// The policies that alert, and their fields.
    fields: String,
    alerts: Vec<AlertView>,
    exception: &'r str,
}

#[derive(Serialize)]
struct AlertView {
    kind: &'static str,
    policy: Option<String>,
    field: Option<String>,
    href: Option<String>,
    allowed: Option<String>,
}

/// The sums of a layer.
#[derive(Serialize)]
struct LayerSum {
    key: &'static str,
    title: &'static str,
    rules: String,
    width: usize,
    parts: Vec<Part>,
}

/// Fields of one fidelity: a part of a bar, and its legend.
#[derive(Serialize)]
struct Part {
    class: &'static str,
    start: usize,
    number: usize,
    what: &'static str,
}

#[derive(Serialize)]
struct LabelView<'r> {
    level: &'static str,
    command: Option<String>,
    policies: Vec<Link<'r>>,
}

#[derive(Serialize)]
struct Link<'r> {
    name: &'r str,
    href: String,
}

#[derive(Serialize)]
struct Changes {
    headline: String,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    class: &'static str,
    text: String,
}

/// A column of the matrix.
#[derive(Serialize)]
struct Column {
    name: &'static str,
    /// Does any policy restrict the field?
    used: bool,
}

/// Who may use a policy, in one namespace or everywhere.
#[derive(Serialize)]
struct MayUseView {
    place: Option<String>,
    who: String,
}

#[derive(Serialize)]
struct PolicyView<'r> {
    name: &'r str,
    id: &'r str,
    level: &'static str,
    cells: Vec<Cell<'r>>,
    counts: String,
    place: String,
    digest: &'r str,
    unusable: Option<&'r str>,
    scope: String,
    guess: bool,
    may_use: Option<Vec<MayUseView>>,
    standing: Option<&'r Standing>,
    two_layers: bool,
    layers: Vec<&'static str>,
    fields: Vec<FieldView<'r>>,
}

/// A cell of the matrix; without layers where the policy restricts nothing.
#[derive(Serialize)]
struct Cell<'r> {
    field: &'r str,
    id: &'r str,
    layers: Vec<CellLayer>,
}

#[derive(Serialize)]
struct CellLayer {
    key: &'static str,
    class: &'static str,
    title: &'static str,
    fidelity: Fidelity,
}

#[derive(Serialize)]
struct FieldView<'r> {
    field: &'r str,
    id: &'r str,
    value: String,
    layers: Vec<LayerView<'r>>,
    lost: String,
}

#[derive(Serialize)]
struct LayerView<'r> {
    title: &'static str,
    rules: Vec<RuleView<'r>>,
    class: &'static str,
    fidelity: Fidelity,
    reason: Option<&'r str>,
}

#[derive(Serialize)]
struct RuleView<'r> {
    name: &'r str,
    condition: Option<&'r str>,
}

impl<'r> Page<'r> {
    fn new(report: &'r Report, anchors: &'r Anchors) -> Self {
        let used = |column: usize| {
            report.policies.iter().filter_map(|p| p.fields.get(column)).any(|f| f.layers.restricts())
        };
        let passed_over = report.passed_over.iter().map(|(kind, n)| format!("{n} {}", short(kind, 80)));
        let layers: Vec<LayerSum> =
            report.totals.layers().map(|(layer, totals)| LayerSum::new(layer, totals)).collect();
        let audit = report.totals.audit.is_some();
        Self {
            generator: &report.generator,
            style: STYLE,
            style_digest: digest(STYLE),
            script: SCRIPT,
            script_digest: digest(SCRIPT),
            intro: intro(report),
            would_alert: report.would_alert.as_ref().map(|would| WouldAlertView::new(would, anchors)),
            shown: match layers.as_slice() {
                [one] => one.key,
                _ => "both",
            },
            two_layers: layers.len() > 1,
            layers,
            files: steps::files(report),
            falco_yaml: steps::falco_yaml(report),
            audit_policy: audit.then_some(steps::AUDIT_POLICY),
            labels: steps::labels(report).into_iter().map(|label| LabelView::new(label, anchors)).collect(),
            changes: report.changes.as_ref().map(|diff| Changes {
                headline: diff.headline(),
                lines: diff.lines().iter().map(|line| Line::new(line)).collect(),
            }),
            whose: report.rbac.lines(),
            warnings: report.warnings.iter().map(|w| short(&w.to_string(), WIDEST)).collect(),
            levels: Level::ALL.map(Level::name).into_iter().chain(["unusable"]).collect(),
            columns: Field::ALL
                .into_iter()
                .enumerate()
                .map(|(column, field)| Column { name: field.name(), used: used(column) })
                .collect(),
            may_use_every_policy: report.may_use_every_policy.as_ref().map(may_use),
            policies: report.policies.iter().map(|policy| PolicyView::new(policy, report, anchors)).collect(),
            passed_over: passed_over.collect::<Vec<_>>().join(", "),
        }
    }
}

/// The ids of policies and of their fields, by which links find them.
struct Anchors {
    policies: BTreeMap<String, String>,
    fields: BTreeMap<(String, String), String>,
}

impl Anchors {
    /// `policy-NAME` and `policy-NAME-FIELD`. Where a policy has the name of another with a field's name, the field's
    /// id gets an underscore, which no policy's name has.
    fn new(policies: &[PolicyReport]) -> Self {
        let id = |policy: &PolicyReport| format!("policy-{}", policy.name);
        let taken: HashSet<String> = policies.iter().map(id).collect();
        let mut fields = BTreeMap::new();
        for policy in policies {
            for field in policy.fields.iter().filter(|field| field.layers.restricts()) {
                let mut id = format!("policy-{}-{}", policy.name, field.field);
                if taken.contains(&id) {
                    id.push('_');
                }
                fields.insert((policy.name.clone(), field.field.clone()), id);
            }
        }
        Self { policies: policies.iter().map(|policy| (policy.name.clone(), id(policy))).collect(), fields }
    }

    fn policy(&self, name: &str) -> &str {
        self.policies.get(name).map_or("", String::as_str)
    }

    /// The id of a field that the policy restricts.
    fn field(&self, policy: &str, field: &str) -> Option<&str> {
        self.fields.get(&(policy.to_owned(), field.to_owned())).map(String::as_str)
    }
}

fn intro(report: &Report) -> String {
    let options = &report.options;
    let rules: Vec<String> = report
        .totals
        .layers()
        .map(|(layer, totals)| format!("{} for {}", counted(totals.rules, "rule"), layer.title()))
        .collect();
    let policies = counted(report.totals.policies, "policy");
    let mut made = vec![format!("{policies} became {}", rules.join(" and "))];
    if report.totals.audit.is_some() {
        made.push(match options.audit_object.as_str() {
            "request" => "judged by the request, since responses are not logged".to_owned(),
            _ => "judged by the pod as stored".to_owned(),
        });
    }
    if !options.namespaces.is_empty() {
        made.push(format!("in namespaces {}", short(&options.namespaces.join(", "), 200)));
    }
    if !options.exclude_namespaces.is_empty() {
        made.push(format!("never in {}", short(&options.exclude_namespaces.join(", "), 200)));
    }
    if options.own_templates {
        made.push("with templates of the user's own".to_owned());
    }
    made.join(", ")
}

impl<'r> WouldAlertView<'r> {
    fn new(would: &'r WouldAlert, anchors: &Anchors) -> Self {
        let more = would.alerting.len().saturating_sub(MOST_WORKLOADS);
        Self {
            headline: would.headline(),
            detail: would.detail(),
            quiet: would.alerting.is_empty(),
            workloads: would
                .alerting
                .iter()
                .take(MOST_WORKLOADS)
                .map(|workload| WorkloadView::new(workload, anchors))
                .collect(),
            more: (more > 0)
                .then(|| format!("and {}; the JSON report has all", counted(more, "more workload"))),
        }
    }
}

impl<'r> WorkloadView<'r> {
    fn new(workload: &'r AlertingWorkload, anchors: &Anchors) -> Self {
        let mut fields: Vec<&str> =
            workload.alerts.iter().map(|alert| alert.field.as_deref().unwrap_or(alert.kind.name())).collect();
        fields.dedup();
        let alerts = workload.alerts.iter().map(|alert| AlertView {
            kind: alert.kind.name(),
            policy: alert.policy.clone(),
            field: alert.field.clone(),
            href: alert
                .policy
                .as_deref()
                .zip(alert.field.as_deref())
                .and_then(|(policy, field)| anchors.field(policy, field))
                .map(str::to_owned),
            allowed: alert.allowed.as_ref().map(|allowed| short(allowed, 200)),
        });
        Self {
            title: workload.title(),
            pods: match workload.pods {
                0 => "template".to_owned(),
                pods => counted(pods, "pod"),
            },
            fields: fields.join(", "),
            alerts: alerts.collect(),
            exception: &workload.exception,
        }
    }
}

impl LayerSum {
    fn new(layer: render::Layer, totals: &super::model::LayerTotals) -> Self {
        let Tally { exact, approximate, undetectable, unrestricted } = totals.fields;
        let mut width = 0;
        let mut parts = Vec::new();
        for (fidelity, number) in [
            (Fidelity::Exact, exact),
            (Fidelity::Approximate, approximate),
            (Fidelity::Undetectable, undetectable),
            (Fidelity::Unrestricted, unrestricted),
        ] {
            parts.push(Part { class: class(fidelity), start: width, number, what: fidelity.name() });
            width += number;
        }
        Self {
            key: layer.name(),
            title: layer.title(),
            rules: counted(totals.rules, "rule"),
            width: width.max(1),
            parts,
        }
    }
}

impl<'r> LabelView<'r> {
    fn new(label: LabelStep<'r>, anchors: &Anchors) -> Self {
        let link = |name: &'r str| Link { name, href: anchors.policy(name).to_owned() };
        Self {
            level: label.level.name(),
            command: label.command,
            policies: label.policies.into_iter().map(link).collect(),
        }
    }
}

impl Line {
    fn new(line: &str) -> Self {
        let class = match line.chars().next() {
            Some('+') => "plus",
            Some('-') => "minus",
            Some('!') => "bang",
            _ => "tilde",
        };
        Self { class, text: short(line, WIDEST) }
    }
}

/// The class of what is shown of a fidelity.
fn class(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Exact => "e",
        Fidelity::Approximate => "a",
        Fidelity::Undetectable => "u",
        Fidelity::Unrestricted => "n",
    }
}

/// Who may use a policy, a line for each namespace.
fn may_use(of: &MayUse) -> Vec<MayUseView> {
    let named = |who: &[String]| {
        let mut shown: Vec<String> = who.iter().take(MOST_USERS).map(|name| short(name, 100)).collect();
        if let more @ 1.. = who.len().saturating_sub(MOST_USERS) {
            shown.push(format!("{more} more"));
        }
        shown.join(", ")
    };
    let everywhere = Some(&of.everywhere).filter(|who| !who.is_empty());
    let mut lines: Vec<MayUseView> =
        everywhere.into_iter().map(|who| MayUseView { place: None, who: named(who) }).collect();
    let within = of.namespaces.iter().take(MOST_NAMESPACES);
    lines.extend(within.map(|(place, who)| MayUseView { place: Some(short(place, 100)), who: named(who) }));
    if let more @ 1.. = of.namespaces.len().saturating_sub(MOST_NAMESPACES) {
        lines.push(MayUseView { place: None, who: format!("others in {}", counted(more, "more namespace")) });
    }
    lines
}

impl<'r> PolicyView<'r> {
    fn new(policy: &'r PolicyReport, report: &'r Report, anchors: &'r Anchors) -> Self {
        let tallies: Vec<(render::Layer, Tally)> = policy.tallies().collect();
        let two_layers = tallies.len() > 1;
        let counts = tallies.iter().map(|(layer, tally)| {
            let parts = [
                (tally.exact, Fidelity::Exact),
                (tally.approximate, Fidelity::Approximate),
                (tally.undetectable, Fidelity::Undetectable),
            ];
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, fidelity)| format!("{n} {fidelity}"))
                .collect();
            let parts = if parts.is_empty() { "nothing to detect".to_owned() } else { parts.join(", ") };
            if two_layers { format!("{}: {parts}", layer.title()) } else { parts }
        });
        let restricting: Vec<&FieldReport> = policy.fields.iter().filter(|f| f.layers.restricts()).collect();
        Self {
            name: &policy.name,
            id: anchors.policy(&policy.name),
            level: policy.level_name(),
            cells: policy.fields.iter().map(|field| Cell::new(policy, field, anchors)).collect(),
            counts: if restricting.is_empty() {
                "restricts nothing".to_owned()
            } else {
                counts.collect::<Vec<_>>().join(" · ")
            },
            place: policy.place.to_string(),
            digest: &policy.digest,
            unusable: policy.unusable.as_deref(),
            scope: short(&policy.scope.words(), WIDEST),
            guess: policy.scope.guess,
            may_use: policy.may_use.as_ref().map(may_use),
            standing: policy.pod_security.as_ref(),
            two_layers,
            layers: tallies.iter().map(|(layer, _)| layer.title()).collect(),
            fields: restricting.into_iter().map(|f| FieldView::new(policy, f, report, anchors)).collect(),
        }
    }
}

impl<'r> Cell<'r> {
    fn new(policy: &PolicyReport, field: &'r FieldReport, anchors: &'r Anchors) -> Self {
        let layers = field.layers.made().filter(|_| field.layers.restricts()).map(|(layer, of)| CellLayer {
            key: layer.name(),
            class: class(of.fidelity),
            title: layer.title(),
            fidelity: of.fidelity,
        });
        Self {
            field: &field.field,
            id: anchors.field(&policy.name, &field.field).unwrap_or_default(),
            layers: layers.collect(),
        }
    }
}

impl<'r> FieldView<'r> {
    fn new(policy: &PolicyReport, field: &'r FieldReport, report: &'r Report, anchors: &'r Anchors) -> Self {
        let lost: Vec<&str> = field.lost.iter().map(|l| l.name()).collect();
        let condition = |name: &String| {
            report.conditions.get(name).map(String::as_str).filter(|text| text.len() <= LONGEST_CONDITION)
        };
        let layer = |(layer, of): (render::Layer, &'r Layer)| LayerView {
            title: layer.title(),
            rules: of.rules.iter().map(|name| RuleView { name, condition: condition(name) }).collect(),
            class: class(of.fidelity),
            fidelity: of.fidelity,
            reason: of.reason.as_deref(),
        };
        Self {
            field: &field.field,
            id: anchors.field(&policy.name, &field.field).unwrap_or_default(),
            value: short(&field.value, WIDEST),
            layers: field.layers.made().map(layer).collect(),
            lost: lost.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_are_base64() {
        assert_eq!(digest(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
