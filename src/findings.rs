//! What a pipeline may want to stop at: `--fail-on`.

use std::fmt;

use clap::ValueEnum;

use crate::messages::read as messages;
use crate::problem::Problem;
use crate::psp::validity::unusable;
use crate::read::Inventory;
use crate::render::{Options, Rendered};
use crate::report::{Fidelity, best_detection};

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// A field that restricts and has no alert.
    Undetectable,
    /// A field whose alerts may differ from what admission did.
    Approximate,
    /// A policy that admission could not use.
    Unusable,
    /// A warning of the reader.
    Warning,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Kind; 4] = [Kind::Undetectable, Kind::Approximate, Kind::Unusable, Kind::Warning];

    /// The word on the command line and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Undetectable => "undetectable",
            Kind::Approximate => "approximate",
            Kind::Unusable => "unusable",
            Kind::Warning => "warning",
        }
    }
}

/// One finding and its place in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub kind: Kind,
    /// The policy that it is about; empty where none is known.
    pub policy: String,
    /// What and where.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem)
    }
}

/// All findings of what was read and made of it, policy by policy; the reader's warnings come last.
pub fn findings(inventory: &Inventory, files: &[Rendered], options: &Options) -> Vec<Finding> {
    let mut found = Vec::new();
    let policies = files.first().map(|file| file.policies.as_slice()).unwrap_or_default();
    for (located, (name, fields)) in inventory.policies.iter().zip(policies) {
        let mut add = |kind: Kind, path: &str, reason: &str| {
            let message = messages::finding(kind.name(), format_args!("{name:?}"), reason);
            let problem = Problem::new(located.place.clone(), path, message);
            found.push(Finding { kind, policy: name.clone(), problem });
        };
        if let Some(reason) = unusable(&located.policy) {
            add(Kind::Unusable, "", &reason);
        }
        for (field, mapped) in fields {
            let detection = best_detection(files, &located.policy, *field, mapped, options);
            let kind = match detection.fidelity {
                Fidelity::Undetectable => Kind::Undetectable,
                Fidelity::Approximate => Kind::Approximate,
                Fidelity::Exact | Fidelity::Unrestricted => continue,
            };
            add(kind, field.name(), detection.reason.as_deref().unwrap_or_default());
        }
    }
    found.extend(inventory.warnings.iter().map(|warning| Finding {
        kind: Kind::Warning,
        policy: String::new(),
        problem: Problem { message: messages::warning(&warning.message), ..warning.clone() },
    }));
    found
}
