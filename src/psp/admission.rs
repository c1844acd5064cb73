//! PodSecurityPolicy admission: the three-way verdict of one policy on one pod.
//!
//! Admission first filled in what a pod left unset, then validated the result (Kubernetes 1.20
//! `pkg/security/podsecuritypolicy/provider.go`). Fed the pod as a server without PSP stores it, this gives the
//! verdict and the fields that a server with PSP gave.

use std::collections::BTreeSet;

use serde_json::Value;

use super::pod::{Container, Pod, Volume};
use super::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, HostPath, IdRule, IdStrategy, Policy, Range, SECCOMP_ALLOWED,
    SECCOMP_DEFAULT, SeLinuxOptions,
};
use super::{Field, sysctl};

/// What admission decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The pod passed unchanged.
    Allowed,
    /// The pod passed after admission filled in what it left unset.
    Defaulted,
    /// The pod was refused.
    Denied,
}

/// A verdict with the fields that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What admission decided.
    pub verdict: Verdict,
    /// The fields refused (`Denied`) or filled in (`Defaulted`), in the order of [`Field::ALL`].
    pub fields: BTreeSet<Field>,
}

/// Judges `pod`, a `v1.Pod` as stored, by `policy` alone.
pub fn judge(policy: &Policy, pod: &Value) -> Judgement {
    let pod = Pod::new(pod);
    let refused: BTreeSet<Field> = Field::ALL.into_iter().filter(|f| refuses(*f, policy, pod)).collect();
    if !refused.is_empty() {
        return Judgement { verdict: Verdict::Denied, fields: refused };
    }
    let filled: BTreeSet<Field> = Field::ALL.into_iter().filter(|f| fills_in(*f, policy, pod)).collect();
    let verdict = if filled.is_empty() { Verdict::Allowed } else { Verdict::Defaulted };
    Judgement { verdict, fields: filled }
}

