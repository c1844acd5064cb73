//! What admission decided: by one policy, and by several together.
//!
//! Admission first filled in what a pod left unset, then validated the result (Kubernetes 1.20
//! `pkg/security/podsecuritypolicy/provider.go`). Fed the pod as a server without PSP stores it, this gives the
//! verdict and the fields that a server with PSP gave. Of several policies the pod passes under one of those that its
//! requester may use, or under none (`plugin/pkg/admission/security/podsecuritypolicy/admission.go`,
//! `computeSecurityContext`).

use serde::Deserialize as _;
use serde_json::Value;

use crate::fields::{Field, Fields};
use crate::lenient::{Lenient, Object as _, Read, Text, object};
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

/// What became of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<'p> {
    /// Refused, since no policy could be used.
    NoneUsable,
    /// Admitted under this policy, which filled in these fields.
    Admitted(&'p Policy, Fields),
    /// Refused by every usable policy, in these fields.
    Refused(Vec<(&'p Policy, Fields)>),
}

/// Decides over a pod. `usable` are the policies that its requester may use, in the order of their names; those
/// that admission could make nothing of ([`Policy::unusable`]) are left out here. `changed` says whether every policy
/// changes the pod ([`changes_under_all`]).
pub fn decide<'p>(
    usable: impl IntoIterator<Item = &'p Policy>,
    pod: &Pod<'_>,
    changed: bool,
) -> Decision<'p> {
    let working = usable.into_iter().filter(|policy| policy.unusable().is_empty());
    choose(working.map(|policy| (policy, judge(policy, pod))).collect(), changed)
}

/// As [`decide`], of judgements that are known.
pub fn choose(judged: Vec<(&Policy, Judgement)>, changed: bool) -> Decision<'_> {
    if judged.is_empty() {
        return Decision::NoneUsable;
    }
    let admitting = || judged.iter().filter(|(_, judgement)| judgement.verdict != Verdict::Denied);
    let unchanged = admitting().find(|(_, judgement)| judgement.verdict == Verdict::Allowed && !changed);
    match unchanged.or_else(|| admitting().next()) {
        Some((policy, judgement)) => Decision::Admitted(policy, judgement.fields),
        None => Decision::Refused(
            judged.into_iter().map(|(policy, judgement)| (policy, judgement.fields)).collect(),
        ),
    }
}

/// Does every policy change this pod (`v1.Pod`, as the client sent it), whatever the policy says? A pod-level seccomp
/// profile without its annotation got the annotation from each, so that none admitted the pod unchanged
/// (`podsecuritypolicy/seccomp/strategy.go`).
pub fn changes_under_all(request: &Value) -> bool {
    Read::<Request>::deserialize(request).is_ok_and(|Read(request)| request.changed)
}

/// What of a pod as the client sent it counts beside the pod as stored.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Does every policy change the pod?
    pub(crate) changed: bool,
}

object! {
    struct RequestObject<'a> {
        metadata: Option<RequestMetadata<'a>> = "metadata",
        spec: Option<RequestSpec<'a>> = "spec",
    }
    struct RequestMetadata<'a> {
        annotations: Option<RequestAnnotations<'a>> = "annotations",
    }
    struct RequestAnnotations<'a> {
        seccomp: Option<Text<'a>> = "seccomp.security.alpha.kubernetes.io/pod",
    }
    struct RequestSpec<'a> {
        security: Option<RequestSecurity<'a>> = "securityContext",
    }
    struct RequestSecurity<'a> {
        seccomp: Option<RequestProfile<'a>> = "seccompProfile",
    }
    struct RequestProfile<'a> {
        type_: Option<Text<'a>> = "type",
    }
}

impl<'de> Lenient<'de> for Request {
    fn of_object<A: serde::de::MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        let request = RequestObject::read(object)?;
        let annotation = request.metadata.and_then(|metadata| metadata.annotations?.seccomp);
        let profile = request.spec.and_then(|spec| spec.security?.seccomp);
        Ok(Self { changed: profile.is_some() && annotation.is_none_or(|name| name.is_empty()) })
    }
}
