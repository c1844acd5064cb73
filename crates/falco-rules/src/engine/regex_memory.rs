//! A memory that speeds up regular expressions over texts that resemble each other, as the pods of a log do.
//!
//! Logs repeat the words between two commas (`"tty":true,`). Over a word that is known, an expression's automaton takes
//! one step instead of one a byte, and most words leave most automata in the state that they are in, so that all
//! expressions over a text are matched together in little more time than it takes to look up its words. What is
//! remembered changes how fast an answer comes, never the answer.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use regex_automata::Anchored;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::Cache;
use regex_automata::util::start;

use super::re2::Pattern;

/// A shorter text is matched at once, in bytes.
const MIN_TEXT: usize = 128;
/// An expression is matched together with others when it has been asked so often; before, it would not pay.
const MIN_USES: u32 = 16;
/// Fewer expressions over a text than these are faster one by one.
const MIN_MEMBERS: usize = 3;
/// No more expressions over a text are matched together: the bits of a mask.
const MAX_MEMBERS: usize = u64::BITS as usize;
/// A longer word is not remembered, in bytes.
const MAX_WORD: usize = 128;
/// So many words over a text are remembered before all are forgotten; they and their steps are some 10 MB at most.
const MAX_WORDS: usize = 1 << 13;
/// Words that were seen once, by their hash; only the second time is a word remembered.
const SEEN: usize = 1 << 12;
/// An automaton that is in more states than these between words is matched by itself.
const MAX_STATES: usize = 16;

/// What is remembered from one event to the next. Each thread has its own.
#[derive(Debug, Default)]
pub(crate) struct RegexMemory {
    /// By the operand whose texts they are.
    bundles: HashMap<usize, Bundle, RandomState>,
}

/// The expressions over one operand's texts.
#[derive(Debug, Default)]
struct Bundle {
    /// By comparison.
    matchings: HashMap<usize, Matching, RandomState>,
    members: Vec<Member>,
    /// The members whose automata are not too large.
    able: u64,
    /// How often members, or states of them, were added or lost.
    version: u32,
    numbers: HashMap<Box<[u8]>, usize, RandomState>,
    words: Vec<Word>,
    seen: Vec<u64>,
    /// For the current event.
    answers: Option<Answers>,
}

/// How an expression is matched.
#[derive(Debug, Clone, Copy)]
enum Matching {
    /// By itself, so often until now.
    Alone(u32),
    /// Together with others, as the member with this number.
    Member(usize),
}

/// Which members have an answer, and for which it is yes.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    given: u64,
    yes: u64,
}

/// A word that is remembered.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    /// The bundle's version when its steps were worked out.
    version: u32,
    /// The members that it can move from one state to another.
    moves: u64,
}

/// An expression that is matched together with others.
#[derive(Debug)]
struct Member {
    pattern: Arc<Pattern>,
    cache: Cache,
    /// The states that it was seen in before words, the first one first.
    states: Vec<LazyStateID>,
    /// For each word and each state before it, the position of the state after it; after a text's last word, 1 if
    /// the text matches.
    steps: Vec<u8>,
    /// For each word, for how many of the states its steps are worked out.
    learned: Vec<u8>,
}

impl RegexMemory {
    /// Forgets the texts of the last event.
    pub(crate) fn next_event(&mut self) {
        self.bundles.values_mut().for_each(|bundle| bundle.answers = None);
    }

    /// Whether the pattern of a comparison matches all of its operand's text; none where it must be matched by itself.
    pub(crate) fn matches(
        &mut self,
        comparison: usize,
        operand: usize,
        pattern: &Arc<Pattern>,
        text: &[u8],
    ) -> Option<bool> {
        if text.len() < MIN_TEXT {
            return None;
        }
        let bundle = self.bundles.entry(operand).or_default();
        let member = bundle.member(comparison, pattern)?;
        if bundle.members.len() < MIN_MEMBERS {
            return None;
        }
        let answers = bundle.answers.unwrap_or_else(|| bundle.answer(text));
        bundle.answers = Some(answers);
        let member = 1 << member;
        (answers.given & member != 0).then_some(answers.yes & member != 0)
    }
}

impl Bundle {
    /// The position of a comparison's pattern among the members, if it is one.
    fn member(&mut self, comparison: usize, pattern: &Arc<Pattern>) -> Option<usize> {
        let matching = self.matchings.entry(comparison).or_insert(Matching::Alone(0));
        match matching {
            Matching::Member(member) => return Some(*member),
            Matching::Alone(uses) => *uses = uses.saturating_add(1),
        }
        if matches!(matching, Matching::Alone(MIN_USES)) && self.members.len() < MAX_MEMBERS {
            let mut member = Member::new(pattern)?;
            member.reserve(0, self.words.len());
            *matching = Matching::Member(self.members.len());
            self.able |= 1 << self.members.len();
            self.members.push(member);
            self.version += 1;
        }
        None
    }

