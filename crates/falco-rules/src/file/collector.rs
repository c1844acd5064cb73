//! Rules files as items: lists, macros, rules, and how later items change earlier ones.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::exceptions::{append_exception, read_exceptions, validate_exception};
use super::items::{ListInfo, MacroInfo, RuleInfo};
use super::overrides::{Override, Update, read_override, read_priority, read_update, sorted};
use super::priority::Priority;
use super::required_versions::{read_engine_version, read_plugin_versions};
use super::text::{Located, Text};
use super::values::{
    Read, Refusal, VALIDATE, YAML, optional_boolean, optional_sequence, optional_text, refuse, refuse_at,
    required_boolean, required_scalar, required_sequence, warn_unknown_keys,
};
use super::yaml::{Node, documents};
use crate::check::{Known, PluginInfo};
use crate::finding::{Findings, Severity, Source};

/// The items of all files so far, and everything found wrong.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    /// Plugins beside those that are modelled.
    pub(crate) plugins: &'a [PluginInfo],
    pub(crate) lists: Vec<ListInfo>,
    pub(crate) macros: Vec<MacroInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    list_names: HashMap<String, usize>,
    macro_names: HashMap<String, usize>,
    rule_names: HashMap<String, usize>,
    /// Counts definitions: an item may refer only to those before it.
    next: usize,
    pub(crate) findings: Findings<'a>,
    /// The rules that the current file defines.
    defined_here: HashSet<String>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(files: &[Source<'a>], plugins: &'a [PluginInfo]) -> Self {
        Self {
            plugins,
            lists: Vec::new(),
            macros: Vec::new(),
            rules: Vec::new(),
            list_names: HashMap::new(),
            macro_names: HashMap::new(),
            rule_names: HashMap::new(),
            next: 0,
            findings: Findings::new(files),
            defined_here: HashSet::new(),
        }
    }

    /// Reads one file's items on top of what there is.
    pub(crate) fn read(&mut self, file: usize) {
        self.findings.file = file;
        self.defined_here.clear();
        let documents = match documents(self.findings.text(file)) {
            Ok(documents) => documents,
            Err(e) => {
                return self.findings.find(
                    Severity::Error,
                    "LOAD_ERR_YAML_PARSE",
                    (file, e.place),
                    "",
                    e.message,
                );
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
                    self.findings.find(Severity::Error, YAML, (file, document.place), "", what);
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
            Some("required_engine_version") => read_engine_version(&mut self.findings, node, &item),
            Some("required_plugin_versions") => {
                read_plugin_versions(&mut self.findings, node, &item, Known(self.plugins))
            }
            Some("list") => self.read_list(node, &item),
            Some("macro") => self.read_macro(node, &item),
            Some(_) => self.read_rule(node, &item),
            None => {
                self.findings.warn("LOAD_UNKNOWN_ITEM", node.place, "", "Unknown top level item");
                Ok(())
            }
        };
        if let Err(Refusal { code, message, at }) = result {
            self.findings.find(
                Severity::Error,
                code,
                (self.findings.file, at.unwrap_or(node.place)),
                &item,
                message,
            );
        }
    }

    pub(crate) fn located(&self, node: &Rc<Node>) -> Located {
        Located { file: self.findings.file, node: Rc::clone(node) }
    }

    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    // ---- lists and macros ----

    fn read_list(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let name = required_scalar(node, "list")?.to_owned();
        if name.contains(|c: char| c.is_ascii_whitespace() || "()\"'=,".contains(c)) {
            self.findings.warn(
                "LOAD_INVALID_LIST_NAME",
                node.place,
                item,
                "List has an invalid name. List names should match a regular expression: ([^()\"'[:space:]=,]+)",
            );
        }
        let items = required_sequence(node, "items")?;
        let append = self.is_append(node, item, &["items"])?.is_append("items");
        warn_unknown_keys(&mut self.findings, node, item, &["list", "items", "append", "override"]);
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
            self.findings.warn(
                "LOAD_INVALID_MACRO_NAME",
                node.place,
                item,
                "Macro has an invalid name. Macro names should match a regular expression: ([a-zA-Z]+[a-zA-Z0-9_]*)",
            );
        }
        let condition = Text::required(self.findings.file, node, "condition")?;
        let append = self.is_append(node, item, &["condition"])?.is_append("condition");
        warn_unknown_keys(&mut self.findings, node, item, &["macro", "condition", "append", "override"]);
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
        read_override(&mut self.findings, node, item, keys, keys)
    }

    // ---- rules ----

    fn read_rule(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let name = required_scalar(node, "rule")?.to_owned();
        let source = optional_text(node, "source")?.unwrap_or_default();
        let overrides = read_override(&mut self.findings, node, item, &APPENDABLE, &REPLACEABLE)?;
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
                    .map(|_| Text::required(self.findings.file, node, "condition"))
                    .transpose()?,
                exceptions: node
                    .get("exceptions")
                    .map(|_| read_exceptions(&mut self.findings, node, item, true))
                    .transpose()?,
                ..Update::default()
            };
            self.append_rule(&name, &source, update)?;
        } else if is_switch {
            let enabled = required_boolean(node, "enabled")?;
            self.findings.warn(
                "LOAD_DEPRECATED_ITEM",
                node.place,
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
        warn_unknown_keys(&mut self.findings, node, item, &RULE_KEYS);
        Ok(())
    }

    fn rule_mut(&mut self, name: &str) -> Option<&mut RuleInfo> {
        self.rule_names.get(name).and_then(|i| self.rules.get_mut(*i))
    }

    fn check_priority_spelling(&mut self, node: &Node, item: &str) {
        let text = node.scalar().unwrap_or_default();
        let upper = text.to_ascii_uppercase();
        if Priority::parse(text).is_some() && text != upper {
            self.findings.warn(
                "SCHEMA",
                node.place,
                item,
                format!("priority '{text}' fails the schema of rules files: write {upper}"),
            );
        }
    }

    fn define_rule(&mut self, node: &Rc<Node>, item: &str, name: String) -> Read<()> {
        let condition = Text::required(self.findings.file, node, "condition")?;
        let mut output = Text::required(self.findings.file, node, "output")?;
        output.text = output.text.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']).to_owned();
        let description = Text::required(self.findings.file, node, "desc")?.text;
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
            exceptions: read_exceptions(&mut self.findings, node, item, false)?,
            enabled: optional_boolean(node, "enabled")?.unwrap_or(true),
            warn_evttypes: optional_boolean(node, "warn_evttypes")?.unwrap_or(true),
            skip_if_unknown_filter: optional_boolean(node, "skip-if-unknown-filter")?.unwrap_or(false),
            at: self.located(node),
            source,
            name,
        };
        if !matches!(rule.source.as_str(), "syscall" | "k8s_audit") {
            let message = format!("Unknown source {}, skipping", rule.source);
            self.findings.warn(
                "LOAD_UNKNOWN_SOURCE",
                node.get("source").map_or(node.place, |source| source.place),
                item,
                message,
            );
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
            validate_exception(&rule.source, exception, Known(self.plugins))?;
        }
        self.number();
        if !self.defined_here.insert(rule.name.clone()) {
            let message =
                "the same file has defined a rule with this name before; Falco drops that one silently";
            self.findings.warn("DUPLICATE_RULE", node.place, item, message);
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
            let update = read_update(&mut self.findings, node, item, &overrides.append, true)?;
            self.append_rule(name, source, update)?;
        }
        if !overrides.replace.is_empty() {
            let update = read_update(&mut self.findings, node, item, &overrides.replace, false)?;
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

    fn append_rule(&mut self, name: &str, source: &str, update: Update) -> Read<()> {
        self.same_source(name, source)?;
        self.number();
        let plugins = Known(self.plugins);
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
            append_exception(&mut rule.exceptions, &rule.source, exception, plugins)?;
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

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}
