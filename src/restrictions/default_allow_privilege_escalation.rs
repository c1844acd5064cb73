//! `defaultAllowPrivilegeEscalation`: what did containers get that leave `allowPrivilegeEscalation` unset?
//!
//! Both fields fill in the same field of the pod; the alert bears that one's name.

use psp_admission::{Field, Policy};

use super::mapped::Mapped;
use super::restriction::{Restriction, below};
use crate::messages::policy as messages;
use crate::pod_security::Level;
use crate::psp::fault::Fault;

pub(super) struct DefaultAllowPrivilegeEscalation;

impl Restriction for DefaultAllowPrivilegeEscalation {
    fn map(policy: &Policy) -> Mapped {
        match policy.spec.default_allow_privilege_escalation {
            Some(value) => Mapped {
                alerts_as: Some(Field::AllowPrivilegeEscalation),
                ..Mapped::value(value.to_string()).note("alerts as Lost Default (allowPrivilegeEscalation)")
            },
            None => Mapped::value("unset"),
        }
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        match (policy.spec.default_allow_privilege_escalation, policy.spec.allow_privilege_escalation) {
            (Some(true), false) => {
                vec![Fault::new("spec.defaultAllowPrivilegeEscalation", messages::escalation_contradicts())]
            }
            _ => Vec::new(),
        }
    }

    fn beyond(policy: &Policy, level: Level) -> Option<&'static str> {
        match policy.spec.default_allow_privilege_escalation {
            Some(true) => Some("no level fills anything in"),
            _ => below(level, Level::Restricted),
        }
    }
}
