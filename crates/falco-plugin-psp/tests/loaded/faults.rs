//! What goes wrong: at the start it is an error that says what to do, later it changes nothing.

use std::fs;
use std::time::{Duration, Instant};

use psp_admission::Bundle;

use crate::library::{API, Running, config_schema, text};
use crate::recordings::{bundle, inventory, values, write};

fn some_bundle(name: &str) -> Bundle {
    let mut policy = values("single/policies.jsonl.gz")[0]["policy"].clone();
    policy["metadata"]["name"] = name.into();
    bundle(&inventory(&policy.to_string()))
}

/// Why the plugin does not start with this configuration.
fn refusal(config: &str) -> String {
    Running::configured(config).err().unwrap_or_else(|| panic!("started with {config}"))
}

#[test]
fn says_who_it_is() {
    assert_eq!(text(API.get_name.unwrap()), "psp");
    assert_eq!(text(API.get_version.unwrap()), env!("CARGO_PKG_VERSION"));
    assert_eq!(text(API.__bindgen_anon_2.get_extract_event_sources.unwrap()), r#"["k8s_audit"]"#);
    let schema: serde_json::Value = serde_json::from_str(&config_schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["policies"]["description"].as_str().unwrap().contains("psp_policies.json"));
}

#[test]
fn refuses_what_it_cannot_judge_by() {
    let folder = tempfile::tempdir().unwrap();
    let (good, digest) = some_bundle("web").to_text();
    let path = folder.path().join("policies.json");
    let config = serde_json::json!({ "policies": path }).to_string();
    let refused = |content: &str, why: &[&str]| {
        fs::write(&path, content).unwrap();
        let refusal = refusal(&config);
        for part in why {
            assert!(refusal.contains(part), "{refusal}\nlacks {part}");
        }
        assert!(refusal.contains("policies.json: "), "{refusal}");
    };
    refused("", &["line 1 column 0", "write it with psp2falco convert --plugin"]);
    refused("apiVersion: v1\n", &["not a bundle of policies", "psp2falco convert --plugin"]);
    refused(&good.replace("\"version\": 1", "\"version\": 2"), &["version 2 is not known here, only 1"]);
    refused(good.split_at(good.len() / 2).0, &["not a bundle of policies: EOF"]);
    refused(&good.replace(&digest, "sha256:0"), &["states sha256:0, but what it holds is sha256:", "torn"]);
    refused(&good.replace("\"web\"", "\"web2\""), &["it is torn, or was changed by hand"]);
    refused(&good.replace("\"spec\"", "\"name\": \"x\", \"spec\""), &["duplicate field `name`"]);
    refused(&good.replace("\"spec\"", "\"specs\""), &["unknown field `specs`"]);

    fs::remove_file(&path).unwrap();
    assert!(refusal(&config).contains("policies.json: the bundle of policies cannot be read: "));
    assert!(refusal("{}").contains("init_config.policies is missing; name the psp_policies.json"));
    assert!(refusal(r#"{"policy": "x"}"#).contains("unknown field `policy`, expected `policies`"));

    fs::write(&path, &good).unwrap();
    assert!(Running::configured(&config).is_ok());
}

/// A file larger than a bundle may be is not read to its end.
#[test]
fn refuses_a_bundle_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.json");
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let refusal = refusal(&serde_json::json!({ "policies": path }).to_string());
    assert!(refusal.contains("67108865 bytes are more than a bundle may have (67108864)"), "{refusal}");
}

#[test]
fn reads_the_bundle_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (some_bundle("first"), some_bundle("second"));
    let path = write(&first, folder.path());
    let mut plugin = Running::with_bundle(&path);
    let event = serde_json::json!({
        "stage": "ResponseComplete", "verb": "create", "objectRef": {"resource": "pods", "namespace": "a"},
        "responseStatus": {"code": 201}, "responseObject": {"kind": "Pod", "spec": {"containers": []}},
    })
    .to_string();
    let mut in_force = || plugin.fields(event.as_bytes()).bundle;
    assert_eq!(in_force(), first.digest());

    // replaced as a ConfigMap is: another file under the same name
    let other = folder.path().join("other");
    fs::write(&other, second.to_text().0).unwrap();
    fs::rename(&other, &path).unwrap();
    let patience = Instant::now() + Duration::from_secs(120);
    while in_force() != second.digest() {
        assert!(Instant::now() < patience, "the change is not seen");
        std::thread::sleep(Duration::from_millis(50));
    }

    // what cannot be used, and what is gone, leaves it in force
    fs::write(&path, "torn").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(in_force(), second.digest());
    fs::remove_file(&path).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(in_force(), second.digest());
    write(&first, folder.path());
    while in_force() != first.digest() {
        assert!(Instant::now() < patience, "the change is not seen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Events as no API server writes them: nothing fails, and a pod that cannot be read is unknown.
#[test]
fn withstands_hostile_events() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = Running::with_bundle(&write(&some_bundle("web"), folder.path()));
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let about_pods = r#""stage":"ResponseComplete","verb":"create","objectRef":{"resource":"pods","namespace":"a"},"responseStatus":{"code":201}"#;
    let event = |object: &str| format!("{{{about_pods},\"responseObject\":{object}}}");
    for (object, verdict) in [
        ("null".to_owned(), "unknown"),
        ("[]".to_owned(), "unknown"),
        ("{}".to_owned(), "unknown"),
        (r#"{"kind":"EphemeralContainers"}"#.to_owned(), "unknown"),
        (deep("[", "]"), "unknown"),
        (deep("{\"spec\":", "}").replace(":}", ":1}"), "refused"),
        (
            r#"{"spec":{"containers":[{"name":"a","securityContext":"#.to_owned() + &deep("[", "]") + "}]}}",
            "any",
        ),
        (r#"{"spec":{"hostNetwork":false,"hostNetwork":true,"containers":[]}}"#.to_owned(), "any"),
        (format!(r#"{{"spec":{{"containers":[{}1]}}}}"#, "1,".repeat(100_000)), "any"),
        (r#"{"spec":"#.to_owned(), "unknown"),
    ] {
        let fields = plugin.fields(event(&object).as_bytes());
        let start: String = object.chars().take(60).collect();
        assert!(
            !fields.verdict.is_empty()
                && (verdict == "any" || verdict == "refused" || fields.verdict == verdict),
            "{start}: {fields:?}"
        );
    }
    let mut bytes = event(r#"{"spec":{"containers":[{"name":"X"}]}}"#).into_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'X').unwrap();
    bytes[at] = 0xff;
    assert_eq!(plugin.fields(&bytes).verdict, "unknown");

    for other in
        ["", "{", "null", "\"pods\"", "[\"pods\"]", "\u{0}\"pods\"", "{\"verb\":\"list\",\"x\":\"pods\""]
    {
        let fields = plugin.fields(other.as_bytes());
        assert!(fields.violations.is_empty(), "{other}: {fields:?}");
    }
    assert_eq!(plugin.fields(br#"{"verb":"list","objectRef":{"resource":"pods"}}"#).verdict, "");
}
