//! What a scan asks the API server for.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};

/// A kind of object and where the API server lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version within the group.
    pub version: &'static str,
    /// The name in paths and RBAC rules, like `clusterroles`.
    pub plural: &'static str,
    /// The kind of one object, like `ClusterRole`.
    pub kind: &'static str,
}

const fn of<K: k8s_openapi::Resource>() -> Resource {
    Resource { group: K::GROUP, version: K::VERSION, plural: K::URL_PATH_SEGMENT, kind: K::KIND }
}

/// The policies: `policy/v1beta1` up to 1.24, before that `extensions/v1beta1`, in the order of asking.
pub const POLICIES: [Resource; 2] = [
    Resource {
        group: "policy",
        version: "v1beta1",
        plural: "podsecuritypolicies",
        kind: "PodSecurityPolicy",
    },
    Resource {
        group: "extensions",
        version: "v1beta1",
        plural: "podsecuritypolicies",
        kind: "PodSecurityPolicy",
    },
];

/// Who may use which policy: of use only together.
pub const RBAC: [Resource; 4] =
    [of::<ClusterRole>(), of::<ClusterRoleBinding>(), of::<Role>(), of::<RoleBinding>()];

/// Where pods may be created.
pub const NAMESPACES: Resource = of::<Namespace>();
/// Whom bindings may name.
pub const SERVICE_ACCOUNTS: Resource = of::<ServiceAccount>();
/// What runs.
pub const PODS: Resource = of::<Pod>();

/// Where Helm keeps its release records: Secrets by default, `ConfigMap`s where so configured.
pub const RELEASES: [Resource; 2] = [of::<Secret>(), of::<ConfigMap>()];

impl Resource {
    /// `policy/v1beta1`, or `v1` in the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The path that lists the objects of all namespaces.
    pub fn path(&self) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        format!("/{root}/{}/{}", self.api_version(), self.plural)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_where_the_api_server_has_them() {
        assert_eq!(PODS.path(), "/api/v1/pods");
        assert_eq!(
            POLICIES.map(|r| r.path()),
            ["/apis/policy/v1beta1/podsecuritypolicies", "/apis/extensions/v1beta1/podsecuritypolicies",]
        );
        assert_eq!(RBAC[1].path(), "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings");
    }
}
