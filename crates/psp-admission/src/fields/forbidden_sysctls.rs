//! `forbiddenSysctls`: which sysctls must pods not set?
//!
//! A pod's sysctl matches no entry: exactly, or as a prefix where the entry ends in `*`. This comes before what is safe
//! or allowed.

use super::restriction::{Restriction, joined};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};
use crate::sysctl::{SAFE, common, covers, matches};

pub(super) struct ForbiddenSysctls;

impl Restriction for ForbiddenSysctls {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        pod.sysctls.iter().filter_map(|name| {
            let pattern = policy.spec.forbidden_sysctls.iter().find(|pattern| matches(pattern, name))?;
            let problem = Problem::ForbiddenBy(pattern);
            Some(Reason::of_pod("securityContext.sysctls", Found::Word(name), problem))
        })
    }

    /// Forbidden by both: the patterns of each list that the other one covers.
    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        policy.spec.forbidden_sysctls.iter().any(|pattern| {
            let allowed = other.spec.allowed_unsafe_sysctls.iter().map(String::as_str).chain(SAFE);
            allowed
                .filter_map(|allowed| common(pattern, allowed))
                .any(|both| !other.spec.forbidden_sysctls.iter().any(|wide| covers(wide, both)))
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let covers = |wide: &String, narrow: &String| match wide.strip_suffix('*') {
            Some(prefix) => narrow.starts_with(prefix),
            None => wide == narrow,
        };
        let of = |list: &[String], other: &[String]| -> Vec<String> {
            list.iter().filter(|narrow| other.iter().any(|wide| covers(wide, narrow))).cloned().collect()
        };
        let (a, b) = (&a.spec.forbidden_sysctls, &b.spec.forbidden_sysctls);
        union.spec.forbidden_sysctls = joined(&of(a, b), &of(b, a));
    }
}
