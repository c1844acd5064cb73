//! A span index over one JSON text: cheap to build, cheap to look into, nothing copied.
//!
//! It accepts what the JSON reader of Falco's plugins accepts (any run of number characters is a number, control
//! characters may stand in strings), refuses nesting deeper than theirs, and remembers the one piece of state
//! theirs has: a string that has once been read on its own is written differently afterwards, when the object or
//! array around it is read as text.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// The deepest nesting that is read (the limit of the plugins' JSON reader).
const MAX_DEPTH: usize = 300;

/// What a node of the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Key,
    String,
    /// A number or one of `true`, `false`, `null`.
    Bare,
}

/// One value or key: where it stands in the text, and where the next one after everything inside it does.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    next: u32,
    kind: Kind,
    /// A backslash stands somewhere in its text.
    escaped: bool,
    /// One of the object's own keys holds a backslash.
    escaped_keys: bool,
}

/// A node's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub message: &'static str,
    /// The byte offset.
    pub offset: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for JsonError {}

/// The index of one JSON text.
#[derive(Debug)]
pub(crate) struct Index {
    nodes: Vec<Node>,
    /// The text holds blanks between tokens.
    pub(crate) spaced: bool,
}

impl Index {
    pub(crate) const ROOT: NodeId = NodeId(0);

    /// Indexes `text`.
    pub(crate) fn new(text: &[u8]) -> Result<Self, JsonError> {
        let too_long = JsonError { message: "longer than 4 GiB", offset: 0 };
        u32::try_from(text.len()).map_err(|_| too_long)?;
        let nodes = Vec::with_capacity(text.len() / 12 + 8);
        let mut indexer = Indexer { text, pos: 0, nodes, open: Vec::with_capacity(16), spaced: false };
        indexer.run()?;
        Ok(Self { nodes: indexer.nodes, spaced: indexer.spaced })
    }

    /// The same text without blanks between tokens.
    pub(crate) fn compact(&self, text: &[u8]) -> Vec<u8> {
        let view = RefCell::new(View { strings: vec![], objects: vec![], always: true });
        Reader { text, index: self, view: &view }.marshal(Self::ROOT).into_owned()
    }

    /// Where a value stands.
    pub(crate) fn range(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        node.start as usize..node.end as usize
    }

    fn node(&self, id: NodeId) -> Node {
        let nothing =
            Node { start: 0, end: 0, next: 0, kind: Kind::Bare, escaped: false, escaped_keys: false };
        self.nodes.get(id.0 as usize).copied().unwrap_or(nothing)
    }
}

struct Indexer<'t> {
    text: &'t [u8],
    pos: usize,
    nodes: Vec<Node>,
    /// The objects and arrays around the current position.
    open: Vec<u32>,
    spaced: bool,
}

