//! The recordings of a real API server that the tests are held to.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod falco;
pub mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use psp_admission::Policy;
use psp2falco::read::{Located, Options, read_text};
use serde_json::Value;

/// The lines of a gzip'd file under `tests/data`.
pub fn lines(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let file = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file)).lines().map(|l| l.expect("a line of text")).collect()
}

/// One recorded case: a pod under a policy, and what the API server made of it.
pub struct Case {
    pub id: String,
    pub policy: String,
    pub verdict: String,
    pub fields: BTreeSet<String>,
}

/// `single/`: one policy at a time.
pub struct Recording {
    pub policies: BTreeMap<String, Policy>,
    pub located: BTreeMap<String, Located>,
    pub cases: Vec<Case>,
    /// The audit event of a case, as one line.
    pub events: BTreeMap<String, String>,
    /// The pod of a case as stored.
    pub stored: BTreeMap<String, Value>,
}

impl Recording {
    /// The recording, read once for all tests.
    pub fn load() -> &'static Self {
        static RECORDING: LazyLock<Recording> = LazyLock::new(Recording::read);
        &RECORDING
    }

    fn read() -> Self {
        let mut located = BTreeMap::new();
        for line in lines("single/policies.jsonl.gz") {
            let record: Value = serde_json::from_str(&line).unwrap();
            located.insert(record["id"].as_str().unwrap().to_owned(), policy(&record["policy"]));
        }
        let cases = lines("single/cases.jsonl.gz").iter().map(|line| case(line)).collect();
        let mut events = BTreeMap::new();
        let mut stored = BTreeMap::new();
        for line in lines("single/audit.jsonl.gz") {
            let event: Value = serde_json::from_str(&line).unwrap();
            let id = event["objectRef"]["name"].as_str().unwrap().to_owned();
            stored.insert(id.clone(), event["responseObject"].clone());
            events.insert(id, line);
        }
        let policies = located.iter().map(|(id, l)| (id.clone(), l.policy.clone())).collect();
        Self { policies, located, cases, events, stored }
    }
}

/// Reads one policy object.
pub fn policy(value: &Value) -> Located {
    let text = value.to_string();
    let mut inventory =
        read_text("policy.json", &text, &Options::default()).unwrap_or_else(|e| panic!("{e:?}\n{text}"));
    inventory.policies.remove(0)
}

fn case(line: &str) -> Case {
    let record: Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| record[key].as_str().unwrap().to_owned();
    let fields = record["restrictions"].as_array().into_iter().flatten();
    Case {
        id: text("id"),
        policy: text("policy"),
        verdict: text("verdict"),
        fields: fields.map(|f| f.as_str().unwrap().to_owned()).collect(),
    }
}

/// A value with all keys sorted, as log shippers write it that keep objects in maps.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The recordings' name for a field: two groups stand for several fields of the API.
pub fn group(field: &str) -> String {
    match field {
        "allowedCapabilities" | "defaultAddCapabilities" | "requiredDropCapabilities" => "capabilities",
        "allowedUnsafeSysctls" | "forbiddenSysctls" => "sysctls",
        other => other,
    }
    .to_owned()
}
