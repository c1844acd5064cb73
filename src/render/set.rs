//! The policies of one file as a set: who may use each, and the macros by which they decide together.
//!
//! Falco puts each macro into each rule that names it, so a rule that asks all policies costs as much as all of them.
//! Hence a rule asks only those whose answer is open: what it has just found, many of them refuse as well.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use psp_admission::Field;
use psp_admission::access::{Access, Grants};
use serde_json::{Value, json};

use super::block::{ADMITTED, Block, ID};
use super::usable::{Usable, usable};
use super::{AuditObject, insert};

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
    /// The macros of who may use what, by name, as YAML with what they stand on.
    written: Vec<(String, String)>,
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
    /// What it refuses: conditions, by the numbers of their blocks.
    refused: BTreeMap<usize, String>,
    /// What it corrects, likewise.
    corrected: BTreeMap<usize, String>,
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
            written: Vec::new(),
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
            refused: BTreeMap::new(),
            corrected: BTreeMap::new(),
        });
        let every = self.every.take_if(|_| !usable.by_all);
        let own = (format!("{id}__usable"), usable.text);
        let written: Vec<_> = every.map(|every| (EVERY.to_owned(), every)).into_iter().chain([own]).collect();
        let text = written.iter().map(|(_, text)| text.as_str()).collect();
        self.written.extend(written);
        text
    }

    /// Says of the last policy what its fields rendered to.
    pub(super) fn rules(&mut self, blocks: &[(Field, Rc<Block>)]) {
        let refusing = blocks.iter().filter(|(_, b)| b.refused.is_some());
        self.refusals.extend(refusing.map(|(field, b)| (b.number, *field)));
        if let Some(member) = self.members.last_mut() {
            let own = |b: &Block, condition: &Option<String>| {
                Some((b.number, condition.as_ref()?.replace(ID, &member.id)))
            };
            member.refused = blocks.iter().filter_map(|(_, b)| own(b, &b.refused)).collect();
            member.corrected = blocks.iter().filter_map(|(_, b)| own(b, &b.corrected)).collect();
        }
    }

    /// The data of the template `set`; whether that makes a rule.
    pub(super) fn fill(&mut self, data: &mut Value, scope: Vec<String>) -> bool {
        let common = Common::of(&self.members);
        let mut macros = self.asked(&common);
        let mut roots = self.name_admitted(&common, &mut macros);
        self.verdicts(&common, &mut macros);
        roots.extend(self.members.iter().filter(|m| m.corrects()).map(|m| format!("{}__corrects", m.id)));
        let may_lack = self.access.whole && !self.members.iter().any(|m| m.usable_by_all);
        let usable: Vec<String> = self.members.iter().map(|m| format!("{}__usable", m.id)).collect();
        insert(data, "macros", named_only(macros, roots));
        insert(data, "may_lack", may_lack);
        insert(data, "usable", if usable.is_empty() { NEVER.to_owned() } else { usable.join(" or ") });
        insert(data, "scope", scope);
        may_lack
    }

    /// What each policy refuses and corrects, and whether it admits a pod (those that have it in common: apart from
    /// what they all refuse).
    fn asked(&self, common: &Common) -> Vec<Macro> {
        let text = |conditions: &BTreeMap<usize, String>, except: &BTreeSet<usize>| {
            let left: Vec<&str> =
                conditions.iter().filter(|(n, _)| !except.contains(n)).map(|(_, c)| c.as_str()).collect();
            left.join(" or ")
        };
        let mut macros = vec![
            Macro::new("psps_commonly_refused", common.texts(&common.refused, |m| &m.refused, &self.members))
                .comment("What most policies refuse, and what they correct: asked once for all of them."),
            Macro::new(
                "psps_commonly_corrected",
                common.texts(&common.corrected, |m| &m.corrected, &self.members),
            ),
        ];
        let none = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate() {
            let id = &member.id;
            let (refuses, corrects) = (common.refuses(index), common.corrects(index));
            let else_refused = text(&member.refused, if refuses { &common.refused } else { &none });
            let else_corrected = text(&member.corrected, if corrects { &common.corrected } else { &none });
            macros.push(Macro::new(&format!("{id}__refused"), text(&member.refused, &none)));
            let refused = if refuses { "refused_else" } else { "refused" };
            macros.push(Macro::new(&format!("{id}__refused_else"), else_refused.clone()));
            macros.push(Macro::new(&format!("{id}__corrected"), else_corrected.clone()));
            let not_refused =
                if else_refused.is_empty() { String::new() } else { format!(" and not {id}__{refused}") };
            macros.push(Macro::new(&format!("{id}__admits"), format!("({id}__usable{not_refused})")));
        }
        macros
    }

    /// Names the macro that each Violation rule asks, and adds what they are.
    fn name_admitted(&mut self, common: &Common, macros: &mut Vec<Macro>) -> BTreeSet<String> {
        let mut names: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        for (number, field) in &self.refusals {
            let all = self.members.iter().enumerate();
            let mut open: Vec<usize> =
                all.filter(|(_, m)| !m.refused.contains_key(number)).map(|(i, _)| i).collect();
            let general = open.len() + 1 == self.members.len() && self.members.len() > 1;
            if general {
                open = (0..self.members.len()).collect();
            }
            let with = format!("psps_admitted_with_{field}");
            let taken = names.values().filter(|n| **n == with || n.starts_with(&format!("{with}_"))).count();
            let name = names.entry(open.clone()).or_insert_with(|| {
                let name = match (general, taken) {
                    (true, _) => "psps_admitted".to_owned(),
                    (false, 0) => with,
                    (false, n) => format!("{with}_{}", n + 1),
                };
                // a policy that refuses little is soon asked
                open.sort_by_key(|i| self.members.get(*i).map(|m| m.refused.len()));
                let (mut others, mut alike) = (Vec::new(), Vec::new());
                for index in open {
                    let Some(member) = self.members.get(index) else { continue };
                    let list = if common.refuses(index) { &mut alike } else { &mut others };
                    list.push(format!("{}__admits", member.id));
                }
                if !alike.is_empty() {
                    others.push(format!("not psps_commonly_refused and ({})", alike.join(" or ")));
                }
                let any = if others.is_empty() { NEVER.to_owned() } else { others.join(" or ") };
                let admitted = Macro::new(&name, format!("({any})"));
                macros.push(match names_are_new(macros) {
                    true => admitted.comment(
                        "Some usable policy does not refuse the pod. Those that refuse what a rule has just found need not be asked.",
                    ),
                    false => admitted,
                });
                name
            });
            self.admitted.insert(*number, name.clone());
        }
        names.into_values().collect()
    }

    /// Adds when the corrections of a policy have their way.
    fn verdicts(&self, common: &Common, macros: &mut Vec<Macro>) {
        macros.push(
            Macro::new(
                "psps_changed_by_all",
                ">\n    (jevt.value[/requestObject/spec/securityContext/seccompProfile] exists and not ka.target.subresource exists\n    \
                 and not jevt.value[/requestObject/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod] exists)",
            )
            .comment("As sent, the pod has a seccomp profile without the annotation that stood for it: every policy added that."),
        );
        let (mut before, mut after) = (Chains::default(), Chains::default());
        let mut late = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let it = member.corrects().then(|| before.so_far(&member.id, "before", macros)).flatten();
            late.push(it);
            before.add(usize::from(common.refuses(index)), format!("{}__admits", member.id));
        }
        let mut corrects = Vec::new();
        for ((index, member), late) in self.members.iter().enumerate().zip(late).rev() {
            let id = &member.id;
            if member.corrects() {
                let mut verdict = Vec::new();
                if !member.refused.is_empty() {
                    verdict.push(format!("not {id}__refused"));
                }
                if let Some(late) = late {
                    verdict.push(format!("not ({late})"));
                }
                if let Some(unchanged) = after.so_far(id, "after", macros) {
                    verdict.push(format!("(psps_changed_by_all or not ({unchanged}))"));
                }
                let verdict = if verdict.is_empty() { format!("not {NEVER}") } else { verdict.join(" and ") };
                corrects.push(Macro::new(&format!("{id}__corrects"), format!("({verdict})")));
            }
            let alike = common.refuses(index) && common.corrects(index);
            let else_corrects =
                member.corrected.keys().any(|n| !(common.corrects(index) && common.corrected.contains(n)));
            let corrected = if else_corrects { format!(" and not {id}__corrected") } else { String::new() };
            // one that corrects what the common ones do, but refuses otherwise, is asked in full
            let own = if common.corrects(index) && !common.refuses(index) {
                " and not psps_commonly_corrected"
            } else {
                ""
            };
            let class = usize::from(common.refuses(index)) + usize::from(alike);
            after.add(class, format!("{id}__admits{own}{corrected}"));
        }
        if let Some(first) = corrects.pop() {
            macros.push(first.comment(
                "A policy that corrects a pod has its way where none before it admits the pod, and none after it as it is.",
            ));
            macros.extend(corrects.into_iter().rev());
        }
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

    /// The rules without the macros of who may use what that none of them asks.
    pub(super) fn asked_only(&self, mut text: String) -> String {
        let mut asked = asked(&text);
        for (name, unasked) in self.written.iter().rev() {
            if !asked.contains(name) {
                text = text.replacen(unasked, "", 1);
                asked = self::asked(&text);
            }
        }
        text
    }

    /// Names of users and groups that no condition can hold.
    pub(super) fn left_out(self) -> Vec<String> {
        self.left_out.iter().map(|name| name.to_string()).collect()
    }
}

