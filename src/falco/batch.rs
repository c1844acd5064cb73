//! Regular expressions over the same text in one pass.
//!
//! Rules for a pod ask a dozen of them about one text, and each goes over all of it. Matching them together costs
//! little more than one. It is done for texts of ASCII alone, on which bytes and characters are the same.

use super::eval::{Compare, Test, TextTest};
use regex::bytes::{RegexSet, RegexSetBuilder, SetMatches};
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a batch is asked before it is compiled: a single event is not worth it.
const MANY_USES: u32 = 50;
/// The most memory that a batch's automaton takes, in bytes.
const MAX_SIZE: usize = 16 << 20;

/// Tests of regular expressions in groups over the same operand.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    batches: Vec<Batch>,
    /// The batch of each test that is in one.
    of: HashMap<usize, usize>,
}

#[derive(Debug)]
struct Batch {
    tests: Vec<usize>,
    patterns: Vec<String>,
    uses: AtomicU32,
    set: OnceLock<Option<RegexSet>>,
}

impl Batches {
    /// Groups the tests that gain by it.
    pub(crate) fn new(tests: &[Test]) -> Self {
        let mut by_operand: BTreeMap<usize, Vec<(usize, String)>> = BTreeMap::new();
        for (id, test) in tests.iter().enumerate() {
            if let Compare::Text(TextTest::Regex(pattern)) = &test.compare
                && let Some(text) = pattern.for_batch()
            {
                by_operand.entry(test.operand).or_default().push((id, text.to_owned()));
            }
        }
        let mut batches = Self::default();
        for group in by_operand.into_values().filter(|group| group.len() > 1) {
            batches.of.extend(group.iter().map(|(id, _)| (*id, batches.batches.len())));
            let (tests, patterns) = group.into_iter().unzip();
            let (uses, set) = (AtomicU32::new(0), OnceLock::new());
            batches.batches.push(Batch { tests, patterns, uses, set });
        }
        batches
    }

    /// The tests that are matched together with test `id`, and which of them match; none while that does not pay.
    /// The text must be ASCII without line ends.
    pub(crate) fn matches(&self, id: usize, text: &[u8]) -> Option<(&[usize], SetMatches)> {
        let batch = self.of.get(&id).and_then(|b| self.batches.get(*b))?;
        if batch.uses.load(Ordering::Relaxed) < MANY_USES {
            batch.uses.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let set = batch.set.get_or_init(|| build(&batch.patterns)).as_ref()?;
        Some((&batch.tests, set.matches(text)))
    }
}

fn build(patterns: &[String]) -> Option<RegexSet> {
    RegexSetBuilder::new(patterns)
        .multi_line(true)
        .unicode(false)
        .size_limit(MAX_SIZE)
        .dfa_size_limit(MAX_SIZE)
        .build()
        .ok()
}
