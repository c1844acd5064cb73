//! `volumes`: which types of volumes may pods use?
//!
//! A volume's type is listed, or the list has `*`; an absent or empty list allows none. Where `secret` is listed, so is
//! a projected volume made only of what a service account token volume holds.

use super::restriction::{Restriction, joined, leaves_out};
use crate::pod::{Place, Pod, Volume, volume_type};
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct Volumes;

impl Restriction for Volumes {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let types = &policy.spec.volumes;
        pod.volumes.iter().filter_map(move |volume| {
            let source = volume.source.as_deref().filter(|source| !allowed(types, source, volume))?;
            Some(Reason {
                place: Place::Volume(&volume.name),
                path: "",
                found: Found::Word(volume_type(source)),
                problem: Problem::NotListed(types, &[]),
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        leaves_out(&policy.spec.volumes, &policy.spec.volumes, &other.spec.volumes)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.volumes = joined(&a.spec.volumes, &b.spec.volumes);
    }
}

fn allowed(types: &[String], source: &str, volume: &Volume<'_>) -> bool {
    let wanted = volume_type(source);
    types
        .iter()
        .any(|listed| listed == "*" || listed == wanted || listed == "secret" && volume.only_service_account)
}
