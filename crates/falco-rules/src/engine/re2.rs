//! Regular expressions as Falco takes them: RE2 in POSIX mode, matched against the whole text.
//!
//! A pattern is checked against that dialect and rewritten for the `regex` crate. What matters of the dialect
//! (measured on Falco 0.44.1): no `\d`-like classes, no `(?…)`, no word boundaries, at most 1000 repetitions,
//! `^` and `$` match at line ends inside the text, `.` does not match a line's end, `[^a]` does, and a `{` that
//! starts no repetition is a plain character.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Config, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

/// RE2's limit on repetitions, also when they are nested.
const MAX_REPEAT: u32 = 1000;
/// A pattern of no more states than this compiles for certain in the memory that the `regex` crate allows (10 MB).
const ALWAYS_COMPILES: u64 = 100_000;
/// What a pattern's automaton may take, in bytes, and as much again for the states that a thread has seen of it.
const MAX_AUTOMATON: usize = 1 << 20;
/// More states than one item of a class, or any other piece, ever has; they take some 900 bytes together.
const STATES: u64 = 12;
const MAX_DEPTH: usize = 150;

/// A pattern that RE2 takes, compiled when it is first asked: most of those in a file that is only checked never are.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// Matches the whole text.
    whole: Lazy,
    /// For patterns that start or end in `.*`: the rest of it, to be found anywhere.
    within: Option<Lazy>,
    automaton: OnceLock<Option<DFA>>,
}

#[derive(Debug)]
struct Lazy {
    text: String,
    regex: OnceLock<Option<Regex>>,
}

impl Lazy {
    fn new(text: String) -> Self {
        Self { text, regex: OnceLock::new() }
    }

    fn is_match(&self, text: &[u8]) -> bool {
        self.regex.get_or_init(|| build(&self.text).ok()).as_ref().is_some_and(|r| r.is_match(text))
    }
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// RE2 refuses it, with this message.
    Invalid(String),
    /// RE2 takes it, but it needs more memory than this model spends on a pattern.
    TooLarge,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When RE2 would refuse the pattern, or when it takes too much memory here.
    pub(crate) fn new(pattern: &str) -> Result<Self, PatternError> {
        let mut parser = Parser { pattern, pos: 0, depth: 0 };
        let alternatives = parser.alternatives().map_err(PatternError::Invalid)?;
        if parser.pos < pattern.len() {
            return Err(PatternError::Invalid(format!("unexpected ): {pattern}")));
        }
        let tree = alternation(&alternatives);
        let whole = Lazy::new(format!(r"\A(?:{})\z", tree.text));
        if tree.states > ALWAYS_COMPILES {
            build(&whole.text)?;
        }
        let within = match alternatives.as_slice() {
            [pieces] => open_ended(pieces).map(Lazy::new),
            _ => None,
        };
        Ok(Self { whole, within, automaton: OnceLock::new() })
    }

    /// The automaton of the whole pattern, for ASCII without line ends; none when it would be too large. It makes its
    /// states as they are met, and gives up rather than to forget one.
    pub(crate) fn automaton(&self) -> Option<&DFA> {
        let make = || {
            DFA::builder()
                .configure(Config::new().cache_capacity(MAX_AUTOMATON).minimum_cache_clear_count(Some(0)))
                .thompson(thompson::Config::new().nfa_size_limit(Some(MAX_AUTOMATON)))
                .syntax(syntax::Config::new().multi_line(true).unicode(false).utf8(false))
                .build(&self.whole.text)
                .ok()
        };
        self.automaton.get_or_init(make).as_ref()
    }

    /// The pattern as the `regex` crate takes it, in multi-line mode.
    pub(crate) fn whole_text(&self) -> &str {
        &self.whole.text
    }

    /// Whether the pattern matches all of `text`; `plain` says that it is UTF-8 and has no line end.
    pub(crate) fn matches(&self, text: &[u8], plain: bool) -> bool {
        match &self.within {
            Some(within) if plain => within.is_match(text),
            _ => self.whole.is_match(text),
        }
    }
}

fn build(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text).multi_line(true).build().map_err(|_| PatternError::TooLarge)
}

