//! A pod as admission sees it: what of its JSON (`v1.Pod`) counts, whichever release wrote it, and nothing else.

use serde::Deserialize as _;
use serde::de::{IgnoredAny, MapAccess};
use serde_json::Value;

use crate::lenient::{Key, Lenient, Object, Read, Text, object};

/// Annotation that names a pod's seccomp profile, read up to Kubernetes 1.26.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// Prefix of the annotation that names a container's AppArmor profile; the container's name follows.
const APPARMOR_CONTAINER: &str = "container.apparmor.security.beta.kubernetes.io/";

/// What admission reads of a pod. Two pods that are equal here are judged alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Pod<'a> {
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `spec.hostPID`.
    pub host_pid: bool,
    /// `spec.hostIPC`.
    pub host_ipc: bool,
    /// `spec.runtimeClassName`.
    pub runtime_class: Option<Text<'a>>,
    /// What of `spec.securityContext` holds for every container that does not say otherwise.
    pub security: Security<'a>,
    /// `spec.securityContext.supplementalGroups`; an empty list reads as unset, as it is stored.
    pub supplemental_groups: Vec<i64>,
    /// `spec.securityContext.fsGroup`.
    pub fs_group: Option<i64>,
    /// The names of `spec.securityContext.sysctls`.
    pub sysctls: Vec<Text<'a>>,
    /// All containers: init (sidecars too), regular and ephemeral ones, in this order.
    pub containers: Vec<Container<'a>>,
    /// `spec.volumes`.
    pub volumes: Vec<Volume<'a>>,
}

/// What a pod's and a container's security context have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Security<'a> {
    /// `runAsUser`.
    pub run_as_user: Option<i64>,
    /// `runAsGroup`.
    pub run_as_group: Option<i64>,
    /// `runAsNonRoot`.
    pub run_as_non_root: Option<bool>,
    /// `seLinuxOptions`.
    pub se_linux: Option<Labels<'a>>,
    /// `seccompProfile`, in the spelling of the annotation that it replaced. The API server kept the two in step from
    /// Kubernetes 1.19 to 1.26; since 1.27 nothing reads the annotation.
    pub seccomp: Option<Text<'a>>,
    /// `appArmorProfile` (since Kubernetes 1.30) in its annotation spelling; of a container that has none, its
    /// annotation.
    pub apparmor: Option<Text<'a>>,
    /// `windowsOptions.hostProcess`.
    pub host_process: bool,
}

/// SELinux labels; an absent part is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels<'a> {
    /// The user label.
    pub user: Text<'a>,
    /// The role label.
    pub role: Text<'a>,
    /// The type label.
    pub type_: Text<'a>,
    /// The level label.
    pub level: Text<'a>,
}

/// The list that a container is in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum List {
    /// `spec.initContainers`.
    Init,
    /// `spec.containers`.
    #[default]
    Regular,
    /// `spec.ephemeralContainers`.
    Ephemeral,
}

impl List {
    /// The API's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// An object within a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// The pod's own `spec`.
    Pod,
    /// A container, by its list and name.
    Container(List, &'a str),
    /// A volume, by its name.
    Volume(&'a str),
}

/// What admission reads of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Container<'a> {
    /// Which list it is in.
    pub list: List,
    /// Its name; no verdict depends on it.
    pub name: Text<'a>,
    /// Its image; no verdict depends on it.
    pub image: Text<'a>,
    /// What it says of what a pod can say, too.
    pub security: Security<'a>,
    /// `securityContext.privileged`.
    pub privileged: bool,
    /// `securityContext.allowPrivilegeEscalation`.
    pub allow_privilege_escalation: Option<bool>,
    /// `securityContext.readOnlyRootFilesystem`.
    pub read_only_root_filesystem: Option<bool>,
    /// `securityContext.procMount`.
    pub proc_mount: Option<Text<'a>>,
    /// `securityContext.capabilities.add`.
    pub added_capabilities: Vec<Text<'a>>,
    /// `securityContext.capabilities.drop`.
    pub dropped_capabilities: Vec<Text<'a>>,
    /// The host ports that it binds: `ports[*].hostPort` above 0.
    pub host_ports: Vec<i64>,
}

/// What admission reads of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Volume<'a> {
    /// Its name; no verdict depends on it.
    pub name: Text<'a>,
    /// The key of its source, such as `hostPath`; `None`: it has no source.
    pub source: Option<Text<'a>>,
    /// The path of a hostPath volume, the driver of a flexVolume or csi volume.
    pub detail: Text<'a>,
    /// Is it a projected volume made only of what a service account token volume holds?
    pub only_service_account: bool,
    /// Of a hostPath volume: the containers, by position, that mount it so that they can write to it.
    pub writers: Vec<usize>,
}

