//! Rules files: their YAML, their items, and how items change those before them.

mod collector;
mod definitions;
mod exceptions;
mod items;
mod list_expansion;
mod overrides;
mod priority;
mod required_versions;
mod text;
mod values;
pub mod yaml;

pub(crate) use collector::Collector;
pub use definitions::{Definitions, Item, RuleDefinition, definitions, items};
pub(crate) use exceptions::with_exceptions;
pub(crate) use items::RuleInfo;
pub(crate) use list_expansion::{List, Resolved, prepare};
pub use priority::Priority;
pub(crate) use text::{Located, Text};
pub(crate) use values::VALIDATE;
