//! `generate`: the rules that a committed configuration asks for, written or checked.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use similar::TextDiff;

use super::{Exit, all, configured, make, read_input};
use crate::cli::Generate;
use crate::config::{Config, SCHEMA};
use crate::findings::{Finding, Kind, findings};
use crate::{report, write};

/// Writes what the configuration asks for, or says what would change.
pub(super) fn run(args: &Generate, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    if args.print_schema {
        out.write_all(SCHEMA.as_bytes()).context("standard output")?;
        return Ok(Exit::Done);
    }
    let file = args.config.display().to_string();
    let text = fs::read_to_string(&args.config)
        .with_context(|| format!("{file}: cannot be read; name the configuration with --config"))?;
    let config = Config::parse(&file, &text).map_err(|problems| all(&problems))?;
    let base = args.config.parent().unwrap_or(Path::new(""));

    let mut inventory = read_input(&config.input(base), err)?;
    inventory.relative_to(base);
    let (rules, output) = configured(&config, base)?;
    let made = make(&inventory, &rules, err)?;
    let (name, text) = made.wrapped(&output.wrapper)?;
    let folder_or_file = output.output.unwrap_or_default();
    let outputs = [Output { path: write::target(&folder_or_file, &name), text }];

    let kinds: Vec<Kind> = config.fail_on.iter().chain(&args.fail_on).copied().collect();
    let mut found = findings(&inventory, &made.rendered, made.options.object);
    found.retain(|finding| kinds.contains(&finding.kind));

    writeln!(err, "{}", report::summary(&inventory, &made.rendered, &made.options))?;
    let mut drift = false;
    if args.check {
        drift = check(&outputs, out, err)?;
    } else if args.stdout {
        outputs
            .iter()
            .try_for_each(|output| out.write_all(output.text.as_bytes()))
            .context("standard output")?;
    } else {
        place(&outputs, args.force, err)?;
    }
    tell(&found, err)?;
    Ok(if drift || !found.is_empty() { Exit::Findings } else { Exit::Done })
}

/// A file to be: where, and what.
struct Output {
    path: PathBuf,
    text: String,
}

impl Output {
    /// What is there now; nothing if there is no file.
    fn present(&self) -> Result<Option<String>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.path.display().to_string()),
        }
    }
}

/// Shows what would change. Is anything out of date?
fn check(outputs: &[Output], out: &mut dyn Write, err: &mut dyn Write) -> Result<bool> {
    let mut stale = 0;
    for output in outputs {
        let (path, present) = (output.path.display(), output.present()?);
        if present.as_deref() == Some(&output.text) {
            writeln!(err, "in sync: {path}")?;
            continue;
        }
        stale += 1;
        writeln!(err, "{}: {path}", if present.is_some() { "out of date" } else { "missing" })?;
        let changes = difference(&path.to_string(), present.as_deref(), &output.text);
        out.write_all(changes.as_bytes()).context("standard output")?;
    }
    Ok(stale > 0)
}

/// What turns `old` into `new`.
fn difference(path: &str, old: Option<&str>, new: &str) -> String {
    let before = if old.is_some() { path } else { "/dev/null" };
    TextDiff::from_lines(old.unwrap_or_default(), new).unified_diff().header(before, path).to_string()
}

/// Writes the files, all or, where one may not be overwritten, none.
fn place(outputs: &[Output], force: bool, err: &mut dyn Write) -> Result<()> {
    for output in outputs {
        write::may_replace(&output.path, force)?;
    }
    for output in outputs {
        let path = output.path.display();
        if output.present()?.as_deref() == Some(&output.text) {
            writeln!(err, "unchanged {path}")?;
        } else {
            write::replace(&output.path, &output.text, force)?;
            writeln!(err, "wrote {path}")?;
        }
    }
    Ok(())
}

/// Lists the findings that fail the run, one a line.
fn tell(found: &[Finding], err: &mut dyn Write) -> Result<()> {
    for finding in found {
        writeln!(err, "{finding}")?;
    }
    match found.len() {
        0 => Ok(()),
        1 => Ok(writeln!(err, "failed on 1 finding")?),
        n => Ok(writeln!(err, "failed on {n} findings")?),
    }
}
