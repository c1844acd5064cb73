//! What the user is told of a conversion: the summary, the table of `explain`, and the reports.

pub mod diff;
mod escape;
mod findings;
mod github;
mod html;
mod markdown;
pub mod model;
mod output;
mod prediction;
pub mod pss;
mod rbac;
mod sarif;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use psp_admission::{Field, Policy};

use crate::problem::{cut, is_plain, printable};
use crate::psp::validity::unusable;
use crate::read::{self, Inventory};
use crate::render::{AuditObject, Layer, Options, Rendered};
use crate::restrictions::{Mapped, map};
use crate::table::Table;
pub(crate) use escape::visible;
pub use model::Report;
pub use output::{Format, Outputs, Target, changes, in_colour, old_text, prepare};
pub use prediction::prediction;
pub use rbac::{Overlap, Rbac};

/// How faithfully a field is detected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fidelity {
    /// The alerts are those that admission would have given.
    Exact,
    /// They may differ; the reason says how.
    Approximate(&'static str),
    /// There are none; the reason says why.
    Undetectable(String),
    /// The field restricts nothing.
    Unrestricted,
}

impl Fidelity {
    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Fidelity::Exact => "exact",
            Fidelity::Approximate(_) => "approximate",
            Fidelity::Undetectable(_) => "undetectable",
            Fidelity::Unrestricted => "-",
        }
    }
}

