//! Audit logs, read in pieces of whole lines: memory does not grow with the log.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::documents::{self, Documents, MAX_LINE};
use crate::messages::replay as messages;
use crate::problem::Message;

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 << 10;

/// An opened log.
pub struct Log {
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
}

impl Log {
    /// Opens a file, gzip'd or not; `-` is standard input. What is read of it, as it lies on disk, is added to
    /// `progress`.
    ///
    /// # Errors
    /// When it cannot be opened, is a folder, or is compressed otherwise.
    pub fn open(path: &Path, progress: &Arc<AtomicU64>) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Self::new("stdin", io::stdin(), progress);
        }
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::other(messages::folder()));
        }
        Self::new(&path.display().to_string(), file, progress)
    }

    /// Takes a log from a reader.
    ///
    /// # Errors
    /// When its start cannot be read, or shows a compression other than gzip.
    pub fn new(
        name: &str,
        mut reader: impl Read + Send + 'static,
        progress: &Arc<AtomicU64>,
    ) -> io::Result<Self> {
        const HEAD: usize = 6;
        let mut head = Vec::new();
        reader.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        for (magic, what, tool) in [
            (&b"\x28\xb5\x2f\xfd"[..], "zstd", "zstd"),
            (b"\xfd7zXZ\0", "xz", "xz"),
            (b"BZh", "bzip2", "bzip2"),
        ] {
            if head.starts_with(magic) {
                return Err(io::Error::other(messages::compressed(what, tool, name)));
            }
        }
        let is_gzip = head.starts_with(b"\x1f\x8b");
        // a terminal would have to be told a second time that this is the end
        let has_ended = head.len() < HEAD;
        let rest = reader.take(if has_ended { 0 } else { u64::MAX });
        let whole = Counted { inner: io::Cursor::new(head).chain(rest), read: Arc::clone(progress) };
        let reader: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(CHUNK, whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { name: name.into(), reader })
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

/// Something in a log that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The log's name.
    pub log: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: Message,
    /// What of the log it costs.
    pub cost: Cost,
}

/// How much of a log is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One event of a line that may hold others.
    Event,
    /// A line.
    Line,
    /// Everything from here on.
    Rest,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.log, self.line, self.message)
    }
}

/// A piece of a log.
#[derive(Debug, Default)]
pub struct Batch {
    /// The log's number, from 0.
    pub log: usize,
    /// The log's name.
    pub name: Arc<str>,
    /// The number of its first line, from 1.
    pub first_line: usize,
    /// Whole lines, or one JSON document.
    pub bytes: Vec<u8>,
    /// It is one document over several lines.
    pub is_document: bool,
    /// What was lost after it.
    pub troubles: Vec<Trouble>,
}

/// The pieces of several logs, one log after the other.
pub struct Batches {
    logs: std::vec::IntoIter<Log>,
    current: Option<Current>,
    opened: usize,
}

/// The log that is being read.
struct Current {
    log: Log,
    number: usize,
    /// What was read and does not end a line yet.
    rest: Vec<u8>,
    /// The number of the line that `rest` starts with.
    line: usize,
    /// The line is too long and passed over.
    skipping: bool,
    /// Nothing but blanks was seen yet.
    at_start: bool,
    documents: Option<Documents>,
    /// Documents that are complete.
    ready: std::collections::VecDeque<Batch>,
    ended: bool,
}

impl Batches {
    /// Reads logs in the order given.
    #[must_use]
    pub fn new(logs: Vec<Log>) -> Self {
        Self { logs: logs.into_iter(), current: None, opened: 0 }
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        loop {
            if self.current.is_none() {
                let log = self.logs.next()?;
                self.current = Some(Current::new(log, self.opened));
                self.opened += 1;
            }
            if let Some(batch) = self.current.as_mut().and_then(Current::next) {
                return Some(batch);
            }
            self.current = None;
        }
    }
}

impl Current {
    fn new(log: Log, number: usize) -> Self {
        Self {
            log,
            number,
            rest: Vec::new(),
            line: 1,
            skipping: false,
            at_start: true,
            documents: None,
            ready: std::collections::VecDeque::new(),
            ended: false,
        }
    }

    fn batch(&self, first_line: usize, bytes: Vec<u8>) -> Batch {
        let name = Arc::clone(&self.log.name);
        Batch { log: self.number, name, first_line, bytes, is_document: false, troubles: Vec::new() }
    }

