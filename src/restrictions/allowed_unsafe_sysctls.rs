//! `allowedUnsafeSysctls`: which sysctls outside the safe set may pods set?

use psp_admission::Policy;
use psp_admission::sysctl::{SAFE, matches_any};

use super::mapped::{Mapped, listed};
use super::restriction::Restriction;
use super::sysctls::{overlaps, patterns, written_sysctls, wrong_sysctls};
use crate::pod_security::{Check, Level, SAFE_SINCE, Stance};
use crate::psp::fault::Fault;

pub(super) struct AllowedUnsafeSysctls;

impl Restriction for AllowedUnsafeSysctls {
    fn map(policy: &Policy) -> Mapped {
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

    fn faults(policy: &Policy) -> Vec<Fault> {
        const PATH: &str = "spec.allowedUnsafeSysctls";
        let spec = &policy.spec;
        let (allowed, forbidden) = (&spec.allowed_unsafe_sysctls, &spec.forbidden_sysctls);
        let mut faults = wrong_sysctls(PATH, allowed);
        // where an allowed and a forbidden one overlap, the narrower is at fault; of two equal ones the allowed one
        faults.extend(overlaps(PATH, allowed, forbidden, true));
        faults
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let safe = |name: &String| SAFE.contains(&name.as_str()) || SAFE_SINCE.contains(&name.as_str());
        (check == Check::Sysctls)
            .then(|| Stance::refuses(policy.spec.allowed_unsafe_sysctls.iter().all(safe)))
    }

    fn beyond(policy: &Policy, _: Level) -> Option<&'static str> {
        let allows = |name: &&str| matches_any(&policy.spec.allowed_unsafe_sysctls, name);
        (!SAFE_SINCE.iter().all(allows)).then_some("the level allows sysctls that became safe since")
    }
}
