//! Exceptions of rules: reading them, and writing them into conditions as Falco does.

use std::rc::Rc;

use super::text::{Located, Text, quoted};
use super::values::{Read, VALIDATE, YAML, refuse, refuse_at, required_scalar, warn_schema_keys};
use super::yaml::Node;
use crate::check::{Known, is_left_side};
use crate::finding::Findings;
use crate::syntax::Op;

/// The most entries that a rule's exceptions may have, copies by alias included.
const MAX_EXCEPTION_ENTRIES: usize = 200_000;

/// A rule's exception.
#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) name: String,
    pub(crate) fields: Option<Entry>,
    pub(crate) comps: Option<Entry>,
    pub(crate) values: Vec<Entry>,
    pub(crate) at: Located,
}

/// A part of an exception: a text or a list.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    One(String),
    List(Vec<Entry>),
}

impl Entry {
    /// Its text; a list has none.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::One(text) => text,
            Self::List(_) => "",
        }
    }
}

/// Reads the exceptions of a rule, or of what is appended to one.
pub(crate) fn read_exceptions(
    findings: &mut Findings<'_>,
    node: &Rc<Node>,
    item: &str,
    append: bool,
) -> Read<Vec<Exception>> {
    let Some(list) = node.get("exceptions").filter(|n| !n.is_null()) else { return Ok(Vec::new()) };
    let Some(items) = list.sequence() else {
        return refuse_at(list, "Rule exceptions must be a sequence");
    };
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut budget = MAX_EXCEPTION_ENTRIES;
    for node in items {
        if node.mapping().is_none() {
            return refuse_at(node, "Rule exception must be a mapping");
        }
        let name = required_scalar(node, "name")?.to_owned();
        if exceptions.iter().any(|e| e.name == name) {
            let message = format!("Multiple definitions of exception '{name}' in the same rule");
            findings.warn("LOAD_EXCEPTION_NAME_NOT_UNIQUE", node.place, item, message);
        }
        warn_schema_keys(findings, node, item, &["name", "fields", "comps", "values"]);
        let fields = match node.get("fields") {
            None if !append => return refuse_at(node, "Item has no mapping for key 'fields'"),
            None => None,
            Some(fields) => read_entry(fields, &mut budget)?,
        };
        let comps = node.get("comps").map(|c| read_entry(c, &mut budget)).transpose()?.flatten();
        let values = match node.get("values") {
            None => {
                if append {
                    let message = "Overriding/appending exception with no values";
                    findings.warn("LOAD_APPEND_NO_VALUES", node.place, item, message);
                }
                Vec::new()
            }
            Some(values) => {
                let Some(values) = values.sequence() else {
                    return refuse_at(values, "Rule exception values must be a sequence");
                };
                let entries: Read<Vec<Option<Entry>>> =
                    values.iter().map(|v| read_entry(v, &mut budget)).collect();
                entries?.into_iter().map(|e| e.unwrap_or(Entry::One(String::new()))).collect()
            }
        };
        exceptions.push(Exception {
            name,
            fields,
            comps,
            values,
            at: Located { file: findings.file, node: Rc::clone(node) },
        });
    }
    Ok(exceptions)
}

/// Reads a text or a list of them. What is neither is nothing.
fn read_entry(node: &Node, budget: &mut usize) -> Read<Option<Entry>> {
    *budget = match budget.checked_sub(1) {
        Some(left) => left,
        None => return refuse(YAML, "the exceptions have too many entries"),
    };
    if let Some(items) = node.sequence() {
        let entries: Read<Vec<Option<Entry>>> = items.iter().map(|i| read_entry(i, budget)).collect();
        let entries = entries?.into_iter().map(|e| e.unwrap_or(Entry::One(String::new())));
        return Ok(Some(Entry::List(entries.collect())));
    }
    match node.scalar() {
        Some("") => refuse_at(node, "Value must be non-empty"),
        Some(text) => Ok(Some(Entry::One(text.to_owned()))),
        None => Ok(None),
    }
}

/// Adds an exception to a rule's own; `source` is the rule's.
pub(crate) fn append_exception(
    exceptions: &mut Vec<Exception>,
    source: &str,
    mut exception: Exception,
    plugins: Known<'_>,
) -> Read<()> {
    let Some(previous) = exceptions.iter_mut().find(|e| e.name == exception.name) else {
        if exception.fields.is_none() {
            return refuse(VALIDATE, "Rule exception must have fields property with a list of fields");
        }
        if exception.values.is_empty() {
            return refuse(VALIDATE, "Rule exception must have values property with a list of values");
        }
        validate_exception(source, &mut exception, plugins)?;
        exceptions.push(exception);
        return Ok(());
    };
    if exception.fields.is_some() {
        return refuse(VALIDATE, "Can not append exception fields to existing exception, only values");
    }
    if exception.comps.is_some() {
        return refuse(VALIDATE, "Can not append exception comps to existing exception, only values");
    }
    previous.values.extend(exception.values);
    Ok(())
}

