//! `supplementalGroups`: which further group ids may a pod's processes have?

use psp_admission::Policy;

use super::ids::{ids, wrong_ranges};
use super::mapped::{AtRuntime, Mapped};
use super::restriction::Restriction;
use crate::pod_security::Level;
use crate::psp::fault::Fault;

pub(super) struct SupplementalGroups;

impl Restriction for SupplementalGroups {
    fn map(policy: &Policy) -> Mapped {
        ids(&policy.spec.supplemental_groups, "supplementalGroups")
            .runtime(AtRuntime::undetectable("Falco knows a process's primary group only"))
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        wrong_ranges("spec.supplementalGroups", &policy.spec.supplemental_groups)
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some("no level looks at groups")
    }
}
