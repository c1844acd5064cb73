//! Admission by a [bundle](crate::bundle): what becomes of the pod that an audit event tells of.

use crate::access::Request;
use crate::access_index::Index;
use crate::bundle::{Bundle, BundleError};
use crate::decision::{Decision, Judgement, May, Verdict, choose, judge};
use crate::event::PodEvent;
use crate::field::{Field, Fields};
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::evidence;
use crate::scope::PolicyScope;

/// Judges audit events.
#[derive(Debug)]
pub struct Admission {
    bundle: Bundle,
    digest: String,
    /// The policies that are asked, in the order of their names.
    policies: Vec<Candidate>,
    /// Who may use these, where it is known.
    index: Option<Index>,
    /// RBAC is known as a whole: whom it grants no policy may use none.
    is_whole: bool,
}

/// A policy, and which pods it is asked about.
#[derive(Debug)]
struct Candidate {
    policy: Policy,
    scope: PolicyScope,
    /// Admission skipped it, since it could make nothing of a strategy. What else it says is asked all the same.
    skipped: bool,
}

/// What became of the pod of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'a> {
    /// The verdict of all policies together.
    pub verdict: Overall,
    /// The policies whose refusal counts, with the fields that they refused.
    pub violations: Vec<(&'a Policy, Fields)>,
    /// The policies whose corrections count, with the fields that they filled in.
    pub lost_defaults: Vec<(&'a Policy, Fields)>,
    /// The policy under which the pod was admitted, where that is certain.
    pub admitted: Option<&'a Policy>,
    /// The policies that may certainly be used; `None`: nobody knows, since the bundle has no RBAC.
    pub usable: Option<Vec<&'a Policy>>,
    /// The pod's service account; none where the event does not hold the pod.
    pub service_account: Option<String>,
    /// `KIND/NAME` of what owns the pod, such as a ReplicaSet.
    pub owner: Option<String>,
}

/// A verdict of several policies together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Overall {
    /// No refusal and no correction counts.
    Allowed,
    /// A correction counts.
    Corrected,
    /// A refusal counts.
    Refused,
    /// Nobody may use any policy.
    Unusable,
    /// The event does not hold the pod.
    Unknown,
}

impl Overall {
    /// The verdict in a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Corrected => "corrected",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Unknown => "unknown",
        }
    }
}

impl Admission {
    /// Admission by the bundle that is read from a text.
    ///
    /// # Errors
    /// When the text is no bundle ([`Bundle::parse`]).
    pub fn parse(text: &[u8]) -> Result<Self, BundleError> {
        Bundle::parse(text).map(Self::new)
    }

    /// Admission by a bundle. A policy that admission skipped ([`Policy::unusable`]) is left out where RBAC is known,
    /// so that the others decide as they did; without RBAC it is asked for what else it says.
    pub fn new(bundle: Bundle) -> Self {
        let digest = bundle.digest();
        let candidates = bundle.policies.values().map(|policy| Candidate {
            policy: policy.without_unusable().into_owned(),
            scope: PolicyScope::new(policy),
            skipped: !policy.unusable().is_empty(),
        });
        let policies: Vec<Candidate> =
            candidates.filter(|candidate| bundle.access.is_none() || !candidate.skipped).collect();
        let names = policies.iter().map(|candidate| candidate.policy.name.as_str());
        let index = bundle.access.as_ref().map(|access| Index::new(access, names));
        let is_whole = bundle.access.as_ref().is_some_and(|access| access.whole);
        Self { bundle, digest, policies, index, is_whole }
    }

