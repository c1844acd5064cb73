//! The AppArmor annotations: which profiles may containers use, and which did they get?
//!
//! A container's profile is its `appArmorProfile`, else the pod's (both since Kubernetes 1.30), else its annotation. It
//! is listed; unset counts as not listed. Without the annotation of the policy any profile may be used. A container
//! without a profile got the default one, if the policy has one.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::{APPARMOR_ALLOWED, APPARMOR_DEFAULT, Policy};
use crate::profiles::Profiles;
use crate::reason::{Found, Problem, Reason};

pub(super) struct AppArmor;

const PATH: &str = "securityContext.appArmorProfile";

impl Restriction for AppArmor {
    const ANNOTATIONS: &'static [&'static str] = &[APPARMOR_ALLOWED, APPARMOR_DEFAULT];

    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let profiles = Profiles::apparmor(policy);
        pod.effective(|security| security.apparmor.as_deref()).filter_map(move |(place, own)| {
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
        let default = Profiles::apparmor(policy).default;
        let unset = pod.effective(|security| security.apparmor.as_deref());
        unset.filter(|(_, own)| own.is_none()).filter_map(move |(place, _)| {
            let problem = Problem::Set(Found::Word(default?));
            Some(Reason { place, path: PATH, found: Found::Unset, problem })
        })
    }

    /// Profiles cannot be joined: where they differ, any is allowed and none is filled in.
    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        Profiles::apparmor(policy).ask_more(&Profiles::apparmor(other))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let same = |key: &str| a.annotations.get(key) == b.annotations.get(key);
        if !same(APPARMOR_ALLOWED) || !same(APPARMOR_DEFAULT) {
            union.annotations.remove(APPARMOR_ALLOWED);
            union.annotations.remove(APPARMOR_DEFAULT);
        }
    }
}
