//! Outputs of rules: text with `%field` in it.

use std::fmt::Write as _;

use super::catalog::catalog;
use super::operands::operand_type;
use super::plugins::Known;
use super::problem::{Checked, Refusal};
use crate::syntax::{Field, Operand, parse_operand};

/// A part of an output.
pub(crate) enum Part {
    /// Text as it is.
    Text(String),
    /// A field or transformer, cut or filled up to so many bytes if any.
    Value(Operand, Option<usize>),
}

/// The deprecated fields that an output names.
pub(crate) fn deprecated_fields(text: &str) -> impl Iterator<Item = &'static str> {
    catalog().fields().filter(move |f| f.deprecated && text.contains(f.name)).map(|f| f.name)
}

/// Takes an output of a rule for events of `source` apart; an error comes with its offset in the text.
pub(crate) fn parse_output(
    text: &str,
    source: &str,
    plugins: Known<'_>,
) -> Result<Vec<Part>, (usize, Refusal)> {
    let error = |at: usize, message: String, unknown: bool| (at, Refusal { message, unknown });
    if text.is_empty() {
        return Err(error(0, "empty formatting token".into(), false));
    }
    let mut parts = Vec::new();
    let mut at = usize::from(text.starts_with('*'));
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let plain = rest.find('%').unwrap_or(rest.len());
        if plain > 0 {
            parts.push(Part::Text(rest.get(..plain).unwrap_or_default().to_owned()));
            at += plain;
            continue;
        }
        at += 1;
        let after = text.get(at..).unwrap_or_default();
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (width, token) = after.split_at_checked(digits).unwrap_or_default();
        if token.is_empty() {
            let end = if digits > 0 { "number" } else { "%" };
            let message = format!("invalid formatting syntax: formatting cannot end with a {end}");
            return Err(error(at - 1, message, false));
        }
        let width = width.parse::<usize>().ok().filter(|w| *w > 0).map(|w| w.min(1 << 16));
        let (operand, length) = match longest_operand(token, source, plugins) {
            Ok(found) => found,
            Err(Refusal { message, unknown }) => {
                return Err(error(at, format!("unknown filter: {message}"), unknown));
            }
        };
        parts.push(Part::Value(operand, width));
        at += digits + length;
    }
    Ok(parts)
}

/// The longest field or transformer at the start of `text`, with its length. Falco tries ever shorter texts, so that
/// `%ka.verbose` shows `ka.verb`, followed by `ose`.
fn longest_operand(text: &str, source: &str, plugins: Known<'_>) -> Checked<(Operand, usize)> {
    const LONGEST: usize = 1024;
    let mut first = None;
    let mut end = text.len().min(LONGEST);
    while end > 0 {
        let Some(part) = text.get(..end) else {
            end -= 1;
            continue;
        };
        let parsed = parse_operand(part).map_err(|e| Refusal { message: e.message, unknown: false });
        match parsed.and_then(|found| operand_type(&found.0, source, plugins).map(|_| found)) {
            Ok(found) => return Ok(found),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
        end -= 1;
    }
    Err(first.unwrap_or(Refusal { message: "no field after %".into(), unknown: false }))
}

/// A field's name in `output_fields`.
pub(crate) fn shown_name(field: &Field) -> String {
    let Some(arg) = &field.arg else { return field.name.clone() };
    let special = |c: char| matches!(c, '\x08' | '\x0c' | '\n' | '\r' | '\t' | ' ' | '=' | '\\' | '"' | '\'');
    let mut name = format!("{}[", field.name);
    if !arg.is_empty() && !arg.contains(special) {
        let _ = write!(name, "{arg}]");
        return name;
    }
    name.push('"');
    for c in arg.chars() {
        match c {
            '\x08' => name.push_str("\\b"),
            '\x0c' => name.push_str("\\f"),
            '\n' => name.push_str("\\n"),
            '\r' => name.push_str("\\r"),
            '\t' => name.push_str("\\t"),
            '\\' | '"' => name.extend(['\\', c]),
            _ => name.push(c),
        }
    }
    name.push_str("\"]");
    name
}
