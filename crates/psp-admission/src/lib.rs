#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod compare;
pub mod decision;
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

pub use compare::alerts_beyond;
pub use decision::{Decision, Judgement, May, Verdict, changes_under_all, choose, decide, judge};
pub use fields::{Field, Fields};
pub use pod::Pod;
pub use policy::Policy;
pub use profiles::Profiles;
pub use reason::{Reason, evidence};
pub use union::union;
