//! Evaluation: compiled conditions over events.
//!
//! The values of fields and the results of comparisons and macros are kept for the event, and all rules share them. Falco
//! keeps them within one rule. Sharing them across rules changes nothing, with one exception: once a string with escapes
//! was read on its own, later texts differ (see [`Event::reset`]). Then everything is read again from the next rule on.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};

use super::glob::Glob;
use super::plugin::{FieldValue, FieldValues};
use super::program::{Compare, Kind, Node, Origin, Program, Test, TextTest};
use super::regex_memory::RegexMemory;
use crate::event::{Event, Extracted, Index, NodeId, as_u64, is_plain, number_text};
use crate::syntax::{Field, Modifier, Op, Transformer};

/// What was read of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extractions {
    /// How many fields (with different arguments) were read at all.
    pub distinct: usize,
    /// For each rule of the set, in order, how many fields it read.
    pub per_rule: Vec<usize>,
}

/// One event's evaluation.
pub(crate) struct Run<'e, 'p> {
    event: &'e Event<'e>,
    program: &'p Program,
    values: Vec<OnceCell<Extracted<'e>>>,
    tests: Vec<Cell<Option<bool>>>,
    shared: Vec<Cell<Option<bool>>>,
    /// Where the paths lead, as far as they were followed.
    paths: Vec<Cell<Option<Option<NodeId>>>>,
    /// What each plugin says of the event.
    plugins: Vec<OnceCell<Box<dyn FieldValues>>>,
    /// The event's epoch when this was last emptied.
    epoch: usize,
    /// Which fields the current rule has read, when that is counted.
    read: Option<RefCell<Vec<bool>>>,
    /// What is remembered of earlier events.
    memory: Option<RefCell<&'p mut RegexMemory>>,
}

impl<'e, 'p> Run<'e, 'p> {
    pub(crate) fn new(event: &'e Event<'e>, program: &'p Program) -> Self {
        let mut run = Self {
            event,
            program,
            values: Vec::new(),
            tests: vec![Cell::new(None); program.tests.len()],
            shared: vec![Cell::new(None); program.shared.len()],
            paths: vec![Cell::new(None); program.paths.steps.len()],
            plugins: Vec::new(),
            epoch: event.epoch(),
            read: None,
            memory: None,
        };
        run.values.resize_with(program.operands.len(), OnceCell::new);
        run.plugins.resize_with(program.plugins.len(), OnceCell::new);
        run
    }

    /// Uses what is remembered of earlier events.
    pub(crate) fn remembering(
        event: &'e Event<'e>,
        program: &'p Program,
        memory: &'p mut RegexMemory,
    ) -> Self {
        memory.next_event();
        Self { memory: Some(RefCell::new(memory)), ..Self::new(event, program) }
    }

    /// Counts what each rule reads; nothing is then shared between rules.
    pub(crate) fn counting(event: &'e Event<'e>, program: &'p Program) -> Self {
        let read = Some(RefCell::new(vec![false; program.fields]));
        Self { read, ..Self::new(event, program) }
    }

    /// Evaluates a rule's condition.
    pub(crate) fn rule(&mut self, condition: &Node) -> bool {
        if self.read.is_some() || self.epoch != self.event.epoch() {
            self.forget();
        }
        self.node(condition)
    }

    /// The fields that the last rule has read, if they are counted.
    pub(crate) fn fields_read(&self) -> Vec<bool> {
        self.read.as_ref().map(|read| read.borrow().clone()).unwrap_or_default()
    }

    pub(crate) fn nanoseconds(&self) -> u64 {
        self.event.nanoseconds()
    }

    fn forget(&mut self) {
        self.values.iter_mut().for_each(|value| *value = OnceCell::new());
        self.tests.iter().chain(&self.shared).for_each(|result| result.set(None));
        self.paths.iter().for_each(|path| path.set(None));
        if let Some(read) = &self.read {
            read.borrow_mut().fill(false);
        }
        if let Some(memory) = &self.memory {
            memory.borrow_mut().next_event();
        }
        self.epoch = self.event.epoch();
    }

