//! Admission against the verdicts that a real API server gave (Kubernetes 1.20.2, recorded).
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;

use psp_admission::{Pod, judge};

#[test]
fn every_recorded_verdict_and_field() {
    let recording = crate::common::Recording::load();
    let mut wrong = Vec::new();
    for case in &recording.cases {
        let judgement = judge(&recording.policies[&case.policy], &Pod::new(&recording.stored[&case.id]));
        let fields: BTreeSet<String> =
            judgement.fields.iter().map(|f| crate::common::group(f.name())).collect();
        let verdict = format!("{:?}", judgement.verdict).to_lowercase();
        if verdict != case.verdict || fields != case.fields {
            wrong.push(format!(
                "{}: {verdict} {fields:?}, recorded {} {:?}",
                case.id, case.verdict, case.fields
            ));
        }
    }
    assert_eq!(recording.cases.len(), 2376);
    assert!(
        wrong.is_empty(),
        "{} of 2376 differ:\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}
