//! The examples beside the regular expressions of the shared macros: what one says it matches it matches, and what it
//! says it does not, it does not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use falco_rules::{Event, Source, load};

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

/// A shared macro of a file, with the comment before it.
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
            inside = line.starts_with("- macro: psps_");
            if inside {
                let name = line.trim_start_matches("- macro: ").to_owned();
                found.push(Macro { name, comment, condition: String::new() });
            }
        } else if inside && let Some(last) = found.last_mut() {
            last.condition.push_str(line);
        }
    }
    found
}

#[test]
fn examples_match_or_not_as_they_say() {
    let template = fs::read_to_string(root().join("templates/audit/shared.yaml.hbs")).unwrap();
    let shared: BTreeSet<&str> = template.lines().filter_map(|line| line.strip_prefix("- macro: ")).collect();
    let folder = root().join("fixtures/expected");
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for path in files(&folder) {
        let text = fs::read_to_string(folder.join(&path)).unwrap();
        let audit =
            text.starts_with("# Falco rules for the Kubernetes audit log") && text.contains("name: json");
        if !audit || text.contains("/requestObject/spec]") {
            continue;
        }
        let fresh: Vec<Macro> = macros(&text)
            .into_iter()
            .filter(|m| shared.contains(&*m.name) && known.insert(m.name.clone()))
            .collect();
        if fresh.is_empty() {
            continue;
        }
        let mut rules = text.clone();
        for Macro { name, .. } in &fresh {
            rules.push_str(&format!(
                "\n- rule: probe {name}\n  desc: d\n  condition: {name}\n  output: o\n  priority: INFO\n  source: k8s_audit\n"
            ));
        }
        let set = load(&[Source { name: "rules", text: &rules }]).rules.unwrap();
        for Macro { name, comment, condition } in &fresh {
            for line in comment {
                let (example, matches) =
                    match (line.strip_prefix("   matches "), line.strip_prefix("   but not ")) {
                        (Some(example), _) => (example, true),
                        (_, Some(example)) => (example, false),
                        _ => continue,
                    };
                *held.entry(name.clone()).or_default() += 1;
                let event = event(example);
                let event =
                    Event::parse(event.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}: {event}"));
                let probe = format!("probe {name}");
                if set.alerts(&event).iter().any(|rule| rule.name == probe) != matches {
                    problems.push(format!(
                        "{name}: {} {example}",
                        if matches { "does not match" } else { "matches" }
                    ));
                }
            }
            if condition.contains(" regex ") && held.get(name) != Some(&2) && !LONG.contains(&name.as_str()) {
                problems.push(format!(
                    "{name}: a regular expression needs an example that it matches and one that it does not"
                ));
            }
        }
    }
    let written = template.lines().filter(|line| line.starts_with("#   matches ")).count();
    assert_eq!(held.len(), written, "no expected file uses the other macros with examples");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
