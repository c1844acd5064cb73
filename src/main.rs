//! Reads PodSecurityPolicies, maps each restriction to rules, renders and checks them, and writes them for Falco.

use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, FromArgMatches as _};
use psp2falco::cli::{self, Cli};
use psp2falco::commands::{self, Exit};
use psp2falco::console::Console;

fn main() -> ExitCode {
    let called = cli::called(std::env::args_os().next().as_deref());
    let cli =
        Cli::command().bin_name(called).try_get_matches().and_then(|found| Cli::from_arg_matches(&found));
    let messages = cli.as_ref().map(|cli| cli.messages.clone()).unwrap_or_default();
    let mut console = Console::standard(messages.color, messages.volume());
    let ended = match cli {
        Ok(cli) => commands::run(cli, &mut console).and_then(|exit| {
            console.flush()?;
            Ok(match exit {
                Exit::Done => ExitCode::SUCCESS,
                Exit::Findings => ExitCode::from(1),
            })
        }),
        Err(answer) => tell(&answer),
    };
    ended.unwrap_or_else(|error| {
        console.fail(&error);
        ExitCode::from(2)
    })
}

/// Help and version, or what is wrong with the command line.
fn tell(answer: &clap::Error) -> Result<ExitCode> {
    match answer.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe && !answer.use_stderr() => {
            Err(error).context("standard output")
        }
        _ => Ok(if answer.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }),
    }
}