/// A macro and the comment above it; one without a condition is not there.
struct Macro {
    name: String,
    condition: String,
    comment: Option<&'static str>,
}

impl Macro {
    fn new(name: &str, condition: impl Into<String>) -> Self {
        Self { name: name.to_owned(), condition: condition.into(), comment: None }
    }

    fn comment(mut self, comment: &'static str) -> Self {
        self.comment = Some(comment);
        self
    }
}

/// Is there no macro yet that tells whether another policy admits the pod?
fn names_are_new(macros: &[Macro]) -> bool {
    !macros.iter().any(|m| m.name.starts_with("psps_admitted"))
}

/// The macros that these or those after them name: Falco warns of others.
fn named_only(macros: Vec<Macro>, mut named: BTreeSet<String>) -> Value {
    let mut kept = Vec::new();
    for item in macros.into_iter().rev().filter(|m| !m.condition.is_empty()) {
        if named.contains(&item.name) {
            let words = item.condition.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            named.extend(words.filter(|w| w.starts_with("psp")).map(str::to_owned));
            kept.push(json!({"name": item.name, "condition": item.condition, "comment": item.comment}));
        }
    }
    kept.into_iter().rev().collect()
}

/// What many policies refuse, and what many of those correct, by the numbers of the blocks that say so.
struct Common {
    refused: BTreeSet<usize>,
    corrected: BTreeSet<usize>,
    /// Which policies refuse all of it.
    refusing: BTreeSet<usize>,
    /// Which policies correct all of it.
    correcting: BTreeSet<usize>,
}

