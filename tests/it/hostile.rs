//! Values that strangers propose stay values: whatever stands in a policy, the rules are those that were meant, every
//! YAML reader sees the same ones, and a value matches itself and nothing else.
//!
//! A failure prints its seed; `PSP2FALCO_SEED=… cargo test --test it hostile::` runs it again.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

use crate::common::random::{Random, seed};

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use falco_rules::{self as falco, Event, RuleSet};
use psp_admission::scope::{IMAGES, NAMESPACES};
use psp_admission::{Pod, Verdict, judge};
use psp2falco::cli::ReportFormat;
use psp2falco::paint::Paint;
use psp2falco::rbac;
use psp2falco::read::{Inventory, Located, Options, read_text};
use psp2falco::render::{self, AuditObject, audit_rules};
use psp2falco::report::{self, model::Report};
use psp2falco::wrap::{self, Format};
use serde_json::{Value, json};

/// What has hurt programs like this one.
const HOSTILE: [&str; 68] = [
    "<script>alert(1)</script>",
    "</td></tr>&lt;<!-- -->",
    "a | b \\| `c` **d** [e](f) ::warning file=x::y",
    "%0A::error::x",
    "'",
    "\"",
    "\\",
    "\\\"",
    "\\'",
    "it's",
    "\"q\"",
    "' or jevt.value[/kind]=Event or ka.verb='",
    "\" or (jevt.rawtime exists) or ka.verb in (\"",
    "a\nb",
    "a\r\nb",
    "x\n- rule: injected\n  condition: jevt.rawtime=0",
    "\n---\n",
    "a\tb",
    "\t",
    " ",
    " lead and trail ",
    "two  blanks",
    "{{policy}}",
    "{{> violation}}",
    "{{{id}}}",
    "{{#each counts}}x{{/each}}",
    "%ka.user.name",
    "%(ka.user.name)",
    "$",
    "${HOME}",
    "$(id)",
    "`id`",
    "(",
    ")",
    "))) or (((",
    "a,b",
    "a, b",
    "a=b",
    ".*",
    "[a-z]+",
    "[^",
    "]",
    "^a$",
    "a{2,3}",
    "(a|b)",
    "a*?",
    "yes",
    "no",
    "null",
    "~",
    "0o7",
    "1_000",
    "12:30",
    "=",
    "<<",
    "!!binary x",
    "&a *a",
    "# no comment",
    "- : ?",
    "\u{1}\u{7}\u{1b}[2J",
    "\u{7f}\u{80}\u{9f}",
    "\u{85}",
    "\u{2028}\u{2029}",
    "\u{feff}",
    "\u{202e}gpj.\u{200f}",
    "é\u{301}😀\u{fffe}\u{ffff}",
    "psps_exempt_namespaces psps_privileged",
    "a psps_exempt_namespaces b,psps_exempt_namespaces,(psps_exempt_namespaces)=psps_exempt_namespaces=",
];

