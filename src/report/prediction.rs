//! What the user is told of the pods that run today, and the file that silences them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{counted, table_within};
use crate::predict::{Alert, Finding, Prediction, Workload};

/// What would alert, in one line, and the workloads with the most pods, `most` rows at most.
pub fn prediction(prediction: &Prediction<'_>, most: usize) -> String {
    let alerting: usize = prediction.findings.values().map(|f| f.pods).sum();
    let mut text = format!(
        "{} would alert, were their pods made anew: {alerting} of {}",
        of(prediction.findings.len(), prediction.workloads, "workload", "workloads"),
        counted(prediction.pods, "pod", "pods"),
    );
    if prediction.admitted > 0 {
        let _ = write!(
            text,
            "\n{} passed PodSecurityPolicy admission, which has filled in already what Lost Default would tell of",
            counted(prediction.admitted, "pod", "pods"),
        );
    }
    let rows = rows(prediction);
    if rows.is_empty() {
        return text;
    }
    let mut shown = vec![["PODS", "WORKLOAD", "POLICY", "ALERTS"].map(str::to_owned)];
    shown.extend(rows.iter().take(most).cloned());
    let _ = write!(text, "\n{}", table_within(&shown, 300).trim_end());
    if let more @ 1.. = rows.len().saturating_sub(most) {
        let _ = write!(text, "\n  {more} more rows: --predict shows them all");
    }
    text
}

fn of(n: usize, all: usize, one: &str, many: &str) -> String {
    if n == all {
        format!("all {}", counted(n, one, many))
    } else {
        format!("{n} of {}", counted(all, one, many))
    }
}

/// The workloads by the number of their pods.
fn sorted<'a, 'p>(prediction: &'a Prediction<'p>) -> Vec<(&'a Workload, &'a Finding<'p>)> {
    let mut findings: Vec<_> = prediction.findings.iter().collect();
    findings.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.pods));
    findings
}

fn rows(prediction: &Prediction<'_>) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for (workload, finding) in sorted(prediction) {
        let mut fields: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for alert in &finding.alerts {
            let (policy, kind, field) = match alert {
                Alert::Violation(policy, field) => (*policy, "Violation", Some(field.name())),
                Alert::LostDefault(policy, field) => (*policy, "Lost Default", Some(field.name())),
                Alert::NoUsablePolicy => ("-", "No Usable Policy", None),
            };
            fields.entry((policy, kind)).or_default().extend(field);
        }
        for ((policy, kind), fields) in fields {
            let alerts =
                if fields.is_empty() { kind.to_owned() } else { format!("{kind} ({})", fields.join(", ")) };
            rows.push([finding.pods.to_string(), workload.to_string(), policy.to_owned(), alerts]);
        }
    }
    rows
}

/// A file for Falco, loaded after the rules, that silences each rule for the workloads on which it would alert today;
/// `None` if none would.
pub fn exceptions(prediction: &Prediction<'_>) -> Option<String> {
    if prediction.findings.is_empty() {
        return None;
    }
    let mut text = String::from(
        "# Silences what ran when psp2falco looked: a rule for a workload, where its pods broke it. Everything else\n\
         # alerts, other rules on the same workloads too. Load this file after the rules, and delete a workload's part\n\
         # once it is mended. psp2falco writes this file once; it is yours.\n",
    );
    let mut taken = BTreeSet::new();
    for (workload, finding) in sorted(prediction) {
        let name = macro_name(workload, &mut taken);
        let pods = counted(finding.pods, "pod", "pods");
        let conditions: Vec<&str> = finding.known_by.iter().map(String::as_str).collect();
        let _ = write!(text, "\n# {}, {pods}", clean(&workload.to_string()));
        let _ = write!(text, "\n- macro: {name}\n  condition: >\n    ({})\n", conditions.join("\n    or "));
        for alert in &finding.alerts {
            let _ = write!(
                text,
                "\n- rule: {}\n  condition: and not {name}\n  override: {{condition: append}}\n",
                alert.rule(),
            );
        }
    }
    Some(text)
}

/// A name for the macro of a workload that no other has.
fn macro_name(workload: &Workload, taken: &mut BTreeSet<String>) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let whole =
        format!("runs_today_{}_{}_{}", workload.kind.to_lowercase(), workload.namespace, workload.name);
    let name: String = whole.chars().map(letter).collect();
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

fn clean(text: &str) -> String {
    text.chars()
        .map(
            |c| {
                if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
                    '\u{fffd}'
                } else {
                    c
                }
            },
        )
        .collect()
}
