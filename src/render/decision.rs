//! How policies decide together: each rule counts only where no other policy that the requester may use says otherwise.
//!
//! Falco copies each macro into each rule that names it, and judges each copy anew. So a rule asks no policy that makes
//! no difference to it:
//! - one that no request can hold together with the rule's own, as those of two applications in two namespaces;
//! - one that certainly refuses each pod that the rule is about: it allows no more in that field than the rule's own policy;
//! - of two that the same requesters may use, the one that refuses what the other refuses, and more.
//!
//! Administrators may use every policy. For them, policies answer that nobody else holds together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Result;
use psp_admission::access::{Access, Grants, Holders};
use psp_admission::{Field, Policy, refuses_all_of};
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
    members: Vec<Member<'a>>,
    /// Numbers of what rules ask of the pod.
    tests: HashMap<Test, usize>,
    left_out: BTreeSet<Arc<str>>,
    /// All templates are the built-in ones, so that a policy's rules refuse what the policy does.
    built_in: bool,
}

/// What rules ask of the pod, apart from the policies that ask it.
#[derive(PartialEq, Eq, Hash)]
enum Test {
    /// The same condition in the rules of all policies.
    Shared(PolicyText),
    /// A condition by macros of the policy's own, by the number of the field's rules.
    Own { rules: usize, corrects: bool },
}

/// A policy that takes part.
struct Member<'a> {
    policy: &'a Policy,
    id: String,
    place: Place,
    /// Who may use it: the macro, with what that stands on.
    usable: Vec<Rc<TemplateItem>>,
    usable_by_all: bool,
    /// Its rules count for everybody, though nobody is known to may use it.
    stands_alone: bool,
    holders: Holders<'a>,
    rules: Option<PolicyRules>,
    /// What it refuses: conditions, by the numbers of their tests.
    refused: BTreeMap<usize, String>,
    /// The fields of these tests.
    fields: BTreeMap<usize, Field>,
    /// What it corrects, likewise.
    corrected: BTreeMap<usize, String>,
}

impl<'a> Decision<'a> {
    /// `built_in`: no template is replaced.
    pub(super) fn new(access: &'a Access, object: AuditObject, built_in: bool) -> Result<Self> {
        let Usable { items, left_out, .. } = usable(EVERY, access.every(), None, object.root())?;
        let (members, tests) = (Vec::new(), HashMap::new());
        Ok(Self { access, object, every: Some(items), members, tests, left_out, built_in })
    }

    /// Takes in a policy with its rules, if it has any.
    ///
    /// # Errors
    /// A condition that Falco would not read.
    pub(super) fn add(&mut self, located: &'a Located, rules: Option<PolicyRules>) -> Result<()> {
        let policy = &located.policy.name;
        let id = macro_name(policy);
        let nobody = Grants::default();
        let grants = self.access.of(policy).unwrap_or(&nobody);
        let own = usable(&format!("{id}__usable"), grants, Some(EVERY), self.object.root())?;
        self.left_out.extend(own.left_out);
        let every = self.every.take_if(|_| !own.by_all);
        let (mut refused, mut corrected, mut fields) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        if let Some(rules) = &rules {
            for field in &rules.fields {
                for (asked, corrects, tests) in
                    [(&field.refused, false, &mut refused), (&field.corrected, true, &mut corrected)]
                {
                    if let Some(condition) = asked {
                        let next = self.tests.len();
                        let number = *self.tests.entry(test(field, condition, corrects)).or_insert(next);
                        tests.insert(number, condition.with(&rules.names));
                        if !corrects {
                            fields.insert(number, field.field);
                        }
                    }
                }
            }
        }
        self.members.push(Member {
            policy: &located.policy,
            id,
            place: located.place.clone(),
            usable: every.into_iter().flatten().chain(own.items).collect(),
            usable_by_all: own.by_all,
            stands_alone: self.access.stands_alone(policy),
            holders: self.access.of(policy).map(Grants::holders).unwrap_or_default(),
            rules,
            refused,
            fields,
            corrected,
        });
        Ok(())
    }

