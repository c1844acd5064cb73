//! The rules for a Falco with the plugin psp, which judges pods itself: each rule is one look at its verdict.
//!
//! A field's template says the rule's name, priority and tags, here as for the stock rules; only what it calls is
//! other. What the policies say, who may use them and what they are narrowed to stands in the bundle.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use falco_rules::MAX_LITERAL;
use psp_admission::bundle::MAX_POLICIES;
use psp_admission::scope::Scope;
use psp_admission::{Bundle, Field};
use serde_json::{Map, Value};

use super::audit::{ENGINE, audit_header, has_rules};
use super::header::{Plugin, Requirements};
use super::item::Names;
use super::macro_name::macro_name;
use super::options::{Layer, Options};
use super::rules_file::{BundleText, Rendered, RulesFile};
use super::scope::{check_namespaces, check_scope};
use super::source::Source;
use crate::read::Located;

/// What reads the audit log or a cloud's, and the oldest version of the plugin psp that knows the bundle. That for GKE
/// sorts the keys of a pod, which the plugin psp does not mind.
const PLUGINS: &[&[Plugin]] = &[
    &[
        Plugin::new("k8saudit", "0.7.0"),
        Plugin::new("k8saudit-eks", "0.4.0"),
        Plugin::new("k8saudit-aks", "0.1.0"),
        Plugin::new("k8saudit-ovh", "0.1.0"),
        Plugin::new("k8saudit-gke", "0.1.0"),
    ],
    &[Plugin::new("psp", "0.1.0")],
];

/// Makes the rules for a Falco with the plugin psp, and the bundle that it judges by.
///
/// # Errors
/// A template that does not render, or not to rules, with its file and line; and what no rule or bundle can hold.
pub(super) fn plugin_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    check_namespaces("--namespace", &options.namespaces)?;
    check_namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    if policies.len() > MAX_POLICIES {
        bail!(
            "--plugin: {} policies are more than a bundle may have ({MAX_POLICIES}); convert fewer at a time",
            policies.len()
        );
    }
    let mut file = RulesFile::new(Layer::Audit, options)?;
    file.add_shared(&file.templates.items(Source::Shared("shared", Map::new()))?);
    let mut restrictions = Vec::with_capacity(policies.len());
    for located in policies {
        let policy = &located.policy;
        let restricted = file.restrictions(policy);
        if has_rules(policy, &restricted, options) {
            check_scope(located)?;
            if policy.name.len() > longest_name() {
                bail!(
                    "{}: metadata.name: {} bytes are more than a condition can compare; shorten it to {}, or leave \
                     out --plugin",
                    located.place,
                    policy.name.len(),
                    longest_name()
                );
            }
            let names = Names::new(&[&policy.name], macro_name(&policy.name));
            let rules =
                file.policy_rules(names, super::source::Scope::default(), &restricted, &located.place)?;
            file.add(&rules, &BTreeMap::new(), &located.place)?;
        }
        restrictions.push((policy.name.clone(), restricted));
    }
    let (text, digest) = bundle(policies, options).to_text();
    let may_lack = options.access.as_ref().is_some_and(|access| access.whole);
    let guards = [("may_lack", may_lack.into()), ("bundle", Value::from(digest.as_str()))];
    let guards = guards.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    file.add_shared(&file.templates.items(Source::Shared("guards", guards))?);
    let requirements = |_| Requirements { engine: ENGINE, plugins: PLUGINS };
    let mut rendered = file.finish(restrictions, requirements, |restrictions, requirements| {
        audit_header(policies, restrictions, requirements, options)
    });
    rendered.bundle = Some(BundleText { text, digest });
    Ok(rendered)
}

/// All that the plugin is to know.
fn bundle(policies: &[Located], options: &Options) -> Bundle {
    let policies: BTreeMap<_, _> =
        policies.iter().map(|located| (located.policy.name.clone(), located.policy.clone())).collect();
    Bundle {
        object: options.object.admission(),
        scope: Scope {
            namespaces: options.namespaces.clone(),
            exclude_namespaces: options.exclude_namespaces.clone(),
        },
        policies,
        access: options.access.clone(),
    }
}

/// The longest name of a policy whose fields a condition can compare with, in bytes.
fn longest_name() -> usize {
    let field = Field::ALL.iter().map(|field| field.name().len()).max().unwrap_or_default();
    MAX_LITERAL - "/".len() - field
}
