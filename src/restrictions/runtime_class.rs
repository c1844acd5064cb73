//! `runtimeClass`: which runtime classes may pods use, and which did they get?

use std::collections::HashSet;

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, listed};
use super::restriction::{Restriction, UNSEEN};
use crate::messages::policy as messages;
use crate::pod_security::Level;
use crate::problem::quote;
use crate::psp::fault::Fault;
use crate::psp::names::name;

const ALLOWED: &str = "spec.runtimeClass.allowedRuntimeClassNames";
const DEFAULT: &str = "spec.runtimeClass.defaultRuntimeClassName";

pub(super) struct RuntimeClass;

impl Restriction for RuntimeClass {
    fn map(policy: &Policy) -> Mapped {
        let Some(class) = &policy.spec.runtime_class else { return Mapped::value("any") };
        let any = class.allowed.iter().any(|name| name == "*");
        let allowed = if any { "any".to_owned() } else { listed(&class.allowed) };
        let default = class.default.clone().unwrap_or_default();
        let value =
            if default.is_empty() { allowed.clone() } else { format!("{allowed}; default {default}") };
        Mapped::value(value)
            .refuses(!any, format!("runtime class other than {allowed}"))
            .corrects(
                class.default.is_some(),
                format!("runtimeClassName unset, which the policy set to {default}"),
            )
            .runtime(AtRuntime::undetectable("the containers' metadata does not name the class"))
            .with("names", class.allowed.clone())
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        let Some(class) = &policy.spec.runtime_class else { return Vec::new() };
        let mut seen = HashSet::new();
        let mut faults = Vec::new();
        for (index, allowed) in class.allowed.iter().enumerate() {
            let path = || format!("{ALLOWED}[{index}]");
            if allowed != "*" {
                faults.extend(name(allowed).map(|message| Fault::new(path(), message)));
            }
            if !seen.insert(allowed.as_str()) {
                faults.push(Fault::new(path(), messages::listed_twice(quote(allowed))));
            }
        }
        if let Some(default) = &class.default {
            faults.extend(name(default).map(|message| Fault::new(DEFAULT, message)));
            if !seen.contains(default.as_str()) && !seen.contains("*") {
                faults.push(Fault::new(ALLOWED, messages::default_not_allowed(quote(default))));
            }
        }
        if seen.contains("*") && class.allowed.len() > 1 {
            faults.push(Fault::new(ALLOWED, messages::all_names()));
        }
        faults
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some(UNSEEN)
    }
}
