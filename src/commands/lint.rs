//! `lint`: Falco's load check, without Falco.

use std::collections::HashSet;

use anyhow::Result;
use serde_json::json;

use super::pipeline::Exit;
use super::rules_files::{is_rules_name, read_rules};
use crate::cli::{Lint, TextOrJson};
use crate::console::Console;
use crate::excerpt::{Gravity, Style, excerpt};
use crate::plugin;
use falco_rules::{self as falco, Finding, Severity};

/// Checks rules files and shows what Falco would say of them.
pub(super) fn run(args: &Lint, console: &mut Console<'_>) -> Result<Exit> {
    let texts = read_rules(&args.paths, &args.exclude, console)?;
    let sources: Vec<falco::Source<'_>> =
        texts.iter().map(|(name, text)| falco::Source { name, text }).collect();
    let mut checked = Checked::new(falco::load_with(&sources, &[plugin::known()]).findings);
    let skipped = args.paths.iter().filter(|path| path.is_file() && !is_rules_name(path));
    checked.notes.extend(skipped.map(|path| {
        format!("{}: Falco loads no file of this name; let it end in .yaml or .yml", path.display())
    }));
    match args.format {
        TextOrJson::Text => {
            let (style, paint) = (console.product_style(), console.product_paint());
            for finding in &checked.findings {
                let text = texts.iter().find(|(name, _)| *name == finding.file).map_or("", |(_, text)| text);
                let gravity = gravity(finding);
                let excerpt = marked(text, finding, style);
                console.print(format!("{}\n{excerpt}\n", paint.finding(gravity, finding)))?;
            }
            for note in &checked.notes {
                console.note(note);
            }
        }
        TextOrJson::Json => {
            let findings: Vec<_> = checked.findings.iter().map(as_json).collect();
            let files: Vec<&String> = texts.iter().map(|(name, _)| name).collect();
            let all = json!({"files": files, "findings": findings, "not_checked": checked.notes});
            console.print(format!("{all:#}\n"))?;
        }
    }
    let count = |severity| checked.findings.iter().filter(|f| f.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let what = match texts.len() {
        1 => "this".to_owned(),
        n => format!("these {n} files"),
    };
    let text = match (errors, warnings) {
        (0, 0) if !checked.notes.is_empty() => "nothing wrong in what was checked".to_owned(),
        (0, 0) => format!("Falco {} loads {what} without a warning", falco::FALCO_VERSION),
        (0, n) => format!("Falco {} loads {what} with {n} warning{}", falco::FALCO_VERSION, s(n)),
        (e, n) => {
            format!(
                "Falco {} does not load {what}: {e} error{}, {n} warning{}",
                falco::FALCO_VERSION,
                s(e),
                s(n)
            )
        }
    };
    console.say(text);
    Ok(if checked.findings.is_empty() { Exit::Done } else { Exit::Findings })
}

/// Findings, and what could not be checked.
struct Checked {
    findings: Vec<Finding>,
    notes: Vec<String>,
}

impl Checked {
    /// Takes from the findings what is no fault of the rules but a limit of this check.
    fn new(all: Vec<Finding>) -> Self {
        let foreign = all.iter().any(|f| f.code == "UNKNOWN_PLUGIN");
        let mut notes: Vec<String> = Vec::new();
        let mut findings = Vec::new();
        for finding in all {
            let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
            let is_unknown_field = finding.message.contains("called with nonexistent field");
            let limit = match finding.code {
                "UNKNOWN_PLUGIN" => {
                    format!("{place}: {}; rules that need it are not checked against it", finding.message)
                }
                "NOT_MODELLED" => {
                    format!(
                        "{place}: {}: Falco loads it, but replay cannot: {}",
                        finding.item, finding.message
                    )
                }
                // With a plugin that is not known here, these may be as they should.
                "LOAD_UNKNOWN_SOURCE" if foreign => {
                    format!("{}: rules of a source that is not known here are not checked", finding.file)
                }
                "LOAD_UNUSED_MACRO" | "LOAD_UNUSED_LIST" if foreign => {
                    format!("{}: whether macros and lists are used is not checked", finding.file)
                }
                _ if foreign && is_unknown_field => {
                    format!("{place}: {}: not checked: {}", finding.item, finding.message)
                }
                _ => {
                    notes.extend(is_unknown_field.then(|| plugin_hint(&finding.message)).flatten());
                    findings.push(finding);
                    continue;
                }
            };
            notes.push(limit);
        }
        let mut seen = HashSet::new();
        notes.retain(|note| seen.insert(note.clone()));
        Self { findings, notes }
    }
}

/// What to do about a field that may come from a plugin which is not known here.
fn plugin_hint(message: &str) -> Option<String> {
    let field = message.split("nonexistent field ").nth(1)?;
    let (family, _) = field.split_once('.')?;
    let prefix = format!("{family}.");
    let mut fields = falco::catalog::catalog().fields().chain(&plugin::FIELDS);
    (!fields.any(|f| f.name.starts_with(&prefix))).then(|| {
        format!(
            "{prefix}*: no such field is known here; where a plugin brings it, name the plugin under \
             required_plugin_versions, and its fields are left unchecked"
        )
    })
}

/// The line of a finding with a mark under its column.
fn marked(text: &str, finding: &Finding, style: Style) -> String {
    let line = finding.line.checked_sub(1).and_then(|n| text.lines().nth(n)).unwrap_or_default();
    excerpt(line, finding.line, finding.column, gravity(finding), style)
}

fn gravity(finding: &Finding) -> Gravity {
    match finding.severity {
        Severity::Error => Gravity::Error,
        Severity::Warning => Gravity::Warning,
    }
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "file": finding.file, "line": finding.line, "column": finding.column, "severity": severity,
        "code": finding.code, "item": finding.item, "message": finding.message,
    })
}

fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
