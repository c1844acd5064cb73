//! A recorded audit log, replayed: which rules would have alerted.
//!
//! One thread reads, others judge, and the caller's takes the results in the order of the log, so that the outcome
//! is the same however many threads there are. What is under way at once is bounded, so memory does not grow with
//! the log.

mod cloud;
mod documents;
mod input;
mod judge;
mod options;
mod summary;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Result;

pub use documents::MAX_LINE;
pub use input::{Batch, Batches, Cost, Log, Trouble};
pub use options::{Format, MAX_TROUBLES, Matching, Options};
pub use summary::Summary;

use falco_rules::RuleSet;
use judge::{Judge, Judged};

/// How many pieces of a log wait for each thread that judges.
const WAITING: usize = 2;

/// What a replay came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Lines that are not blank.
    pub lines: u64,
    /// Events that were judged.
    pub events: u64,
    /// Alerts.
    pub alerts: u64,
    /// Events above [`falco_rules::ENGINE_EVENT_LIMIT`].
    pub oversized: u64,
    /// Events of Google's Cloud Logging, which sorts the keys of pods.
    pub sorted: u64,
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// Events in readable lines that Falco would not take.
    pub bad_events: u64,
    /// The first [`MAX_TROUBLES`] lines and events that could not be judged, and where logs break off.
    pub troubles: Vec<Trouble>,
    /// Pairs of names: the second log was given after the first, but starts earlier.
    pub disorder: Vec<(String, String)>,
    /// The alerts by rule, if they are to be counted.
    pub summary: Summary,
    previous: Option<(usize, String, u64)>,
}

impl Outcome {
    fn take(&mut self, mut judged: Judged, rules: &RuleSet) {
        self.lines += judged.lines;
        self.events += judged.events;
        self.alerts += judged.alerts;
        self.oversized += judged.oversized;
        self.sorted += judged.sorted;
        self.bad_lines += judged.bad_lines;
        self.bad_events += judged.bad_events;
        for trouble in std::mem::take(&mut judged.troubles) {
            let shown = self.troubles.iter().filter(|t| t.cost != Cost::Rest).count();
            if trouble.cost == Cost::Rest || shown < MAX_TROUBLES {
                self.troubles.push(trouble);
            }
        }
        for hit in &judged.hits {
            self.summary.add(hit, rules);
        }
        let Some(first) = judged.first else { return };
        let is_new = self.previous.as_ref().is_none_or(|(log, ..)| *log != judged.log);
        if is_new {
            let name = judged.name.to_string();
            let previous = self.previous.replace((judged.log, name.clone(), first));
            if let Some((_, before, time)) = previous
                && first < time
            {
                self.disorder.push((before, name));
            }
        }
    }
}

/// Replays logs. With [`Format::Json`], `write` is handed the alerts in the order of the log, a piece at a time.
///
/// # Errors
/// Those of `write`, which end the replay.
pub fn replay(
    logs: Vec<Log>,
    rules: &RuleSet,
    options: &Options,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut take = |judged: Judged, outcome: &mut Outcome| {
        let written = if judged.text.is_empty() { Ok(()) } else { write(&judged.text) };
        outcome.take(judged, rules);
        written
    };
    // A rule that reads an event's number needs all events before it counted.
    if options.threads < 2 || rules.reads_event_numbers() {
        let mut judge = Judge::new(rules, options);
        for batch in Batches::new(logs) {
            let judged = judge.judge(&batch, outcome.events);
            take(judged, &mut outcome)?;
        }
        return Ok(outcome);
    }
    thread::scope(|scope| {
        let mut to = Vec::new();
        let mut from = Vec::new();
        for _ in 0..options.threads {
            let (send_batch, batches) = sync_channel::<Batch>(WAITING);
            let (send_judged, judged) = sync_channel::<Judged>(WAITING);
            let judge = Judge::new(rules, options);
            scope.spawn(move || work(judge, &batches, &send_judged));
            to.push(send_batch);
            from.push(judged);
        }
        scope.spawn(move || deal(Batches::new(logs), &to));
        // Dealt in turn, so collected in turn: that is the order of the log.
        for judged in from.iter().cycle() {
            let Ok(judged) = judged.recv() else { break };
            take(judged, &mut outcome)?;
        }
        Ok(outcome)
    })
}

fn work(mut judge: Judge<'_>, batches: &Receiver<Batch>, judged: &SyncSender<Judged>) {
    for batch in batches {
        if judged.send(judge.judge(&batch, 0)).is_err() {
            return;
        }
    }
}

fn deal(batches: Batches, to: &[SyncSender<Batch>]) {
    for (batch, to) in batches.zip(to.iter().cycle()) {
        if to.send(batch).is_err() {
            return;
        }
    }
}
