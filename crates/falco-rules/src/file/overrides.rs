//! What an item changes of an earlier one with its name: `override`, and the old `append`.

use std::rc::Rc;

use super::exceptions::{Exception, read_exceptions};
use super::priority::Priority;
use super::text::Text;
use super::values::{
    Read, YAML, optional_boolean, optional_sequence, refuse, refuse_at, required_boolean, required_scalar,
};
use super::yaml::Node;
use crate::finding::Findings;

/// Which keys of an item change an earlier one's.
#[derive(Debug, Default)]
pub(crate) struct Override {
    pub(crate) append_all: bool,
    pub(crate) append: Vec<String>,
    pub(crate) replace: Vec<String>,
}

impl Override {
    pub(crate) fn is_any(&self) -> bool {
        !self.append.is_empty() || !self.replace.is_empty()
    }

    pub(crate) fn is_append(&self, key: &str) -> bool {
        self.append_all || self.append.iter().any(|k| k == key)
    }
}

/// Changes to a rule.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) condition: Option<Text>,
    pub(crate) output: Option<Text>,
    pub(crate) description: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) exceptions: Option<Vec<Exception>>,
    pub(crate) priority: Option<Priority>,
    pub(crate) enabled: Option<bool>,
    pub(crate) warn_evttypes: Option<bool>,
    pub(crate) skip: Option<bool>,
    /// Something that has no bearing on what alerts, such as `capture`.
    pub(crate) other: bool,
}

impl Update {
    pub(crate) fn is_empty(&self) -> bool {
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

/// What `override` and the old `append` key of an item say; `appendable` and `replaceable` are the keys that can be.
pub(crate) fn read_override(
    findings: &mut Findings<'_>,
    node: &Rc<Node>,
    item: &str,
    appendable: &[&str],
    replaceable: &[&str],
) -> Read<Override> {
    let append_all = optional_boolean(node, "append")?.unwrap_or(false);
    if append_all {
        findings.warn(
            "LOAD_DEPRECATED_ITEM",
            node.get("append").map_or(node.place, |append| append.place),
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

/// Reads the values of these keys.
pub(crate) fn read_update(
    findings: &mut Findings<'_>,
    node: &Rc<Node>,
    item: &str,
    keys: &[String],
    append: bool,
) -> Read<Update> {
    let mut update = Update::default();
    for key in keys {
        match key.as_str() {
            "condition" => update.condition = Some(Text::required(findings.file, node, key)?),
            "output" => update.output = Some(Text::required(findings.file, node, key)?),
            "desc" => update.description = Some(Text::required(findings.file, node, key)?.text),
            "tags" => update.tags = Some(sorted(optional_sequence(node, key)?)),
            "exceptions" => update.exceptions = Some(read_exceptions(findings, node, item, append)?),
            "priority" => update.priority = Some(read_priority(node)?),
            "enabled" => update.enabled = Some(required_boolean(node, key)?),
            "warn_evttypes" => update.warn_evttypes = Some(required_boolean(node, key)?),
            "skip-if-unknown-filter" => update.skip = Some(required_boolean(node, key)?),
            _ => update.other = true,
        }
    }
    Ok(update)
}

/// Texts in order, each once.
pub(crate) fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}

/// The priority of a rule.
pub(crate) fn read_priority(node: &Node) -> Read<Priority> {
    let text = required_scalar(node, "priority")?;
    match Priority::parse(text) {
        Some(priority) => Ok(priority),
        None => refuse_at(node.get("priority").map_or(node, |n| n), "Invalid priority"),
    }
}