    /// The digest of the bundle.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What becomes of the pod that the text of an audit event tells of. `None` if it tells of no new pod.
    pub fn judge(&self, event: &[u8]) -> Option<Outcome<'_>> {
        PodEvent::read(event, self.bundle.object).map(|event| self.decide(&event))
    }

    /// What becomes of the pod of an event.
    pub fn decide(&self, event: &PodEvent<'_>) -> Outcome<'_> {
        let Some(stored) = &event.pod else {
            return Outcome {
                verdict: Overall::Unknown,
                violations: Vec::new(),
                lost_defaults: Vec::new(),
                admitted: None,
                usable: None,
                service_account: None,
                owner: None,
            };
        };
        let may = self.index.as_ref().map(|index| {
            index.may(&Request {
                user: &event.user,
                groups: &event.groups,
                namespace: &event.namespace,
                service_account: &stored.service_account,
            })
        });
        let mays = |position: usize| match &may {
            None => Some(May::Perhaps),
            Some(may) => may.get(position).copied().flatten(),
        };
        let asked = self.policies.iter().enumerate();
        let asked = asked.filter_map(|(position, candidate)| Some((&candidate.policy, mays(position)?)));
        let judged: Vec<(&Policy, May, Judgement)> =
            asked.map(|(policy, may)| (policy, may, judge(policy, &stored.pod))).collect();
        let alone = match (self.policies.as_slice(), judged.as_slice()) {
            ([Candidate { skipped: false, .. }], [(policy, May::Perhaps, judgement)]) => {
                (judgement.verdict != Verdict::Denied).then_some(*policy)
            }
            _ => None,
        };
        let usable = may.as_ref().map(|_| {
            let certain = judged.iter().filter(|(_, may, _)| *may == May::Certainly);
            certain.map(|(policy, ..)| *policy).collect()
        });
        let Decision { none_usable, admitted, corrected, refused } = choose(judged, event.changed);
        let violations = self.in_scope(refused, &stored.pod, &event.namespace);
        let lost_defaults = self.in_scope(corrected, &stored.pod, &event.namespace);
        let verdict = if none_usable && self.is_whole && self.bundle.scope.contains(&event.namespace) {
            Overall::Unusable
        } else if !violations.is_empty() {
            Overall::Refused
        } else if !lost_defaults.is_empty() {
            Overall::Corrected
        } else {
            Overall::Allowed
        };
        Outcome {
            verdict,
            violations,
            lost_defaults,
            admitted: admitted.or(alone),
            usable,
            service_account: Some(stored.service_account.clone().into_owned()),
            owner: stored.owner.as_ref().map(|(kind, name)| format!("{kind}/{name}")),
        }
    }

    /// Those of the policies that are asked about a pod.
    fn in_scope<'a>(
        &'a self,
        mut found: Vec<(&'a Policy, Fields)>,
        pod: &Pod<'_>,
        namespace: &str,
    ) -> Vec<(&'a Policy, Fields)> {
        if !self.bundle.scope.contains(namespace) {
            return Vec::new();
        }
        found.retain(|(policy, _)| {
            self.candidate(&policy.name).is_some_and(|candidate| candidate.scope.contains(pod, namespace))
        });
        found
    }

    fn candidate(&self, name: &str) -> Option<&Candidate> {
        let position = self.policies.binary_search_by(|candidate| candidate.policy.name.as_str().cmp(name));
        position.ok().and_then(|position| self.policies.get(position))
    }

    /// Why the policy of this name would have refused the pod of an event because of `field`, or, if it would not, what
    /// it would have filled in; in one line of at most [`LONGEST_EVIDENCE`](crate::reason::LONGEST_EVIDENCE)
    /// characters. `None` if the policy minds nothing there.
    pub fn evidence(&self, event: &[u8], policy: &str, field: Field) -> Option<String> {
        self.evidences(event, &[(policy, field)]).pop().flatten()
    }

    /// The [`evidence`](Self::evidence) of several fields of policies, in their order. The event is read once.
    pub fn evidences(&self, event: &[u8], about: &[(&str, Field)]) -> Vec<Option<String>> {
        let event = PodEvent::read(event, self.bundle.object);
        let Some(pod) = event.as_ref().and_then(|event| event.pod.as_ref()) else {
            return vec![None; about.len()];
        };
        let mut judged: Option<(&str, Verdict)> = None;
        let one = |&(name, field): &(&str, Field)| {
            let policy = &self.candidate(name)?.policy;
            // the fields of a policy mostly come one after the other
            let verdict = match judged {
                Some((last, verdict)) if last == policy.name => verdict,
                _ => judge(policy, &pod.pod).verdict,
            };
            judged = Some((&policy.name, verdict));
            let reasons = match verdict {
                Verdict::Denied => field.refusals(policy, &pod.pod),
                _ => field.corrections(policy, &pod.pod),
            };
            (!reasons.is_empty()).then(|| evidence(&reasons))
        };
        about.iter().map(one).collect()
    }
}
