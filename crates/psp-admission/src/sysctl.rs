//! Sysctl names and patterns (Kubernetes `pkg/security/podsecuritypolicy/sysctl`).

/// The sysctls that every policy allowed unless it forbade them: four up to Kubernetes 1.21, the fifth from 1.22.
pub const SAFE: [&str; 5] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
];

/// Is `name` in the safe set?
pub fn is_safe(name: &str) -> bool {
    SAFE.contains(&name)
}

/// Does a pattern match `name`, exactly or, when it ends in `*`, as a prefix?
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Does some pattern match `name`?
pub fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// Does a pattern (a trailing `*` matches a prefix) match all that another matches?
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(prefix) => narrow.strip_suffix('*').unwrap_or(narrow).starts_with(prefix),
        None => wide == narrow,
    }
}

/// The narrower of two patterns, if they have anything in common.
pub(crate) fn common<'p>(left: &'p str, right: &'p str) -> Option<&'p str> {
    if covers(left, right) { Some(right) } else { covers(right, left).then_some(left) }
}