impl Indexer<'_> {
    fn error(&self, message: &'static str) -> JsonError {
        JsonError { message, offset: self.pos }
    }

    fn byte(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    fn blank(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.pos += 1;
            self.spaced = true;
        }
    }

    fn run(&mut self) -> Result<(), JsonError> {
        loop {
            self.blank();
            let opened = self.value()?;
            if opened {
                continue;
            }
            if !self.after_value()? {
                break;
            }
        }
        if self.pos == self.text.len() { Ok(()) } else { Err(self.error("unexpected text after the value")) }
    }

    fn push(&mut self, kind: Kind, start: usize, escaped: bool) {
        let at = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(self.pos).unwrap_or(u32::MAX);
        let next = u32::try_from(self.nodes.len() + 1).unwrap_or(u32::MAX);
        self.nodes.push(Node { start: at, end, next, kind, escaped, escaped_keys: false });
        if escaped {
            self.mark_open(kind == Kind::Key);
        }
    }

    fn mark_open(&mut self, key: bool) {
        if let Some(node) = self.open.last().and_then(|i| self.nodes.get_mut(*i as usize)) {
            node.escaped = true;
            node.escaped_keys |= key;
        }
    }

    /// Reads a value; true when it opened a filled object or array, whose first value comes next.
    fn value(&mut self) -> Result<bool, JsonError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let start = self.pos;
        match self.byte() {
            None => Err(self.error("unexpected end of text")),
            Some(b'{') => self.opening(Kind::Object, b'}'),
            Some(b'[') => self.opening(Kind::Array, b']'),
            Some(b'"') => {
                let escaped = self.string()?;
                self.push(Kind::String, start, escaped);
                Ok(false)
            }
            Some(_) => {
                self.bare()?;
                self.push(Kind::Bare, start, false);
                Ok(false)
            }
        }
    }

    fn opening(&mut self, kind: Kind, close: u8) -> Result<bool, JsonError> {
        let start = self.pos;
        self.pos += 1;
        let id = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.push(kind, start, false);
        self.open.push(id);
        self.blank();
        if self.byte() == Some(close) {
            self.close();
            return Ok(false);
        }
        if kind == Kind::Object {
            self.key()?;
        }
        Ok(true)
    }

    /// Closes the innermost object or array at the current byte.
    fn close(&mut self) {
        self.pos += 1;
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        let end = u32::try_from(self.pos).unwrap_or(u32::MAX);
        let Some(node) = self.open.pop().and_then(|i| self.nodes.get_mut(i as usize)) else { return };
        node.end = end;
        node.next = next;
        if node.escaped {
            self.mark_open(false);
        }
    }

    /// Closes what ends here; false at the end of the outermost value.
    fn after_value(&mut self) -> Result<bool, JsonError> {
        while let Some(open) = self.open.last() {
            let kind = self.nodes.get(*open as usize).map_or(Kind::Array, |n| n.kind);
            self.blank();
            match (self.byte(), kind) {
                (Some(b','), Kind::Object) => {
                    self.pos += 1;
                    self.blank();
                    self.key()?;
                    return Ok(true);
                }
                (Some(b','), _) => {
                    self.pos += 1;
                    return Ok(true);
                }
                (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => self.close(),
                (None, _) => return Err(self.error("unexpected end of text")),
                _ => return Err(self.error("expected ',' or a closing bracket")),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), JsonError> {
        let start = self.pos;
        if self.byte() != Some(b'"') {
            return Err(self.error("expected a key in quotes"));
        }
        let escaped = self.string()?;
        self.push(Kind::Key, start, escaped);
        self.blank();
        if self.byte() != Some(b':') {
            return Err(self.error("expected ':' after a key"));
        }
        self.pos += 1;
        Ok(())
    }

    /// Reads a string; says whether a backslash stands in it.
    fn string(&mut self) -> Result<bool, JsonError> {
        let mut pos = self.pos + 1;
        let mut escaped = false;
        loop {
            let rest = self.text.get(pos..).unwrap_or_default();
            let Some(i) = quote_or_backslash(rest) else {
                return Err(self.error("missing closing quote"));
            };
            if rest.get(i) == Some(&b'"') {
                self.pos = pos + i + 1;
                return Ok(escaped);
            }
            escaped = true;
            pos += i + 2;
        }
    }

    fn bare(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let word = |w: &[u8]| rest.get(..w.len()).is_some_and(|r| r.eq_ignore_ascii_case(w));
        let exact = |w: &[u8]| rest.starts_with(w);
        let is_number = |b: &&u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'e' | b'E' | b'+');
        let digits = rest.iter().take_while(is_number).count();
        let sign = usize::from(matches!(rest.first(), Some(b'-' | b'+')));
        let after_sign = rest.get(sign..).unwrap_or_default();
        let special = |w: &[u8]| after_sign.get(..3).is_some_and(|r| r.eq_ignore_ascii_case(w));
        self.pos += if exact(b"true") || exact(b"null") {
            4
        } else if exact(b"false") {
            5
        } else if digits > sign {
            digits
        } else if word(b"nan") {
            3
        } else if special(b"inf") || special(b"nan") {
            sign + 3
        } else {
            return Err(self.error("unexpected character"));
        };
        Ok(())
    }
}

/// Where the first quote or backslash is. Most strings are too short for a vector search to pay.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    // the lowest bit set is the high bit of the first zero byte
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let (words, _) = text.as_chunks::<8>();
    for (i, word) in words.iter().take(4).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(8 * i + found.trailing_zeros() as usize / 8);
        }
    }
    let searched = 8 * words.len().min(4);
    memchr::memchr2(b'"', b'\\', text.get(searched..)?).map(|i| searched + i)
}

