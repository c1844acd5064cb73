//! What each command does: read, map, render, check, write. One file a command.

mod convert;
mod explain;
#[cfg(feature = "cluster")]
mod scan;

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result, bail};

use crate::access::Access;
use crate::cli::{AuditObject, Cli, Command, Input, Output, Reporting, Rules};
use crate::falco;
use crate::predict::{self, Prediction};
use crate::read::{self, Inventory};
use crate::render::{self, Rendered};
use crate::{report, write};

/// Name of the audit rules in a folder.
pub const AUDIT_RULES: &str = "psp_audit_rules.yaml";

/// How many rows of the prediction are shown unasked.
const MAX_ROWS: usize = 5;

/// How many bindings that grant nothing are worth showing.
const MAX_NOTES: usize = 10;

/// How a command ended that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or in sync: exit code 0.
    Done,
    /// Drift or findings, where they were asked for: exit code 1.
    Findings,
}

/// Runs the command. The product goes to `out`, the talk to `err`.
///
/// # Errors
/// Anything wrong, in lines that start with the place; nothing was written then.
pub fn run(cli: Cli, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    match cli.command {
        Command::Convert(args) => convert::run(&args, out, err),
        #[cfg(feature = "cluster")]
        Command::Scan(args) => scan::run(&args, out, err),
        Command::Explain(args) => explain::run(&args, out, err),
    }
}

/// What every command that makes rules ends in: map, render, check, write, tell.
fn deliver(
    inventory: &Inventory,
    rules: &Rules,
    output: &Output,
    reporting: &Reporting,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let mut options = options(rules);
    options.access = access(inventory, rules, err)?;
    let rendered = render::audit_rules(&inventory.policies, &options)?;
    check(&rendered)?;
    let prediction = predict::predict(inventory, &options);
    let exceptions = suggest(&rendered, &prediction, output)?;
    let summary = told(inventory, &rendered, &options, &prediction, output);
    let path = output.output.as_ref().map(|path| write::target(path, AUDIT_RULES));
    let old = path.as_deref().and_then(report::old_text);
    let outputs =
        report::Outputs { reporting, rules: path.as_deref(), old: old.as_deref(), force: output.force };
    let reports = report::prepare(inventory, &rendered, &options, outputs)?;
    match &path {
        Some(path) => {
            write::replace(path, &rendered.text, output.force)?;
            writeln!(err, "{summary}\nwrote {}", path.display())?;
        }
        None => {
            out.write_all(rendered.text.as_bytes()).context("standard output")?;
            writeln!(err, "{summary}")?;
        }
    }
    reports.deliver(out, err)?;
    if let (Some(path), Some(text)) = (&output.suggest_exceptions, exceptions) {
        write::create(path, &text)?;
        writeln!(err, "wrote {}; load it after the rules", path.display())?;
    }
    Ok(Exit::Done)
}

/// The summary, and what would alert of the pods in the input.
fn told(
    inventory: &Inventory,
    rendered: &Rendered,
    options: &render::Options,
    prediction: &Prediction<'_>,
    output: &Output,
) -> String {
    let mut text = report::summary(inventory, rendered, options);
    if prediction.pods > 0 {
        let most = if output.predict { usize::MAX } else { MAX_ROWS };
        let _ = write!(text, "\n{}", report::prediction(prediction, most));
    } else if output.predict {
        text.push_str("\nno pods in the input, so nothing to predict; add `kubectl get pods -A -o yaml`");
    }
    text
}

/// The file that silences what would alert today, if it is asked for.
fn suggest(rendered: &Rendered, prediction: &Prediction<'_>, output: &Output) -> Result<Option<String>> {
    let Some(path) = &output.suggest_exceptions else { return Ok(None) };
    if path.exists() {
        bail!("{}: exists, and may hold your work; choose another file", path.display());
    }
    if prediction.pods == 0 {
        bail!(
            "{}: no pods in the input, so nothing to silence; add `kubectl get pods -A -o yaml`",
            path.display()
        );
    }
    let Some(text) = report::exceptions(prediction) else { return Ok(None) };
    let files = [
        falco::Source { name: AUDIT_RULES, text: &rendered.text },
        falco::Source { name: "exceptions", text: &text },
    ];
    if let Some(finding) = falco::load(&files).findings.first() {
        bail!("the exceptions do not pass Falco's load check, so nothing was written: {finding}");
    }
    Ok(Some(text))
}

/// Who may use which policy, if the input says so and the user does not turn it off.
fn access(inventory: &Inventory, rules: &Rules, err: &mut dyn Write) -> Result<Option<Access>> {
    if rules.no_rbac {
        return Ok(None);
    }
    let access = Access::of_inventory(inventory);
    let notes = access.iter().flat_map(|a| &a.notes);
    for note in notes.clone().take(MAX_NOTES) {
        writeln!(err, "warning: {note}")?;
    }
    if let more @ 1.. = notes.count().saturating_sub(MAX_NOTES) {
        writeln!(err, "warning: {more} more bindings of that kind")?;
    }
    Ok(access)
}

/// Reads the input; warnings are told, and no policy at all is an error.
fn read_input(input: &Input, err: &mut dyn Write) -> Result<Inventory> {
    let source = |path: &std::path::PathBuf| {
        if path.as_os_str() == "-" { read::Source::Stdin } else { read::Source::Path(path.clone()) }
    };
    let sources: Vec<read::Source> = input.paths.iter().map(source).collect();
    let inventory = read::read(&sources, &read::Options { strict: input.strict }).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    for warning in &inventory.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    if inventory.policies.is_empty() {
        let mut found: Vec<String> =
            inventory.passed_over.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        if inventory.skipped_files > 0 {
            found.push(format!("{} not manifests", inventory.skipped_files));
        }
        let found = if found.is_empty() { "nothing at all".to_owned() } else { found.join(", ") };
        bail!("{}: no PodSecurityPolicy here; found {found}", names(input));
    }
    Ok(inventory)
}

fn names(input: &Input) -> String {
    input.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn object(object: AuditObject) -> render::AuditObject {
    match object {
        AuditObject::Response => render::AuditObject::Response,
        AuditObject::Request => render::AuditObject::Request,
    }
}

fn options(rules: &Rules) -> render::Options {
    render::Options {
        object: object(rules.audit_object),
        max_containers: rules.max_containers.into(),
        max_volumes: rules.max_volumes.into(),
        namespaces: rules.namespace.clone(),
        exclude_namespaces: rules.exclude_namespace.clone(),
        templates: rules.templates.clone(),
        access: None,
    }
}

/// Holds the rules against what Falco loads; anything it would say, if only a warning, is an error here.
///
/// # Errors
/// Every finding, with its place in the file that was not written.
pub fn check(rendered: &Rendered) -> Result<()> {
    let loaded = falco::load(&[falco::Source { name: AUDIT_RULES, text: &rendered.sample }]);
    if loaded.findings.is_empty() {
        return Ok(());
    }
    let mut message = String::from("the rules do not pass Falco's load check, so nothing was written:");
    for finding in &loaded.findings {
        let line =
            finding.line.checked_sub(1).and_then(|n| rendered.sample.lines().nth(n)).unwrap_or_default();
        let _ = write!(message, "\n{finding}\n    {}", line.trim());
    }
    bail!(message)
}