/// Would `policy` have refused `pod` because of `field`, after filling in what it can?
fn refuses(field: Field, policy: &Policy, pod: Pod<'_>) -> bool {
    let spec = &policy.spec;
    let any = |test: &dyn Fn(Container<'_>) -> bool| pod.containers().any(test);
    match field {
        Field::Privileged => !spec.privileged && any(&|c| c.privileged()),
        Field::HostNetwork => !spec.host_network && pod.flag("hostNetwork"),
        Field::HostPid => !spec.host_pid && pod.flag("hostPID"),
        Field::HostIpc => !spec.host_ipc && pod.flag("hostIPC"),
        Field::HostPorts => any(&|c| c.host_ports().any(|p| !in_ranges(&spec.host_ports, p))),
        Field::Volumes => pod.volumes().any(|v| !volume_allowed(&spec.volumes, v)),
        Field::AllowedHostPaths => {
            !spec.allowed_host_paths.is_empty()
                && of_type(policy, pod, "hostPath").any(|(volume, source)| {
                    let path = source.get("path").and_then(Value::as_str).unwrap_or_default();
                    match host_path_access(&spec.allowed_host_paths, path) {
                        PathAccess::ReadWrite => false,
                        PathAccess::ReadOnly => any(&|c| c.writes_to(volume.name())),
                        PathAccess::None => true,
                    }
                })
        }
        Field::AllowedFlexVolumes => driver_refused(policy, pod, "flexVolume", &spec.allowed_flex_volumes),
        Field::AllowedCsiDrivers => driver_refused(policy, pod, "csi", &spec.allowed_csi_drivers),
        Field::AllowedCapabilities => {
            let allowed = |cap: &str| {
                let has = |list: &[String]| list.iter().any(|c| c == cap);
                has(&spec.allowed_capabilities) || has(&spec.default_add_capabilities)
            };
            !spec.allowed_capabilities.iter().any(|c| c == "*")
                && any(&|c| c.capabilities("add").into_iter().any(|cap| !allowed(cap)))
        }
        Field::AllowPrivilegeEscalation => {
            !spec.allow_privilege_escalation
                && any(&|c| bool_is(c.security("allowPrivilegeEscalation"), true))
        }
        Field::RunAsUser => match spec.run_as_user.rule {
            IdRule::MustRunAs => any(&|c| id_refused(&spec.run_as_user, c.effective("runAsUser"))),
            IdRule::MustRunAsNonRoot => any(&|c| {
                bool_is(c.effective("runAsNonRoot"), false)
                    || c.effective("runAsUser").and_then(Value::as_i64) == Some(0)
            }),
            IdRule::MayRunAs | IdRule::RunAsAny => false,
        },
        Field::RunAsGroup => any(&|c| id_refused(&spec.run_as_group, c.effective("runAsGroup"))),
        Field::SupplementalGroups => {
            restricts(&spec.supplemental_groups)
                && pod.supplemental_groups().is_some_and(|groups| {
                    groups.into_iter().any(|g| !in_ranges(&spec.supplemental_groups.ranges, g))
                })
        }
        Field::FsGroup => id_refused(&spec.fs_group, pod.security("fsGroup")),
        Field::SeLinux => {
            spec.se_linux.must_run_as
                && spec.se_linux.options.as_ref().is_some_and(|wanted| {
                    let differs =
                        |options: Option<&Value>| options.is_some_and(|o| !selinux_equal(wanted, o));
                    differs(pod.security("seLinuxOptions")) || any(&|c| differs(c.security("seLinuxOptions")))
                })
        }
        Field::ReadOnlyRootFilesystem => {
            spec.read_only_root_filesystem && any(&|c| bool_is(c.security("readOnlyRootFilesystem"), false))
        }
        Field::AllowedProcMountTypes => any(&|c| {
            let proc_mount = c.security("procMount").and_then(Value::as_str).unwrap_or("Default");
            !allowed_proc_mounts(policy).any(|allowed| allowed == proc_mount)
        }),
        Field::ForbiddenSysctls => pod.sysctls().any(|s| sysctl::matches_any(&spec.forbidden_sysctls, s)),
        Field::AllowedUnsafeSysctls => pod.sysctls().any(|s| {
            !sysctl::matches_any(&spec.forbidden_sysctls, s)
                && !sysctl::is_safe(s)
                && !sysctl::matches_any(&spec.allowed_unsafe_sysctls, s)
        }),
        Field::RuntimeClass => spec.runtime_class.as_ref().is_some_and(|class| {
            let name = pod.runtime_class().or(class.default.as_deref());
            name.is_some_and(|name| !class.allowed.iter().any(|a| a == "*" || a == name))
        }),
        Field::Seccomp => {
            let profiles = Profiles::seccomp(policy);
            let pod_profile = pod.seccomp().or_else(|| profiles.default.clone()).unwrap_or_default();
            !profiles.allows(&pod_profile)
                || any(&|c| !profiles.allows(&c.seccomp().unwrap_or_else(|| pod_profile.clone())))
        }
        Field::AppArmor => {
            let profiles = Profiles::apparmor(policy);
            any(&|c| !profiles.allows(&c.apparmor().or_else(|| profiles.default.clone()).unwrap_or_default()))
        }
        Field::DefaultAddCapabilities
        | Field::RequiredDropCapabilities
        | Field::DefaultAllowPrivilegeEscalation => false,
    }
}

/// Would `policy` have filled in what `field` governs?
///
/// A default for `allowPrivilegeEscalation` is named by the pod's field, whichever of the two policy fields gave it.
fn fills_in(field: Field, policy: &Policy, pod: Pod<'_>) -> bool {
    let spec = &policy.spec;
    let any = |test: &dyn Fn(Container<'_>) -> bool| pod.containers().any(test);
    let must = |strategy: &IdStrategy| strategy.rule == IdRule::MustRunAs;
    match field {
        Field::DefaultAddCapabilities => any(&|c| {
            let (add, drop) = (c.capabilities("add"), c.capabilities("drop"));
            spec.default_add_capabilities
                .iter()
                .any(|cap| !add.contains(&cap.as_str()) && !drop.contains(&cap.as_str()))
        }),
        Field::RequiredDropCapabilities => any(&|c| {
            let drop = c.capabilities("drop");
            spec.required_drop_capabilities.iter().any(|cap| !drop.contains(&cap.as_str()))
        }),
        Field::AllowPrivilegeEscalation => {
            (!spec.allow_privilege_escalation || spec.default_allow_privilege_escalation.is_some())
                && any(&|c| c.security("allowPrivilegeEscalation").is_none())
        }
        Field::RunAsUser => match spec.run_as_user.rule {
            IdRule::MustRunAs => any(&|c| c.effective("runAsUser").is_none()),
            IdRule::MustRunAsNonRoot => {
                any(&|c| c.effective("runAsUser").is_none() && c.effective("runAsNonRoot").is_none())
            }
            IdRule::MayRunAs | IdRule::RunAsAny => false,
        },
        Field::RunAsGroup => must(&spec.run_as_group) && any(&|c| c.effective("runAsGroup").is_none()),
        Field::SupplementalGroups => must(&spec.supplemental_groups) && pod.supplemental_groups().is_none(),
        Field::FsGroup => must(&spec.fs_group) && pod.security("fsGroup").is_none(),
        Field::SeLinux => spec.se_linux.must_run_as && pod.security("seLinuxOptions").is_none(),
        Field::ReadOnlyRootFilesystem => {
            spec.read_only_root_filesystem && any(&|c| c.security("readOnlyRootFilesystem").is_none())
        }
        Field::RuntimeClass => {
            pod.runtime_class().is_none()
                && spec.runtime_class.as_ref().is_some_and(|class| class.default.is_some())
        }
        Field::Seccomp => Profiles::seccomp(policy).default.is_some() && pod.seccomp().is_none(),
        Field::AppArmor => Profiles::apparmor(policy).default.is_some() && any(&|c| c.apparmor().is_none()),
        Field::Privileged
        | Field::AllowedCapabilities
        | Field::Volumes
        | Field::HostNetwork
        | Field::HostPorts
        | Field::HostPid
        | Field::HostIpc
        | Field::DefaultAllowPrivilegeEscalation
        | Field::AllowedHostPaths
        | Field::AllowedFlexVolumes
        | Field::AllowedCsiDrivers
        | Field::AllowedUnsafeSysctls
        | Field::ForbiddenSysctls
        | Field::AllowedProcMountTypes => false,
    }
}

fn bool_is(value: Option<&Value>, wanted: bool) -> bool {
    value.and_then(Value::as_bool) == Some(wanted)
}

fn in_ranges(ranges: &[Range], id: i64) -> bool {
    ranges.iter().any(|r| r.contains(id))
}

fn restricts(strategy: &IdStrategy) -> bool {
    matches!(strategy.rule, IdRule::MustRunAs | IdRule::MayRunAs)
}

fn id_refused(strategy: &IdStrategy, id: Option<&Value>) -> bool {
    restricts(strategy) && id.and_then(Value::as_i64).is_some_and(|id| !in_ranges(&strategy.ranges, id))
}

/// The proc mount types that a policy allows: its own, else `Default`.
pub fn allowed_proc_mounts(policy: &Policy) -> impl Iterator<Item = &str> {
    let own = &policy.spec.allowed_proc_mount_types;
    own.iter().map(String::as_str).chain(own.is_empty().then_some("Default"))
}

/// The policy's word for a volume source: the API spells two of them differently in pods and in policies.
pub fn volume_type(source: &str) -> &str {
    match source {
        "cephfs" => "cephFS",
        "storageos" => "storageOS",
        other => other,
    }
}

fn volume_allowed(types: &[String], volume: Volume<'_>) -> bool {
    let Some((source, value)) = volume.source() else { return true };
    let lists = |wanted: &str| types.iter().any(|t| t == wanted);
    lists("*")
        || lists(volume_type(source))
        || (source == "projected" && lists("secret") && only_service_account_sources(value))
}

/// Is a projected volume made only of what a service account token volume holds (Kubernetes
/// `pkg/security/podsecuritypolicy/util/util.go`, `IsOnlyServiceAccountTokenSources`)?
fn only_service_account_sources(projected: &Value) -> bool {
    let text = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let sources = projected.get("sources").and_then(Value::as_array);
    sources.into_iter().flatten().all(|source| {
        if let Some(token) = source.get("serviceAccountToken") {
            text(token, "/path") == "token" && text(token, "/audience").is_empty()
        } else if let Some(map) = source.get("configMap") {
            text(map, "/name") == "kube-root-ca.crt"
        } else if let Some(downward) = source.get("downwardAPI") {
            let items = downward.get("items").and_then(Value::as_array);
            items.into_iter().flatten().all(|item| {
                text(item, "/path") == "namespace"
                    && text(item, "/fieldRef/apiVersion") == "v1"
                    && text(item, "/fieldRef/fieldPath") == "metadata.namespace"
            })
        } else {
            false
        }
    })
}

/// The volumes of one source type, unless the policy refuses that type as such.
fn of_type<'a>(policy: &Policy, pod: Pod<'a>, wanted: &str) -> impl Iterator<Item = (Volume<'a>, &'a Value)> {
    let allowed = policy.spec.volumes.iter().any(|t| t == "*" || t == wanted);
    pod.volumes().filter_map(move |volume| {
        volume.source().filter(|(source, _)| allowed && *source == wanted).map(|(_, value)| (volume, value))
    })
}

fn driver_refused(policy: &Policy, pod: Pod<'_>, source: &str, drivers: &[String]) -> bool {
    !drivers.is_empty()
        && of_type(policy, pod, source).any(|(_, value)| {
            let driver = value.get("driver").and_then(Value::as_str).unwrap_or_default();
            !drivers.iter().any(|d| d == driver)
        })
}

/// How `allowedHostPaths` lets a path be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathAccess {
    /// Not at all.
    None,
    /// Mounted read-only.
    ReadOnly,
    /// In any way.
    ReadWrite,
}

