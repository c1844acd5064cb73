//! The keys of the configuration out of a located document.

use std::borrow::Cow;

use clap::ValueEnum;

use super::{Config, Reader, words};
use crate::cli::ReportFormat;
use crate::problem::{Problem, nearest, quote};
use crate::read::node::{Data, Entry, Mark, Node};
use crate::read::{documents, resolve};
use crate::wrap::{Format, Object};

/// The sections and the keys in them. A key has one name wherever it stands, so that a ConfigMap, which has no
/// sections, can hold it too.
const SECTIONS: [(&str, &[&str]); 3] = [
    ("scope", &["namespaces", "excludeNamespaces"]),
    ("outputs", &["rules", "reports", "format", "name", "namespace", "labels", "inline"]),
    (
        "options",
        &[
            "strict",
            "layer",
            "baseline",
            "rbac",
            "plugin",
            "defaultNamespace",
            "auditObject",
            "maxContainers",
            "maxVolumes",
            "templates",
            "tuning",
        ],
    ),
];
/// The keys outside of sections.
const TOP: [&str; 5] = ["version", "sources", "exclude", "failOn", "removePolicies"];
/// The keys that make sense in a file only.
const IN_FILES: [&str; 7] = ["version", "sources", "exclude", "rules", "reports", "templates", "tuning"];
/// The keys that make sense for a KRM function only.
const IN_FUNCTIONS: [&str; 1] = ["removePolicies"];

/// The only version of the file.
const VERSION: i64 = 1;

/// Reads the one document of a text.
pub(super) fn single_document<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(&Node<'_>) -> Result<T, Vec<Problem>>,
) -> Result<T, Vec<Problem>> {
    let problem = |mark: Mark, message: String| {
        vec![Problem { place: mark.within(file), path: String::new(), message }]
    };
    let mut documents = documents(text);
    let node = match documents.next() {
        None => return Err(vec![Problem::of_file(file, "is empty; it needs version, sources and outputs")]),
        Some(Err(syntax)) => return Err(problem(syntax.mark, syntax.message)),
        Some(Ok(node)) => node,
    };
    match documents.next() {
        Some(Ok(second)) => Err(problem(second.mark, "a second document; leave one".to_owned())),
        Some(Err(syntax)) => Err(problem(syntax.mark, syntax.message)),
        None => read(&node),
    }
}

pub(super) struct Decoder<'f> {
    file: &'f str,
    reader: Reader,
    config: Config,
    problems: Vec<Problem>,
}

