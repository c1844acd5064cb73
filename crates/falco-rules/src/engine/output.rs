//! A rule's output: text with `%field` in it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::evaluation::{Run, c_string};
use crate::check::FieldType;
use crate::event::{Extracted, as_u64, number_text};

/// The longest text of a list, in bytes.
const LIST_LIMIT: usize = 1023;

/// A compiled output.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) parts: Vec<Part>,
    /// The fields that stand in it, by name.
    pub(crate) fields: Vec<(String, Shown)>,
}

#[derive(Debug)]
pub(crate) enum Part {
    Text(String),
    /// A value, cut or filled up to so many bytes if any.
    Value(Shown, Option<usize>),
}

/// A value to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) operand: usize,
    pub(crate) kind: FieldType,
    /// Shown in alerts as the event's time, though conditions read a text.
    pub(crate) is_time: bool,
    pub(crate) padded: bool,
}

impl Output {
    pub(crate) fn render(&self, run: &Run<'_, '_>) -> String {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(shown, width) => {
                    let mut text = shown.text(run);
                    if let Some(width) = width {
                        text.resize(*width, b' ');
                    }
                    out.extend_from_slice(&text);
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(crate) fn fields(&self, run: &Run<'_, '_>) -> serde_json::Map<String, Value> {
        let named = self.fields.iter().map(|(name, shown)| (name.clone(), shown.json(run)));
        // Falco puts the time before every output, and so among its fields.
        let time = ("evt.time".to_owned(), Value::from(run.nanoseconds()));
        let sorted: BTreeMap<String, Value> = named.chain([time]).collect();
        sorted.into_iter().collect()
    }
}

impl Shown {
    fn text(self, run: &Run<'_, '_>) -> Vec<u8> {
        match run.value(self.operand) {
            Extracted::Missing => b"<NA>".to_vec(),
            Extracted::One(value) => self.scalar(value),
            Extracted::Many(values) => {
                let mut text = vec![b'('];
                for value in values {
                    // Falco forgets the comma after leading empty elements.
                    if text.len() > 1 {
                        text.push(b',');
                    }
                    text.extend_from_slice(&self.scalar(value));
                }
                text.push(b')');
                text.truncate(LIST_LIMIT);
                text
            }
        }
    }

    fn scalar(self, value: &[u8]) -> Vec<u8> {
        match self.kind {
            FieldType::Bool if as_u64(value) == 0 => b"false".to_vec(),
            FieldType::Bool => b"true".to_vec(),
            kind if kind.is_number() => number_text(value, self.padded).into_bytes(),
            _ => c_string(value).to_vec(),
        }
    }

    fn json(self, run: &Run<'_, '_>) -> Value {
        match run.value(self.operand) {
            Extracted::Missing => Value::Null,
            Extracted::One(_) if self.is_time => Value::from(run.nanoseconds()),
            Extracted::One(value) => self.json_scalar(value),
            Extracted::Many(values) => Value::Array(values.iter().map(|v| self.json_scalar(v)).collect()),
        }
    }

    fn json_scalar(self, value: &[u8]) -> Value {
        match self.kind {
            FieldType::Bool => Value::from(as_u64(value) != 0),
            kind if kind.is_number() => Value::from(as_u64(value)),
            _ => Value::from(String::from_utf8_lossy(c_string(value))),
        }
    }
}
