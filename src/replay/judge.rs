//! What rules make of a piece of a log.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::cloud::unwrapped;
use super::input::{Batch, Cost, Trouble};
use super::options::{Format, MAX_TROUBLES, Matching, Options};
use crate::messages::replay as messages;
use crate::problem::Message;
use falco_rules::{ENGINE_EVENT_LIMIT, Evaluator, Event, EventError, Rule, RuleSet};

/// The longest name of a user, pod or namespace that a summary keeps, in characters.
const MAX_NAME: usize = 253;

/// An event that some rule alerts on, for a summary.
#[derive(Debug)]
pub(super) struct Hit {
    /// The positions in the rule set of the rules that alert.
    pub(super) rules: Vec<usize>,
    pub(super) nanoseconds: u64,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) user: String,
}

/// What became of a piece of a log.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) log: usize,
    pub(super) name: Arc<str>,
    pub(super) lines: u64,
    pub(super) events: u64,
    pub(super) alerts: u64,
    /// Events that Falco's plugin would drop for their size.
    pub(super) oversized: u64,
    /// Events of Google's Cloud Logging.
    pub(super) sorted: u64,
    pub(super) bad_lines: u64,
    pub(super) bad_events: u64,
    /// The first event's time, in nanoseconds.
    pub(super) first: Option<u64>,
    /// The first few things that could not be judged.
    pub(super) troubles: Vec<Trouble>,
    pub(super) hits: Vec<Hit>,
    /// Alerts as JSON lines.
    pub(super) text: Vec<u8>,
}

impl Judged {
    fn trouble(&mut self, trouble: Trouble) {
        match trouble.cost {
            Cost::Line => self.bad_lines += 1,
            Cost::Event => self.bad_events += 1,
            Cost::Rest => {}
        }
        if self.troubles.len() < MAX_TROUBLES || trouble.cost == Cost::Rest {
            self.troubles.push(trouble);
        }
    }
}

/// Judges pieces of a log.
#[derive(Debug)]
pub(super) struct Judge<'r> {
    rules: &'r RuleSet,
    evaluator: Evaluator<'r>,
    matching: Matching,
    format: Format,
}

impl<'r> Judge<'r> {
    pub(super) fn new(rules: &'r RuleSet, options: &Options) -> Self {
        let Options { matching, format, .. } = *options;
        Self { rules, evaluator: rules.evaluator(), matching, format }
    }

    /// Judges a piece; `number` is how many events came before it.
    pub(super) fn judge(&mut self, batch: &Batch, number: u64) -> Judged {
        let mut judged = Judged { log: batch.log, name: Arc::clone(&batch.name), ..Judged::default() };
        if batch.is_document {
            self.line(batch, &batch.bytes, batch.first_line, number, &mut judged);
        } else {
            let lines = batch.bytes.strip_suffix(b"\n").unwrap_or(&batch.bytes);
            if !lines.is_empty() {
                for (i, line) in split_lines(lines).enumerate() {
                    self.line(batch, line, batch.first_line + i, number, &mut judged);
                }
            }
        }
        batch.troubles.iter().for_each(|trouble| judged.trouble(trouble.clone()));
        judged
    }

    fn line(&mut self, batch: &Batch, text: &[u8], line: usize, number: u64, judged: &mut Judged) {
        if text.trim_ascii().is_empty() {
            return;
        }
        judged.lines += 1;
        let trouble = |error: &EventError, text: &[u8], cost| {
            let message = describe(error, text);
            Trouble { log: Arc::clone(&batch.name), line, message, cost }
        };
        let error = match Event::parse_line(text) {
            Ok(events) => return self.events(events, text, number, judged, &trouble),
            Err(error) => error,
        };
        let Some((cloud, texts)) = unwrapped(text) else {
            return judged.trouble(trouble(&error, text, Cost::Line));
        };
        for text in &texts {
            let before = judged.events;
            match Event::parse_line(text) {
                Ok(events) => self.events(events, text, number, judged, &trouble),
                Err(error) => judged.trouble(trouble(&error, text, Cost::Event)),
            }
            if !cloud.keeps_order() {
                judged.sorted += judged.events - before;
            }
        }
    }

