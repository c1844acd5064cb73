//! What seccomp and AppArmor profiles share.

use std::collections::BTreeSet;

use psp_admission::{Policy, Profiles};

use super::mapped::{AtRuntime, Mapped};
use crate::messages::policy as messages;
use crate::pattern::json_text;
use crate::problem::{Message, quote};
use crate::psp::fault::Fault;

/// What a policy says of profiles, of which those that it allows have been put into words.
pub(super) fn map(profiles: &Profiles<'_>, kind: &str, words: &str, runtime: &'static str) -> Mapped {
    let (allowed, default) = (profiles.allowed(), profiles.default);
    let names: Vec<&str> = allowed.iter().flatten().copied().collect();
    // what a pod gets that sets none: the default, which must itself be allowed, else nothing
    let unset = default.unwrap_or_default();
    let unset_refused = allowed.is_some() && !names.contains(&unset);
    let value = match default {
        Some(default) => format!("{words}; default {default}"),
        None => words.to_owned(),
    };
    Mapped::value(value)
        .refuses(allowed.is_some(), format!("{kind} profile other than {words}"))
        .corrects(
            default.is_some() && !unset_refused,
            format!("{kind} profile unset, which the policy set to {unset}"),
        )
        .runtime(AtRuntime::undetectable(runtime))
        .with("unset_refused", unset_refused)
        .with("runtime_default", names.iter().any(|n| ["runtime/default", "docker/default"].contains(n)))
        .with("profiles", texts(&names))
}

/// Seccomp and AppArmor profiles as the text that follows `"type":"` in a profile field.
fn texts(names: &[&str]) -> Vec<String> {
    let mut texts: Vec<String> = names
        .iter()
        .filter_map(|name| match *name {
            "runtime/default" | "docker/default" => Some("RuntimeDefault\"".to_owned()),
            "unconfined" => Some("Unconfined\"".to_owned()),
            other => other
                .strip_prefix("localhost/")
                .map(|file| format!("Localhost\",\"localhostProfile\":\"{}\"", json_text(file))),
        })
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

/// What is `wrong` with the profiles that the policy's annotations name, each with its annotation. One annotation lists
/// them, the other one names the default; an empty annotation names none.
pub(super) fn wrong_profiles(
    policy: &Policy,
    [listed, default]: [&str; 2],
    wrong: impl Fn(&str, &str) -> Option<Message>,
) -> Vec<Fault> {
    let named = |key: &str| policy.annotations.get(key).filter(|value| !value.is_empty());
    let one = named(default).into_iter().map(|profile| (default, profile.as_str()));
    let all = named(listed).into_iter().flat_map(|list| list.split(',')).map(|profile| (listed, profile));
    one.chain(all)
        .filter_map(|(key, profile)| {
            Some(Fault::new(format!("metadata.annotations[{key}]"), wrong(key, profile)?))
        })
        .collect()
}

/// The message that a profile is none of the `known` ones.
pub(super) fn unknown_profile(what: &str, profile: &str, known: &str) -> Message {
    let blank = if profile.trim() == profile { "" } else { " (mind the blank)" };
    messages::no_profile(quote(profile), what, blank, known)
}

/// Is a seccomp or AppArmor profile one that confines?
pub(super) fn confined(profile: &str) -> bool {
    matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/")
}

/// What a level admits beyond the profiles that a policy lists. `must_be_set`: the level demands a profile.
pub(super) fn beyond_listed(allowed: Option<BTreeSet<&str>>, must_be_set: bool) -> Option<&'static str> {
    let allowed = allowed?;
    if !must_be_set && !allowed.contains("") {
        return Some("the level lets pods leave it unset");
    }
    (!allowed.contains("runtime/default"))
        .then_some("the level allows the runtime's default profile")
        .or(Some("the level allows any localhost profile"))
}
