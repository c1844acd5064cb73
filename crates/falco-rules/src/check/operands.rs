//! The types of fields and of what transformers make of them, and which transformers take which.

use super::catalog::FieldType;
use super::fields::known_field;
use super::plugins::Known;
use super::problem::{Checked, refuse};
use crate::syntax::{Arg, Call, Field, Op, Operand, Transformer};

/// The type of an operand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typed {
    pub(crate) kind: FieldType,
    pub(crate) list: bool,
    /// The type before transformers, which `join` and `concat` look at.
    pub(crate) base: (FieldType, bool),
    /// What Falco calls it in messages.
    pub(crate) name: &'static str,
    /// It is the result of a transformer of several arguments, or of a transformer on top of one.
    pub(crate) joined: bool,
}

const TEXT: (FieldType, bool) = (FieldType::Text, false);

impl Typed {
    /// A literal text.
    pub(crate) const LITERAL: Self =
        Self { kind: FieldType::Text, list: false, base: TEXT, name: "NA", joined: false };
    /// A literal list.
    pub(crate) const LITERAL_LIST: Self = Self { list: true, base: (FieldType::Text, true), ..Self::LITERAL };
    /// What a transformer of several arguments makes.
    const JOINED: Self = Self { joined: true, ..Self::LITERAL };
}

/// The type of a field or of what a transformer makes, on events of a source.
pub(crate) fn operand_type(operand: &Operand, source: &str, plugins: Known<'_>) -> Checked<Typed> {
    match operand {
        Operand::Field(field) => field_type(field, source, plugins),
        Operand::Call(call) => {
            let args: Checked<Vec<Typed>> =
                call.args.iter().map(|arg| arg_type(arg, source, plugins)).collect();
            call_type(call, &args?)
        }
    }
}

fn arg_type(arg: &Arg, source: &str, plugins: Known<'_>) -> Checked<Typed> {
    match arg {
        Arg::Operand(operand) => operand_type(operand, source, plugins),
        Arg::Text(_) => Ok(Typed::LITERAL),
        Arg::List(items) => {
            items.iter().try_for_each(|item| arg_type(item, source, plugins).map(|_| ()))?;
            Ok(Typed::LITERAL_LIST)
        }
    }
}

/// The type of a field on events of a source.
pub(crate) fn field_type(field: &Field, source: &str, plugins: Known<'_>) -> Checked<Typed> {
    let info = known_field(&field.name, field.arg.as_deref(), source, plugins)?;
    let (kind, list) = (info.kind, info.list);
    Ok(Typed { kind, list, base: (kind, list), name: info.name, joined: false })
}

/// The type of what a transformer makes of arguments of these types.
pub(crate) fn call_type(call: &Call, args: &[Typed]) -> Checked<Typed> {
    let name = call.transformer.name();
    match (call.transformer, args) {
        (_, [_]) if call.arg.is_some() => {
            refuse(format!("filter error: transformer '{name}' does not support field arguments"))
        }
        (Transformer::Val, [only]) => Ok(*only),
        (Transformer::Join | Transformer::Concat | Transformer::Getopt, [_]) => {
            refuse(format!("unknown field transfomer '{name}'"))
        }
        (transformer, [only]) => unary(transformer, only),
        (Transformer::Getopt, _) => getopt(call, args),
        (Transformer::Join | Transformer::Concat, _) => {
            several(call.transformer, args)?;
            match call.arg {
                None => Ok(Typed::JOINED),
                Some(_) => refuse(format!("transformer '{name}' does not support field arguments")),
            }
        }
        _ => refuse("unknown multivalue transformer"),
    }
}

fn unary(transformer: Transformer, inner: &Typed) -> Checked<Typed> {
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
    let (kind, list) = match transformer {
        Transformer::Len => (FieldType::Unsigned(64), false),
        _ => (inner.kind, inner.list),
    };
    Ok(Typed { kind, list, ..*inner })
}

fn several(transformer: Transformer, args: &[Typed]) -> Checked<()> {
    match (transformer, args) {
        (Transformer::Join, [separator, list]) => {
            if separator.base.1 {
                return refuse("join() first argument (separator) must be a single value, not a list");
            }
            if !list.base.1 {
                return refuse("join() second argument must be a list");
            }
        }
        (Transformer::Join, _) => {
            return refuse("join() requires exactly 2 arguments: separator and list");
        }
        _ => {
            if args.iter().any(|a| a.base != TEXT) {
                return refuse("concat() arguments must be strings");
            }
        }
    }
    Ok(())
}

fn getopt(call: &Call, args: &[Typed]) -> Checked<Typed> {
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
    Ok(Typed { list: call.arg.is_none(), ..Typed::JOINED })
}

/// Whether a field or transformer may stand on the right of an operator with `left` on its left.
pub(crate) fn comparable_operands(op: Op, left: &Typed, right: &Typed) -> Checked<()> {
    if matches!(op, Op::Pmatch | Op::Regex) {
        let name = op.name().to_ascii_uppercase();
        return refuse(format!("operator '{name}' doesn't support right-hand side fields"));
    }
    if left.kind == FieldType::Network {
        return refuse("field type 'IPNET' doesn't support right-hand side fields");
    }
    if !left.joined && (left.kind, left.list) != (right.kind, right.list) {
        let list = |typed: &Typed| if typed.list { " (list)" } else { "" };
        return refuse(format!(
            "field '{}' has type '{}{}' while the right-hand side field '{}' has incompatible type '{}{}'",
            left.name,
            left.kind.name(),
            list(left),
            right.name,
            right.kind.name(),
            list(right),
        ));
    }
    Ok(())
}
