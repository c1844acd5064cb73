//! `convert`: policies from files become rules.

use anyhow::Result;

use super::pipeline::{Exit, deliver, read_input};
use crate::cli::Convert;
use crate::console::Console;

/// Writes the rules of policies from files.
pub(super) fn run(args: &Convert, console: &mut Console<'_>) -> Result<Exit> {
    let inventory = read_input(&args.input, console)?;
    deliver(&inventory, &args.rules, &args.output, &[], console)
}
