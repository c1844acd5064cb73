//! What made a policy object itself invalid to the API server, and what made a valid one useless.
//!
//! Facts: Kubernetes 1.20 `pkg/apis/policy/validation/validation.go` (`ValidatePodSecurityPolicy`), and for
//! unusable policies `pkg/security/podsecuritypolicy/factory.go`.

use std::collections::{BTreeSet, HashSet};

use psp_admission::Policy;
use psp_admission::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, IdRule, IdStrategy, Range, SECCOMP_ALLOWED, SECCOMP_DEFAULT, Spec,
};

use crate::messages::policy as messages;
use crate::problem::{Message, quote};
use crate::yaml::unknown_value;

/// Every volume type that a policy could name, besides `*`.
pub const VOLUME_TYPES: [&str; 29] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephFS",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

/// The rules that `runAsUser` may have.
pub const USER_RULES: [&str; 3] = ["MustRunAs", "MustRunAsNonRoot", "RunAsAny"];
/// The rules that `runAsGroup`, `supplementalGroups` and `fsGroup` may have.
pub const GROUP_RULES: [&str; 3] = ["MustRunAs", "MayRunAs", "RunAsAny"];
/// The rules that `seLinux` may have.
pub const SE_LINUX_RULES: [&str; 2] = ["MustRunAs", "RunAsAny"];

/// The most bytes that annotations may have together, keys and values.
const MAX_ANNOTATIONS: usize = 256 * 1024;
/// The most characters of an object's name and of a sysctl.
const MAX_NAME: usize = 253;
/// The most characters of a CSI driver's name and of the name part of a label or annotation.
const MAX_LABEL: usize = 63;

/// The most overlapping pairs of sysctls worth showing.
const MAX_OVERLAPS: usize = 1000;

/// Something wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, like `spec.runAsUser.ranges[0]`.
    pub path: String,
    /// What is wrong, and the cure.
    pub message: Message,
}

impl Fault {
    fn new(path: impl Into<String>, message: Message) -> Self {
        Self { path: path.into(), message }
    }
}

/// All reasons for which the API server would have refused the policy; empty when it accepted it.
///
/// What [`Policy`] cannot hold (an unknown rule, a wrong type) has been refused by the reader before.
pub fn check(policy: &Policy) -> Vec<Fault> {
    let mut faults = Vec::new();
    faults.extend(name(&policy.name).map(|message| Fault::new("metadata.name", message)));
    annotations(policy, &mut faults);
    let spec = &policy.spec;
    ids(spec, &mut faults);
    volumes(&spec.volumes, &mut faults);
    capabilities(spec, &mut faults);
    if spec.default_allow_privilege_escalation == Some(true) && !spec.allow_privilege_escalation {
        faults.push(Fault::new("spec.defaultAllowPrivilegeEscalation", messages::escalation_contradicts()));
    }
    host_paths(spec, &mut faults);
    drivers(spec, &mut faults);
    sysctls("spec.allowedUnsafeSysctls", &spec.allowed_unsafe_sysctls, &mut faults);
    sysctls("spec.forbiddenSysctls", &spec.forbidden_sysctls, &mut faults);
    sysctl_overlaps(spec, &mut faults);
    runtime_class(spec, &mut faults);
    faults
}

