//! What is left to do once the rules are made: load them, and bring back what prevention a namespace label can.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::model::{Plugin, Report, RulesFile};
use crate::count::counted;
use crate::pod_security::Level;
use crate::render::Layer;

/// A file to load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FileStep {
    /// Its name.
    pub(super) name: String,
    /// What is in it: `22 rules for the audit log`.
    pub(super) holds: String,
    /// What Falco needs to load it.
    pub(super) needs: String,
}

/// The files to load, in this order.
pub(super) fn files(report: &Report) -> Vec<FileStep> {
    let step = |file: &RulesFile| FileStep {
        name: file.name.clone(),
        holds: format!("{} for {}", counted(file.rules, "rule"), file.layer.title()),
        needs: needs(file),
    };
    report.files.iter().map(step).collect()
}

/// `Falco's engine 0.43.0, the plugins k8saudit 0.7.0 (or …), json 0.7.0, or newer`.
fn needs(file: &RulesFile) -> String {
    let shown = |plugin: &Plugin| format!("{} {}", plugin.name, plugin.version);
    let mut needs: Vec<String> =
        file.engine.iter().map(|engine| format!("Falco's engine {engine}")).collect();
    for (n, plugins) in file.plugins.iter().enumerate() {
        let Some((plugin, alternatives)) = plugins.split_first() else { continue };
        let mut need = format!("{}{}", if n == 0 { "the plugin " } else { "" }, shown(plugin));
        if !alternatives.is_empty() {
            let _ = write!(need, " (or {})", alternatives.iter().map(shown).collect::<Vec<_>>().join(", "));
        }
        needs.push(need);
    }
    format!("{}, or newer", needs.join(", "))
}

/// What of `falco.yaml` loads the files. The plugin `container` is part of Falco and loaded by its own configuration.
pub(super) fn falco_yaml(report: &Report) -> String {
    let mut text = "rules_files:\n".to_owned();
    for file in &report.files {
        let _ = writeln!(text, "  - /etc/falco/{}", file.name);
    }
    text.push_str("  - /etc/falco/psp_tuning.yaml  # yours, if you have one\nrule_matching: all\n");
    let audit = report.files.iter().filter(|file| file.layer == Layer::Audit);
    let plugins: Vec<&str> =
        audit.flat_map(|f| &f.plugins).flat_map(|p| p.first()).map(|p| p.name.as_str()).collect();
    if !plugins.is_empty() {
        let _ = writeln!(text, "load_plugins: [{}]", plugins.join(", "));
    }
    text
}

/// What the API server must log for the rules to see pods as they were stored.
pub(super) const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: RequestResponse
    verbs: [create, update, patch]
    resources:
      - group: \"\"
        resources: [pods, pods/ephemeralcontainers]
";

/// A level, the policies that it is closest to, and the command that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelStep<'r> {
    /// The level.
    pub(super) level: Level,
    /// Sets the label; none for the level that demands nothing.
    pub(super) command: Option<String>,
    /// The policies.
    pub(super) policies: Vec<&'r str>,
}

/// The levels that policies come closest to, the strictest first.
pub(super) fn labels(report: &Report) -> Vec<LabelStep<'_>> {
    let mut by_level: BTreeMap<Level, LabelStep<'_>> = BTreeMap::new();
    for policy in &report.policies {
        let Some(standing) = &policy.pod_security else { continue };
        let command = (standing.level > Level::Privileged)
            .then(|| format!("kubectl label namespace NAMESPACE {}", standing.label.replace(": ", "=")));
        let step = LabelStep { level: standing.level, command, policies: Vec::new() };
        by_level.entry(standing.level).or_insert(step).policies.push(&policy.name);
    }
    by_level.into_values().rev().collect()
}
