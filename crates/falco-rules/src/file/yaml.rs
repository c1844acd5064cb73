//! The YAML of rules files as trees that keep their places.
//!
//! Values are read as Falco's YAML library reads them: every scalar is text first, and a plain empty one, `~` or
//! `null` is nothing. Aliases share the node of their anchor, so they cost no memory.

use serde_yaml::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span};
use std::collections::HashMap;
use std::rc::Rc;

use crate::place::Place;

/// A YAML value.
#[derive(Debug)]
pub struct Node {
    /// What it holds.
    pub data: Data,
    /// Where it starts.
    pub place: Place,
}

/// What a YAML value holds.
#[derive(Debug)]
pub enum Data {
    /// Nothing: empty, `~` or `null`.
    Null,
    /// A text, a number or a Boolean: each is text to Falco.
    Scalar(String, Style),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// Keys and values, in the order in which they are written; a key may occur twice.
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

/// How a scalar is written, as far as it matters for finding a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    SingleQuoted,
    /// In double quotes.
    DoubleQuoted,
    /// A block after `|` or `>`.
    Block,
}

/// Why a text is no YAML.
#[derive(Debug)]
pub struct YamlError {
    /// What the YAML library says.
    pub message: String,
    /// Where it stopped.
    pub place: Place,
}

impl Node {
    /// Is there nothing?
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// A scalar's text; nothing reads as the empty text.
    pub fn scalar(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn sequence(&self) -> Option<&[Rc<Self>]> {
        match &self.data {
            Data::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values of a mapping.
    pub fn mapping(&self) -> Option<&[(Rc<Self>, Rc<Self>)]> {
        match &self.data {
            Data::Mapping(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The value under `key`; the first one where a key stands twice.
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.mapping()?.iter().find(|(k, _)| k.scalar() == Some(key)).map(|(_, v)| v)
    }

    /// The first key with this text.
    pub fn key(&self, key: &str) -> Option<&Rc<Self>> {
        self.mapping()?.iter().map(|(k, _)| k).find(|k| k.scalar() == Some(key))
    }

    /// Where the byte at `offset` of a scalar's text stands in the file's `source`.
    ///
    /// Blanks and line ends are told apart by the YAML, so only what is not blank is counted.
    pub fn place_within(&self, source: &str, offset: usize) -> Place {
        let Data::Scalar(text, style) = &self.data else { return self.place };
        let before = text.get(..offset).unwrap_or(text);
        let wanted = before.chars().filter(|c| !c.is_whitespace()).count();
        let mut place = self.place;
        let mut chars = source.get(place.offset..).unwrap_or_default().chars().peekable();
        // A block's place is its first line; a quoted text's is its quote.
        if matches!(style, Style::SingleQuoted | Style::DoubleQuoted)
            && let Some(quote) = chars.next()
        {
            place.advance(quote);
        }
        let mut seen = 0;
        while let Some(c) = chars.peek().copied() {
            if c.is_whitespace() {
                chars.next();
                place.advance(c);
                continue;
            }
            if seen == wanted {
                break;
            }
            seen += 1;
            chars.next();
            place.advance(c);
            let doubled = match style {
                Style::SingleQuoted => c == '\'',
                Style::DoubleQuoted => c == '\\',
                _ => false,
            };
            if doubled && let Some(c) = chars.next() {
                place.advance(c);
            }
        }
        place
    }
}

/// Reads every document of a text.
///
/// # Errors
/// When the text is no YAML, or holds what Falco's YAML library refuses.
pub fn documents(text: &str) -> Result<Vec<Rc<Node>>, YamlError> {
    let mut builder = Builder { text, ..Builder::default() };
    let mut options = Options::default();
    options.set_emit_comments(false);
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|e| scan_error(&e))?;
        builder.take(event, &span)?;
    }
    Ok(builder.documents)
}

fn scan_error(error: &ScanError) -> YamlError {
    let mark = error.marker();
    let place =
        Place { offset: mark.byte_offset().unwrap_or_default(), line: mark.line(), column: mark.col() + 1 };
    YamlError { message: error.info().to_owned(), place }
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    documents: Vec<Rc<Node>>,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
}

/// A collection that is being read.
struct Open {
    place: Place,
    anchor: usize,
    items: Vec<Rc<Node>>,
    is_mapping: bool,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let mark = span.start;
        let place = Place {
            offset: mark.byte_offset().unwrap_or_default(),
            line: mark.line(),
            column: mark.col() + 1,
        };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::DoubleQuoted && has_surrogate(span.slice(self.text)) {
                    // Falco's YAML library does not join the two halves.
                    return Err(YamlError { message: "invalid unicode: a surrogate".into(), place });
                }
                let data = scalar(text.into_owned(), style, tag.is_some());
                self.finish(Rc::new(Node { data, place }), anchor);
            }
            Event::SequenceStart(_, anchor, _) => self.start(place, anchor, false),
            Event::MappingStart(_, anchor, _) => self.start(place, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(node) => self.finish(Rc::clone(node), 0),
                None => return Err(YamlError { message: "the alias refers to itself".into(), place }),
            },
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, place: Place, anchor: usize, is_mapping: bool) {
        self.open.push(Open { place, anchor, items: Vec::new(), is_mapping });
    }

    fn end(&mut self) {
        let Some(Open { place, anchor, items, is_mapping }) = self.open.pop() else { return };
        let data = if is_mapping {
            let mut items = items.into_iter();
            let pairs = std::iter::from_fn(|| Some((items.next()?, items.next()?)));
            Data::Mapping(pairs.collect())
        } else {
            Data::Sequence(items)
        };
        self.finish(Rc::new(Node { data, place }), anchor);
    }

    fn finish(&mut self, node: Rc<Node>, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.documents.push(node),
        }
    }
}

