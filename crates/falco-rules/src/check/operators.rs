//! Which operators and literals go with which types.

use super::catalog::FieldType;
use super::operands::Typed;
use super::problem::{Checked, refuse};
use crate::syntax::Op;

/// The longest literal, in bytes (measured on Falco 0.44.1; one more is a load error).
pub const MAX_LITERAL: usize = 255;

/// Whether an operator takes what stands on its left.
pub(crate) fn comparable(op: Op, left: &Typed) -> Checked<()> {
    use FieldType::{Address, Bool, Bytes, Dynamic, Network, Text, Unsigned};
    let equality = matches!(op, Op::Eq | Op::Ne | Op::In | Op::Intersects);
    let (fine, kind) = match (left.kind, left.list) {
        _ if op == Op::Exists => return Ok(()),
        (Text | Unsigned(64) | Bool | Address | Network, true) => {
            let fine = matches!(op, Op::In | Op::Intersects);
            if fine {
                return Ok(());
            }
            return refuse(format!("filter error: '{}' operator not supported list filters", op.name()));
        }
        (kind, true) => {
            let name = kind.name();
            return refuse(format!("filter error: list filters are not supported for type '{name}'"));
        }
        (Dynamic, _) => return Ok(()),
        (Text, _) => (!matches!(op, Op::BContains | Op::BStartsWith), "string"),
        (Bytes, _) => {
            let fine =
                matches!(op, Op::Contains | Op::StartsWith | Op::EndsWith | Op::BContains | Op::BStartsWith);
            (equality || fine, "buffer")
        }
        (Bool, _) => (equality, "numeric"),
        (Address | Network, _) => (equality, "ip address and network"),
        _ => (equality || op.is_ordering(), "numeric"),
    };
    if fine {
        return Ok(());
    }
    refuse(format!("filter error: '{}' operator not supported for {kind} filters", op.name()))
}

/// Whether a literal is short enough.
pub(crate) fn fits(value: &str) -> Checked<()> {
    if value.len() <= MAX_LITERAL {
        return Ok(());
    }
    // The length includes the terminator.
    refuse(format!(
        "filter parameter too long (used={}, available={}):{value}",
        value.len() + 1,
        MAX_LITERAL + 1
    ))
}

/// A literal that is compared with something other than text.
pub(crate) fn literal_number(kind: FieldType, text: &str) -> Checked<u64> {
    let digits = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    match kind {
        FieldType::Bool if text == "true" => Ok(1),
        FieldType::Bool if text == "false" => Ok(0),
        FieldType::Bool => refuse(format!("filter error: unrecognized boolean value {text}")),
        FieldType::Address if text.parse::<std::net::IpAddr>().is_err() => {
            let version = if text.contains('.') { "IPv4" } else { "IPv6" };
            refuse(format!("unrecognized {version} address {text}"))
        }
        FieldType::Network if !is_network(text) => refuse(format!("unrecognized IP network {text}")),
        FieldType::Address | FieldType::Network | FieldType::Port | FieldType::Dynamic => Ok(0),
        _ if !is_number => refuse(format!("{text} is not a valid number")),
        _ => {
            let value = digits.parse().unwrap_or(u64::MAX);
            Ok(if negative { u64::wrapping_neg(value) } else { value })
        }
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = if address.contains('.') { 32 } else { 128 };
    address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|b| b <= most)
}
