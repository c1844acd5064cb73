//! Compiled conditions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::glob::{Glob, Paths as PathTree};
use super::plugin::Plugin;
use super::re2::Pattern;
use crate::event::Extractor;
use crate::syntax::{Field, Modifier, Op, Transformer};

/// Compiled conditions that share what they read.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) operands: Vec<Origin>,
    pub(crate) tests: Vec<Test>,
    /// Conditions of macros.
    pub(crate) shared: Vec<Node>,
    /// The number of different fields.
    pub(crate) fields: usize,
    /// The JSON pointers that are read, and those that they start with.
    pub(crate) paths: Paths,
    /// Plugins beside those that are modelled.
    pub(crate) plugins: Vec<Plugin>,
}

impl Program {
    pub(crate) fn reads_event_numbers(&self) -> bool {
        self.operands.iter().any(|source| matches!(source, Origin::Field(Extractor::Number, _)))
    }
}

/// JSON pointers as a tree, so that what several start with is looked up once an event.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// The path that each extends (none: the root), and by which key.
    pub(crate) steps: Vec<(Option<usize>, String)>,
    numbers: HashMap<(Option<usize>, String), usize>,
}

impl Paths {
    /// The number of a path, which is added if it is new.
    pub(crate) fn number(&mut self, keys: &[String]) -> Option<usize> {
        keys.iter().fold(None, |parent, key| {
            let step = (parent, key.clone());
            let next = self.steps.len();
            let number = *self.numbers.entry(step.clone()).or_insert(next);
            if number == next {
                self.steps.push(step);
            }
            Some(number)
        })
    }
}

/// Where a value comes from; other operands by number.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A field and its number.
    Field(Extractor, usize),
    /// A JSON pointer's path and its field number.
    Pointer(usize, usize),
    /// The position of the plugin, its field, and the field's number.
    Plugin(usize, Field, usize),
    /// A field that this model cannot read.
    Unmodelled,
    Text(Vec<u8>),
    /// A literal list; numbers in it become text.
    List(Vec<(usize, bool)>),
    Unary(Transformer, usize),
    Join(usize, usize),
    Concat(Vec<usize>),
}

/// A compiled condition.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Shared(usize),
    Test(usize),
}

/// A comparison.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) operand: usize,
    pub(crate) compare: Compare,
}

/// How an operand's value is compared.
#[derive(Debug)]
pub(crate) enum Compare {
    Exists,
    Text(TextTest),
    Number(Op, u64),
    NumberIn(Vec<u64>),
    Elements { all: bool, set: Values },
    Operand(Op, usize, Kind),
}

/// What kind of values two operands have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    List,
}

/// How a text is compared.
#[derive(Debug)]
pub(crate) enum TextTest {
    Literal(Op, Vec<u8>),
    Contains(Box<memchr::memmem::Finder<'static>>),
    Glob(Glob),
    In(Values),
    Below(PathTree),
    Regex(Arc<Pattern>),
    Several(Modifier, Vec<Self>),
}

/// A set of values.
#[derive(Debug)]
pub(crate) enum Values {
    Few(Vec<Vec<u8>>),
    Many(HashSet<Vec<u8>>),
}

impl Values {
    pub(crate) fn new(values: Vec<Vec<u8>>) -> Self {
        if values.len() > 8 { Self::Many(values.into_iter().collect()) } else { Self::Few(values) }
    }

    pub(crate) fn contains(&self, value: &[u8]) -> bool {
        match self {
            Self::Few(values) => values.iter().any(|v| v == value),
            Self::Many(values) => values.contains(value),
        }
    }
}
