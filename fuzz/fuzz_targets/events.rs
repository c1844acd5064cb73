//! Any bytes as a line of an audit log, and as a log: reported or judged, but no panic and no loop; and what is remembered
//! of one input changes no answer about the next.
#![no_main]

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use falco_rules::{Evaluator, Event, RuleSet, Source, load};
use libfuzzer_sys::fuzz_target;
use psp2falco::paint::Paint;
use psp2falco::replay::{Format, Log, Matching, Options, replay};

static RULES: LazyLock<RuleSet> = LazyLock::new(|| {
    let policy = include_str!("../../fixtures/expected/policies/every-field.yaml");
    let fields = include_str!("fields.yaml");
    let sources = [Source { name: "policy", text: policy }, Source { name: "fields", text: fields }];
    load(&sources).rules.unwrap_or_default()
});

thread_local! {
    static EVALUATOR: RefCell<Evaluator<'static>> = RefCell::new(RULES.evaluator());
}

fuzz_target!(|bytes: &[u8]| {
    for event in Event::parse_line(bytes).into_iter().flatten().flatten() {
        for rule in RULES.rules() {
            let _ = (rule.render_output(&event), rule.output_fields(&event));
        }
        let alone: Vec<&str> = RULES.alerts(&event).iter().map(|rule| rule.name.as_str()).collect();
        let in_turn = EVALUATOR.with_borrow_mut(|evaluator| evaluator.alerts(&event));
        assert_eq!(in_turn.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), alone);
    }
    for format in [Format::Table, Format::Json] {
        let Ok(log) = Log::new("log", Cursor::new(bytes.to_vec()), &Arc::default()) else { return };
        let options = Options { matching: Matching::All, format, threads: 1 };
        if let Ok(outcome) = replay(vec![log], &RULES, &options, &mut |_| Ok(())) {
            let _ = outcome.summary.table(None, Paint::default());
        }
    }
});
