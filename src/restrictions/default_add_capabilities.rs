//! `defaultAddCapabilities`: which capabilities did admission add to every container?

use psp_admission::Policy;

use super::capabilities::{added, dropped_too, misspelt};
use super::mapped::{AtRuntime, Mapped, listed};
use super::restriction::Restriction;
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::Fault;

pub(super) struct DefaultAddCapabilities;

impl Restriction for DefaultAddCapabilities {
    fn map(policy: &Policy) -> Mapped {
        let names = &policy.spec.default_add_capabilities;
        Mapped::value(listed(names))
            .corrects(
                !names.is_empty(),
                format!("container that neither adds nor drops {}, which the policy added", listed(names)),
            )
            .runtime(AtRuntime::undetectable("a process without a capability may never have been given it"))
            .with("names", names.clone())
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        dropped_too("spec.defaultAddCapabilities", &policy.spec.default_add_capabilities, policy)
    }

    fn remarks(policy: &Policy) -> Vec<Fault> {
        misspelt("spec.defaultAddCapabilities", &policy.spec.default_add_capabilities)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        added(&policy.spec.default_add_capabilities, check)
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some("no level fills anything in")
    }
}
