//! What the user chose: which rules, reading what, for which pods.

use std::path::PathBuf;

use clap::ValueEnum;
use psp_admission::access::Access;
use serde::{Deserialize, Serialize};

/// Longest value that a rule is made for, in bytes of JSON: no path of Linux has more than 4096 (`PATH_MAX`).
pub const MAX_VALUE: usize = 8192;
/// The most bytes of all values of one field together.
pub const MAX_FIELD: usize = 256 * 1024;
/// The most bytes of a rules file.
pub const MAX_RULES: usize = 512 * 1024 * 1024;

/// Which object of an audit event the rules read. The first lines are the command line's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AuditObject {
    /// responseObject, logged at level RequestResponse.
    ///
    /// The pod as stored, after every mutation.
    #[default]
    Response,
    /// requestObject, logged at level Request.
    ///
    /// The pod as the client sent it, for logs that hold no more.
    Request,
}

impl AuditObject {
    /// Where the object stands in an event, as a JSON pointer.
    pub fn root(self) -> &'static str {
        match self {
            AuditObject::Response => "/responseObject",
            AuditObject::Request => "/requestObject",
        }
    }

    /// The same, as a bundle says it.
    pub fn admission(self) -> psp_admission::AuditObject {
        match self {
            AuditObject::Response => psp_admission::AuditObject::Response,
            AuditObject::Request => psp_admission::AuditObject::Request,
        }
    }
}

/// Where rules look: one file each, since a Falco without the container plugin loads the first alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The Kubernetes audit log: pods as they are made.
    Audit,
    /// The kernel's events: containers as they run.
    Runtime,
}

impl Layer {
    /// The name of its templates' folder.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Audit => "audit",
            Layer::Runtime => "runtime",
        }
    }

    /// What its rules look at, in words.
    pub fn title(self) -> &'static str {
        match self {
            Layer::Audit => "the audit log",
            Layer::Runtime => "running containers",
        }
    }

    /// The name of its rules in a folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Layer::Audit => "psp_audit_rules.yaml",
            Layer::Runtime => "psp_runtime_rules.yaml",
        }
    }
}

/// The layers to make rules for. The documentation is the command line's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layers {
    /// The Kubernetes audit log: pods as they are made.
    Audit,
    /// The kernel's events: containers as they run.
    Runtime,
    /// Both, one file each.
    Both,
}

impl Layers {
    /// Each of them.
    pub fn each(self) -> &'static [Layer] {
        match self {
            Layers::Audit => &[Layer::Audit],
            Layers::Runtime => &[Layer::Runtime],
            Layers::Both => &[Layer::Audit, Layer::Runtime],
        }
    }
}

/// How rules are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The object that the rules read.
    pub object: AuditObject,
    /// How many containers are counted, where containers have to be counted; beyond it the guard alerts.
    pub max_containers: usize,
    /// How many volumes are addressed by position, where mounts have to be told apart; beyond it the guard alerts.
    pub max_volumes: usize,
    /// Only pods of these namespaces; empty: of all.
    pub namespaces: Vec<String>,
    /// No pods of these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// The namespace of pods and workloads in the input whose manifests name none.
    pub default_namespace: Option<String>,
    /// A folder whose `LAYER/NAME.yaml.hbs` replace the templates of that name.
    pub templates: Option<PathBuf>,
    /// Add the rules that belong to no policy to the runtime layer.
    pub baseline: bool,
    /// Make the audit rules for a Falco with the plugin psp.
    pub plugin: bool,
    /// Who may use which policy. Known, the policies decide together; not known, each stands alone.
    pub access: Option<Access>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            object: AuditObject::Response,
            max_containers: 8,
            max_volumes: 10,
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            default_namespace: None,
            templates: None,
            baseline: false,
            plugin: false,
            access: None,
        }
    }
}
