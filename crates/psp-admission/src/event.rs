//! Audit events that tell of a new pod, whoever wrote the log: the API server, or what stands between it and the log.
//!
//! An event is read in one pass over its text, with its keys in any order. Nothing is allocated for an event that is not
//! about pods, and the API server's own order of keys shows most others for what they are within their first lines.

use memchr::memmem;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::access::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, account, account_groups};
use crate::lenient::{Key, Lenient, Read, Text, object};
use crate::pod::{EventObject, SentPod, StoredPod};

/// Which object of an audit event is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditObject {
    /// `responseObject`: the pod as stored, after every mutation.
    #[default]
    Response,
    /// `requestObject`: the pod as the client sent it, for logs that hold no more.
    Request,
}

/// A request that made a pod, or gave one an ephemeral container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodEvent<'a> {
    /// The pod; `None`: the event does not hold it, since it was logged with too little detail, or cut.
    pub pod: Option<StoredPod<'a>>,
    /// The pod's namespace.
    pub namespace: Text<'a>,
    /// Who asked: the impersonated user, where there is one. Authorization asks for that one only (`k8s.io/apiserver`
    /// `filters/impersonation.go`).
    pub user: Text<'a>,
    /// The groups of who asked. Where the log has none, those that the name of the user shows.
    pub groups: Vec<Text<'a>>,
    /// Does every policy change the pod ([`changes_under_all`](crate::changes_under_all))?
    pub changed: bool,
}

impl<'a> PodEvent<'a> {
    /// Reads an audit event (`audit.k8s.io`, one JSON object). `None` if it tells of no new pod.
    ///
    /// A pod is made by a request for `pods` without a subresource that succeeded: by `create`, or by `patch` or
    /// `update` with code 201, as server-side apply does it. `pods/ephemeralcontainers` gives a pod another container.
    /// A dry run makes nothing, nor does a request that is answered by a `Status`: where the log tells no code, and what
    /// reads it takes one for granted (k8saudit-gke), that is how a refusal shows.
    ///
    /// Text that is no JSON tells of a pod nobody can judge if what can be read of it does not say otherwise.
    pub fn read(text: &'a [u8], object: AuditObject) -> Option<Self> {
        // the name of the resource is there in every event about pods, and in few others
        memmem::find(text, b"\"pods\"")?;
        let mut event = EventReader { object, ..EventReader::default() };
        let mut json = serde_json::Deserializer::from_slice(text);
        let broken = (&mut event).deserialize(&mut json).is_err();
        event.finish(broken)
    }
}

/// What has been read of an event.
#[derive(Debug, Default)]
struct EventReader<'a> {
    object: AuditObject,
    /// It tells of no new pod, for certain.
    is_other: bool,
    stage: Option<Text<'a>>,
    verb: Option<Text<'a>>,
    uri: Option<Text<'a>>,
    user: Option<UserObject<'a>>,
    impersonated: Option<UserObject<'a>>,
    target: Option<TargetObject<'a>>,
    code: Option<i64>,
    /// The object that is judged, where it is a pod.
    pod: Option<StoredPod<'a>>,
    /// The answer was a `Status`.
    has_failed: bool,
    /// Does every policy change the pod?
    changed: bool,
}

object! {
    struct UserObject<'a> {
        name: Option<Text<'a>> = "username",
        groups: Option<Groups<'a>> = "groups",
    }
    struct TargetObject<'a> {
        resource: Option<Text<'a>> = "resource",
        subresource: Option<Text<'a>> = "subresource",
        namespace: Option<Text<'a>> = "namespace",
    }
    struct StatusObject<'a> {
        code: Option<i64> = "code",
    }
}

/// The groups of a user, where the log has them.
#[derive(Debug, Default)]
struct Groups<'a>(Vec<Text<'a>>);

impl<'de> Lenient<'de> for Option<Groups<'de>> {
    fn of_list<A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        let groups = Vec::<Option<Text<'de>>>::of_list(list)?;
        Ok(Some(Groups(groups.into_iter().flatten().collect())))
    }
}

