//! Where one policy asks more of pods than another.

use crate::field::{Field, Fields};
use crate::fields::{PathAccess, allowed_proc_mounts, host_path_access, levels_equal};
use crate::policy::{IdRule, IdStrategy, Policy, Range, SeLinuxOptions, Spec};
use crate::profiles::Profiles;
use crate::sysctl::SAFE;

/// The largest id of a user or group.
const MAX_ID: i64 = u32::MAX as i64;
/// The ports that a container can bind.
const PORTS: Range = Range { min: 1, max: 65535 };

/// The fields in which `policy` refuses or corrects a pod that `other` lets pass as it is.
pub fn alerts_beyond(policy: &Policy, other: &Policy) -> Fields {
    Field::ALL.into_iter().filter(|field| asks_more(*field, policy, other)).collect()
}

fn asks_more(field: Field, policy: &Policy, other: &Policy) -> bool {
    let (own, its) = (&policy.spec, &other.spec);
    match field {
        Field::Privileged => !own.privileged && its.privileged,
        Field::HostNetwork => !own.host_network && its.host_network,
        Field::HostPid => !own.host_pid && its.host_pid,
        Field::HostIpc => !own.host_ipc && its.host_ipc,
        Field::ReadOnlyRootFilesystem => own.read_only_root_filesystem && !its.read_only_root_filesystem,
        // what a container sets by itself neither policy adds or drops
        Field::DefaultAddCapabilities => own.default_add_capabilities.iter().any(|added| {
            !its.default_add_capabilities.contains(added) && !its.required_drop_capabilities.contains(added)
        }),
        Field::RequiredDropCapabilities => {
            lacks(&its.required_drop_capabilities, &own.required_drop_capabilities)
        }
        Field::AllowedCapabilities => {
            let may_add =
                |spec: &Spec| [&*spec.allowed_capabilities, &*spec.default_add_capabilities].concat();
            beyond_names(&own.allowed_capabilities, &may_add(own), &may_add(its))
        }
        Field::Volumes => beyond_names(&own.volumes, &own.volumes, &its.volumes),
        Field::HostPorts => its.host_ports.iter().any(|range| {
            let ports = Range { min: range.min.max(PORTS.min), max: range.max.min(PORTS.max) };
            !covered(ports, &own.host_ports)
        }),
        Field::SeLinux => own.se_linux.options.as_ref().is_some_and(|wanted| {
            own.se_linux.must_run_as
                && !(its.se_linux.must_run_as
                    && its.se_linux.options.as_ref().is_some_and(|its| same_labels(wanted, its)))
        }),
        Field::RunAsUser => beyond_ids(&own.run_as_user, &its.run_as_user),
        Field::RunAsGroup => beyond_ids(&own.run_as_group, &its.run_as_group),
        Field::SupplementalGroups => beyond_ids(&own.supplemental_groups, &its.supplemental_groups),
        Field::FsGroup => beyond_ids(&own.fs_group, &its.fs_group),
        Field::AllowPrivilegeEscalation => [None, Some(true), Some(false)]
            .into_iter()
            .any(|value| !escalates(own, value) && escalates(its, value)),
        Field::AllowedHostPaths => beyond_host_paths(own, its),
        Field::AllowedFlexVolumes => {
            beyond_drivers("flexVolume", own, its, |spec| &spec.allowed_flex_volumes)
        }
        Field::AllowedCsiDrivers => beyond_drivers("csi", own, its, |spec| &spec.allowed_csi_drivers),
        Field::AllowedUnsafeSysctls => its.allowed_unsafe_sysctls.iter().any(|pattern| {
            ![&own.allowed_unsafe_sysctls, &own.forbidden_sysctls, &its.forbidden_sysctls]
                .iter()
                .any(|list| list.iter().any(|wide| covers(wide, pattern)))
                && !SAFE.contains(&pattern.as_str())
        }),
        Field::ForbiddenSysctls => own.forbidden_sysctls.iter().any(|pattern| {
            let allowed = its.allowed_unsafe_sysctls.iter().map(String::as_str).chain(SAFE);
            allowed
                .filter_map(|allowed| common(pattern, allowed))
                .any(|both| !its.forbidden_sysctls.iter().any(|wide| covers(wide, both)))
        }),
        Field::AllowedProcMountTypes => {
            allowed_proc_mounts(other).any(|its| !allowed_proc_mounts(policy).any(|own| own == its))
        }
        Field::RuntimeClass => own.runtime_class.as_ref().is_some_and(|own| {
            let its_default = its.runtime_class.as_ref().and_then(|class| class.default.as_ref());
            let filled = own.default.is_some() && its_default.is_none();
            let any = vec!["*".to_owned()];
            let allowed = its.runtime_class.as_ref().map_or(&any, |class| &class.allowed);
            filled || beyond_names(&own.allowed, &own.allowed, allowed)
        }),
        Field::Seccomp => beyond_profiles(&Profiles::seccomp(policy), &Profiles::seccomp(other)),
        Field::AppArmor => beyond_profiles(&Profiles::apparmor(policy), &Profiles::apparmor(other)),
        // alerts as allowPrivilegeEscalation
        Field::DefaultAllowPrivilegeEscalation => false,
    }
}

