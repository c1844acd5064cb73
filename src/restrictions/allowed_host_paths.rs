//! `allowedHostPaths`: which paths of the node may pods mount, and how?

use psp_admission::Policy;
use psp_admission::policy::HostPath;

use super::mapped::{AtRuntime, Mapped, one_line};
use super::restriction::{Restriction, allows_volume, below, climbs};
use crate::messages::policy as messages;
use crate::pattern::json_text;
use crate::pod_security::Level;
use crate::problem::quote;
use crate::psp::fault::{Fault, of_entries};

pub(super) struct AllowedHostPaths;

impl Restriction for AllowedHostPaths {
    fn map(policy: &Policy) -> Mapped {
        let paths = &policy.spec.allowed_host_paths;
        let type_allowed = allows_volume(policy, "hostPath");
        let words: Vec<String> =
            paths
                .iter()
                .map(|p| {
                    if p.read_only { format!("{} (read-only)", p.path_prefix) } else { p.path_prefix.clone() }
                })
                .collect();
        // at or below: the prefix itself, or the prefix and a slash (`hasPathPrefix` trims one slash off both)
        let at_or_below = |prefix: &str| {
            let trimmed = prefix.strip_suffix('/').unwrap_or(prefix);
            let text = json_text(trimmed);
            let mut literals = vec![format!("{text}/")];
            if !trimmed.ends_with('/') {
                literals.push(format!("{text}\""));
            }
            literals
        };
        let allowed: Vec<String> = paths.iter().flat_map(|p| at_or_below(&p.path_prefix)).collect();
        let writable: Vec<String> =
            paths.iter().filter(|p| !p.read_only).flat_map(|p| at_or_below(&p.path_prefix)).collect();
        let value = if paths.is_empty() { "any".to_owned() } else { words.join(", ") };
        let mapped = Mapped::value(value)
            .runtime(mounts(policy, type_allowed && !paths.is_empty(), &words))
            .refuses(type_allowed && !paths.is_empty(), format!("host path other than {}", words.join(", ")))
            .with("allowed", allowed)
            .with("writable", writable)
            .with("read_only", paths.iter().any(|p| p.read_only));
        if type_allowed { mapped } else { mapped.note("hostPath is no allowed volume type: see volumes") }
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        of_entries("spec.allowedHostPaths", &policy.spec.allowed_host_paths, |entry| {
            if entry.path_prefix.is_empty() {
                Some(messages::no_path_prefix())
            } else {
                climbs(&entry.path_prefix).then(|| messages::climbing_prefix(quote(&entry.path_prefix)))
            }
        })
    }

    fn beyond(_: &Policy, level: Level) -> Option<&'static str> {
        below(level, Level::Baseline)
    }
}

/// Mounts outside the allowed paths, or writable where they must not be.
fn mounts(policy: &Policy, restricted: bool, words: &[String]) -> AtRuntime {
    let paths = &policy.spec.allowed_host_paths;
    let root = |p: &&HostPath| p.path_prefix.trim_end_matches('/').is_empty();
    // at or below: as a mount's source, without its first slash, up to the colon after it
    let within = |read_only: bool| -> Vec<String> {
        let prefixes =
            paths.iter().filter(|p| read_only || !p.read_only).map(|p| p.path_prefix.trim_matches('/'));
        let writable = prefixes.filter(|p| !p.is_empty() && one_line(p));
        writable.flat_map(|p| [format!("{p}/"), format!("{p}:")]).collect()
    };
    let writable_root = paths.iter().filter(root).any(|p| !p.read_only);
    AtRuntime::approximate(
        restricted && !writable_root,
        format!("mounted host path other than {}", words.join(", ")),
        "a host path is what comes from none of the kubelet's and the container runtime's folders; one mounted by subPath is not seen",
    )
    .with("bounded", !paths.iter().any(|p| root(&p)))
    .with("read_only", paths.iter().any(|p| p.read_only))
    .with("within", within(true))
    .with("writable", within(false))
}
