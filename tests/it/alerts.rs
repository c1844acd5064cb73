//! The texts of alerts: for each field from a recorded event, as `replay` writes them, and how often they show the value
//! that the policy refuses. `docs/reference/alerts.md` keeps both.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use falco_rules::{Source, load};
use psp_admission::reason::{Found, Problem};
use psp_admission::{Field, Pod};
use psp2falco::read::{Located, read_text};
use psp2falco::render::{self, Options};
use psp2falco::replay::{self, Format, Log, Matching};
use serde_json::Value;

use crate::common::{Recording, lines};
use crate::snapshot::{check, report, root};

/// What the stock plugins cannot show of a field's refused value, and so the alert does not either.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("privileged", "init containers after the first, and Windows host processes"),
    ("hostPorts", "ports of init containers after the first"),
    ("allowedHostPaths", "which container may write to a path that is allowed for reading alone"),
    ("allowedCapabilities", "capabilities of init containers after the first"),
    ("allowPrivilegeEscalation", "init containers after the first"),
    ("readOnlyRootFilesystem", "init containers after the first"),
    ("runAsUser", "init containers after the first; runAsNonRoot of containers after the first"),
    ("runAsGroup", "init containers after the first"),
    ("allowedProcMountTypes", "init containers after the first"),
    ("seLinux", "containers and init containers after the first"),
    ("seccomp", "containers and init containers after the first"),
    ("apparmor", "containers and init containers after the first, and profiles in annotations"),
];

/// An alert on record.
pub struct Recorded {
    /// The name of the rule.
    pub rule: String,
    /// The audit event that it is about, as one line.
    pub event: String,
    /// The policy that it is about.
    pub policy: Located,
    /// Its text, less the time and the priority before it.
    pub text: String,
}

/// The alerts that `replay` writes for a log.
pub fn replayed(rules: &str, log: &str) -> Vec<Value> {
    let rules = load(&[Source { name: "rules", text: rules }]).rules.unwrap();
    let reader = std::io::Cursor::new(log.to_owned().into_bytes());
    let input = Log::new("audit.log", reader, &Arc::default()).unwrap();
    let options = replay::Options { matching: Matching::All, format: Format::Json, threads: 1 };
    let mut written = Vec::new();
    let mut write = |text: &[u8]| {
        written.extend_from_slice(text);
        Ok(())
    };
    replay::replay(vec![input], &rules, &options, &mut write).unwrap();
    let written = String::from_utf8(written).unwrap();
    written.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// An alert's text without the time and the priority that Falco puts before it.
pub fn text(alert: &Value) -> &str {
    let output = alert["output"].as_str().unwrap();
    let after_time = output.split_once(": ").unwrap().1;
    after_time.split_once(' ').unwrap().1
}

/// How much of what a policy refuses an alert shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    All,
    Some,
    Nothing,
}

/// The words to look for, any of which shows the value; none where nothing is there to be shown.
fn words(found: Found<'_>) -> Option<String> {
    Some(match found {
        Found::Unset | Found::UnsetMeaning(_) | Found::Lacking(_) | Found::Word("") => return None,
        Found::Flag(flag) => flag.to_string(),
        Found::Number(number) => number.to_string(),
        Found::Word("runtime/default" | "docker/default") => "RuntimeDefault".to_owned(),
        Found::Word("unconfined") => "Unconfined".to_owned(),
        Found::Word(word) => word.strip_prefix("localhost/").unwrap_or(word).to_owned(),
    })
}

/// Does the word stand in the text by itself, not as a part of another? Policies spell some types of volume otherwise
/// than pods do (`cephFS`).
fn names(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(&word).any(|(at, _)| {
        !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next())
    })
}

/// What an alert says of the value, without who made which pod.
fn evidence(text: &str) -> String {
    let start = text.split_once('(').unwrap().1;
    let before = start.split_once("pod=").map_or("", |(evidence, _)| evidence);
    let after = start.split_once(" ephemeral=").map_or("", |(_, after)| after);
    format!("{before} {after}")
}