/// Does a list lack one of the names?
fn lacks(list: &[String], names: &[String]) -> bool {
    names.iter().any(|name| !list.contains(name))
}

/// Does one list of names leave out something that the other has? `*` in `any`, or in its names, stands for all names.
fn beyond_names(any: &[String], own: &[String], its: &[String]) -> bool {
    let all = |names: &[String]| names.iter().any(|name| name == "*");
    !all(any) && (all(its) || lacks(own, its))
}

/// Does a policy leave a container's `allowPrivilegeEscalation` as it is?
fn escalates(spec: &Spec, value: Option<bool>) -> bool {
    match value {
        Some(false) => true,
        Some(true) => spec.allow_privilege_escalation,
        None => spec.allow_privilege_escalation && spec.default_allow_privilege_escalation.is_none(),
    }
}

fn beyond_ids(own: &IdStrategy, its: &IdStrategy) -> bool {
    let all = |ranges: &[Range]| ranges.iter().any(|range| !covered(*range, &own.ranges));
    match (own.rule, its.rule) {
        (IdRule::RunAsAny, _) | (IdRule::MustRunAsNonRoot, IdRule::MustRunAsNonRoot) => false,
        // `runAsNonRoot: false` passes every other rule
        (IdRule::MustRunAsNonRoot, _) => true,
        (IdRule::MustRunAs, IdRule::MustRunAs) | (IdRule::MayRunAs, IdRule::MustRunAs | IdRule::MayRunAs) => {
            all(&its.ranges)
        }
        // an unset id passes
        (IdRule::MustRunAs, _) => true,
        (IdRule::MayRunAs, IdRule::MustRunAsNonRoot) => all(&[Range { min: 1, max: MAX_ID }]),
        (IdRule::MayRunAs, IdRule::RunAsAny) => all(&[Range { min: 0, max: MAX_ID }]),
    }
}

/// Does each number of a range lie in one of `ranges`?
fn covered(range: Range, ranges: &[Range]) -> bool {
    let mut next = range.min;
    while next <= range.max {
        match ranges.iter().filter(|r| r.contains(next)).map(|r| r.max).max() {
            Some(max) if max < range.max => next = max + 1,
            Some(_) => return true,
            None => return false,
        }
    }
    true
}

fn same_labels(left: &SeLinuxOptions, right: &SeLinuxOptions) -> bool {
    left.user == right.user
        && left.role == right.role
        && left.type_ == right.type_
        && levels_equal(&left.level, &right.level)
}

fn allows_type(spec: &Spec, kind: &str) -> bool {
    spec.volumes.iter().any(|volume| volume == kind || volume == "*")
}

/// Volumes of a type that only one of the two allows are a matter of the field `volumes`.
fn beyond_host_paths(own: &Spec, its: &Spec) -> bool {
    let list = &own.allowed_host_paths;
    if list.is_empty() || !allows_type(own, "hostPath") || !allows_type(its, "hostPath") {
        return false;
    }
    if its.allowed_host_paths.is_empty() {
        return host_path_access(list, "/") != PathAccess::ReadWrite;
    }
    its.allowed_host_paths.iter().any(|path| match host_path_access(list, &path.path_prefix) {
        PathAccess::ReadWrite => false,
        PathAccess::ReadOnly => !path.read_only,
        PathAccess::None => true,
    })
}