/// Every field that takes free text, the policy that allows `text` there alone, and the pod that has it.
type Field = (&'static str, fn(&str) -> Value, fn(&str) -> Value);

const FIELDS: [Field; 13] = [
    ("allowedHostPaths", |t| spec(&json!({"allowedHostPaths": [{"pathPrefix": t}]})), host_path),
    (
        "allowedHostPaths",
        |t| spec(&json!({"allowedHostPaths": [{"pathPrefix": t, "readOnly": true}, {"pathPrefix": "/w"}]})),
        host_path,
    ),
    (
        "allowedFlexVolumes",
        |t| spec(&json!({"allowedFlexVolumes": [{"driver": t}]})),
        |t| pod(&json!({"volumes": [{"name": "v", "flexVolume": {"driver": t}}]}), &json!({})),
    ),
    (
        "allowedCapabilities",
        |t| spec(&json!({"allowedCapabilities": ["KILL", t]})),
        |t| pod(&json!({}), &json!({"capabilities": {"add": [t]}})),
    ),
    (
        "defaultAddCapabilities",
        |t| spec(&json!({"defaultAddCapabilities": [t]})),
        |t| pod(&json!({}), &json!({"capabilities": {"add": [t]}})),
    ),
    (
        "requiredDropCapabilities",
        |t| {
            let mut policy = spec(&json!({"requiredDropCapabilities": [t]}));
            policy["spec"]["allowedCapabilities"] = json!([]);
            policy
        },
        |t| pod(&json!({}), &json!({"capabilities": {"drop": [t]}})),
    ),
    (
        "seLinux",
        |t| se_linux(&json!({"user": t, "role": "r"})),
        |t| pod(&json!({}), &json!({"seLinuxOptions": {"user": t, "role": "r"}})),
    ),
    (
        "seLinux",
        |t| se_linux(&json!({"type": t})),
        |t| pod(&json!({}), &json!({"seLinuxOptions": {"type": t}})),
    ),
    (
        "seLinux",
        |t| se_linux(&json!({"level": t})),
        |t| pod(&json!({}), &json!({"seLinuxOptions": {"level": t}})),
    ),
    (
        "seLinux",
        |t| se_linux(&json!({"level": format!("s0:{t},c2,c3,c4,c5")})),
        |t| pod(&json!({}), &json!({"seLinuxOptions": {"level": format!("s0:c5,c4,{t},c3,c2")}})),
    ),
    (
        "seccomp",
        |t| annotated("seccomp.security.alpha.kubernetes.io/allowedProfileNames", t),
        |t| {
            let profile = json!({"type": "Localhost", "localhostProfile": t});
            let mut pod = pod(&json!({}), &json!({"seccompProfile": profile}));
            pod["spec"]["securityContext"]["seccompProfile"] = profile;
            pod
        },
    ),
    (
        "apparmor",
        |t| annotated("apparmor.security.beta.kubernetes.io/allowedProfileNames", t),
        |t| pod(&json!({}), &json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": t}})),
    ),
    (
        "apparmor",
        |t| annotated("apparmor.security.beta.kubernetes.io/allowedProfileNames", t),
        |t| {
            let mut pod = pod(&json!({}), &json!({}));
            pod["metadata"]["annotations"] =
                json!({"container.apparmor.security.beta.kubernetes.io/c": format!("localhost/{t}")});
            pod
        },
    ),
];

/// A policy that allows all but what `restricted` says.
fn spec(restricted: &Value) -> Value {
    let mut spec = json!({
        "privileged": true, "allowedCapabilities": ["*"], "volumes": ["*"], "hostNetwork": true, "hostPID": true,
        "hostIPC": true, "hostPorts": [{"min": 0, "max": 65535}], "seLinux": {"rule": "RunAsAny"},
        "runAsUser": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"}, "fsGroup": {"rule": "RunAsAny"},
        "allowedUnsafeSysctls": ["*"], "allowedProcMountTypes": ["Default", "Unmasked"],
    });
    spec.as_object_mut().unwrap().extend(restricted.as_object().unwrap().clone());
    json!({
        "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy",
        "metadata": {"name": "p", "annotations": {"seccomp.security.alpha.kubernetes.io/allowedProfileNames": "*"}},
        "spec": spec,
    })
}

fn se_linux(options: &Value) -> Value {
    spec(&json!({"seLinux": {"rule": "MustRunAs", "seLinuxOptions": options}}))
}

fn annotated(key: &str, text: &str) -> Value {
    let mut policy = spec(&json!({}));
    policy["metadata"]["annotations"][key] = format!("localhost/{text}").into();
    policy
}

fn host_path(path: &str) -> Value {
    pod(&json!({"volumes": [{"name": "v", "hostPath": {"path": path, "type": ""}}]}), &json!({}))
}

/// A pod as the API server stores it, with keys in its order.
fn pod(lead: &Value, security: &Value) -> Value {
    let mut spec = lead.as_object().unwrap().clone();
    let mut container = json!({
        "name": "c", "image": "example/web:1", "resources": {}, "volumeMounts": [{"name": "v", "readOnly": true, "mountPath": "/m"}],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "Always",
    });
    container["securityContext"] = security.clone();
    spec.insert("containers".into(), json!([container]));
    spec.insert("restartPolicy".into(), "Always".into());
    spec.insert("terminationGracePeriodSeconds".into(), 30.into());
    spec.insert("securityContext".into(), json!({}));
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "annotations": {}}, "spec": spec})
}