    /// Adds all of it to the file: who may use which policy, the rules, and how they decide together. Gives the names of
    /// users and groups that no condition can hold.
    ///
    /// # Errors
    /// A template that does not render, and rules that have grown beyond all use.
    pub(super) fn finish(self, file: &mut RulesFile, scope: Vec<String>) -> Result<Vec<String>> {
        let mut macros = Macros::default();
        let indexes = 0..self.members.len();
        let admitted: Vec<_> = indexes.clone().map(|index| self.admitted(index, &mut macros)).collect();
        indexes.for_each(|index| self.corrects(index, &mut macros));
        let may_lack = self.access.whole && !self.members.iter().any(|m| m.usable_by_all);
        let usable: Vec<String> = self.members.iter().map(|m| format!("{}__usable", m.id)).collect();
        let usable = if usable.is_empty() { NEVER.to_owned() } else { usable.join(" or ") };
        let data: [(&str, Value); 4] = [
            ("macros", macros.data()),
            ("may_lack", may_lack.into()),
            ("usable", usable.into()),
            ("scope", scope.into()),
        ];
        let data: Map<String, Value> = data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for (member, admitted) in self.members.iter().zip(&admitted) {
            file.add_shared(&member.usable);
            if let Some(rules) = &member.rules {
                file.add(rules, admitted, &member.place)?;
            }
        }
        file.add_shared(&file.templates.items(Source::Shared("set", data))?);
        Ok(self.left_out.iter().map(|name| name.to_string()).collect())
    }

    /// The macros that a policy's Violation rules ask whether another policy admits the pod, by the numbers of the
    /// fields' rules.
    fn admitted(&self, index: usize, macros: &mut Macros) -> BTreeMap<usize, String> {
        let mut names = BTreeMap::new();
        let own = self.members.get(index);
        let Some((own, rules)) = own.and_then(|own| Some((own, own.rules.as_ref()?))) else {
            return names;
        };
        for field in &rules.fields {
            let Some(condition) = &field.refused else {
                continue;
            };
            let found = self.tests.get(&test(field, condition, false));
            let open = |_: usize, member: &Member<'_>| {
                let refuses = found.is_some_and(|number| member.refused.contains_key(number));
                let refuses = refuses || self.refuses_all_of(member, own, field.field);
                (!refuses).then(|| member.refused.clone())
            };
            let others = self.others(index, open);
            names.insert(field.number, macros.admitted(field.field.name(), others));
        }
        names
    }

    /// Adds the macro by which a policy that corrects a pod has its way: it does not refuse the pod, no policy before it
    /// admits the pod, and none after it admits the pod as it is.
    fn corrects(&self, index: usize, macros: &mut Macros) {
        let Some(own) = self.members.get(index).filter(|member| !member.corrected.is_empty()) else {
            return;
        };
        let id = &own.id;
        let mut verdict = Vec::new();
        if !own.refused.is_empty() {
            macros.add(&format!("{id}__refused"), &any(&own.refused), None);
            verdict.push(format!("not {id}__refused"));
        }
        // what the policy itself refuses is not so here
        let else_refused = |other: &Member<'_>| -> Tests {
            let tests = other.refused.iter().filter(|(number, _)| !own.refused.contains_key(number));
            let tests = tests.filter(|(number, _)| {
                let field = other.fields.get(number);
                !field.is_some_and(|field| self.refuses_all_of(own, other, *field))
            });
            tests.map(|(number, condition)| (*number, condition.clone())).collect()
        };
        let before = self.others(index, |at, other| (at < index).then(|| else_refused(other)));
        let after = self.others(index, |at, other| {
            // one that corrects all that this policy does is no policy that leaves the pod as it is
            let changes = own.corrected.keys().all(|number| other.corrected.contains_key(number));
            (at > index && !changes).then(|| {
                let mut tests = else_refused(other);
                tests.extend(other.corrected.iter().map(|(number, condition)| (*number, condition.clone())));
                tests
            })
        });
        match before {
            Condition::Never => {}
            Condition::Always => verdict.push(NEVER.to_owned()),
            Condition::If(before) => verdict.push(format!("not ({before})")),
        }
        match after {
            Condition::Never => {}
            Condition::Always => verdict.push("psps_changed_by_all".to_owned()),
            Condition::If(after) => verdict.push(format!("(psps_changed_by_all or not ({after}))")),
        }
        let verdict = if verdict.is_empty() { format!("not {NEVER}") } else { verdict.join(" and ") };
        macros.add(
            &format!("{id}__corrects"),
            &format!("({verdict})"),
            Some(
                "A policy that corrects a pod has its way where none before it admits the pod, and none after it as it is.",
            ),
        );
    }

    /// Do the rules of a policy refuse each pod that another one's refuse because of `field`?
    fn refuses_all_of(&self, member: &Member<'_>, other: &Member<'_>, field: Field) -> bool {
        self.built_in && refuses_all_of(member.policy, other.policy, field)
    }

    /// A condition: of some policies beside this one, the requester may use one, and nothing of what that one is asked is
    /// so. `asked` says of each policy what it is asked; none for a policy that is left out.
    fn others(&self, index: usize, asked: impl Fn(usize, &Member<'a>) -> Option<Tests>) -> Condition {
        let (mut together, mut administrators) = (Vec::new(), Vec::new());
        let Some(own) = self.members.get(index) else {
            return Condition::Never;
        };
        for (at, member) in self.members.iter().enumerate().filter(|(at, _)| *at != index) {
            let Some(tests) = asked(at, member) else {
                continue;
            };
            let usable = (!member.usable_by_all).then(|| format!("{}__usable", member.id));
            match member.usable_by_all || own.stands_alone || own.holders.meet(&member.holders) {
                true => together.push(Other { usable, tests }),
                false => administrators.push(Other { usable: None, tests }),
            }
        }
        let together = least(together, &[]);
        let administrators = least(administrators, &together);
        let every = match any_admits(&administrators) {
            Condition::Never => None,
            Condition::Always => Some(EVERY.to_owned()),
            Condition::If(condition) => Some(format!("{EVERY} and ({condition})")),
        };
        match (any_admits(&together), every) {
            (Condition::Always, _) => Condition::Always,
            (Condition::Never, None) => Condition::Never,
            (Condition::Never, Some(every)) => Condition::If(every),
            (condition, None) => condition,
            (Condition::If(condition), Some(every)) => Condition::If(format!("{condition} or {every}")),
        }
    }
}

