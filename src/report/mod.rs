//! What the user is told of a conversion: the summary, the table of `explain`, and the reports.

pub mod diff;
mod escape;
pub mod explain;
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

use crate::count::counted;
use crate::problem::printable;
use crate::read::Inventory;
use crate::render::{Options, Rendered};
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
