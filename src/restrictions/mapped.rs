//! What a policy says in a field: in words, and as data for its templates.

use std::sync::Arc;

use psp_admission::Field;
use psp_admission::policy::Range;
use serde_json::{Map, Value};

use crate::pattern::json_text;

/// What a policy says, field by field. What many policies say alike is kept once.
pub type Restrictions = Vec<(Field, Arc<Mapped>)>;

/// What a policy says in one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Mapped {
    /// The policy's value, in words.
    pub value: String,
    /// What the policy refuses here, as a sentence about the pod; `None`: nothing.
    pub refuses: Option<String>,
    /// What the policy fills in here, as a sentence about the pod; `None`: nothing.
    pub corrects: Option<String>,
    /// What the field leaves to another one, where it makes no rule of its own.
    pub note: Option<String>,
    /// The field whose alerts tell of this one, where both fill in the same field of the pod.
    pub alerts_as: Option<Field>,
    /// What the template needs beyond that.
    pub data: Map<String, Value>,
    /// What the kernel's events show of it.
    pub runtime: AtRuntime,
}

/// What the kernel's events and the containers' metadata show of one field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AtRuntime {
    /// What the runtime rule alerts on, as a sentence about the container; `None`: there is no rule.
    pub sees: Option<String>,
    /// How the rule differs from what the policy says, or why there is none; `None`: it does not differ.
    pub reason: Option<&'static str>,
    /// What the runtime template needs beyond that.
    pub data: Map<String, Value>,
}

impl AtRuntime {
    /// A rule, if the policy restricts the field, that sees just what the policy says.
    pub(super) fn exact(restricted: bool, sentence: impl Into<String>) -> Self {
        Self { sees: restricted.then(|| short(&sentence.into())), ..Self::default() }
    }

    /// A rule, if the policy restricts the field, that may be off as `reason` says.
    pub(super) fn approximate(restricted: bool, sentence: impl Into<String>, reason: &'static str) -> Self {
        Self { reason: restricted.then_some(reason), ..Self::exact(restricted, sentence) }
    }

    /// No rule.
    pub(super) fn undetectable(reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }
}

impl Mapped {
    pub(super) fn value(value: impl Into<String>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    pub(super) fn refuses(mut self, refused: bool, sentence: impl Into<String>) -> Self {
        self.refuses = refused.then(|| short(&sentence.into()));
        self
    }

    pub(super) fn corrects(mut self, corrected: bool, sentence: impl Into<String>) -> Self {
        self.corrects = corrected.then(|| short(&sentence.into()));
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    pub(super) fn runtime(mut self, shown: AtRuntime) -> Self {
        self.runtime = shown;
        self
    }
}

/// Longest sentence, in characters.
const SHORT: usize = 200;

/// `text`, cut where it grows too long to read.
fn short(text: &str) -> String {
    if text.chars().count() <= SHORT {
        text.to_owned()
    } else {
        text.chars().take(SHORT).chain("...".chars()).collect()
    }
}

/// A boolean field that forbids when false.
pub(super) fn allowed_or_not(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "not allowed" }
}

/// Does the text stand on a line of YAML as it is? No path or name that does not is allowed at run time.
pub(super) fn one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Names in words: `a, b`, or `none`.
pub(super) fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Ranges in words: `0, 100-200`, or `none`.
pub(super) fn ranges_listed(ranges: &[Range]) -> String {
    let one = |r: &Range| if r.min == r.max { r.min.to_string() } else { format!("{}-{}", r.min, r.max) };
    if ranges.is_empty() { "none".to_owned() } else { ranges.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Ranges as a template takes them.
pub(super) fn ranges_data(ranges: &[Range]) -> Value {
    ranges.iter().map(|r| serde_json::json!({ "min": r.min, "max": r.max })).collect()
}

/// Do the ranges cover every value from 0 (or `from`) to `max`?
pub(super) fn covers(ranges: &[Range], from: i64, max: i64) -> bool {
    let mut sorted: Vec<Range> = ranges.to_vec();
    sorted.sort();
    let reached = sorted
        .iter()
        .fold(from, |next, r| if r.min <= next { next.max(r.max.saturating_add(1)) } else { next });
    reached > max
}

/// Whole JSON strings, each with its closing quote, as the API server writes them.
pub(super) fn whole_strings<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    names.into_iter().map(|name| format!("{}\"", json_text(name))).collect()
}
