//! `requiredDropCapabilities`: which capabilities did admission drop from every container?

use super::{Mapped, listed};
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let names = &policy.spec.required_drop_capabilities;
    Mapped::value(listed(names))
        .corrects(!names.is_empty(), format!("container that does not drop {}, which the policy dropped", listed(names)))
        .with("names", names.clone())
}
