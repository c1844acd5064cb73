//! `runAsUser`: which users may containers run as?
//!
//! A container's own `runAsUser` and `runAsNonRoot` count, else the pod's. `MustRunAs` refuses a user outside every
//! range, and set the first range's `min` where none was set. `MustRunAsNonRoot` refuses user 0 and
//! `runAsNonRoot: false`, and set `runAsNonRoot: true` where neither was set.

use super::restriction::{Restriction, ids_ask_more, without_ranges};
use crate::pod::Pod;
use crate::policy::{IdRule, Policy};
use crate::reason::{Found, Problem, Reason};

pub(super) struct RunAsUser;

const USER: &str = "securityContext.runAsUser";
const NON_ROOT: &str = "securityContext.runAsNonRoot";

impl Restriction for RunAsUser {
    fn refusals<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.run_as_user;
        let users = pod.effective(|security| security.run_as_user).filter_map(move |(place, user)| {
            let user = user?;
            let problem = match strategy.rule {
                IdRule::MustRunAs if strategy.refuses(user) => Problem::OutOfRange(&strategy.ranges),
                IdRule::MustRunAsNonRoot if user == 0 => Problem::NotAllowed,
                _ => return None,
            };
            Some(Reason { place, path: USER, found: Found::Number(user), problem })
        });
        let non_root = strategy.rule == IdRule::MustRunAsNonRoot;
        let roots = pod.effective(|security| security.run_as_non_root);
        let roots = roots.filter(move |(_, flag)| non_root && *flag == Some(false)).map(|(place, _)| {
            Reason { place, path: NON_ROOT, found: Found::Flag(false), problem: Problem::NotAllowed }
        });
        users.chain(roots)
    }

    fn corrections<'a>(policy: &'a Policy, pod: &'a Pod<'a>) -> impl Iterator<Item = Reason<'a>> {
        let strategy = &policy.spec.run_as_user;
        let users = pod.effective(|security| security.run_as_user);
        let non_roots = pod.effective(|security| security.run_as_non_root);
        users.zip(non_roots).filter_map(|((place, user), (_, non_root))| {
            let (path, set) = match strategy.rule {
                IdRule::MustRunAs if user.is_none() => (USER, Found::Number(strategy.filled_in())),
                IdRule::MustRunAsNonRoot if user.is_none() && non_root.is_none() => {
                    (NON_ROOT, Found::Flag(true))
                }
                _ => return None,
            };
            Some(Reason { place, path, found: Found::Unset, problem: Problem::Set(set) })
        })
    }

    fn unusable(policy: &Policy) -> Option<String> {
        without_ranges(&policy.spec.run_as_user)
    }

    fn asks_more(policy: &Policy, other: &Policy) -> bool {
        ids_ask_more(&policy.spec.run_as_user, &other.spec.run_as_user)
    }

    fn unite(a: &Policy, b: &Policy, union: &mut Policy) {
        union.spec.run_as_user = a.spec.run_as_user.union(&b.spec.run_as_user);
    }
}
