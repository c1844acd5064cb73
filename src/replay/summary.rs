//! Alerts counted by rule: on which pods, by whom, when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::judge::Hit;
use crate::paint::{Paint, Tone};
use crate::table::Table;
use falco_rules::{Priority, RuleSet, time_text};

/// How many different pods of a rule are told apart.
const MAX_PODS: usize = 10_000;
/// How many different namespaces and users of a rule are counted by name.
const MAX_NAMES: usize = 500;
/// How many of them are shown.
const SHOWN: usize = 3;

/// Alerts by rule.
#[derive(Debug, Default)]
pub struct Summary {
    rules: HashMap<usize, Row>,
}

/// The alerts of one rule.
#[derive(Debug)]
struct Row {
    name: String,
    priority: Priority,
    alerts: u64,
    /// Hashes of namespace and name.
    pods: HashSet<u64>,
    example: String,
    namespaces: Names,
    users: Names,
    first: u64,
    last: u64,
}

/// Names and how often they came.
#[derive(Debug, Default)]
struct Names {
    counts: BTreeMap<String, u64>,
    /// There were more than are kept.
    more: bool,
}

impl Names {
    fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < MAX_NAMES {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.more = true;
        }
    }

    /// The most frequent ones, and how many others there are.
    fn text(&self) -> String {
        let mut names: Vec<(&String, &u64)> = self.counts.iter().collect();
        names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        let show = |(name, count): &(&String, &u64)| {
            let name = if name.is_empty() { "(none)" } else { name.as_str() };
            if names.len() == 1 { name.to_owned() } else { format!("{name} ({count})") }
        };
        let mut text = names.iter().take(SHOWN).map(show).collect::<Vec<_>>().join(", ");
        let others = names.len().saturating_sub(SHOWN);
        if others > 0 {
            let _ = write!(text, " and {others}{} more", if self.more { "+" } else { "" });
        }
        text
    }
}

impl Summary {
    /// Counts an event for each rule that alerts on it.
    pub(super) fn add(&mut self, hit: &Hit, rules: &RuleSet) {
        let mut hasher = DefaultHasher::new();
        (&hit.namespace, &hit.pod).hash(&mut hasher);
        let pod = hasher.finish();
        for number in &hit.rules {
            let Some(rule) = rules.rules().get(*number) else { continue };
            let row = self.rules.entry(*number).or_insert_with(|| Row {
                name: rule.name.clone(),
                priority: rule.priority,
                alerts: 0,
                pods: HashSet::new(),
                example: hit.pod.clone(),
                namespaces: Names::default(),
                users: Names::default(),
                first: hit.nanoseconds,
                last: hit.nanoseconds,
            });
            row.alerts += 1;
            if row.pods.len() < MAX_PODS {
                row.pods.insert(pod);
            }
            row.namespaces.add(&hit.namespace);
            row.users.add(&hit.user);
            row.first = row.first.min(hit.nanoseconds);
            row.last = row.last.max(hit.nanoseconds);
        }
    }

    /// A table with a row for each rule that alerted: the most urgent first, then the most frequent. On a screen of
    /// `width` characters that it does not fit on, each rule has a paragraph instead.
    #[must_use]
    pub fn table(&self, width: Option<usize>, paint: Paint) -> String {
        let mut rows: Vec<&Row> = self.rules.values().collect();
        rows.sort_by(|a, b| (a.priority, b.alerts, &a.name).cmp(&(b.priority, a.alerts, &b.name)));
        let head = ["PRIORITY", "RULE", "ALERTS", "PODS", "FIRST", "LAST", "NAMESPACES", "BY"];
        let mut cells = vec![head.map(str::to_owned)];
        cells.extend(rows.into_iter().map(Row::cells));
        Table { rows: &cells, names: 2, numbers: Some(2), widest: usize::MAX, indent: 0, tone }
            .text(width, paint)
    }
}

/// A rule's priority shows by its colour.
fn tone(column: usize, cell: &str) -> Tone {
    match cell {
        _ if column != 0 => Tone::Plain,
        "Emergency" | "Alert" | "Critical" | "Error" => Tone::Error,
        "Warning" => Tone::Warning,
        _ => Tone::Note,
    }
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let time = |nanoseconds| {
            let text = time_text(nanoseconds, Some('T'));
            text.split_once('.').map_or_else(String::new, |(seconds, _)| format!("{seconds}Z"))
        };
        let example = if self.example.is_empty() { "(no name)" } else { &self.example };
        let pods = match self.pods.len() {
            1 => example.to_owned(),
            count => format!("{count}{}: {example}, …", if count < MAX_PODS { "" } else { "+" }),
        };
        [
            self.priority.name().to_owned(),
            self.name.clone(),
            self.alerts.to_string(),
            pods,
            time(self.first),
            time(self.last),
            self.namespaces.text(),
            self.users.text(),
        ]
    }
}