/// How `allowed` lets `path` be used (`AllowsHostVolumePath` in `podsecuritypolicy/util`).
pub fn host_path_access(allowed: &[HostPath], path: &str) -> PathAccess {
    let matching = || allowed.iter().filter(|a| has_path_prefix(path, &a.path_prefix));
    if matching().any(|a| !a.read_only) {
        PathAccess::ReadWrite
    } else if matching().next().is_some() {
        PathAccess::ReadOnly
    } else {
        PathAccess::None
    }
}

fn has_path_prefix(path: &str, prefix: &str) -> bool {
    let trim = |s: &'_ str| s.strip_suffix('/').map_or(s.len(), str::len);
    let (path, prefix) =
        (path.get(..trim(path)).unwrap_or_default(), prefix.get(..trim(prefix)).unwrap_or_default());
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn selinux_equal(wanted: &SeLinuxOptions, actual: &Value) -> bool {
    let part = |name: &str| actual.get(name).and_then(Value::as_str).unwrap_or_default();
    part("user") == wanted.user
        && part("role") == wanted.role
        && part("type") == wanted.type_
        && levels_equal(&wanted.level, part("level"))
}

/// Are two SELinux levels the same, whatever the order of their categories (`podsecuritypolicy/selinux`)?
fn levels_equal(wanted: &str, actual: &str) -> bool {
    let sorted = |categories: &str| {
        let mut parts: Vec<String> = categories.split(',').map(str::to_owned).collect();
        parts.sort();
        parts
    };
    wanted == actual
        || match (wanted.split_once(':'), actual.split_once(':')) {
            (Some((s1, c1)), Some((s2, c2))) => s1 == s2 && sorted(c1) == sorted(c2),
            _ => false,
        }
}

/// Profiles of one kind (seccomp, AppArmor) that a policy's annotations allow and fill in, in their annotation
/// spelling. The empty name stands for "none set".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    /// The profile names allowed; `None`: any.
    pub allowed: Option<BTreeSet<String>>,
    /// The profile given to pods (seccomp) or containers (AppArmor) that set none.
    pub default: Option<String>,
}

