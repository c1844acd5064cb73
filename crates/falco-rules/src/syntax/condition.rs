//! Conditions as typed trees.

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
    pub(super) const ALL: [Self; 9] = [
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
