//! Any bytes as an audit event and as a bundle: judged or refused, but no panic and no loop. An event is judged alike
//! whatever the order of its keys, evidence is one short line, and a bundle that is read is written as it was.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use psp_admission::reason::LONGEST_EVIDENCE;
use psp_admission::text::is_plain;
use psp_admission::{Admission, AuditObject, Bundle};
use psp2falco::read::{Options, read_text};
use serde_json::Value;

static ADMISSIONS: LazyLock<Vec<Admission>> = LazyLock::new(|| {
    let policies = include_str!("../../fixtures/psp/policies/every-field.yaml");
    let inventory = read_text("policies.yaml", policies, &Options::default()).unwrap_or_default();
    let policies =
        inventory.policies.into_iter().map(|located| (located.policy.name.clone(), located.policy));
    let bundle = Bundle { policies: policies.collect(), ..Bundle::default() };
    let of_request = Bundle { object: AuditObject::Request, ..bundle.clone() };
    [bundle, of_request].into_iter().map(Admission::new).collect()
});

fn sorted(value: &Value) -> Value {
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

fuzz_target!(|bytes: &[u8]| {
    for admission in ADMISSIONS.iter() {
        if let Some(outcome) = admission.judge(bytes) {
            for (policy, fields) in outcome.violations.iter().chain(&outcome.lost_defaults) {
                for field in fields.iter() {
                    let evidence = admission.evidence(bytes, &policy.name, field).unwrap_or_default();
                    assert!(
                        !evidence.is_empty() && evidence.chars().count() <= LONGEST_EVIDENCE,
                        "{evidence}"
                    );
                    assert!(evidence.chars().all(is_plain), "{evidence}");
                }
            }
        }
        if let Ok(event) = serde_json::from_slice::<Value>(bytes) {
            let (as_it_is, in_order) = (event.to_string(), sorted(&event).to_string());
            assert_eq!(admission.judge(as_it_is.as_bytes()), admission.judge(in_order.as_bytes()));
        }
    }
    if let Ok(bundle) = Bundle::parse(bytes) {
        let (text, digest) = bundle.to_text();
        assert_eq!(Bundle::parse(text.as_bytes()).map(|again| again.digest()), Ok(digest));
    }
});
