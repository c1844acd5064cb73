//! The seccomp annotations: which profiles may pods and containers use, and which did pods get?
//!
//! The pod's profile, and each container's own, else the pod's, is listed; `*` allows any, and `docker/default` and
//! `runtime/default` each stand for both. Without the annotation no profile may be set at all; with it one must be. A
//! pod without a profile got the default one, if the policy has one.

use super::restriction::Restriction;
use crate::pod::{Place, Pod};
use crate::policy::{Policy, SECCOMP_ALLOWED, SECCOMP_DEFAULT};
use crate::profiles::Profiles;
use crate::reason::{Found, Problem, Reason};

pub(super) struct Seccomp;

const PATH: &str = "securityContext.seccompProfile";

impl Restriction for Seccomp {
    const ANNOTATIONS: &'static [&'static str] = &[SECCOMP_ALLOWED, SECCOMP_DEFAULT];

    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let profiles = Profiles::seccomp(policy);
        let inherited = pod.security.seccomp.as_deref();
        let of_containers = pod
            .containers
            .iter()
            .filter_map(|container| Some((container.place(), Some(container.security.seccomp.as_deref()?))));
        std::iter::once((Place::Pod, inherited)).chain(of_containers).filter_map(move |(place, own)| {
            let (found, name) = match (own, profiles.default) {
                (Some(name), _) => (Found::Word(name), name),
                (None, Some(default)) => (Found::UnsetMeaning(default), default),
                (None, None) => (Found::Unset, ""),
            };
            let problem = || Problem::NotProfile(profiles);
            (!profiles.allows(name)).then(|| Reason { place, path: PATH, found, problem: problem() })
        })
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let set = Profiles::seccomp(policy).default.filter(|_| pod.security.seccomp.is_none());
        set.map(|set| Reason::of_pod(PATH, Found::Unset, Problem::Set(Found::Word(set)))).into_iter()
    }

    /// Profiles cannot be joined: where they differ, any is allowed and none is filled in.
    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        Profiles::seccomp(policy).ask_more(&Profiles::seccomp(other))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let same = |key: &str| a.annotations.get(key) == b.annotations.get(key);
        if !same(SECCOMP_ALLOWED) || !same(SECCOMP_DEFAULT) {
            union.annotations.insert(SECCOMP_ALLOWED.to_owned(), "*".to_owned());
            union.annotations.remove(SECCOMP_DEFAULT);
        }
    }
}
