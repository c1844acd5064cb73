//! `allowedUnsafeSysctls`: which sysctls outside the safe set may pods set?

use super::{Mapped, listed};
use crate::psp::Policy;
use crate::psp::sysctl::SAFE;
use crate::render::pattern::json_text;

pub(super) fn map(policy: &Policy) -> Mapped {
    let spec = &policy.spec;
    let any = spec.allowed_unsafe_sysctls.iter().any(|s| s == "*");
    let mut accepted = patterns(&spec.allowed_unsafe_sysctls);
    accepted.extend(SAFE.map(|name| format!("{name}\"")));
    // what is forbidden is the other field's, even where it is also unsafe
    accepted.extend(patterns(&spec.forbidden_sysctls));
    let forbidden_all = spec.forbidden_sysctls.iter().any(|s| s == "*");
    Mapped::value(if any { "any".to_owned() } else { listed(&spec.allowed_unsafe_sysctls) })
        .refuses(!any && !forbidden_all, "unsafe sysctl that the policy does not allow")
        .with("safe_only", spec.allowed_unsafe_sysctls.is_empty() && spec.forbidden_sysctls.is_empty())
        .with("accepted", accepted)
}

/// Sysctl patterns as the beginning of a name: a whole name with its closing quote, or a prefix.
pub(super) fn patterns(patterns: &[String]) -> Vec<String> {
    patterns
        .iter()
        .map(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => json_text(prefix),
            None => format!("{}\"", json_text(pattern)),
        })
        .collect()
}
