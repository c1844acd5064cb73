//! The keys of the configuration out of a located document.

use std::borrow::Cow;

use clap::ValueEnum;

use super::keys::{Config, Reader};
use crate::cli::ReportFormat;
use crate::messages::{config as messages, yaml};
use crate::problem::{Message, Problem, nearest, quote, quote_lines};
use crate::wrap::{Format, Object};
use crate::yaml::{Data, Decoder, Documents, Mark, Node, Path, resolve, unknown_value};

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

impl Config {
    /// Reads the text of a file called `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        Self::single_document(file, text).map_err(|mut problems| {
            quote_lines(&mut problems, text);
            problems
        })
    }

    fn single_document(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        let problem = |mark: Mark, message: Message| Err(vec![Problem::new(mark.within(file), "", message)]);
        let mut documents = Documents::new(text);
        let node = match documents.next() {
            None => return Err(vec![Problem::of_file(file, messages::empty_file())]),
            Some(Err(syntax)) => return problem(syntax.mark, syntax.message),
            Some(Ok(node)) => node,
        };
        match documents.next() {
            Some(Ok(second)) => problem(second.mark, messages::second_document()),
            Some(Err(syntax)) => problem(syntax.mark, syntax.message),
            None => Self::of_node(&node, file, "", Reader::Generate),
        }
    }

    /// Reads the keys of a mapping that stands at `path` of its document.
    pub(crate) fn of_node(
        node: &Node<'_>,
        file: &str,
        path: &str,
        reader: Reader,
    ) -> Result<Self, Vec<Problem>> {
        Keys::new(reader).read(file, path, |keys, decoder, path| keys.root(decoder, node, path))
    }

    /// Reads the `data` of a ConfigMap: the keys without their sections, lists separated by commas.
    pub(crate) fn of_data(node: &Node<'_>, file: &str, path: &str) -> Result<Self, Vec<Problem>> {
        Keys::new(Reader::Function).read(file, path, |keys, decoder, path| keys.data(decoder, node, path))
    }
}

/// The keys read so far.
struct Keys {
    reader: Reader,
    config: Config,
}

impl Reader {
    /// Does the key make sense to this reader?
    fn knows(self, key: &str) -> bool {
        match self {
            Reader::Generate => !IN_FUNCTIONS.contains(&key),
            Reader::Function => !IN_FILES.contains(&key),
        }
    }

    fn unknown(self, key: &str, known: &[&str]) -> Message {
        let elsewhere = SECTIONS.iter().find(|(_, keys)| keys.contains(&key) && self.knows(key));
        let quoted = quote(key);
        if self == Reader::Generate && IN_FUNCTIONS.contains(&key) {
            yaml::misplaced_field(quoted, "only a KRM function has it")
        } else if self == Reader::Function && IN_FILES.contains(&key) {
            yaml::misplaced_field(quoted, "a KRM function reads no files")
        } else if let Some(meant) = nearest(key, known) {
            yaml::misspelt_field(quoted, meant)
        } else if let Some((section, _)) = elsewhere {
            yaml::misplaced_field(quoted, format_args!("it belongs under {section}"))
        } else {
            yaml::unknown_field(quoted, known.join(", "))
        }
    }
}

impl Keys {
    fn new(reader: Reader) -> Self {
        let mut config = Config::default();
        if reader == Reader::Function {
            config.format = Format::ConfigMap;
        }
        Self { reader, config }
    }

    fn read(
        mut self,
        file: &str,
        path: &str,
        read: impl FnOnce(&mut Self, &mut Decoder<'_>, &Path<'_>),
    ) -> Result<Config, Vec<Problem>> {
        let mut decoder = Decoder::new(file, true);
        let path = if path.is_empty() { Path::Root } else { Path::Field(&Path::Root, path) };
        read(&mut self, &mut decoder, &path);
        let mut problems = decoder.problems;
        problems.sort_by(|left, right| left.place.cmp(&right.place));
        if problems.is_empty() { Ok(self.config) } else { Err(problems) }
    }