/// The policy's word for a volume source: the API spells two of them differently in pods and in policies.
pub fn volume_type(source: &str) -> &str {
    match source {
        "cephfs" => "cephFS",
        "storageos" => "storageOS",
        other => other,
    }
}

impl<'a> Pod<'a> {
    /// What counts of `value`, a `v1.Pod` object.
    pub fn new(value: &'a Value) -> Self {
        read(value)
    }

    /// The pod without the names and images that tell apart pods which are otherwise alike. It is judged as the pod
    /// itself; only evidence misses the names.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        for container in &mut self.containers {
            container.name = Text::default();
            container.image = Text::default();
        }
        self.volumes.iter_mut().for_each(|volume| volume.name = Text::default());
        self
    }

    /// The containers' own values, each with its place; the pod's where a container has none.
    pub(crate) fn effective<'p, T: Copy>(
        &'p self,
        value: impl Fn(&'p Security<'a>) -> Option<T>,
    ) -> impl Iterator<Item = (Place<'p>, Option<T>)> {
        let inherited = value(&self.security);
        self.containers.iter().map(move |container| match (value(&container.security), inherited) {
            (None, Some(_)) => (Place::Pod, inherited),
            (own, _) => (container.place(), own),
        })
    }
}

impl Container<'_> {
    pub(crate) fn place(&self) -> Place<'_> {
        Place::Container(self.list, &self.name)
    }
}

/// Reads a value leniently: what is so read is never refused.
fn read<'a, T: Lenient<'a>>(value: &'a Value) -> T {
    Read::deserialize(value).map(|Read(read)| read).unwrap_or_default()
}

/// Does every policy change this pod (`v1.Pod`, as the client sent it), whatever the policy says? A pod-level seccomp
/// profile without its annotation got the annotation from each, so that none admitted the pod unchanged
/// (`podsecuritypolicy/seccomp/strategy.go`).
pub fn changes_under_all(request: &Value) -> bool {
    read::<SentPod>(request).changes_under_all
}

/// What counts of a pod as the client sent it, beside the pod as stored.
#[derive(Debug, Default)]
pub(crate) struct SentPod {
    pub(crate) changes_under_all: bool,
}

/// A pod as an audit event holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredPod<'a> {
    /// What admission reads of it.
    pub pod: Pod<'a>,
    /// `metadata.namespace`.
    pub namespace: Text<'a>,
    /// `spec.serviceAccountName`, `default` when unset.
    pub service_account: Text<'a>,
    /// Kind and name of the first of `metadata.ownerReferences`, such as a ReplicaSet; no verdict depends on it.
    pub owner: Option<(Text<'a>, Text<'a>)>,
    /// Does every policy change the pod ([`changes_under_all`])?
    pub(crate) changes_under_all: bool,
}

/// An object of an audit event: a pod, or what there is instead.
#[derive(Debug, Default)]
pub(crate) struct EventObject<'a> {
    pub(crate) pod: Option<StoredPod<'a>>,
    /// It is a `Status`: the answer to a request that has failed.
    pub(crate) is_status: bool,
}

