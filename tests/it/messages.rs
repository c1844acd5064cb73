//! Every message is on record: what `src/messages` words stands in `fixtures/expected/help/errors.txt` or
//! `errors-scan.txt`, or in the list here of what no test can bring about. Clippy sees to it that errors are made of
//! these messages (`clippy.toml`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::snapshot::root;
use regex::Regex;

/// Messages that no run here brings about, as `room::name`, by the reason.
const NEVER_SEEN: &[(&str, &[&str])] = &[
    (
        "it takes hundreds of megabytes; tests/it/faults.rs has some of these in `heavy` tests",
        &[
            "read::too_large",
            "read::unpacks_to_more",
            "read::too_many_members",
            "read::too_many_objects",
            "yaml::too_many_values",
            "replay::too_long",
        ],
    ),
    ("a gigabyte of a file's name: tests/it/faults.rs", &["read::long_member_name"]),
    (
        "the disk or its permissions fail; root may do everything: tests/it/faults.rs",
        &["read::no_permission", "write::no_file", "write::not_written", "write::not_put_back"],
    ),
    (
        "the network or a proxy fails in ways that a loopback does not",
        &[
            "cluster::no_network",
            "cluster::no_client",
            "cluster::credentials",
            "cluster::certificate",
            "cluster::no_connection",
            "cluster::no_answer",
            "cluster::large_answer",
        ],
    ),
    (
        "what comes before leaves no way here",
        &["cluster::expired", "commands::broken_exceptions", "commands::no_objects", "replay::no_audit_log"],
    ),
];

/// The fixed parts of a format string.
fn fixed(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let parts = Regex::new(r"\{[^{}]*\}").unwrap();
    parts.split(&text).map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}")).collect()
}

/// A pattern of what a wording becomes.
fn pattern(text: &str) -> String {
    let parts: Vec<String> = fixed(text).iter().map(|part| regex::escape(part)).collect();
    parts.join("[^\n]*?")
}

fn record() -> String {
    ["errors.txt", "errors-scan.txt"]
        .map(|name| fs::read_to_string(root().join("fixtures/expected/help").join(name)).unwrap())
        .concat()
}

#[test]
fn every_wording_is_on_record() {
    let record = record();
    let never: Vec<&str> = NEVER_SEEN.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for (room, message) in psp2falco::messages::all() {
        let name = format!("{room}::{}", message.name);
        let whole = if message.cure.is_empty() { "" } else { "; " };
        let shown = Regex::new(&(pattern(message.text) + whole + &pattern(message.cure))).unwrap();
        match (shown.is_match(&record), never.contains(&name.as_str())) {
            (false, false) => wrong.push(format!("{name}: {:?} was never seen", message.text)),
            (true, true) => wrong.push(format!("NEVER_SEEN: {name} is on record; take it off")),
            _ => {}
        }
        for part in [message.text, message.cure] {
            let names = ["Helm", "Kubernetes", "RunAsAny", "TLS", "JSON", "Falco"];
            let is_capital = part.starts_with(|c: char| c.is_uppercase());
            if part.ends_with('.') || is_capital && !names.iter().any(|name| part.starts_with(name)) {
                wrong.push(format!("{name}: {part:?}: lower case, and no full stop"));
            }
        }
        names.push(name);
    }
    let idle = never.iter().filter(|name| !names.iter().any(|known| known == *name));
    wrong.extend(idle.map(|name| format!("NEVER_SEEN: {name} is no message; take it off")));
    assert!(
        wrong.is_empty(),
        "\n{}\n\nBring these about in tests/it/errors.rs or tests/it/errors_scan.rs, or say in NEVER_SEEN why that cannot be.\n",
        wrong.join("\n")
    );
    assert!(names.len() > 200, "only {} messages were found", names.len());
}
