//! Rules files as items: lists, macros, rules, and how later items change earlier ones.

use super::check::Patterns;
use super::exceptions::{Exception, append_exception, validate_exception};
use super::items::{
    Read, Refusal, VALIDATE, YAML, optional_boolean, optional_sequence, optional_text, refuse, refuse_at,
    required, required_boolean, required_scalar, required_sequence,
};
use super::rules::{Finding, Priority, Severity, Source};
use super::yaml::{Node, Place, documents};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// A node and the file that it stands in.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) file: usize,
    pub(crate) node: Rc<Node>,
}

/// A text that may be put together from several scalars, each with where it starts in the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) parts: Vec<(usize, Located)>,
}

impl Text {
    fn append(&mut self, other: &Self) {
        self.text.push(' ');
        let start = self.text.len();
        self.text.push_str(&other.text);
        self.parts.extend(other.parts.iter().map(|(at, part)| (start + at, part.clone())));
    }
}

#[derive(Debug)]
pub(crate) struct ListInfo {
    pub(crate) name: String,
    pub(crate) items: Vec<String>,
    pub(crate) at: Located,
    pub(crate) index: usize,
    pub(crate) visibility: usize,
}

#[derive(Debug)]
pub(crate) struct MacroInfo {
    pub(crate) name: String,
    pub(crate) condition: Text,
    pub(crate) at: Located,
    pub(crate) index: usize,
    pub(crate) visibility: usize,
}

#[derive(Debug)]
pub(crate) struct RuleInfo {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) condition: Text,
    pub(crate) output: Text,
    pub(crate) priority: Priority,
    pub(crate) source: String,
    pub(crate) tags: Vec<String>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) enabled: bool,
    pub(crate) warn_evttypes: bool,
    pub(crate) skip_if_unknown_filter: bool,
    pub(crate) at: Located,
}

