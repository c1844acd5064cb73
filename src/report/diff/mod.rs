//! What changes when one rules file replaces another: for people in sentences, for machines as data.
//!
//! Policies, rules and lists are compared by what they say. Of two conditions it is decided which one matches more, by
//! a proof or not at all: "other" is said where neither direction can be proven.

mod unified;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::count::counted;
use crate::plugin;
use crate::problem::Place;
use crate::render::listed_policies;
use falco_rules::file::{Definitions, RuleDefinition, definitions, items};
use falco_rules::implies::{Prover, Which};
use falco_rules::{Severity, Source, load_with};
pub use unified::unified;

/// What changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The policies, as the files' headers name them.
    pub policies: Names,
    /// The rules that are not the same, sorted by name.
    pub rules: Vec<RuleChange>,
    /// The lists whose items are not the same.
    pub lists: Vec<ListChange>,
    /// Macros and lists that are there or not; tuning files may name them.
    pub macros: Names,
    /// What tuning files would lose.
    pub tuning: Vec<TuningLoss>,
    /// Is the text the same, byte for byte?
    pub same_text: bool,
}

/// Names that appeared, went, or stand for something else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Only in the new file.
    pub added: Vec<String>,
    /// Only in the old file.
    pub removed: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
}

/// A rule that is not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Its name, the old one if it was renamed.
    pub rule: String,
    /// What happened to it.
    pub change: Change,
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_to: Option<String>,
    /// Which events it matches now; absent where the condition comes to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<Matches>,
    /// Its priority, where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<PriorityChange>,
    /// Switched on (true) or off (false), where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What else is not the same: `output`, `desc`, `tags`, `source`.
    pub other: Vec<String>,
}

/// What happened to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Another rule has the same condition.
    Renamed,
    /// It is not the same.
    Changed,
}

/// Which events a condition matches, against the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matches {
    /// The same, otherwise written.
    Same,
    /// All that it matched, and others.
    More,
    /// Some of those that it matched, and no others.
    Fewer,
    /// Others, or it cannot be decided.
    Other,
}

/// A change of priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriorityChange {
    /// Before.
    pub from: String,
    /// After.
    pub to: String,
    /// Is it more urgent now?
    pub more_urgent: bool,
}

/// A list whose items are not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListChange {
    /// Its name.
    pub list: String,
    /// Items that only the new list has.
    pub added: Vec<String>,
    /// Items that only the old list had.
    pub removed: Vec<String>,
}

/// What a tuning file would lose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuningLoss {
    /// Where in the tuning file.
    pub place: Place,
    /// What, as `rule 'X'`.
    pub item: String,
    /// What is wrong, and the cure where there is one.
    pub message: String,
}

