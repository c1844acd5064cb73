//! More answers of a real Falco, recorded for what the corpus of probes does not reach: every operator with odd
//! literals, transformers, modifiers, regular expressions, patterns, broken conditions, and every field over odd
//! events.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::{Event, Severity, Source, load};

/// How many disagreements to print.
const SHOWN: usize = 10;

fn recording() -> impl Iterator<Item = Value> {
    let bytes: &[u8] = include_bytes!("../../testdata/engine-measured.jsonl.gz");
    let lines = BufReader::new(flate2::read::GzDecoder::new(bytes)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// What differs from the recording, if anything; none also for what the model refuses to evaluate.
fn disagreement(probe: &Value, lines: &[String], refused: &mut usize) -> Option<String> {
    let condition = probe["condition"].as_str().unwrap();
    let rule = serde_json::json!([{
        "rule": "p", "desc": "d", "condition": condition, "output": "o", "priority": "NOTICE",
        "source": "k8s_audit",
    }]);
    let text = rule.to_string();
    let loaded = load(&[Source { name: "p.yaml", text: &text }]);
    let codes = |severity| loaded.findings.iter().filter(move |f| f.severity == severity);
    let error = codes(Severity::Error).next().map(|f| format!("{}: {}", f.code, f.message));
    let Some(rules) = loaded.rules else {
        let (ours, theirs) = (error.unwrap(), probe["error"].as_str().unwrap_or("loads"));
        let same = ours == theirs || ours.starts_with(&format!("{theirs} ("));
        return (!same).then(|| format!("{condition}\n  ours   {ours}\n  theirs {theirs}"));
    };
    if probe["loads"] == false {
        return Some(format!("{condition}\n  loads, but should not: {}", probe["error"]));
    }
    let warnings = codes(Severity::Warning).map(|f| f.code.to_owned()).filter(|c| c != "NOT_MODELLED");
    let warnings: BTreeSet<String> = warnings.collect();
    if warnings != texts(&probe["warnings"]).into_iter().collect() {
        return Some(format!("{condition}\n  warns {warnings:?}, not {}", probe["warnings"]));
    }
    if rules.rules().iter().any(|r| r.not_modelled.is_some()) {
        *refused += 1;
        return None;
    }
    let matches = |line: &String| !rules.alerts(&Event::parse(line.as_bytes()).unwrap()).is_empty();
    let ours: Vec<usize> = (0..lines.len()).filter(|i| matches(&lines[*i])).collect();
    let theirs: Vec<usize> = serde_json::from_value(probe["matches"].clone()).unwrap();
    (ours != theirs).then(|| format!("{condition}\n  ours   {ours:?}\n  theirs {theirs:?}"))
}

#[test]
fn answers_as_the_engine_did() {
    let mut lines = Vec::new();
    let (mut count, mut refused, mut wrong) = (0, 0, Vec::new());
    for line in recording() {
        if line["events"].is_array() {
            lines = texts(&line["events"]);
            continue;
        }
        count += 1;
        wrong.extend(disagreement(&line, &lines, &mut refused));
    }
    println!("{} of {count} agree, {refused} of them refused", count - wrong.len());
    wrong.iter().take(SHOWN).for_each(|text| println!("{text}"));
    assert_eq!((count, refused), (3606, 193));
    assert!(wrong.is_empty(), "{} disagree", wrong.len());
}
