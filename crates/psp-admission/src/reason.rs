//! Why a policy refuses or corrects a pod, as a person on call reads it: which container or volume, which value, what
//! was allowed.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use crate::pod::{List, Place};
use crate::policy::{HostPath, Range};
use crate::profiles::Profiles;
use crate::text::short;

/// One reason, shown as `containers[web].ports: 9000 not in 80, 8000-8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason<'a> {
    /// The object that the policy minds.
    pub place: Place<'a>,
    /// Where in that object.
    pub path: &'static str,
    /// What stands there.
    pub found: Found<'a>,
    /// What is wrong with it.
    pub problem: Problem<'a>,
}

/// What stands in a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing.
    Unset,
    /// Nothing, which means this.
    UnsetMeaning(&'a str),
    /// True or false.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A word.
    Word(&'a str),
    /// A word that is not there and should be.
    Lacking(&'a str),
}

/// What is wrong with what stands in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem<'a> {
    /// The policy never allows it.
    NotAllowed,
    /// The policy allows only what one of two lists names.
    NotListed(&'a [String], &'a [String]),
    /// The policy allows only numbers in these ranges.
    OutOfRange(&'a [Range]),
    /// The policy allows only paths under these.
    NotUnder(&'a [HostPath]),
    /// The policy allows the path to be read, and this container can write to it.
    WrittenBy(List, &'a str),
    /// The policy demands this word.
    Not(&'a str),
    /// A pattern of the policy forbids it.
    ForbiddenBy(&'a str),
    /// It is no safe sysctl, and none that the policy allows beside those.
    Unsafe(&'a [String]),
    /// The policy allows only these profiles.
    NotProfile(Profiles<'a>),
    /// The policy filled in this.
    Set(Found<'a>),
    /// The policy filled in these words, each under its key; empty ones it did not.
    SetAll([(&'static str, &'a str); 4]),
    /// The policy added it.
    Added,
}

impl<'a> Reason<'a> {
    /// A reason about the pod's `spec` itself.
    pub(crate) fn of_pod(path: &'static str, found: Found<'a>, problem: Problem<'a>) -> Self {
        Self { place: Place::Pod, path, found, problem }
    }
}

/// The most characters of one value or name.
const LONGEST_VALUE: usize = 64;
/// The most characters of a list of what is allowed.
const LONGEST_LIST: usize = 80;
/// The most characters of evidence.
pub const LONGEST_EVIDENCE: usize = 256;

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if !matches!(self.place, Place::Pod) && !self.path.is_empty() {
            f.write_char('.')?;
        }
        write!(f, "{}: {}{}", self.path, self.found, self.problem)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod => Ok(()),
            Self::Container(list, name) => write!(f, "{}[{}]", list.name(), short(name, LONGEST_VALUE)),
            Self::Volume(name) => write!(f, "volumes[{}]", short(name, LONGEST_VALUE)),
        }
    }
}

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("unset"),
            Self::UnsetMeaning(word) => write!(f, "unset ({})", short(word, LONGEST_VALUE)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Word("") => f.write_str("\"\""),
            Self::Word(word) => f.write_str(&short(word, LONGEST_VALUE)),
            Self::Lacking(word) => write!(f, "{} missing", short(word, LONGEST_VALUE)),
        }
    }
}

impl fmt::Display for Problem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str(" not allowed"),
            Self::NotListed(first, more) => among(f, "not in", first.iter().chain(*more).map(String::as_str)),
            Self::OutOfRange(ranges) => among(f, "not in", ranges.iter()),
            Self::NotUnder(paths) => among(f, "not under", paths.iter().map(|path| &path.path_prefix)),
            Self::WrittenBy(list, name) => {
                write!(f, " allowed read-only, mounted writable in {}", Place::Container(*list, name))
            }
            Self::Not(word) => write!(f, " is not {}", Found::Word(word)),
            Self::ForbiddenBy(pattern) => write!(f, " forbidden by {}", short(pattern, LONGEST_VALUE)),
            Self::Unsafe([]) => f.write_str(" not a safe sysctl"),
            Self::Unsafe(patterns) => among(f, "neither a safe sysctl nor in", patterns.iter()),
            Self::NotProfile(profiles) => {
                among(f, "not in", profiles.names().filter(|name| !name.is_empty()))
            }
            Self::Set(value) => write!(f, "; the policy set {value}"),
            Self::SetAll(words) => {
                let set = words.iter().filter(|(_, word)| !word.is_empty());
                let set: Vec<String> = set.map(|(key, word)| format!("{key}={word}")).collect();
                write!(f, "; the policy set {}", short(set.join(" "), LONGEST_LIST))
            }
            Self::Added => f.write_str("; the policy added it"),
        }
    }
}

/// Says that something is not among what is allowed.
fn among<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    not_in: &str,
    allowed: impl Iterator<Item = T>,
) -> fmt::Result {
    let mut list = String::new();
    let mut allowed = allowed.peekable();
    if allowed.peek().is_none() {
        return f.write_str(" not allowed");
    }
    for item in allowed {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&short(item, LONGEST_LIST));
        if list.len() > LONGEST_LIST {
            break;
        }
    }
    write!(f, " {not_in} {}", short(list, LONGEST_LIST))
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

/// Reasons as one line of at most [`LONGEST_EVIDENCE`] characters, in which nothing steers a terminal: each once, and
/// how many more there are, as `containers[a].ports: 9000 not allowed; containers[b].ports: 9001 not allowed; and 3
/// more`.
pub fn evidence(reasons: &[Reason<'_>]) -> String {
    // a value of the pod holds for each container that has none of its own, and is said once
    let mut seen = HashSet::new();
    let lines: Vec<String> = reasons
        .iter()
        .map(|reason| short(reason, LONGEST_EVIDENCE))
        .filter(|line| seen.insert(line.clone()))
        .collect();
    let more = |left: usize| if left == 0 { String::new() } else { format!("; and {left} more") };
    let mut text = String::new();
    let mut length = 0;
    for (index, line) in lines.iter().enumerate() {
        let rest = more(lines.len() - index - 1).chars().count();
        let line_length = line.chars().count() + if index == 0 { 0 } else { 2 };
        if length + line_length + rest > LONGEST_EVIDENCE {
            if index == 0 {
                text = short(line, LONGEST_EVIDENCE - rest);
                text.push_str(&more(lines.len() - 1));
            } else {
                text.push_str(&more(lines.len() - index));
            }
            return text;
        }
        if index > 0 {
            text.push_str("; ");
        }
        text.push_str(line);
        length += line_length;
    }
    text
}
