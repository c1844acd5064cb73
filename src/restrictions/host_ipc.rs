//! `hostIPC`: may pods share the node's IPC?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, allowed_or_not};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};

pub(super) struct HostIpc;

impl Restriction for HostIpc {
    fn map(policy: &Policy) -> Mapped {
        let allowed = policy.spec.host_ipc;
        Mapped::value(allowed_or_not(allowed))
            .refuses(!allowed, "pod sharing the node's IPC")
            .runtime(AtRuntime::exact(!allowed, "container sharing the node's IPC"))
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        (check == Check::HostNamespaces).then(|| Stance::refuses(!policy.spec.host_ipc))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
