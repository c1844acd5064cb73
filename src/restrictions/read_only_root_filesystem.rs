//! `readOnlyRootFilesystem`: must containers leave their root file system alone?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped};
use super::restriction::{Restriction, UNSEEN};
use crate::pod_security::Level;

pub(super) struct ReadOnlyRootFilesystem;

impl Restriction for ReadOnlyRootFilesystem {
    fn map(policy: &Policy) -> Mapped {
        let required = policy.spec.read_only_root_filesystem;
        Mapped::value(if required { "required" } else { "not required" })
            .runtime(AtRuntime::approximate(
                required,
                "write on the container's root file system",
                "shows files opened for writing, not a file system that nobody writes to; without overlayfs only in containers without mounts",
            ))
            .refuses(required, "container with a writable root file system")
            .corrects(required, "readOnlyRootFilesystem unset, which the policy set to true")
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some(UNSEEN)
    }
}