/// Why admission could not use the policy, although the API server accepted it: it then skipped the policy, which so
/// admitted nothing. `None` for a policy that worked.
pub fn unusable(policy: &Policy) -> Option<String> {
    let reasons: Vec<String> =
        policy.unusable().iter().map(|(field, reason)| format!("spec.{field}: {reason}")).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

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

/// What the API server accepted and an administrator would hardly have meant; unusable fields first.
pub fn remarks(policy: &Policy) -> Vec<Fault> {
    let unusable = policy.unusable().into_iter();
    let mut faults: Vec<Fault> = unusable
        .map(|(field, reason)| Fault::new(format!("spec.{field}"), messages::unusable(reason)))
        .collect();
    for (index, Range { min, max }) in policy.spec.host_ports.iter().enumerate() {
        if min > max {
            let message = messages::ports_allow_none(min, max, absent_max(*max));
            faults.push(Fault::new(format!("spec.hostPorts[{index}]"), message));
        }
    }
    for (index, kind) in policy.spec.allowed_proc_mount_types.iter().enumerate() {
        if !matches!(kind.as_str(), "Default" | "Unmasked") {
            let message = messages::no_proc_mount(quote(kind));
            faults.push(Fault::new(format!("spec.allowedProcMountTypes[{index}]"), message));
        }
    }
    for (field, names) in [
        ("defaultAddCapabilities", &policy.spec.default_add_capabilities),
        ("requiredDropCapabilities", &policy.spec.required_drop_capabilities),
        ("allowedCapabilities", &policy.spec.allowed_capabilities),
    ] {
        faults.extend(names.iter().enumerate().filter_map(|(index, name)| {
            let upper = name.to_ascii_uppercase();
            let spelt = upper.strip_prefix("CAP_").unwrap_or(&upper);
            let message = messages::misspelt_capability(quote(name), quote(spelt));
            (spelt != name && CAPABILITIES.contains(&spelt))
                .then(|| Fault::new(format!("spec.{field}[{index}]"), message))
        }));
    }
    faults
}

fn ids(spec: &Spec, faults: &mut Vec<Fault>) {
    strategy("runAsUser", &spec.run_as_user, &USER_RULES, faults);
    strategy("runAsGroup", &spec.run_as_group, &GROUP_RULES, faults);
    strategy("supplementalGroups", &spec.supplemental_groups, &GROUP_RULES, faults);
    strategy("fsGroup", &spec.fs_group, &GROUP_RULES, faults);

    // Only runAsGroup's ranges have to agree with its rule.
    let group = &spec.run_as_group;
    match group.rule {
        IdRule::RunAsAny if !group.ranges.is_empty() => {
            faults.push(Fault::new("spec.runAsGroup.ranges", messages::ranges_unused()));
        }
        IdRule::MustRunAs | IdRule::MayRunAs if group.ranges.is_empty() => {
            faults.push(Fault::new("spec.runAsGroup.ranges", messages::ranges_missing(group.rule.name())));
        }
        _ => {}
    }
}

fn strategy(field: &str, strategy: &IdStrategy, rules: &[&str], faults: &mut Vec<Fault>) {
    let rule = strategy.rule.name();
    if !rules.contains(&rule) {
        faults.push(Fault::new(format!("spec.{field}.rule"), unknown_value("rule", rule, rules)));
    }
    for (index, range) in strategy.ranges.iter().enumerate() {
        id_range(&format!("spec.{field}.ranges[{index}]"), *range, faults);
    }
}

fn id_range(path: &str, Range { min, max }: Range, faults: &mut Vec<Fault>) {
    for (end, value) in [("min", min), ("max", max)] {
        if value < 0 {
            faults.push(Fault::new(format!("{path}.{end}"), messages::negative_id(end, value)));
        }
    }
    if min > max {
        faults.push(Fault::new(path, messages::reversed_range(min, max, absent_max(max))));
    }
}

fn absent_max(max: i64) -> &'static str {
    if max == 0 { "; a max left out is 0" } else { "" }
}

fn volumes(volumes: &[String], faults: &mut Vec<Fault>) {
    for (index, volume) in volumes.iter().enumerate() {
        if volume != "*" && !VOLUME_TYPES.contains(&volume.as_str()) {
            let mut known = VOLUME_TYPES.to_vec();
            known.push("*");
            let message = match volume.as_str() {
                // the name of its feature gate
                "genericEphemeralVolume" => messages::feature_gate_volume(),
                _ => unknown_value("volume type", volume, &known),
            };
            faults.push(Fault::new(format!("spec.volumes[{index}]"), message));
        }
    }
}

