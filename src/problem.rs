//! What is wrong with the input, and where.

use std::borrow::Cow;
use std::fmt;

pub(crate) use psp_admission::text::{is_plain, printable};
use serde::{Deserialize, Serialize};

/// A place in the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Place {
    /// The file as the user named it (`archive/path` within an archive, `stdin` for standard input).
    pub file: String,
    /// The line, counted from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The column in characters, counted from 1; 0 when the whole file is meant.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&printable(&self.file)),
            line => write!(f, "{}:{line}:{}", printable(&self.file), self.column),
        }
    }
}

/// One error or warning about the input.
///
/// Shown as `policies/web.yaml:12:3: spec.runAsUser.ranges[0]: min 20 is greater than max 10`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The offending node.
    pub place: Place,
    /// The field within its object, like `spec.runAsUser.ranges[0]`; empty when no field is meant.
    pub path: String,
    /// What is wrong, and the cure.
    pub message: String,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        let place = Place { file: file.to_owned(), line: 0, column: 0 };
        Self { place, path: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", cut(&printable(&self.path), LONGEST_PATH))?;
        }
        f.write_str(&printable(&self.message))
    }
}

impl std::error::Error for Problem {}

/// The most characters of a field's path: its keys may be anything.
const LONGEST_PATH: usize = 400;

/// `text`, cut after so many characters.
pub(crate) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// `text` in quotes with control characters escaped, cut short where it is long.
pub(crate) fn quote(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The name of `known` that `name` was most likely meant to be.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let wanted = name.to_lowercase();
    known
        .iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase()), *candidate))
        .filter(|(steps, candidate)| *steps <= 3 && steps * 2 < candidate.len())
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// The number of insertions, deletions and replacements that turn `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            before = replaced.min(before + 1).min(*cell + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_steps_between_two_names() {
        for (left, right, steps) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(left, right), steps, "{left} {right}");
        }
    }

    #[test]
    fn a_problem_is_one_line_that_steers_no_terminal() {
        let place = Place { file: "a\nb: c\u{1b}[2J.yaml".to_owned(), line: 3, column: 1 };
        let path = format!("metadata.annotations[\u{202e}{}]", "x".repeat(1 << 20));
        let line = Problem { place, path, message: "no\u{85}good\u{2028}\u{feff}".to_owned() }.to_string();
        assert!(line.starts_with(r"a\nb: c\u{1b}[2J.yaml:3:1: metadata.annotations[\u{202e}xxx"), "{line}");
        assert!(line.ends_with(r"…: no\u{85}good\u{2028}\u{feff}"), "{line}");
        assert!(line.len() < 600 && line.chars().all(is_plain));
    }

    #[test]
    fn proposes_only_what_is_near() {
        let known = ["privileged", "hostPID", "hostIPC", "min", "max"];
        assert_eq!(nearest("privilegedd", &known), Some("privileged"));
        assert_eq!(nearest("hostpid", &known), Some("hostPID"));
        assert_eq!(nearest("mim", &known), Some("min"));
        assert_eq!(nearest("replicas", &known), None);
    }
}
