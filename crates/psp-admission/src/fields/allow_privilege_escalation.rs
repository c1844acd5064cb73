//! `allowPrivilegeEscalation`: may containers gain more privileges than they start with?
//!
//! A policy that says false refuses a container with `allowPrivilegeEscalation: true`, and set false where it was
//! unset. `defaultAllowPrivilegeEscalation` set its own value there.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::{Policy, Spec};
use crate::reason::{Found, Problem, Reason};

pub(super) struct AllowPrivilegeEscalation;

const PATH: &str = "securityContext.allowPrivilegeEscalation";

impl Restriction for AllowPrivilegeEscalation {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let allowed = policy.spec.allow_privilege_escalation;
        let escalating =
            pod.containers.iter().filter(move |c| !allowed && c.allow_privilege_escalation == Some(true));
        escalating.map(|container| Reason {
            place: container.place(),
            path: PATH,
            found: Found::Flag(true),
            problem: Problem::NotAllowed,
        })
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let spec = &policy.spec;
        let set = spec.default_allow_privilege_escalation;
        let set = set.or_else(|| (!spec.allow_privilege_escalation).then_some(false));
        let unset = pod.containers.iter().filter(|container| container.allow_privilege_escalation.is_none());
        set.into_iter().flat_map(move |set| {
            unset.clone().map(move |container| Reason {
                place: container.place(),
                path: PATH,
                found: Found::Unset,
                problem: Problem::Set(Found::Flag(set)),
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        [None, Some(true), Some(false)]
            .into_iter()
            .any(|value| !leaves_unchanged(&policy.spec, value) && leaves_unchanged(&other.spec, value))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.allow_privilege_escalation =
            a.spec.allow_privilege_escalation || b.spec.allow_privilege_escalation;
    }
}

/// Does a policy leave a container's `allowPrivilegeEscalation` as it is?
fn leaves_unchanged(spec: &Spec, value: Option<bool>) -> bool {
    match value {
        Some(false) => true,
        Some(true) => spec.allow_privilege_escalation,
        None => spec.allow_privilege_escalation && spec.default_allow_privilege_escalation.is_none(),
    }
}