impl EventReader<'_> {
    /// Is it certain, by what was read so far, that the event tells of no new pod?
    fn tells_of_no_pod(&self) -> bool {
        let subresource =
            self.target.as_ref().map(|target| target.subresource.as_deref().unwrap_or_default());
        let other_request = match (self.verb.as_deref(), subresource) {
            (Some("create"), Some(subresource)) => !subresource.is_empty(),
            (Some("patch" | "update"), Some("")) => self.code.is_some_and(|code| code != 201),
            (Some("patch" | "update"), Some(subresource)) => subresource != "ephemeralcontainers",
            (Some("create" | "patch" | "update"), None) => false,
            (Some(_), _) => true,
            (None, _) => false,
        };
        other_request
            || self.has_failed
            || self.stage.as_ref().is_some_and(|stage| stage != "ResponseComplete")
            || self.target.as_ref().is_some_and(|target| target.resource.as_deref() != Some("pods"))
            || self.code.is_some_and(|code| !(200..300).contains(&code))
            || self.uri.as_deref().is_some_and(is_dry_run)
    }
}

impl<'a> EventReader<'a> {
    /// The event, once all of it is read; `broken`: it could not be read to its end.
    fn finish(self, broken: bool) -> Option<PodEvent<'a>> {
        let is_complete =
            self.stage.is_some() && self.verb.is_some() && self.target.is_some() && self.code.is_some();
        if self.is_other || !is_complete && !broken {
            return None;
        }
        let pod = self.pod.filter(|_| !broken);
        let namespace = self.target.and_then(|target| target.namespace);
        let namespace = namespace.or_else(|| pod.as_ref().map(|pod| pod.namespace.clone()));
        let user = self.impersonated.or(self.user).unwrap_or_default();
        let name = user.name.unwrap_or_default();
        let groups = user.groups.map_or_else(|| groups_of(&name), |groups| groups.0);
        Some(PodEvent {
            pod,
            namespace: namespace.unwrap_or_default(),
            user: name,
            groups,
            changed: self.changed,
        })
    }
}

/// The groups that a user has by name.
fn groups_of(user: &str) -> Vec<Text<'static>> {
    match (user, account(user)) {
        ("", _) => Vec::new(),
        (ANONYMOUS, _) => vec![UNAUTHENTICATED.into()],
        (_, Some((namespace, _))) => account_groups(namespace).into_iter().map(Text::Owned).collect(),
        (_, None) => vec![AUTHENTICATED.into()],
    }
}

/// Does the URI of a request ask for a dry run?
fn is_dry_run(uri: &str) -> bool {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|parameter| parameter == "dryRun=All")
}

