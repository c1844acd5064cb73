//! Golden files: what every policy under `fixtures/psp` becomes stands under `fixtures/expected`, at the same path.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it golden::` writes the expected files; people review them. With a Falco at hand,
//! `PSP2FALCO_FALCO=/path/to/falco` has it load each of them (its configuration must load the k8saudit, json and
//! container plugins).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::snapshot::{check, cure, entries, files, report, root, updating};
use clap::Parser as _;
use psp_admission::Field;
use psp2falco::cli::Cli;
use psp2falco::commands;
use psp2falco::console::Console;

/// Whole policies, in a folder beside those of the fields.
const POLICIES: &str = "policies";
/// What every field's folder holds at least: the field left out, with a usual value, and with the widest value.
const CASES: [&str; 3] = ["unset.yaml", "restrictive.yaml", "permissive.yaml"];
/// Templates that belong to no field.
const PARTIALS: [(&str, &[&str]); 2] = [
    ("audit", &["shared", "policy", "violation", "lost_default", "output", "incomplete", "set"]),
    ("runtime", &["shared", "policy", "violation", "output", "baseline"]),
];
/// Where the runtime rules of every policy that has some are expected.
const RUNTIME: &str = "runtime";
/// Where the baseline is expected, beside them.
const BASELINE: &str = "runtime/baseline.yaml";

fn inputs() -> PathBuf {
    root().join("fixtures/psp")
}

fn expected() -> PathBuf {
    root().join("fixtures/expected")
}

/// The expected files that stand for a policy; the command line's own lie in `help`, the reports in `report`, those of
/// a whole cluster in `cluster`, those with RBAC in `rbac`, those for the plugin in `plugin`.
fn expected_files() -> Vec<PathBuf> {
    let other = |path: &PathBuf| {
        ["cluster", "evidence", "help", "init", "plugin", "rbac", "report", "repositories"]
            .iter()
            .any(|folder| path.starts_with(folder))
    };
    files(&expected()).into_iter().filter(|path| !other(path)).collect()
}

/// What `psp2falco convert` prints for one input.
fn convert(input: &Path) -> Result<String, String> {
    convert_with(input, &[])
}

/// What `psp2falco convert` prints for one input and options.
fn convert_with(input: &Path, options: &[&str]) -> Result<String, String> {
    let words = [Path::new("psp2falco"), Path::new("convert"), input];
    let cli = Cli::try_parse_from(words.into_iter().chain(options.iter().map(Path::new))).unwrap();
    let mut out = Vec::new();
    commands::run(cli, &mut Console::new(&mut out, std::io::sink()))
        .map_err(|error| format!("{}: {error:#}", input.display()))?;
    Ok(String::from_utf8(out).unwrap())
}

/// The names of the rules in a file.
fn rules(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("- rule: ")).collect()
}

#[test]
fn every_policy_gives_its_expected_rules() {
    let inputs = inputs();
    let one =
        |path: &PathBuf| convert(&inputs.join(path)).and_then(|text| check(&expected().join(path), &text));
    let mut problems: Vec<String> = files(&inputs).iter().filter_map(|path| one(path).err()).collect();

    let known: BTreeSet<PathBuf> = files(&inputs).into_iter().collect();
    let audit = expected_files().into_iter().filter(|path| !path.starts_with(RUNTIME));
    for extra in audit.filter(|path| !known.contains(path)) {
        if updating() {
            fs::remove_file(expected().join(&extra)).unwrap();
        } else {
            problems
                .push(format!("fixtures/expected/{}: nothing in fixtures/psp gives this", extra.display()));
        }
    }
    report(&problems, "golden");
}