/// A tuning file.
#[derive(Debug, Clone, Copy)]
pub struct Tuning<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// Compares two rules files, and what tuning files that load after them would lose.
pub fn compare(old_text: &str, new_text: &str, tuning: &[Tuning<'_>]) -> Diff {
    let mut diff = Diff { same_text: old_text == new_text, ..Diff::default() };
    if diff.same_text && tuning.is_empty() {
        return diff;
    }
    let (old, new) = (definitions(old_text), definitions(new_text));
    if !diff.same_text {
        diff.policies = names(&listed_policies(old_text), &listed_policies(new_text));
        let keys = |file: &Definitions| -> BTreeMap<String, ()> {
            file.macros.keys().chain(file.lists.keys()).map(|name| (name.clone(), ())).collect()
        };
        diff.macros = names(&keys(&old), &keys(&new));
        diff.lists = lists(&old, &new);
        diff.rules = rules(&old, &new);
    }
    diff.tuning = tuning_losses(&diff, &old, &new, new_text, tuning);
    diff
}

fn names<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> Names {
    Names {
        added: new.keys().filter(|name| !old.contains_key(*name)).cloned().collect(),
        removed: old.keys().filter(|name| !new.contains_key(*name)).cloned().collect(),
        changed: new
            .iter()
            .filter(|(name, value)| old.get(*name).is_some_and(|before| before != *value))
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

fn lists(old: &Definitions, new: &Definitions) -> Vec<ListChange> {
    let without = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|item| !those.contains(item)).cloned().collect()
    };
    let change = |(name, items): (&String, &Vec<String>)| {
        let before = old.lists.get(name)?;
        let (added, removed) = (without(items, before), without(before, items));
        let changed = !added.is_empty() || !removed.is_empty();
        changed.then(|| ListChange { list: name.clone(), added, removed })
    };
    new.lists.iter().filter_map(change).collect()
}

fn rules(old: &Definitions, new: &Definitions) -> Vec<RuleChange> {
    let prover = Prover::new(old, new);
    let named = |file: &'_ Definitions| -> HashMap<String, usize> {
        file.rules.iter().enumerate().map(|(i, rule)| (rule.name.clone(), i)).collect()
    };
    let (old_names, new_names) = (named(old), named(new));
    let mut changes = Vec::new();
    for rule in &new.rules {
        let before = old_names.get(&rule.name).and_then(|i| old.rules.get(*i));
        changes.extend(before.and_then(|before| changed(&prover, before, rule)));
    }
    let removed: Vec<&RuleDefinition> =
        old.rules.iter().filter(|r| !new_names.contains_key(&r.name)).collect();
    let mut added: Vec<&RuleDefinition> =
        new.rules.iter().filter(|r| !old_names.contains_key(&r.name)).collect();
    // what went and came with the same condition was renamed; of several, those whose names end most alike
    let mut by_digest: HashMap<u64, Vec<&RuleDefinition>> = HashMap::new();
    for rule in &added {
        if let Some(condition) = &rule.condition {
            by_digest.entry(prover.digest(condition, Which::New)).or_default().push(rule);
        }
    }
    for rule in removed {
        let same = rule.condition.as_ref().map(|c| prover.digest(c, Which::Old));
        let candidates = same.and_then(|digest| by_digest.get_mut(&digest));
        let best = candidates.and_then(|all| {
            let index = (0..all.len())
                .filter(|i| all.get(*i).is_some_and(|r| r.source == rule.source))
                .max_by_key(|i| all.get(*i).map(|r| (alike(&r.name, &rule.name), std::cmp::Reverse(*i))))?;
            Some(all.remove(index))
        });
        let plain = |change| RuleChange {
            rule: rule.name.clone(),
            change,
            renamed_to: None,
            matches: None,
            priority: None,
            enabled: None,
            other: Vec::new(),
        };
        match best {
            Some(renamed) => {
                added.retain(|r| r.name != renamed.name);
                let mut change = changed(&prover, rule, renamed).unwrap_or_else(|| plain(Change::Renamed));
                change.change = Change::Renamed;
                change.rule.clone_from(&rule.name);
                change.renamed_to = Some(renamed.name.clone());
                changes.push(change);
            }
            None => changes.push(plain(Change::Removed)),
        }
    }
    changes.extend(added.into_iter().map(|rule| RuleChange {
        rule: rule.name.clone(),
        change: Change::Added,
        renamed_to: None,
        matches: None,
        priority: None,
        enabled: None,
        other: Vec::new(),
    }));
    changes.sort_by(|left, right| left.rule.cmp(&right.rule));
    changes
}

/// How many characters two names have in common at their ends.
fn alike(left: &str, right: &str) -> usize {
    left.chars().rev().zip(right.chars().rev()).take_while(|(l, r)| l == r).count()
}

