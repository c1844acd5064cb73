//! The rules for Falco's system call source: what a policy refuses, seen on the containers that run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use psp_admission::Policy;
use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};
use serde_json::Map;

use super::header::{Plugin, Requirements, header};
use super::item::Names;
use super::macro_name::macro_name;
use super::namespaces::{Namespaces, groups};
use super::options::{Layer, Options};
use super::quote::quoted;
use super::rules_file::{Rendered, RulesFile};
use super::scope::{check_namespaces, check_scope};
use super::source::{Scope, Source};
use crate::problem::Place;
use crate::psp::validity::unusable;
use crate::read::Located;
use crate::restrictions::Restrictions;

/// The engine of Falco 0.41, the first whose containers come from the container plugin.
const ENGINE: &str = "0.50.0";
/// The container plugin that Falco 0.41.0 ships with. It has all fields that the rules use.
const PLUGINS: &[&[Plugin]] = &[&[Plugin::new("container", "0.2.4")]];

/// Makes the rules for the kernel's events.
///
/// Where it is known who may use which policy, pods of one namespace are held against what all policies usable there
/// allow together, since nobody knows who made them; the rules bear all their names. Where it is not known, each policy
/// stands alone in its scope.
///
/// # Errors
/// A template that does not render, or not to rules, with its file and line.
pub fn runtime_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    check_namespaces("--namespace", &options.namespaces)?;
    check_namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    let mut file = RulesFile::new(Layer::Runtime, options)?;
    file.add_shared(&file.templates.items(Source::Shared("shared", Map::new()))?);
    let mut restrictions = Vec::with_capacity(policies.len());
    for located in policies {
        let policy = &located.policy;
        let restricted = file.restrictions(policy);
        if has_rules(policy, &restricted, options) {
            check_scope(located)?;
            if options.access.is_none() {
                let names = Names::new(&[&policy.name], format!("{}__runtime", macro_name(&policy.name)));
                add(&mut file, names, scope(Some(policy), options), &restricted, &located.place)?;
            }
        }
        restrictions.push((policy.name.clone(), restricted));
    }
    for group in options.access.iter().flat_map(|access| groups(policies, access)) {
        let restricted = file.restrictions(&group.policy);
        let mut narrowed = scope(None, options);
        narrowed.extend(within(&group.namespaces));
        narrowed.extend(annotated(&group.members));
        let names = group.names();
        let place = Place { file: format!("the policies {}", names.policy), ..Place::default() };
        add(&mut file, names, narrowed, &restricted, &place)?;
    }
    if options.baseline {
        let data = Map::from_iter([("scope".to_owned(), scope(None, options).into())]);
        file.add_shared(&file.templates.items(Source::Shared("baseline", data))?);
    }
    let made = format!(
        "# Falco rules for running containers, made by psp2falco {} from PodSecurityPolicies. Do not edit: to tune, let a\n\
         # later file override psps_runtime_exempt_namespaces, psps_runtime_exempt_images, psps_runtime_exempt,\n\
         # psp_<policy>__runtime__exempt, or a rule.\n",
        env!("CARGO_PKG_VERSION"),
    );
    let has_rules = |policy: &Policy, restricted: &Restrictions| has_rules(policy, restricted, options);
    let requirements = |_| Requirements { engine: ENGINE, plugins: PLUGINS };
    Ok(file.finish(restrictions, requirements, |restrictions, requirements| {
        let without = " (restricts nothing that can be seen: no rules)";
        header(&made, policies, restrictions, (has_rules, without), requirements)
    }))
}

/// Adds the rules of one policy, or of several that stand together, if there is anything to see.
fn add(
    file: &mut RulesFile,
    names: Names,
    scope: Vec<String>,
    restrictions: &Restrictions,
    place: &Place,
) -> Result<()> {
    if restrictions.iter().all(|(_, mapped)| mapped.runtime.sees.is_none()) {
        return Ok(());
    }
    let rules =
        file.policy_rules(names, Scope { conditions: scope, ..Scope::default() }, restrictions, place)?;
    file.add(&rules, &BTreeMap::new(), place)
}

