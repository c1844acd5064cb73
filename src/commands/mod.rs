//! What each command does: read, map, render, check, write. One file a command.

mod convert;
mod explain;

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result, bail};

use crate::cli::{AuditObject, Cli, Command, Input, Output, Rules};
use crate::falco;
use crate::problem::{cut, printable};
use crate::read::{self, Inventory};
use crate::render::{self, Rendered};
use crate::{report, write};

/// Name of the audit rules in a folder.
pub const AUDIT_RULES: &str = "psp_audit_rules.yaml";

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
        Command::Explain(args) => explain::run(&args, out, err),
    }
}

/// What every command that makes rules ends in: map, render, check, write, tell.
fn deliver(
    inventory: &Inventory,
    rules: &Rules,
    output: &Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let rendered = render::audit_rules(&inventory.policies, &options(rules))?;
    check(&rendered)?;
    let summary = report::summary(inventory, &rendered, object(rules.audit_object));
    match &output.output {
        Some(output_path) => {
            let path = write::target(output_path, AUDIT_RULES);
            write::replace(&path, &rendered.text, output.force)?;
            writeln!(err, "{summary}\nwrote {}", path.display())?;
        }
        None => {
            out.write_all(rendered.text.as_bytes()).context("standard output")?;
            writeln!(err, "{summary}")?;
        }
    }
    Ok(Exit::Done)
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
        let mut found: Vec<String> = Vec::new();
        if !inventory.passed_over.is_empty() {
            found.push(report::kinds(&inventory.passed_over));
        }
        if inventory.skipped_files > 0 {
            found.push(format!("{} not manifests", inventory.skipped_files));
        }
        let found = if found.is_empty() { "nothing at all".to_owned() } else { found.join(", ") };
        bail!("{}: no PodSecurityPolicy here; found {found}", names(input));
    }
    Ok(inventory)
}

fn names(input: &Input) -> String {
    input.paths.iter().map(|p| printable(&p.to_string_lossy()).into_owned()).collect::<Vec<_>>().join(", ")
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
    }
}

/// The most findings of the load check to show, and the most characters of each line.
const MOST_FINDINGS: usize = 20;
const WIDEST: usize = 300;

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
    for finding in loaded.findings.iter().take(MOST_FINDINGS) {
        let line =
            finding.line.checked_sub(1).and_then(|n| rendered.sample.lines().nth(n)).unwrap_or_default();
        let (finding, line) = (finding.to_string(), cut(line.trim(), WIDEST));
        let _ = write!(message, "\n{}\n    {}", cut(&printable(&finding), WIDEST), printable(&line));
    }
    if let Some(more) = loaded.findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) {
        let _ = write!(message, "\nand {more} more");
    }
    bail!(message)
}
