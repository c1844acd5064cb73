//! Regular expressions over JSON text, in RE2's POSIX dialect: what is *outside* a set of numbers or of strings.
//!
//! Falco compares text only, and a literal in a condition holds at most 255 bytes. So the complement of what a policy
//! allows is spelt out digit by digit or letter by letter, as a tree, and the tree is cut into pieces that fit.
//! A value is outside the set when one of the pieces matches.

use std::collections::BTreeMap;

use crate::psp::policy::Range;

/// Largest id that the API server accepts (`IsValidUserID`: 2^31 - 1).
pub const MAX_ID: i64 = i32::MAX as i64;
/// Where expressions over ids end. No stored pod has an id above [`MAX_ID`], and whole decades are short to write.
const ID_END: i64 = 9_999_999_999;
/// Largest port.
pub const MAX_PORT: i64 = 65535;

/// Alternatives, each a head followed by what may come after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Tree(Vec<(String, Tree)>);

impl Tree {
    fn text(&self) -> String {
        let alternatives: Vec<String> =
            self.0.iter().map(|(head, rest)| format!("{head}{}", rest.text())).collect();
        match alternatives.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            many => format!("({})", many.join("|")),
        }
    }

    /// The length of `text` in bytes, as far as `room` goes; `None` beyond it.
    fn fits(&self, room: usize) -> Option<usize> {
        let mut used = if self.0.len() > 1 { self.0.len() + 1 } else { 0 };
        for (head, rest) in &self.0 {
            used += head.len();
            used += rest.fits(room.checked_sub(used)?)?;
        }
        (used <= room).then_some(used)
    }

    /// Cuts the tree into expressions of at most `budget` bytes that together match what it matches.
    fn pieces(&self, prefix: &Prefix, budget: usize, out: &mut Vec<String>) {
        let lead = prefix.text();
        let mut group = Tree::default();
        let flush = |group: &mut Tree, out: &mut Vec<String>| {
            if !group.0.is_empty() {
                out.push(format!("{lead}{}", group.text()));
                group.0.clear();
            }
        };
        let room = budget.saturating_sub(lead.len());
        let mut used = 1;
        for (head, rest) in &self.0 {
            let Some(length) = rest.fits(room.saturating_sub(head.len())).map(|l| l + head.len()) else {
                rest.pieces(&prefix.then(head, rest.0.len() > 1), budget, out);
                continue;
            };
            if used + length + 1 > room {
                flush(&mut group, out);
                used = 1;
            }
            used += length + 1;
            group.0.push((head.clone(), rest.clone()));
        }
        flush(&mut group, out);
    }
}

/// What stands before a piece: the way from the tree's root to it.
///
/// Only the heads at which the tree branches tell its leaves apart. Where the way is long, the heads between are
/// passed over by their number: a text that strays from them is caught by the piece that covers them.
#[derive(Debug, Clone, Default)]
struct Prefix {
    heads: Vec<String>,
    branches: Vec<bool>,
}

/// A way of up to this many bytes is spelt out.
const SPELT_OUT: usize = 48;

impl Prefix {
    fn then(&self, head: &str, branches: bool) -> Self {
        let mut next = self.clone();
        next.heads.push(head.to_owned());
        next.branches.push(branches);
        next
    }

    fn text(&self) -> String {
        let literal = self.heads.concat();
        if literal.len() <= SPELT_OUT {
            return literal;
        }
        let mut text = String::new();
        let mut run = 0;
        for (index, head) in self.heads.iter().enumerate() {
            let after_branch = index > 0 && self.branches.get(index - 1) == Some(&true);
            if after_branch || index == 0 || head == "\"" {
                text.push_str(&skip(run));
                run = 0;
                text.push_str(head);
            } else {
                run += 1;
            }
        }
        text.push_str(&skip(run));
        text
    }
}

/// Any `count` characters within a JSON string (RE2 repeats at most 1,000 times).
fn skip(mut count: usize) -> String {
    let mut text = String::new();
    while count > 0 {
        let step = count.min(1000);
        text.push_str(&format!("[^\"]{{{step}}}"));
        count -= step;
    }
    text
}

