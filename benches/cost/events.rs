//! Recorded audit events, over and over, and their replay.
#![allow(unreachable_pub)]

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use falco_rules::{self as falco, RuleSet};
use psp2falco::replay::{Format, Log, Matching, Options, Outcome, replay};
use psp2falco::{read, render};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The recorded pod creations, 5 KB each on average.
pub fn recorded() -> Arc<[u8]> {
    let file = std::fs::File::open(root().join("tests/data/single/audit.jsonl.gz")).unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).unwrap();
    text.into()
}

/// The recording over and over, up to so many events; it is not held in memory.
pub struct Repeated {
    text: Arc<[u8]>,
    at: usize,
    /// The bytes that are still to come.
    pub left: usize,
}

impl Repeated {
    pub fn new(text: &Arc<[u8]>, events: usize) -> Self {
        let lines = text.iter().filter(|b| **b == b'\n').count();
        let rest = text.split_inclusive(|b| *b == b'\n').take(events % lines).map(<[u8]>::len).sum::<usize>();
        Self { text: Arc::clone(text), at: 0, left: events / lines * text.len() + rest }
    }
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let from = self.text.get(self.at..).unwrap();
        let from = from.get(..from.len().min(self.left)).unwrap();
        let length = Cursor::new(from).read(buffer)?;
        self.left -= length;
        self.at = (self.at + length) % self.text.len();
        Ok(length)
    }
}

/// The audit rules of one of the policies in the fixtures.
pub fn rules(policy: &str) -> RuleSet {
    let path = root().join(format!("fixtures/psp/policies/{policy}.yaml"));
    let inventory = read::read(&[read::Source::Path(path)], &read::Options::default()).unwrap();
    let text = render::audit_rules(&inventory.policies, &render::Options::default()).unwrap().text;
    falco::load(&[falco::Source { name: "rules", text: &text }]).rules.unwrap()
}

/// Replays so many events.
pub fn run(text: &Arc<[u8]>, events: usize, rules: &RuleSet, threads: usize) -> Outcome {
    let log = Log::new("log", Repeated::new(text, events), &Arc::default()).unwrap();
    let options = Options { matching: Matching::All, format: Format::Table, threads };
    replay(vec![log], rules, &options, &mut |_| Ok(())).unwrap()
}
