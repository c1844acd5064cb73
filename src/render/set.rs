//! The policies of one file as a set: who may use each, and the macros by which they decide together.
//!
//! Falco puts each macro into each rule that names it, so a rule that asks all policies costs as much as all of them.
//! Hence a rule asks only those whose answer is open: what it has just found, many of them refuse as well.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Value, json};

use super::block::{ADMITTED, Block, ID};
use super::usable::{Usable, usable};
use super::{AuditObject, insert};
use crate::access::{Access, Grants};
use crate::psp::Field;

/// The macro of who may use every policy.
const EVERY: &str = "psps_any_usable";
/// A condition that no event meets.
const NEVER: &str = "jevt.rawtime=0";

/// The policies so far that take part in the decision, in the order of their names.
pub(super) struct Set<'a> {
    access: &'a Access,
    object: AuditObject,
    /// The macro of who may use every policy, as YAML, until it is written.
    every: Option<String>,
    members: Vec<Member>,
    /// The fields of the blocks with a Violation rule, by the blocks' numbers.
    refusals: BTreeMap<usize, Field>,
    /// The macro that a block's Violation rule asks whether another policy admits the pod.
    admitted: BTreeMap<usize, String>,
    left_out: BTreeSet<Arc<str>>,
}

struct Member {
    id: String,
    usable_by_all: bool,
    /// The numbers of the blocks that say what it refuses.
    refusals: BTreeSet<usize>,
    /// What it refuses, as conditions.
    refused: Vec<String>,
    /// What it corrects, as conditions.
    corrected: Vec<String>,
}

impl Member {
    fn corrects(&self) -> bool {
        !self.corrected.is_empty()
    }
}

