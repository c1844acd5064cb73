//! `defaultAddCapabilities`: which capabilities did admission add to every container?

use super::{Mapped, listed};
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let names = &policy.spec.default_add_capabilities;
    Mapped::value(listed(names))
        .corrects(!names.is_empty(), format!("container that neither adds nor drops {}, which the policy added", listed(names)))
        .with("names", names.clone())
}
