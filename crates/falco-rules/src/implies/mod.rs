//! Does one condition follow from another?
//!
//! ```
//! use falco_rules::file::definitions;
//! use falco_rules::implies::{Prover, Which};
//!
//! let file = |condition: &str| {
//!     definitions(&format!(
//!         "- {{rule: r, desc: d, output: o, priority: NOTICE, source: k8s_audit, condition: {condition:?}}}"
//!     ))
//! };
//! let (old, new) = (file("ka.verb in (create, update)"), file("ka.verb = create and ka.uri exists"));
//! let prover = Prover::new(&old, &new);
//! let (before, after) = (old.rules[0].condition.as_ref().unwrap(), new.rules[0].condition.as_ref().unwrap());
//! assert!(prover.implies((after, Which::New), (before, Which::Old)));
//! assert!(!prover.implies((before, Which::Old), (after, Which::New)));
//! ```

mod language;
mod prover;

pub use prover::{Prover, Which};
