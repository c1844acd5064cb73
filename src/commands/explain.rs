//! `explain`: each field of each policy, what is detected of it, and what is lost.

use anyhow::Result;

use super::pipeline::{Exit, read_input};
use crate::cli::{Explain, TextOrJson};
use crate::console::Console;
use crate::render::{self, Options};
use crate::report::explain;

/// Shows what each field of each policy becomes.
pub(super) fn run(args: &Explain, console: &mut Console<'_>) -> Result<Exit> {
    let inventory = read_input(&args.input, console)?;
    let options = Options { object: args.audit_object, ..Options::default() };
    let text = match args.format {
        TextOrJson::Text => {
            let (width, paint) = (console.product_width(), console.product_paint());
            explain::text(&inventory, &options, args.all, width, paint)
        }
        TextOrJson::Json => {
            let files = [
                render::audit_rules(&inventory.policies, &options)?,
                render::runtime_rules(&inventory.policies, &options)?,
            ];
            explain::json(&inventory, &files, &options, args.all)?
        }
    };
    console.print(text)?;
    Ok(Exit::Done)
}
