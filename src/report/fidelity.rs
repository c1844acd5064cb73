//! How faithfully a field is detected, by each layer, and why not better.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::render::{AuditObject, Layer, Options, Rendered};
use crate::restrictions::Mapped;
use psp_admission::{Field, Policy};

/// How faithfully a field is detected, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// The alerts are those that admission would have given.
    Exact,
    /// They may differ.
    Approximate,
    /// There are none.
    Undetectable,
    /// The field restricts nothing.
    Unrestricted,
}

impl Fidelity {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Fidelity::Exact => "exact",
            Fidelity::Approximate => "approximate",
            Fidelity::Undetectable => "undetectable",
            Fidelity::Unrestricted => "unrestricted",
        }
    }
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How faithfully a layer detects a field, and why not better.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detection {
    /// How faithfully.
    pub fidelity: Fidelity,
    /// How alerts may differ, or why there are none.
    pub reason: Option<String>,
}

impl Detection {
    /// Alerts that are those of admission.
    const EXACT: Self = Self { fidelity: Fidelity::Exact, reason: None };
    /// Nothing to detect.
    const UNRESTRICTED: Self = Self { fidelity: Fidelity::Unrestricted, reason: None };

    fn because(fidelity: Fidelity, reason: impl Into<String>) -> Self {
        Self { fidelity, reason: Some(reason.into()) }
    }
}

/// What a log that holds only requests does not show.
const REQUEST_LOSES: &str =
    "the request lacks what webhooks and defaults add; a patch shows only its own part";
/// What the rules of a policy that admission skipped are worth.
const SKIPPED: &str =
    "admission skipped this policy; the rules alert on what its other fields say all the same";
const SKIPPED_WITH_RBAC: &str =
    "admission skipped this policy, and with RBAC the rules decide as admission did";

/// How faithfully the audit rules detect `field` of `policy`.
pub fn audit_detection(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> Detection {
    let restricts = mapped.refuses.is_some() || mapped.corrects.is_some() || mapped.alerts_as.is_some();
    skipped(policy, field, restricts, options).unwrap_or_else(|| match options.object {
        _ if !restricts => Detection::UNRESTRICTED,
        AuditObject::Response => Detection::EXACT,
        AuditObject::Request => Detection::because(Fidelity::Approximate, REQUEST_LOSES),
    })
}

/// How faithfully the runtime rules detect `field` of `policy`, as far as it restricts anything.
pub fn runtime_detection(policy: &Policy, field: Field, mapped: &Mapped, options: &Options) -> Detection {
    let restricts = mapped.refuses.is_some() || mapped.corrects.is_some();
    match (&mapped.runtime.sees, mapped.runtime.reason) {
        (None, reason) if restricts => {
            Detection::because(Fidelity::Undetectable, reason.unwrap_or("every value is allowed"))
        }
        (_, reason) => skipped(policy, field, restricts, options).unwrap_or_else(|| match reason {
            _ if !restricts => Detection::UNRESTRICTED,
            None => Detection::EXACT,
            Some(reason) => Detection::because(Fidelity::Approximate, reason),
        }),
    }
}

/// How faithfully rules detect `field` of a policy that admission skipped; `None` for any other policy.
fn skipped(policy: &Policy, field: Field, restricts: bool, options: &Options) -> Option<Detection> {
    let unusable = policy.unusable();
    if let Some((_, reason)) = unusable.iter().find(|(at_fault, _)| *at_fault == field) {
        let reason = format!("{reason}: admission could make nothing of it");
        return Some(Detection::because(Fidelity::Undetectable, reason));
    }
    match unusable.is_empty() {
        true => None,
        false if !restricts => Some(Detection::UNRESTRICTED),
        false if options.access.is_none() => Some(Detection::because(Fidelity::Approximate, SKIPPED)),
        false => Some(Detection::because(Fidelity::Undetectable, SKIPPED_WITH_RBAC)),
    }
}

/// How faithfully a layer detects `field` of `policy`.
pub fn detection(
    layer: Layer,
    policy: &Policy,
    field: Field,
    mapped: &Mapped,
    options: &Options,
) -> Detection {
    match layer {
        Layer::Audit => audit_detection(policy, field, mapped, options),
        Layer::Runtime => runtime_detection(policy, field, mapped, options),
    }
}

/// How faithfully the best of the files' layers detects a field.
pub fn best_detection(
    files: &[Rendered],
    policy: &Policy,
    field: Field,
    mapped: &Mapped,
    options: &Options,
) -> Detection {
    let one = |file: &Rendered| detection(file.layer, policy, field, mapped, options);
    files.iter().map(one).min_by_key(|d| d.fidelity).unwrap_or(Detection::UNRESTRICTED)
}

/// Fields counted by the fidelity of one layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Fields whose alerts are those of admission.
    pub exact: usize,
    /// Fields whose alerts may differ from what admission did.
    pub approximate: usize,
    /// Fields that restrict and have no alert.
    pub undetectable: usize,
    /// Fields that restrict nothing.
    pub unrestricted: usize,
}

impl Tally {
    /// Counts a field.
    pub fn add(&mut self, fidelity: Fidelity) {
        *match fidelity {
            Fidelity::Exact => &mut self.exact,
            Fidelity::Approximate => &mut self.approximate,
            Fidelity::Undetectable => &mut self.undetectable,
            Fidelity::Unrestricted => &mut self.unrestricted,
        } += 1;
    }
}

impl FromIterator<Fidelity> for Tally {
    fn from_iter<I: IntoIterator<Item = Fidelity>>(fields: I) -> Self {
        let mut tally = Self::default();
        fields.into_iter().for_each(|fidelity| tally.add(fidelity));
        tally
    }
}

/// `13 exact, 0 approximate, 0 undetectable`: the fields that restrict something.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exact, approximate, undetectable, .. } = self;
        write!(f, "{exact} exact, {approximate} approximate, {undetectable} undetectable")
    }
}
