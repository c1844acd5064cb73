//! From comparisons and outputs to what is evaluated.

use std::collections::HashMap;
use std::sync::Arc;

use super::glob::{Glob, Paths};
use super::output::{Output, Part, Shown};
use super::plugin::Plugin;
use super::program::{Compare, Kind, Node, Origin, Program, Test, TextTest, Values};
use super::re2::{Pattern, PatternError};
use crate::check::{
    CONDITION, Checked, FieldType, Known, PluginInfo, Problem, Refusal, Typed, call_type, catalog,
    comparable, comparable_operands, field_type, fits, is_event_type, literal_number, output_format, refuse,
    shown_name, warn, warn_deprecated, warn_unsafe, warn_value,
};
use crate::event::Extractor;
use crate::finding::Severity;
use crate::syntax::{Arg, Call, Check, Field, Modifier, Op, Operand, Rhs, Transformer};

/// Compiled regular expressions, by pattern.
pub(crate) type Patterns = HashMap<String, Result<Arc<Pattern>, PatternError>>;

/// An operand of the program.
#[derive(Debug, Clone, Copy)]
struct Value {
    id: usize,
    typed: Typed,
}

/// Checks and compiles comparisons into one program.
pub(crate) struct Compiler {
    program: Program,
    /// What rules may name of the program's plugins.
    plugins: Vec<PluginInfo>,
    /// What is known of operands, by source, and why one cannot be evaluated.
    operands: HashMap<String, HashMap<Operand, (Value, Option<String>)>>,
    fields: HashMap<String, usize>,
    tests: HashMap<String, usize>,
    patterns: Patterns,
    /// Why the current rule cannot be evaluated.
    unmodelled: Option<String>,
    /// The tests that cannot be evaluated, and why.
    unmodelled_tests: HashMap<usize, String>,
    unmodelled_shared: Vec<Option<String>>,
}

