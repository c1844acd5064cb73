//! Files that a machine writes and people review: written with `UPDATE_EXPECTED=1`, compared without.
#![allow(dead_code, unreachable_pub)]

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Are files to be written rather than compared?
pub fn updating() -> bool {
    std::env::var_os("UPDATE_EXPECTED").is_some_and(|value| !value.is_empty() && value != "0")
}

/// The command that writes what the tests of `target` compare.
pub fn cure(target: &str) -> String {
    format!("UPDATE_EXPECTED=1 cargo test --test {target}")
}

/// Writes `actual` to `path`, or says where the two differ.
pub fn check(path: &Path, actual: &str) -> Result<(), String> {
    let name = path.strip_prefix(root()).unwrap_or(path).display();
    let found = fs::read_to_string(path);
    if found.as_deref().is_ok_and(|expected| expected == actual) {
        return Ok(());
    }
    if updating() {
        let folder = path.parent().unwrap_or(root());
        return fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, actual))
            .map_err(|error| format!("{name}: {error}"));
    }
    let Ok(expected) = found else { return Err(format!("{name}: missing")) };
    let same = expected.lines().zip(actual.lines()).take_while(|(left, right)| left == right).count();
    let line =
        |text: &str| text.lines().nth(same).unwrap_or("(end of file)").chars().take(300).collect::<String>();
    Err(format!("{name}:{}:\n  expected: {}\n  actual:   {}", same + 1, line(&expected), line(actual)))
}

/// Fails with all problems and the command that cures them.
pub fn report(problems: &[String], target: &str) {
    assert!(
        problems.is_empty(),
        "\n{}\n\nIf the new output is right, write it with\n  {}\nand review the difference.\n",
        problems.join("\n"),
        cure(target)
    );
}

/// All files below `folder`, by their path within it, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in entries(&next) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inner) = path.strip_prefix(folder) {
                found.push(inner.to_owned());
            }
        }
    }
    found.sort();
    found
}

/// What lies in `folder`; nothing if there is none.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