/// What is not the same in two versions of a rule.
fn changed<'a>(prover: &Prover<'a>, old: &'a RuleDefinition, new: &'a RuleDefinition) -> Option<RuleChange> {
    let mut other: Vec<String> = Vec::new();
    for (what, same) in [
        ("source", old.source == new.source),
        ("output", old.output == new.output),
        ("desc", old.description == new.description),
        ("tags", old.tags == new.tags),
    ] {
        other.extend((!same).then(|| what.to_owned()));
    }
    let priority = (old.priority != new.priority).then(|| PriorityChange {
        from: old.priority.name().to_uppercase(),
        to: new.priority.name().to_uppercase(),
        // the most urgent comes first
        more_urgent: new.priority < old.priority,
    });
    let change = RuleChange {
        rule: new.name.clone(),
        change: Change::Changed,
        renamed_to: None,
        matches: matches(prover, old, new),
        priority,
        enabled: (old.enabled != new.enabled).then_some(new.enabled),
        other,
    };
    let is_one = change.matches.is_some()
        || change.priority.is_some()
        || change.enabled.is_some()
        || !change.other.is_empty();
    is_one.then_some(change)
}

/// Which events the new condition matches; nothing where both come to the same at sight.
fn matches<'a>(prover: &Prover<'a>, old: &'a RuleDefinition, new: &'a RuleDefinition) -> Option<Matches> {
    let (Some(before), Some(after)) = (&old.condition, &new.condition) else { return Some(Matches::Other) };
    if old.source != new.source {
        return Some(Matches::Other);
    }
    if prover.digest(before, Which::Old) == prover.digest(after, Which::New) {
        return None;
    }
    let (before, after) = ((before, Which::Old), (after, Which::New));
    Some(match (prover.implies(before, after), prover.implies(after, before)) {
        (true, true) => Matches::Same,
        (true, false) => Matches::More,
        (false, true) => Matches::Fewer,
        (false, false) => Matches::Other,
    })
}

