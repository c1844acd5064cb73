//! The Pod Security Standard that comes closest to a policy: what would bring prevention back, and what it leaves out.
//!
//! Facts: kubernetes/pod-security-admission `policy/check_*.go` (Kubernetes 1.37), one control a row of [`CONTROLS`].

use std::collections::BTreeSet;

use psp_admission::policy::{IdRule, Policy};
use psp_admission::sysctl::{SAFE, matches_any};
use psp_admission::{Field, Profiles};
use serde::{Deserialize, Serialize};

use crate::psp::validity::{VOLUME_TYPES, unusable};
use crate::restrictions::{Mapped, map};

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

/// One demand of a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The check's name in pod security admission.
    pub control: String,
    /// What it demands of pods.
    pub demand: String,
}

/// A demand of the policy that a level does not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCovered {
    /// The field of the policy.
    pub field: String,
    /// What the level lets through.
    pub why: String,
}

/// How a policy stands to the levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The closest level: the strictest whose deciding demands the policy made, by refusing or by filling in.
    pub level: Level,
    /// The namespace label that turns it on.
    pub label: String,
    /// Its demands that the policy left open: pods against them are refused once the label is set.
    pub refuses_more: Vec<Demand>,
    /// Its demands that the policy met by filling in: pods have to meet them themselves, or are refused.
    pub pods_must_set: Vec<Demand>,
    /// The policy's demands that the level does not make: Falco's alerts stay all there is.
    pub not_covered: Vec<NotCovered>,
    /// The next stricter level; none above restricted.
    pub next: Option<Next>,
}

/// What keeps a policy from the next stricter level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// That level.
    pub level: Level,
    /// Its deciding demands that the policy did not make.
    pub missing: Vec<Demand>,
}

/// What a policy does about a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    /// It refuses the pods that the level refuses.
    Refused,
    /// It refuses some, and fills in what others leave unset, which the level refuses.
    Filled,
    /// It lets them through.
    Open,
    /// It demands of pods what the level refuses.
    Against,
}

/// One check of pod security admission.
struct Control {
    level: Level,
    /// The check's id there.
    name: &'static str,
    demand: &'static str,
    /// Does leaving it open keep a policy from the level? Which of seccomp, AppArmor and SELinux a node runs is the
    /// cluster's business: the documentation's own baseline and restricted policies leave some of them open.
    decides: bool,
    made: fn(&Policy) -> Made,
}