#[test]
fn every_policy_gives_its_expected_runtime_rules() {
    let mut files: Vec<(PathBuf, String)> = files(&inputs())
        .into_iter()
        .map(|path| (path.clone(), convert_with(&inputs().join(path), &["--layer", "runtime"]).unwrap()))
        .filter(|(_, text)| !rules(text).is_empty())
        .map(|(path, text)| (Path::new(RUNTIME).join(path), text))
        .collect();
    let open = inputs().join(POLICIES).join("kubernetes-privileged.yaml");
    let baseline = convert_with(&open, &["--layer", "runtime", "--baseline"]).unwrap();
    files.push((BASELINE.into(), baseline));
    let mut problems: Vec<String> =
        files.iter().filter_map(|(path, text)| check(&expected().join(path), text).err()).collect();

    let known: BTreeSet<&PathBuf> = files.iter().map(|(path, _)| path).collect();
    let runtime = expected_files().into_iter().filter(|path| path.starts_with(RUNTIME));
    for extra in runtime.filter(|path| !known.contains(path)) {
        if updating() {
            fs::remove_file(expected().join(&extra)).unwrap();
        } else {
            problems
                .push(format!("fixtures/expected/{}: nothing in fixtures/psp gives this", extra.display()));
        }
    }
    report(&problems, "golden");
}

#[test]
fn runtime_rules_keep_their_promises() {
    let text = convert_with(&inputs(), &["--layer", "runtime", "--baseline"]).unwrap();
    let names = rules(&text);
    let distinct: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a later rule of the same name would replace the earlier one");
    for rule in text.split("- rule: ").skip(1) {
        let name = rule.lines().next().unwrap();
        let line = |key: &str| rule.lines().find_map(|l| l.trim().strip_prefix(key)).unwrap_or_default();
        assert_eq!(line("source: "), "syscall", "{name}");
        assert!(name.ends_with(" System Activity") || name.starts_with("PSP Baseline "), "{name}");
        let critical = ["privileged", "hostPID", "hostIPC", "hostNetwork"];
        let exact = critical.iter().any(|field| name.ends_with(&format!("({field}) System Activity")));
        assert_eq!(line("priority: ") == "CRITICAL", exact, "{name}");
    }
    // the two files are loaded together, and names of macros and lists are global
    let defined = |text: &str| -> BTreeSet<String> {
        let names = text.lines().filter_map(|l| l.strip_prefix("- macro: ").or(l.strip_prefix("- list: ")));
        names.map(str::to_owned).collect()
    };
    let audit = convert(&inputs()).unwrap();
    assert_eq!(defined(&audit).intersection(&defined(&text)).next(), None);
}