/// A part of a pattern, rewritten.
#[derive(Debug, Clone)]
struct Piece<'p> {
    text: Cow<'p, str>,
    /// The product of nested repetitions.
    repeat: u32,
    /// No fewer states than it compiles to.
    states: u64,
    kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PieceKind {
    Dot,
    DotStar,
    Anchor,
    Other,
}

impl<'p> Piece<'p> {
    fn new(text: impl Into<Cow<'p, str>>, kind: PieceKind) -> Self {
        Self { text: text.into(), repeat: 1, states: STATES, kind }
    }

    fn char(c: char) -> Self {
        let mut buffer = [0; 4];
        Self::new(regex::escape(c.encode_utf8(&mut buffer)), PieceKind::Other)
    }
}

fn concatenation(pieces: &[Piece<'_>]) -> Piece<'static> {
    Piece {
        text: pieces.iter().map(|p| &*p.text).collect::<String>().into(),
        repeat: pieces.iter().map(|p| p.repeat).max().unwrap_or(1),
        states: pieces.iter().fold(0, |sum, p| p.states.saturating_add(sum)),
        kind: PieceKind::Other,
    }
}

fn alternation(alternatives: &[Vec<Piece<'_>>]) -> Piece<'static> {
    let branches: Vec<Piece<'_>> = alternatives.iter().map(|pieces| concatenation(pieces)).collect();
    let mut all = concatenation(&branches);
    all.text = branches.into_iter().map(|b| b.text).collect::<Vec<_>>().join("|").into();
    all
}

/// The pattern without a `.*` at its start or end, if it has one.
fn open_ended(pieces: &[Piece<'_>]) -> Option<String> {
    let mut pieces = pieces;
    while let Some((first, rest)) = pieces.split_first().filter(|(p, _)| p.text == "^") {
        let _ = first;
        pieces = rest;
    }
    while let Some((_, rest)) = pieces.split_last().filter(|(p, _)| p.text == "$") {
        pieces = rest;
    }
    let (mut start, mut end) = (r"\A", r"\z");
    while let Some((_, rest)) = pieces.split_first().filter(|(p, _)| p.kind == PieceKind::DotStar) {
        (start, pieces) = ("", rest);
    }
    while let Some((_, rest)) = pieces.split_last().filter(|(p, _)| p.kind == PieceKind::DotStar) {
        (end, pieces) = ("", rest);
    }
    (start.is_empty() || end.is_empty()).then(|| format!("{start}(?:{}){end}", concatenation(pieces).text))
}

struct Parser<'p> {
    pattern: &'p str,
    pos: usize,
    depth: usize,
}

impl<'p> Parser<'p> {
    fn rest(&self) -> &'p str {
        self.pattern.get(self.pos..).unwrap_or_default()
    }

    fn since(&self, start: usize) -> &'p str {
        self.pattern.get(start..self.pos).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.pos += c.len_utf8();
        }
        found
    }

    fn alternatives(&mut self) -> Result<Vec<Vec<Piece<'p>>>, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("maximum nesting depth exceeded".into());
        }
        let mut all = vec![self.pieces()?];
        while self.take('|') {
            all.push(self.pieces()?);
        }
        self.depth -= 1;
        Ok(all)
    }

    fn pieces(&mut self) -> Result<Vec<Piece<'p>>, String> {
        let mut pieces = Vec::new();
        while let Some(c) = self.peek().filter(|c| !matches!(c, '|' | ')')) {
            let start = self.pos;
            if matches!(c, '*' | '+' | '?') {
                self.next();
                let repeated = repeat(pieces.pop(), self.since(start), c)?;
                pieces.push(repeated);
            } else if c == '{'
                && let Some((low, high)) = self.counts()
            {
                let counted = self.count(pieces.pop(), start, low, high)?;
                pieces.push(counted);
            } else {
                pieces.push(self.atom()?);
            }
        }
        Ok(pieces)
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; anything else is no repetition.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let (inner, _) = self.rest().strip_prefix('{')?.split_once('}')?;
        let (low, high) = match inner.split_once(',') {
            None => (count(inner)?, Some(count(inner)?)),
            Some((low, "")) => (count(low)?, None),
            Some((low, high)) => (count(low)?, Some(count(high)?)),
        };
        self.pos += inner.len() + 2;
        Some((low, high))
    }

    fn count(
        &self,
        piece: Option<Piece<'p>>,
        start: usize,
        low: u32,
        high: Option<u32>,
    ) -> Result<Piece<'p>, String> {
        let operator = self.since(start);
        let size = || format!("invalid repetition size: {operator}");
        let most = high.unwrap_or(low);
        if most < low || low > MAX_REPEAT || most > MAX_REPEAT {
            return Err(size());
        }
        let piece = piece.ok_or_else(|| no_argument(operator))?;
        let repeat = piece.repeat.saturating_mul(most.max(1));
        if (low >= 2 || most >= 2) && repeat > MAX_REPEAT {
            return Err(size());
        }
        let states = piece.states.saturating_mul(u64::from(most.max(1)));
        Ok(Piece {
            text: format!("(?:{}){operator}", piece.text).into(),
            repeat,
            states,
            kind: PieceKind::Other,
        })
    }

    fn atom(&mut self) -> Result<Piece<'p>, String> {
        let start = self.pos;
        match self.next() {
            Some('(') => {
                let inner = alternation(&self.alternatives()?);
                if !self.take(')') {
                    return Err(format!("missing ): {}", self.pattern));
                }
                Ok(Piece { text: format!("(?:{})", inner.text).into(), ..inner })
            }
            Some('[') => self.class(start),
            Some('.') => Ok(Piece::new(".", PieceKind::Dot)),
            Some('^' | '$') => Ok(Piece::new(self.since(start), PieceKind::Anchor)),
            Some('\\') => self.escape(start).map(Piece::char),
            Some(c) if c.is_ascii_alphanumeric() || "\"':,_/ ".contains(c) => {
                Ok(Piece::new(self.since(start), PieceKind::Other))
            }
            Some(c) => Ok(Piece::char(c)),
            None => Err("unexpected error".into()),
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self, start: usize) -> Result<char, String> {
        let c = self.next().ok_or("trailing \\")?;
        let value = match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'a' => '\x07',
            'f' => '\x0c',
            'v' => '\x0b',
            '0' => self.octal(0),
            '1'..='7' if matches!(self.peek(), Some('0'..='7')) => self.octal(c.to_digit(8).unwrap_or(0)),
            'x' => match self.hexadecimal() {
                Some(c) => c,
                None => return Err(self.bad_escape(start)),
            },
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            _ => return Err(self.bad_escape(start)),
        };
        Ok(value)
    }

    fn bad_escape(&self, start: usize) -> String {
        format!("invalid escape sequence: {}", self.since(start))
    }

    fn octal(&mut self, first: u32) -> char {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            self.next();
            value = value * 8 + digit;
        }
        char::from_u32(value).unwrap_or('\0')
    }

    fn hexadecimal(&mut self) -> Option<char> {
        if !self.take('{') {
            let (first, second) = (self.next()?, self.next()?);
            return char::from_u32(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut digits = 0;
        let mut value = 0;
        loop {
            let c = self.next()?;
            let Some(digit) = c.to_digit(16) else {
                return char::from_u32(value).filter(|_| c == '}' && digits > 0);
            };
            digits += 1;
            value = value * 16 + digit;
            if value > u32::from(char::MAX) {
                return None;
            }
        }
    }

    /// Reads a class whose opening bracket has been read.
    fn class(&mut self, start: usize) -> Result<Piece<'p>, String> {
        let mut text = String::from("[");
        if self.take('^') {
            text.push('^');
        }
        let mut first = true;
        let mut items = 0;
        while first || self.peek() != Some(']') {
            let Some(c) = self.peek() else {
                return Err(format!("missing ]: {}", self.pattern.get(start..).unwrap_or_default()));
            };
            self.class_item(&mut text, c, first)?;
            first = false;
            items += 1;
        }
        self.next();
        text.push(']');
        Ok(Piece { states: STATES.saturating_mul(items), ..Piece::new(text, PieceKind::Other) })
    }

    fn class_item(&mut self, text: &mut String, c: char, first: bool) -> Result<(), String> {
        let start = self.pos;
        if c == '-' && !first && !self.rest().starts_with("-]") {
            self.next();
            return Err(match self.next() {
                None => "invalid UTF-8".into(),
                Some(_) => format!("invalid character class range: {}", self.since(start)),
            });
        }
        if let Some(name) = self.named_class()? {
            text.push_str(name);
            return Ok(());
        }
        let low = self.class_char()?;
        let mut high = low;
        if self.rest().starts_with('-') && self.rest().len() > 1 && !self.rest().starts_with("-]") {
            self.next();
            high = self.class_char()?;
            if high < low {
                return Err(format!("invalid character class range: {}", self.since(start)));
            }
        }
        for (dash, c) in [("", low), ("-", high)] {
            text.push_str(dash);
            if c.is_ascii_alphanumeric() {
                text.push(c);
            } else {
                let _ = write!(text, "\\x{{{:x}}}", u32::from(c));
            }
        }
        Ok(())
    }

    /// Reads `[:alpha:]`.
    fn named_class(&mut self) -> Result<Option<&'p str>, String> {
        let rest = self.rest();
        let Some(end) = rest.strip_prefix("[:").and_then(|r| r.find(":]")) else { return Ok(None) };
        let whole = rest.get(..end + 4).unwrap_or_default();
        let name = rest.get(2..end + 2).unwrap_or_default();
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(format!("invalid character class range: {whole}"));
        }
        self.pos += whole.len();
        Ok(Some(whole))
    }

    fn class_char(&mut self) -> Result<char, String> {
        let start = self.pos;
        match self.next() {
            Some('\\') => self.escape(start),
            Some(c) => Ok(c),
            None => Err(format!("missing ]: {}", self.pattern)),
        }
    }
}

