//! Loading: from rules files to loaded rules, with everything that Falco says on the way.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::compilation::{Compiler, Patterns};
use super::output::Output;
use super::plugin::Plugin;
use super::program::{Node as Compiled, Program};
use super::rules::{Rule, RuleSet};
use crate::check::{CONDITION, OUTPUT, PluginInfo, Problem, Refusal, deprecated_fields, event_types};
use crate::file::{Collector, List, Located, Resolved, RuleInfo, Text, VALIDATE, prepare, with_exceptions};
use crate::finding::{Finding, Severity, Source};
use crate::place::Place;
use crate::syntax::{Expr, Pos, parse};

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; none when there is an error.
    pub rules: Option<RuleSet>,
    /// Everything that is wrong, in the order of files and places.
    pub findings: Vec<Finding>,
}

/// Loads rules files in order, each on top of those before it, as `falco -r FILE -r FILE` does.
///
/// Where Falco stops at the first error, all that can be found is reported.
#[must_use]
pub fn load(files: &[Source<'_>]) -> Loaded {
    load_with(files, &[])
}

/// As [`load`], for a Falco that has more plugins than those that are modelled.
#[must_use]
pub fn load_with(files: &[Source<'_>], plugins: &[Plugin]) -> Loaded {
    let infos: Vec<PluginInfo> = plugins.iter().map(|plugin| plugin.info).collect();
    let mut collector = Collector::new(files, &infos);
    let mut patterns = Patterns::new();
    let mut compiled = None;
    for file in 0..files.len() {
        collector.read(file);
        // Falco compiles after each file: a file must stand on those before it.
        compiled = Some(link(&mut collector, &mut patterns, plugins));
    }
    let findings = collector.findings.sorted();
    let failed = findings.iter().any(|f| f.severity == Severity::Error);
    let rules = compiled.filter(|_| !failed).map(|(program, rules)| RuleSet::new(program, rules));
    let rules = if files.is_empty() { Some(RuleSet::default()) } else { rules };
    Loaded { rules, findings }
}

/// How deep conditions may nest when macros are put in.
const MAX_DEPTH: usize = 300;

/// A parsed condition and how to find places in it.
struct Condition {
    text: Text,
    resolved: Resolved,
    expr: Expr,
}

struct Macro {
    item: String,
    at: Located,
    condition: Option<Condition>,
    used: bool,
    /// It does not compile, and has been reported.
    broken: bool,
    height: usize,
}

/// Puts the items together: lists into conditions, macros into rules.
struct Linker<'c> {
    files: &'c [Source<'c>],
    lists: Vec<List>,
    macros: Vec<Macro>,
    macro_names: HashMap<&'c str, usize>,
    findings: Vec<Report>,
    compiler: Compiler,
    /// The macros that are compiled, by source and number.
    compiled: HashMap<(String, usize), Result<usize, Vec<Found>>>,
    event_types: HashMap<(usize, bool), EventTypes>,
}

/// A finding that is not yet among the collector's.
struct Report {
    severity: Severity,
    code: &'static str,
    at: (usize, Place),
    item: String,
    message: String,
}

/// A problem with its place.
#[derive(Debug, Clone)]
struct Found {
    problem: Problem,
    at: (usize, Place),
    item: String,
}

/// Compiles all items read so far and adds to the findings.
fn link(
    collector: &mut Collector<'_>,
    known: &mut Patterns,
    plugins: &[Plugin],
) -> (Arc<Program>, Vec<Rule>) {
    let compiler = Compiler::new(std::mem::take(known), plugins);
    let mut linker = Linker {
        files: &collector.findings.files,
        lists: prepare(&collector.lists),
        macros: Vec::new(),
        macro_names: collector.macros.iter().enumerate().map(|(i, m)| (m.name.as_str(), i)).collect(),
        findings: Vec::new(),
        compiler,
        compiled: HashMap::new(),
        event_types: HashMap::new(),
    };
    linker.read_macros(collector);
    linker.link_macros(collector);
    let mut rules = Vec::new();
    for rule in &collector.rules {
        rules.extend(linker.rule(rule));
    }
    // Falco stops at errors, before it looks for what is unused.
    if linker.findings.iter().all(|f| f.severity != Severity::Error) {
        linker.report_unused(collector);
    }
    let Linker { findings, compiler, .. } = linker;
    let (program, patterns) = compiler.finish();
    *known = patterns;
    for Report { severity, code, at, item, message } in findings {
        collector.findings.find(severity, code, at, &item, message);
    }
    let program = Arc::new(program);
    for rule in &mut rules {
        rule.program = Arc::clone(&program);
    }
    (program, rules)
}

