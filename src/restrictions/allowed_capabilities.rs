//! `allowedCapabilities`: which capabilities may containers add?

use super::{Mapped, listed, whole_strings};
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let spec = &policy.spec;
    let any = spec.allowed_capabilities.iter().any(|c| c == "*");
    let mut names: Vec<String> =
        spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities).cloned().collect();
    names.sort();
    names.dedup();
    let sentence =
        if names.is_empty() { "container that adds a capability".to_owned() } else { format!("container that adds a capability other than {}", listed(&names)) };
    Mapped::value(if any { "any".to_owned() } else { listed(&names) })
        .refuses(!any, sentence)
        .with("none", names.is_empty())
        .with("names", whole_strings(names.iter().map(String::as_str)))
}
