//! A short fingerprint of what a policy means.

use psp_admission::Policy;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `sha256:` and 12 hexadecimal digits, over the policy's canonical JSON: name, annotations that mean something, spec.
///
/// Formatting, the order of keys, server-side clutter and the spelling out of a default make no difference.
pub(crate) fn digest(policy: &Policy) -> String {
    // a policy is made of texts, numbers and lists, which JSON can always hold
    let canonical = serde_json::to_string(policy).unwrap_or_default();
    let hash = Sha256::digest(canonical);
    let hex: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The fields and annotations in which two policies differ in meaning.
pub(super) fn differing(one: &Policy, other: &Policy) -> Vec<String> {
    let value = |policy: &Policy| serde_json::to_value(policy).unwrap_or_default();
    let (one, other) = (value(one), value(other));
    let mut differing = Vec::new();
    for part in ["spec", "annotations"] {
        let entries =
            |policy: &Value| policy.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        let (one, other) = (entries(&one), entries(&other));
        let mut keys: Vec<&String> =
            one.keys().chain(other.keys()).filter(|key| one.get(*key) != other.get(*key)).collect();
        keys.sort();
        keys.dedup();
        differing.extend(keys.into_iter().cloned());
    }
    differing
}
