//! The PodSecurityPolicy types (`policy/v1beta1`, Kubernetes 1.24 `staging/src/k8s.io/api/policy/v1beta1/types.go`).
//!
//! The spellings are the API's; a field left out has the value that the API server gave it.

use std::collections::BTreeMap;

/// Annotation that lists the seccomp profiles a pod may use, separated by commas; `*` allows any.
pub const SECCOMP_ALLOWED: &str = "seccomp.security.alpha.kubernetes.io/allowedProfileNames";
/// Annotation that names the seccomp profile given to pods that set none.
pub const SECCOMP_DEFAULT: &str = "seccomp.security.alpha.kubernetes.io/defaultProfileName";
/// Annotation that lists the AppArmor profiles a container may use, separated by commas.
pub const APPARMOR_ALLOWED: &str = "apparmor.security.beta.kubernetes.io/allowedProfileNames";
/// Annotation that names the AppArmor profile given to containers that set none.
pub const APPARMOR_DEFAULT: &str = "apparmor.security.beta.kubernetes.io/defaultProfileName";

/// One PodSecurityPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.annotations`, whole.
    pub annotations: BTreeMap<String, String>,
    /// `spec`.
    pub spec: Spec,
}

/// `spec` of a PodSecurityPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spec {
    /// May containers be privileged?
    pub privileged: bool,
    /// Capabilities added to every container that does not drop them.
    pub default_add_capabilities: Vec<String>,
    /// Capabilities that every container must drop.
    pub required_drop_capabilities: Vec<String>,
    /// Capabilities that containers may add; `*` allows any.
    pub allowed_capabilities: Vec<String>,
    /// Volume types that pods may use; `*` allows any, an empty list none.
    pub volumes: Vec<String>,
    /// May pods use the node's network?
    pub host_network: bool,
    /// Host ports that containers may bind.
    pub host_ports: Vec<Range>,
    /// May pods see the node's processes?
    pub host_pid: bool,
    /// May pods use the node's inter-process communication?
    pub host_ipc: bool,
    /// Which SELinux options pods must have.
    pub se_linux: SeLinux,
    /// Which user ids containers may run as.
    pub run_as_user: IdStrategy,
    /// Which group ids containers may run as (absent in the API: `RunAsAny`).
    pub run_as_group: IdStrategy,
    /// Which supplemental groups pods may have.
    pub supplemental_groups: IdStrategy,
    /// Which group may own a pod's volumes.
    pub fs_group: IdStrategy,
    /// Must containers have a read-only root file system?
    pub read_only_root_filesystem: bool,
    /// `allowPrivilegeEscalation` of containers that leave it unset.
    pub default_allow_privilege_escalation: Option<bool>,
    /// May containers allow privilege escalation (absent in the API: true)?
    pub allow_privilege_escalation: bool,
    /// Host paths that hostPath volumes may use; an empty list allows any.
    pub allowed_host_paths: Vec<HostPath>,
    /// FlexVolume drivers that pods may use; an empty list allows any.
    pub allowed_flex_volumes: Vec<String>,
    /// Drivers that inline CSI volumes may use; an empty list allows any.
    pub allowed_csi_drivers: Vec<String>,
    /// Sysctls outside the safe set that pods may set (a trailing `*` matches a prefix).
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Sysctls that pods must not set (a trailing `*` matches a prefix).
    pub forbidden_sysctls: Vec<String>,
    /// Types of the proc mount that containers may use; an empty list allows `Default` only.
    pub allowed_proc_mount_types: Vec<String>,
    /// Which runtime classes pods may use; absent: any.
    pub runtime_class: Option<RuntimeClass>,
}

/// A range of ids or ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Range {
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
}

impl Range {
    /// Is `value` in the range?
    pub fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }
}

/// The rule of an id strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdRule {
    /// The id must be set (admission fills it in) and lie in a range.
    MustRunAs,
    /// The id may be unset; if set it lies in a range.
    MayRunAs,
    /// Users only: the id must not be 0.
    MustRunAsNonRoot,
    /// No restriction.
    #[default]
    RunAsAny,
}

/// A strategy over ids: `runAsUser`, `runAsGroup`, `supplementalGroups`, `fsGroup`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdStrategy {
    /// What the strategy demands.
    pub rule: IdRule,
    /// The allowed ids, for `MustRunAs` and `MayRunAs`.
    pub ranges: Vec<Range>,
}

/// `spec.seLinux`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeLinux {
    /// `MustRunAs`; false: `RunAsAny`.
    pub must_run_as: bool,
    /// `seLinuxOptions`; `None` under `MustRunAs` makes the policy unusable.
    pub options: Option<SeLinuxOptions>,
}

/// SELinux labels; an absent part is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeLinuxOptions {
    /// The user label.
    pub user: String,
    /// The role label.
    pub role: String,
    /// The type label.
    pub type_: String,
    /// The level label.
    pub level: String,
}

/// One entry of `spec.allowedHostPaths`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostPath {
    /// The path and all below it.
    pub path_prefix: String,
    /// Must every mount of the volume be read-only?
    pub read_only: bool,
}

/// `spec.runtimeClass`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuntimeClass {
    /// Names that pods may use; `*` allows any.
    pub allowed: Vec<String>,
    /// The name given to pods that set none.
    pub default: Option<String>,
}
