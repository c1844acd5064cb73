//! `forbiddenSysctls`: which sysctls must pods not set, not even safe ones?

use psp_admission::Policy;

use super::allowed_unsafe_sysctls::{patterns, written_sysctls};
use super::{Mapped, listed};

pub(super) fn map(policy: &Policy) -> Mapped {
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