fn tuning_losses(
    diff: &Diff,
    old: &Definitions,
    new: &Definitions,
    new_text: &str,
    tuning: &[Tuning<'_>],
) -> Vec<TuningLoss> {
    let mut losses = Vec::new();
    let mut lost_places: HashSet<(String, usize)> = HashSet::new();
    let has = |file: &Definitions, kind: &str, name: &str| match kind {
        "rule" => file.rules.iter().any(|r| r.name == name),
        "macro" => file.macros.contains_key(name),
        _ => file.lists.contains_key(name),
    };
    let mut defined: BTreeSet<(&'static str, String)> = BTreeSet::new();
    for file in tuning {
        for item in items(file.text) {
            let known = has(new, item.kind, &item.name) || defined.contains(&(item.kind, item.name.clone()));
            if !known && (item.overrides || has(old, item.kind, &item.name)) {
                let renamed = diff.rules.iter().find(|r| item.kind == "rule" && r.rule == item.name);
                let cure = match renamed.and_then(|r| r.renamed_to.as_ref()) {
                    Some(name) => format!("it is called '{name}' now; rename it here too"),
                    None if has(old, item.kind, &item.name) => "it is gone; remove this item".to_owned(),
                    None => "neither file defines it; correct the name".to_owned(),
                };
                lost_places.insert((file.name.to_owned(), item.place.0));
                losses.push(TuningLoss {
                    place: Place { file: file.name.to_owned(), line: item.place.0, column: item.place.1 },
                    item: format!("{} '{}'", item.kind, item.name),
                    message: format!("changes what the new rules do not define: {cure}"),
                });
            }
            if !item.overrides {
                defined.insert((item.kind, item.name));
            }
        }
    }
    if tuning.is_empty() {
        return losses;
    }
    let mut sources = vec![Source { name: NEW_RULES, text: new_text }];
    sources.extend(tuning.iter().map(|file| Source { name: file.name, text: file.text }));
    for finding in load_with(&sources, &[plugin::known()]).findings {
        let told = lost_places.contains(&(finding.file.clone(), finding.line));
        if finding.severity == Severity::Error && !told {
            losses.push(TuningLoss {
                place: Place { file: finding.file, line: finding.line, column: finding.column },
                item: finding.item,
                message: format!("does not load with the new rules: {}", finding.message),
            });
        }
    }
    losses
}

/// What the new file is called where Falco would name it.
const NEW_RULES: &str = "(the new rules)";

impl Diff {
    /// Does anything change, for Falco or for a tuning file?
    pub fn is_empty(&self) -> bool {
        self.same_text && self.tuning.is_empty()
    }

    /// One line.
    pub fn headline(&self) -> String {
        if self.same_text {
            return "no change".to_owned();
        }
        let rules = |test: &dyn Fn(&RuleChange) -> bool| self.rules.iter().filter(|r| test(r)).count();
        let is = |change: Change| rules(&|r| r.change == change);
        let matches = |kind: Matches| rules(&|r| r.matches == Some(kind));
        let policies = &self.policies;
        let lists: usize = self.lists.iter().map(|l| l.added.len() + l.removed.len()).sum();
        let urgency = |more: bool| rules(&|r| r.priority.as_ref().is_some_and(|p| p.more_urgent == more));
        let others = rules(&|r| !r.other.is_empty() || r.enabled.is_some());
        let parts: Vec<String> = [
            (policies.added.len(), "policy", "added"),
            (policies.removed.len(), "policy", "removed"),
            (policies.changed.len(), "policy", "changed"),
            (is(Change::Added), "rule", "added"),
            (is(Change::Removed), "rule", "removed"),
            (is(Change::Renamed), "rule", "renamed"),
            (matches(Matches::More), "rule", "matching more"),
            (matches(Matches::Fewer), "rule", "matching fewer"),
            (matches(Matches::Other), "rule", "matching other events"),
            (urgency(true), "rule", "more urgent"),
            (urgency(false), "rule", "less urgent"),
            (others, "rule", "with other words or tags"),
            (lists, "list item", "changed"),
        ]
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, noun, what)| format!("{} {what}", counted(n, noun)))
        .collect();
        if parts.is_empty() { "the text alone changes".to_owned() } else { parts.join(", ") }
    }

    /// All of it, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (sign, names, what) in [
            ('+', &self.policies.added, "policy"),
            ('-', &self.policies.removed, "policy"),
            ('~', &self.policies.changed, "policy"),
        ] {
            lines.extend(names.iter().map(|name| format!("{sign} {what} {name}")));
        }
        lines.extend(self.rules.iter().map(RuleChange::line));
        for list in &self.lists {
            let mut line = format!("~ list {}:", list.list);
            for (sign, items) in [('+', &list.added), ('-', &list.removed)] {
                for item in items {
                    let _ = write!(line, " {sign}{item}");
                }
            }
            lines.push(line);
        }
        lines.extend(self.tuning.iter().map(|t| format!("! {}: {} {}", t.place, t.item, t.message)));
        lines
    }
}

impl RuleChange {
    /// One line.
    pub fn line(&self) -> String {
        let sign = match self.change {
            Change::Added => '+',
            Change::Removed => '-',
            Change::Renamed | Change::Changed => '~',
        };
        let mut said = Vec::new();
        said.extend(self.renamed_to.as_ref().map(|name| format!("is now {name}")));
        said.extend(self.matches.map(|matches| {
            match matches {
                Matches::Same => "matches the same, otherwise written",
                Matches::More => "matches more",
                Matches::Fewer => "matches fewer",
                Matches::Other => "matches other events",
            }
            .to_owned()
        }));
        said.extend(self.priority.as_ref().map(|p| {
            format!("{} urgent ({} → {})", if p.more_urgent { "more" } else { "less" }, p.from, p.to)
        }));
        said.extend(self.enabled.map(|on| if on { "switched on" } else { "switched off" }.to_owned()));
        if !self.other.is_empty() {
            said.push(format!("{} changed", self.other.join(", ")));
        }
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("; ")) };
        format!("{sign} rule {}{said}", self.rule)
    }
}

#[cfg(test)]
mod tests;
