//! What every field has in common: the trait, and how lists are joined.

use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::Reason;

/// What admission did with one field.
pub(super) trait Restriction {
    /// Why the policy would have refused the pod, after filling in what it can.
    fn refusals<'a>(_: &'a Policy, _: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        std::iter::empty()
    }

    /// What the policy would have filled in.
    fn corrections<'a>(_: &'a Policy, _: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        std::iter::empty()
    }

    /// Makes `union` allow what `a` or `b` allows, see [`union`](crate::union()).
    fn unite(a: &Policy, b: &Policy, union: &mut Policy);
}

/// The items of both lists, each once.
pub(super) fn joined<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Vec<T> {
    let mut joined = a.to_vec();
    joined.extend(b.iter().filter(|item| !a.contains(item)).cloned());
    joined
}

/// Does the policy allow volumes with this source at all?
pub(super) fn allows_volumes(policy: &Policy, source: &str) -> bool {
    policy.spec.volumes.iter().any(|kind| kind == "*" || kind == source)
}

/// Joins lists that allow anything when empty, but count only where the policy allows their type of volume.
pub(super) fn joined_where_allowed<T: Clone + PartialEq>(
    source: &str,
    a: (&Policy, &[T]),
    b: (&Policy, &[T]),
) -> Vec<T> {
    match (allows_volumes(a.0, source), allows_volumes(b.0, source)) {
        (true, true) if a.1.is_empty() || b.1.is_empty() => Vec::new(),
        (true, true) | (false, false) => joined(a.1, b.1),
        (true, false) => a.1.to_vec(),
        (false, true) => b.1.to_vec(),
    }
}
