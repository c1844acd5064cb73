//! Values as YAML text that readers of version 1.1 and 1.2 take for the same.

use std::fmt::Write as _;

use serde_json::Value;

/// Appends `value` in block style, each line indented by `indent` spaces.
pub(crate) fn write(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                pad(indent, out);
                entry(key, value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, out);
                out.push_str("- ");
                list_item(item, indent + 2, out);
            }
        }
        other => {
            pad(indent, out);
            scalar(other, indent, out);
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The rest of a list's line after its dash, and the lines that belong to it.
fn list_item(item: &Value, indent: usize, out: &mut String) {
    match item {
        Value::Object(map) if !map.is_empty() => {
            for (n, (key, value)) in map.iter().enumerate() {
                if n > 0 {
                    pad(indent, out);
                }
                entry(key, value, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write(item, indent, out);
        }
        other => scalar(other, indent, out),
    }
}

fn entry(key: &str, value: &Value, indent: usize, out: &mut String) {
    out.push_str(&line_scalar(key));
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            write(value, indent + 2, out);
        }
        other => {
            out.push(' ');
            scalar(other, indent + 2, out);
        }
    }
}

/// A scalar or an empty collection, with the line's end.
fn scalar(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::String(text) if text.contains('\n') && fits_block(text) => block(text, indent, out),
        Value::String(text) => {
            out.push_str(&line_scalar(text));
            out.push('\n');
        }
        other => {
            let _ = writeln!(out, "{other}");
        }
    }
}

/// A literal block scalar, whose bytes stand there as they are.
fn block(text: &str, indent: usize, out: &mut String) {
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            pad(indent, out);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// Does a literal block scalar carry the text byte for byte, whatever reads it?
///
/// Not with characters that YAML 1.1 takes for line ends (CR, NEL, U+2028, U+2029) or does not take at all, not where
/// the first line would hide how deep the block is indented, and not where the end would need more than one sign.
pub(crate) fn fits_block(text: &str) -> bool {
    let fine = |c: char| match c {
        '\n' | '\t' => true,
        '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    };
    text.starts_with(|c: char| !c.is_whitespace())
        && !text.ends_with("\n\n")
        && text.chars().all(fine)
        && text.lines().all(|line| line.is_empty() || !line.starts_with('\t') && !line.trim().is_empty())
}

/// A text on one line: plain where nothing can take it for something else, in double quotes otherwise.
pub(crate) fn line_scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { double_quoted(text) }
}

fn is_plain(text: &str) -> bool {
    const OTHER_TYPES: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " _-./()=".contains(c))
        && !text.ends_with(' ')
        && !OTHER_TYPES.contains(&text.to_ascii_lowercase().as_str())
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::Documents;

    fn yaml(value: &Value) -> String {
        let mut text = String::new();
        write(value, 0, &mut text);
        text
    }

    #[test]
    fn values_come_back_as_they_went() {
        let value = json!({
            "plain": "some words", "no": "no", "On": "on", "number": 3, "version": "0.10", "colon": "a: b",
            "hash": "a #b", "empty": {}, "none": [], "null": null, "text": "null", "yes": true, "": "",
            "tilde": "~", "dash": "- a", "star": "*a", "percent": "%TAG", "quote": "a\"b\\c", "space": " a ",
            "tab": "a\tb", "lines": "one\n  two\n\nthree\n", "open": "one\ntwo", "cr": "a\r\nb", "nel": "a\u{85}b",
            "deep": {"list": [[1, [2, []]], {"a": {"b": [{"c": "d", "e": [false]}]}}, "x"]},
        });
        let text = yaml(&value);
        let back: Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(back, value, "{text}");
        assert!(text.contains("plain: some words\n") && text.contains("  two\n\n  three\n"), "{text}");
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
        let texts = odd.iter().map(|text| json!({ *text: text, "list": [text, [text], {*text: [text]}] }));
        let numbers = json!({"numbers": [0, -1, i64::MAX, i64::MIN, 1.5, -2.5e-7]});
        for value in texts.chain([numbers]) {
            let text = yaml(&value);
            let read: Vec<Value> =
                Documents::new(&text).map(|document| document.unwrap().to_value()).collect();
            assert_eq!(read, [value], "{text}");
        }
    }

    #[test]
    fn a_block_only_where_it_is_safe() {
        for text in ["a\n", "a", "a\n b\n\n  c \n", "a\tb\n", "# %\n---\n", "\u{e9}\u{1f600}\n"] {
            assert!(fits_block(text), "{text:?}");
        }
        for text in
            ["", "\n", " a\n", "a\n\n", "a\r\n", "a\n\tb\n", "a\n  \nb\n", "a\u{2028}b", "a\u{85}", "a\u{7f}"]
        {
            assert!(!fits_block(text), "{text:?}");
        }
    }
}
