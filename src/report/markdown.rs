//! The report as Markdown, for a merge request.

use std::fmt::Write as _;

use super::escape::{code, fenced, markdown, short};
use super::fidelity::Tally;
use super::model::{FieldReport, Layer, Lost, MayUse, PolicyReport, Report};
use super::pss::{Demand, Standing};
use super::steps;
use crate::count::counted;
use crate::pod_security::Level;

/// The most lines of changes that are shown.
const MOST_CHANGES: usize = 200;
/// The most workloads that are shown.
const MOST_WORKLOADS: usize = 50;
/// The most users of a policy that are named in each namespace.
const MOST_USERS: usize = 20;
/// Widest value in a table, in characters.
const WIDEST: usize = 160;

/// The report as Markdown with collapsible details.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("<!-- {} -->\n## PodSecurityPolicies carried over to Falco\n\n", report.generator);
    would_alert(&mut text, report);
    let _ = writeln!(text, "{} became rules that look at:\n", counted(report.totals.policies, "policy"));
    text.push_str("| layer | rules | exact | approximate | undetectable | unrestricted |\n");
    text.push_str("| --- | --: | --: | --: | --: | --: |\n");
    for (layer, totals) in report.totals.layers() {
        let Tally { exact, approximate, undetectable, unrestricted } = totals.fields;
        let (title, rules) = (layer.title(), totals.rules);
        let _ = writeln!(
            text,
            "| {title} | {rules} | {exact} | {approximate} | {undetectable} | {unrestricted} |"
        );
    }
    text.push('\n');
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
    next_steps(&mut text, report);
    text.push_str("\n### Policies\n\n| policy | closest level |");
    let layers: Vec<&str> = report.totals.layers().map(|(layer, _)| layer.title()).collect();
    layers.iter().for_each(|title| text.push_str(&format!(" {title} |")));
    let _ =
        writeln!(text, " not covered by the level |\n| --- | --- |{} --- |", " --- |".repeat(layers.len()));
    for policy in &report.policies {
        row(&mut text, policy);
    }
    for policy in &report.policies {
        details(&mut text, policy, report);
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
    let missed = policy.pod_security.iter().flat_map(|standing| &standing.not_covered);
    let missed: Vec<String> = missed.map(|n| code(&n.field)).collect();
    let _ = write!(text, "| {} | {} |", code(&policy.name), policy.level_name());
    for (_, tally) in policy.tallies() {
        let _ = write!(text, " {tally} |");
    }
    let _ = writeln!(text, " {} |", missed.join(" "));
}

/// What would alert of the pods in the input, and what silences it.
fn would_alert(text: &mut String, report: &Report) {
    let Some(would) = &report.would_alert else { return };
    let _ = writeln!(text, "**{}**: {}.\n", would.headline(), would.detail());
    if would.alerting.is_empty() {
        return;
    }
    text.push_str("| workload | pods | policy | field | alert | the policy allows |\n| --- | --: | --- | --- | --- | --- |\n");
    for workload in would.alerting.iter().take(MOST_WORKLOADS) {
        for alert in &workload.alerts {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                code(&workload.title()),
                match workload.pods {
                    0 => "template".to_owned(),
                    pods => pods.to_string(),
                },
                code(alert.policy.as_deref().unwrap_or_default()),
                code(alert.field.as_deref().unwrap_or_default()),
                alert.kind.name(),
                code(&short(alert.allowed.as_deref().unwrap_or_default(), WIDEST)),
            );
        }
    }
    if let more @ 1.. = would.alerting.len().saturating_sub(MOST_WORKLOADS) {
        let _ = writeln!(text, "\nand {}; the JSON report has all", counted(more, "more workload"));
    }
    let exceptions: Vec<&str> =
        would.alerting.iter().take(MOST_WORKLOADS).map(|workload| workload.exception.as_str()).collect();
    let _ = writeln!(
        text,
        "\n<details><summary>what silences each, in a file that Falco loads after the rules</summary>\n\n{}\n\n</details>\n",
        fenced(&exceptions.join("\n"), "yaml")
    );
}

/// What to load, and which labels bring prevention back.
fn next_steps(text: &mut String, report: &Report) {
    text.push_str("\n### Next steps\n\n");
    for file in steps::files(report) {
        let _ = writeln!(text, "- load {}: {}; it needs {}", code(&file.name), file.holds, file.needs);
    }
    for label in steps::labels(report) {
        let Some(command) = &label.command else { continue };
        let policies: Vec<String> = label.policies.iter().map(|name| code(name)).collect();
        let (level, policies) = (label.level.name(), policies.join(", "));
        let _ = writeln!(text, "- where {policies} ruled, set the level {level}: {}", code(command));
    }
}

fn details(text: &mut String, policy: &PolicyReport, report: &Report) {
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
    let guess = if policy.scope.guess { " (a guess, since RBAC is not known)" } else { "" };
    let _ = writeln!(text, "\nScope: {}{guess}", code(&policy.scope.words()));
    if let Some(of) = &policy.may_use {
        may_use(text, of, report.may_use_every_policy.as_ref());
    }
    if let Some(standing) = &policy.pod_security {
        pod_security(text, standing);
    }
    let restricting: Vec<&FieldReport> = policy.fields.iter().filter(|f| f.layers.restricts()).collect();
    if !restricting.is_empty() {
        text.push_str(
            "\n| field | value | alerts | fidelity | no longer |\n| --- | --- | --- | --- | --- |\n",
        );
    }
    for field in restricting {
        let rules: Vec<String> =
            field.layers.made().flat_map(|(_, layer)| &layer.rules).map(|rule| code(rule)).collect();
        let fidelity: Vec<String> =
            field.layers.made().map(|(of, layer)| detected(field, of.title(), layer)).collect();
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
    let name = if field.layers.made().count() > 1 { format!("{name}: ") } else { String::new() };
    let reason = layer.reason.as_ref().map(|r| format!(": {}", markdown(r))).unwrap_or_default();
    format!("{name}{}{reason}", layer.fidelity)
}

/// Who may use a policy.
fn may_use(text: &mut String, of: &MayUse, every: Option<&MayUse>) {
    text.push_str("\nMay use it:\n");
    for (of, which) in [(Some(of), ""), (every, " (every policy)")] {
        let Some(of) = of else { continue };
        let everywhere = ("everywhere".to_owned(), &of.everywhere);
        let within = of.namespaces.iter().map(|(name, who)| (format!("in {}", code(name)), who));
        for (place, who) in std::iter::once(everywhere).chain(within).filter(|(_, who)| !who.is_empty()) {
            let named: Vec<String> = who.iter().take(MOST_USERS).map(|name| code(name)).collect();
            let more = who.len().saturating_sub(MOST_USERS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = write!(text, "\n- {place}{which}: {}{more}", named.join(", "));
        }
    }
    text.push('\n');
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
