//! Regular expressions over JSON text, in RE2's POSIX dialect: what is *outside* a set of numbers or of strings.
//!
//! Falco compares text only, and a literal in a condition holds at most 255 bytes. So the complement of what a policy
//! allows is spelt out digit by digit or letter by letter, as a tree, and the tree is cut into pieces that fit.
//! A value is outside the set when one of the pieces matches.

use std::collections::BTreeMap;

use psp_admission::policy::Range;

use crate::problem::is_plain;

/// Largest id that the API server accepts (`IsValidUserID`: 2^31 - 1).
pub const MAX_ID: i64 = i32::MAX as i64;
/// Where expressions over ids end. No stored pod has an id above [`MAX_ID`], and whole decades are short to write.
const ID_END: i64 = 9_999_999_999;
/// Largest port.
pub const MAX_PORT: i64 = 65535;

/// Alternatives, each a head followed by what may come after it; and whether several of them lead on.
#[derive(Debug, PartialEq, Eq, Default)]
struct Tree(Vec<(String, Tree)>, bool);

impl Tree {
    fn into_alternatives(mut self) -> Vec<(String, Tree)> {
        std::mem::take(&mut self.0)
    }

    /// The whole as one expression. Small trees only: it recurs.
    fn text(&self) -> String {
        let mut text = String::with_capacity(self.length());
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        let several = self.0.len() > 1;
        out.push_str(if several { "(" } else { "" });
        self.write_bare(out);
        out.push_str(if several { ")" } else { "" });
    }

    /// The alternatives without parentheses.
    fn write_bare(&self, out: &mut String) {
        for (n, (head, rest)) in self.0.iter().enumerate() {
            out.push_str(if n > 0 { "|" } else { "" });
            out.push_str(head);
            rest.write(out);
        }
    }

    /// Cuts the tree into expressions of at most `budget` bytes that together match what it matches.
    fn pieces(self, budget: usize) -> Vec<String> {
        if self.length() <= budget {
            return if self.0.is_empty() { Vec::new() } else { vec![self.text()] };
        }
        let mut packs = Packs { budget, packs: Vec::new() };
        let mut open = Vec::from_iter((!self.0.is_empty()).then_some((Prefix::default(), self)));
        while let Some((prefix, tree)) = open.pop() {
            let mut piece = prefix.text();
            let room = budget.saturating_sub(piece.len());
            let mut cut_off = Vec::new();
            let kept = tree.cut(room, &prefix, &mut cut_off);
            if kept.0.is_empty() {
                // too long a way; the load check refuses the whole
                packs.add(&piece, false);
                continue;
            }
            let several = piece.is_empty() && kept.0.len() > 1;
            if several {
                kept.write_bare(&mut piece);
            } else {
                kept.write(&mut piece);
            }
            packs.add(&piece, several);
            open.extend(cut_off.into_iter().rev());
        }
        packs.texts()
    }

    /// As much of the tree as fits in `room`, from the root down; the rest, each with the way to it.
    fn cut(self, room: usize, prefix: &Prefix, cut_off: &mut Vec<(Prefix, Tree)>) -> Tree {
        let branches = self.1;
        let mut kept = Tree(Vec::new(), branches);
        let mut later = Tree(Vec::new(), branches);
        let mut used = 2;
        for (head, rest) in self.into_alternatives() {
            let with_head = used + head.len() + 1;
            if !rest.begins_within(room.checked_sub(with_head)) {
                later.0.push((head, rest));
            } else if rest.0.is_empty() {
                used = with_head;
                kept.0.push((head, rest));
            } else {
                let part = rest.cut(room - with_head, &prefix.then(&head, branches), cut_off);
                used = with_head + part.length();
                kept.0.push((head, part));
            }
        }
        if !later.0.is_empty() && !kept.0.is_empty() {
            cut_off.push((prefix.clone(), later));
        }
        kept
    }

