//! The plugin psp as the model of Falco needs it: its fields, and what they say of an event.

use std::sync::Arc;

use falco_rules::catalog::{Argument, FieldInfo, FieldType};
use falco_rules::{EventReader, FieldValue, FieldValues, Plugin, PluginInfo, RuleSet};
use psp_admission::{Admission, Field, Fields, Policy};

/// Its name.
pub const NAME: &str = "psp";

const fn field(name: &'static str, list: bool, argument: Option<Argument>) -> FieldInfo {
    FieldInfo {
        name,
        kind: FieldType::Text,
        list,
        argument,
        origin: NAME,
        sources: &["k8s_audit"],
        since: None,
        deprecated: false,
    }
}

/// Its fields.
pub const FIELDS: [FieldInfo; 9] = [
    field("psp.verdict", false, None),
    field("psp.violations", true, None),
    field("psp.lost_defaults", true, None),
    field("psp.evidence", false, Some(Argument { required: true, index: false, key: true })),
    field("psp.policy", false, None),
    field("psp.usable", true, None),
    field("psp.service_account", false, None),
    field("psp.owner", false, None),
    field("psp.bundle", false, None),
];

/// The plugin, for rules that are checked and not evaluated.
pub fn known() -> Plugin {
    let info = PluginInfo { name: NAME, version: env!("CARGO_PKG_VERSION"), fields: &FIELDS };
    Plugin { info, reader: None }
}

/// The plugin with a bundle in force.
pub fn loaded(admission: Admission) -> Plugin {
    Plugin { reader: Some(Arc::new(Loaded(Arc::new(admission)))), ..known() }
}

/// Does a rule that can alert ask the plugin?
pub fn is_asked(rules: &RuleSet) -> bool {
    let asks = |text: &str| text.contains("psp.");
    rules.rules().iter().any(|rule| rule.enabled && (asks(&rule.condition) || asks(&rule.output)))
}

/// A bundle in force.
#[derive(Debug)]
struct Loaded(Arc<Admission>);

impl EventReader for Loaded {
    fn read(&self, event: &[u8]) -> Box<dyn FieldValues> {
        let said = self.0.judge(event).map(|outcome| Said {
            verdict: outcome.verdict.name(),
            violations: listed(&outcome.violations),
            lost_defaults: listed(&outcome.lost_defaults),
            policy: outcome.admitted.map(|policy| policy.name.clone()),
            usable: outcome.usable.map(|usable| usable.iter().map(|policy| policy.name.clone()).collect()),
            service_account: outcome.service_account,
            owner: outcome.owner,
        });
        Box::new(OfEvent { admission: Arc::clone(&self.0), said })
    }
}

/// `POLICY/FIELD` for each.
fn listed(found: &[(&Policy, Fields)]) -> Vec<String> {
    let one = |(policy, fields): &(&Policy, Fields)| {
        fields.iter().map(|field| format!("{}/{field}", policy.name)).collect::<Vec<_>>()
    };
    found.iter().flat_map(one).collect()
}

/// What the plugin says of one event; nothing if it tells of no new pod.
struct OfEvent {
    admission: Arc<Admission>,
    said: Option<Said>,
}

struct Said {
    verdict: &'static str,
    violations: Vec<String>,
    lost_defaults: Vec<String>,
    policy: Option<String>,
    usable: Option<Vec<String>>,
    service_account: Option<String>,
    owner: Option<String>,
}

impl FieldValues for OfEvent {
    fn value(&self, event: &[u8], name: &str, argument: Option<&str>) -> Option<FieldValue> {
        let said = self.said.as_ref()?;
        let list = |texts: &[String]| (!texts.is_empty()).then(|| FieldValue::List(texts.to_vec()));
        match name {
            "psp.verdict" => Some(FieldValue::Text(said.verdict.to_owned())),
            "psp.violations" => list(&said.violations),
            "psp.lost_defaults" => list(&said.lost_defaults),
            "psp.evidence" => {
                let (policy, field) = argument?.rsplit_once('/')?;
                self.admission.evidence(event, policy, Field::named(field)?).map(FieldValue::Text)
            }
            "psp.policy" => said.policy.clone().map(FieldValue::Text),
            "psp.usable" => said.usable.as_deref().and_then(list),
            "psp.service_account" => said.service_account.clone().map(FieldValue::Text),
            "psp.owner" => said.owner.clone().map(FieldValue::Text),
            "psp.bundle" => Some(FieldValue::Text(self.admission.digest().to_owned())),
            _ => None,
        }
    }
}
