//! `generate`: the rules that a committed configuration asks for, written or checked.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{Exit, Made, all, configured, layers, make, read_input};
use crate::cli::{Colour, Generate};
use crate::config::{Config, SCHEMA};
use crate::findings::{Finding, Kind, findings};
use crate::read::{Inventory, unreadable};
use crate::report::diff::{Diff, unified};
use crate::report::{Format, Report, in_colour, visible};
use crate::{report, write};

/// Writes what the configuration asks for, or says what would change.
pub(super) fn run(args: &Generate, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    if args.print_schema {
        out.write_all(SCHEMA.as_bytes()).context("standard output")?;
        return Ok(Exit::Done);
    }
    let file = args.config.display().to_string();
    let text = fs::read_to_string(&args.config)
        .map_err(|error| anyhow!("{file}: {}, or name another with --config", unreadable(&error)))?;
    let config = Config::parse(&file, &text).map_err(|problems| all(&problems))?;
    let base = args.config.parent().unwrap_or(Path::new(""));

    let mut inventory = read_input(&config.input(base), err)?;
    inventory.relative_to(base);
    let (rules, output) = configured(&config, base)?;
    let made = make(&inventory, &rules, &layers(&rules, &output)?, err)?;
    let placed = made.placed(&output)?;
    let changes = report::changes(
        &made.files,
        placed.iter().map(|file| file.old.as_deref()),
        &output.reporting.tuning,
    )?;
    let outputs = placed.into_iter().filter_map(|file| Some(File { path: file.path?, text: file.text }));
    let mut outputs: Vec<File<'_>> = outputs.collect();
    outputs.extend(reports(&inventory, &made, &output.reporting.report, &outputs)?);

    let kinds: Vec<Kind> = config.fail_on.iter().chain(&args.fail_on).copied().collect();
    let mut found = findings(&inventory, &made.files, &made.options);
    found.retain(|finding| kinds.contains(&finding.kind));

    writeln!(err, "{}", made.summary(&inventory))?;
    let mut drift = false;
    if args.check {
        drift = check(&outputs, &changes, args.color, out, err)?;
    } else if args.stdout {
        for file in outputs.iter().take(made.files.len()) {
            out.write_all(file.text.as_bytes()).context("standard output")?;
        }
    } else {
        place(&outputs, args.force, err)?;
    }
    for loss in &changes.tuning {
        writeln!(err, "warning: {}: {} {}", loss.place, loss.item, loss.message)?;
    }
    tell(&found, err)?;
    Ok(if drift || !found.is_empty() { Exit::Findings } else { Exit::Done })
}

/// A file to be: where, and what.
struct File<'t> {
    path: PathBuf,
    text: Cow<'t, str>,
}

/// What is at `path` now; nothing if there is no file.
fn present(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => bail!("{}: {}", path.display(), unreadable(&error)),
    }
}

/// The reports, beside the rules. They tell of the rules alone, so that the same policies give the same bytes.
fn reports(
    inventory: &Inventory,
    made: &Made,
    formats: &[Format],
    rules: &[File<'_>],
) -> Result<Vec<File<'static>>> {
    let folder = rules.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
    let report = Report::new(inventory, &made.files, &made.options, None);
    let file = |format: &Format| {
        let name = format.file_name()?;
        Some(format.render(&report).map(|text| File { path: folder.join(name), text: text.into() }))
    };
    formats.iter().filter_map(file).collect()
}

/// Shows what would change. Is anything out of date?
fn check(
    files: &[File<'_>],
    changes: &Diff,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool> {
    let colour = in_colour(colour, std::io::stdout().is_terminal());
    let mut stale = 0;
    for (n, file) in files.iter().enumerate() {
        let (path, present) = (file.path.display().to_string(), present(&file.path)?);
        if present.as_deref() == Some(&*file.text) {
            writeln!(err, "in sync: {path}")?;
            continue;
        }
        stale += 1;
        writeln!(err, "{}: {path}", if present.is_some() { "out of date" } else { "missing" })?;
        let mut shown = String::new();
        if n == 0 && present.is_some() {
            let _ = writeln!(shown, "changes: {}", changes.headline());
            for line in changes.lines() {
                let _ = writeln!(shown, "  {}", visible(&line));
            }
        }
        shown.push_str(&unified(present.as_deref().unwrap_or_default(), &file.text, &path, colour));
        out.write_all(shown.as_bytes()).context("standard output")?;
    }
    Ok(stale > 0)
}

/// Writes the files, all or, where one may not be overwritten, none.
fn place(files: &[File<'_>], force: bool, err: &mut dyn Write) -> Result<()> {
    for file in files {
        write::may_replace(&file.path, force)?;
    }
    for file in files {
        let path = file.path.display();
        if present(&file.path)?.as_deref() == Some(&*file.text) {
            writeln!(err, "unchanged {path}")?;
        } else {
            write::replace(&file.path, &file.text, force)?;
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