/// The audit event of a stored pod, in the bytes of Go's `encoding/json`.
fn event(pod: &Value) -> String {
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/a/pods", "verb": "create", "user": {"username": "u", "groups": []},
        "objectRef": {"resource": "pods", "namespace": "a", "apiVersion": "v1"},
        "responseStatus": {"code": 201}, "responseObject": pod,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    });
    let mut text = event.to_string();
    for letter in ['<', '>', '&', '\u{2028}', '\u{2029}'] {
        text = text.replace(letter, &format!("\\u{:04x}", letter as u32));
    }
    text
}

fn read(policy: &Value) -> Result<Inventory, Vec<String>> {
    // escaped, since YAML takes some of them in no other way
    let spelt = |c: char| match c {
        ' '..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{10000}'.. => c.to_string(),
        other => format!("\\u{:04x}", other as u32),
    };
    let text: String = policy.to_string().chars().map(spelt).collect();
    read_text("p.json", &text, &Options::default())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn load(text: &str) -> RuleSet {
    let loaded = falco::load(&[falco::Source { name: "rules.yaml", text }]);
    assert!(loaded.findings.is_empty(), "{}\n{text}", loaded.findings[0]);
    loaded.rules.unwrap()
}

fn rule_names(rules: &RuleSet) -> Vec<&str> {
    rules.rules().iter().map(|rule| rule.name.as_str()).collect()
}

/// Does every character stay on its line, in a terminal too?
fn is_plain(text: &str) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.contains(|c: char| c != '\n' && (c.is_control() || turns(c) || c == '\u{feff}'))
}

/// Rules files that the program makes of some policies, by name.
fn rules_files(policies: &[Located]) -> Vec<(&'static str, String)> {
    let make = |object, namespaces: &[&str]| {
        let options = render::Options {
            object,
            namespaces: namespaces.iter().map(ToString::to_string).collect(),
            max_volumes: 2,
            ..render::Options::default()
        };
        audit_rules(policies, &options).unwrap_or_else(|error| panic!("{error:#}")).text
    };
    let runtime = render::runtime_rules(policies, &render::Options::default());
    vec![
        ("audit", make(AuditObject::Response, &[])),
        ("audit of requests", make(AuditObject::Request, &["psps-exempt-namespaces", "yes", "0x1f"])),
        ("runtime", runtime.unwrap_or_else(|error| panic!("{error:#}")).text),
    ]
}

/// Everything else that the program says of some policies, by name.
fn talk(inventory: &Inventory) -> Vec<(&'static str, String)> {
    let options = render::Options::default();
    let rendered = audit_rules(&inventory.policies, &options).unwrap();
    let mut talk = vec![
        ("explain", report::explain::text(inventory, &options, true, None, Paint::default())),
        ("summary", report::summary(inventory, &rendered, &options)),
    ];
    let report = Report::new(inventory, std::slice::from_ref(&rendered), &options, None, None);
    for (name, format) in [
        ("text report", ReportFormat::Text),
        ("Markdown report", ReportFormat::Markdown),
        ("JSON report", ReportFormat::Json),
        ("HTML report", ReportFormat::Html),
        ("SARIF report", ReportFormat::Sarif),
        ("annotations", ReportFormat::Github),
    ] {
        talk.push((name, format.render(&report).unwrap()));
    }
    talk
}

/// Texts that are nearly `text`.
fn near_misses(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut near = vec![format!("{text}x"), format!("x{text}"), text.to_uppercase(), "other".to_owned()];
    near.push(letters[..letters.len().saturating_sub(1)].iter().collect());
    for at in 0..letters.len().min(5) {
        for other in ['x', '\\'] {
            let mut changed = letters.clone();
            changed[at] = other;
            near.push(changed.into_iter().collect());
        }
    }
    near.retain(|other| other != text && !other.is_empty());
    near
}

