//! What templates can call. Each helper writes a piece of a Falco condition or of YAML, quoted and cut to Falco's
//! limits; the words themselves stand in the templates.

use std::collections::BTreeSet;

use falco_rules::MAX_LITERAL;
use handlebars::{
    Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderErrorReason, ScopedJson,
};
use psp_admission::Field;
use psp_admission::policy::Range;
use serde_json::Value;

use super::quote::{quote, yaml};
use super::{examples, mounts};
use crate::pattern;

/// Registers all helpers.
pub(super) fn register(registry: &mut Handlebars<'_>) {
    let helpers: [(&str, Text); 24] = [
        ("pod", pod),
        ("ids_outside", ids_outside),
        ("ports_outside", ports_outside),
        ("within", within),
        ("mounted_outside", mounted_outside),
        ("mounted_writable_outside", mounted_writable_outside),
        ("strays", strays),
        ("beyond", beyond),
        ("beyond_only", beyond_only),
        ("one_of", one_of),
        ("container_without", container_without),
        ("every", every),
        ("other_than", other_than),
        ("quote", |args, _| fitting(args.text(0)?)),
        ("items", items),
        ("inside", inside),
        ("outside", outside_example),
        ("json", |args, _| Ok(examples::escaped(&args.get(0)?.to_string()))),
        ("escaped", |args, _| Ok(examples::escaped(args.text(0)?))),
        ("path", path),
        ("regex", |args, _| Ok(pattern::literal(args.text(0)?))),
        ("pod_out", |args, data| Ok(format!("%{}", pod(args, data)?))),
        ("yaml", |args, _| Ok(yaml(args.text(0)?))),
        ("sentence", |args, _| Ok(yaml(&sentence(args.text(0)?)))),
    ];
    for (name, text) in helpers {
        registry.register_helper(name, Box::new(Function(text)));
    }
}

type Text = fn(&Args<'_>, &Value) -> Result<String, String>;

/// A helper that is a plain function from its arguments (and the template's data) to text.
struct Function(Text);

/// The arguments of one call.
struct Args<'a>(Vec<&'a Value>);

impl<'a> Args<'a> {
    fn get(&self, index: usize) -> Result<&'a Value, String> {
        self.0.get(index).copied().ok_or_else(|| format!("argument {} is missing", index + 1))
    }

    fn text(&self, index: usize) -> Result<&'a str, String> {
        self.get(index)?.as_str().ok_or_else(|| format!("argument {} is no string", index + 1))
    }

    fn texts(&self, index: usize) -> Result<Vec<String>, String> {
        let list = self.get(index)?.as_array().ok_or_else(|| format!("argument {} is no list", index + 1))?;
        let text =
            |v: &Value| v.as_str().map(str::to_owned).ok_or_else(|| "a list holds no string".to_owned());
        list.iter().map(text).collect()
    }

    fn ranges(&self, index: usize) -> Result<Vec<Range>, String> {
        let bound = |range: &Value, key: &str| {
            range.get(key).and_then(Value::as_i64).ok_or("a range needs min and max")
        };
        let list = self.get(index)?.as_array().ok_or_else(|| format!("argument {} is no list", index + 1))?;
        list.iter().map(|r| Ok(Range { min: bound(r, "min")?, max: bound(r, "max")? })).collect()
    }
}

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc handlebars::Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, handlebars::RenderError> {
        let args = Args(helper.params().iter().map(handlebars::PathAndJson::value).collect());
        let text = (self.0)(&args, context.data())
            .map_err(|problem| RenderErrorReason::Other(format!("{}: {problem}", helper.name())))?;
        Ok(ScopedJson::Derived(Value::String(text)))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc handlebars::Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = self.call_inner(helper, registry, context, render)?;
        out.write(value.as_json().as_str().unwrap_or_default())?;
        Ok(())
    }
}

