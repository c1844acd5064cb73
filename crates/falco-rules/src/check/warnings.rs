//! What Falco warns about in a comparison that it loads.

use std::collections::BTreeSet;

use super::catalog::catalog;
use super::fields::known_field;
use super::plugins::Known;
use super::problem::Problem;
use crate::finding::Severity;
use crate::syntax::{Arg, Check, Expr, Op, Operand, Pos, Rhs, parse};

pub(crate) fn warn(problems: &mut Vec<Problem>, code: &'static str, pos: Pos, message: String) {
    problems.push(Problem { severity: Severity::Warning, code, message, pos, unknown: false });
}

/// Comparing an audit field with `<NA>` is always false since its plugin leaves missing fields missing.
pub(crate) fn warn_unsafe(check: &Check, problems: &mut Vec<Problem>) {
    let is_unsafe = last_field(&check.left).is_some_and(|f| f.starts_with("ka.") || f.starts_with("jevt."));
    let is_equality = matches!(check.op, Op::Eq | Op::Ne | Op::In | Op::Intersects | Op::Pmatch);
    let names_na = match &check.right {
        Rhs::Value(value) => value == "<NA>",
        Rhs::List(values) => values.iter().any(|v| v == "<NA>"),
        _ => false,
    };
    if is_unsafe && is_equality && check.modifier.is_none() && names_na {
        let message =
            "Comparing a field value with <NA> is unsafe; to test for presence, use 'exists'".into();
        warn(problems, "LOAD_UNSAFE_NA_CHECK", check.right_pos, message);
    }
}

fn last_field(operand: &Operand) -> Option<&str> {
    match operand {
        Operand::Field(field) => Some(&field.name),
        Operand::Call(call) => call.args.iter().rev().find_map(|arg| match arg {
            Arg::Operand(operand) => last_field(operand),
            _ => None,
        }),
    }
}

pub(crate) fn warn_deprecated(check: &Check, problems: &mut Vec<Problem>) {
    let right = match &check.right {
        Rhs::Operand(operand) => Some(operand),
        _ => None,
    };
    for name in [Some(&check.left), right].into_iter().flatten().filter_map(last_field) {
        if catalog().any(name).is_some_and(|f| f.deprecated) {
            let message = match name {
                "evt.dir" => {
                    "due to the drop of enter events, 'evt.dir = <' always evaluates to true, and 'evt.dir = >' \
                     always evaluates to false. The rule expression can be simplified by removing the condition \
                     on 'evt.dir'"
                        .to_owned()
                }
                _ => format!("the field {name} is not available due to the drop of enter events."),
            };
            warn(problems, "LOAD_DEPRECATED_ITEM", check.pos, message);
        }
    }
}

/// Falco warns about literals that look like a mistake.
pub(crate) fn warn_value(
    check: &Check,
    value: &str,
    source: &str,
    plugins: Known<'_>,
    problems: &mut Vec<Problem>,
) {
    const CODE: &str = "LOAD_COMPILE_CONDITION";
    let pos = check.right_pos;
    if check.op == Op::Regex && is_plain_pattern(value) {
        let message = format!(
            "regex check with '{value}' may be optimized with simpler operators such as '=', 'contains', \
             'startswith', 'endswith'"
        );
        warn(problems, CODE, pos, message);
    }
    let bare: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if let Ok(Expr::Check(parsed)) = parse(&format!("{bare} exists"))
        && let Operand::Field(field) = &parsed.left
        && known_field(&field.name, field.arg.as_deref(), source, plugins).is_ok()
    {
        let message = format!("'{value}' may be a valid field misused as a const string value");
        warn(problems, CODE, pos, message);
    }
    let calls = ["val", "tolower", "toupper", "b64", "basename", "len", "join", "concat", "getopt"];
    let is_call = |name: &&str| bare.strip_prefix(*name).is_some_and(|rest| rest.starts_with('('));
    if bare.ends_with(')') && calls.iter().any(is_call) {
        let message = format!("'{value}' may be a valid field transformer misused as a const string value");
        warn(problems, CODE, pos, message);
    }
}

/// Whether a pattern does nothing that a plain operator could not do, in Falco's judgement.
fn is_plain_pattern(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let len = bytes.len();
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        let anchor = (i == 0 && *byte == b'^') || (i + 1 == len && *byte == b'$');
        let at_end = (i == 0 && len > 1) || i + 2 == len;
        let any = at_end && *byte == b'.' && matches!(bytes.get(i + 1), Some(b'+' | b'*' | b'?'));
        if any {
            i += 1;
        } else if !anchor && b".+*?^$()[]{}|\\".contains(byte) {
            return false;
        }
        i += 1;
    }
    true
}

pub(crate) fn is_event_type(operand: &Operand) -> bool {
    matches!(operand, Operand::Field(field) if field.name == "evt.type")
}

/// The event types that a comparison names, and whether it excludes them; none when it is about something else.
pub(crate) fn event_types(check: &Check) -> Option<(BTreeSet<String>, bool)> {
    if !is_event_type(&check.left) || check.modifier.is_some() {
        return None;
    }
    let names = match &check.right {
        Rhs::Value(value) => BTreeSet::from([value.clone()]),
        Rhs::List(values) => values.iter().cloned().collect(),
        _ => return None,
    };
    match check.op {
        Op::Eq | Op::In => Some((names, false)),
        Op::Ne => Some((names, true)),
        _ => None,
    }
}
