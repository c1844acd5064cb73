//! The textual difference.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use crate::paint::{Paint, Tone};

/// Lines around a change.
const CONTEXT: usize = 3;

/// A unified diff; in colour with what changed within a line set off. Control characters do not reach the terminal.
pub fn unified(old: &str, new: &str, name: &str, paint: Paint) -> String {
    if old == new {
        return String::new();
    }
    let diff = TextDiff::from_lines(old, new);
    let mut text = String::new();
    let _ = writeln!(text, "{}", paint.text(Tone::Strong, format_args!("--- {name}\n+++ {name} (new)")));
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let _ = writeln!(text, "{}", paint.text(Tone::Note, hunk.header().to_string().trim_end()));
        for op in hunk.ops() {
            for change in diff.iter_inline_changes(op) {
                let (sign, tone, changed) = match change.tag() {
                    ChangeTag::Delete => ("-", Tone::Lost, Tone::LostHere),
                    ChangeTag::Insert => ("+", Tone::Good, Tone::GoodHere),
                    ChangeTag::Equal => (" ", Tone::Plain, Tone::Plain),
                };
                text.push_str(&paint.text(tone, sign));
                for (emphasised, part) in change.iter_strings_lossy() {
                    text.push_str(&paint.text(if emphasised { changed } else { tone }, clean(&part)));
                }
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
            unified(old, new, "r.yaml", Paint::default()),
            "--- r.yaml\n+++ r.yaml (new)\n@@ -1,3 +1,3 @@\n a\n-ports 80-90 and more\n+ports 80-99 and more\n z\n"
        );
        let coloured = unified(old, new, "r.yaml", Paint::new(true));
        assert!(coloured.contains("\x1b[7m\x1b[32m80-99\x1b[0m"), "{coloured:?}");
        assert_eq!(unified(old, old, "r.yaml", Paint::default()), "");
        assert!(!unified("", "\x1b[2J\n", "r.yaml", Paint::default()).contains('\x1b'));
    }
}
