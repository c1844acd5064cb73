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

use super::{
    Assembly, ENGINE, K8SAUDIT, Layer, Options, Rendered, Said, block, check_scope, framed, has_rules,
    header, insert, macro_name, namespaces,
};
use crate::read::Located;

/// The oldest version of the plugin that knows the bundle.
const PSP: &str = "0.1.0";

/// The plugin that reads GKE's log, one more alternative: it sorts the keys of a pod, which the plugin psp does not mind.
const GKE: &str = "        - {name: k8saudit-gke, version: 0.1.0}\n";

/// The bundle as the plugin reads it.
#[derive(Debug, Clone)]
pub struct BundleText {
    /// The file.
    pub text: String,
    /// The digest that it states.
    pub digest: String,
}

/// Makes the rules for a Falco with the plugin psp, and the bundle that it judges by.
///
/// # Errors
/// A template that does not render, with its name and line; and what no rule or bundle can hold.
pub(super) fn plugin_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    let mut assembly = Assembly::new(Layer::Audit, options)?;
    let mut mapped_policies = Vec::with_capacity(policies.len());
    namespaces("--namespace", &options.namespaces)?;
    namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    if policies.len() > MAX_POLICIES {
        bail!("--plugin: {} policies are more than a bundle may have ({MAX_POLICIES})", policies.len());
    }
    for located in policies {
        let policy = &located.policy;
        let mapped = assembly.says(policy);
        if has_rules(policy, &mapped, options) {
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
            let said: Vec<(Field, Said<'_>)> = mapped.iter().map(|(f, m)| (*f, Said::audit(m))).collect();
            let id = macro_name(&policy.name);
            assembly.policy(&policy.name, &id, Vec::new(), &said, &located.place)?;
            assembly.bounded(&located.place)?;
        }
        mapped_policies.push((policy.name.clone(), mapped));
    }
    let (text, digest) = bundle(policies, options).to_text();

    let mut data = assembly.base.clone();
    let may_lack = options.access.as_ref().is_some_and(|access| access.whole);
    insert(&mut data, "may_lack", may_lack);
    insert(&mut data, "bundle", digest.as_str());
    let guards = block::tidy(&assembly.templates.render("guards", data)?);
    let rules = assembly.rules + guards.lines().filter(|line| line.starts_with("- rule:")).count();
    assembly.shared.extend(block::shared_names(&guards));
    let plugins = format!("{K8SAUDIT}{GKE}    - name: psp\n      version: {PSP}\n");
    let header = header(policies, &mapped_policies, ENGINE, &plugins, options);
    let opening = format!("{header}{}", assembly.shared_items(super::base_data(options))?);
    Ok(Rendered {
        layer: Layer::Audit,
        text: framed(&opening, assembly.all, &guards),
        sample: framed(&opening, assembly.sample, &guards),
        rules,
        policies: mapped_policies,
        left_out: Vec::new(),
        bundle: Some(BundleText { text, digest }),
    })
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
