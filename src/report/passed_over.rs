//! What of the input the conversion passed over.

use std::collections::BTreeMap;

use crate::count::counted;
use crate::problem::{cut, printable};
use crate::read::{self, Inventory, Why};
use crate::render::Options;

/// How many objects of each kind were passed over; what the conversion used was not.
pub(super) fn passed_over(inventory: &Inventory, options: &Options) -> BTreeMap<String, usize> {
    let predicted = |kind: &str| kind == "Pod" || read::is_workload(kind);
    let read = |kind: &str| predicted(kind) || options.access.is_some() && RBAC.contains(&kind);
    let kinds = inventory.passed_over.iter().filter(|(kind, _)| !read(kind));
    kinds.map(|(kind, n)| (kind.clone(), *n)).collect()
}

/// How many files of folders and archives were not read, and why.
pub(crate) fn unread(inventory: &Inventory) -> Option<String> {
    let (files, templates) = (inventory.unread(Why::Unreadable), inventory.unread(Why::Template));
    let templates = (templates > 0).then(|| format!("{} without a policy", counted(templates, "template")));
    let files = (files > 0)
        .then(|| format!("{} without the word PodSecurityPolicy", counted(files, "unreadable file")));
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
