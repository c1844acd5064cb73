//! Falco's condition language: text to a typed tree and back.
//!
//! The grammar is that of Falco 0.44.1, corners included: a check that the real engine reads differently from
//! what one would expect is read the same way here, because a rule that loads with another meaning is the worst
//! kind of difference.

mod condition;
mod parser;
#[cfg(test)]
mod tests;
mod write;

pub use condition::{
    Arg, Call, Check, Expr, Field, MAX_DEPTH, Modifier, Op, Operand, ParseError, Pos, Rhs, Transformer,
};
pub use parser::{parse, parse_operand};
pub use write::{quote, quote_always};
