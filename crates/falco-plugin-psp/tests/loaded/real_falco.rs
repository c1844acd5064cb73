//! Plugin rules and the library together in a real Falco, if there is one ([`crate::falco`] says how to name it): the
//! same alerts as the stock rules give there, and to the letter those that `replay` writes.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;

use falco_rules::{Source, load_with};
use psp_admission::Admission;
use psp2falco::plugin;
use psp2falco::rbac;
use psp2falco::read::Inventory;
use psp2falco::render::{Options, Rendered, audit_rules};
use psp2falco::replay::{self, Format, Log, Matching};
use serde_json::Value;

use crate::falco::{Falco, Psp, falco};
use crate::library;
use crate::recordings::{inventory, sorted, text, values};

/// The alerts that `replay` writes for plugin rules.
fn replayed(rendered: &Rendered, log: &str) -> Vec<Value> {
    let bundle = rendered.bundle.as_ref().unwrap();
    let plugin = plugin::loaded(Admission::parse(bundle.text.as_bytes()).unwrap());
    let source = Source { name: "rules", text: &rendered.text };
    let rules = load_with(&[source], &[plugin]).rules.unwrap();
    let input = Log::new("audit.log", Cursor::new(log.as_bytes().to_vec()), &Arc::default()).unwrap();
    let options = replay::Options { matching: Matching::All, format: Format::Json, threads: 1 };
    let mut written = Vec::new();
    let mut write = |text: &[u8]| {
        written.extend_from_slice(text);
        Ok(())
    };
    replay::replay(vec![input], &rules, &options, &mut write).unwrap();
    String::from_utf8(written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Rule, priority, tags and pod of each alert.
fn named(alerts: &[Value]) -> BTreeSet<String> {
    let one = |alert: &Value| {
        let pod = &alert["output_fields"]["ka.resp.name"];
        format!("{} {} {} {pod}", alert["rule"], alert["priority"], alert["tags"])
    };
    alerts.iter().map(one).collect()
}

/// Compares what both kinds of rules give for some policies; returns how many alerts that is.
fn compare(falco: &Falco, inventory: &Inventory, events: &[Value]) -> usize {
    let options = Options { access: rbac::access(inventory, None), ..Options::default() };
    let stock = audit_rules(&inventory.policies, &options).unwrap().text;
    let asked = audit_rules(&inventory.policies, &Options { plugin: true, ..options }).unwrap();
    let log = |events: &mut dyn Iterator<Item = String>| events.map(|event| event + "\n").collect::<String>();
    let as_written = log(&mut events.iter().map(Value::to_string));
    let library = library::path();
    let psp = Psp { library: &library, bundle: &asked.bundle.as_ref().unwrap().text };

    let by_stock = falco.alerts(&stock, &as_written, None);
    let by_plugin = falco.alerts(&asked.text, &as_written, Some(psp));
    assert_eq!(named(&by_plugin), named(&by_stock));
    let by_replay = replayed(&asked, &as_written);
    assert_eq!(by_plugin.len(), by_replay.len());
    for (real, model) in by_plugin.iter().zip(&by_replay) {
        assert_eq!(real, model);
    }
    let in_order = log(&mut events.iter().map(|event| sorted(event).to_string()));
    assert_eq!(named(&falco.alerts(&asked.text, &in_order, Some(psp))), named(&by_stock));
    by_plugin.len()
}

#[test]
fn rules_and_library_alert_as_the_stock_rules_do() {
    let Some(falco) = falco() else { return };
    let mut alerts = 0;
    let events = values("single/audit.jsonl.gz");
    for name in ["kubernetes-restricted", "kubernetes-baseline", "every-field"] {
        let path = format!("{}/../../fixtures/psp/policies/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        alerts += compare(&falco, &inventory(&std::fs::read_to_string(path).unwrap()), &events);
    }
    for number in 0..8 {
        let objects = inventory(&text(&format!("rbac/w{number}/objects.json.gz")));
        alerts += compare(&falco, &objects, &values(&format!("rbac/w{number}/audit.jsonl.gz")));
    }
    println!("{alerts} alerts are the same");
    assert!(alerts > 10_000, "{alerts}");
}