    /// Matches a text. An automaton stands for its pattern where the text is ASCII without line ends.
    fn answer(&mut self, text: &[u8]) -> Answers {
        if !text.is_ascii() || memchr::memchr(b'\n', text).is_some() {
            return Answers::default();
        }
        let mut states = [0; MAX_MEMBERS];
        let mut start = 0;
        for end in memchr::memchr_iter(b',', text).map(|comma| comma + 1) {
            let word = text.get(start..end).unwrap_or_default();
            start = end;
            let Some(number) = self.number(word) else {
                self.walk(word, &mut states);
                continue;
            };
            let mut moves = self.steps_over(number, word, false);
            while moves != 0 {
                let member = moves.trailing_zeros() as usize;
                moves &= moves - 1;
                if let (Some(member), Some(state)) = (self.members.get(member), states.get_mut(member)) {
                    *state = member.step(number, *state);
                }
            }
        }
        self.finish(text.get(start..).unwrap_or_default(), &states)
    }

    /// The answers after a text's last word, which is the only one that ends in no comma.
    fn finish(&mut self, word: &[u8], states: &[u8]) -> Answers {
        let number = self.number(word);
        if let Some(number) = number {
            self.steps_over(number, word, true);
        }
        let mut yes = 0;
        for (at, (member, state)) in self.members.iter_mut().zip(states).enumerate() {
            let matches = match number {
                Some(number) => Some(member.step(number, *state) == 1),
                None => member.end(word, usize::from(*state)),
            };
            match matches {
                Some(matches) => yes |= u64::from(matches) << at,
                None => self.able &= !(1 << at),
            }
        }
        Answers { given: self.able, yes }
    }

    /// Takes all members over a word that is not remembered.
    fn walk(&mut self, word: &[u8], states: &mut [u8]) {
        for (at, (member, state)) in self.members.iter_mut().zip(states).enumerate() {
            if self.able & 1 << at == 0 {
                continue;
            }
            let known = member.states.len();
            match member.after(word, usize::from(*state)) {
                Some(next) => *state = next,
                None => self.able &= !(1 << at),
            }
            self.version += u32::from(member.states.len() != known);
        }
    }

    /// Works out the steps over a word as far as they are not yet known; returns the members that it moves.
    fn steps_over(&mut self, number: usize, word: &[u8], is_last: bool) -> u64 {
        if let Some(known) = self.words.get(number).filter(|known| known.version == self.version) {
            return known.moves;
        }
        let mut moves = self.words.get(number).map_or(0, |known| known.moves);
        for (at, member) in self.members.iter_mut().enumerate() {
            if self.able & 1 << at == 0 {
                continue;
            }
            let known = member.states.len();
            match member.learn(number, word, is_last) {
                Some(true) => moves |= 1 << at,
                Some(false) => {}
                None => self.able &= !(1 << at),
            }
            self.version += u32::from(member.states.len() != known);
        }
        if let Some(known) = self.words.get_mut(number) {
            *known = Word { version: self.version, moves };
        }
        moves
    }

    /// A word's number, if it is remembered.
    fn number(&mut self, word: &[u8]) -> Option<usize> {
        if let Some(number) = self.numbers.get(word) {
            return Some(*number);
        }
        if word.len() > MAX_WORD {
            return None;
        }
        self.seen.resize(SEEN, 0);
        let hash = self.numbers.hasher().hash_one(word);
        let seen = self.seen.get_mut(usize::try_from(hash).unwrap_or_default() % SEEN)?;
        if *seen != hash {
            *seen = hash;
            return None;
        }
        if self.words.len() == MAX_WORDS {
            self.numbers.clear();
            self.words.clear();
        }
        let number = self.words.len();
        self.numbers.insert(word.into(), number);
        self.words.push(Word::default());
        for member in &mut self.members {
            member.reserve(number, number + 1);
        }
        Some(number)
    }
}

impl Member {
    fn new(pattern: &Arc<Pattern>) -> Option<Self> {
        let dfa = pattern.automaton()?;
        let mut cache = dfa.create_cache();
        let start = dfa.start_state(&mut cache, &start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self {
            pattern: Arc::clone(pattern),
            cache,
            states: vec![start],
            steps: Vec::new(),
            learned: Vec::new(),
        })
    }

    /// Makes room for so many words, of which the first ones stay as they are.
    fn reserve(&mut self, kept: usize, words: usize) {
        self.learned.truncate(kept);
        self.learned.resize(words, 0);
        self.steps.resize(words * MAX_STATES, 0);
    }

    fn step(&self, word: usize, state: u8) -> u8 {
        self.steps.get(word * MAX_STATES + usize::from(state)).copied().unwrap_or_default()
    }

