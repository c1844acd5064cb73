//! Seccomp and AppArmor profiles that a policy's annotations allow and fill in.

use std::collections::BTreeSet;

use crate::policy::{APPARMOR_ALLOWED, APPARMOR_DEFAULT, Policy, SECCOMP_ALLOWED, SECCOMP_DEFAULT};

/// Profiles of one kind, in their annotation spelling. The empty name stands for "none set".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profiles<'p> {
    kind: Kind,
    /// What the policy's annotation lists.
    listed: Option<&'p str>,
    /// The profile given to pods (seccomp) or containers (AppArmor) that set none.
    pub default: Option<&'p str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Seccomp,
    AppArmor,
}

/// The names of one and the same seccomp profile.
const DEFAULT_SECCOMP: [&str; 2] = ["docker/default", "runtime/default"];

impl<'p> Profiles<'p> {
    /// Do these refuse or fill in a profile that the other ones let pass?
    pub(crate) fn ask_more(&self, other: &Profiles<'_>) -> bool {
        let unset_passes = |profiles: &Profiles<'_>| profiles.default.is_none() && profiles.allows("");
        let names = match (self.allowed(), other.allowed()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(its)) => its.iter().any(|name| !name.is_empty() && !own.contains(name)),
        };
        names || unset_passes(other) && !unset_passes(self)
    }

    /// The seccomp profiles of `policy` (`podsecuritypolicy/seccomp/strategy.go`). Without the annotation no profile
    /// may be set at all; `docker/default` and `runtime/default` each stand for both.
    pub fn seccomp(policy: &'p Policy) -> Self {
        let listed = policy.annotations.get(SECCOMP_ALLOWED).map(String::as_str);
        Self { kind: Kind::Seccomp, listed, default: policy.annotation(SECCOMP_DEFAULT) }
    }

    /// The AppArmor profiles of `policy` (`podsecuritypolicy/apparmor/strategy.go`). Without the annotation any
    /// profile may be set; with it one must be.
    pub fn apparmor(policy: &'p Policy) -> Self {
        let listed = policy.annotations.get(APPARMOR_ALLOWED).map(String::as_str);
        Self { kind: Kind::AppArmor, listed, default: policy.annotation(APPARMOR_DEFAULT) }
    }

    /// May a pod have the profile `name` (empty: none)?
    pub fn allows(&self, name: &str) -> bool {
        match (self.kind, self.listed) {
            (Kind::Seccomp, None) => name.is_empty(),
            (Kind::Seccomp, Some(listed)) => {
                let is_default = |name: &str| DEFAULT_SECCOMP.contains(&name);
                listed.split(',').any(|own| own == "*" || own == name || is_default(own) && is_default(name))
            }
            (Kind::AppArmor, None) => true,
            (Kind::AppArmor, Some(listed)) => !name.is_empty() && listed.split(',').any(|own| own == name),
        }
    }

    /// The profile names allowed, in order, the empty one for "none set"; `None`: any.
    pub fn allowed(&self) -> Option<BTreeSet<&'p str>> {
        let any = match self.kind {
            Kind::Seccomp => self.names().any(|name| name == "*"),
            Kind::AppArmor => self.listed.is_none(),
        };
        (!any).then(|| self.names().collect())
    }

    /// The names that are listed or follow from what is listed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'p str> {
        let seccomp = self.kind == Kind::Seccomp;
        let listed = self.listed.or(seccomp.then_some("")).into_iter().flat_map(|listed| listed.split(','));
        let names = listed.filter(move |name| seccomp || !name.is_empty());
        let is_listed =
            |name: &&str| self.listed.is_some_and(|listed| listed.split(',').any(|own| own == *name));
        let both = seccomp && DEFAULT_SECCOMP.iter().any(is_listed);
        let other =
            DEFAULT_SECCOMP.into_iter().filter(move |name| both && !is_listed(name)).collect::<Vec<_>>();
        names.chain(other)
    }
}
