//! What the three fields about capabilities share.

use psp_admission::Policy;

use crate::messages::policy as messages;
use crate::pod_security::{BASELINE_CAPABILITIES, Check, Stance};
use crate::problem::quote;
use crate::psp::fault::{Fault, of_entries};

/// The capabilities of Linux 5.9 (`include/uapi/linux/capability.h`), as Kubernetes spells them.
const CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// The names that a capability can have.
pub(super) fn capabilities<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let possible = |n: &&String| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut names: Vec<String> = names.into_iter().filter(possible).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Names that no container runtime takes, since Kubernetes spells capabilities in capitals and without `CAP_`.
pub(super) fn misspelt(path: &str, names: &[String]) -> Vec<Fault> {
    of_entries(path, names, |name| {
        let upper = name.to_ascii_uppercase();
        let spelt = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let is_misspelt = spelt != name && CAPABILITIES.contains(&spelt);
        is_misspelt.then(|| messages::misspelt_capability(quote(name), quote(spelt)))
    })
}

/// Names that the policy drops and adds, or lets containers add.
pub(super) fn dropped_too(path: &str, added: &[String], policy: &Policy) -> Vec<Fault> {
    let dropped = &policy.spec.required_drop_capabilities;
    of_entries(path, added, |name| dropped.contains(name).then(|| messages::dropped_and_added(quote(name))))
}

/// What a policy that adds these capabilities, or lets containers add them, does about a check.
pub(super) fn added(names: &[String], check: Check) -> Option<Stance> {
    let allowed: &[&str] = match check {
        Check::CapabilitiesBaseline => &BASELINE_CAPABILITIES,
        Check::CapabilitiesRestricted => &["NET_BIND_SERVICE"],
        _ => return None,
    };
    Some(Stance::refuses(names.iter().all(|name| allowed.contains(&name.as_str()))))
}
