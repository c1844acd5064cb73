//! `allowedUnsafeSysctls`: which sysctls outside the safe set may pods set?
//!
//! A pod's sysctl is safe, or matches an entry: exactly, or as a prefix where the entry ends in `*`. What
//! `forbiddenSysctls` names is refused there.

use super::restriction::{Restriction, joined};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};
use crate::sysctl::{SAFE, covers, is_safe, matches_any};

pub(super) struct AllowedUnsafeSysctls;

impl Restriction for AllowedUnsafeSysctls {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let (allowed, forbidden) = (&policy.spec.allowed_unsafe_sysctls, &policy.spec.forbidden_sysctls);
        let refused =
            |name: &str| !is_safe(name) && !matches_any(allowed, name) && !matches_any(forbidden, name);
        pod.sysctls.iter().filter(move |name| refused(name)).map(|name| {
            Reason::of_pod("securityContext.sysctls", Found::Word(name), Problem::Unsafe(allowed))
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        let (own, its) = (&policy.spec, &other.spec);
        its.allowed_unsafe_sysctls.iter().any(|pattern| {
            let named = [&own.allowed_unsafe_sysctls, &own.forbidden_sysctls, &its.forbidden_sysctls];
            !named.iter().any(|list| list.iter().any(|wide| covers(wide, pattern)))
                && !SAFE.contains(&pattern.as_str())
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.allowed_unsafe_sysctls =
            joined(&a.spec.allowed_unsafe_sysctls, &b.spec.allowed_unsafe_sysctls);
    }
}
