//! Does one condition follow from another? A search for a proof: yes is certain, no may mean that none was found.
//!
//! The conditions are taken apart until only comparisons are left (a sequent calculus); what stands left holds, of what
//! stands right nothing does. Comparisons that contradict each other close a case. Two macros that come to the same
//! are not opened. A missing field makes every comparison false, so that `not` is a plain complement.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;

use super::language::{Languages, is_empty};
use crate::check::{FieldType, catalog};
use crate::file::Definitions;
use crate::syntax::{Check, Expr, Op, Operand, Rhs};

/// The most steps for one proof.
const MAX_STEPS: usize = 5_000;
/// The most steps in one comparison of files; beyond it nothing more is proven.
const MAX_STEPS_IN_ALL: usize = 500_000;
/// The most questions to automata in one comparison of files.
const MAX_QUESTIONS: usize = 400;
/// The most comparisons of one field that are looked at together.
const MAX_TOGETHER: usize = 8;
/// How deep macros may nest.
const MAX_DEPTH: usize = 30;
/// How often a case may be split, one split in another.
const MAX_SPLITS: usize = 200;

/// One of the two files, with what its macros come to.
struct Side<'a> {
    file: &'a Definitions,
    digests: RefCell<HashMap<&'a str, u64>>,
}

impl<'a> Side<'a> {
    fn new(file: &'a Definitions) -> Self {
        Self { file, digests: RefCell::default() }
    }

    fn definition(&self, name: &str) -> Option<&'a Expr> {
        self.file.macros.get(name)?.as_ref()
    }

    fn digest(&self, expr: &'a Expr) -> u64 {
        self.digest_at(expr, 0)
    }

    fn digest_at(&self, expr: &'a Expr, depth: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                matches!(expr, Expr::And(_)).hash(&mut hasher);
                parts.iter().for_each(|part| self.digest_at(part, depth).hash(&mut hasher));
            }
            Expr::Not(part) => ("not", self.digest_at(part, depth)).hash(&mut hasher),
            Expr::Check(check) => ("check", check.to_string()).hash(&mut hasher),
            Expr::Macro(name, _) => {
                if let Some(known) = self.digests.borrow().get(name.as_str()) {
                    return *known;
                }
                let digest = match self.definition(name).filter(|_| depth < MAX_DEPTH) {
                    Some(definition) => self.digest_at(definition, depth + 1),
                    None => {
                        ("undefined", name).hash(&mut hasher);
                        hasher.finish()
                    }
                };
                self.digests.borrow_mut().insert(name, digest);
                return digest;
            }
        }
        hasher.finish()
    }

    /// The digests of all macros, and of all that they are made of.
    fn all(&self) -> HashSet<u64> {
        let mut all = HashSet::new();
        let rules = self.file.rules.iter().filter_map(|r| r.condition.as_ref());
        for expr in self.file.macros.values().flatten().chain(rules) {
            self.collect(expr, &mut all);
        }
        all
    }

    fn collect(&self, expr: &'a Expr, all: &mut HashSet<u64>) {
        all.insert(self.digest(expr));
        match expr {
            Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| self.collect(part, all)),
            Expr::Not(part) => self.collect(part, all),
            Expr::Macro(..) | Expr::Check(_) => {}
        }
    }
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The old one.
    Old,
    /// The new one.
    New,
}

/// Proves which conditions of two files follow from each other.
pub struct Prover<'a> {
    old: Side<'a>,
    new: Side<'a>,
    /// What stands in both files.
    shared: HashSet<u64>,
    languages: Languages,
    questions: RefCell<HashMap<Question, bool>>,
    steps: Cell<usize>,
    proven: RefCell<HashMap<(u64, u64), bool>>,
}

/// The digests of comparisons that are to hold and of those that are to fail.
type Question = (Vec<u64>, Vec<u64>);

/// A part of a condition and the file whose macros it names.
#[derive(Clone, Copy)]
struct Part<'a> {
    expr: &'a Expr,
    which: Which,
}