impl Profiles {
    /// The seccomp profiles of `policy` (`podsecuritypolicy/seccomp/strategy.go`). Without the annotation no profile
    /// may be set at all; `docker/default` and `runtime/default` each stand for both.
    pub fn seccomp(policy: &Policy) -> Self {
        let names: BTreeSet<String> = policy
            .annotations
            .get(SECCOMP_ALLOWED)
            .map(|names| names.split(',').map(str::to_owned).collect())
            .unwrap_or_default();
        let mut allowed: BTreeSet<String> = names.clone();
        if names.contains("docker/default") || names.contains("runtime/default") {
            allowed.extend(["docker/default".to_owned(), "runtime/default".to_owned()]);
        }
        if names.is_empty() {
            allowed.insert(String::new());
        }
        let allowed = (!names.contains("*")).then_some(allowed);
        Self { allowed, default: default_profile(policy, SECCOMP_DEFAULT) }
    }

    /// The AppArmor profiles of `policy` (`podsecuritypolicy/apparmor/strategy.go`). Without the annotation any
    /// profile may be set; with it one must be.
    pub fn apparmor(policy: &Policy) -> Self {
        let allowed = policy
            .annotations
            .get(APPARMOR_ALLOWED)
            .map(|names| names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect());
        Self { allowed, default: default_profile(policy, APPARMOR_DEFAULT) }
    }

    /// May a pod have the profile `name` (empty: none)?
    pub fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(name))
    }
}

fn default_profile(policy: &Policy, annotation: &str) -> Option<String> {
    policy.annotations.get(annotation).filter(|name| !name.is_empty()).cloned()
}
