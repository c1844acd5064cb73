//! Policies in Helm's release records: they stay in the cluster when the API server no longer serves policies.
//!
//! A record is JSON, compressed by gzip and encoded as base64, under the key `release` of a Secret (whose data are
//! base64 once more) or a `ConfigMap`: `pkg/storage/driver/util.go` of Helm 3.

use std::collections::BTreeMap;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::messages::cluster as messages;
use crate::problem::Problem;
use crate::yaml::Documents;
use crate::yaml::{Data, Node};

/// The most bytes of an unpacked record; packed it has to fit into an object of 1 MiB.
const MAX_RECORD: u64 = 128 * 1024 * 1024;

/// One revision of a release.
pub(super) struct Revision {
    namespace: String,
    name: String,
    version: u64,
    deployed: bool,
    policies: Vec<Document>,
    problem: Option<String>,
}

/// One document of a release's manifest that holds policies.
pub(super) struct Document {
    /// `helm:NAMESPACE/RELEASE.vN`.
    pub(super) place: String,
    /// Its text, with as many lines before it as in the manifest.
    pub(super) text: String,
    /// The policies in it; none where it cannot be read.
    pub(super) policies: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    manifest: String,
}

/// What the user should know, and the documents with policies, by namespace and name of the release.
#[derive(Default)]
pub(super) struct Found {
    pub(super) documents: Vec<Document>,
    pub(super) notes: Vec<Problem>,
}

/// The revision that a Secret or `ConfigMap` records, if it was ever in force.
pub(super) fn revision(object: &Map<String, Value>, is_secret: bool) -> Option<Revision> {
    let metadata = object.get("metadata")?;
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let labels = metadata.get("labels")?;
    let status = text(labels, "status");
    // policies of hooks, and of revisions that failed or were uninstalled, are not in force
    if status != "deployed" && status != "superseded" {
        return None;
    }
    let mut revision = Revision {
        namespace: text(metadata, "namespace"),
        name: text(labels, "name"),
        version: text(labels, "version").parse().unwrap_or_default(),
        deployed: status == "deployed",
        policies: Vec::new(),
        problem: None,
    };
    let encoded = object.get("data").and_then(|data| data.get("release")).and_then(Value::as_str);
    match encoded.ok_or_else(|| "no key release".to_owned()).and_then(|encoded| manifest(encoded, is_secret))
    {
        Ok(manifest) => revision.policies = documents(&manifest, &revision.place()),
        Err(problem) => revision.problem = Some(problem),
    }
    Some(revision)
}

impl Revision {
    fn place(&self) -> String {
        format!("helm:{}/{}.v{}", self.namespace, self.name, self.version)
    }
}

/// Of each release the newest revision that has policies.
pub(super) fn newest(revisions: Vec<Revision>) -> Found {
    let mut releases: BTreeMap<(String, String), Vec<Revision>> = BTreeMap::new();
    for revision in revisions {
        releases.entry((revision.namespace.clone(), revision.name.clone())).or_default().push(revision);
    }
    let mut found = Found::default();
    for mut revisions in releases.into_values() {
        revisions.sort_by_key(|revision| std::cmp::Reverse(revision.version));
        let mut newer: Option<(String, bool)> = None;
        for revision in revisions {
            if let Some(problem) = &revision.problem {
                found.notes.push(Problem::of_file(&revision.place(), messages::no_release(problem)));
                continue;
            }
            if revision.policies.is_empty() {
                newer.get_or_insert_with(|| (revision.place(), revision.deployed));
                continue;
            }
            if let Some((newer, _)) = newer.as_ref().filter(|(_, deployed)| *deployed) {
                found.notes.push(Problem::of_file(&revision.place(), messages::policies_gone(newer)));
            }
            found.documents.extend(revision.policies);
            break;
        }
    }
    found
}

fn manifest(encoded: &str, is_secret: bool) -> Result<String, String> {
    let decode =
        |text: &[u8]| STANDARD.decode(text.trim_ascii()).map_err(|error| format!("not base64: {error}"));
    let mut packed = decode(encoded.as_bytes())?;
    if is_secret {
        packed = decode(&packed)?;
    }
    // records of early releases are not compressed
    if packed.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice())
            .take(MAX_RECORD + 1)
            .read_to_end(&mut unpacked)
            .map_err(|error| format!("not gzip: {error}"))?;
        if unpacked.len() as u64 > MAX_RECORD {
            return Err(format!("larger than {} MiB", MAX_RECORD >> 20));
        }
        packed = unpacked;
    }
    let record: Record = serde_json::from_slice(&packed).map_err(|error| format!("not JSON: {error}"))?;
    Ok(record.manifest)
}

/// The documents of a manifest that hold policies.
fn documents(manifest: &str, place: &str) -> Vec<Document> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut text = String::new();
    for (line, content) in manifest.split_inclusive('\n').enumerate() {
        if content.starts_with("---") {
            found.extend(document(&text, start, place));
            text.clear();
            start = line;
        }
        text.push_str(content);
    }
    found.extend(document(&text, start, place));
    found
}

fn document(text: &str, start: usize, place: &str) -> Option<Document> {
    if !text.contains("PodSecurityPolicy") {
        return None;
    }
    let mut policies = Vec::new();
    let mut unreadable = false;
    for node in Documents::new(text) {
        match node {
            Ok(node) => collect(&node, &mut policies),
            Err(_) => unreadable = true,
        }
    }
    (unreadable || !policies.is_empty()).then(|| Document {
        place: place.to_owned(),
        text: "\n".repeat(start) + text,
        policies,
    })
}

fn collect(node: &Node<'_>, policies: &mut Vec<Map<String, Value>>) {
    match node.text_at("kind") {
        Some("PodSecurityPolicy") => policies.extend(node.to_value().as_object().cloned()),
        Some("List") => {
            if let Some(Data::List(items)) = node.get("items").map(|items| &items.data) {
                items.iter().for_each(|item| collect(item, policies));
            }
        }
        _ => {}
    }
}

/// The name of a policy.
pub(super) fn name(policy: &Map<String, Value>) -> Option<&str> {
    policy.get("metadata")?.get("name")?.as_str()
}