/// A case under way.
#[derive(Clone, Default)]
struct Case<'a> {
    holds: Vec<Part<'a>>,
    fails: Vec<Part<'a>>,
    held_macros: Vec<(&'a str, Which)>,
    failed_macros: Vec<(&'a str, Which)>,
    /// What was taken in so far, by digest.
    held: HashSet<u64>,
    failed: HashSet<u64>,
    held_checks: Vec<(u64, &'a Check)>,
    failed_checks: Vec<(u64, &'a Check)>,
    /// Alternatives that hold, and conjunctions that fail: each splits the case.
    splits: Vec<(bool, &'a [Expr], Which)>,
}

/// Which macros to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Open {
    /// Those whose name only one file has.
    Unknown,
    /// Those too that are not the same in both files.
    Changed,
    /// All.
    All,
}

/// How deep to look, and what is left of the steps.
struct Search {
    open: Open,
    steps: usize,
    splits: usize,
}

impl<'a> Prover<'a> {
    /// For conditions of these two files.
    #[must_use]
    pub fn new(old: &'a Definitions, new: &'a Definitions) -> Self {
        let (old, new) = (Side::new(old), Side::new(new));
        let shared = old.all().intersection(&new.all()).copied().collect();
        Self {
            old,
            new,
            shared,
            languages: Languages::default(),
            questions: RefCell::default(),
            steps: Cell::new(0),
            proven: RefCell::default(),
        }
    }

    fn side(&self, which: Which) -> &Side<'a> {
        match which {
            Which::Old => &self.old,
            Which::New => &self.new,
        }
    }

    /// A number that is the same for conditions that come to the same, whatever their macros are called.
    #[must_use]
    pub fn digest(&self, expr: &'a Expr, which: Which) -> u64 {
        self.side(which).digest(expr)
    }

    /// Does every event that `from` matches surely match `to`?
    #[must_use]
    pub fn implies(&self, (from, from_which): (&'a Expr, Which), (to, to_which): (&'a Expr, Which)) -> bool {
        let key = (self.side(from_which).digest(from), self.side(to_which).digest(to));
        if let Some(known) = self.proven.borrow().get(&key) {
            return *known;
        }
        // what asks for itself on the way is not proven by that
        self.proven.borrow_mut().insert(key, false);
        let case = Case {
            holds: vec![Part { expr: from, which: from_which }],
            fails: vec![Part { expr: to, which: to_which }],
            ..Case::default()
        };
        let prove = |open| self.closes(case.clone(), &mut Search { open, steps: MAX_STEPS, splits: 0 });
        let proven = [Open::Unknown, Open::Changed, Open::All].into_iter().any(prove);
        self.proven.borrow_mut().insert(key, proven);
        proven
    }

    /// Does the case contradict itself, in each of the cases that it splits into?
    fn closes(&self, mut case: Case<'a>, search: &mut Search) -> bool {
        loop {
            let Some(left) = search.steps.checked_sub(1) else { return false };
            search.steps = left;
            self.steps.set(self.steps.get() + 1);
            if self.steps.get() > MAX_STEPS_IN_ALL {
                return false;
            }
            let closed = if let Some(part) = case.holds.pop() {
                self.take(&mut case, part, true, search)
            } else if let Some(part) = case.fails.pop() {
                self.take(&mut case, part, false, search)
            } else {
                break;
            };
            if closed {
                return true;
            }
        }
        // the split of which most is decided already
        let decided = |case: &Case<'a>, (holds, parts, which): &(bool, &'a [Expr], Which)| {
            let against = if *holds { &case.failed } else { &case.held };
            parts.iter().filter(|p| !against.contains(&self.side(*which).digest(p))).count()
        };
        let next = (0..case.splits.len()).min_by_key(|i| case.splits.get(*i).map(|s| decided(&case, s)));
        let Some(index) = next else { return self.contradicts(&case) };
        let (holds, parts, which) = case.splits.swap_remove(index);
        search.splits += 1;
        let closed = search.splits <= MAX_SPLITS
            && parts.iter().all(|expr| {
                let mut one = case.clone();
                if holds { &mut one.holds } else { &mut one.fails }.push(Part { expr, which });
                self.closes(one, search)
            });
        search.splits -= 1;
        closed
    }

    /// Takes one part into the case; true when that closes it.
    fn take(&self, case: &mut Case<'a>, part: Part<'a>, holds: bool, search: &Search) -> bool {
        let digest = self.side(part.which).digest(part.expr);
        let (own, other) =
            if holds { (&mut case.held, &case.failed) } else { (&mut case.failed, &case.held) };
        if other.contains(&digest) {
            return true;
        }
        if !own.insert(digest) {
            return false;
        }
        let which = part.which;
        let queue = |case: &mut Case<'a>, holds: bool, parts: &'a [Expr]| {
            let list = if holds { &mut case.holds } else { &mut case.fails };
            list.extend(parts.iter().map(|expr| Part { expr, which }));
        };
        match part.expr {
            Expr::And(parts) if holds => queue(case, true, parts),
            Expr::Or(parts) if !holds => queue(case, false, parts),
            Expr::And(parts) | Expr::Or(parts) => case.splits.push((holds, parts, which)),
            Expr::Not(inner) => queue(case, !holds, std::slice::from_ref(inner)),
            Expr::Macro(name, _) => {
                let macros = if holds { &mut case.held_macros } else { &mut case.failed_macros };
                macros.push((name, which));
                let against = if holds { &case.failed_macros } else { &case.held_macros };
                let opposite = against.iter().find(|(other, side)| other == name && *side != which);
                if let Some((_, side)) = opposite {
                    let (from, to) = if holds { (which, *side) } else { (*side, which) };
                    if self.macro_implies(name, from, to) {
                        return true;
                    }
                }
                let closed = match search.open {
                    Open::Unknown => {
                        self.old.definition(name).is_some() && self.new.definition(name).is_some()
                            || self.shared.contains(&digest)
                    }
                    Open::Changed => self.shared.contains(&digest),
                    Open::All => false,
                };
                if let Some(definition) = self.side(which).definition(name).filter(|_| !closed) {
                    // the definition has the macro's digest
                    if holds { &mut case.held } else { &mut case.failed }.remove(&digest);
                    queue(case, holds, std::slice::from_ref(definition));
                }
            }
            Expr::Check(check) => {
                let list = if holds { &mut case.held_checks } else { &mut case.failed_checks };
                list.push((digest, check));
            }
        }
        false
    }

    /// Does a macro of one file imply the other's of the same name?
    fn macro_implies(&self, name: &str, from: Which, to: Which) -> bool {
        match (self.side(from).definition(name), self.side(to).definition(name)) {
            (Some(left), Some(right)) => self.implies((left, from), (right, to)),
            _ => false,
        }
    }

    /// Can the comparisons of the case not all be as they are said to be?
    fn contradicts(&self, case: &Case<'a>) -> bool {
        let mut fields: Vec<&Operand> = Vec::new();
        for (_, check) in &case.held_checks {
            if !fields.contains(&&check.left) {
                fields.push(&check.left);
            }
        }
        fields.into_iter().any(|field| self.field_contradicts(case, field))
    }

    /// The same, for the comparisons of one field of which at least one holds, so that it is there.
    fn field_contradicts(&self, case: &Case<'a>, field: &Operand) -> bool {
        let of_field = |checks: &[(u64, &'a Check)]| -> Vec<(u64, &'a Check)> {
            checks.iter().filter(|(_, c)| c.left == *field).copied().collect()
        };
        let (held, failed) = (of_field(&case.held_checks), of_field(&case.failed_checks));
        let plain = matches!(field, Operand::Field(_));
        if plain && failed.iter().any(|(_, check)| check.op == Op::Exists) {
            return true;
        }
        if held.iter().any(|(_, yes)| failed.iter().any(|(_, no)| narrower(yes, no))) {
            return true;
        }
        if !is_text(field) {
            return false;
        }
        let changed = |checks: &[(u64, &'a Check)]| -> Vec<(u64, &'a Check)> {
            checks.iter().filter(|(digest, _)| !self.shared.contains(digest)).copied().collect()
        };
        self.no_text(&changed(&held), &changed(&failed)) || self.no_text(&held, &failed)
    }

    /// Is there no text for which all of `held` hold and all of `failed` fail?
    fn no_text(&self, held: &[(u64, &Check)], failed: &[(u64, &Check)]) -> bool {
        let together = held.len() + failed.len();
        if held.is_empty() || !(2..=MAX_TOGETHER).contains(&together) {
            return false;
        }
        let digests = |checks: &[(u64, &Check)]| {
            let mut digests: Vec<u64> = checks.iter().map(|(digest, _)| *digest).collect();
            digests.sort_unstable();
            digests
        };
        let key = (digests(held), digests(failed));
        if let Some(known) = self.questions.borrow().get(&key) {
            return *known;
        }
        if self.questions.borrow().len() >= MAX_QUESTIONS {
            return false;
        }
        // what has no automaton is left out: that only makes more texts possible
        let languages = |checks: &[(u64, &Check)]| -> Vec<Rc<_>> {
            checks.iter().filter_map(|(_, check)| self.languages.of(check)).collect()
        };
        let held = languages(held);
        let none = !held.is_empty() && is_empty(&held, &languages(failed));
        self.questions.borrow_mut().insert(key, none);
        none
    }
}

/// Does `yes` ask for one of fewer values than `no`, in the same way?
fn narrower(yes: &Check, no: &Check) -> bool {
    let comparable = yes.modifier.is_none() && no.modifier.is_none();
    let same = yes.op == no.op && yes.op.takes_list();
    let equals = |check: &Check| matches!(check.op, Op::Eq | Op::In);
    if !comparable || !(same || equals(yes) && equals(no)) {
        return false;
    }
    let values = |check: &'_ Check| -> Option<Vec<String>> {
        match &check.right {
            Rhs::List(values) => Some(values.clone()),
            Rhs::Value(value) if check.op == Op::Eq => Some(vec![value.clone()]),
            _ => None,
        }
    };
    match (values(yes), values(no)) {
        (Some(yes), Some(no)) => !yes.is_empty() && yes.iter().all(|value| no.contains(value)),
        _ => false,
    }
}

/// Does the field yield one text, compared as text?
fn is_text(operand: &Operand) -> bool {
    let Operand::Field(field) = operand else { return false };
    catalog().any(&field.name).is_some_and(|info| !info.list && info.kind == FieldType::Text)
}