fn capabilities(spec: &Spec, faults: &mut Vec<Fault>) {
    let dropped: HashSet<&str> = spec.required_drop_capabilities.iter().map(String::as_str).collect();
    if !dropped.is_empty() && spec.allowed_capabilities.iter().any(|name| name == "*") {
        faults.push(Fault::new("spec.requiredDropCapabilities", messages::drop_of_all_allowed()));
    }
    for (field, added) in [
        ("defaultAddCapabilities", &spec.default_add_capabilities),
        ("allowedCapabilities", &spec.allowed_capabilities),
    ] {
        for (index, name) in added.iter().enumerate().filter(|(_, name)| dropped.contains(name.as_str())) {
            let message = messages::dropped_and_added(quote(name));
            faults.push(Fault::new(format!("spec.{field}[{index}]"), message));
        }
    }
}

fn host_paths(spec: &Spec, faults: &mut Vec<Fault>) {
    for (index, entry) in spec.allowed_host_paths.iter().enumerate() {
        let path = format!("spec.allowedHostPaths[{index}]");
        if entry.path_prefix.is_empty() {
            faults.push(Fault::new(path, messages::no_path_prefix()));
        } else if climbs(&entry.path_prefix) {
            let message = messages::climbing_prefix(quote(&entry.path_prefix));
            faults.push(Fault::new(path, message));
        }
    }
}

/// Does a path have a `..` among its parts?
fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

fn drivers(spec: &Spec, faults: &mut Vec<Fault>) {
    for (index, driver) in spec.allowed_flex_volumes.iter().enumerate() {
        if driver.is_empty() {
            let path = format!("spec.allowedFlexVolumes[{index}].driver");
            faults.push(Fault::new(path, messages::no_driver()));
        }
    }
    for (index, driver) in spec.allowed_csi_drivers.iter().enumerate() {
        let fault = if driver.is_empty() {
            Some(messages::no_driver())
        } else if driver.len() > MAX_LABEL {
            Some(messages::too_long(MAX_LABEL))
        } else {
            name(&driver.to_lowercase())
        };
        faults.extend(
            fault.map(|message| Fault::new(format!("spec.allowedCSIDrivers[{index}].name"), message)),
        );
    }
}

fn sysctls(path: &str, patterns: &[String], faults: &mut Vec<Fault>) {
    for (index, pattern) in patterns.iter().enumerate() {
        let message = if pattern.is_empty() {
            messages::empty_sysctl()
        } else if !is_sysctl_pattern(pattern) {
            messages::no_sysctl(quote(pattern), MAX_NAME)
        } else {
            continue;
        };
        faults.push(Fault::new(format!("{path}[{index}]"), message));
    }
    if patterns.len() > 1 && patterns.iter().any(|pattern| pattern == "*") {
        faults.push(Fault::new(path, messages::all_sysctls()));
    }
}

/// `([a-z0-9]([-_a-z0-9]*[a-z0-9])?\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]`
fn is_sysctl_pattern(pattern: &str) -> bool {
    let (parents, last) = pattern.rsplit_once('.').map_or((None, pattern), |(all, last)| (Some(all), last));
    let stem = last.strip_suffix('*').unwrap_or(last);
    pattern.len() <= MAX_NAME
        && !last.is_empty()
        && parents.is_none_or(|all| all.split('.').all(|part| is_lower_segment(part, "-_")))
        && (stem.is_empty()
            || stem.starts_with(is_lower_or_digit)
                && stem.chars().all(|c| is_lower_or_digit(c) || "-_".contains(c)))
        && (stem.len() < last.len() || last.ends_with(is_lower_or_digit))
}

fn is_lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Lower-case letters and digits, with `inner` characters between them.
fn is_lower_segment(part: &str, inner: &str) -> bool {
    part.starts_with(is_lower_or_digit)
        && part.ends_with(is_lower_or_digit)
        && part.chars().all(|c| is_lower_or_digit(c) || inner.contains(c))
}

