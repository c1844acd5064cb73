//! `completions` and `man`: the command line, told to shells and to readers of manuals.

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use clap::{Command, CommandFactory as _};

use super::Exit;
use crate::cli::{Cli, Completions, Man};
use crate::problem::{nearest, quote};
use crate::write;

/// Prints the completions of a shell.
pub(super) fn completions(args: &Completions, out: &mut dyn Write) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "psp2falco", &mut script);
    out.write_all(&script).context("standard output")?;
    Ok(Exit::Done)
}

/// Prints one man page, or writes all of them.
pub(super) fn man(args: &Man, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let pages: Vec<&Command> = std::iter::once(&program).chain(program.get_subcommands()).collect();
    if let Some(folder) = &args.output {
        for command in pages {
            let page = page(command)?;
            let path = folder.join(clap_mangen::Man::new(command.clone()).get_filename());
            write::replace(&path, &page, false)?;
            writeln!(err, "wrote {}", path.display())?;
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
        bail!("man: no command {}; {hint}", quote(wanted));
    };
    out.write_all(page(command)?.as_bytes()).context("standard output")?;
    Ok(Exit::Done)
}

/// The page of one command.
fn page(command: &Command) -> Result<String> {
    let mut page = format!(".\\\" {}\n", write::MARK).into_bytes();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}
