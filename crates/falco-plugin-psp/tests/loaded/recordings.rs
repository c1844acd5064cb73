//! The recordings of a real API server, as the tests of the command have them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use psp_admission::Bundle;
use psp2falco::rbac;
use psp2falco::read::{Inventory, Options, read_text};
use serde_json::{Map, Value};

fn open(name: &str) -> GzDecoder<File> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name);
    GzDecoder::new(File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The lines of a gzip'd file under `tests/data`.
pub fn values(name: &str) -> Vec<Value> {
    let lines = BufReader::new(open(name)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

/// A gzip'd file under `tests/data`, whole.
pub fn text(name: &str) -> String {
    let mut text = String::new();
    open(name).read_to_string(&mut text).unwrap();
    text
}

/// What a manifest holds.
pub fn inventory(text: &str) -> Inventory {
    read_text("objects.json", text, &Options::default()).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

/// The bundle of an inventory, with RBAC where it has it.
pub fn bundle(inventory: &Inventory) -> Bundle {
    let policies = inventory.policies.iter().map(|located| &located.policy);
    Bundle {
        policies: policies.map(|policy| (policy.name.clone(), policy.clone())).collect(),
        access: rbac::access(inventory, None),
        ..Bundle::default()
    }
}

/// Writes a bundle to a file of this folder.
pub fn write(bundle: &Bundle, folder: &Path) -> PathBuf {
    let path = folder.join("psp_policies.json");
    std::fs::write(&path, bundle.to_text().0).unwrap();
    path
}

/// An event with all keys sorted, as log shippers write it that keep objects in maps.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(
                entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The recordings' name for a field: two groups stand for several fields of the API.
pub fn group(field: &str) -> &str {
    match field {
        "allowedCapabilities" | "defaultAddCapabilities" | "requiredDropCapabilities" => "capabilities",
        "allowedUnsafeSysctls" | "forbiddenSysctls" => "sysctls",
        other => other,
    }
}
