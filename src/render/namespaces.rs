//! Which policies pods of a namespace may use, and what these allow together: at run time nobody knows who made a pod.

use std::collections::{BTreeMap, BTreeSet};

use psp_admission::access::{ACCOUNTS, AUTHENTICATED, Access, Grants, Subjects, account, accounts_of};
use psp_admission::{Policy, union};

use super::item::Names;
use super::macro_name::macro_name;
use crate::psp::validity::unusable;
use crate::read::Located;

/// Namespaces whose pods may use the same policies.
pub(super) struct Group<'p> {
    /// The policies, by name.
    pub(super) members: Vec<&'p Policy>,
    /// What the policies allow together.
    pub(super) policy: Policy,
    /// These namespaces, or all but these.
    pub(super) namespaces: Namespaces,
}

/// A set of namespaces.
pub(super) enum Namespaces {
    /// These.
    These(Vec<String>),
    /// All but these.
    Others(Vec<String>),
}

/// The groups that `access` makes, by their policies' names. Who may use every policy is an administrator, for whom no
/// pod is out of bounds: such users and groups do not count, unless they are everybody.
pub(super) fn groups<'p>(policies: &'p [Located], access: &Access) -> Vec<Group<'p>> {
    let usable: Vec<&Policy> = policies.iter().map(|l| &l.policy).filter(|p| unusable(p).is_none()).collect();
    let mut everywhere: BTreeSet<usize> = BTreeSet::new();
    let mut within: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, policy) in usable.iter().enumerate() {
        let own = access.of(&policy.name).map(|grants| (grants, false));
        for (grants, all) in own.into_iter().chain([(access.every(), true)]) {
            let (general, special) = reach(grants, all);
            if general {
                everywhere.insert(index);
            }
            for namespace in special {
                within.entry(namespace).or_default().insert(index);
            }
        }
    }
    let mut sets: BTreeMap<BTreeSet<usize>, Vec<String>> = BTreeMap::new();
    let mut special = Vec::new();
    for (namespace, own) in within {
        let set: BTreeSet<usize> = own.union(&everywhere).copied().collect();
        if set != everywhere {
            special.push(namespace.to_owned());
            sets.entry(set).or_default().push(namespace.to_owned());
        }
    }
    let mut groups: Vec<(BTreeSet<usize>, Namespaces)> = Vec::new();
    if everywhere.is_empty() {
        // where nobody is known to use anything, a policy of which nobody is known to use it stands alone
        for (index, _) in usable.iter().enumerate().filter(|(_, policy)| access.stands_alone(&policy.name)) {
            let alone = BTreeSet::from([index]);
            let own = sets.remove(&alone).unwrap_or_default();
            let others = special.iter().filter(|namespace| !own.contains(namespace)).cloned().collect();
            groups.push((alone, Namespaces::Others(others)));
        }
    } else {
        groups.push((everywhere, Namespaces::Others(special)));
    }
    groups.extend(sets.into_iter().map(|(set, namespaces)| (set, Namespaces::These(namespaces))));
    let mut groups: Vec<Group<'_>> =
        groups.into_iter().map(|(set, namespaces)| group(&usable, &set, namespaces)).collect();
    groups.sort_by_cached_key(|group| group.names().policy);
    groups
}

fn group<'p>(usable: &[&'p Policy], set: &BTreeSet<usize>, namespaces: Namespaces) -> Group<'p> {
    let mut members: Vec<&'p Policy> = set.iter().filter_map(|i| usable.get(*i).copied()).collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Group { policy: union(&members).unwrap_or_default(), members, namespaces }
}

impl Group<'_> {
    /// What the policies are called together.
    pub(super) fn names(&self) -> Names {
        let policies: Vec<&str> = self.members.iter().map(|policy| policy.name.as_str()).collect();
        let ids: Vec<String> = policies.iter().map(|policy| macro_name(policy)).collect();
        Names::new(&policies, format!("{}__runtime", ids.join("__")))
    }
}

/// Does a grant reach pods of every namespace, and of which does it otherwise?
fn reach(grants: &Grants, all: bool) -> (bool, BTreeSet<&str>) {
    let mut special: BTreeSet<&str> = BTreeSet::new();
    let everybody = [ACCOUNTS, AUTHENTICATED];
    let mut general = grants.everywhere.groups.iter().any(|g| everybody.contains(&&**g));
    general |= !all && others(&grants.everywhere) || !grants.at_home.is_empty();
    special.extend(accounts(&grants.everywhere));
    for (namespace, subjects) in &grants.within {
        let own =
            subjects.groups.iter().any(|g| everybody.contains(&&**g)) || accounts(subjects).next().is_some();
        if own || !all && others(subjects) {
            special.insert(namespace);
        }
    }
    (general, special)
}

/// Is there a user or a group among these that is no service account and no group of them?
fn others(subjects: &Subjects) -> bool {
    subjects.users.iter().any(|u| account(u).is_none())
        || subjects.groups.iter().any(|g| accounts_of(g).is_none())
}

/// The namespaces of the service accounts among these.
fn accounts(subjects: &Subjects) -> impl Iterator<Item = &str> {
    let users = subjects.users.iter().filter_map(|u| Some(account(u)?.0));
    users.chain(subjects.groups.iter().filter_map(|g| accounts_of(g)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Options, read_text};

    const INPUT: &str = r#"
kind: List
apiVersion: v1
items:
- {apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: open}, spec: {privileged: true, hostPID: true}}
- {apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: shut}, spec: {}}
- {apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: idle}, spec: {}}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: open},
   rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [open], verbs: [use]}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: shut},
   rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [shut], verbs: [use]}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole,
   metadata: {name: cluster-admin, labels: {kubernetes.io/bootstrapping: rbac-defaults}}, rules: []}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: admin},
   rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: shut},
   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: shut},
   subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: admin},
   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin},
   subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: admins}]}
- {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: open, namespace: kube-system},
   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: open},
   subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:kube-system'}]}
"#;

    #[test]
    fn namespaces_are_grouped_by_what_their_pods_may_use() {
        let inventory = read_text("x.yaml", INPUT, &Options::default()).unwrap();
        let access = crate::rbac::access(&inventory, None).unwrap();
        let groups = groups(&inventory.policies, &access);
        let [both, shut] = groups.as_slice() else { panic!("{}", groups.len()) };
        let names = both.names();
        assert_eq!((names.policy.as_str(), names.id.as_str()), ("open+shut", "psp_open__psp_shut__runtime"));
        assert!(both.policy.spec.privileged && both.policy.spec.host_pid && !both.policy.spec.host_network);
        assert!(matches!(&both.namespaces, Namespaces::These(names) if names == &["kube-system"]));
        assert_eq!(shut.names().policy, "shut");
        assert!(!shut.policy.spec.privileged);
        assert!(matches!(&shut.namespaces, Namespaces::Others(names) if names == &["kube-system"]));
    }
}
