//! Loading rules files, and evaluating the rules over events.

mod compilation;
mod evaluation;
mod glob;
mod load;
mod output;
mod plugin;
mod program;
pub(crate) mod re2;
#[cfg(test)]
mod recorded_answers;
mod regex_memory;
mod rules;

pub use evaluation::Extractions;
pub use load::{Loaded, load, load_with};
pub use plugin::{EventReader, FieldValue, FieldValues, Plugin};
pub use rules::{Evaluator, Rule, RuleSet};