fn sysctl_overlaps(spec: &Spec, faults: &mut Vec<Fault>) {
    let may_overlap = may_overlap(&spec.forbidden_sysctls);
    let allowed = spec.allowed_unsafe_sysctls.iter().enumerate().filter(|(_, allowed)| may_overlap(allowed));
    let pairs = allowed.flat_map(|allowed| {
        spec.forbidden_sysctls.iter().enumerate().map(move |forbidden| (allowed, forbidden))
    });
    // The narrower one is at fault; of two equal ones the allowed one.
    let overlaps = pairs.filter_map(|((i, allowed), (j, forbidden))| {
        if covers(forbidden, allowed) {
            Some((format!("spec.allowedUnsafeSysctls[{i}]"), forbidden))
        } else if covers(allowed, forbidden) {
            Some((format!("spec.forbiddenSysctls[{j}]"), allowed))
        } else {
            None
        }
    });
    faults.extend(
        overlaps
            .take(MAX_OVERLAPS)
            .map(|(path, other)| Fault::new(path, messages::overlapping_sysctls(quote(other)))),
    );
}

/// Does a pattern overlap with one of many? Found without looking at each.
fn may_overlap(patterns: &[String]) -> impl Fn(&str) -> bool {
    let stem = |pattern: &str| pattern.strip_suffix('*').unwrap_or(pattern).to_owned();
    let stems: BTreeSet<String> = patterns.iter().map(|pattern| stem(pattern)).collect();
    let wide: HashSet<String> = patterns.iter().filter(|p| p.ends_with('*')).map(|p| stem(p)).collect();
    move |pattern| {
        let own = stem(pattern);
        let begins = own.char_indices().map(|(at, _)| own.get(..at)).chain([Some(own.as_str())]);
        stems.contains(&own)
            || begins.flatten().any(|begin| wide.contains(begin))
            || stems.range(own.clone()..).next().is_some_and(|next| next.starts_with(&own))
    }
}

/// Does pattern `wide` match all that `narrow` does?
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(prefix) => narrow.strip_suffix('*').unwrap_or(narrow).starts_with(prefix),
        None => wide == narrow,
    }
}

fn runtime_class(spec: &Spec, faults: &mut Vec<Fault>) {
    const ALLOWED: &str = "spec.runtimeClass.allowedRuntimeClassNames";
    let Some(class) = &spec.runtime_class else { return };
    let mut seen = HashSet::new();
    for (index, allowed) in class.allowed.iter().enumerate() {
        let path = || format!("{ALLOWED}[{index}]");
        if allowed != "*" {
            faults.extend(name(allowed).map(|message| Fault::new(path(), message)));
        }
        if !seen.insert(allowed.as_str()) {
            faults.push(Fault::new(path(), messages::listed_twice(quote(allowed))));
        }
    }
    if let Some(default) = &class.default {
        faults.extend(
            name(default).map(|message| Fault::new("spec.runtimeClass.defaultRuntimeClassName", message)),
        );
        if !seen.contains(default.as_str()) && !seen.contains("*") {
            faults.push(Fault::new(ALLOWED, messages::default_not_allowed(quote(default))));
        }
    }
    if seen.contains("*") && class.allowed.len() > 1 {
        faults.push(Fault::new(ALLOWED, messages::all_names()));
    }
}

fn annotations(policy: &Policy, faults: &mut Vec<Fault>) {
    for key in policy.annotations.keys() {
        faults.extend(
            qualified_name(&key.to_lowercase())
                .map(|message| Fault::new(format!("metadata.annotations[{key}]"), message)),
        );
    }
    let size: usize = policy.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        let message = messages::large_annotations(size, MAX_ANNOTATIONS);
        faults.push(Fault::new("metadata.annotations", message));
    }
    profiles(policy, APPARMOR_DEFAULT, false, apparmor_profile, faults);
    profiles(policy, APPARMOR_ALLOWED, true, apparmor_profile, faults);
    profiles(policy, SECCOMP_DEFAULT, false, seccomp_profile, faults);
    profiles(
        policy,
        SECCOMP_ALLOWED,
        true,
        |profile| if profile == "*" { None } else { seccomp_profile(profile) },
        faults,
    );
}