#[test]
fn every_field_has_its_fixtures_and_its_template() {
    let mut problems = Vec::new();
    let fields: BTreeSet<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    for field in &fields {
        for case in CASES.iter().filter(|case| !inputs().join(field).join(case).is_file()) {
            problems
                .push(format!("fixtures/psp/{field}/{case}: missing; write it, then run {}", cure("golden")));
        }
        for (layer, _) in PARTIALS {
            if !root().join(format!("templates/{layer}/{field}.yaml.hbs")).is_file() {
                problems.push(format!("templates/{layer}/{field}.yaml.hbs: missing; write it"));
            }
        }
    }
    for path in entries(&inputs()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name != POLICIES && !fields.contains(name.as_str()) {
            problems.push(format!("fixtures/psp/{name}: is no field; git rm -r fixtures/psp/{name}"));
        }
    }
    for (layer, partials) in PARTIALS {
        for path in entries(&root().join("templates").join(layer)) {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let known = file
                .strip_suffix(".yaml.hbs")
                .is_some_and(|name| fields.contains(name) || partials.contains(&name));
            if !known {
                let path = format!("templates/{layer}/{file}");
                problems.push(format!("{path}: belongs to no field; git rm {path}"));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Fields whose policies the API server takes only if another field is restricted too, or that alert under the name
/// of another field.
const NEIGHBOURS: [(&str, &str); 3] = [
    ("requiredDropCapabilities", "allowedCapabilities"),
    ("forbiddenSysctls", "allowedUnsafeSysctls"),
    ("defaultAllowPrivilegeEscalation", "allowPrivilegeEscalation"),
];

#[test]
fn a_field_s_fixtures_show_that_field_alone() {
    for field in Field::ALL.map(Field::name) {
        for path in files(&inputs().join(field)) {
            let text = convert(&inputs().join(field).join(&path)).unwrap();
            let rules = rules(&text);
            let of = |name: &str, rule: &str| rule.ends_with(&format!("({name})"));
            let strange = rules.iter().find(|rule| {
                let neighbour = NEIGHBOURS.iter().any(|(own, other)| *own == field && of(other, rule));
                !of(field, rule) && !neighbour && **rule != "PSP Audit Event Incomplete"
            });
            assert_eq!(strange, None, "fixtures/psp/{field}/{}", path.display());
            let restricts = rules.len() > 1;
            if path == Path::new("restrictive.yaml") {
                assert!(restricts, "fixtures/psp/{field}/restrictive.yaml restricts nothing");
            }
            // a default is filled in whatever its value
            if path == Path::new("permissive.yaml") && field != "defaultAllowPrivilegeEscalation" {
                assert!(!restricts, "fixtures/psp/{field}/permissive.yaml restricts: {rules:?}");
            }
        }
    }
}

#[test]
fn all_policies_convert_together() {
    let text = convert(&inputs()).unwrap();
    let names = rules(&text);
    let distinct: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a later rule of the same name would replace the earlier one");
    let defined: Vec<&str> =
        text.lines().filter(|l| l.starts_with("- macro: ") || l.starts_with("- list: ")).collect();
    let distinct: BTreeSet<&&str> = defined.iter().collect();
    let mut twice = defined.clone();
    twice.retain(|line| defined.iter().filter(|other| *other == line).count() > 1);
    assert_eq!(distinct.len(), defined.len(), "a later definition would replace the earlier one: {twice:?}");
}

#[test]
fn a_real_falco_loads_every_expected_file() {
    let Some(falco) = std::env::var_os("PSP2FALCO_FALCO") else {
        // not `eprintln!`, which the test harness would swallow
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no real Falco has loaded the expected files; name one with PSP2FALCO_FALCO=/path/to/falco\n"
        );
        return;
    };
    let mut sets: Vec<Vec<PathBuf>> =
        expected_files().iter().map(|path| vec![expected().join(path)]).collect();
    let restricted = expected().join(POLICIES).join("kubernetes-restricted.yaml");
    sets.push(vec![restricted, root().join("fixtures/tuning/psp_tuning.yaml")]);
    for folder in ["cluster", "repositories/messy"] {
        let names = ["psp_audit_rules.yaml", "today.yaml"];
        sets.push(names.map(|name| expected().join(folder).join(name)).to_vec());
    }
    let queue = Mutex::new(sets.into_iter());
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(set) = queue.lock().unwrap().next() else { return };
                    if let Err(problem) = validate(&falco, &set) {
                        problems.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Has Falco load files, in their order, and takes no warning.
fn validate(falco: &std::ffi::OsStr, files: &[PathBuf]) -> Result<(), String> {
    let mut command = Command::new(falco);
    command.args(["-o", "json_output=true"]);
    for file in files {
        command.arg("-V").arg(file);
    }
    let output = command.output().map_err(|error| format!("{}: {error}", falco.to_string_lossy()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let name = files.last().map(|file| file.display().to_string()).unwrap_or_default();
    let short: String = text.chars().take(600).collect();
    let Ok(answer) = serde_json::from_str::<serde_json::Value>(&text) else {
        return Err(format!("{name}: {short}{}", String::from_utf8_lossy(&output.stderr)));
    };
    let results = answer["falco_load_results"].as_array().cloned().unwrap_or_default();
    let empty = |value: &serde_json::Value| value.as_array().is_none_or(Vec::is_empty);
    let fine = results.len() == files.len()
        && results.iter().all(|result| {
            result["successful"] == true
                && empty(&result["errors"])
                && empty(&result["warnings"])
                && empty(&result["schema_warnings"])
        });
    if fine && output.status.success() { Ok(()) } else { Err(format!("{name}: {short}")) }
}
