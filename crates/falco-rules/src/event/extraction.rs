//! What the fields of an audit event read: the plugins `json` 0.7.4 and `k8saudit` 0.18.0, quirks included, and
//! those of Falco's own fields that exist for every event.

use std::borrow::Cow;
use std::fmt::Write;

use super::audit_event::Event;
use super::json::{Index, Kind, NodeId, Reader, pointer, pointer_value};
use super::time::ClockFormat;

type Bytes<'e> = Cow<'e, [u8]>;

/// What a field yields for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extracted<'e> {
    /// The event does not have it.
    Missing,
    /// One value.
    One(Bytes<'e>),
    /// The elements of a list; never none.
    Many(Vec<Bytes<'e>>),
}

impl<'e> Extracted<'e> {
    pub(crate) fn one(value: Option<Bytes<'e>>) -> Self {
        value.map_or(Self::Missing, |v| Self::One(c_string(v)))
    }

    pub(crate) fn many(values: Option<Vec<Bytes<'e>>>) -> Self {
        match values {
            Some(values) if !values.is_empty() => Self::Many(values.into_iter().map(c_string).collect()),
            _ => Self::Missing,
        }
    }
}

/// Plugins hand text over as C strings, which end at the first NUL.
fn c_string(value: Bytes<'_>) -> Bytes<'_> {
    let Some(end) = memchr::memchr(0, &value) else { return value };
    match value {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..end).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            Cow::Owned(bytes)
        }
    }
}

/// How to read one field with its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Extractor {
    /// `jevt.value[…]`.
    Pointer(Vec<String>),
    /// `jevt.value` with an empty pointer.
    Whole,
    /// `jevt.obj`.
    Indented,
    /// The event's time in decimal nanoseconds, as text.
    TimeText,
    Number,
    RawTime,
    RawTimeSeconds,
    RawTimeNanoseconds,
    /// The time in UTC, which is what Falco prints when its host's zone is UTC.
    Clock(ClockFormat),
    Constant(&'static str),
    /// A Boolean that is always false.
    No,
    /// Never there for events of a plugin.
    Nothing,
    PluginInfo,
    /// A value under these keys.
    Keys(&'static [&'static str]),
    /// The elements of the array under these keys.
    ListUnder(&'static [&'static str]),
    UriParam(String),
    TargetPodName,
    SubjectNames(&'static str),
    Container(&'static str, ContainerField, Option<usize>),
    FirstImage(ContainerField),
    AnyPrivileged,
    /// A key of every rule of a role.
    Rules(&'static str, Option<usize>),
    /// A value under these keys, through every array on the way.
    Recursive(&'static [&'static str], Option<usize>),
    VolumeHostPath(String),
    VolumeTypes(Option<usize>),
}

/// A field of each container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContainerField {
    Args,
    Command,
    Name,
    Image,
    Repository,
    HostPort,
    /// What stands under these keys, containers without it left out.
    Under(&'static [&'static str]),
    /// Meant to be the user or group in force, but read from a place where nothing is.
    Effective(&'static str),
}

const ANNOTATIONS: &str = "annotations";

impl Extractor {
    /// How to read `name[arg]`; none when this model cannot, though Falco can.
    pub(crate) fn new(name: &str, arg: Option<&str>) -> Option<Self> {
        let index = arg.and_then(|a| a.parse().ok());
        if let Some(field) = name.strip_prefix("ka.") {
            return Self::audit(field, arg, index);
        }
        Some(match (name, arg) {
            ("json.value" | "jevt.value", Some("")) => Self::Whole,
            ("json.value" | "jevt.value", Some(arg)) => Self::Pointer(pointer(arg)),
            ("json.obj" | "jevt.obj", _) => Self::Indented,
            ("json.rawtime" | "jevt.rawtime", _) => Self::TimeText,
            ("evt.num", _) => Self::Number,
            ("evt.rawtime", _) => Self::RawTime,
            ("evt.rawtime.s", _) => Self::RawTimeSeconds,
            ("evt.rawtime.ns", _) => Self::RawTimeNanoseconds,
            ("evt.time", _) => Self::Clock(ClockFormat { date: None, fraction: true, zone: "" }),
            ("evt.time.s", _) => Self::Clock(ClockFormat { date: None, fraction: false, zone: "" }),
            ("evt.time.iso8601", _) => {
                Self::Clock(ClockFormat { date: Some('T'), fraction: true, zone: "+0000" })
            }
            ("evt.datetime", _) => Self::Clock(ClockFormat { date: Some(' '), fraction: true, zone: "" }),
            ("evt.datetime.s", _) => Self::Clock(ClockFormat { date: Some(' '), fraction: false, zone: "" }),
            ("evt.source", _) => Self::Constant("k8s_audit"),
            ("evt.pluginname", _) => Self::Constant("k8saudit"),
            ("evt.plugininfo", _) => Self::PluginInfo,
            ("evt.is_async", _) => Self::No,
            ("evt.asynctype", _) => Self::Nothing,
            _ => return None,
        })
    }

