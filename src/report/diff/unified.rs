//! The textual difference.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

/// Lines around a change.
const CONTEXT: usize = 3;

/// A unified diff; in colour with what changed within a line set off. Control characters do not reach the terminal.
pub fn unified(old: &str, new: &str, name: &str, colour: bool) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    let paint = |code: &'static str| if colour { code } else { "" };
    let _ = writeln!(text, "{}--- {name}\n+++ {name} (new){}", paint("\x1b[1m"), paint("\x1b[0m"));
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let _ = writeln!(
            text,
            "{}{}{}",
            paint("\x1b[36m"),
            hunk.header().to_string().trim_end(),
            paint("\x1b[0m")
        );
        for op in hunk.ops() {
            for change in diff.iter_inline_changes(op) {
                let (sign, code, strong) = match change.tag() {
                    ChangeTag::Delete => ('-', "\x1b[31m", "\x1b[31;7m"),
                    ChangeTag::Insert => ('+', "\x1b[32m", "\x1b[32;7m"),
                    ChangeTag::Equal => (' ', "", ""),
                };
                text.push_str(paint(code));
                text.push(sign);
                for (emphasised, part) in change.iter_strings_lossy() {
                    let part = clean(&part);
                    if emphasised && colour {
                        let _ = write!(text, "{strong}{part}\x1b[0m{code}");
                    } else {
                        text.push_str(&part);
                    }
                }
                text.push_str(if code.is_empty() { "" } else { paint("\x1b[0m") });
                text.push('\n');
            }
        }
    }
    text
}

/// A line without its end, and without what would move a terminal's cursor.
fn clean(part: &str) -> String {
    let kept = part.trim_end_matches(['\n', '\r']);
    kept.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_changed_within_a_line() {
        let (old, new) = ("a\nports 80-90 and more\nz\n", "a\nports 80-99 and more\nz\n");
        assert_eq!(
            unified(old, new, "r.yaml", false),
            "--- r.yaml\n+++ r.yaml (new)\n@@ -1,3 +1,3 @@\n a\n-ports 80-90 and more\n+ports 80-99 and more\n z\n"
        );
        let coloured = unified(old, new, "r.yaml", true);
        assert!(coloured.contains("\x1b[32;7m80-99\x1b[0m"), "{coloured:?}");
        assert_eq!(unified(old, old, "r.yaml", false), "");
        assert!(!unified("", "\x1b[2J\n", "r.yaml", false).contains('\x1b'));
    }
}
