//! `readOnlyRootFilesystem`: must containers leave their root file system alone?

use super::Mapped;
use crate::psp::Policy;

pub(super) fn map(policy: &Policy) -> Mapped {
    let required = policy.spec.read_only_root_filesystem;
    Mapped::value(if required { "required" } else { "not required" })
        .refuses(required, "container with a writable root file system")
        .corrects(required, "readOnlyRootFilesystem unset, which the policy set to true")
}
