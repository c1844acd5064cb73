//! `generate`: the rules that a committed configuration asks for, written or checked.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::init;
use super::pipeline::{Exit, Made, configured, layers, make, read_input};
use crate::cli::{Generate, Output};
use crate::config::{Config, SCHEMA};
use crate::console::Console;
use crate::count::counted;
use crate::findings::{Finding, Kind, findings};
use crate::messages::commands as messages;
use crate::problem::{Problem, Problems};
use crate::read::{Inventory, unreadable};
use crate::report::diff::{Diff, unified};
use crate::report::{Format, Report, visible};
use crate::write::Batch;
use crate::{predict, report, wrap};

/// Writes what the configuration asks for, or says what would change.
pub(super) fn run(args: &Generate, console: &mut Console<'_>) -> Result<Exit> {
    if args.print_schema {
        console.print(SCHEMA)?;
        return Ok(Exit::Done);
    }
    if args.init {
        return init::run(args, console);
    }
    let file = args.config.display().to_string();
    let text = fs::read_to_string(&args.config)
        .map_err(|error| Problem::of_file(&file, messages::config_unreadable(unreadable(&error))))?;
    let config = Config::parse(&file, &text).map_err(Problems)?;
    let base = args.config.parent().unwrap_or(Path::new(""));

    let mut inventory = read_input(&config.input(base), console)?;
    inventory.relative_to(base);
    let (rules, output) = configured(&config, base)?;
    let made = make(&inventory, &rules, layers(&rules, &output)?, console)?;
    let placed = made.placed(&output)?;
    let changes = report::changes(
        &made.files,
        placed.iter().map(|file| file.old.as_deref()),
        &output.reporting.tuning,
    )?;
    let bundle = made.bundle(&output, &placed)?;
    let outputs = placed.into_iter().filter_map(|file| Some(File { path: file.path?, text: file.text }));
    let mut outputs: Vec<File<'_>> = outputs.collect();
    outputs.extend(bundle.map(|(path, text)| File { path, text: text.into() }));
    outputs.extend(reports(&inventory, &made, &output, &outputs)?);

    let kinds: Vec<Kind> = config.fail_on.iter().chain(&args.fail_on).copied().collect();
    let mut found = findings(&inventory, &made.files, &made.options);
    found.retain(|finding| kinds.contains(&finding.kind));

    console.say(made.summary(&inventory));
    let mut drift = false;
    if args.check {
        drift = check(&outputs, &changes, console)?;
    } else if args.stdout {
        for file in outputs.iter().take(made.files.len()) {
            console.print(&*file.text)?;
        }
    } else {
        place(&outputs, args.force, console)?;
    }
    for loss in &changes.tuning {
        console.warn(format_args!("{}: {} {}", loss.place, loss.item, loss.message));
    }
    tell(&found, console);
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
        Err(error) => Err(Problem::of_file(&path.display().to_string(), unreadable(&error)).into()),
    }
}

/// The reports, beside the rules. They tell of the rules alone, so that the same policies give the same bytes.
fn reports(
    inventory: &Inventory,
    made: &Made,
    output: &Output,
    rules: &[File<'_>],
) -> Result<Vec<File<'static>>> {
    let folder = rules.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
    let formats = &output.reporting.report;
    if formats.is_empty() {
        return Ok(Vec::new());
    }
    let prediction = made.audit().map(|_| predict::predict(inventory, &made.options));
    let mut report = Report::new(inventory, &made.files, &made.options, prediction.as_ref(), None);
    if output.wrapper.format == wrap::Format::Rules {
        report.name_files(rules.iter().map(|file| Some(file.path.as_path())));
    }
    let file = |format: &Format| {
        let name = format.file_name()?;
        Some(format.render(&report).map(|text| File { path: folder.join(name), text: text.into() }))
    };
    formats.iter().filter_map(file).collect()
}

/// Shows what would change. Is anything out of date?
fn check(files: &[File<'_>], changes: &Diff, console: &mut Console<'_>) -> Result<bool> {
    let paint = console.product_paint();
    let mut stale = 0;
    for (n, file) in files.iter().enumerate() {
        let (path, present) = (file.path.display().to_string(), present(&file.path)?);
        if present.as_deref() == Some(&*file.text) {
            console.say(format_args!("in sync: {path}"));
            continue;
        }
        stale += 1;
        let state = if present.is_some() { "out of date" } else { "missing" };
        console.answer(format_args!("{state}: {path}"));
        let mut shown = String::new();
        if n == 0 && present.is_some() {
            let _ = writeln!(shown, "changes: {}", changes.headline());
            for line in changes.lines() {
                let _ = writeln!(shown, "  {}", visible(&line));
            }
        }
        shown.push_str(&unified(present.as_deref().unwrap_or_default(), &file.text, &path, paint));
        console.print(shown)?;
    }
    Ok(stale > 0)
}

/// Writes the files, all or none.
fn place(files: &[File<'_>], force: bool, console: &mut Console<'_>) -> Result<()> {
    let mut batch = Batch::new(force);
    for file in files {
        batch.replace(&file.path, &*file.text);
    }
    for written in batch.prepare()?.put_in_place()? {
        console.say(written);
    }
    Ok(())
}

/// Lists the findings that fail the run, one a line.
fn tell(found: &[Finding], console: &mut Console<'_>) {
    for finding in found {
        console.answer(finding);
    }
    if !found.is_empty() {
        console.answer(format_args!("failed on {}", counted(found.len(), "finding")));
    }
}
