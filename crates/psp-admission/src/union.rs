//! What several policies allow together.

use crate::field::Field;
use crate::policy::Policy;

/// A policy that admits every pod that one of `policies` admits, and as little beyond as one policy can say. What
/// cannot be joined (SELinux options, profiles) it leaves open where they differ.
///
/// It has the first one's name and annotations. `None` of no policies.
pub fn union(policies: &[&Policy]) -> Option<Policy> {
    let (first, rest) = policies.split_first()?;
    Some(rest.iter().fold((*first).clone(), |joined, policy| {
        let mut union = joined.clone();
        Field::ALL.into_iter().for_each(|field| field.unite(&joined, policy, &mut union));
        union
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{HostPath, IdRule, IdStrategy, Range, Spec};

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
            allowed_host_paths: vec![HostPath { path_prefix: "/srv".into(), read_only: false }],
            ..Spec::default()
        });
        let spec = union(&[&a, &b]).unwrap().spec;
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
            must(1, 2).union(&must(5, 6)).ranges,
            [Range { min: 1, max: 2 }, Range { min: 5, max: 6 }]
        );
        let joined = non_root.union(&must(0, 0));
        assert_eq!(joined.rule, IdRule::MustRunAs);
        assert!(joined.ranges.iter().any(|r| r.contains(0)) && joined.ranges.iter().any(|r| r.contains(7)));
        assert_eq!(must(1, 2).union(&IdStrategy::default()).rule, IdRule::RunAsAny);
        assert_eq!(non_root.union(&non_root).rule, IdRule::MustRunAsNonRoot);
    }
}
