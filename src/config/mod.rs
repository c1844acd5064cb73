//! `psp2falco.yaml`: how a repository wants its rules made, in a file of its own.
//!
//! The same keys stand in the `spec` of a KRM function's configuration, less those that name files. The schema that
//! [`SCHEMA`] holds says the same for editors; a test holds the two together.

mod decode;
mod keys;
mod schema;
mod starter;

pub use keys::Config;
pub(crate) use keys::Reader;
pub use schema::{FILE, KIND, SCHEMA};
pub(crate) use starter::starter;
