//! A short fingerprint of what a policy means.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::psp::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, IdRule, IdStrategy, Policy, Range, SECCOMP_ALLOWED, SECCOMP_DEFAULT,
    Spec,
};

/// The annotations that change the rules made of a policy.
const ANNOTATIONS: [&str; 6] = [
    APPARMOR_ALLOWED,
    APPARMOR_DEFAULT,
    "falco-rules-psp-images",
    "falco-rules-psp-namespaces",
    SECCOMP_ALLOWED,
    SECCOMP_DEFAULT,
];

/// `sha256:` and 12 hexadecimal digits, over the name, the annotations that matter and the spec.
///
/// Formatting, the order of keys, server-side clutter and the spelling out of a default make no difference.
pub(crate) fn digest(policy: &Policy) -> String {
    let annotations: Map<String, Value> = ANNOTATIONS
        .iter()
        .filter_map(|key| policy.annotations.get_key_value(*key))
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    let canonical = json!({ "name": policy.name, "annotations": annotations, "spec": spec(&policy.spec) });
    let hash = Sha256::digest(canonical.to_string());
    let hex: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The spec without what has its default, so that a field added later changes no digest of a policy without it.
fn spec(spec: &Spec) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value, default: bool| {
        if !default {
            fields.insert(name.to_owned(), value);
        }
    };
    for (name, value) in [
        ("privileged", spec.privileged),
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
        ("readOnlyRootFilesystem", spec.read_only_root_filesystem),
    ] {
        put(name, value.into(), !value);
    }
    let allows_escalation = spec.allow_privilege_escalation;
    put("allowPrivilegeEscalation", allows_escalation.into(), allows_escalation);
    let default_escalation = spec.default_allow_privilege_escalation;
    put("defaultAllowPrivilegeEscalation", json!(default_escalation), default_escalation.is_none());
    for (name, list) in [
        ("defaultAddCapabilities", &spec.default_add_capabilities),
        ("requiredDropCapabilities", &spec.required_drop_capabilities),
        ("allowedCapabilities", &spec.allowed_capabilities),
        ("volumes", &spec.volumes),
        ("allowedFlexVolumes", &spec.allowed_flex_volumes),
        ("allowedCSIDrivers", &spec.allowed_csi_drivers),
        ("allowedUnsafeSysctls", &spec.allowed_unsafe_sysctls),
        ("forbiddenSysctls", &spec.forbidden_sysctls),
        ("allowedProcMountTypes", &spec.allowed_proc_mount_types),
    ] {
        put(name, json!(list), list.is_empty());
    }
    for (name, strategy) in [
        ("runAsUser", &spec.run_as_user),
        ("runAsGroup", &spec.run_as_group),
        ("supplementalGroups", &spec.supplemental_groups),
        ("fsGroup", &spec.fs_group),
    ] {
        put(name, ids(strategy), *strategy == IdStrategy::default());
    }
    put("hostPorts", ranges(&spec.host_ports), spec.host_ports.is_empty());
    let labels = spec.se_linux.options.as_ref().map(|own| [&own.user, &own.role, &own.type_, &own.level]);
    let se_linux = json!([spec.se_linux.must_run_as, labels]);
    put("seLinux", se_linux, !spec.se_linux.must_run_as && labels.is_none());
    let paths: Value =
        spec.allowed_host_paths.iter().map(|path| json!([path.path_prefix, path.read_only])).collect();
    put("allowedHostPaths", paths, spec.allowed_host_paths.is_empty());
    let class = spec.runtime_class.as_ref().map(|class| json!([class.allowed, class.default]));
    put("runtimeClass", json!(class), class.is_none());
    Value::Object(fields)
}

fn ids(strategy: &IdStrategy) -> Value {
    let rule = match strategy.rule {
        IdRule::MustRunAs => "MustRunAs",
        IdRule::MayRunAs => "MayRunAs",
        IdRule::MustRunAsNonRoot => "MustRunAsNonRoot",
        IdRule::RunAsAny => "RunAsAny",
    };
    json!([rule, ranges(&strategy.ranges)])
}

fn ranges(ranges: &[Range]) -> Value {
    ranges.iter().map(|range| json!([range.min, range.max])).collect()
}
