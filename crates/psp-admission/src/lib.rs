#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

#[macro_use]
mod field;

pub mod access;
mod access_index;
pub mod admission;
pub mod bundle;
mod compare;
pub mod decision;
pub mod event;
pub mod fields;
mod lenient;
pub mod pod;
pub mod policy;
pub mod profiles;
pub mod reason;
pub mod scope;
pub mod sysctl;
pub mod text;
mod union;

pub use access::Access;
pub use admission::{Admission, Outcome, Overall};
pub use bundle::{Bundle, BundleError};
pub use compare::{alerts_beyond, refuses_all_of};
pub use decision::{Decision, Judgement, May, Verdict, choose, decide, judge};
pub use event::{AuditObject, PodEvent};
pub use field::{Field, Fields, FieldsIter};
pub use pod::{Pod, changes_under_all};
pub use policy::Policy;
pub use profiles::Profiles;
pub use reason::{Reason, evidence};
pub use union::union;
