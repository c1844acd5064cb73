//! Who may use which policy: RBAC as the API server's authorizer reads it (Kubernetes 1.20
//! `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/apis/rbac/v1/evaluation_helpers.go`), asked as admission asked it
//! (`plugin/pkg/admission/security/podsecuritypolicy/admission.go`, `isAuthorizedForPolicy`).
//!
//! # Whole and partial
//!
//! RBAC is *whole* when the objects hold the API server's own bootstrap roles: the API server restores them at each
//! start, so a listing that has `cluster-admin` has the rest too. Then who is not granted a policy may not use it.
//! Otherwise it is *partial*, like one chart's Role and RoleBinding: it says who certainly may use a policy, and never
//! who may not. A policy that partial RBAC grants to somebody is judged for those alone. A policy that it grants to
//! nobody [stands alone](Access::stands_alone): it is judged for everybody, as all policies are without RBAC.
//!
//! # Objects without a namespace
//!
//! A Role, RoleBinding or ServiceAccount without `metadata.namespace` (every Helm template) is in one namespace, which
//! is given when it is applied. Such a RoleBinding counts in any namespace here, and its own service accounts count in
//! the namespace of each pod.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::decision::May;

/// The group that the API server asks no permission of.
pub const MASTERS: &str = "system:masters";
/// The group of everybody who is known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The user that nobody is known by.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of that user.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
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
    /// Service accounts by their own names: each in its own namespace, whichever that is.
    pub at_home: BTreeSet<Arc<str>>,
}

impl Grants {
    fn hold<G: AsRef<str>>(&self, user: &str, groups: &[G], namespace: &str) -> bool {
        self.everywhere.contain(user, groups)
            || self.within.get(namespace).is_some_and(|subjects| subjects.contain(user, groups))
            || account(user).is_some_and(|(of, name)| of == namespace && self.at_home.contains(name))
    }

    /// Is there nobody among these?
    pub fn are_none(&self) -> bool {
        let nobody = |subjects: &Subjects| subjects.users.is_empty() && subjects.groups.is_empty();
        nobody(&self.everywhere) && self.within.values().all(nobody) && self.at_home.is_empty()
    }
}

impl Grants {
    /// Who holds these grants, and in which namespaces.
    pub fn holders(&self) -> Holders<'_> {
        let mut holders = Holders::default();
        for group in &self.everywhere.groups {
            holders.anywhere.insert(Holder::of_group(group));
            if let Some(namespace) = accounts_of(group) {
                holders.within.entry(namespace).or_default().insert(Holder::Everybody);
            }
        }
        for user in &self.everywhere.users {
            holders.anywhere.insert(Holder::User(user));
            if let Some((namespace, name)) = account(user) {
                holders.within.entry(namespace).or_default().insert(Holder::Pods(name));
            }
        }
        for name in &self.at_home {
            holders.anywhere.extend([Holder::Pods(name), Holder::AtHome(name)]);
        }
        for (namespace, subjects) in &self.within {
            let within = holders.within.entry(namespace).or_default();
            for group in &subjects.groups {
                within.insert(match accounts_of(group) {
                    Some(of) if of == &**namespace => Holder::Everybody,
                    _ => Holder::of_group(group),
                });
            }
            for user in &subjects.users {
                within.insert(Holder::User(user));
                if let Some((_, name)) = account(user).filter(|(of, _)| *of == &**namespace) {
                    within.insert(Holder::Pods(name));
                }
            }
        }
        holders
    }
}

