//! `allowedProcMountTypes`: may containers see `/proc` unmasked?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, listed};
use super::restriction::{Restriction, below};
use crate::messages::policy as messages;
use crate::pod_security::{Check, Level, Stance};
use crate::problem::quote;
use crate::psp::fault::{Fault, of_entries};

pub(super) struct AllowedProcMountTypes;

impl Restriction for AllowedProcMountTypes {
    fn map(policy: &Policy) -> Mapped {
        let types: Vec<String> = policy.proc_mount_types().map(str::to_owned).collect();
        let lists = |wanted: &str| types.iter().any(|t| t == wanted);
        let (masked, unmasked) = (lists("Default"), lists("Unmasked"));
        Mapped::value(listed(&types))
            .runtime(match (masked, unmasked) {
                (true, _) => AtRuntime::approximate(
                    !unmasked,
                    "access to paths that the default proc mount hides or protects",
                    "shows the use of such a path, not the mount; a masked path can be opened, too, and is empty then",
                ),
                (false, _) => AtRuntime::undetectable("a masked /proc is what every container has"),
            })
            .refuses(!masked || !unmasked, format!("proc mount type other than {}", listed(&types)))
            .with("masked", masked)
            .with("unmasked", unmasked)
    }

    fn remarks(policy: &Policy) -> Vec<Fault> {
        of_entries("spec.allowedProcMountTypes", &policy.spec.allowed_proc_mount_types, |type_| {
            let is_known = matches!(type_.as_str(), "Default" | "Unmasked");
            (!is_known).then(|| messages::no_proc_mount(quote(type_)))
        })
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        matches!(check, Check::ProcMount | Check::ProcMountRestricted)
            .then(|| Stance::refuses(policy.proc_mount_types().all(|type_| type_ == "Default")))
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}
