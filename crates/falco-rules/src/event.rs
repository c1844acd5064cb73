//! Kubernetes audit events, as Falco's `k8saudit` source makes them of a log's lines.

use super::json::{Index, JsonError, Kind, NodeId, Reader, View};
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::ops::Range;

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

    /// The value at a JSON pointer such as `/objectRef/name`, as the field `jevt.value[…]` reads it: strings
    /// bare, all else as compact JSON text; none when it is not there.
    #[must_use]
    pub fn value(&self, pointer: &str) -> Option<Cow<'_, [u8]>> {
        super::extract::pointer_value(&self.json(), &super::extract::pointer(pointer))
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
    /// event starts anew.
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
        *self.plain.get_or_init(|| super::posix::is_plain(&self.text))
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

/// Reads an RFC 3339 time as nanoseconds since 1970 (0 for earlier times).
fn parse_time(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once('T')?;
    let zone = rest.find(['Z', '+', '-'])?;
    let (clock, zone) = (rest.get(..zone)?, rest.get(zone..)?);
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let days = days_since_1970(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 || !is_digits(fraction) {
        return None;
    }
    let offset = match zone.strip_prefix('Z') {
        Some(rest) => rest.is_empty().then_some(0)?,
        None => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            let seconds = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
    };
    let nanoseconds: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(u64::try_from(seconds).ok().and_then(|s| s.checked_mul(1_000_000_000)).unwrap_or(0) + nanoseconds)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (slot, width) in out.iter_mut().zip(widths) {
        let part = parts.next().filter(|p| p.len() == width && is_digits(p))?;
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |y: i64| (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=*length).contains(&day) {
        return None;
    }
    let before: i64 = lengths.iter().take(usize::try_from(month - 1).ok()?).sum();
    let years_before = year - 1;
    let leap_days = years_before / 4 - years_before / 100 + years_before / 400;
    Some(years_before * 365 + leap_days + before + day - 1 - 719_162)
}

/// The year, month and day that many days after the start of 1970.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    // Counted in 400-year cycles from March of year 0, so that a leap day ends its year.
    let days = days + 719_468;
    let cycle = days / 146_097;
    let day_of_cycle = days % 146_097;
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (cycle * 400 + year_of_cycle + u64::from(month <= 2), month, day)
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

    #[test]
    fn reads_times() {
        assert_eq!(parse_time("1970-01-01T00:00:01.000000002Z"), Some(1_000_000_002));
        assert_eq!(parse_time("2026-11-23T02:47:11.5Z"), Some(1_795_402_031_500_000_000));
        assert_eq!(parse_time("2026-11-23T03:47:11.5+01:00"), Some(1_795_402_031_500_000_000));
        assert_eq!(parse_time("2000-02-29T00:00:00Z"), Some(951_782_400_000_000_000));
        for days in [0, 59, 60, 10_957, 11_016, 11_017, 20_780, 40_000] {
            let (year, month, day) = date(days);
            let text = format!("{year:04}-{month:02}-{day:02}T00:00:00Z");
            assert_eq!(parse_time(&text), Some(days * 86_400_000_000_000), "{text}");
        }
        for bad in ["", "2026-11-23", "2026-02-29T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T02:47:11"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
