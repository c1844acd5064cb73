//! `generate`: the rules that a committed configuration asks for, written or checked.

use std::fmt::Write as _;
use std::fs;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Exit, Made, all, configured, make, read_input};
use crate::cli::{Colour, Generate};
use crate::config::{Config, SCHEMA};
use crate::findings::{Finding, Kind, findings};
use crate::read::Inventory;
use crate::report::diff::{Diff, Tuning, compare, unified};
use crate::report::{Format, Report, in_colour, visible};
use crate::{report, wrap, write};

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
    let path = write::target(output.output.as_deref().unwrap_or(base), &name);
    let old = present(&path)?.and_then(|old| wrap::payload(output.wrapper.format, made.file, &old));
    let changes = changes(old.as_deref(), &made.rendered.text, &output.reporting.tuning)?;
    let mut outputs = vec![File { path, text }];
    outputs.extend(reports(&inventory, &made, &output.reporting.report, &outputs)?);

    let kinds: Vec<Kind> = config.fail_on.iter().chain(&args.fail_on).copied().collect();
    let mut found = findings(&inventory, &made.rendered, made.options.object);
    found.retain(|finding| kinds.contains(&finding.kind));

    writeln!(err, "{}", report::summary(&inventory, &made.rendered, &made.options))?;
    let mut drift = false;
    if args.check {
        drift = check(&outputs, &changes, args.color, out, err)?;
    } else if args.stdout {
        let rules = outputs.first().map(|file| file.text.as_bytes()).unwrap_or_default();
        out.write_all(rules).context("standard output")?;
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
struct File {
    path: PathBuf,
    text: String,
}

/// What is at `path` now; nothing if there is no file.
fn present(path: &Path) -> Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// What the new rules change, and what the tuning files would lose by it.
fn changes(old: Option<&str>, new: &str, tuning: &[PathBuf]) -> Result<Diff> {
    let mut texts = Vec::new();
    for path in tuning {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("{name}: cannot be read"))?;
        texts.push((name, text));
    }
    let tuning: Vec<Tuning<'_>> = texts.iter().map(|(name, text)| Tuning { name, text }).collect();
    Ok(compare(old.unwrap_or(new), new, &tuning))
}

/// The reports, beside the rules. They tell of the rules alone, so that the same policies give the same bytes.
fn reports(inventory: &Inventory, made: &Made, formats: &[Format], rules: &[File]) -> Result<Vec<File>> {
    let folder = rules.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
    let report = Report::new(inventory, &made.rendered, &made.options, None);
    let file = |format: &Format| {
        let name = format.file_name()?;
        Some(format.render(&report).map(|text| File { path: folder.join(name), text }))
    };
    formats.iter().filter_map(file).collect()
}

/// Shows what would change. Is anything out of date?
fn check(
    files: &[File],
    changes: &Diff,
    colour: Colour,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<bool> {
    let colour = in_colour(colour, std::io::stdout().is_terminal());
    let mut stale = 0;
    for (n, file) in files.iter().enumerate() {
        let (path, present) = (file.path.display().to_string(), present(&file.path)?);
        if present.as_deref() == Some(&file.text) {
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
fn place(files: &[File], force: bool, err: &mut dyn Write) -> Result<()> {
    for file in files {
        write::may_replace(&file.path, force)?;
    }
    for file in files {
        let path = file.path.display();
        if present(&file.path)?.as_deref() == Some(&file.text) {
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
