//! The report as plain text, to be read in a minute.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::escape::{short, visible};
use super::fidelity::Tally;
use super::model::{Lost, PolicyReport, Report};
use super::pss::{Demand, Standing};
use crate::count::counted;
use crate::pod_security::Level;
use crate::render::Layer;

/// Widest line that names are filled up to, in characters.
const WIDTH: usize = 110;

/// The report as text.
pub(super) fn render(report: &Report) -> String {
    let policies = counted(report.totals.policies, "PodSecurityPolicy");
    let mut text = format!("What becomes of {policies}, {}\n\n", report.generator);
    if let Some(would) = &report.would_alert {
        let _ = writeln!(text, "{}: {}.", would.headline(), would.detail());
    }
    for (layer, totals) in report.totals.layers() {
        let (rules, fields) = (counted(totals.rules, "rule"), totals.fields);
        let _ = writeln!(
            text,
            "{rules} for {}. Fields: {fields}, {} unrestricted.",
            layer.title(),
            fields.unrestricted
        );
    }
    text.push_str(
        "The policies refused pods and filled in what pods left unset. Falco alerts on such pods; it neither refuses nor\n\
         fills in. A Pod Security Standard, set by a namespace label, refuses again what its level covers.\n",
    );
    if let Some(changes) = &report.changes {
        let _ = writeln!(text, "\nChanges: {}", changes.headline());
        for line in changes.lines() {
            let _ = writeln!(text, "  {}", short(&line, WIDTH * 3));
        }
    }
    let lines = report.rbac.lines();
    if !lines.is_empty() {
        text.push_str("\nWhose policy:\n");
        for line in lines {
            let _ = writeln!(text, "  {}", visible(&line));
        }
    }
    if !report.warnings.is_empty() {
        text.push_str("\nWarnings:\n");
        for warning in &report.warnings {
            let _ = writeln!(text, "  {}", visible(&warning.to_string()));
        }
    }
    text.push('\n');
    overview(&mut text, &report.policies);
    for report in &report.policies {
        text.push('\n');
        policy(&mut text, report);
    }
    text
}

/// One line a policy.
fn overview(text: &mut String, policies: &[PolicyReport]) {
    let name = |p: &PolicyReport| short(&p.name, 40);
    let width = policies.iter().map(|p| name(p).chars().count()).max().unwrap_or_default().max(6);
    let layers: Vec<Layer> =
        policies.iter().flat_map(|p| p.tallies()).map(|(layer, _)| layer).take(2).collect();
    let _ = write!(text, "{:width$}  {:13}", "POLICY", "CLOSEST LEVEL");
    let layers: BTreeSet<Layer> = layers.into_iter().collect();
    // which layer's they are, where there are two
    let first = |layer: Layer| match layers.len() {
        1 => "EXACT".to_owned(),
        _ => format!("{}: EXACT", layer.name().to_uppercase()),
    };
    for layer in &layers {
        let _ = write!(text, "  {}  APPROXIMATE  UNDETECTABLE", first(*layer));
    }
    text.push('\n');
    for policy in policies {
        let _ = write!(text, "{:width$}  {:<13}", name(policy), policy.level_name());
        for (layer, tally) in policy.tallies() {
            let width = first(layer).len();
            let Tally { exact, approximate, undetectable, .. } = tally;
            let _ = write!(text, "  {exact:>width$}  {approximate:>11}  {undetectable:>12}");
        }
        text.push('\n');
    }
}

fn policy(text: &mut String, policy: &PolicyReport) {
    let _ = writeln!(
        text,
        "{} ({}, {})",
        visible(&policy.name),
        visible(&policy.place.to_string()),
        policy.digest
    );
    if let Some(reason) = &policy.unusable {
        let _ =
            writeln!(text, "  unusable: {}; admission skipped it, so it admitted no pod", visible(reason));
    }
    let guess = if policy.scope.guess { " (a guess, since RBAC is not known)" } else { "" };
    line(text, "scope", &format!("{}{guess}", visible(&policy.scope.words())));
    for (what, lost) in [("no longer prevented", Lost::Prevented), ("no longer corrected", Lost::Corrected)] {
        let fields: Vec<&str> =
            policy.fields.iter().filter(|f| f.lost.contains(&lost)).map(|f| f.field.as_str()).collect();
        if !fields.is_empty() {
            line(text, what, &fields.join(", "));
        }
    }
    for field in &policy.fields {
        for (layer, detected) in field.layers.made() {
            if let Some(reason) = &detected.reason {
                let source = if field.layers.runtime.is_some() {
                    format!(" ({})", layer.name())
                } else {
                    String::new()
                };
                line(text, &format!("{} {}{source}", detected.fidelity, field.field), &visible(reason));
            }
        }
    }
    if let Some(standing) = &policy.pod_security {
        pod_security(text, standing);
    }
}

fn pod_security(text: &mut String, standing: &Standing) {
    line(text, "closest Pod Security Standard", standing.level.name());
    if standing.level > Level::Privileged {
        line(text, "namespace label", &standing.label);
    }
    if !standing.pods_must_set.is_empty() {
        line(text, "pods must then set themselves", &demands(&standing.pods_must_set));
    }
    if !standing.refuses_more.is_empty() {
        line(text, "it also demands", &demands(&standing.refuses_more));
    }
    if standing.level > Level::Privileged && !standing.not_covered.is_empty() {
        let fields: Vec<&str> = standing.not_covered.iter().map(|n| n.field.as_str()).collect();
        line(text, "it does not cover", &fields.join(", "));
    }
    if let Some(next) = &standing.next {
        line(text, &format!("short of {}", next.level.name()), &demands(&next.missing));
    }
}

fn demands(demands: &[Demand]) -> String {
    demands.iter().map(|d| d.demand.as_str()).collect::<Vec<_>>().join("; ")
}

/// A line of a policy, wrapped at blanks.
fn line(text: &mut String, what: &str, said: &str) {
    let mut row = format!("  {what}:");
    for word in said.split(' ') {
        if row.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&row);
            text.push('\n');
            row = "   ".to_owned();
        }
        row.push(' ');
        row.push_str(word);
    }
    text.push_str(&row);
    text.push('\n');
}
