//! Lists, which Falco puts into conditions as text before it parses them.

use std::collections::HashMap;

use super::items::ListInfo;
use super::text::{Text, quoted};

/// The longest condition that is accepted once its lists are put in, in bytes.
pub(crate) const MAX_CONDITION: usize = 8 << 20;

/// A list ready to be put in.
#[derive(Debug)]
pub(crate) struct List {
    name: String,
    /// Its items as they stand in a condition.
    text: String,
    pub(crate) used: bool,
}

/// Makes the lists ready: an item that names a list defined before stands for that list's items.
pub(crate) fn prepare(infos: &[ListInfo]) -> Vec<List> {
    let by_name: HashMap<&str, &ListInfo> = infos.iter().map(|l| (l.name.as_str(), l)).collect();
    let mut used = Vec::new();
    let mut lists: Vec<List> = Vec::new();
    for info in infos {
        let mut items: Vec<String> = Vec::new();
        for item in &info.items {
            match by_name.get(item.as_str()).filter(|other| other.index < info.visibility) {
                Some(other) => {
                    used.push(other.name.as_str());
                    items.extend(other.items.iter().map(|i| quoted(i)));
                }
                None => items.push(quoted(item)),
            }
            if items.len() > MAX_CONDITION {
                break;
            }
        }
        lists.push(List { name: info.name.clone(), text: items.join(", "), used: false });
    }
    for list in &mut lists {
        list.used = used.contains(&list.name.as_str());
    }
    lists
}

/// A condition with its lists put in, and where each byte of it came from.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    /// Empty as long as nothing is put in.
    origins: Vec<u32>,
}

impl Resolved {
    /// Puts the lists in; none when the condition becomes too long.
    pub(crate) fn new(condition: &Text, lists: &mut [List]) -> Option<Self> {
        let length = u32::try_from(condition.text.len()).ok().filter(|l| *l as usize <= MAX_CONDITION)?;
        let mut resolved = Self { text: condition.text.clone(), origins: Vec::new() };
        for list in lists {
            if memchr::memmem::find(resolved.text.as_bytes(), list.name.as_bytes()).is_some() {
                if resolved.origins.is_empty() {
                    resolved.origins.extend(0..length);
                }
                let (next, used) = resolved.put_in(list)?;
                resolved = next;
                list.used |= used;
            }
        }
        Some(resolved)
    }

    /// The offset in the condition as written, for one in the resolved text.
    pub(crate) fn origin(&self, offset: usize) -> usize {
        if self.origins.is_empty() {
            return offset.min(self.text.len());
        }
        let origin = self.origins.get(offset).map(|o| *o as usize);
        origin.unwrap_or_else(|| self.origins.last().map_or(0, |o| *o as usize + 1))
    }

    fn put_in(&self, list: &List) -> Option<(Self, bool)> {
        let source = self.text.as_str();
        let mut out = Self { text: String::with_capacity(source.len()), origins: Vec::new() };
        let (mut copied, mut from, mut used) = (0, 0, false);
        while let Some(found) = source.get(from..).and_then(|rest| rest.find(&list.name)) {
            let start = from + found;
            let end = start + list.name.len();
            out.copy(self, copied, start);
            copied = start;
            let rest = source.get(end..).unwrap_or_default();
            let stands_alone = out.text.chars().next_back().is_none_or(is_delimiter)
                && rest.chars().next().is_none_or(is_delimiter);
            if list.name.is_empty() {
                break;
            }
            if !stands_alone {
                from = start + list.name.chars().next().map_or(1, char::len_utf8);
                continue;
            }
            used = true;
            let origin = self.origins.get(start).copied().unwrap_or_default();
            copied = out.replace(source, end, &list.text, origin);
            // Falco goes on one byte later when the list stood at the very start.
            let skipped = out.text.len() == list.text.len() + 1;
            from = if skipped { next_boundary(source, copied) } else { copied };
            if out.text.len() > MAX_CONDITION {
                return None;
            }
        }
        out.copy(self, copied, source.len());
        Some((out, used))
    }

    fn copy(&mut self, other: &Self, from: usize, to: usize) {
        self.text.push_str(other.text.get(from..to).unwrap_or_default());
        self.origins.extend_from_slice(other.origins.get(from..to).unwrap_or_default());
    }

    fn push(&mut self, text: &str, origin: u32) {
        self.text.push_str(text);
        self.origins.resize(self.text.len(), origin);
    }

    fn pop(&mut self) {
        self.text.pop();
        self.origins.truncate(self.text.len());
    }

    /// Writes a list's items for its name, which ends at `end` of `source`; returns where to go on.
    fn replace(&mut self, source: &str, mut end: usize, items: &str, origin: u32) -> usize {
        while self.text.ends_with(is_blank) {
            self.pop();
        }
        end += source.get(end..).unwrap_or_default().chars().take_while(|c| is_blank(*c)).count();
        if items.is_empty() {
            if self.text.ends_with(',') {
                self.pop();
            } else if source.get(end..).is_some_and(|rest| rest.starts_with(',')) {
                end += 1;
            }
        }
        if !self.text.is_empty() {
            self.push(" ", origin);
        }
        self.push(items, origin);
        self.push(" ", origin);
        end
    }
}

fn next_boundary(text: &str, at: usize) -> usize {
    at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_delimiter(c: char) -> bool {
    is_blank(c) || matches!(c, '(' | ')' | ',' | '=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_in(condition: &str, name: &str, items: &str) -> String {
        let text = Text { text: condition.to_owned(), parts: Vec::new() };
        let mut lists = [List { name: name.into(), text: items.into(), used: false }];
        Resolved::new(&text, &mut lists).unwrap().text
    }

    #[test]
    fn puts_lists_in_as_text() {
        assert_eq!(put_in("a.b in (x)", "x", "1, 2"), "a.b in ( 1, 2 )");
        assert_eq!(put_in("a.b in (x, xx, y)", "x", "1"), "a.b in ( 1 , xx, y)");
        assert_eq!(put_in("a.b in (x, y)", "x", ""), "a.b in (   y)");
        assert_eq!(put_in("a.b in (y, x)", "x", ""), "a.b in (y  )");
        assert_eq!(put_in("a.b = x", "x", "1"), "a.b = 1 ");
        assert_eq!(put_in("a.b = \"say x \"", "x", "1"), "a.b = \"say 1 \"");
        assert_eq!(put_in("x x", "x", "1"), "1 x");
    }

    #[test]
    fn knows_where_text_came_from() {
        let text = Text { text: "a.b in (x) and c".to_owned(), parts: Vec::new() };
        let mut lists = [List { name: "x".into(), text: "long, items".into(), used: false }];
        let resolved = Resolved::new(&text, &mut lists).unwrap();
        assert_eq!(resolved.origin(resolved.text.find("and").unwrap()), 11);
        assert_eq!(resolved.origin(resolved.text.len()), text.text.len());
        assert!(lists[0].used);
    }
}
