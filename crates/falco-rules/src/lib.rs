//! A model of Falco: its rules files, its condition language, and what its rules make of Kubernetes audit events.
//!
//! It is held to the recorded answers of Falco 0.44.1 (rules engine 0.62.0) with the plugins k8saudit 0.18.0,
//! json 0.7.4 and container 0.7.1. It knows nothing of PodSecurityPolicies.
//!
//! - [`condition`] parses conditions into trees and prints them.
//! - [`catalog`] knows the fields.
//! - [`load`] reads rules files in load order and reports what Falco would say, with places.
//! - [`outline`] shows what is in a file, for comparing two.
//! - [`Event`] reads lines of an audit log.
//! - [`RuleSet`] says which rules alert on an event, and [`Rule`] renders the alert.
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
//! ```
//!
//! What is not modelled is refused rather than guessed: see [`Rule::not_modelled`].

pub mod catalog;
mod check;
mod compile;
pub mod condition;
mod eval;
mod event;
mod exceptions;
mod extract;
mod fields;
mod glob;
mod items;
mod json;
mod lists;
mod literals;
#[cfg(test)]
mod measured;
pub mod outline;
mod output;
mod posix;
mod reader;
mod rules;
mod versions;
mod warnings;
mod words;
pub mod yaml;

pub use eval::Extractions;
pub use event::{ENGINE_EVENT_LIMIT, Event, EventError};
pub use extract::time_text;
pub use json::JsonError;
pub use literals::MAX_LITERAL;
pub use rules::{
    ENGINE_VERSION, Evaluator, FALCO_VERSION, Finding, Loaded, PLUGIN_VERSIONS, Priority, Rule, RuleSet,
    Severity, Source, load,
};
