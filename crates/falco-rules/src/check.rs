//! Comparisons and outputs: does Falco accept them, and what do they compile to.

use super::catalog::{FieldType, catalog};
use super::condition::{
    Arg, Call, Check, Field, Modifier, Op, Operand, Pos, Rhs, Transformer, parse_operand,
};
use super::eval::{Compare, Kind, Node, Program, Source, Test, TextTest, Values};
use super::extract::Extractor;
use super::fields::known_field;
use super::glob::{Glob, Paths};
use super::literals::{comparable, fits, literal_number};
use super::output::{Output, Part, Shown};
use super::posix::{Pattern, PatternError};
use super::rules::Severity;
use super::warnings::{is_event_type, warn, warn_deprecated, warn_unsafe, warn_value};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Compiled regular expressions, by pattern.
pub(crate) type Patterns = HashMap<String, Result<Arc<Pattern>, PatternError>>;

const CONDITION: &str = super::compile::CONDITION;

/// Something wrong with a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) pos: Pos,
    /// A field or event type is not known, which `skip-if-unknown-filter` forgives.
    pub(crate) unknown: bool,
}

impl Problem {
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Why something is refused.
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) unknown: bool,
}

pub(crate) type Checked<T> = Result<T, Refusal>;

pub(crate) fn refuse<T>(message: impl Into<String>) -> Checked<T> {
    Err(Refusal { message: message.into(), unknown: false })
}

/// An operand with its type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typed {
    id: usize,
    pub(crate) kind: FieldType,
    pub(crate) list: bool,
    /// The type before transformers, which `join` and `concat` look at.
    base: (FieldType, bool),
    /// What Falco calls it in messages.
    name: &'static str,
    /// It is the result of a transformer of several arguments, or of a transformer on top of one.
    joined: bool,
}

/// Checks and compiles comparisons into one program.
pub(crate) struct Checker {
    program: Program,
    /// What is known of operands, by source, and why one cannot be evaluated.
    operands: HashMap<String, HashMap<Operand, (Typed, Option<String>)>>,
    fields: HashMap<String, usize>,
    tests: HashMap<String, usize>,
    patterns: Patterns,
    /// Why the current rule cannot be evaluated.
    unmodelled: Option<String>,
    /// The tests that cannot be evaluated, and why.
    unmodelled_tests: HashMap<usize, String>,
    unmodelled_shared: Vec<Option<String>>,
}

impl Checker {
    pub(crate) fn new(patterns: Patterns) -> Self {
        Self {
            program: Program::default(),
            operands: HashMap::new(),
            fields: HashMap::new(),
            tests: HashMap::new(),
            patterns,
            unmodelled: None,
            unmodelled_tests: HashMap::new(),
            unmodelled_shared: Vec::new(),
        }
    }

    pub(crate) fn finish(mut self) -> (Program, Patterns) {
        self.program.fields = self.fields.len();
        (self.program, self.patterns)
    }

    /// Why what was compiled since the last call cannot be evaluated, if so.
    pub(crate) fn take_unmodelled(&mut self) -> Option<String> {
        self.unmodelled.take()
    }

    /// Adds a condition that several rules use.
    pub(crate) fn share(&mut self, node: Node) -> usize {
        self.unmodelled_shared.push(self.why_unmodelled(&node));
        self.program.shared.push(node);
        self.program.shared.len() - 1
    }

    /// Why a condition cannot be evaluated, if so.
    pub(crate) fn why_unmodelled(&self, node: &Node) -> Option<String> {
        match node {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().find_map(|n| self.why_unmodelled(n)),
            Node::Not(node) => self.why_unmodelled(node),
            Node::Shared(id) => self.unmodelled_shared.get(*id).cloned().flatten(),
            Node::Test(id) => self.unmodelled_tests.get(id).cloned(),
        }
    }

