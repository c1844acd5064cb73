//! Values out of a document, with everything that is wrong with them and not the first error alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::node::{Data, Entry, Mark, Node};
use crate::messages::yaml as messages;
use crate::problem::{Message, Problem, nearest, quote};

/// The path of a field in its document. It becomes text only when there is something to say.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads values and notes what is wrong with them. A value that is null or of another type counts as left out.
pub(crate) struct Decoder<'f> {
    file: &'f str,
    /// Is a key that stands twice an error? Else the last one counts, with a warning.
    strict: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

impl<'f> Decoder<'f> {
    pub(crate) fn new(file: &'f str, strict: bool) -> Self {
        Self { file, strict, problems: Vec::new(), warnings: Vec::new() }
    }

    pub(crate) fn problem(&mut self, mark: Mark, path: &Path<'_>, message: Message) {
        self.problems.push(Problem::new(mark.within(self.file), path.to_string(), message));
    }

    pub(crate) fn warning(&mut self, mark: Mark, path: &Path<'_>, message: Message) {
        self.warnings.push(Problem::new(mark.within(self.file), path.to_string(), message));
    }

    fn wrong_type(&mut self, node: &Node<'_>, path: &Path<'_>, wanted: &str) {
        self.problem(node.mark, path, messages::wrong_type(wanted, node.describe()));
    }

    /// Hands each entry of a mapping whose key is `known` to `take`; what is said of another comes from `unknown`.
    /// False where there is no mapping.
    pub(crate) fn fields(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        known: &[&str],
        unknown: impl Fn(&str) -> Message,
        mut take: impl FnMut(&mut Self, &str, &Node<'_>, &Path<'_>),
    ) -> bool {
        let Some(entries) = self.entries(node, path) else { return false };
        self.second_keys(entries, |key| Path::Field(path, key));
        for entry in in_force(entries) {
            let path = Path::Field(path, &entry.key);
            if known.contains(&entry.key.as_ref()) {
                take(self, &entry.key, &entry.node, &path);
            } else {
                self.problem(entry.mark, &path, unknown(&entry.key));
            }
        }
        true
    }

    /// A mapping of free keys to strings.
    pub(crate) fn texts(&mut self, node: &Node<'_>, path: &Path<'_>) -> BTreeMap<String, String> {
        let entries = self.entries(node, path).unwrap_or_default();
        self.second_keys(entries, |key| Path::Key(path, key));
        in_force(entries)
            .map(|entry| (entry.key.to_string(), self.text(&entry.node, &Path::Key(path, &entry.key))))
            .collect()
    }

    fn entries<'n, 'a>(&mut self, node: &'n Node<'a>, path: &Path<'_>) -> Option<&'n [Entry<'a>]> {
        match &node.data {
            Data::Map(entries) => return Some(entries),
            Data::Null => {}
            _ => self.wrong_type(node, path, "a mapping"),
        }
        None
    }

    /// Notes which keys stand twice. kubectl took the last before 1.25, and refuses them since.
    fn second_keys<'e>(&mut self, entries: &'e [Entry<'_>], path: impl Fn(&'e str) -> Path<'e>) {
        if !has_second_keys(entries) {
            return;
        }
        let mut first: HashMap<&str, &Entry<'_>> = HashMap::new();
        for entry in entries {
            let first = *first.entry(&entry.key).or_insert(entry);
            if std::ptr::eq(first, entry) {
                continue;
            }
            let (path, line) = (path(&entry.key), first.mark.line);
            if self.strict {
                self.problem(entry.mark, &path, messages::second_key(line));
            } else {
                self.warning(entry.mark, &path, messages::second_key_counts(line));
            }
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        mut item: impl FnMut(&mut Self, &Node<'_>, &Path<'_>) -> T,
    ) -> Vec<T> {
        match &node.data {
            Data::List(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| item(self, node, &Path::Index(path, index)))
                .collect(),
            Data::Null => Vec::new(),
            _ => {
                self.problem(node.mark, path, messages::no_list(node.describe()));
                Vec::new()
            }
        }
    }

    pub(crate) fn text(&mut self, node: &Node<'_>, path: &Path<'_>) -> String {
        self.borrowed_text(node, path).into_owned()
    }

    pub(crate) fn borrowed_text<'n>(&mut self, node: &'n Node<'_>, path: &Path<'_>) -> Cow<'n, str> {
        match &node.data {
            Data::Text(text) => return Cow::Borrowed(text),
            Data::Null => {}
            Data::List(_) | Data::Map(_) => self.wrong_type(node, path, "a string"),
            _ => self.problem(node.mark, path, messages::no_string(node.describe())),
        }
        Cow::Borrowed("")
    }

    pub(crate) fn flag(&mut self, node: &Node<'_>, path: &Path<'_>) -> bool {
        self.optional_flag(node, path).unwrap_or_default()
    }

    pub(crate) fn optional_flag(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<bool> {
        const WANTED: &str = "true or false";
        match &node.data {
            Data::Bool(value) => return Some(*value),
            Data::Null => {}
            Data::Text(text) if matches!(text.as_ref(), "true" | "false") => {
                self.problem(node.mark, path, messages::quoted(WANTED, node.describe()));
            }
            _ => self.wrong_type(node, path, WANTED),
        }
        None
    }

    pub(crate) fn integer(&mut self, node: &Node<'_>, path: &Path<'_>) -> i64 {
        const WANTED: &str = "a whole number";
        /// Below it every integer has a float of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match &node.data {
            Data::Int(value) => return *value,
            // kubectl hands 1e3 on as 1000
            Data::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => return *value as i64,
            Data::Null => {}
            Data::Text(text) if text.parse::<i64>().is_ok() => {
                self.problem(node.mark, path, messages::quoted(WANTED, node.describe()));
            }
            _ => self.wrong_type(node, path, WANTED),
        }
        0
    }
}

/// What is said of a value that is none of those `known`.
pub(crate) fn unknown_value(what: &str, value: &str, known: &[&str]) -> Message {
    let hint = nearest(value, known).map(|name| format!("did you mean {name}? ")).unwrap_or_default();
    messages::unknown_value(what, quote(value), hint, known.join(", "))
}

/// Does a key stand twice?
fn has_second_keys(entries: &[Entry<'_>]) -> bool {
    // few keys are compared faster than hashed
    const FEW: usize = 16;
    if entries.len() <= FEW {
        return entries
            .iter()
            .enumerate()
            .any(|(index, entry)| entries.iter().take(index).any(|before| before.key == entry.key));
    }
    let mut seen: HashSet<&str> = HashSet::new();
    !entries.iter().all(|entry| seen.insert(&entry.key))
}

/// The entries that count: of a key that stands twice the last one.
pub(crate) fn in_force<'e, 'a>(entries: &'e [Entry<'a>]) -> impl Iterator<Item = &'e Entry<'a>> {
    let last: Option<HashMap<&str, &Entry<'a>>> =
        has_second_keys(entries).then(|| entries.iter().map(|entry| (entry.key.as_ref(), entry)).collect());
    entries.iter().filter(move |entry| {
        last.as_ref()
            .is_none_or(|last| last.get(entry.key.as_ref()).is_some_and(|last| std::ptr::eq(*last, *entry)))
    })
}
