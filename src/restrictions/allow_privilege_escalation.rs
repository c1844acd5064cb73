//! `allowPrivilegeEscalation`: may a process gain more privileges than its parent?

use psp_admission::Policy;

use super::ids::root_allowed;
use super::mapped::{AtRuntime, Mapped, allowed_or_not};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};

pub(super) struct AllowPrivilegeEscalation;

impl Restriction for AllowPrivilegeEscalation {
    fn map(policy: &Policy) -> Mapped {
        let allowed = policy.spec.allow_privilege_escalation;
        // the default has the first word (`mutateContainer`)
        let filled = policy.spec.default_allow_privilege_escalation.or((!allowed).then_some(false));
        let runtime = match (allowed, root_allowed(policy)) {
            (true, _) => {
                AtRuntime::undetectable("pods may ask for it, and the kernel's events do not show which did")
            }
            (false, true) => AtRuntime::undetectable(
                "root is allowed, and Falco does not know who a process was before it became root",
            ),
            (false, false) => AtRuntime::approximate(
                true,
                "process that becomes root by a set-id program or call",
                "set-id programs are known by their names, and a container that started as root looks the same",
            ),
        };
        Mapped::value(allowed_or_not(allowed))
            .runtime(runtime)
            .refuses(!allowed, "container that allows privilege escalation")
            .corrects(
                filled.is_some(),
                format!(
                    "allowPrivilegeEscalation unset, which the policy set to {}",
                    filled.unwrap_or_default()
                ),
            )
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        (check == Check::AllowPrivilegeEscalation)
            .then(|| Stance::fills_in(!policy.spec.allow_privilege_escalation))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Restricted)
    }
}