/// `{{pod "spec/hostPID"}}`: the field that reads a value of the pod in the audit event.
fn pod(args: &Args<'_>, data: &Value) -> Result<String, String> {
    Ok(format!("jevt.value[{}/{}]", object(data), args.text(0)?))
}

/// The object of the audit event that the rules read.
fn object(data: &Value) -> &str {
    data.get("object").and_then(Value::as_str).unwrap_or_default()
}

/// `{{ids_outside field before after ranges}}`: the id between `before` and `after` lies in none of the ranges.
fn ids_outside(args: &Args<'_>, _: &Value) -> Result<String, String> {
    outside(args, pattern::ids_outside)
}

/// `{{ports_outside field before after ranges}}`: the same for a port.
fn ports_outside(args: &Args<'_>, _: &Value) -> Result<String, String> {
    outside(args, pattern::ports_outside)
}

/// `{{within field ranges}}`: a number lies in one of the ranges.
fn within(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let field = args.text(0)?;
    let one = |r: Range| match (r.min, r.max) {
        (min, max) if min == max => format!("{field}={min}"),
        (min, max) if min <= 0 => format!("{field} <= {max}"),
        (min, max) => format!("{field} >= {min} and {field} <= {max}"),
    };
    Ok(args.ranges(1)?.into_iter().map(one).collect::<Vec<_>>().join(" or "))
}

/// `{{mounted_outside allowed}}`: some mount comes from a path of the node that begins with none of these.
fn mounted_outside(args: &Args<'_>, _: &Value) -> Result<String, String> {
    Ok(mounts::outside(&args.texts(0)?, false))
}

/// `{{mounted_writable_outside allowed}}`: the same of a mount that may be written to.
fn mounted_writable_outside(args: &Args<'_>, _: &Value) -> Result<String, String> {
    Ok(mounts::outside(&args.texts(0)?, true))
}

fn outside(args: &Args<'_>, pieces: fn(&[Range], &str, usize) -> Vec<String>) -> Result<String, String> {
    let (field, before, after) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let ranges = args.ranges(3)?;
    let room = MAX_LITERAL.saturating_sub(before.len() + after.len());
    let digit = if before.is_empty() && after.is_empty() { "." } else { "[0-9]" };
    Ok(any_of(field, pieces(&ranges, digit, room), before, after))
}

/// `{{strays field mark after literals}}`: some `mark` is followed by none of the literals, and then by `after`.
fn strays(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let (field, mark, after) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let (before, after) = (format!(".*{mark}"), format!(".*{after}"));
    let room = MAX_LITERAL.saturating_sub(before.len() + after.len());
    Ok(any_of(field, pattern::strays(&args.texts(3)?, room), &before, &after))
}

/// `{{beyond mark after literals key other opening rest end}}`: the same of the pod's `spec`, in a short form where
/// that fits.
///
/// The short form says what the whole text must look like, and negates it. See [`elsewhere`] for `key` and `other`;
/// where they stand, `opening` follows, then one of the literals, then `rest`. `end` ends the text.
fn beyond(args: &Args<'_>, data: &Value) -> Result<String, String> {
    let (mark, after, literals) = (args.text(0)?, args.text(1)?, args.texts(2)?);
    let (key, other, opening) = (args.text(3)?, args.text(4)?, args.text(5)?);
    let (rest, end) = (args.text(6)?, args.text(7)?);
    let opening = format!("({}|{key}\":{opening}", elsewhere(&[(key, other)]));
    let rest = format!("{rest})*{end}");
    match only(&spec(data), &opening, &literals, &rest) {
        Some(check) => Ok(check),
        None => strays(&Args(vec![&spec(data).into(), &mark.into(), &after.into(), &literals.into()]), data),
    }
}