impl<'c> Linker<'c> {
    fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: (usize, Place),
        item: &str,
        message: &str,
    ) {
        let (item, message) = (item.to_owned(), message.to_owned());
        self.findings.push(Report { severity, code, at, item, message });
    }

    fn error(&mut self, code: &'static str, at: (usize, Place), item: &str, message: &str) {
        self.report(Severity::Error, code, at, item, message);
    }

    fn place_in(&self, condition: &Condition, pos: Pos) -> (usize, Place) {
        condition.text.place(self.files, condition.resolved.origin(pos.0))
    }

    /// Puts the lists into a condition and parses it.
    fn parse(&mut self, text: &Text, item: &str) -> Option<Condition> {
        let Some(resolved) = Resolved::new(text, &mut self.lists) else {
            let at = text.place(self.files, 0);
            self.error(CONDITION, at, item, "the condition becomes too long when its lists are put in");
            return None;
        };
        match parse(&resolved.text) {
            Ok(expr) => Some(Condition { text: text.clone(), resolved, expr }),
            Err(e) => {
                let at = text.place(self.files, resolved.origin(e.offset));
                self.error(CONDITION, at, item, &e.message);
                None
            }
        }
    }

    // ---- macros ----

    fn read_macros(&mut self, collector: &Collector<'c>) {
        for info in &collector.macros {
            let item = format!("macro '{}'", info.name);
            let condition = self.parse(&info.condition, &item);
            let broken = condition.is_none();
            self.macros.push(Macro { item, at: info.at.clone(), condition, used: false, broken, height: 0 });
        }
    }

    /// Checks who refers to whom: macros see those defined before them.
    fn link_macros(&mut self, collector: &Collector<'c>) {
        let mut references = Vec::new();
        for (i, info) in collector.macros.iter().enumerate() {
            let names = self.macros.get(i).and_then(|m| m.condition.as_ref()).map(|c| names(&c.expr));
            let mut seen = Vec::new();
            for (name, pos, depth) in names.unwrap_or_default() {
                let target = self.macro_names.get(name.as_str()).copied();
                let visible =
                    target.filter(|t| collector.macros.get(*t).is_some_and(|m| m.index < info.visibility));
                match visible {
                    Some(target) => seen.push((target, depth, pos)),
                    None => self.undefined_macro(i, &name, pos),
                }
            }
            references.push(seen);
        }
        self.measure_macros(&references);
    }

    fn undefined_macro(&mut self, user: usize, name: &str, pos: Pos) {
        let Some(Macro { item, condition: Some(condition), .. }) = self.macros.get(user) else { return };
        let (at, item) = (self.place_in(condition, pos), item.clone());
        self.error(VALIDATE, at, &item, &format!("Undefined macro '{name}' used in filter."));
        self.break_macro(user);
    }

    fn break_macro(&mut self, id: usize) {
        if let Some(broken) = self.macros.get_mut(id) {
            broken.broken = true;
        }
    }

    /// Finds loops and nesting depths, without recursion.
    fn measure_macros(&mut self, references: &[Vec<(usize, usize, Pos)>]) {
        let mut states = vec![State::New; references.len()];
        for start in 0..references.len() {
            let mut path = vec![(start, 0)];
            while let Some((id, next)) = path.pop() {
                let Some(state) = states.get_mut(id).filter(|s| **s != State::Done) else { continue };
                let references = references.get(id).map_or(&[][..], Vec::as_slice);
                let Some((target, _, pos)) = references.get(next) else {
                    *state = State::Done;
                    self.settle_macro(id, references);
                    continue;
                };
                *state = State::OnPath;
                path.push((id, next + 1));
                match states.get(*target) {
                    Some(State::OnPath) => {
                        // Falco names the first macro that it enters a second time, not counting the start.
                        let first = path.get(1).map_or(start, |(id, _)| *id);
                        self.macro_loop(id, if *target == start { first } else { *target }, *pos);
                        self.break_macro(*target);
                    }
                    Some(State::New) => path.push((*target, 0)),
                    _ => {}
                }
            }
        }
    }

    fn macro_loop(&mut self, user: usize, target: usize, pos: Pos) {
        let Some(Macro { item, condition: Some(condition), .. }) = self.macros.get(user) else { return };
        let (at, item) = (self.place_in(condition, pos), item.clone());
        let name = self.macro_names.iter().find(|(_, id)| **id == target).map_or("", |(name, _)| *name);
        self.error(VALIDATE, at, &item, &format!("reference loop in macro '{name}'"));
        self.break_macro(user);
    }

    fn settle_macro(&mut self, id: usize, references: &[(usize, usize, Pos)]) {
        let mut height = 0;
        let mut broken = false;
        for (target, depth, _) in references {
            if let Some(target) = self.macros.get_mut(*target) {
                target.used = true;
                broken |= target.broken;
                height = height.max(depth + target.height);
            }
        }
        let own = self.macros.get(id).and_then(|m| m.condition.as_ref()).map_or(0, |c| depth(&c.expr));
        let height = height.max(own);
        if height > MAX_DEPTH && !broken {
            self.too_deep(id);
            broken = true;
        }
        if let Some(settled) = self.macros.get_mut(id) {
            settled.height = height;
            settled.broken |= broken;
        }
    }

    fn too_deep(&mut self, id: usize) {
        let Some(Macro { item, at, .. }) = self.macros.get(id) else { return };
        let (at, item) = ((at.file, at.node.place), item.clone());
        let message = format!("with its macros put in, the condition nests deeper than {MAX_DEPTH} levels");
        self.error(VALIDATE, at, &item, &message);
    }

    fn report_unused(&mut self, collector: &Collector<'c>) {
        let mut unused = Vec::new();
        for found in self.macros.iter().filter(|m| !m.used) {
            let message = "Macro not referred to by any other rule/macro";
            unused.push(("LOAD_UNUSED_MACRO", &found.at, found.item.clone(), message));
        }
        for (list, info) in self.lists.iter().zip(&collector.lists).filter(|(list, _)| !list.used) {
            let message = "List not referred to by any other rule/macro";
            let _ = list;
            unused.push(("LOAD_UNUSED_LIST", &info.at, format!("list '{}'", info.name), message));
        }
        let unused: Vec<_> =
            unused.into_iter().map(|(c, at, i, m)| (c, (at.file, at.node.place), i, m)).collect();
        for (code, at, item, message) in unused {
            self.report(Severity::Warning, code, at, &item, message);
        }
    }

    // ---- rules ----

    fn rule(&mut self, info: &RuleInfo) -> Option<Rule> {
        if !matches!(info.source.as_str(), "syscall" | "k8s_audit") {
            return None;
        }
        let item = format!("rule '{}'", info.name);
        let mut text = info.condition.clone();
        if !info.exceptions.is_empty() {
            match with_exceptions(&text, &info.exceptions) {
                Ok(whole) => text = whole,
                Err((at, message)) => {
                    self.error(VALIDATE, (at.file, at.node.place), &item, &message);
                    return None;
                }
            }
        }
        let output = self.output(info, &item);
        let condition = self.parse(&text, &item)?;
        if !self.link_rule(&condition, &item) {
            return None;
        }
        let node = self.condition(&condition, info, &item)?;
        if info.source == "syscall" && info.warn_evttypes {
            self.warn_event_types(&condition.expr, info, &item);
        }
        let not_modelled = self.compiler.why_unmodelled(&node);
        let is_evaluated = info.source == "k8s_audit" && not_modelled.is_none();
        Some(Rule {
            name: info.name.clone(),
            description: info.description.clone(),
            condition: info.condition.text.clone(),
            output: info.output.text.clone(),
            priority: info.priority,
            source: info.source.clone(),
            tags: info.tags.clone(),
            enabled: info.enabled,
            not_modelled,
            compiled: is_evaluated.then_some(node),
            format: output?,
            program: Arc::default(),
        })
    }

    /// Checks the macros that a rule uses; false when it cannot be compiled.
    fn link_rule(&mut self, condition: &Condition, item: &str) -> bool {
        let mut fine = true;
        for (name, pos, depth) in names(&condition.expr) {
            match self.macro_names.get(name.as_str()).and_then(|i| self.macros.get_mut(*i)) {
                Some(found) => {
                    found.used = true;
                    fine &= !found.broken;
                    if depth + found.height > MAX_DEPTH {
                        let at = self.place_in(condition, pos);
                        let message = "with its macros put in, the condition nests too deeply";
                        self.error(VALIDATE, at, item, message);
                        fine = false;
                    }
                }
                None => {
                    let at = self.place_in(condition, pos);
                    self.error(VALIDATE, at, item, &format!("Undefined macro '{name}' used in filter."));
                    fine = false;
                }
            }
        }
        fine
    }

    fn condition(&mut self, condition: &Condition, info: &RuleInfo, item: &str) -> Option<Compiled> {
        let mut problems = Vec::new();
        let node = self.expr(&condition.expr, &info.source, (condition, item), &mut problems);
        let failed = problems.iter().any(|p| p.problem.is_error());
        if let Some(first) = problems.iter().find(|p| p.problem.is_error())
            && info.skip_if_unknown_filter
            && first.problem.unknown
        {
            let Found { problem, at, item } = first.clone();
            self.report(Severity::Warning, "LOAD_UNKNOWN_FILTER", at, &item, &problem.message);
            return None;
        }
        for Found { problem, at, item } in problems {
            self.report(problem.severity, problem.code, at, &item, &problem.message);
        }
        node.filter(|_| !failed)
    }

    fn expr(
        &mut self,
        expr: &Expr,
        source: &str,
        within: (&Condition, &str),
        problems: &mut Vec<Found>,
    ) -> Option<Compiled> {
        let mut all = |this: &mut Self, children: &[Expr]| {
            let nodes: Vec<Option<Compiled>> =
                children.iter().map(|c| this.expr(c, source, within, problems)).collect();
            nodes.into_iter().collect::<Option<Vec<Compiled>>>()
        };
        match expr {
            Expr::And(children) => all(self, children).map(Compiled::And),
            Expr::Or(children) => all(self, children).map(Compiled::Or),
            Expr::Not(child) => {
                self.expr(child, source, within, problems).map(|node| Compiled::Not(Box::new(node)))
            }
            Expr::Macro(name, _) => self.macro_node(name, source, problems).map(Compiled::Shared),
            Expr::Check(check) => {
                let mut found = Vec::new();
                let test = self.compiler.check(check, source, &mut found);
                for problem in found {
                    let at = self.place_in(within.0, problem.pos);
                    problems.push(Found { problem, at, item: within.1.to_owned() });
                }
                test.map(Compiled::Test)
            }
        }
    }

    fn macro_node(&mut self, name: &str, source: &str, problems: &mut Vec<Found>) -> Option<usize> {
        let id = self.macro_names.get(name).copied()?;
        let key = (source.to_owned(), id);
        if !self.compiled.contains_key(&key) {
            let taken = self.macros.get_mut(id).and_then(|m| Some((m.condition.take()?, m.item.clone())));
            let (condition, item) = taken?;
            let mut found = Vec::new();
            let node = self.expr(&condition.expr, source, (&condition, &item), &mut found);
            if let Some(slot) = self.macros.get_mut(id) {
                slot.condition = Some(condition);
            }
            for Found { problem, at, item } in found.iter().filter(|f| !f.problem.is_error()) {
                self.report(problem.severity, problem.code, *at, item, &problem.message);
            }
            found.retain(|f| f.problem.is_error());
            let result = match node {
                Some(node) if found.is_empty() => Ok(self.compiler.share(node)),
                _ => Err(found),
            };
            self.compiled.insert(key.clone(), result);
        }
        match self.compiled.get(&key)? {
            Ok(id) => Some(*id),
            Err(found) => {
                problems.extend(found.iter().cloned());
                None
            }
        }
    }

    fn output(&mut self, info: &RuleInfo, item: &str) -> Option<Output> {
        let at = info.output.place(self.files, 0);
        let mut text = info.output.text.clone();
        if text.contains("%container.info") {
            let message = "%container.info is deprecated and no more useful, and will be dropped by Falco 1.0.0. The \
                           container plugin will automatically add required fields to the output message.";
            self.report(Severity::Warning, "LOAD_DEPRECATED_ITEM", at, item, message);
            text = text.replace("%container.info", "");
        }
        for field in deprecated_fields(&text) {
            let message = format!("usage of deprecated field '{field}' has been detected in the rule output");
            self.report(Severity::Warning, "LOAD_DEPRECATED_ITEM", at, item, &message);
        }
        match self.compiler.output(&text, &info.source) {
            Ok(output) => Some(output),
            Err((offset, Refusal { message, unknown })) => {
                let at = info.output.place(self.files, offset);
                if unknown && info.skip_if_unknown_filter {
                    self.report(Severity::Warning, "LOAD_UNKNOWN_FILTER", at, item, &message);
                } else {
                    self.error(OUTPUT, at, item, &message);
                }
                None
            }
        }
    }

    // ---- event types of syscall rules ----

    fn warn_event_types(&mut self, expr: &Expr, info: &RuleInfo, item: &str) {
        let types = self.types(expr, false);
        if matches!(&types, EventTypes::Only(names) if !names.is_empty() && names.len() <= 100) {
            return;
        }
        let message = "Rule matches too many evt.type values. This has a significant performance penalty.";
        let at = (info.at.file, info.at.node.place);
        self.report(Severity::Warning, "LOAD_NO_EVTTYPE", at, item, message);
    }

    fn types(&mut self, expr: &Expr, negated: bool) -> EventTypes {
        match expr {
            Expr::And(children) | Expr::Or(children) => {
                let is_and = matches!(expr, Expr::And(_)) != negated;
                let sets: Vec<EventTypes> = children.iter().map(|c| self.types(c, negated)).collect();
                let join = if is_and { EventTypes::both } else { EventTypes::either };
                sets.into_iter().reduce(join).unwrap_or(EventTypes::all())
            }
            Expr::Not(child) => self.types(child, !negated),
            Expr::Macro(name, _) => {
                let Some(id) = self.macro_names.get(name.as_str()).copied() else { return EventTypes::all() };
                if let Some(types) = self.event_types.get(&(id, negated)) {
                    return types.clone();
                }
                let Some(condition) = self.macros.get_mut(id).and_then(|m| m.condition.take()) else {
                    return EventTypes::all();
                };
                let types = self.types(&condition.expr, negated);
                if let Some(slot) = self.macros.get_mut(id) {
                    slot.condition = Some(condition);
                }
                self.event_types.insert((id, negated), types.clone());
                types
            }
            Expr::Check(check) => match event_types(check) {
                None => EventTypes::all(),
                Some((names, excluded)) if excluded != negated => EventTypes::Except(names),
                Some((names, _)) => EventTypes::Only(names),
            },
        }
    }
}

