//! Who may use which policy, by the objects of an inventory; and what is to be said of these objects.

use psp_admission::access::{Access, Doubt, Given, Note};

use crate::messages::read as messages;
use crate::problem::{Message, Problem, quote};
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
        let message = messages::of_object(&object.kind, quote(name), message(what, access.whole));
        Some(Problem::new(object.place.clone(), "", message))
    })
}

fn message(doubt: &Doubt, whole: bool) -> Message {
    match doubt {
        Doubt::NoRole(kind, role) if whole => messages::no_role(kind.name(), quote(role)),
        Doubt::NoRole(kind, role) => messages::role_not_read(kind.name(), quote(role)),
        Doubt::SeveralRoles(kind, role, count) => messages::several_roles(kind.name(), quote(role), count),
        Doubt::NoAccount(namespace, account) => {
            messages::no_account(quote(&format!("{namespace}/{account}")))
        }
        Doubt::HomelessAccount(account) => messages::account_without_namespace(quote(account)),
        Doubt::NoParts => messages::role_without_parts(),
    }
}
