//! How to replay.

use clap::ValueEnum;

/// How many of the lines that cannot be read are shown.
pub const MAX_TROUBLES: usize = 5;

/// Which of the rules that match an event alert, as Falco's option `rule_matching` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Matching {
    /// The first one in the order of the files.
    First,
    /// All of them.
    All,
}

/// What becomes of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Counted by rule.
    Table,
    /// One JSON object a line.
    Json,
}

/// How to replay.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Which matching rules alert.
    pub matching: Matching,
    /// What becomes of alerts.
    pub format: Format,
    /// How many threads judge events; with 1, nothing else runs either.
    pub threads: usize,
}