    /// Does at least one alternative fit, or is there none?
    fn begins_within(&self, room: Option<usize>) -> bool {
        let Some(room) = room else { return false };
        let fits = |(head, rest): &(String, Tree)| rest.begins_within(room.checked_sub(head.len() + 3));
        self.0.is_empty() || self.0.iter().any(fits)
    }

    /// Length of its text, in bytes.
    fn length(&self) -> usize {
        let own = if self.0.len() > 1 { self.0.len() + 1 } else { 0 };
        own + self.0.iter().map(|(head, rest)| head.len() + rest.length()).sum::<usize>()
    }
}

/// Without recursion: a tree is as deep as a literal is long.
impl Drop for Tree {
    fn drop(&mut self) {
        let mut open = std::mem::take(&mut self.0);
        while let Some((_, mut rest)) = open.pop() {
            open.append(&mut rest.0);
        }
    }
}

/// Expressions of at most `budget` bytes, each of as many pieces as fit.
struct Packs {
    budget: usize,
    /// Alternatives, and whether there are several of them.
    packs: Vec<(String, bool)>,
}

impl Packs {
    fn add(&mut self, piece: &str, several: bool) {
        // two parentheses and a stroke
        let room = self.budget.saturating_sub(piece.len() + 3);
        match self.packs.iter_mut().find(|(pack, _)| pack.len() <= room) {
            Some((pack, several)) => {
                pack.push('|');
                pack.push_str(piece);
                *several = true;
            }
            None => self.packs.push((piece.to_owned(), several)),
        }
    }

    fn texts(self) -> Vec<String> {
        let text = |(pack, several)| if several { format!("({pack})") } else { pack };
        self.packs.into_iter().map(text).collect()
    }
}

/// What stands before a piece: the way from the tree's root to it.
///
/// Only the heads at which the tree branches tell its leaves apart. Where the way is long, the heads between are
/// passed over by their number: a text that strays from them is caught by the piece that covers them.
#[derive(Debug, Clone, Default)]
struct Prefix {
    /// The way in full, as long as that is short.
    literal: Option<String>,
    /// The way up to the last head that is spelt out, and how many heads follow it.
    telling: String,
    run: usize,
    /// Did the tree branch at the last head?
    branched: bool,
}

/// A way of up to this many bytes is spelt out.
const SPELT_OUT: usize = 48;
/// A way beyond this fits in no condition, and is not followed up.
const LOST: usize = 1024;

impl Prefix {
    fn then(&self, head: &str, branches: bool) -> Self {
        let mut next = Self { branched: branches, ..self.clone() };
        let is_first = self.telling.is_empty();
        next.literal = match &self.literal {
            None if !is_first => None,
            literal => Some(format!("{}{head}", literal.as_deref().unwrap_or_default())),
        };
        next.literal = next.literal.filter(|literal| literal.len() <= SPELT_OUT);
        if is_first || self.branched || head == "\"" {
            if next.telling.len() < LOST {
                next.telling.push_str(&skip(self.run));
                next.telling.push_str(head);
            }
            next.run = 0;
        } else {
            next.run += 1;
        }
        next
    }

