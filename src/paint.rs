//! Colours of what the program prints, where colour is wanted.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

use crate::excerpt::Gravity;

/// Paints text where colour is wanted, and leaves it as it is elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paint {
    colour: bool,
}

/// What is said of a piece of text by its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// It names what follows.
    Strong,
    /// It is as it should be, or is added.
    Good,
    /// Added within a line.
    GoodHere,
    /// Something to know.
    Note,
    /// Something to look at.
    Warning,
    /// It is wrong.
    Error,
    /// It is taken away, or not detected.
    Lost,
    /// Taken away within a line.
    LostHere,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().bold(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::GoodHere => AnsiColor::Green.on_default().invert(),
            Tone::Note => AnsiColor::Cyan.on_default(),
            Tone::Warning => AnsiColor::Yellow.on_default(),
            Tone::Error => AnsiColor::Red.on_default().bold(),
            Tone::Lost => AnsiColor::Red.on_default(),
            Tone::LostHere => AnsiColor::Red.on_default().invert(),
        }
    }
}

impl From<Gravity> for Tone {
    fn from(gravity: Gravity) -> Self {
        match gravity {
            Gravity::Error => Tone::Error,
            Gravity::Warning => Tone::Warning,
            Gravity::Note => Tone::Note,
        }
    }
}

impl Paint {
    /// In colour, or not.
    pub const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// Is colour wanted?
    pub fn in_colour(self) -> bool {
        self.colour
    }

    /// The text in the colour of its tone.
    pub fn text(self, tone: Tone, text: impl Display) -> String {
        let text = text.to_string();
        match self.colour && tone != Tone::Plain && !text.is_empty() {
            true => format!("{style}{text}{style:#}", style = tone.style()),
            false => text,
        }
    }

    /// A finding whose text begins with its place, `file:line:column: `, where it has one: the place is painted.
    pub(crate) fn finding(self, gravity: Gravity, finding: impl Display) -> String {
        let text = finding.to_string();
        match text.split_once(": ").filter(|_| self.colour) {
            Some((place, rest)) => format!("{}: {rest}", self.text(gravity.into(), place)),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_text_stays_as_it_is() {
        let (plain, coloured) = (Paint::default(), Paint::new(true));
        assert_eq!(plain.text(Tone::Error, "no"), "no");
        assert_eq!(coloured.text(Tone::Error, "no"), "\u{1b}[1m\u{1b}[31mno\u{1b}[0m");
        assert_eq!(coloured.text(Tone::Error, ""), "");
        assert_eq!(coloured.text(Tone::Plain, "yes"), "yes");
        assert_eq!(plain.finding(Gravity::Warning, "a.yaml:1:2: x: y"), "a.yaml:1:2: x: y");
        assert_eq!(
            coloured.finding(Gravity::Warning, "a.yaml:1:2: x: y"),
            "\u{1b}[33ma.yaml:1:2\u{1b}[0m: x: y"
        );
    }
}