    fn node(&self, node: &Node) -> bool {
        match node {
            Node::And(nodes) => nodes.iter().all(|n| self.node(n)),
            Node::Or(nodes) => nodes.iter().any(|n| self.node(n)),
            Node::Not(node) => !self.node(node),
            Node::Shared(id) => self.remembered(self.shared.get(*id), || {
                self.program.shared.get(*id).is_some_and(|node| self.node(node))
            }),
            Node::Test(id) => self.remembered(self.tests.get(*id), || {
                self.program.tests.get(*id).is_some_and(|test| self.test(*id, test))
            }),
        }
    }

    fn remembered(&self, slot: Option<&Cell<Option<bool>>>, compute: impl FnOnce() -> bool) -> bool {
        if let Some(result) = slot.and_then(Cell::get) {
            return result;
        }
        let result = compute();
        if let Some(slot) = slot {
            slot.set(Some(result));
        }
        result
    }

    fn test(&self, id: usize, test: &Test) -> bool {
        let left = self.value(test.operand);
        if *left == Extracted::Missing {
            return false;
        }
        if let (Some(memory), Compare::Text(TextTest::Regex(pattern)), Extracted::One(value)) =
            (&self.memory, &test.compare, left)
            && let Some(holds) = memory.borrow_mut().matches(id, test.operand, pattern, trimmed(value))
        {
            return holds;
        }
        match (&test.compare, left) {
            (Compare::Exists, _) => true,
            (Compare::Elements { all: true, set }, Extracted::Many(values)) => {
                values.iter().all(|v| set.contains(v))
            }
            (Compare::Elements { all: false, set }, Extracted::Many(values)) => {
                values.iter().any(|v| set.contains(v))
            }
            (Compare::Text(text), Extracted::One(value)) => text.holds(value, || match value {
                // Part of the event's text, which is looked at once.
                Cow::Borrowed(_) => self.event.is_plain(),
                Cow::Owned(bytes) => is_plain(bytes),
            }),
            (Compare::Number(op, number), Extracted::One(value)) => orders(*op, &as_u64(value), number),
            (Compare::NumberIn(numbers), Extracted::One(value)) => numbers.contains(&as_u64(value)),
            (Compare::Operand(op, right, kind), left) => compare(*op, *kind, left, self.value(*right)),
            _ => false,
        }
    }

