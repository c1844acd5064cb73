//! Reads PodSecurityPolicies, maps each restriction to rules, renders and checks them, and writes them for Falco.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use psp2falco::cli::{self, Cli};
use psp2falco::commands::{self, Exit};

fn main() -> ExitCode {
    let called = cli::called(std::env::args_os().next().as_deref());
    let cli = Cli::from_arg_matches(&Cli::command().bin_name(called).get_matches());
    let cli = cli.unwrap_or_else(|error| error.exit());
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let ended = commands::run(cli, &mut out, &mut err);
    let ended = ended.and_then(|exit| out.flush().context("standard output").map(|()| exit));
    match ended {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Findings) => ExitCode::from(1),
        // a reader that has seen enough is no fault
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(err, "{error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
