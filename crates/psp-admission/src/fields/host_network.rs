//! `hostNetwork`: may pods use the node's network?
//!
//! A policy that says false refuses a pod with `hostNetwork: true`.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct HostNetwork;

impl Restriction for HostNetwork {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let refused = pod.host_network && !policy.spec.host_network;
        refused.then(|| Reason::of_pod("hostNetwork", Found::Flag(true), Problem::NotAllowed)).into_iter()
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        !policy.spec.host_network && other.spec.host_network
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.host_network = a.spec.host_network || b.spec.host_network;
    }
}
