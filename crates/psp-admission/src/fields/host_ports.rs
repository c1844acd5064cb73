//! `hostPorts`: which ports of the node may containers bind?
//!
//! A container's `hostPort` above 0 lies in one of the ranges, both ends included; an absent list allows none. With
//! `hostNetwork: true` the API server itself copies `containerPort` into `hostPort`.

use super::restriction::{Restriction, covered, joined};
use crate::pod::Pod;
use crate::policy::{Policy, Range};
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

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        other.spec.host_ports.iter().any(|range| {
            let ports = Range { min: range.min.max(PORTS.min), max: range.max.min(PORTS.max) };
            !covered(ports, &policy.spec.host_ports)
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.host_ports = joined(&a.spec.host_ports, &b.spec.host_ports);
    }
}

/// The ports that a container can bind.
const PORTS: Range = Range { min: 1, max: 65535 };