fn count(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    (plain && !leading_zero).then(|| digits.parse().unwrap_or(u32::MAX))
}

fn no_argument(operator: &str) -> String {
    format!("no argument for repetition operator: {operator}")
}

fn repeat<'p>(piece: Option<Piece<'p>>, operator: &str, c: char) -> Result<Piece<'p>, String> {
    let piece = piece.ok_or_else(|| no_argument(operator))?;
    let kind = if piece.kind == PieceKind::Dot && c == '*' { PieceKind::DotStar } else { PieceKind::Other };
    Ok(Piece { text: format!("(?:{}){c}", piece.text).into(), kind, ..piece })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::is_plain;

    fn matches(pattern: &str, text: &str) -> bool {
        let compiled = Pattern::new(pattern).unwrap();
        let result = compiled.matches(text.as_bytes(), false);
        assert_eq!(result, compiled.matches(text.as_bytes(), is_plain(text.as_bytes())), "{pattern}: {text}");
        result
    }

    #[test]
    fn matches_the_whole_text() {
        for (pattern, text) in [
            ("[0-9]+", "12"),
            ("^[0-9]+$", "12"),
            (".*add.*", "xaddx"),
            ("^.*add", "xadd"),
            ("a{2,3}|b", "aaa"),
            ("[[]x[]]", "[x]"),
            ("[^a]", "\n"),
            ("a**", "aaa"),
            ("a{,2}", "a{,2}"),
            ("x\\.y\\x41\\101", "x.yAA"),
            ("a$\n^b", "a\nb"),
            ("[[:alpha:]_-]+", "ab_-"),
            (".", "é"),
            ("a*?", "aa"),
            ("", ""),
            ("(|a)b", "b"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [("[0-9]+", "12a"), (".*x.*", "x\n"), ("a|b", "ab"), ("A", "a"), (".*x", "xy")]
        {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn refuses_what_re2_refuses() {
        for (pattern, message) in [
            ("(?:a)", "no argument for repetition operator: ?"),
            ("[a-", "invalid UTF-8"),
            (".{1,1001}", "invalid repetition size: {1,1001}"),
            ("(a{40}){30}", "invalid repetition size: {30}"),
            ("*a", "no argument for repetition operator: *"),
            ("(a", "missing ): (a"),
            ("a)", "unexpected ): a)"),
            ("x[a", "missing ]: [a"),
            ("[b-a]", "invalid character class range: b-a"),
            ("[a-b-c]", "invalid character class range: -c"),
            ("[[:foo:]]", "invalid character class range: [:foo:]"),
            ("\\d", "invalid escape sequence: \\d"),
            ("\\1", "invalid escape sequence: \\1"),
            ("a\\", "trailing \\"),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap_err(),
                PatternError::Invalid(message.into()),
                "{pattern}"
            );
        }
        assert_eq!(Pattern::new(&".{1000}".repeat(30)).unwrap_err(), PatternError::TooLarge);
    }
}