fn beyond_drivers(kind: &str, own: &Spec, its: &Spec, list: fn(&Spec) -> &Vec<String>) -> bool {
    let (drivers, others) = (list(own), list(its));
    !drivers.is_empty()
        && allows_type(own, kind)
        && allows_type(its, kind)
        && (others.is_empty() || lacks(drivers, others))
}

/// Does a pattern (a trailing `*` matches a prefix) match all that another matches?
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(prefix) => narrow.strip_suffix('*').unwrap_or(narrow).starts_with(prefix),
        None => wide == narrow,
    }
}

/// The narrower of two patterns, if they have anything in common.
fn common<'p>(left: &'p str, right: &'p str) -> Option<&'p str> {
    if covers(left, right) { Some(right) } else { covers(right, left).then_some(left) }
}

fn beyond_profiles(own: &Profiles<'_>, its: &Profiles<'_>) -> bool {
    let unset_passes = |profiles: &Profiles<'_>| profiles.default.is_none() && profiles.allows("");
    let names = match (own.allowed(), its.allowed()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(own), Some(its)) => its.iter().any(|name| !name.is_empty() && !own.contains(name)),
    };
    names || unset_passes(its) && !unset_passes(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysctl::matches_any;
    use crate::union::union;

    fn policy(change: impl Fn(&mut Spec)) -> Policy {
        let mut policy = Policy::default();
        change(&mut policy.spec);
        policy
    }

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_policy_alerts_on_what_a_laxer_one_admits() {
        let shut = policy(|spec| spec.allow_privilege_escalation = false);
        let open = policy(|spec| {
            spec.privileged = true;
            spec.host_ports = vec![Range { min: 0, max: 65535 }];
            spec.volumes = words(&["*"]);
        });
        let fields = [Field::Privileged, Field::Volumes, Field::HostPorts, Field::AllowPrivilegeEscalation];
        assert_eq!(alerts_beyond(&shut, &open), fields.into_iter().collect());
        assert_eq!(alerts_beyond(&open, &shut), Fields::default());
        assert_eq!(alerts_beyond(&open, &open), Fields::default());
        assert_eq!(alerts_beyond(&union(&[&shut, &open]).unwrap(), &open), Fields::default());
    }

    #[test]
    fn ranges_are_compared_as_sets() {
        let ports = |ranges: &[(i64, i64)]| {
            policy(|spec| {
                spec.host_ports = ranges.iter().map(|(min, max)| Range { min: *min, max: *max }).collect();
            })
        };
        let halves = ports(&[(1, 10), (11, 20)]);
        assert!(alerts_beyond(&halves, &ports(&[(5, 15)])).is_empty());
        assert!(alerts_beyond(&halves, &ports(&[(-3, 20), (9, 2)])).is_empty());
        assert_eq!(alerts_beyond(&halves, &ports(&[(20, 21)])), [Field::HostPorts].into_iter().collect());
    }

    #[test]
    fn what_both_forbid_counts_for_neither() {
        let left = policy(|spec| spec.forbidden_sysctls = words(&["kernel.*"]));
        let right = policy(|spec| {
            spec.allowed_unsafe_sysctls = words(&["kernel.msg*"]);
            spec.forbidden_sysctls = words(&["kernel.shm_rmid_forced"]);
        });
        assert_eq!(alerts_beyond(&left, &right), [Field::ForbiddenSysctls].into_iter().collect());
        assert!(!matches_any(&right.spec.forbidden_sysctls, "kernel.msgmax"));
        let both = policy(|spec| spec.forbidden_sysctls = words(&["kernel.*", "net.*"]));
        assert_eq!(alerts_beyond(&left, &both), Fields::default());
        assert_eq!(alerts_beyond(&both, &left), [Field::ForbiddenSysctls].into_iter().collect());
    }
}