/// Holds one value in one field against admission; false when the API server would have refused the policy.
fn holds(field: &Field, text: &str) -> bool {
    let (name, policy, pod) = field;
    let inventory = match read(&policy(text)) {
        Ok(inventory) => inventory,
        Err(problems) => {
            assert!(problems.iter().all(|p| p.starts_with("p.json:1:") && is_plain(p)), "{problems:?}");
            return false;
        }
    };
    if let Err(error) = audit_rules(&inventory.policies, &render::Options::default()) {
        let error = format!("{error:#}");
        let reason =
            error.contains(" does not fit in a condition") || error.contains(" fits in no condition");
        assert!(reason && error.starts_with("p.json:1:1: "), "{error}");
        return false;
    }
    let benign = read(&policy("benign")).unwrap();
    let rules = load(&rules_files(&inventory.policies)[0].1);
    assert_eq!(
        rule_names(&rules),
        rule_names(&load(&rules_files(&benign.policies)[0].1)),
        "{name} of {text:?}"
    );
    let near = near_misses(text);
    for value in near.iter().map(String::as_str).chain([text]) {
        let pod = pod(value);
        let wanted = judge(&inventory.policies[0].policy, &Pod::new(&pod));
        let kind = if wanted.verdict == Verdict::Denied { "Violation" } else { "Lost Default" };
        let wanted: BTreeSet<String> = wanted.fields.iter().map(|f| format!("PSP p {kind} ({f})")).collect();
        let line = event(&pod);
        let event = Event::parse(line.as_bytes()).unwrap();
        let alerts: BTreeSet<String> = rules.alerts(&event).iter().map(|rule| rule.name.clone()).collect();
        assert_eq!(alerts, wanted, "{name} allows {text:?}, the pod has {value:?}\n{line}");
        assert!(value != text || kind != "Violation" || wanted.is_empty(), "{name} of {text:?}: {wanted:?}");
    }
    true
}

#[test]
fn a_value_matches_itself_and_nothing_else() {
    let mut held = 0;
    for field in &FIELDS {
        for (index, text) in HOSTILE.into_iter().enumerate() {
            let text = if index % 2 == 0 { text.to_owned() } else { format!("/a{text}/b") };
            // the API server writes these two in one way or another, by its release
            held += usize::from(!text.contains(['\u{8}', '\u{c}']) && holds(field, &text));
        }
    }
    assert!(held > 500, "{held} values were taken");
}

#[test]
fn a_mixture_of_hostile_values_matches_itself_and_nothing_else() {
    let seed = seed();
    eprintln!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let mut held = 0;
    for _ in 0..60 {
        let text: String = (0..1 + random.below(4)).map(|_| HOSTILE[random.below(HOSTILE.len())]).collect();
        let field = &FIELDS[random.below(FIELDS.len())];
        held += usize::from(!text.contains(['\u{8}', '\u{c}']) && holds(field, &text));
    }
    assert!(held > 20, "{held} values were taken");
}

/// One policy with `text` in every field that takes it.
fn everywhere(text: &str) -> Value {
    let mut policy = spec(&json!({}));
    for (_, with, _) in &FIELDS {
        let one = with(text);
        let fits =
            |inventory: Inventory| audit_rules(&inventory.policies, &render::Options::default()).is_ok();
        if !read(&one).is_ok_and(fits) {
            continue;
        }
        for part in ["metadata", "spec"] {
            let plain = spec(&json!({}))[part].clone();
            for (key, value) in one[part].as_object().unwrap() {
                if key == "annotations" {
                    let all = policy[part][key].as_object_mut().unwrap();
                    all.extend(value.as_object().unwrap().clone());
                } else if plain.get(key) != Some(value) && key != "requiredDropCapabilities" {
                    policy[part][key] = value.clone();
                }
            }
        }
    }
    let allowed = &mut policy["spec"]["allowedCapabilities"];
    if allowed == &json!([]) {
        *allowed = json!(["KILL", text]);
    }
    policy["metadata"]["annotations"]["falco-rules-psp-images"] = text.into();
    policy
}

/// What an independent reader of YAML 1.1 makes of some texts; none where none is at hand.
fn yaml_1_1(texts: &[String]) -> Option<Vec<Value>> {
    const SCRIPT: &str = "import json, sys, yaml\n\
        print(json.dumps([list(yaml.safe_load_all(text)) for text in json.load(sys.stdin)]))";
    let python = |args: &[&str]| {
        Command::new("python3")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let at_hand = python(&["-c", "import yaml"]).and_then(|mut child| child.wait());
    if !at_hand.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no independent reader of YAML 1.1 (python3 with PyYAML) has read the rules");
        return None;
    }
    let mut child = python(&["-c", SCRIPT]).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = json!(texts).to_string();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "PyYAML does not take the rules");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Our reader of rules files, YAML 1.2 and YAML 1.1 must see the same rules.