/// The items of all files so far, and everything found wrong.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    pub(crate) files: Vec<Source<'a>>,
    pub(crate) lists: Vec<ListInfo>,
    pub(crate) macros: Vec<MacroInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    list_names: HashMap<String, usize>,
    macro_names: HashMap<String, usize>,
    rule_names: HashMap<String, usize>,
    /// Counts definitions, for who may refer to whom.
    next: usize,
    findings: Vec<Finding>,
    seen: HashSet<Finding>,
    pub(crate) file: usize,
    /// The rules that the current file defines.
    defined_here: HashSet<String>,
    /// The regular expressions that were compiled so far.
    pub(crate) patterns: Patterns,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(files: &[Source<'a>]) -> Self {
        Self {
            files: files.to_vec(),
            lists: Vec::new(),
            macros: Vec::new(),
            rules: Vec::new(),
            list_names: HashMap::new(),
            macro_names: HashMap::new(),
            rule_names: HashMap::new(),
            next: 0,
            findings: Vec::new(),
            seen: HashSet::new(),
            file: 0,
            defined_here: HashSet::new(),
            patterns: Patterns::new(),
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let order: HashMap<&str, usize> = self.files.iter().enumerate().map(|(i, f)| (f.name, i)).collect();
        let mut findings = self.findings;
        findings.sort_by_key(|f| (order.get(f.file.as_str()).copied(), f.line, f.column, f.severity));
        findings
    }

    /// Notes a finding, once.
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

    pub(crate) fn warn(&mut self, code: &'static str, node: &Node, item: &str, message: impl Into<String>) {
        self.find(Severity::Warning, code, (self.file, node.place), item, message);
    }

    /// Reads one file's items on top of what there is.
    pub(crate) fn read(&mut self, file: usize) {
        self.file = file;
        self.defined_here.clear();
        let text = self.files.get(file).map_or("", |f| f.text);
        let documents = match documents(text) {
            Ok(documents) => documents,
            Err(e) => {
                return self.find(Severity::Error, "LOAD_ERR_YAML_PARSE", (file, e.place), "", e.message);
            }
        };
        for document in documents.iter().filter(|d| !d.is_null()) {
            match document.sequence() {
                Some(items) => items.iter().filter(|i| !i.is_null()).for_each(|i| self.read_item(i)),
                None => {
                    let what = if document.mapping().is_some() {
                        "Rules content is not yaml array of objects"
                    } else {
                        "Rules content is not yaml"
                    };
                    self.find(Severity::Error, YAML, (file, document.place), "", what);
                }
            }
        }
    }

    fn read_item(&mut self, node: &Rc<Node>) {
        let kinds = ["required_engine_version", "required_plugin_versions", "list", "macro", "rule"];
        let kind = kinds.into_iter().find(|k| node.get(k).is_some());
        let name = kind.and_then(|k| node.get(k)).and_then(|n| n.scalar()).unwrap_or_default();
        let item = match kind {
            Some(kind @ ("list" | "macro" | "rule")) => format!("{kind} '{name}'"),
            Some(kind) => kind.to_owned(),
            None => String::new(),
        };
        let result = match kind {
            _ if node.mapping().is_none() => {
                refuse(YAML, "Unexpected element type. Each element should be a yaml associative array.")
            }
            Some("required_engine_version") => self.read_engine_version(node, &item),
            Some("required_plugin_versions") => self.read_plugin_versions(node, &item),
            Some("list") => self.read_list(node, &item),
            Some("macro") => self.read_macro(node, &item),
            Some(_) => self.read_rule(node, &item),
            None => {
                self.warn("LOAD_UNKNOWN_ITEM", node, "", "Unknown top level item");
                Ok(())
            }
        };
        if let Err(Refusal { code, message, at }) = result {
            self.find(Severity::Error, code, (self.file, at.unwrap_or(node.place)), &item, message);
        }
    }

    pub(crate) fn located(&self, node: &Rc<Node>) -> Located {
        Located { file: self.file, node: Rc::clone(node) }
    }

    fn text(&self, node: &Rc<Node>) -> Text {
        let text = node.scalar().unwrap_or_default().to_owned();
        Text { text, parts: vec![(0, self.located(node))] }
    }

    fn required_text(&self, item: &Node, key: &str) -> Read<Text> {
        required(item, key).map(|node| self.text(node))
    }

    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    pub(crate) fn warn_unknown_keys(&mut self, node: &Node, item: &str, known: &[&str]) {
        for (key, _) in node.mapping().unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if !known.contains(&name) {
                let message = format!("Unknown key '{name}'. The key will be ignored.");
                self.warn("LOAD_UNKNOWN_KEY", key, item, message);
            } else if node.key(name).is_some_and(|first| !Rc::ptr_eq(first, key)) {
                self.warn(
                    "SCHEMA",
                    key,
                    item,
                    format!("the key '{name}' stands twice; Falco reads the first"),
                );
            }
        }
    }

    /// Falco prints what breaks its schema apart from its warnings, and loads it.
    pub(crate) fn check_schema_keys(&mut self, node: &Node, item: &str, known: &[&str]) {
        for (key, _) in node.mapping().unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if !known.contains(&name) {
                self.warn("SCHEMA", key, item, format!("the schema of rules files has no key '{name}' here"));
            }
        }
    }

    // ---- lists and macros ----

    fn read_list(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let name = required_scalar(node, "list")?.to_owned();
        if name.contains(|c: char| c.is_ascii_whitespace() || "()\"'=,".contains(c)) {
            self.warn(
                "LOAD_INVALID_LIST_NAME",
                node,
                item,
                "List has an invalid name. List names should match a regular expression: ([^()\"'[:space:]=,]+)",
            );
        }
        let items = required_sequence(node, "items")?;
        let append = self.is_append(node, item, &["items"])?.is_append("items");
        self.warn_unknown_keys(node, item, &["list", "items", "append", "override"]);
        let (number, at) = (self.number(), self.located(node));
        let previous = self.list_names.get(&name).and_then(|i| self.lists.get_mut(*i));
        match previous {
            Some(previous) if append => {
                previous.items.extend(items);
                previous.visibility = number;
            }
            Some(previous) => {
                previous.items = items;
                previous.visibility = number;
                previous.at = at;
            }
            None if append => {
                return refuse(
                    VALIDATE,
                    "List uses 'append' or 'override.items: append' but no list by that name already exists",
                );
            }
            None => {
                self.list_names.insert(name.clone(), self.lists.len());
                self.lists.push(ListInfo { name, items, at, index: number, visibility: number });
            }
        }
        Ok(())
    }

    fn read_macro(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let name = required_scalar(node, "macro")?.to_owned();
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.warn(
                "LOAD_INVALID_MACRO_NAME",
                node,
                item,
                "Macro has an invalid name. Macro names should match a regular expression: ([a-zA-Z]+[a-zA-Z0-9_]*)",
            );
        }
        let condition = self.required_text(node, "condition")?;
        let append = self.is_append(node, item, &["condition"])?.is_append("condition");
        self.warn_unknown_keys(node, item, &["macro", "condition", "append", "override"]);
        let (number, at) = (self.number(), self.located(node));
        let previous = self.macro_names.get(&name).and_then(|i| self.macros.get_mut(*i));
        match previous {
            Some(previous) if append => {
                previous.condition.append(&condition);
                previous.visibility = number;
            }
            Some(previous) => {
                previous.condition = condition;
                previous.visibility = number;
                previous.at = at;
            }
            None if append => {
                return refuse(
                    VALIDATE,
                    "Macro uses 'append' or 'override.condition: append' but no macro by that name already exists",
                );
            }
            None => {
                self.macro_names.insert(name.clone(), self.macros.len());
                self.macros.push(MacroInfo { name, condition, at, index: number, visibility: number });
            }
        }
        Ok(())
    }

    /// What `override` and the old `append` key of an item say. `keys` can be appended to and replaced.
    fn is_append(&mut self, node: &Rc<Node>, item: &str, keys: &[&str]) -> Read<Override> {
        self.read_override(node, item, keys, keys)
    }

    fn read_override(
        &mut self,
        node: &Rc<Node>,
        item: &str,
        appendable: &[&str],
        replaceable: &[&str],
    ) -> Read<Override> {
        let append_all = optional_boolean(node, "append")?.unwrap_or(false);
        if append_all {
            self.warn(
                "LOAD_DEPRECATED_ITEM",
                node.get("append").unwrap_or(node),
                item,
                "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') under 'override' instead.",
            );
        }
        let mut result = Override { append_all, ..Override::default() };
        let Some(overrides) = node.get("override") else { return Ok(result) };
        for (key_node, operation_node) in overrides.mapping().unwrap_or_default() {
            let key = key_node.scalar().unwrap_or_default();
            let operation = operation_node.scalar().unwrap_or_default();
            let (can_append, can_replace) = (appendable.contains(&key), replaceable.contains(&key));
            match operation {
                "append" if can_append => result.append.push(key.to_owned()),
                "append" => {
                    let message = format!("Key '{key}' cannot be appended to, use 'replace' instead");
                    return refuse_at(key_node, message);
                }
                "replace" if can_replace => result.replace.push(key.to_owned()),
                "replace" => return refuse_at(key_node, format!("Key '{key}' cannot be replaced")),
                _ => {
                    let allowed = [("append ", can_append), ("replace ", can_replace)];
                    let allowed: String = allowed.iter().filter(|a| a.1).map(|a| a.0).collect();
                    let message = format!(
                        "Invalid override operation for key '{key}': '{operation}'. Allowed values are: {allowed}"
                    );
                    return refuse_at(operation_node, message);
                }
            }
        }
        if append_all && result.is_any() {
            return refuse(
                YAML,
                "Keys 'override' and 'append: true' cannot be used together. Add an 'append' entry (e.g. \
                 'condition: append') under 'override' instead.",
            );
        }
        Ok(result)
    }

    // ---- rules ----

    fn read_rule(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let name = required_scalar(node, "rule")?.to_owned();
        let source = optional_text(node, "source")?.unwrap_or_default();
        let overrides = self.read_override(node, item, &APPENDABLE, &REPLACEABLE)?;
        if let Some(priority) = node.get("priority") {
            self.check_priority_spelling(priority, item);
        }
        let is_switch = ["condition", "output", "desc", "priority"].iter().all(|k| node.get(k).is_none());
        if overrides.is_any() {
            self.override_rule(node, item, &name, &source, &overrides)?;
        } else if overrides.append_all {
            let update = Update {
                condition: node
                    .get("condition")
                    .map(|_| self.required_text(node, "condition"))
                    .transpose()?,
                exceptions: self.update_exceptions(node, item, true)?,
                ..Update::default()
            };
            self.append_rule(&name, &source, update)?;
        } else if is_switch {
            let enabled = required_boolean(node, "enabled")?;
            self.warn(
                "LOAD_DEPRECATED_ITEM",
                node,
                item,
                "The standalone 'enabled' key usage is deprecated. The correct approach requires also a 'replace' \
                 entry under the 'override' key (i.e. 'enabled: replace').",
            );
            match self.rule_mut(&name) {
                Some(rule) => rule.enabled = enabled,
                None => {
                    return refuse(
                        VALIDATE,
                        "Rule has 'enabled' key but no rule by that name already exists",
                    );
                }
            }
        } else {
            self.define_rule(node, item, name)?;
        }
        self.warn_unknown_keys(node, item, &RULE_KEYS);
        Ok(())
    }

    fn rule_mut(&mut self, name: &str) -> Option<&mut RuleInfo> {
        self.rule_names.get(name).and_then(|i| self.rules.get_mut(*i))
    }

    fn check_priority_spelling(&mut self, node: &Node, item: &str) {
        let text = node.scalar().unwrap_or_default();
        let upper = text.to_ascii_uppercase();
        if Priority::parse(text).is_some() && text != upper {
            self.warn(
                "SCHEMA",
                node,
                item,
                format!("priority '{text}' fails the schema of rules files: write {upper}"),
            );
        }
    }

    fn define_rule(&mut self, node: &Rc<Node>, item: &str, name: String) -> Read<()> {
        let condition = self.required_text(node, "condition")?;
        let mut output = self.required_text(node, "output")?;
        output.text = output.text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).to_owned();
        let description = self.required_text(node, "desc")?.text;
        let priority = read_priority(node)?;
        let source = match optional_text(node, "source")? {
            Some(source) if !source.is_empty() => source,
            _ => "syscall".to_owned(),
        };
        optional_boolean(node, "capture")?;
        if let Some(seconds) = node.get("capture_duration")
            && required_scalar(node, "capture_duration")?.parse::<u32>().is_err()
        {
            return refuse_at(seconds, "Can't decode YAML scalar value");
        }
        let rule = RuleInfo {
            description,
            condition,
            output,
            priority,
            tags: sorted(optional_sequence(node, "tags")?),
            exceptions: self.read_exceptions(node, item, false)?,
            enabled: optional_boolean(node, "enabled")?.unwrap_or(true),
            warn_evttypes: optional_boolean(node, "warn_evttypes")?.unwrap_or(true),
            skip_if_unknown_filter: optional_boolean(node, "skip-if-unknown-filter")?.unwrap_or(false),
            at: self.located(node),
            source,
            name,
        };
        if !matches!(rule.source.as_str(), "syscall" | "k8s_audit") {
            let message = format!("Unknown source {}, skipping", rule.source);
            self.warn("LOAD_UNKNOWN_SOURCE", node.get("source").unwrap_or(node), item, message);
        }
        self.same_source(&rule.name, &rule.source)?;
        let mut rule = rule;
        for exception in &mut rule.exceptions {
            if exception.fields.is_none() {
                return refuse(
                    VALIDATE,
                    "Rule exception item must have fields property with a list of fields",
                );
            }
            validate_exception(&rule.source, exception)?;
        }
        self.number();
        if !self.defined_here.insert(rule.name.clone()) {
            let message =
                "the same file has defined a rule with this name before; Falco drops that one silently";
            self.warn("DUPLICATE_RULE", node, item, message);
        }
        match self.rule_mut(&rule.name) {
            Some(previous) => *previous = rule,
            None => {
                self.rule_names.insert(rule.name.clone(), self.rules.len());
                self.rules.push(rule);
            }
        }
        Ok(())
    }

    fn same_source(&mut self, name: &str, source: &str) -> Read<()> {
        match self.rule_mut(name) {
            Some(rule) if !source.is_empty() && rule.source != source => {
                refuse(VALIDATE, "Rule has been re-defined with a different source")
            }
            _ => Ok(()),
        }
    }

    fn override_rule(
        &mut self,
        node: &Rc<Node>,
        item: &str,
        name: &str,
        source: &str,
        overrides: &Override,
    ) -> Read<()> {
        let defined = |key: &str| node.get(key).is_some();
        for (what, keys) in [("append", &overrides.append), ("replace", &overrides.replace)] {
            if let Some(key) = keys.iter().find(|key| !defined(key)) {
                let message =
                    format!("An {what} override for '{key}' was specified but '{key}' is not defined");
                return refuse(YAML, message);
            }
        }
        if !overrides.append.is_empty() {
            let update = self.read_update(node, item, &overrides.append, true)?;
            self.append_rule(name, source, update)?;
        }
        if !overrides.replace.is_empty() {
            let update = self.read_update(node, item, &overrides.replace, false)?;
            self.replace_in_rule(name, source, update)?;
        }
        let mut keys: Vec<&str> = APPENDABLE.iter().chain(&REPLACEABLE).copied().collect();
        keys.sort_unstable();
        for key in keys {
            let named = overrides.append.iter().chain(&overrides.replace).any(|k| k == key);
            if let Some(value) = node.get(key).filter(|_| !named) {
                let message =
                    format!("Unexpected key '{key}': no corresponding entry under 'override' is defined.");
                return refuse_at(value, message);
            }
        }
        Ok(())
    }

    fn read_update(&mut self, node: &Rc<Node>, item: &str, keys: &[String], append: bool) -> Read<Update> {
        let mut update = Update::default();
        for key in keys {
            match key.as_str() {
                "condition" => update.condition = Some(self.required_text(node, key)?),
                "output" => update.output = Some(self.required_text(node, key)?),
                "desc" => update.description = Some(self.required_text(node, key)?.text),
                "tags" => update.tags = Some(sorted(optional_sequence(node, key)?)),
                "exceptions" => update.exceptions = Some(self.read_exceptions(node, item, append)?),
                "priority" => update.priority = Some(read_priority(node)?),
                "enabled" => update.enabled = Some(required_boolean(node, key)?),
                "warn_evttypes" => update.warn_evttypes = Some(required_boolean(node, key)?),
                "skip-if-unknown-filter" => update.skip = Some(required_boolean(node, key)?),
                _ => update.other = true,
            }
        }
        Ok(update)
    }

    fn append_rule(&mut self, name: &str, source: &str, update: Update) -> Read<()> {
        self.same_source(name, source)?;
        self.number();
        let Some(rule) = self.rule_mut(name) else {
            return refuse(
                VALIDATE,
                "Rule uses 'append' or 'override.<key>: append' but no rule by that name already exists",
            );
        };
        if update.is_empty() {
            return refuse(VALIDATE, "Appended rule must have exceptions or condition property");
        }
        if let Some(condition) = &update.condition {
            rule.condition.append(condition);
        }
        if let Some(output) = &update.output {
            rule.output.append(output);
        }
        if let Some(description) = &update.description {
            rule.description = format!("{} {description}", rule.description);
        }
        if let Some(tags) = update.tags {
            rule.tags.extend(tags);
            rule.tags = sorted(std::mem::take(&mut rule.tags));
        }
        for exception in update.exceptions.into_iter().flatten() {
            append_exception(rule, exception)?;
        }
        Ok(())
    }

    fn replace_in_rule(&mut self, name: &str, source: &str, update: Update) -> Read<()> {
        self.same_source(name, source)?;
        self.number();
        let Some(rule) = self.rule_mut(name) else {
            return refuse(
                VALIDATE,
                "An 'override.<key>: replace' to a rule was requested but no rule by that name already exists",
            );
        };
        if update.is_empty() {
            return refuse(VALIDATE, "The rule must have at least one field that can be replaced");
        }
        set(&mut rule.condition, update.condition);
        set(&mut rule.output, update.output);
        set(&mut rule.description, update.description);
        set(&mut rule.tags, update.tags);
        set(&mut rule.exceptions, update.exceptions);
        set(&mut rule.priority, update.priority);
        set(&mut rule.enabled, update.enabled);
        set(&mut rule.warn_evttypes, update.warn_evttypes);
        set(&mut rule.skip_if_unknown_filter, update.skip);
        Ok(())
    }
}