    fn audit(field: &str, arg: Option<&str>, index: Option<usize>) -> Option<Self> {
        if let Some(rest) = field.strip_prefix("req.pod.") {
            for list in ["containers", "initContainers", "ephemeralContainers"] {
                if let Some(field) = rest.strip_prefix(list).and_then(|r| r.strip_prefix('.')) {
                    return Some(Self::Container(list, ContainerField::new(field)?, index));
                }
            }
        }
        Self::audit_keys(field).or_else(|| Self::audit_special(field, arg, index))
    }

    fn audit_keys(field: &str) -> Option<Self> {
        Some(Self::Keys(match field {
            "auditid" => &["auditID"],
            "stage" => &["stage"],
            "auth.decision" => &[ANNOTATIONS, "authorization.k8s.io/decision"],
            "auth.reason" => &[ANNOTATIONS, "authorization.k8s.io/reason"],
            "auth.openshift.decision" => &[ANNOTATIONS, "authentication.openshift.io/decision"],
            "auth.openshift.username" => &[ANNOTATIONS, "authentication.openshift.io/username"],
            "validations.admission.policy.failure" => {
                &[ANNOTATIONS, "validation.policy.admission.k8s.io/validation_failure"]
            }
            "security.pod.violations" => &[ANNOTATIONS, "pod-security.kubernetes.io/audit-violations"],
            "cluster.name" => &[ANNOTATIONS, "cluster_name"],
            "user.name" => &["user", "username"],
            "impuser.name" => &["impersonatedUser", "username"],
            "verb" => &["verb"],
            "uri" => &["requestURI"],
            "target.name" | "req.configmap.name" => &["objectRef", "name"],
            "target.namespace" => &["objectRef", "namespace"],
            "target.resource" => &["objectRef", "resource"],
            "target.subresource" => &["objectRef", "subresource"],
            "req.binding.role" => &["requestObject", "roleRef", "name"],
            "req.configmap.obj" => &["requestObject", "data"],
            "req.pod.host_ipc" => &["requestObject", "spec", "hostIPC"],
            "req.pod.host_network" | "req.container.host_network" => {
                &["requestObject", "spec", "hostNetwork"]
            }
            "req.pod.host_pid" => &["requestObject", "spec", "hostPID"],
            "req.pod.run_as_user" => &["requestObject", "spec", "securityContext", "runAsUser"],
            "req.pod.run_as_group" => &["requestObject", "spec", "securityContext", "runAsGroup"],
            "req.pod.fs_group" => &["requestObject", "spec", "securityContext", "fsGroup"],
            "req.service.type" => &["requestObject", "spec", "type"],
            "resp.name" => &["responseObject", "metadata", "name"],
            "response.code" => &["responseStatus", "code"],
            "response.reason" => &["responseStatus", "reason"],
            "useragent" => &["userAgent"],
            _ => return None,
        }))
    }

