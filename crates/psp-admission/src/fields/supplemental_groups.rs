//! `supplementalGroups`: which groups may a pod's processes have besides their own?
//!
//! `MustRunAs` and `MayRunAs` refuse a listed group outside every range. `MustRunAs` set the first range's `min` where
//! the pod lists none. (It also refused an explicit empty list; the stored object omits it, so it reads as unset.)

use super::restriction::{Restriction, ids_ask_more, without_ranges};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct SupplementalGroups;

const PATH: &str = "securityContext.supplementalGroups";

impl Restriction for SupplementalGroups {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.supplemental_groups;
        let refused = pod.supplemental_groups.iter().filter(|group| strategy.refuses(**group));
        refused
            .map(|group| Reason::of_pod(PATH, Found::Number(*group), Problem::OutOfRange(&strategy.ranges)))
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.supplemental_groups;
        let set = || Problem::Set(Found::Number(strategy.filled_in()));
        let unset = strategy.must() && pod.supplemental_groups.is_empty();
        unset.then(|| Reason::of_pod(PATH, Found::Unset, set())).into_iter()
    }

    fn unusable(policy: &Policy) -> Option<String> {
        without_ranges(&policy.spec.supplemental_groups)
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        ids_ask_more(&policy.spec.supplemental_groups, &other.spec.supplemental_groups)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.supplemental_groups = a.spec.supplemental_groups.union(&b.spec.supplemental_groups);
    }
}
