//! What each command does, one file a command. What they share stands in `pipeline`.

mod convert;
mod explain;
mod generate;
mod init;
mod krm;
mod lint;
mod pipeline;
mod replay;
mod rules_files;
#[cfg(feature = "cluster")]
mod scan;
mod shell;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::console::Console;
pub use pipeline::{BUNDLE, Exit, check};

/// Runs the command. Its product and its messages go to the console.
///
/// # Errors
/// Anything wrong, in lines that start with the place; nothing was written then.
pub fn run(cli: Cli, console: &mut Console<'_>) -> Result<Exit> {
    match cli.command {
        Command::Convert(args) => convert::run(&args, console),
        #[cfg(feature = "cluster")]
        Command::Scan(args) => scan::run(&args, console),
        Command::Explain(args) => explain::run(&args, console),
        Command::Generate(args) => generate::run(&args, console),
        Command::Krm => krm::run(&mut std::io::stdin().lock(), console),
        Command::Replay(args) => replay::run(&args, console),
        Command::Lint(args) => lint::run(&args, console),
        Command::Completions(args) => shell::completions(&args, console),
        Command::Man(args) => shell::man(&args, console),
    }
}
