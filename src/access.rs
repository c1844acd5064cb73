//! Who may use which policy: RBAC as the API server's authorizer reads it (Kubernetes 1.20
//! `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/apis/rbac/v1/evaluation_helpers.go`), asked as admission asked it
//! (`plugin/pkg/admission/security/podsecuritypolicy/admission.go`, `isAuthorizedForPolicy`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::problem::{Problem, quote};
use crate::read::{Inventory, Object};

/// The group that the API server asks no permission of.
pub const MASTERS: &str = "system:masters";
/// The group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of all service accounts.
pub const ACCOUNTS: &str = "system:serviceaccounts";
/// What the name of a service account's user begins with; namespace, `:` and name follow.
const ACCOUNT_USER: &str = "system:serviceaccount:";
/// What the name of the group of a namespace's service accounts begins with.
const ACCOUNTS_OF: &str = "system:serviceaccounts:";

/// The user name of a service account.
pub fn account_user(namespace: &str, name: &str) -> String {
    format!("{ACCOUNT_USER}{namespace}:{name}")
}

/// The groups of every service account of a namespace.
pub fn account_groups(namespace: &str) -> [String; 3] {
    [ACCOUNTS.to_owned(), format!("{ACCOUNTS_OF}{namespace}"), AUTHENTICATED.to_owned()]
}

/// Namespace and name of the service account whose user has this name.
pub fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(ACCOUNT_USER)?.split_once(':').filter(|(_, name)| !name.contains(':'))
}

/// The namespace whose service accounts are this group.
pub fn accounts_of(group: &str) -> Option<&str> {
    group.strip_prefix(ACCOUNTS_OF)
}

/// Users and groups. Service accounts are users by the name that they have as such.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Names of users.
    pub users: BTreeSet<Arc<str>>,
    /// Names of groups.
    pub groups: BTreeSet<Arc<str>>,
}

impl Subjects {
    /// Is the user, by name or by a group, among these?
    pub fn contain<G: AsRef<str>>(&self, user: &str, groups: &[G]) -> bool {
        self.users.contains(user) || groups.iter().any(|g| self.groups.contains(g.as_ref()))
    }
}

/// Who may do something everywhere, and who in single namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// In every namespace.
    pub everywhere: Subjects,
    /// In one namespace more than everywhere.
    pub within: BTreeMap<Arc<str>, Subjects>,
}

impl Grants {
    fn hold<G: AsRef<str>>(&self, user: &str, groups: &[G], namespace: &str) -> bool {
        self.everywhere.contain(user, groups)
            || self.within.get(namespace).is_some_and(|subjects| subjects.contain(user, groups))
    }

    fn in_scope(&mut self, namespace: Option<&Arc<str>>) -> &mut Subjects {
        match namespace {
            None => &mut self.everywhere,
            Some(namespace) => self.within.entry(Arc::clone(namespace)).or_default(),
        }
    }
}

/// Who may use which policy.
#[derive(Debug, Clone, Default)]
pub struct Access {
    every: Grants,
    policies: BTreeMap<String, Grants>,
    /// How many roles and bindings there were.
    pub roles: usize,
    /// How many bindings let somebody use a policy.
    pub granting: usize,
    /// How many bindings there were.
    pub bindings: usize,
    /// Bindings that grant a policy to nobody, for want of a role or of a service account.
    pub notes: Vec<Problem>,
}

/// What one role says of policies.
#[derive(Debug, Default, Clone)]
struct Uses<'a> {
    every: bool,
    names: BTreeSet<&'a str>,
}

impl Access {
    /// Who may use the policies of an inventory, by its objects; see [`Access::new`].
    pub fn of_inventory(inventory: &Inventory) -> Option<Self> {
        Self::new(&inventory.objects, inventory.policies.iter().map(|p| p.policy.name.as_str()))
    }