const APPENDABLE: [&str; 5] = ["condition", "output", "desc", "tags", "exceptions"];
const REPLACEABLE: [&str; 11] = [
    "condition",
    "output",
    "desc",
    "priority",
    "capture",
    "capture_duration",
    "tags",
    "exceptions",
    "enabled",
    "warn_evttypes",
    "skip-if-unknown-filter",
];
const RULE_KEYS: [&str; 15] = [
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "tags",
    "exceptions",
    "override",
    "append",
];

/// Which keys of an item change an earlier one's.
#[derive(Debug, Default)]
struct Override {
    append_all: bool,
    append: Vec<String>,
    replace: Vec<String>,
}

impl Override {
    fn is_any(&self) -> bool {
        !self.append.is_empty() || !self.replace.is_empty()
    }

    fn is_append(&self, key: &str) -> bool {
        self.append_all || self.append.iter().any(|k| k == key)
    }
}

/// Changes to a rule.
#[derive(Debug, Default)]
struct Update {
    condition: Option<Text>,
    output: Option<Text>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    exceptions: Option<Vec<Exception>>,
    priority: Option<Priority>,
    enabled: Option<bool>,
    warn_evttypes: Option<bool>,
    skip: Option<bool>,
    /// Something that has no bearing on what alerts, such as `capture`.
    other: bool,
}

impl Update {
    fn is_empty(&self) -> bool {
        self.condition.is_none()
            && self.output.is_none()
            && self.description.is_none()
            && self.tags.is_none()
            && self.exceptions.is_none()
            && self.priority.is_none()
            && self.enabled.is_none()
            && self.warn_evttypes.is_none()
            && self.skip.is_none()
            && !self.other
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}

fn read_priority(node: &Node) -> Read<Priority> {
    let text = required_scalar(node, "priority")?;
    match Priority::parse(text) {
        Some(priority) => Ok(priority),
        None => refuse_at(node.get("priority").map_or(node, |n| n), "Invalid priority"),
    }
}
