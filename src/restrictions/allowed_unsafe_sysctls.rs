//! `allowedUnsafeSysctls`: which sysctls outside the safe set may pods set?

use psp_admission::Policy;
use psp_admission::sysctl::SAFE;

use super::{AtRuntime, Mapped, listed, one_line};
use crate::pattern::json_text;

pub(super) fn map(policy: &Policy) -> Mapped {
    let spec = &policy.spec;
    let any = spec.allowed_unsafe_sysctls.iter().any(|s| s == "*");
    let mut accepted = patterns(&spec.allowed_unsafe_sysctls);
    accepted.extend(SAFE.map(|name| format!("{name}\"")));
    // what is forbidden is the other field's, even where it is also unsafe
    accepted.extend(patterns(&spec.forbidden_sysctls));
    let written: Vec<String> = spec
        .allowed_unsafe_sysctls
        .iter()
        .chain(&spec.forbidden_sysctls)
        .cloned()
        .chain(SAFE.map(str::to_owned))
        .collect();
    let forbidden_all = spec.forbidden_sysctls.iter().any(|s| s == "*");
    Mapped::value(if any { "any".to_owned() } else { listed(&spec.allowed_unsafe_sysctls) })
        .refuses(!any && !forbidden_all, "unsafe sysctl that the policy does not allow")
        .runtime(written_sysctls(
            !any && !forbidden_all,
            "write of an unsafe sysctl that the policy does not allow".to_owned(),
            &written,
        ))
        .with("safe_only", spec.allowed_unsafe_sysctls.is_empty() && spec.forbidden_sysctls.is_empty())
        .with("accepted", accepted)
}

/// Writes of sysctls, by the files under `/proc/sys` that the patterns name.
pub(super) fn written_sysctls(restricted: bool, sentence: String, patterns: &[String]) -> AtRuntime {
    let path = |name: &str| format!("/proc/sys/{}", name.replace('.', "/"));
    let (mut names, mut prefixes) = (Vec::new(), Vec::new());
    for pattern in patterns.iter().filter(|p| one_line(p)) {
        match pattern.strip_suffix('*') {
            Some(prefix) => prefixes.push(path(prefix)),
            None => names.push(path(pattern)),
        }
    }
    names.sort();
    names.dedup();
    prefixes.sort();
    prefixes.dedup();
    AtRuntime::approximate(
        restricted,
        sentence,
        "shows whoever writes the file, a process or the container runtime, if Falco knows its container then",
    )
    .with("names", names)
    .with("prefixes", prefixes)
}

/// Sysctl patterns as the beginning of a name: a whole name with its closing quote, or a prefix.
pub(super) fn patterns(patterns: &[String]) -> Vec<String> {
    patterns
        .iter()
        .map(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => json_text(prefix),
            None => format!("{}\"", json_text(pattern)),
        })
        .collect()
}