/// Who holds some grants, as requests are told apart: by the pod's namespace and service account, and by who asks for it.
#[derive(Debug, Clone, Default)]
pub struct Holders<'a> {
    anywhere: BTreeSet<Holder<'a>>,
    within: BTreeMap<&'a str, BTreeSet<Holder<'a>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder<'a> {
    /// Each request, since every service account holds them.
    Everybody,
    /// Requests for pods of the service account of this name.
    Pods(&'a str),
    /// Requests of this user.
    User(&'a str),
    /// Requests of the service account of this name in the pod's namespace.
    AtHome(&'a str),
    /// Requests of a user in some group. A user may be in any two groups.
    Group,
}

impl<'a> Holder<'a> {
    fn of_group(group: &'a str) -> Self {
        if [ACCOUNTS, AUTHENTICATED].contains(&group) { Self::Everybody } else { Self::Group }
    }

    /// Can one request be both, in one namespace?
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Pods(one), Self::Pods(other))
            | (Self::User(one), Self::User(other))
            | (Self::AtHome(one), Self::AtHome(other)) => one == other,
            (Self::User(user), Self::AtHome(name)) | (Self::AtHome(name), Self::User(user)) => {
                account(user).is_some_and(|(_, own)| own == name)
            }
            _ => true,
        }
    }
}

impl Holders<'_> {
    /// Can one request hold grants of both? Where that is not certain, the answer is yes.
    pub fn meet(&self, other: &Self) -> bool {
        let any = |some: &BTreeSet<Holder<'_>>, others: &BTreeSet<Holder<'_>>| {
            some.iter().any(|one| others.iter().any(|other| one.meets(*other)))
        };
        let anywhere =
            |one: &Self, other: &Self| other.within.values().any(|others| any(&one.anywhere, others));
        any(&self.anywhere, &other.anywhere)
            || anywhere(self, other)
            || anywhere(other, self)
            || self
                .within
                .iter()
                .any(|(namespace, some)| other.within.get(namespace).is_some_and(|others| any(some, others)))
    }
}

/// An object that may say who may use a policy: a role, a binding or a service account, as the API has it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The object, with its `kind`.
    pub value: &'a Value,
    /// The path of the file that it is from. Of several roles of one name, a binding refers to that of its own file,
    /// or else of the nearest folder.
    pub file: &'a str,
}

/// The kind of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// `ClusterRole`: of the whole cluster.
    Cluster,
    /// `Role`: of one namespace.
    Local,
}

impl RoleKind {
    /// The word of the API.
    pub fn name(self) -> &'static str {
        match self {
            RoleKind::Cluster => "ClusterRole",
            RoleKind::Local => "Role",
        }
    }
}

/// What somebody should know of an object that grants less than it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which object: its number among those given, from 0.
    pub object: usize,
    /// What of it.
    pub what: Doubt,
}

/// Why an object grants less than it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// A binding to a role that is not among the objects.
    NoRole(RoleKind, String),
    /// A binding to a role that is defined so many times, each otherwise: only what all of them grant counts.
    SeveralRoles(RoleKind, String, usize),
    /// A binding to a service account that does not exist: its namespace and name.
    NoAccount(String, String),
    /// A ClusterRoleBinding to a service account (its name) without a namespace, which the API server refuses.
    HomelessAccount(String),
    /// An aggregated role without rules, and without any role that it would take them from.
    NoParts,
}

/// Who may use which policy.
#[derive(Debug, Clone, Default)]
pub struct Access {
    every: Grants,
    policies: BTreeMap<String, Grants>,
    /// Whether the objects are all there are: who is not granted a policy may not use it.
    pub whole: bool,
    /// How many roles there were.
    pub roles: usize,
    /// How many bindings let somebody use a policy.
    pub granting: usize,
    /// How many of these are in a namespace that they do not name.
    pub unnamed: usize,
    /// How many bindings there were.
    pub bindings: usize,
    /// What grants less than it seems to.
    pub notes: Vec<Note>,
}

impl Access {
    /// Reads roles, bindings and service accounts; objects of other kinds are left alone. Objects without a namespace
    /// are in `default_namespace`, where it is given. `None` if there is no role or no binding, so that nothing is told.
    pub fn new<'a>(
        objects: &[Given<'a>],
        policies: impl IntoIterator<Item = &'a str>,
        default_namespace: Option<&'a str>,
    ) -> Option<Self> {
        let policies: BTreeMap<String, Grants> =
            policies.into_iter().map(|p| (p.to_owned(), Grants::default())).collect();
        let mut reader = Reader::new(objects, &policies, default_namespace);
        let mut access = Self {
            policies,
            whole: objects.iter().any(|object| is_bootstrap(object.value)),
            ..Self::default()
        };
        access.every.everywhere.groups.insert(reader.name(MASTERS));
        access.roles = reader.read(access.whole, &mut access.notes);
        for (index, object) in objects.iter().enumerate() {
            match kind(object.value) {
                "ClusterRoleBinding" => access.binding(index, object, None, &mut reader),
                "RoleBinding" => {
                    let own = reader.namespace(object.value);
                    access.binding(index, object, Some(own), &mut reader);
                }
                _ => {}
            }
        }
        (access.roles > 0 && access.bindings > 0).then_some(access)
    }