impl<'de> Lenient<'de> for EventObject<'de> {
    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        let mut pod = PodObject::read(object)?;
        let is_status = pod.kind.as_deref() == Some("Status");
        let Some(spec) = &mut pod.spec else { return Ok(Self { pod: None, is_status }) };
        let service_account = spec.service_account.take().filter(|name| !name.is_empty());
        let namespace = pod.metadata.as_mut().and_then(|metadata| metadata.namespace.take());
        let owners = pod.metadata.as_mut().map(|metadata| std::mem::take(&mut metadata.owners));
        let owner = owners.and_then(|owners| owners.into_iter().next().flatten());
        let annotation = pod.metadata.as_ref().and_then(|metadata| metadata.annotations.seccomp.as_ref());
        let profile = spec.security.as_ref().and_then(|security| security.seccomp.as_ref());
        let changes_under_all = profile.is_some() && annotation.is_none();
        let pod = StoredPod {
            namespace: namespace.unwrap_or_default(),
            service_account: service_account.unwrap_or("default".into()),
            owner: owner.and_then(|owner| Some((owner.kind?, owner.name?))),
            changes_under_all,
            pod: Pod::from(pod),
        };
        Ok(Self { pod: Some(pod), is_status })
    }
}

impl<'de> Lenient<'de> for SentPod {
    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        let sent = SentObject::read(object)?;
        let annotation = sent.metadata.and_then(|metadata| metadata.annotations.seccomp);
        let profile = sent.spec.and_then(|spec| spec.security?.seccomp);
        Ok(Self { changes_under_all: profile.is_some() && annotation.is_none() })
    }
}

object! {
    struct SentObject<'a> {
        metadata: Option<MetadataObject<'a>> = "metadata",
        spec: Option<SentSpec<'a>> = "spec",
    }
    struct SentSpec<'a> {
        security: Option<SentSecurity<'a>> = "securityContext",
    }
    struct SentSecurity<'a> {
        seccomp: Option<ProfileObject<'a>> = "seccompProfile",
    }
}

impl<'de> Lenient<'de> for Pod<'de> {
    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        PodObject::read(object).map(Pod::from)
    }
}

