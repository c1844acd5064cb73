//! How policies decide together: each rule counts only where no other policy that the requester may use says otherwise.
//!
//! Falco puts each macro into each rule that names it, so a rule that asks all policies costs as much as all of them.
//! Hence a rule asks only those whose answer is open: what it has just found, many of them refuse as well.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use psp_admission::Field;
use psp_admission::access::{Access, Grants};
use serde_json::{Map, Value, json};

use super::grants::{EVERY, Usable, usable};
use super::item::{NEVER, PolicyText, TemplateItem};
use super::macro_name::macro_name;
use super::options::AuditObject;
use super::rules_file::{FieldRules, PolicyRules, RulesFile};
use super::source::Source;
use crate::problem::Place;
use crate::read::Located;

/// The policies so far that take part in the decision, in the order of their names.
pub(super) struct Decision<'a> {
    access: &'a Access,
    object: AuditObject,
    /// The macro of who may use every policy, with its lists, until it is placed.
    every: Option<Vec<Rc<TemplateItem>>>,
    members: Vec<Member>,
    left_out: BTreeSet<Arc<str>>,
}

/// A policy that takes part.
struct Member {
    id: String,
    place: Place,
    /// Who may use it: the macro, with what that stands on.
    usable: Vec<Rc<TemplateItem>>,
    usable_by_all: bool,
    rules: Option<PolicyRules>,
    /// What it refuses: conditions, by the numbers of the fields' rules.
    refused: BTreeMap<usize, String>,
    /// What it corrects, likewise.
    corrected: BTreeMap<usize, String>,
}

impl Member {
    fn corrects(&self) -> bool {
        !self.corrected.is_empty()
    }
}

impl<'a> Decision<'a> {
    pub(super) fn new(access: &'a Access, object: AuditObject) -> Result<Self> {
        let Usable { items, left_out, .. } = usable(EVERY, access.every(), None, object.root())?;
        Ok(Self { access, object, every: Some(items), members: Vec::new(), left_out })
    }

    /// Takes in a policy with its rules, if it has any.
    ///
    /// # Errors
    /// A condition that Falco would not read.
    pub(super) fn add(&mut self, located: &Located, rules: Option<PolicyRules>) -> Result<()> {
        let policy = &located.policy.name;
        let id = macro_name(policy);
        let nobody = Grants::default();
        let grants = self.access.of(policy).unwrap_or(&nobody);
        let own = usable(&format!("{id}__usable"), grants, Some(EVERY), self.object.root())?;
        self.left_out.extend(own.left_out);
        let every = self.every.take_if(|_| !own.by_all);
        let texts = |of: fn(&FieldRules) -> Option<&PolicyText>| -> BTreeMap<usize, String> {
            let rules = rules.iter().flat_map(|rules| rules.fields.iter().map(|field| (field, &rules.names)));
            rules.filter_map(|(field, names)| Some((field.number, of(field)?.with(names)))).collect()
        };
        self.members.push(Member {
            refused: texts(|field| field.refused.as_ref()),
            corrected: texts(|field| field.corrected.as_ref()),
            id,
            place: located.place.clone(),
            usable: every.into_iter().flatten().chain(own.items).collect(),
            usable_by_all: own.by_all,
            rules,
        });
        Ok(())
    }

    /// Adds all of it to the file: who may use which policy, the rules, and how they decide together. Gives the names of
    /// users and groups that no condition can hold.
    ///
    /// # Errors
    /// A template that does not render, and rules that have grown beyond all use.
    pub(super) fn finish(self, file: &mut RulesFile, scope: Vec<String>) -> Result<Vec<String>> {
        let common = Common::of(&self.members);
        let mut macros = self.asked(&common);
        let admitted = self.name_admitted(&common, &mut macros);
        self.verdicts(&common, &mut macros);
        let may_lack = self.access.whole && !self.members.iter().any(|m| m.usable_by_all);
        let usable: Vec<String> = self.members.iter().map(|m| format!("{}__usable", m.id)).collect();
        let usable = if usable.is_empty() { NEVER.to_owned() } else { usable.join(" or ") };
        let macros = macros.into_iter().filter(|item| !item.condition.is_empty()).map(Macro::data).collect();
        let data: [(&str, Value); 4] = [
            ("macros", Value::Array(macros)),
            ("may_lack", may_lack.into()),
            ("usable", usable.into()),
            ("scope", scope.into()),
        ];
        let data: Map<String, Value> = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for member in &self.members {
            file.add_shared(&member.usable);
            if let Some(rules) = &member.rules {
                file.add(rules, &admitted, &member.place)?;
            }
        }
        file.add_shared(&file.templates.items(Source::Shared("set", data))?);
        Ok(self.left_out.iter().map(|name| name.to_string()).collect())
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

    /// Names the macro that the Violation rules of each number ask, and adds what they are.
    fn name_admitted(&self, common: &Common, macros: &mut Vec<Macro>) -> BTreeMap<usize, String> {
        let mut names: BTreeMap<Vec<usize>, String> = BTreeMap::new();
        let mut admitted = BTreeMap::new();
        let rules = self.members.iter().flat_map(|m| m.rules.iter().flat_map(|rules| &rules.fields));
        let refusals: BTreeMap<usize, Field> =
            rules.filter(|rules| rules.refused.is_some()).map(|rules| (rules.number, rules.field)).collect();
        for (number, field) in &refusals {
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
                let first = admitted.is_empty();
                macros.push(Macro::new(&name, format!("({any})")).comment_if(
                    first,
                    "Some usable policy does not refuse the pod. Those that refuse what a rule has just found need not be asked.",
                ));
                name
            });
            admitted.insert(*number, name.clone());
        }
        admitted
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
}

/// A macro and the comment above it; one without a condition is not written.
struct Macro {
    name: String,
    condition: String,
    comment: Option<&'static str>,
}

impl Macro {
    fn new(name: &str, condition: impl Into<String>) -> Self {
        Self { name: name.to_owned(), condition: condition.into(), comment: None }
    }

    fn comment(self, comment: &'static str) -> Self {
        self.comment_if(true, comment)
    }

    fn comment_if(mut self, commented: bool, comment: &'static str) -> Self {
        self.comment = commented.then_some(comment);
        self
    }

    /// As the template takes it.
    fn data(self) -> Value {
        json!({"name": self.name, "condition": self.condition, "comment": self.comment})
    }
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
