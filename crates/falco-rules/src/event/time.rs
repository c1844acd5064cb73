//! Times as audit events hold them and as Falco shows them.

use std::fmt::Write as _;

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockFormat {
    /// Whether the date stands before it, and what between them.
    pub(crate) date: Option<char>,
    pub(crate) fraction: bool,
    pub(crate) zone: &'static str,
}

impl ClockFormat {
    pub(crate) fn write(self, nanoseconds: u64) -> String {
        let seconds = nanoseconds / 1_000_000_000;
        let mut text = String::new();
        if let Some(separator) = self.date {
            let (year, month, day) = date(seconds / 86_400);
            let _ = write!(text, "{year:04}-{month:02}-{day:02}{separator}");
        }
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let _ = write!(text, "{hour:02}:{minute:02}:{second:02}");
        if self.fraction {
            let _ = write!(text, ".{:09}", nanoseconds % 1_000_000_000);
        }
        text + self.zone
    }
}

/// A time in UTC to the nanosecond, with the date and `separator` before it if there is one.
#[must_use]
pub fn time_text(nanoseconds: u64, separator: Option<char>) -> String {
    ClockFormat { date: separator, fraction: true, zone: "" }.write(nanoseconds)
}

/// Reads an RFC 3339 time as nanoseconds since 1970 (0 for earlier times).
pub(crate) fn parse_time(text: &str) -> Option<u64> {
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
fn date(days: u64) -> (u64, u64, u64) {
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