object! {
    struct PodObject<'a> {
        kind: Option<Text<'a>> = "kind",
        metadata: Option<MetadataObject<'a>> = "metadata",
        spec: Option<SpecObject<'a>> = "spec",
    }
    struct MetadataObject<'a> {
        namespace: Option<Text<'a>> = "namespace",
        annotations: Annotations<'a> = "annotations",
        owners: Vec<Option<OwnerObject<'a>>> = "ownerReferences",
    }
    struct OwnerObject<'a> {
        kind: Option<Text<'a>> = "kind",
        name: Option<Text<'a>> = "name",
    }
    struct SpecObject<'a> {
        host_network: Option<bool> = "hostNetwork",
        host_pid: Option<bool> = "hostPID",
        host_ipc: Option<bool> = "hostIPC",
        runtime_class: Option<Text<'a>> = "runtimeClassName",
        service_account: Option<Text<'a>> = "serviceAccountName",
        security: Option<SecurityObject<'a>> = "securityContext",
        init: Vec<Option<ContainerObject<'a>>> = "initContainers",
        regular: Vec<Option<ContainerObject<'a>>> = "containers",
        ephemeral: Vec<Option<ContainerObject<'a>>> = "ephemeralContainers",
        volumes: Vec<VolumeObject<'a>> = "volumes",
    }
    struct SecurityObject<'a> {
        // of a pod or of a container
        run_as_user: Option<i64> = "runAsUser",
        run_as_group: Option<i64> = "runAsGroup",
        run_as_non_root: Option<bool> = "runAsNonRoot",
        se_linux: Option<LabelsObject<'a>> = "seLinuxOptions",
        seccomp: Option<ProfileObject<'a>> = "seccompProfile",
        apparmor: Option<ProfileObject<'a>> = "appArmorProfile",
        windows: Option<WindowsObject<'a>> = "windowsOptions",
        // of a pod
        supplemental_groups: Vec<Option<i64>> = "supplementalGroups",
        fs_group: Option<i64> = "fsGroup",
        sysctls: Vec<Option<NamedObject<'a>>> = "sysctls",
        // of a container
        privileged: Option<bool> = "privileged",
        allow_privilege_escalation: Option<bool> = "allowPrivilegeEscalation",
        read_only_root_filesystem: Option<bool> = "readOnlyRootFilesystem",
        proc_mount: Option<Text<'a>> = "procMount",
        capabilities: Option<CapabilitiesObject<'a>> = "capabilities",
    }
    struct LabelsObject<'a> {
        user: Option<Text<'a>> = "user",
        role: Option<Text<'a>> = "role",
        type_: Option<Text<'a>> = "type",
        level: Option<Text<'a>> = "level",
    }
    struct ProfileObject<'a> {
        type_: Option<Text<'a>> = "type",
        localhost: Option<Text<'a>> = "localhostProfile",
    }
    struct WindowsObject<'a> {
        host_process: Option<bool> = "hostProcess",
    }
    struct NamedObject<'a> {
        name: Option<Text<'a>> = "name",
    }
    struct CapabilitiesObject<'a> {
        add: Vec<Option<Text<'a>>> = "add",
        drop: Vec<Option<Text<'a>>> = "drop",
    }
    struct ContainerObject<'a> {
        name: Option<Text<'a>> = "name",
        image: Option<Text<'a>> = "image",
        security: Option<SecurityObject<'a>> = "securityContext",
        ports: Vec<Option<PortObject<'a>>> = "ports",
        mounts: Vec<Option<MountObject<'a>>> = "volumeMounts",
    }
    struct PortObject<'a> {
        host_port: Option<i64> = "hostPort",
    }
    struct MountObject<'a> {
        name: Option<Text<'a>> = "name",
        read_only: Option<bool> = "readOnly",
    }
    struct SourceObject<'a> {
        path: Option<Text<'a>> = "path",
        driver: Option<Text<'a>> = "driver",
        projected: Vec<Option<ProjectedObject<'a>>> = "sources",
    }
    struct ProjectedObject<'a> {
        token: Option<TokenObject<'a>> = "serviceAccountToken",
        config_map: Option<NamedObject<'a>> = "configMap",
        downward: Option<DownwardObject<'a>> = "downwardAPI",
    }
    struct TokenObject<'a> {
        path: Option<Text<'a>> = "path",
        audience: Option<Text<'a>> = "audience",
    }
    struct DownwardObject<'a> {
        items: Vec<Option<DownwardItemObject<'a>>> = "items",
    }
    struct DownwardItemObject<'a> {
        path: Option<Text<'a>> = "path",
        field: Option<FieldReferenceObject<'a>> = "fieldRef",
    }
    struct FieldReferenceObject<'a> {
        version: Option<Text<'a>> = "apiVersion",
        path: Option<Text<'a>> = "fieldPath",
    }
}

/// The annotations that name profiles.
#[derive(Debug, Default)]
struct Annotations<'a> {
    seccomp: Option<Text<'a>>,
    /// By container.
    apparmor: Vec<(Text<'a>, Text<'a>)>,
}

impl<'de> Lenient<'de> for Annotations<'de> {
    fn of_object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut annotations = Self::default();
        while let Some(Key(key)) = object.next_key()? {
            if key == SECCOMP_POD {
                annotations.seccomp = profile_named(&mut object)?;
            } else if let Some(container) = after_prefix(key, APPARMOR_CONTAINER) {
                let profile = profile_named(&mut object)?;
                annotations.apparmor.extend(profile.map(|profile| (container, profile)));
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(annotations)
    }
}