/// What one plugin has already read of an event.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Strings with escapes that were read on their own.
    strings: Vec<NodeId>,
    /// Objects with escaped keys in which some key was looked up and not found at first sight.
    objects: Vec<NodeId>,
    /// Write every text with its escapes as Go writes them, whatever was read before.
    always: bool,
}

impl View {
    /// How often something was read that changes later texts.
    pub(crate) fn epoch(&self) -> usize {
        self.strings.len() + self.objects.len()
    }

    pub(crate) fn clear(&mut self) {
        self.strings.clear();
        self.objects.clear();
    }
}

/// A plugin's reader of one event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'e> {
    pub(crate) text: &'e [u8],
    pub(crate) index: &'e Index,
    pub(crate) view: &'e RefCell<View>,
}

impl<'e> Reader<'e> {
    fn slice(&self, start: u32, end: u32) -> &'e [u8] {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// A string's or key's text between its quotes.
    fn inside(&self, node: Node) -> &'e [u8] {
        self.slice(node.start.saturating_add(1), node.end.saturating_sub(1))
    }

    /// The text of a value as it stands.
    pub(crate) fn span(&self, id: NodeId) -> &'e [u8] {
        self.text.get(self.index.range(id)).unwrap_or_default()
    }

    pub(crate) fn kind(&self, id: NodeId) -> Kind {
        self.index.node(id).kind
    }

    pub(crate) fn is_true(&self, id: NodeId) -> bool {
        let node = self.index.node(id);
        node.kind == Kind::Bare && self.slice(node.start, node.end) == b"true"
    }

    /// The value under `key` of an object, or at the position `key` of an array.
    pub(crate) fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        match self.kind(id) {
            Kind::Object => self.member(id, key.as_bytes()),
            Kind::Array => self.items(id).nth(array_index(key)?),
            _ => None,
        }
    }

    /// Follows `keys` from `id`.
    pub(crate) fn path(&self, id: NodeId, keys: &[&str]) -> Option<NodeId> {
        keys.iter().try_fold(id, |id, key| self.get(id, key))
    }

    fn member(&self, id: NodeId, key: &[u8]) -> Option<NodeId> {
        let object = self.index.node(id);
        let unescaped = object.escaped_keys && self.view.borrow().objects.contains(&id);
        if !unescaped && !key.contains(&b'\\') {
            let found = self.pairs(id).find(|(k, _)| self.inside(self.index.node(*k)) == key);
            if let Some((_, value)) = found {
                return Some(value);
            }
        }
        if !object.escaped_keys {
            return None;
        }
        self.unescape_keys(id);
        self.pairs(id).find(|(k, _)| *unescape(self.inside(self.index.node(*k))) == *key).map(|(_, v)| v)
    }

    fn unescape_keys(&self, id: NodeId) {
        let mut view = self.view.borrow_mut();
        if !view.objects.contains(&id) {
            view.objects.push(id);
        }
    }

    /// The keys of an object, in order.
    pub(crate) fn keys(&self, id: NodeId) -> Vec<Cow<'e, [u8]>> {
        if self.index.node(id).escaped_keys {
            self.unescape_keys(id);
        }
        self.pairs(id).map(|(k, _)| unescape(self.inside(self.index.node(k)))).collect()
    }

    fn pairs(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + use<'e> {
        let (index, end) = (self.index, self.index.node(id).next);
        let first = id.0 + 1;
        let start = (first < end).then_some((NodeId(first), NodeId(first + 1)));
        std::iter::successors(start, move |(_, value)| {
            let next = index.node(*value).next;
            (next < end && next > value.0).then_some((NodeId(next), NodeId(next + 1)))
        })
    }

    /// The elements of an array, in order.
    pub(crate) fn items(&self, id: NodeId) -> impl Iterator<Item = NodeId> + use<'e> {
        let (index, end) = (self.index, self.index.node(id).next);
        let is_array = index.node(id).kind == Kind::Array;
        let start = (is_array && id.0 + 1 < end).then_some(NodeId(id.0 + 1));
        std::iter::successors(start, move |item| {
            let next = index.node(*item).next;
            (next < end && next > item.0).then_some(NodeId(next))
        })
    }

    /// A string's value.
    pub(crate) fn string(&self, id: NodeId) -> Cow<'e, [u8]> {
        let node = self.index.node(id);
        if !node.escaped {
            return Cow::Borrowed(self.inside(node));
        }
        self.touch(id);
        unescape(self.inside(node))
    }

    /// Notes that a string was looked at by itself.
    pub(crate) fn touch(&self, id: NodeId) {
        let node = self.index.node(id);
        if node.kind == Kind::String && node.escaped {
            let mut view = self.view.borrow_mut();
            if !view.strings.contains(&id) {
                view.strings.push(id);
            }
        }
    }

    /// Strings bare, everything else as JSON text.
    pub(crate) fn text_of(&self, id: NodeId) -> Cow<'e, [u8]> {
        if self.kind(id) == Kind::String { self.string(id) } else { self.marshal(id) }
    }

    /// The JSON text of a value, as the plugins write it.
    pub(crate) fn marshal(&self, id: NodeId) -> Cow<'e, [u8]> {
        let node = self.index.node(id);
        let view = self.view.borrow();
        let touched = |ids: &[NodeId]| ids.iter().any(|t| t.0 >= id.0 && t.0 < node.next);
        let rewritten = view.always || (node.escaped && (touched(&view.strings) || touched(&view.objects)));
        if !rewritten {
            return Cow::Borrowed(self.slice(node.start, node.end));
        }
        Cow::Owned(self.write(id, node.next, &view))
    }

    /// Writes the nodes from `id` to `end` without blanks. Goes over the index once, so depth costs no stack.
    fn write(&self, id: NodeId, end: u32, view: &View) -> Vec<u8> {
        let mut out = Vec::new();
        // Where each open object or array ends, its closing bracket, and whether its keys are rewritten.
        let mut open: Vec<(u32, u8, bool)> = Vec::new();
        let mut at = id.0;
        while at < end {
            let node = self.index.node(NodeId(at));
            match node.kind {
                Kind::Object | Kind::Array => {
                    let object = node.kind == Kind::Object;
                    out.push(if object { b'{' } else { b'[' });
                    let rewritten = node.escaped_keys && view.objects.contains(&NodeId(at));
                    open.push((node.next, if object { b'}' } else { b']' }, rewritten));
                }
                Kind::Key => {
                    let rewritten = open.last().is_some_and(|(_, _, rewritten)| *rewritten);
                    self.write_string(&mut out, node, rewritten);
                    out.push(b':');
                }
                Kind::String => {
                    let rewritten = node.escaped && view.strings.contains(&NodeId(at));
                    self.write_string(&mut out, node, rewritten);
                }
                Kind::Bare => out.extend_from_slice(self.slice(node.start, node.end)),
            }
            at += 1;
            if node.kind == Kind::Key {
                continue;
            }
            let opened = matches!(node.kind, Kind::Object | Kind::Array) && node.next > at;
            while let Some((_, bracket, _)) = open.pop_if(|(end, _, _)| *end <= at) {
                out.push(bracket);
            }
            if !open.is_empty() && !opened {
                out.push(b',');
            }
        }
        out
    }

    fn write_string(&self, out: &mut Vec<u8>, node: Node, rewritten: bool) {
        let raw = self.inside(node);
        if rewritten {
            quote_like_go(out, &unescape(raw));
        } else {
            out.push(b'"');
            out.extend_from_slice(raw);
            out.push(b'"');
        }
    }
}

