//! Where one policy asks more of pods than another.

use crate::field::{Field, Fields};
use crate::policy::Policy;

/// The fields in which `policy` refuses or corrects a pod that `other` lets pass as it is.
pub fn alerts_beyond(policy: &Policy, other: &Policy) -> Fields {
    Field::ALL.into_iter().filter(|field| field.asks_more(policy, other)).collect()
}

/// Does `policy` certainly refuse each pod that `other` refuses because of `field`, because of that field or another?
///
/// Known only of fields where what is unset is never refused: there a policy refuses what it does not admit as it is.
pub fn refuses_all_of(policy: &Policy, other: &Policy, field: Field) -> bool {
    let unset_is_admitted = matches!(
        field,
        Field::Privileged
            | Field::AllowedCapabilities
            | Field::Volumes
            | Field::HostNetwork
            | Field::HostPorts
            | Field::HostPid
            | Field::HostIpc
            | Field::RunAsGroup
            | Field::SupplementalGroups
            | Field::FsGroup
            | Field::AllowedHostPaths
            | Field::AllowedFlexVolumes
            | Field::AllowedCsiDrivers
            | Field::AllowedUnsafeSysctls
            | Field::ForbiddenSysctls
    );
    unset_is_admitted && !field.asks_more(other, policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Range, Spec};
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
