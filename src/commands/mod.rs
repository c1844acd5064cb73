//! What each command does: read, map, render, check, write. One file a command.

mod convert;
mod explain;

use std::fmt::Write as _;
use std::io::Write;

use anyhow::{Context as _, Result, bail};

use crate::cli::{self, AuditObject, Cli, Command, Input, Output, Rules};
use crate::falco;
use crate::read::{self, Inventory};
use crate::render::{self, Layer, Rendered};
use crate::{report, write};

/// Name of the audit rules in a folder.
pub const AUDIT_RULES: &str = "psp_audit_rules.yaml";
/// Name of the runtime rules in a folder.
pub const RUNTIME_RULES: &str = "psp_runtime_rules.yaml";

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
    let mut files = Vec::new();
    for layer in layers(rules, output)? {
        let rendered = match layer {
            Layer::Audit => render::audit_rules(&inventory.policies, &options(rules))?,
            Layer::Runtime => render::runtime_rules(&inventory.policies, &options(rules))?,
        };
        check(&rendered)?;
        files.push(rendered);
    }
    let mut talk = vec![report::summary(inventory, &files, object(rules.audit_object))];
    for rendered in &files {
        match &output.output {
            Some(output_path) => {
                let path = write::target(output_path, file_name(rendered.layer));
                write::replace(&path, &rendered.text, output.force)?;
                talk.push(format!("wrote {}", path.display()));
            }
            None => out.write_all(rendered.text.as_bytes()).context("standard output")?,
        }
    }
    writeln!(err, "{}", talk.join("\n"))?;
    Ok(Exit::Done)
}

/// The layers to make: a folder holds both, one file (or standard output) one.
///
/// # Errors
/// Both layers for one file, and the baseline without the layer that it belongs to.
fn layers(rules: &Rules, output: &Output) -> Result<Vec<Layer>> {
    let folder = output.output.as_deref().is_some_and(write::is_folder);
    let layers = match rules.layer {
        Some(cli::Layer::Runtime) => vec![Layer::Runtime],
        Some(cli::Layer::Both) if !folder => {
            bail!("--layer both: gives two files; name a folder with --output, or one layer")
        }
        Some(cli::Layer::Both) => vec![Layer::Audit, Layer::Runtime],
        None if folder => vec![Layer::Audit, Layer::Runtime],
        Some(cli::Layer::Audit) | None => vec![Layer::Audit],
    };
    if rules.baseline && !layers.contains(&Layer::Runtime) {
        bail!(
            "--baseline: belongs to the runtime layer; add --layer runtime, or name a folder with --output"
        );
    }
    Ok(layers)
}

/// The name of a layer's rules in a folder.
fn file_name(layer: Layer) -> &'static str {
    match layer {
        Layer::Audit => AUDIT_RULES,
        Layer::Runtime => RUNTIME_RULES,
    }
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
        baseline: rules.baseline,
    }
}

/// Holds the rules against what Falco loads; anything it would say, if only a warning, is an error here.
///
/// # Errors
/// Every finding, with its place in the file that was not written.
pub fn check(rendered: &Rendered) -> Result<()> {
    let loaded = falco::load(&[falco::Source { name: file_name(rendered.layer), text: &rendered.sample }]);
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
