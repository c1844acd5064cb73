//! The report as plain text, to be read in a minute.

use std::fmt::Write as _;

use super::escape::{short, visible};
use super::model::{Lost, PolicyReport, Report};
use super::pss::{Demand, Level, Standing};

/// Widest line that names are filled up to, in characters.
const WIDTH: usize = 110;

/// The report as text.
pub(super) fn render(report: &Report) -> String {
    let totals = &report.totals;
    let policies = if totals.policies == 1 { "PodSecurityPolicy" } else { "PodSecurityPolicies" };
    let mut text = format!("What becomes of {} {policies}, {}\n\n", totals.policies, report.generator);
    let _ = writeln!(
        text,
        "{} rules. Fields: {} exact, {} approximate, {} undetectable, {} unrestricted.",
        totals.rules, totals.exact, totals.approximate, totals.undetectable, totals.unrestricted
    );
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
    let _ = writeln!(text, "{:width$}  CLOSEST LEVEL  EXACT  APPROXIMATE  UNDETECTABLE", "POLICY");
    for policy in policies {
        let count =
            |fidelity: &str| policy.fields.iter().filter(|f| f.layers.best().fidelity == fidelity).count();
        let level = match &policy.pod_security {
            Some(standing) => standing.level.name(),
            None => "unusable",
        };
        let _ = writeln!(
            text,
            "{:width$}  {level:<13}  {:>5}  {:>11}  {:>12}",
            name(policy),
            count("exact"),
            count("approximate"),
            count("undetectable")
        );
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
    let guess = if policy.scope.guess { " (a guess, for want of RBAC)" } else { "" };
    line(text, "scope", &format!("{}{guess}", visible(&policy.scope.words())));
    for (what, lost) in [("no longer prevented", Lost::Prevented), ("no longer corrected", Lost::Corrected)] {
        let fields: Vec<&str> =
            policy.fields.iter().filter(|f| f.lost.contains(&lost)).map(|f| f.field.as_str()).collect();
        if !fields.is_empty() {
            line(text, what, &fields.join(", "));
        }
    }
    for field in &policy.fields {
        for (layer, detected) in field.layers.named() {
            if let Some(reason) = &detected.reason {
                let source =
                    if field.layers.runtime.is_some() { format!(" ({layer})") } else { String::new() };
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