/// How far a macro has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnPath,
    Done,
}

/// The event types that a condition can be true for.
#[derive(Debug, Clone)]
enum EventTypes {
    Only(BTreeSet<String>),
    Except(BTreeSet<String>),
}

impl EventTypes {
    fn all() -> Self {
        Self::Except(BTreeSet::new())
    }

    fn both(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a & &b),
            (Self::Only(a), Self::Except(b)) | (Self::Except(b), Self::Only(a)) => Self::Only(&a - &b),
            (Self::Except(a), Self::Except(b)) => Self::Except(&a | &b),
        }
    }

    fn either(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a | &b),
            (Self::Only(a), Self::Except(b)) | (Self::Except(b), Self::Only(a)) => Self::Except(&b - &a),
            (Self::Except(a), Self::Except(b)) => Self::Except(&a & &b),
        }
    }
}

/// The macros that a condition names, with how deep they stand.
fn names(expr: &Expr) -> Vec<(String, Pos, usize)> {
    fn walk(expr: &Expr, depth: usize, out: &mut Vec<(String, Pos, usize)>) {
        match expr {
            Expr::And(children) | Expr::Or(children) => {
                children.iter().for_each(|c| walk(c, depth + 1, out));
            }
            Expr::Not(child) => walk(child, depth + 1, out),
            Expr::Macro(name, pos) => out.push((name.clone(), *pos, depth + 1)),
            Expr::Check(_) => {}
        }
    }
    let mut out = Vec::new();
    walk(expr, 0, &mut out);
    out
}

fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::And(children) | Expr::Or(children) => 1 + children.iter().map(depth).max().unwrap_or(0),
        Expr::Not(child) => 1 + depth(child),
        Expr::Macro(..) | Expr::Check(_) => 1,
    }
}

#[cfg(test)]
mod tests;