    fn audit_special(field: &str, arg: Option<&str>, index: Option<usize>) -> Option<Self> {
        Some(match field {
            "user.groups" => Self::ListUnder(&["user", "groups"]),
            "req.binding.subjects" => Self::ListUnder(&["requestObject", "subjects"]),
            "req.role.rules" => Self::ListUnder(&["requestObject", "rules"]),
            "req.pod.supplemental_groups" => {
                Self::ListUnder(&["requestObject", "spec", "securityContext", "supplementalGroups"])
            }
            "uri.param" => Self::UriParam(arg?.to_owned()),
            "target.pod.name" => Self::TargetPodName,
            "req.binding.subjects.user_names" => Self::SubjectNames("User"),
            "req.binding.subjects.group_names" => Self::SubjectNames("Group"),
            "req.binding.subjects.serviceaccount_names" => Self::SubjectNames("ServiceAccount"),
            "req.binding.subjects.serviceaccount_ns_names" => Self::SubjectNames("NamespacedServiceAccount"),
            "req.binding.subject.has_name" => Self::Constant("true"),
            "req.container.image" => Self::FirstImage(ContainerField::Image),
            "req.container.image.repository" => Self::FirstImage(ContainerField::Repository),
            "req.container.privileged" => Self::AnyPrivileged,
            "req.role.rules.apiGroups" => Self::Rules("apiGroups", index),
            "req.role.rules.nonResourceURLs" => Self::Rules("nonResourceURLs", index),
            "req.role.rules.verbs" => Self::Rules("verbs", index),
            "req.role.rules.resources" => Self::Rules("resources", index),
            // The plugin looks for the addresses among a role's rules.
            "sourceips" => Self::Rules("sourceIPs", index),
            "req.service.ports" => Self::Recursive(&["requestObject", "spec", "ports"], index),
            "req.pod.volumes.hostpath" => {
                Self::Recursive(&["requestObject", "spec", "volumes", "hostPath", "path"], index)
            }
            "req.pod.volumes.flexvolume_driver" => {
                Self::Recursive(&["requestObject", "spec", "volumes", "flexVolume", "driver"], index)
            }
            "req.pod.volumes.volume_type" => Self::VolumeTypes(index),
            "req.volume.hostpath" => Self::VolumeHostPath(arg.filter(|a| !a.is_empty())?.to_owned()),
            _ => return None,
        })
    }

    /// Reads the field.
    pub(crate) fn extract<'e>(&self, event: &'e Event<'_>) -> Extracted<'e> {
        let unsigned = |value: u64| Extracted::One(Cow::Owned(value.to_le_bytes().to_vec()));
        match self {
            Self::Pointer(keys) => Extracted::one(pointer_value(&event.json(), keys)),
            Self::Whole => Extracted::one(Some(event.json().marshal(Index::ROOT))),
            Self::Indented => Extracted::one(indented(&event.json()).map(Cow::Owned)),
            Self::TimeText => Extracted::One(Cow::Owned(event.nanoseconds().to_string().into_bytes())),
            Self::Number => unsigned(event.number()),
            Self::RawTime => unsigned(event.nanoseconds()),
            Self::RawTimeSeconds => unsigned(event.nanoseconds() / 1_000_000_000),
            Self::RawTimeNanoseconds => unsigned(event.nanoseconds() % 1_000_000_000),
            Self::Clock(format) => Extracted::One(Cow::Owned(format.write(event.nanoseconds()).into_bytes())),
            Self::No => Extracted::One(Cow::Owned(0_u32.to_le_bytes().to_vec())),
            Self::Nothing => Extracted::Missing,
            Self::PluginInfo => Extracted::one(Some(Cow::Borrowed(event.text()))),
            Self::Constant(text) if *text != "true" => Extracted::One(Cow::Borrowed(text.as_bytes())),
            _ => {
                let audit = Audit(event.k8saudit());
                // The plugin takes nothing else for an audit event.
                match audit.0.get(Index::ROOT, "auditID") {
                    Some(_) => audit.extract(self),
                    None => Extracted::Missing,
                }
            }
        }
    }
}

impl ContainerField {
    fn new(field: &str) -> Option<Self> {
        Some(match field {
            "args" => Self::Args,
            "command" => Self::Command,
            "name" => Self::Name,
            "image" => Self::Image,
            "image.repository" => Self::Repository,
            "host_port" => Self::HostPort,
            "privileged" => Self::Under(&["securityContext", "privileged"]),
            "allow_privilege_escalation" => Self::Under(&["securityContext", "allowPrivilegeEscalation"]),
            "read_only_fs" => Self::Under(&["securityContext", "readOnlyRootFilesystem"]),
            "run_as_user" => Self::Under(&["securityContext", "runAsUser"]),
            "run_as_group" => Self::Under(&["securityContext", "runAsGroup"]),
            "proc_mount" => Self::Under(&["securityContext", "procMount"]),
            "add_capabilities" => Self::Under(&["securityContext", "capabilities", "add"]),
            "eff_run_as_user" => Self::Effective("runAsUser"),
            "eff_run_as_group" => Self::Effective("runAsGroup"),
            _ => return None,
        })
    }
}

/// The k8saudit plugin's view of an event.
struct Audit<'e>(Reader<'e>);

