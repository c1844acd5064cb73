//! The opening of a rules file: what made it, of which policies, how to tune it, and what Falco must have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use psp_admission::Policy;

use crate::psp::validity::unusable;
use crate::read::Located;
use crate::restrictions::Restrictions;

/// What Falco must have to load a file, at least.
#[derive(Debug, Clone, Copy)]
pub struct Requirements {
    /// The version of the rules engine.
    pub engine: &'static str,
    /// The plugins; each of these stands before its alternatives.
    pub plugins: &'static [&'static [Plugin]],
}

/// A plugin of Falco, in a version at least.
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Plugin {
    pub(super) const fn new(name: &'static str, version: &'static str) -> Self {
        Self { name, version }
    }
}

/// The opening of a file. `made` says in comment lines what made it and how to tune it; `rules_of` tells of each policy
/// whether the file has rules of it; `restricts_nothing` says why one has none that admission did not skip.
pub(super) fn header(
    made: &str,
    policies: &[Located],
    restrictions: &[(String, Restrictions)],
    (has_rules, restricts_nothing): (impl Fn(&Policy, &Restrictions) -> bool, &str),
    Requirements { engine, plugins }: Requirements,
) -> String {
    let mut text = made.to_owned();
    for (located, (name, restrictions)) in policies.iter().zip(restrictions) {
        let policy = &located.policy;
        let note = match (unusable(policy).is_some(), has_rules(policy, restrictions)) {
            (true, true) => " (admission skipped it: approximate)",
            (true, false) => " (admission skipped it: no rules)",
            (false, true) => "",
            (false, false) => restricts_nothing,
        };
        let _ = writeln!(text, "#   {name} {}{note}", located.digest);
    }
    let _ = write!(text, "\n- required_engine_version: {engine}\n\n- required_plugin_versions:\n");
    for plugin in plugins {
        for (n, Plugin { name, version }) in plugin.iter().enumerate() {
            let _ = match n {
                0 => writeln!(text, "    - name: {name}\n      version: {version}"),
                n => {
                    text.push_str(if n == 1 { "      alternatives:\n" } else { "" });
                    writeln!(text, "        - {{name: {name}, version: {version}}}")
                }
            };
        }
    }
    text
}

/// The policies that the opening of a rules file lists, with their digests. They are read from its comments: Falco takes
/// no item of a rules file that could hold them, and a policy without rules stands nowhere else in the file.
pub fn listed_policies(rules: &str) -> BTreeMap<String, String> {
    let comments = rules.lines().map_while(|line| line.strip_prefix('#'));
    let policy = |line: &str| {
        let mut words = line.split_whitespace();
        let (name, digest) = (words.next()?, words.next()?);
        digest.starts_with("sha256:").then(|| (name.to_owned(), digest.to_owned()))
    };
    comments.filter_map(policy).collect()
}
