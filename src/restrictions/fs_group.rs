//! `fsGroup`: which group may own a pod's volumes?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, ids};
use crate::pattern::MAX_ID;

pub(super) fn map(policy: &Policy) -> Mapped {
    ids(&policy.spec.fs_group, "fsGroup", MAX_ID)
        .runtime(AtRuntime::undetectable("the kubelet sets a volume's group before the container starts"))
}
