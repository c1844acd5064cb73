//! `runtimeClass`: which runtime classes may pods use, and which did they get?
//!
//! A pod's `runtimeClassName` is in `allowedRuntimeClassNames` (`*` allows all). Where it was unset it became
//! `defaultRuntimeClassName`, if the policy has one; else unset is always allowed. A policy without the field restricts
//! nothing.

use super::restriction::{Restriction, joined, leaves_out};
use crate::pod::Pod;
use crate::policy::{Policy, RuntimeClass as Classes};
use crate::reason::{Found, Problem, Reason};

pub(super) struct RuntimeClass;

const PATH: &str = "runtimeClassName";

impl Restriction for RuntimeClass {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let reason = |classes: &'a Classes| {
            let own = pod.runtime_class.as_deref();
            let name = own.or(classes.default.as_deref())?;
            let refused = !classes.allowed.iter().any(|allowed| allowed == "*" || allowed == name);
            let found = if own.is_some() { Found::Word(name) } else { Found::UnsetMeaning(name) };
            refused.then(|| Reason::of_pod(PATH, found, Problem::NotListed(&classes.allowed, &[])))
        };
        policy.spec.runtime_class.as_ref().and_then(reason).into_iter()
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let default = policy.spec.runtime_class.as_ref().and_then(|classes| classes.default.as_deref());
        let set = default.filter(|_| pod.runtime_class.is_none());
        set.map(|set| Reason::of_pod(PATH, Found::Unset, Problem::Set(Found::Word(set)))).into_iter()
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        let Some(own) = &policy.spec.runtime_class else { return false };
        let its = other.spec.runtime_class.as_ref();
        let fills_in = own.default.is_some() && its.and_then(|class| class.default.as_ref()).is_none();
        let any = ["*".to_owned()];
        fills_in || leaves_out(&own.allowed, &own.allowed, its.map_or(&any, |class| &class.allowed))
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.runtime_class = match (&a.spec.runtime_class, &b.spec.runtime_class) {
            (Some(a), Some(b)) => Some(Classes {
                allowed: joined(&a.allowed, &b.allowed),
                default: a.default.clone().filter(|default| b.default.as_ref() == Some(default)),
            }),
            _ => None,
        };
    }
}
