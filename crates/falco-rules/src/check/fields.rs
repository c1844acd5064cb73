//! Whether a field exists, with its argument, on events of a source.

use std::fmt::Write;

use super::catalog::{FieldInfo, catalog};
use super::plugins::Known;
use super::problem::{Checked, Refusal, refuse};
use crate::syntax::{Arg, Operand, parse_operand};

/// Whether `text` is a field of the source, or a transformer over such fields.
pub(crate) fn is_left_side(text: &str, source: &str, plugins: Known<'_>) -> bool {
    fn known(operand: &Operand, source: &str, plugins: Known<'_>) -> bool {
        match operand {
            Operand::Field(field) => known_field(&field.name, field.arg.as_deref(), source, plugins).is_ok(),
            Operand::Call(call) => call.args.iter().all(|arg| known_arg(arg, source, plugins)),
        }
    }
    fn known_arg(arg: &Arg, source: &str, plugins: Known<'_>) -> bool {
        match arg {
            Arg::Operand(operand) => known(operand, source, plugins),
            Arg::Text(_) => true,
            Arg::List(args) => args.iter().all(|arg| known_arg(arg, source, plugins)),
        }
    }
    parse_operand(text)
        .is_ok_and(|(operand, length)| length == text.len() && known(&operand, source, plugins))
}

/// The field that `name[arg]` reads on events of a source.
pub(crate) fn known_field(
    name: &str,
    arg: Option<&str>,
    source: &str,
    plugins: Known<'_>,
) -> Checked<&'static FieldInfo> {
    let full = arg.map_or_else(|| name.to_owned(), |arg| format!("{name}[{arg}]"));
    if arg.is_none()
        && let Some(info) = dotted(name).and_then(|base| catalog().find(base, source))
    {
        return Ok(info);
    }
    if let Some(arg) = arg {
        let is_number = !arg.is_empty() && arg.bytes().all(|b| b.is_ascii_digit());
        match name {
            "evt.arg" if !is_number => return refuse(format!("{arg} is not a valid number")),
            "evt.rawarg" => return refuse("evt.arg fields must be expressed explicitly"),
            "evt.abspath" | "thread.cgroup" => return refuse(format!("filter syntax error: {full}")),
            _ => {}
        }
    }
    let Some(info) = plugins.find(name, source) else {
        if let Some(longest) = needs_argument(name, source, plugins).filter(|_| arg.is_none()) {
            return refuse(format!("filter '{name}': {longest} requires an argument but none provided"));
        }
        return Err(no_field(name, &full, source));
    };
    if !info.is_plugin() {
        return match (arg, info.argument) {
            (Some(_), None) => Err(no_field(name, &full, source)),
            (None, Some(argument)) if argument.required => {
                refuse(format!("filter '{full}': {name} requires an argument but none provided"))
            }
            _ => Ok(info),
        };
    }
    let Some(arg) = arg else {
        if info.argument.is_some_and(|a| a.required) {
            return refuse(format!("filter '{full}': {name} requires an argument but none provided"));
        }
        return Ok(info);
    };
    // Plugins' fields are read up to the first blank and the first closing bracket.
    if let Some((cut, _)) = full.split_once(' ') {
        let what = if cut.ends_with('[') {
            "terminates with incomplete argument brackets"
        } else {
            "has unbalanced argument brackets"
        };
        return refuse(format!("filter '{cut}': {name} {what}"));
    }
    let text = arg.split(']').next().unwrap_or_default();
    let Some(argument) = info.argument else {
        return refuse(format!(
            "filter '{full}': {name} does not allow nor require an argument but one is provided: {text}"
        ));
    };
    if argument.index && !argument.key {
        check_index(&full, name, text)?;
    }
    if text.len() < arg.len() {
        return Err(no_field(name, &full, source));
    }
    if name == "ka.req.volume.hostpath" && arg.is_empty() {
        return refuse(format!("filter '{full}': k8saudit fails on an empty argument of {name}"));
    }
    Ok(info)
}

/// The field of which `name` is one with an argument after a dot, as `evt.arg.flags` is of `evt.arg`. Which arguments
/// there are is not modelled.
fn dotted(name: &str) -> Option<&'static str> {
    if matches!(name, "evt.abspath" | "evt.abspath.src" | "evt.abspath.dst") {
        return Some("evt.abspath");
    }
    let is_argument = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    ["evt.arg", "evt.rawarg", "thread.cgroup"]
        .into_iter()
        .find(|base| name.strip_prefix(base).and_then(|n| n.strip_prefix('.')).is_some_and(is_argument))
}

/// The plugin's field that Falco finds at the start of an unknown name, if that takes an argument.
fn needs_argument(name: &str, source: &str, plugins: Known<'_>) -> Option<&'static str> {
    let fields = plugins.fields().filter(|f| f.is_plugin() && f.sources.contains(&source));
    let longest = fields.filter(|f| name.starts_with(f.name)).max_by_key(|f| f.name.len())?;
    longest.argument.is_some_and(|a| a.required).then_some(longest.name)
}

fn check_index(full: &str, name: &str, text: &str) -> Checked<()> {
    let wrong = if text.bytes().any(|b| !b.is_ascii_digit()) {
        "not composed only by digits"
    } else if text.is_empty() || (text.len() > 1 && text.starts_with('0')) {
        "starting with 0"
    } else if text.parse::<u64>().is_err() {
        "not representable on 64 bit"
    } else {
        return Ok(());
    };
    refuse(format!("filter {full} {name} has an invalid index argument {wrong}: {text}"))
}

fn no_field(name: &str, full: &str, source: &str) -> Refusal {
    let mut message = format!("filter_check called with nonexistent field {full}");
    if let Some(info) = catalog().any(name).filter(|f| !f.sources.contains(&source)) {
        let _ = write!(message, " (the field is for rules with source: {})", info.sources.join(" or "));
    } else if let Some(near) = catalog().nearest(name, source).filter(|f| f.name != name) {
        let _ = write!(message, " (did you mean {}?)", near.name);
    }
    Refusal { message, unknown: true }
}
