//! `privileged`: may containers be privileged, or Windows host processes?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, allowed_or_not};

pub(super) fn map(policy: &Policy) -> Mapped {
    let allowed = policy.spec.privileged;
    Mapped::value(allowed_or_not(allowed))
        .refuses(!allowed, "privileged container")
        .runtime(AtRuntime::exact(!allowed, "privileged container"))
}
