//! Who may use which policy, turned round: by who asks.
//!
//! A request is answered by one look for each of its names, however many policies, bindings and namespaces there are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::{Access, Grants, Request, Subjects, account, account_groups, account_user};
use crate::decision::May;

/// The policies that somebody may use.
#[derive(Debug, Clone, Default)]
struct Held {
    every: bool,
    /// By their positions.
    policies: Vec<usize>,
}

/// What users and groups may use, by name.
#[derive(Debug, Default)]
struct Holders {
    users: HashMap<Arc<str>, Held>,
    groups: HashMap<Arc<str>, Held>,
}

/// Who may use which of some policies.
#[derive(Debug, Default)]
pub(crate) struct Index {
    everywhere: Holders,
    within: HashMap<Arc<str>, Holders>,
    /// What service accounts of this name may use, each in its own namespace.
    at_home: HashMap<Arc<str>, Held>,
    /// Of each policy: does nothing tell who may use it?
    stands_alone: Vec<bool>,
}

impl Index {
    /// What `access` says of these policies.
    pub(crate) fn new<'a>(access: &Access, policies: impl IntoIterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        index.add(access.every(), |held| held.every = true);
        for (position, policy) in policies.into_iter().enumerate() {
            index.stands_alone.push(access.stands_alone(policy));
            if let Some(grants) = access.of(policy) {
                index.add(grants, |held| held.policies.push(position));
            }
        }
        index
    }

    fn add(&mut self, grants: &Grants, mut hold: impl FnMut(&mut Held)) {
        let mut add = |holders: &mut Holders, subjects: &Subjects| {
            for user in &subjects.users {
                hold(holders.users.entry(Arc::clone(user)).or_default());
            }
            for group in &subjects.groups {
                hold(holders.groups.entry(Arc::clone(group)).or_default());
            }
        };
        add(&mut self.everywhere, &grants.everywhere);
        for (namespace, subjects) in &grants.within {
            add(self.within.entry(Arc::clone(namespace)).or_default(), subjects);
        }
        for account in &grants.at_home {
            hold(self.at_home.entry(Arc::clone(account)).or_default());
        }
    }

    /// How each policy takes part in the decision over a request; `None`: only others may use it.
    pub(crate) fn may<G: AsRef<str>>(&self, request: &Request<'_, G>) -> Vec<Option<May>> {
        let alone = |alone: &bool| alone.then_some(May::Perhaps);
        let mut may: Vec<Option<May>> = self.stands_alone.iter().map(alone).collect();
        let mut hold = |held: Option<&Held>| {
            let Some(held) = held else { return };
            if held.every {
                may.fill(Some(May::Certainly));
            }
            for position in &held.policies {
                if let Some(may) = may.get_mut(*position) {
                    *may = Some(May::Certainly);
                }
            }
        };
        let namespace = request.namespace;
        let own = account_user(namespace, request.service_account);
        let own_groups = account_groups(namespace);
        for holders in [Some(&self.everywhere), self.within.get(namespace)].into_iter().flatten() {
            hold(holders.users.get(own.as_str()));
            hold(holders.users.get(request.user));
            own_groups.iter().for_each(|group| hold(holders.groups.get(group.as_str())));
            request.groups.iter().for_each(|group| hold(holders.groups.get(group.as_ref())));
        }
        hold(self.at_home.get(request.service_account));
        if let Some((_, name)) = account(request.user).filter(|(of, _)| *of == namespace) {
            hold(self.at_home.get(name));
        }
        may
    }
}
