//! The file that silences what would alert of today's pods.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use falco_rules::MAX_LITERAL;

use super::finding::{Finding, KnownBy, KnownName, Prediction, Workload};
use crate::count::counted;
use crate::pattern;
use crate::problem::printable;
use crate::render::AuditObject;
use crate::render::quote::{quote, word};

/// A file for Falco, loaded after the rules, that silences each rule for the workloads on which it would alert today;
/// `None` if none would.
pub fn exceptions(prediction: &Prediction<'_>, object: AuditObject) -> Option<String> {
    if prediction.findings.is_empty() {
        return None;
    }
    let mut text = String::from(
        "# Silences what ran when psp2falco looked: a rule for a workload, where its pods broke it. Everything else\n\
         # alerts, other rules on the same workloads too. Load this file after the rules, and delete a workload's part\n\
         # once it is mended. psp2falco writes this file once; it is yours.\n",
    );
    for (.., exception) in exceptions_by_workload(prediction, object) {
        text.push('\n');
        text.push_str(&exception);
    }
    Some(text)
}

/// For each workload that would alert, those with the most pods first: the part of the file that silences it.
pub fn exceptions_by_workload<'a, 'p>(
    prediction: &'a Prediction<'p>,
    object: AuditObject,
) -> impl Iterator<Item = (&'a Workload, &'a Finding<'p>, String)> {
    let mut taken = BTreeSet::new();
    prediction.by_pods().into_iter().map(move |(workload, finding)| {
        let name = macro_name(workload, &mut taken);
        let known = match finding.pods {
            0 => "known by its template".to_owned(),
            pods => counted(pods, "pod"),
        };
        let conditions: Vec<String> =
            finding.known_by.iter().map(|known| condition(known, object.root())).collect();
        let mut text = format!("# {}, {known}", printable(&workload.to_string()));
        if workload.namespace.is_empty() {
            text.push_str("; in any namespace, since its manifest names none");
        }
        let _ = write!(text, "\n- macro: {name}\n  condition: >\n    ({})\n", conditions.join("\n    or "));
        for alert in &finding.alerts {
            let _ = write!(
                text,
                "\n- rule: {}\n  condition: and not {name}\n  override: {{condition: append}}\n",
                alert.rule(),
            );
        }
        (workload, finding, text)
    })
}

/// How an event tells a pod of a workload.
fn condition(known: &KnownBy, object: &str) -> String {
    let namespace = match known.namespace.as_str() {
        "" => String::new(),
        name => format!("{} and ", condition_of_name("ka.target.namespace", name)),
    };
    let references = format!("{object}/metadata/ownerReferences");
    let (owner, kind) = match &known.owner {
        None => (String::new(), format!("not jevt.value[{references}] exists")),
        Some((index, kind)) => {
            let owner = |key: &str| format!("jevt.value[{references}/{index}/{key}]");
            (owner("name"), condition_of_name(&owner("kind"), kind))
        }
    };
    let name = match &known.name {
        KnownName::Pod(name) => condition_of_name("ka.resp.name", name),
        KnownName::PodPrefix(prefix) => condition_of_pattern("ka.resp.name", prefix, "[a-z0-9]*"),
        KnownName::Owner(name) => condition_of_name(&owner, name),
        KnownName::OwnerPrefix(prefix) => condition_of_pattern(&owner, prefix, "[a-z0-9]+(-[a-z0-9]+)?"),
        KnownName::ReplicaSetOf(deployment) => {
            condition_of_pattern(&owner, &format!("{deployment}-"), "[a-z0-9]+")
        }
        KnownName::JobOf(cron_job) => condition_of_pattern(&owner, &format!("{cron_job}-"), "[0-9]{8,10}"),
    };
    format!("{namespace}{kind} and {name}")
}

/// A name for the macro of a workload that no other has.
fn macro_name(workload: &Workload, taken: &mut BTreeSet<String>) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let parts = [&workload.kind.to_lowercase(), &workload.namespace, &workload.name];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let whole = format!("runs_today_{}", parts.join("_"));
    let name: String = whole.chars().map(letter).collect();
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains(n)).unwrap_or(name);
    taken.insert(free.clone());
    free
}

/// A condition: the field is this name.
fn condition_of_name(field: &str, name: &str) -> String {
    format!("{field}={}", word(name))
}

/// A condition: the field is this text, followed by what `rest` matches.
fn condition_of_pattern(field: &str, text: &str, rest: &str) -> String {
    let pattern = format!("{}{rest}", pattern::literal(text));
    if pattern.len() > MAX_LITERAL {
        return format!("{field} startswith {}", quote(text));
    }
    format!("{field} regex {}", quote(&pattern))
}
