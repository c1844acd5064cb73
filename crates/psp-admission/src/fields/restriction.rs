//! What fields have in common: the trait, and how lists and ranges are joined and compared.

use crate::pod::Pod;
use crate::policy::{IdRule, IdStrategy, Policy, Range, Spec};
use crate::reason::Reason;

/// What admission did with one field.
pub(super) trait Restriction {
    /// The annotations in which a policy states the field; none for a field of `spec`.
    const ANNOTATIONS: &'static [&'static str] = &[];

    /// Why admission could make nothing of the field (`podsecuritypolicy/factory.go`).
    fn unusable(_: &Policy) -> Option<String> {
        None
    }

    /// Why the policy would have refused the pod, after filling in what it can.
    fn refusals<'a>(_: &'a Policy, _: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        std::iter::empty()
    }

    /// What the policy would have filled in.
    fn corrections<'a>(_: &'a Policy, _: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        std::iter::empty()
    }

    /// Does the policy refuse or correct a pod here that `other` admits as it is?
    fn asks_more(policy: &Policy, other: &Policy) -> bool;

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

/// Does a list lack one of the names?
pub(super) fn lacks(list: &[String], names: &[String]) -> bool {
    names.iter().any(|name| !list.contains(name))
}

/// Does one list of names leave out something that the other has? `*` in `any`, or in its names, stands for all names.
pub(super) fn leaves_out(any: &[String], own: &[String], its: &[String]) -> bool {
    let all = |names: &[String]| names.iter().any(|name| name == "*");
    !all(any) && (all(its) || lacks(own, its))
}

/// Does a policy's list of drivers for volumes of one type leave out something that the other has?
pub(super) fn drivers_ask_more(
    source: &str,
    policy: &Policy,
    other: &Policy,
    list: fn(&Spec) -> &Vec<String>,
) -> bool {
    let (own, its) = (list(&policy.spec), list(&other.spec));
    !own.is_empty()
        && allows_volumes(policy, source)
        && allows_volumes(other, source)
        && (its.is_empty() || lacks(own, its))
}

/// A strategy that needs ranges and has none.
pub(super) fn without_ranges(strategy: &IdStrategy) -> Option<String> {
    let lacking = strategy.restricts() && strategy.ranges.is_empty();
    lacking.then(|| format!("{} without ranges", strategy.rule.name()))
}

/// The largest id of a user or group.
const MAX_ID: i64 = u32::MAX as i64;

/// Does a rule for ids refuse or correct an id that another lets pass?
pub(super) fn ids_ask_more(own: &IdStrategy, its: &IdStrategy) -> bool {
    let all = |ranges: &[Range]| ranges.iter().any(|range| !covered(*range, &own.ranges));
    match (own.rule, its.rule) {
        (IdRule::RunAsAny, _) | (IdRule::MustRunAsNonRoot, IdRule::MustRunAsNonRoot) => false,
        // `runAsNonRoot: false` passes every other rule
        (IdRule::MustRunAsNonRoot, _) => true,
        (IdRule::MustRunAs, IdRule::MustRunAs) | (IdRule::MayRunAs, IdRule::MustRunAs | IdRule::MayRunAs) => {
            all(&its.ranges)
        }
        // an unset id passes
        (IdRule::MustRunAs, _) => true,
        (IdRule::MayRunAs, IdRule::MustRunAsNonRoot) => all(&[Range { min: 1, max: MAX_ID }]),
        (IdRule::MayRunAs, IdRule::RunAsAny) => all(&[Range { min: 0, max: MAX_ID }]),
    }
}

/// Does each number of a range lie in one of `ranges`?
pub(super) fn covered(range: Range, ranges: &[Range]) -> bool {
    let mut next = range.min;
    while next <= range.max {
        match ranges.iter().filter(|r| r.contains(next)).map(|r| r.max).max() {
            Some(max) if max < range.max => next = max + 1,
            Some(_) => return true,
            None => return false,
        }
    }
    true
}