    fn text(&self) -> String {
        match &self.literal {
            Some(literal) => literal.clone(),
            None => format!("{}{}", self.telling, skip(self.run)),
        }
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
///
/// `digit` is how any one digit is written: `[0-9]`, or `.` where the text is known to be a number alone.
pub fn ids_outside(ranges: &[Range], digit: &str, budget: usize) -> Vec<String> {
    let open = |r: &Range| if r.max >= MAX_ID { Range { min: r.min, max: ID_END } } else { *r };
    numbers_outside(&ranges.iter().map(open).collect::<Vec<_>>(), ID_END, digit, budget)
}

/// Expressions of at most `budget` bytes that match the ports that lie in no range. Port 0 stands for none.
pub fn ports_outside(ranges: &[Range], digit: &str, budget: usize) -> Vec<String> {
    let open = |r: &Range| if r.max >= MAX_PORT { Range { min: r.min, max: 99_999 } } else { *r };
    let none = Range { min: 0, max: 0 };
    numbers_outside(&ranges.iter().map(open).chain([none]).collect::<Vec<_>>(), 99_999, digit, budget)
}

/// Expressions of at most `budget` bytes that match the decimal numbers from 0 to `max` that lie in no range.
fn numbers_outside(ranges: &[Range], max: i64, digit: &str, budget: usize) -> Vec<String> {
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
        alternatives.extend(digits(&of_length, length, digit).into_alternatives());
        low = high + 1;
        high = high * 10 + 9;
    }
    merge(alternatives, digit).pieces(budget)
}

/// The numbers from 0 to `max` that lie in no range, as ascending inclusive ends.
pub(crate) fn gaps(ranges: &[Range], max: i64) -> Vec<(i64, i64)> {
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

/// The tree of numbers of exactly `length` digits within ascending `intervals` (leading zeros count as digits).
fn digits(intervals: &[(i64, i64)], length: usize, digit: &str) -> Tree {
    let Some(rest) = length.checked_sub(1) else { return Tree::default() };
    let unit = 10_i64.pow(u32::try_from(rest).unwrap_or(0));
    // no tree: whatever follows
    let mut alternatives: Vec<(char, char, Option<Tree>)> = Vec::new();
    for (first, lead) in ('0'..='9').zip(0_i64..) {
        let base = lead * unit;
        let below: Vec<(i64, i64)> = intervals
            .iter()
            .filter(|(from, to)| *from < base + unit && *to >= base)
            .map(|(from, to)| ((from - base).max(0), (to - base).min(unit - 1)))
            .collect();
        if below.is_empty() {
            continue;
        }
        let tree = (below != [(0, unit - 1)]).then(|| digits(&below, rest, digit));
        match alternatives.last_mut() {
            Some((_, to, last)) if *last == tree && *to as u32 + 1 == first as u32 => *to = first,
            _ => alternatives.push((first, first, tree)),
        }
    }
    let branches = alternatives.len() > 1;
    let spelt = |(from, to, tree): (char, char, Option<Tree>)| {
        (digit_class(from, to), tree.unwrap_or_else(|| any_digits(rest, digit)))
    };
    Tree(alternatives.into_iter().map(spelt).collect(), branches)
}

fn any_digits(count: usize, digit: &str) -> Tree {
    match count {
        0 => Tree::default(),
        1..=3 if digit.len() == 1 => Tree(vec![(digit.repeat(count), Tree::default())], false),
        1 => Tree(vec![(digit.to_owned(), Tree::default())], false),
        n => Tree(vec![(format!("{digit}{{{n}}}"), Tree::default())], false),
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
fn merge(alternatives: Vec<(String, Tree)>, digit: &str) -> Tree {
    let span = |tree: &Tree| match tree.0.as_slice() {
        [] => Some((0, 0)),
        [(head, rest)] if rest.0.is_empty() => repeats(head, digit),
        _ => None,
    };
    let mut merged: Vec<(String, Tree)> = Vec::new();
    for (head, rest) in alternatives {
        if let Some((last_head, last_rest)) = merged.last_mut()
            && *last_head == head
            && let (Some((low, high)), Some((next, end))) = (span(last_rest), span(&rest))
            && high + 1 == next
        {
            *last_rest = Tree(vec![(format!("{digit}{{{low},{end}}}"), Tree::default())], false);
            continue;
        }
        merged.push((head, rest));
    }
    let branches = merged.len() > 1;
    Tree(merged, branches)
}

/// How many digits an expression for any digits stands for, at least and at most.
fn repeats(head: &str, digit: &str) -> Option<(usize, usize)> {
    let count = head.strip_prefix(digit)?;
    if let Some(inner) = count.strip_prefix('{') {
        let inner = inner.strip_suffix('}')?;
        let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
        return Some((low.parse().ok()?, high.parse().ok()?));
    }
    let more = count.len() / digit.len();
    (count == digit.repeat(more)).then_some((more + 1, more + 1))
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
    root.tree().pieces(budget)
}

/// An expression that matches the literals, with what they begin with in common written once; `None` beyond `budget`.
pub fn any_of(literals: &[String], budget: usize) -> Option<String> {
    if literals.iter().any(|l| l.len() > budget) {
        return None;
    }
    let mut root = Letters::default();
    for literal in literals {
        root.insert(literal);
    }
    Some(root.text()).filter(|text| text.len() <= budget)
}

/// A tree of letters; a node without letters below it ends a literal.
#[derive(Debug, Default)]
struct Letters {
    below: BTreeMap<char, Letters>,
    ends: bool,
}

/// Without recursion: a tree is as deep as a literal is long.
impl Drop for Letters {
    fn drop(&mut self) {
        let mut open = vec![std::mem::take(&mut self.below)];
        while let Some(below) = open.pop() {
            let deeper = below.into_values().map(|mut node| std::mem::take(&mut node.below));
            open.extend(deeper.filter(|below| !below.is_empty()));
        }
    }
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

    /// What the literals below this node have in common, then each one's own. Short literals only: it recurs.
    fn text(&self) -> String {
        let alternatives: Vec<String> = self
            .below
            .iter()
            .map(|(letter, node)| format!("{}{}", literal(&letter.to_string()), node.text()))
            .collect();
        match alternatives.as_slice() {
            [one] => one.clone(),
            [] => String::new(),
            many => format!("({})", many.join("|")),
        }
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
                    done.push(Tree(alternatives, node.below.len() > 1));
                }
            }
        }
        done.pop().unwrap_or_default()
    }
}

/// A class that matches one character, but none of `letters`.
pub(crate) fn none_of(letters: impl Iterator<Item = char>) -> String {
    let (mut class, mut delimiters) = (String::new(), String::new());
    let (mut bracket, mut dash) = (false, false);
    for letter in letters {
        match letter {
            ']' => bracket = true,
            '-' => dash = true,
            '\\' => class.push_str("\\\\"),
            '[' => class.push_str("\\["),
            // side by side, so that no word stands between two of them: see `literal`
            ' ' | '(' | ')' | ',' | '=' => delimiters.push(letter),
            other if is_plain(other) => class.push(other),
            other => class.push_str(&code_point(other)),
        }
    }
    class.push_str(&delimiters);
    if class.is_empty() && !bracket && !dash {
        return ".".to_owned();
    }
    format!("[^{}{class}{}]", if bracket { "]" } else { "" }, if dash { "-" } else { "" })
}

/// `text` as an expression that matches just it, in characters that stay as they are in every YAML reader.
///
/// Falco puts the items of a list wherever its name stands between two of ` (),=`, within quotes too. In a class, such
/// a character is beside a bracket, so that no word of a value is taken for a list's name.
pub fn literal(text: &str) -> String {
    let mut expression = String::new();
    for letter in text.chars() {
        match letter {
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '$' | ' ' | ',' | '=' => {
                expression.push('[');
                expression.push(letter);
                expression.push(']');
            }
            '^' | '\\' => {
                expression.push('\\');
                expression.push(letter);
            }
            other if is_plain(other) => expression.push(other),
            other => expression.push_str(&code_point(other)),
        }
    }
    expression
}

/// A character by its number.
fn code_point(letter: char) -> String {
    format!("\\x{{{:x}}}", letter as u32)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn range(min: i64, max: i64) -> Range {
        Range { min, max }
    }

    /// RE2 takes a bracket in a class as it is.
    fn compiled(piece: &str) -> regex::Regex {
        regex::Regex::new(&format!("^(?s:{})$", piece.replace("[[]", "\\[").replace("[]]", "\\]"))).unwrap()
    }

    fn matches(pieces: &[String], text: &str) -> bool {
        pieces.iter().any(|piece| compiled(piece).is_match(text))
    }

    #[test]
    fn numbers_outside_are_those_in_no_range() {
        let sets = [
            vec![],
            vec![range(0, ID_END)],
            vec![range(1, 65535)],
            vec![range(20, 10), range(100, 100), range(99, 102)],
            vec![range(0, 0), range(2, 9), range(11, 98), range(1000, 1999), range(2001, 70000)],
            vec![range(1_000_660_000, 1_000_669_999)],
            vec![range(5, 2_147_483_647)],
        ];
        for ranges in sets {
            for (digit, budget) in [("[0-9]", 60), (".", 200)] {
                let pieces = ids_outside(&ranges, digit, budget);
                assert!(pieces.iter().all(|p| p.len() <= budget), "{pieces:?}");
                let edges = ranges.iter().flat_map(|r| [r.min - 1, r.min, r.max, r.max + 1]);
                let numbers = (0..2100).chain([65535, 65536, 70000, 70001, 2_147_483_647]).chain(edges);
                for number in numbers.filter(|n| (0..=MAX_ID).contains(n)) {
                    let inside = ranges.iter().any(|r| r.contains(number));
                    assert_eq!(
                        matches(&pieces, &number.to_string()),
                        !inside,
                        "{number} {ranges:?} {pieces:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_port_is_outside_when_all_are_allowed() {
        assert!(ports_outside(&[range(0, 65535)], "[0-9]", 200).is_empty());
        let pieces = ports_outside(&[range(80, 80), range(8000, 8999)], "[0-9]", 200);
        for port in [1, 79, 81, 7999, 9000, 65535] {
            assert!(matches(&pieces, &port.to_string()), "{port}");
        }
        for port in [0, 80, 8000, 8999] {
            assert!(!matches(&pieces, &port.to_string()), "{port}");
        }
    }

    #[test]
    fn strays_match_what_begins_with_no_literal() {
        let literals = ["/var/log/", "/var/log\"", "/var/[x]-^\\\\.\"", "kata\""].map(str::to_owned);
        for budget in [40, 80, 255] {
            let pieces = strays(&literals, budget);
            assert!(pieces.iter().all(|p| p.len() <= budget), "{pieces:?}");
            let anchored: Vec<String> = pieces.iter().map(|p| format!("{p}.*")).collect();
            for (text, strays) in [
                ("/var/log\",", false),
                ("/var/log/pods\",", false),
                ("/var/[x]-^\\\\.\",", false),
                ("kata\",", false),
                ("/var/log2\",", true),
                ("/var\",", true),
                ("/var/[x]-^\\\\_\",", true),
                ("/var/]\",", true),
                ("kata2\",", true),
                ("\",", true),
            ] {
                assert_eq!(matches(&anchored, text), strays, "{text} {pieces:?}");
            }
        }
    }

    #[test]
    fn a_literal_of_any_length_fits() {
        let long = |end: &str| format!("/{}{end}\"", "abcdefghi/".repeat(400));
        let literals = [long("x"), long("y"), "/short\"".to_owned()];
        let pieces = strays(&literals, 180);
        assert!(pieces.iter().all(|p| p.len() <= 180));
        let anchored: Vec<String> = pieces.iter().map(|p| format!("{p}.*")).collect();
        let compiled: Vec<regex::Regex> = anchored.iter().map(|p| compiled(p)).collect();
        let strays = |text: &str| compiled.iter().any(|r| r.is_match(text));
        for good in &literals {
            assert!(!strays(good), "{}", good.len());
        }
        assert!(strays(&long("z")) && strays(&long("")) && strays("/short2\""));
        let mut one_off = long("x");
        one_off.replace_range(2000..2001, "#");
        assert!(strays(&one_off));
    }

    #[test]
    fn json_text_is_go_s() {
        assert_eq!(json_text("a\"b\\c<d>\u{2028}\n\u{1}é"), "a\\\"b\\\\c\\u003cd\\u003e\\u2028\\n\\u0001é");
    }
}
