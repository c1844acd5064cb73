//! What an unquoted YAML scalar means to kubectl.
//!
//! kubectl turns YAML into JSON with `sigs.k8s.io/yaml`, whose parser (go-yaml v2, `resolve.go`) follows YAML 1.1:
//! `yes` and `on` are booleans, `0644` is octal, `1_000` is a number. A timestamp stays a string.

use std::borrow::Cow;

use super::node::Data;

/// The value of an unquoted scalar without a tag.
pub(crate) fn resolve(text: Cow<'_, str>) -> Data<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Data::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Data::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Data::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Data::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Data::Float(f64::NEG_INFINITY),
        plain => number(plain).unwrap_or(Data::Text(text)),
    }
}

fn number(text: &str) -> Option<Data<'static>> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return None;
    }
    let plain: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&plain).map(Data::Int).or_else(|| float(&plain).map(Data::Float))
}

/// Go's `strconv.ParseInt` with base 0.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(digits, base).ok()?;
    i64::try_from(if text.starts_with('-') { -value } else { value }).ok()
}

fn float(text: &str) -> Option<f64> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        format!("{:?}", resolve(text.into()))
    }

    #[test]
    fn reads_scalars_as_kubectl_does() {
        for (text, meaning) in [
            ("yes", "Bool(true)"),
            ("Off", "Bool(false)"),
            ("yEs", "Text(\"yEs\")"),
            ("~", "Null"),
            ("10", "Int(10)"),
            ("-5", "Int(-5)"),
            ("+5", "Int(5)"),
            ("0644", "Int(420)"),
            ("089", "Float(89.0)"),
            ("0x1F", "Int(31)"),
            ("0b11", "Int(3)"),
            ("1_000", "Int(1000)"),
            ("1e3", "Float(1000.0)"),
            (".5", "Float(0.5)"),
            ("1.0", "Float(1.0)"),
            ("9223372036854775808", "Float(9.223372036854776e18)"),
            ("-", "Text(\"-\")"),
            ("--5", "Text(\"--5\")"),
            ("+inf", "Text(\"+inf\")"),
            ("2026-01-02", "Text(\"2026-01-02\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
            ("0x", "Text(\"0x\")"),
        ] {
            assert_eq!(show(text), meaning, "{text}");
        }
    }
}
