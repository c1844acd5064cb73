//! Rows under a head, laid out for people.

use std::fmt::Write as _;

use crate::paint::{Paint, Tone};
use crate::problem::{cut, is_plain};

/// A table: its head is the first row.
pub struct Table<'a, const N: usize> {
    /// The rows, all with what may reach a terminal only.
    pub rows: &'a [[String; N]],
    /// How many columns name a row; the rest tells of it.
    pub names: usize,
    /// The column of numbers, if there is one: it is aligned to the right.
    pub numbers: Option<usize>,
    /// The widest that a cell may be in columns, in characters.
    pub widest: usize,
    /// How far it is indented.
    pub indent: usize,
    /// What a cell says by its colour, by its column and text; the head and the names are set off anyway.
    pub tone: fn(usize, &str) -> Tone,
}

impl<const N: usize> Table<'_, N> {
    /// In columns; on a screen of `width` characters that these would not fit on, each row is a paragraph: its names,
    /// and under them the other cells, each after its column's head, those without a value left out.
    #[must_use]
    pub fn text(&self, width: Option<usize>, paint: Paint) -> String {
        let columns = self.columns(Paint::default());
        let fits = |width| columns.lines().all(|line| line.chars().count() <= width);
        match width {
            Some(width) if !fits(width) => self.paragraphs(width, paint),
            _ if paint.in_colour() => self.columns(paint),
            _ => columns,
        }
    }

    fn columns(&self, paint: Paint) -> String {
        let short = |cell: &String| match cell.chars().count() > self.widest {
            true => cut(cell, self.widest.saturating_sub(1)).into_owned(),
            false => cell.clone(),
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(short).collect()).collect();
        let mut widths = [0; N];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for (at, row) in rows.iter().enumerate() {
            let mut line = " ".repeat(self.indent);
            for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
                let tone = if at == 0 { Tone::Strong } else { (self.tone)(n, cell) };
                let blanks = " ".repeat(width - cell.chars().count());
                let cell = paint.text(tone, cell);
                let _ = match self.numbers == Some(n) {
                    true => write!(line, "{blanks}{cell}  "),
                    false => write!(line, "{cell}{blanks}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn paragraphs(&self, width: usize, paint: Paint) -> String {
        let Some((head, rows)) = self.rows.split_first() else { return String::new() };
        let mut text = String::new();
        for row in rows {
            let names: Vec<&str> = row.iter().take(self.names).map(String::as_str).collect();
            wrapped(Word::all(&names.join("  "), Tone::Strong), self.indent, width, paint, &mut text);
            let mut told: Vec<Word> = Vec::new();
            for (n, (head, cell)) in head.iter().zip(row).enumerate().skip(self.names) {
                if matches!(cell.as_str(), "" | "-") {
                    continue;
                }
                if let Some(last) = told.last_mut() {
                    last.end = ";";
                }
                told.extend(Word::all(&format!("{}:", head.to_lowercase()), Tone::Plain));
                told.extend(Word::all(cell, (self.tone)(n, cell)));
            }
            wrapped(told, self.indent + 4, width, paint, &mut text);
        }
        text
    }
}

/// A word of a paragraph.
pub(crate) struct Word {
    text: String,
    tone: Tone,
    /// What follows it without a blank, in no colour.
    end: &'static str,
}

impl Word {
    /// The words of a text.
    pub(crate) fn all(text: &str, tone: Tone) -> impl Iterator<Item = Self> {
        text.split(' ').map(move |word| Self { text: word.to_owned(), tone, end: "" })
    }
}

/// Adds lines of at most `width` characters, each indented; a word that is longer has a line of its own.
pub(crate) fn wrapped(
    words: impl IntoIterator<Item = Word>,
    indent: usize,
    width: usize,
    paint: Paint,
    text: &mut String,
) {
    let (mut line, mut length) = (String::new(), 0);
    for Word { text: word, tone, end } in words {
        let more = word.chars().count() + end.len();
        if length > 0 && indent + length + 1 + more > width {
            let _ = writeln!(text, "{:indent$}{}", "", line.trim_end());
            line.clear();
            length = 0;
        } else if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(&paint.text(tone, word));
        line.push_str(end);
        length += more;
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{:indent$}{}", "", line.trim_end());
    }
}

/// A table whose rows have `names` columns of names; control characters of manifests do not reach the terminal.
pub(crate) fn table<const N: usize>(
    rows: &[[String; N]],
    names: usize,
    widest: usize,
    width: Option<usize>,
    paint: Paint,
    tone: fn(usize, &str) -> Tone,
) -> String {
    let clean = |cell: &String| cell.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect();
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(clean)).collect();
    Table { rows: &rows, names, numbers: None, widest, indent: 2, tone }.text(width, paint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_becomes_paragraphs() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [
            row(["RULE", "ALERTS", "BY"]),
            row(["PSP a Violation (hostPID)", "12", "ann (2), bob (1)"]),
            row(["PSP b", "1", "-"]),
        ];
        let tone = |column, _: &str| if column == 1 { Tone::Warning } else { Tone::Plain };
        let table = Table { rows: &rows, names: 1, numbers: Some(1), widest: 60, indent: 2, tone };
        let text = |width| table.text(width, Paint::default());
        let columns = "  RULE                       ALERTS  BY\n  PSP a Violation (hostPID)      12  ann (2), bob (1)\n  \
                       PSP b                           1  -\n";
        assert_eq!(text(None), columns);
        assert_eq!(text(Some(53)), columns);
        assert_eq!(
            text(Some(24)),
            "  PSP a Violation\n  (hostPID)\n      alerts: 12; by:\n      ann (2), bob (1)\n  PSP b\n      alerts: 1\n"
        );
        let (yellow, bold, end) = ("\u{1b}[33m", "\u{1b}[1m", "\u{1b}[0m");
        let row = format!("  PSP b                           {yellow}1{end}  -\n");
        assert!(table.text(None, Paint::new(true)).ends_with(&row));
        let paragraphs = table.text(Some(24), Paint::new(true));
        assert!(paragraphs.contains(&format!("      alerts: {yellow}12{end}; by:\n")), "{paragraphs:?}");
        let last = format!("  {bold}PSP{end} {bold}b{end}\n      alerts: {yellow}1{end}\n");
        assert!(paragraphs.ends_with(&last), "{paragraphs:?}");
    }
}
