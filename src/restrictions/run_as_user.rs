//! `runAsUser`: which user ids may containers run as?

use psp_admission::Policy;
use psp_admission::policy::IdRule;

use super::{AtRuntime, Mapped, ids, ids_at_runtime, root_allowed};
use crate::pattern::MAX_ID;

/// What Falco's ids are.
const NODE_S_ID: &str = "a process may change its id after admission, and under hostUsers: false the node's ids are not the pod's";

pub(super) fn map(policy: &Policy) -> Mapped {
    let strategy = &policy.spec.run_as_user;
    let non_root = strategy.rule == IdRule::MustRunAsNonRoot;
    let mapped = ids(strategy, "runAsUser", MAX_ID).with("non_root", non_root);
    let runtime = match strategy.rule {
        IdRule::MustRunAsNonRoot => AtRuntime::approximate(true, "process of root", NODE_S_ID),
        _ => ids_at_runtime(strategy, "user id", mapped.refuses.is_some(), NODE_S_ID),
    };
    let mapped = mapped.runtime(runtime.with("non_root", non_root).with("at_start", root_allowed(policy)));
    if !non_root {
        return mapped;
    }
    mapped
        .refuses(true, "container that may run as root")
        .corrects(true, "runAsUser and runAsNonRoot unset, which the policy set to non-root")
}
