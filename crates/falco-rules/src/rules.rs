//! Rules files: what is in them, what Falco says when it loads them, and the loaded rules.

use super::compile;
use super::eval::{Extractions, Node, Program, Run};
use super::event::Event;
use super::output::Output;
use super::reader::Collector;
use super::words::Words;
use std::fmt;
use std::sync::Arc;

/// The release of Falco that is modelled.
pub const FALCO_VERSION: &str = "0.44.1";

/// The version of Falco's rules engine that is modelled (Falco 0.44.1).
pub const ENGINE_VERSION: &str = "0.62.0";

/// The plugins and their versions that are modelled.
pub const PLUGIN_VERSIONS: [(&str, &str); 3] =
    [("k8saudit", "0.18.0"), ("json", "0.7.4"), ("container", "0.7.1")];

/// A rules file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, for findings.
    pub name: &'a str,
    /// Its YAML.
    pub text: &'a str,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Falco does not load the rules.
    Error,
    /// Falco loads the rules and warns, or ought to.
    Warning,
}

/// Something wrong in a rules file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Falco's code for it, as `LOAD_UNUSED_MACRO`. Findings that only this check makes are
    /// `SCHEMA` (Falco prints these apart), `DUPLICATE_RULE`, `PLUGIN_REQUIREMENT`, `UNKNOWN_PLUGIN`
    /// (the rules need a plugin that is not modelled) and `NOT_MODELLED` (see [`Rule::not_modelled`]).
    pub code: &'static str,
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What it is about, as `rule 'X'`; empty for a file as a whole.
    pub item: String,
    /// What is wrong, in Falco's words where it has any.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{}: {severity}: {}: ", self.file, self.line, self.column, self.code)?;
        if !self.item.is_empty() {
            write!(f, "{}: ", self.item)?;
        }
        f.write_str(&self.message)
    }
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; none when there is an error.
    pub rules: Option<RuleSet>,
    /// Everything that is wrong, in the order of files and places.
    pub findings: Vec<Finding>,
}

/// Loads rules files in order, each on top of those before it, as `falco -r FILE -r FILE` does.
///
/// Where Falco stops at the first error, all that can be found is reported.
#[must_use]
pub fn load(files: &[Source<'_>]) -> Loaded {
    let mut collector = Collector::new(files);
    let mut compiled = None;
    for file in 0..files.len() {
        collector.read(file);
        // Falco compiles after each file: a file must stand on those before it.
        compiled = Some(compile::compile(&mut collector));
    }
    let findings = collector.into_findings();
    let failed = findings.iter().any(|f| f.severity == Severity::Error);
    let rules = compiled.filter(|_| !failed).map(|(program, rules)| RuleSet::new(program, rules));
    let rules = if files.is_empty() { Some(RuleSet::default()) } else { rules };
    Loaded { rules, findings }
}

/// How urgent an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are Falco's")]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}

impl Priority {
    const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// As alerts show it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }

    /// Reads a priority in any case, as Falco does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("info") {
            return Some(Self::Informational);
        }
        Self::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(text))
    }
}

/// A loaded rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Its condition as it stands, with what was appended, before lists and macros are resolved.
    pub condition: String,
    /// Its output as it stands.
    pub output: String,
    /// Its priority.
    pub priority: Priority,
    /// The source of the events that it is for.
    pub source: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Why this model cannot evaluate it, if so; it then never alerts here.
    pub not_modelled: Option<String>,
    pub(crate) compiled: Option<Node>,
    pub(crate) format: Output,
    pub(crate) program: Arc<Program>,
}

impl Rule {
    /// The alert's text for an event, without the time and priority that Falco puts before it.
    #[must_use]
    pub fn render_output(&self, event: &Event<'_>) -> String {
        self.format.render(&Run::new(event, &self.program))
    }

    /// The alert's `output_fields`, sorted by name: what the output names, null where the event lacks it.
    #[must_use]
    pub fn output_fields(&self, event: &Event<'_>) -> serde_json::Map<String, serde_json::Value> {
        self.format.fields(&Run::new(event, &self.program))
    }
}

