//! `runAsGroup`: which primary group ids may containers run as?

use super::{Mapped, ids};
use crate::psp::Policy;
use crate::render::pattern::MAX_ID;

pub(super) fn map(policy: &Policy) -> Mapped {
    ids(&policy.spec.run_as_group, "runAsGroup", MAX_ID)
}
