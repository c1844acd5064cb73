//! The AppArmor annotations: which profiles may containers use, and which did they get?

use psp_admission::{Policy, Profiles};

use super::{AtRuntime, Mapped, profile_texts, whole_strings};

pub(super) fn map(policy: &Policy) -> Mapped {
    let profiles = Profiles::apparmor(policy);
    let (allowed, default) = (profiles.allowed(), profiles.default);
    let names: Vec<&str> = allowed.iter().flatten().copied().collect();
    let words = match &allowed {
        None => "any".to_owned(),
        Some(_) if names.is_empty() => "(none is allowed)".to_owned(),
        Some(_) => names.join(", "),
    };
    let unset = default.unwrap_or_default();
    let unset_refused = allowed.is_some() && !names.contains(&unset);
    let value = match default {
        Some(default) => format!("{words}; default {default}"),
        None => words.clone(),
    };
    Mapped::value(value)
        .refuses(allowed.is_some(), format!("AppArmor profile other than {words}"))
        .corrects(
            default.is_some() && !unset_refused,
            format!("AppArmor profile unset, which the policy set to {unset}"),
        )
        .runtime(AtRuntime::undetectable("Falco has no field for a process's AppArmor profile"))
        .with("unset_refused", unset_refused)
        .with("runtime_default", names.iter().any(|n| ["runtime/default", "docker/default"].contains(n)))
        .with("profiles", profile_texts(names.iter().copied()))
        // an empty annotation counts as unset
        .with("annotations", whole_strings(names.iter().copied().chain([""])))
}
