//! What several policies decide together: the pod passes under one of those that its requester may use, or under none
//! (Kubernetes 1.20 `plugin/pkg/admission/security/podsecuritypolicy/admission.go`, `computeSecurityContext`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::admission::{Judgement, Verdict, judge};
use super::validity::unusable;
use super::{Field, Policy};

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'p> {
    /// Refused, since no policy could be used.
    NoneUsable,
    /// Admitted under this policy, which filled in these fields.
    Admitted(&'p Policy, BTreeSet<Field>),
    /// Refused by every usable policy, in these fields.
    Refused(Vec<(&'p Policy, BTreeSet<Field>)>),
}

/// Decides over a pod. `usable` are the policies that its requester may use, in the order of their names; those
/// that admission could make nothing of ([`unusable`]) are left out here. `request` is the pod as the client sent it.
pub fn decide<'p>(
    usable: impl IntoIterator<Item = &'p Policy>,
    pod: &Value,
    request: Option<&Value>,
) -> Decision<'p> {
    let judged = usable.into_iter().filter(|p| unusable(p).is_none()).map(|p| (p, judge(p, pod)));
    choose(judged.collect(), request.is_some_and(changes_under_all))
}

/// The same of judgements that are known; `changed` says whether every policy changes the pod ([`changes_under_all`]).
pub fn choose(judged: Vec<(&Policy, Judgement)>, changed: bool) -> Decision<'_> {
    if judged.is_empty() {
        return Decision::NoneUsable;
    }
    let admitting = || judged.iter().filter(|(_, j)| j.verdict != Verdict::Denied);
    let unchanged = admitting().find(|(_, j)| j.verdict == Verdict::Allowed && !changed);
    match unchanged.or_else(|| admitting().next()) {
        Some((policy, judgement)) => Decision::Admitted(policy, judgement.fields.clone()),
        None => Decision::Refused(judged.into_iter().map(|(p, j)| (p, j.fields)).collect()),
    }
}

/// Does every policy change this pod as sent, whatever it says? A pod-level seccomp profile without its annotation
/// got the annotation from each, so that none admitted the pod unchanged (`podsecuritypolicy/seccomp/strategy.go`).
pub fn changes_under_all(request: &Value) -> bool {
    let profile = request.pointer("/spec/securityContext/seccompProfile");
    let annotation = request.pointer("/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod");
    profile.is_some_and(|p| !p.is_null()) && annotation.and_then(Value::as_str).is_none_or(str::is_empty)
}