impl<'e> Audit<'e> {
    fn extract(&self, extractor: &Extractor) -> Extracted<'e> {
        match extractor {
            Extractor::Keys(keys) => Extracted::one(self.at(keys).map(|id| self.0.text_of(id))),
            Extractor::ListUnder(keys) => Extracted::many(self.at(keys).and_then(|id| self.elements(id))),
            Extractor::Constant(text) => Extracted::One(Cow::Borrowed(text.as_bytes())),
            Extractor::UriParam(name) => Extracted::one(self.uri_param(name)),
            Extractor::TargetPodName => Extracted::one(self.target_pod_name()),
            Extractor::SubjectNames(kind) => Extracted::many(self.subject_names(kind)),
            Extractor::Container(list, field, index) => Extracted::many(self.container(list, *field, *index)),
            Extractor::FirstImage(field) => {
                let images = self.container("containers", *field, Some(0));
                Extracted::one(images.and_then(|i| i.into_iter().next()))
            }
            Extractor::AnyPrivileged => Extracted::one(self.any_privileged()),
            Extractor::Rules(key, index) => Extracted::many(self.rules(key, *index)),
            Extractor::Recursive(keys, index) => {
                Extracted::many(self.recursive(keys, *index).map(|found| self.texts(&found)))
            }
            Extractor::VolumeHostPath(path) => Extracted::one(self.volume_host_path(path)),
            Extractor::VolumeTypes(index) => Extracted::many(self.volume_types(*index)),
            _ => Extracted::Missing,
        }
    }

    fn at(&self, keys: &[&str]) -> Option<NodeId> {
        self.0.path(Index::ROOT, keys)
    }

    fn elements(&self, id: NodeId) -> Option<Vec<Bytes<'e>>> {
        (self.0.kind(id) == Kind::Array).then(|| self.0.items(id).map(|i| self.0.text_of(i)).collect())
    }

    /// What stands under `keys` from the root, for each element of every array on the way, or for one of them;
    /// an element without it is none.
    fn recursive(&self, keys: &[&str], index: Option<usize>) -> Option<Vec<Option<NodeId>>> {
        self.recursive_from(Index::ROOT, keys, index)
    }

    fn recursive_from(
        &self,
        mut id: NodeId,
        mut keys: &[&str],
        index: Option<usize>,
    ) -> Option<Vec<Option<NodeId>>> {
        while let Some((key, rest)) = keys.split_first() {
            self.0.touch(id);
            if self.0.kind(id) == Kind::Array {
                let Some(index) = index else {
                    let mut found = Vec::new();
                    for item in self.0.items(id) {
                        match self.recursive_from(item, keys, None) {
                            Some(values) => found.extend(values),
                            None => found.push(None),
                        }
                    }
                    return Some(found);
                };
                id = self.0.items(id).nth(index)?;
            }
            if !key.is_empty() {
                id = self.0.get(id, key)?;
            }
            keys = rest;
        }
        Some(vec![Some(id)])
    }

    fn under_containers(
        &self,
        list: &str,
        keys: &[&str],
        index: Option<usize>,
    ) -> Option<Vec<Option<NodeId>>> {
        let path: Vec<&str> = ["requestObject", "spec", list].iter().chain(keys).copied().collect();
        self.recursive(&path, index)
    }

    fn texts(&self, found: &[Option<NodeId>]) -> Vec<Bytes<'e>> {
        found.iter().flatten().map(|id| self.0.text_of(*id)).collect()
    }

    /// All of them or, when one is missing, none.
    fn all_texts(&self, found: &[Option<NodeId>]) -> Option<Vec<Bytes<'e>>> {
        found.iter().map(|id| id.map(|id| self.0.text_of(id))).collect()
    }

    fn container(&self, list: &str, field: ContainerField, index: Option<usize>) -> Option<Vec<Bytes<'e>>> {
        let found = |keys: &[&str]| self.under_containers(list, keys, index);
        match field {
            ContainerField::Args => self.joined(&found(&["args"])?),
            ContainerField::Command => self.joined(&found(&["command"])?),
            ContainerField::Name => self.all_texts(&found(&["name"])?),
            ContainerField::Image => self.all_texts(&found(&["image"])?),
            ContainerField::Repository => {
                let images = self.all_texts(&found(&["image"])?)?;
                Some(images.into_iter().map(repository).collect())
            }
            ContainerField::HostPort => self.host_ports(&found(&["ports"])?),
            ContainerField::Under(keys) => Some(self.texts(&found(keys)?)),
            ContainerField::Effective(key) => self.effective(&found(&[key])?, key),
        }
    }

    fn joined(&self, found: &[Option<NodeId>]) -> Option<Vec<Bytes<'e>>> {
        let join = |id: &NodeId| {
            let is_text = |id: NodeId| self.0.kind(id) == Kind::String;
            let words = (self.0.kind(*id) == Kind::Array).then(|| self.0.items(*id))?;
            let words: Option<Vec<Bytes<'e>>> = words.map(|w| is_text(w).then(|| self.0.string(w))).collect();
            Some(Cow::Owned(words?.join(&b' ')))
        };
        found.iter().flatten().map(join).collect()
    }

    fn host_ports(&self, found: &[Option<NodeId>]) -> Option<Vec<Bytes<'e>>> {
        let mut ports = Vec::new();
        for list in found.iter().flatten() {
            if self.0.kind(*list) != Kind::Array {
                return None;
            }
            for port in self.0.items(*list) {
                let number = self.0.get(port, "hostPort").or_else(|| self.0.get(port, "containerPort"));
                ports.extend(number.map(|n| self.0.text_of(n)));
            }
        }
        Some(ports)
    }

    fn effective(&self, found: &[Option<NodeId>], key: &str) -> Option<Vec<Bytes<'e>>> {
        let pod = self.at(&["requestObject", "spec", key]).map(|id| self.0.text_of(id));
        let pod = pod.unwrap_or(Cow::Borrowed(b"0"));
        Some(found.iter().map(|id| id.map_or_else(|| pod.clone(), |id| self.0.text_of(id))).collect())
    }

    fn any_privileged(&self) -> Option<Bytes<'e>> {
        let found = self.under_containers("containers", &["securityContext", "privileged"], None)?;
        let any = found.iter().flatten().any(|id| self.0.is_true(*id));
        Some(Cow::Borrowed(if any { b"true" } else { b"false" }))
    }

    fn rules(&self, key: &str, index: Option<usize>) -> Option<Vec<Bytes<'e>>> {
        let found = self.recursive(&["requestObject", "rules", key], index)?;
        let lists = found.iter().flatten().filter_map(|id| self.elements(*id));
        Some(lists.flatten().collect())
    }

    fn volume_host_path(&self, path: &str) -> Option<Bytes<'e>> {
        let keys = ["requestObject", "spec", "volumes", "hostPath", "path"];
        let paths = self.texts(&self.recursive(&keys, None)?);
        let any = paths.iter().any(|p| match path.strip_suffix('*') {
            Some(prefix) => p.starts_with(prefix.as_bytes()) || **p == *path.as_bytes(),
            None => **p == *path.as_bytes(),
        });
        Some(Cow::Borrowed(if any { b"true" } else { b"false" }))
    }

    fn volume_types(&self, index: Option<usize>) -> Option<Vec<Bytes<'e>>> {
        let found = self.recursive(&["requestObject", "spec", "volumes", ""], index)?;
        let objects = found.iter().flatten().filter(|id| self.0.kind(**id) == Kind::Object);
        let keys = objects.flat_map(|id| self.0.keys(*id)).filter(|key| **key != *b"name");
        Some(keys.collect())
    }

    fn target_pod_name(&self) -> Option<Bytes<'e>> {
        let text = |key| {
            let id = self.at(&["objectRef", key]).filter(|id| self.0.kind(*id) == Kind::String);
            id.map_or(Cow::Borrowed(&b""[..]), |id| self.0.string(id))
        };
        if *text("resource") != *b"pods" || !text("subresource").is_empty() {
            return None;
        }
        self.at(&["responseObject", "metadata", "name"]).map(|id| self.0.text_of(id))
    }

    fn subject_names(&self, kind: &str) -> Option<Vec<Bytes<'e>>> {
        let (kind, namespaced) = match kind {
            "NamespacedServiceAccount" => ("ServiceAccount", true),
            _ => (kind, false),
        };
        let subjects = self.at(&["requestObject", "subjects"])?;
        let name = |subject: NodeId| {
            let text = |key| self.0.get(subject, key).map(|id| self.0.text_of(id));
            let (of_kind, name) = (text("kind")?, text("name")?);
            if *of_kind != *kind.as_bytes() {
                return None;
            }
            if !namespaced {
                return Some(name);
            }
            Some(Cow::Owned([&text("namespace")?, &*name].join(&b':')))
        };
        (self.0.kind(subjects) == Kind::Array).then(|| self.0.items(subjects).filter_map(name).collect())
    }

    fn uri_param(&self, name: &str) -> Option<Bytes<'e>> {
        let uri = self.at(&["requestURI"]).map(|id| self.0.text_of(id))?;
        query_param(&uri, name.as_bytes()).map(Cow::Owned)
    }
}

