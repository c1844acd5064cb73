//! What a rules file says, for comparing it with another: its rules, macros and lists, not yet put together.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::collector::Collector;
use super::list_expansion::{List, Resolved, prepare};
use super::priority::Priority;
use super::text::Text;
use super::yaml::{Node, documents};
use crate::finding::Source;
use crate::syntax::{Expr, parse};

/// A rules file's content.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// The rules, in Falco's order.
    pub rules: Vec<RuleDefinition>,
    /// The macros' conditions by name, lists put in; none where one cannot be parsed.
    pub macros: BTreeMap<String, Option<Expr>>,
    /// The lists' items by name.
    pub lists: BTreeMap<String, Vec<String>>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleDefinition {
    /// Its name.
    pub name: String,
    /// The source of the events that it is for.
    pub source: String,
    /// Its priority.
    pub priority: Priority,
    /// Its output as it stands.
    pub output: String,
    /// Its description.
    pub description: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Its condition with its lists put in; none where it cannot be parsed, or has exceptions.
    pub condition: Option<Expr>,
}

/// An item of a rules file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `rule`, `macro` or `list`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Does it change an item that an earlier file must have defined?
    pub overrides: bool,
    /// Line and column, counted from 1.
    pub place: (usize, usize),
}

/// Reads one file as far as it can be read.
#[must_use]
pub fn definitions(text: &str) -> Definitions {
    let mut collector = Collector::new(&[Source { name: "", text }], &[]);
    collector.read(0);
    let mut lists = prepare(&collector.lists);
    let macros = collector.macros.iter().map(|m| (m.name.clone(), expr(&m.condition, &mut lists))).collect();
    let rules = collector
        .rules
        .iter()
        .map(|rule| RuleDefinition {
            name: rule.name.clone(),
            source: rule.source.clone(),
            priority: rule.priority,
            output: rule.output.text.clone(),
            description: rule.description.clone(),
            tags: rule.tags.clone(),
            enabled: rule.enabled,
            condition: rule.exceptions.is_empty().then(|| expr(&rule.condition, &mut lists)).flatten(),
        })
        .collect();
    let lists = collector.lists.iter().map(|l| (l.name.clone(), l.items.clone())).collect();
    Definitions { rules, macros, lists }
}

fn expr(condition: &Text, lists: &mut [List]) -> Option<Expr> {
    parse(&Resolved::new(condition, lists)?.text).ok()
}

/// The rules, macros and lists that a file defines or changes, in its order; none where it is no YAML.
#[must_use]
pub fn items(text: &str) -> Vec<Item> {
    let documents = documents(text).unwrap_or_default();
    let nodes = documents.iter().flat_map(|d| d.sequence().unwrap_or_default());
    let one = |node: &Rc<Node>| {
        let kind = ["list", "macro", "rule"].into_iter().find(|kind| node.get(kind).is_some())?;
        let name = node.get(kind)?.scalar()?.to_owned();
        let bare = kind == "rule" && node.get("condition").is_none();
        let overrides = bare || node.get("override").is_some() || node.get("append").is_some();
        Some(Item { kind, name, overrides, place: (node.place.line, node.place.column) })
    };
    nodes.filter_map(one).collect()
}
