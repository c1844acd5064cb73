//! What a cloud's export of its audit log wraps around the events.
//!
//! | cloud | export | event |
//! | --- | --- | --- |
//! | GKE | Cloud Logging entries, as `gcloud logging read --format=json` and sinks write them | built from `protoPayload`, as the plugin k8saudit-gke does it |
//! | EKS | CloudWatch: `aws logs filter-log-events`, subscriptions, and lines that start with a time | the text of `message` |
//! | AKS | Azure Monitor and Event Hub: `records`, or one record a line | the text of `properties.log` |
//! | AKS | rows of Log Analytics, table AzureDiagnostics | the text of `log_s` |
//! | AKS | rows of Log Analytics, tables AKSAudit and AKSAuditAdmin | built from the columns |

use std::borrow::Cow;

use serde_json::{Map, Value, json};

/// Who exported a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    /// Google's Cloud Logging.
    Google,
    /// Amazon's CloudWatch.
    Amazon,
    /// Azure Monitor, with the API server's text.
    Azure,
    /// Azure's Log Analytics, with a column for each part of an event.
    AzureColumns,
}

impl Cloud {
    /// Do the objects in its events have their keys in the API server's order? Columns of Log Analytics hold them as
    /// property bags, whose keys have none
    /// (<https://learn.microsoft.com/kusto/query/scalar-data-types/dynamic>).
    pub(super) fn keeps_order(self) -> bool {
        matches!(self, Cloud::Amazon | Cloud::Azure)
    }
}

/// The texts of the audit events in a piece of a log that is itself none, each of which may turn out to be no event;
/// `None` if no cloud writes such a thing. Entries of other logs are left out.
pub(super) fn unwrapped(text: &[u8]) -> Option<(Cloud, Vec<Cow<'_, [u8]>>)> {
    if let Some(event) = after_time(text) {
        return Some((Cloud::Amazon, vec![Cow::Borrowed(event)]));
    }
    let mut value: Value = serde_json::from_slice(text).ok()?;
    let entries = match &mut value {
        Value::Array(entries) => std::mem::take(entries),
        other => vec![other.take()],
    };
    let mut cloud = None;
    let mut events = Vec::new();
    for entry in entries {
        let (of, found) = of_entry(entry)?;
        cloud = Some(of);
        events.extend(found.into_iter().map(|event| Cow::Owned(event.into_bytes())));
    }
    Some((cloud?, events))
}

