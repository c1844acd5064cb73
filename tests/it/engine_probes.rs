//! The recorded answers of a real Falco: which conditions load, with which error, and which events they match.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a test may panic")]

use falco_rules::syntax::{Expr, parse, quote};
use falco_rules::{Event, Severity, Source, load};
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

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 32).unwrap() % limit.max(1)
    }

    fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }
}

const TOKENS: [&str; 36] = [
    "and",
    "or",
    "not",
    "(",
    ")",
    "\"",
    "'",
    " ",
    "\n",
    "\u{8}",
    "\0",
    ",",
    "=",
    "!=",
    "<",
    ">=",
    "in",
    "exists",
    "ka.verb",
    "val(",
    "tolower(",
    "join(",
    "[",
    "]",
    "\\",
    "0x1",
    "-5",
    "e+3",
    "é",
    "😀",
    "anyof",
    "contains ",
    "regex ",
    "pmatch",
    "<NA>",
    "((((((((((",
];

/// A condition with pieces cut out, put in and doubled.
fn mutated(random: &mut Random, conditions: &[String]) -> String {
    let pick =
        |random: &mut Random| conditions[random.below(conditions.len())].chars().collect::<Vec<char>>();
    let mut text = pick(random);
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        match random.below(4) {
            0 => drop(text.drain(at..(at + random.below(6)).min(text.len()))),
            1 | 2 => drop(text.splice(at..at, random.of(&TOKENS).chars())),
            _ => {
                let other = pick(random);
                text.truncate(at);
                text.extend(&other[random.below(other.len())..]);
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn mutated_conditions_do_not_panic_and_print_as_they_parse() {
    let seed = 20_261_123;
    println!("seed {seed}");
    let mut random = Random(seed);
    let Recording { events, probes } = recording();
    let event = Event::parse(events[0].as_bytes()).unwrap();
    let conditions: Vec<String> =
        probes.iter().map(|p| p["condition"].as_str().unwrap().to_owned()).collect();
    let mut parsed = 0;
    for i in 0..20_000 {
        let condition = mutated(&mut random, &conditions);
        if let Ok(expr) = parse(&condition) {
            parsed += 1;
            let printed = expr.to_string();
            assert_eq!(parse(&printed).as_ref(), Ok(&expr), "{condition}\n{printed}");
        }
        if i % 8 == 0
            && let Some(rules) = load(&[Source { name: "f", text: &rules_file(&condition) }]).rules
        {
            let counted = rules.alerts_counted(&event).0.len();
            assert_eq!(rules.alerts(&event).len(), counted, "{condition}");
        }
    }
    assert!(parsed > 1000, "only {parsed} of the mutations parse");
}

#[test]
fn every_probe_that_parses_prints_as_it_parses() {
    for probe in recording().probes {
        let condition = probe["condition"].as_str().unwrap();
        if let Ok(expr) = parse(condition) {
            assert_eq!(parse(&expr.to_string()), Ok(expr), "{condition}");
        }
    }
}

#[test]
fn quoted_values_come_back_and_match_themselves() {
    let seed = 42;
    println!("seed {seed}");
    let mut random = Random(seed);
    for _ in 0..3000 {
        let value: String = (0..random.below(12)).map(|_| random.of(&TOKENS)).collect();
        let value = value.replace('\0', "");
        let Ok(Expr::Check(check)) = parse(&format!("jevt.value[/v] = {}", quote(&value))) else {
            panic!("{value:?}")
        };
        assert!(matches!(&check.right, falco_rules::syntax::Rhs::Value(v) if *v == value), "{value:?}");
    }
}

#[test]
fn broken_log_lines_do_not_panic() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = Random(seed);
    let Recording { events, .. } = recording();
    let rule = rules_file(
        "jevt.value[/requestObject/spec] exists and not jevt.value[/user/groups/0]=x or ka.verb exists",
    );
    let rules = load(&[Source { name: "f", text: &rule }]).rules.unwrap();
    for _ in 0..3000 {
        let mut line = events[random.below(events.len())].clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(line.len());
            match random.below(3) {
                0 => line.truncate(at),
                1 => line[at] = b"{}[],:\"\\u0 \xff"[random.below(12)],
                _ => drop(line.remove(at)),
            }
            if line.is_empty() {
                break;
            }
        }
        for event in Event::parse_line(&line).into_iter().flatten().flatten() {
            for alert in rules.alerts(&event) {
                assert!(!alert.render_output(&event).is_empty());
            }
        }
    }
}
