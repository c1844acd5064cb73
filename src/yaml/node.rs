//! One document as a tree whose nodes know their place.

use std::borrow::Cow;

use serde_json::Value;

use crate::problem::{Place, quote};

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Mark {
    pub(crate) fn within(self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line as usize, column: self.column as usize }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    pub(crate) mark: Mark,
    pub(crate) data: Data<'a>,
}

/// A value as JSON knows it. Maps keep their order and their duplicate keys.
#[derive(Debug, Clone)]
pub(crate) enum Data<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) mark: Mark,
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value of `key`: the last one, as a JSON reader would take it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        let Data::Map(entries) = &self.data else { return None };
        entries.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// As [`Node::get`].
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node<'a>> {
        let Data::Map(entries) = &mut self.data else { return None };
        entries.iter_mut().rev().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    /// The text of the string at `key`.
    pub(crate) fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    /// The text, if this is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Data::Text(text) = &self.data { Some(text) } else { None }
    }

    /// What this is, for a message.
    pub(crate) fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(value) => format!("the boolean {value}"),
            Data::Int(value) => format!("the number {value}"),
            Data::Float(value) => format!("the number {value}"),
            Data::Text(text) => format!("the string {}", quote(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
        }
    }

    /// The deepest node on the way along `path`, like `spec.runAsUser.ranges[0]` or `metadata.annotations[a.b/c]`.
    pub(crate) fn locate(&self, path: &str) -> &Node<'a> {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            let (step, after) = first_step(rest);
            let next = match &node.data {
                Data::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                _ => node.get(step),
            };
            let Some(next) = next else { break };
            node = next;
            rest = after;
        }
        node
    }

    /// The same value without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(value) => Value::Bool(*value),
            Data::Int(value) => Value::from(*value),
            Data::Float(value) => Value::from(*value),
            Data::Text(text) => Value::from(text.as_ref()),
            Data::List(items) => items.iter().map(Node::to_value).collect(),
            Data::Map(entries) => {
                entries.iter().map(|entry| (entry.key.to_string(), entry.node.to_value())).collect()
            }
        }
    }
}

/// Splits the first step off a field path.
fn first_step(path: &str) -> (&str, &str) {
    if let Some((step, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
        return (step, rest.trim_start_matches('.'));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (step, rest) = path.split_at(end);
    (step, rest.trim_start_matches('.'))
}
