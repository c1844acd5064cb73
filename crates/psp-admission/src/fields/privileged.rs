//! `privileged`: may containers be privileged?
//!
//! A policy that says false refuses a container with `securityContext.privileged: true`. A Windows host process
//! (`windowsOptions.hostProcess: true` of a container or of the pod), which the API of policies could not name, is the
//! same thing by another name.

use super::restriction::Restriction;
use crate::pod::{Container, Place, Pod};
use crate::policy::Policy;
use crate::reason::{Found, Problem, Reason};

pub(super) struct Privileged;

const HOST_PROCESS: &str = "securityContext.windowsOptions.hostProcess";

impl Restriction for Privileged {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let allowed = policy.spec.privileged;
        let reason =
            |place, path| Reason { place, path, found: Found::Flag(true), problem: Problem::NotAllowed };
        let of_container = move |container: &'a Container<'a>| {
            let privileged = container.privileged.then_some("securityContext.privileged");
            let host_process = container.security.host_process.then_some(HOST_PROCESS);
            privileged.into_iter().chain(host_process).map(move |path| reason(container.place(), path))
        };
        let of_pod = pod.security.host_process.then(|| reason(Place::Pod, HOST_PROCESS));
        of_pod.into_iter().chain(pod.containers.iter().flat_map(of_container)).filter(move |_| !allowed)
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        !policy.spec.privileged && other.spec.privileged
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.privileged = a.spec.privileged || b.spec.privileged;
    }
}
