//! Whatever the rules and the log: the model of Falco refuses or answers, and does neither panic nor loop.
//!
//! A failure prints its seed; `PSP2FALCO_SEED=… cargo test --test it falco_properties::` runs it again.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use crate::common::random::{Random, seed};

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

use falco_rules::syntax::parse;
use falco_rules::{Event, Rule, RuleSet, Source, load};
use psp2falco::paint::Paint;
use psp2falco::replay::{Format, Log, Matching, Options, Outcome, replay};
use serde_json::Value;

/// `bytes` with a few pieces dropped, doubled, swapped for others or for single bytes.
fn spoilt(random: &mut Random, bytes: &[u8], spice: &[&[u8]]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let start = random.below(bytes.len() + 1);
        let end = (start + random.below(12)).min(bytes.len());
        let new: Vec<u8> = match random.below(5) {
            0 => Vec::new(),
            1 => bytes[start..end].repeat(2),
            2 => vec![random.next() as u8],
            3 => {
                let from = random.below(bytes.len() + 1);
                let to = (from + random.below(40)).min(bytes.len());
                bytes[from..to].to_vec()
            }
            _ => spice[random.below(spice.len())].to_vec(),
        };
        bytes.splice(start..end, new);
    }
    bytes
}

/// A random generator; its seed is printed.
fn random() -> (Random, u64) {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    (Random(seed), seed)
}

/// Long enough that only a loop takes longer, even on a busy machine.
const LOOPS: Duration = Duration::from_secs(60);

/// Runs `work` and says what it was given when it panics or loops.
fn ends(seed: u64, given: &[u8], work: impl FnOnce()) {
    let start = Instant::now();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let text = String::from_utf8_lossy(given);
    assert!(result.is_ok(), "PSP2FALCO_SEED={seed}: panics on {text}");
    assert!(start.elapsed() < LOOPS, "PSP2FALCO_SEED={seed}: takes {:?} on {text}", start.elapsed());
}

fn evaluate(rules: &RuleSet, event: &Event<'_>) {
    let all = rules.alerts(event);
    assert_eq!(rules.first_alert(event).map(|r| &r.name), all.first().map(|r| &r.name));
    for rule in rules.rules() {
        let _ = (rule.render_output(event), rule.output_fields(event));
    }
}

/// A pattern that RE2 takes, over the letters that texts are made of.
fn pattern(random: &mut Random, depth: usize) -> String {
    const ATOMS: [&str; 14] =
        ["a", "b", "1", ",", ".", "[^,]", "[^a]", "[ab]", "\"", ".*", "ab,", "[^\"]*", "é", "$"];
    let mut text = String::new();
    for _ in 0..=random.below(4) {
        match random.below(if depth == 0 { 4 } else { 7 }) {
            4 => text += &format!("({}|{})", pattern(random, depth - 1), pattern(random, depth - 1)),
            5 => text += &format!("({})*", pattern(random, depth - 1)),
            6 => text += &format!("({}){{{}}}", pattern(random, depth - 1), 1 + random.below(25)),
            _ => text += ATOMS[random.below(ATOMS.len())],
        }
    }
    text
}

/// A text of words that recur and, one in `rare`, of many others.
fn words(random: &mut Random, rare: usize) -> String {
    const WORDS: [&str; 9] = ["a", "ab", "\"a\"", "", "b1", "aaaaaaaaaaaaaaaaaa", "\"", "é", "a\nb"];
    let strange = random.one_in(8);
    let mut text = String::new();
    for _ in 0..random.below(150) {
        let known = if strange { WORDS.len() } else { WORDS.len() - 2 };
        match random.below(12) {
            _ if random.one_in(rare) => text += &format!("{}", random.below(10_000)),
            0 if strange => text += &"ab".repeat(random.below(100)),
            _ => text += WORDS[random.below(known)],
        }
        text.push(',');
    }
    if random.below(2) == 0 {
        text.pop();
    }
    text
}

