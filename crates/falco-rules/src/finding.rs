//! What is wrong in rules files, with its place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::place::Place;

/// A rules file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, for findings.
    pub name: &'a str,
    /// Its YAML.
    pub text: &'a str,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Falco does not load the rules.
    Error,
    /// Falco loads the rules and warns, or ought to.
    Warning,
}

/// Something wrong in a rules file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Falco's code for it, as `LOAD_UNUSED_MACRO`. Findings that only this check makes are
    /// `SCHEMA` (Falco prints these apart), `DUPLICATE_RULE`, `PLUGIN_REQUIREMENT`, `UNKNOWN_PLUGIN`
    /// (the rules need a plugin that is not modelled) and `NOT_MODELLED` (see [`Rule::not_modelled`](crate::Rule::not_modelled)).
    pub code: &'static str,
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What it is about, as `rule 'X'`; empty for a file as a whole.
    pub item: String,
    /// What is wrong, in Falco's words where it has any.
    pub message: String,
}

impl Finding {
    /// All of it but its place: severity, code, item and message.
    #[must_use]
    pub fn without_place(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let item = if self.item.is_empty() { String::new() } else { format!("{}: ", self.item) };
        format!("{severity}: {}: {item}{}", self.code, self.message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.without_place())
    }
}

/// What was found wrong in some files so far.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    /// The files, in load order.
    pub(crate) files: Vec<Source<'a>>,
    /// The number of the file that is being read.
    pub(crate) file: usize,
    findings: Vec<Finding>,
    seen: HashSet<Finding>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(files: &[Source<'a>]) -> Self {
        Self { files: files.to_vec(), file: 0, findings: Vec::new(), seen: HashSet::new() }
    }

    /// The text of the file with this number.
    pub(crate) fn text(&self, file: usize) -> &'a str {
        self.files.get(file).map_or("", |f| f.text)
    }

    /// Notes a finding at a place of the file with this number, once.
    pub(crate) fn find(
        &mut self,
        severity: Severity,
        code: &'static str,
        (file, place): (usize, Place),
        item: &str,
        message: impl Into<String>,
    ) {
        let file = self.files.get(file).map_or_else(String::new, |f| f.name.to_owned());
        let Place { line, column, .. } = place;
        let item = item.to_owned();
        let finding = Finding { severity, code, file, line, column, item, message: message.into() };
        if self.seen.insert(finding.clone()) {
            self.findings.push(finding);
        }
    }

    /// Warns about something in the file that is being read.
    pub(crate) fn warn(&mut self, code: &'static str, place: Place, item: &str, message: impl Into<String>) {
        self.find(Severity::Warning, code, (self.file, place), item, message);
    }

    /// All findings, in the order of files and places.
    pub(crate) fn sorted(self) -> Vec<Finding> {
        let order: HashMap<&str, usize> = self.files.iter().enumerate().map(|(i, f)| (f.name, i)).collect();
        let mut findings = self.findings;
        findings.sort_by_key(|f| (order.get(f.file.as_str()).copied(), f.line, f.column, f.severity));
        findings
    }
}
