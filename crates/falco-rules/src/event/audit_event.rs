//! Kubernetes audit events, as Falco's `k8saudit` source makes them of a log's lines.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::ops::Range;

use super::json::{Index, JsonError, Kind, NodeId, Reader, View, is_plain, pointer, pointer_value};
use super::time::parse_time;

/// The largest event, in bytes of compact JSON, that k8saudit accepts unless its `maxEventSize` is raised.
pub const ENGINE_EVENT_LIMIT: usize = 262_144;

/// One audit event.
///
/// It keeps the text of its JSON, so that numbers, escapes and the order of keys stay as they were. What is read
/// of it can change what is read later, as in Falco (see [`Event::reset`]); therefore it belongs to one thread.
#[derive(Debug)]
pub struct Event<'a> {
    text: Cow<'a, [u8]>,
    index: Index,
    nanoseconds: u64,
    number: u64,
    k8saudit: RefCell<View>,
    json: RefCell<View>,
    plain: OnceCell<bool>,
}

/// Why a line holds no event that Falco would see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventError {
    /// It is no JSON.
    Json(JsonError),
    /// It is JSON, but no audit event, list of events or array of them.
    NotAnEvent,
    /// The event has no `stageTimestamp`, without which k8saudit drops it.
    NoTimestamp,
    /// Its `stageTimestamp` is no RFC 3339 time.
    BadTimestamp,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "no valid JSON: {error}"),
            Self::NotAnEvent => f.write_str("data not recognized as a k8s audit event"),
            Self::NoTimestamp => f.write_str("the event has no stageTimestamp"),
            Self::BadTimestamp => f.write_str("the event's stageTimestamp is no RFC 3339 time"),
        }
    }
}

impl std::error::Error for EventError {}

impl From<JsonError> for EventError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl<'a> Event<'a> {
    /// Reads the events of one line of an audit log, or of one webhook request: an `Event`, an `EventList`, or
    /// an array of these.
    ///
    /// An event that is broken by itself is an error in its place; the others of a list are still read.
    ///
    /// # Errors
    /// When the line as a whole is none of these; Falco then drops all of it.
    pub fn parse_line(line: &'a [u8]) -> Result<Vec<Result<Self, EventError>>, EventError> {
        let text = line.trim_ascii();
        let index = Index::new(text)?;
        if index.spaced {
            let compact = index.compact(text);
            let index = Index::new(&compact)?;
            let owned = |slice: &[u8]| Cow::Owned(slice.to_vec());
            return events_of(&compact, index, owned);
        }
        events_of(text, index, Cow::Borrowed)
    }

    /// Reads a line that holds exactly one event.
    ///
    /// # Errors
    /// When it holds no event, several, or a broken one.
    pub fn parse(line: &'a [u8]) -> Result<Self, EventError> {
        let mut events = Self::parse_line(line)?;
        match events.pop() {
            Some(event) if events.is_empty() => event,
            _ => Err(EventError::NotAnEvent),
        }
    }

    fn new(text: Cow<'a, [u8]>, index: Index) -> Result<Self, EventError> {
        let mut event = Self {
            text,
            index,
            nanoseconds: 0,
            number: 1,
            k8saudit: RefCell::default(),
            json: RefCell::default(),
            plain: OnceCell::new(),
        };
        let reader = event.k8saudit();
        let stamp = reader.get(Index::ROOT, "stageTimestamp").ok_or(EventError::NoTimestamp)?;
        let stamp = if reader.kind(stamp) == Kind::String { reader.string(stamp) } else { Cow::default() };
        let time = std::str::from_utf8(&stamp).ok().and_then(parse_time);
        event.nanoseconds = time.ok_or(EventError::BadTimestamp)?;
        event.reset();
        Ok(event)
    }

    /// Gives the event its position in the stream, which `evt.num` reads (1 unless set).
    #[must_use]
    pub fn numbered(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Its position in the stream.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it happened: its `stageTimestamp`, in nanoseconds since 1970.
    #[must_use]
    pub fn nanoseconds(&self) -> u64 {
        self.nanoseconds
    }

    /// The event as compact JSON.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The value at the JSON pointer `at`, such as `/objectRef/name`, as the field `jevt.value[…]` reads it: strings
    /// bare, all else as compact JSON text; none when it is not there.
    #[must_use]
    pub fn value(&self, at: &str) -> Option<Cow<'_, [u8]>> {
        pointer_value(&self.json(), &pointer(at))
    }