/// The profile that an annotation names; an empty name is none.
fn profile_named<'de, A: MapAccess<'de>>(annotations: &mut A) -> Result<Option<Text<'de>>, A::Error> {
    let Read(name): Read<Option<Text<'de>>> = annotations.next_value()?;
    Ok(name.filter(|name| !name.is_empty()))
}

impl<'a> Annotations<'a> {
    fn apparmor(&self, container: &str) -> Option<Text<'a>> {
        self.apparmor.iter().rev().find(|(name, _)| name == container).map(|(_, profile)| profile.clone())
    }
}

fn after_prefix<'a>(text: Text<'a>, prefix: &str) -> Option<Text<'a>> {
    match text {
        Text::Borrowed(text) => text.strip_prefix(prefix).map(Text::Borrowed),
        Text::Owned(text) => text.strip_prefix(prefix).map(|rest| Text::Owned(rest.to_owned())),
    }
}

/// A volume's name, and the first of its other keys that is not null.
#[derive(Debug, Default)]
struct VolumeObject<'a> {
    name: Text<'a>,
    source: Option<(Text<'a>, SourceObject<'a>)>,
}

impl<'de> Lenient<'de> for VolumeObject<'de> {
    fn of_object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut volume = Self::default();
        while let Some(Key(key)) = object.next_key()? {
            if key == "name" {
                volume.name = object.next_value::<Read<Option<Text<'de>>>>()?.0.unwrap_or_default();
            } else if let Some(source) = object.next_value::<Read<Option<SourceObject<'de>>>>()?.0
                && volume.source.is_none()
            {
                volume.source = Some((key, source));
            }
        }
        Ok(volume)
    }
}

impl<'a> From<PodObject<'a>> for Pod<'a> {
    fn from(pod: PodObject<'a>) -> Self {
        let spec = pod.spec.unwrap_or_default();
        let annotated = pod.metadata.map(|metadata| metadata.annotations).unwrap_or_default();
        let security = spec.security.unwrap_or_default();
        let volumes: Vec<Volume<'a>> = spec.volumes.into_iter().map(Volume::from).collect();
        let lists =
            [(List::Init, spec.init), (List::Regular, spec.regular), (List::Ephemeral, spec.ephemeral)];
        let mut pod = Self {
            host_network: spec.host_network.unwrap_or_default(),
            host_pid: spec.host_pid.unwrap_or_default(),
            host_ipc: spec.host_ipc.unwrap_or_default(),
            runtime_class: spec.runtime_class,
            supplemental_groups: security.supplemental_groups.iter().copied().flatten().collect(),
            fs_group: security.fs_group,
            sysctls: security.sysctls.iter().flatten().filter_map(|sysctl| sysctl.name.clone()).collect(),
            security: Security::from(security),
            containers: Vec::new(),
            volumes,
        };
        for (list, containers) in lists {
            for container in containers {
                pod.add(list, container.unwrap_or_default(), &annotated);
            }
        }
        pod
    }
}

impl<'a> Pod<'a> {
    fn add(&mut self, list: List, container: ContainerObject<'a>, annotated: &Annotations<'a>) {
        let position = self.containers.len();
        for volume in self.volumes.iter_mut().filter(|volume| volume.source.as_deref() == Some("hostPath")) {
            let writes = |mount: &MountObject<'_>| {
                mount.name.as_ref() == Some(&volume.name) && mount.read_only != Some(true)
            };
            if container.mounts.iter().flatten().any(writes) {
                volume.writers.push(position);
            }
        }
        let name = container.name.unwrap_or_default();
        let own = container.security.unwrap_or_default();
        let capabilities = own.capabilities.as_ref();
        let names =
            |list: Option<&Vec<Option<Text<'a>>>>| list.into_iter().flatten().flatten().cloned().collect();
        let mut container = Container {
            list,
            privileged: own.privileged.unwrap_or_default(),
            allow_privilege_escalation: own.allow_privilege_escalation,
            read_only_root_filesystem: own.read_only_root_filesystem,
            proc_mount: own.proc_mount.clone(),
            added_capabilities: names(capabilities.map(|c| &c.add)),
            dropped_capabilities: names(capabilities.map(|c| &c.drop)),
            host_ports: container
                .ports
                .iter()
                .flatten()
                .filter_map(|port| port.host_port)
                .filter(|port| *port > 0)
                .collect(),
            security: Security::from(own),
            name,
            image: container.image.unwrap_or_default(),
        };
        // the fields, the container's and the pod's, come before the annotation
        if container.security.apparmor.is_none() && self.security.apparmor.is_none() {
            container.security.apparmor = annotated.apparmor(&container.name);
        }
        self.containers.push(container);
    }
}

