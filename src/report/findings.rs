//! What a reviewer should be shown at a line: the common ground of workflow annotations and SARIF.

use super::diff::{Change, Matches};
use super::fidelity::Fidelity;
use super::model::Report;
use crate::pod_security::Level;
use crate::problem::Place;

/// A kind of finding. The id stands in SARIF and in annotations, and does not change between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    pub(super) summary: &'static str,
    pub(super) help: &'static str,
}

/// How bad it is, in SARIF's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    pub(super) fn sarif(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }

    pub(super) fn command(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        }
    }
}

/// All kinds, in the order of SARIF's rules.
pub(super) const KINDS: [Kind; 9] = [
    Kind {
        id: "undetectable-field",
        severity: Severity::Error,
        summary: "A restriction of the policy has no alert",
        help: "No rule can tell when a pod breaks this restriction. The message says why.",
    },
    Kind {
        id: "approximate-field",
        severity: Severity::Warning,
        summary: "Alerts may differ from what admission did",
        help: "The rules for this field may alert on other pods than admission refused or corrected. The message says \
               why.",
    },
    Kind {
        id: "unusable-policy",
        severity: Severity::Warning,
        summary: "Admission skipped this policy",
        help: "The API server accepted the policy but could make nothing of it, so it admitted no pod. Its other fields are approximate; with RBAC, where the rules decide as admission did, it has none.",
    },
    Kind {
        id: "not-covered-by-pod-security",
        severity: Severity::Note,
        summary: "What prevents pods now, and what nothing prevents",
        help: "Falco alerts and does not refuse. The closest Pod Security Standard, set by a namespace label, brings \
               prevention back for most demands; the message names those that it does not make.",
    },
    Kind {
        id: "input-warning",
        severity: Severity::Warning,
        summary: "The manifest is not what it seems",
        help: "The policy could be read, but not everything in it means what it says.",
    },
    Kind {
        id: "overlapping-policies",
        severity: Severity::Warning,
        summary: "The policy alerts on pods that another policy admits",
        help: "Without RBAC in the input nobody knows which pods a policy was for, so it is held against every pod. \
               Convert it with the roles and bindings of the cluster.",
    },
    Kind {
        id: "weaker-rules",
        severity: Severity::Warning,
        summary: "A rule is gone, or matches fewer or other events than before",
        help: "Shown where the report compares with the file already there.",
    },
    Kind {
        id: "changed-rules",
        severity: Severity::Note,
        summary: "A rule is new, renamed, or matches more than before",
        help: "Shown where the report compares with the file already there.",
    },
    Kind {
        id: "tuning-lost",
        severity: Severity::Error,
        summary: "A tuning file changes what the rules do not define",
        help: "Falco refuses the file, or its item has no effect. Rename or remove the item.",
    },
];

/// Something to be shown at a place.
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) place: Option<Place>,
    /// The policy, rule or item that it is about.
    pub(super) subject: String,
    pub(super) message: String,
}

/// Everything that a reviewer should be shown, in the order of the report.
pub(super) fn findings(report: &Report) -> Vec<Finding> {
    let [undetectable, approximate, unusable, not_covered, input, overlapping, weaker, changed, tuning] =
        KINDS;
    let mut found = Vec::new();
    let mut add = |kind, place: Option<&Place>, subject: &str, message: String| {
        found.push(Finding { kind, place: place.cloned(), subject: subject.to_owned(), message });
    };
    for warning in &report.warnings {
        let message = if warning.path.is_empty() {
            warning.message.to_string()
        } else {
            format!("{}: {}", warning.path, warning.message)
        };
        add(input, Some(&warning.place), &warning.path, message);
    }
    for policy in &report.policies {
        let name = &policy.name;
        if let Some(reason) = &policy.unusable {
            let message = format!("policy {name}: {reason}; admission skipped it, so it admitted no pod");
            add(unusable, Some(&policy.place), name, message);
        }
        if let Some(standing) = &policy.pod_security {
            let missed: Vec<&str> = standing.not_covered.iter().map(|n| n.field.as_str()).collect();
            let level = standing.level.name();
            let prevention = match (standing.level, missed.is_empty()) {
                (Level::Privileged, _) => "no Pod Security Standard above privileged is close".to_owned(),
                (_, true) => format!("the Pod Security Standard {level} covers all of its demands"),
                (_, false) => format!(
                    "the closest Pod Security Standard is {level}, which does not cover {}",
                    missed.join(", ")
                ),
            };
            let message = format!("policy {name}: violations are alerted, no longer refused; {prevention}");
            add(not_covered, Some(&policy.place), name, message);
        }
        for overlap in report.rbac.overlaps.iter().filter(|overlap| overlap.policy == *name) {
            add(overlapping, Some(&policy.place), name, format!("policy {}", overlap.line()));
        }
        for field in &policy.fields {
            let Some(layer) = field.layers.best() else { continue };
            let kind = match layer.fidelity {
                Fidelity::Undetectable => undetectable,
                Fidelity::Approximate => approximate,
                Fidelity::Exact | Fidelity::Unrestricted => continue,
            };
            let reason = layer.reason.as_deref().unwrap_or("no reason is known");
            let message = format!("policy {name}: {} is {}: {reason}", field.field, layer.fidelity);
            add(kind, Some(&field.place), &format!("{name}/{}", field.field), message);
        }
    }
    for change in report.changes.iter().flat_map(|c| &c.rules) {
        let less = change.change == Change::Removed
            || matches!(change.matches, Some(Matches::Fewer | Matches::Other))
            || change.priority.as_ref().is_some_and(|p| !p.more_urgent)
            || change.enabled == Some(false);
        add(if less { weaker } else { changed }, None, &change.rule, change.line());
    }
    for loss in report.changes.iter().flat_map(|c| &c.tuning) {
        add(tuning, Some(&loss.place), &loss.item, format!("{} {}", loss.item, loss.message));
    }
    found
}