/// The conditions that narrow rules to what the user asked for: all rules, and those of `policy`. Where only some
/// namespaces are left out, a container of an unknown one is left out, too.
fn scope(policy: Option<&Policy>, options: &Options) -> Vec<String> {
    let annotated = |key: &str| policy.map(|p| listed_in(p, key)).unwrap_or_default();
    let mut scope = Vec::new();
    for names in [options.namespaces.clone(), annotated(NAMESPACES)] {
        if !names.is_empty() {
            scope.push(format!("k8s.ns.name in ({})", quoted(&names)));
        }
    }
    if !options.exclude_namespaces.is_empty() {
        let names = quoted(&options.exclude_namespaces);
        scope.push(format!("k8s.ns.name exists and not k8s.ns.name in ({names})"));
    }
    // the container runtime knows an image by its full name, and knows none of other characters
    let annotated = annotated(IMAGES);
    let in_names = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    let named = annotated.iter().filter(|image| image.chars().all(in_names));
    let mut images: Vec<String> =
        named.flat_map(|i| [i.clone(), format!("docker.io/{i}"), format!("docker.io/library/{i}")]).collect();
    if images.is_empty() && !annotated.is_empty() {
        images.push(String::new());
    }
    if !images.is_empty() {
        scope.push(format!("container.image.repository in ({})", quoted(&images)));
    }
    scope
}

/// The condition that annotations leave a container to one of the policies, if all of them have some.
fn annotated(policies: &[&Policy]) -> Option<String> {
    let all = Options::default();
    let mut scopes = BTreeSet::new();
    for policy in policies {
        let own = scope(Some(policy), &all);
        if own.is_empty() {
            return None;
        }
        scopes.insert(own.join(" and "));
    }
    let any: Vec<String> = scopes.into_iter().collect();
    Some(if any.len() == 1 { any.concat() } else { format!("({})", any.join(" or ")) })
}

/// The condition that a container is in some namespaces, if that is a condition.
fn within(namespaces: &Namespaces) -> Option<String> {
    match namespaces {
        Namespaces::These(names) => Some(format!("k8s.ns.name in ({})", quoted(names))),
        Namespaces::Others(names) if names.is_empty() => None,
        Namespaces::Others(names) => {
            Some(format!("k8s.ns.name exists and not k8s.ns.name in ({})", quoted(names)))
        }
    }
}

/// Does a policy get runtime rules? One that admission skipped does, unless RBAC is known.
fn has_rules(policy: &Policy, restrictions: &Restrictions, options: &Options) -> bool {
    let seen = restrictions.iter().any(|(_, m)| m.runtime.sees.is_some());
    seen && (options.access.is_none() || unusable(policy).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(namespaces: &str, images: &str) -> Policy {
        let annotations = [(NAMESPACES, namespaces), (IMAGES, images)];
        let given = annotations.into_iter().filter(|(_, value)| !value.is_empty());
        let annotations = given.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Policy { annotations, ..Policy::default() }
    }

    #[test]
    fn policies_together_reach_what_any_of_their_annotations_names() {
        let (shop, cart, free) = (policy("[shop]", ""), policy("[cart]", "[quay.io/x]"), policy("", ""));
        let of_both = "(k8s.ns.name in ('cart') and container.image.repository in ('quay.io/x', 'docker.io/quay.io/x', \
                       'docker.io/library/quay.io/x') or k8s.ns.name in ('shop'))";
        assert_eq!(annotated(&[&shop]).unwrap(), "k8s.ns.name in ('shop')");
        assert_eq!(annotated(&[&shop, &cart, &shop]).unwrap(), of_both);
        assert_eq!(annotated(&[&shop, &free]), None);
    }
}