/// A decimal position as Go's `Atoi` reads it.
fn array_index(key: &str) -> Option<usize> {
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: usize = digits.parse().ok().filter(|v| i64::try_from(*v).is_ok())?;
    (!key.starts_with('-') || value == 0).then_some(value)
}

/// Resolves the escapes of a JSON string; what is no valid escape stays as it is.
fn unescape(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else { return Cow::Borrowed(raw) };
    let mut out = raw.get(..first).unwrap_or_default().to_vec();
    let mut rest = raw.get(first..).unwrap_or_default();
    while let Some((byte, tail)) = rest.split_first() {
        if *byte != b'\\' {
            out.push(*byte);
            rest = tail;
            continue;
        }
        let Some((escape, tail)) = tail.split_first() else { break };
        rest = tail;
        match escape {
            b'"' | b'\\' | b'/' => out.push(*escape),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => rest = unescape_unicode(&mut out, rest),
            other => out.extend_from_slice(&[b'\\', *other]),
        }
    }
    Cow::Owned(out)
}

/// Resolves what follows `\u` and returns what is left.
fn unescape_unicode<'t>(out: &mut Vec<u8>, rest: &'t [u8]) -> &'t [u8] {
    let Some((first, tail)) = hex4(rest) else {
        out.extend_from_slice(b"\\u");
        return rest;
    };
    if !(0xD800..0xE000).contains(&first) {
        push_char(out, char::from_u32(first));
        return tail;
    }
    let second = tail.strip_prefix(b"\\u").and_then(hex4);
    let Some((second, after)) = second else {
        out.extend_from_slice(b"\\u");
        out.extend_from_slice(rest.get(..4).unwrap_or_default());
        return tail;
    };
    let valid = first < 0xDC00 && (0xDC00..0xE000).contains(&second);
    let code = if valid { 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00) } else { 0xFFFD };
    push_char(out, char::from_u32(code));
    after
}

