//! What the report says about who may use which policy.

use std::collections::BTreeSet;

use psp_admission::access::Access;
use psp_admission::{Policy, alerts_beyond};
use serde::{Deserialize, Serialize};

use crate::count::counted;
use crate::psp::validity::unusable;
use crate::read::Inventory;

/// The most names in a line.
const MOST_NAMES: usize = 3;
/// The most policies of which the summary says what they alert on.
const MOST_LINES: usize = 5;
/// The most policies that are compared with each other.
const MOST_COMPARED: usize = 200;

/// Who may use which policy, as far as the input says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rbac {
    /// `whole`: who is not granted a policy may not use it; `partial`: others may, too; `none`: nothing is known.
    pub known: String,
    /// How many roles there were.
    pub roles: usize,
    /// How many bindings there were.
    pub bindings: usize,
    /// How many of these let somebody use a policy.
    pub granting: usize,
    /// What is left open.
    pub remarks: Vec<String>,
    /// Which policies alert on pods that others admit, since RBAC is not known.
    pub overlaps: Vec<Overlap>,
    /// The command that brings the RBAC, where that would end the overlaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A policy that alerts on pods that others admit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The policy.
    pub policy: String,
    /// The policies that admit such pods.
    pub admitted_by: Vec<String>,
    /// The fields in which it refuses or corrects what one of them lets pass as it is.
    pub fields: Vec<String>,
}

impl Rbac {
    /// What is known of the policies of an inventory.
    pub(super) fn new(inventory: &Inventory, access: Option<&Access>) -> Self {
        let policies: Vec<&Policy> =
            inventory.policies.iter().map(|l| &l.policy).filter(|p| unusable(p).is_none()).collect();
        let alone = |policy: &Policy| access.is_none_or(|access| access.stands_alone(&policy.name));
        let mut remarks = access.map_or_else(Vec::new, |access| remarks(&policies, access));
        let mut overlaps = Vec::new();
        if policies.len() <= MOST_COMPARED {
            overlaps.extend(policies.iter().filter(|p| alone(p)).filter_map(|p| Overlap::of(p, &policies)));
        } else if policies.iter().any(|p| alone(p)) && policies.iter().any(|p| differ(p, policies.first())) {
            remarks.push(format!(
                "with more than {MOST_COMPARED} policies, it is not worked out which of them alert on pods that others admit"
            ));
        }
        Self {
            known: match access {
                None => "none",
                Some(access) if access.whole => "whole",
                Some(_) => "partial",
            }
            .to_owned(),
            roles: access.map_or(0, |access| access.roles),
            bindings: access.map_or(0, |access| access.bindings),
            granting: access.map_or(0, |access| access.granting),
            command: (!overlaps.is_empty()).then(|| command(inventory)),
            remarks,
            overlaps,
        }
    }

    /// All of it in lines, which do not say what the rules go by.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.remarks.clone();
        let mut overlaps: Vec<&Overlap> = self.overlaps.iter().collect();
        overlaps.sort_by_key(|overlap| std::cmp::Reverse((overlap.admitted_by.len(), overlap.fields.len())));
        lines.extend(overlaps.iter().take(MOST_LINES).map(|overlap| overlap.line()));
        if let Some(more) = overlaps.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            lines.push(format!("and {} do the same", counted(more, "more policy")));
        }
        lines.extend(
            self.command.as_ref().map(|command| format!("who may use which policy settles it: {command}")),
        );
        lines
    }

    /// What the rules go by, in words.
    pub(super) fn sources(&self) -> String {
        format!(
            "{} RBAC of {} and {}, of which {} {} a policy",
            self.known,
            counted(self.roles, "role"),
            counted(self.bindings, "binding"),
            self.granting,
            if self.granting == 1 { "grants" } else { "grant" },
        )
    }
}

/// Do two policies differ in more than their names?
fn differ(left: &Policy, right: Option<&&Policy>) -> bool {
    right.is_some_and(|right| left.spec != right.spec || left.annotations != right.annotations)
}

impl Overlap {
    fn of(policy: &Policy, all: &[&Policy]) -> Option<Self> {
        let (mut admitted_by, mut fields) = (Vec::new(), BTreeSet::new());
        for other in all.iter().filter(|other| other.name != policy.name) {
            let beyond = alerts_beyond(policy, other);
            if !beyond.is_empty() {
                admitted_by.push(other.name.clone());
                fields.extend(beyond);
            }
        }
        (!admitted_by.is_empty()).then(|| Self {
            policy: policy.name.clone(),
            admitted_by,
            fields: fields.into_iter().map(|field| field.name().to_owned()).collect(),
        })
    }

    /// In words.
    pub(super) fn line(&self) -> String {
        let others: Vec<&str> = self.admitted_by.iter().map(String::as_str).collect();
        format!(
            "{} alerts on every pod that {} {} and {0} refuses or corrects ({})",
            self.policy,
            listed(&others),
            if others.len() == 1 { "admits" } else { "admit" },
            counted(self.fields.len(), "field"),
        )
    }
}

