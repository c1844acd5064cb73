//! Evidence: why a policy refuses or corrects a pod, for each of its fields from a recorded event.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use psp_admission::reason::LONGEST_EVIDENCE;
use psp_admission::text::is_plain;
use psp_admission::{Field, Pod, Verdict, evidence, judge};

use crate::common::Recording;
use crate::snapshot::{check, report, root};

/// So many texts of one field are kept: the first, and the first that begin otherwise.
const KEPT: usize = 4;

/// What a text is about, without what tells one pod from another.
fn gist(text: &str) -> String {
    let place = text.split(": ").next().unwrap_or_default();
    let place =
        place.split('[').next().unwrap_or_default().to_owned() + place.rsplit(']').next().unwrap_or_default();
    let what = text.split_once(": ").map_or("", |(_, what)| what);
    let words = [" not in ", " not under ", " not allowed", "unset", " is not ", " forbidden by ", "; and "];
    words.into_iter().filter(|word| what.contains(word)).fold(place, |gist, word| gist + word)
}

#[test]
fn every_field_says_why() {
    let recording = Recording::load();
    let mut kept: BTreeMap<(Field, &str), Vec<(String, String)>> = BTreeMap::new();
    for case in &recording.cases {
        let policy = &recording.policies[&case.policy];
        let pod = Pod::new(&recording.stored[&case.id]);
        let judgement = judge(policy, &pod);
        for field in judgement.fields {
            let (what, reasons) = match judgement.verdict {
                Verdict::Denied => ("refused", field.refusals(policy, &pod)),
                _ => ("corrected", field.corrections(policy, &pod)),
            };
            let text = evidence(&reasons);
            assert!(!text.is_empty() && text.chars().count() <= LONGEST_EVIDENCE, "{}: {text}", case.id);
            assert!(text.chars().all(is_plain), "{}: {text}", case.id);
            let known = kept.entry((field, what)).or_default();
            if known.len() < KEPT && !known.iter().any(|(_, other)| gist(other) == gist(&text)) {
                known.push((case.id.clone(), text));
            }
        }
    }
    let mut text = String::new();
    for ((field, what), texts) in &kept {
        let _ = writeln!(text, "{field}, {what}:");
        for (id, evidence) in texts {
            let _ = writeln!(text, "  {evidence}  ({id})");
        }
    }
    for field in Field::ALL {
        // what this one fills in, the field of the pod reports
        let reported = field != Field::DefaultAllowPrivilegeEscalation;
        assert_eq!(kept.keys().any(|(known, _)| *known == field), reported, "{field}");
    }
    let checked = check(&root().join("fixtures/expected/evidence/fields.txt"), &text);
    report(&checked.err().into_iter().collect::<Vec<_>>(), "it evidence::");
}
