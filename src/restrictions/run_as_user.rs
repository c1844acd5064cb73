//! `runAsUser`: which user ids may containers run as?

use psp_admission::Policy;
use psp_admission::policy::IdRule;

use super::ids::{ids, ids_at_runtime, root_allowed, wrong_ranges};
use super::mapped::{AtRuntime, Mapped};
use super::restriction::{Restriction, below};
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::Fault;

/// Why alerts may differ from what the policy says.
const REASON: &str = "a process may change its id after admission, and under hostUsers: false the node's ids are not the pod's";

pub(super) struct RunAsUser;

impl Restriction for RunAsUser {
    fn map(policy: &Policy) -> Mapped {
        let strategy = &policy.spec.run_as_user;
        let non_root = strategy.rule == IdRule::MustRunAsNonRoot;
        let mapped = ids(strategy, "runAsUser").with("non_root", non_root);
        let runtime = match strategy.rule {
            IdRule::MustRunAsNonRoot => AtRuntime::approximate(true, "process of root", REASON),
            _ => ids_at_runtime(strategy, "user id", mapped.refuses.is_some(), REASON),
        };
        let mapped =
            mapped.runtime(runtime.with("non_root", non_root).with("at_start", root_allowed(policy)));
        if !non_root {
            return mapped;
        }
        mapped
            .refuses(true, "container that may run as root")
            .corrects(true, "runAsUser and runAsNonRoot unset, which the policy set to non-root")
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        wrong_ranges("spec.runAsUser", &policy.spec.run_as_user)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        matches!(check, Check::RunAsNonRoot | Check::RunAsUser).then(|| {
            let strategy = &policy.spec.run_as_user;
            Stance::fills_in(match strategy.rule {
                IdRule::MustRunAsNonRoot => true,
                IdRule::MustRunAs => !strategy.ranges.iter().any(|range| range.contains(0)),
                IdRule::MayRunAs | IdRule::RunAsAny => false,
            })
        })
    }

    fn beyond(policy: &Policy, level: Level) -> Option<&'static str> {
        match policy.spec.run_as_user.rule {
            IdRule::MustRunAsNonRoot => below(level, Level::Restricted),
            _ => Some("no level knows ranges of ids"),
        }
    }
}