/// How much of what was refused the alert shows, and whether there was nothing to be shown.
fn shown(field: Field, policy: &psp_admission::Policy, stored: &Value, text: &str) -> (Shown, bool) {
    let pod = Pod::new(stored);
    let mut wanted = BTreeSet::new();
    for reason in field.refusals(policy, &pod) {
        wanted.extend(words(reason.found));
        if let Problem::WrittenBy(_, container) = reason.problem {
            wanted.insert(container.to_owned());
        }
    }
    let evidence = evidence(text);
    let found = wanted.iter().filter(|word| names(&evidence, word)).count();
    let how = match found {
        found if found == wanted.len() => Shown::All,
        0 => Shown::Nothing,
        _ => Shown::Some,
    };
    (how, wanted.is_empty())
}

/// A field, and which of its two rules.
type Kind = (Field, &'static str);

/// For each field and kind of rule the shortest alert that shows all, and how many alerts show how much.
fn of_fields() -> (BTreeMap<Kind, Recorded>, BTreeMap<(Field, Shown), usize>) {
    let recording = Recording::load();
    let mut best: BTreeMap<Kind, ((Shown, bool), Recorded)> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for (id, located) in &recording.located {
        let rules = render::audit_rules(std::slice::from_ref(located), &Options::default()).unwrap().text;
        let cases: Vec<&str> =
            recording.cases.iter().filter(|case| case.policy == *id).map(|case| case.id.as_str()).collect();
        let log: String = cases.iter().map(|case| recording.events[*case].clone() + "\n").collect();
        for alert in replayed(&rules, &log) {
            let rule = alert["rule"].as_str().unwrap();
            let Some((kind, field)) = ["Violation", "Lost Default"].into_iter().find_map(|kind| {
                let name = rule.strip_prefix(&format!("PSP {} {kind} (", located.policy.name))?;
                let name = name.strip_suffix(')')?;
                Some((kind, Field::ALL.into_iter().find(|field| field.name() == name)?))
            }) else {
                panic!("{rule}");
            };
            let case = alert["output_fields"]["ka.resp.name"].as_str().unwrap();
            let text = text(&alert);
            let mut how = (Shown::All, false);
            if kind == "Violation" {
                how = shown(field, &located.policy, &recording.stored[case], text);
                *counts.entry((field, how.0)).or_default() += 1;
            }
            let rank = |how: (Shown, bool), text: &str| (how, text.len(), text.to_owned());
            let known = best.get(&(field, kind));
            if known.is_none_or(|(shown, known)| rank(how, text) < rank(*shown, &known.text)) {
                let recorded = Recorded {
                    rule: rule.to_owned(),
                    event: recording.events[case].clone(),
                    policy: located.clone(),
                    text: text.to_owned(),
                };
                best.insert((field, kind), (how, recorded));
            }
        }
    }
    (best.into_iter().map(|(key, (_, recorded))| (key, recorded)).collect(), counts)
}

/// The alerts on record, of each field and kind of rule.
pub fn recorded() -> Vec<Recorded> {
    of_fields().0.into_values().collect()
}

/// How clients make pods, and an alert that one policy gives for each.
fn of_requests() -> Vec<(&'static str, String)> {
    let path = "fixtures/psp/policies/kubernetes-restricted.yaml";
    let manifest = fs::read_to_string(root().join(path)).unwrap();
    let policies = read_text(path, &manifest, &psp2falco::read::Options::default()).unwrap().policies;
    let rules = render::audit_rules(&policies, &Options::default()).unwrap().text;
    let mut shapes: BTreeMap<String, String> = BTreeMap::new();
    for line in lines("request-shapes.jsonl.gz").iter().chain(&lines("newer.jsonl.gz")) {
        let record: Value = serde_json::from_str(line).unwrap();
        let events = record["events"].as_array().cloned().unwrap_or_else(|| vec![record["event"].clone()]);
        let log = events.iter().map(|event| format!("{event}\n")).collect();
        shapes.insert(record["shape"].as_str().unwrap().to_owned(), log);
    }
    let wanted = [
        ("A pod of a Deployment", "workloads-controllers", Field::Privileged),
        ("`kubectl debug`", "ephemeral-privileged", Field::Privileged),
        ("`kubectl apply --server-side`", "ssa-create", Field::Privileged),
        ("`kubectl --as`", "impersonated", Field::Privileged),
        (
            "An AppArmor profile in its field, since Kubernetes 1.30",
            "apparmor-container-unconfined",
            Field::AppArmor,
        ),
    ];
    let alert = |(title, shape, field): (&'static str, &str, Field)| {
        let alerts = replayed(&rules, &shapes[shape]);
        let rule = format!("PSP restricted Violation ({field})");
        let alert = alerts
            .iter()
            .find(|alert| alert["rule"] == *rule)
            .unwrap_or_else(|| panic!("no alert for {shape}"));
        (title, text(alert).to_owned())
    };
    wanted.into_iter().map(alert).collect()
}

#[test]
fn the_texts_of_alerts_are_on_record() {
    let (texts, counts) = of_fields();
    let mut page = "# What alerts say

Written by a test (`UPDATE_EXPECTED=1 cargo test --test it alerts::`) from recorded requests to a real API server.

An alert of the stock rules shows the value that the policy refuses, who made the pod, and what owns it. Falco's plugins \
`k8saudit` and `json` can read one value of the stored pod at a place that is known beforehand, or a list over the containers \
of the request. What stands elsewhere they cannot show; the last column of the table says what that is. The whole list of \
containers would hold it, but it also holds environment variables, and so perhaps passwords, which alerts would carry farther \
than the audit log. `<NA>` means: the pod has no such thing; where a policy refuses just that, it is the refused value.

What has no prefix is of the containers, `init_…` of the first init container, `pod_…` of the pod's own security context.

| field | recorded refusals | show every refused value | show some | show none | not shown |
| --- | --: | --: | --: | --: | --- |
"
    .to_owned();
    let mut problems = Vec::new();
    let fields: BTreeSet<Field> = counts.keys().map(|(field, _)| *field).collect();
    for field in &fields {
        let count = |how| counts.get(&(*field, how)).copied().unwrap_or(0);
        let (all, some, nothing) = (count(Shown::All), count(Shown::Some), count(Shown::Nothing));
        let name = field.name();
        let reason = NOT_SHOWN.iter().find(|(known, _)| *known == name).map_or("", |(_, reason)| reason);
        if all == 0 {
            problems.push(format!("{name}: no recorded alert shows what was refused"));
        }
        if (some + nothing == 0) != reason.is_empty() {
            problems.push(format!("{name}: NOT_SHOWN must say what its alerts do not show, if there is any"));
        }
        let total = all + some + nothing;
        let _ = writeln!(page, "| {name} | {total} | {all} | {some} | {nothing} | {reason} |");
    }
    page.push_str("\n## One alert of each field\n");
    for field in Field::ALL {
        for kind in ["Violation", "Lost Default"] {
            let Some(alert) = texts.get(&(field, kind)) else { continue };
            let _ = write!(page, "\n`{}`\n\n```text\n{}\n```\n", alert.rule, alert.text);
        }
        // what it fills in, allowPrivilegeEscalation tells of
        let silent = field == Field::DefaultAllowPrivilegeEscalation;
        assert_eq!(texts.keys().any(|(known, _)| *known == field), !silent, "{field}");
    }
    page.push_str("\n## How a pod was made\n");
    for (title, text) in of_requests() {
        let _ = write!(page, "\n{title}:\n\n```text\n{text}\n```\n");
    }
    let checked = check(&root().join("docs/reference/alerts.md"), &page);
    problems.extend(checked.err());
    report(&problems, "it alerts::");
}
