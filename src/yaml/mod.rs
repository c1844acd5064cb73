//! YAML and JSON: read with the place of every value, decoded with all errors, and written.

mod decode;
mod documents;
mod node;
mod scalar;
mod write;

pub(crate) use decode::{Decoder, Path, in_force, unknown_value};
pub(crate) use documents::{Documents, Syntax, weight};
pub use documents::{MAX_BROKEN, MAX_COPIED, MAX_NODES};
pub(crate) use node::{Data, Entry, Mark, Node};
pub(crate) use scalar::resolve;
pub(crate) use write::{fits_block, line_scalar, write};
