use super::*;
use crate::write::MARK;
use crate::yaml::Node;

const FILE: &str = "psp_audit_rules.yaml";

/// Rules files, and what only a reader of bytes would call one.
const TEXTS: [&str; 16] = [
    "# Falco rules\n\n- list: a\n  items: [\"x\", 'y']\n\n- macro: m\n  condition: >\n    evt.type=open\n    and a\n",
    "no end of line",
    "trailing blanks  \n  then less \n",
    "a\ttab\n",
    "\tfirst\n",
    "a\n\ttab first\n",
    "  leading blanks\n",
    "\nfirst line empty\n",
    "two ends\n\n",
    "a\r\nb\r\n",
    "line\u{2028}separator\u{2029}s \u{85} and \u{feff}\n",
    "%YAML 1.1\n---\n...\n# %field {{ x }}\n",
    "a\n   \nb\n",
    "\u{1}\u{7f}\u{1b}[0m \u{1f600} é \"quoted\" \\ 'single'\n",
    "key: |\n    text\n  : odd\n",
    "",
];

fn named() -> Object {
    Object {
        name: Some("rules".to_owned()),
        namespace: Some("falco".to_owned()),
        labels: BTreeMap::from([("team".to_owned(), "on".to_owned())]),
        inline: false,
        bundle: None,
    }
}

/// The documents of a YAML text, by serde and by the reader of this crate, which must agree.
fn documents(text: &str) -> Vec<Value> {
    let ours: Vec<Value> =
        crate::yaml::Documents::new(text).map(|d| d.map(|node: Node<'_>| node.to_value()).unwrap()).collect();
    let serde: Vec<Value> = serde_yaml::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(ours, serde, "{text}");
    ours
}

#[test]
fn every_payload_comes_out_byte_for_byte() {
    let long = format!("- macro: m\n  condition: {}\n", "x".repeat(300_000));
    for text in TEXTS.into_iter().chain([long.as_str()]) {
        let config_map = wrap(Format::ConfigMap, FILE, text, &named()).unwrap();
        assert_eq!(documents(&config_map)[0]["data"][FILE], text, "{config_map}");
        let rulesfile = wrap(Format::Rulesfile, FILE, text, &named()).unwrap();
        let both = documents(&rulesfile);
        assert_eq!(both[0]["data"]["rules.yaml"], text, "{rulesfile}");
        assert_eq!(both[1]["spec"]["configMapRef"]["name"], both[0]["metadata"]["name"]);
        assert_eq!(wrap(Format::Rules, FILE, text, &named()).unwrap(), text);
        for (format, wrapped) in [(Format::ConfigMap, &config_map), (Format::Rulesfile, &rulesfile)] {
            assert_eq!(payload(format, FILE, wrapped.to_string()).as_deref(), Some(text));
        }
        match wrap(Format::HelmValues, FILE, text, &named()) {
            Ok(values) => {
                assert_eq!(documents(&values)[0]["customRules"][FILE], text, "{values}");
                assert_eq!(payload(Format::HelmValues, FILE, values.to_string()).as_deref(), Some(text));
            }
            Err(error) => assert!(!fits_block(text), "{error}"),
        }
    }
}

#[test]
fn the_object_is_named_as_asked_and_known_as_ours() {
    for format in [Format::ConfigMap, Format::HelmValues, Format::Rulesfile] {
        let text = wrap(format, FILE, "# rules\n", &named()).unwrap();
        assert!(text.get(..512.min(text.len())).unwrap().contains(MARK), "{text}");
        for object in documents(&text).iter().filter(|_| format != Format::HelmValues) {
            let metadata = &object["metadata"];
            assert_eq!((&metadata["name"], &metadata["namespace"]), (&json!("rules"), &json!("falco")));
            assert_eq!(
                metadata["labels"],
                json!({"app.kubernetes.io/managed-by": "psp2falco", "team": "on"})
            );
            assert_eq!(metadata["annotations"], json!({ "psp2falco/rules": FILE }));
        }
    }
    let bare = wrap(Format::ConfigMap, FILE, "# rules\n", &Object::default()).unwrap();
    assert_eq!(documents(&bare)[0]["metadata"]["name"], "psp-audit-rules");
    assert_eq!(documents(&bare)[0]["metadata"].get("namespace"), None);
}

#[test]
fn names_that_the_api_server_refuses_are_refused() {
    let object = |name: &str, namespace: &str, label: (&str, &str)| Object {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: BTreeMap::from([(label.0.to_owned(), label.1.to_owned())]),
        inline: false,
        bundle: None,
    };
    object("a.b-c", "falco", ("example.com/team", "a_b.c")).check().unwrap();
    for wrong in [
        object("A", "falco", ("a", "b")),
        object("a..b", "falco", ("a", "b")),
        object("a", "fal.co", ("a", "b")),
        object("a", "-falco", ("a", "b")),
        object("a", "falco", ("a b", "b")),
        object("a", "falco", ("a", "b c")),
        object("a\nkind: Secret", "falco", ("a", "b")),
        object("", "falco", ("a", "b")),
    ] {
        wrong.check().unwrap_err();
    }
}

#[test]
fn what_a_config_map_cannot_hold_is_refused() {
    let text = "x".repeat(MOST_IN_CONFIG_MAP);
    wrap(Format::ConfigMap, FILE, &text, &named()).unwrap();
    for format in [Format::ConfigMap, Format::HelmValues, Format::Rulesfile] {
        let error = wrap(format, FILE, &format!("{text}x"), &named()).unwrap_err().to_string();
        assert!(error.starts_with("psp_audit_rules.yaml: 1048577 bytes of rules are more than"), "{error}");
    }
    wrap(Format::Rules, FILE, &format!("{text}x"), &named()).unwrap();
}

#[test]
fn a_large_object_says_how_to_apply_it() {
    let rules = "x".repeat(250 << 10);
    let large = wrap(Format::ConfigMap, FILE, &rules, &named()).unwrap();
    assert!(large.contains("kubectl apply --server-side"));
    let rules = "x".repeat(200 << 10);
    let small = wrap(Format::ConfigMap, FILE, &rules, &named()).unwrap();
    assert!(!small.contains("--server-side"));
}

#[test]
fn inline_rules_keep_every_value_as_the_text_that_falco_reads() {
    let rules = "# a comment\n- required_engine_version: 0.43.0\n\n- list: l\n  items: [0.10, 0x1F, yes, ~, \"a\\tb\"]\n\n\
                 - macro: m\n  condition: >\n    a = b\n    and c\n\n- rule: r\n  enabled: false\n";
    let object = Object { inline: true, ..named() };
    let text = wrap(Format::Rulesfile, FILE, rules, &object).unwrap();
    let read = documents(&text);
    assert_eq!(read.len(), 1);
    let payload = payload(Format::Rulesfile, FILE, text.to_string()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), read[0]["spec"]["inlineRules"]);
    assert_eq!(super::payload(Format::ConfigMap, FILE, text.to_string()), None);
    assert_eq!(
        read[0]["spec"]["inlineRules"],
        json!([
            {"required_engine_version": "0.43.0"},
            {"list": "l", "items": ["0.10", "0x1F", "yes", null, "a\tb"]},
            {"macro": "m", "condition": "a = b and c\n"},
            {"rule": "r", "enabled": "false"},
        ]),
        "{text}"
    );
}
