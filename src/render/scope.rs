//! Which pods the rules for the audit log look at: what options and annotations narrow them to.

use anyhow::{Result, bail};
use falco_rules::MAX_LITERAL;
use psp_admission::Policy;
use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};

use super::options::Options;
use super::quote::{quote, quoted};
use crate::pattern;
use crate::psp::names::namespace;
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
        let one =
            |image: &String| format!("{spec} regex {}", quote(&format!(".*\"image\":\"{image}[:@\"].*")));
        scope.push(format!("({})", images.iter().map(one).collect::<Vec<_>>().join(" or ")));
    }
    scope
}

/// Refuses what a policy is narrowed to by annotations and cannot be.
pub(super) fn check_scope(located: &Located) -> Result<()> {
    let place = |key: &str| format!("{}: metadata.annotations[{key}]", located.place);
    check_namespaces(&place(NAMESPACES), &listed_in(&located.policy, NAMESPACES))?;
    for image in listed_in(&located.policy, IMAGES) {
        let length = pattern::literal(&pattern::json_text(&image)).len();
        if length + r#".*"image":"[:@"].*"#.len() > MAX_LITERAL {
            bail!("{}: an image of {length} bytes does not fit in a condition; shorten it", place(IMAGES));
        }
    }
    Ok(())
}

/// Refuses what can be no namespace.
pub(crate) fn check_namespaces(place: &str, names: &[String]) -> Result<()> {
    match names.iter().find_map(|name| namespace(name)) {
        Some(problem) => bail!("{place}: {problem}"),
        None => Ok(()),
    }
}
