//! What several policies allow together.

use super::Policy;
use super::admission::allowed_proc_mounts;
use super::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, IdRule, IdStrategy, Range, RuntimeClass, SECCOMP_ALLOWED,
    SECCOMP_DEFAULT, SeLinux, Spec,
};

/// A policy that admits every pod that one of `policies` admits, and as little beyond as one policy can say. What
/// cannot be joined (SELinux options, profiles) it leaves open where they differ.
///
/// It has the first one's name and annotations. Of no policies, it is one that allows nothing.
pub fn union(policies: &[&Policy]) -> Policy {
    let Some((first, rest)) = policies.split_first() else { return Policy::default() };
    let mut union = (*first).clone();
    for policy in rest {
        union.spec = both(&union.spec, &policy.spec);
    }
    let differ = |key: &str| rest.iter().any(|p| p.annotations.get(key) != first.annotations.get(key));
    if differ(SECCOMP_ALLOWED) || differ(SECCOMP_DEFAULT) {
        union.annotations.insert(SECCOMP_ALLOWED.to_owned(), "*".to_owned());
        union.annotations.remove(SECCOMP_DEFAULT);
    }
    if differ(APPARMOR_ALLOWED) || differ(APPARMOR_DEFAULT) {
        union.annotations.remove(APPARMOR_ALLOWED);
        union.annotations.remove(APPARMOR_DEFAULT);
    }
    union
}

fn both(a: &Spec, b: &Spec) -> Spec {
    let proc_mounts = |spec: &Spec| -> Vec<String> {
        let policy = Policy { spec: spec.clone(), ..Policy::default() };
        allowed_proc_mounts(&policy).map(str::to_owned).collect()
    };
    Spec {
        privileged: a.privileged || b.privileged,
        default_add_capabilities: joined(&a.default_add_capabilities, &b.default_add_capabilities),
        required_drop_capabilities: a
            .required_drop_capabilities
            .iter()
            .filter(|c| b.required_drop_capabilities.contains(c))
            .cloned()
            .collect(),
        allowed_capabilities: joined(&a.allowed_capabilities, &b.allowed_capabilities),
        volumes: joined(&a.volumes, &b.volumes),
        host_network: a.host_network || b.host_network,
        host_ports: joined(&a.host_ports, &b.host_ports),
        host_pid: a.host_pid || b.host_pid,
        host_ipc: a.host_ipc || b.host_ipc,
        se_linux: if a.se_linux == b.se_linux { a.se_linux.clone() } else { SeLinux::default() },
        run_as_user: ids(&a.run_as_user, &b.run_as_user),
        run_as_group: ids(&a.run_as_group, &b.run_as_group),
        supplemental_groups: ids(&a.supplemental_groups, &b.supplemental_groups),
        fs_group: ids(&a.fs_group, &b.fs_group),
        read_only_root_filesystem: a.read_only_root_filesystem && b.read_only_root_filesystem,
        default_allow_privilege_escalation: a
            .default_allow_privilege_escalation
            .filter(|d| b.default_allow_privilege_escalation == Some(*d)),
        allow_privilege_escalation: a.allow_privilege_escalation || b.allow_privilege_escalation,
        allowed_host_paths: listed_or_any("hostPath", a, b, |s| &s.allowed_host_paths),
        allowed_flex_volumes: listed_or_any("flexVolume", a, b, |s| &s.allowed_flex_volumes),
        allowed_csi_drivers: listed_or_any("csi", a, b, |s| &s.allowed_csi_drivers),
        allowed_unsafe_sysctls: joined(&a.allowed_unsafe_sysctls, &b.allowed_unsafe_sysctls),
        forbidden_sysctls: forbidden_by_both(&a.forbidden_sysctls, &b.forbidden_sysctls),
        allowed_proc_mount_types: joined(&proc_mounts(a), &proc_mounts(b)),
        runtime_class: match (&a.runtime_class, &b.runtime_class) {
            (Some(x), Some(y)) => Some(RuntimeClass {
                allowed: joined(&x.allowed, &y.allowed),
                default: x.default.clone().filter(|d| y.default.as_ref() == Some(d)),
            }),
            _ => None,
        },
    }
}

/// The items of both lists, each once.
fn joined<T: Clone + PartialEq>(a: &[T], b: &[T]) -> Vec<T> {
    let mut joined = a.to_vec();
    joined.extend(b.iter().filter(|item| !a.contains(item)).cloned());
    joined
}

