//! `seLinux`: which SELinux options must pods and containers have?
//!
//! `MustRunAs` refuses options, of the pod or of a container, of which user, role, type or level differs. Levels are the
//! same when their sensitivity is and their categories are the same set. Options that the pod left unset became the
//! policy's.

use super::restriction::Restriction;
use crate::pod::{Labels, Place, Pod};
use crate::policy::{Policy, SeLinux as Strategy, SeLinuxOptions};
use crate::reason::{Found, Problem, Reason};

pub(super) struct SeLinux;

impl Restriction for SeLinux {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.se_linux;
        let wanted = strategy.options.as_ref().filter(|_| strategy.must_run_as);
        let places = || {
            let containers = pod.containers.iter().map(|c| (c.place(), c.security.se_linux.as_ref()));
            std::iter::once((Place::Pod, pod.security.se_linux.as_ref())).chain(containers)
        };
        wanted.into_iter().flat_map(move |wanted| {
            places().filter_map(|(place, labels)| Some((place, labels?))).flat_map(move |(place, labels)| {
                differences(wanted, labels).map(move |(path, found, problem)| Reason {
                    place,
                    path,
                    found,
                    problem,
                })
            })
        })
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.se_linux;
        let unset = strategy.must_run_as && pod.security.se_linux.is_none();
        let set = || match &strategy.options {
            Some(SeLinuxOptions { user, role, type_, level }) => {
                Problem::SetAll([("user", user), ("role", role), ("type", type_), ("level", level)])
            }
            None => Problem::Set(Found::Unset),
        };
        unset.then(|| Reason::of_pod("securityContext.seLinuxOptions", Found::Unset, set())).into_iter()
    }

    fn unusable(policy: &Policy) -> Option<String> {
        let strategy = &policy.spec.se_linux;
        let lacking = strategy.must_run_as && strategy.options.is_none();
        lacking.then(|| "MustRunAs without seLinuxOptions".to_owned())
    }

    /// SELinux options cannot be joined: where they differ, any are allowed.
    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        let (own, its) = (&policy.spec.se_linux, &other.spec.se_linux);
        own.must_run_as
            && own.options.as_ref().is_some_and(|wanted| {
                let same = its.options.as_ref().is_some_and(|options| same_labels(wanted, options));
                !(its.must_run_as && same)
            })
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        let same = a.spec.se_linux == b.spec.se_linux;
        union.spec.se_linux = if same { a.spec.se_linux.clone() } else { Strategy::default() };
    }
}

/// The parts in which labels differ from what is wanted.
fn differences<'a>(
    wanted: &'a SeLinuxOptions,
    labels: &'a Labels<'a>,
) -> impl Iterator<Item = (&'static str, Found<'a>, Problem<'a>)> {
    [
        ("securityContext.seLinuxOptions.user", &*wanted.user, &*labels.user, labels.user == wanted.user),
        ("securityContext.seLinuxOptions.role", &*wanted.role, &*labels.role, labels.role == wanted.role),
        ("securityContext.seLinuxOptions.type", &*wanted.type_, &*labels.type_, labels.type_ == wanted.type_),
        (
            "securityContext.seLinuxOptions.level",
            &*wanted.level,
            &*labels.level,
            levels_equal(&wanted.level, &labels.level),
        ),
    ]
    .into_iter()
    .filter(|(.., equal)| !equal)
    .map(|(path, wanted, found, _)| {
        let found = if found.is_empty() { Found::Unset } else { Found::Word(found) };
        (path, found, if wanted.is_empty() { Problem::NotAllowed } else { Problem::Not(wanted) })
    })
}

/// Are two SELinux levels the same, whatever the order of their categories (`podsecuritypolicy/selinux`)?
pub(crate) fn levels_equal(wanted: &str, actual: &str) -> bool {
    fn sorted(categories: &str) -> Vec<&str> {
        let mut parts: Vec<&str> = categories.split(',').collect();
        parts.sort_unstable();
        parts
    }
    wanted == actual
        || match (wanted.split_once(':'), actual.split_once(':')) {
            (Some((s1, c1)), Some((s2, c2))) => s1 == s2 && sorted(c1) == sorted(c2),
            _ => false,
        }
}

fn same_labels(left: &SeLinuxOptions, right: &SeLinuxOptions) -> bool {
    left.user == right.user
        && left.role == right.role
        && left.type_ == right.type_
        && levels_equal(&left.level, &right.level)
}