    fn root(&mut self, decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) {
        let known: Vec<&str> = TOP
            .into_iter()
            .filter(|key| self.reader.knows(key))
            .chain(SECTIONS.iter().map(|(name, _)| *name))
            .collect();
        let reader = self.reader;
        let unknown = |key: &str| reader.unknown(key, &known);
        decoder.fields(node, path, &known, unknown, |decoder, key, value, path| {
            match SECTIONS.iter().find(|(name, _)| *name == key) {
                Some((_, keys)) => self.section(decoder, value, path, keys),
                None => self.key(decoder, key, value, path),
            }
        });
        let outputs = node.get("outputs");
        let outputs_path = Path::Field(path, "outputs");
        let format = self.config.format;
        if let Some((_, key, formats)) = self.config.object.unused(format) {
            let at = outputs.and_then(|outputs| outputs.get(key)).unwrap_or(node);
            let message = messages::no_effect(format.name(), formats);
            decoder.problem(at.mark, &Path::Field(&outputs_path, key), message);
        }
        if self.reader == Reader::Generate {
            for (key, what) in [("version", "1"), ("sources", "files and folders with policies")] {
                required(decoder, node, path, key, what);
            }
            match outputs {
                None => required(decoder, node, path, "outputs", "`rules: FILE or FOLDER`"),
                Some(outputs) => required(decoder, outputs, &outputs_path, "rules", "a file or folder"),
            }
        }
    }

