//! `runtimeClass`: which runtime classes may pods use, and which did they get?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, listed};

pub(super) fn map(policy: &Policy) -> Mapped {
    let Some(class) = &policy.spec.runtime_class else { return Mapped::value("any") };
    let any = class.allowed.iter().any(|name| name == "*");
    let allowed = if any { "any".to_owned() } else { listed(&class.allowed) };
    let default = class.default.clone().unwrap_or_default();
    let value = if default.is_empty() { allowed.clone() } else { format!("{allowed}; default {default}") };
    Mapped::value(value)
        .refuses(!any, format!("runtime class other than {allowed}"))
        .corrects(
            class.default.is_some(),
            format!("runtimeClassName unset, which the policy set to {default}"),
        )
        .runtime(AtRuntime::undetectable("the containers' metadata does not name the class"))
        .with("names", class.allowed.clone())
}