    /// As [`Event::value`], by the keys on the way.
    #[must_use]
    pub fn under(&self, keys: &[&str]) -> Option<Cow<'_, [u8]>> {
        let reader = self.json();
        reader.path(Index::ROOT, keys).map(|id| reader.text_of(id))
    }

    /// Forgets what was read.
    ///
    /// The JSON reader of Falco's plugins resolves a string's escapes in place when it is read on its own; an
    /// object or array around it, read later as text, then shows the string as Go quotes it. This is where an
    /// event starts again.
    pub fn reset(&self) {
        self.k8saudit.borrow_mut().clear();
        self.json.borrow_mut().clear();
    }

    /// Changes whenever something was read that changes later texts.
    pub(crate) fn epoch(&self) -> usize {
        self.k8saudit.borrow().epoch() + self.json.borrow().epoch()
    }

    /// Whether the text is UTF-8 without line ends, as what an API server writes always is.
    pub(crate) fn is_plain(&self) -> bool {
        *self.plain.get_or_init(|| is_plain(&self.text))
    }

    pub(crate) fn k8saudit(&self) -> Reader<'_> {
        Reader { text: &self.text, index: &self.index, view: &self.k8saudit }
    }

    pub(crate) fn json(&self) -> Reader<'_> {
        Reader { text: &self.text, index: &self.index, view: &self.json }
    }
}

type Slicer<'t, 'a> = fn(&'t [u8]) -> Cow<'a, [u8]>;

fn events_of<'t, 'a>(
    text: &'t [u8],
    index: Index,
    slicer: Slicer<'t, 'a>,
) -> Result<Vec<Result<Event<'a>, EventError>>, EventError> {
    let found = event_ranges(text, &index)?;
    if let [only] = found.as_slice()
        && only.len() == text.len()
    {
        return Ok(vec![Event::new(slicer(text), index)]);
    }
    let event = |range: Range<usize>| {
        let slice = text.get(range).unwrap_or_default();
        Event::new(slicer(slice), Index::new(slice)?)
    };
    Ok(found.into_iter().map(event).collect())
}

fn event_ranges(text: &[u8], index: &Index) -> Result<Vec<Range<usize>>, EventError> {
    let view = RefCell::default();
    let reader = Reader { text, index, view: &view };
    let mut found = Vec::new();
    find_events(&reader, Index::ROOT, &mut found)?;
    Ok(found.into_iter().map(|id| index.range(id)).collect())
}

/// Collects the events under `id`. One thing that is no event spoils a whole array of them.
fn find_events(reader: &Reader<'_>, id: NodeId, found: &mut Vec<NodeId>) -> Result<(), EventError> {
    if reader.kind(id) == Kind::Array {
        return reader.items(id).try_for_each(|item| find_events(reader, item, found));
    }
    let kind = reader.get(id, "kind").filter(|k| reader.kind(*k) == Kind::String);
    match kind.map(|k| reader.string(k)).as_deref() {
        Some(b"Event") => found.push(id),
        Some(b"EventList") => {
            let items = reader.get(id, "items").filter(|i| reader.kind(*i) == Kind::Array);
            found.extend(reader.items(items.ok_or(EventError::NotAnEvent)?));
        }
        _ => return Err(EventError::NotAnEvent),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"kind":"Event","stageTimestamp":"2026-11-23T02:47:11.5Z","a":1.50}"#;

    #[test]
    fn reads_events_lists_and_arrays() {
        let list = format!(r#"{{"kind":"EventList","items":[{{"stageTimestamp":"x"}},{EVENT}, {EVENT}]}}"#);
        let array = format!("[{EVENT},{list}]");
        let count = |line: &str| {
            Event::parse_line(line.as_bytes()).map(|e| (e.len(), e.iter().filter(|e| e.is_ok()).count()))
        };
        assert_eq!(count(EVENT).unwrap(), (1, 1));
        assert_eq!(count(&list).unwrap(), (3, 2));
        assert_eq!(count(&array).unwrap(), (4, 3));
        assert_eq!(count(&format!("[{EVENT},{{}}]")), Err(EventError::NotAnEvent));
        assert_eq!(count("7"), Err(EventError::NotAnEvent));
        assert_eq!(Event::parse(br#"{"kind":"Event"}"#).unwrap_err(), EventError::NoTimestamp);
        let spaced =
            Event::parse(br#" { "kind" : "Event", "stageTimestamp":"2026-11-23T02:47:11Z" } "#).unwrap();
        assert_eq!(spaced.text(), br#"{"kind":"Event","stageTimestamp":"2026-11-23T02:47:11Z"}"#);
    }

    #[test]
    fn keeps_numbers_as_written() {
        let event = Event::parse(EVENT.as_bytes()).unwrap();
        assert_eq!(event.value("/a").unwrap(), &b"1.50"[..]);
        assert_eq!(event.value("/b"), None);
    }
}
