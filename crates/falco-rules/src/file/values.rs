//! Reading the values of a rules file's items, with Falco's messages.

use std::rc::Rc;

use super::yaml::{Node, boolean};
use crate::finding::Findings;
use crate::place::Place;

pub(crate) const VALIDATE: &str = "LOAD_ERR_VALIDATE";
pub(crate) const YAML: &str = "LOAD_ERR_YAML_VALIDATE";

/// Why an item is not taken.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) at: Option<Place>,
}

pub(crate) type Read<T> = Result<T, Refusal>;

pub(crate) fn refuse<T>(code: &'static str, message: impl Into<String>) -> Read<T> {
    Err(Refusal { code, message: message.into(), at: None })
}

pub(crate) fn refuse_at<T>(node: &Node, message: impl Into<String>) -> Read<T> {
    Err(Refusal { code: YAML, message: message.into(), at: Some(node.place) })
}

pub(crate) fn required<'n>(item: &'n Node, key: &str) -> Read<&'n Rc<Node>> {
    match item.get(key) {
        None => refuse(YAML, format!("Item has no mapping for key '{key}'")),
        Some(node) if node.is_null() => refuse(YAML, format!("Mapping for key '{key}' is empty")),
        Some(node) => match node.scalar() {
            None => refuse_at(node, "Value is not a scalar value"),
            Some("") => refuse_at(node, "Value must be non-empty"),
            Some(_) => Ok(node),
        },
    }
}

pub(crate) fn required_scalar<'n>(item: &'n Node, key: &str) -> Read<&'n str> {
    required(item, key).map(|node| node.scalar().unwrap_or_default())
}

pub(crate) fn required_boolean(item: &Node, key: &str) -> Read<bool> {
    let node = required(item, key)?;
    match boolean(node.scalar().unwrap_or_default()) {
        Some(value) => Ok(value),
        None => refuse_at(node, "Can't decode YAML scalar value"),
    }
}

pub(crate) fn optional_boolean(item: &Node, key: &str) -> Read<Option<bool>> {
    item.get(key).map(|_| required_boolean(item, key)).transpose()
}

/// A text that may be missing, nothing or empty.
pub(crate) fn optional_text(item: &Node, key: &str) -> Read<Option<String>> {
    match item.get(key) {
        None => Ok(None),
        Some(node) if node.is_null() => Ok(None),
        Some(node) => match node.scalar() {
            None => refuse_at(node, "Value is not a scalar value"),
            Some(text) => Ok(Some(text.to_owned())),
        },
    }
}

pub(crate) fn required_sequence(item: &Node, key: &str) -> Read<Vec<String>> {
    if item.get(key).is_none() {
        return refuse(YAML, format!("Item has no mapping for key '{key}'"));
    }
    optional_sequence(item, key)
}

pub(crate) fn optional_sequence(item: &Node, key: &str) -> Read<Vec<String>> {
    let Some(node) = item.get(key) else { return Ok(Vec::new()) };
    let Some(items) = node.sequence() else { return refuse_at(node, "Value is not a sequence") };
    let text = |item: &Rc<Node>| match item.scalar() {
        Some(text) => Ok(text.to_owned()),
        None => refuse_at(item, "sequence value is not scalar"),
    };
    items.iter().map(text).collect()
}

/// Warns about keys that Falco ignores.
pub(crate) fn warn_unknown_keys(findings: &mut Findings<'_>, node: &Node, item: &str, known: &[&str]) {
    for (key, _) in node.mapping().unwrap_or_default() {
        let name = key.scalar().unwrap_or_default();
        if !known.contains(&name) {
            let message = format!("Unknown key '{name}'. The key will be ignored.");
            findings.warn("LOAD_UNKNOWN_KEY", key.place, item, message);
        } else if node.key(name).is_some_and(|first| !Rc::ptr_eq(first, key)) {
            findings.warn(
                "SCHEMA",
                key.place,
                item,
                format!("the key '{name}' stands twice; Falco reads the first"),
            );
        }
    }
}

/// Falco prints what breaks its schema apart from its warnings, and loads it.
pub(crate) fn warn_schema_keys(findings: &mut Findings<'_>, node: &Node, item: &str, known: &[&str]) {
    for (key, _) in node.mapping().unwrap_or_default() {
        let name = key.scalar().unwrap_or_default();
        if !known.contains(&name) {
            findings.warn(
                "SCHEMA",
                key.place,
                item,
                format!("the schema of rules files has no key '{name}' here"),
            );
        }
    }
}