    /// Who may use every policy, and who may use which, as it is known.
    pub(crate) fn of_grants(whole: bool, every: Grants, policies: BTreeMap<String, Grants>) -> Self {
        Self { every, policies, whole, ..Self::default() }
    }

    /// Takes in a binding; `own` is its namespace, if it is a RoleBinding.
    fn binding<'a>(
        &mut self,
        index: usize,
        object: &Given<'a>,
        own: Option<Namespace<'a>>,
        reader: &mut Reader<'a>,
    ) {
        self.bindings += 1;
        let text = |pointer: &str| object.value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = text("/roleRef/name");
        let kind = match (text("/roleRef/kind"), own) {
            ("ClusterRole", _) => RoleKind::Cluster,
            ("Role", Some(_)) => RoleKind::Local,
            _ => return,
        };
        let Some(found) = reader.role(kind, name, own, object.file) else {
            if !name.starts_with("system:") && !PREDEFINED.contains(&name) {
                self.notes.push(Note { object: index, what: Doubt::NoRole(kind, name.to_owned()) });
            }
            return;
        };
        let mut granting = false;
        for (scope, role) in found {
            if let Some(several) = role.several {
                let what = Doubt::SeveralRoles(kind, name.to_owned(), several);
                self.notes.push(Note { object: index, what });
            }
            if role.uses.every || !role.uses.names.is_empty() {
                granting = true;
                self.unnamed += usize::from(scope == Some(Namespace::Unnamed));
                self.grant(index, object.value, scope, &role.uses, reader);
            }
        }
        self.granting += usize::from(granting);
    }

    /// Grants what a role lets use to the subjects of a binding; `scope` is the only namespace where it counts.
    fn grant<'a>(
        &mut self,
        index: usize,
        binding: &'a Value,
        scope: Option<Namespace<'a>>,
        uses: &Uses<'a>,
        reader: &mut Reader<'a>,
    ) {
        for subject in binding.get("subjects").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| subject.get(key).and_then(Value::as_str).unwrap_or_default();
            let (mut user, mut group, mut at_home) = (None, None, None);
            match (text("kind"), text("namespace"), scope) {
                ("User", ..) => user = Some(reader.name(text("name"))),
                ("Group", ..) => group = Some(reader.name(text("name"))),
                ("ServiceAccount", "", None) => {
                    let what = Doubt::HomelessAccount(text("name").to_owned());
                    self.notes.push(Note { object: index, what });
                    continue;
                }
                ("ServiceAccount", "", Some(Namespace::Unnamed)) => at_home = Some(reader.name(text("name"))),
                ("ServiceAccount", given, _) => {
                    let namespace = match scope {
                        Some(Namespace::Named(own)) if given.is_empty() => own,
                        _ => subject.get("namespace").and_then(Value::as_str).unwrap_or_default(),
                    };
                    if self.whole && reader.lacks_account(namespace, text("name")) {
                        let what = Doubt::NoAccount(namespace.to_owned(), text("name").to_owned());
                        self.notes.push(Note { object: index, what });
                    }
                    user = Some(reader.name(&account_user(namespace, text("name"))));
                }
                _ => continue,
            }
            let scope = match scope {
                Some(Namespace::Named(namespace)) => Some(reader.name(namespace)),
                Some(Namespace::Unnamed) | None => None,
            };
            let add = |grants: &mut Grants| {
                grants.at_home.extend(at_home.clone());
                if user.is_none() && group.is_none() {
                    return;
                }
                let subjects = match &scope {
                    None => &mut grants.everywhere,
                    Some(namespace) => grants.within.entry(Arc::clone(namespace)).or_default(),
                };
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

    /// May this user, by name or by a group, use a policy in a namespace, as far as the objects say?
    pub fn may_use<G: AsRef<str>>(&self, policy: &str, user: &str, groups: &[G], namespace: &str) -> bool {
        groups.iter().any(|g| g.as_ref() == MASTERS)
            || self.every.hold(user, groups, namespace)
            || self.policies.get(policy).is_some_and(|grants| grants.hold(user, groups, namespace))
    }

    /// May a pod be admitted under a policy, as far as the objects say: may its service account or its requester use it?
    pub fn admits_under<G: AsRef<str>>(&self, policy: &str, request: &Request<'_, G>) -> bool {
        let account = account_user(request.namespace, request.service_account);
        self.may_use(policy, &account, &account_groups(request.namespace), request.namespace)
            || self.may_use(policy, request.user, request.groups, request.namespace)
    }

    /// How a policy takes part in the decision over a request; not at all, if only others may use it.
    pub fn may<G: AsRef<str>>(&self, policy: &str, request: &Request<'_, G>) -> Option<May> {
        if self.admits_under(policy, request) {
            return Some(May::Certainly);
        }
        self.stands_alone(policy).then_some(May::Perhaps)
    }

    /// Does nothing tell who may use this policy? Then it is judged for everybody. That somebody may use every policy
    /// does not count: such are the administrators.
    pub fn stands_alone(&self, policy: &str) -> bool {
        !self.whole && self.policies.get(policy).is_none_or(Grants::are_none)
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

/// The service account that every namespace has, made by the API server's own controller.
const DEFAULT_ACCOUNT: &str = "default";

/// Is this `cluster-admin` as the API server made it?
fn is_bootstrap(object: &Value) -> bool {
    kind(object) == "ClusterRole"
        && name(object) == "cluster-admin"
        && object.pointer("/metadata/labels/kubernetes.io~1bootstrapping").and_then(Value::as_str)
            == Some("rbac-defaults")
}

/// The namespace that an object is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Namespace<'a> {
    Named(&'a str),
    /// One that the object does not name.
    Unnamed,
}

/// What a role lets use.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Uses<'a> {
    every: bool,
    names: BTreeSet<&'a str>,
}

impl<'a> Uses<'a> {
    /// What either lets use.
    fn join(&mut self, other: &Self) {
        self.every |= other.every;
        self.names.extend(&other.names);
    }

    /// What both let use.
    fn meet(&mut self, other: &Self) {
        self.names = match (self.every, other.every) {
            (true, _) => other.names.clone(),
            (_, true) => std::mem::take(&mut self.names),
            _ => self.names.intersection(&other.names).copied().collect(),
        };
        self.every &= other.every;
    }
}

/// A role as one file defines it.
#[derive(Debug)]
struct Role<'a> {
    file: &'a str,
    uses: Uses<'a>,
}

/// The role that a binding refers to.
#[derive(Debug, PartialEq, Eq)]
struct Found<'a> {
    uses: Uses<'a>,
    /// How many roles it may be, where they differ.
    several: Option<usize>,
}

