//! `privileged`: may containers be privileged, or Windows host processes?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, allowed_or_not};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};

pub(super) struct Privileged;

impl Restriction for Privileged {
    fn map(policy: &Policy) -> Mapped {
        let allowed = policy.spec.privileged;
        Mapped::value(allowed_or_not(allowed))
            .refuses(!allowed, "privileged container")
            .runtime(AtRuntime::exact(!allowed, "privileged container"))
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        (check == Check::Privileged).then(|| Stance::refuses(!policy.spec.privileged))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