impl<'a> Set<'a> {
    pub(super) fn new(access: &'a Access, object: AuditObject) -> Self {
        let Usable { text, left_out, .. } = usable(EVERY, access.every(), None, object.root());
        Self {
            access,
            object,
            every: Some(format!("\n# who may use every policy{text}")),
            members: Vec::new(),
            refusals: BTreeMap::new(),
            admitted: BTreeMap::new(),
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
            refusals: BTreeSet::new(),
            refused: Vec::new(),
            corrected: Vec::new(),
        });
        let every = self.every.take_if(|_| !usable.by_all).unwrap_or_default();
        every + &usable.text
    }

    /// Says of the last policy what its fields rendered to.
    pub(super) fn rules(&mut self, blocks: &[(Field, Rc<Block>)]) {
        let refusing: Vec<_> = blocks.iter().filter(|(_, b)| b.refused.is_some()).collect();
        self.refusals.extend(refusing.iter().map(|(field, b)| (b.number, *field)));
        if let Some(member) = self.members.last_mut() {
            member.refusals = refusing.iter().map(|(_, b)| b.number).collect();
            let of = |condition: &String| condition.replace(ID, &member.id);
            member.refused = refusing.iter().filter_map(|(_, b)| b.refused.as_ref()).map(of).collect();
            member.corrected = blocks.iter().filter_map(|(_, b)| b.corrected.as_ref()).map(of).collect();
        }
    }

    /// The data of the template `set`; whether that makes a rule.
    pub(super) fn fill(&mut self, data: &mut Value, scope: Vec<String>) -> bool {
        let admitted = self.name_admitted();
        let may_lack = !self.members.iter().any(|m| m.usable_by_all);
        let correcting = || self.members.iter().enumerate().filter(|(_, m)| m.corrects()).map(|(i, _)| i);
        let lost_defaults = correcting().next().is_some();
        let (first, last) =
            (correcting().next().unwrap_or(usize::MAX), correcting().next_back().unwrap_or(0));
        let mut members: Vec<Value> = Vec::new();
        let mut before: Option<String> = None;
        for (index, member) in self.members.iter().enumerate() {
            let id = &member.id;
            let before_it = before.clone().filter(|_| lost_defaults && index <= last);
            let late = before.map(|_| format!("{id}__comes_late or ")).unwrap_or_default();
            before = Some(format!("{late}{id}__admits"));
            members.push(json!({ "id": id, "before": before_it }));
        }
        let mut reversed: Vec<Value> = Vec::new();
        let mut after: Option<String> = None;
        for ((index, member), data) in self.members.iter().enumerate().zip(&members).rev() {
            let id = &member.id;
            let after_it = after.clone().filter(|_| index >= first);
            let mut verdict = Vec::new();
            if !member.refusals.is_empty() {
                verdict.push(format!("not {id}__refused"));
            }
            if data.get("before").is_some_and(|b| !b.is_null()) {
                verdict.push(format!("not {id}__comes_late"));
            }
            if after_it.is_some() {
                verdict.push(format!("(not {id}__gives_way or psps_changed_by_all)"));
            }
            let verdict = if verdict.is_empty() { format!("not {NEVER}") } else { verdict.join(" and ") };
            reversed.push(
                json!({"id": id, "corrects": member.corrects(), "after": after_it, "verdict": verdict}),
            );
            let corrected =
                if member.corrects() { format!(" and not {id}__corrected") } else { String::new() };
            let late = after.map(|_| format!(" or {id}__gives_way")).unwrap_or_default();
            after = Some(format!("{id}__admits{corrected}{late}"));
        }
        let usable: Vec<String> = self.members.iter().map(|m| format!("{}__usable", m.id)).collect();
        insert(
            data,
            "changed_by_all",
            reversed.iter().any(|m| {
                m.get("corrects") == Some(&Value::Bool(true)) && m.get("after").is_some_and(|a| !a.is_null())
            }),
        );
        let mut words: BTreeSet<&str> = BTreeSet::new();
        let conditions = (admitted.iter().map(|m| m.get("any")))
            .chain(members.iter().map(|m| m.get("before")))
            .chain(reversed.iter().flat_map(|m| {
                [m.get("after"), m.get("verdict").filter(|_| m.get("corrects") == Some(&Value::Bool(true)))]
            }));
        for condition in conditions.flatten().filter_map(Value::as_str) {
            words.extend(condition.split([' ', '(', ')']));
        }
        let asked: Vec<Value> = self
            .members
            .iter()
            .map(|member| {
                let id = &member.id;
                let named = |what: &str| words.contains(format!("{id}__{what}").as_str());
                let refuses = !member.refused.is_empty();
                let admits = named("admits");
                json!({
                    "id": id, "admits": admits, "refuses": refuses,
                    "refused": (refuses && (admits || named("refused"))).then(|| member.refused.join(" or ")),
                    "corrected": named("corrected").then(|| member.corrected.join(" or ")),
                })
            })
            .collect();
        insert(data, "asked", asked);
        insert(data, "members", members);
        insert(data, "reversed", reversed);
        insert(data, "admitted", admitted);
        insert(data, "lost_defaults", lost_defaults);
        insert(data, "may_lack", may_lack);
        insert(data, "usable", if usable.is_empty() { NEVER.to_owned() } else { usable.join(" or ") });
        insert(data, "scope", scope);
        may_lack
    }

    /// Names the macro that each Violation rule asks, and gives what they are.
    fn name_admitted(&mut self) -> Vec<Value> {
        let mut names: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let mut macros = Vec::new();
        for (number, field) in &self.refusals {
            let all = self.members.iter().enumerate();
            let mut open: Vec<usize> =
                all.filter(|(_, m)| !m.refusals.contains(number)).map(|(i, _)| i).collect();
            let general = open.len() + 1 == self.members.len() && self.members.len() > 1;
            if general {
                open = (0..self.members.len()).collect();
            }
            let taken = names.values().filter(|n| n.contains(&format!("_with_{field}"))).count();
            let name = names.entry(open.clone()).or_insert_with(|| {
                let name = match (general, taken) {
                    (true, _) => "psps_admitted".to_owned(),
                    (false, 0) => format!("psps_admitted_with_{field}"),
                    (false, n) => format!("psps_admitted_with_{field}_{}", n + 1),
                };
                // a policy that refuses little is soon asked
                let mut open: Vec<&Member> = open.iter().filter_map(|i| self.members.get(*i)).collect();
                open.sort_by_key(|m| m.refusals.len());
                let any: Vec<String> = open.iter().map(|m| format!("{}__admits", m.id)).collect();
                let any = if any.is_empty() { NEVER.to_owned() } else { any.join(" or ") };
                macros.push(json!({"name": name, "any": any}));
                name
            });
            self.admitted.insert(*number, name.clone());
        }
        macros
    }

    /// The rules with the names of the macros that they ask.
    pub(super) fn named(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        for (index, part) in text.split(ADMITTED).enumerate() {
            let number = part.parse().ok().filter(|_| index % 2 == 1);
            let name = number.and_then(|n: usize| self.admitted.get(&n));
            named.push_str(name.map_or(part, String::as_str));
        }
        named
    }

    /// Names of users and groups that no condition can hold.
    pub(super) fn left_out(self) -> Vec<String> {
        self.left_out.iter().map(|name| name.to_string()).collect()
    }
}
