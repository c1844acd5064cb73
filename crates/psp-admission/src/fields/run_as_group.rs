//! `runAsGroup`: which groups may containers run as?
//!
//! A container's own `runAsGroup` counts, else the pod's. `MustRunAs` and `MayRunAs` refuse a group outside every range;
//! `MustRunAs` set the first range's `min` where none was set.

use super::restriction::{Restriction, ids_ask_more};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct RunAsGroup;

const PATH: &str = "securityContext.runAsGroup";

impl Restriction for RunAsGroup {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.run_as_group;
        pod.effective(|security| security.run_as_group).filter_map(|(place, group)| {
            let group = group.filter(|group| strategy.refuses(*group))?;
            let problem = Problem::OutOfRange(&strategy.ranges);
            Some(Reason { place, path: PATH, found: Found::Number(group), problem })
        })
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.run_as_group;
        let groups = pod.effective(|security| security.run_as_group);
        groups.filter(|(_, group)| strategy.must() && group.is_none()).map(|(place, _)| Reason {
            place,
            path: PATH,
            found: Found::Unset,
            problem: Problem::Set(Found::Number(strategy.filled_in())),
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        ids_ask_more(&policy.spec.run_as_group, &other.spec.run_as_group)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.run_as_group = a.spec.run_as_group.union(&b.spec.run_as_group);
    }
}
