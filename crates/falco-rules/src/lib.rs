//! What Falco makes of a rules file: what it says when it loads it, and which rules alert on which events.
//!
//! It is held to the recorded answers of Falco 0.44.1 (rules engine 0.62.0) with the plugins k8saudit 0.18.0,
//! json 0.7.4 and container 0.7.1: conditions and outputs, rules for `k8s_audit` and `syscall` events are checked;
//! rules for Kubernetes audit events are evaluated, too.
//!
//! ```
//! use falco_rules::{Event, Source, load};
//!
//! let text = r#"
//! - rule: Pod created
//!   desc: A pod was created.
//!   condition: ka.verb=create and ka.target.resource=pods
//!   output: "pod created by %ka.user.name"
//!   priority: NOTICE
//!   source: k8s_audit
//! "#;
//! let rules = load(&[Source { name: "rules.yaml", text }]).rules.unwrap();
//! let line = br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11Z","verb":"create",
//!     "user":{"username":"ann"},"objectRef":{"resource":"pods"}}"#;
//! let event = Event::parse(line).unwrap();
//! assert_eq!(rules.alerts(&event)[0].render_output(&event), "pod created by ann");
//!
//! let wrong = text.replace("ka.verb", "ka.verbs");
//! let findings = load(&[Source { name: "rules.yaml", text: &wrong }]).findings;
//! assert_eq!(
//!     findings[0].to_string(),
//!     "rules.yaml:4:14: error: LOAD_ERR_COMPILE_CONDITION: rule 'Pod created': \
//!      filter_check called with nonexistent field ka.verbs (did you mean ka.verb?)"
//! );
//! ```
//!
//! The crate is built in layers; each uses only those above it in this list.
//!
//! - [`syntax`] parses conditions into trees and prints them.
//! - [`check`] knows the fields, their types, and what may be compared with what.
//! - [`file`] reads rules files: their items, and how later items change earlier ones.
//! - [`event`] reads lines of an audit log, and what each field yields.
//! - [`engine`] loads rules files and evaluates their rules: [`load`], [`RuleSet`], [`Evaluator`].
//! - [`implies`] proves that one condition follows from another.
//!
//! Fields of plugins that are not modelled here come as data, with who reads them: [`load_with`].
//!
//! What is not modelled is refused rather than guessed: see [`Rule::not_modelled`].

pub mod check;
pub mod engine;
pub mod event;
pub mod file;
mod finding;
pub mod implies;
mod place;
pub mod syntax;

pub use check::MAX_LITERAL;
pub use check::PluginInfo;
pub use check::catalog;
pub use check::versions::{ENGINE_VERSION, FALCO_VERSION, PLUGIN_VERSIONS};
pub use engine::{
    Evaluator, EventReader, Extractions, FieldValue, FieldValues, Loaded, Plugin, Rule, RuleSet, load,
    load_with,
};
pub use event::{ENGINE_EVENT_LIMIT, Event, EventError, JsonError, time_text};
pub use file::Priority;
pub use finding::{Finding, Severity, Source};
pub use place::Place;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
