//! `runAsGroup`: which primary group ids may containers run as?

use psp_admission::Policy;
use psp_admission::policy::{IdRule, IdStrategy};

use super::ids::{ids, ids_at_runtime, root_allowed, wrong_ranges};
use super::mapped::{AtRuntime, Mapped};
use super::restriction::Restriction;
use crate::messages::policy as messages;
use crate::pod_security::Level;
use crate::psp::fault::Fault;

/// Why alerts may differ from what the policy says.
const REASON: &str = "a process may change its group after admission, and under hostUsers: false the node's ids are not the pod's";

pub(super) struct RunAsGroup;

impl Restriction for RunAsGroup {
    fn map(policy: &Policy) -> Mapped {
        let strategy = &policy.spec.run_as_group;
        let mapped = ids(strategy, "runAsGroup");
        let runtime = match strategy.rule {
            IdRule::MayRunAs => AtRuntime::undetectable(
                "a pod that leaves it unset runs with its image's group, whatever that is",
            ),
            _ => ids_at_runtime(strategy, "group id", mapped.refuses.is_some(), REASON),
        };
        mapped.runtime(runtime.with("at_start", root_allowed(policy)))
    }

    /// Of the four strategies over ids this one alone must have ranges that agree with its rule.
    fn faults(policy: &Policy) -> Vec<Fault> {
        const RANGES: &str = "spec.runAsGroup.ranges";
        let IdStrategy { rule, ranges } = &policy.spec.run_as_group;
        let mut faults = wrong_ranges("spec.runAsGroup", &policy.spec.run_as_group);
        match (rule, ranges.is_empty()) {
            (IdRule::RunAsAny, false) => faults.push(Fault::new(RANGES, messages::ranges_unused())),
            (IdRule::MustRunAs | IdRule::MayRunAs, true) => {
                faults.push(Fault::new(RANGES, messages::ranges_missing(rule.name())));
            }
            _ => {}
        }
        faults
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some("no level looks at groups")
    }
}
