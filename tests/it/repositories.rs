//! A small messy repository, as real ones are, converts in one command that says what it made of it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::process::Command;

use crate::snapshot::{check, files, report, root};

const MESSY: &str = "fixtures/repositories/messy";

/// The exit code of a run beside the repository, and what it tells.
fn run(args: &[&str]) -> (Option<i32>, String) {
    let folder = root().join(MESSY);
    let mut command = Command::new(env!("CARGO_BIN_EXE_psp2falco"));
    let output = command.args(args).current_dir(folder.parent().unwrap()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_first_configuration_of_it_takes_one_environment() {
    let temp = tempfile::tempdir().unwrap();
    let messy = root().join(MESSY);
    for name in files(&messy) {
        let path = temp.path().join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(messy.join(&name), path).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_psp2falco"));
        let output = command.args(args).current_dir(temp.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = run(&["generate", "--init"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(
        told.contains("overlays/prod/psp.yaml") && !temp.path().join("psp2falco.yaml").exists(),
        "{told}"
    );
    let (code, told) = run(&["generate", "--init", "--exclude", "overlays/staging"]);
    assert_eq!(code, Some(0), "{told}");
    let sources = "the policies in legacy/psp, overlays/prod, policies, rendered; ";
    assert!(told.contains(sources), "{told}");
    let (code, told) = run(&["generate"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("scope: partial RBAC of 1 role and 1 binding"), "{told}");
    assert_eq!(run(&["generate", "--check"]).0, Some(0));
    let (code, told) = run(&["generate", "--exclude", "overlays/staging"]);
    assert!(code == Some(2) && told.contains("--init"), "{told}");
}

/// Rules, report, exceptions and words stand under `fixtures/expected/repositories/messy`, for review.
#[test]
fn a_messy_repository_converts_in_one_command() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().display().to_string();
    let (out, today) = (format!("{folder}/rules/"), format!("{folder}/rules/today.yaml"));
    let args = ["convert", "messy", "--exclude", "overlays/staging", "-o", &out];
    let more = ["--report", "markdown", "--predict", "--suggest-exceptions", &today];
    let (code, told) = run(&[args.as_slice(), &more].concat());
    assert_eq!(code, Some(0), "{told}");
    let told = told.replace(&format!("{folder}/"), "");
    let expected = root().join("fixtures/expected/repositories/messy");
    let mut problems: Vec<String> = check(&expected.join("told.txt"), &told).err().into_iter().collect();
    let made = files(&temp.path().join("rules"));
    assert_eq!(made.len(), 4, "{made:?}");
    for name in made {
        let text = fs::read_to_string(temp.path().join("rules").join(&name)).unwrap();
        problems.extend(check(&expected.join(&name), &text).err());
    }

    // both environments at once are two policies of one name: said with both places, and nothing is written
    let (code, told) = run(&["convert", "messy", "-o", &format!("{folder}/both/")]);
    assert_eq!(code, Some(2), "{told}");
    assert!(!temp.path().join("both").exists());
    for place in ["messy/overlays/prod/psp.yaml:4:9", "messy/overlays/staging/psp.yaml:4:9"] {
        assert!(told.contains(place), "{place}: {told}");
    }
    problems.extend(check(&expected.join("both-environments.txt"), &told).err());
    report(&problems, "repositories");
}
