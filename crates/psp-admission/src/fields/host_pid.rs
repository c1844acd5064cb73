//! `hostPID`: may pods see the node's processes?
//!
//! A policy that says false refuses a pod with `hostPID: true`.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct HostPid;

impl Restriction for HostPid {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let refused = pod.host_pid && !policy.spec.host_pid;
        refused.then(|| Reason::of_pod("hostPID", Found::Flag(true), Problem::NotAllowed)).into_iter()
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        !policy.spec.host_pid && other.spec.host_pid
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.host_pid = a.spec.host_pid || b.spec.host_pid;
    }
}