    /// Checks one comparison and compiles it.
    pub(crate) fn check(
        &mut self,
        check: &Check,
        source: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<usize> {
        warn_unsafe(check, problems);
        warn_deprecated(check, problems);
        let key = check.to_string();
        let _ = self.take_unmodelled();
        match self.compile(check, source, problems) {
            Err(Refusal { message, unknown }) => {
                let severity = Severity::Error;
                problems.push(Problem { severity, code: CONDITION, message, pos: check.pos, unknown });
                None
            }
            Ok(compiled) => {
                let id = *self.tests.entry(key).or_insert(self.program.tests.len());
                if id == self.program.tests.len() {
                    self.program.tests.push(compiled);
                }
                if let Some(reason) = self.take_unmodelled() {
                    warn(problems, "NOT_MODELLED", check.pos, reason.clone());
                    self.unmodelled_tests.insert(id, reason);
                }
                Some(id)
            }
        }
    }

    fn compile(&mut self, check: &Check, source: &str, problems: &mut Vec<Problem>) -> Checked<Test> {
        let left = self.operand(&check.left, source)?;
        comparable(check.op, &left)?;
        let compare = match &check.right {
            Rhs::None => Compare::Exists,
            Rhs::Operand(right) => self.compare_operand(check.op, &left, right, source)?,
            Rhs::Value(value) => {
                let values = std::slice::from_ref(value);
                self.compare_values(check, &left, values, source, problems)?
            }
            Rhs::List(values) => self.compare_values(check, &left, values, source, problems)?,
        };
        Ok(Test { operand: left.id, compare })
    }

    // ---- operands ----

    fn operand(&mut self, operand: &Operand, source: &str) -> Checked<Typed> {
        // Whether a field exists depends on the source.
        if let Some((typed, reason)) = self.operands.get(source).and_then(|known| known.get(operand)) {
            if reason.is_some() {
                self.unmodelled.clone_from(reason);
            }
            return Ok(*typed);
        }
        let before = self.unmodelled.take();
        let typed = match operand {
            Operand::Field(field) => self.field(field, source)?,
            Operand::Call(call) => self.call(call, source)?,
        };
        let known = (typed, self.unmodelled.clone());
        self.operands.entry(source.to_owned()).or_default().insert(operand.clone(), known);
        self.unmodelled = self.unmodelled.take().or(before);
        Ok(typed)
    }

    fn add(&mut self, source: Source) -> usize {
        self.program.operands.push(source);
        self.program.operands.len() - 1
    }

    fn field(&mut self, field: &Field, source: &str) -> Checked<Typed> {
        let info = known_field(&field.name, field.arg.as_deref(), source)?;
        let origin = match Extractor::new(&field.name, field.arg.as_deref()) {
            Some(extractor) if source == "k8s_audit" => {
                let count = self.fields.len();
                let number = *self.fields.entry(field.to_string()).or_insert(count);
                match extractor {
                    Extractor::Pointer(keys) => match self.program.paths.number(&keys) {
                        Some(path) => Source::Pointer(path, number),
                        None => Source::Field(Extractor::Whole, number),
                    },
                    other => Source::Field(other, number),
                }
            }
            _ => {
                if source == "k8s_audit" {
                    self.unmodelled = Some(format!("the field {field} cannot be read from a log"));
                }
                Source::Unmodelled
            }
        };
        let (kind, list) = (info.kind, info.list);
        Ok(Typed { id: self.add(origin), kind, list, base: (kind, list), name: info.name, joined: false })
    }

    fn call(&mut self, call: &Call, source: &str) -> Checked<Typed> {
        let args: Checked<Vec<Typed>> = call.args.iter().map(|a| self.arg(a, source)).collect();
        let args = args?;
        let name = call.transformer.name();
        match (call.transformer, args.as_slice()) {
            (_, [_]) if call.arg.is_some() => {
                refuse(format!("filter error: transformer '{name}' does not support field arguments"))
            }
            (Transformer::Val, [only]) => Ok(*only),
            (Transformer::Join | Transformer::Concat | Transformer::Getopt, [_]) => {
                refuse(format!("unknown field transfomer '{name}'"))
            }
            (transformer, [only]) => self.unary(transformer, only),
            (Transformer::Getopt, _) => self.getopt(call, &args),
            (Transformer::Join | Transformer::Concat, _) => {
                let typed = self.several(call.transformer, &args)?;
                match call.arg {
                    None => Ok(typed),
                    Some(_) => refuse(format!("transformer '{name}' does not support field arguments")),
                }
            }
            _ => refuse("unknown multivalue transformer"),
        }
    }

    fn arg(&mut self, arg: &Arg, source: &str) -> Checked<Typed> {
        let text = (FieldType::Text, false);
        match arg {
            Arg::Operand(operand) => self.operand(operand, source),
            Arg::Text(value) => {
                let id = self.add(Source::Text(value.clone().into_bytes()));
                Ok(Typed { id, kind: text.0, list: text.1, base: text, name: "NA", joined: false })
            }
            Arg::List(items) => {
                let items: Checked<Vec<Typed>> = items.iter().map(|i| self.arg(i, source)).collect();
                let items = items?.iter().map(|i| (i.id, i.base.0.is_number())).collect();
                let id = self.add(Source::List(items));
                Ok(Typed { id, kind: text.0, list: true, base: (text.0, true), name: "NA", joined: false })
            }
        }
    }

    fn unary(&mut self, transformer: Transformer, inner: &Typed) -> Checked<Typed> {
        let fits = match transformer {
            Transformer::Len => inner.list || matches!(inner.kind, FieldType::Text | FieldType::Bytes),
            Transformer::B64 => matches!(inner.kind, FieldType::Text | FieldType::Bytes),
            _ => inner.kind == FieldType::Text,
        };
        if !fits {
            let list = if inner.list { "list " } else { "" };
            return refuse(format!(
                "can't add field transformer: type '{}' is not supported by '{}' transformer applied on {list}field '{}'",
                inner.kind.name(),
                transformer.name(),
                inner.name
            ));
        }
        let id = self.add(Source::Unary(transformer, inner.id));
        let (kind, list) = match transformer {
            Transformer::Len => (FieldType::Unsigned(64), false),
            _ => (inner.kind, inner.list),
        };
        Ok(Typed { id, kind, list, base: inner.base, name: inner.name, joined: inner.joined })
    }

    fn several(&mut self, transformer: Transformer, args: &[Typed]) -> Checked<Typed> {
        let source = match (transformer, args) {
            (Transformer::Join, [separator, list]) => {
                if separator.base.1 {
                    return refuse("join() first argument (separator) must be a single value, not a list");
                }
                if !list.base.1 {
                    return refuse("join() second argument must be a list");
                }
                Source::Join(separator.id, list.id)
            }
            (Transformer::Join, _) => {
                return refuse("join() requires exactly 2 arguments: separator and list");
            }
            _ => {
                if args.iter().any(|a| a.base != (FieldType::Text, false)) {
                    return refuse("concat() arguments must be strings");
                }
                Source::Concat(args.iter().map(|a| a.id).collect())
            }
        };
        let text = (FieldType::Text, false);
        let id = self.add(source);
        Ok(Typed { id, kind: text.0, list: text.1, base: text, name: "NA", joined: true })
    }

    fn getopt(&mut self, call: &Call, args: &[Typed]) -> Checked<Typed> {
        let [list, options] = args else {
            return refuse("getopt() requires exactly 2 arguments: args list and optstring");
        };
        if !list.base.1 {
            return refuse("getopt() first argument must be a list");
        }
        if options.base.1 {
            return refuse("getopt() second argument (optstring) must be a single value");
        }
        if list.base.0 != FieldType::Text || options.base.0 != FieldType::Text {
            return refuse("getopt() arguments must be strings");
        }
        if call.arg.as_ref().is_some_and(|a| a.len() != 1) {
            return refuse("getopt() field argument must be a single option character");
        }
        self.unmodelled = Some("the transformer getopt is not modelled".into());
        let id = self.add(Source::Unmodelled);
        let list = call.arg.is_none();
        Ok(Typed {
            id,
            kind: FieldType::Text,
            list,
            base: (FieldType::Text, false),
            name: "NA",
            joined: true,
        })
    }

    // ---- right sides ----

    fn compare_operand(&mut self, op: Op, left: &Typed, right: &Operand, source: &str) -> Checked<Compare> {
        let right = self.operand(right, source)?;
        if matches!(op, Op::Pmatch | Op::Regex) {
            let name = op.name().to_ascii_uppercase();
            return refuse(format!("operator '{name}' doesn't support right-hand side fields"));
        }
        if left.kind == FieldType::Network {
            return refuse("field type 'IPNET' doesn't support right-hand side fields");
        }
        if left.joined {
            let reason =
                "Falco 0.44.1 crashes when the result of join, concat or getopt is compared with a field";
            self.unmodelled = Some(reason.into());
            return Ok(Compare::Operand(op, right.id, Kind::Text));
        }
        if (left.kind, left.list) != (right.kind, right.list) {
            let list = |typed: &Typed| if typed.list { " (list)" } else { "" };
            return refuse(format!(
                "field '{}' has type '{}{}' while the right-hand side field '{}' has incompatible type '{}{}'",
                left.name,
                left.kind.name(),
                list(left),
                right.name,
                right.kind.name(),
                list(&right),
            ));
        }
        let kind = match (left.list, left.kind) {
            (true, _) => Kind::List,
            (false, FieldType::Text | FieldType::Bytes) => Kind::Text,
            _ => Kind::Number,
        };
        Ok(Compare::Operand(op, right.id, kind))
    }

    fn compare_values(
        &mut self,
        check: &Check,
        left: &Typed,
        values: &[String],
        source: &str,
        problems: &mut Vec<Problem>,
    ) -> Checked<Compare> {
        for value in values {
            warn_value(check, value, source, problems);
        }
        if is_event_type(&check.left)
            && let Some(value) = values.iter().find(|v| !catalog().is_event_type(v))
        {
            return Err(Refusal { message: format!("unknown event type {value}"), unknown: true });
        }
        match left.kind {
            FieldType::Text | FieldType::Bytes => {
                values.iter().try_for_each(|v| fits(v))?;
                self.compare_texts(check, left.list, values)
            }
            kind => {
                let numbers: Checked<Vec<u64>> = values.iter().map(|v| literal_number(kind, v)).collect();
                let numbers = numbers?;
                Ok(match (check.op, numbers.as_slice()) {
                    (Op::In | Op::Intersects, _) => Compare::NumberIn(numbers),
                    (op, [number]) => Compare::Number(op, *number),
                    _ => Compare::NumberIn(Vec::new()),
                })
            }
        }
    }

    fn compare_texts(&mut self, check: &Check, list: bool, values: &[String]) -> Checked<Compare> {
        let bytes = |values: &[String]| Values::new(values.iter().map(|v| v.clone().into_bytes()).collect());
        if list {
            return Ok(Compare::Elements { all: check.op == Op::In, set: bytes(values) });
        }
        let test = match (check.op, check.modifier, values) {
            (Op::In | Op::Intersects, ..) => TextTest::In(bytes(values)),
            (Op::Pmatch, ..) => {
                let mut paths = Paths::default();
                values.iter().for_each(|v| paths.add(v.as_bytes()));
                if paths.is_odd() {
                    let reason = "what pmatch does with several patterns beside each other is left to chance";
                    self.unmodelled = Some(reason.into());
                }
                TextTest::Below(paths)
            }
            (op, Some(modifier), values) => {
                let tests: Checked<Vec<TextTest>> = values.iter().map(|v| self.text_test(op, v)).collect();
                TextTest::Several(modifier, tests?)
            }
            (op, None, [value]) => self.text_test(op, value)?,
            _ => TextTest::Several(Modifier::AnyOf, Vec::new()),
        };
        Ok(Compare::Text(test))
    }

    fn text_test(&mut self, op: Op, value: &str) -> Checked<TextTest> {
        let bytes = value.as_bytes();
        Ok(match op {
            Op::Contains => TextTest::Contains(Box::new(memchr::memmem::Finder::new(bytes).into_owned())),
            Op::Glob | Op::IGlob => {
                let glob = Glob::new(bytes, op == Op::IGlob);
                if glob.is_odd {
                    self.unmodelled = Some("the pattern has a class in brackets that is not modelled".into());
                }
                TextTest::Glob(glob)
            }
            Op::Regex => {
                let pattern = self.patterns.entry(value.to_owned());
                let pattern = pattern.or_insert_with(|| Pattern::new(value).map(Arc::new));
                match pattern {
                    Ok(pattern) => TextTest::Regex(Arc::clone(pattern)),
                    Err(PatternError::Invalid(message)) => {
                        return refuse(format!("invalid regex pattern: {message}"));
                    }
                    Err(PatternError::TooLarge) => {
                        self.unmodelled = Some("the regular expression takes too much memory".into());
                        TextTest::Several(Modifier::AnyOf, Vec::new())
                    }
                }
            }
            _ => TextTest::Literal(op, bytes.to_vec()),
        })
    }

    // ---- outputs ----

    /// The deprecated fields that an output names.
    pub(crate) fn deprecated_in(&self, text: &str) -> Vec<&'static str> {
        catalog().fields().filter(|f| f.deprecated && text.contains(f.name)).map(|f| f.name).collect()
    }

