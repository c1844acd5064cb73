use super::*;
use serde_json::json;

/// A list as kyaml writes it, with a comment and spellings that must stay.
const LIST: &str = "apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- apiVersion: v1
  kind: ConfigMap # why
  metadata:
    name: 'one'
  data:
    key: |
      - not an item
      - kind: Other
- apiVersion: v1
  kind: Secret
  metadata: {name: two}
functionConfig:
  kind: Psp2Falco
";

fn change(text: &str, changes: &Changes) -> String {
    List::parse(text).unwrap().changed(changes)
}

#[test]
fn nothing_changes_nothing() {
    for text in [LIST, &LIST.replace('\n', "\n  ").replace("\n  apiVersion: config", "\napiVersion: config")]
    {
        if let Ok(list) = List::parse(text) {
            assert_eq!(list.changed(&Changes::default()), text);
        }
    }
    let empty = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []\n";
    assert_eq!(change(empty, &Changes::default()), empty);
}

#[test]
fn the_rest_stays_byte_for_byte() {
    let new = json!({"kind": "New", "metadata": {"name": "n"}, "data": {"k": "a\nb\n"}});
    let changes = Changes {
        items: BTreeMap::from([(1, Some(new.clone()))]),
        added: vec![json!({"kind": "Added"})],
        results: vec![json!({"message": "m"})],
    };
    let expected = LIST.replace(
        "- apiVersion: v1\n  kind: Secret\n  metadata: {name: two}\n",
        "- kind: New\n  metadata:\n    name: \"n\"\n  data:\n    k: |\n      a\n      b\n- kind: Added\n",
    ) + "results:\n- message: m\n";
    let once = change(LIST, &changes);
    assert_eq!(once, expected);
    // an earlier function's results make room
    let again = Changes { results: vec![json!({"message": "m"})], ..Changes::default() };
    assert_eq!(change(&once, &again), once);
    let gone = Changes { items: BTreeMap::from([(0, None), (1, None)]), ..Changes::default() };
    assert!(change(LIST, &gone).contains("\nitems: []\nfunctionConfig:"));
    let one = Changes { items: BTreeMap::from([(0, None)]), ..Changes::default() };
    let (_, rest) = LIST.split_once("- kind: Other\n").unwrap();
    assert_eq!(
        change(LIST, &one),
        format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n{rest}")
    );
}

#[test]
fn other_shapes_keep_their_meaning() {
    let json = r#"{"apiVersion":"config.kubernetes.io/v1","kind":"ResourceList","items":[{"kind":"A","m":1.5}],"results":[{"message":"old"}]}"#;
    let flow = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: [{kind: A, m: 1.5}]\n";
    let wide = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n  # first\n  -\n    kind: A\n    m: 1.5";
    for text in [json, flow, wide] {
        let changes = Changes { added: vec![json!({"kind": "B"})], ..Changes::default() };
        let changed = change(text, &changes);
        let list = List::parse(&changed).unwrap();
        assert_eq!(list.items(), [json!({"kind": "A", "m": 1.5}), json!({"kind": "B"})], "{changed}");
        assert!(!changed.contains("old"));
        assert_eq!(change(&changed, &Changes::default()), changed);
    }
}

#[test]
fn a_list_of_none_grows() {
    for items in ["items: []\n", "items:\n", ""] {
        let text = format!("kind: ResourceList\napiVersion: config.kubernetes.io/v1\n{items}");
        let changes = Changes { added: vec![json!({"kind": "B"})], ..Changes::default() };
        let changed = change(&text, &changes);
        assert_eq!(List::parse(&changed).unwrap().items(), [json!({"kind": "B"})], "{changed}");
    }
}

#[test]
fn results_name_object_field_and_file() {
    let text = "apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- kind: A
- apiVersion: policy/v1beta1
  kind: PodSecurityPolicy
  metadata:
    name: p
    annotations:
      internal.config.kubernetes.io/path: dir/p.yaml
      internal.config.kubernetes.io/index: '2'
  spec: {}
functionConfig: {}
";
    let list = List::parse(text).unwrap();
    let place = |line, column| Place { file: FILE.to_owned(), line, column };
    assert_eq!(
        list.result(Severity::Warning, "m", Some(&place(12, 3)), "spec"),
        json!({
            "message": "m", "severity": "warning",
            "resourceRef": {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "name": "p"},
            "field": {"path": "spec"},
            "file": {"path": "dir/p.yaml", "index": 2},
        })
    );
    for outside in [Some(place(1, 1)), Some(place(13, 1)), None] {
        let plain = json!({"message": "m", "severity": "error"});
        assert_eq!(list.result(Severity::Error, "m", outside.as_ref(), "x"), plain);
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, message) in [
        ("", "stdin: is empty"),
        ("a: [", "stdin:"),
        (
            "kind: List\napiVersion: v1\n",
            "stdin:1:7: kind: a KRM function reads a ResourceList, not \"List\"",
        ),
        ("kind: ResourceList\napiVersion: v1\n", "stdin:2:13: apiVersion: unknown version \"v1\""),
        (
            "kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: {}\n",
            "stdin:3:8: items: expected a list",
        ),
        (
            "kind: ResourceList\napiVersion: config.kubernetes.io/v1\n---\na: b\n",
            "stdin:1:1: several documents",
        ),
    ] {
        let error = List::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
