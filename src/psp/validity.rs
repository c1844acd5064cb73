//! What made a policy object itself invalid to the API server, and what made a valid one useless.
//!
//! Facts: Kubernetes 1.20 `pkg/apis/policy/validation/validation.go` (`ValidatePodSecurityPolicy`). What is wrong with a
//! field stands in the field's own file, in `restrictions`.

use psp_admission::{Field, Policy};

use super::fault::Fault;
use super::names::{name, qualified_name};
use crate::messages::policy as messages;
use crate::restrictions::{faults, remarks as remarks_on};

/// The most bytes that annotations may have together, keys and values.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// All reasons for which the API server would have refused the policy; empty when it accepted it.
///
/// What [`Policy`] cannot hold (a wrong type) and rules that a strategy does not know have been refused by the reader
/// before.
pub fn check(policy: &Policy) -> Vec<Fault> {
    let named = name(&policy.name).map(|message| Fault::new("metadata.name", message));
    let of_fields = Field::ALL.into_iter().flat_map(|field| faults(field, policy));
    named.into_iter().chain(annotations(policy)).chain(of_fields).collect()
}

/// Why admission could not use the policy, although the API server accepted it: it then skipped the policy, which so
/// admitted nothing. `None` for a policy that worked.
pub fn unusable(policy: &Policy) -> Option<String> {
    let reasons: Vec<String> =
        policy.unusable().iter().map(|(field, reason)| format!("spec.{field}: {reason}")).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// What the API server accepted and an administrator would hardly have meant; unusable fields first.
pub fn remarks(policy: &Policy) -> Vec<Fault> {
    let unusable = policy.unusable().into_iter();
    let unusable =
        unusable.map(|(field, reason)| Fault::new(format!("spec.{field}"), messages::unusable(reason)));
    unusable.chain(Field::ALL.into_iter().flat_map(|field| remarks_on(field, policy))).collect()
}

fn annotations(policy: &Policy) -> Vec<Fault> {
    let keys = policy.annotations.keys();
    let mut faults: Vec<Fault> = keys
        .filter_map(|key| {
            let message = qualified_name(&key.to_lowercase())?;
            Some(Fault::new(format!("metadata.annotations[{key}]"), message))
        })
        .collect();
    let size: usize = policy.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        faults.push(Fault::new("metadata.annotations", messages::large_annotations(size, MAX_ANNOTATIONS)));
    }
    faults
}
