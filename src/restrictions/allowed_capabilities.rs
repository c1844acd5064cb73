//! `allowedCapabilities`: which capabilities may containers add?

use psp_admission::Policy;

use super::capabilities::{added, capabilities, dropped_too, misspelt};
use super::mapped::{AtRuntime, Mapped, listed, whole_strings};
use super::restriction::Restriction;
use crate::pod_security::{BASELINE_CAPABILITIES, Check, Level, Stance};
use crate::psp::fault::Fault;

/// What containerd, CRI-O and Docker give to a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) struct AllowedCapabilities;

impl Restriction for AllowedCapabilities {
    fn map(policy: &Policy) -> Mapped {
        let spec = &policy.spec;
        let any = spec.allowed_capabilities.iter().any(|c| c == "*");
        let mut names: Vec<String> =
            spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities).cloned().collect();
        names.sort();
        names.dedup();
        let sentence = if names.is_empty() {
            "container that adds a capability".to_owned()
        } else {
            format!("container that adds a capability other than {}", listed(&names))
        };
        // nothing is out of bounds for who may add all
        let bounded = !any && !names.iter().any(|n| n == "ALL");
        let own = DEFAULT.map(str::to_owned);
        let held = capabilities(own.iter().chain(&names));
        let runtime = if bounded {
            AtRuntime::approximate(
                true,
                format!("process with a capability beyond the container runtime's own{}", or_named(&names)),
                "what the container runtime gives by itself is no sign of a pod that asked for it; root alone holds what was added",
            )
        } else {
            AtRuntime::undetectable("pods may add every capability")
        };
        Mapped::value(if any { "any".to_owned() } else { listed(&names) })
            .refuses(!any, sentence)
            .runtime(runtime.with("held", held))
            .with("none", names.is_empty())
            .with("names", whole_strings(names.iter().map(String::as_str)))
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        dropped_too("spec.allowedCapabilities", &policy.spec.allowed_capabilities, policy)
    }

    fn remarks(policy: &Policy) -> Vec<Fault> {
        misspelt("spec.allowedCapabilities", &policy.spec.allowed_capabilities)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        added(&policy.spec.allowed_capabilities, check)
    }

    fn beyond(policy: &Policy, level: Level) -> Option<&'static str> {
        let spec = &policy.spec;
        let own = spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities);
        let allows = |name: &str| own.clone().any(|own| own == name || own == "*");
        let (allowed, why): (&[&str], _) = match level {
            Level::Restricted => (&["NET_BIND_SERVICE"], "the level lets NET_BIND_SERVICE be added"),
            _ => (&BASELINE_CAPABILITIES, "the level lets any of the usual 13 be added"),
        };
        (!allowed.iter().all(|name| allows(name))).then_some(why)
    }
}

fn or_named(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" and {}", listed(names)) }
}