fn push_char(out: &mut Vec<u8>, c: Option<char>) {
    let mut buffer = [0; 4];
    out.extend_from_slice(c.unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.get(..4).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
    let value = digits.iter().fold(0, |v, d| v * 16 + char::from(*d).to_digit(16).unwrap_or(0));
    Some((value, text.get(4..).unwrap_or_default()))
}

/// Writes a string as Go's `strconv.Quote` does; plain when nothing in it needs that.
fn quote_like_go(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    if value.iter().all(|b| *b >= 0x20 && *b != b'"' && *b != b'\\') {
        out.extend_from_slice(value);
    } else {
        for chunk in value.utf8_chunks() {
            chunk.valid().chars().for_each(|c| quote_char(out, c));
            chunk.invalid().iter().for_each(|b| out.extend_from_slice(format!("\\x{b:02x}").as_bytes()));
        }
    }
    out.push(b'"');
}

fn quote_char(out: &mut Vec<u8>, c: char) {
    let escape = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        _ if is_printable(c) => return push_char(out, Some(c)),
        _ => {
            let code = u32::from(c);
            let text = match code {
                0..=0x1f | 0x7f => format!("\\x{code:02x}"),
                0x80..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            return out.extend_from_slice(text.as_bytes());
        }
    };
    out.extend_from_slice(escape.as_bytes());
}

/// Letters, marks, numbers, punctuation, symbols and the blank: what Go calls printable.
fn is_printable(c: char) -> bool {
    use std::sync::OnceLock;
    static PRINTABLE: OnceLock<Option<regex::Regex>> = OnceLock::new();
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    let pattern = PRINTABLE.get_or_init(|| regex::Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok());
    let mut buffer = [0; 4];
    pattern.as_ref().is_some_and(|p| p.is_match(c.encode_utf8(&mut buffer)))
}

/// Splits a JSON pointer as the json plugin does: the first slash may be missing.
pub(crate) fn pointer(text: &str) -> Vec<String> {
    let path = text.strip_prefix('/').unwrap_or(text);
    path.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

/// The text of the value at a JSON pointer.
pub(crate) fn pointer_value<'e>(reader: &Reader<'e>, keys: &[String]) -> Option<Cow<'e, [u8]>> {
    let id = keys.iter().try_fold(Index::ROOT, |id, key| reader.get(id, key))?;
    Some(reader.text_of(id))
}

