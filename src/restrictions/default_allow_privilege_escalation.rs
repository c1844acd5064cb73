//! `defaultAllowPrivilegeEscalation`: what did containers get that leave `allowPrivilegeEscalation` unset?
//!
//! Both fields fill in the same field of the pod; the alert bears that one's name.

use psp_admission::{Field, Policy};

use super::Mapped;

pub(super) fn map(policy: &Policy) -> Mapped {
    match policy.spec.default_allow_privilege_escalation {
        Some(value) => Mapped {
            alerts_as: Some(Field::AllowPrivilegeEscalation),
            ..Mapped::value(value.to_string()).note("alerts as Lost Default (allowPrivilegeEscalation)")
        },
        None => Mapped::value("unset"),
    }
}