/// Lists that allow anything when empty, but count only where the policy allows their type of volume.
fn listed_or_any<T: Clone + PartialEq>(kind: &str, a: &Spec, b: &Spec, list: fn(&Spec) -> &Vec<T>) -> Vec<T> {
    let allows = |spec: &Spec| spec.volumes.iter().any(|v| v == kind || v == "*");
    match (allows(a), allows(b)) {
        (true, true) if list(a).is_empty() || list(b).is_empty() => Vec::new(),
        (true, true) | (false, false) => joined(list(a), list(b)),
        (true, false) => list(a).clone(),
        (false, true) => list(b).clone(),
    }
}

/// Ids that one of two strategies allows.
fn ids(a: &IdStrategy, b: &IdStrategy) -> IdStrategy {
    let rule = match (a.rule, b.rule) {
        (IdRule::RunAsAny, _) | (_, IdRule::RunAsAny) => return IdStrategy::default(),
        (IdRule::MustRunAsNonRoot, IdRule::MustRunAsNonRoot) => return a.clone(),
        (IdRule::MayRunAs, _) | (_, IdRule::MayRunAs) => IdRule::MayRunAs,
        _ => IdRule::MustRunAs,
    };
    // beside ranges, "not root" is one more of them
    let ranges = |s: &IdStrategy| match s.rule {
        IdRule::MustRunAsNonRoot => vec![Range { min: 1, max: i32::MAX.into() }],
        _ => s.ranges.clone(),
    };
    IdStrategy { rule, ranges: joined(&ranges(a), &ranges(b)) }
}

/// The patterns (a trailing `*` matches a prefix) of each list that the other one covers.
fn forbidden_by_both(a: &[String], b: &[String]) -> Vec<String> {
    let covers = |wide: &String, narrow: &String| match wide.strip_suffix('*') {
        Some(prefix) => narrow.starts_with(prefix),
        None => wide == narrow,
    };
    let of = |list: &[String], other: &[String]| -> Vec<String> {
        list.iter().filter(|narrow| other.iter().any(|wide| covers(wide, narrow))).cloned().collect()
    };
    joined(&of(a, b), &of(b, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: Spec) -> Policy {
        Policy { name: "p".to_owned(), spec, ..Policy::default() }
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn what_one_allows_both_allow() {
        let a = policy(Spec {
            privileged: true,
            required_drop_capabilities: words(&["KILL", "CHOWN"]),
            volumes: words(&["hostPath"]),
            forbidden_sysctls: words(&["kernel.*"]),
            read_only_root_filesystem: true,
            ..Spec::default()
        });
        let b = policy(Spec {
            required_drop_capabilities: words(&["CHOWN"]),
            volumes: words(&["nfs"]),
            forbidden_sysctls: words(&["kernel.shm*", "net.*"]),
            allowed_host_paths: vec![super::super::policy::HostPath {
                path_prefix: "/srv".into(),
                read_only: false,
            }],
            ..Spec::default()
        });
        let spec = union(&[&a, &b]).spec;
        assert!(spec.privileged && !spec.read_only_root_filesystem);
        assert_eq!(spec.required_drop_capabilities, words(&["CHOWN"]));
        assert_eq!(spec.volumes, words(&["hostPath", "nfs"]));
        assert_eq!(spec.forbidden_sysctls, words(&["kernel.shm*"]));
        assert!(spec.allowed_host_paths.is_empty(), "the only policy that allows host paths allows all");
    }

    #[test]
    fn ids_join_ranges_and_not_root() {
        let must = |min, max| IdStrategy { rule: IdRule::MustRunAs, ranges: vec![Range { min, max }] };
        let non_root = IdStrategy { rule: IdRule::MustRunAsNonRoot, ranges: Vec::new() };
        assert_eq!(
            ids(&must(1, 2), &must(5, 6)).ranges,
            [Range { min: 1, max: 2 }, Range { min: 5, max: 6 }]
        );
        let joined = ids(&non_root, &must(0, 0));
        assert_eq!(joined.rule, IdRule::MustRunAs);
        assert!(joined.ranges.iter().any(|r| r.contains(0)) && joined.ranges.iter().any(|r| r.contains(7)));
        assert_eq!(ids(&must(1, 2), &IdStrategy::default()).rule, IdRule::RunAsAny);
        assert_eq!(ids(&non_root, &non_root).rule, IdRule::MustRunAsNonRoot);
    }
}
