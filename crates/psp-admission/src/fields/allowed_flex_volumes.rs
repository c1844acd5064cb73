//! `allowedFlexVolumes`: which drivers may flexVolume volumes use?
//!
//! A flexVolume's driver is listed. An absent or empty list allows any; the list counts only where flexVolume is an allowed
//! type of volume.

use super::restriction::{Restriction, allows_volumes, drivers_ask_more, joined_where_allowed};
use crate::pod::{Place, Pod};
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct AllowedFlexVolumes;

const SOURCE: &str = "flexVolume";

impl Restriction for AllowedFlexVolumes {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let drivers = &policy.spec.allowed_flex_volumes;
        let counts = !drivers.is_empty() && allows_volumes(policy, SOURCE);
        let volumes = pod.volumes.iter().filter(move |v| counts && v.source.as_deref() == Some(SOURCE));
        volumes.filter(|volume| !drivers.iter().any(|driver| *driver == volume.detail)).map(|volume| Reason {
            place: Place::Volume(&volume.name),
            path: SOURCE,
            found: Found::Word(&volume.detail),
            problem: Problem::NotListed(drivers, &[]),
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        drivers_ask_more("flexVolume", policy, other, |spec| &spec.allowed_flex_volumes)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.allowed_flex_volumes = joined_where_allowed(
            SOURCE,
            (a, &a.spec.allowed_flex_volumes),
            (b, &b.spec.allowed_flex_volumes),
        );
    }
}