impl<'f> Decoder<'f> {
    pub(super) fn new(file: &'f str, reader: Reader) -> Self {
        let mut config = Config::default();
        if reader == Reader::Function {
            config.format = Format::ConfigMap;
        }
        Self { file, reader, config, problems: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Result<Config, Vec<Problem>> {
        self.problems.sort_by(|left, right| left.place.cmp(&right.place));
        if self.problems.is_empty() { Ok(self.config) } else { Err(self.problems) }
    }

    fn problem(&mut self, mark: Mark, path: &str, message: impl Into<String>) {
        let (place, path) = (mark.within(self.file), path.to_owned());
        self.problems.push(Problem { place, path, message: message.into() });
    }

    /// Does the key make sense to who reads it?
    fn is_known(&self, key: &str) -> bool {
        match self.reader {
            Reader::Generate => !IN_FUNCTIONS.contains(&key),
            Reader::Function => !IN_FILES.contains(&key),
        }
    }

    pub(super) fn root(&mut self, node: &Node<'_>, path: &str) {
        let known: Vec<&str> = TOP
            .into_iter()
            .filter(|key| self.is_known(key))
            .chain(SECTIONS.iter().map(|(name, _)| *name))
            .collect();
        self.entries(node, path, &known, |this, key, value, path| {
            match SECTIONS.iter().find(|(name, _)| *name == key) {
                Some((_, keys)) => this.section(value, path, keys),
                None => this.key(key, value, path),
            }
        });
        let format = self.config.format;
        if let Some((_, key, formats)) = self.config.object.unused(format) {
            let mark =
                node.get("outputs").and_then(|outputs| outputs.get(key)).map_or(node.mark, |node| node.mark);
            let message =
                format!("has no effect with the format {}; use {formats}, or leave it out", format.name());
            self.problem(mark, &join("outputs", key), message);
        }
        if self.reader == Reader::Generate {
            for (required, what) in [("version", "1"), ("sources", "files and folders with policies")] {
                self.required(node, path, required, what);
            }
            let outputs = node.get("outputs");
            match outputs {
                None => self.required(node, path, "outputs", "`rules: FILE or FOLDER`"),
                Some(outputs) => self.required(outputs, "outputs", "rules", "a file or folder"),
            }
        }
    }

    /// The `data` of a ConfigMap.
    pub(super) fn data(&mut self, node: &Node<'_>, path: &str) {
        let known: Vec<&str> = TOP
            .into_iter()
            .chain(SECTIONS.iter().flat_map(|(_, keys)| keys.iter().copied()))
            .filter(|key| self.is_known(key) && *key != "labels")
            .collect();
        self.entries(node, path, &known, |this, key, value, path| {
            let Data::Text(text) = &value.data else {
                return this.problem(
                    value.mark,
                    path,
                    "the data of a ConfigMap are strings; put it in quotes",
                );
            };
            let data = if ["namespaces", "excludeNamespaces", "failOn"].contains(&key) {
                let item =
                    |item: &str| Node { mark: value.mark, data: Data::Text(item.trim().to_owned().into()) };
                Data::List(text.split(',').filter(|item| !item.trim().is_empty()).map(item).collect())
            } else if ["name", "namespace", "defaultNamespace", "format", "layer", "auditObject"]
                .contains(&key)
            {
                Data::Text(text.clone())
            } else {
                resolve(Cow::Borrowed(text))
            };
            this.key(key, &Node { mark: value.mark, data }, path);
        });
    }

    fn section(&mut self, node: &Node<'_>, path: &str, keys: &[&str]) {
        let known: Vec<&str> = keys.iter().copied().filter(|key| self.is_known(key)).collect();
        self.entries(node, path, &known, Self::key);
    }

    fn required(&mut self, node: &Node<'_>, path: &str, key: &str, what: &str) {
        if matches!(node.data, Data::Map(_)) && node.get(key).is_none() {
            self.problem(node.mark, &join(path, key), format!("missing; set it to {what}"));
        }
    }

    /// Goes through the entries of a mapping; a key twice or of no meaning is a problem.
    fn entries(
        &mut self,
        node: &Node<'_>,
        path: &str,
        known: &[&str],
        mut each: impl FnMut(&mut Self, &str, &Node<'_>, &str),
    ) {
        let Data::Map(entries) = &node.data else {
            return self.problem(node.mark, path, format!("must be a mapping, not {}", node.describe()));
        };
        for (index, Entry { mark, key, node }) in entries.iter().enumerate() {
            let path = join(path, key);
            if entries.iter().take(index).any(|earlier| earlier.key == *key) {
                self.problem(*mark, &path, "stands here a second time; remove one of the two");
            } else if known.contains(&key.as_ref()) {
                each(self, key, node, &path);
            } else {
                let message = self.unknown(key, known);
                self.problem(*mark, &path, message);
            }
        }
    }

    fn unknown(&self, key: &str, known: &[&str]) -> String {
        let elsewhere = SECTIONS
            .iter()
            .find(|(_, keys)| keys.contains(&key) && self.is_known(key))
            .map(|(section, _)| format!("it belongs into `{section}`"));
        let reader = match self.reader {
            Reader::Generate if IN_FUNCTIONS.contains(&key) => Some("only a KRM function has it".to_owned()),
            Reader::Function if IN_FILES.contains(&key) => Some("a KRM function reads no files".to_owned()),
            _ => None,
        };
        let hint = reader
            .or_else(|| nearest(key, known).map(|near| format!("did you mean {near}?")))
            .or(elsewhere)
            .unwrap_or_else(|| format!("known are {}", known.join(", ")));
        format!("unknown key {}; {hint}", quote(key))
    }

    /// The value of one key.
    fn key(&mut self, key: &str, node: &Node<'_>, path: &str) {
        match key {
            "version" if matches!(node.data, Data::Int(VERSION)) => {}
            "version" => self.problem(node.mark, path, format!("must be {VERSION}, not {}", node.describe())),
            "sources" => {
                self.config.sources = self.list(node, path, Self::path);
                if matches!(&node.data, Data::List(items) if items.is_empty()) {
                    self.problem(node.mark, path, "must not be empty");
                }
            }
            "exclude" => self.config.exclude = self.list(node, path, Self::text),
            "namespaces" => self.config.namespaces = self.list(node, path, Self::text),
            "excludeNamespaces" => self.config.exclude_namespaces = self.list(node, path, Self::text),
            "rules" => self.config.rules = self.path(node, path).unwrap_or_default(),
            "format" => self.format(node, path),
            "name" => self.config.object.name = self.text(node, path),
            "namespace" => self.config.object.namespace = self.text(node, path),
            "labels" => self.labels(node, path),
            "inline" => self.config.object.inline = self.flag(node, path),
            "reports" => self.config.reports = self.list(node, path, Self::report),
            "rbac" => self.config.rbac = Some(self.flag(node, path)),
            "defaultNamespace" => self.config.default_namespace = self.text(node, path),
            "tuning" => self.config.tuning = self.list(node, path, Self::path),
            "layer" => self.config.layer = self.word(node, path),
            "baseline" => self.config.baseline = self.flag(node, path),
            "plugin" => self.config.plugin = self.flag(node, path),
            "strict" => self.config.strict = self.flag(node, path),
            "auditObject" => self.config.audit_object = self.word(node, path),
            "maxContainers" => self.config.max_containers = self.number(node, path),
            "maxVolumes" => self.config.max_volumes = self.number(node, path),
            "templates" => self.config.templates = self.path(node, path),
            "failOn" => self.config.fail_on = self.list(node, path, Self::word),
            "removePolicies" => self.config.remove_policies = self.flag(node, path),
            _ => {}
        }
        if let Err((_, message)) = self.config.object.check() {
            self.problem(node.mark, path, message);
            // so that it is said once
            self.config.object = Object::default();
        }
    }

    fn format(&mut self, node: &Node<'_>, path: &str) {
        let Some(format) = self.word(node, path) else { return };
        if self.reader == Reader::Function && !matches!(format, Format::ConfigMap | Format::Rulesfile) {
            let message = "must be configmap or rulesfile, since a KRM function makes objects";
            self.problem(node.mark, path, message);
        }
        self.config.format = format;
    }

    /// A report that is a file.
    fn report(&mut self, node: &Node<'_>, path: &str) -> Option<ReportFormat> {
        let format: ReportFormat = self.word(node, path)?;
        if format.file_name().is_none() {
            self.problem(node.mark, path, "is for the log of a workflow, and no file; use another format");
            return None;
        }
        Some(format)
    }

    fn labels(&mut self, node: &Node<'_>, path: &str) {
        let Data::Map(entries) = &node.data else {
            return self.problem(node.mark, path, format!("must be a mapping, not {}", node.describe()));
        };
        for entry in entries {
            if let Some(value) = self.any_text(&entry.node, &join(path, &entry.key)) {
                self.config.object.labels.insert(entry.key.to_string(), value);
            }
        }
    }

    fn list<T>(
        &mut self,
        node: &Node<'_>,
        path: &str,
        one: impl Fn(&mut Self, &Node<'_>, &str) -> Option<T>,
    ) -> Vec<T> {
        let Data::List(items) = &node.data else {
            self.problem(node.mark, path, format!("must be a list, not {}", node.describe()));
            return Vec::new();
        };
        items.iter().enumerate().filter_map(|(n, item)| one(self, item, &format!("{path}[{n}]"))).collect()
    }

    fn any_text(&mut self, node: &Node<'_>, path: &str) -> Option<String> {
        match &node.data {
            Data::Text(text) => Some(text.to_string()),
            Data::Map(_) | Data::List(_) | Data::Null => {
                self.problem(node.mark, path, format!("must be a string, not {}", node.describe()));
                None
            }
            _ => {
                let message = format!("must be a string, not {}; put it in quotes", node.describe());
                self.problem(node.mark, path, message);
                None
            }
        }
    }

    fn text(&mut self, node: &Node<'_>, path: &str) -> Option<String> {
        let text = self.any_text(node, path)?;
        if text.is_empty() {
            self.problem(node.mark, path, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A path that means the same on every machine.
    fn path(&mut self, node: &Node<'_>, path: &str) -> Option<String> {
        let text = self.text(node, path)?;
        if text.starts_with('/') || text == "-" {
            let message = "must be relative to the folder of this file, so that every machine makes the same";
            self.problem(node.mark, path, message);
            return None;
        }
        Some(text)
    }

    fn flag(&mut self, node: &Node<'_>, path: &str) -> bool {
        if let Data::Bool(value) = node.data {
            return value;
        }
        self.problem(node.mark, path, format!("must be true or false, not {}", node.describe()));
        false
    }

    /// A number that the command line would take.
    fn number(&mut self, node: &Node<'_>, path: &str) -> Option<u16> {
        if let Data::Int(value @ 1..=100) = node.data {
            return u16::try_from(value).ok();
        }
        self.problem(node.mark, path, format!("must be a number from 1 to 100, not {}", node.describe()));
        None
    }

    /// One of the words that the command line would take.
    fn word<T: ValueEnum>(&mut self, node: &Node<'_>, path: &str) -> Option<T> {
        let known = words::<T>();
        let found = node.text().and_then(|text| T::from_str(text, false).ok());
        if found.is_none() {
            let near: Vec<&str> = known.iter().map(String::as_str).collect();
            let hint = node.text().and_then(|text| nearest(text, &near));
            let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let message = format!("must be {}, not {}{hint}", known.join(" or "), node.describe());
            self.problem(node.mark, path, message);
        }
        found
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
