//! The built library, loaded as Falco loads it, on the recordings of a real API server.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

#[path = "../../../../tests/it/common/falco.rs"]
mod falco;
mod faults;
mod library;
mod real_falco;
mod recordings;
mod verdicts;
