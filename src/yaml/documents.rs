//! YAML and JSON text as located trees, one a document, from a single parse.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_yaml::granit_parser::{
    ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, StrInput, StructureStyle, Tag,
};

use super::node::{Data, Entry, Mark, Node};
use super::scalar::resolve;
use crate::messages::yaml as messages;
use crate::problem::Message;

/// The most nodes that one document may have: well above any cluster dump, well below what exhausts memory.
pub const MAX_NODES: usize = 4_000_000;
/// The most that aliases may copy within one document, in nodes (a long text counts as several).
pub const MAX_COPIED: usize = 100_000;

/// The most broken documents after which a text is read on: finding the end of one may take reading to the end of all.
pub const MAX_BROKEN: usize = 20;

/// Why a document could not be read.
#[derive(Debug)]
pub(crate) struct Syntax {
    pub(crate) mark: Mark,
    pub(crate) message: Message,
}

/// The documents of a text. After a broken one it goes on at the next line that starts with `---`.
pub(crate) struct Documents<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    /// Where in `text` the parser started.
    start: usize,
    /// The place of `start`; lines and columns from 0.
    base: Mark,
    /// Was the last document written as `{…}` or `[…]`?
    flow: bool,
    broken: usize,
    done: bool,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            parser: parser(text),
            start: 0,
            base: Mark::default(),
            flow: false,
            broken: 0,
            done: false,
        }
    }

    fn document(&mut self) -> Result<Option<Node<'a>>, Syntax> {
        let mut tree = Tree::default();
        while let Some(next) = self.parser.next() {
            match next {
                Ok((Event::DocumentEnd, _)) => return Ok(tree.root.take()),
                Ok((event, span)) => {
                    let mark = self.mark(span.start);
                    if tree.is_empty() {
                        self.flow = is_flow(&event);
                    }
                    if let Err(message) = tree.take_in(event, mark) {
                        self.restart_after(span.start);
                        return Err(Syntax { mark, message });
                    }
                }
                Err(error) if self.is_next_json(&error) => self.restart_at(error.marker()),
                Err(error) => {
                    let mark = self.mark(*error.marker());
                    self.restart_after(*error.marker());
                    return Err(Syntax { mark, message: self.explain(&error) });
                }
            }
        }
        self.done = true;
        Ok(None)
    }

    fn explain(&self, error: &ScanError) -> Message {
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => messages::too_deep(),
            ErrorKind::TabInBlockIndentation => messages::tab(),
            _ if self.is_asterisk(error) => messages::asterisk(),
            _ if self.flow => messages::not_json(error.info()),
            _ => messages::not_yaml(error.info()),
        }
    }

    /// Does the error come from a `*` that stands alone?
    fn is_asterisk(&self, error: &ScanError) -> bool {
        let at = self.offset(*error.marker());
        let before = self.text.get(..at).unwrap_or_default().trim_end_matches([' ', '*']);
        let line = before.rsplit('\n').next().unwrap_or_default().len();
        let rest = self.text.get(before.len()..).unwrap_or_default().trim_start_matches(' ');
        let begins = line == 0 || before.ends_with([':', '-', '[', ',', '{']);
        begins && rest.strip_prefix('*').is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    }

    /// The place of a marker in the whole text.
    fn mark(&self, marker: Marker) -> Mark {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let shift = if marker.line() <= 1 { self.base.column } else { 0 };
        Mark {
            line: number(marker.line()).saturating_add(self.base.line),
            column: number(marker.col()).saturating_add(1).saturating_add(shift),
        }
    }

    /// Does the error only say that one JSON document follows another without `---`?
    fn is_next_json(&self, error: &ScanError) -> bool {
        self.flow
            && *error.kind() == ErrorKind::ExpectedDocumentStart
            && self.rest(*error.marker()).starts_with(['{', '['])
    }

    fn offset(&self, marker: Marker) -> usize {
        self.start + marker.byte_offset().unwrap_or_default()
    }

    fn rest(&self, marker: Marker) -> &'a str {
        self.text.get(self.offset(marker)..).unwrap_or_default()
    }

    fn restart_at(&mut self, marker: &Marker) {
        let mark = self.mark(*marker);
        self.base = Mark { line: mark.line.saturating_sub(1), column: mark.column.saturating_sub(1) };
        self.start = self.offset(*marker);
        self.parser = parser(self.rest_from_start());
    }

    /// Goes on at the first line after `marker` (or at it) that starts a document.
    fn restart_after(&mut self, marker: Marker) {
        let from = self.offset(marker).saturating_sub(1);
        let rest = self.text.get(from..).unwrap_or_default();
        self.broken += 1;
        let Some(found) = document_start(rest).filter(|_| self.broken < MAX_BROKEN) else {
            self.done = true;
            return;
        };
        let skipped = self.text.get(self.start..from + found).unwrap_or_default();
        let lines = skipped.bytes().filter(|byte| *byte == b'\n').count();
        self.base =
            Mark { line: self.base.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX)), column: 0 };
        self.start = from + found;
        self.parser = parser(self.rest_from_start());
    }

    fn rest_from_start(&self) -> &'a str {
        self.text.get(self.start..).unwrap_or_default()
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<Node<'a>, Syntax>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            if let Some(document) = self.document().transpose() {
                return Some(document);
            }
        }
        None
    }
}

fn parser(text: &str) -> Parser<'_, StrInput<'_>> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    Parser::new_from_str_with_options(text, options)
}

