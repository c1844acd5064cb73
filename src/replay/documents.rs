//! JSON over several lines, as tools print it, cut into documents: what stands alone, or is an element of an
//! outermost array.

use crate::messages::replay as messages;
use crate::problem::Message;

/// The longest line, or JSON document over several lines, that is read, in bytes.
pub const MAX_LINE: usize = 64 << 20;

/// Whether a log that starts with this line holds JSON over several lines.
pub(super) fn spans_lines(first: &[u8]) -> bool {
    let first = first.trim_ascii();
    matches!(first, b"{" | b"[" | b"[{") || (first.starts_with(b"[") && first.ends_with(b","))
}

/// A document, or why there is none.
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) document: Result<Vec<u8>, Message>,
}

/// Cuts JSON into documents.
pub(super) struct Documents {
    text: Vec<u8>,
    /// The line on which the document starts.
    start: usize,
    line: usize,
    /// How many brackets of the document are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The document is too long.
    skipping: bool,
    /// Whether the outermost array is open.
    in_array: bool,
    /// The last line with something on it that belongs to no document.
    stray: usize,
}

impl Documents {
    pub(super) fn new(line: usize) -> Self {
        Self {
            text: Vec::new(),
            start: line,
            line,
            depth: 0,
            in_string: false,
            escaped: false,
            skipping: false,
            in_array: false,
            stray: 0,
        }
    }

    /// The current line.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Takes the next bytes; returns what they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        for byte in bytes {
            if self.depth > 0 {
                found.extend(self.inside(*byte));
            } else {
                found.extend(self.between(*byte));
            }
            self.line += usize::from(*byte == b'\n');
        }
        found
    }

    /// What is wrong at the end of the text, and where.
    pub(super) fn end(self) -> Option<(usize, Message)> {
        if self.depth > 0 {
            return Some((self.start, messages::json_breaks_off()));
        }
        self.in_array.then(|| (self.line, messages::array_breaks_off()))
    }

    fn between(&mut self, byte: u8) -> Option<Found> {
        match byte {
            b'[' if !self.in_array => self.in_array = true,
            b']' if self.in_array => self.in_array = false,
            b'{' | b'[' => {
                (self.start, self.depth) = (self.line, 1);
                self.text.push(byte);
            }
            b',' if self.in_array => {}
            _ if byte.is_ascii_whitespace() => {}
            _ if self.stray == self.line => {}
            _ => {
                self.stray = self.line;
                return Some(Found { line: self.line, document: Err(messages::no_json()) });
            }
        }
        None
    }

    fn inside(&mut self, byte: u8) -> Option<Found> {
        if !self.skipping {
            self.text.push(byte);
            self.skipping = self.text.len() > MAX_LINE;
        }
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return None;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth > 0 {
            return None;
        }
        let text = std::mem::take(&mut self.text);
        let too_long = || messages::too_long(MAX_LINE >> 20);
        let document = if std::mem::take(&mut self.skipping) { Err(too_long()) } else { Ok(text) };
        Some(Found { line: self.start, document })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documents of a text, fed in pieces of `size` bytes, and what is wrong with it.
    fn cut(text: &str, size: usize) -> Vec<(usize, Result<String, String>)> {
        let mut documents = Documents::new(1);
        let pieces = text.as_bytes().chunks(size);
        let found: Vec<Found> = pieces.flat_map(|piece| documents.feed(piece)).collect();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut all: Vec<_> = found
            .into_iter()
            .map(|f| (f.line, f.document.map(text).map_err(|message| message.to_string())))
            .collect();
        all.extend(documents.end().map(|(line, message)| (line, Err(message.to_string()))));
        all
    }

    #[test]
    fn elements_of_the_outermost_array_stand_alone() {
        let text = "[\n {\"a\": \"]}\\\"\",\n  \"b\": [1]},\n {}\n]\n{\"c\":\n1}";
        let expected = [
            (2, Ok("{\"a\": \"]}\\\"\",\n  \"b\": [1]}".to_owned())),
            (4, Ok("{}".to_owned())),
            (6, Ok("{\"c\":\n1}".to_owned())),
        ];
        for size in [1, 2, 7, 1000] {
            assert_eq!(cut(text, size), expected);
        }
    }

    #[test]
    fn what_is_no_document_is_told_once_a_line() {
        let stray = || Err("no JSON object or array".to_owned());
        assert_eq!(cut("{\n}\nab c\nx\n", 3), [(1, Ok("{\n}".to_owned())), (3, stray()), (4, stray())]);
        assert_eq!(cut("[{\n", 9), [(1, Err("the JSON that starts here breaks off".to_owned()))]);
        assert_eq!(cut("[{},\n", 9), [(1, Ok("{}".to_owned())), (2, Err("the array breaks off".to_owned()))]);
    }

    #[test]
    fn knows_json_over_several_lines_by_its_first_line() {
        for first in ["{", "[", " [{ ", "[{\"kind\":\"Event\"},"] {
            assert!(spans_lines(first.as_bytes()), "{first}");
        }
        for first in ["{\"kind\":\"Event\"}", "[{\"kind\":\"Event\"}]", "{\"kind\":\"Ev", ""] {
            assert!(!spans_lines(first.as_bytes()), "{first}");
        }
    }
}