/// Expressions of at most `budget` bytes that match the ids that lie in no range.
pub fn ids_outside(ranges: &[Range], budget: usize) -> Vec<String> {
    let open = |r: &Range| if r.max >= MAX_ID { Range { min: r.min, max: ID_END } } else { *r };
    numbers_outside(&ranges.iter().map(open).collect::<Vec<_>>(), ID_END, budget)
}

/// Expressions of at most `budget` bytes that match the ports that lie in no range. Port 0 stands for none.
pub fn ports_outside(ranges: &[Range], budget: usize) -> Vec<String> {
    let open = |r: &Range| if r.max >= MAX_PORT { Range { min: r.min, max: 99_999 } } else { *r };
    let none = Range { min: 0, max: 0 };
    numbers_outside(&ranges.iter().map(open).chain([none]).collect::<Vec<_>>(), 99_999, budget)
}

/// Expressions of at most `budget` bytes that match the decimal numbers from 0 to `max` that lie in no range.
fn numbers_outside(ranges: &[Range], max: i64, budget: usize) -> Vec<String> {
    let gaps = gaps(ranges, max);
    let mut alternatives = Vec::new();
    let mut low = 0_i64;
    let mut high = 9_i64;
    for length in 1..=max.to_string().len() {
        let of_length: Vec<(i64, i64)> = gaps
            .iter()
            .map(|(from, to)| ((*from).max(low), (*to).min(high)))
            .filter(|(from, to)| from <= to)
            .collect();
        alternatives.extend(digits(&of_length, length).0);
        low = high + 1;
        high = high * 10 + 9;
    }
    let mut out = Vec::new();
    merge(alternatives).pieces(&Prefix::default(), budget, &mut out);
    out
}

/// The numbers from 0 to `max` that lie in no range, as ascending inclusive ends.
fn gaps(ranges: &[Range], max: i64) -> Vec<(i64, i64)> {
    let mut sorted: Vec<Range> = ranges.iter().copied().filter(|r| r.min <= r.max).collect();
    sorted.sort();
    let mut gaps = Vec::new();
    let mut next = 0_i64;
    for range in sorted {
        if range.min > next {
            gaps.push((next, (range.min - 1).min(max)));
        }
        next = next.max(range.max.saturating_add(1));
    }
    gaps.push((next, max));
    gaps.retain(|(from, to)| from <= to);
    gaps
}

/// The tree of numbers of exactly `length` digits within `intervals` (leading zeros count as digits).
fn digits(intervals: &[(i64, i64)], length: usize) -> Tree {
    let Some(rest) = length.checked_sub(1) else { return Tree::default() };
    let unit = 10_i64.pow(u32::try_from(rest).unwrap_or(0));
    let mut alternatives: Vec<(char, char, Tree)> = Vec::new();
    for (digit, lead) in ('0'..='9').zip(0_i64..) {
        let base = lead * unit;
        let below: Vec<(i64, i64)> = intervals
            .iter()
            .map(|(from, to)| ((from - base).max(0), (to - base).min(unit - 1)))
            .filter(|(from, to)| from <= to)
            .collect();
        if below.is_empty() {
            continue;
        }
        let tree = if below == [(0, unit - 1)] { any_digits(rest) } else { digits(&below, rest) };
        match alternatives.last_mut() {
            Some((_, to, last)) if *last == tree && *to as u32 + 1 == digit as u32 => *to = digit,
            _ => alternatives.push((digit, digit, tree)),
        }
    }
    Tree(alternatives.into_iter().map(|(from, to, tree)| (digit_class(from, to), tree)).collect())
}

fn any_digits(count: usize) -> Tree {
    match count {
        0 => Tree::default(),
        1 => Tree(vec![("[0-9]".to_owned(), Tree::default())]),
        n => Tree(vec![(format!("[0-9]{{{n}}}"), Tree::default())]),
    }
}

fn digit_class(from: char, to: char) -> String {
    match to as u32 - from as u32 {
        0 => from.to_string(),
        1 => format!("[{from}{to}]"),
        _ => format!("[{from}-{to}]"),
    }
}