    /// The `data` of a ConfigMap.
    fn data(&mut self, decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) {
        let reader = self.reader;
        let known: Vec<&str> = TOP
            .into_iter()
            .chain(SECTIONS.iter().flat_map(|(_, keys)| keys.iter().copied()))
            .filter(|key| reader.knows(key) && *key != "labels")
            .collect();
        let unknown = |key: &str| reader.unknown(key, &known);
        decoder.fields(node, path, &known, unknown, |decoder, key, value, path| {
            let Data::Text(text) = &value.data else {
                return decoder.problem(value.mark, path, messages::unquoted_data());
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
            self.key(decoder, key, &Node { mark: value.mark, data }, path);
        });
    }

    fn section(&mut self, decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>, keys: &[&str]) {
        if matches!(node.data, Data::Null) {
            return decoder.problem(node.mark, path, yaml::empty());
        }
        let reader = self.reader;
        let known: Vec<&str> = keys.iter().copied().filter(|key| reader.knows(key)).collect();
        let unknown = |key: &str| reader.unknown(key, &known);
        decoder.fields(node, path, &known, unknown, |decoder, key, value, path| {
            self.key(decoder, key, value, path);
        });
    }

    /// The value of one key.
    fn key(&mut self, decoder: &mut Decoder<'_>, key: &str, node: &Node<'_>, path: &Path<'_>) {
        if matches!(node.data, Data::Null) {
            return decoder.problem(node.mark, path, yaml::empty());
        }
        let config = &mut self.config;
        match key {
            "version" if matches!(node.data, Data::Int(VERSION)) => {}
            "version" => {
                decoder.problem(node.mark, path, messages::wrong_version(VERSION, node.describe()));
            }
            "sources" => {
                config.sources = paths(decoder, node, path);
                if matches!(&node.data, Data::List(items) if items.is_empty()) {
                    decoder.problem(node.mark, path, yaml::empty());
                }
            }
            "exclude" => config.exclude = texts(decoder, node, path),
            "namespaces" => config.namespaces = texts(decoder, node, path),
            "excludeNamespaces" => config.exclude_namespaces = texts(decoder, node, path),
            "rules" => config.rules = relative_path(decoder, node, path).unwrap_or_default(),
            "format" => self.format(decoder, node, path),
            "name" => config.object.name = text(decoder, node, path),
            "namespace" => config.object.namespace = text(decoder, node, path),
            "labels" => {
                let mut labels = decoder.texts(node, path);
                labels.retain(|label, _| node.get(label).and_then(Node::text).is_some());
                config.object.labels = labels;
            }
            "inline" => config.object.inline = decoder.flag(node, path),
            "reports" => config.reports = decoder.list(node, path, report).into_iter().flatten().collect(),
            "rbac" => config.rbac = decoder.optional_flag(node, path),
            "defaultNamespace" => config.default_namespace = text(decoder, node, path),
            "tuning" => config.tuning = paths(decoder, node, path),
            "layer" => config.layer = word(decoder, node, path),
            "baseline" => config.baseline = decoder.flag(node, path),
            "plugin" => config.plugin = decoder.flag(node, path),
            "strict" => config.strict = decoder.flag(node, path),
            "auditObject" => config.audit_object = word(decoder, node, path),
            "maxContainers" => config.max_containers = number(decoder, node, path),
            "maxVolumes" => config.max_volumes = number(decoder, node, path),
            "templates" => config.templates = relative_path(decoder, node, path),
            "failOn" => config.fail_on = decoder.list(node, path, word).into_iter().flatten().collect(),
            "removePolicies" => config.remove_policies = decoder.flag(node, path),
            _ => {}
        }
        if let Err((_, message)) = self.config.object.check() {
            decoder.problem(node.mark, path, message);
            // so that it is said once
            self.config.object = Object::default();
        }
    }

    fn format(&mut self, decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) {
        let Some(format) = word(decoder, node, path) else { return };
        if self.reader == Reader::Function && !matches!(format, Format::ConfigMap | Format::Rulesfile) {
            decoder.problem(node.mark, path, messages::format_of_no_object());
        }
        self.config.format = format;
    }
}

fn required(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>, key: &str, what: &str) {
    if matches!(node.data, Data::Map(_)) && node.get(key).is_none() {
        decoder.problem(node.mark, &Path::Field(path, key), messages::missing(what));
    }
}

/// A report that is a file.
fn report(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Option<ReportFormat> {
    let format: ReportFormat = word(decoder, node, path)?;
    if format.file_name().is_none() {
        decoder.problem(node.mark, path, messages::report_of_a_log());
        return None;
    }
    Some(format)
}

fn texts(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Vec<String> {
    decoder.list(node, path, text).into_iter().flatten().collect()
}

fn text(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Option<String> {
    let text = decoder.text(node, path);
    if node.text() == Some("") || matches!(node.data, Data::Null) {
        decoder.problem(node.mark, path, yaml::empty());
    }
    (!text.is_empty()).then_some(text)
}

fn paths(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Vec<String> {
    decoder.list(node, path, relative_path).into_iter().flatten().collect()
}

/// A path that means the same on every machine.
fn relative_path(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Option<String> {
    let text = text(decoder, node, path)?;
    if text.starts_with('/') || text == "-" {
        decoder.problem(node.mark, path, messages::path_of_one_machine());
        return None;
    }
    Some(text)
}

/// A number that the command line would take.
fn number(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Option<u16> {
    let value = decoder.integer(node, path);
    if matches!(node.data, Data::Int(_) | Data::Float(_)) && !(1..=100).contains(&value) {
        decoder.problem(node.mark, path, messages::not_in_limits(node.describe()));
    }
    u16::try_from(value).ok().filter(|value| (1..=100).contains(value))
}

/// One of the words that the command line would take.
fn word<T: ValueEnum>(decoder: &mut Decoder<'_>, node: &Node<'_>, path: &Path<'_>) -> Option<T> {
    let text = decoder.borrowed_text(node, path);
    let found = T::from_str(&text, false).ok();
    if matches!(node.data, Data::Null) {
        decoder.problem(node.mark, path, yaml::empty());
    } else if let (None, Some(text)) = (&found, node.text()) {
        let words: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|value| value.to_possible_value().map(|word| word.get_name().to_owned()))
            .collect();
        let known: Vec<&str> = words.iter().map(String::as_str).collect();
        decoder.problem(node.mark, path, unknown_value("value", text, &known));
    }
    found
}
