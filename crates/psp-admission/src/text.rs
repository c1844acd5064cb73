//! Text of others, fit to be shown: in one line, steering no terminal, and no longer than it may be.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Does a character stay within its line and its place there, in a terminal and in YAML 1.1 and 1.2?
///
/// It does unless it is a control character, ends a line, turns the writing direction, or has no width and no meaning.
pub fn is_plain(letter: char) -> bool {
    matches!(letter, '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text` with what is not plain spelt out, as `\u{1b}`: manifests and file names are not to steer a terminal, nor to
/// feign a line of their own.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut spelt = String::new();
    // a String takes whatever is written to it
    let _ = Short { text: &mut spelt, left: usize::MAX }.write_str(text);
    Cow::Owned(spelt)
}

/// Writes to a string what is written to it, with what is not plain spelt out, up to so many characters; a `…` stands
/// for the rest.
pub(crate) struct Short<'t> {
    pub(crate) text: &'t mut String,
    pub(crate) left: usize,
}

impl fmt::Write for Short<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| self.write_char(letter))
    }

    /// Fails when the limit is reached, so that a formatter stops.
    fn write_char(&mut self, letter: char) -> fmt::Result {
        let spelt = letter.escape_default();
        let length = if is_plain(letter) { 1 } else { spelt.len() };
        match self.left.checked_sub(length) {
            None | Some(0) => {
                if self.left > 0 {
                    self.text.push('…');
                }
                self.left = 0;
                return Err(fmt::Error);
            }
            Some(left) => self.left = left,
        }
        if is_plain(letter) {
            self.text.push(letter);
        } else {
            self.text.extend(spelt);
        }
        Ok(())
    }
}

/// What `shown` says, in at most so many characters.
pub(crate) fn short(shown: impl fmt::Display, most: usize) -> String {
    let mut text = String::new();
    // an error says that the limit is reached
    let _ = write!(Short { text: &mut text, left: most }, "{shown}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_where_it_must_and_spells_out_what_is_not_plain() {
        assert_eq!(short("abcdef", 10), "abcdef");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("a\u{1b}[2J\n", 40), r"a\u{1b}[2J\n");
        assert_eq!(short("ab\u{202e}cd", 6), "ab…");
        assert_eq!(printable("no\u{85}good"), r"no\u{85}good");
        assert!(matches!(printable("plain"), Cow::Borrowed("plain")));
    }
}
