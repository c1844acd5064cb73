//! A first configuration, in which every key stands with its explanation: those that say something, and the others
//! commented out. The words are the schema's, so that no key is forgotten.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema::SCHEMA;
use crate::yaml::{self, line_scalar};

/// The explanation at the head of the file.
const HEADING: &str = "What psp2falco makes of the PodSecurityPolicies here: `psp2falco generate` writes the rules, \
                       `psp2falco generate --check` fails where they are no longer those of the policies. Keys with # \
                       before them say what holds without them, or show an example.";

/// The most characters of a line of explanation.
const WIDTH: usize = 100;

/// The configuration that says `chosen`.
///
/// # Errors
/// None that is known: the schema is part of the program.
pub(crate) fn starter(chosen: &Value) -> serde_json::Result<String> {
    let schema: Value = serde_json::from_str(SCHEMA)?;
    let mut starter =
        Starter { definitions: schema.get("$defs").cloned().unwrap_or_default(), text: String::new() };
    starter.explain(HEADING, "");
    for (key, property) in properties(&schema).into_iter().flatten() {
        starter.text.push('\n');
        starter.key(key, property, chosen.get(key), "", 0);
    }
    Ok(starter.text)
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

struct Starter {
    definitions: Value,
    text: String,
}

impl Starter {
    /// Words as comments, filled into lines.
    fn explain(&mut self, words: &str, margin: &str) {
        let mut line = format!("{margin}#");
        for word in words.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _ = writeln!(self.text, "{line}");
                line = format!("{margin}#");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(self.text, "{line}");
    }

    /// A key with its explanation; commented out where nothing is chosen. `margin` comments out the section around it.
    fn key(&mut self, key: &str, property: &Value, chosen: Option<&Value>, margin: &str, indent: usize) {
        let pad = " ".repeat(indent);
        let inner = format!("{margin}{pad}");
        self.explain(&explanation(property), &inner);
        let off = if chosen.is_none() && margin.is_empty() { "# " } else { "" };
        if let Some(keys) = properties(property) {
            let _ = writeln!(self.text, "{inner}{off}{key}:");
            let margin = format!("{margin}{off}");
            for (key, property) in keys {
                let chosen = chosen.and_then(|section| section.get(key));
                self.key(key, property, chosen, &margin, indent + 2);
            }
            return;
        }
        match chosen {
            Some(Value::Array(items)) => {
                let _ = writeln!(self.text, "{inner}{key}:");
                yaml::write(&Value::Array(items.clone()), indent + 2, &mut self.text);
            }
            Some(value) => {
                let _ = writeln!(self.text, "{inner}{key}: {}", in_line(value));
            }
            None => {
                let _ = writeln!(self.text, "{inner}{off}{key}: {}", in_line(&self.example(property)));
            }
        }
    }

    /// A value for a key that says nothing yet: an example, or what holds without it.
    fn example(&self, property: &Value) -> Value {
        let name = property.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        let definition = name.and_then(|name| self.definitions.get(name));
        let first = |schema: &Value, key: &str| schema.get(key)?.get(0).cloned();
        [Some(property), definition]
            .into_iter()
            .flatten()
            .find_map(|schema| {
                first(schema, "examples").or(schema.get("default").cloned()).or(first(schema, "enum"))
            })
            .unwrap_or_else(|| {
                // a list of words starts with its first one
                let items = property.get("items").and_then(|items| first(items, "enum"));
                items.into_iter().collect()
            })
    }
}

/// What a key is for, and which words it takes.
fn explanation(property: &Value) -> String {
    let mut text = property.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let words = property.get("enum").or_else(|| property.get("items")?.get("enum")).and_then(Value::as_array);
    if let Some(words) = words {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        let what = if property.get("enum").is_some() { "One" } else { "Any" };
        let _ = write!(text, " {what} of {}.", words.join(", "));
    }
    text
}

/// A value on one line.
fn in_line(value: &Value) -> String {
    match value {
        Value::String(text) => line_scalar(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(in_line).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", line_scalar(key), in_line(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
