//! The examples beside the regular expressions of macros: what one says it matches it matches, and what it says it does
//! not, it does not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;

use falco_rules::{Event, Source, load};
use psp_admission::Field;
use psp2falco::render::{Options, audit_rules};

use crate::common::random::{Random, seed};
use crate::properties::policy;
use crate::snapshot::{files, root};

/// Macros whose examples would be lists longer than `--max-containers` or `--max-volumes`.
const LONG: [&str; 2] = ["psps_more_containers", "psps_more_volumes"];

/// A pod that was made, of the text of its spec, or of its metadata and spec.
fn event(example: &str) -> String {
    let pod = if example.starts_with("{\"metadata\"") {
        example.trim_start_matches('{').to_owned()
    } else {
        format!("\"spec\":{example}}}")
    };
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","stageTimestamp":"2026-01-01T00:00:00.000000Z","stage":"ResponseComplete","verb":"create","objectRef":{{"resource":"pods","namespace":"a"}},"responseStatus":{{"code":201}},"responseObject":{{"kind":"Pod",{pod}}}"#
    )
}

/// A macro of a file, with the comment before it.
struct Macro {
    name: String,
    comment: Vec<String>,
    condition: String,
}

fn macros(text: &str) -> Vec<Macro> {
    let mut found: Vec<Macro> = Vec::new();
    let (mut comment, mut inside) = (Vec::new(), false);
    for line in text.lines() {
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.to_owned());
        } else if line.starts_with("- ") {
            let comment = std::mem::take(&mut comment);
            let name = line.strip_prefix("- macro: ");
            inside = name.is_some();
            found.extend(name.map(|name| Macro { name: name.to_owned(), comment, condition: String::new() }));
        } else if inside && let Some(last) = found.last_mut() {
            last.condition.push_str(line);
        }
    }
    found
}

/// The field that a macro of a policy's own is of.
fn of_field(name: &str) -> Option<Field> {
    Field::ALL.into_iter().find(|field| name.ends_with(&format!("__{}", field.name())))
}

/// What is wrong with the examples of some macros of a file, and the macros that have some.
fn wrong_examples(text: &str, macros: &[Macro]) -> (Vec<String>, BTreeSet<String>) {
    let mut rules = text.to_owned();
    for Macro { name, .. } in macros {
        rules.push_str(&format!(
            "\n- rule: probe {name}\n  desc: d\n  condition: {name}\n  output: o\n  priority: INFO\n  source: k8s_audit\n"
        ));
    }
    let set = load(&[Source { name: "rules", text: &rules }]).rules.unwrap();
    let (mut problems, mut held) = (Vec::new(), BTreeSet::new());
    for Macro { name, comment, condition } in macros {
        let mut examples = 0;
        for line in comment {
            let (example, matches) =
                match (line.strip_prefix("   matches "), line.strip_prefix("   but not ")) {
                    (Some(example), _) => (example, true),
                    (_, Some(example)) => (example, false),
                    _ => continue,
                };
            examples += 1;
            held.insert(name.clone());
            let event = event(example);
            let event =
                Event::parse(event.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}: {event}"));
            let probe = format!("probe {name}");
            if set.alerts(&event).iter().any(|rule| rule.name == probe) != matches {
                let problem = if matches { "does not match" } else { "matches" };
                problems.push(format!("{name}: {problem} {example}"));
            }
        }
        if condition.contains(" regex ") && examples != 2 && !LONG.contains(&name.as_str()) {
            problems.push(format!(
                "{name}: a regular expression needs an example that it matches and one that it does not"
            ));
        }
    }
    (problems, held)
}

#[test]
fn examples_match_or_not_as_they_say() {
    let template = fs::read_to_string(root().join("templates/audit/shared.yaml.hbs")).unwrap();
    let shared: BTreeSet<&str> = template.lines().filter_map(|line| line.strip_prefix("- macro: ")).collect();
    let folder = root().join("fixtures/expected");
    let (mut problems, mut held) = (Vec::new(), BTreeSet::new());
    let mut known = BTreeSet::new();
    for path in files(&folder) {
        let text = fs::read_to_string(folder.join(&path)).unwrap();
        let audit =
            text.starts_with("# Falco rules for the Kubernetes audit log") && text.contains("name: json");
        if !audit || text.contains("/requestObject/spec]") {
            continue;
        }
        let fresh: Vec<Macro> = macros(&text)
            .into_iter()
            .filter(|m| shared.contains(&*m.name) || of_field(&m.name).is_some())
            .filter(|m| known.insert((m.name.clone(), m.condition.clone())))
            .collect();
        let (wrong, with_examples) = wrong_examples(&text, &fresh);
        problems.extend(wrong);
        held.extend(with_examples);
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    let written = template.lines().filter(|line| line.starts_with("#   matches ")).count();
    let held_shared = held.iter().filter(|name| shared.contains(&***name)).count();
    assert_eq!(held_shared, written, "no expected file uses the other macros with examples");
    let fields: BTreeSet<Field> = held.iter().filter_map(|name| of_field(name)).collect();
    let has_examples = |field: &&Field| {
        let template = format!("templates/audit/{}.yaml.hbs", field.name());
        fs::read_to_string(root().join(template)).unwrap().contains("#   matches ")
    };
    let untried: Vec<_> =
        Field::ALL.iter().filter(has_examples).filter(|field| !fields.contains(field)).collect();
    assert!(untried.is_empty(), "no expected file uses the macros with examples of {untried:?}");
}

#[test]
fn examples_hold_whatever_a_policy_lists() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    for _ in 0..120 {
        let value = policy(&mut random);
        let located = crate::common::policy(&value);
        let text = audit_rules(std::slice::from_ref(&located), &Options::default()).unwrap().text;
        let own: Vec<Macro> = macros(&text).into_iter().filter(|m| of_field(&m.name).is_some()).collect();
        let (problems, _) = wrong_examples(&text, &own);
        assert!(problems.is_empty(), "PSP2FALCO_SEED={seed}\n{}\n{value}", problems.join("\n"));
    }
}
