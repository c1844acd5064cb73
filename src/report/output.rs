//! Where reports go: each format's file beside the rules, or where the user says.

use std::borrow::Cow;
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};

use super::diff::{Diff, Tuning, compare, unified};
use super::{Report, github, html, markdown, sarif, text};
use crate::cli::{Colour, Reporting};
use crate::read::{Inventory, unreadable};
use crate::render::{Options, Rendered};
use crate::write;

pub use crate::cli::ReportFormat as Format;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Outputs<'a> {
    /// Formats, files and what to compare.
    pub reporting: &'a Reporting,
    /// For each rules file, where it goes (none: standard output), and the rules already there: see [`old_text`].
    pub files: Vec<(Option<&'a Path>, Option<&'a str>)>,
    /// Overwrite files that the program did not write?
    pub force: bool,
}

impl Outputs<'_> {
    /// The folder of the rules; none: standard output.
    fn folder(&self) -> Option<&Path> {
        self.files.iter().find_map(|(path, _)| *path).map(|path| path.parent().unwrap_or(Path::new("")))
    }
}

impl Format {
    /// The name of its file beside the rules; none for what only a log shows.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Format::Text => Some("psp_report.txt"),
            Format::Markdown => Some("psp_report.md"),
            Format::Json => Some("psp_report.json"),
            Format::Html => Some("psp_report.html"),
            Format::Sarif => Some("psp_report.sarif"),
            Format::Github => None,
        }
    }

    /// The report in this format.
    ///
    /// # Errors
    /// None that is known.
    pub fn render(self, report: &Report) -> Result<String> {
        Ok(match self {
            Format::Text => text::render(report),
            Format::Markdown => markdown::render(report),
            Format::Json => report.to_json()?,
            Format::Html => html::render(report),
            Format::Github => github::render(report),
            Format::Sarif => sarif::render(report)?,
        })
    }
}

/// The rules that `path` holds now, to be read before they are replaced.
pub fn old_text(path: &Path) -> Option<String> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    fs::read_to_string(path).ok()
}

/// Reports ready to be written, and what changes.
pub struct Prepared<'a> {
    outputs: Outputs<'a>,
    rendered: &'a [Rendered],
    diff: Option<Diff>,
    texts: Vec<(Target, String)>,
}

/// Makes the reports, before anything is written.
///
/// # Errors
/// A tuning file that cannot be read, a file in the place of a report that the program did not write, and targets that
/// contradict each other.
pub fn prepare<'a>(
    inventory: &Inventory,
    rendered: &'a [Rendered],
    options: &Options,
    outputs: Outputs<'a>,
) -> Result<Prepared<'a>> {
    let reporting = outputs.reporting;
    let replaces = outputs.files.iter().any(|(_, old)| old.is_some()) || !reporting.tuning.is_empty();
    let old = outputs.files.iter().map(|(_, old)| *old);
    let diff = replaces.then(|| changes(rendered, old, &reporting.tuning)).transpose()?;
    let mut texts = Vec::new();
    if !reporting.report.is_empty() {
        if let Some(file) = &reporting.report_file {
            if reporting.report.len() > 1 {
                bail!("--report-file: takes one report; give one --report, or leave the file out");
            }
            if file.as_os_str() == "-" && outputs.folder().is_none() {
                bail!("--report-file -: the rules go to standard output; send them elsewhere with -o");
            }
        }
        // without --diff a report shows the rules alone, so that the same policies give the same bytes
        let changes = diff.clone().filter(|_| reporting.diff);
        let report = Report::new(inventory, rendered, options, changes);
        for format in &reporting.report {
            let target = target(*format, &outputs);
            if let Target::File(path) = &target {
                write::may_replace(path, outputs.force)?;
            }
            texts.push((target, format.render(&report)?));
        }
    }
    Ok(Prepared { outputs, rendered, diff, texts })
}

impl Prepared<'_> {
    /// Tells what changes, and writes the reports.
    ///
    /// # Errors
    /// A report that cannot be written.
    pub fn deliver(self, out: &mut dyn Write, err: &mut dyn Write) -> Result<()> {
        if let Some(diff) = &self.diff {
            tell(diff, self.rendered, &self.outputs, err)?;
        }
        for (target, text) in &self.texts {
            match target {
                Target::Stdout => out.write_all(text.as_bytes()).context("standard output")?,
                Target::Stderr => err.write_all(text.as_bytes()).context("standard error")?,
                Target::File(path) => {
                    write::replace(path, text, self.outputs.force)?;
                    writeln!(err, "wrote {}", path.display())?;
                }
            }
        }
        Ok(())
    }
}

enum Target {
    Stdout,
    Stderr,
    File(PathBuf),
}

fn target(format: Format, outputs: &Outputs<'_>) -> Target {
    match (&outputs.reporting.report_file, outputs.folder(), format.file_name()) {
        (Some(file), Some(_), _) if file.as_os_str() == "-" => Target::Stdout,
        (Some(file), _, _) if file.as_os_str() != "-" => Target::File(file.clone()),
        (_, Some(folder), Some(name)) => Target::File(folder.join(name)),
        _ => Target::Stderr,
    }
}

/// What the rules change against those already there, and what tuning files would lose by it. Without any rules there,
/// they are held against themselves, for the sake of the tuning files.
///
/// # Errors
/// A tuning file that cannot be read.
pub fn changes<'a>(
    rendered: &[Rendered],
    old: impl Iterator<Item = Option<&'a str>>,
    tuning: &[PathBuf],
) -> Result<Diff> {
    let mut texts = Vec::new();
    for path in tuning {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| anyhow!("{name}: {}", unreadable(&error)))?;
        texts.push((name, text));
    }
    let tuning: Vec<Tuning<'_>> = texts.iter().map(|(name, text)| Tuning { name, text }).collect();
    let new = joined(&rendered.iter().map(|file| file.text.as_str()).collect::<Vec<_>>());
    let old: Vec<&str> = old.flatten().collect();
    let old = if old.is_empty() { Cow::Borrowed(&*new) } else { joined(&old) };
    Ok(compare(&old, &new, &tuning))
}

/// The layers' files as one, as Falco loads them.
fn joined<'t>(files: &[&'t str]) -> Cow<'t, str> {
    match files {
        [one] => (*one).into(),
        all => all.concat().into(),
    }
}

fn tell(diff: &Diff, rendered: &[Rendered], outputs: &Outputs<'_>, err: &mut dyn Write) -> Result<()> {
    let reporting = outputs.reporting;
    if outputs.files.iter().any(|(_, old)| old.is_some()) {
        writeln!(err, "changes: {}", diff.headline())?;
    }
    if !reporting.diff {
        for loss in &diff.tuning {
            writeln!(err, "warning: {}: {} {}", loss.place, loss.item, loss.message)?;
        }
        return Ok(());
    }
    for line in diff.lines() {
        writeln!(err, "  {}", super::escape::visible(&line))?;
    }
    let colour = in_colour(reporting.color, io::stderr().is_terminal());
    for ((path, old), rendered) in outputs.files.iter().zip(rendered) {
        if let (Some(old), Some(path)) = (old, path) {
            let name = path.display().to_string();
            err.write_all(unified(old, &rendered.text, &name, colour).as_bytes())?;
        }
    }
    Ok(())
}

/// Colour: as the user says, else on a terminal unless `NO_COLOR` is set (<https://no-color.org>).
pub fn in_colour(colour: Colour, terminal: bool) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}
