//! `convert`: policies from files become rules.

use std::io::Write;

use anyhow::{Context as _, Result};

use super::{AUDIT_RULES, Exit, check, object, options, read_input};
use crate::cli::Convert;
use crate::{render, report, write};

/// Writes the rules of policies from files.
pub(super) fn run(args: &Convert, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let inventory = read_input(&args.input, err)?;
    let rendered = render::audit_rules(&inventory.policies, &options(&args.rules))?;
    check(&rendered)?;
    let summary = report::summary(&inventory, &rendered, object(args.rules.audit_object));
    match &args.output {
        Some(output) => {
            let path = write::target(output, AUDIT_RULES);
            write::replace(&path, &rendered.text, args.force)?;
            writeln!(err, "{summary}\nwrote {}", path.display())?;
        }
        None => {
            out.write_all(rendered.text.as_bytes()).context("standard output")?;
            writeln!(err, "{summary}")?;
        }
    }
    Ok(Exit::Done)
}
