//! `allowPrivilegeEscalation`: may a process gain more privileges than its parent?

use super::{Mapped, allowed_or_not};
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let allowed = policy.spec.allow_privilege_escalation;
    // the default has the first word (`mutateContainer`)
    let filled = policy.spec.default_allow_privilege_escalation.or((!allowed).then_some(false));
    Mapped::value(allowed_or_not(allowed))
        .refuses(!allowed, "container that allows privilege escalation")
        .corrects(
            filled.is_some(),
            format!("allowPrivilegeEscalation unset, which the policy set to {}", filled.unwrap_or_default()),
        )
}
