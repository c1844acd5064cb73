//! The AppArmor annotations: which profiles may containers use, and which did they get?

use psp_admission::policy::{APPARMOR_ALLOWED, APPARMOR_DEFAULT};
use psp_admission::{Policy, Profiles};

use super::mapped::{Mapped, whole_strings};
use super::profiles::{self, beyond_listed, confined, unknown_profile, wrong_profiles};
use super::restriction::Restriction;
use crate::pod_security::{Check, Level, Stance};
use crate::problem::Message;
use crate::psp::fault::Fault;

pub(super) struct AppArmor;

impl Restriction for AppArmor {
    fn map(policy: &Policy) -> Mapped {
        let profiles = Profiles::apparmor(policy);
        let names: Option<Vec<&str>> = profiles.allowed().map(|names| names.into_iter().collect());
        let words = match &names {
            None => "any".to_owned(),
            Some(names) if names.is_empty() => "(none is allowed)".to_owned(),
            Some(names) => names.join(", "),
        };
        // an empty annotation counts as unset
        let annotations = whole_strings(names.into_iter().flatten().chain([""]));
        profiles::map(&profiles, "AppArmor", &words, "Falco has no field for a process's AppArmor profile")
            .with("annotations", annotations)
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        wrong_profiles(policy, [APPARMOR_ALLOWED, APPARMOR_DEFAULT], wrong_profile)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let profiles = Profiles::apparmor(policy);
        (check == Check::AppArmorProfile).then(|| match profiles.default {
            Some(default) if !confined(default) => Stance::Contradicts,
            _ => Stance::refuses(
                profiles.allowed().is_some_and(|names| names.iter().all(|name| confined(name))),
            ),
        })
    }

    fn beyond(policy: &Policy, _: Level) -> Option<&'static str> {
        beyond_listed(Profiles::apparmor(policy).allowed(), false)
    }
}

/// What is wrong with a profile that an annotation names.
fn wrong_profile(_: &str, profile: &str) -> Option<Message> {
    let known = matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/");
    (!known).then(|| unknown_profile("an AppArmor", profile, "runtime/default, unconfined or localhost/NAME"))
}