/// Checks each profile that an annotation names; an empty annotation names none.
fn profiles(
    policy: &Policy,
    key: &str,
    list: bool,
    wrong: impl Fn(&str) -> Option<Message>,
    faults: &mut Vec<Fault>,
) {
    let Some(value) = policy.annotations.get(key).filter(|value| !value.is_empty()) else { return };
    let profiles: Vec<&str> = if list { value.split(',').collect() } else { vec![value] };
    for message in profiles.into_iter().filter_map(wrong) {
        faults.push(Fault::new(format!("metadata.annotations[{key}]"), message));
    }
}

fn apparmor_profile(profile: &str) -> Option<Message> {
    let known = matches!(profile, "" | "runtime/default" | "unconfined") || profile.starts_with("localhost/");
    (!known).then(|| unknown_profile("an AppArmor", profile, "runtime/default, unconfined or localhost/NAME"))
}

fn seccomp_profile(profile: &str) -> Option<Message> {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return None;
    }
    match profile.strip_prefix("localhost/") {
        None => Some(unknown_profile(
            "a seccomp",
            profile,
            "runtime/default, docker/default, unconfined or localhost/PATH",
        )),
        Some(path) if path.starts_with('/') => Some(messages::absolute_profile(quote(profile))),
        Some(path) if climbs(path) => Some(messages::climbing_profile(quote(profile))),
        Some(_) => None,
    }
}

fn unknown_profile(what: &str, profile: &str, known: &str) -> Message {
    let blank = if profile.trim() == profile { "" } else { " (mind the blank)" };
    messages::no_profile(quote(profile), what, blank, known)
}

/// What is wrong with the name of an object, a runtime class or a CSI driver (DNS-1123 subdomain).
fn name(name: &str) -> Option<Message> {
    if name.is_empty() {
        Some(messages::no_name())
    } else if name.len() > MAX_NAME {
        Some(messages::too_long(MAX_NAME))
    } else if is_subdomain(name) {
        None
    } else {
        Some(messages::bad_name(quote(name)))
    }
}

/// Is this a subdomain of RFC 1123, as names of objects are?
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(|part| is_lower_segment(part, "-"))
}

/// Is this a label of RFC 1123, as names of namespaces are?
pub(crate) fn is_dns_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_lower_segment(name, "-")
}

/// Can rules bear the name, though the API server may have refused it? It must stand in the name of a rule, in a tag
/// and in a comment as it is.
pub(crate) fn is_speakable(name: &str) -> bool {
    let speakable = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(speakable) && !name.ends_with(':')
}

/// What is wrong with the name of a namespace (DNS-1123 label).
pub fn namespace(name: &str) -> Option<Message> {
    if is_dns_label(name) {
        return None;
    }
    Some(messages::bad_namespace(quote(name), MAX_LABEL))
}

/// What is wrong with the key of an annotation or label.
pub(crate) fn qualified_name(key: &str) -> Option<Message> {
    let (prefix, rest) = key.split_once('/').map_or((None, key), |(prefix, rest)| (Some(prefix), rest));
    if prefix.is_none_or(|prefix| name(prefix).is_none()) && is_label_text(rest) {
        return None;
    }
    Some(messages::bad_key(quote(key)))
}

/// What is wrong with the value of a label.
pub(crate) fn label_value(value: &str) -> Option<Message> {
    if value.is_empty() || is_label_text(value) {
        return None;
    }
    Some(messages::bad_label(quote(value), MAX_LABEL))
}

fn is_label_text(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}