    /// Judges the events of `text`.
    fn events(
        &mut self,
        events: Vec<Result<Event<'_>, EventError>>,
        text: &[u8],
        number: u64,
        judged: &mut Judged,
        trouble: &dyn Fn(&EventError, &[u8], Cost) -> Trouble,
    ) {
        for event in events {
            match event {
                Ok(event) => {
                    judged.events += 1;
                    self.event(&event.numbered(number + judged.events), judged);
                }
                Err(error) => judged.trouble(trouble(&error, text, Cost::Event)),
            }
        }
    }

    fn event(&mut self, event: &Event<'_>, judged: &mut Judged) {
        judged.first.get_or_insert(event.nanoseconds());
        judged.oversized += u64::from(event.text().len() > ENGINE_EVENT_LIMIT);
        let alerts = match self.matching {
            Matching::All => self.evaluator.alerts(event),
            Matching::First => self.evaluator.first_alert(event).into_iter().collect(),
        };
        if alerts.is_empty() {
            return;
        }
        judged.alerts += alerts.len() as u64;
        match self.format {
            Format::Json => alerts.iter().for_each(|rule| write_alert(rule, event, &mut judged.text)),
            Format::Table => judged.hits.push(self.hit(&alerts, event)),
        }
    }

    fn hit(&self, alerts: &[&Rule], event: &Event<'_>) -> Hit {
        let position = |rule: &&Rule| self.rules.rules().iter().position(|r| std::ptr::eq(r, *rule));
        let text = |keys: &[&str]| event.under(keys).map(|v| name(&v)).filter(|v| !v.is_empty());
        let pod = text(&["responseObject", "metadata", "name"]).or_else(|| text(&["objectRef", "name"]));
        let pod = pod.or_else(|| text(&["requestObject", "metadata", "generateName"]).map(|name| name + "*"));
        let user = text(&["user", "username"]).unwrap_or_default();
        let user = match text(&["impersonatedUser", "username"]) {
            Some(other) => format!("{user} as {other}"),
            None => user,
        };
        Hit {
            rules: alerts.iter().filter_map(position).collect(),
            nanoseconds: event.nanoseconds(),
            namespace: text(&["objectRef", "namespace"]).unwrap_or_default(),
            pod: pod.unwrap_or_default(),
            user,
        }
    }
}

fn split_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.and_then(|end| text.get(end + 1..));
        text.get(..end.unwrap_or(text.len()))
    })
}

/// Why a line or an event cannot be judged, with a hint where the cause is likely known.
fn describe(error: &EventError, text: &[u8]) -> Message {
    let is_policy = || memchr::memmem::find(text, b"PodSecurityPolicy").is_some();
    match error {
        EventError::Json(json) => {
            let blanks = text.len() - text.trim_ascii_start().len();
            messages::broken_json(json.message, json.offset + blanks + 1)
        }
        EventError::NotAnEvent if is_policy() => messages::policy_in_log(),
        EventError::NotAnEvent => messages::no_audit_event(),
        EventError::NoTimestamp | EventError::BadTimestamp => messages::dropped_by_falco(error),
    }
}

/// A name as a terminal can show it.
fn name(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    if text.len() <= MAX_NAME && !text.chars().any(char::is_control) {
        return text.into_owned();
    }
    text.chars().take(MAX_NAME).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// An alert as Falco writes it with `json_output: true`, less the host's name.
fn write_alert(rule: &Rule, event: &Event<'_>, out: &mut Vec<u8>) {
    let nanoseconds = event.nanoseconds();
    let clock = |separator| falco_rules::time_text(nanoseconds, separator);
    let mut alert = Map::new();
    let text = format!("{}: {} {}", clock(None), rule.priority.name(), rule.render_output(event));
    alert.insert("output".into(), text.into());
    alert.insert("output_fields".into(), rule.output_fields(event).into());
    alert.insert("priority".into(), rule.priority.name().into());
    alert.insert("rule".into(), rule.name.clone().into());
    alert.insert("source".into(), rule.source.clone().into());
    alert.insert("tags".into(), rule.tags.clone().into());
    alert.insert("time".into(), (clock(Some('T')) + "Z").into());
    out.extend_from_slice(Value::Object(alert).to_string().as_bytes());
    out.push(b'\n');
}
