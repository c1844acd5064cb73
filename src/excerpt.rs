//! A line of the input with a mark under the place that a message is about.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::problem::is_plain;

/// How grave what is marked is; it decides the colour of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// Nothing was done because of it.
    Error,
    /// It was done all the same.
    Warning,
    /// It is right as it is.
    Note,
}

impl Gravity {
    /// What a message of this gravity begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Gravity::Error => "",
            Gravity::Warning => "warning: ",
            Gravity::Note => "note: ",
        }
    }

    fn level(self) -> Level<'static> {
        match self {
            Gravity::Error => Level::ERROR,
            Gravity::Warning => Level::WARNING,
            Gravity::Note => Level::NOTE,
        }
    }
}

/// How an excerpt is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// How many characters a line may have.
    pub width: usize,
    /// In colour?
    pub colour: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 100, colour: false }
    }
}

/// The text of line `line` with a mark under the word that begins in `column`; both are counted from 1, the column in
/// characters. Nothing where the line has no such column.
pub(crate) fn excerpt(text: &str, line: usize, column: usize, gravity: Gravity, style: Style) -> String {
    // one character each, so that columns stay
    let text: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    let Some(column) = column.checked_sub(1).filter(|column| *column <= text.chars().count()) else {
        return String::new();
    };
    let start = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let rest = text.get(start..).unwrap_or_default();
    let ends = |c: char| c.is_whitespace() || ",:[]{}".contains(c);
    let length = rest.chars().next().map_or(0, char::len_utf8);
    let length = rest.find(ends).unwrap_or(rest.len()).max(length);
    let mark = AnnotationKind::Primary.span(start..start + length);
    let snippet = Snippet::source(text.as_str()).line_start(line).annotation(mark);
    let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(style.width).render(&[Group::with_level(gravity.level()).element(snippet)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(text: &str, column: usize) -> String {
        excerpt(text, 12, column, Gravity::Error, Style::default())
    }

    #[test]
    fn a_mark_stands_under_its_word() {
        assert_eq!(drawn("  privilegd: true", 3), "   |\n12 |   privilegd: true\n   |   ^^^^^^^^^");
        assert_eq!(drawn("a: [é\u{1b}, bcd]", 9), "   |\n12 | a: [é , bcd]\n   |         ^^^");
        assert_eq!(drawn("a:", 3), "   |\n12 | a:\n   |   ^");
        assert_eq!(drawn("a:", 9), "");
    }

    #[test]
    fn a_long_line_is_shown_around_the_mark() {
        let text = format!("{}wrong{}", "x".repeat(5000), " y".repeat(5000));
        let shown = drawn(&text, 5001);
        assert!(shown.lines().all(|line| line.chars().count() < 140), "{shown}");
        assert!(shown.contains("wrong") && shown.contains("^^^^^"), "{shown}");
    }
}
