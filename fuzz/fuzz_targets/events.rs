//! Any bytes as a line of an audit log, and as a log: reported or judged, but no panic and no loop.
#![no_main]

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use psp2falco::falco::{Event, RuleSet, Source, load};
use psp2falco::replay::{Format, Log, Matching, Options, replay};

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let policy = include_str!("../../fixtures/expected/policies/every-field.yaml");
    let fields = include_str!("fields.yaml");
    let sources = [Source { name: "policy", text: policy }, Source { name: "fields", text: fields }];
    load(&sources).rules.unwrap_or_default()
});

fuzz_target!(|bytes: &[u8]| {
    for event in Event::parse_line(bytes).into_iter().flatten().flatten() {
        for rule in RULES.rules() {
            let _ = (rule.render_output(&event), rule.output_fields(&event));
        }
    }
    for format in [Format::Table, Format::Json] {
        let Ok(log) = Log::new("log", Cursor::new(bytes.to_vec()), &Arc::default()) else { return };
        let options = Options { matching: Matching::All, format, threads: 1 };
        if let Ok(outcome) = replay(vec![log], &RULES, &options, &mut |_| Ok(())) {
            let _ = outcome.summary.table();
        }
    }
});
