//! Loaded rules, and which of them alert on an event.

use std::sync::Arc;

use super::evaluation::{Extractions, Run};
use super::output::Output;
use super::program::{Node, Program};
use super::regex_memory::RegexMemory;
use crate::event::Event;
use crate::file::Priority;

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
    pub(crate) fn new(program: Arc<Program>, rules: Vec<Rule>) -> Self {
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

    /// How many checks Falco holds for the rules for audit events that are switched on: it copies each macro into each
    /// rule that names it.
    #[must_use]
    pub fn checks(&self) -> usize {
        fn checks(node: &Node, shared: &[usize]) -> usize {
            let all =
                |nodes: &[Node]| nodes.iter().map(|node| checks(node, shared)).fold(0, usize::saturating_add);
            match node {
                Node::And(nodes) | Node::Or(nodes) => all(nodes),
                Node::Not(node) => checks(node, shared),
                Node::Shared(number) => shared.get(*number).copied().unwrap_or_default(),
                Node::Test(_) => 1,
            }
        }
        // a macro names only macros before it
        let mut shared = Vec::with_capacity(self.program.shared.len());
        for node in &self.program.shared {
            shared.push(checks(node, &shared));
        }
        self.active().map(|(_, condition)| checks(condition, &shared)).fold(0, usize::saturating_add)
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

    /// An evaluator for many events, one after another.
    #[must_use]
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { rules: self, memory: RegexMemory::default() }
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

/// Evaluates many events, one after another. It remembers earlier events, which makes it faster than [`RuleSet::alerts`];
/// the alerts are the same. Each thread needs its own.
#[derive(Debug)]
pub struct Evaluator<'r> {
    rules: &'r RuleSet,
    memory: RegexMemory,
}

impl<'r> Evaluator<'r> {
    /// As [`RuleSet::alerts`].
    pub fn alerts(&mut self, event: &Event<'_>) -> Vec<&'r Rule> {
        event.reset();
        self.rules.matching(Run::remembering(event, &self.rules.program, &mut self.memory)).collect()
    }

    /// As [`RuleSet::first_alert`].
    pub fn first_alert(&mut self, event: &Event<'_>) -> Option<&'r Rule> {
        event.reset();
        self.rules.matching(Run::remembering(event, &self.rules.program, &mut self.memory)).next()
    }
}
