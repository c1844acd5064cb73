//! A plain cluster: `restricted` for everybody, `privileged` for kube-system, and one policy an application, for the
//! application's own service account.
#![allow(unreachable_pub)]

use std::fmt::Write as _;

/// The namespace and the service account of an application.
pub fn application(number: usize) -> (String, String) {
    (format!("team-{number:02}"), format!("app-{number:02}"))
}

/// So many policies, two of them for all, and the RBAC objects by which they are used, as YAML.
pub fn objects(policies: usize) -> String {
    let restricted = include_str!("../../fixtures/psp/policies/kubernetes-restricted.yaml");
    let baseline = include_str!("../../fixtures/psp/policies/kubernetes-baseline.yaml");
    let privileged = include_str!("../../fixtures/psp/policies/kubernetes-privileged.yaml");
    let mut text = format!(
        "{restricted}\n---\n{privileged}\n---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: cluster-admin, labels: {{kubernetes.io/bootstrapping: rbac-defaults}}}}
rules: [{{apiGroups: ['*'], resources: ['*'], verbs: ['*']}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: cluster-admin}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:masters'}}]
"
    );
    let subjects =
        |group: &str| format!("{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: '{group}'}}");
    grant(&mut text, "restricted", None, &subjects("system:authenticated"));
    grant(&mut text, "privileged", Some("kube-system"), &subjects("system:serviceaccounts:kube-system"));
    for number in 0..policies.saturating_sub(2) {
        let (namespace, account) = application(number);
        let base = if number % 2 == 0 { restricted } else { baseline };
        let name = if number % 2 == 0 { "name: restricted" } else { "name: baseline" };
        let own = match number % 4 {
            0 => "allowedCapabilities: [NET_BIND_SERVICE]\n  hostPorts: [{min: PORT, max: PORT}]",
            1 => "hostNetwork: true\n  hostPorts: [{min: 0, max: PORT}]",
            2 if number == 2 => {
                "allowedCapabilities: [NET_BIND_SERVICE]\n  allowedUnsafeSysctls: [net.core.somaxconn]"
            }
            2 => "allowedCapabilities: [NET_BIND_SERVICE, SYS_TIME]",
            _ => "allowedHostPaths: [{pathPrefix: /var/lib/ACCOUNT}]",
        };
        let own = own.replace("PORT", &(8000 + number).to_string()).replace("ACCOUNT", &account);
        let text_of = base
            .replace(name, &format!("name: {account}"))
            .replace("max: 65535", &format!("max: {}", 20_000 + number))
            .replace("  hostNetwork: false", &format!("  {own}"))
            .replace(
                "    - nfs\n",
                if number % 4 == 3 { "    - nfs\n    - hostPath\n" } else { "    - nfs\n" },
            );
        let _ = write!(text, "---\n{text_of}\n");
        let subject = format!("{{kind: ServiceAccount, name: {account}, namespace: {namespace}}}");
        grant(&mut text, &account, Some(&namespace), &subject);
    }
    text
}

/// A ClusterRole that lets its subject use a policy, bound everywhere or in a namespace.
fn grant(text: &mut String, policy: &str, namespace: Option<&str>, subject: &str) {
    let (kind, place) = match namespace {
        Some(namespace) => ("RoleBinding", format!(", namespace: {namespace}")),
        None => ("ClusterRoleBinding", String::new()),
    };
    let _ = write!(
        text,
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: 'psp:{policy}'}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [{policy}], verbs: [use]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: 'psp:{policy}'{place}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 'psp:{policy}'}}
subjects: [{subject}]
"
    );
}
