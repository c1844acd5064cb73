//! `requiredDropCapabilities`: which capabilities must containers drop?
//!
//! Admission added each to `capabilities.drop` that was not there, and so refused nothing by it.

use super::restriction::{Restriction, lacks};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct RequiredDropCapabilities;

impl Restriction for RequiredDropCapabilities {
    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        pod.containers.iter().flat_map(|container| {
            let dropped = |name: &&String| container.dropped_capabilities.iter().any(|own| own == *name);
            let missing = policy.spec.required_drop_capabilities.iter().filter(move |name| !dropped(name));
            missing.map(|name| Reason {
                place: container.place(),
                path: "securityContext.capabilities.drop",
                found: Found::Lacking(name),
                problem: Problem::Added,
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        lacks(&other.spec.required_drop_capabilities, &policy.spec.required_drop_capabilities)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let (a, b) = (&a.spec.required_drop_capabilities, &b.spec.required_drop_capabilities);
        union.spec.required_drop_capabilities = a.iter().filter(|name| b.contains(name)).cloned().collect();
    }
}
