//! What `explain` shows: each field of each policy, what is detected of it, and what is lost.

use std::fmt::Write as _;

use psp_admission::{Field, Policy};
use serde::Serialize;

use super::fidelity::{Fidelity, audit_detection, runtime_detection};
use super::model::{self, PolicyReport, Report};
use crate::count::plural;
use crate::paint::{Paint, Tone};
use crate::psp::validity::unusable;
use crate::read::Inventory;
use crate::render::{Options, Rendered};
use crate::restrictions::{Mapped, map};
use crate::table::{Word, table, wrapped};

/// Widest cell of a table, in characters.
const WIDEST: usize = 60;

/// What the words of the table mean.
const LEGEND: &str = "\
FIDELITY: of rules for the audit log; RUNTIME: of rules for running containers
  exact         the alerts are those that admission would have given
  approximate   they may differ; the report of convert says how
  undetectable  there are none
NO LONGER: admission prevented or corrected such pods; an alert does neither.

";

/// What a log that is not the API server's own leaves out.
const OTHER_LOGS: &str = "Where a log's keys are sorted, as on GKE and behind many log shippers, make the rules with --plugin. GKE's log \
     also leaves out dry runs, groups and impersonation: a dry run looks like a real request, and who may use a policy is \
     known by users, service accounts and their groups alone.";

/// A table a policy, for a screen of `width` characters, if it is for one. Fields that restrict nothing are shown if `all`
/// are.
pub fn text(
    inventory: &Inventory,
    options: &Options,
    all: bool,
    width: Option<usize>,
    paint: Paint,
) -> String {
    let mut text = String::new();
    for located in &inventory.policies {
        let policy = &located.policy;
        let name = paint.text(Tone::Strong, &policy.name);
        let _ = writeln!(text, "{name} ({}, {})", located.place, located.digest);
        if let Some(reason) = unusable(policy) {
            let _ = writeln!(text, "{}", paint.text(Tone::Warning, format_args!("unusable: {reason}")));
        }
        let mut rows =
            vec![["FIELD", "VALUE", "ALERTS", "FIDELITY", "RUNTIME", "NO LONGER"].map(str::to_owned)];
        let mut hidden = 0;
        for field in Field::ALL {
            match row(policy, field, &map(field, policy), options) {
                Row { restricts: false, .. } if !all => hidden += 1,
                Row { cells, .. } => rows.push(cells),
            }
        }
        if rows.len() > 1 {
            text.push_str(&table(&rows, 1, WIDEST, width, paint, tone));
        }
        if hidden > 0 {
            let fields = if rows.len() > 1 { "more field" } else { "field" };
            let verb = if hidden == 1 { "restricts" } else { "restrict" };
            let _ = writeln!(
                text,
                "  {hidden} {} {verb} nothing; --all shows {}",
                plural(hidden, fields),
                them(hidden)
            );
        }
        text.push('\n');
    }
    text.push_str(LEGEND);
    let width = width.unwrap_or(100).min(100);
    wrapped(Word::all(OTHER_LOGS, Tone::Plain), 0, width, paint, &mut text);
    text
}

fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

struct Row {
    cells: [String; 6],
    /// Does the policy restrict anything here, or does the field leave a note?
    restricts: bool,
}

fn row(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> Row {
    let fidelity = audit_detection(policy, field, mapped, options).fidelity;
    let runtime = runtime_detection(policy, field, mapped, options).fidelity;
    let detected = matches!(fidelity, Fidelity::Exact | Fidelity::Approximate);
    let alerts = match (&mapped.refuses, &mapped.corrects) {
        _ if !detected => mapped.note.clone().unwrap_or_else(|| "-".to_owned()),
        (None, None) => mapped.alerts_as.map_or_else(String::new, |field| format!("Lost Default ({field})")),
        (Some(_), Some(_)) => "Violation, Lost Default".to_owned(),
        (Some(_), None) => "Violation".to_owned(),
        _ => "Lost Default".to_owned(),
    };
    let lost: Vec<&str> = model::lost(mapped).into_iter().map(model::Lost::name).collect();
    let lost = if lost.is_empty() { "-".to_owned() } else { lost.join(", ") };
    Row {
        cells: [field.name().to_owned(), mapped.value.clone(), alerts, word(fidelity), word(runtime), lost],
        restricts: fidelity != Fidelity::Unrestricted
            || runtime != Fidelity::Unrestricted
            || mapped.note.is_some(),
    }
}

/// A fidelity in the table; nothing to detect is a dash.
fn word(fidelity: Fidelity) -> String {
    match fidelity {
        Fidelity::Unrestricted => "-",
        detected => detected.name(),
    }
    .to_owned()
}

fn tone(column: usize, cell: &str) -> Tone {
    match cell {
        "exact" if column >= 3 => Tone::Good,
        "approximate" if column >= 3 => Tone::Warning,
        "undetectable" if column >= 3 => Tone::Lost,
        _ => Tone::Plain,
    }
}

/// The policies as data, as they stand in the report.
#[derive(Serialize)]
struct Explained<'r> {
    version: u32,
    generator: &'r str,
    policies: &'r [PolicyReport],
    notes: [&'static str; 1],
}

/// The policies as JSON, with an end of line: those of the JSON report for both layers. Fields that restrict nothing are
/// there if `all` are.
///
/// # Errors
/// None that is known: the model holds text and numbers only.
pub fn json(
    inventory: &Inventory,
    files: &[Rendered],
    options: &Options,
    all: bool,
) -> serde_json::Result<String> {
    let mut report = Report::new(inventory, files, options, None, None);
    for policy in report.policies.iter_mut().filter(|_| !all) {
        policy.fields.retain(|field| field.layers.restricts() || field.note.is_some());
    }
    let explained = Explained {
        version: report.version,
        generator: &report.generator,
        policies: &report.policies,
        notes: [OTHER_LOGS],
    };
    serde_json::to_string_pretty(&explained).map(|text| text + "\n")
}