/// Where in `text` the first line starts that opens a document.
fn document_start(text: &str) -> Option<usize> {
    text.match_indices("\n---").map(|(at, _)| at + 1).find(|at| {
        text.get(at + 3..).is_none_or(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    })
}

fn is_flow(event: &Event<'_>) -> bool {
    matches!(
        event,
        Event::MappingStart(StructureStyle::Flow, ..) | Event::SequenceStart(StructureStyle::Flow, ..)
    )
}

/// A document under construction.
#[derive(Default)]
struct Tree<'a> {
    root: Option<Node<'a>>,
    open: Vec<Open<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    nodes: usize,
    copied: usize,
}

/// A list or mapping whose end has not come yet.
struct Open<'a> {
    node: Node<'a>,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<Key<'a>>,
    /// The mappings that `<<` merges into this one.
    merged: Vec<Node<'a>>,
}

struct Key<'a> {
    mark: Mark,
    text: Cow<'a, str>,
    merge: bool,
}

impl<'a> Tree<'a> {
    fn is_empty(&self) -> bool {
        self.root.is_none() && self.open.is_empty()
    }

    fn take_in(&mut self, event: Event<'a>, mark: Mark) -> Result<(), Message> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), mark),
            Event::SequenceStart(_, anchor, _) => self.start(Data::List(Vec::new()), anchor, mark),
            Event::MappingStart(_, anchor, _) => self.start(Data::Map(Vec::new()), anchor, mark),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, mark),
            _ => Ok(()),
        }
    }

    /// The open mapping, if what comes next is a key of it.
    fn wants_key(&mut self) -> Option<&mut Option<Key<'a>>> {
        let open = self.open.last_mut()?;
        (matches!(open.node.data, Data::Map(_)) && open.key.is_none()).then_some(&mut open.key)
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: Mark,
    ) -> Result<(), Message> {
        let plain = style == ScalarStyle::Plain && tag.is_none();
        if let Some(slot) = self.wants_key() {
            let merge = plain && text == "<<";
            let text = if plain { key_text(text) } else { text };
            let named = (anchor != 0).then(|| Node { mark, data: Data::Text(text.clone()) });
            *slot = Some(Key { mark, text, merge });
            self.anchors.extend(named.map(|node| (anchor, node)));
            return Ok(());
        }
        let data = match tag {
            None if style == ScalarStyle::Plain => resolve(text),
            Some(tag) if is_resolved(tag) => resolve(text),
            _ => Data::Text(text),
        };
        self.add(Node { mark, data }, anchor)
    }

    fn start(&mut self, data: Data<'a>, anchor: usize, mark: Mark) -> Result<(), Message> {
        if self.wants_key().is_some() {
            return Err(messages::key_is_collection());
        }
        self.open.push(Open { node: Node { mark, data }, anchor, key: None, merged: Vec::new() });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Message> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        if let Data::Map(entries) = &mut open.node.data {
            merge(entries, open.merged);
        }
        self.add(open.node, open.anchor)
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Message> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(messages::alias_of_itself());
        };
        if let Some(slot) = self.wants_key() {
            let Data::Text(text) = node.data else {
                return Err(messages::key_is_no_string());
            };
            *slot = Some(Key { mark, text, merge: false });
            return Ok(());
        }
        self.count_copy(&node)?;
        self.add(node, 0)
    }

    fn add(&mut self, node: Node<'a>, anchor: usize) -> Result<(), Message> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(messages::too_many_values(MAX_NODES));
        }
        if anchor != 0 {
            self.count_copy(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(open) => open.add(node)?,
        }
        Ok(())
    }

    fn count_copy(&mut self, node: &Node<'a>) -> Result<(), Message> {
        self.copied += weight(node);
        if self.copied > MAX_COPIED {
            return Err(messages::too_many_copies(MAX_COPIED));
        }
        Ok(())
    }
}

impl<'a> Open<'a> {
    fn add(&mut self, node: Node<'a>) -> Result<(), Message> {
        let entries = match &mut self.node.data {
            Data::List(items) => {
                items.push(node);
                return Ok(());
            }
            Data::Map(entries) => entries,
            _ => return Ok(()),
        };
        let Some(key) = self.key.take() else { return Ok(()) };
        if !key.merge {
            entries.push(Entry { mark: key.mark, key: key.text, node });
            return Ok(());
        }
        match node.data {
            Data::Map(_) => self.merged.push(node),
            Data::List(items) if items.iter().all(|item| matches!(item.data, Data::Map(_))) => {
                self.merged.extend(items);
            }
            _ => return Err(messages::merge_of_no_mapping()),
        }
        Ok(())
    }
}

/// Adds the entries of `merged` that are not there yet; the first of them to bring a key wins.
fn merge<'a>(entries: &mut Vec<Entry<'a>>, merged: Vec<Node<'a>>) {
    if merged.is_empty() {
        return;
    }
    let mut present: HashSet<Cow<'a, str>> = entries.iter().map(|entry| entry.key.clone()).collect();
    for node in merged {
        let Data::Map(more) = node.data else { continue };
        entries.extend(more.into_iter().filter(|entry| present.insert(entry.key.clone())));
    }
}

/// An unquoted key as kubectl writes it into JSON: `on` is the key `true`.
fn key_text(text: Cow<'_, str>) -> Cow<'_, str> {
    match resolve(text.clone()) {
        Data::Bool(value) => if value { "true" } else { "false" }.into(),
        Data::Int(value) => value.to_string().into(),
        _ => text,
    }
}

/// Is the tag one that makes a value of a text, like `!!int`?
fn is_resolved(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && matches!(tag.suffix(), "null" | "bool" | "int" | "float")
}

/// The number of nodes in a tree, a long text counted as several.
pub(crate) fn weight(node: &Node<'_>) -> usize {
    1 + match &node.data {
        Data::Text(text) => text.len() / 64,
        Data::List(items) => items.iter().map(weight).sum(),
        Data::Map(entries) => entries.iter().map(|entry| entry.key.len() / 64 + weight(&entry.node)).sum(),
        _ => 0,
    }
}
