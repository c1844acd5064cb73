//! `allowedProcMountTypes`: may containers see `/proc` unmasked?
//!
//! A container's `procMount`, unset counting as `Default`, is listed; an absent or empty list allows `Default` only.

use super::restriction::{Restriction, joined};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct AllowedProcMountTypes;

/// The type of a container that names none.
const UNSET: &str = "Default";

impl Restriction for AllowedProcMountTypes {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        pod.containers.iter().filter_map(|container| {
            let own = container.proc_mount.as_deref();
            let kind = own.unwrap_or(UNSET);
            let refused = !allowed_proc_mounts(policy).any(|allowed| allowed == kind);
            refused.then(|| Reason {
                place: container.place(),
                path: "securityContext.procMount",
                found: own.map_or(Found::UnsetMeaning(UNSET), Found::Word),
                problem: Problem::NotListed(&policy.spec.allowed_proc_mount_types, &[]),
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        allowed_proc_mounts(other).any(|its| !allowed_proc_mounts(policy).any(|own| own == its))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let of = |policy| allowed_proc_mounts(policy).map(str::to_owned).collect::<Vec<_>>();
        union.spec.allowed_proc_mount_types = joined(&of(a), &of(b));
    }
}

/// The proc mount types that a policy allows: its own, else `Default`.
pub fn allowed_proc_mounts(policy: &Policy) -> impl Iterator<Item = &str> {
    let own = &policy.spec.allowed_proc_mount_types;
    own.iter().map(String::as_str).chain(own.is_empty().then_some(UNSET))
}
