//! `requiredDropCapabilities`: which capabilities did admission drop from every container?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, capabilities, listed};

pub(super) fn map(policy: &Policy) -> Mapped {
    let names = &policy.spec.required_drop_capabilities;
    let spec = &policy.spec;
    let all = names.iter().any(|n| n == "ALL");
    let dropped = capabilities(names);
    let back = capabilities(spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities));
    let any = |n: &String| n == "*" || n == "ALL";
    let runtime = if all && spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities).any(any) {
        AtRuntime::undetectable("pods may add every capability")
    } else {
        AtRuntime::approximate(
            !dropped.is_empty(),
            format!("process that still holds {}", listed(names)),
            "root alone holds what was not dropped",
        )
    };
    Mapped::value(listed(names))
        .corrects(
            !names.is_empty(),
            format!("container that does not drop {}, which the policy dropped", listed(names)),
        )
        .runtime(runtime.with("all", all).with("back", back).with("names", dropped))
        .with("all", names.iter().all(|n| n == "ALL"))
        .with("names", names.clone())
}
