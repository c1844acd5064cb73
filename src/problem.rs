//! What is wrong with the input, and where.

use std::borrow::Cow;
use std::fmt;

pub(crate) use psp_admission::text::{is_plain, printable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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

/// What is wrong, and the cure. The functions in [`messages`](crate::messages) make them, of values whose control
/// characters they escape.
#[derive(Debug, Clone)]
pub struct Message {
    text: Box<str>,
    cure: Box<str>,
}

impl Message {
    pub(crate) fn new(text: String, cure: String) -> Self {
        Self { text: text.into(), cure: cure.into() }
    }

    /// The same message with another spelling of what it names.
    #[must_use]
    pub(crate) fn replace(&self, from: &str, to: &str) -> Self {
        Self::new(self.text.replace(from, to), self.cure.replace(from, to))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}

impl std::error::Error for Message {}

/// Messages that say the same are equal.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Message {}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self::new(printable(&text).into_owned(), String::new()))
    }
}

/// How a message is worded, with `{name}` where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wording {
    /// The name of the function that makes it.
    pub name: &'static str,
    /// What is wrong.
    pub text: &'static str,
    /// What to do about it; empty where that goes without saying.
    pub cure: &'static str,
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
    pub message: Message,
    /// The line of the input that the place is on, where it was at hand.
    #[serde(skip)]
    pub source: Option<Box<str>>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: Place, path: impl Into<String>, message: Message) -> Self {
        Self { place, path: path.into(), message, source: None }
    }

    /// The problem without the line of the input.
    #[must_use]
    pub fn without_source(self) -> Self {
        Self { source: None, ..self }
    }

    /// A problem with a file as a whole.
    pub fn of_file(file: &str, message: Message) -> Self {
        Self::new(Place { file: file.to_owned(), line: 0, column: 0 }, "", message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", cut(&printable(&self.path), LONGEST_PATH))?;
        }
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for Problem {}

/// Gives each problem the line of `text` that it is about, if it is about one.
pub(crate) fn quote_lines(problems: &mut [Problem], text: &str) {
    let mut by_line: Vec<&mut Problem> =
        problems.iter_mut().filter(|problem| problem.place.line > 0).collect();
    by_line.sort_by_key(|problem| problem.place.line);
    let mut lines = (1..).zip(text.lines()).peekable();
    for problem in by_line {
        while lines.next_if(|(number, _)| *number < problem.place.line).is_some() {}
        problem.source = lines
            .peek()
            .filter(|(number, _)| *number == problem.place.line)
            .map(|(_, line)| cut(line, LONGEST_SOURCE).into());
    }
}

/// The most characters of a line of the input that are kept.
const LONGEST_SOURCE: usize = 2000;

/// All that is wrong, as one error: a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

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
        .map(|candidate| (strsim::levenshtein(&wanted, &candidate.to_lowercase()), *candidate))
        .filter(|(steps, candidate)| *steps <= 3 && steps * 2 < candidate.len())
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_that_steers_no_terminal() {
        let place = Place { file: "a\nb: c\u{1b}[2J.yaml".to_owned(), line: 3, column: 1 };
        let path = format!("metadata.annotations[\u{202e}{}]", "x".repeat(1 << 20));
        let message = crate::messages::yaml::quoted("no\u{85}good", "\u{2028}\u{feff}");
        let line = Problem::new(place, path, message).to_string();
        assert!(line.starts_with(r"a\nb: c\u{1b}[2J.yaml:3:1: metadata.annotations[\u{202e}xxx"), "{line}");
        assert!(
            line.ends_with(r"…: expected no\u{85}good, found \u{2028}\u{feff}; remove the quotes"),
            "{line}"
        );
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

    #[test]
    fn a_problem_knows_its_line() {
        let problem = |line| {
            let place = Place { file: "a".to_owned(), line, column: 1 };
            Problem::new(place, "", Message::new(String::new(), String::new()))
        };
        let mut problems = [problem(3), problem(1), problem(3), problem(0), problem(9)];
        quote_lines(&mut problems, "one\ntwo\nthree\n");
        let sources = problems.map(|problem| problem.source.map(String::from));
        let line = |text: &str| Some(text.to_owned());
        assert_eq!(sources, [line("three"), line("one"), line("three"), None, None]);
    }
}
