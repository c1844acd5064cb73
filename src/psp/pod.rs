//! A pod as admission sees it: a reading view over its JSON (`v1.Pod`), whichever release wrote it.

use serde_json::Value;

/// Prefix of the annotation that names a container's AppArmor profile; the container's name follows.
const APPARMOR_CONTAINER: &str = "container.apparmor.security.beta.kubernetes.io/";
/// A view of one pod.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a> {
    value: &'a Value,
}

/// A view of one container of a pod, of whichever list.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a> {
    pod: Pod<'a>,
    value: &'a Value,
}

/// A view of one volume of a pod.
#[derive(Debug, Clone, Copy)]
pub struct Volume<'a> {
    value: &'a Value,
}

impl<'a> Pod<'a> {
    /// Views `value`, a `v1.Pod` object.
    pub fn new(value: &'a Value) -> Self {
        Self { value }
    }

    fn at(self, pointer: &str) -> Option<&'a Value> {
        self.value.pointer(pointer).filter(|v| !v.is_null())
    }

    fn annotation(self, key: &str) -> Option<&'a str> {
        self.at("/metadata/annotations")?.get(key)?.as_str().filter(|v| !v.is_empty())
    }

    /// All containers: init (sidecars too), regular and ephemeral ones. No other way leads to a container, so
    /// that none is forgotten.
    pub fn containers(self) -> impl Iterator<Item = Container<'a>> {
        ["/spec/initContainers", "/spec/containers", "/spec/ephemeralContainers"]
            .into_iter()
            .filter_map(move |list| self.at(list)?.as_array())
            .flatten()
            .map(move |value| Container { pod: self, value })
    }

    /// `spec.volumes`.
    pub fn volumes(self) -> impl Iterator<Item = Volume<'a>> {
        self.at("/spec/volumes").and_then(Value::as_array).into_iter().flatten().map(|value| Volume { value })
    }

    /// A boolean of `spec`, false when unset.
    pub fn flag(self, name: &str) -> bool {
        self.at("/spec").and_then(|s| s.get(name)).and_then(Value::as_bool).unwrap_or(false)
    }

    /// `spec.runtimeClassName`.
    pub fn runtime_class(self) -> Option<&'a str> {
        self.at("/spec/runtimeClassName")?.as_str()
    }

    /// A value of the pod's own security context.
    pub fn security(self, name: &str) -> Option<&'a Value> {
        self.at("/spec/securityContext")?.get(name).filter(|v| !v.is_null())
    }

    /// The ids under `spec.securityContext.supplementalGroups`; an empty list reads as unset, as it is stored.
    pub fn supplemental_groups(self) -> Option<Vec<i64>> {
        let groups: Vec<i64> =
            self.security("supplementalGroups")?.as_array()?.iter().filter_map(Value::as_i64).collect();
        (!groups.is_empty()).then_some(groups)
    }

    /// Names of the sysctls that the pod sets.
    pub fn sysctls(self) -> impl Iterator<Item = &'a str> {
        let list = self.security("sysctls").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(|s| s.get("name")?.as_str())
    }

    /// The pod's seccomp profile in the spelling of the annotation that it replaced. The API server kept the two in
    /// step from Kubernetes 1.19 to 1.26; since 1.27 nothing reads the annotation.
    pub fn seccomp(self) -> Option<String> {
        self.security("seccompProfile").and_then(profile)
    }
}

impl<'a> Container<'a> {
    /// The container's name.
    pub fn name(self) -> &'a str {
        self.value.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// A value of the container's own security context.
    pub fn security(self, name: &str) -> Option<&'a Value> {
        self.value.get("securityContext")?.get(name).filter(|v| !v.is_null())
    }

    /// A value of the container's security context, else of the pod's.
    pub fn effective(self, name: &str) -> Option<&'a Value> {
        self.security(name).or_else(|| self.pod.security(name))
    }

    /// Does the container ask for privileges, by itself or as a Windows host process?
    pub fn privileged(self) -> bool {
        let host_process =
            |v: Option<&Value>| v.and_then(|w| w.get("hostProcess")) == Some(&Value::Bool(true));
        self.security("privileged") == Some(&Value::Bool(true))
            || host_process(self.security("windowsOptions"))
            || host_process(self.pod.security("windowsOptions"))
    }

    /// The host ports that the container binds.
    pub fn host_ports(self) -> impl Iterator<Item = i64> + 'a {
        let ports = self.value.get("ports").and_then(Value::as_array);
        ports.into_iter().flatten().filter_map(|p| p.get("hostPort")?.as_i64()).filter(|p| *p > 0)
    }

    /// Capabilities that the container adds (`add`) or drops (`drop`).
    pub fn capabilities(self, list: &str) -> Vec<&'a str> {
        let names = self.security("capabilities").and_then(|c| c.get(list)).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Does the container mount `volume` so that it can write to it?
    pub fn writes_to(self, volume: &str) -> bool {
        let mounts = self.value.get("volumeMounts").and_then(Value::as_array);
        mounts.into_iter().flatten().any(|m| {
            m.get("name").and_then(Value::as_str) == Some(volume)
                && m.get("readOnly").and_then(Value::as_bool) != Some(true)
        })
    }

    /// The container's seccomp profile, else the pod's, spelt likewise.
    pub fn seccomp(self) -> Option<String> {
        self.effective("seccompProfile").and_then(profile)
    }

    /// The container's AppArmor profile in its annotation spelling: its field, the pod's field (both since
    /// Kubernetes 1.30), else its annotation.
    pub fn apparmor(self) -> Option<String> {
        self.effective("appArmorProfile").and_then(profile).or_else(|| {
            self.pod.annotation(&format!("{APPARMOR_CONTAINER}{}", self.name())).map(str::to_owned)
        })
    }
}

impl<'a> Volume<'a> {
    /// The volume's name.
    pub fn name(self) -> &'a str {
        self.value.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The volume's source: its key in the volume object, and what stands there.
    pub fn source(self) -> Option<(&'a str, &'a Value)> {
        self.value
            .as_object()?
            .iter()
            .find(|(key, _)| *key != "name")
            .map(|(key, value)| (key.as_str(), value))
    }
}

/// A seccomp or AppArmor profile field in the spelling of the annotation that it replaced
/// (Kubernetes `pkg/api/pod/util.go`, `SeccompAnnotationForField`).
fn profile(field: &Value) -> Option<String> {
    Some(match field.get("type")?.as_str()? {
        "RuntimeDefault" => "runtime/default".to_owned(),
        "Unconfined" => "unconfined".to_owned(),
        "Localhost" => {
            format!("localhost/{}", field.get("localhostProfile").and_then(Value::as_str).unwrap_or_default())
        }
        other => other.to_owned(),
    })
}
