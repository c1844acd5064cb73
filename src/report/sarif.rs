//! SARIF 2.1.0 for code scanning.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::escape::{uri, visible};
use super::findings::{Finding, KINDS, findings};
use super::model::Report;

/// The report as a SARIF log.
pub(super) fn render(report: &Report) -> serde_json::Result<String> {
    let rules: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            json!({
                "id": kind.id,
                "shortDescription": { "text": kind.summary },
                "fullDescription": { "text": kind.help },
                "help": { "text": kind.help },
                "defaultConfiguration": { "level": kind.severity.sarif() },
            })
        })
        .collect();
    let results: Vec<Value> = findings(report).iter().map(result).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "properties": { "comment": report.generator },
        "runs": [{
            "tool": { "driver": {
                "name": "psp2falco",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).map(|text| text + "\n")
}

fn result(finding: &Finding) -> Value {
    let index = KINDS.iter().position(|kind| *kind == finding.kind).unwrap_or_default();
    let mut result = Map::new();
    result.insert("ruleId".to_owned(), finding.kind.id.into());
    result.insert("ruleIndex".to_owned(), index.into());
    result.insert("level".to_owned(), finding.kind.severity.sarif().into());
    // brackets and braces mean links and arguments in a message
    let message = visible(&finding.message).replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]");
    let message = message.replace('{', "{{").replace('}', "}}");
    result.insert("message".to_owned(), json!({ "text": message }));
    if let Some(place) = &finding.place {
        let mut physical = Map::new();
        physical.insert("artifactLocation".to_owned(), json!({ "uri": uri(&place.file) }));
        if place.line > 0 {
            physical.insert(
                "region".to_owned(),
                json!({ "startLine": place.line, "startColumn": place.column.max(1) }),
            );
        }
        result.insert("locations".to_owned(), json!([{ "physicalLocation": physical }]));
    }
    // the same finding keeps its identity when lines move
    let mut hasher = Sha256::new();
    let file = finding.place.as_ref().map_or("", |p| p.file.as_str());
    for part in [finding.kind.id, file, &finding.subject] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let print: String = hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    result.insert("partialFingerprints".to_owned(), json!({ "psp2falco/v1": print }));
    Value::Object(result)
}
