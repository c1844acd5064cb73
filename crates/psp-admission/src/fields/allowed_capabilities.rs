//! `allowedCapabilities`: which capabilities may containers add?
//!
//! What `capabilities.add` names is in `allowedCapabilities` or `defaultAddCapabilities`; `*` allows any. Names compare
//! exactly: `SYS_ADMIN`, not `CAP_SYS_ADMIN`, and `ALL` is just a name.

use super::restriction::{Restriction, joined, leaves_out};
use crate::pod::Pod;
use crate::policy::{Policy, Spec};
use crate::reason::{Found, Problem, Reason};

pub(super) struct AllowedCapabilities;

impl Restriction for AllowedCapabilities {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let (allowed, added) = (&policy.spec.allowed_capabilities, &policy.spec.default_add_capabilities);
        let any = allowed.iter().any(|name| name == "*");
        pod.containers.iter().filter(move |_| !any).flat_map(move |container| {
            let names = container.added_capabilities.iter().map(|name| &**name);
            let refused = move |name: &&str| !allowed.iter().chain(added).any(|allowed| allowed == name);
            names.filter(refused).map(move |name| Reason {
                place: container.place(),
                path: "securityContext.capabilities.add",
                found: Found::Word(name),
                problem: Problem::NotListed(allowed, added),
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        let may_add = |spec: &Spec| [&*spec.allowed_capabilities, &*spec.default_add_capabilities].concat();
        leaves_out(&policy.spec.allowed_capabilities, &may_add(&policy.spec), &may_add(&other.spec))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.allowed_capabilities = joined(&a.spec.allowed_capabilities, &b.spec.allowed_capabilities);
    }
}
