//! Which texts a comparison accepts, as an automaton; and whether some text is accepted by these and not by those.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

use crate::engine::re2::Pattern;
use crate::syntax::{Check, Modifier, Op, Rhs};

type Dfa = dense::DFA<Vec<u32>>;

/// The most memory for one automaton, in bytes.
const MAX_AUTOMATON: usize = 4 << 20;
/// The most combinations of states that are looked at for one question.
const MAX_STATES: usize = 5_000;

/// The automata made so far, by their pattern; none for one that grows too large.
#[derive(Default)]
pub(super) struct Languages {
    known: RefCell<HashMap<String, Option<Rc<Dfa>>>>,
}

impl Languages {
    /// The texts that `check` accepts, where that is known.
    pub(super) fn of(&self, check: &Check) -> Option<Rc<Dfa>> {
        let text = accepted(check)?;
        if let Some(known) = self.known.borrow().get(&text) {
            return known.clone();
        }
        let made = build(&text).map(Rc::new);
        self.known.borrow_mut().insert(text, made.clone());
        made
    }
}

/// A regular expression for the texts that `check` accepts.
fn accepted(check: &Check) -> Option<String> {
    if !matches!(check.modifier, None | Some(Modifier::AnyOf)) {
        return None;
    }
    let values: Vec<&str> = match &check.right {
        Rhs::None if check.op == Op::Exists => return Some(r"\A(?s-u:.)*\z".to_owned()),
        Rhs::Value(_) if check.modifier.is_some() => return None,
        Rhs::Value(value) => vec![value],
        Rhs::List(values) => values.iter().map(String::as_str).collect(),
        Rhs::None | Rhs::Operand(_) => return None,
    };
    let one = |value: &str| -> Option<String> {
        let literal = regex::escape(value);
        Some(match check.op {
            Op::Eq | Op::In => format!(r"\A{literal}\z"),
            Op::StartsWith => format!(r"\A{literal}(?s-u:.)*\z"),
            Op::EndsWith => format!(r"\A(?s-u:.)*{literal}\z"),
            Op::Contains => format!(r"\A(?s-u:.)*{literal}(?s-u:.)*\z"),
            Op::Regex => Pattern::new(value).ok()?.whole_text().to_owned(),
            _ => return None,
        })
    };
    let alternatives: Option<Vec<String>> = values.into_iter().map(one).collect();
    // no text is accepted by an empty list
    alternatives.map(|all| if all.is_empty() { "[a&&b]".to_owned() } else { all.join("|") })
}

fn build(pattern: &str) -> Option<Dfa> {
    dense::Builder::new()
        .syntax(syntax::Config::new().multi_line(true).utf8(false))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_AUTOMATON)))
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(regex_automata::dfa::StartKind::Anchored)
                .accelerate(false)
                .dfa_size_limit(Some(MAX_AUTOMATON))
                .determinize_size_limit(Some(4 * MAX_AUTOMATON)),
        )
        .build(pattern)
        .ok()
}

/// Is there surely no text that all of `inside` accept and none of `outside`?
pub(super) fn is_empty(inside: &[Rc<Dfa>], outside: &[Rc<Dfa>]) -> bool {
    let all: Vec<&Dfa> = inside.iter().chain(outside).map(Rc::as_ref).collect();
    let bytes = representatives(&all);
    let start = |dfa: &&Dfa| {
        dfa.start_state(&regex_automata::util::start::Config::new().anchored(Anchored::Yes)).ok()
    };
    let Some(first): Option<Vec<StateID>> = all.iter().map(start).collect() else { return false };
    let mut seen: HashSet<Vec<StateID>> = HashSet::from([first.clone()]);
    let mut queue = VecDeque::from([first]);
    while let Some(states) = queue.pop_front() {
        let accepts = |dfa: &Dfa, state: StateID| dfa.is_match_state(dfa.next_eoi_state(state));
        let found =
            all.iter().zip(&states).enumerate().all(|(i, (dfa, s))| accepts(dfa, *s) == (i < inside.len()));
        if found || seen.len() > MAX_STATES {
            return false;
        }
        for byte in &bytes {
            let next: Vec<StateID> =
                all.iter().zip(&states).map(|(dfa, s)| dfa.next_state(*s, *byte)).collect();
            let lost = all.iter().zip(&next).take(inside.len()).any(|(dfa, s)| dfa.is_dead_state(*s));
            if !lost && !seen.contains(&next) {
                seen.insert(next.clone());
                queue.push_back(next);
            }
        }
    }
    true
}

/// One byte of each class that no automaton tells apart.
fn representatives(all: &[&Dfa]) -> Vec<u8> {
    let mut seen = HashSet::new();
    let class = |byte: u8| all.iter().map(|dfa| dfa.byte_classes().get(byte)).collect::<Vec<u8>>();
    (0..=u8::MAX).filter(|byte| seen.insert(class(*byte))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::{Expr, parse};

    fn language(languages: &Languages, check: &str) -> Rc<Dfa> {
        let Expr::Check(check) = parse(check).unwrap() else { panic!("{check}") };
        languages.of(&check).unwrap()
    }

    #[test]
    fn inclusion_is_decided() {
        let languages = Languages::default();
        let within =
            |left: &str, right: &str| is_empty(&[language(&languages, left)], &[language(&languages, right)]);
        for (small, large) in [
            ("a.b = x", "a.b in (x, y)"),
            ("a.b startswith abc", "a.b contains b"),
            ("a.b regex '.*\"port\":(80|443)[,}].*'", "a.b regex '.*\"port\":([1-9]|[1-9][0-9]{1,4})[,}].*'"),
            ("a.b regex '[a-f]+'", "a.b regex '[a-z]*'"),
            ("a.b regex 'x.*'", "a.b startswith x"),
            ("a.b = 'x\ny'", "a.b exists"),
        ] {
            assert!(within(small, large), "{small} / {large}");
            assert!(!within(large, small), "{large} / {small}");
        }
        // `.` does not match a line's end
        assert!(!within("a.b startswith x", "a.b regex 'x.*'"));
    }

    #[test]
    fn together_parts_may_cover_the_whole() {
        let languages = Languages::default();
        let language = |check: &str| language(&languages, check);
        let whole = language("a.b regex '[0-9]'");
        let parts = [language("a.b regex '[0-5]'"), language("a.b regex '[5-9]'")];
        assert!(is_empty(std::slice::from_ref(&whole), &parts));
        assert!(!is_empty(&[whole], &parts[..1]));
    }
}
