//! Values for the comments above macros: one that a policy allows, and one that it does not.

use psp_admission::policy::Range;

use crate::pattern::gaps;

/// A number that lies in one of the ranges; none where there is no range.
pub(super) fn number_inside(ranges: &[Range]) -> Option<i64> {
    ranges.first().map(|range| if range.min > 0 { range.min } else { range.max })
}

/// The first of the examples that lies in no range, or the least such number above 0.
pub(super) fn number_outside(ranges: &[Range], examples: &[i64]) -> Option<i64> {
    let lies_in = |number: i64| ranges.iter().any(|range| (range.min..=range.max).contains(&number));
    let example = examples.iter().copied().find(|number| !lies_in(*number));
    let positive = |(from, to): (i64, i64)| (to > 0).then(|| from.max(1));
    example.or_else(|| gaps(ranges, i64::MAX).into_iter().find_map(positive))
}

/// JSON text that begins with one of the literals and ends its string; nothing where there is no literal.
pub(super) fn text_inside(literals: &[String]) -> String {
    literals.first().map(|literal| escaped(&ended(literal))).unwrap_or_default()
}

/// The first of the examples that begins with none of the literals, or one letter that does not.
pub(super) fn text_outside(literals: &[String], examples: &[&str]) -> String {
    let begins = |text: &str| literals.iter().any(|literal| text.starts_with(literal.as_str()));
    let example = examples.iter().copied().find(|example| !begins(example)).map(str::to_owned);
    let letter = || ('a'..='z').map(|letter| format!("{letter}\"")).find(|text| !begins(text));
    example.or_else(letter).unwrap_or_default()
}

/// JSON text up to the end of its last string.
fn ended(text: &str) -> String {
    if text.ends_with(['"', '}']) { text.to_owned() } else { format!("{text}\"") }
}

/// JSON text in which letters, digits and ASCII alone stand as they are: a comment can hold it in every format.
pub(super) fn escaped(json: &str) -> String {
    let mut text = String::new();
    for letter in json.chars() {
        if letter.is_alphanumeric() || (' '..='~').contains(&letter) {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: &[(i64, i64)]) -> Vec<Range> {
        ends.iter().map(|(min, max)| Range { min: *min, max: *max }).collect()
    }

    #[test]
    fn numbers_lie_inside_and_outside() {
        let (low, all) = (ranges(&[(0, 80)]), ranges(&[(5, 9), (0, 4), (11, 11)]));
        assert_eq!((number_inside(&low), number_outside(&low, &[22, 443])), (Some(80), Some(443)));
        assert_eq!((number_inside(&all), number_outside(&all, &[0, 9])), (Some(5), Some(10)));
        assert_eq!((number_inside(&[]), number_outside(&[], &[0])), (None, Some(0)));
    }

    #[test]
    fn texts_begin_with_a_literal_or_with_none() {
        let literals = ["kernel.".to_owned(), "a\"".to_owned()];
        assert_eq!(text_inside(&literals), "kernel.\"");
        assert_eq!(text_outside(&literals, &["kernel.shm\"", "net.x\""]), "net.x\"");
        assert_eq!(text_outside(&literals, &["a\""]), "b\"");
        assert_eq!(text_inside(&["é \u{7f}\u{1f600}".to_owned()]), "é \\u007f\\ud83d\\ude00\"");
    }
}