struct Reader<'a> {
    objects: Vec<Given<'a>>,
    policies: BTreeSet<String>,
    default_namespace: Option<&'a str>,
    cluster_roles: HashMap<&'a str, Vec<Role<'a>>>,
    roles: HashMap<&'a str, BTreeMap<Namespace<'a>, Vec<Role<'a>>>>,
    accounts: HashSet<(&'a str, &'a str)>,
    names: HashSet<Arc<str>>,
}

impl<'a> Reader<'a> {
    fn new(
        objects: &[Given<'a>],
        policies: &BTreeMap<String, Grants>,
        default_namespace: Option<&'a str>,
    ) -> Self {
        Self {
            objects: objects.to_vec(),
            policies: policies.keys().cloned().collect(),
            default_namespace,
            cluster_roles: HashMap::new(),
            roles: HashMap::new(),
            accounts: HashSet::new(),
            names: HashSet::new(),
        }
    }

    /// A name, once in memory.
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// The namespace of an object that has one.
    fn namespace(&self, object: &'a Value) -> Namespace<'a> {
        let given = object.pointer("/metadata/namespace").and_then(Value::as_str).filter(|n| !n.is_empty());
        given.or(self.default_namespace).map_or(Namespace::Unnamed, Namespace::Named)
    }

    /// Takes in roles and service accounts; how many roles there are.
    fn read(&mut self, whole: bool, notes: &mut Vec<Note>) -> usize {
        let mut roles = 0;
        let mut aggregated = Aggregation::new(self);
        for (index, Given { value, file }) in self.objects.clone().into_iter().enumerate() {
            match kind(value) {
                "ClusterRole" => {
                    roles += 1;
                    let stored = rules(value).next().is_some();
                    let mut own = uses(value, &aggregated.policies);
                    // what the controller has written counts; in a manifest, the controller will replace the rules
                    if is_aggregated(value) && !(whole && stored) {
                        match aggregated.of(index) {
                            Some(parts) => own = parts,
                            None if !stored => notes.push(Note { object: index, what: Doubt::NoParts }),
                            None => {}
                        }
                    }
                    self.cluster_roles.entry(name(value)).or_default().push(Role { file, uses: own });
                }
                "Role" => {
                    roles += 1;
                    let role = Role { file, uses: uses(value, &aggregated.policies) };
                    let namespace = self.namespace(value);
                    let named = self.roles.entry(name(value)).or_default();
                    named.entry(namespace).or_default().push(role);
                }
                "ServiceAccount" => {
                    if let Namespace::Named(namespace) = self.namespace(value) {
                        self.accounts.insert((namespace, name(value)));
                    }
                }
                _ => {}
            }
        }
        roles
    }

    /// Do the service accounts, where they were read, lack this one?
    fn lacks_account(&self, namespace: &str, name: &str) -> bool {
        name != DEFAULT_ACCOUNT && !self.accounts.is_empty() && !self.accounts.contains(&(namespace, name))
    }

    /// The role that a binding of `own` namespace in `file` refers to, and the namespace where the binding counts.
    ///
    /// A RoleBinding and the Role that it names are of one namespace: where one of the two does not name it, it is that
    /// of the other.
    fn role(
        &self,
        kind: RoleKind,
        name: &str,
        own: Option<Namespace<'a>>,
        file: &str,
    ) -> Option<Vec<(Option<Namespace<'a>>, Found<'a>)>> {
        if kind == RoleKind::Cluster {
            return Some(vec![(own, nearest(self.cluster_roles.get(name)?, file))]);
        }
        let named = self.roles.get(name)?;
        let own = own?;
        if let Some(roles) = named.get(&own) {
            return Some(vec![(Some(own), nearest(roles, file))]);
        }
        match own {
            Namespace::Named(_) => {
                named.get(&Namespace::Unnamed).map(|roles| vec![(Some(own), nearest(roles, file))])
            }
            Namespace::Unnamed => Some(
                named.iter().map(|(namespace, roles)| (Some(*namespace), nearest(roles, file))).collect(),
            ),
        }
    }
}

/// Of several roles of one name that of the same file, else of the nearest folder; of several of these what all of
/// them let use.
fn nearest<'a>(roles: &[Role<'a>], file: &str) -> Found<'a> {
    let near = |role: &&Role<'_>| nearness(role.file, file);
    let most = roles.iter().map(|role| near(&role)).max();
    let mut nearest = roles.iter().filter(|role| Some(near(role)) == most);
    let Some(first) = nearest.next() else { return Found { uses: Uses::default(), several: None } };
    let mut found = Found { uses: first.uses.clone(), several: None };
    let mut count = 1;
    for other in nearest {
        count += 1;
        if other.uses != first.uses {
            found.several = Some(count);
        }
        found.uses.meet(&other.uses);
    }
    found.several = found.several.map(|_| count);
    found
}

