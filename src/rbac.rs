//! Who may use which policy, by the objects of an inventory; and what is to be said of these objects.

use psp_admission::access::{Access, Doubt, Given, Note};

use crate::problem::{Problem, quote};
use crate::read::Inventory;

/// Who may use the policies of an inventory. Objects without a namespace are in `default_namespace`, where it is
/// given; see [`Access::new`]. `None` if the inventory lacks roles or bindings.
pub fn access(inventory: &Inventory, default_namespace: Option<&str>) -> Option<Access> {
    let objects = inventory.objects.iter();
    let objects: Vec<Given<'_>> =
        objects.map(|object| Given { value: &object.value, file: &object.place.file }).collect();
    Access::new(&objects, inventory.policies.iter().map(|p| p.policy.name.as_str()), default_namespace)
}

/// What is to be said of the objects of an inventory, each at its place. `access` is [`access`] of this inventory.
pub fn problems<'i>(inventory: &'i Inventory, access: &'i Access) -> impl Iterator<Item = Problem> + 'i {
    access.notes.iter().filter_map(|Note { object, what }| {
        let object = inventory.objects.get(*object)?;
        let name =
            object.value.pointer("/metadata/name").and_then(serde_json::Value::as_str).unwrap_or_default();
        let message = format!("{} {}: {}", object.kind, quote(name), message(what, access.whole));
        Some(Problem { place: object.place.clone(), path: String::new(), message })
    })
}

fn message(doubt: &Doubt, whole: bool) -> String {
    match doubt {
        Doubt::NoRole(kind, role) if whole => {
            format!("the {} {} does not exist here; it grants nothing", kind.name(), quote(role))
        }
        Doubt::NoRole(kind, role) => format!(
            "the {} {} is not in the input, so what it grants is not known; add its file",
            kind.name(),
            quote(role)
        ),
        Doubt::SeveralRoles(kind, role, count) => format!(
            "the {} {} is defined {count} times, each otherwise, and only what all of them grant counts; convert one \
             environment at a time",
            kind.name(),
            quote(role)
        ),
        Doubt::NoAccount(namespace, account) => {
            format!("the service account {} does not exist here", quote(&format!("{namespace}/{account}")))
        }
        Doubt::HomelessAccount(account) => format!(
            "the service account {} has no namespace, so the API server refuses this binding; add \
             subjects[].namespace",
            quote(account)
        ),
        Doubt::NoParts => {
            "an aggregated role without its rules, and without a role that it selects, grants nothing; \
             read it from the cluster"
                .to_owned()
        }
    }
}
