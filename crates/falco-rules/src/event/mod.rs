//! Kubernetes audit events, and what Falco's fields read of them.

mod audit_event;
mod extraction;
mod json;
mod time;

pub use audit_event::{ENGINE_EVENT_LIMIT, Event, EventError};
pub(crate) use extraction::{Extracted, Extractor, as_u64, number_text};
pub use json::JsonError;
pub(crate) use json::{Index, NodeId, is_plain};
pub use time::time_text;
