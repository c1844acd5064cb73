//! What the fields say of one event.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use psp_admission::admission::Outcome;
use psp_admission::{Fields, Overall, Policy};

/// The values of the fields.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) verdict: CString,
    pub(crate) violations: Option<Vec<CString>>,
    pub(crate) lost_defaults: Option<Vec<CString>>,
    pub(crate) policy: Option<CString>,
    pub(crate) usable: Option<Vec<CString>>,
    pub(crate) service_account: Option<CString>,
    pub(crate) owner: Option<CString>,
    pub(crate) bundle: CString,
    /// The evidence that was asked for, by `POLICY/FIELD`.
    pub(crate) evidence: HashMap<CString, Option<CString>>,
}

impl Answers {
    /// All `POLICY/FIELD` that a rule may ask evidence for.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &CStr> {
        let both = [&self.violations, &self.lost_defaults];
        both.into_iter().flatten().flatten().map(CString::as_c_str)
    }

    /// What `outcome` says; `digest` is the bundle's.
    pub(crate) fn new(outcome: &Outcome<'_>, digest: &str) -> Self {
        let names =
            |policies: &Vec<&Policy>| policies.iter().map(|policy| c_string(policy.name.as_str())).collect();
        Self {
            verdict: c_string(outcome.verdict.name()),
            violations: listed(&outcome.violations),
            lost_defaults: listed(&outcome.lost_defaults),
            policy: outcome.admitted.map(|policy| c_string(policy.name.as_str())),
            usable: outcome.usable.as_ref().map(names),
            service_account: outcome.service_account.as_deref().map(c_string),
            owner: outcome.owner.as_deref().map(c_string),
            bundle: c_string(digest),
            evidence: HashMap::new(),
        }
    }

    /// Of an event that nobody has judged.
    pub(crate) fn unknown(digest: &str) -> Self {
        Self {
            verdict: c_string(Overall::Unknown.name()),
            violations: None,
            lost_defaults: None,
            policy: None,
            usable: None,
            service_account: None,
            owner: None,
            bundle: c_string(digest),
            evidence: HashMap::new(),
        }
    }
}

/// `POLICY/FIELD` for each; `None` for none at all, so that the field is absent.
fn listed(found: &[(&Policy, Fields)]) -> Option<Vec<CString>> {
    let each = found
        .iter()
        .flat_map(|(policy, fields)| fields.iter().map(|field| c_string(format!("{}/{field}", policy.name))));
    let listed: Vec<CString> = each.collect();
    (!listed.is_empty()).then_some(listed)
}

/// Text for Falco, where a NUL would end it.
pub(crate) fn c_string(text: impl Into<Vec<u8>>) -> CString {
    let mut bytes: Vec<u8> = text.into();
    bytes.retain(|byte| *byte != 0);
    CString::new(bytes).unwrap_or_default()
}
