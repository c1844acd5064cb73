//! Shell patterns (`glob`, `iglob`) and path prefixes (`pmatch`).

use std::collections::HashMap;

/// A shell pattern, as `fnmatch` reads it in the C locale: bytes, `*` and `?` match slashes too.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    any_case: bool,
    /// Something in its brackets means what only the C library's own code can tell.
    pub(crate) is_odd: bool,
}

#[derive(Debug, Clone)]
enum Token {
    Byte(u8),
    Any,
    Star,
    Class(Box<[bool; 256]>),
    /// A backslash at the end, which matches nothing.
    Never,
}

impl Glob {
    pub(crate) fn new(pattern: &[u8], any_case: bool) -> Self {
        let mut tokens = Vec::new();
        let mut is_odd = false;
        let mut rest = pattern;
        while let Some((byte, tail)) = rest.split_first() {
            rest = tail;
            tokens.push(match byte {
                b'?' => Token::Any,
                b'*' => Token::Star,
                b'\\' => match rest.split_first() {
                    Some((escaped, tail)) => {
                        rest = tail;
                        Token::Byte(*escaped)
                    }
                    None => Token::Never,
                },
                b'[' => match class(rest, any_case, &mut is_odd) {
                    Some((set, tail)) => {
                        rest = tail;
                        Token::Class(set)
                    }
                    None => Token::Byte(b'['),
                },
                other => Token::Byte(*other),
            });
        }
        Self { tokens, any_case, is_odd }
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        let mut retry = None;
        while at < text.len() || token < self.tokens.len() {
            if matches!(self.tokens.get(token), Some(Token::Star)) {
                token += 1;
                retry = Some((at, token));
                continue;
            }
            let matched = match (self.tokens.get(token), text.get(at)) {
                (Some(token), Some(byte)) => self.matches_byte(token, *byte),
                _ => false,
            };
            if matched {
                at += 1;
                token += 1;
                continue;
            }
            match retry {
                Some((from, after)) if from < text.len() => {
                    retry = Some((from + 1, after));
                    (at, token) = (from + 1, after);
                }
                _ => return false,
            }
        }
        true
    }

    fn matches_byte(&self, token: &Token, byte: u8) -> bool {
        match token {
            Token::Byte(b) if self.any_case => b.eq_ignore_ascii_case(&byte),
            Token::Byte(b) => *b == byte,
            Token::Any => true,
            Token::Class(set) => set.get(usize::from(byte)).copied().unwrap_or(false),
            Token::Star | Token::Never => false,
        }
    }
}

/// Reads a bracket expression whose `[` has been read; none when it never ends.
fn class<'t>(text: &'t [u8], any_case: bool, is_odd: &mut bool) -> Option<(Box<[bool; 256]>, &'t [u8])> {
    let negated = matches!(text.first(), Some(b'!' | b'^'));
    let mut rest = if negated { text.get(1..)? } else { text };
    let mut set = Box::new([false; 256]);
    let mut first = true;
    loop {
        let (byte, tail) = rest.split_first()?;
        if *byte == b']' && !first {
            rest = tail;
            break;
        }
        first = false;
        if *byte == b'[' && matches!(tail.first(), Some(b':' | b'.' | b'=')) {
            match named(tail).filter(|(name, _)| !any_case || !matches!(*name, b"upper" | b"lower")) {
                Some((name, tail)) => {
                    add(&mut set, |b| is_named(name, b));
                    rest = tail;
                    continue;
                }
                None => *is_odd = true,
            }
        }
        let (low, tail) = class_byte(rest)?;
        rest = tail;
        let mut high = low;
        if rest.first() == Some(&b'-') && rest.get(1).is_some_and(|b| *b != b']') {
            (high, rest) = class_byte(rest.get(1..)?)?;
        }
        add(&mut set, |b| (low..=high).contains(&b));
    }
    if any_case {
        let before = set.clone();
        let has = |b: u8| before.get(usize::from(b)).copied().unwrap_or(false);
        add(&mut set, |b| has(b.to_ascii_lowercase()) || has(b.to_ascii_uppercase()));
    }
    if negated {
        set.iter_mut().for_each(|member| *member = !*member);
    }
    Some((set, rest))
}

fn class_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (byte, tail) = text.split_first()?;
    if *byte == b'\\' {
        return tail.split_first().map(|(b, tail)| (*b, tail));
    }
    Some((*byte, tail))
}

fn add(set: &mut [bool; 256], belongs: impl Fn(u8) -> bool) {
    for (byte, member) in (0..=u8::MAX).zip(set.iter_mut()) {
        *member |= belongs(byte);
    }
}

/// The known name in `[:alpha:]`, whose first bracket has been read.
fn named(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = text.strip_prefix(b":")?;
    let end = inner.windows(2).position(|w| w == b":]")?;
    let (name, rest) = (inner.get(..end)?, inner.get(end + 2..)?);
    NAMES.contains(&name).then_some((name, rest))
}

const NAMES: [&[u8]; 12] = [
    b"alnum", b"alpha", b"blank", b"cntrl", b"digit", b"graph", b"lower", b"print", b"punct", b"space",
    b"upper", b"xdigit",
];

