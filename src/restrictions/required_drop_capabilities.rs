//! `requiredDropCapabilities`: which capabilities did admission drop from every container?

use psp_admission::Policy;

use super::capabilities::{capabilities, misspelt};
use super::mapped::{AtRuntime, Mapped, listed};
use super::restriction::{Restriction, below};
use crate::messages::policy as messages;
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::Fault;

pub(super) struct RequiredDropCapabilities;

impl Restriction for RequiredDropCapabilities {
    fn map(policy: &Policy) -> Mapped {
        let names = &policy.spec.required_drop_capabilities;
        let spec = &policy.spec;
        let all = names.iter().any(|n| n == "ALL");
        let dropped = capabilities(names);
        let back = capabilities(spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities));
        let any = |n: &String| n == "*" || n == "ALL";
        let runtime =
            if all && spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities).any(any) {
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

    fn faults(policy: &Policy) -> Vec<Fault> {
        let drops = !policy.spec.required_drop_capabilities.is_empty();
        let adds_all = policy.spec.allowed_capabilities.iter().any(|name| name == "*");
        let fault = || Fault::new("spec.requiredDropCapabilities", messages::drop_of_all_allowed());
        (drops && adds_all).then(fault).into_iter().collect()
    }

    fn remarks(policy: &Policy) -> Vec<Fault> {
        misspelt("spec.requiredDropCapabilities", &policy.spec.required_drop_capabilities)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let drops_all = policy.spec.required_drop_capabilities.iter().any(|name| name == "ALL");
        (check == Check::CapabilitiesRestricted).then(|| Stance::fills_in(drops_all))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Restricted)
    }
}