    fn trouble(&self, line: usize, message: Message, cost: Cost) -> Trouble {
        Trouble { log: Arc::clone(&self.log.name), line, message, cost }
    }

    /// The next piece; none at the log's end.
    fn next(&mut self) -> Option<Batch> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(batch);
            }
            if self.ended {
                return None;
            }
            let before = self.rest.len();
            match self.read() {
                Ok(0) => {
                    self.ended = true;
                    return self.last();
                }
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(self.broken(&error));
                }
            }
            if self.at_start {
                self.look_at_start();
            }
            if self.documents.is_some() {
                self.feed_documents();
                continue;
            }
            if let Some(batch) = self.whole_lines(before) {
                return Some(batch);
            }
        }
    }

    /// Reads another chunk behind what there is.
    fn read(&mut self) -> io::Result<usize> {
        let start = self.rest.len();
        self.rest.resize(start + CHUNK, 0);
        let result = loop {
            match self.log.reader.read(self.rest.get_mut(start..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.rest.truncate(start + result.as_ref().map_or(0, |length| *length));
        result
    }

    /// The lines that are complete; `before` is where the last chunk starts.
    fn whole_lines(&mut self, before: usize) -> Option<Batch> {
        let chunk = self.rest.get(before..).unwrap_or_default();
        if self.skipping {
            let Some(end) = memchr::memchr(b'\n', chunk) else {
                self.rest.clear();
                return None;
            };
            self.rest.drain(..=before + end);
            self.line += 1;
            self.skipping = false;
            return self.whole_lines(0);
        }
        let Some(end) = memchr::memrchr(b'\n', chunk) else {
            return (self.rest.len() > MAX_LINE).then(|| self.skip());
        };
        let tail = self.rest.split_off(before + end + 1);
        let bytes = std::mem::replace(&mut self.rest, tail);
        let first = self.line;
        self.line += memchr::memchr_iter(b'\n', &bytes).count();
        Some(self.batch(first, bytes))
    }

    /// Gives a line up.
    fn skip(&mut self) -> Batch {
        self.rest.clear();
        self.skipping = true;
        let mut batch = self.batch(self.line, Vec::new());
        let message = messages::too_long(MAX_LINE >> 20);
        batch.troubles.push(self.trouble(self.line, message, Cost::Line));
        batch
    }

    /// What stands after the last line's end.
    fn last(&mut self) -> Option<Batch> {
        if let Some(documents) = self.documents.take() {
            let mut batch = self.batch(documents.line(), Vec::new());
            let (line, message) = documents.end()?;
            batch.troubles.push(self.trouble(line, message, Cost::Line));
            return Some(batch);
        }
        let bytes = std::mem::take(&mut self.rest);
        (!self.skipping && !bytes.is_empty()).then(|| self.batch(self.line, bytes))
    }

    /// What to say when reading fails on the way; a line that was cut off by that is dropped.
    fn broken(&mut self, error: &io::Error) -> Batch {
        let line = self.documents.as_ref().map_or(self.line, Documents::line);
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => messages::compressed_breaks_off(),
            _ => messages::rest_unreadable(error),
        };
        let mut batch = self.batch(line, Vec::new());
        batch.troubles.push(self.trouble(line, message, Cost::Rest));
        batch
    }

    /// Finds out whether the log is JSON over several lines.
    fn look_at_start(&mut self) {
        if self.rest.starts_with(b"\xef\xbb\xbf") {
            self.rest.drain(..3);
        }
        let text = self.rest.trim_ascii_start();
        if text.is_empty() {
            return;
        }
        let Some(end) = memchr::memchr(b'\n', text) else {
            // The first line may be one long array.
            return;
        };
        self.at_start = false;
        if documents::spans_lines(text.get(..end).unwrap_or_default()) {
            self.documents = Some(Documents::new(self.line));
        }
    }

    fn feed_documents(&mut self) {
        let Some(mut documents) = self.documents.take() else { return };
        let bytes = std::mem::take(&mut self.rest);
        for found in documents.feed(&bytes) {
            let mut batch = self.batch(found.line, Vec::new());
            match found.document {
                Ok(document) => {
                    batch.bytes = document;
                    batch.is_document = true;
                }
                Err(message) => batch.troubles.push(self.trouble(found.line, message, Cost::Line)),
            }
            self.ready.push_back(batch);
        }
        self.documents = Some(documents);
    }
}
