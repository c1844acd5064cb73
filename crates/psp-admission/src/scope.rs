//! Which pods a policy is asked about, beyond who may use it: what the user narrowed it to.

use crate::policy::Policy;

/// Annotation that restricts a policy to pods with one of these images (as `falcoctl convert psp` had it).
pub const IMAGES: &str = "falco-rules-psp-images";
/// Annotation that restricts a policy to these namespaces (as `falcoctl convert psp` had it).
pub const NAMESPACES: &str = "falco-rules-psp-namespaces";

/// The names that an annotation of a policy lists: separated by commas, in brackets and quotes or not.
pub fn listed_in(policy: &Policy, annotation: &str) -> Vec<String> {
    let text = policy.annotations.get(annotation).map(String::as_str).unwrap_or_default();
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split(',').map(|n| n.trim().trim_matches(['"', '\'']).to_owned()).filter(|n| !n.is_empty()).collect()
}