    pub(crate) fn value(&self, operand: usize) -> &Extracted<'e> {
        const MISSING: &Extracted<'static> = &Extracted::Missing;
        match self.values.get(operand) {
            Some(slot) => slot.get_or_init(|| self.extract(operand)),
            None => MISSING,
        }
    }

    fn extract(&self, operand: usize) -> Extracted<'e> {
        match self.program.operands.get(operand) {
            Some(Origin::Field(extractor, field)) => {
                self.count(*field);
                extractor.extract(self.event)
            }
            Some(Origin::Pointer(path, field)) => {
                self.count(*field);
                Extracted::one(self.follow(*path).map(|id| self.event.json().text_of(id)))
            }
            Some(Origin::Plugin(plugin, field, number)) => {
                self.count(*number);
                self.ask(*plugin, field).map_or(Extracted::Missing, Extracted::from)
            }
            Some(Origin::Text(text)) => Extracted::One(Cow::Owned(text.clone())),
            Some(Origin::List(items)) => self.list(items),
            Some(Origin::Unary(transformer, inner)) => transform(*transformer, self.value(*inner)),
            Some(Origin::Join(separator, list)) => self.join(*separator, *list),
            Some(Origin::Concat(parts)) => self.concat(parts),
            Some(Origin::Unmodelled) | None => Extracted::Missing,
        }
    }

    /// What a plugin says in one of its fields.
    fn ask(&self, plugin: usize, field: &Field) -> Option<FieldValue> {
        let reader = self.program.plugins.get(plugin)?.reader.as_ref()?;
        let text = self.event.text();
        let values = self.plugins.get(plugin)?.get_or_init(|| reader.read(text));
        values.value(text, &field.name, field.arg.as_deref())
    }

    fn count(&self, field: usize) {
        if let Some(read) = &self.read
            && let Some(slot) = read.borrow_mut().get_mut(field)
        {
            *slot = true;
        }
    }

    /// Where a path leads.
    fn follow(&self, path: usize) -> Option<NodeId> {
        let slot = self.paths.get(path)?;
        if let Some(found) = slot.get() {
            return found;
        }
        // The steps not yet taken, the last one first.
        let mut steps = vec![path];
        let mut start = Some(Index::ROOT);
        while let Some((Some(parent), _)) = steps.last().and_then(|s| self.program.paths.steps.get(*s)) {
            if let Some(found) = self.paths.get(*parent).and_then(Cell::get) {
                start = found;
                break;
            }
            steps.push(*parent);
        }
        let reader = self.event.json();
        for step in steps.into_iter().rev() {
            let key = self.program.paths.steps.get(step).map_or("", |(_, key)| key);
            start = start.and_then(|id| reader.get(id, key));
            if let Some(slot) = self.paths.get(step) {
                slot.set(Some(start));
            }
        }
        start
    }

    fn list(&self, items: &[(usize, bool)]) -> Extracted<'e> {
        let mut all = Vec::new();
        for (operand, is_number) in items {
            match self.value(*operand) {
                Extracted::Missing => return Extracted::Missing,
                Extracted::One(value) if *is_number => {
                    all.push(Cow::Owned(number_text(value, false).into_bytes()));
                }
                Extracted::One(value) => all.push(value.clone()),
                Extracted::Many(values) => all.extend(values.iter().cloned()),
            }
        }
        Extracted::Many(all)
    }

    fn join(&self, separator: usize, list: usize) -> Extracted<'e> {
        let (Extracted::One(separator), Some(values)) = (self.value(separator), values(self.value(list)))
        else {
            return Extracted::Missing;
        };
        let values: Vec<&[u8]> = values.iter().map(|v| c_string(v)).collect();
        Extracted::One(Cow::Owned(values.join(&**separator)))
    }

    fn concat(&self, parts: &[usize]) -> Extracted<'e> {
        let mut all = Vec::new();
        for part in parts {
            let Some(value) = values(self.value(*part)).and_then(<[_]>::first) else {
                return Extracted::Missing;
            };
            all.extend_from_slice(c_string(value));
        }
        Extracted::One(Cow::Owned(all))
    }
}

fn values<'v, 'e>(extracted: &'v Extracted<'e>) -> Option<&'v [Cow<'e, [u8]>]> {
    match extracted {
        Extracted::Missing => None,
        Extracted::One(value) => Some(std::slice::from_ref(value)),
        Extracted::Many(values) => Some(values),
    }
}

/// What C functions see of a text.
pub(crate) fn c_string(text: &[u8]) -> &[u8] {
    match memchr::memchr(0, text) {
        Some(end) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// A text without the terminators that transformers leave at its end.
fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    text.get(..end).unwrap_or_default()
}

fn transform<'e>(transformer: Transformer, value: &Extracted<'e>) -> Extracted<'e> {
    let number = |n: usize| Extracted::One(Cow::Owned((n as u64).to_le_bytes().to_vec()));
    match (transformer, value) {
        (_, Extracted::Missing) => Extracted::Missing,
        (Transformer::Len, Extracted::Many(values)) => number(values.len()),
        (Transformer::Len, Extracted::One(value)) => number(c_string(value).len()),
        (_, Extracted::One(value)) => {
            transform_text(transformer, value).map_or(Extracted::Missing, |v| Extracted::One(Cow::Owned(v)))
        }
        (_, Extracted::Many(values)) => {
            let values: Option<Vec<_>> =
                values.iter().map(|v| transform_text(transformer, v).map(Cow::Owned)).collect();
            values.map_or(Extracted::Missing, Extracted::Many)
        }
    }
}

