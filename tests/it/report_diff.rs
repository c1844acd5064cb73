//! "Matches more" and "matches fewer" are never contradicted: random edits of conditions, evaluated over recorded events.
//!
//! A failure prints its seed; `PSP2FALCO_SEED=… cargo test --test it report_diff::` runs it again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use crate::common::Recording;
use crate::common::random::Random;
use falco_rules::{Event, Source, load};
use psp2falco::render::{Options, audit_rules};
use psp2falco::report::diff::{Diff, Matches, compare};

const SPEC: &str = "jevt.value[/responseObject/spec]";
const VERBS: [&str; 4] = ["create", "patch", "update", "get"];
const VALUES: [&str; 6] = ["true", "false", "0", "1000", "default", "gvisor"];
const POINTERS: [&str; 6] = [
    "/responseObject/spec/hostNetwork",
    "/responseObject/spec/hostPID",
    "/responseObject/spec/runtimeClassName",
    "/responseObject/spec/securityContext/runAsUser",
    "/responseObject/spec/serviceAccountName",
    "/responseObject/metadata/annotations",
];
const TEXTS: [&str; 6] = [
    "\"privileged\":true",
    "\"hostPort\":",
    "\"runAsUser\":",
    "\"add\":[\"",
    "\"hostPath\":{\"path\":\"/var",
    "\"readOnlyRootFilesystem\":true",
];
const PATTERNS: [&str; 8] = [
    ".*\"hostPort\":[1-9].*",
    ".*\"hostPort\":([1-9]|[1-7][0-9])[,}].*",
    ".*\"hostPort\":(80|443)[,}].*",
    ".*\"hostPort\":([1-9]|[1-9][0-9]{1,4})[,}].*",
    ".*\"runAsUser\":(0|[1-9][0-9]{0,2})[,}].*",
    ".*\"runAsUser\":[0-9]*[,}].*",
    ".*\"name\":\"[^\"]*\",\"(nfs|hostPath)\":.*",
    ".*\"name\":\"[^\"]*\",\"(nfs|hostPath|csi|iscsi)\":.*",
];

/// A condition before it becomes text, so that it can be edited.
#[derive(Clone)]
enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Leaf(String),
}

impl Tree {
    fn random(random: &mut Random, depth: usize) -> Self {
        match random.below(if depth == 0 { 1 } else { 5 }) {
            0 | 1 => Tree::Leaf(leaf(random)),
            2 => Tree::And((0..2 + random.below(2)).map(|_| Tree::random(random, depth - 1)).collect()),
            3 => Tree::Or((0..2 + random.below(2)).map(|_| Tree::random(random, depth - 1)).collect()),
            _ => Tree::Not(Box::new(Tree::random(random, depth - 1))),
        }
    }

    fn text(&self) -> String {
        let join = |parts: &[Tree], word: &str| {
            parts.iter().map(|p| format!("({})", p.text())).collect::<Vec<_>>().join(word)
        };
        match self {
            Tree::And(parts) => join(parts, " and "),
            Tree::Or(parts) => join(parts, " or "),
            Tree::Not(part) => format!("not ({})", part.text()),
            Tree::Leaf(text) => text.clone(),
        }
    }

    /// One change somewhere.
    fn edit(&mut self, random: &mut Random) {
        match self {
            Tree::And(parts) | Tree::Or(parts) => match random.below(5) {
                0 if parts.len() > 1 => {
                    parts.remove(random.below(parts.len()));
                }
                1 => parts.push(Tree::Leaf(leaf(random))),
                2 => parts.reverse(),
                _ => {
                    let index = random.below(parts.len());
                    parts[index].edit(random);
                }
            },
            Tree::Not(part) => part.edit(random),
            Tree::Leaf(text) => match random.below(4) {
                0 => *text = leaf(random),
                1 => {
                    let inner = Tree::Leaf(text.clone());
                    *self = Tree::Or(vec![inner, Tree::Leaf(leaf(random))]);
                }
                2 => {
                    let inner = Tree::Leaf(text.clone());
                    *self = Tree::And(vec![inner, Tree::Leaf(leaf(random))]);
                }
                _ => *self = Tree::Not(Box::new(Tree::Leaf(text.clone()))),
            },
        }
    }
}

fn leaf(random: &mut Random) -> String {
    let pointer = random.pick(&POINTERS);
    match random.below(9) {
        0 => format!("ka.verb={}", random.pick(&VERBS)),
        1 => format!("ka.verb in ({}, {})", random.pick(&VERBS), random.pick(&VERBS)),
        2 => format!("jevt.value[{pointer}] exists"),
        3 => format!("jevt.value[{pointer}]={}", random.pick(&VALUES)),
        4 => format!("jevt.value[{pointer}] in ({}, {})", random.pick(&VALUES), random.pick(&VALUES)),
        5 => format!("{SPEC} contains '{}'", random.pick(&TEXTS)),
        6 | 7 => format!("{SPEC} regex '{}'", random.pick(&PATTERNS)),
        _ => "some_list_or_macro".to_owned(),
    }
}

