//! A manifest that is read becomes rules that Falco loads, or an error; never rules that it refuses.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use psp2falco::render::{self, AuditObject, audit_rules};
use psp2falco::{commands, read};

static OPTIONS: LazyLock<[render::Options; 2]> = LazyLock::new(|| {
    let narrow = render::Options {
        object: AuditObject::Request,
        max_containers: 2,
        max_volumes: 2,
        namespaces: vec!["web".to_owned()],
        exclude_namespaces: vec!["kube-system".to_owned()],
        ..render::Options::default()
    };
    [render::Options::default(), narrow]
});

fuzz_target!(|text: &str| {
    let Ok(inventory) = read::read_text("input", text, &read::Options::default()) else { return };
    let [plain, narrow] = &*OPTIONS;
    let options = if text.len() % 2 == 0 { plain } else { narrow };
    let Ok(rendered) = audit_rules(&inventory.policies, options) else { return };
    if let Err(findings) = commands::check(&rendered) {
        panic!("{findings:#}");
    }
});
