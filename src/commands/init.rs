//! `generate --init`: a first configuration, from what the folder holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum as _;
use serde_json::{Value, json};

use super::pipeline::{Exit, configured, layers, make, read_input};
use crate::cli::Generate;
use crate::config::{Config, FILE, starter};
use crate::console::Console;
use crate::messages::commands as messages;
use crate::problem::{Problem, Problems};
use crate::read::{Inventory, Object};
use crate::render::Layer;
use crate::wrap::Format;
use crate::write::{Batch, is_ours};

/// Folders for rules where there are none yet, in the order of preference.
const FOLDERS: [&str; 3] = ["falco", "falco-rules", "psp2falco"];

/// Writes a configuration that `generate` can go by.
pub(super) fn run(args: &Generate, console: &mut Console<'_>) -> Result<Exit> {
    let file = &args.config;
    if fs::symlink_metadata(file).is_ok() {
        return Err(Problem::of_file(&file.display().to_string(), messages::config_exists()).into());
    }
    let base = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let everything =
        Config { sources: vec![String::new()], exclude: args.exclude.clone(), ..Config::default() };
    let mut inventory = read_input(&everything.input(base), console)?;
    inventory.relative_to(base);

    let sources = sources(&inventory, base);
    let (rules, format) = existing_rules(base, Path::new("")).unwrap_or_else(|| {
        let free = |folder: &&str| is_free(base, Path::new(folder), &sources);
        (FOLDERS.into_iter().find(free).unwrap_or("falco").to_owned(), Format::Rules)
    });
    let format = format.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default();
    let outputs = json!({"rules": rules, "format": format});
    let text = starter(&json!({"version": 1, "sources": sources, "outputs": outputs}))?;
    try_it(file, base, &text)?;
    let mut batch = Batch::new(false);
    batch.create(file, &text);
    batch.prepare()?.put_in_place()?;
    let sources: Vec<&str> = sources.iter().filter_map(Value::as_str).collect();
    let sources = sources.join(", ");
    let option =
        if file == Path::new(FILE) { String::new() } else { format!(" --config {}", file.display()) };
    console.say(format_args!(
        "wrote {}: rules in {rules} from the policies in {sources}; make them with: psp2falco generate{option}",
        file.display(),
    ));
    Ok(Exit::Done)
}

/// Makes the rules that the configuration asks for, without writing them.
fn try_it(file: &Path, base: &Path, text: &str) -> Result<()> {
    let config = Config::parse(&file.display().to_string(), text).map_err(Problems)?;
    // all that can be told of the input was told when the whole folder was read
    let told = &mut Console::new(std::io::sink(), std::io::sink());
    let inventory = read_input(&config.input(base), told)?;
    let (rules, output) = configured(&config, base)?;
    make(&inventory, &rules, layers(&rules, &output)?, told)?;
    Ok(())
}

/// The folders with policies and with what says who may use them, none inside another; files that lie in the folder of
/// the configuration itself stand by themselves, and so do archives.
fn sources(inventory: &Inventory, base: &Path) -> Vec<Value> {
    let policies = inventory.policies.iter().map(|located| &located.place).chain(&inventory.copies);
    let roles: BTreeSet<(&str, &str)> = inventory
        .objects
        .iter()
        .filter(|object| lets_use(object))
        .map(|role| (role.kind.as_str(), name(role)))
        .collect();
    let tells = |object: &&Object| match object.kind.as_str() {
        "ClusterRole" | "Role" => roles.contains(&(object.kind.as_str(), name(object))),
        "ClusterRoleBinding" | "RoleBinding" => {
            roles.contains(&(text(object, "/roleRef/kind"), text(object, "/roleRef/name")))
        }
        _ => false,
    };
    let objects = inventory.objects.iter().filter(tells).map(|object| &object.place.file);
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for file in policies.map(|place| &place.file).chain(objects) {
        let mut path = PathBuf::from(file);
        // what lies in an archive is named after it
        let mut inside = false;
        while !base.join(&path).is_file() && path.pop() {
            inside = true;
        }
        match path.parent() {
            Some(folder) if !inside && !folder.as_os_str().is_empty() => folders.insert(folder.to_owned()),
            _ => folders.insert(path),
        };
    }
    let inner = |path: &&PathBuf| !path.ancestors().skip(1).any(|folder| folders.contains(folder));
    folders.iter().filter(inner).map(|path| Value::String(path.to_string_lossy().into_owned())).collect()
}

fn name(object: &Object) -> &str {
    text(object, "/metadata/name")
}

fn text<'o>(object: &'o Object, pointer: &str) -> &'o str {
    object.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Does a role let anybody use policies?
fn lets_use(object: &Object) -> bool {
    let rules = object.value.get("rules").and_then(Value::as_array);
    rules.into_iter().flatten().any(|rule| {
        let has = |key: &str, wanted: &str| {
            let words = rule.get(key).and_then(Value::as_array);
            words.into_iter().flatten().any(|word| word == wanted || word == "*")
        };
        has("verbs", "use") && has("resources", "podsecuritypolicies")
    })
}

/// The names of rules in a folder, with the format of each.
fn names_of_rules() -> impl Iterator<Item = (Format, String)> {
    let formats = Format::value_variants().iter();
    formats.flat_map(|format| {
        [Layer::Audit, Layer::Runtime].map(|layer| (*format, format.file_name(layer.file_name())))
    })
}

/// The first folder below `base` that has rules from an earlier run, and their format.
fn existing_rules(base: &Path, folder: &Path) -> Option<(String, Format)> {
    let here = base.join(folder);
    let ours = |(_, name): &(Format, String)| {
        let path = here.join(name);
        path.is_file() && is_ours(&path).unwrap_or_default()
    };
    if let Some((format, name)) = names_of_rules().find(ours) {
        let path = if folder.as_os_str().is_empty() { Path::new(&name) } else { folder };
        return Some((path.to_string_lossy().into_owned(), format));
    }
    let entries = fs::read_dir(&here).ok()?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<_> = folders.map(|entry| entry.file_name()).collect();
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    names.iter().find_map(|name| existing_rules(base, &folder.join(name)))
}

/// Can rules go into this folder: does it hold no source, no file in their place, and is it no file itself?
fn is_free(base: &Path, folder: &Path, sources: &[Value]) -> bool {
    let holds_source =
        sources.iter().filter_map(Value::as_str).any(|source| Path::new(source).starts_with(folder));
    !holds_source
        && !base.join(folder).is_file()
        && names_of_rules().all(|(_, name)| !base.join(folder).join(name).exists())
}
