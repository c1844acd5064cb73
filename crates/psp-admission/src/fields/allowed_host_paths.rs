//! `allowedHostPaths`: which paths of the node may hostPath volumes use?
//!
//! A hostPath volume's path is at or below a `pathPrefix`, on the boundary of a path segment. Where only entries with
//! `readOnly: true` match, every container mounts the volume read-only. An absent list allows any path; the list
//! counts only where hostPath is an allowed type of volume.

use super::restriction::{Restriction, allows_volumes, joined_where_allowed};
use crate::pod::{Place, Pod};
use crate::policy::{HostPath, Policy};
use crate::reason::{Found, Problem, Reason};

pub(super) struct AllowedHostPaths;

const SOURCE: &str = "hostPath";

impl Restriction for AllowedHostPaths {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let allowed = &policy.spec.allowed_host_paths;
        let counts = !allowed.is_empty() && allows_volumes(policy, SOURCE);
        let volumes = pod.volumes.iter().filter(move |v| counts && v.source.as_deref() == Some(SOURCE));
        volumes.flat_map(move |volume| {
            let access = host_path_access(allowed, &volume.detail);
            let outside = (access == PathAccess::None).then_some(Problem::NotUnder(allowed));
            let writers = volume.writers.iter().filter(move |_| access == PathAccess::ReadOnly);
            let written = writers
                .filter_map(|position| pod.containers.get(*position))
                .map(|container| Problem::WrittenBy(container.list, &container.name));
            outside.into_iter().chain(written).map(|problem| Reason {
                place: Place::Volume(&volume.name),
                path: SOURCE,
                found: Found::Word(&volume.detail),
                problem,
            })
        })
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        let (own, its) = (&policy.spec.allowed_host_paths, &other.spec.allowed_host_paths);
        // volumes of a type that only one of the two allows are a matter of the field volumes
        if own.is_empty() || !allows_volumes(policy, "hostPath") || !allows_volumes(other, "hostPath") {
            return false;
        }
        if its.is_empty() {
            return host_path_access(own, "/") != PathAccess::ReadWrite;
        }
        its.iter().any(|path| match host_path_access(own, &path.path_prefix) {
            PathAccess::ReadWrite => false,
            PathAccess::ReadOnly => !path.read_only,
            PathAccess::None => true,
        })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.allowed_host_paths =
            joined_where_allowed(SOURCE, (a, &a.spec.allowed_host_paths), (b, &b.spec.allowed_host_paths));
    }
}

/// How `allowedHostPaths` lets a path be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathAccess {
    /// Not at all.
    None,
    /// Mounted read-only.
    ReadOnly,
    /// In any way.
    ReadWrite,
}

/// How `allowed` lets `path` be used (`AllowsHostVolumePath` in `podsecuritypolicy/util`).
fn host_path_access(allowed: &[HostPath], path: &str) -> PathAccess {
    let matching = || allowed.iter().filter(|a| has_path_prefix(path, &a.path_prefix));
    if matching().any(|a| !a.read_only) {
        PathAccess::ReadWrite
    } else if matching().next().is_some() {
        PathAccess::ReadOnly
    } else {
        PathAccess::None
    }
}

fn has_path_prefix(path: &str, prefix: &str) -> bool {
    let trimmed = |text| str::strip_suffix(text, '/').unwrap_or(text);
    trimmed(path).strip_prefix(trimmed(prefix)).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
