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
    /// Its condition as it stands, of what has one.
    pub condition: Option<String>,
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

/// What a rules file holds and needs, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The rules, macros and lists, in the file's order.
    pub items: Vec<Item>,
    /// The version of the engine that it needs at least, as `0.43.0`.
    pub engine: Option<String>,
    /// The plugins that it needs; each of these stands before its alternatives.
    pub plugins: Vec<Vec<Plugin>>,
}

/// A plugin, in a version at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Contents {
    /// The names of the rules, and the conditions of those that have one here.
    pub fn rules(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let rules = self.items.iter().filter(|item| item.kind == "rule");
        rules.map(|item| (item.name.as_str(), item.condition.as_deref()))
    }
}

/// What a rules file holds and needs; nothing where it is no YAML.
#[must_use]
pub fn contents(text: &str) -> Contents {
    let documents = documents(text).unwrap_or_default();
    let nodes = || documents.iter().flat_map(|d| d.sequence().unwrap_or_default());
    let plugin = |node: &Node| {
        let text = |key: &str| Some(node.get(key)?.scalar()?.to_owned());
        Some(Plugin { name: text("name")?, version: text("version")? })
    };
    let needed = nodes().filter_map(|node| node.get("required_plugin_versions")?.sequence()).flatten();
    let with_alternatives = |node: &Rc<Node>| {
        let others = node.get("alternatives").and_then(|others| others.sequence()).unwrap_or_default();
        plugin(node).into_iter().chain(others.iter().filter_map(|other| plugin(other))).collect()
    };
    Contents {
        items: items(nodes()),
        engine: nodes().find_map(|node| Some(node.get("required_engine_version")?.scalar()?.to_owned())),
        plugins: needed.map(with_alternatives).collect(),
    }
}

fn items<'n>(nodes: impl Iterator<Item = &'n Rc<Node>>) -> Vec<Item> {
    let one = |node: &Rc<Node>| {
        let kind = ["list", "macro", "rule"].into_iter().find(|kind| node.get(kind).is_some())?;
        let name = node.get(kind)?.scalar()?.to_owned();
        let bare = kind == "rule" && node.get("condition").is_none();
        let overrides = bare || node.get("override").is_some() || node.get("append").is_some();
        let condition = node.get("condition").and_then(|condition| condition.scalar()).map(str::to_owned);
        Some(Item { kind, name, condition, overrides, place: (node.place.line, node.place.column) })
    };
    nodes.filter_map(one).collect()
}
