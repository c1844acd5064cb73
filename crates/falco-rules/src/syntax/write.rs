//! Conditions as text that reads back as the same condition.

use std::fmt;

use super::condition::{Arg, Check, Expr, Field, Modifier, Operand, Rhs};

/// What RE2 calls `[[:space:]]`.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Writes a value so that Falco reads it back as it is: bare where that is safe, else in double quotes.
///
/// A NUL, which no condition can hold, is left out.
#[must_use]
pub fn quote(value: &str) -> String {
    let bare =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b':' | b'-' | b'+' | b'@');
    let is_word = Modifier::OneOf.name() == value || Modifier::AnyOf.name() == value || "allof" == value;
    if !value.is_empty() && value.bytes().all(bare) && !is_word {
        return value.to_owned();
    }
    quote_always(value)
}

/// Like [`quote`], always in double quotes.
#[must_use]
pub fn quote_always(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\0' => {}
            '"' => out.push_str("\\\""),
            // Falco takes a quote after a backslash for an escaped one, so the last backslash is written as
            // the escape that a blank follows.
            '\\' if chars.peek().is_none() => out.push_str("\\ "),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(children) => join(f, children, " and ", |c| matches!(c, Self::And(_) | Self::Or(_))),
            Self::Or(children) => join(f, children, " or ", |c| matches!(c, Self::Or(_))),
            Self::Not(child) if matches!(**child, Self::Macro(..) | Self::Check(_)) => {
                write!(f, "not {child}")
            }
            Self::Not(child) => write!(f, "not ({child})"),
            Self::Macro(name, _) => f.write_str(name),
            Self::Check(check) => check.fmt(f),
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    children: &[Expr],
    word: &str,
    in_parentheses: fn(&Expr) -> bool,
) -> fmt::Result {
    for (i, child) in children.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        if in_parentheses(child) {
            write!(f, "({child})")?;
        } else {
            write!(f, "{child}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.left, self.op.name())?;
        if let Some(modifier) = self.modifier {
            write!(f, " {}", modifier.name())?;
        }
        match &self.right {
            Rhs::None => Ok(()),
            // After a list operator a lone value is a list's name.
            Rhs::Value(value) if self.op.takes_list() || self.op.is_ordering() || self.modifier.is_some() => {
                write!(f, " {value}")
            }
            Rhs::Value(value) => write!(f, " {}", quote(value)),
            Rhs::List(values) => {
                let values: Vec<String> = values.iter().map(|v| quote(v)).collect();
                write!(f, " ({})", values.join(", "))
            }
            Rhs::Operand(operand) => write!(f, " {operand}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => field.fmt(f),
            Self::Call(call) => {
                write!(f, "{}({})", call.transformer.name(), arg_texts(&call.args))?;
                write_arg(f, call.arg.as_deref())
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        write_arg(f, self.arg.as_deref())
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => operand.fmt(f),
            Self::Text(text) => f.write_str(&quote_always(text)),
            Self::List(args) => write!(f, "({})", arg_texts(args)),
        }
    }
}

fn arg_texts(args: &[Arg]) -> String {
    args.iter().map(Arg::to_string).collect::<Vec<_>>().join(", ")
}

fn write_arg(f: &mut fmt::Formatter<'_>, arg: Option<&str>) -> fmt::Result {
    let Some(arg) = arg else { return Ok(()) };
    let bare = !arg.is_empty() && !arg.contains(|c: char| is_space(c) || "[]\"'\0".contains(c));
    if bare { write!(f, "[{arg}]") } else { write!(f, "[{}]", quote_always(arg)) }
}
