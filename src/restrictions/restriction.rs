//! What the program knows of one field.

use psp_admission::Policy;

use super::mapped::Mapped;
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::Fault;

/// What the program knows of one field.
pub(super) trait Restriction {
    /// What a policy says here, in words, and what the field's templates need.
    fn map(policy: &Policy) -> Mapped;

    /// Why the API server would have refused the policy.
    fn faults(_: &Policy) -> Vec<Fault> {
        Vec::new()
    }

    /// What the API server accepted and an administrator would hardly have meant.
    fn remarks(_: &Policy) -> Vec<Fault> {
        Vec::new()
    }

    /// What the policy does here about what a check of pod security admission demands. `None`: what the field says does
    /// not matter to the check.
    fn stance(_: &Policy, _: Check) -> Option<Stance> {
        None
    }

    /// What `level` admits that the policy's field does not. `None`: the level is at least as strict.
    fn beyond(policy: &Policy, level: Level) -> Option<&'static str>;
}

/// Said of a field that no level looks at.
pub(super) const UNSEEN: &str = "the level does not look at it";

/// What `level` admits beyond a field that levels from `needed` on make up for.
pub(super) fn below(level: Level, needed: Level) -> Option<&'static str> {
    (level < needed).then_some(UNSEEN)
}

/// Does the policy let pods use volumes of this type?
pub(super) fn allows_volume(policy: &Policy, type_: &str) -> bool {
    policy.spec.volumes.iter().any(|listed| listed == type_ || listed == "*")
}

/// Does a path have a `..` among its parts?
pub(super) fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
