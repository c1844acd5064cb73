//! What admission decided: by one policy, and by several together.
//!
//! Admission first filled in what a pod left unset, then validated the result (Kubernetes 1.20
//! `pkg/security/podsecuritypolicy/provider.go`). Fed the pod as a server without PSP stores it, this gives the
//! verdict and the fields that a server with PSP gave. Of several policies the pod passes under one of those that its
//! requester may use, or under none (`plugin/pkg/admission/security/podsecuritypolicy/admission.go`,
//! `computeSecurityContext`).
//!
//! Of some policies it may not be known whether the requester may use them ([`May::Perhaps`]). Such a policy never
//! admits a pod for another one, since it may not have been usable. Its own verdict counts as long as nothing shows that
//! it had no say: no policy that the requester certainly may use admits the pod, or comes first with its corrections.
//! Where every policy is `Perhaps`, each stands alone; where none is, this is admission itself.

use crate::field::{Field, Fields};
use crate::pod::Pod;
use crate::policy::Policy;

/// What admission decided by one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The pod passed unchanged.
    Allowed,
    /// The pod passed after admission filled in what it left unset.
    Defaulted,
    /// The pod was refused.
    Denied,
}

/// A verdict with the fields that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// What admission decided.
    pub verdict: Verdict,
    /// The fields refused (`Denied`) or filled in (`Defaulted`).
    pub fields: Fields,
}

/// Judges `pod`, as stored, by `policy` alone.
pub fn judge(policy: &Policy, pod: &Pod<'_>) -> Judgement {
    let refused: Fields = Field::ALL.into_iter().filter(|field| field.refuses(policy, pod)).collect();
    if !refused.is_empty() {
        return Judgement { verdict: Verdict::Denied, fields: refused };
    }
    let fields: Fields = Field::ALL.into_iter().filter(|field| field.corrects(policy, pod)).collect();
    let verdict = if fields.is_empty() { Verdict::Allowed } else { Verdict::Defaulted };
    Judgement { verdict, fields }
}

/// What is known of whether a policy may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum May {
    /// It may be used.
    Certainly,
    /// Nobody knows.
    Perhaps,
}

/// What became of a pod, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision<'p> {
    /// There was no policy to judge by.
    pub none_usable: bool,
    /// The policy under which the pod was certainly admitted, unless one that may perhaps be used came before it.
    pub admitted: Option<&'p Policy>,
    /// The policies whose corrections count, with the fields that they filled in.
    pub corrected: Vec<(&'p Policy, Fields)>,
    /// The policies whose refusal counts, with the fields that they refused.
    pub refused: Vec<(&'p Policy, Fields)>,
}

/// Decides over a pod. `policies` are those that its requester may use, in the order of their names; those
/// that admission could make nothing of ([`Policy::unusable`]) are left out here. `changed` says whether every policy
/// changes the pod ([`changes_under_all`](crate::changes_under_all)).
pub fn decide<'p>(
    policies: impl IntoIterator<Item = (&'p Policy, May)>,
    pod: &Pod<'_>,
    changed: bool,
) -> Decision<'p> {
    let working = policies.into_iter().filter(|(policy, _)| policy.unusable().is_empty());
    choose(working.map(|(policy, may)| (policy, may, judge(policy, pod))), changed)
}

/// As [`decide`], of judgements that are known.
pub fn choose<'p>(
    judged: impl IntoIterator<Item = (&'p Policy, May, Judgement)>,
    changed: bool,
) -> Decision<'p> {
    let judged: Vec<_> = judged.into_iter().collect();
    let admits = |(_, may, judgement): &&(&Policy, May, Judgement)| {
        *may == May::Certainly && judgement.verdict != Verdict::Denied
    };
    let unchanged = judged.iter().filter(admits).find(|(.., j)| j.verdict == Verdict::Allowed && !changed);
    let mut decision = Decision {
        none_usable: judged.is_empty(),
        admitted: unchanged.or_else(|| judged.iter().find(admits)).map(|(policy, ..)| *policy),
        ..Decision::default()
    };
    if unchanged.is_some() {
        return decision;
    }
    let mut admitted_before = false;
    for one in &judged {
        let (policy, _, judgement) = one;
        match judgement.verdict {
            Verdict::Denied if decision.admitted.is_none() => {
                decision.refused.push((*policy, judgement.fields));
            }
            Verdict::Defaulted if !admitted_before => decision.corrected.push((*policy, judgement.fields)),
            _ => {}
        }
        admitted_before |= admits(&one);
    }
    decision
}
