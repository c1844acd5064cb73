//! The wire format of KRM functions: a `ResourceList` of `config.kubernetes.io`.
//!
//! Source: the KRM Functions Specification v1 (kustomize, `cmd/config/docs/api-conventions/functions-spec.md`).
//!
//! What the function does not touch stays as it is, comments and spelling included: a list in block style is edited
//! as text, and the result is read again and compared. Any other list is written as JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::config::{Config, KIND, Reader};
use crate::messages::{config as messages, yaml as yaml_messages};
use crate::problem::{Message, Place, Problem, quote};
use crate::yaml::{self, Data, Documents, Entry, Node};

/// The API versions of the wire format; `v1beta1` and `v1alpha1` differ in what is not read here.
const API_VERSIONS: [&str; 3] =
    ["config.kubernetes.io/v1", "config.kubernetes.io/v1beta1", "config.kubernetes.io/v1alpha1"];

/// The annotations that say which file an object comes from, and which of its objects it is; older names second.
const PATHS: [&str; 2] = ["internal.config.kubernetes.io/path", "config.kubernetes.io/path"];
const INDICES: [&str; 2] = ["internal.config.kubernetes.io/index", "config.kubernetes.io/index"];

/// What standard input is called in places.
pub const FILE: &str = "stdin";

/// A list as it came.
#[derive(Debug)]
pub struct List<'a> {
    text: &'a str,
    root: Node<'a>,
}

/// What a function changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// New values of items by their position; `None` takes the item out.
    pub items: BTreeMap<usize, Option<Value>>,
    /// Items that come after the others.
    pub added: Vec<Value>,
    /// What the function has to say; it replaces what an earlier one said.
    pub results: Vec<Value>,
}

/// How grave a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The function has failed.
    Error,
    /// The user should look at it.
    Warning,
    /// The user may want to know.
    Info,
}

impl Severity {
    /// The word in a result.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

impl<'a> List<'a> {
    /// Reads a list.
    ///
    /// # Errors
    /// A text that is no `ResourceList`.
    pub fn parse(text: &'a str) -> Result<Self, Problem> {
        let mut documents = Documents::new(text);
        let root = match documents.next() {
            None => return Err(Problem::of_file(FILE, messages::empty_list())),
            Some(Ok(root)) => root,
            Some(Err(syntax)) => return Err(Problem::new(syntax.mark.within(FILE), "", syntax.message)),
        };
        let problem = |node: &Node<'_>, path: &str, message: Message| {
            Err(Problem::new(node.mark.within(FILE), path, message))
        };
        if documents.next().is_some() {
            return problem(&root, "", messages::several_documents());
        }
        let kind = root.text_at("kind").unwrap_or_default();
        if kind != "ResourceList" {
            return problem(root.locate("kind"), "kind", messages::no_resource_list(quote(kind)));
        }
        let version = root.text_at("apiVersion").unwrap_or_default();
        if !API_VERSIONS.contains(&version) {
            let message = messages::unknown_list_version(quote(version), API_VERSIONS.join(", "));
            return problem(root.locate("apiVersion"), "apiVersion", message);
        }
        match root.get("items").map(|items| (&items.data, items)) {
            None | Some((Data::List(_) | Data::Null, _)) => Ok(Self { text, root }),
            Some((_, items)) => problem(items, "items", yaml_messages::no_list(items.describe())),
        }
    }

    /// The objects.
    pub fn items(&self) -> Vec<Value> {
        self.nodes().iter().map(Node::to_value).collect()
    }

    fn nodes(&self) -> &[Node<'a>] {
        match self.root.get("items").map(|items| &items.data) {
            Some(Data::List(items)) => items,
            _ => &[],
        }
    }

