//! `allowedHostPaths`: which paths of the node may pods mount, and how?

use super::Mapped;
use crate::psp::Policy;
use crate::render::pattern::json_text;

pub(super) fn map(policy: &Policy) -> Mapped {
    let paths = &policy.spec.allowed_host_paths;
    let type_allowed = policy.spec.volumes.iter().any(|t| t == "*" || t == "hostPath");
    let words: Vec<String> = paths
        .iter()
        .map(|p| if p.read_only { format!("{} (read-only)", p.path_prefix) } else { p.path_prefix.clone() })
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
        .refuses(type_allowed && !paths.is_empty(), format!("host path other than {}", words.join(", ")))
        .with("allowed", allowed)
        .with("writable", writable)
        .with("read_only", paths.iter().any(|p| p.read_only));
    if type_allowed { mapped } else { mapped.note("hostPath is no allowed volume type: see volumes") }
}
