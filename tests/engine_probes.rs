//! The recorded answers of a real Falco: which conditions load, with which error, and which events they match.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test may panic")]

use psp2falco::falco::{Event, Severity, Source, load};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

/// How many disagreements to print.
const SHOWN: usize = 20;

struct Recording {
    events: Vec<String>,
    probes: Vec<Value>,
}

fn recording() -> Recording {
    let file = std::fs::File::open("tests/data/engine-probes.jsonl.gz").unwrap();
    let mut lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let events = first["events"].as_array().unwrap().iter().map(Value::to_string).collect();
    let probes = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    Recording { events, probes }
}

fn rules_file(condition: &str) -> String {
    let rule = serde_json::json!([{
        "rule": "probe", "desc": "probe", "condition": condition, "output": "n=%jevt.value[/objectRef/name]",
        "priority": "NOTICE", "source": "k8s_audit",
    }]);
    rule.to_string()
}

/// What the model says of a probe: the names of the matching pods, or the error in Falco's form.
fn answer(condition: &str, events: &[(String, Event<'_>)]) -> Result<BTreeSet<String>, String> {
    let text = rules_file(condition);
    let loaded = load(&[Source { name: "probe.yaml", text: &text }]);
    let Some(rules) = loaded.rules else {
        let error = loaded.findings.iter().find(|f| f.severity == Severity::Error).unwrap();
        return Err(format!("{}: {}", error.code, error.message));
    };
    let unmodelled = rules.rules().iter().find_map(|r| r.not_modelled.as_ref());
    assert_eq!(unmodelled, None, "{condition}");
    Ok(events
        .iter()
        .filter(|(_, event)| !rules.alerts(event).is_empty())
        .map(|(name, _)| name.clone())
        .collect())
}

fn disagreement(probe: &Value, events: &[(String, Event<'_>)]) -> Option<String> {
    let condition = probe["condition"].as_str().unwrap();
    let ours = answer(condition, events);
    if probe["loads"] == false {
        let recorded = probe["error"][0].as_str().unwrap();
        return match ours {
            // An unknown field comes with a proposal.
            Err(error) if error == recorded || error.starts_with(&format!("{recorded} (")) => None,
            Err(error) => Some(format!("{condition}\n  ours     {error}\n  recorded {recorded}")),
            Ok(_) => Some(format!("{condition}\n  loads, but should not: {recorded}")),
        };
    }
    let recorded: BTreeSet<String> =
        probe["matches"].as_array().unwrap().iter().map(|m| m.as_str().unwrap().to_owned()).collect();
    match ours {
        Ok(matches) if matches == recorded => None,
        Ok(matches) => {
            let (more, less) = (&matches - &recorded, &recorded - &matches);
            Some(format!("{condition}\n  matches also {more:?}\n  does not match {less:?}"))
        }
        Err(error) => Some(format!("{condition}\n  does not load, but should: {error}")),
    }
}

#[test]
fn every_probe_is_answered_as_the_engine_did() {
    let Recording { events, probes } = recording();
    let events: Vec<(String, Event<'_>)> = events
        .iter()
        .map(|text| {
            let event = Event::parse(text.as_bytes()).unwrap();
            let name = event.value("/objectRef/name").unwrap();
            (String::from_utf8(name.into_owned()).unwrap(), event)
        })
        .collect();
    assert_eq!((events.len(), probes.len()), (66, 932));
    let wrong: Vec<String> = probes.iter().filter_map(|probe| disagreement(probe, &events)).collect();
    let agreed = probes.len() - wrong.len();
    println!("{agreed} of {} probes agree", probes.len());
    for text in wrong.iter().take(SHOWN) {
        println!("{text}");
    }
    assert!(wrong.is_empty(), "{} probes disagree", wrong.len());
}
