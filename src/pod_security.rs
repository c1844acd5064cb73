//! What the Pod Security Standards demand of pods: the checks of pod security admission, by level.
//!
//! Facts: kubernetes/pod-security-admission `policy/check_<name>.go` (Kubernetes 1.37), one check a row of [`CONTROLS`].
//! What a policy does about a check is for its fields to say, in `restrictions`.

use serde::{Deserialize, Serialize};

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// No demands.
    Privileged,
    /// Nothing that is known to escalate privileges.
    Baseline,
    /// What is known to harden pods.
    Restricted,
}

impl Level {
    /// All levels, the laxest first.
    pub const ALL: [Level; 3] = [Level::Privileged, Level::Baseline, Level::Restricted];

    /// The level's name, as the namespace label has it.
    pub fn name(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }
}

/// A check of pod security admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Privileged,
    HostNamespaces,
    WindowsHostProcess,
    HostPathVolumes,
    HostPorts,
    CapabilitiesBaseline,
    ProcMount,
    Sysctls,
    SeLinuxOptions,
    AppArmorProfile,
    SeccompProfileBaseline,
    HostProbesAndHostLifecycle,
    RestrictedVolumes,
    AllowPrivilegeEscalation,
    RunAsNonRoot,
    RunAsUser,
    SeccompProfileRestricted,
    CapabilitiesRestricted,
    ProcMountRestricted,
}

/// What a policy does about what a check demands. Where a check looks at what several fields say, the last of these
/// counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stance {
    /// It refuses the pods that the level refuses.
    Refuses,
    /// It refuses some, and fills in what others leave unset, which the level refuses.
    FillsIn,
    /// It admits pods that the level refuses.
    LeavesOpen,
    /// It demands of pods what the level refuses.
    Contradicts,
}

impl Stance {
    /// The stance of a policy that refuses all that a check refuses, or does not.
    pub(crate) fn refuses(refuses: bool) -> Self {
        if refuses { Stance::Refuses } else { Stance::LeavesOpen }
    }

    /// The stance of a policy that fills in what a check demands, or does not.
    pub(crate) fn fills_in(fills_in: bool) -> Self {
        if fills_in { Stance::FillsIn } else { Stance::LeavesOpen }
    }
}

/// What there is to know of a check.
pub(crate) struct Control {
    pub(crate) check: Check,
    /// The lowest level that has it.
    pub(crate) level: Level,
    /// Its id in pod security admission.
    pub(crate) name: &'static str,
    /// What it demands of pods.
    pub(crate) demand: &'static str,
    /// Does leaving it open keep a policy from the level? Which of seccomp, AppArmor and SELinux a node runs is the
    /// cluster's business: the documentation's own baseline and restricted policies leave some of them open.
    pub(crate) decides: bool,
}

/// Every check, in the order of the levels.
pub(crate) const CONTROLS: [Control; 19] = [
    deciding(Check::Privileged, Level::Baseline, "privileged", "no privileged container"),
    deciding(
        Check::HostNamespaces,
        Level::Baseline,
        "hostNamespaces",
        "no host network, PID or IPC namespace",
    ),
    deciding(Check::WindowsHostProcess, Level::Baseline, "windowsHostProcess", "no Windows host process"),
    deciding(Check::HostPathVolumes, Level::Baseline, "hostPathVolumes", "no hostPath volume"),
    deciding(Check::HostPorts, Level::Baseline, "hostPorts", "no host port"),
    deciding(
        Check::CapabilitiesBaseline,
        Level::Baseline,
        "capabilities_baseline",
        "no capability beyond the usual 13 added",
    ),
    deciding(Check::ProcMount, Level::Baseline, "procMount", "proc mount type Default"),
    deciding(Check::Sysctls, Level::Baseline, "sysctls", "safe sysctls only"),
    minor(
        Check::SeLinuxOptions,
        Level::Baseline,
        "seLinuxOptions",
        "no SELinux user or role, and a container's usual type",
    ),
    minor(Check::AppArmorProfile, Level::Baseline, "appArmorProfile", "no AppArmor profile Unconfined"),
    minor(
        Check::SeccompProfileBaseline,
        Level::Baseline,
        "seccompProfile_baseline",
        "no seccomp profile Unconfined",
    ),
    // no policy could say anything of it
    minor(
        Check::HostProbesAndHostLifecycle,
        Level::Baseline,
        "hostProbesAndHostLifecycle",
        "no host in probes and lifecycle handlers (from Kubernetes 1.34)",
    ),
    deciding(
        Check::RestrictedVolumes,
        Level::Restricted,
        "restrictedVolumes",
        "only volumes that hold no node's or network's storage",
    ),
    deciding(
        Check::AllowPrivilegeEscalation,
        Level::Restricted,
        "allowPrivilegeEscalation",
        "allowPrivilegeEscalation: false",
    ),
    deciding(Check::RunAsNonRoot, Level::Restricted, "runAsNonRoot", "runAsNonRoot: true"),
    // admission looked at what containers ran as, the level also at a pod's value that all of them override
    deciding(
        Check::RunAsUser,
        Level::Restricted,
        "runAsUser",
        "no runAsUser 0, not even where it is overridden",
    ),
    deciding(
        Check::SeccompProfileRestricted,
        Level::Restricted,
        "seccompProfile_restricted",
        "a seccomp profile RuntimeDefault or Localhost",
    ),
    deciding(
        Check::CapabilitiesRestricted,
        Level::Restricted,
        "capabilities_restricted",
        "all capabilities dropped, none added but NET_BIND_SERVICE",
    ),
    // at the baseline level pods with a user namespace may have any
    deciding(
        Check::ProcMountRestricted,
        Level::Restricted,
        "procMount_restricted",
        "proc mount type Default, always",
    ),
];

const fn deciding(check: Check, level: Level, name: &'static str, demand: &'static str) -> Control {
    Control { check, level, name, demand, decides: true }
}

const fn minor(check: Check, level: Level, name: &'static str, demand: &'static str) -> Control {
    Control { check, level, name, demand, decides: false }
}

/// The sysctls that pod security admission takes for safe beyond those that PodSecurityPolicy admission knew.
pub(crate) const SAFE_SINCE: [&str; 9] = [
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_wmem",
];

/// The capabilities that the baseline level lets containers add.
pub(crate) const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
