//! Texts as strings of a Falco condition, and as YAML.

use serde_json::Value;

use crate::problem::is_plain;

/// Words that mean something else to YAML or to a condition.
const RESERVED: [&str; 14] =
    ["and", "or", "not", "in", "exists", "true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// `text` as a string of a Falco condition.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("'");
    for letter in text.chars() {
        match letter {
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// Names as Falco takes them in a list.
pub(crate) fn quoted(names: &[String]) -> String {
    names.iter().map(|n| quote(n)).collect::<Vec<_>>().join(", ")
}

/// A name in a condition, in quotes unless it is plain.
pub(crate) fn word(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:@/".contains(c))
        && !name.ends_with(':')
        && !name.contains("psp")
        && !RESERVED.iter().any(|w| name.eq_ignore_ascii_case(w));
    if plain { name.to_owned() } else { quote(name) }
}

/// A word of a condition as an item of a list in YAML.
pub(super) fn yaml_item(word: &str) -> String {
    if word.starts_with('\'') { Value::String(word.to_owned()).to_string() } else { word.to_owned() }
}

/// `text` as a YAML scalar on one line, plain where every YAML reader takes it for that string.
pub(super) fn yaml(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-./()+=,;".contains(c);
    let safe = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && text.contains(' ')
        && !text.ends_with(' ');
    if safe {
        return text.to_owned();
    }
    let json = Value::String(text.to_owned()).to_string();
    // beyond the characters of 16 bits, all are plain
    let spelt = |c: char| if is_plain(c) { c.to_string() } else { format!("\\u{:04x}", c as u32) };
    json.chars().map(spelt).collect()
}
