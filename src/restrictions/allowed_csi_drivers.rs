//! `allowedCSIDrivers`: which inline CSI drivers may pods use?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, listed, whole_strings};
use super::restriction::{Restriction, UNSEEN, allows_volume};
use crate::messages::policy as messages;
use crate::pod_security::Level;
use crate::psp::fault::Fault;
use crate::psp::names::{MAX_LABEL, name};

pub(super) struct AllowedCsiDrivers;

impl Restriction for AllowedCsiDrivers {
    fn map(policy: &Policy) -> Mapped {
        let drivers = &policy.spec.allowed_csi_drivers;
        let type_allowed = allows_volume(policy, "csi");
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

    fn faults(policy: &Policy) -> Vec<Fault> {
        let drivers = policy.spec.allowed_csi_drivers.iter().enumerate();
        let wrong = |driver: &str| match driver.len() {
            0 => Some(messages::no_driver()),
            length if length > MAX_LABEL => Some(messages::too_long(MAX_LABEL)),
            _ => name(&driver.to_lowercase()),
        };
        let path = |n: usize| format!("spec.allowedCSIDrivers[{n}].name");
        drivers.filter_map(|(n, driver)| Some(Fault::new(path(n), wrong(driver)?))).collect()
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some(UNSEEN)
    }
}