    /// Compiles an output; an error comes with its offset in the text.
    pub(crate) fn output(&mut self, text: &str, source: &str) -> Result<Output, (usize, Problem)> {
        let error = |offset: usize, message: String, unknown: bool| {
            let severity = Severity::Error;
            (offset, Problem { severity, code: "", message, pos: Pos(offset), unknown })
        };
        if text.is_empty() {
            return Err(error(0, "empty formatting token".into(), false));
        }
        let mut output = Output::default();
        let mut at = usize::from(text.starts_with('*'));
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let plain = rest.find('%').unwrap_or(rest.len());
            if plain > 0 {
                output.parts.push(Part::Text(rest.get(..plain).unwrap_or_default().to_owned()));
                at += plain;
                continue;
            }
            at += 1;
            let after = text.get(at..).unwrap_or_default();
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (width, token) = after.split_at_checked(digits).unwrap_or_default();
            if token.is_empty() {
                let end = if digits > 0 { "number" } else { "%" };
                let message = format!("invalid formatting syntax: formatting cannot end with a {end}");
                return Err(error(at - 1, message, false));
            }
            let width = width.parse::<usize>().ok().filter(|w| *w > 0).map(|w| w.min(1 << 16));
            let (operand, length, shown) = match self.output_token(token, source) {
                Ok(found) => found,
                Err(Refusal { message, unknown }) => {
                    return Err(error(at, format!("unknown filter: {message}"), unknown));
                }
            };
            output.parts.push(Part::Value(shown_as(&shown), width));
            self.output_fields(&operand, source, &mut output);
            at += digits + length;
        }
        Ok(output)
    }

    /// The longest field or transformer at the start of `text`. Falco tries ever shorter texts, so that
    /// `%ka.verbose` shows `ka.verb`, followed by `ose`.
    fn output_token(&mut self, text: &str, source: &str) -> Checked<(Operand, usize, Typed)> {
        const LONGEST: usize = 1024;
        let mut first = None;
        let mut end = text.len().min(LONGEST);
        while end > 0 {
            let Some(part) = text.get(..end) else {
                end -= 1;
                continue;
            };
            let parsed = parse_operand(part).map_err(|e| Refusal { message: e.message, unknown: false });
            let checked =
                parsed.and_then(|(operand, length)| Ok((self.operand(&operand, source)?, operand, length)));
            match checked {
                Ok((typed, operand, length)) => return Ok((operand, length, typed)),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
            end -= 1;
        }
        Err(first.unwrap_or(Refusal { message: "no field after %".into(), unknown: false }))
    }

    fn output_fields(&mut self, operand: &Operand, source: &str, output: &mut Output) {
        let args = match operand {
            Operand::Call(call) => call.args.as_slice(),
            Operand::Field(field) => {
                let name = shown_name(field);
                if !output.fields.iter().any(|(n, _)| *n == name)
                    && let Ok(typed) = self.operand(operand, source)
                {
                    output.fields.push((name, shown_as(&typed)));
                }
                return;
            }
        };
        let mut pending: Vec<&Arg> = args.iter().collect();
        while let Some(arg) = pending.pop() {
            match arg {
                Arg::Operand(operand) => self.output_fields(operand, source, output),
                Arg::List(args) => pending.extend(args),
                Arg::Text(_) => {}
            }
        }
    }
}

fn shown_as(typed: &Typed) -> Shown {
    let is_time = typed.name.starts_with("evt.time") || typed.name.starts_with("evt.datetime");
    let padded = typed.name == "evt.rawtime.ns" && typed.kind == typed.base.0;
    Shown { operand: typed.id, kind: typed.kind, is_time, padded }
}

/// A field's name in `output_fields`.
fn shown_name(field: &Field) -> String {
    let Some(arg) = &field.arg else { return field.name.clone() };
    let special = |c: char| matches!(c, '\x08' | '\x0c' | '\n' | '\r' | '\t' | ' ' | '=' | '\\' | '"' | '\'');
    let mut name = format!("{}[", field.name);
    if !arg.is_empty() && !arg.contains(special) {
        let _ = write!(name, "{arg}]");
        return name;
    }
    name.push('"');
    for c in arg.chars() {
        match c {
            '\x08' => name.push_str("\\b"),
            '\x0c' => name.push_str("\\f"),
            '\n' => name.push_str("\\n"),
            '\r' => name.push_str("\\r"),
            '\t' => name.push_str("\\t"),
            '\\' | '"' => name.extend(['\\', c]),
            _ => name.push(c),
        }
    }
    name.push_str("\"]");
    name
}