/// `{{beyond_only field mark literals opening rest}}`: the same of a field that exists, where the whole of its text is
/// `opening`, one of the literals, and `rest`.
fn beyond_only(args: &Args<'_>, data: &Value) -> Result<String, String> {
    let (field, mark, literals) = (args.text(0)?, args.text(1)?, args.texts(2)?);
    match only(field, args.text(3)?, &literals, args.text(4)?) {
        Some(check) => Ok(check),
        None => strays(&Args(vec![&field.into(), &mark.into(), &"".into(), &literals.into()]), data),
    }
}

fn only(field: &str, opening: &str, literals: &[String], rest: &str) -> Option<String> {
    let words = pattern::any_of(literals, MAX_LITERAL.saturating_sub(opening.len() + rest.len()))?;
    Some(format!("not {field} regex {}", quote(&format!("{opening}{words}{rest}"))))
}

/// Alternatives that pass over JSON text piece by piece, but over a key that ends in one of the given ways only where
/// its value begins as the expression beside it says.
///
/// No string hides such a key, since quotes within strings are escaped, and no map of strings (labels, driver options)
/// can hold a value of another type. What follows a colon tells them apart.
fn elsewhere(keys: &[(&str, &str)]) -> String {
    let mut alternatives = vec!["[^:]".to_owned(), "[^\"]:".to_owned()];
    let mut endings: BTreeSet<String> = BTreeSet::from([String::new()]);
    for (key, _) in keys {
        endings.extend(
            key.char_indices().skip(1).map(|(at, _)| key.chars().skip(key.chars().count() - at).collect()),
        );
    }
    for ending in endings {
        let before: BTreeSet<char> =
            keys.iter().filter_map(|(key, _)| key.strip_suffix(ending.as_str())?.chars().last()).collect();
        alternatives.push(format!("[^{}]{ending}\":", before.into_iter().collect::<String>()));
    }
    alternatives.extend(keys.iter().map(|(key, other)| format!("{key}\":{other}")));
    alternatives.join("|")
}

/// `{{one_of field before after words}}`: one of the words stands between `before` and `after`.
fn one_of(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let (field, before, after) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let room = MAX_LITERAL.saturating_sub(before.len() + after.len() + 2);
    let mut groups: Vec<String> = Vec::new();
    for word in args.texts(3)? {
        let word = pattern::literal(&word);
        if word.len() > room {
            return Err(format!("a word of {} bytes does not fit in a condition; shorten it", word.len()));
        }
        match groups.last_mut() {
            Some(group) if group.len() + word.len() < room => {
                group.push('|');
                group.push_str(&word);
            }
            _ => groups.push(word),
        }
    }
    let groups = groups.into_iter().map(|g| if g.contains('|') { format!("({g})") } else { g }).collect();
    Ok(any_of(field, groups, before, after))
}

/// One regex check for each piece, as a group that can stand anywhere in a condition.
fn any_of(field: &str, pieces: Vec<String>, before: &str, after: &str) -> String {
    let checks: Vec<String> = pieces
        .into_iter()
        .map(|piece| match (before, after) {
            // Falco warns of an expression that is a plain word
            ("", "") if piece.chars().all(|c| c.is_ascii_digit()) => format!("{field}={piece}"),
            _ => format!("{field} regex {}", quote(&format!("{before}{piece}{after}"))),
        })
        .collect();
    match checks.as_slice() {
        [one] => one.clone(),
        many => format!("({})", many.join("\n      or ")),
    }
}

