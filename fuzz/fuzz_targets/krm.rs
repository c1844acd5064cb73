//! Any text as a ResourceList: refused, or given back with an item and a result more and all else as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psp2falco::krm::{Changes, List, Severity};
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(list) = List::parse(text) else { return };
    let _ = list.config();
    let items = list.items();
    let changes = Changes {
        added: vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b\n"}})],
        results: vec![list.result(Severity::Info, "said", None, "")],
        ..Changes::default()
    };
    let changed = list.changed(&changes);
    let again = List::parse(&changed).unwrap_or_else(|problem| panic!("{problem}: {changed}"));
    let mut expected = items;
    expected.extend(changes.added);
    assert_eq!(again.items(), expected, "{changed}");
});
