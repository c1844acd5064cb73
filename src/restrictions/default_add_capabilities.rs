//! `defaultAddCapabilities`: which capabilities did admission add to every container?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, listed};

pub(super) fn map(policy: &Policy) -> Mapped {
    let names = &policy.spec.default_add_capabilities;
    Mapped::value(listed(names))
        .corrects(
            !names.is_empty(),
            format!("container that neither adds nor drops {}, which the policy added", listed(names)),
        )
        .runtime(AtRuntime::undetectable("a process without a capability may never have been given it"))
        .with("names", names.clone())
}