/// Whether a double-quoted text escapes a half of a character, as JSON does beyond the first 65,536.
fn has_surrogate(source: Option<&str>) -> bool {
    let mut chars = source.unwrap_or_default().char_indices();
    while let Some((_, c)) = chars.next() {
        if c != '\\' {
            continue;
        }
        if let Some((at, 'u')) = chars.next() {
            let digits = source.and_then(|s| s.get(at + 1..at + 5)).unwrap_or_default();
            if u32::from_str_radix(digits, 16).is_ok_and(|code| (0xD800..0xE000).contains(&code)) {
                return true;
            }
        }
    }
    false
}

fn scalar(text: String, style: ScalarStyle, tagged: bool) -> Data {
    let null = matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    match style {
        ScalarStyle::Plain if null && !tagged => Data::Null,
        ScalarStyle::Plain => Data::Scalar(text, Style::Plain),
        ScalarStyle::SingleQuoted => Data::Scalar(text, Style::SingleQuoted),
        ScalarStyle::DoubleQuoted => Data::Scalar(text, Style::DoubleQuoted),
        _ => Data::Scalar(text, Style::Block),
    }
}

/// A Boolean as Falco's YAML library reads one.
pub fn boolean(text: &str) -> Option<bool> {
    let first_upper = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|c| c.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    let is = |word: &str| text == word || text == word.to_ascii_uppercase() || text == first_upper(word);
    if ["y", "yes", "true", "on"].into_iter().any(is) {
        return Some(true);
    }
    ["n", "no", "false", "off"].into_iter().any(is).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_share_their_node() {
        let docs = documents("- a: &x \"t: 1\"\n  b: *x\n- c: &l [1, ~]\n  d: *l\n").unwrap();
        let items = docs[0].sequence().unwrap();
        assert_eq!(items[0].get("b").unwrap().scalar(), Some("t: 1"));
        assert_eq!(items[1].get("d").unwrap().sequence().unwrap().len(), 2);
        assert!(items[1].get("d").unwrap().sequence().unwrap()[1].is_null());
        assert!(documents("&a [*a]").is_err());
        assert!(documents(r#""\ud83d\ude00""#).is_err());
        assert!(documents(r#""\\ud83d \u00e9""#).is_ok());
    }

    #[test]
    fn finds_places_in_scalars() {
        let text = "- c: >\n    ab\n    and cd\n- c: \"x \\\"y\\\" z\"\n- c: plain text\n- c: 'it''s here'\n";
        let docs = documents(text).unwrap();
        let at = |i: usize, word: &str| {
            let node = docs[0].sequence().unwrap()[i].get("c").unwrap();
            let place = node.place_within(text, node.scalar().unwrap().find(word).unwrap());
            (place.line, place.column)
        };
        assert_eq!(at(0, "cd"), (3, 9));
        assert_eq!(at(1, "z"), (4, 15));
        assert_eq!(at(2, "text"), (5, 12));
        assert_eq!(at(3, "here"), (6, 13));
    }

    #[test]
    fn booleans() {
        assert_eq!(boolean("Yes"), Some(true));
        assert_eq!(boolean("OFF"), Some(false));
        assert_eq!(boolean("oFF"), None);
        assert_eq!(boolean("1"), None);
    }
}
