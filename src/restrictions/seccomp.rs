//! The seccomp annotations: which profiles may pods and containers use, and which did pods get?

use psp_admission::{Policy, Profiles};

use super::{AtRuntime, Mapped, profile_texts};

pub(super) fn map(policy: &Policy) -> Mapped {
    let profiles = Profiles::seccomp(policy);
    let (allowed, default) = (profiles.allowed(), profiles.default);
    let names: Vec<&str> = allowed.iter().flatten().copied().collect();
    let words: Vec<&str> = names.iter().map(|n| if n.is_empty() { "none" } else { n }).collect();
    let words = if allowed.is_none() { "any".to_owned() } else { words.join(", ") };
    // what a pod gets that sets none: the default, which must itself be allowed, else nothing
    let unset = default.unwrap_or_default();
    let unset_refused = allowed.is_some() && !names.contains(&unset);
    let value = match default {
        Some(default) => format!("{words}; default {default}"),
        None => words.clone(),
    };
    Mapped::value(value)
        .refuses(allowed.is_some(), format!("seccomp profile other than {words}"))
        .corrects(
            default.is_some() && !unset_refused,
            format!("seccomp profile unset, which the policy set to {unset}"),
        )
        .runtime(AtRuntime::undetectable("Falco has no field for a process's seccomp profile"))
        .with("unset_refused", unset_refused)
        .with("runtime_default", names.iter().any(|n| ["runtime/default", "docker/default"].contains(n)))
        .with("profiles", profile_texts(names.iter().copied()))
}
