//! The recorded pods replayed through a real Falco, if there is one: the rules must give the recorded verdicts there
//! too, and `replay` must write the very alerts that Falco writes.
//!
//! [`crate::common::falco`] says how to name it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;

use crate::common::falco::falco;
use falco_rules::{Event, Source, load};
use psp2falco::read::Located;
use psp2falco::render::{self, Options};
use serde_json::Value;

/// Runs `work` on each item, on all processors, and returns what went wrong.
fn in_parallel<T: Send>(items: Vec<T>, work: impl Fn(T) -> Vec<String> + Sync) -> Vec<String> {
    let queue = Mutex::new(items.into_iter());
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(item) = queue.lock().unwrap().next() else { return };
                    let found = work(item);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    problems.into_inner().unwrap()
}

#[test]
fn a_real_falco_gives_the_recorded_verdicts() {
    let Some(falco) = falco() else { return };
    let recording = crate::common::Recording::load();
    let mut cases: BTreeMap<&str, Vec<&crate::common::Case>> = BTreeMap::new();
    for case in &recording.cases {
        cases.entry(&case.policy).or_default().push(case);
    }
    let total = recording.cases.len();
    let problems = in_parallel(cases.into_iter().collect(), |(policy, cases)| {
        let located = &recording.located[policy];
        let name = &located.policy.name;
        let rules = render::audit_rules(std::slice::from_ref(located), &Options::default()).unwrap().text;
        let log: String = cases.iter().map(|case| recording.events[&case.id].clone() + "\n").collect();
        let mut fired: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for alert in falco.alerts(&rules, &log, None) {
            let pod = alert["output_fields"]["ka.resp.name"].as_str().unwrap().to_owned();
            fired.entry(pod).or_default().insert(alert["rule"].as_str().unwrap().to_owned());
        }
        let loaded = load(&[Source { name: "rules", text: &rules }]).rules.unwrap();
        let disagreement = |case: &&crate::common::Case| {
            let real = fired.get(&case.id).cloned().unwrap_or_default();
            let event = recording.events[&case.id].as_bytes();
            let model: BTreeSet<String> =
                loaded.alerts(&Event::parse(event).unwrap()).iter().map(|rule| rule.name.clone()).collect();
            let kind = if case.verdict == "denied" { "Violation" } else { "Lost Default" };
            let fields = |prefix: &str| -> BTreeSet<String> {
                let inner = |rule: &String| {
                    let field = rule.strip_prefix(prefix)?.strip_suffix(')')?;
                    Some(crate::common::group(field))
                };
                real.iter().filter_map(inner).collect()
            };
            let named = fields(&format!("PSP {name} {kind} ("));
            let only_these = real.iter().all(|rule| rule.starts_with(&format!("PSP {name} {kind} (")));
            let fine = real == model
                && only_these
                && (case.verdict == "allowed") == real.is_empty()
                && named == case.fields;
            (!fine).then(|| {
                format!(
                    "{} under {name}: recorded {} {:?}\n  Falco {real:?}\n  model {model:?}",
                    case.id, case.verdict, case.fields
                )
            })
        };
        cases.iter().filter_map(disagreement).collect()
    });
    println!("{} of {total} pods have the recorded verdict", total - problems.len());
    assert!(
        problems.is_empty(),
        "{} of {total} pods differ:\n{}",
        problems.len(),
        problems[..problems.len().min(5)].join("\n")
    );
}

#[test]
fn replay_writes_what_a_real_falco_writes() {
    let Some(falco) = falco() else { return };
    let mut log: String =
        crate::common::lines("single/audit.jsonl.gz").iter().map(|line| line.clone() + "\n").collect();
    for line in crate::common::lines("request-shapes.jsonl.gz") {
        let shape: Value = serde_json::from_str(&line).unwrap();
        log.extend(shape["events"].as_array().unwrap().iter().map(|event| format!("{event}\n")));
    }
    let policies = ["kubernetes-restricted", "kubernetes-baseline", "every-field"];
    let problems = in_parallel(policies.to_vec(), |policy| {
        let path = crate::snapshot::root().join(format!("fixtures/expected/policies/{policy}.yaml"));
        let text = fs::read_to_string(path).unwrap();
        let ours = crate::alerts::replayed(&text, &log);
        let theirs = falco.alerts(&text, &log, None);
        println!(
            "{policy}: {} alerts of {} are the same",
            ours.iter().zip(&theirs).filter(|(a, b)| a == b).count(),
            theirs.len()
        );
        let differ = ours.iter().zip(&theirs).find(|(a, b)| a != b);
        let differ = differ.map(|(a, b)| format!("{policy}:\n  replay {a}\n  Falco  {b}"));
        let lengths = (ours.len() != theirs.len() || theirs.is_empty())
            .then(|| format!("{policy}: {} alerts, Falco has {}", ours.len(), theirs.len()));
        differ.into_iter().chain(lengths).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_real_falco_writes_the_texts_on_record() {
    let Some(falco) = falco() else { return };
    let recorded = crate::alerts::recorded();
    let policies: BTreeMap<&str, Located> =
        recorded.iter().map(|r| (r.policy.policy.name.as_str(), r.policy.clone())).collect();
    let policies: Vec<Located> = policies.into_values().collect();
    let rules = render::audit_rules(&policies, &Options::default()).unwrap().text;
    let log: String = recorded.iter().map(|r| r.event.clone() + "\n").collect();
    let theirs = falco.alerts(&rules, &log, None);
    let written: BTreeSet<(&str, &str)> =
        theirs.iter().map(|alert| (alert["rule"].as_str().unwrap(), crate::alerts::text(alert))).collect();
    for alert in &recorded {
        assert!(written.contains(&(&*alert.rule, &*alert.text)), "Falco does not write\n  {}", alert.text);
    }
    println!("{} texts are the same", recorded.len());
}