/// How faithfully the audit rules detect `field` of `policy`.
pub fn fidelity(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> Fidelity {
    let restricts = mapped.refuses.is_some() || mapped.corrects.is_some() || mapped.alerts_as.is_some();
    skipped(policy, field, restricts, options).unwrap_or(match options.object {
        _ if !restricts => Fidelity::Unrestricted,
        AuditObject::Response => Fidelity::Exact,
        AuditObject::Request => Fidelity::Approximate(REQUEST_LOSES),
    })
}

/// How faithfully the runtime rules detect `field` of `policy`, as far as it restricts anything.
pub fn runtime_fidelity(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> Fidelity {
    let restricts = mapped.refuses.is_some() || mapped.corrects.is_some();
    let undetectable = |reason: &str| Fidelity::Undetectable(reason.to_owned());
    match (&mapped.runtime.sees, mapped.runtime.reason) {
        (None, reason) if restricts => undetectable(reason.unwrap_or("every value is allowed")),
        (_, reason) => skipped(policy, field, restricts, options).unwrap_or(match reason {
            _ if !restricts => Fidelity::Unrestricted,
            None => Fidelity::Exact,
            Some(reason) => Fidelity::Approximate(reason),
        }),
    }
}

/// How faithfully rules detect `field` of a policy that admission skipped; `None` for any other policy.
fn skipped(policy: &Policy, field: Field, restricts: bool, options: &Options) -> Option<Fidelity> {
    let unusable = policy.unusable();
    if let Some((_, reason)) = unusable.iter().find(|(at_fault, _)| *at_fault == field) {
        return Some(Fidelity::Undetectable(format!("{reason}: admission could make nothing of it")));
    }
    match unusable.is_empty() {
        true => None,
        false if !restricts => Some(Fidelity::Unrestricted),
        false if options.access.is_none() => Some(Fidelity::Approximate(SKIPPED)),
        false => Some(Fidelity::Undetectable(SKIPPED_WITH_RBAC.to_owned())),
    }
}

/// How faithfully the best of the files' layers detects a field.
pub fn best(
    files: &[Rendered],
    policy: &Policy,
    field: Field,
    mapped: &Mapped,
    options: &Options,
) -> Fidelity {
    let one = |file: &Rendered| match file.layer {
        Layer::Audit => fidelity(policy, field, mapped, options),
        Layer::Runtime => runtime_fidelity(policy, field, mapped, options),
    };
    files.iter().map(one).min().unwrap_or(Fidelity::Unrestricted)
}

/// What the rules of a policy that admission skipped are worth.
const SKIPPED: &str =
    "admission skipped this policy; the rules alert on what its other fields say all the same";
const SKIPPED_WITH_RBAC: &str =
    "admission skipped this policy, and with RBAC the rules decide as admission did";

/// What a log that holds only requests does not show.
const REQUEST_LOSES: &str =
    "the request lacks what webhooks and defaults add; a patch shows only its own part";

/// What the conversion amounts to, in a few lines.
pub fn summary(inventory: &Inventory, rendered: &Rendered, options: &Options) -> String {
    let (mut exact, mut approximate, mut undetectable, mut unrestricted) = (0, 0, 0, 0);
    for (located, (_, fields)) in inventory.policies.iter().zip(&rendered.policies) {
        for (field, mapped) in fields {
            match fidelity(&located.policy, *field, mapped, options) {
                Fidelity::Exact => exact += 1,
                Fidelity::Approximate(_) => approximate += 1,
                Fidelity::Undetectable(_) => undetectable += 1,
                Fidelity::Unrestricted => unrestricted += 1,
            }
        }
    }
    let mut text = format!(
        "{}, {}; fields: {exact} exact, {approximate} approximate, {undetectable} undetectable, {unrestricted} unrestricted",
        counted(inventory.policies.len(), "policy", "policies"),
        counted(rendered.rules, "rule", "rules"),
    );
    let others = passed_over(inventory, options);
    if !others.is_empty() {
        let _ = write!(text, "\npassed over: {}", kinds(&others));
    }
    if let Some(unread) = unread(inventory) {
        let _ = write!(text, "\nnot read: {unread}");
    }
    let rbac = Rbac::new(inventory, options.access.as_ref());
    if options.access.is_some() {
        let _ = write!(text, "\nscope: {}; --no-rbac turns it off", rbac.sources());
    } else {
        text.push_str("\nscope: every pod, for want of RBAC; narrow it with --namespace or an override");
    }
    for line in rbac.lines() {
        let _ = write!(text, "\n  {}", printable(&line));
    }
    for name in &rendered.left_out {
        let _ =
            write!(text, "\nleft out: {name:?} may use a policy, but no Falco condition can hold the name");
    }
    text
}

/// A file of rules above this many bytes is slow to load.
const LARGE: usize = 4_000_000;

/// What the runtime rules amount to, in a few lines.
pub fn runtime_summary(inventory: &Inventory, rendered: &Rendered, options: &Options) -> String {
    let (mut exact, mut approximate, mut undetectable) = (0, 0, 0);
    for (located, (_, fields)) in inventory.policies.iter().zip(&rendered.policies) {
        for (field, mapped) in fields {
            match runtime_fidelity(&located.policy, *field, mapped, options) {
                Fidelity::Exact => exact += 1,
                Fidelity::Approximate(_) => approximate += 1,
                Fidelity::Undetectable(_) => undetectable += 1,
                Fidelity::Unrestricted => {}
            }
        }
    }
    let together = match &options.access {
        None => "each policy alone; where pods may use several, narrow them with --namespace or an override",
        Some(_) => "what the policies usable in each namespace allow together, whoever made the pod",
    };
    let mut text = format!(
        "running containers: {}; fields: {exact} exact, {approximate} approximate, {undetectable} undetectable\n\
         running containers are held against {together}",
        counted(rendered.rules, "rule", "rules"),
    );
    if rendered.text.len() > LARGE {
        let _ = write!(
            text,
            "\nwarning: the rules for running containers are {} MB, which Falco is slow to load; --layer audit leaves \
             them out",
            rendered.text.len() / 1_000_000
        );
    }
    text
}

/// How many objects of each kind were passed over; what the conversion used was not.
fn passed_over(inventory: &Inventory, options: &Options) -> BTreeMap<String, usize> {
    let predicted = |kind: &str| kind == "Pod" || read::is_workload(kind);
    let read = |kind: &str| predicted(kind) || options.access.is_some() && RBAC.contains(&kind);
    let kinds = inventory.passed_over.iter().filter(|(kind, _)| !read(kind));
    kinds.map(|(kind, n)| (kind.clone(), *n)).collect()
}

/// How many files of folders and archives were not read, and why.
pub(crate) fn unread(inventory: &Inventory) -> Option<String> {
    let (files, templates) = (inventory.unread_files, inventory.unread_templates);
    let templates = (templates > 0)
        .then(|| counted(templates, "template without a policy", "templates without a policy"));
    let files = (files > 0).then(|| {
        counted(
            files,
            "unreadable file without the word PodSecurityPolicy",
            "unreadable files without the word PodSecurityPolicy",
        )
    });
    let both: Vec<String> = templates.into_iter().chain(files).collect();
    (!both.is_empty()).then(|| both.join(", "))
}

/// How many objects of which kinds; the input names the kinds.
pub(crate) fn kinds(found: &BTreeMap<String, usize>) -> String {
    let shown = |(kind, n): (&String, &usize)| format!("{n} {}", cut(&printable(kind), 60));
    let mut kinds: Vec<String> = found.iter().take(MOST_KINDS).map(shown).collect();
    if let Some(more) = found.len().checked_sub(MOST_KINDS).filter(|more| *more > 0) {
        kinds.push(format!("and {more} more kinds"));
    }
    kinds.join(", ")
}

/// The most kinds to name.
const MOST_KINDS: usize = 20;

/// The kinds that say who may use a policy.
const RBAC: [&str; 6] =
    ["ClusterRole", "ClusterRoleBinding", "Namespace", "Role", "RoleBinding", "ServiceAccount"];

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The table of `explain`, one a policy, for a screen of `width` characters, if it is for one.
pub fn explain(inventory: &Inventory, object: AuditObject, width: Option<usize>) -> String {
    let options = Options { object, ..Options::default() };
    let mut text = String::new();
    for located in &inventory.policies {
        let policy = &located.policy;
        let _ = writeln!(text, "{} ({}, {})", policy.name, located.place, located.digest);
        if let Some(reason) = unusable(policy) {
            let _ = writeln!(text, "unusable: {reason}");
        }
        let mut rows =
            vec![["FIELD", "VALUE", "ALERTS", "FIDELITY", "RUNTIME", "NO LONGER"].map(str::to_owned)];
        rows.extend(Field::ALL.into_iter().map(|field| row(policy, field, &map(field, policy), &options)));
        text.push_str(&table(&rows, 1, WIDEST, width));
        text.push('\n');
    }
    text
}

fn row(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> [String; 6] {
    let fidelity = fidelity(policy, field, mapped, options);
    let detected = !matches!(fidelity, Fidelity::Undetectable(_) | Fidelity::Unrestricted);
    let alerts = match (&mapped.refuses, &mapped.corrects) {
        _ if !detected => mapped.note.clone().unwrap_or_else(|| "-".to_owned()),
        (None, None) => mapped.alerts_as.map_or_else(String::new, |field| format!("Lost Default ({field})")),
        (Some(_), Some(_)) => "Violation, Lost Default".to_owned(),
        (Some(_), None) => "Violation".to_owned(),
        _ => "Lost Default".to_owned(),
    };
    let lost: Vec<&str> = model::lost(mapped).into_iter().map(model::Lost::name).collect();
    let lost = if lost.is_empty() { "-".to_owned() } else { lost.join(", ") };
    let runtime = runtime_fidelity(policy, field, mapped, options).name();
    [
        field.name().to_owned(),
        mapped.value.clone(),
        alerts,
        fidelity.name().to_owned(),
        runtime.to_owned(),
        lost,
    ]
}

/// A table whose rows have `names` columns of names; control characters of manifests do not reach the terminal.
fn table<const N: usize>(rows: &[[String; N]], names: usize, widest: usize, width: Option<usize>) -> String {
    let clean = |cell: &String| cell.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect();
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(clean)).collect();
    Table { rows: &rows, names, numbers: None, widest, indent: 2 }.text(width)
}

/// Widest cell of a table, in characters.
const WIDEST: usize = 60;
