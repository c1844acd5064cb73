//! `explain`: each field of each policy, what is detected of it, and what is lost.

use anyhow::Result;

use super::pipeline::{Exit, read_input};
use crate::cli::Explain;
use crate::console::Console;
use crate::report;

/// Shows what each field of each policy becomes.
pub(super) fn run(args: &Explain, console: &mut Console<'_>) -> Result<Exit> {
    let inventory = read_input(&args.input, console)?;
    let width = console.product_width();
    console.print(report::explain(&inventory, args.audit_object, width))?;
    Ok(Exit::Done)
}
