//! Rows under a head, laid out for people.

use std::fmt::Write as _;

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
}

impl<const N: usize> Table<'_, N> {
    /// In columns; on a screen of `width` characters that these would not fit on, each row is a paragraph: its names,
    /// and under them the other cells, each after its column's head, those without a value left out.
    #[must_use]
    pub fn text(&self, width: Option<usize>) -> String {
        let columns = self.columns();
        let fits = |width| columns.lines().all(|line| line.chars().count() <= width);
        match width {
            Some(width) if !fits(width) => self.paragraphs(width),
            _ => columns,
        }
    }

    fn columns(&self) -> String {
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
        for row in &rows {
            let mut line = " ".repeat(self.indent);
            for (n, (cell, width)) in row.iter().zip(widths).enumerate() {
                let _ = match self.numbers == Some(n) {
                    true => write!(line, "{cell:>width$}  "),
                    false => write!(line, "{cell:<width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn paragraphs(&self, width: usize) -> String {
        let Some((head, rows)) = self.rows.split_first() else { return String::new() };
        let mut text = String::new();
        for row in rows {
            let names: Vec<&str> = row.iter().take(self.names).map(String::as_str).collect();
            let cells = head.iter().zip(row).skip(self.names);
            let told = cells.filter(|(_, cell)| !matches!(cell.as_str(), "" | "-"));
            let told: Vec<String> =
                told.map(|(head, cell)| format!("{}: {cell}", head.to_lowercase())).collect();
            wrapped(&names.join("  "), self.indent, width, &mut text);
            wrapped(&told.join("; "), self.indent + 4, width, &mut text);
        }
        text
    }
}

/// Adds lines of at most `width` characters, each indented; a word that is longer has a line of its own.
fn wrapped(words: &str, indent: usize, width: usize, text: &mut String) {
    let mut line = String::new();
    for word in words.split(' ') {
        let length = line.chars().count();
        if length > 0 && indent + length + 1 + word.chars().count() > width {
            let _ = writeln!(text, "{:indent$}{}", "", line.trim_end());
            line.clear();
        } else if length > 0 {
            line.push(' ');
        }
        line.push_str(word);
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
) -> String {
    let clean = |cell: &String| cell.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect();
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(clean)).collect();
    Table { rows: &rows, names, numbers: None, widest, indent: 2 }.text(width)
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
        let table = Table { rows: &rows, names: 1, numbers: Some(1), widest: 60, indent: 2 };
        let columns = "  RULE                       ALERTS  BY\n  PSP a Violation (hostPID)      12  ann (2), bob (1)\n  \
                       PSP b                           1  -\n";
        assert_eq!(table.text(None), columns);
        assert_eq!(table.text(Some(53)), columns);
        assert_eq!(
            table.text(Some(24)),
            "  PSP a Violation\n  (hostPID)\n      alerts: 12; by:\n      ann (2), bob (1)\n  PSP b\n      alerts: 1\n"
        );
    }
}
