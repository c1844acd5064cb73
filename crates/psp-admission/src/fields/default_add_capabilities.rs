//! `defaultAddCapabilities`: which capabilities did containers get?
//!
//! Admission added each that a container neither adds nor drops itself. The policy allows them, too (see
//! `allowedCapabilities`).

use super::restriction::{Restriction, joined};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct DefaultAddCapabilities;

impl Restriction for DefaultAddCapabilities {
    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        pod.containers.iter().flat_map(|container| {
            let added = policy.spec.default_add_capabilities.iter().filter(|name| {
                let named = &mut container.added_capabilities.iter().chain(&container.dropped_capabilities);
                !named.any(|own| own == *name)
            });
            added.map(|name| Reason {
                place: container.place(),
                path: "securityContext.capabilities.add",
                found: Found::Lacking(name),
                problem: Problem::Added,
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        // what a container sets by itself neither policy adds or drops
        policy.spec.default_add_capabilities.iter().any(|added| {
            !other.spec.default_add_capabilities.contains(added)
                && !other.spec.required_drop_capabilities.contains(added)
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.default_add_capabilities =
            joined(&a.spec.default_add_capabilities, &b.spec.default_add_capabilities);
    }
}