#[test]
fn what_is_remembered_of_events_changes_no_answer() {
    let (mut random, seed) = random();
    // many states, any character
    let special = ["(.*b1,){3,20}", ".{300,330}", ".*ab.ab.*", ".*[0-9]{3}1,a.*"];
    for (count, rare) in [(1, 9), (10, 1), (8, 12), (40, 30), (70, 20), (90, 30)] {
        let mut rules = String::new();
        for i in 0..count {
            let pattern = match special.get(i / 2) {
                Some(special) if count > 3 => (*special).to_owned(),
                _ => pattern(&mut random, 2),
            };
            let pattern = pattern.replace('\\', "\\\\").replace('"', "\\\"");
            let (path, not) = (["x", "y"][i % 2], ["", "not "][random.below(2)]);
            rules += &format!(
                "- rule: r{i}\n  desc: d\n  output: o\n  priority: INFO\n  source: k8s_audit\n  condition: >\n    {not}\
                 jevt.value[/{path}] regex \"{pattern}\"\n"
            );
        }
        let loaded = load(&[Source { name: "rules", text: &rules }]);
        let rules =
            loaded.rules.unwrap_or_else(|| panic!("PSP2FALCO_SEED={seed}: {:?}\n{rules}", loaded.findings));
        let mut evaluator = rules.evaluator();
        for _ in 0..1500 {
            let event = serde_json::json!({
                "kind": "Event", "auditID": "a", "stageTimestamp": "2026-11-23T00:00:00Z",
                "x": words(&mut random, rare), "y": [words(&mut random, rare), {"z": words(&mut random, rare)}],
            });
            let event = event.to_string();
            let event = Event::parse(event.as_bytes()).unwrap();
            let names = |rules: Vec<&Rule>| rules.into_iter().map(|r| r.name.clone()).collect::<Vec<_>>();
            let (plain, first) = (names(rules.alerts(&event)), rules.first_alert(&event).map(|r| &r.name));
            let text = String::from_utf8_lossy(event.text());
            assert_eq!(names(evaluator.alerts(&event)), plain, "PSP2FALCO_SEED={seed}: {text}");
            assert_eq!(
                evaluator.first_alert(&event).map(|r| &r.name),
                first,
                "PSP2FALCO_SEED={seed}: {text}"
            );
        }
    }
}

const CONDITION_SPICE: [&[u8]; 24] = [
    b"(",
    b")",
    b"not ",
    b" and ",
    b" or ",
    b"\"",
    b"'",
    b"\\",
    b"[",
    b"]",
    b" in (",
    b"regex '",
    b"{1,9}",
    b"*",
    b"<NA>",
    b"val(",
    b"tolower(",
    b"join(\",\", ",
    b"getopt(",
    b" anyof (",
    b"pmatch (",
    b"\xff",
    b"\0",
    b"exists",
];

#[test]
fn any_condition_is_refused_or_evaluated() {
    let (mut random, seed) = random();
    let probes = crate::common::lines("engine-probes.jsonl.gz");
    let conditions: Vec<String> = probes[1..]
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["condition"].as_str().unwrap().to_owned())
        .collect();
    let line = crate::common::lines("single/audit.jsonl.gz").remove(40);
    let event = Event::parse(line.as_bytes()).unwrap();
    let mut loaded = 0;
    for _ in 0..3000 {
        let base = &conditions[random.below(conditions.len())];
        let spoilt = spoilt(&mut random, base.as_bytes(), &CONDITION_SPICE);
        let condition = String::from_utf8_lossy(&spoilt).into_owned();
        let rule = serde_json::json!([{
            "rule": "r", "desc": "d", "condition": condition, "output": format!("%{condition}"), "priority": "NOTICE",
            "source": "k8s_audit",
        }]);
        ends(seed, &spoilt, || {
            if let Ok(tree) = parse(&condition) {
                let printed = tree.to_string();
                assert_eq!(parse(&printed).map(|again| again.to_string()).ok().as_ref(), Some(&printed));
            }
            let plain = rule.to_string().replace(&format!("%{condition}"), "o");
            for text in [rule.to_string(), plain] {
                if let Some(rules) = load(&[Source { name: "r.yaml", text: &text }]).rules {
                    evaluate(&rules, &event);
                    loaded += 1;
                }
            }
        });
    }
    println!("{loaded} of 6000 loaded");
    assert!(loaded > 100, "{loaded}");
}

