//! `hostNetwork`: may pods share the node's network?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, allowed_or_not};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};

pub(super) struct HostNetwork;

impl Restriction for HostNetwork {
    fn map(policy: &Policy) -> Mapped {
        let allowed = policy.spec.host_network;
        Mapped::value(allowed_or_not(allowed))
            .refuses(!allowed, "pod sharing the node's network")
            .runtime(AtRuntime::exact(!allowed, "container sharing the node's network"))
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        // the API server takes host processes only with the host's network
        matches!(check, Check::HostNamespaces | Check::WindowsHostProcess)
            .then(|| Stance::refuses(!policy.spec.host_network))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