impl Common {
    fn of(members: &[Member]) -> Self {
        let keys = |conditions: &BTreeMap<usize, String>| conditions.keys().copied().collect();
        let (refused, refusing) = shared(&members.iter().map(|m| keys(&m.refused)).collect::<Vec<_>>());
        let (corrected, correcting) = shared(&members.iter().map(|m| keys(&m.corrected)).collect::<Vec<_>>());
        Self { refused, corrected, refusing, correcting }
    }

    fn refuses(&self, member: usize) -> bool {
        self.refusing.contains(&member)
    }

    fn corrects(&self, member: usize) -> bool {
        self.correcting.contains(&member)
    }

    /// The conditions of the blocks, as the first policy that has them says them.
    fn texts(
        &self,
        numbers: &BTreeSet<usize>,
        of: fn(&Member) -> &BTreeMap<usize, String>,
        members: &[Member],
    ) -> String {
        let condition = |number| members.iter().find_map(|m| of(m).get(number).cloned());
        numbers.iter().filter_map(condition).collect::<Vec<_>>().join(" or ")
    }
}

/// So many policies must have something in common before it is worth a macro more to read.
const FEW: usize = 4;

/// The elements of some sets that are worth taking out, and the sets that have them all: as many elements times as many
/// sets as can be had by taking elements in the order of their frequency.
fn shared(sets: &[BTreeSet<usize>]) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    sets.iter().flatten().for_each(|n| *counts.entry(*n).or_default() += 1);
    let mut by_count: Vec<usize> = counts.keys().copied().collect();
    by_count.sort_by_key(|n| std::cmp::Reverse(counts.get(n).copied()));
    let mut best = (BTreeSet::new(), BTreeSet::new());
    let mut taken = BTreeSet::new();
    let mut having: BTreeSet<usize> = (0..sets.len()).collect();
    for number in by_count {
        taken.insert(number);
        having.retain(|i| sets.get(*i).is_some_and(|s| s.contains(&number)));
        let worth =
            |taken: &BTreeSet<usize>, having: &BTreeSet<usize>| taken.len() * having.len().saturating_sub(1);
        if having.len() >= FEW && worth(&taken, &having) > worth(&best.0, &best.1) {
            best = (taken.clone(), having.clone());
        }
    }
    best
}