fn all_readers_agree(texts: &[String], independently: bool) {
    let independent = independently.then(|| yaml_1_1(texts)).flatten();
    for (index, text) in texts.iter().enumerate() {
        let items: Value = serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let rules = load(text);
        let of = |key: &str| -> Vec<(String, String)> {
            let named = items.as_array().unwrap().iter().filter(|item| item.get(key).is_some());
            let text = |item: &Value, key: &str| item[key].as_str().unwrap().trim_end().to_owned();
            named.map(|item| (text(item, key), text(item, "condition"))).collect()
        };
        let ours: Vec<(String, String)> = rules
            .rules()
            .iter()
            .map(|rule| (rule.name.clone(), rule.condition.trim_end().to_owned()))
            .collect();
        assert_eq!(of("rule"), ours);
        assert!(text.lines().all(is_plain), "{text}");
        if let Some(independent) = &independent {
            assert_eq!(independent[index], json!([items]), "{text}");
        }
    }
}

#[test]
fn every_yaml_reader_sees_the_same_rules() {
    let benign = read(&everywhere("benign")).unwrap();
    let expected: Vec<Vec<String>> = rules_files(&benign.policies)
        .iter()
        .map(|(_, text)| rule_names(&load(text)).into_iter().map(str::to_owned).collect())
        .collect();
    let lines = |inventory: &Inventory| -> Vec<usize> {
        let lines = |(name, text): &(&str, String)| (*name != "JSON report").then(|| text.lines().count());
        talk(inventory).iter().filter_map(lines).collect()
    };
    let mut texts = Vec::new();
    for text in HOSTILE {
        let inventory = read(&everywhere(text)).unwrap_or_else(|problems| panic!("{problems:?}"));
        for ((_, file), names) in rules_files(&inventory.policies).into_iter().zip(&expected) {
            let rules = load(&file);
            let found: BTreeSet<&str> = rule_names(&rules).into_iter().collect();
            assert!(found.iter().all(|name| names.iter().any(|n| n == name)), "{text:?}: {found:?}");
            texts.push(file);
        }
        for (name, said) in talk(&inventory) {
            let json = name == "JSON report" || name == "SARIF report";
            assert!(json || is_plain(&said), "{name} of {text:?}: {said:?}");
            assert!(!json || serde_json::from_str::<Value>(&said).is_ok(), "{name} of {text:?}");
            assert!(name != "HTML report" || !said.contains("<script>alert"), "{text:?}");
        }
        // a comma parts profiles and images
        assert!(text.contains(',') || lines(&inventory) == lines(&benign), "{text:?}");
    }
    all_readers_agree(&texts, true);
}

#[test]
fn a_wrapper_carries_the_rules_as_they_are() {
    let mut wrapped = Vec::new();
    for text in HOSTILE {
        let inventory = read(&everywhere(text)).unwrap();
        let rules = &rules_files(&inventory.policies)[0].1;
        for format in [Format::ConfigMap, Format::HelmValues, Format::Rulesfile] {
            let object = wrap::Object::default();
            let text = wrap::wrap(format, "psp_audit_rules.yaml", rules, &object).unwrap().into_owned();
            let payload = wrap::payload(format, "psp_audit_rules.yaml", text.clone());
            assert_eq!(payload.as_ref(), Some(rules));
            wrapped.push(text);
        }
    }
    let Some(independent) = yaml_1_1(&wrapped) else { return };
    for (text, other) in wrapped.iter().zip(independent) {
        let ours: Vec<Value> = serde_yaml::from_multiple(text).unwrap();
        assert_eq!(other, Value::Array(ours));
    }
}

#[test]
fn names_of_users_and_groups_stay_names() {
    for text in HOSTILE {
        for kind in ["User", "Group"] {
            holds_subject(kind, &format!("n{text}n"));
        }
    }
}

