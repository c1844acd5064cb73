//! What people give that is no policy, or is one with a character that only looks right: what it is, and the cure.

use super::template::lines;
use crate::messages::read as messages;
use crate::problem::{Message, quote};
use crate::yaml::{Data, Mark, Node};

/// The word without which a text holds no policy.
pub(super) const WORD: &str = "PodSecurityPolicy";

/// Does a text state the kind of a policy, template or not?
pub(super) fn states_policy(text: &str) -> bool {
    text.match_indices(WORD).any(|(at, _)| {
        let before = text.get(..at).unwrap_or_default().trim_end_matches([' ', '\t', '"', '\'']);
        before.strip_suffix(':').is_some_and(|key| key.trim_end_matches([' ', '"', '\'']).ends_with("kind"))
    })
}

/// A character that an editor, a chat or a web page put in the place of a plain one.
struct Look {
    letter: char,
    name: &'static str,
    plain: &'static str,
}

const LOOKS: [Look; 12] = [
    Look { letter: '\u{a0}', name: "a no-break space", plain: "a space" },
    Look { letter: '\u{202f}', name: "a narrow no-break space", plain: "a space" },
    Look { letter: '\u{2003}', name: "an em space", plain: "a space" },
    Look { letter: '\u{3000}', name: "an ideographic space", plain: "a space" },
    Look { letter: '\u{200b}', name: "a zero-width space", plain: "nothing" },
    Look { letter: '\u{201c}', name: "a typographic quotation mark", plain: "\"" },
    Look { letter: '\u{201d}', name: "a typographic quotation mark", plain: "\"" },
    Look { letter: '\u{2018}', name: "a typographic quotation mark", plain: "'" },
    Look { letter: '\u{2019}', name: "a typographic quotation mark", plain: "'" },
    Look { letter: '\u{2013}', name: "an en dash", plain: "-" },
    Look { letter: '\u{2014}', name: "an em dash", plain: "-" },
    Look { letter: '\u{ff1a}', name: "a fullwidth colon", plain: ":" },
];

/// The first such character of each line outside of comments, and what to do about it; in the order of the lines.
pub(super) fn odd_characters(text: &str) -> Vec<(Mark, Message)> {
    /// More are not worth showing.
    const MOST: usize = 1000;
    if text.is_ascii() {
        return Vec::new();
    }
    let first = |(line, content): (u32, &str)| {
        let content = content.split_once(" #").map_or(content, |(content, _)| content);
        let (letter, column) =
            content.chars().zip(1..).find(|(letter, _)| LOOKS.iter().any(|look| look.letter == *letter))?;
        let look = LOOKS.iter().find(|look| look.letter == letter)?;
        let Look { name, plain, .. } = look;
        let code = format!("{:04X}", u32::from(letter));
        Some((Mark { line, column }, messages::odd_character(name, code, plain)))
    };
    lines(text)
        .filter(|(_, content)| !content.trim_start().starts_with('#'))
        .filter_map(first)
        .take(MOST)
        .collect()
}

/// Why a text that kubectl printed holds no objects.
pub(super) fn kubectl(text: &str) -> Option<Message> {
    let first = text.lines().next().unwrap_or_default();
    let gone = |word: &str| first.contains(word);
    if first.starts_with("error: the server doesn't have a resource type") || gone("no matches for kind") {
        Some(messages::kubectl_without_policies())
    } else if ["error: ", "Error from server", "Unable to connect to the server", "No resources found"]
        .iter()
        .any(|start| first.starts_with(start))
    {
        Some(messages::kubectl_without_objects())
    } else if first.starts_with("NAME ") && ["PRIV ", "DATA ", "READY "].iter().any(|word| gone(word)) {
        Some(messages::kubectl_table())
    } else {
        None
    }
}

/// The keys of a ConfigMap under which a policy stands as text, and where.
pub(super) fn packed(node: &Node<'_>) -> Vec<(Mark, String)> {
    let Some(Data::Map(entries)) = node.get("data").map(|data| &data.data) else { return Vec::new() };
    let holding = entries.iter().filter(|entry| entry.node.text().is_some_and(states_policy));
    holding.map(|entry| (entry.mark, entry.key.to_string())).collect()
}

/// How to get at a policy that a ConfigMap holds as text.
pub(super) fn unpack(key: &str, name: &str, file: &str) -> Message {
    let name = if name.is_empty() { "NAME" } else { name };
    match file {
        "stdin" => messages::packed_in_pipe(name, key.replace('.', "\\.")),
        _ => messages::packed(quote(name), quote(key), file),
    }
}