/// Joins alternatives that begin with the same head but differ in length: `[1-9]`, then `[1-9][0-9]{3}`.
fn merge(alternatives: Vec<(String, Tree)>) -> Tree {
    let mut merged: Vec<(String, Tree)> = Vec::new();
    for (head, rest) in alternatives {
        let span = |tree: &Tree| match tree.0.as_slice() {
            [] => Some((0, 0)),
            [(head, rest)] if rest.0.is_empty() => repeats(head),
            _ => None,
        };
        if let Some((last_head, last_rest)) = merged.last_mut()
            && *last_head == head
            && let (Some((low, high)), Some((next, end))) = (span(last_rest), span(&rest))
            && high + 1 == next
        {
            *last_rest = Tree(vec![(format!("[0-9]{{{low},{end}}}"), Tree::default())]);
            continue;
        }
        merged.push((head, rest));
    }
    Tree(merged)
}

/// How many digits `[0-9]…` stands for.
fn repeats(head: &str) -> Option<(usize, usize)> {
    let count = head.strip_prefix("[0-9]")?;
    if count.is_empty() {
        return Some((1, 1));
    }
    let (low, high) = {
        let inner = count.strip_prefix('{')?.strip_suffix('}')?;
        inner.split_once(',').unwrap_or((inner, inner))
    };
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// Expressions of at most `budget` bytes that match a text which begins with none of `literals`.
///
/// A literal holds its own end: `kata"` is one whole JSON string, `/var/` any string that begins so. The expressions
/// match up to the first letter that strays; what follows is for the caller to pass over.
pub fn strays(literals: &[String], budget: usize) -> Vec<String> {
    let mut root = Letters::default();
    for literal in literals {
        root.insert(literal);
    }
    let mut out = Vec::new();
    root.tree().pieces(&Prefix::default(), budget, &mut out);
    out
}

/// A tree of letters; a node without letters below it ends a literal.
#[derive(Debug, Default)]
struct Letters {
    below: BTreeMap<char, Letters>,
    ends: bool,
}

impl Letters {
    fn insert(&mut self, literal: &str) {
        let mut node = self;
        for letter in literal.chars() {
            if node.ends {
                return;
            }
            node = node.below.entry(letter).or_default();
        }
        node.ends = true;
        node.below.clear();
    }

    /// What strays from every literal below this node. Built without recursion: literals may be long.
    fn tree(&self) -> Tree {
        enum Step<'a> {
            Enter(&'a Letters),
            Leave(&'a Letters),
        }
        let mut steps = vec![Step::Enter(self)];
        let mut done: Vec<Tree> = Vec::new();
        while let Some(step) = steps.pop() {
            match step {
                Step::Enter(node) => {
                    steps.push(Step::Leave(node));
                    steps.extend(node.below.values().filter(|n| !n.ends).map(Step::Enter));
                }
                Step::Leave(node) => {
                    let mut alternatives = vec![(none_of(node.below.keys().copied()), Tree::default())];
                    for (letter, _) in node.below.iter().filter(|(_, n)| !n.ends) {
                        alternatives.push((literal(&letter.to_string()), done.pop().unwrap_or_default()));
                    }
                    done.push(Tree(alternatives));
                }
            }
        }
        done.pop().unwrap_or_default()
    }
}

/// A class that matches one character, but none of `letters`.
fn none_of(letters: impl Iterator<Item = char>) -> String {
    let mut class = String::new();
    let (mut bracket, mut dash) = (false, false);
    for letter in letters {
        match letter {
            ']' => bracket = true,
            '-' => dash = true,
            '\\' => class.push_str("\\\\"),
            '[' => class.push_str("\\["),
            other => class.push(other),
        }
    }
    if class.is_empty() && !bracket && !dash {
        return ".".to_owned();
    }
    format!("[^{}{class}{}]", if bracket { "]" } else { "" }, if dash { "-" } else { "" })
}

/// `text` as an expression that matches just it.
pub fn literal(text: &str) -> String {
    let mut expression = String::new();
    for letter in text.chars() {
        match letter {
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '$' => {
                expression.push('[');
                expression.push(letter);
                expression.push(']');
            }
            '^' | '\\' => {
                expression.push('\\');
                expression.push(letter);
            }
            other => expression.push(other),
        }
    }
    expression
}

/// `text` as it stands between the quotes of a JSON string that the API server wrote (Go's `encoding/json`).
pub fn json_text(text: &str) -> String {
    let mut json = String::new();
    for letter in text.chars() {
        match letter {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                json.push_str(&format!("\\u{:04x}", letter as u32));
            }
            other => json.push(other),
        }
    }
    json
}
