//! `forbiddenSysctls`: which sysctls must pods not set, not even safe ones?

use super::{Mapped, allowed_unsafe_sysctls::patterns, listed};
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let forbidden = &policy.spec.forbidden_sysctls;
    Mapped::value(listed(forbidden))
        .refuses(!forbidden.is_empty(), format!("forbidden sysctl: {}", listed(forbidden)))
        .with("patterns", patterns(forbidden))
}