impl Compiler {
    pub(crate) fn new(patterns: Patterns, plugins: &[Plugin]) -> Self {
        Self {
            program: Program { plugins: plugins.to_vec(), ..Program::default() },
            plugins: plugins.iter().map(|plugin| plugin.info).collect(),
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
        comparable(check.op, &left.typed)?;
        let compare = match &check.right {
            Rhs::None => Compare::Exists,
            Rhs::Operand(right) => self.compare_operand(check.op, &left, right, source)?,
            Rhs::Value(value) => {
                let values = std::slice::from_ref(value);
                self.compare_values(check, &left.typed, values, source, problems)?
            }
            Rhs::List(values) => self.compare_values(check, &left.typed, values, source, problems)?,
        };
        Ok(Test { operand: left.id, compare })
    }

    // ---- operands ----

    fn operand(&mut self, operand: &Operand, source: &str) -> Checked<Value> {
        // Whether a field exists depends on the source.
        if let Some((value, reason)) = self.operands.get(source).and_then(|known| known.get(operand)) {
            if reason.is_some() {
                self.unmodelled.clone_from(reason);
            }
            return Ok(*value);
        }
        let before = self.unmodelled.take();
        let value = match operand {
            Operand::Field(field) => self.field(field, source)?,
            Operand::Call(call) => self.call(call, source)?,
        };
        let known = (value, self.unmodelled.clone());
        self.operands.entry(source.to_owned()).or_default().insert(operand.clone(), known);
        self.unmodelled = self.unmodelled.take().or(before);
        Ok(value)
    }

    fn add(&mut self, origin: Origin) -> usize {
        self.program.operands.push(origin);
        self.program.operands.len() - 1
    }

    /// The number of a field, with its argument, among those that are read.
    fn number(&mut self, field: &Field) -> usize {
        let count = self.fields.len();
        *self.fields.entry(field.to_string()).or_insert(count)
    }

    fn field(&mut self, field: &Field, source: &str) -> Checked<Value> {
        let plugins = Known(&self.plugins);
        let typed = field_type(field, source, plugins)?;
        let plugin = plugins.plugin_of(&field.name);
        let origin = match (Extractor::new(&field.name, field.arg.as_deref()), plugin) {
            (Some(extractor), _) if source == "k8s_audit" => {
                let number = self.number(field);
                match extractor {
                    Extractor::Pointer(keys) => match self.program.paths.number(&keys) {
                        Some(path) => Origin::Pointer(path, number),
                        None => Origin::Field(Extractor::Whole, number),
                    },
                    other => Origin::Field(other, number),
                }
            }
            (None, Some(plugin)) if source == "k8s_audit" => {
                Origin::Plugin(plugin, field.clone(), self.number(field))
            }
            _ => {
                if source == "k8s_audit" {
                    self.unmodelled = Some(format!("the field {field} cannot be read from a log"));
                }
                Origin::Unmodelled
            }
        };
        Ok(Value { id: self.add(origin), typed })
    }

    fn call(&mut self, call: &Call, source: &str) -> Checked<Value> {
        let args: Checked<Vec<Value>> = call.args.iter().map(|a| self.arg(a, source)).collect();
        let args = args?;
        let types: Vec<Typed> = args.iter().map(|arg| arg.typed).collect();
        let typed = call_type(call, &types)?;
        let origin = match (call.transformer, args.as_slice()) {
            (Transformer::Val, [only]) => return Ok(*only),
            (Transformer::Getopt, _) => {
                self.unmodelled = Some("the transformer getopt is not modelled".into());
                Origin::Unmodelled
            }
            (transformer, [only]) => Origin::Unary(transformer, only.id),
            (Transformer::Join, [separator, list]) => Origin::Join(separator.id, list.id),
            _ => Origin::Concat(args.iter().map(|arg| arg.id).collect()),
        };
        Ok(Value { id: self.add(origin), typed })
    }

    fn arg(&mut self, arg: &Arg, source: &str) -> Checked<Value> {
        match arg {
            Arg::Operand(operand) => self.operand(operand, source),
            Arg::Text(text) => {
                let id = self.add(Origin::Text(text.clone().into_bytes()));
                Ok(Value { id, typed: Typed::LITERAL })
            }
            Arg::List(items) => {
                let items: Checked<Vec<Value>> = items.iter().map(|item| self.arg(item, source)).collect();
                let items = items?.iter().map(|item| (item.id, item.typed.base.0.is_number())).collect();
                Ok(Value { id: self.add(Origin::List(items)), typed: Typed::LITERAL_LIST })
            }
        }
    }

    // ---- right sides ----

    fn compare_operand(&mut self, op: Op, left: &Value, right: &Operand, source: &str) -> Checked<Compare> {
        let right = self.operand(right, source)?;
        comparable_operands(op, &left.typed, &right.typed)?;
        if left.typed.joined {
            let reason =
                "Falco 0.44.1 crashes when the result of join, concat or getopt is compared with a field";
            self.unmodelled = Some(reason.into());
            return Ok(Compare::Operand(op, right.id, Kind::Text));
        }
        let kind = match (left.typed.list, left.typed.kind) {
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
            warn_value(check, value, source, Known(&self.plugins), problems);
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

    /// Compiles an output; an error comes with its offset in the text.
    pub(crate) fn output(&mut self, text: &str, source: &str) -> Result<Output, (usize, Refusal)> {
        let mut output = Output::default();
        for part in output_format::parse_output(text, source, Known(&self.plugins))? {
            match part {
                output_format::Part::Text(text) => output.parts.push(Part::Text(text)),
                output_format::Part::Value(operand, width) => {
                    let value = self.operand(&operand, source).map_err(|refusal| (0, refusal))?;
                    output.parts.push(Part::Value(shown_as(&value), width));
                    self.output_fields(&operand, source, &mut output);
                }
            }
        }
        Ok(output)
    }

    fn output_fields(&mut self, operand: &Operand, source: &str, output: &mut Output) {
        let args = match operand {
            Operand::Call(call) => call.args.as_slice(),
            Operand::Field(field) => {
                let name = shown_name(field);
                if !output.fields.iter().any(|(n, _)| *n == name)
                    && let Ok(value) = self.operand(operand, source)
                {
                    output.fields.push((name, shown_as(&value)));
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

fn shown_as(value: &Value) -> Shown {
    let Typed { kind, base, name, .. } = value.typed;
    let is_time = name.starts_with("evt.time") || name.starts_with("evt.datetime");
    let padded = name == "evt.rawtime.ns" && kind == base.0;
    Shown { operand: value.id, kind, is_time, padded }
}