/// `{{container_without key other…}}`: some container has none of these keys, unless with an other value ([`elsewhere`]).
///
/// A stored container always has `imagePullPolicy`, and its security context follows at once (`core/v1/types.go`,
/// `Container`). From there to the next container, or to `terminationGracePeriodSeconds` behind the lists, the text
/// is passed over; the keys stop it.
fn container_without(args: &Args<'_>, data: &Value) -> Result<String, String> {
    let words = (0..args.0.len()).map(|n| args.text(n)).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<(&str, &str)> =
        words.chunks(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    let expression = format!(
        ".*ontainers\":[[].*\"imagePullPolicy\":({})*(\"imagePullPolicy\":.*)?GracePeriodSeconds\":[0-9].*",
        elsewhere(&keys)
    );
    check(&spec(data), &expression)
}

/// The field that reads the pod's whole `spec`.
fn spec(data: &Value) -> String {
    format!("jevt.value[{}/spec]", object(data))
}

/// `{{every key other opening capability}}`: wherever the key stands with no other value ([`elsewhere`]), `opening` and
/// a list that holds the capability follow.
fn every(args: &Args<'_>, data: &Value) -> Result<String, String> {
    let (key, other, opening) = (args.text(0)?, args.text(1)?, args.text(2)?);
    let name = pattern::literal(&pattern::json_text(args.text(3)?));
    let passed = elsewhere(&[(key, other)]);
    check(&spec(data), &format!("({passed}|{key}\":{opening}([^]]*,)?\"{name}\"[],])*"))
}

/// One regex check, if it fits.
fn check(field: &str, expression: &str) -> Result<String, String> {
    Ok(format!("{field} regex {}", fitting(expression)?))
}

/// `{{quote text}}`: the text as a string of a condition, if it fits.
fn fitting(text: &str) -> Result<String, String> {
    if text.len() > MAX_LITERAL {
        return Err(format!(
            "an expression of {} bytes does not fit in a condition; shorten its value",
            text.len()
        ));
    }
    Ok(quote(text))
}

/// `{{other_than word}}`: an expression for a word of a comma-separated list that is not `word`.
fn other_than(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let word = args.text(0)?;
    if word.contains(['"', '\\']) {
        return Err(
            "a category with a quotation mark or a backslash fits in no condition; remove it".to_owned()
        );
    }
    let letters: Vec<char> = word.chars().collect();
    let rest = letters.iter().rev().fold("[^\",]+".to_owned(), |rest, letter| {
        let other = pattern::none_of([*letter, '"', ','].into_iter());
        format!("({other}[^\",]*|{}{rest})?", pattern::literal(&letter.to_string()))
    });
    Ok(rest)
}

/// `{{path part…}}`: the parts in one string.
fn path(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let part = |v: &&Value| match v {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("a part is neither text nor number".to_owned()),
    };
    args.0.iter().map(part).collect()
}

/// `{{items list}}`: the list's strings, quoted, for `in (…)` and `items: […]`.
fn items(args: &Args<'_>, _: &Value) -> Result<String, String> {
    Ok(args.texts(0)?.iter().map(|item| quote(item)).collect::<Vec<_>>().join(", "))
}

/// `{{inside list}}`: for a comment, a value that the list of ranges or literals allows.
fn inside(args: &Args<'_>, _: &Value) -> Result<String, String> {
    Ok(match args.ranges(0) {
        Ok(ranges) => examples::number_inside(&ranges).map(|number| number.to_string()).unwrap_or_default(),
        Err(_) => examples::text_inside(&args.texts(0)?),
    })
}

/// `{{outside list example…}}`: for a comment, the first of the examples that the list of ranges or literals does not
/// allow, or another such value.
fn outside_example(args: &Args<'_>, _: &Value) -> Result<String, String> {
    let examples = args.0.get(1..).unwrap_or_default();
    let numbers: Vec<i64> = examples.iter().filter_map(|example| example.as_i64()).collect();
    if numbers.is_empty() {
        let words: Vec<&str> = examples.iter().filter_map(|example| example.as_str()).collect();
        return Ok(examples::text_outside(&args.texts(0)?, &words));
    }
    Ok(examples::number_outside(&args.ranges(0)?, &numbers)
        .map(|number| number.to_string())
        .unwrap_or_default())
}

/// `text` with a capital and a full stop; a field's name keeps its spelling.
fn sentence(text: &str) -> String {
    let field = text.contains(" unset, ")
        || text.split_once(" outside ").is_some_and(|(name, _)| Field::ALL.iter().any(|f| f.name() == name));
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !field => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        _ => format!("{text}."),
    }
}
