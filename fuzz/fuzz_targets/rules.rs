//! Any text as a condition, as a rules file, and as a rule's condition over an event: refused or evaluated, but no
//! panic and no loop.
#![no_main]

use falco_rules::syntax::parse;
use falco_rules::{Event, Source, load};
use libfuzzer_sys::fuzz_target;

const EVENT: &[u8] = include_bytes!("event.json");

fuzz_target!(|text: &str| {
    if let Ok(tree) = parse(text) {
        // What is printed is the same condition.
        assert_eq!(parse(&tree.to_string()).map(|t| t.to_string()), Ok(tree.to_string()));
    }
    let _ = load(&[Source { name: "rules.yaml", text }]);
    let condition = text.escape_default().to_string();
    let rule = format!(
        "- rule: r\n  desc: d\n  condition: \"{condition}\"\n  output: \"{condition}\"\n  priority: NOTICE\n  source: k8s_audit\n"
    );
    let rule = if text.is_ascii() { rule } else { return };
    let Some(rules) = load(&[Source { name: "rules.yaml", text: &rule }]).rules else { return };
    let Ok(event) = Event::parse(EVENT) else { return };
    let _ = rules.alerts(&event);
    for rule in rules.rules() {
        let _ = (rule.render_output(&event), rule.output_fields(&event));
    }
});
