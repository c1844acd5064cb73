//! `fsGroup`: which group may own a pod's volumes?
//!
//! `MustRunAs` and `MayRunAs` refuse a group outside every range; `MustRunAs` set the first range's `min` where none was
//! set.

use super::restriction::{Restriction, ids_ask_more, without_ranges};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct FsGroup;

const PATH: &str = "securityContext.fsGroup";

impl Restriction for FsGroup {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.fs_group;
        let refused = pod.fs_group.filter(|group| strategy.refuses(*group));
        refused
            .into_iter()
            .map(|group| Reason::of_pod(PATH, Found::Number(group), Problem::OutOfRange(&strategy.ranges)))
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.fs_group;
        let set = || Problem::Set(Found::Number(strategy.filled_in()));
        let unset = strategy.must() && pod.fs_group.is_none();
        unset.then(|| Reason::of_pod(PATH, Found::Unset, set())).into_iter()
    }

    fn unusable(policy: &Policy) -> Option<String> {
        without_ranges(&policy.spec.fs_group)
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        ids_ask_more(&policy.spec.fs_group, &other.spec.fs_group)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.fs_group = a.spec.fs_group.union(&b.spec.fs_group);
    }
}
