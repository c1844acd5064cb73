//! `allowedCSIDrivers`: which inline CSI drivers may pods use?

use psp_admission::Policy;

use super::{AtRuntime, Mapped, listed, whole_strings};

pub(super) fn map(policy: &Policy) -> Mapped {
    let drivers = &policy.spec.allowed_csi_drivers;
    let type_allowed = policy.spec.volumes.iter().any(|t| t == "*" || t == "csi");
    let value = if drivers.is_empty() { "any".to_owned() } else { listed(drivers) };
    let mapped = Mapped::value(value)
        .refuses(
            type_allowed && !drivers.is_empty(),
            format!("inline CSI driver other than {}", listed(drivers)),
        )
        .runtime(AtRuntime::undetectable("a mount shows that a volume is CSI's, not by which driver"))
        .with("drivers", whole_strings(drivers.iter().map(String::as_str)));
    if type_allowed { mapped } else { mapped.note("csi is no allowed volume type: see volumes") }
}
