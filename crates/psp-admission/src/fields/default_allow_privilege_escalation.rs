//! `defaultAllowPrivilegeEscalation`: what did `allowPrivilegeEscalation` become where a container left it unset?
//!
//! It is the pod's `allowPrivilegeEscalation` that was filled in; so the policy's field of that name reports it.

use super::restriction::Restriction;
use crate::policy::Policy;

pub(super) struct DefaultAllowPrivilegeEscalation;

impl Restriction for DefaultAllowPrivilegeEscalation {
    /// Never: it is told by `allowPrivilegeEscalation`.
    fn asks_more(_: &Policy, _: &Policy) -> bool {
        false
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let default = a.spec.default_allow_privilege_escalation;
        union.spec.default_allow_privilege_escalation =
            default.filter(|default| b.spec.default_allow_privilege_escalation == Some(*default));
    }
}
