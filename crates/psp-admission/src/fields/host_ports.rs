//! `hostPorts`: which ports of the node may containers bind?
//!
//! A container's `hostPort` above 0 lies in one of the ranges, both ends included; an absent list allows none. With
//! `hostNetwork: true` the API server itself copies `containerPort` into `hostPort`.

use super::restriction::{Restriction, joined};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct HostPorts;

impl Restriction for HostPorts {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let allowed = &policy.spec.host_ports;
        pod.containers.iter().flat_map(move |container| {
            let refused = |port: &&i64| !allowed.iter().any(|range| range.contains(**port));
            container.host_ports.iter().filter(refused).map(move |port| Reason {
                place: container.place(),
                path: "ports",
                found: Found::Number(*port),
                problem: Problem::OutOfRange(allowed),
            })
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.host_ports = joined(&a.spec.host_ports, &b.spec.host_ports);
    }
}
