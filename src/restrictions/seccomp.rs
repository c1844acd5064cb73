//! The seccomp annotations: which profiles may pods and containers use, and which did pods get?

use std::collections::BTreeSet;

use psp_admission::policy::{SECCOMP_ALLOWED, SECCOMP_DEFAULT};
use psp_admission::{Policy, Profiles};

use super::mapped::Mapped;
use super::profiles::{self, beyond_listed, confined, unknown_profile, wrong_profiles};
use super::restriction::{Restriction, climbs};
use crate::messages::policy as messages;
use crate::pod_security::{Check, Level, Stance};
use crate::problem::{Message, quote};
use crate::psp::fault::Fault;

pub(super) struct Seccomp;

impl Restriction for Seccomp {
    fn map(policy: &Policy) -> Mapped {
        let profiles = Profiles::seccomp(policy);
        let names: Option<Vec<&str>> = profiles
            .allowed()
            .map(|names| names.into_iter().map(|name| if name.is_empty() { "none" } else { name }).collect());
        let words = names.map_or_else(|| "any".to_owned(), |names| names.join(", "));
        profiles::map(&profiles, "seccomp", &words, "Falco has no field for a process's seccomp profile")
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        wrong_profiles(policy, [SECCOMP_ALLOWED, SECCOMP_DEFAULT], wrong_profile)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let profiles = Profiles::seccomp(policy);
        let all_confined =
            |names: &BTreeSet<&str>| names.iter().all(|name| name.is_empty() || confined(name));
        let allowed = profiles.allowed().filter(all_confined);
        match (check, allowed) {
            (Check::SeccompProfileBaseline, _) if profiles.default == Some("unconfined") => {
                Some(Stance::Contradicts)
            }
            (Check::SeccompProfileBaseline, allowed) => Some(Stance::refuses(allowed.is_some())),
            (Check::SeccompProfileRestricted, Some(_)) if profiles.default.is_some() => Some(Stance::FillsIn),
            (Check::SeccompProfileRestricted, allowed) => {
                Some(Stance::refuses(allowed.is_some_and(|names| !names.contains(""))))
            }
            _ => None,
        }
    }

    fn beyond(policy: &Policy, level: Level) -> Option<&'static str> {
        beyond_listed(Profiles::seccomp(policy).allowed(), level == Level::Restricted)
    }
}

/// What is wrong with a profile that an annotation names; `*` in the list allows any.
fn wrong_profile(annotation: &str, profile: &str) -> Option<Message> {
    let is_any = annotation == SECCOMP_ALLOWED && profile == "*";
    if is_any || matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return None;
    }
    match profile.strip_prefix("localhost/") {
        None => Some(unknown_profile(
            "a seccomp",
            profile,
            "runtime/default, docker/default, unconfined or localhost/PATH",
        )),
        Some(path) if path.starts_with('/') => Some(messages::absolute_profile(quote(profile))),
        Some(path) if climbs(path) => Some(messages::climbing_profile(quote(profile))),
        Some(_) => None,
    }
}
