//! `runAsGroup`: which primary group ids may containers run as?

use psp_admission::Policy;
use psp_admission::policy::IdRule;

use super::{AtRuntime, Mapped, ids, ids_at_runtime, root_allowed};
use crate::pattern::MAX_ID;

/// What Falco's ids are.
const NODE_S_ID: &str = "a process may change its group after admission, and under hostUsers: false the node's ids are not the pod's";

pub(super) fn map(policy: &Policy) -> Mapped {
    let strategy = &policy.spec.run_as_group;
    let mapped = ids(strategy, "runAsGroup", MAX_ID);
    let runtime = match strategy.rule {
        IdRule::MayRunAs => AtRuntime::undetectable(
            "a pod that leaves it unset runs with its image's group, whatever that is",
        ),
        _ => ids_at_runtime(strategy, "group id", mapped.refuses.is_some(), NODE_S_ID),
    };
    mapped.runtime(runtime.with("at_start", root_allowed(policy)))
}
