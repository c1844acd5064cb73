//! `convert`: policies from files become rules.

use std::io::Write;

use anyhow::Result;

use super::{Exit, deliver, read_input};
use crate::cli::Convert;

/// Writes the rules of policies from files.
pub(super) fn run(args: &Convert, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let inventory = read_input(&args.input, err)?;
    deliver(&inventory, &args.rules, &args.output, out, err)
}
