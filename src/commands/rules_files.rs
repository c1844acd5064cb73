//! Rules files as Falco finds them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::console::Console;
use crate::excerpt::Gravity;
use crate::messages::commands as messages;
use crate::problem::{Message, Problem, Problems};
use crate::read;
use crate::read::exclude::Exclude;

/// The names and texts of rules files in the order in which Falco loads them; `-` is standard input. Of a folder Falco
/// loads the YAML files in the order of their names, and none of those below
/// (`userspace/falco/configuration.cpp`, `read_rules_file_directory`). `exclude` are patterns of files in folders that
/// are left out.
///
/// # Errors
/// All that cannot be read, in lines that start with the file.
pub(super) fn read_rules(
    paths: &[PathBuf],
    exclude: &[String],
    console: &mut Console<'_>,
) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let mut texts = Vec::new();
    let (mut exclude, mut problems) = Exclude::new(exclude);
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        match rules_in(path, &mut exclude) {
            Ok(inner) if inner.is_empty() => problems.push(of_path(path, messages::no_rules_in_folder())),
            Ok(inner) => files.extend(inner),
            Err(error) => problems.push(of_path(path, read::unreadable(&error))),
        }
    }
    for path in &files {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        if is_stdin {
            console.announce_input("a rules file");
        }
        let read =
            if is_stdin { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(path) };
        match read {
            Ok(text) => texts.push((name, text)),
            Err(error) => problems.push(Problem::of_file(&name, read::unreadable(&error))),
        }
    }
    for warning in exclude.idle() {
        console.tell(Gravity::Warning, &warning);
    }
    if problems.is_empty() { Ok(texts) } else { Err(Problems(problems).into()) }
}

/// The YAML files of a folder in the order of their names, without those that `exclude` leaves out.
fn rules_in(folder: &Path, exclude: &mut Exclude) -> std::io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.retain(|path| is_rules_name(path) && path.is_file());
    files.retain(|path| {
        let within = path.strip_prefix(folder).unwrap_or(path);
        !exclude.leaves_out(within, &path.to_string_lossy())
    });
    files.sort_by(|left, right| left.as_os_str().cmp(right.as_os_str()));
    Ok(files)
}

/// Does Falco, from 0.41 on, take a file of this name for rules?
pub(super) fn is_rules_name(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    name.ends_with(b".yaml") || name.ends_with(b".yml")
}

fn of_path(path: &Path, message: Message) -> Problem {
    Problem::of_file(&path.display().to_string(), message)
}