/// Transforms a text. Falco counts the terminator that it puts at the end as part of the text, which is why the
/// elements of a transformed list never equal a literal.
fn transform_text(transformer: Transformer, text: &[u8]) -> Option<Vec<u8>> {
    let text = trimmed(text);
    let mut out = match transformer {
        Transformer::ToLower => text.to_ascii_lowercase(),
        Transformer::ToUpper => text.to_ascii_uppercase(),
        Transformer::Basename => text.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec(),
        Transformer::B64 => base64(text)?,
        _ => text.to_vec(),
    };
    if out.last() != Some(&0) {
        out.push(0);
    }
    Some(out)
}

fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    // What is left over of the last digit must be zero.
    (count < 6 && bits & ((1 << count) - 1) == 0).then_some(out)
}

fn orders<T: Ord + ?Sized>(op: Op, left: &T, right: &T) -> bool {
    match op {
        Op::Eq | Op::In | Op::Intersects => left == right,
        Op::Ne => left != right,
        Op::Lt => left < right,
        Op::Le => left <= right,
        Op::Gt => left > right,
        Op::Ge => left >= right,
        _ => false,
    }
}

fn compare(op: Op, kind: Kind, left: &Extracted<'_>, right: &Extracted<'_>) -> bool {
    match (left, right, kind) {
        (Extracted::Many(left), Extracted::Many(right), Kind::List) => match op {
            Op::In => left.iter().all(|v| right.contains(v)),
            Op::Intersects => left.iter().any(|v| right.contains(v)),
            _ => false,
        },
        (Extracted::One(left), Extracted::One(right), Kind::Number) => {
            orders(op, &as_u64(left), &as_u64(right))
        }
        (Extracted::One(left), Extracted::One(right), Kind::Text) => match op {
            Op::In | Op::Intersects => trimmed(left) == &**right,
            _ => literal(op, c_string(left), c_string(right)),
        },
        _ => false,
    }
}

fn literal(op: Op, left: &[u8], right: &[u8]) -> bool {
    match op {
        Op::Contains => memchr::memmem::find(left, right).is_some(),
        Op::IContains => contains_any_case(left, right),
        Op::StartsWith => left.starts_with(right),
        Op::EndsWith => left.ends_with(right),
        Op::Glob | Op::IGlob => Glob::new(right, op == Op::IGlob).matches(left),
        _ => orders(op, left, right),
    }
}

fn contains_any_case(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

impl TextTest {
    /// Whether it holds for a value; `plain` tells whether that is UTF-8 without line ends.
    fn holds(&self, value: &[u8], plain: impl Fn() -> bool + Copy) -> bool {
        match self {
            Self::Literal(op, right) => literal(*op, c_string(value), right),
            Self::Contains(finder) => finder.find(c_string(value)).is_some(),
            Self::Glob(glob) => glob.matches(c_string(value)),
            Self::In(set) => set.contains(trimmed(value)),
            Self::Below(paths) => paths.matches(trimmed(value)),
            Self::Regex(pattern) => pattern.matches(trimmed(value), plain()),
            Self::Several(modifier, tests) => {
                let holds = |test: &&Self| test.holds(value, plain);
                match modifier {
                    Modifier::AnyOf => tests.iter().any(|t| holds(&t)),
                    Modifier::AllOf => !tests.is_empty() && tests.iter().all(|t| holds(&t)),
                    Modifier::OneOf => {
                        tests.iter().filter(holds).nth(1).is_none() && tests.iter().any(|t| holds(&t))
                    }
                }
            }
        }
    }
}
