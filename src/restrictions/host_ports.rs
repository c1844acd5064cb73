//! `hostPorts`: which ports of the node may containers bind?

use psp_admission::Policy;
use psp_admission::policy::Range;

use super::ids::absent_max;
use super::mapped::{AtRuntime, Mapped, covers, ranges_data, ranges_listed};
use super::restriction::{Restriction, below};
use crate::messages::policy as messages;
use crate::pattern::MAX_PORT;
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::{Fault, of_entries};

pub(super) struct HostPorts;

impl Restriction for HostPorts {
    fn map(policy: &Policy) -> Mapped {
        // the API server checks these ranges nowhere: a reversed one allows nothing
        let usable: Vec<Range> = policy
            .spec
            .host_ports
            .iter()
            .copied()
            .filter(|r| r.min <= r.max && r.max > 0 && r.min <= MAX_PORT)
            .collect();
        let allowed = ranges_listed(&policy.spec.host_ports);
        let sentence = if usable.is_empty() {
            "host port in use".into()
        } else {
            format!("host port outside {allowed}")
        };
        Mapped::value(allowed.clone())
            .runtime(
                AtRuntime::approximate(
                    !covers(&usable, 1, MAX_PORT),
                    if usable.is_empty() {
                        "container on the node's network that listens on a port".to_owned()
                    } else {
                        format!("container on the node's network that listens outside {allowed}")
                    },
                    "shows TCP sockets of pods on the node's network, declared or not; forwarded ports are not seen",
                )
                .with("ranges", ranges_data(&usable)),
            )
            .refuses(!covers(&usable, 1, MAX_PORT), sentence)
            .with("none", usable.is_empty())
            .with("ranges", ranges_data(&usable))
    }

    fn remarks(policy: &Policy) -> Vec<Fault> {
        of_entries("spec.hostPorts", &policy.spec.host_ports, |Range { min, max }| {
            (min > max).then(|| messages::ports_allow_none(min, max, absent_max(*max)))
        })
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let none = !policy.spec.host_ports.iter().any(|range| range.min <= range.max && range.max > 0);
        (check == Check::HostPorts).then(|| Stance::refuses(none))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
