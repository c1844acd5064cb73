//! Texts of rules files, and where each part of them stands.

use std::rc::Rc;

use super::values::{Read, required};
use super::yaml::Node;
use crate::finding::Source;
use crate::place::Place;

/// A node and the file that it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) file: usize,
    pub(crate) node: Rc<Node>,
}

/// A text that may be put together from several scalars, each with where it starts in the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) parts: Vec<(usize, Located)>,
}

impl Text {
    /// The text under a key, which must be there.
    pub(crate) fn required(file: usize, item: &Node, key: &str) -> Read<Self> {
        required(item, key).map(|node| Self {
            text: node.scalar().unwrap_or_default().to_owned(),
            parts: vec![(0, Located { file, node: Rc::clone(node) })],
        })
    }

    /// Puts another text behind this one, as Falco appends conditions and outputs.
    pub(crate) fn append(&mut self, other: &Self) {
        self.text.push(' ');
        let start = self.text.len();
        self.text.push_str(&other.text);
        self.parts.extend(other.parts.iter().map(|(at, part)| (start + at, part.clone())));
    }

    /// The file and place of the byte at `offset`.
    pub(crate) fn place(&self, files: &[Source<'_>], offset: usize) -> (usize, Place) {
        let found = self.parts.iter().rev().find(|(start, _)| *start <= offset).or(self.parts.first());
        let Some((start, part)) = found else { return (0, Place::default()) };
        let source = files.get(part.file).map_or("", |f| f.text);
        (part.file, part.node.place_within(source, offset.saturating_sub(*start)))
    }
}

/// Falco quotes items with blanks, and does not escape what is in them.
pub(crate) fn quoted(item: &str) -> String {
    let is_quoted = item.starts_with(['"', '\'']);
    if item.contains(' ') && !is_quoted { format!("\"{item}\"") } else { item.to_owned() }
}
