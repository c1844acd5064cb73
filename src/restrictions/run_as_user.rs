//! `runAsUser`: which user ids may containers run as?

use super::{Mapped, ids};
use crate::psp::Policy;
use crate::psp::policy::IdRule;
use crate::render::pattern::MAX_ID;

pub(super) fn map(policy: &Policy) -> Mapped {
    let strategy = &policy.spec.run_as_user;
    let non_root = strategy.rule == IdRule::MustRunAsNonRoot;
    let mapped = ids(strategy, "runAsUser", MAX_ID).with("non_root", non_root);
    if !non_root {
        return mapped;
    }
    mapped
        .refuses(true, "container that may run as root")
        .corrects(true, "runAsUser and runAsNonRoot unset, which the policy set to non-root")
}