    /// Reads roles and bindings. `None` if `objects` lack the one or the other, and so do not tell.
    pub fn new<'a>(objects: &'a [Object], policies: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut reader = Reader::default();
        let mut access = Self {
            policies: policies.into_iter().map(|p| (p.to_owned(), Grants::default())).collect(),
            ..Self::default()
        };
        access.every.everywhere.groups.insert(reader.name(MASTERS));
        let names: BTreeSet<String> = access.policies.keys().cloned().collect();
        for object in objects {
            match object.kind.as_str() {
                "ClusterRole" | "Role" => {
                    access.roles += 1;
                    let key = (namespace(object).filter(|_| object.kind == "Role"), name(object));
                    reader.roles.insert(key, uses(&object.value, &names));
                    if object.value.get("aggregationRule").is_some_and(|r| !r.is_null())
                        && rules(&object.value).next().is_none()
                    {
                        access.note(
                            object,
                            "an aggregated role without its rules grants nothing; read it from the cluster",
                        );
                    }
                }
                "ServiceAccount" => {
                    reader.accounts.insert((namespace(object).unwrap_or_default(), name(object)));
                }
                _ => {}
            }
        }
        for object in
            objects.iter().filter(|o| matches!(o.kind.as_str(), "ClusterRoleBinding" | "RoleBinding"))
        {
            access.bindings += 1;
            access.binding(object, &mut reader);
        }
        (access.roles > 0 && access.bindings > 0).then_some(access)
    }

    fn note(&mut self, object: &Object, message: impl Into<String>) {
        let message = format!("{} {}: {}", object.kind, quote(name(object)), message.into());
        self.notes.push(Problem { place: object.place.clone(), path: String::new(), message });
    }

    fn binding<'a>(&mut self, object: &'a Object, reader: &mut Reader<'a>) {
        let text = |pointer: &str| object.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let local = object.kind == "RoleBinding";
        let own = namespace(object).unwrap_or_default();
        let (kind, role) = (text("/roleRef/kind"), text("/roleRef/name"));
        let key = match kind {
            "ClusterRole" => (None, role),
            "Role" if local => (Some(own), role),
            _ => return,
        };
        let Some(uses) = reader.roles.get(&key).cloned() else {
            if !role.starts_with("system:") && !PREDEFINED.contains(&role) {
                self.note(
                    object,
                    format!("the {kind} {} does not exist here; it grants nothing", quote(role)),
                );
            }
            return;
        };
        if !uses.every && uses.names.is_empty() {
            return;
        }
        self.granting += 1;
        let scope = local.then(|| reader.name(own));
        for subject in object.value.get("subjects").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
            let (user, group) = match text("kind") {
                "User" => (Some(reader.name(text("name"))), None),
                "Group" => (None, Some(reader.name(text("name")))),
                "ServiceAccount" => {
                    let namespace = if text("namespace").is_empty() { own } else { text("namespace") };
                    if namespace.is_empty() {
                        continue;
                    }
                    if !reader.accounts.is_empty() && !reader.accounts.contains(&(namespace, text("name"))) {
                        let account = quote(&format!("{namespace}/{}", text("name")));
                        self.note(object, format!("the service account {account} does not exist here"));
                    }
                    (Some(reader.name(&account_user(namespace, text("name")))), None)
                }
                _ => continue,
            };
            let add = |grants: &mut Grants| {
                let subjects = grants.in_scope(scope.as_ref());
                subjects.users.extend(user.clone());
                subjects.groups.extend(group.clone());
            };
            if uses.every {
                add(&mut self.every);
            } else {
                for name in &uses.names {
                    if let Some(grants) = self.policies.get_mut(*name) {
                        add(grants);
                    }
                }
            }
        }
    }

    /// May this user, by name or by a group, use a policy in a namespace?
    pub fn may_use<G: AsRef<str>>(&self, policy: &str, user: &str, groups: &[G], namespace: &str) -> bool {
        groups.iter().any(|g| g.as_ref() == MASTERS)
            || self.every.hold(user, groups, namespace)
            || self.policies.get(policy).is_some_and(|grants| grants.hold(user, groups, namespace))
    }

    /// May a pod be admitted under a policy: may its service account or its requester use it?
    pub fn admits_under<G: AsRef<str>>(&self, policy: &str, request: &Request<'_, G>) -> bool {
        let account = account_user(request.namespace, request.service_account);
        self.may_use(policy, &account, &account_groups(request.namespace), request.namespace)
            || self.may_use(policy, request.user, request.groups, request.namespace)
    }

    /// Who may use every policy.
    pub fn every(&self) -> &Grants {
        &self.every
    }

    /// Who may use this policy, besides those who may use every policy.
    pub fn of(&self, policy: &str) -> Option<&Grants> {
        self.policies.get(policy)
    }
}

/// A request to create a pod.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a, G> {
    /// Who asks: the impersonated user, where there is one.
    pub user: &'a str,
    /// The groups of who asks.
    pub groups: &'a [G],
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's service account.
    pub service_account: &'a str,
}

/// The names of an event's requester: of the impersonated user, where there is one, else of the user.
///
/// Authorization asks for the impersonated user only (`k8s.io/apiserver` `filters/impersonation.go`).
pub fn requester(event: &Value) -> (String, Vec<String>) {
    let user = event.get("impersonatedUser").filter(|u| !u.is_null()).or_else(|| event.get("user"));
    let name = user.and_then(|u| u.get("username")).and_then(Value::as_str).unwrap_or_default();
    let groups = user.and_then(|u| u.get("groups")).and_then(Value::as_array);
    let groups = groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    (name.to_owned(), groups.collect())
}

/// The service account of a pod: `default` when unset.
pub fn service_account(pod: &Value) -> &str {
    pod.pointer("/spec/serviceAccountName")
        .and_then(Value::as_str)
        .filter(|n| !n.is_empty())
        .unwrap_or("default")
}

/// Roles that every cluster has, besides those of `system:`; a hand-picked input may well leave them out.
const PREDEFINED: [&str; 4] = ["cluster-admin", "admin", "edit", "view"];

#[derive(Default)]
struct Reader<'a> {
    /// Roles by namespace and name, cluster roles without a namespace.
    roles: HashMap<(Option<&'a str>, &'a str), Uses<'a>>,
    accounts: HashSet<(&'a str, &'a str)>,
    names: HashSet<Arc<str>>,
}

impl Reader<'_> {
    /// A name, once in memory.
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

fn name(object: &Object) -> &str {
    object.value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn namespace(object: &Object) -> Option<&str> {
    object.value.pointer("/metadata/namespace").and_then(Value::as_str)
}

fn rules(role: &Value) -> impl Iterator<Item = &Value> {
    role.get("rules").and_then(Value::as_array).into_iter().flatten()
}

/// Which policies a role lets use.
fn uses<'a>(role: &'a Value, policies: &BTreeSet<String>) -> Uses<'a> {
    let mut uses = Uses::default();
    for rule in rules(role) {
        let texts = |key: &str| {
            rule.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        };
        let any = |key: &str, wanted: &[&str]| texts(key).any(|t| t == "*" || wanted.contains(&t));
        // Admission asked in both groups; either grant was enough.
        if any("verbs", &["use"])
            && any("apiGroups", &["policy", "extensions"])
            && any("resources", &["podsecuritypolicies"])
        {
            uses.every |= texts("resourceNames").next().is_none();
            uses.names.extend(texts("resourceNames").filter(|n| policies.contains(*n)));
        }
    }
    uses
}
