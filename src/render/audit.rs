//! The rules for the Kubernetes audit log: what a policy would have refused or corrected, seen on the pods that are made.

use std::collections::BTreeMap;

use anyhow::Result;
use psp_admission::Policy;
use psp_admission::sysctl::SAFE;
use serde_json::{Map, Value};

use super::decision::Decision;
use super::grants;
use super::header::{Plugin, Requirements, header};
use super::item::Names;
use super::macro_name::macro_name;
use super::options::{Layer, Options};
use super::rules_file::{Rendered, RulesFile};
use super::scope::{check_namespaces, check_scope, everywhere, scope};
use super::source::{Scope, Source};
use crate::pattern;
use crate::psp::validity::unusable;
use crate::read::Located;
use crate::restrictions::Restrictions;

/// The oldest engine that has all operators of the plain rules (Falco 0.39: `regex`).
pub(super) const ENGINE: &str = "0.43.0";
/// The oldest engine that has `concat` (Falco 0.44), which ties a mount to its volume.
const ENGINE_WITH_CONCAT: &str = "0.62.0";

/// What reads the audit log or a cloud's and hands on the events in the API server's own words, and what the conditions
/// read pods with.
const PLUGINS: &[&[Plugin]] = &[
    &[
        Plugin::new("k8saudit", "0.7.0"),
        Plugin::new("k8saudit-eks", "0.4.0"),
        Plugin::new("k8saudit-aks", "0.1.0"),
        Plugin::new("k8saudit-ovh", "0.1.0"),
    ],
    &[Plugin::new("json", "0.7.0")],
];

/// The containers whose security contexts the rules look at one by one, as nearly all pods have no others: for each rule
/// Falco asks its plugins once more: a short value takes a microsecond or two, the text of a whole spec twenty and more.
const CONTAINER_SLOTS: [&str; 5] =
    ["containers/0", "containers/1", "containers/2", "initContainers/0", "initContainers/1"];
/// A pod with a container here has others.
const BEYOND_SLOTS: [&str; 3] = ["containers/3", "initContainers/2", "ephemeralContainers/0"];
/// The security context of a container that meets the Pod Security Standard "restricted". Its keys have the order of
/// the API (`core/v1/types.go`, `SecurityContext`): in a log with sorted keys none looks like it.
const HARDENED: &str = concat!(
    r#"{"capabilities":{"drop":[[]"ALL"[]]},("privileged":false,)?"#,
    r#"("r[A-Za-z]*":(true|[1-9][0-9]*),)*"allowPrivilegeEscalation":false(,"[A-Za-z]*":{"type":"RuntimeDefault"})*}"#
);

/// Makes the rules for the Kubernetes audit log that read pods themselves.
///
/// # Errors
/// A template that does not render, or not to rules, with its file and line.
pub(super) fn stock_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    check_namespaces("--namespace", &options.namespaces)?;
    check_namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    let mut file = RulesFile::new(Layer::Audit, options)?;
    let shared: [(&str, Value); 4] = [
        ("container_slots", CONTAINER_SLOTS.to_vec().into()),
        ("beyond_slots", BEYOND_SLOTS.to_vec().into()),
        ("hardened", HARDENED.into()),
        ("safe_sysctls", SAFE.map(pattern::literal).to_vec().into()),
    ];
    let shared = shared.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    file.add_shared(&file.templates.items(Source::Shared("shared", shared))?);

    let mut decision = options
        .access
        .as_ref()
        .map(|access| Decision::new(access, options.object, options.templates.is_none()))
        .transpose()?;
    let mut restrictions = Vec::with_capacity(policies.len());
    for located in policies {
        let policy = &located.policy;
        let restricted = file.restrictions(policy);
        let mut rules = None;
        if has_rules(policy, &restricted, options) {
            check_scope(located)?;
            let known = options.access.as_ref().filter(|access| !access.stands_alone(&policy.name));
            let by_all = known.and_then(|access| access.of(&policy.name)).is_some_and(grants::by_all);
            let names = Names::new(&[&policy.name], macro_name(&policy.name));
            let conditions = scope(policy, options);
            let scope = Scope { usable: known.is_some(), first: known.is_some() && !by_all, conditions };
            rules = Some(file.policy_rules(names, scope, &restricted, &located.place)?);
        }
        restrictions.push((policy.name.clone(), restricted));
        match &mut decision {
            Some(decision) if unusable(policy).is_none() => decision.add(located, rules)?,
            Some(_) => {}
            None => rules.iter().try_for_each(|rules| file.add(rules, &BTreeMap::new(), &located.place))?,
        }
    }
    let left_out = decision.map(|decision| decision.finish(&mut file, everywhere(options))).transpose()?;

    let needed = file.needed();
    let mut guard = Map::new();
    guard.insert("counts_containers".to_owned(), needed.contains("psps_no_apparmor").into());
    let numbers_volumes = needed.iter().any(|name| name.starts_with("psps_writes_volume"));
    guard.insert("numbers_volumes".to_owned(), numbers_volumes.into());
    file.add_shared(&file.templates.items(Source::Shared("incomplete", guard))?);

    let requirements = |calls_concat| {
        let engine = if calls_concat { ENGINE_WITH_CONCAT } else { ENGINE };
        Requirements { engine, plugins: PLUGINS }
    };
    let mut rendered = file.finish(restrictions, requirements, |restrictions, requirements| {
        audit_header(policies, restrictions, requirements, options)
    });
    rendered.left_out = left_out.unwrap_or_default();
    Ok(rendered)
}

/// The opening of a file of rules for the audit log.
pub(super) fn audit_header(
    policies: &[Located],
    restrictions: &[(String, Restrictions)],
    requirements: Requirements,
    options: &Options,
) -> String {
    let made = format!(
        "# Falco rules for the Kubernetes audit log, made by psp2falco {} from PodSecurityPolicies. Do not edit: to\n\
         # tune, let a later file override psps_exempt_namespaces, psps_exempt, psp_<policy>__exempt, or a rule.\n",
        env!("CARGO_PKG_VERSION"),
    );
    let has_rules = |policy: &Policy, restricted: &Restrictions| has_rules(policy, restricted, options);
    header(&made, policies, restrictions, (has_rules, " (restricts nothing: no rules)"), requirements)
}

/// Does a policy get audit rules? One that admission skipped does, unless RBAC is known: then the rules decide as
/// admission did.
pub(super) fn has_rules(policy: &Policy, restrictions: &Restrictions, options: &Options) -> bool {
    let restricts = restrictions.iter().any(|(_, m)| m.refuses.is_some() || m.corrects.is_some());
    restricts && (options.access.is_none() || unusable(policy).is_none())
}
