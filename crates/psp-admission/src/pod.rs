//! A pod as admission sees it: what of its JSON (`v1.Pod`) counts, whichever release wrote it, and nothing else.

use serde::de::MapAccess;
use serde_json::Value;

use crate::lenient::{Key, Lenient, Object, Read, Text, object};
use crate::reason::Place;

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

/// What admission reads of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Container<'a> {
    /// Which list it is in.
    pub list: List,
    /// Its name; no verdict depends on it.
    pub name: Text<'a>,
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

impl<'a> Pod<'a> {
    /// What counts of `value`, a `v1.Pod` object.
    pub fn new(value: &'a Value) -> Self {
        // what is read leniently is never refused
        serde::Deserialize::deserialize(value).map(|Read(pod)| pod).unwrap_or_default()
    }

    /// The pod without the names that tell apart pods which are otherwise alike. It is judged as the pod itself; only
    /// evidence misses the names.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        self.containers.iter_mut().for_each(|container| container.name = Text::default());
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

impl<'de> Lenient<'de> for Pod<'de> {
    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        PodObject::read(object).map(Pod::from)
    }
}

object! {
    struct PodObject<'a> {
        metadata: Option<MetadataObject<'a>> = "metadata",
        spec: Option<SpecObject<'a>> = "spec",
    }
    struct MetadataObject<'a> {
        apparmor: ProfilesByContainer<'a> = "annotations",
    }
    struct SpecObject<'a> {
        host_network: Option<bool> = "hostNetwork",
        host_pid: Option<bool> = "hostPID",
        host_ipc: Option<bool> = "hostIPC",
        runtime_class: Option<Text<'a>> = "runtimeClassName",
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

/// The AppArmor profiles that annotations name, by container.
#[derive(Debug, Default)]
struct ProfilesByContainer<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'de> Lenient<'de> for ProfilesByContainer<'de> {
    fn of_object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        let mut profiles = Vec::new();
        while let Some(Key(key)) = object.next_key()? {
            let Some(container) = after_prefix(key, APPARMOR_CONTAINER) else {
                object.next_value::<serde::de::IgnoredAny>()?;
                continue;
            };
            if let Some(profile) = object.next_value::<Read<Option<Text<'de>>>>()?.0.filter(|p| !p.is_empty())
            {
                profiles.push((container, profile));
            }
        }
        Ok(Self(profiles))
    }
}

impl<'a> ProfilesByContainer<'a> {
    fn of(&self, container: &str) -> Option<Text<'a>> {
        self.0.iter().rev().find(|(name, _)| name == container).map(|(_, profile)| profile.clone())
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
        let annotated = pod.metadata.map(|metadata| metadata.apparmor).unwrap_or_default();
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
    fn add(&mut self, list: List, container: ContainerObject<'a>, annotated: &ProfilesByContainer<'a>) {
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
        };
        // the fields, the container's and the pod's, come before the annotation
        if container.security.apparmor.is_none() && self.security.apparmor.is_none() {
            container.security.apparmor = annotated.of(&container.name);
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
