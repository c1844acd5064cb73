//! `krm`: a function of kustomize and kpt that adds the rules of the policies among the items.

use std::io::Read;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};

use super::pipeline::{Exit, chosen, configured, make, object_of};
use crate::config::Config;
use crate::console::Console;
use crate::findings::{Finding, Kind, findings};
use crate::krm::{Changes, FILE, List, Severity};
use crate::messages;
use crate::problem::Problem;
use crate::read;
use crate::render::Layers;
use crate::wrap;

/// The most bytes of a list.
const MOST: u64 = 256 << 20;

/// Reads a ResourceList, and writes it with the rules. What fails is said too, since kustomize shows no results.
pub(super) fn run(input: &mut dyn Read, console: &mut Console<'_>) -> Result<Exit> {
    let mut text = String::new();
    console.announce_input("a ResourceList");
    input
        .take(MOST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Problem::of_file(FILE, read::unreadable(&error)))?;
    if text.len() as u64 > MOST {
        return Err(Problem::of_file(FILE, messages::read::too_large(MOST >> 20)).into());
    }
    let list = List::parse(&text)?;
    let (changes, exit) = match transform(&list, &text, console) {
        Ok((changes, failed)) => (changes, if failed { Exit::Findings } else { Exit::Done }),
        Err(failures) => {
            let results = failures.iter().map(|failure| failure.result(&list)).collect();
            (Changes { results, ..Changes::default() }, Exit::Findings)
        }
    };
    for result in changes.results.iter().filter(|result| is_error(result)) {
        console.answer(told(result));
    }
    console.print(list.changed(&changes))?;
    Ok(exit)
}

/// Why nothing was made.
enum Failure {
    Problem(Problem),
    Other(anyhow::Error),
}

impl Failure {
    fn result(&self, list: &List<'_>) -> Value {
        match self {
            Failure::Problem(problem) => of_problem(list, Severity::Error, problem),
            Failure::Other(error) => list.result(Severity::Error, &format!("{error:#}"), None, ""),
        }
    }
}

/// What the rules change in the list; and whether a finding fails it.
fn transform(
    list: &List<'_>,
    text: &str,
    console: &mut Console<'_>,
) -> Result<(Changes, bool), Vec<Failure>> {
    let problems = |problems: Vec<Problem>| problems.into_iter().map(Failure::Problem).collect::<Vec<_>>();
    let other = |error| vec![Failure::Other(error)];
    let config = list.config().map_err(problems)?;
    let options = read::Options { strict: config.strict, ..read::Options::default() };
    let inventory = read::read_text(FILE, text, &options).map_err(problems)?;
    if inventory.policies.is_empty() {
        let message = "no PodSecurityPolicy among the items, so no rules";
        let results = vec![list.result(Severity::Warning, message, None, "")];
        return Ok((Changes { results, ..Changes::default() }, false));
    }
    let (rules, output) = configured(&config, Path::new("")).map_err(other)?;
    let made = chosen(&rules, Layers::Audit)
        .and_then(|layers| make(&inventory, &rules, layers, console))
        .map_err(other)?;
    let mut changes = Changes::default();
    let items = list.items();
    for rendered in &made.files {
        let object = object_of(&output.wrapper, rendered, made.files.len());
        let objects = wrap::objects(config.format, rendered.layer.file_name(), &rendered.text, &object);
        for object in objects.map_err(other)? {
            put(object, &items, &config, &mut changes).map_err(other)?;
        }
    }
    if config.remove_policies {
        let policies = items.iter().enumerate().filter(|(_, item)| is_policy(item));
        changes.items.extend(policies.map(|(n, _)| (n, None)));
    }
    let found = findings(&inventory, &made.files, &made.options);
    let fails = |finding: &Finding| config.fail_on.contains(&finding.kind);
    changes.results = found
        .iter()
        .map(|finding| match finding.kind {
            _ if fails(finding) => of_problem(list, Severity::Error, &finding.problem),
            Kind::Approximate => of_problem(list, Severity::Info, &finding.problem),
            _ => of_problem(list, Severity::Warning, &finding.problem),
        })
        .collect();
    let summary = made.summary(&inventory);
    let first = summary.lines().next().unwrap_or_default();
    changes.results.push(list.result(Severity::Info, first, None, ""));
    Ok((changes, found.iter().any(fails)))
}

/// Adds our object, or puts it in the place of the one from an earlier run, whose metadata stays.
fn put(new: Value, items: &[Value], config: &Config, changes: &mut Changes) -> Result<()> {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let same = |item: &&Value| {
        ["/apiVersion", "/kind", "/metadata/name"].iter().all(|at| text(item, at) == text(&new, at))
            && (config.object.namespace.is_none()
                || text(item, "/metadata/namespace") == config.object.namespace)
    };
    let Some((n, old)) = items.iter().enumerate().find(|(_, item)| same(item)) else {
        changes.added.push(new);
        return Ok(());
    };
    let annotation = |item: &Value| item.get("metadata")?.get("annotations")?.get(wrap::ANNOTATION).cloned();
    if annotation(old) != annotation(&new) {
        let (kind, name) = (text(old, "/kind"), text(old, "/metadata/name"));
        let message =
            messages::commands::item_of_somebody_else(kind.unwrap_or_default(), name.unwrap_or_default());
        return Err(Problem::of_file("items", message).into());
    }
    let merged = merged(old, &new);
    if merged != *old {
        changes.items.insert(n, Some(merged));
    }
    Ok(())
}

/// `old` with the labels, annotations and contents of `new`.
fn merged(old: &Value, new: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return new.clone() };
    let mut merged = old.clone();
    for (key, value) in new {
        let metadata = merged.get(key).and_then(Value::as_object).filter(|_| key == "metadata");
        let value = match (metadata, value) {
            (Some(metadata), Value::Object(value)) => Value::Object(merged_metadata(metadata, value)),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    Value::Object(merged)
}

fn merged_metadata(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut metadata = old.clone();
    for (key, value) in new {
        match (metadata.get_mut(key), value) {
            (Some(Value::Object(present)), Value::Object(value)) => present.extend(value.clone()),
            _ => {
                metadata.insert(key.clone(), value.clone());
            }
        }
    }
    metadata
}

fn is_policy(item: &Value) -> bool {
    item.get("kind").is_some_and(|kind| kind == "PodSecurityPolicy")
}

fn is_error(result: &Value) -> bool {
    result.get("severity").is_some_and(|severity| severity == Severity::Error.name())
}

/// A result as a line: the file, where there is one, and the message.
fn told(result: &Value) -> String {
    let text = |pointer: &str| result.pointer(pointer).and_then(Value::as_str);
    let message = text("/message").unwrap_or_default();
    match text("/file/path").or_else(|| text("/resourceRef/name")) {
        Some(place) => format!("{place}: {message}"),
        None => message.to_owned(),
    }
}

/// A result with the object, field and file that a problem is about.
fn of_problem(list: &List<'_>, severity: Severity, problem: &Problem) -> Value {
    let message = match problem.path.as_str() {
        "" => problem.message.to_string(),
        path => format!("{path}: {}", problem.message),
    };
    list.result(severity, &message, Some(&problem.place), &problem.path)
}
