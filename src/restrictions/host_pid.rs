//! `hostPID`: may pods share the node's process IDs?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, allowed_or_not};

pub(super) fn map(policy: &Policy) -> Mapped {
    let allowed = policy.spec.host_pid;
    Mapped::value(allowed_or_not(allowed))
        .refuses(!allowed, "pod sharing the node's process IDs")
        .runtime(AtRuntime::exact(!allowed, "container sharing the node's process IDs"))
}
