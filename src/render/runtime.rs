//! The rules for Falco's system call source: what a policy refuses, seen on the containers that run.

use std::collections::BTreeSet;

use anyhow::Result;
use psp_admission::scope::{IMAGES, NAMESPACES, listed_in};
use psp_admission::{Field, Policy};

use super::{
    Assembly, Layer, Options, Rendered, Said, Says, block, check_scope, framed, insert, macro_name,
    namespaces, note, policies_listed, quoted, shared_data, together,
};
use crate::problem::Place;
use crate::psp::validity::unusable;
use crate::read::Located;
use crate::restrictions::Sight;

/// The engine of Falco 0.41, the first whose containers come from the container plugin.
const ENGINE: &str = "0.50.0";
/// The container plugin that Falco 0.41.0 ships with. It has all fields that the rules use.
const CONTAINER: &str = "0.2.4";

/// Makes the rules for the kernel's events.
///
/// Where it is known who may use which policy, pods of one namespace are held against what all policies usable there
/// allow together, since nobody knows who made them; the rules bear all their names. Where it is not known, each policy
/// stands alone in its scope.
///
/// # Errors
/// A template that does not render, with its name and line.
pub fn runtime_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    let mut assembly = Assembly::new(Layer::Runtime, options)?;
    let mut mapped_policies = Vec::with_capacity(policies.len());
    namespaces("--namespace", &options.namespaces)?;
    namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    for located in policies {
        let policy = &located.policy;
        let mapped = assembly.says(policy);
        if has_rules(policy, &mapped, options) {
            check_scope(located)?;
            if options.access.is_none() {
                let id = format!("{}__runtime", macro_name(&policy.name));
                assembly.runtime(&policy.name, &id, scope(Some(policy), options), &mapped, &located.place)?;
            }
        }
        mapped_policies.push((policy.name.clone(), mapped));
    }
    if let Some(access) = &options.access {
        for group in together::groups(policies, access) {
            let mapped = assembly.says(&group.policy);
            let mut narrowed = scope(None, options);
            narrowed.extend(within(&group.namespaces));
            narrowed.extend(annotated(&group.members));
            let place = Place { file: format!("the policies {}", group.name), ..Place::default() };
            assembly.runtime(&group.name, &group.id, narrowed, &mapped, &place)?;
        }
    }
    let baseline = if options.baseline { assembly.baseline()? } else { String::new() };
    let rules = assembly.rules + baseline.lines().filter(|l| l.starts_with("- rule:")).count();
    let shared = assembly.shared_items(shared_data(options))?;
    let opening = format!("{}{shared}", header(policies, &mapped_policies, options));
    Ok(Rendered {
        layer: Layer::Runtime,
        text: framed(&opening, assembly.all, &baseline),
        sample: framed(&opening, assembly.sample, &baseline),
        rules,
        policies: mapped_policies,
        left_out: Vec::new(),
        bundle: None,
    })
}

impl<'a> Said<'a> {
    fn runtime(sight: &'a Sight) -> Self {
        Self { sentences: vec![("sees", sight.sees.as_deref())], data: &sight.data }
    }
}

impl Assembly<'_> {
    /// Adds the macros and rules of one policy, or of several that stand together, if there is anything to see.
    fn runtime(
        &mut self,
        name: &str,
        id: &str,
        scope: Vec<String>,
        mapped: &Says,
        place: &Place,
    ) -> Result<()> {
        let said: Vec<(Field, Said<'_>)> =
            mapped.iter().map(|(f, m)| (*f, Said::runtime(&m.runtime))).collect();
        if said.iter().any(|(_, said)| !said.nothing()) {
            self.policy(name, id, scope, &said, place)?;
            self.bounded(place)?;
        }
        Ok(())
    }

    /// The rules that belong to no policy.
    fn baseline(&mut self) -> Result<String> {
        let mut data = self.base.clone();
        insert(&mut data, "scope", scope(None, self.options));
        let text = block::tidy(&self.templates.render("baseline", data)?);
        self.shared.extend(block::shared_names(&text));
        Ok(text)
    }
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
fn within(namespaces: &together::Namespaces) -> Option<String> {
    match namespaces {
        together::Namespaces::These(names) => Some(format!("k8s.ns.name in ({})", quoted(names))),
        together::Namespaces::Others(names) if names.is_empty() => None,
        together::Namespaces::Others(names) => {
            Some(format!("k8s.ns.name exists and not k8s.ns.name in ({})", quoted(names)))
        }
    }
}

/// Does a policy get runtime rules? One that admission skipped does, unless RBAC is known.
fn has_rules(policy: &Policy, mapped: &Says, options: &Options) -> bool {
    let seen = mapped.iter().any(|(_, m)| m.runtime.sees.is_some());
    seen && (options.access.is_none() || unusable(policy).is_none())
}

/// The file's opening: what made it, of what, how to tune it, and what it needs.
fn header(policies: &[Located], mapped: &[(String, Says)], options: &Options) -> String {
    let listed = policies_listed(policies, mapped, |policy, says| {
        note(policy, has_rules(policy, says, options), " (restricts nothing that can be seen: no rules)")
    });
    format!(
        "# Falco rules for running containers, made by psp2falco {} from PodSecurityPolicies. Do not edit: to tune, let a\n\
         # later file override psps_runtime_exempt_namespaces, psps_runtime_exempt_images, psps_runtime_exempt,\n\
         # psp_<policy>__runtime__exempt, or a rule.\n{listed}
- required_engine_version: {ENGINE}

- required_plugin_versions:
    - name: container
      version: {CONTAINER}
",
        env!("CARGO_PKG_VERSION"),
    )
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
