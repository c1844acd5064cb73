//! What Falco checks in a condition or an output: fields, types, operators, warnings, versions.

pub mod catalog;
mod fields;
mod operands;
mod operators;
pub(crate) mod output_format;
mod plugins;
mod problem;
pub(crate) mod versions;
mod warnings;

pub(crate) use catalog::{FieldType, catalog};
pub(crate) use fields::is_left_side;
pub(crate) use operands::{Typed, call_type, comparable_operands, field_type};
pub use operators::MAX_LITERAL;
pub(crate) use operators::{comparable, fits, literal_number};
pub(crate) use output_format::{deprecated_fields, shown_name};
pub(crate) use plugins::Known;
pub use plugins::PluginInfo;
pub(crate) use problem::{CONDITION, Checked, OUTPUT, Problem, Refusal, refuse};
pub(crate) use warnings::{event_types, is_event_type, warn, warn_deprecated, warn_unsafe, warn_value};