/// What a rule asks of the pod.
fn test(field: &FieldRules, condition: &PolicyText, corrects: bool) -> Test {
    match condition.is_shared() {
        true => Test::Shared(condition.clone()),
        false => Test::Own { rules: field.number, corrects },
    }
}

/// Conditions, by the numbers of their tests.
type Tests = BTreeMap<usize, String>;

/// A policy that another one's rule asks.
struct Other {
    /// The macro of who may use it; none where that is certain.
    usable: Option<String>,
    /// What must not be so.
    tests: Tests,
}

impl Other {
    /// The condition that it answers by, without some tests; none where it always holds.
    fn condition(&self, without: &BTreeSet<usize>) -> Option<String> {
        let tests = self.tests.iter().filter(|(number, _)| !without.contains(number));
        let tests: Vec<&str> = tests.map(|(_, condition)| condition.as_str()).collect();
        let tests = (!tests.is_empty()).then(|| format!("not ({})", tests.join(" or ")));
        let parts: Vec<String> = self.usable.iter().cloned().chain(tests).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

/// When something holds.
enum Condition {
    Never,
    Always,
    If(String),
}

/// With so many policies each is compared, those with the fewest tests: more would take long, and find little.
const COMPARED: usize = 16;

/// The policies without those that are asked for nothing, since another passes wherever they pass: one of `certain`, or
/// one that may be used by all who may use them.
fn least(mut others: Vec<Other>, certain: &[Other]) -> Vec<Other> {
    others.sort_by_key(|other| (other.tests.len(), other.usable.is_some()));
    let mut kept: Vec<Other> = Vec::new();
    for other in others {
        let open = kept.iter().filter(|kept| kept.usable.is_none());
        let passes = |known: &Other| known.tests.keys().all(|number| other.tests.contains_key(number));
        if !certain.iter().chain(open).take(COMPARED).any(passes) {
            kept.push(other);
        }
    }
    kept
}

/// A condition: one of the policies may be used, and nothing of what it is asked is so. What many are asked is asked
/// once.
fn any_admits(others: &[Other]) -> Condition {
    let sets: Vec<BTreeSet<usize>> = others.iter().map(|o| o.tests.keys().copied().collect()).collect();
    let (common, having) = shared(&sets);
    let mut conditions = Vec::new();
    let mut with_common = Vec::new();
    for (index, other) in others.iter().enumerate() {
        if having.contains(&index) {
            with_common.push(other.condition(&common));
        } else if let Some(condition) = other.condition(&BTreeSet::new()) {
            conditions.push(condition);
        } else {
            return Condition::Always;
        }
    }
    let texts = common.iter().filter_map(|number| others.iter().find_map(|o| o.tests.get(number).cloned()));
    let common = texts.collect::<Vec<_>>().join(" or ");
    match with_common.into_iter().collect::<Option<Vec<String>>>() {
        Some(rest) if rest.is_empty() => {}
        Some(rest) => conditions.push(format!("not ({common}) and ({})", rest.join(" or "))),
        // for one of them that is all there is to ask
        None => conditions.push(format!("not ({common})")),
    }
    match conditions.is_empty() {
        true => Condition::Never,
        false => Condition::If(conditions.join(" or ")),
    }
}

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
    let worth =
        |taken: &BTreeSet<usize>, having: &BTreeSet<usize>| taken.len() * having.len().saturating_sub(1);
    for number in by_count {
        taken.insert(number);
        having.retain(|i| sets.get(*i).is_some_and(|s| s.contains(&number)));
        if worth(&taken, &having) > worth(&best.0, &best.1) {
            best = (taken.clone(), having.clone());
        }
    }
    best
}

/// The macros that the decision adds, in the order of the file.
#[derive(Default)]
struct Macros {
    items: Vec<Value>,
    /// The names of those that Violation rules ask, by their conditions.
    admitted: HashMap<String, String>,
    /// How many of these are named after a field.
    of_field: HashMap<&'static str, usize>,
    /// What has been said of the macros of a kind.
    said: HashSet<&'static str>,
}

impl Macros {
    /// Adds a macro, below a comment that is written once.
    fn add(&mut self, name: &str, condition: &str, comment: Option<&'static str>) {
        let comment = comment.filter(|comment| self.said.insert(comment));
        self.items.push(json!({"name": name, "condition": condition, "comment": comment}));
    }

    /// The macro of a condition by which another policy admits a pod that has been found to be refused in a field.
    fn admitted(&mut self, field: &'static str, condition: Condition) -> String {
        let condition = match condition {
            Condition::Never => NEVER.to_owned(),
            Condition::Always => format!("not {NEVER}"),
            Condition::If(condition) => condition,
        };
        if let Some(name) = self.admitted.get(&condition) {
            return name.clone();
        }
        let count = self.of_field.entry(field).or_default();
        *count += 1;
        let name = match (condition == NEVER, *count) {
            (true, _) => "psps_admitted_by_none".to_owned(),
            (false, 1) => format!("psps_admitted_with_{field}"),
            (false, count) => format!("psps_admitted_with_{field}_{count}"),
        };
        self.add(
            &name,
            &format!("({condition})"),
            Some(
                "Another usable policy admits the pod. Those that refuse what a rule has just found are not asked, nor those that no request can use beside the rule's own.",
            ),
        );
        self.admitted.insert(condition, name.clone());
        name
    }

    /// As the template takes them.
    fn data(self) -> Value {
        Value::Array(self.items)
    }
}

/// The conditions as one.
fn any(tests: &Tests) -> String {
    tests.values().map(String::as_str).collect::<Vec<_>>().join(" or ")
}
