//! Falco's condition language: text to a typed tree and back.
//!
//! The grammar is that of Falco 0.44.1, corners included: a check that the real engine reads differently from
//! what one would expect is read the same way here, because a rule that loads with another meaning is the worst
//! kind of difference.

mod parser;

pub use parser::{parse, parse_operand};
use std::fmt;

/// How deeply parentheses and transformers may nest. Falco sets no working limit (deep input overflows its
/// stack); this one is far above what any person or template writes.
pub const MAX_DEPTH: usize = 200;

/// A place in a condition: the byte offset at which something starts.
///
/// Two places always compare as equal, so that trees compare by meaning.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pos(pub usize);

impl PartialEq for Pos {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Pos {}

impl std::hash::Hash for Pos {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// Why a condition cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, in Falco's words where it has any.
    pub message: String,
    /// The byte offset in the condition.
    pub offset: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.offset)
    }
}

impl std::error::Error for ParseError {}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All of these, tested from left to right.
    And(Vec<Expr>),
    /// One of these, tested from left to right.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// A macro's name.
    Macro(String, Pos),
    /// One comparison.
    Check(Box<Check>),
}

/// One comparison of a field, or of what a transformer makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is compared.
    pub left: Operand,
    /// How.
    pub op: Op,
    /// `oneof`, `anyof`, `allof` after the operator (Falco 0.44 and later).
    pub modifier: Option<Modifier>,
    /// With what.
    pub right: Rhs,
    /// Where the comparison starts.
    pub pos: Pos,
    /// Where its right side starts.
    pub right_pos: Pos,
}

/// A field or a transformer's result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A field.
    Field(Field),
    /// A transformer.
    Call(Call),
}

/// A field with its argument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Field {
    /// The name, as `ka.verb`.
    pub name: String,
    /// What stands in brackets after it.
    pub arg: Option<String>,
    /// Where it starts.
    pub pos: Pos,
}

/// A transformer with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Call {
    /// Which transformer.
    pub transformer: Transformer,
    /// What it is applied to.
    pub args: Vec<Arg>,
    /// What stands in brackets after it (only `getopt` takes that).
    pub arg: Option<String>,
    /// Where it starts.
    pub pos: Pos,
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Arg {
    /// A field or another transformer.
    Operand(Operand),
    /// A quoted string or a number.
    Text(String),
    /// A list in parentheses.
    List(Vec<Arg>),
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rhs {
    /// Nothing: `exists`.
    None,
    /// One literal value.
    Value(String),
    /// Literal values in parentheses.
    List(Vec<String>),
    /// `val(field)` or another transformer.
    Operand(Operand),
}

/// What a transformer is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Falco's")]
pub enum Transformer {
    Val,
    ToLower,
    ToUpper,
    B64,
    Basename,
    Len,
    Join,
    Concat,
    Getopt,
}

impl Transformer {
    const ALL: [Self; 9] = [
        Self::Val,
        Self::ToLower,
        Self::ToUpper,
        Self::B64,
        Self::Basename,
        Self::Len,
        Self::Join,
        Self::Concat,
        Self::Getopt,
    ];

    /// Its name in a condition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Val => "val",
            Self::ToLower => "tolower",
            Self::ToUpper => "toupper",
            Self::B64 => "b64",
            Self::Basename => "basename",
            Self::Len => "len",
            Self::Join => "join",
            Self::Concat => "concat",
            Self::Getopt => "getopt",
        }
    }
}

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Falco's")]
pub enum Op {
    Exists,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Glob,
    IGlob,
    Contains,
    IContains,
    BContains,
    StartsWith,
    BStartsWith,
    EndsWith,
    Regex,
    Intersects,
    In,
    Pmatch,
}

impl Op {
    /// Every operator.
    pub const ALL: [Self; 19] = [
        Self::Exists,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::Glob,
        Self::IGlob,
        Self::Contains,
        Self::IContains,
        Self::BContains,
        Self::StartsWith,
        Self::BStartsWith,
        Self::EndsWith,
        Self::Regex,
        Self::Intersects,
        Self::In,
        Self::Pmatch,
    ];

    /// The operator as it is written (`==` reads as `=`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Glob => "glob",
            Self::IGlob => "iglob",
            Self::Contains => "contains",
            Self::IContains => "icontains",
            Self::BContains => "bcontains",
            Self::StartsWith => "startswith",
            Self::BStartsWith => "bstartswith",
            Self::EndsWith => "endswith",
            Self::Regex => "regex",
            Self::Intersects => "intersects",
            Self::In => "in",
            Self::Pmatch => "pmatch",
        }
    }

    /// Whether it takes a list on its right.
    #[must_use]
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::Intersects | Self::Pmatch)
    }

    /// Whether it compares by order, and so takes only a number or a transformer on its right.
    #[must_use]
    pub fn is_ordering(self) -> bool {
        matches!(self, Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }
}

/// What a modifier asks of the values on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// Exactly one of them matches.
    OneOf,
    /// At least one matches.
    AnyOf,
    /// Every one matches.
    AllOf,
}

impl Modifier {
    /// The modifier as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneOf => "oneof",
            Self::AnyOf => "anyof",
            Self::AllOf => "allof",
        }
    }
}

/// What RE2 calls `[[:space:]]`.
fn is_space(c: char) -> bool {
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

#[cfg(test)]
mod tests;
