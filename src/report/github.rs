//! Annotations of a GitHub workflow: one command a finding.

use std::fmt::Write as _;

use super::escape::{command_data, command_property};
use super::findings::{KINDS, findings};
use super::model::Report;
use crate::count::counted;

/// The report as workflow commands. GitHub shows ten of each severity in a step; the last line says how many there are.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let findings = findings(report);
    // the worst first, since only the first ten are shown
    for kind in KINDS {
        for finding in findings.iter().filter(|f| f.kind == kind) {
            let _ = write!(text, "::{} ", kind.severity.command());
            if let Some(place) = &finding.place {
                let _ = write!(text, "file={},", command_property(&place.file));
                if place.line > 0 {
                    let _ = write!(text, "line={},col={},", place.line, place.column);
                }
            }
            let _ = writeln!(
                text,
                "title={}::{}",
                command_property(&format!("psp2falco {}", kind.id)),
                command_data(&finding.message)
            );
        }
    }
    let _ = write!(
        text,
        "psp2falco: {} on {}",
        counted(findings.len(), "finding"),
        counted(report.totals.policies, "policy")
    );
    for (layer, totals) in report.totals.layers() {
        let _ = write!(text, "; fields in {}: {}", layer.title(), totals.fields);
    }
    text.push('\n');
    text
}
