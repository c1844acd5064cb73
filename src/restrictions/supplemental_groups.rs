//! `supplementalGroups`: which further group ids may a pod's processes have?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, ids};
use crate::pattern::MAX_ID;

pub(super) fn map(policy: &Policy) -> Mapped {
    ids(&policy.spec.supplemental_groups, "supplementalGroups", MAX_ID)
        .runtime(AtRuntime::undetectable("Falco knows a process's primary group only"))
}
