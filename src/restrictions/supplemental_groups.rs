//! `supplementalGroups`: which further group ids may a pod's processes have?

use psp_admission::Policy;

use super::{Mapped, Sight, ids};
use crate::render::pattern::MAX_ID;

pub(super) fn map(policy: &Policy) -> Mapped {
    ids(&policy.spec.supplemental_groups, "supplementalGroups", MAX_ID)
        .runtime(Sight::undetectable("Falco knows a process's primary group only"))
}
