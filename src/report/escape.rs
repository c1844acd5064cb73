//! Manifest text made safe for what it is put into.
//!
//! Manifests may hold anything: control characters, marks that turn the direction of writing, markup, commands of a
//! log. Each format takes them as text and nothing else.

use std::fmt::Write as _;

/// Text for people: what cannot be seen, or changes how the rest is seen, is written as `\u{…}`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, separators of lines, marks of direction, and what takes no room.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Visible text of at most `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most {
        text
    } else {
        text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
    }
}

/// Text in HTML, in an element or in a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Text as a code span of Markdown, also within a table. A pipe would end a table's cell even there.
pub(super) fn code(text: &str) -> String {
    let text = visible(text).replace('|', "\\|");
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // a span that begins or ends in a backtick needs a blank, which is taken off again
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// Lines of text as a block of Markdown that nothing in them can end.
pub(super) fn fenced(text: &str, language: &str) -> String {
    let lines: Vec<String> = text.lines().map(visible).collect();
    let text = lines.join("\n");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}")
}

/// Text of Markdown that is no markup.
pub(super) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            // GitHub would make mentions and links of them, escaped or not
            '@' => out.push_str("&#64;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '~' | '!' | '>' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out.replace("://", ":&#47;/")
}

/// The message of a GitHub workflow command (actions/toolkit `command.ts`, `escapeData`).
pub(super) fn command_data(text: &str) -> String {
    visible(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a GitHub workflow command (`escapeProperty`).
pub(super) fn command_property(text: &str) -> String {
    command_data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A path as a URI reference (RFC 3986).
pub(super) fn uri(path: &str) -> String {
    let mut out = String::new();
    // a path that is not relative needs a scheme, and the first part of a relative one must not look like one
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stays_hidden() {
        assert_eq!(
            visible("a\u{202e}b\u{2028}c\n\u{200f}\x1b[2J"),
            r"a\u{202e}b\u{2028}c\u{a}\u{200f}\u{1b}[2J"
        );
        assert_eq!(short("abcdef", 4), "abc…");
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<script>'\"&"), "&lt;script&gt;&#39;&quot;&amp;");
        assert_eq!(code("a|b`c"), "``a\\|b`c``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(
            markdown("[x](y) @someone <b> *"),
            "\\[x\\](y) &#64;someone &lt;b> \\*".replace("b>", "b\\>")
        );
        assert_eq!(command_property("a:b,c%\n::error::x"), "a%3Ab%2Cc%25\\u{a}%3A%3Aerror%3A%3Ax");
        assert_eq!(uri("a b/c:d#e.yaml"), "a%20b/c%3Ad%23e.yaml");
        assert_eq!(uri("/x"), "file:///x");
    }
}
