//! `forbiddenSysctls`: which sysctls must pods not set, not even safe ones?

use psp_admission::Policy;
use psp_admission::sysctl::{SAFE, matches_any};

use super::mapped::{Mapped, listed};
use super::restriction::Restriction;
use super::sysctls::{overlaps, patterns, written_sysctls, wrong_sysctls};
use crate::pod_security::{Level, SAFE_SINCE};
use crate::psp::fault::Fault;

pub(super) struct ForbiddenSysctls;

impl Restriction for ForbiddenSysctls {
    fn map(policy: &Policy) -> Mapped {
        let forbidden = &policy.spec.forbidden_sysctls;
        Mapped::value(listed(forbidden))
            .refuses(!forbidden.is_empty(), format!("forbidden sysctl: {}", listed(forbidden)))
            .runtime(written_sysctls(
                !forbidden.is_empty(),
                format!("write of a forbidden sysctl: {}", listed(forbidden)),
                forbidden,
            ))
            .with("patterns", patterns(forbidden))
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        const PATH: &str = "spec.forbiddenSysctls";
        let (forbidden, allowed) = (&policy.spec.forbidden_sysctls, &policy.spec.allowed_unsafe_sysctls);
        let mut faults = wrong_sysctls(PATH, forbidden);
        faults.extend(overlaps(PATH, forbidden, allowed, false));
        faults
    }

    fn beyond(policy: &Policy, _: Level) -> Option<&'static str> {
        let forbids = |name: &&str| matches_any(&policy.spec.forbidden_sysctls, name);
        let any = SAFE.iter().chain(&SAFE_SINCE).any(forbids);
        any.then_some("the level allows sysctls that the policy forbids")
    }
}