/// How near two files are: how many folders both are in, and more than any for one and the same.
fn nearness(left: &str, right: &str) -> usize {
    if left == right {
        return usize::MAX;
    }
    let folders = |file: &str| -> Vec<String> {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        folder.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    folders(left).iter().zip(folders(right)).take_while(|(left, right)| *left == right).count()
}

/// Cluster roles that take their rules from others, as the API server's controller puts them together
/// (`pkg/controller/clusterroleaggregation`).
struct Aggregation<'a> {
    /// The cluster roles, by their numbers among the objects.
    roles: BTreeMap<usize, &'a Value>,
    /// The numbers of those that have a label.
    labelled: HashMap<(&'a str, &'a str), Vec<usize>>,
    /// The numbers of the roles that a role selects, once they were looked for.
    selected: HashMap<usize, Vec<usize>>,
    policies: BTreeSet<String>,
}

impl<'a> Aggregation<'a> {
    fn new(reader: &Reader<'a>) -> Self {
        let objects = reader.objects.iter().map(|given| given.value).enumerate();
        let roles: BTreeMap<usize, &Value> =
            objects.filter(|(_, value)| kind(value) == "ClusterRole").collect();
        let mut labelled: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, role) in &roles {
            let labels = role.pointer("/metadata/labels").and_then(Value::as_object);
            for (key, value) in labels.into_iter().flatten() {
                if let Some(value) = value.as_str() {
                    labelled.entry((key.as_str(), value)).or_default().push(*index);
                }
            }
        }
        Self { roles, labelled, selected: HashMap::new(), policies: reader.policies.clone() }
    }

    /// What an aggregated role lets use by the roles that it selects, and by those that these select; `None` if it
    /// selects none.
    fn of(&mut self, aggregated: usize) -> Option<Uses<'a>> {
        let mut uses = Uses::default();
        let mut seen = BTreeSet::from([aggregated]);
        let mut open = vec![aggregated];
        while let Some(next) = open.pop() {
            for part in self.parts(next) {
                if !seen.insert(part) {
                    continue;
                }
                match self.parts(part).as_slice() {
                    [] => uses.join(
                        &self
                            .roles
                            .get(&part)
                            .map_or_else(Uses::default, |role| self::uses(role, &self.policies)),
                    ),
                    // the controller replaces its own rules as well
                    _ => open.push(part),
                }
            }
        }
        (seen.len() > 1).then_some(uses)
    }

    /// The roles that a role takes its rules from.
    fn parts(&mut self, index: usize) -> Vec<usize> {
        if let Some(parts) = self.selected.get(&index) {
            return parts.clone();
        }
        let mut parts = BTreeSet::new();
        if let Some(role) = self.roles.get(&index) {
            let selectors = role.pointer("/aggregationRule/clusterRoleSelectors").and_then(Value::as_array);
            for selector in selectors.into_iter().flatten() {
                let of_label = selector.get("matchLabels").and_then(Value::as_object).and_then(|labels| {
                    let (key, value) = labels.iter().next()?;
                    Some(self.labelled.get(&(key.as_str(), value.as_str()?)).cloned().unwrap_or_default())
                });
                let candidates = of_label.unwrap_or_else(|| self.roles.keys().copied().collect());
                parts.extend(candidates.into_iter().filter(|candidate| {
                    let part = self.roles.get(candidate);
                    part.is_some_and(|part| name(part) != name(role) && matches(selector, part))
                }));
            }
        }
        let parts: Vec<usize> = parts.into_iter().collect();
        self.selected.insert(index, parts.clone());
        parts
    }
}

