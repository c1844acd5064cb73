//! `fsGroup`: which group may own a pod's volumes?

use psp_admission::Policy;

use super::ids::{ids, wrong_ranges};
use super::mapped::{AtRuntime, Mapped};
use super::restriction::Restriction;
use crate::pod_security::Level;
use crate::psp::fault::Fault;

pub(super) struct FsGroup;

impl Restriction for FsGroup {
    fn map(policy: &Policy) -> Mapped {
        ids(&policy.spec.fs_group, "fsGroup")
            .runtime(AtRuntime::undetectable("the kubelet sets a volume's group before the container starts"))
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        wrong_ranges("spec.fsGroup", &policy.spec.fs_group)
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some("no level looks at groups")
    }
}