fn is_named(name: &[u8], b: u8) -> bool {
    match name {
        b"alnum" => b.is_ascii_alphanumeric(),
        b"alpha" => b.is_ascii_alphabetic(),
        b"blank" => matches!(b, b' ' | b'\t'),
        b"cntrl" => b.is_ascii_control(),
        b"digit" => b.is_ascii_digit(),
        b"graph" => b.is_ascii_graphic(),
        b"lower" => b.is_ascii_lowercase(),
        b"print" => b.is_ascii_graphic() || b == b' ',
        b"punct" => b.is_ascii_punctuation(),
        b"space" => b.is_ascii_whitespace() || b == 0x0b,
        b"upper" => b.is_ascii_uppercase(),
        b"xdigit" => b.is_ascii_hexdigit(),
        _ => false,
    }
}

/// The paths of a `pmatch`: it matches a path that is one of them or lies below one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths {
    plain: HashMap<Vec<u8>, Below>,
    globs: Vec<(Vec<u8>, Glob, Below)>,
}

/// What lies below a part of a path: everything, or these.
type Below = Option<Box<Paths>>;

impl Paths {
    /// Adds a path.
    pub(crate) fn add(&mut self, path: &[u8]) {
        self.add_parts(&parts(path));
    }

    fn add_parts(&mut self, parts: &[&[u8]]) {
        let Some((part, rest)) = parts.split_first() else { return };
        match self.entry(part) {
            Some(below) if rest.is_empty() => *below = None,
            Some(None) => {}
            Some(Some(below)) => below.add_parts(rest),
            None => {
                let mut below = Self::default();
                below.add_parts(rest);
                let below = (!rest.is_empty()).then(|| Box::new(below));
                if is_glob(part) {
                    self.globs.push((part.to_vec(), Glob::new(part, false), below));
                } else {
                    self.plain.insert(part.to_vec(), below);
                }
            }
        }
    }

    fn entry(&mut self, part: &[u8]) -> Option<&mut Below> {
        if is_glob(part) {
            return self.globs.iter_mut().find(|(text, ..)| text == part).map(|(.., below)| below);
        }
        self.plain.get_mut(part)
    }

    /// Whether two patterns stand beside each other, whose order Falco leaves to chance (it can crash on them),
    /// or one is odd.
    pub(crate) fn is_odd(&self) -> bool {
        let below = self.plain.values().chain(self.globs.iter().map(|(_, _, below)| below));
        let odd = |(_, glob, _): &(Vec<u8>, Glob, Below)| glob.is_odd;
        self.globs.len() > 1 || self.globs.iter().any(odd) || below.flatten().any(|b| b.is_odd())
    }

    /// Whether the path is one of these or lies below one.
    pub(crate) fn matches(&self, path: &[u8]) -> bool {
        self.matches_parts(&parts(path))
    }

    fn matches_parts(&self, parts: &[&[u8]]) -> bool {
        let Some((part, rest)) = parts.split_first() else { return false };
        let lies_in = |below: &Below| match below {
            None => true,
            Some(below) => below.matches_parts(rest),
        };
        self.plain.get(*part).is_some_and(lies_in)
            || self.globs.iter().any(|(_, glob, below)| glob.matches(part) && lies_in(below))
    }
}

/// A path's parts; the root has one of its own, so that `/` stands for everything.
fn parts(path: &[u8]) -> Vec<&[u8]> {
    let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
    std::iter::once(&b"root"[..]).chain(parts).collect()
}

fn is_glob(part: &[u8]) -> bool {
    part.iter().any(|b| matches!(b, b'?' | b'*' | b'['))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text) in [
            ("/var/*", "/var/log/x"),
            ("a?c", "abc"),
            ("[!a-c]x", "dx"),
            ("[]a]", "]"),
            ("[[:digit:]]*", "1"),
            ("\\*", "*"),
            ("a[", "a["),
            ("*a*b", "xaxxb"),
            ("", ""),
        ] {
            assert!(Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "A"), ("?", ""), ("*a", "b"), ("a\\", "a"), ("[a-b]", "c"), ("ab", "a")]
        {
            assert!(!Glob::new(pattern.as_bytes(), false).matches(text.as_bytes()), "{pattern} {text}");
        }
        assert!(Glob::new(b"[a-c]X*", true).matches(b"Bxyz"));
    }

    #[test]
    fn paths() {
        let mut paths = Paths::default();
        for path in ["/var/run", "/etc", "/usr/lib", "/usr", "/home/*/x"] {
            paths.add(path.as_bytes());
        }
        for path in ["/var/run", "/var/run/docker", "etc//passwd", "/usr/bin", "/home/a/x/y"] {
            assert!(paths.matches(path.as_bytes()), "{path}");
        }
        for path in ["/", "/var", "/varrun", "/home/a", ""] {
            assert!(!paths.matches(path.as_bytes()), "{path}");
        }
        assert!(!paths.is_odd());
        paths.add(b"/home/[a]");
        assert!(paths.is_odd());
    }
}
