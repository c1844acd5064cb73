//! The Pod Security Standard that comes closest to a policy: what would bring prevention back, and what it leaves out.

use psp_admission::{Field, Policy};
use serde::{Deserialize, Serialize};

use crate::pod_security::{CONTROLS, Control, Level, Stance};
use crate::psp::validity::unusable;
use crate::restrictions::{Mapped, beyond, map, stance};

/// One demand of a level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The check's name in pod security admission.
    pub control: String,
    /// What it demands of pods.
    pub demand: String,
}

/// A demand of the policy that a level does not make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCovered {
    /// The field of the policy.
    pub field: String,
    /// What the level admits all the same.
    pub why: String,
}

/// How a policy stands to the levels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The closest level: the strictest whose deciding demands the policy made, by refusing or by filling in.
    pub level: Level,
    /// The namespace label that turns it on.
    pub label: String,
    /// Its demands that the policy left open: pods against them are refused once the label is set.
    pub refuses_more: Vec<Demand>,
    /// Its demands that the policy met by filling in: pods have to meet them themselves, or are refused.
    pub pods_must_set: Vec<Demand>,
    /// The policy's demands that the level does not make: Falco's alerts stay all there is.
    pub not_covered: Vec<NotCovered>,
    /// The next stricter level; none above restricted.
    pub next: Option<Next>,
}

/// What keeps a policy from the next stricter level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// That level.
    pub level: Level,
    /// Its deciding demands that the policy did not make.
    pub missing: Vec<Demand>,
}

/// How `policy` stands to the levels; nothing for a policy that admitted nothing.
pub fn standing(policy: &Policy) -> Option<Standing> {
    if unusable(policy).is_some() {
        return None;
    }
    let stances: Vec<(&Control, Stance)> =
        CONTROLS.iter().map(|control| (control, stance(policy, control.check))).collect();
    let keeps_from = |control: &Control, stance: Stance| {
        stance == Stance::Contradicts || control.decides && stance == Stance::LeavesOpen
    };
    let met = |level: Level| !stances.iter().any(|(c, stance)| c.level <= level && keeps_from(c, *stance));
    let level = Level::ALL.into_iter().rev().find(|level| met(*level)).unwrap_or(Level::Privileged);
    let demands = |test: &dyn Fn(&Control, Stance) -> bool| -> Vec<Demand> {
        stances.iter().filter(|(c, stance)| test(c, *stance)).map(|(c, _)| demand(c)).collect()
    };
    let next = Level::ALL.into_iter().find(|other| *other > level).map(|next| Next {
        level: next,
        missing: demands(&|c, stance| c.level <= next && keeps_from(c, stance)),
    });
    Some(Standing {
        level,
        label: format!("pod-security.kubernetes.io/enforce: {}", level.name()),
        refuses_more: demands(&|c, stance| c.level <= level && stance == Stance::LeavesOpen),
        pods_must_set: demands(&|c, stance| c.level <= level && stance == Stance::FillsIn),
        not_covered: not_covered(policy, level),
        next,
    })
}

fn demand(control: &Control) -> Demand {
    Demand { control: control.name.to_owned(), demand: control.demand.to_owned() }
}

/// What the policy demands and the level does not.
fn not_covered(policy: &Policy, level: Level) -> Vec<NotCovered> {
    let missed = |field: Field| {
        let Mapped { refuses, corrects, alerts_as, .. } = map(field, policy);
        let demands = refuses.is_some() || corrects.is_some() || alerts_as.is_some();
        let why = match level {
            Level::Privileged => Some("the level demands nothing"),
            _ => beyond(field, policy, level),
        };
        let why = why.filter(|_| demands)?;
        Some(NotCovered { field: field.name().to_owned(), why: why.to_owned() })
    };
    Field::ALL.into_iter().filter_map(missed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{Options, read_text};

    fn fixture(name: &str) -> Standing {
        let path = format!("{}/fixtures/psp/policies/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        policy(&std::fs::read_to_string(path).unwrap())
    }

    fn policy(text: &str) -> Standing {
        let inventory = read_text("policy.yaml", text, &Options::default()).unwrap();
        standing(&inventory.policies[0].policy).unwrap()
    }

    fn controls(demands: &[Demand]) -> Vec<&str> {
        demands.iter().map(|d| d.control.as_str()).collect()
    }

    #[test]
    fn the_documentation_s_policies_have_the_levels_of_their_names() {
        for (name, level) in [
            ("kubernetes-privileged", Level::Privileged),
            ("kubernetes-baseline", Level::Baseline),
            ("kubernetes-restricted", Level::Restricted),
        ] {
            assert_eq!(fixture(name).level, level, "{name}");
        }
        let restricted = fixture("kubernetes-restricted");
        assert_eq!(restricted.label, "pod-security.kubernetes.io/enforce: restricted");
        assert_eq!(
            controls(&restricted.pods_must_set),
            ["allowPrivilegeEscalation", "runAsNonRoot", "runAsUser", "capabilities_restricted"]
        );
        assert_eq!(controls(&restricted.refuses_more), ["seLinuxOptions", "hostProbesAndHostLifecycle"]);
        assert_eq!(restricted.next, None);
        let missed: Vec<&str> = restricted.not_covered.iter().map(|n| n.field.as_str()).collect();
        assert_eq!(
            missed,
            [
                "allowedCapabilities",
                "supplementalGroups",
                "fsGroup",
                "allowedUnsafeSysctls",
                "seccomp",
                "apparmor"
            ]
        );
    }

    #[test]
    fn the_next_level_says_what_is_missing() {
        let baseline = fixture("kubernetes-baseline");
        let next = baseline.next.unwrap();
        assert_eq!(next.level, Level::Restricted);
        assert_eq!(
            controls(&next.missing),
            [
                "restrictedVolumes",
                "allowPrivilegeEscalation",
                "runAsNonRoot",
                "runAsUser",
                "seccompProfile_restricted",
                "capabilities_restricted"
            ]
        );
        assert_eq!(controls(&baseline.refuses_more).first(), Some(&"seLinuxOptions"));
    }

    #[test]
    fn a_policy_that_demands_what_a_level_refuses_is_not_of_that_level() {
        let text = std::fs::read_to_string(format!(
            "{}/fixtures/psp/policies/kubernetes-restricted.yaml",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap();
        let labelled = |options: &str| {
            policy(&text.replace(
                "  seLinux:\n    rule: RunAsAny",
                &format!("  seLinux:\n    rule: MustRunAs\n    seLinuxOptions: {options}"),
            ))
        };
        assert_eq!(labelled("{level: s0}").level, Level::Restricted);
        let labelled = labelled("{user: system_u, level: s0}");
        assert_eq!(labelled.level, Level::Privileged);
        assert_eq!(controls(&labelled.next.unwrap().missing), ["seLinuxOptions"]);
    }
}