const BASELINE_CAPABILITIES: [&str; 13] = [
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

/// The volume types of the restricted level that a policy can name.
const RESTRICTED_VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// The sysctls that pod security admission takes for safe beyond those that admission knew.
const SAFE_SINCE: [&str; 9] = [
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

const SE_LINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Every check, in the order of the levels. Facts: the file `policy/check_<name>.go` of each.
const CONTROLS: [Control; 19] = [
    row(Level::Baseline, "privileged", "no privileged container", true, |p| refused(!p.spec.privileged)),
    row(Level::Baseline, "hostNamespaces", "no host network, PID or IPC namespace", true, |p| {
        refused(!p.spec.host_network && !p.spec.host_pid && !p.spec.host_ipc)
    }),
    // the API server takes host processes only with the host's network
    row(Level::Baseline, "windowsHostProcess", "no Windows host process", true, |p| {
        refused(!p.spec.host_network)
    }),
    row(Level::Baseline, "hostPathVolumes", "no hostPath volume", true, |p| {
        refused(!allows_volume(p, "hostPath"))
    }),
    row(Level::Baseline, "hostPorts", "no host port", true, |p| {
        refused(!p.spec.host_ports.iter().any(|r| r.min <= r.max && r.max > 0))
    }),
    row(Level::Baseline, "capabilities_baseline", "no capability beyond the usual 13 added", true, |p| {
        refused(adds_only(p, &BASELINE_CAPABILITIES))
    }),
    row(Level::Baseline, "procMount", "proc mount type Default", true, |p| {
        refused(p.spec.allowed_proc_mount_types.iter().all(|t| t == "Default"))
    }),
    row(Level::Baseline, "sysctls", "safe sysctls only", true, |p| {
        let safe = |name: &String| SAFE.contains(&name.as_str()) || SAFE_SINCE.contains(&name.as_str());
        refused(p.spec.allowed_unsafe_sysctls.iter().all(safe))
    }),
    row(
        Level::Baseline,
        "seLinuxOptions",
        "no SELinux user or role, and a container's usual type",
        false,
        se_linux,
    ),
    row(Level::Baseline, "appArmorProfile", "no AppArmor profile Unconfined", false, |p| {
        let profiles = Profiles::apparmor(p);
        match profiles.allowed() {
            _ if profiles.default.is_some_and(|d| !confined(d)) => Made::Against,
            Some(names) if names.iter().all(|n| confined(n)) => Made::Refused,
            _ => Made::Open,
        }
    }),
    row(Level::Baseline, "seccompProfile_baseline", "no seccomp profile Unconfined", false, |p| {
        let profiles = Profiles::seccomp(p);
        match profiles.allowed() {
            _ if profiles.default == Some("unconfined") => Made::Against,
            Some(names) if names.iter().all(|n| n.is_empty() || confined(n)) => Made::Refused,
            _ => Made::Open,
        }
    }),
    row(
        Level::Baseline,
        "hostProbesAndHostLifecycle",
        "no host in probes and lifecycle handlers (from Kubernetes 1.34)",
        false,
        |_| Made::Open,
    ),
    row(
        Level::Restricted,
        "restrictedVolumes",
        "only volumes that hold no node's or network's storage",
        true,
        |p| refused(p.spec.volumes.iter().all(|v| RESTRICTED_VOLUMES.contains(&v.as_str()))),
    ),
    row(Level::Restricted, "allowPrivilegeEscalation", "allowPrivilegeEscalation: false", true, |p| {
        if p.spec.allow_privilege_escalation { Made::Open } else { Made::Filled }
    }),
    row(Level::Restricted, "runAsNonRoot", "runAsNonRoot: true", true, |p| {
        if never_root(p) { Made::Filled } else { Made::Open }
    }),
    // admission looked at what containers ran as, the level also at a pod's value that all of them override
    row(Level::Restricted, "runAsUser", "no runAsUser 0, not even where it is overridden", true, |p| {
        if never_root(p) { Made::Filled } else { Made::Open }
    }),
    row(
        Level::Restricted,
        "seccompProfile_restricted",
        "a seccomp profile RuntimeDefault or Localhost",
        true,
        seccomp_restricted,
    ),
    row(
        Level::Restricted,
        "capabilities_restricted",
        "all capabilities dropped, none added but NET_BIND_SERVICE",
        true,
        |p| {
            let drops_all = p.spec.required_drop_capabilities.iter().any(|c| c == "ALL");
            if drops_all && adds_only(p, &["NET_BIND_SERVICE"]) { Made::Filled } else { Made::Open }
        },
    ),
    // relaxed for pods with a user namespace at the baseline level only
    row(Level::Restricted, "procMount_restricted", "proc mount type Default, always", true, |p| {
        refused(p.spec.allowed_proc_mount_types.iter().all(|t| t == "Default"))
    }),
];

const fn row(
    level: Level,
    name: &'static str,
    demand: &'static str,
    decides: bool,
    made: fn(&Policy) -> Made,
) -> Control {
    Control { level, name, demand, decides, made }
}

fn refused(refused: bool) -> Made {
    if refused { Made::Refused } else { Made::Open }
}

fn allows_volume(policy: &Policy, type_: &str) -> bool {
    policy.spec.volumes.iter().any(|v| v == type_ || v == "*")
}

fn adds_only(policy: &Policy, names: &[&str]) -> bool {
    let spec = &policy.spec;
    spec.allowed_capabilities
        .iter()
        .chain(&spec.default_add_capabilities)
        .all(|c| names.contains(&c.as_str()))
}

/// Is a seccomp or AppArmor profile one that confines?
fn confined(profile: &str) -> bool {
    matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/")
}

/// Does the policy keep every container from user id 0?
fn never_root(policy: &Policy) -> bool {
    let strategy = &policy.spec.run_as_user;
    match strategy.rule {
        IdRule::MustRunAsNonRoot => true,
        IdRule::MustRunAs => !strategy.ranges.iter().any(|r| r.contains(0)),
        IdRule::MayRunAs | IdRule::RunAsAny => false,
    }
}

fn se_linux(policy: &Policy) -> Made {
    match &policy.spec.se_linux.options {
        Some(options) if policy.spec.se_linux.must_run_as => {
            let plain = options.user.is_empty() && options.role.is_empty();
            if plain && SE_LINUX_TYPES.contains(&options.type_.as_str()) {
                Made::Refused
            } else {
                Made::Against
            }
        }
        _ => Made::Open,
    }
}

fn seccomp_restricted(policy: &Policy) -> Made {
    let profiles = Profiles::seccomp(policy);
    match profiles.allowed() {
        Some(names) if names.iter().all(|n| n.is_empty() || confined(n)) => match profiles.default {
            Some(_) => Made::Filled,
            None if names.contains("") => Made::Open,
            None => Made::Refused,
        },
        _ => Made::Open,
    }
}

/// How `policy` stands to the levels; nothing for a policy that admitted nothing.
pub fn standing(policy: &Policy) -> Option<Standing> {
    if unusable(policy).is_some() {
        return None;
    }
    let made: Vec<(&Control, Made)> = CONTROLS.iter().map(|c| (c, (c.made)(policy))).collect();
    let keeps_from = |c: &Control, made: Made| made == Made::Against || c.decides && made == Made::Open;
    let met = |level: Level| !made.iter().any(|(c, made)| c.level <= level && keeps_from(c, *made));
    let level = Level::ALL.into_iter().rev().find(|level| met(*level)).unwrap_or(Level::Privileged);
    let demands = |test: &dyn Fn(&Control, Made) -> bool| -> Vec<Demand> {
        made.iter().filter(|(c, made)| test(c, *made)).map(|(c, _)| demand(c)).collect()
    };
    let next = Level::ALL.into_iter().find(|other| *other > level).map(|next| Next {
        level: next,
        missing: demands(&|c, made| c.level <= next && keeps_from(c, made)),
    });
    Some(Standing {
        level,
        label: format!("pod-security.kubernetes.io/enforce: {}", level.name()),
        refuses_more: demands(&|c, made| c.level <= level && made == Made::Open),
        pods_must_set: demands(&|c, made| c.level <= level && made == Made::Filled),
        not_covered: not_covered(policy, level),
        next,
    })
}

fn demand(control: &Control) -> Demand {
    Demand { control: control.name.to_owned(), demand: control.demand.to_owned() }
}

/// What the policy demands and the level does not.
fn not_covered(policy: &Policy, level: Level) -> Vec<NotCovered> {
    let missed = |field: Field| {
        let Mapped { refuses, corrects, alerts_as, .. } = map(field, policy);
        let demands = refuses.is_some() || corrects.is_some() || alerts_as.is_some();
        let why = lets_through(field, policy, level).filter(|_| demands)?;
        Some(NotCovered { field: field.name().to_owned(), why: why.to_owned() })
    };
    Field::ALL.into_iter().filter_map(missed).collect()
}

/// What `level` lets through that `policy` does not in `field`; nothing where it is at least as strict.
fn lets_through(field: Field, policy: &Policy, level: Level) -> Option<&'static str> {
    const ANY: &str = "the level does not look at it";
    let spec = &policy.spec;
    let from = |needed: Level| (level < needed).then_some(ANY);
    let allows_all = |types: &[&str]| types.iter().all(|t| allows_volume(policy, t));
    let may_add = |names: &[&str]| {
        names.iter().all(|n| {
            spec.allowed_capabilities.iter().chain(&spec.default_add_capabilities).any(|c| c == n || c == "*")
        })
    };
    match field {
        _ if level == Level::Privileged => Some("the level demands nothing"),
        Field::Privileged
        | Field::HostNetwork
        | Field::HostPid
        | Field::HostIpc
        | Field::HostPorts
        | Field::AllowedHostPaths
        | Field::AllowedProcMountTypes => from(Level::Baseline),
        Field::AllowPrivilegeEscalation | Field::RequiredDropCapabilities => from(Level::Restricted),
        Field::DefaultAllowPrivilegeEscalation => match spec.default_allow_privilege_escalation {
            Some(true) => Some("no level fills anything in"),
            _ => from(Level::Restricted),
        },
        Field::DefaultAddCapabilities => Some("no level fills anything in"),
        Field::AllowedCapabilities => {
            let allowed: &[&str] =
                if level == Level::Restricted { &["NET_BIND_SERVICE"] } else { &BASELINE_CAPABILITIES };
            (!may_add(allowed)).then_some(if level == Level::Restricted {
                "the level lets NET_BIND_SERVICE be added"
            } else {
                "the level lets any of the usual 13 be added"
            })
        }
        // types that no policy can list (image, and storageos as admission spells it) are left out of account
        Field::Volumes => {
            let covered = if level == Level::Restricted {
                allows_all(&RESTRICTED_VOLUMES)
            } else {
                VOLUME_TYPES.iter().all(|t| *t == "hostPath" || allows_volume(policy, t))
            };
            (!covered).then_some("the level allows more types")
        }
        Field::AllowedFlexVolumes => from(Level::Restricted),
        Field::RunAsUser if spec.run_as_user.rule == IdRule::MustRunAsNonRoot => from(Level::Restricted),
        Field::RunAsUser => Some("no level knows ranges of ids"),
        Field::RunAsGroup | Field::SupplementalGroups | Field::FsGroup => Some("no level looks at groups"),
        Field::SeLinux => Some("the level fixes no level and no single type"),
        Field::AllowedUnsafeSysctls => {
            let knows = |name: &&str| matches_any(&spec.allowed_unsafe_sysctls, name);
            (!SAFE_SINCE.iter().all(knows)).then_some("the level allows sysctls that became safe since")
        }
        Field::ForbiddenSysctls => {
            let safe = SAFE.iter().chain(&SAFE_SINCE);
            let forbids = safe.into_iter().any(|name| matches_any(&spec.forbidden_sysctls, name));
            forbids.then_some("the level allows sysctls that the policy forbids")
        }
        Field::Seccomp => profiles_left(Profiles::seccomp(policy).allowed(), level == Level::Restricted),
        Field::AppArmor => profiles_left(Profiles::apparmor(policy).allowed(), false),
        Field::ReadOnlyRootFilesystem | Field::AllowedCsiDrivers | Field::RuntimeClass => Some(ANY),
    }
}

/// What a level lets through where profiles are listed.
fn profiles_left(allowed: Option<BTreeSet<&str>>, must_be_set: bool) -> Option<&'static str> {
    let allowed = allowed?;
    if !must_be_set && !allowed.contains("") {
        return Some("the level lets pods leave it unset");
    }
    (!allowed.contains("runtime/default"))
        .then_some("the level allows the runtime's default profile")
        .or(Some("the level allows any localhost profile"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Options, read_text};

    fn fixture(name: &str) -> Standing {
        let path = format!("{}/fixtures/psp/policies/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        policy(&std::fs::read_to_string(path).unwrap())
    }

    fn policy(text: &str) -> Standing {
        let inventory = read_text("policy.yaml", text, &Options::default()).unwrap();
        standing(&inventory.policies[0].policy).unwrap()
    }

    fn controls(demands: &[Demand]) -> Vec<&str> {
        demands.iter().map(|d| d.control.as_str()).collect()
    }

    #[test]
    fn the_documentation_s_policies_have_the_levels_of_their_names() {
        for (name, level) in [
            ("kubernetes-privileged", Level::Privileged),
            ("kubernetes-baseline", Level::Baseline),
            ("kubernetes-restricted", Level::Restricted),
        ] {
            assert_eq!(fixture(name).level, level, "{name}");
        }
        let restricted = fixture("kubernetes-restricted");
        assert_eq!(restricted.label, "pod-security.kubernetes.io/enforce: restricted");
        assert_eq!(
            controls(&restricted.pods_must_set),
            ["allowPrivilegeEscalation", "runAsNonRoot", "runAsUser", "capabilities_restricted"]
        );
        assert_eq!(controls(&restricted.refuses_more), ["seLinuxOptions", "hostProbesAndHostLifecycle"]);
        assert_eq!(restricted.next, None);
        let missed: Vec<&str> = restricted.not_covered.iter().map(|n| n.field.as_str()).collect();
        assert_eq!(
            missed,
            [
                "allowedCapabilities",
                "supplementalGroups",
                "fsGroup",
                "allowedUnsafeSysctls",
                "seccomp",
                "apparmor"
            ]
        );
    }

    #[test]
    fn the_next_level_says_what_is_missing() {
        let baseline = fixture("kubernetes-baseline");
        let next = baseline.next.unwrap();
        assert_eq!(next.level, Level::Restricted);
        assert_eq!(
            controls(&next.missing),
            [
                "restrictedVolumes",
                "allowPrivilegeEscalation",
                "runAsNonRoot",
                "runAsUser",
                "seccompProfile_restricted",
                "capabilities_restricted"
            ]
        );
        assert_eq!(controls(&baseline.refuses_more).first(), Some(&"seLinuxOptions"));
    }

    #[test]
    fn a_policy_that_demands_what_a_level_refuses_is_not_of_that_level() {
        let text = std::fs::read_to_string(format!(
            "{}/fixtures/psp/policies/kubernetes-restricted.yaml",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap();
        let labelled = |options: &str| {
            policy(&text.replace(
                "  seLinux:\n    rule: RunAsAny",
                &format!("  seLinux:\n    rule: MustRunAs\n    seLinuxOptions: {options}"),
            ))
        };
        assert_eq!(labelled("{level: s0}").level, Level::Restricted);
        let labelled = labelled("{user: system_u, level: s0}");
        assert_eq!(labelled.level, Level::Privileged);
        assert_eq!(controls(&labelled.next.unwrap().missing), ["seLinuxOptions"]);
    }
}
