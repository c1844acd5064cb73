//! What each field of a policy restricts: what it reads of the policy and what it hands to its template.
//!
//! One file a field. The words here are Kubernetes' own; how Falco is told stands in `templates/`.

mod allow_privilege_escalation;
mod allowed_capabilities;
mod allowed_csi_drivers;
mod allowed_flex_volumes;
mod allowed_host_paths;
mod allowed_proc_mount_types;
mod allowed_unsafe_sysctls;
mod apparmor;
mod default_add_capabilities;
mod default_allow_privilege_escalation;
mod forbidden_sysctls;
mod fs_group;
mod host_ipc;
mod host_network;
mod host_pid;
mod host_ports;
mod privileged;
mod read_only_root_filesystem;
mod required_drop_capabilities;
mod run_as_group;
mod run_as_user;
mod runtime_class;
mod se_linux;
mod seccomp;
mod supplemental_groups;
mod volumes;

use std::sync::Arc;

use psp_admission::policy::{IdRule, IdStrategy, Range};
use psp_admission::{Field, Policy};
use serde_json::{Map, Value};

use crate::pattern::json_text;

macro_rules! map {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations { $($(#[$more_doc:meta])+ $more_module:ident $more:ident $more_name:literal),+ $(,)? }
    ) => {
        fn restriction(field: Field, policy: &Policy) -> Mapped {
            match field {
                $(Field::$variant => $module::map(policy),)+
                $(Field::$more => $more_module::map(policy),)+
            }
        }
    };
}

psp_admission::with_fields!(map);

/// What `policy` says in `field`. A strategy that admission could make nothing of restricts nothing.
pub fn map(field: Field, policy: &Policy) -> Mapped {
    let unusable = policy.unusable();
    match unusable.into_iter().find(|(at_fault, _)| *at_fault == field) {
        Some((_, reason)) => Mapped::value(restriction(field, policy).value).note(reason),
        None => restriction(field, &policy.without_unusable()),
    }
}

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
    fn exact(restricted: bool, sentence: impl Into<String>) -> Self {
        Self { sees: restricted.then(|| short(&sentence.into())), ..Self::default() }
    }

    /// A rule, if the policy restricts the field, that may be off as `reason` says.
    fn approximate(restricted: bool, sentence: impl Into<String>, reason: &'static str) -> Self {
        Self { reason: restricted.then_some(reason), ..Self::exact(restricted, sentence) }
    }

    /// No rule.
    fn undetectable(reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }
}

impl Mapped {
    fn value(value: impl Into<String>) -> Self {
        Self { value: value.into(), ..Self::default() }
    }

    fn refuses(mut self, refused: bool, sentence: impl Into<String>) -> Self {
        self.refuses = refused.then(|| short(&sentence.into()));
        self
    }

    fn corrects(mut self, corrected: bool, sentence: impl Into<String>) -> Self {
        self.corrects = corrected.then(|| short(&sentence.into()));
        self
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.data.insert(key.to_owned(), value.into());
        self
    }

    fn runtime(mut self, shown: AtRuntime) -> Self {
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
fn allowed_or_not(allowed: bool) -> &'static str {
    if allowed { "allowed" } else { "not allowed" }
}

/// Does the text stand on a line of YAML as it is? No path or name that does not is allowed at run time.
fn one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// The names that a capability can have.
fn capabilities<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let possible = |n: &&String| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut names: Vec<String> = names.into_iter().filter(possible).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Names in words: `a, b`, or `none`.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Ranges in words: `0, 100-200`, or `none`.
fn ranges_listed(ranges: &[Range]) -> String {
    let one = |r: &Range| if r.min == r.max { r.min.to_string() } else { format!("{}-{}", r.min, r.max) };
    if ranges.is_empty() { "none".to_owned() } else { ranges.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Ranges as a template takes them.
fn ranges_data(ranges: &[Range]) -> Value {
    ranges.iter().map(|r| serde_json::json!({ "min": r.min, "max": r.max })).collect()
}

/// Do the ranges cover every value from 0 (or `from`) to `max`?
fn covers(ranges: &[Range], from: i64, max: i64) -> bool {
    let mut sorted: Vec<Range> = ranges.to_vec();
    sorted.sort();
    let reached = sorted
        .iter()
        .fold(from, |next, r| if r.min <= next { next.max(r.max.saturating_add(1)) } else { next });
    reached > max
}

/// May a container under this policy run as root?
fn root_allowed(policy: &Policy) -> bool {
    let user = &policy.spec.run_as_user;
    match user.rule {
        IdRule::RunAsAny => true,
        IdRule::MustRunAsNonRoot => false,
        IdRule::MustRunAs | IdRule::MayRunAs => user.ranges.iter().any(|r| r.contains(0)),
    }
}

/// Whole JSON strings, each with its closing quote, as the API server writes them.
fn whole_strings<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    names.into_iter().map(|name| format!("{}\"", json_text(name))).collect()
}

/// Seccomp and AppArmor profiles as the text that follows `"type":"` in a profile field.
fn profile_texts<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut texts: Vec<String> = names
        .into_iter()
        .filter_map(|name| match name {
            "runtime/default" | "docker/default" => Some("RuntimeDefault\"".to_owned()),
            "unconfined" => Some("Unconfined\"".to_owned()),
            other => other
                .strip_prefix("localhost/")
                .map(|file| format!("Localhost\",\"localhostProfile\":\"{}\"", json_text(file))),
        })
        .collect();
    texts.sort();
    texts.dedup();
    texts
}

/// What processes show of a strategy over ids. Where every id is allowed, nothing is left to see.
fn ids_at_runtime(strategy: &IdStrategy, what: &str, refuses: bool, reason: &'static str) -> AtRuntime {
    if !refuses {
        return AtRuntime::undetectable(
            "every id is allowed, and a pod's own choice looks like the policy's",
        );
    }
    AtRuntime::approximate(
        true,
        format!("process with a {what} outside {}", ranges_listed(&strategy.ranges)),
        reason,
    )
    .with("ranges", ranges_data(&strategy.ranges))
}

/// The common part of the four strategies over ids. `max` is the largest id that the API server accepts.
fn ids(strategy: &IdStrategy, what: &str, max: i64) -> Mapped {
    let allowed = ranges_listed(&strategy.ranges);
    let (value, restricted, must) = match strategy.rule {
        IdRule::RunAsAny => ("RunAsAny".to_owned(), false, false),
        IdRule::MustRunAsNonRoot => ("MustRunAsNonRoot".to_owned(), false, false),
        IdRule::MustRunAs => (format!("MustRunAs {allowed}"), true, true),
        IdRule::MayRunAs => (format!("MayRunAs {allowed}"), true, false),
    };
    let fill = strategy.ranges.first().map_or(0, |r| r.min);
    Mapped::value(value)
        .refuses(restricted && !covers(&strategy.ranges, 0, max), format!("{what} outside {allowed}"))
        .corrects(must, format!("{what} unset, which the policy set to {fill}"))
        .with("ranges", ranges_data(&strategy.ranges))
}