    /// The state that it is in after a word; none where the automaton gives up.
    fn walk(&mut self, word: &[u8], state: usize) -> Option<LazyStateID> {
        let dfa = self.pattern.automaton()?;
        let mut state = *self.states.get(state)?;
        for byte in word {
            state = dfa.next_state(&mut self.cache, state, *byte).ok()?;
        }
        Some(state)
    }

    /// The position of the state after a word; none where it is in too many.
    fn after(&mut self, word: &[u8], state: usize) -> Option<u8> {
        let next = self.walk(word, state)?;
        let known = self.states.iter().position(|state| *state == next);
        let position = known.unwrap_or(self.states.len());
        if known.is_none() {
            self.states.push(next);
        }
        u8::try_from(position).ok().filter(|_| position < MAX_STATES)
    }

    /// Whether a text that ends in this word matches.
    fn end(&mut self, word: &[u8], state: usize) -> Option<bool> {
        let last = self.walk(word, state)?;
        Some(self.pattern.automaton()?.next_eoi_state(&mut self.cache, last).ok()?.is_match())
    }

    /// Works out the steps over a word from the states that are new since; returns whether it moves from one of them to
    /// another.
    fn learn(&mut self, number: usize, word: &[u8], is_last: bool) -> Option<bool> {
        let mut moves = false;
        let mut state = usize::from(*self.learned.get(number)?);
        while state < self.states.len() {
            let next = if is_last { u8::from(self.end(word, state)?) } else { self.after(word, state)? };
            moves |= usize::from(next) != state;
            *self.steps.get_mut(number * MAX_STATES + state)? = next;
            state += 1;
        }
        *self.learned.get_mut(number)? = u8::try_from(state).ok()?;
        Some(moves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns of few states, and two of too many.
    const PATTERNS: [&str; 7] = [
        ".*\"a\",.*",
        "([^,]*,)*b",
        ".*,(ab|b),a.*",
        ".*[0-9]{3}1,a.*",
        "(.*b,){25}[^b]*",
        ".*(a.{100}b){2}.*",
        "[^b]*",
    ];

    fn bundle(words: &RegexMemory) -> &Bundle {
        words.bundles.get(&0).unwrap()
    }

    /// Asks all patterns about a text, as the rules of one event do.
    fn ask(words: &mut RegexMemory, patterns: &[Arc<Pattern>], text: &str) -> usize {
        words.next_event();
        let mut answers = 0;
        for (at, pattern) in patterns.iter().enumerate() {
            if let Some(matches) = words.matches(at, 0, pattern, text.as_bytes()) {
                assert_eq!(matches, pattern.matches(text.as_bytes(), true), "{at}: {text}");
                answers += 1;
            }
        }
        answers
    }

    fn patterns() -> Vec<Arc<Pattern>> {
        PATTERNS.iter().map(|pattern| Arc::new(Pattern::new(pattern).unwrap())).collect()
    }

    /// Texts of words that recur and of numbers that seldom do.
    fn text(n: usize) -> String {
        let word = |i: usize| match (n * 7919 + i * i * 31 + i) % 11 {
            0 | 5 => "b".to_owned(),
            1 => "ab".to_owned(),
            2 => "\"a\"".to_owned(),
            3 | 4 => ((n * 31 + i) % 20_000).to_string(),
            _ => "a".to_owned(),
        };
        (0..100).map(word).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn answers_are_those_of_the_pattern_alone() {
        let (mut words, patterns) = (RegexMemory::default(), patterns());
        let (mut together, mut forgotten, mut known) = (0, false, 0);
        for n in 0..3_000 {
            together += ask(&mut words, &patterns, &text(n));
            let remembered = bundle(&words).words.len();
            forgotten |= remembered < known;
            known = remembered;
        }
        assert!(together > 10_000, "{together}");
        assert!(forgotten, "words were forgotten when they were too many");
        let bundle = bundle(&words);
        assert_eq!(bundle.members.len(), PATTERNS.len());
        assert_eq!(bundle.able.count_ones(), 5, "two have too many states: {:b}", bundle.able);
    }

    #[test]
    fn texts_that_an_automaton_reads_otherwise_are_left_to_the_pattern() {
        let (mut words, patterns) = (RegexMemory::default(), patterns());
        let learned: usize = (0..20).map(|n| ask(&mut words, &patterns, &text(n))).sum();
        assert!(learned > 0);
        assert_eq!(ask(&mut words, &patterns, &format!("é,{}", text(21))), 0);
        assert_eq!(ask(&mut words, &patterns, &format!("{}\nb", text(22))), 0);
        assert_eq!(ask(&mut words, &patterns, "a,b"), 0, "short ones are matched at once");
    }
}
