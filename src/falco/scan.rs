//! Several regular expressions over one text in one pass.
//!
//! One automaton can take a byte only when it knows the state that the byte before led to, and waits for memory most
//! of the time; four of them side by side wait at once.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start::Config;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

/// The largest automaton, in bytes; a pattern that needs a larger one is matched by itself.
const MAX_TABLE: usize = 2 << 20;

/// A pattern's automaton, written out.
#[derive(Debug)]
pub(crate) struct Table {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Table {
    /// Builds the automaton of a pattern that stands for the whole text; none when it is too large.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MAX_TABLE))
            .determinize_size_limit(Some(4 * MAX_TABLE));
        let dfa = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().multi_line(true).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern)
            .ok()?;
        let start = dfa.start_state(&Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self { dfa, start })
    }
}

/// Which of the patterns match all of `text`.
pub(crate) fn together<const N: usize>(tables: [&Table; N], text: &[u8]) -> [bool; N] {
    let mut states = tables.map(|table| table.start);
    for byte in text {
        for (state, table) in states.iter_mut().zip(tables) {
            *state = table.dfa.next_state(*state, *byte);
        }
    }
    let mut matched = [false; N];
    for ((slot, state), table) in matched.iter_mut().zip(states).zip(tables) {
        *slot = table.dfa.is_match_state(table.dfa.next_eoi_state(state));
    }
    matched
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_one_by_one() {
        let table = |pattern: &str| Table::new(&format!(r"\A(?:{pattern})\z")).unwrap();
        let tables = [table("a*b"), table("(?:.*a){2}.*"), table("[^é]*"), table("")];
        let all = [&tables[0], &tables[1], &tables[2], &tables[3]];
        assert_eq!(together(all, b"aab"), [true, true, true, false]);
        assert_eq!(together(all, "éaa".as_bytes()), [false, true, false, false]);
        assert_eq!(together(all, b""), [false, false, true, true]);
        assert!(Table::new(&format!(r"\A(?:{})\z", ".{1000}".repeat(30))).is_none());
    }
}
