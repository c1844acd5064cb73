//! The keys of the file as values.

use std::path::Path;

use crate::cli::{Input, Output, Reading, ReportFormat, Rules, Wrapper};
use crate::findings::Kind;
use crate::render::{AuditObject, Layers};
use crate::wrap::{Format, Object};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Files and folders with policies, relative to the folder of the file.
    pub sources: Vec<String>,
    /// Patterns of what is left out of folders and archives, relative to each of them.
    pub exclude: Vec<String>,
    /// Only pods of these namespaces; empty: of all.
    pub namespaces: Vec<String>,
    /// No pods of these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// Where rules go: a file or folder, relative to the folder of the file.
    pub rules: String,
    /// What rules are put into.
    pub format: Format,
    /// The object that carries the rules, if the format is one.
    pub object: Object,
    /// The formats of the reports that go beside the rules.
    pub reports: Vec<ReportFormat>,
    /// Refuse what the API server or kubectl would have refused.
    pub strict: bool,
    /// Heed who may use which policy, where the sources say so; as the command line has it when left out.
    pub rbac: Option<bool>,
    /// Make rules for a Falco with the plugin psp.
    pub plugin: bool,
    /// The namespace of RBAC objects that name none; none: they count in every namespace.
    pub default_namespace: Option<String>,
    /// Where the rules look; as the command line has it when left out.
    pub layer: Option<Layers>,
    /// Add the rules that belong to no policy to the runtime layer.
    pub baseline: bool,
    /// Which object of an audit event to judge; as the command line has it when left out.
    pub audit_object: Option<AuditObject>,
    /// How many containers to count; as the command line has it when left out.
    pub max_containers: Option<u16>,
    /// How many volumes to number; as the command line has it when left out.
    pub max_volumes: Option<u16>,
    /// A folder of templates, relative to the folder of the file.
    pub templates: Option<String>,
    /// Files that tune the rules, in load order, relative to the folder of the file.
    pub tuning: Vec<String>,
    /// The kinds of findings that fail a run.
    pub fail_on: Vec<Kind>,
    /// KRM only: take the policies out of the items.
    pub remove_policies: bool,
}

/// Who reads the keys: some make sense for one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// `generate`, from a file.
    Generate,
    /// `krm`, from a function's configuration.
    Function,
}

impl Config {
    /// The command line that reads the same, from the folder `base`.
    pub(crate) fn input(&self, base: &Path) -> Input {
        Input {
            paths: self.sources.iter().map(|source| base.join(source)).collect(),
            reading: Reading { exclude: self.exclude.clone(), strict: self.strict },
        }
    }

    /// The command line that makes the same rules. What the file does not say is as `convert` has it.
    pub(crate) fn apply(&self, base: &Path, rules: &mut Rules, output: &mut Output) {
        rules.namespace.clone_from(&self.namespaces);
        rules.exclude_namespace.clone_from(&self.exclude_namespaces);
        rules.no_rbac = self.rbac.map_or(rules.no_rbac, |heed| !heed);
        rules.default_namespace.clone_from(&self.default_namespace);
        rules.layer = self.layer.or(rules.layer);
        rules.baseline = self.baseline;
        rules.plugin = self.plugin;
        rules.audit_object = self.audit_object.unwrap_or(rules.audit_object);
        rules.max_containers = self.max_containers.unwrap_or(rules.max_containers);
        rules.max_volumes = self.max_volumes.unwrap_or(rules.max_volumes);
        rules.templates = self.templates.as_ref().map(|templates| base.join(templates));
        output.output = Some(base.join(&self.rules)).filter(|_| !self.rules.is_empty());
        output.reporting.report.clone_from(&self.reports);
        output.reporting.tuning = self.tuning.iter().map(|file| base.join(file)).collect();
        output.wrapper = Wrapper {
            format: self.format,
            object_name: self.object.name.clone(),
            object_namespace: self.object.namespace.clone(),
            object_label: self.object.labels.clone().into_iter().collect(),
            rulesfile_inline: self.object.inline,
        };
    }
}
