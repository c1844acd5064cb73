//! Objects as YAML that every reader takes alike: block style, and anything doubtful in quotes.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::read::node::Data;
use crate::read::scalar::resolve;

/// One object as a YAML document, `---` before it.
pub(super) fn document(object: &Value) -> String {
    let mut text = String::from("---\n");
    match object {
        Value::Object(map) if !map.is_empty() => entries(map, 0, false, &mut text),
        other => {
            scalar(other, &mut text);
            text.push('\n');
        }
    }
    text
}

/// The entries of a mapping, a line each; the first one goes on with the line that is there if `inline`.
fn entries(map: &Map<String, Value>, depth: usize, mut inline: bool, text: &mut String) {
    for (key, value) in map {
        if !std::mem::take(&mut inline) {
            indent(depth, text);
        }
        string(key, text);
        text.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                text.push('\n');
                entries(map, depth + 1, false, text);
            }
            Value::Array(list) if !list.is_empty() => {
                text.push('\n');
                items(list, depth, false, text);
            }
            other => {
                text.push(' ');
                scalar(other, text);
                text.push('\n');
            }
        }
    }
}

fn items(list: &[Value], depth: usize, mut inline: bool, text: &mut String) {
    for item in list {
        if !std::mem::take(&mut inline) {
            indent(depth, text);
        }
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => entries(map, depth + 1, true, text),
            Value::Array(list) if !list.is_empty() => items(list, depth + 1, true, text),
            other => {
                scalar(other, text);
                text.push('\n');
            }
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(value: &Value, text: &mut String) {
    match value {
        Value::String(own) => string(own, text),
        Value::Object(_) => text.push_str("{}"),
        Value::Array(_) => text.push_str("[]"),
        other => text.push_str(&other.to_string()),
    }
}

fn string(own: &str, text: &mut String) {
    if is_plain(own) {
        text.push_str(own);
        return;
    }
    text.push('"');
    for char in own.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            // YAML knows more line breaks and unprintable characters than JSON
            '\0'..=' '
            | '\u{7f}'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}'
                if char != ' ' =>
            {
                let _ = write!(text, "\\u{:04x}", u32::from(char));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Is it the same string without quotes, to every reader of YAML?
fn is_plain(own: &str) -> bool {
    own.len() > 1
        && own.starts_with(|first: char| first.is_ascii_alphabetic())
        && own.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte))
        && matches!(resolve(own.into()), Data::Text(_))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::read::yaml::Documents;

    fn read_back(text: &str) -> Vec<Value> {
        Documents::new(text).map(|document| document.unwrap().to_value()).collect()
    }

    #[test]
    fn reads_as_people_write_it() {
        let object = json!({
            "kind": "X", "list": [{"a": 1, "b": ["c-c", []]}, [true, "true"], {}],
            "empty": {}, "image": "example/web:1", "none": null,
        });
        let text = "---\nkind: \"X\"\nlist:\n- \"a\": 1\n  \"b\":\n  - c-c\n  - []\n- - true\n  - \"true\"\n- {}\n\
                    empty: {}\nimage: \"example/web:1\"\nnone: null\n";
        assert_eq!(document(&object), text);
        assert_eq!(read_back(text), [object]);
    }

    #[test]
    fn strings_come_back_as_they_went() {
        let odd = [
            "",
            " ",
            "~",
            "null",
            "yes",
            "off",
            "0644",
            "1e3",
            "1_000",
            "0x1F",
            "-",
            "- a",
            "a: b",
            "#",
            "a #b",
            "{{",
            "%x",
            "@",
            "`",
            "!t",
            "&a",
            "*a",
            "|",
            ">",
            "<<",
            "\"",
            "'",
            "\\",
            "\\n",
            "\n",
            "a\nb\n",
            "\r\n",
            "\t",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "\u{feff}x",
            "\u{fffe}",
            "é",
            "\u{1f600}",
            "---",
            "...",
            ".inf",
            ".nan",
            "2026-01-02",
            "1:30",
            "=",
            "y",
            "No",
            "inf",
            "e3",
        ];
        let mut objects = Vec::new();
        for text in odd {
            objects.push(json!({ text: text, "list": [text, [text], {text: [text]}] }));
        }
        objects.push(json!({"numbers": [0, -1, i64::MAX, i64::MIN, 1.5, -2.5e-7]}));
        let text: String = objects.iter().map(document).collect();
        assert_eq!(read_back(&text), objects);
    }
}
