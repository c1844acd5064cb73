//! `readOnlyRootFilesystem`: must containers have a read-only root file system?
//!
//! A policy that says true refuses a container with `readOnlyRootFilesystem: false`, and set true where it was unset.

use super::restriction::Restriction;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct ReadOnlyRootFilesystem;

impl Restriction for ReadOnlyRootFilesystem {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        where_it_is(Some(false), policy, pod, Found::Flag(false), Problem::NotAllowed)
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        where_it_is(None, policy, pod, Found::Unset, Problem::Set(Found::Flag(true)))
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        policy.spec.read_only_root_filesystem && !other.spec.read_only_root_filesystem
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.read_only_root_filesystem =
            a.spec.read_only_root_filesystem && b.spec.read_only_root_filesystem;
    }
}

fn where_it_is<'a>(
    value: Option<bool>,
    policy: &'a Policy,
    pod: &'a Pod<'a>,
    found: Found<'a>,
    problem: Problem<'a>,
) -> impl Iterator<Item = Reason<'a>> {
    let required = policy.spec.read_only_root_filesystem;
    let containers = pod.containers.iter().filter(move |c| required && c.read_only_root_filesystem == value);
    containers.map(move |container| Reason {
        place: container.place(),
        path: "securityContext.readOnlyRootFilesystem",
        found,
        problem: problem.clone(),
    })
}
