//! A real Falco replays recorded system calls through the runtime rules.
//!
//! `PSP2FALCO_FALCO=/path/to/falco PSP2FALCO_SCAPS=folder cargo test --test it captures::` does it; without both it says that
//! it did not. Falco's configuration must load the container plugin, with the container runtime of the captures enabled.
//!
//! Beside each `NAME.scap` stands `NAME.expected.json`, a list of runs:
//! `[{"policy": "restricted.yaml", "options": ["--baseline"], "alerts": {"RULE": 1}}]`. The policy's path is relative to
//! the folder, the options are those of `convert` and may be left out; each rule named must alert that often or more,
//! and no other rule may.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use psp2falco::cli::Cli;
use psp2falco::commands;
use psp2falco::console::Console;
use serde_json::Value;

#[test]
fn captures_raise_the_expected_alerts() {
    let (Some(falco), Some(folder)) =
        (std::env::var_os("PSP2FALCO_FALCO"), std::env::var_os("PSP2FALCO_SCAPS"))
    else {
        // not `eprintln!`, which the test harness would swallow
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no capture was replayed; name a Falco and a folder with PSP2FALCO_FALCO and PSP2FALCO_SCAPS\n"
        );
        return;
    };
    let folder = Path::new(&folder).canonicalize().unwrap();
    let scap = |path: &PathBuf| path.extension().is_some_and(|e| e == "scap");
    let mut captures: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(scap).collect();
    captures.sort();
    assert!(!captures.is_empty(), "{}: no .scap in it", folder.display());
    let mut problems = Vec::new();
    for capture in captures {
        let expected = capture.with_extension("expected.json");
        let text = fs::read_to_string(&expected).unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
        let runs: Vec<Value> = serde_json::from_str(&text).unwrap();
        for run in &runs {
            let alerts = replay(&falco, &capture, &rules(&folder, run));
            let wanted = run["alerts"].as_object().unwrap();
            let missing = wanted.iter().filter(|(rule, n)| alerts.get(*rule).copied() < n.as_u64());
            let missing: Vec<&String> = missing.map(|(rule, _)| rule).collect();
            let strange: Vec<&String> = alerts.keys().filter(|rule| !wanted.contains_key(*rule)).collect();
            if !missing.is_empty() || !strange.is_empty() {
                let name = capture.file_name().unwrap().to_string_lossy();
                problems
                    .push(format!("{name} {}: missing {missing:?}, unexpected {strange:?}", run["policy"]));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The runtime rules that a run asks for.
fn rules(folder: &Path, run: &Value) -> String {
    let policy = folder.join(run["policy"].as_str().unwrap());
    let options = run["options"].as_array().into_iter().flatten().map(|o| o.as_str().unwrap().to_owned());
    let words = ["psp2falco", "convert", &policy.to_string_lossy(), "--layer", "runtime"].map(str::to_owned);
    let cli = Cli::try_parse_from(words.into_iter().chain(options)).unwrap();
    let mut out = Vec::new();
    commands::run(cli, &mut Console::new(&mut out, std::io::sink())).unwrap();
    String::from_utf8(out).unwrap()
}

/// How often each rule alerts on a capture.
fn replay(falco: &OsStr, capture: &Path, rules: &str) -> BTreeMap<String, u64> {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("rules.yaml");
    fs::write(&file, rules).unwrap();
    let output = Command::new(falco)
        .args(["-o", "engine.kind=replay", "-o", "json_output=true", "-o", "rule_matching=all", "-o"])
        .arg(format!("engine.replay.capture_file={}", capture.display()))
        .arg("-r")
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut alerts = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|l| l.starts_with('{')) {
        let alert: Value = serde_json::from_str(line).unwrap();
        *alerts.entry(alert["rule"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    alerts
}
