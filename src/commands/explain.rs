//! `explain`: each field of each policy, what is detected of it, and what is lost.

use std::io::Write;

use anyhow::{Context as _, Result};

use super::{Exit, object, read_input};
use crate::cli::Explain;
use crate::report;

/// Shows what each field of each policy becomes.
pub(super) fn run(args: &Explain, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let inventory = read_input(&args.input, err)?;
    write!(out, "{}", report::explain(&inventory, object(args.audit_object))).context("standard output")?;
    Ok(Exit::Done)
}