    /// What the function's configuration says; nothing in particular when there is none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn config(&self) -> Result<Config, Vec<Problem>> {
        let empty = Node { mark: self.root.mark, data: Data::Map(Vec::new()) };
        let Some(own) = self.root.get("functionConfig").filter(|own| !matches!(own.data, Data::Null)) else {
            return Config::of_node(&empty, FILE, "functionConfig", Reader::Function);
        };
        let child = |key: &str| own.get(key).filter(|child| !matches!(child.data, Data::Null));
        match own.text_at("kind").unwrap_or_default() {
            "ConfigMap" => Config::of_data(child("data").unwrap_or(&empty), FILE, "functionConfig.data"),
            KIND => Config::of_node(
                child("spec").unwrap_or(&empty),
                FILE,
                "functionConfig.spec",
                Reader::Function,
            ),
            other => {
                let message = messages::wrong_config_kind(quote(other), KIND);
                let place = own.locate("kind").mark.within(FILE);
                Err(vec![Problem::new(place, "functionConfig.kind", message)])
            }
        }
    }

    /// A result about the object at `place`, if it is that of an item; `path` is the field in it, if any.
    pub fn result(&self, severity: Severity, message: &str, place: Option<&Place>, path: &str) -> Value {
        let mut result = Map::new();
        result.insert("message".to_owned(), message.into());
        result.insert("severity".to_owned(), severity.name().into());
        let Some(item) = place.and_then(|place| self.item_at(place)) else { return Value::Object(result) };
        let mut reference = Map::new();
        for (key, value) in [
            ("apiVersion", item.text_at("apiVersion")),
            ("kind", item.text_at("kind")),
            ("namespace", item.locate("metadata.namespace").text()),
            ("name", item.get("metadata").and_then(|metadata| metadata.text_at("name"))),
        ] {
            if let Some(value) = value {
                reference.insert(key.to_owned(), value.into());
            }
        }
        if ["apiVersion", "kind", "name"].iter().all(|key| reference.contains_key(*key)) {
            result.insert("resourceRef".to_owned(), reference.into());
            if !path.is_empty() {
                result.insert("field".to_owned(), serde_json::json!({ "path": path }));
            }
        }
        let annotation = |keys: [&str; 2]| {
            let annotations = item.get("metadata")?.get("annotations")?;
            keys.iter().find_map(|key| annotations.get(key).map(Node::to_value))
        };
        if let Some(Value::String(path)) = annotation(PATHS) {
            let mut file = Map::from_iter([("path".to_owned(), path.into())]);
            let index = annotation(INDICES).map(|index| index.to_string());
            if let Some(index) = index.and_then(|index| index.trim_matches('"').parse::<u64>().ok()) {
                file.insert("index".to_owned(), index.into());
            }
            result.insert("file".to_owned(), file.into());
        }
        Value::Object(result)
    }

    /// The last item that starts at or before a place.
    fn item_at(&self, place: &Place) -> Option<&Node<'a>> {
        let starts_before = |node: &&Node<'_>| {
            (node.mark.line as usize, node.mark.column as usize) <= (place.line, place.column)
        };
        let ends = self.after_items();
        self.nodes().iter().rev().find(starts_before).filter(|_| ends.is_none_or(|line| place.line < line))
    }

    /// The line of the key that follows `items`, counted from 1.
    fn after_items(&self) -> Option<usize> {
        let lines = self.key_lines();
        let own = lines.iter().find(|(key, _)| *key == "items")?.1;
        lines.iter().map(|(_, line)| *line).filter(|line| *line > own).min()
    }

    /// The top-level keys and their lines, counted from 1.
    fn key_lines(&self) -> Vec<(&str, usize)> {
        let Data::Map(entries) = &self.root.data else { return Vec::new() };
        entries.iter().map(|Entry { key, mark, .. }| (key.as_ref(), mark.line as usize)).collect()
    }

    /// The list with changes.
    pub fn changed(&self, changes: &Changes) -> String {
        let expected = self.changed_value(changes);
        let edited = self.edited(changes).filter(|text| {
            let mut documents = Documents::new(text);
            matches!((documents.next(), documents.next()), (Some(Ok(root)), None) if root.to_value() == expected)
        });
        edited.unwrap_or_else(|| format!("{expected:#}\n"))
    }

    fn changed_value(&self, changes: &Changes) -> Value {
        let mut root = self.root.to_value();
        let Value::Object(map) = &mut root else { return root };
        let kept = self
            .items()
            .into_iter()
            .enumerate()
            .filter_map(|(n, item)| changes.items.get(&n).map_or(Some(item), Clone::clone));
        let items: Vec<Value> = kept.chain(changes.added.iter().cloned()).collect();
        map.shift_remove("results");
        map.insert("items".to_owned(), items.into());
        if !changes.results.is_empty() {
            map.insert("results".to_owned(), changes.results.clone().into());
        }
        root
    }

    /// The text with changes, if it is in block style.
    fn edited(&self, changes: &Changes) -> Option<String> {
        let lines: Vec<&str> = self.text.split_inclusive('\n').collect();
        let keys = self.key_lines();
        let end_of = |line: usize| {
            keys.iter().map(|(_, l)| *l).filter(|l| *l > line).min().map_or(lines.len(), |l| l - 1)
        };
        let items_line = keys.iter().find(|(key, _)| *key == "items")?.1;
        let results_line = keys.iter().find(|(key, _)| *key == "results").map(|(_, line)| *line);
        let mut out = String::with_capacity(self.text.len() + 1024);
        let mut indent = 0;
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let number = at + 1;
            let end = end_of(number);
            if Some(number) == results_line {
                at = end;
            } else if number == items_line {
                indent = self.edit_items(line, lines.get(number..end)?, changes, &mut out)?;
                at = end;
            } else {
                out.push_str(line);
                at += 1;
            }
        }
        if !changes.results.is_empty() {
            end_line(&mut out);
            out.push_str("results:\n");
            yaml::write(&changes.results.clone().into(), indent, &mut out);
        }
        Some(out)
    }

    /// Writes `items` with changes. The answer is how deep its dashes stand.
    fn edit_items(&self, key: &str, lines: &[&str], changes: &Changes, out: &mut String) -> Option<usize> {
        let count = self.nodes().len();
        if count == 0 {
            if changes.added.is_empty() {
                out.push_str(key);
            } else {
                out.push_str("items:\n");
                yaml::write(&changes.added.clone().into(), 0, out);
            }
            out.extend(lines.iter().copied());
            return Some(0);
        }
        let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let first =
            lines.iter().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))?;
        let depth = indent(first);
        let is_start = |line: &str| {
            let rest = line.trim_start_matches(' ').strip_prefix('-');
            indent(line) == depth
                && rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with(' '))
        };
        let starts: Vec<usize> =
            (0..lines.len()).filter(|n| lines.get(*n).is_some_and(|l| is_start(l))).collect();
        if starts.len() != count {
            return None;
        }
        let left: usize = changes.items.values().filter(|change| change.is_none()).count();
        if left == count && changes.added.is_empty() {
            out.push_str("items: []\n");
            return Some(depth);
        }
        out.push_str(key);
        out.extend(lines.get(..*starts.first()?)?.iter().copied());
        for (n, start) in starts.iter().enumerate() {
            let end = starts.get(n + 1).copied().unwrap_or(lines.len());
            match changes.items.get(&n) {
                None => out.extend(lines.get(*start..end)?.iter().copied()),
                Some(None) => {}
                Some(Some(value)) => yaml::write(&Value::Array(vec![value.clone()]), depth, out),
            }
        }
        if !changes.added.is_empty() {
            end_line(out);
            yaml::write(&changes.added.clone().into(), depth, out);
        }
        Some(depth)
    }
}

fn end_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

#[cfg(test)]
mod tests;