/// Loaded rules.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    program: Arc<Program>,
    /// The rules for audit events that are switched on, in order.
    active: Vec<usize>,
}

impl RuleSet {
    fn new(program: Arc<Program>, rules: Vec<Rule>) -> Self {
        let active = |rule: &Rule| rule.enabled && rule.source == "k8s_audit" && rule.compiled.is_some();
        let active = rules.iter().enumerate().filter(|(_, r)| active(r)).map(|(i, _)| i).collect();
        Self { rules, program, active }
    }

    /// All rules in Falco's order: that of their first definition.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with this name.
    #[must_use]
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|r| r.name == name)
    }

    /// Whether some rule reads where an event stands in the stream (`evt.num`).
    #[must_use]
    pub fn reads_event_numbers(&self) -> bool {
        self.program.reads_event_numbers()
    }

    /// How many rules can alert here: those for audit events that are switched on and modelled.
    #[must_use]
    pub fn active_rules(&self) -> usize {
        self.active.len()
    }

    fn active(&self) -> impl Iterator<Item = (&Rule, &Node)> {
        let rules = self.active.iter().filter_map(|i| self.rules.get(*i));
        rules.filter_map(|rule| rule.compiled.as_ref().map(|condition| (rule, condition)))
    }

    /// Every rule that alerts on an event, in order (`rule_matching: all`).
    #[must_use]
    pub fn alerts(&self, event: &Event<'_>) -> Vec<&Rule> {
        event.reset();
        self.matching(Run::new(event, &self.program)).collect()
    }

    /// The first rule that alerts on an event (`rule_matching: first`, Falco's default).
    #[must_use]
    pub fn first_alert(&self, event: &Event<'_>) -> Option<&Rule> {
        event.reset();
        self.matching(Run::new(event, &self.program)).next()
    }

    fn matching<'r>(&'r self, mut run: Run<'_, '_>) -> impl Iterator<Item = &'r Rule> {
        self.active().filter(move |(_, condition)| run.rule(condition)).map(|(rule, _)| rule)
    }

    /// For many events in turn.
    #[must_use]
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { rules: self, words: Words::default() }
    }

    /// Like [`RuleSet::alerts`], and counts the fields that were read.
    #[must_use]
    pub fn alerts_counted(&self, event: &Event<'_>) -> (Vec<&Rule>, Extractions) {
        event.reset();
        let mut run = Run::counting(event, &self.program);
        let mut any = vec![false; self.program.fields];
        let mut counts = Extractions { distinct: 0, per_rule: vec![0; self.rules.len()] };
        let mut alerts = Vec::new();
        for i in &self.active {
            let Some(rule) = self.rules.get(*i) else { continue };
            let Some(condition) = &rule.compiled else { continue };
            if run.rule(condition) {
                alerts.push(rule);
            }
            let read = run.fields_read();
            if let Some(count) = counts.per_rule.get_mut(*i) {
                *count = read.iter().filter(|r| **r).count();
            }
            any.iter_mut().zip(read).for_each(|(any, read)| *any |= read);
        }
        counts.distinct = any.into_iter().filter(|r| *r).count();
        (alerts, counts)
    }
}

/// Evaluates events in turn, each faster for the ones before it: a thread's own. The alerts are those of the rule set.
#[derive(Debug)]
pub struct Evaluator<'r> {
    rules: &'r RuleSet,
    words: Words,
}

impl<'r> Evaluator<'r> {
    /// As [`RuleSet::alerts`].
    pub fn alerts(&mut self, event: &Event<'_>) -> Vec<&'r Rule> {
        event.reset();
        self.rules.matching(Run::remembering(event, &self.rules.program, &mut self.words)).collect()
    }

    /// As [`RuleSet::first_alert`].
    pub fn first_alert(&mut self, event: &Event<'_>) -> Option<&'r Rule> {
        event.reset();
        self.rules.matching(Run::remembering(event, &self.rules.program, &mut self.words)).next()
    }
}

#[cfg(test)]
mod tests;
