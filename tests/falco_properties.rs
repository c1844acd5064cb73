//! Whatever the rules and the log: the model of Falco refuses or answers, and does neither panic nor loop.
//!
//! A failure prints its seed; `PSP2FALCO_SEED=… cargo test --test falco_properties` runs it again.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod common;

use common::random::{Random, seed};

use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

use psp2falco::falco::condition::parse;
use psp2falco::falco::{Event, RuleSet, Source, load};
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
    let probes = common::lines("engine-probes.jsonl.gz");
    let conditions: Vec<String> = probes[1..]
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["condition"].as_str().unwrap().to_owned())
        .collect();
    let line = common::lines("single/audit.jsonl.gz").remove(40);
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
    let lines = common::lines("single/audit.jsonl.gz");
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
            assert_eq!(table.summary.table().lines().count() > 1, one.alerts > 0);
            assert_eq!(one.alerts, written.iter().filter(|b| **b == b'\n').count() as u64);
            judged += one.events;
        });
    }
    assert!(judged > 100, "{judged}");
}
