//! Where reports go: each format's file beside the rules, or where the user says.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum as _;

use super::diff::{Diff, Tuning, compare, unified};
use super::{Report, github, html, markdown, sarif, text};
use crate::cli::Reporting;
use crate::console::Console;
use crate::messages::commands as messages;
use crate::predict::Prediction;
use crate::problem::Problem;
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
    /// Do they hold the rules as Falco loads them, and not an object that carries these?
    pub plain: bool,
}

impl Outputs<'_> {
    /// The folder of the rules; none: standard output, a pipe or a device.
    fn folder(&self) -> Option<&Path> {
        let file = self.files.iter().find_map(|(path, _)| *path).filter(|path| !write::is_stream(path));
        file.map(|path| path.parent().unwrap_or(Path::new("")))
    }

    /// Do the rules go to standard output?
    fn rules_are_printed(&self) -> bool {
        self.files.iter().any(|(path, _)| path.is_none())
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

    /// Its word on the command line.
    fn name(self) -> String {
        self.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
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
            Format::Html => html::render(report)?,
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
    /// Where each report goes, and its text.
    pub reports: Vec<(Target, String)>,
}

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output, which then holds nothing else.
    Stdout,
    /// Standard error, among the messages.
    Messages,
    /// A file.
    File(PathBuf),
}

/// Makes the reports, before anything is written.
///
/// # Errors
/// A tuning file that cannot be read, a report without a place of its own, and places that contradict each other.
pub fn prepare<'a>(
    inventory: &Inventory,
    rendered: &'a [Rendered],
    options: &Options,
    prediction: Option<&Prediction<'_>>,
    outputs: Outputs<'a>,
) -> Result<Prepared<'a>> {
    let reporting = outputs.reporting;
    if outputs.rules_are_printed() && (reporting.diff || !reporting.tuning.is_empty()) {
        let option = if reporting.diff { "--diff" } else { "--tuning" };
        return Err(Problem::of_file(option, messages::compares_with_no_file()).into());
    }
    let replaces = outputs.files.iter().any(|(_, old)| old.is_some()) || !reporting.tuning.is_empty();
    let old = outputs.files.iter().map(|(_, old)| *old);
    let diff = replaces.then(|| changes(rendered, old, &reporting.tuning)).transpose()?;
    let mut reports = Vec::new();
    if !reporting.report.is_empty() {
        if reporting.report_file.is_some() && reporting.report.len() > 1 {
            return Err(Problem::of_file("--report-file", messages::several_reports_in_one_file()).into());
        }
        // without --diff a report shows the rules alone, so that the same policies give the same bytes
        let changes = diff.clone().filter(|_| reporting.diff);
        let mut report = Report::new(inventory, rendered, options, prediction, changes);
        if outputs.plain {
            report.name_files(outputs.files.iter().map(|(path, _)| *path));
        }
        for format in &reporting.report {
            reports.push((target(*format, &outputs)?, format.render(&report)?));
        }
    }
    Ok(Prepared { outputs, rendered, diff, reports })
}

impl Prepared<'_> {
    /// Tells what changes.
    pub fn tell(&self, console: &mut Console<'_>) {
        if let Some(diff) = &self.diff {
            tell(diff, self.rendered, &self.outputs, console);
        }
    }
}

/// Each thing has its own place: standard output never holds two of them. Text and annotations may stand among the
/// messages, since both are lines for people and logs.
fn target(format: Format, outputs: &Outputs<'_>) -> Result<Target> {
    match (&outputs.reporting.report_file, outputs.folder(), format.file_name()) {
        (Some(file), _, _) if file.as_os_str() == "-" => {
            if outputs.rules_are_printed() {
                return Err(Problem::of_file("--report-file -", messages::report_among_rules()).into());
            }
            Ok(Target::Stdout)
        }
        (Some(file), _, _) => Ok(Target::File(file.clone())),
        (None, Some(folder), Some(name)) => Ok(Target::File(folder.join(name))),
        _ if matches!(format, Format::Text | Format::Github) => Ok(Target::Messages),
        _ => Err(Problem::of_file(&format!("--report {}", format.name()), messages::report_among_messages())
            .into()),
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
        let text = fs::read_to_string(path).map_err(|error| Problem::of_file(&name, unreadable(&error)))?;
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

fn tell(diff: &Diff, rendered: &[Rendered], outputs: &Outputs<'_>, console: &mut Console<'_>) {
    let reporting = outputs.reporting;
    if outputs.files.iter().any(|(_, old)| old.is_some()) {
        console.say(format_args!("changes: {}", diff.headline()));
    }
    if !reporting.diff {
        for loss in &diff.tuning {
            console.warn(format_args!("{}: {} {}", loss.place, loss.item, loss.message));
        }
        return;
    }
    for line in diff.lines() {
        console.answer(format_args!("  {}", super::escape::visible(&line)));
    }
    let paint = console.messages_paint();
    for ((path, old), rendered) in outputs.files.iter().zip(rendered) {
        if let (Some(old), Some(path)) = (old, path) {
            let name = path.display().to_string();
            console.answer(unified(old, &rendered.text, &name, paint));
        }
    }
}
