//! `hostIPC`: may pods use the node's inter-process communication?
//!
//! A policy that says false refuses a pod with `hostIPC: true`.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct HostIpc;

impl Restriction for HostIpc {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let refused = pod.host_ipc && !policy.spec.host_ipc;
        refused.then(|| Reason::of_pod("hostIPC", Found::Flag(true), Problem::NotAllowed)).into_iter()
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        !policy.spec.host_ipc && other.spec.host_ipc
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.host_ipc = a.spec.host_ipc || b.spec.host_ipc;
    }
}
