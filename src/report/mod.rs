//! What the user is told of a conversion: the summary, the table of `explain`, and the reports.

pub mod diff;
mod escape;
mod fidelity;
mod findings;
mod github;
mod html;
mod markdown;
pub mod model;
mod output;
mod passed_over;
mod prediction;
pub mod pss;
mod rbac;
mod sarif;
mod steps;
mod text;

use std::fmt::Write as _;

use psp_admission::{Field, Policy};

use crate::count::counted;
use crate::problem::printable;
use crate::psp::validity::unusable;
use crate::read::Inventory;
use crate::render::{AuditObject, Options, Rendered};
use crate::restrictions::{Mapped, map};
use crate::table::table;
pub(crate) use escape::visible;
use fidelity::detection;
pub use fidelity::{Detection, Fidelity, Tally, audit_detection, best_detection, runtime_detection};
pub use model::Report;
pub use output::{Format, Outputs, Target, changes, old_text, prepare};
use passed_over::passed_over;
pub(crate) use passed_over::{kinds, unread};
pub use prediction::prediction;
pub use rbac::{Overlap, Rbac};

/// What the conversion amounts to, in a few lines.
pub fn summary(inventory: &Inventory, rendered: &Rendered, options: &Options) -> String {
    let fields = tally(inventory, rendered, options);
    let mut text = format!(
        "{}, {}; fields: {fields}, {} unrestricted",
        counted(inventory.policies.len(), "policy"),
        counted(rendered.rules().count(), "rule"),
        fields.unrestricted,
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
        text.push_str(
            "\nscope: every pod, since RBAC is not known; narrow it with --namespace or an override",
        );
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

/// The fields of all policies, by how faithfully a file's rules detect them.
fn tally(inventory: &Inventory, rendered: &Rendered, options: &Options) -> Tally {
    let policies = inventory.policies.iter().zip(&rendered.policies);
    let fields = policies.flat_map(|(located, (_, fields))| {
        fields.iter().map(|(field, mapped)| {
            detection(rendered.layer, &located.policy, *field, mapped, options).fidelity
        })
    });
    fields.collect()
}

/// A file of rules above this many bytes is slow to load.
const LARGE: usize = 4_000_000;

/// What the runtime rules amount to, in a few lines.
pub fn runtime_summary(inventory: &Inventory, rendered: &Rendered, options: &Options) -> String {
    let together = match &options.access {
        None => "each policy alone; where pods may use several, narrow them with --namespace or an override",
        Some(_) => "what the policies usable in each namespace allow together, whoever made the pod",
    };
    let mut text = format!(
        "running containers: {}; fields: {}\n\
         running containers are held against {together}",
        counted(rendered.rules().count(), "rule"),
        tally(inventory, rendered, options),
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
    let fidelity = audit_detection(policy, field, mapped, options).fidelity;
    let detected = matches!(fidelity, Fidelity::Exact | Fidelity::Approximate);
    let alerts = match (&mapped.refuses, &mapped.corrects) {
        _ if !detected => mapped.note.clone().unwrap_or_else(|| "-".to_owned()),
        (None, None) => mapped.alerts_as.map_or_else(String::new, |field| format!("Lost Default ({field})")),
        (Some(_), Some(_)) => "Violation, Lost Default".to_owned(),
        (Some(_), None) => "Violation".to_owned(),
        _ => "Lost Default".to_owned(),
    };
    let lost: Vec<&str> = model::lost(mapped).into_iter().map(model::Lost::name).collect();
    let lost = if lost.is_empty() { "-".to_owned() } else { lost.join(", ") };
    let runtime = runtime_detection(policy, field, mapped, options).fidelity;
    [field.name().to_owned(), mapped.value.clone(), alerts, word(fidelity), word(runtime), lost]
}

/// A fidelity in the table; nothing to detect is a dash.
fn word(fidelity: Fidelity) -> String {
    match fidelity {
        Fidelity::Unrestricted => "-",
        detected => detected.name(),
    }
    .to_owned()
}

/// Widest cell of a table, in characters.
const WIDEST: usize = 60;