/// A name that may use the only policy: it may, and no other.
fn holds_subject(kind: &str, name: &str) {
    let mut inventory = read(&spec(&json!({"privileged": false}))).unwrap();
    let rbac = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"},
         "rules": [{"apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": ["p"], "verbs": ["use"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "b"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
         "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}},
    ]});
    inventory.objects = read(&rbac).unwrap().objects;
    let options = render::Options { access: rbac::access(&inventory, None), ..render::Options::default() };
    let rendered = audit_rules(&inventory.policies, &options).unwrap();
    let rules = load(&rendered.text);
    all_readers_agree(std::slice::from_ref(&rendered.text), false);
    let alerts = |name: &str| {
        let mut event: Value = serde_json::from_str(&event(&pod(&json!({}), &json!({})))).unwrap();
        event["user"] = match kind {
            "User" => json!({"username": name, "groups": []}),
            _ => json!({"username": "u", "groups": ["other", name]}),
        };
        let line = event.to_string();
        let event = Event::parse(line.as_bytes()).unwrap();
        rules.alerts(&event).iter().any(|rule| rule.name == "PSP No Usable Policy")
    };
    assert_eq!(alerts(name), rendered.left_out.iter().any(|left_out| left_out == name), "{kind} {name:?}");
    for other in near_misses(name) {
        assert!(alerts(&other), "{kind} {name:?} {other:?}");
    }
}

#[test]
fn names_that_read_like_something_else_stay_names() {
    let names = [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "n",
        "null",
        "true",
        "false",
        "0",
        "007",
        "0x1f",
        "0o17",
        "1e3",
        "1.5",
        "12.30",
        "2001-01-01",
        "1-000",
        ".inf",
        "and",
        "or",
        "not",
        "in",
        "exists",
        "a--b",
        "a.b",
        "a-b",
        "psps-exempt-namespaces",
        "psps",
        "psp",
        "desc",
        "rule",
        "x.y-z.0",
        "e000",
        "nan",
    ];
    let mut inventory = Inventory::default();
    for name in names {
        let mut policy = spec(&json!({"privileged": false}));
        policy["metadata"]["name"] = name.into();
        if let Ok(one) = read(&policy) {
            inventory.policies.extend(one.policies);
        }
    }
    assert_eq!(inventory.policies.len(), names.len());
    let texts: Vec<String> = rules_files(&inventory.policies).into_iter().map(|(_, text)| text).collect();
    for text in &texts {
        let rules = load(text);
        for located in &inventory.policies {
            let name = format!("PSP {} Violation (privileged)", located.policy.name);
            assert!(rule_names(&rules).iter().any(|rule| rule.starts_with(&name)), "{name}");
        }
    }
    all_readers_agree(&texts, true);
}

