//! The report as Markdown, for a merge request.

use std::fmt::Write as _;

use super::escape::{code, markdown, short};
use super::model::{FieldReport, Layer, Lost, PolicyReport, Report};
use super::pss::{Demand, Level, Standing};

/// The most lines of changes that are shown.
const MOST_CHANGES: usize = 200;
/// Widest value in a table, in characters.
const WIDEST: usize = 160;

/// The report as Markdown with collapsible details.
pub(super) fn render(report: &Report) -> String {
    let totals = &report.totals;
    let mut text = format!("<!-- {} -->\n## PodSecurityPolicies carried over to Falco\n\n", report.generator);
    text.push_str("| policies | rules | exact | approximate | undetectable | unrestricted |\n");
    text.push_str("| --: | --: | --: | --: | --: | --: |\n");
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} |\n",
        totals.policies,
        totals.rules,
        totals.exact,
        totals.approximate,
        totals.undetectable,
        totals.unrestricted
    );
    text.push_str(
        "Falco alerts on pods that the policies refused or corrected; it neither refuses nor corrects. A Pod Security \
         Standard, set by a namespace label, refuses again what its level covers.\n",
    );
    changes(&mut text, report);
    let lines = report.rbac.lines();
    if !lines.is_empty() {
        text.push_str("\n### Whose policy\n\n");
        for line in lines {
            // a command to be copied: outside of a table, a bar needs no backslash
            let _ = writeln!(text, "- {}", code(&line).replace("\\|", "|"));
        }
    }
    if !report.warnings.is_empty() {
        text.push_str("\n### Warnings\n\n");
        for warning in &report.warnings {
            let _ = writeln!(text, "- {}", code(&warning.to_string()));
        }
    }
    text.push_str(
        "\n### Policies\n\n| policy | closest level | exact | approximate | undetectable | not covered by the level |\n\
         | --- | --- | --: | --: | --: | --- |\n",
    );
    for policy in &report.policies {
        row(&mut text, policy);
    }
    for policy in &report.policies {
        details(&mut text, policy);
    }
    text
}

fn changes(text: &mut String, report: &Report) {
    let Some(changes) = &report.changes else { return };
    let _ = writeln!(text, "\n### Changes\n\n{}", markdown(&changes.headline()));
    let lines = changes.lines();
    if lines.is_empty() {
        return;
    }
    text.push_str("\n<details><summary>each of them</summary>\n\n");
    for line in lines.iter().take(MOST_CHANGES) {
        let _ = writeln!(text, "- {}", code(line));
    }
    if lines.len() > MOST_CHANGES {
        let _ = writeln!(text, "- and {} more", lines.len() - MOST_CHANGES);
    }
    text.push_str("\n</details>\n");
}

fn row(text: &mut String, policy: &PolicyReport) {
    let count =
        |fidelity: &str| policy.fields.iter().filter(|f| f.layers.best().fidelity == fidelity).count();
    let (level, missed) = match &policy.pod_security {
        Some(standing) => {
            let missed: Vec<String> = standing.not_covered.iter().map(|n| code(&n.field)).collect();
            (standing.level.name(), missed.join(" "))
        }
        None => ("unusable", String::new()),
    };
    let _ = writeln!(
        text,
        "| {} | {level} | {} | {} | {} | {missed} |",
        code(&policy.name),
        count("exact"),
        count("approximate"),
        count("undetectable"),
    );
}

fn details(text: &mut String, policy: &PolicyReport) {
    let _ = writeln!(
        text,
        "\n<details><summary>{}</summary>\n\n{} · {}",
        super::escape::html(&policy.name),
        code(&policy.place.to_string()),
        code(&policy.digest)
    );
    if let Some(reason) = &policy.unusable {
        let _ = writeln!(text, "\nUnusable: {}. Admission skipped it, so it admitted no pod.", code(reason));
    }
    let guess = if policy.scope.guess { " (a guess, for want of RBAC)" } else { "" };
    let _ = writeln!(text, "\nScope: {}{guess}", code(&policy.scope.words()));
    if let Some(standing) = &policy.pod_security {
        pod_security(text, standing);
    }
    let restricting: Vec<&FieldReport> =
        policy.fields.iter().filter(|f| f.layers.best().fidelity != "unrestricted").collect();
    if !restricting.is_empty() {
        text.push_str(
            "\n| field | value | alerts | fidelity | no longer |\n| --- | --- | --- | --- | --- |\n",
        );
    }
    for field in restricting {
        let rules: Vec<String> =
            field.layers.named().flat_map(|(_, layer)| &layer.rules).map(|rule| code(rule)).collect();
        let fidelity: Vec<String> =
            field.layers.named().map(|(name, layer)| detected(field, name, layer)).collect();
        let lost: Vec<&str> = field.lost.iter().map(|l: &Lost| l.name()).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            code(&field.field),
            code(&short(&field.value, WIDEST)),
            rules.join("<br>"),
            fidelity.join("<br>"),
            lost.join(", ")
        );
    }
    text.push_str("\n</details>\n");
}

/// How faithfully one layer detects a field; which layer, where there are two.
fn detected(field: &FieldReport, name: &str, layer: &Layer) -> String {
    let name = if field.layers.runtime.is_some() { format!("{name}: ") } else { String::new() };
    let reason = layer.reason.as_ref().map(|r| format!(": {}", markdown(r))).unwrap_or_default();
    format!("{name}{}{reason}", layer.fidelity)
}

fn pod_security(text: &mut String, standing: &Standing) {
    let level = standing.level.name();
    let _ = writeln!(
        text,
        "\nClosest Pod Security Standard: **{level}**, namespace label {}",
        code(&standing.label)
    );
    let mut list = |what: &str, items: Vec<String>| {
        if !items.is_empty() {
            let _ = write!(text, "\n- {what}: {}", items.join("; "));
        }
    };
    let demands = |all: &[Demand]| all.iter().map(|d| markdown(&d.demand)).collect::<Vec<String>>();
    list("pods must then set themselves", demands(&standing.pods_must_set));
    list("it also demands", demands(&standing.refuses_more));
    let missed = standing.not_covered.iter();
    if standing.level > Level::Privileged {
        list("it does not cover", missed.map(|n| format!("{} ({})", code(&n.field), n.why)).collect());
    }
    if let Some(next) = &standing.next {
        list(&format!("short of {}", next.level.name()), demands(&next.missing));
    }
    text.push('\n');
}