fn is_aggregated(role: &Value) -> bool {
    role.get("aggregationRule").is_some_and(|rule| !rule.is_null())
}

/// Does a label selector match a role (`metav1.LabelSelector`)? An empty one matches everything.
fn matches(selector: &Value, role: &Value) -> bool {
    let label = |key: &str| role.get("metadata")?.get("labels")?.get(key)?.as_str();
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let mut labels = labels.into_iter().flatten();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let mut expressions = expressions.into_iter().flatten();
    labels.all(|(key, value)| value.as_str().is_some_and(|value| label(key) == Some(value)))
        && expressions.all(|expression| {
            let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
            let found = label(text("key"));
            let listed = || {
                let values = expression.get("values").and_then(Value::as_array);
                values.into_iter().flatten().any(|value| value.as_str() == found)
            };
            match text("operator") {
                "In" => found.is_some() && listed(),
                "NotIn" => found.is_none() || !listed(),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever two policies one request may use, their grants meet; and those of service accounts of two namespaces do
    /// not.
    #[test]
    fn grants_that_one_request_holds_meet() {
        let names = |names: &[&str]| names.iter().map(|n| Arc::from(*n)).collect::<BTreeSet<Arc<str>>>();
        let subjects =
            |users: &[&str], groups: &[&str]| Subjects { users: names(users), groups: names(groups) };
        let everywhere = |users: &[&str], groups: &[&str]| Grants {
            everywhere: subjects(users, groups),
            ..Grants::default()
        };
        let within = |namespace: &str, users: &[&str], groups: &[&str]| Grants {
            within: BTreeMap::from([(Arc::from(namespace), subjects(users, groups))]),
            ..Grants::default()
        };
        let grants = [
            everywhere(&[], &[AUTHENTICATED]),
            everywhere(&[], &[ACCOUNTS]),
            everywhere(&[], &["dev"]),
            everywhere(&["alice"], &[]),
            everywhere(&["bob"], &[]),
            everywhere(&[], &["system:serviceaccounts:a"]),
            everywhere(&["system:serviceaccount:a:x"], &[]),
            everywhere(&["system:serviceaccount:b:y"], &[]),
            within("a", &["system:serviceaccount:a:x"], &[]),
            within("a", &["system:serviceaccount:a:y"], &[]),
            within("b", &["system:serviceaccount:b:x"], &[]),
            within("b", &["system:serviceaccount:a:x"], &[]),
            within("a", &["alice"], &["ops"]),
            within("b", &[], &["system:serviceaccounts:b"]),
            within("b", &[], &["system:serviceaccounts:a"]),
            Grants { at_home: names(&["x"]), ..Grants::default() },
            Grants { at_home: names(&["y"]), ..Grants::default() },
        ];
        let users: [(&str, Vec<String>); 6] = [
            ("alice", vec![AUTHENTICATED.to_owned()]),
            ("alice", vec!["dev".to_owned(), "ops".to_owned(), AUTHENTICATED.to_owned()]),
            ("bob", vec!["ops".to_owned(), AUTHENTICATED.to_owned()]),
            ("system:serviceaccount:a:x", account_groups("a").to_vec()),
            ("system:serviceaccount:a:y", account_groups("a").to_vec()),
            ("system:serviceaccount:b:x", account_groups("b").to_vec()),
        ];
        let mut held = BTreeSet::new();
        for namespace in ["a", "b", "c"] {
            for account in ["x", "y", "default"] {
                for (user, groups) in &users {
                    let pods = account_user(namespace, account);
                    let holds = |grants: &Grants| {
                        grants.hold(&pods, &account_groups(namespace), namespace)
                            || grants.hold(user, groups, namespace)
                    };
                    let both = grants.iter().enumerate().filter(|(_, g)| holds(g)).map(|(n, _)| n);
                    let both: Vec<usize> = both.collect();
                    held.extend(both.iter().flat_map(|one| both.iter().map(move |other| (*one, *other))));
                }
            }
        }
        for (one, other) in &held {
            assert!(grants[*one].holders().meet(&grants[*other].holders()), "{one} {other}");
        }
        // each pair that does not meet is one that no request holds
        let apart = (0..grants.len()).flat_map(|one| (0..grants.len()).map(move |other| (one, other)));
        let apart: Vec<_> =
            apart.filter(|(one, other)| !grants[*one].holders().meet(&grants[*other].holders())).collect();
        assert!(
            apart.contains(&(8, 10)) && apart.contains(&(8, 11)) && apart.contains(&(8, 14)),
            "{apart:?}"
        );
        assert!(apart.iter().all(|pair| !held.contains(pair)) && held.len() > 100, "{}", held.len());
    }
}