/// A rules file with one rule, a part of it a macro.
fn file(tree: &Tree, part: &str) -> String {
    let condition = tree.text().replace("some_list_or_macro", "part");
    format!(
        "- list: verbs\n  items: [create, patch]\n- macro: part\n  condition: {}\n- rule: R\n  desc: A rule.\n  condition: {}\n  output: seen\n  priority: NOTICE\n  source: k8s_audit\n",
        serde_json::json!(part),
        serde_json::json!(condition),
    )
}

/// For each rule of a file, the events that it matches.
type Matched = Vec<(String, Vec<bool>)>;

/// What a file's rules match of `events`.
fn matched(text: &str, events: &[&str]) -> Matched {
    let loaded = load(&[Source { name: "rules.yaml", text }]);
    let rules = loaded.rules.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings));
    let mut all: Matched =
        rules.rules().iter().map(|r| (r.name.clone(), vec![false; events.len()])).collect();
    for (i, line) in events.iter().enumerate() {
        for alert in rules.alerts(&Event::parse(line.as_bytes()).unwrap()) {
            all.iter_mut().find(|(name, _)| *name == alert.name).unwrap().1[i] = true;
        }
    }
    all
}

/// Holds what is said against what happens; counts what was decided.
fn hold(
    diff: &Diff,
    old: &[(String, Vec<bool>)],
    new: &[(String, Vec<bool>)],
    what: &str,
    decided: &mut [usize; 4],
) {
    for (name, before) in old {
        let Some((_, after)) = new.iter().find(|(n, _)| n == name) else { continue };
        let change = diff.rules.iter().find(|r| r.rule == *name);
        let said = change.and_then(|c| c.matches);
        let within = |these: &[bool], those: &[bool]| these.iter().zip(those).all(|(l, r)| !l || *r);
        let (more, fewer) = (within(before, after), within(after, before));
        let holds = match said {
            None | Some(Matches::Same) => more && fewer,
            Some(Matches::More) => more,
            Some(Matches::Fewer) => fewer,
            Some(Matches::Other) => true,
        };
        assert!(holds, "{name} is said to match {said:?}\n{what}");
        decided[match said {
            None | Some(Matches::Same) => 0,
            Some(Matches::More) => 1,
            Some(Matches::Fewer) => 2,
            Some(Matches::Other) => 3,
        }] += 1;
    }
}

/// Every so many of the recorded events.
fn events(recording: &Recording, step: usize) -> Vec<&str> {
    recording.events.values().step_by(step).map(String::as_str).collect()
}

#[test]
fn what_random_edits_are_said_to_do_they_do() {
    let recording = Recording::load();
    let events = events(recording, 9);
    let given = std::env::var("PSP2FALCO_SEED").ok().map(|s| s.parse::<u64>().unwrap());
    let mut decided = [0; 4];
    for seed in given.map_or(0..300, |seed| seed..seed + 1) {
        let mut random = Random(seed);
        let part = Tree::Leaf("ka.verb in (verbs)".to_owned());
        let tree = Tree::random(&mut random, 3);
        let (mut new_tree, mut new_part) = (tree.clone(), part.clone());
        for _ in 0..=random.below(2) {
            new_tree.edit(&mut random);
        }
        if random.below(3) == 0 {
            new_part = Tree::Leaf(
                random.pick(&["ka.verb=create", "ka.verb in (verbs, update)", "ka.verb exists"]).to_string(),
            );
        }
        let old = file(&tree, &part.text());
        let new = file(&new_tree, &new_part.text());
        let diff = compare(&old, &new, &[]);
        let what = format!("PSP2FALCO_SEED={seed}\n{old}\n{new}");
        hold(&diff, &matched(&old, &events), &matched(&new, &events), &what, &mut decided);
    }
    if given.is_none() {
        assert!(decided[1] > 40 && decided[2] > 40, "it decides often: {decided:?}");
    }
}

#[test]
fn what_is_said_of_other_policies_rules_is_so() {
    let recording = Recording::load();
    let events = events(recording, 12);
    let made: Vec<(String, Matched)> = recording
        .located
        .values()
        .step_by(3)
        .map(|located| {
            let mut located = located.clone();
            located.policy.name = "p".to_owned();
            let text = audit_rules(&[located], &Options::default()).unwrap().text;
            let matched = matched(&text, &events);
            (text, matched)
        })
        .collect();
    let mut decided = [0; 4];
    for pair in made.windows(2) {
        let [(old, before), (new, after)] = pair else { panic!("a pair") };
        let diff = compare(old, new, &[]);
        hold(&diff, before, after, &format!("{old}\n{new}"), &mut decided);
    }
    assert!(decided[1] + decided[2] > 5, "it decides: {decided:?}");
}
