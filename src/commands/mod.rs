//! What each command does: read, map, render, check, write. One file a command.

mod convert;
mod explain;
mod generate;
mod krm;
mod shell;

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;

use crate::cli::{AuditObject, Cli, Command, Convert, Input, Output, Rules, Wrapper};
use crate::config::Config;
use crate::falco;
use crate::problem::Problem;
use crate::read::{self, Inventory};
use crate::render::{self, Rendered};
use crate::{report, wrap, write};

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
        Command::Generate(args) => generate::run(&args, out, err),
        Command::Krm => krm::run(&mut std::io::stdin().lock(), out, err),
        Command::Completions(args) => shell::completions(&args, out),
        Command::Man(args) => shell::man(&args, out, err),
    }
}

/// A rules file under its name in a folder, with what it is made of.
struct Made {
    file: &'static str,
    rendered: Rendered,
}

/// What every command that makes rules does: map, render, check.
fn make(inventory: &Inventory, rules: &Rules) -> Result<Made> {
    let rendered = render::audit_rules(&inventory.policies, &options(rules))?;
    check(&rendered)?;
    Ok(Made { file: AUDIT_RULES, rendered })
}

impl Made {
    /// The file in the clothes that were asked for: its name in a folder, and its text.
    fn wrapped(&self, wrapper: &Wrapper) -> Result<(String, String)> {
        let text = wrap::wrap(wrapper.format, self.file, &self.rendered.text, &object_of(wrapper))?;
        Ok((wrapper.format.file_name(self.file), text))
    }
}

/// What the one-off commands end in: make the rules, write them, tell.
fn deliver(
    inventory: &Inventory,
    rules: &Rules,
    output: &Output,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let made = make(inventory, rules)?;
    let summary = report::summary(inventory, &made.rendered, object(rules.audit_object));
    let (name, text) = made.wrapped(&output.wrapper)?;
    match &output.output {
        Some(output_path) => {
            let path = write::target(output_path, &name);
            write::replace(&path, &text, output.force)?;
            writeln!(err, "{summary}\nwrote {}", path.display())?;
        }
        None => {
            out.write_all(text.as_bytes()).context("standard output")?;
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
    let inventory =
        read::read(&sources, &read::Options { strict: input.strict }).map_err(|problems| all(&problems))?;
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

/// Problems as one error, a line each.
fn all(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(lines.join("\n"))
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

fn object_of(wrapper: &Wrapper) -> wrap::Object {
    wrap::Object {
        name: wrapper.object_name.clone(),
        namespace: wrapper.object_namespace.clone(),
        labels: wrapper.object_label.iter().cloned().collect(),
        inline: wrapper.rulesfile_inline,
    }
}

/// The rules and the output that `convert` has when nothing is said of them, with what `config` says.
fn configured(config: &Config, base: &Path) -> Result<(Rules, Output)> {
    let Command::Convert(Convert { mut rules, mut output, .. }) =
        Cli::try_parse_from(["psp2falco", "convert", "-"])?.command
    else {
        bail!("convert is not convert");
    };
    config.apply(base, &mut rules, &mut output);
    Ok((rules, output))
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
