//! The policies of one file as a set: who may use each, and the macros by which they decide together.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::usable::{Usable, usable};
use super::{AuditObject, insert};
use crate::access::{Access, Grants};

/// The macro of who may use every policy.
const EVERY: &str = "psps_any_usable";

/// The policies so far that take part in the decision, in the order of their names.
pub(super) struct Set<'a> {
    access: &'a Access,
    object: AuditObject,
    /// The macro of who may use every policy, as YAML, until it is written.
    every: Option<String>,
    members: Vec<Member>,
    left_out: BTreeSet<Arc<str>>,
}

struct Member {
    id: String,
    usable_by_all: bool,
    refuses: bool,
    corrects: bool,
}

impl<'a> Set<'a> {
    pub(super) fn new(access: &'a Access, object: AuditObject) -> Self {
        let Usable { text, left_out, .. } = usable(EVERY, access.every(), None, object.root());
        Self {
            access,
            object,
            every: Some(format!("\n# who may use every policy{text}")),
            members: Vec::new(),
            left_out,
        }
    }

    /// Takes in a policy; gives the macro of who may use it, with what that stands on.
    pub(super) fn member(&mut self, policy: &str, id: &str) -> String {
        let nobody = Grants::default();
        let grants = self.access.of(policy).unwrap_or(&nobody);
        let usable = usable(&format!("{id}__usable"), grants, Some(EVERY), self.object.root());
        self.left_out.extend(usable.left_out);
        self.members.push(Member {
            id: id.to_owned(),
            usable_by_all: usable.by_all,
            refuses: false,
            corrects: false,
        });
        let every = self.every.take_if(|_| !usable.by_all).unwrap_or_default();
        every + &usable.text
    }

    /// Says of the last policy what rules it has.
    pub(super) fn rules(&mut self, refuses: bool, corrects: bool) {
        if let Some(member) = self.members.last_mut() {
            (member.refuses, member.corrects) = (refuses, corrects);
        }
    }

    /// The data of the template `set`; whether that makes a rule.
    pub(super) fn fill(&self, data: &mut Value, scope: Vec<String>) -> bool {
        let (violations, lost_defaults) =
            (self.members.iter().any(|m| m.refuses), self.members.iter().any(|m| m.corrects));
        let may_lack = !self.members.iter().any(|m| m.usable_by_all);
        let last_correcting = self.members.iter().rposition(|m| m.corrects);
        let mut members = Vec::new();
        let mut before: Option<String> = None;
        for (index, member) in self.members.iter().enumerate() {
            let Member { id, refuses, corrects, .. } = member;
            let needed = last_correcting.is_some_and(|last| index <= last);
            members.push(json!({
                "id": id, "refuses": refuses, "corrects": corrects, "admits": violations || lost_defaults,
                "before": before.clone().filter(|_| needed),
            }));
            let late = before.map(|_| format!("{id}__comes_late or ")).unwrap_or_default();
            before = Some(format!("{late}{id}__admits"));
        }
        // a policy that refuses nothing is soon asked
        let mut cheap: Vec<&Member> = self.members.iter().collect();
        cheap.sort_by_key(|m| (m.refuses, m.corrects));
        let joined = |words: Vec<String>| {
            if words.is_empty() { "jevt.rawtime=0".to_owned() } else { words.join(" or ") }
        };
        let unchanged = |m: &&Member| match m.corrects {
            true => format!("{0}__admits and not {0}__corrected", m.id),
            false => format!("{}__admits", m.id),
        };
        insert(data, "members", members);
        insert(data, "violations", violations);
        insert(data, "lost_defaults", lost_defaults);
        insert(data, "may_lack", may_lack);
        insert(data, "any", joined(cheap.iter().map(|m| format!("{}__admits", m.id)).collect()));
        insert(data, "unchanged", joined(cheap.iter().map(unchanged).collect()));
        insert(data, "usable", joined(self.members.iter().map(|m| format!("{}__usable", m.id)).collect()));
        insert(data, "scope", scope);
        may_lack
    }

    /// Names of users and groups that no condition can hold.
    pub(super) fn left_out(self) -> Vec<String> {
        self.left_out.iter().map(|name| name.to_string()).collect()
    }
}