/// Whether text is UTF-8 without a line end.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_none() && std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str, path: &[&str]) -> Option<String> {
        let index = Index::new(json.as_bytes()).unwrap();
        let view = RefCell::default();
        let reader = Reader { text: json.as_bytes(), index: &index, view: &view };
        let id = reader.path(Index::ROOT, path)?;
        Some(String::from_utf8_lossy(&reader.text_of(id)).into_owned())
    }

    #[test]
    fn looks_up_keys_and_positions() {
        let json = r#"{"a":{"b":[1,{"c":"x"},[],{}]},"d\/e":true}"#;
        assert_eq!(text(json, &["a", "b", "1", "c"]).unwrap(), "x");
        assert_eq!(text(json, &["a", "b", "+0"]).unwrap(), "1");
        assert_eq!(text(json, &["a", "b", "2"]).unwrap(), "[]");
        assert_eq!(text(json, &["a"]).unwrap(), r#"{"b":[1,{"c":"x"},[],{}]}"#);
        assert_eq!(text(json, &["d/e"]).unwrap(), "true");
        for path in [&["a", "b", "4"][..], &["a", "b", "-1"], &["a", "c"], &["a", "b", "1", "c", "d"]] {
            assert_eq!(text(json, path), None, "{path:?}");
        }
    }

    #[test]
    fn a_string_read_alone_is_written_as_go_does() {
        let json = br#"{"k":["a\u0026b","c\u0000\u0085\"d"],"n":{"x\u002fy":1}}"#;
        let index = Index::new(json).unwrap();
        let view = RefCell::default();
        let reader = Reader { text: json, index: &index, view: &view };
        assert_eq!(&*reader.marshal(Index::ROOT), &json[..]);
        let list = reader.get(Index::ROOT, "k").unwrap();
        let id = reader.get(list, "0").unwrap();
        assert_eq!(&*reader.text_of(id), b"a&b");
        assert_eq!(&*reader.marshal(list), br#"["a&b","c\u0000\u0085\"d"]"#);
        let id = reader.get(list, "1").unwrap();
        reader.text_of(id);
        assert_eq!(&*reader.marshal(list), br#"["a&b","c\x00\u0085\"d"]"#);
        let object = reader.get(Index::ROOT, "n").unwrap();
        assert_eq!(&*reader.marshal(object), br#"{"x\u002fy":1}"#);
        assert!(reader.get(object, "none").is_none());
        assert_eq!(&*reader.marshal(object), br#"{"x/y":1}"#);
    }

    #[test]
    fn finds_where_strings_end() {
        for before in 0..80 {
            for (end, after) in [("\"", ""), ("\\", "\""), ("\"", "\\aaaaaaaa"), ("\"", "!#[]aaaaaaaaa")] {
                let text = format!(
                    "{}{end}{after}",
                    "!#[]\u{a2}\u{dc}".repeat(before).chars().take(before).collect::<String>()
                );
                let expected = text.bytes().position(|b| matches!(b, b'"' | b'\\'));
                assert_eq!(quote_or_backslash(text.as_bytes()), expected, "{text}");
            }
            assert_eq!(quote_or_backslash("!".repeat(before).as_bytes()), None);
        }
    }

    #[test]
    fn compacts() {
        let json = b"{ \"a b\" : [ 1 , { } , [ ] , \"x y\" ] ,\n\"c\":null}";
        let index = Index::new(json).unwrap();
        assert!(index.spaced);
        assert_eq!(index.compact(json), br#"{"a b":[1,{},[],"x y"],"c":null}"#);
    }

    #[test]
    fn refuses_what_is_no_json() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let fine = format!("{}1{}", "[".repeat(299), "]".repeat(299));
        assert!(Index::new(fine.as_bytes()).is_ok());
        for bad in ["", "{", "[1,", "{\"a\"", "{\"a\":}", "[1 2]", "x", "\"a", "{a:1}", "1 2", "[1}", &deep] {
            assert!(Index::new(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