/// An image's name up to its first `:` and `@`, a registry's port notwithstanding.
fn repository(image: Bytes<'_>) -> Bytes<'_> {
    let end = image.iter().position(|b| matches!(b, b':' | b'@')).unwrap_or(image.len());
    match image {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..end).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            Cow::Owned(bytes)
        }
    }
}

/// The first value of a query's parameter, read as Go's `net/url` does: one bad pair spoils the whole query.
fn query_param(uri: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if uri.iter().any(|b| *b < 0x20 || *b == 0x7f) {
        return None;
    }
    let uri = split_at_byte(uri, b'#').0;
    let (path, query) = split_at_byte(uri, b'?');
    percent_decoded(path, false)?;
    let mut value = None;
    for pair in query.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        if pair.contains(&b';') {
            return None;
        }
        let (key, text) = split_at_byte(pair, b'=');
        let (key, text) = (percent_decoded(key, true)?, percent_decoded(text, true)?);
        if value.is_none() && key == name {
            value = Some(text);
        }
    }
    value
}

fn split_at_byte(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let Some(i) = memchr::memchr(separator, text) else { return (text, &[]) };
    (text.get(..i).unwrap_or_default(), text.get(i + 1..).unwrap_or_default())
}

fn percent_decoded(text: &[u8], plus_is_blank: bool) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => rest.next().and_then(digit)? * 16 + rest.next().and_then(digit)?,
            b'+' if plus_is_blank => b' ',
            other => *other,
        });
    }
    Some(out)
}

