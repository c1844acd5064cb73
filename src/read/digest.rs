//! A short fingerprint of what a policy means.

use psp_admission::Policy;
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