fn remarks(policies: &[&Policy], access: &Access) -> Vec<String> {
    let mut remarks = Vec::new();
    if !access.whole {
        let names = policies.iter().map(|policy| policy.name.as_str());
        let (alone, granted): (Vec<&str>, Vec<&str>) = names.partition(|name| access.stands_alone(name));
        let judged = |names: &[&str], against: &str| {
            let verb = if names.len() == 1 { "is" } else { "are" };
            (!names.is_empty()).then(|| format!("{} {verb} held against {against}", listed(names)))
        };
        let parts = [
            judged(
                &granted,
                if granted.len() == 1 {
                    "pods of those who certainly may use it"
                } else {
                    "pods of those who certainly may use each"
                },
            ),
            judged(&alone, "every pod, since no binding grants it"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        remarks.push(format!("who else may use a policy is not known: {}", parts.join("; ")));
    }
    if access.unnamed > 0 {
        let (is, it, counts) =
            if access.unnamed == 1 { ("is", "it does", "counts") } else { ("are", "they do", "count") };
        remarks.push(format!(
            "{} {is} in a namespace that {it} not name, and {counts} in every namespace; --default-namespace NAME names it",
            counted(access.unnamed, "binding"),
        ));
    }
    remarks
}

/// Names, where they are few; else how many.
fn listed(names: &[&str]) -> String {
    match names {
        [one] => (*one).to_owned(),
        [all @ .., last] if names.len() <= MOST_NAMES => format!("{} and {last}", all.join(", ")),
        _ => format!("{} policies", names.len()),
    }
}

/// The kinds that say who may use a policy, as kubectl knows them.
const KINDS: &str = "clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts";
/// The most files that are named.
const MOST_FILES: usize = 3;

/// The command that converts the same policies with the RBAC of a cluster.
fn command(inventory: &Inventory) -> String {
    let files: BTreeSet<&str> = inventory.policies.iter().map(|l| archive(&l.place.file)).collect();
    let files: Vec<&str> = files.into_iter().collect();
    if files == ["stdin"] {
        return format!("kubectl get podsecuritypolicies,{KINDS} -A -o yaml | psp2falco convert -");
    }
    let named = if files.len() <= MOST_FILES {
        files.iter().filter(|file| **file != "stdin").map(|file| word(file)).collect::<Vec<_>>().join(" ")
    } else {
        word(&folder(&files))
    };
    format!("kubectl get {KINDS} -A -o yaml | psp2falco convert - {named}")
}

/// The archive that a file is from, if it is from one; else the file.
fn archive(file: &str) -> &str {
    let ends =
        [".tar.gz/", ".tgz/", ".tar/"].iter().filter_map(|end| Some(file.find(end)? + end.len() - 1)).min();
    ends.and_then(|end| file.get(..end)).unwrap_or(file)
}

/// The folder that holds all of these files.
fn folder(files: &[&str]) -> String {
    let folders = |file: &str| -> Vec<String> {
        file.split('/')
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .split_last()
            .map_or_else(Vec::new, |(_, f)| f.to_vec())
    };
    let mut common = files.first().map(|file| folders(file)).unwrap_or_default();
    for file in files {
        let own = folders(file);
        let same = common.iter().zip(&own).take_while(|(left, right)| left == right).count();
        common.truncate(same);
    }
    match common.join("/") {
        none if none.is_empty() => {
            if files.first().is_some_and(|file| file.starts_with('/')) { "/" } else { "." }.to_owned()
        }
        folder => folder,
    }
}

/// A word of a shell's command line.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Options, read_text};

    fn inventory(files: &[&str]) -> Inventory {
        let mut all = Inventory::default();
        for (n, file) in files.iter().enumerate() {
            let text = format!(
                "{{apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {{name: p{n}}}, spec: {{privileged: {}}}}}",
                n % 2 == 0
            );
            all.policies.extend(read_text(file, &text, &Options::default()).unwrap().policies);
        }
        all
    }

    #[test]
    fn the_command_names_what_was_typed() {
        let files = |files: &[&str]| command(&inventory(files)).rsplit_once("convert ").unwrap().1.to_owned();
        assert_eq!(files(&["stdin", "stdin"]), "-");
        assert!(command(&inventory(&["stdin"])).starts_with("kubectl get podsecuritypolicies,clusterroles,"));
        assert_eq!(files(&["a b.yaml", "c.yaml"]), "- 'a b.yaml' c.yaml");
        assert_eq!(files(&["x/a.yaml", "x/y/b.yaml", "x/y/c.yaml", "x/d.yaml"]), "- x");
        assert_eq!(files(&["a.yaml", "y/b.yaml", "y/c.yaml", "d.yaml"]), "- .");
        assert_eq!(files(&["b.tar.gz/x/a.yaml", "b.tar.gz/x/b.yaml"]), "- b.tar.gz");
    }

    #[test]
    fn forty_policies_are_summed_up() {
        let rbac = Rbac::new(&inventory(&["p.yaml"; 40]), None);
        assert_eq!(rbac.overlaps.len(), 20, "only those that do not allow privileged containers");
        let lines = rbac.lines();
        assert_eq!(lines.len(), MOST_LINES + 2);
        assert_eq!(
            lines[0],
            "p1 alerts on every pod that 20 policies admit and p1 refuses or corrects (1 field)"
        );
        assert_eq!(lines[MOST_LINES], "and 15 more policies do the same");
    }
}
