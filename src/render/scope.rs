//! Which pods rules look at: what options and annotations narrow them to, and how a condition names a pod.

use anyhow::{Result, bail};
use falco_rules::MAX_LITERAL;
use psp_admission::Policy;
use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};
use serde_json::Value;

use super::{Options, helpers, pattern, quoted, usable};
use crate::psp::validity::namespace;
use crate::read::Located;

fn within(namespaces: &[String]) -> String {
    format!("jevt.value[/objectRef/namespace] in ({})", quoted(namespaces))
}

/// The conditions that narrow all rules to what the user asked for.
pub(super) fn everywhere(options: &Options) -> Vec<String> {
    let mut scope = Vec::new();
    if !options.namespaces.is_empty() {
        scope.push(within(&options.namespaces));
    }
    if !options.exclude_namespaces.is_empty() {
        scope.push(format!("not {}", within(&options.exclude_namespaces)));
    }
    scope
}

/// The conditions that narrow a policy's rules to what its user asked for.
pub(super) fn scope(policy: &Policy, options: &Options) -> Vec<String> {
    let mut scope = everywhere(options);
    let namespaces = listed_in(policy, NAMESPACES);
    if !namespaces.is_empty() {
        scope.insert(usize::from(!options.namespaces.is_empty()), within(&namespaces));
    }
    let images: Vec<String> =
        listed_in(policy, IMAGES).iter().map(|i| pattern::literal(&pattern::json_text(i))).collect();
    if !images.is_empty() {
        let spec = format!("jevt.value[{}/spec]", options.object.root());
        let one = |image: &String| {
            format!("{spec} regex {}", helpers::quote(&format!(".*\"image\":\"{image}[:@\"].*")))
        };
        scope.push(format!("({})", images.iter().map(one).collect::<Vec<_>>().join(" or ")));
    }
    scope
}

/// Refuses what a policy is narrowed to by annotations and cannot be.
pub(super) fn check_scope(located: &Located) -> Result<()> {
    let place = |key: &str| format!("{}: metadata.annotations[{key}]", located.place);
    namespaces(&place(NAMESPACES), &listed_in(&located.policy, NAMESPACES))?;
    for image in listed_in(&located.policy, IMAGES) {
        let length = pattern::literal(&pattern::json_text(&image)).len();
        if length + r#".*"image":"[:@"].*"#.len() > MAX_LITERAL {
            bail!("{}: an image of {length} bytes does not fit in a condition; shorten it", place(IMAGES));
        }
    }
    Ok(())
}

/// Refuses what can be no namespace.
pub(crate) fn namespaces(place: &str, names: &[String]) -> Result<()> {
    match names.iter().find_map(|name| namespace(name)) {
        Some(problem) => bail!("{place}: {problem}"),
        None => Ok(()),
    }
}

/// Do all rules look at pods of this namespace, as far as the user narrowed them?
pub fn in_scope_of_all(options: &Options, namespace: &str) -> bool {
    let lists = |names: &[String]| names.iter().any(|n| n == namespace);
    (options.namespaces.is_empty() || lists(&options.namespaces)) && !lists(&options.exclude_namespaces)
}

/// Do the rules of a policy look at this pod, as far as options and annotations narrow them?
pub fn in_scope(policy: &Policy, options: &Options, pod: &Value, namespace: &str) -> bool {
    let (namespaces, images) = (listed_in(policy, NAMESPACES), listed_in(policy, IMAGES));
    let used = |wanted: &String| {
        ["initContainers", "containers"].into_iter().any(|list| {
            let containers = pod.pointer(&format!("/spec/{list}")).and_then(Value::as_array);
            containers.into_iter().flatten().filter_map(|c| c.get("image")?.as_str()).any(|image| {
                image.strip_prefix(wanted.as_str()).is_some_and(|r| r.is_empty() || r.starts_with([':', '@']))
            })
        })
    };
    in_scope_of_all(options, namespace)
        && (namespaces.is_empty() || namespaces.iter().any(|n| n == namespace))
        && (images.is_empty() || images.iter().any(used))
}

/// A condition: the field is this name.
pub(super) fn condition_of_name(field: &str, name: &str) -> String {
    format!("{field}={}", usable::word(name))
}

/// A condition: the field is this text, followed by what `rest` matches.
pub(super) fn condition_of_pattern(field: &str, text: &str, rest: &str) -> String {
    let pattern = format!("{}{rest}", pattern::literal(text));
    if pattern.len() > MAX_LITERAL {
        return format!("{field} startswith {}", helpers::quote(text));
    }
    format!("{field} regex {}", helpers::quote(&pattern))
}