impl<'a> From<SecurityObject<'a>> for Security<'a> {
    fn from(security: SecurityObject<'a>) -> Self {
        Self {
            run_as_user: security.run_as_user,
            run_as_group: security.run_as_group,
            run_as_non_root: security.run_as_non_root,
            se_linux: security.se_linux.map(|labels| Labels {
                user: labels.user.unwrap_or_default(),
                role: labels.role.unwrap_or_default(),
                type_: labels.type_.unwrap_or_default(),
                level: labels.level.unwrap_or_default(),
            }),
            seccomp: security.seccomp.and_then(profile),
            apparmor: security.apparmor.and_then(profile),
            host_process: security.windows.and_then(|windows| windows.host_process).unwrap_or_default(),
        }
    }
}

/// A seccomp or AppArmor profile field in the spelling of the annotation that it replaced
/// (Kubernetes `pkg/api/pod/util.go`, `SeccompAnnotationForField`).
fn profile(field: ProfileObject<'_>) -> Option<Text<'_>> {
    Some(match field.type_? {
        type_ if type_ == "RuntimeDefault" => Text::Borrowed("runtime/default"),
        type_ if type_ == "Unconfined" => Text::Borrowed("unconfined"),
        type_ if type_ == "Localhost" => {
            Text::Owned(format!("localhost/{}", field.localhost.unwrap_or_default()))
        }
        other => other,
    })
}

impl<'a> From<VolumeObject<'a>> for Volume<'a> {
    fn from(volume: VolumeObject<'a>) -> Self {
        let Some((source, object)) = volume.source else {
            return Self { name: volume.name, ..Self::default() };
        };
        let (detail, only_service_account) = match &*source {
            "hostPath" => (object.path.unwrap_or_default(), false),
            "flexVolume" | "csi" => (object.driver.unwrap_or_default(), false),
            "projected" => (Text::default(), only_service_account(&object.projected)),
            _ => (Text::default(), false),
        };
        Self { name: volume.name, source: Some(source), detail, only_service_account, writers: Vec::new() }
    }
}

/// Is a projected volume made only of what a service account token volume holds (Kubernetes
/// `pkg/security/podsecuritypolicy/util/util.go`, `IsOnlyServiceAccountTokenSources`)?
fn only_service_account(sources: &[Option<ProjectedObject<'_>>]) -> bool {
    let is = |text: &Option<Text<'_>>, wanted: &str| text.as_deref().unwrap_or_default() == wanted;
    sources.iter().all(|source| match source {
        Some(ProjectedObject { token: Some(token), .. }) => {
            is(&token.path, "token") && is(&token.audience, "")
        }
        Some(ProjectedObject { config_map: Some(map), .. }) => is(&map.name, "kube-root-ca.crt"),
        Some(ProjectedObject { downward: Some(downward), .. }) => downward.items.iter().all(|item| {
            item.as_ref().is_some_and(|item| {
                is(&item.path, "namespace")
                    && item.field.as_ref().is_some_and(|field| {
                        is(&field.version, "v1") && is(&field.path, "metadata.namespace")
                    })
            })
        }),
        _ => false,
    })
}
