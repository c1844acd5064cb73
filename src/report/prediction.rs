//! What the program says about the pods that run today, and about those that workloads are to make.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::count::counted;
use crate::paint::{Paint, Tone};
use crate::predict::{Alert, Prediction};
use crate::table::table;

/// What would alert, in one line, and the workloads with the most pods, `most` rows at most.
pub fn prediction(prediction: &Prediction<'_>, most: usize, width: Option<usize>, paint: Paint) -> String {
    let workloads = of(prediction.findings.len(), prediction.workloads, "workload");
    let mut text = format!("{workloads} would alert");
    if prediction.pods > 0 {
        let alerting: usize = prediction.findings.values().map(|f| f.pods).sum();
        let pods = counted(prediction.pods, "pod");
        let _ = write!(text, ", if their pods were made again: {alerting} of {pods}");
        if prediction.templates > 0 {
            let workloads = counted(prediction.templates, "workload");
            let _ = write!(text, "; {workloads} known by template alone");
        }
    }
    if prediction.admitted > 0 {
        let _ = write!(
            text,
            "\n{} passed PodSecurityPolicy admission, which has filled in already what Lost Default would tell of",
            counted(prediction.admitted, "pod"),
        );
    }
    let rows = rows(prediction);
    if rows.is_empty() {
        return text;
    }
    let mut shown = vec![["PODS", "WORKLOAD", "POLICY", "ALERTS"].map(str::to_owned)];
    shown.extend(rows.iter().take(most).cloned());
    let plain = |_, _: &str| Tone::Plain;
    let columns = if prediction.pods > 0 {
        table(&shown, 2, 300, width, paint, plain)
    } else {
        let without_pods: Vec<[String; 3]> = shown.into_iter().map(|[_, rest @ ..]| rest).collect();
        table(&without_pods, 1, 300, width, paint, plain)
    };
    let _ = write!(text, "\n{}", columns.trim_end());
    if let more @ 1.. = rows.len().saturating_sub(most) {
        let _ = write!(text, "\n  {}: --predict shows all", counted(more, "more row"));
    }
    text
}

fn of(n: usize, all: usize, noun: &str) -> String {
    if n == all && n > 1 {
        format!("all {}", counted(n, noun))
    } else {
        format!("{n} of {}", counted(all, noun))
    }
}

fn rows(prediction: &Prediction<'_>) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for (workload, finding) in prediction.by_pods() {
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
            let pods = if finding.pods > 0 { finding.pods.to_string() } else { "-".to_owned() };
            rows.push([pods, workload.to_string(), policy.to_owned(), alerts]);
        }
    }
    rows
}
