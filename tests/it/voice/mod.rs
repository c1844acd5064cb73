//! The record of what the program says, and the one voice that it says it in.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fmt::Write as _;

use regex::Regex;

/// A part of the record; of a long answer, its beginning and its end.
pub fn section(what: &str, args: &[&str], said: &str, results: &[&str]) -> String {
    let mut text = format!("# {what}\n");
    if args != ["convert", "psp.yaml"] {
        let quoted = |arg: &&str| {
            if arg.contains(' ') || arg.is_empty() { format!("'{arg}'") } else { (*arg).to_owned() }
        };
        let _ = writeln!(text, "$ psp2falco {}", args.iter().map(quoted).collect::<Vec<_>>().join(" "));
    }
    let lines: Vec<&str> = said.lines().chain(results.iter().copied()).collect();
    const MOST: usize = 16;
    for (n, line) in lines.iter().enumerate() {
        if lines.len() <= MOST || n < 4 || n + 4 > lines.len() {
            let _ = writeln!(text, "{line}");
        } else if n == 4 {
            let _ = writeln!(text, "(and {} lines)", lines.len() - 7);
        }
    }
    text + "\n"
}

/// What is wrong with the messages of a section: each is to start with its place, in lower case but for names, to say
/// what to do, and to end without a full stop.
pub fn faults(section: &str, failed: bool) -> Vec<String> {
    // file, flag, command, address, release or object; then, within a file, line, column and field
    let place = Regex::new(
        r"^(?:(?:[\w./*-]+|helm:\S+|https?://\S+?|in-cluster|items|RBAC|rule '[^']+'|standard output|-|--[a-z-]+(?: \S+)?)(?::\d+)*(?:, [\w./-]+)*: )+(.*)$",
    )
    .unwrap();
    let name = Regex::new(
        r"^(?:RunAsAny|MustRunAs|MayRunAs|JSON|TLS|Kubernetes|Falco|Helm|ClusterRole|Role|ClusterRoleBinding|RoleBinding)\b",
    )
    .unwrap();
    let system = Regex::new(r"\(os error \d+\)$").unwrap();
    let mut faults = Vec::new();
    let what = section.lines().next().unwrap_or_default();
    let marked = |line: &&str| line.starts_with("warning: ") || line.starts_with("note: ");
    for line in section.lines().filter(|line| is_message(line) && (failed || marked(line))) {
        let mut fault = |fault: &str| faults.push(format!("{what}: {fault}: {line}"));
        let text = line.trim_start_matches("warning: ").trim_start_matches("note: ");
        let Some(message) = place.captures(text).map(|found| found[1].to_owned()) else {
            fault("starts with no place");
            continue;
        };
        // what the operating system says stands as it says it
        let own = system.replace(&message, "");
        if own.starts_with(char::is_uppercase) && own == message && !name.is_match(&message) {
            fault("begins with a capital");
        }
        if message.ends_with('.') || message.contains(". ") {
            fault("has a full stop");
        }
        if line.chars().count() > 500 {
            fault("is too long");
        }
    }
    faults
}

/// Is a line of a section a message, and not its title, its command or more about the line before?
fn is_message(line: &str) -> bool {
    // what the parser of the command line says stands as it says it
    let others = [
        "# ",
        "$ ",
        "  ",
        "(and ",
        "- ",
        "and ",
        "error: ",
        "For more ",
        "passed over ",
        "0 alerts ",
        "1 policy, ",
        "scope: ",
        "running containers",
    ];
    // and what Falco says, as Falco says it
    let foreign = line.contains(": error: LOAD_");
    !line.is_empty() && !foreign && !others.iter().any(|start| line.starts_with(start))
}
