//! `hostPID`: may pods share the node's process IDs?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, allowed_or_not};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};

pub(super) struct HostPid;

impl Restriction for HostPid {
    fn map(policy: &Policy) -> Mapped {
        let allowed = policy.spec.host_pid;
        Mapped::value(allowed_or_not(allowed))
            .refuses(!allowed, "pod sharing the node's process IDs")
            .runtime(AtRuntime::exact(!allowed, "container sharing the node's process IDs"))
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        (check == Check::HostNamespaces).then(|| Stance::refuses(!policy.spec.host_pid))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
