//! `allowedFlexVolumes`: which FlexVolume drivers may pods use?

use psp_admission::Policy;

use super::mapped::{AtRuntime, Mapped, listed, one_line, whole_strings};
use super::restriction::{Restriction, allows_volume, below};
use crate::messages::policy as messages;
use crate::pod_security::Level;
use crate::psp::fault::Fault;

pub(super) struct AllowedFlexVolumes;

impl Restriction for AllowedFlexVolumes {
    fn map(policy: &Policy) -> Mapped {
        let drivers = &policy.spec.allowed_flex_volumes;
        let type_allowed = allows_volume(policy, "flexVolume");
        let value = if drivers.is_empty() { "any".to_owned() } else { listed(drivers) };
        // the kubelet's folder for a driver; driver names hold one slash at most
        let folders: Vec<String> =
            drivers.iter().filter(|d| one_line(d)).map(|d| format!("{}/", d.replace('/', "~"))).collect();
        let mapped = Mapped::value(value)
            .runtime(
                AtRuntime::approximate(
                    type_allowed && !drivers.is_empty(),
                    format!("mounted FlexVolume of a driver other than {}", listed(drivers)),
                    "a persistent volume of such a driver looks the same",
                )
                .with(
                    "folders",
                    std::iter::once("kubernetes.io~".to_owned()).chain(folders).collect::<Vec<_>>(),
                ),
            )
            .refuses(
                type_allowed && !drivers.is_empty(),
                format!("FlexVolume driver other than {}", listed(drivers)),
            )
            .with("drivers", whole_strings(drivers.iter().map(String::as_str)));
        if type_allowed { mapped } else { mapped.note("flexVolume is no allowed volume type: see volumes") }
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        let unnamed =
            policy.spec.allowed_flex_volumes.iter().enumerate().filter(|(_, driver)| driver.is_empty());
        let path = |n: usize| format!("spec.allowedFlexVolumes[{n}].driver");
        unnamed.map(|(n, _)| Fault::new(path(n), messages::no_driver())).collect()
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Restricted)
    }
}