impl<'de> DeserializeSeed<'de> for &mut EventReader<'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut EventReader<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an audit event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut event: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = event.next_key()? {
            match &*key {
                "stage" => self.stage = event.next_value::<Read<_>>()?.0,
                "verb" => self.verb = event.next_value::<Read<_>>()?.0,
                "requestURI" => self.uri = event.next_value::<Read<_>>()?.0,
                "user" => self.user = event.next_value::<Read<_>>()?.0,
                "impersonatedUser" => self.impersonated = event.next_value::<Read<_>>()?.0,
                "objectRef" => self.target = event.next_value::<Read<_>>()?.0,
                "responseStatus" => {
                    let status: Read<Option<StatusObject<'de>>> = event.next_value()?;
                    self.code = status.0.and_then(|status| status.code);
                }
                "requestObject" if self.object == AuditObject::Request => {
                    self.pod = event.next_value::<Read<EventObject<'de>>>()?.0.pod;
                    self.changed = self.pod.as_ref().is_some_and(|pod| pod.changes_under_all);
                }
                "requestObject" => self.changed = event.next_value::<Read<SentPod>>()?.0.changes_under_all,
                "responseObject" if self.object == AuditObject::Response => {
                    let Read(EventObject { pod, is_status }) = event.next_value()?;
                    (self.pod, self.has_failed) = (pod, is_status);
                }
                _ => {
                    event.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            self.is_other = self.tells_of_no_pod();
            if self.is_other {
                return Err(serde::de::Error::custom("tells of no new pod"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: &str = r#"{"kind":"Pod","metadata":{"namespace":"b"},"spec":{"serviceAccountName":"sa","hostNetwork":true}}"#;

    fn event(verb: &str, target: &str, code: &str, more: &str) -> String {
        format!(
            r#"{{"kind":"Event","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/a/pods","verb":"{verb}",
                "user":{{"username":"jane","groups":["dev"]}},"objectRef":{{{target}}},
                "responseStatus":{{"code":{code}}}{more},"responseObject":{POD}}}"#
        )
    }

    const PODS: &str = r#""resource":"pods","namespace":"a""#;

    fn read(text: &str) -> Option<PodEvent<'_>> {
        PodEvent::read(text.as_bytes(), AuditObject::Response)
    }

    #[test]
    fn knows_the_requests_that_make_pods() {
        let debug = r#""resource":"pods","namespace":"a","subresource":"ephemeralcontainers""#;
        let binding = r#""resource":"pods","namespace":"a","subresource":"binding""#;
        for (verb, target, code, makes) in [
            ("create", PODS, "201", true),
            ("create", PODS, "201.0", true),
            ("create", PODS, "202", true),
            ("create", PODS, "403", false),
            ("create", r#""resource":"pods","subresource":"""#, "201", true),
            ("create", r#""resource":"deployments","name":"pods""#, "201", false),
            ("create", binding, "201", false),
            ("create", debug, "201", false),
            ("patch", PODS, "201", true),
            ("patch", PODS, "200", false),
            ("update", PODS, "200", false),
            ("patch", debug, "200", true),
            ("update", debug, "200", true),
            ("list", PODS, "200", false),
            ("delete", PODS, "200", false),
        ] {
            let text = event(verb, target, code, "");
            let found = read(&text);
            assert_eq!(found.is_some(), makes, "{verb} {target} {code}");
            assert!(found.is_none_or(|found| found.pod.is_some_and(|pod| pod.pod.host_network)));
        }
        let dry = event("create", PODS, "201", "").replace("/pods", "/pods?fieldManager=x&dryRun=All");
        assert_eq!(read(&dry), None);
        let early = event("create", PODS, "201", "").replace("ResponseComplete", "RequestReceived");
        assert_eq!(read(&early), None);
    }

    #[test]
    fn knows_who_asked_and_for_what() {
        let text = event("create", PODS, "201", "");
        let found = read(&text).unwrap();
        assert_eq!(
            (&*found.user, &*found.namespace, found.groups.as_slice()),
            ("jane", "a", &["dev".into()][..])
        );
        let pod = found.pod.unwrap();
        assert_eq!((&*pod.service_account, pod.owner), ("sa", None));

        let owners = r#"{"kind":"Pod","metadata":{"ownerReferences":[{"kind":"ReplicaSet","name":"web-5d","uid":"1"},{}]},"spec":{}}"#;
        let text = text.replace(POD, owners);
        let owner = read(&text).unwrap().pod.unwrap().owner;
        assert_eq!(owner, Some(("ReplicaSet".into(), "web-5d".into())));

        let text = event("create", PODS, "201", r#","impersonatedUser":{"username":"joe"}"#);
        let found = read(&text).unwrap();
        assert_eq!((&*found.user, found.groups.as_slice()), ("joe", &["system:authenticated".into()][..]));

        let account = r#","impersonatedUser":{"username":"system:serviceaccount:x:y"}"#;
        let text = event("create", r#""resource":"pods""#, "201", account);
        let found = read(&text).unwrap();
        assert_eq!(
            found.groups,
            ["system:serviceaccounts", "system:serviceaccounts:x", "system:authenticated"]
        );
        assert_eq!(found.namespace, "b", "where the request names none, the pod does");
    }

    #[test]
    fn says_when_the_pod_is_not_there() {
        let whole = event("create", PODS, "201", "");
        for text in [
            whole.replace(&format!(r#","responseObject":{POD}"#), ""),
            whole.replace(POD, "null"),
            whole.replace(POD, r#"{"kind":"EphemeralContainers"}"#),
            // cut, as CloudWatch does it
            whole.split_at(whole.len() - 20).0.to_owned(),
        ] {
            assert_eq!(read(&text).unwrap().pod, None, "{text}");
        }
        assert_eq!(read(&whole.replace(POD, r#"{"kind":"Status"}"#)), None, "the request was refused");
        // what is not said to be about a pod is not, even cut
        assert_eq!(read(r#"{"verb":"list","objectRef":{"resource":"pods""#), None);
        assert_eq!(PodEvent::read(whole.as_bytes(), AuditObject::Request).unwrap().pod, None);
    }

    #[test]
    fn knows_when_every_policy_changes_the_pod() {
        let sent = |metadata: &str| {
            format!(
                r#","requestObject":{{"metadata":{{{metadata}}},"spec":{{"securityContext":{{"seccompProfile":{{"type":"RuntimeDefault"}}}}}}}}"#
            )
        };
        let annotated = r#""annotations":{"seccomp.security.alpha.kubernetes.io/pod":"runtime/default"}"#;
        for (more, changed) in [(sent(""), true), (sent(annotated), false), (String::new(), false)] {
            let text = event("create", PODS, "201", &more);
            assert_eq!(read(&text).unwrap().changed, changed);
            if !more.is_empty() {
                let request = PodEvent::read(text.as_bytes(), AuditObject::Request).unwrap();
                assert_eq!((request.changed, request.pod.is_some()), (changed, true));
            }
        }
    }
}
