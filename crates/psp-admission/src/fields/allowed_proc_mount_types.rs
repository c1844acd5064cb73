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
            let refused = !policy.proc_mount_types().any(|allowed| allowed == kind);
            refused.then(|| Reason {
                place: container.place(),
                path: "securityContext.procMount",
                found: own.map_or(Found::UnsetMeaning(UNSET), Found::Word),
                problem: Problem::NotListed(&policy.spec.allowed_proc_mount_types, &[]),
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        other.proc_mount_types().any(|its| !policy.proc_mount_types().any(|own| own == its))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let of = |policy: &Policy| policy.proc_mount_types().map(str::to_owned).collect::<Vec<_>>();
        union.spec.allowed_proc_mount_types = joined(&of(a), &of(b));
    }
}

impl Policy {
    /// The proc mount types that the policy allows: those that it lists, else `Default`.
    pub fn proc_mount_types(&self) -> impl Iterator<Item = &str> {
        let listed = &self.spec.allowed_proc_mount_types;
        listed.iter().map(String::as_str).chain(listed.is_empty().then_some(UNSET))
    }
}