/// Policies in a row, asked so far: those asked in full, those that have much in common, and those of them that also
/// correct much in common.
#[derive(Default)]
struct Chains([Chain; 3]);

#[derive(Default)]
struct Chain {
    /// The macro of those up to the last that needed it.
    so_far: Option<String>,
    /// Those since.
    since: Vec<String>,
}

impl Chains {
    fn add(&mut self, class: usize, condition: String) {
        if let Some(chain) = self.0.get_mut(class) {
            chain.since.push(condition);
        }
    }

    /// A condition: one of those so far holds.
    fn so_far(&mut self, id: &str, what: &str, macros: &mut Vec<Macro>) -> Option<String> {
        let mut parts = Vec::new();
        for (chain, suffix) in self.0.iter_mut().zip(["", "_alike", "_same"]) {
            if !chain.since.is_empty() {
                let name = format!("{id}__{what}{suffix}");
                let all: Vec<String> = chain.so_far.take().into_iter().chain(chain.since.drain(..)).collect();
                macros.push(Macro::new(&name, format!("({})", all.join(" or "))));
                chain.so_far = Some(name);
            }
            parts.push(chain.so_far.clone());
        }
        let [full, alike, same] = parts.as_slice() else { return None };
        let mut inner: Vec<String> = alike.iter().cloned().collect();
        inner.extend(same.as_ref().map(|s| format!("not psps_commonly_corrected and {s}")));
        let common = match inner.as_slice() {
            [] => None,
            [one] => Some(format!("not psps_commonly_refused and {one}")),
            many => Some(format!("not psps_commonly_refused and ({})", many.join(" or "))),
        };
        let all: Vec<String> = full.iter().cloned().chain(common).collect();
        (!all.is_empty()).then(|| all.join(" or "))
    }
}

/// The names of macros that a text has elsewhere than where they are defined.
fn asked(text: &str) -> BTreeSet<String> {
    let conditions = text.lines().filter(|line| !line.starts_with("- macro: "));
    let words = conditions.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with("psp")).map(str::to_owned).collect()
}