pub(crate) fn validate_exception(source: &str, exception: &mut Exception, plugins: Known<'_>) -> Read<()> {
    let known =
        |field: &str| !matches!(source, "syscall" | "k8s_audit") || is_left_side(field, source, plugins);
    let unknown = |field: &str| refuse(VALIDATE, format!("'{field}' is not a supported filter field"));
    match &exception.fields {
        Some(Entry::List(fields)) => {
            let fields = fields.clone();
            let equals = || Entry::List(vec![Entry::One("=".into()); fields.len()]);
            let comps = exception.comps.get_or_insert_with(equals);
            let Entry::List(comps) = comps else {
                return refuse(VALIDATE, "Fields and comps lists must have equal length");
            };
            if fields.len() != comps.len() {
                return refuse(VALIDATE, "Fields and comps lists must have equal length");
            }
            for comp in comps {
                let text = comp.text().trim_ascii().to_owned();
                if !is_operator(&text) && !has_modifier(&text) {
                    let message = format!("'{text}' is not a supported comparison operator");
                    return refuse(VALIDATE, message);
                }
                *comp = Entry::One(text);
            }
            match fields.iter().find(|f| !known(f.text())) {
                Some(field) => unknown(field.text()),
                None => Ok(()),
            }
        }
        Some(Entry::One(field)) => {
            let comps = exception.comps.get_or_insert_with(|| Entry::One("in".into()));
            let Entry::One(comp) = comps else {
                return refuse(VALIDATE, "Fields and comps must both be strings");
            };
            *comp = comp.trim_ascii().to_owned();
            if !matches!(comp.as_str(), "in" | "pmatch" | "intersects") && !has_modifier(comp) {
                return refuse(
                    VALIDATE,
                    "When fields is a single value, comps must be one of (in, pmatch, intersects) or a modifier \
                     operator (e.g. startswith oneof)",
                );
            }
            if known(field) { Ok(()) } else { unknown(field) }
        }
        None => Ok(()),
    }
}

fn is_operator(text: &str) -> bool {
    text == "==" || Op::ALL.iter().any(|op| op.name() == text)
}

/// Whether it is a string operator with `oneof`, `anyof` or `allof`.
pub(crate) fn has_modifier(text: &str) -> bool {
    let Some((op, modifier)) = text.split_once(' ') else { return false };
    let takes_text = |op: &Op| !op.takes_list() && !op.is_ordering() && *op != Op::Exists;
    let known = op == "==" || Op::ALL.iter().filter(|o| takes_text(o)).any(|o| o.name() == op);
    known && matches!(modifier, "oneof" | "anyof" | "allof")
}

/// A rule's condition with its exceptions added, as Falco writes them.
pub(crate) fn with_exceptions(condition: &Text, exceptions: &[Exception]) -> Result<Text, (Located, String)> {
    let mut out = Text { text: format!("({})", condition.text), parts: Vec::new() };
    // The opening parenthesis shifts everything.
    out.parts = condition.parts.iter().map(|(at, part)| (at + 1, part.clone())).collect();
    for exception in exceptions {
        let text = exception_text(exception).map_err(|message| (exception.at.clone(), message))?;
        if let Some(text) = text {
            out.parts.push((out.text.len(), exception.at.clone()));
            out.text.push_str(" and not ");
            out.text.push_str(&text);
        }
    }
    Ok(out)
}

fn exception_text(exception: &Exception) -> Result<Option<String>, String> {
    let (fields, comps) = match (&exception.fields, &exception.comps) {
        (Some(Entry::One(field)), comps) => {
            // Falco fills in no operator when exceptions are replaced.
            let comp = comps.as_ref().map_or("", Entry::text);
            return single_field(field, comp, &exception.values);
        }
        (Some(Entry::List(fields)), Some(Entry::List(comps))) if fields.len() == comps.len() => {
            (fields, comps)
        }
        (Some(Entry::List(_)), _) => return Err("Fields and comps lists must have equal length".into()),
        (None, _) => return Ok(None),
    };
    let mut rows = Vec::new();
    for row in &exception.values {
        let values = match row {
            Entry::List(values) if values.len() == fields.len() => values,
            _ => return Err("Fields and values lists must have equal length".into()),
        };
        let checks = fields.iter().zip(comps).zip(values).map(|((field, comp), value)| {
            format!(" {} {} {}", field.text(), comp.text(), exception_value(comp.text(), value))
        });
        rows.push(format!("({})", checks.collect::<Vec<_>>().join(" and ")));
    }
    Ok((!rows.is_empty()).then(|| format!("({})", rows.join(" or "))))
}

fn single_field(field: &str, comp: &str, values: &[Entry]) -> Result<Option<String>, String> {
    let mut items = Vec::new();
    for value in values {
        match value {
            Entry::One(text) => items.push(quoted(text)),
            Entry::List(_) => return Err("Expected values array to contain a list of strings".into()),
        }
    }
    Ok((!items.is_empty()).then(|| format!("({field} {comp} ({}))", items.join(", "))))
}

fn exception_value(comp: &str, value: &Entry) -> String {
    let takes_list = matches!(comp, "in" | "intersects" | "pmatch") || has_modifier(comp);
    match value {
        Entry::List(items) => {
            let items: Vec<String> = items.iter().map(|i| quoted(i.text())).collect();
            format!("({})", items.join(", "))
        }
        Entry::One(text) if takes_list && !text.starts_with('(') => format!("({text})"),
        Entry::One(text) if takes_list => text.clone(),
        Entry::One(text) => quoted(text),
    }
}