/// The events of one entry.
fn of_entry(mut entry: Value) -> Option<(Cloud, Vec<String>)> {
    if entry.get("protoPayload").is_some() {
        return Some((Cloud::Google, vec![of_google(&mut entry)?]));
    }
    if let Some(log) = entry.get_mut("log_s") {
        let log = text(log.take())?;
        let is_audit = entry
            .get("Category")
            .is_none_or(|category| category.as_str().is_some_and(|name| name.starts_with("kube-audit")));
        return Some((Cloud::Azure, is_audit.then_some(log).into_iter().collect()));
    }
    if entry.get("AuditId").is_some() {
        return Some((Cloud::AzureColumns, vec![of_columns(&mut entry)?]));
    }
    for key in ["events", "logEvents"] {
        if let Some(Value::Array(events)) = entry.get_mut(key) {
            let events = std::mem::take(events);
            let messages: Option<Vec<String>> =
                events.into_iter().map(|mut event| text(event.get_mut("message")?.take())).collect();
            return Some((Cloud::Amazon, messages?));
        }
    }
    let records = match entry.get_mut("records") {
        Some(Value::Array(records)) => std::mem::take(records),
        Some(_) => return None,
        None => vec![entry],
    };
    let mut events = Vec::new();
    for mut record in records {
        let category = record.get("category").and_then(Value::as_str)?;
        if category.starts_with("kube-audit") {
            events.push(text(record.get_mut("properties")?.get_mut("log")?.take())?);
        }
    }
    Some((Cloud::Azure, events))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// What follows the time, and perhaps the log stream's name, at the start of a line.
fn after_time(line: &[u8]) -> Option<&[u8]> {
    /// The longest time and name of a log stream.
    const LONGEST: usize = 600;
    let line = line.trim_ascii_start();
    let [year @ .., b'-'] = line.get(..5)? else { return None };
    if !year.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let start = memchr::memchr(b'{', line.get(..LONGEST.min(line.len()))?)?;
    let before = line.get(..start)?;
    before.ends_with(b" ").then(|| line.get(start..)).flatten()
}

/// An entry of Cloud Logging as the event that the plugin k8saudit-gke makes of it: the verb is the end of the method's
/// name, the code of the response is inferred from the verb, and all there is of the user is a name.
fn of_google(entry: &mut Value) -> Option<String> {
    let log = entry.get("logName")?.as_str()?;
    let is_audit = log.ends_with("cloudaudit.googleapis.com%2Factivity")
        || log.ends_with("cloudaudit.googleapis.com%2Fdata_access");
    let is_cluster = entry.pointer("/resource/type").is_some_and(|kind| kind == "k8s_cluster");
    let mut payload = entry.get_mut("protoPayload")?.take();
    if !is_audit || !is_cluster || payload.get("serviceName").is_none_or(|name| name != "k8s.io") {
        return None;
    }
    let at = |value: &Value, pointer: &str| {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let resource = at(&payload, "/resourceName");
    let verb = at(&payload, "/methodName").rsplit('.').next().unwrap_or_default().to_owned();
    let reference = reference(&resource);
    let subresource = reference.as_ref().and_then(|object| object.get("subresource")).and_then(Value::as_str);
    let (level, stage, code) = match (subresource, verb.as_str()) {
        (Some("attach" | "exec"), _) => ("Request", "ResponseStarted", 101),
        (_, "create") => ("RequestResponse", "ResponseComplete", 201),
        _ => ("RequestResponse", "ResponseComplete", 200),
    };
    let time = ["receiveTimestamp", "timestamp"].iter().find_map(|key| entry.get(*key)).cloned();
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| event.insert(key.to_owned(), value);
    put("kind", "Event".into());
    put("apiVersion", "audit.k8s.io/v1".into());
    put("level", level.into());
    put("auditID", at(entry, "/insertId").into());
    put("stage", stage.into());
    put("requestURI", format!("/{resource}").into());
    put("verb", verb.into());
    put("user", json!({ "username": at(&payload, "/authenticationInfo/principalEmail") }));
    put("sourceIPs", json!([at(&payload, "/requestMetadata/callerIp")]));
    put("userAgent", at(&payload, "/requestMetadata/callerSuppliedUserAgent").into());
    if let Some(reference) = reference {
        put("objectRef", Value::Object(reference));
    }
    put("responseStatus", json!({ "metadata": {}, "code": code }));
    for (from, to) in [("request", "requestObject"), ("response", "responseObject")] {
        if let Some(object) = payload.get_mut(from).filter(|object| object.is_object()) {
            put(to, sorted(object.take()));
        }
    }
    put("requestReceivedTimestamp", time.clone().unwrap_or_default());
    put("stageTimestamp", time.unwrap_or_default());
    let labels = ["/labels", "/resource/labels"].iter().filter_map(|at| entry.pointer(at)?.as_object());
    let labels: Map<String, Value> =
        labels.flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    put("annotations", Value::Object(labels));
    Some(Value::Object(event).to_string())
}

/// A row of AKSAudit or AKSAuditAdmin as the event that it was made of. There is no column for impersonation.
/// Source: <https://learn.microsoft.com/azure/azure-monitor/reference/tables/aksauditadmin>.
fn of_columns(row: &mut Value) -> Option<String> {
    const COLUMNS: [(&str, &str); 15] = [
        ("level", "Level"),
        ("auditID", "AuditId"),
        ("stage", "Stage"),
        ("requestURI", "RequestUri"),
        ("verb", "Verb"),
        ("user", "User"),
        ("sourceIPs", "SourceIps"),
        ("userAgent", "UserAgent"),
        ("objectRef", "ObjectRef"),
        ("responseStatus", "ResponseStatus"),
        ("requestObject", "RequestObject"),
        ("responseObject", "ResponseObject"),
        ("requestReceivedTimestamp", "RequestReceivedTime"),
        ("stageTimestamp", "StageReceivedTime"),
        ("annotations", "Annotations"),
    ];
    let row = row.as_object_mut()?;
    let mut event = Map::new();
    event.insert("kind".to_owned(), "Event".into());
    event.insert("apiVersion".to_owned(), "audit.k8s.io/v1".into());
    for (key, column) in COLUMNS {
        let value = match row.get_mut(column).map(Value::take) {
            // clients write what a column holds as text
            Some(Value::String(text)) if text.starts_with(['{', '[']) => serde_json::from_str(&text).ok()?,
            Some(Value::String(text)) if text.is_empty() => continue,
            None | Some(Value::Null) => continue,
            Some(value) => value,
        };
        event.insert(key.to_owned(), value);
    }
    Some(Value::Object(event).to_string())
}

/// The object that a resource's name tells of: `core/v1/namespaces/NAMESPACE/pods/NAME/SUBRESOURCE`.
fn reference(resource: &str) -> Option<Map<String, Value>> {
    let parts: Vec<&str> = resource.split('/').collect();
    let pairs: Vec<(&str, &str)> = match parts.as_slice() {
        [group, version, "namespaces", namespace, resource, rest @ ..] => {
            let mut pairs = vec![
                ("resource", *resource),
                ("namespace", *namespace),
                ("apiGroup", *group),
                ("apiVersion", *version),
            ];
            pairs.extend(["name", "subresource"].into_iter().zip(rest.iter().copied()));
            pairs
        }
        [group, version, resource, name, rest @ ..] => {
            let mut pairs = vec![
                ("resource", *resource),
                ("name", *name),
                ("apiGroup", *group),
                ("apiVersion", *version),
            ];
            pairs.extend(rest.first().map(|subresource| ("subresource", *subresource)));
            pairs
        }
        _ => return None,
    };
    Some(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect())
}

/// A value with its keys sorted, as a protobuf `Struct` writes them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<(String, Value)> =
                object.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"kind":"Event","verb":"create"}"#;

    fn of(text: &str) -> Option<(Cloud, Vec<String>)> {
        let (cloud, events) = unwrapped(text.as_bytes())?;
        let text = |event: Cow<'_, [u8]>| String::from_utf8(event.into_owned()).unwrap();
        Some((cloud, events.into_iter().map(text).collect()))
    }

    #[test]
    fn amazon_wraps_an_event_as_text() {
        let message = json!({"message": EVENT, "timestamp": 1, "logStreamName": "kube-apiserver-audit-0"});
        let expected = Some((Cloud::Amazon, vec![EVENT.to_owned()]));
        assert_eq!(of(&json!({"events": [message], "searchedLogStreams": []}).to_string()), expected);
        assert_eq!(of(&json!({"messageType": "DATA_MESSAGE", "logEvents": [message]}).to_string()), expected);
        assert_eq!(of(&format!("2026-11-24T10:00:00.000Z {EVENT}")), expected);
        assert_eq!(of(&format!("2026-11-24T10:00:00+00:00 kube-apiserver-audit-0 {EVENT}")), expected);
        assert_eq!(of("2026-11-24T10:00:00.000Z started"), None);
        assert_eq!(of("{\"events\":[{\"text\":1}]}"), None);
    }

    #[test]
    fn azure_wraps_an_event_as_text() {
        let record = |category: &str| json!({"category": category, "properties": {"log": EVENT, "pod": "p"}});
        let (audit, admin, other) = (record("kube-audit"), record("kube-audit-admin"), record("guard"));
        let expected = |count| Some((Cloud::Azure, vec![EVENT.to_owned(); count]));
        assert_eq!(of(&json!({"records": [audit, other, admin]}).to_string()), expected(2));
        assert_eq!(of(&audit.to_string()), expected(1));
        assert_eq!(of(&json!([audit, other]).to_string()), expected(1));
        assert_eq!(of("{\"records\":7}"), None);
    }

    #[test]
    fn rows_of_azure_hold_an_event_as_text_or_in_columns() {
        let row =
            |category: &str| json!({"Category": category, "TableName": "PrimaryResult", "log_s": EVENT});
        let expected = |count| Some((Cloud::Azure, vec![EVENT.to_owned(); count]));
        assert_eq!(
            of(&json!([row("kube-audit"), row("guard"), row("kube-audit-admin")]).to_string()),
            expected(2)
        );
        assert_eq!(of(&json!([{ "log_s": EVENT }]).to_string()), expected(1));
        assert_eq!(of(&json!([{ "log_s": 7 }]).to_string()), None);

        let pod = json!({"kind": "Pod", "spec": {}});
        let row = json!({
            "AuditId": "a1", "Verb": "create", "Stage": "ResponseComplete", "User": "{\"username\":\"ann\"}",
            "ResponseObject": pod, "RequestObject": "skipped-too-big-size-object", "ObjectRef": null, "UserAgent": "",
            "Type": "AKSAudit",
        });
        let (cloud, events) = of(&json!([row]).to_string()).unwrap();
        assert_eq!((cloud, events.len()), (Cloud::AzureColumns, 1));
        let event: Value = serde_json::from_str(&events[0]).unwrap();
        let expected = json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": "a1", "stage": "ResponseComplete",
            "verb": "create", "user": {"username": "ann"}, "requestObject": "skipped-too-big-size-object",
            "responseObject": pod,
        });
        assert_eq!(event, expected);
        assert_eq!(of(r#"[{"AuditId":"a1","User":"{broken"}]"#), None);
    }

    #[test]
    fn google_writes_an_event_anew() {
        let entry = json!({
            "insertId": "a1", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
            "labels": {"authorization.k8s.io/decision": "allow"}, "receiveTimestamp": "2026-11-24T10:00:00.123456789Z",
            "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c"}},
            "protoPayload": {
                "serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.create",
                "resourceName": "core/v1/namespaces/shop/pods/web", "requestMetadata": {"callerIp": "10.0.0.1"},
                "authenticationInfo": {"principalEmail": "ann@example.com"},
                "response": {"kind": "Pod", "@type": "core.k8s.io/v1.Pod", "apiVersion": "v1"},
            },
        });
        let (cloud, events) = of(&json!([entry]).to_string()).unwrap();
        assert_eq!(cloud, Cloud::Google);
        let event: Value = serde_json::from_str(&events[0]).unwrap();
        let reference = json!({"resource": "pods", "namespace": "shop", "name": "web", "apiGroup": "core", "apiVersion": "v1"});
        assert_eq!(event["objectRef"], reference);
        assert_eq!((&event["verb"], &event["responseStatus"]["code"]), (&json!("create"), &json!(201)));
        assert_eq!(event["user"], json!({"username": "ann@example.com"}));
        assert_eq!(event["annotations"]["cluster_name"], "c");
        assert!(
            events[0].contains(r#"{"@type":"core.k8s.io/v1.Pod","apiVersion":"v1","kind":"Pod"}"#),
            "{}",
            events[0]
        );
        let mut other = entry.clone();
        other["resource"]["type"] = "k8s_node".into();
        assert_eq!(of(&other.to_string()), None);
    }

    #[test]
    fn an_exec_has_only_begun() {
        let object = reference("core/v1/namespaces/shop/pods/web/exec").unwrap();
        assert_eq!(object["subresource"], "exec");
        assert_eq!(reference("core/v1/namespaces/shop/pods").unwrap().get("name"), None);
        assert_eq!(reference("core/v1/nodes/n/status").unwrap()["subresource"], "status");
        assert_eq!(reference("core/v1"), None);
    }
}