#[test]
fn images_and_namespaces_of_annotations_stay_values() {
    let policy = |key: &str, text: &str| {
        let mut policy = spec(&json!({"privileged": false}));
        policy["metadata"]["annotations"][key] = text.into();
        read(&policy).unwrap()
    };
    let alerts = |rules: &RuleSet, image: &str| {
        let mut pod = pod(&json!({}), &json!({"privileged": true}));
        pod["spec"]["containers"][0]["image"] = image.into();
        let line = event(&pod);
        !rules.alerts(&Event::parse(line.as_bytes()).unwrap()).is_empty()
    };
    for text in HOSTILE {
        // commas part images, and blanks, quotes and brackets around them are dropped
        let image = format!("i{text}i").replace(',', ";");
        let inventory = policy(IMAGES, &image);
        let rules = load(&rules_files(&inventory.policies)[0].1);
        assert!(alerts(&rules, &format!("{image}:1")), "{image:?}");
        for other in near_misses(&image) {
            let matches = other.starts_with(&format!("{image}:")) || other.starts_with(&format!("{image}@"));
            assert_eq!(alerts(&rules, &other), matches, "{image:?} {other:?}");
        }
        let inventory = policy(NAMESPACES, &format!("web,n{text}n"));
        let error = audit_rules(&inventory.policies, &render::Options::default());
        let is_namespace = format!("n{text}n")
            .split(',')
            .all(|n| n.trim().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        match error {
            Ok(_) => assert!(is_namespace, "{text:?}"),
            Err(error) => {
                let error = format!("{error:#}");
                let place = "p.json:1:1: metadata.annotations[falco-rules-psp-namespaces]: ";
                assert!(!is_namespace && error.starts_with(place) && is_plain(&error), "{error}");
            }
        }
    }
}

#[test]
fn a_list_of_another_file_cannot_reach_into_a_value() {
    let words = ["web", "a", "b", "c1", "psps_exempt_namespaces", "KILL", "log"];
    let lists: String = words.iter().map(|word| format!("- list: {word}\n  items: [x, y]\n")).collect();
    for text in [
        "/web a b/log",
        "/web,a,b,",
        "=web=a=",
        "(web)a(b)",
        "a web b psps_exempt_namespaces log",
        "web",
        "a",
    ] {
        let inventory = read(&everywhere(text)).unwrap();
        // what a value shares with another, or with what follows it, can stand alone before a parenthesis: README.md
        for (_, rules) in rules_files(&inventory.policies).into_iter().filter(|(name, _)| *name != "runtime")
        {
            let files = [
                falco::Source { name: "rules.yaml", text: &rules },
                falco::Source { name: "lists.yaml", text: &lists },
            ];
            let loaded = falco::load(&files);
            let unused: BTreeSet<&str> = loaded
                .findings
                .iter()
                .filter(|finding| finding.code == "LOAD_UNUSED_LIST")
                .map(|finding| finding.item.as_str())
                .collect();
            // the one of our own name is ours where the rules have it
            let foreign = words.iter().filter(|word| **word != "psps_exempt_namespaces");
            for word in foreign {
                let item = format!("list '{word}'");
                assert!(unused.contains(item.as_str()), "{text:?}: {unused:?}\n{:?}", loaded.findings);
            }
        }
    }
}

#[test]
fn a_value_that_reads_like_a_placeholder_stays_as_it_is() {
    let paths = ["/POLICY0_0_name", "/POLICY0_1_id", "/POLICY0_0_", "/\u{e000}"];
    let volumes = json!(["hostPath"]);
    let allowed: Value = paths.iter().map(|path| json!({"pathPrefix": path})).collect();
    let inventory = read(&spec(&json!({"volumes": volumes, "allowedHostPaths": allowed}))).unwrap();
    for rendered in [audit_rules, render::runtime_rules] {
        let text = rendered(&inventory.policies, &render::Options::default()).unwrap().text;
        for (path, times) in [("POLICY0_0_name", 1), ("POLICY0_1_id", 1), ("POLICY", 3)] {
            let lines = text.lines().filter(|line| line.starts_with("  desc: ") && line.contains("POLICY"));
            let found: Vec<usize> = lines.map(|line| line.matches(path).count()).collect();
            assert_eq!(found, [times], "{path}: {text}");
        }
    }
}

#[test]
fn what_no_condition_can_hold_is_refused_with_its_place() {
    let paths = |path: &str| spec(&json!({"allowedHostPaths": [{"pathPrefix": path}]}));
    for (policy, expected) in [
        (paths(&format!("/{}", "x".repeat(1 << 20))), "p.json:1:1: allowedHostPaths: a value of 104857"),
        (spec(&json!({"defaultAddCapabilities": ["X".repeat(300)]})), "p.json:1:1: defaultAddCapabilities: "),
        (
            spec(
                &json!({"allowedHostPaths": (0..100).map(|n| json!({"pathPrefix": format!("/{n}{}", "x".repeat(4000))})).collect::<Value>()}),
            ),
            "p.json:1:1: allowedHostPaths: values of more than 256 KiB",
        ),
    ] {
        let inventory = read(&policy).unwrap();
        let error = audit_rules(&inventory.policies, &render::Options::default()).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.starts_with(expected) && error.len() < 300 && is_plain(&error), "{error}");
    }
    for lone in ["\\ud800", "\\udc00x", "\\ud800\\u0041", "\\ude00\\ud83d"] {
        let text = paths("/PLACE").to_string().replace("PLACE", lone);
        let problems = read_text("p.json", &text, &Options::default()).unwrap_err();
        assert!(problems[0].to_string().starts_with("p.json:1:"), "{problems:?}");
    }
}
