//! What the program says: the product on standard output; messages and progress on standard error.
//!
//! A reader that closes its end of a pipe has heard enough. What would still go to it is discarded, the work goes on,
//! and neither files nor the exit code depend on it. No lock on a stream is held between two calls.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use terminal_size::{Width, terminal_size_of};

use crate::excerpt::{Gravity, Style, excerpt};
use crate::paint::Paint;
use crate::problem::{Problem, Problems};
use crate::signals;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Colour: as the user says, else on a terminal unless `NO_COLOR` is set (<https://no-color.org>).
fn in_colour(colour: Colour, terminal: bool) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// How much the program says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// What is wrong, and what was asked for.
    Quiet,
    /// What was done, too.
    Normal,
    /// And with what.
    Verbose,
}

/// The two streams that a command writes to, and what is known of who is there.
pub struct Console<'w> {
    product: Stream<'w>,
    messages: Stream<'w>,
    input_is_terminal: bool,
    colour: Colour,
    volume: Volume,
}

struct Stream<'w> {
    to: Box<dyn Write + 'w>,
    is_terminal: bool,
    /// How many characters a line of the terminal has.
    width: Option<usize>,
    /// Its reader is gone.
    is_closed: bool,
}

impl<'w> Stream<'w> {
    fn new(to: impl Write + 'w) -> Self {
        Self { to: Box::new(to), is_terminal: false, width: None, is_closed: false }
    }

    /// Does something with the stream unless its reader is gone.
    fn try_to(&mut self, act: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        match act(&mut *self.to) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            result => result,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match shown().as_ref().filter(|_| self.is_terminal) {
            Some(bar) => bar.suspend(|| self.try_to(|to| to.write_all(bytes))),
            None => self.try_to(|to| to.write_all(bytes)),
        }
    }
}

impl Stream<'_> {
    fn paint(&self, colour: Colour) -> Paint {
        Paint::new(in_colour(colour, self.is_terminal))
    }

    fn style(&self, colour: Colour) -> Style {
        let width = self.width.unwrap_or(Style::default().width);
        Style { width, colour: in_colour(colour, self.is_terminal) }
    }
}

impl Console<'static> {
    /// The streams of the process.
    pub fn standard(colour: Colour, volume: Volume) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let columns = |(Width(columns), _)| Some(usize::from(columns)).filter(|columns| *columns > 0);
        let product = Stream {
            is_terminal: out.is_terminal(),
            width: terminal_size_of(&out).and_then(columns),
            ..Stream::new(out)
        };
        let messages = Stream {
            is_terminal: err.is_terminal(),
            width: terminal_size_of(&err).and_then(columns),
            ..Stream::new(err)
        };
        Self { product, messages, input_is_terminal: io::stdin().is_terminal(), colour, volume }
    }
}

impl<'w> Console<'w> {
    /// Two writers that are no terminals.
    pub fn new(product: impl Write + 'w, messages: impl Write + 'w) -> Self {
        let (product, messages) = (Stream::new(product), Stream::new(messages));
        let (colour, volume) = (Colour::Auto, Volume::Normal);
        Self { product, messages, input_is_terminal: false, colour, volume }
    }

    /// Writes a part of the product.
    ///
    /// # Errors
    /// Whatever the operating system says, but that the reader is gone.
    pub fn print(&mut self, text: impl AsRef<[u8]>) -> Result<()> {
        self.product.write(text.as_ref()).context("standard output")
    }

    /// Has everything that was printed leave the program.
    ///
    /// # Errors
    /// As [`print`](Self::print).
    pub fn flush(&mut self) -> Result<()> {
        self.product.try_to(|to| to.flush()).context("standard output")
    }

    /// Says what was done, unless the program is to be quiet.
    pub fn say(&mut self, message: impl Display) {
        if self.volume != Volume::Quiet {
            self.answer(message);
        }
    }

    /// Says more, if that is wanted.
    pub fn add(&mut self, message: impl Display) {
        if self.is_verbose() {
            self.answer(message);
        }
    }

    /// Is more to be said than usual?
    pub fn is_verbose(&self) -> bool {
        self.volume == Volume::Verbose
    }

    /// Says what somebody asked for, or must know, in a line or several of its own. An empty message is none. Where
    /// messages cannot be written, nobody can be told.
    pub fn answer(&mut self, message: impl Display) {
        let mut text = message.to_string();
        if text.is_empty() {
            return;
        }
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let _ = self.messages.write(text.as_bytes());
    }

    /// Says what is wrong with the input: in a line, and on a terminal with the line of the input that it is about.
    pub fn tell(&mut self, gravity: Gravity, problem: &Problem) {
        self.remark(gravity, problem);
        if let (true, Some(source)) = (self.messages.is_terminal, &problem.source) {
            let (line, column) = (problem.place.line, problem.place.column);
            let drawn = excerpt(source, line, column, gravity, self.messages.style(self.colour));
            match gravity {
                Gravity::Note => self.say(drawn),
                Gravity::Error | Gravity::Warning => self.answer(drawn),
            }
        }
    }