/// The event as indented JSON text, two blanks a level; none unless it is JSON to the letter.
fn indented(reader: &Reader<'_>) -> Option<Vec<u8>> {
    let text = reader.span(Index::ROOT);
    let mut out = Vec::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text;
    let mut previous = 0;
    while let Some(byte) = rest.first().copied() {
        let empty = matches!(previous, b'{' | b'[') && matches!(byte, b'}' | b']');
        if matches!(byte, b'}' | b']') {
            depth = depth.saturating_sub(1);
        }
        if (matches!(previous, b'{' | b'[' | b',') || matches!(byte, b'}' | b']')) && !empty {
            new_line(&mut out, depth);
        }
        let length = match byte {
            b'"' => string_length(rest)?,
            b'{' | b'[' | b'}' | b']' | b',' | b':' => 1,
            _ => bare_length(rest)?,
        };
        let (token, tail) = rest.split_at_checked(length)?;
        out.extend_from_slice(token);
        match byte {
            b'{' | b'[' => depth += 1,
            b':' => out.push(b' '),
            _ => {}
        }
        (previous, rest) = (byte, tail);
    }
    Some(out)
}

/// The length of the string at the start of `text`, if it is one to the letter.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'u' => {
                    let digits = text.get(at + 2..at + 6)?;
                    digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    at += 6;
                }
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            },
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

/// The length of the number or word at the start of `text`, if it is one to the letter.
fn bare_length(text: &[u8]) -> Option<usize> {
    let length = text.iter().position(|b| matches!(b, b',' | b'}' | b']')).unwrap_or(text.len());
    let token = text.get(..length)?;
    if matches!(token, b"true" | b"false" | b"null") {
        return Some(length);
    }
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = token.strip_prefix(b"-").unwrap_or(token);
    let whole = digits(rest);
    let leading_zero = whole > 1 && rest.first() == Some(&b'0');
    rest = rest.get(whole..)?;
    let mut fine = whole > 0 && !leading_zero;
    if let Some(fraction) = rest.strip_prefix(b".") {
        fine &= digits(fraction) > 0;
        rest = fraction.get(digits(fraction)..)?;
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent =
            exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        fine &= digits(exponent) > 0;
        rest = exponent.get(digits(exponent)..)?;
    }
    (fine && rest.is_empty()).then_some(length)
}

fn new_line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

/// A number as Falco prints it.
pub(crate) fn number_text(bytes: &[u8], padded: bool) -> String {
    let mut text = String::new();
    let value = as_u64(bytes);
    let _ = if padded { write!(text, "{value:09}") } else { write!(text, "{value}") };
    text
}

/// A number from its little-endian bytes.
pub(crate) fn as_u64(bytes: &[u8]) -> u64 {
    let mut buffer = [0; 8];
    for (slot, byte) in buffer.iter_mut().zip(bytes) {
        *slot = *byte;
    }
    u64::from_le_bytes(buffer)
}
