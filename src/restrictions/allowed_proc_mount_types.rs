//! `allowedProcMountTypes`: may containers see `/proc` unmasked?

use psp_admission::Policy;
use psp_admission::fields::allowed_proc_mounts;

use super::{AtRuntime, Mapped, listed};

pub(super) fn map(policy: &Policy) -> Mapped {
    let types: Vec<String> = allowed_proc_mounts(policy).map(str::to_owned).collect();
    let lists = |wanted: &str| types.iter().any(|t| t == wanted);
    let (masked, unmasked) = (lists("Default"), lists("Unmasked"));
    Mapped::value(listed(&types))
        .runtime(match (masked, unmasked) {
            (true, _) => AtRuntime::approximate(
                !unmasked,
                "access to paths that the default proc mount hides or protects",
                "shows the use of such a path, not the mount; a masked path can be opened, too, and is empty then",
            ),
            (false, _) => AtRuntime::undetectable("a masked /proc is what every container has"),
        })
        .refuses(!masked || !unmasked, format!("proc mount type other than {}", listed(&types)))
        .with("masked", masked)
        .with("unmasked", unmasked)
}
