//! `completions` and `man`: the command line, told to shells and to readers of manuals.

use anyhow::Result;
use clap::{Command, CommandFactory as _};

use super::pipeline::Exit;
use crate::cli::{Cli, Completions, Man};
use crate::console::Console;
use crate::messages::commands as messages;
use crate::problem::{Problem, nearest, quote};
use crate::write::{self, Batch};

/// Prints the completions of a shell.
pub(super) fn completions(args: &Completions, console: &mut Console<'_>) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "psp2falco", &mut script);
    console.print(&script)?;
    Ok(Exit::Done)
}

/// Prints one man page, or writes all of them.
pub(super) fn man(args: &Man, console: &mut Console<'_>) -> Result<Exit> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let pages: Vec<&Command> = std::iter::once(&program).chain(program.get_subcommands()).collect();
    if let Some(folder) = &args.output {
        if folder.as_os_str() == "-" {
            return Err(Problem::of_file("--output -", messages::pages_to_standard_output()).into());
        }
        let mut batch = Batch::new(false);
        for command in pages {
            batch
                .replace(&folder.join(clap_mangen::Man::new(command.clone()).get_filename()), page(command)?);
        }
        for written in batch.prepare()?.put_in_place()? {
            console.say(written);
        }
        return Ok(Exit::Done);
    }
    let wanted = args.page.as_deref().unwrap_or("psp2falco");
    let Some(command) = pages.iter().find(|command| command.get_name() == wanted) else {
        let names: Vec<&str> = pages.iter().map(|command| command.get_name()).collect();
        let hint = match nearest(wanted, &names) {
            Some(near) => format!("did you mean {near}?"),
            None => "psp2falco --help lists them".to_owned(),
        };
        return Err(Problem::of_file("man", messages::no_command(quote(wanted), hint)).into());
    };
    console.print(page(command)?)?;
    Ok(Exit::Done)
}

/// The page of one command.
fn page(command: &Command) -> Result<String> {
    let mut page = format!(".\\\" {}\n", write::MARK).into_bytes();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