const YAML_SPICE: [&[u8]; 18] = [
    b"\n",
    b"  ",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"|",
    b">",
    b"[",
    b"{",
    b"}",
    b"'",
    b"\"",
    b"!!str ",
    b"~",
    b"append: true\n",
    b"override: {items: append}\n",
    b"psps_exempt",
];

#[test]
fn any_rules_file_is_refused_or_loaded() {
    let (mut random, seed) = random();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let texts = [
        read("fixtures/expected/policies/kubernetes-baseline.yaml"),
        read("fixtures/tuning/psp_tuning.yaml"),
        read("fixtures/lint/typos.yaml"),
    ];
    for _ in 0..400 {
        let spoilt: Vec<String> = texts
            .iter()
            .map(|text| {
                String::from_utf8_lossy(&spoilt(&mut random, text.as_bytes(), &YAML_SPICE)).into_owned()
            })
            .collect();
        let all = spoilt.join("\n---\n");
        ends(seed, all.as_bytes(), || {
            let sources: Vec<Source<'_>> =
                spoilt.iter().map(|text| Source { name: "r.yaml", text }).collect();
            for finding in load(&sources).findings {
                assert!(!finding.to_string().is_empty());
            }
        });
    }
}

const JSON_SPICE: [&[u8]; 16] = [
    b"\n",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\\u00e9",
    b"\\ud83d",
    b"null",
    b"1e999",
    b"\xff",
    b"\0",
    b"{\"kind\":\"EventList\",\"items\":[",
];

fn run(bytes: &[u8], rules: &RuleSet, format: Format, threads: usize) -> (Outcome, Vec<u8>) {
    let log = Log::new("log", Cursor::new(bytes.to_vec()), &Arc::default()).unwrap();
    let options = Options { matching: Matching::All, format, threads };
    let mut written = Vec::new();
    let mut write = |text: &[u8]| {
        written.extend_from_slice(text);
        Ok(())
    };
    let outcome = replay(vec![log], rules, &options, &mut write).unwrap();
    (outcome, written)
}

#[test]
fn any_log_is_judged_or_reported_the_same_on_all_threads() {
    let (mut random, seed) = random();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("fixtures/expected/policies/every-field.yaml")).unwrap();
    let rules = load(&[Source { name: "r.yaml", text: &text }]).rules.unwrap();
    let lines = crate::common::lines("single/audit.jsonl.gz");
    let mut judged = 0;
    for _ in 0..250 {
        let mut log = Vec::new();
        for _ in 0..random.below(12) {
            let line = &lines[random.below(lines.len())];
            let spoilt = if random.below(3) == 0 {
                line.clone().into_bytes()
            } else {
                spoilt(&mut random, line.as_bytes(), &JSON_SPICE)
            };
            log.extend(spoilt);
            log.push(b'\n');
        }
        if random.below(4) == 0 {
            log.splice(0..0, *b"[\n");
        }
        ends(seed, &log, || {
            let (one, written) = run(&log, &rules, Format::Json, 1);
            let (three, same) = run(&log, &rules, Format::Json, 3);
            assert_eq!(written, same);
            assert_eq!(
                (one.lines, one.events, one.alerts, &one.troubles),
                (three.lines, three.events, three.alerts, &three.troubles)
            );
            let (table, nothing) = run(&log, &rules, Format::Table, 2);
            assert_eq!((table.alerts, nothing.len()), (one.alerts, 0));
            assert_eq!(table.summary.table(None, Paint::default()).lines().count() > 1, one.alerts > 0);
            assert_eq!(one.alerts, written.iter().filter(|b| **b == b'\n').count() as u64);
            judged += one.events;
        });
    }
    assert!(judged > 100, "{judged}");
}
