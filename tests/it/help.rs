//! The examples in `--help` work as they stand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory as _;
use psp2falco::cli::Cli;
use tempfile::TempDir;

use crate::snapshot::root;

/// What the examples find in their folder: policies, a log, a list, and a configuration where one is needed.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in [
        "policies",
        "home/.local/share/bash-completion/completions",
        "home/.config/fish/completions",
        "home/.local/share/man/man1",
        "home/.kube",
        "bin",
    ] {
        fs::create_dir_all(path(name)).unwrap();
    }
    let copy = |from: &str, to: &str| fs::copy(root().join(from), path(to)).unwrap();
    copy("fixtures/psp/policies/kubernetes-restricted.yaml", "policies/restricted.yaml");
    copy("fixtures/tuning/psp_tuning.yaml", "tuning.yaml");
    copy("fixtures/audit/audit.log.gz", "audit.log");
    let list = "kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: []\n";
    fs::write(path("resource-list.yaml"), list).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_psp2falco"), path("bin/psp2falco")).unwrap();
    // other people's programs, as far as the examples need them
    let dump = format!("cat '{}'", root().join("fixtures/cluster/cluster.yaml").display());
    for (name, text) in [
        ("kubectl", dump.as_str()),
        ("kustomize", "psp2falco krm < resource-list.yaml"),
        ("man", "grep -q 'SH SYNOPSIS' && echo shown"),
    ] {
        let program = path("bin").join(name);
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Runs a command line of a shell.
fn shell(line: &str, folder: &Path) {
    let path = std::env::var("PATH").unwrap_or_default();
    let found: Vec<PathBuf> =
        std::iter::once(folder.join("bin")).chain(std::env::split_paths(&path)).collect();
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("HOME", folder.join("home"))
        .env("PATH", std::env::join_paths(found).unwrap())
        .env_remove("KUBECONFIG")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}\n{out}{err}");
}

/// The command lines of the examples.
fn examples(help: &str) -> Vec<String> {
    let help = help.replace("\\\n", "");
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    let mut examples = Vec::new();
    for line in lines {
        match line.strip_prefix("    ") {
            Some(line) => examples.push(line.trim().to_owned()),
            None => assert!(line.starts_with("  ") && line.ends_with(':'), "{line}"),
        }
    }
    examples
}

#[test]
fn every_command_shows_two_examples_that_work() {
    #[cfg(feature = "cluster")]
    let server = crate::api::Server::start(crate::api::cluster);
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    for command in program.get_subcommands() {
        let name = command.get_name();
        let help = command.get_after_help().unwrap_or_else(|| panic!("{name} has no examples")).to_string();
        let examples = examples(&help);
        assert_eq!(examples.len(), 2, "{name}: {help}");
        for width in help.lines().map(|line| line.chars().count()) {
            assert!(width <= 80, "{name}: {help}");
        }
        // they build on each other
        let folder = folder();
        #[cfg(feature = "cluster")]
        {
            use serde_json::{Value, json};
            let config = crate::api::kubeconfig(&server.url, &json!({}), &json!({}));
            let mut config: Value = serde_json::from_str(&config).unwrap();
            let context = config["contexts"][0]["context"].clone();
            config["contexts"].as_array_mut().unwrap().push(json!({"name": "staging", "context": context}));
            fs::write(folder.path().join("home/.kube/config"), config.to_string()).unwrap();
        }
        if matches!(name, "lint" | "replay") {
            shell("psp2falco convert policies/ -o falco/", folder.path());
        }
        for line in examples {
            assert!(line.contains("psp2falco") || name == "krm", "{name}: {line}");
            shell(&line, folder.path());
        }
    }
}