    /// Warns of something that is no problem with a line of the input. It begins with a place all the same.
    pub fn warn(&mut self, message: impl Display) {
        self.remark(Gravity::Warning, message);
    }

    /// Notes what is right as it is, unless the program is to be quiet.
    pub fn note(&mut self, message: impl Display) {
        self.remark(Gravity::Note, message);
    }

    fn remark(&mut self, gravity: Gravity, message: impl Display) {
        let paint = self.messages_paint();
        match gravity {
            Gravity::Error => self.answer(paint.finding(gravity, message)),
            Gravity::Warning => {
                self.answer(format_args!("{}{message}", paint.text(gravity.into(), gravity.prefix())));
            }
            Gravity::Note => {
                self.say(format_args!("{}{message}", paint.text(gravity.into(), gravity.prefix())));
            }
        }
    }

    /// Says why the command failed.
    pub fn fail(&mut self, error: &anyhow::Error) {
        match error.downcast_ref::<Problems>() {
            Some(Problems(problems)) => {
                for problem in problems {
                    self.tell(Gravity::Error, problem);
                }
            }
            None => self.remark(Gravity::Error, format_args!("{error:#}")),
        }
    }

    /// How excerpts are drawn in the product.
    pub fn product_style(&self) -> Style {
        self.product.style(self.colour)
    }

    /// How the product is painted.
    pub fn product_paint(&self) -> Paint {
        self.product.paint(self.colour)
    }

    /// How messages are painted.
    pub fn messages_paint(&self) -> Paint {
        self.messages.paint(self.colour)
    }

    /// Does the product go to a terminal?
    pub fn product_is_on_terminal(&self) -> bool {
        self.product.is_terminal
    }

    /// How many characters wide the terminal is that the product goes to.
    pub fn product_width(&self) -> Option<usize> {
        self.product.width
    }

    /// How many characters wide the terminal is that messages go to.
    pub fn messages_width(&self) -> Option<usize> {
        self.messages.width
    }

    /// Says what is waited for, where a person would have to type it.
    pub fn announce_input(&mut self, what: &str) {
        if self.input_is_terminal {
            self.answer(format_args!("stdin: type or paste {what}, then Ctrl-D; Ctrl-C gives up"));
        }
    }

    /// Shows progress while the result lives, if messages go to a terminal. `style` is a template of indicatif's;
    /// `length` is where the position ends, if that is known.
    pub fn progress(&self, style: &str, length: Option<u64>) -> Progress {
        static CLEARED: Once = Once::new();
        if !self.messages.is_terminal || self.volume == Volume::Quiet {
            return Progress { bar: ProgressBar::hidden() };
        }
        CLEARED.call_once(|| signals::before_end(clear));
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        *shown() = Some(bar.clone());
        Progress { bar }
    }
}

/// How far the work has come, on a terminal; dropped, it leaves the line empty.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Is there nobody to see it?
    pub fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// How far the work has come, in the units of the length.
    pub fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// What is being done.
    pub fn set_message(&self, message: String) {
        self.bar.set_message(message);
        self.bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *shown() = None;
        self.bar.finish_and_clear();
    }
}

/// The bar on the terminal; a process has one at a time.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clears the bar before a signal ends the program. A terminal that is stopped (Ctrl-S) does not keep it from ending.
fn clear() {
    const LONGEST: Duration = Duration::from_millis(200);
    let (done, wait) = mpsc::channel();
    let clear = move || {
        if let Some(bar) = shown().take() {
            bar.finish_and_clear();
        }
        let _ = done.send(());
    };
    if thread::Builder::new().name("clear".to_owned()).spawn(clear).is_ok() {
        let _ = wait.recv_timeout(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` bytes, and then has an error.
    struct Full {
        room: usize,
        error: ErrorKind,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken == 0 { Err(self.error.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            if self.room == 0 { Err(self.error.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error_and_a_full_disk_is_one() {
        for (error, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let mut console = Console::new(Full { room: 3, error }, Full { room: 3, error });
            console.print("one").unwrap();
            for _ in 0..2 {
                assert_eq!(console.print("two").is_err(), fails, "{error}");
                assert_eq!(console.flush().is_err(), fails, "{error}");
                console.say("what nobody hears");
            }
        }
    }

    #[test]
    fn messages_end_their_lines() {
        let mut messages = Vec::new();
        let mut console = Console::new(io::sink(), &mut messages);
        console.say("one");
        console.say("");
        console.say("two\nthree\n");
        drop(console);
        assert_eq!(messages, b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_quiet_program_says_what_is_wrong_and_what_was_asked_for() {
        let said = |volume| {
            let mut messages = Vec::new();
            let mut console = Console { volume, ..Console::new(io::sink(), &mut messages) };
            console.add("a file");
            console.say("done");
            console.note("odd");
            console.warn("off");
            console.answer("asked");
            drop(console);
            String::from_utf8(messages).unwrap()
        };
        assert_eq!(said(Volume::Quiet), "warning: off\nasked\n");
        assert_eq!(said(Volume::Normal), "done\nnote: odd\nwarning: off\nasked\n");
        assert_eq!(said(Volume::Verbose), "a file\ndone\nnote: odd\nwarning: off\nasked\n");
    }
}
