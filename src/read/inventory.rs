//! What was read: the policies, who may use them, and what makes pods, each with its place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use psp_admission::{Field, Policy};
use serde::Deserialize as _;

use crate::problem::{Place, Problem, printable};

/// What a document without a `kind` is counted as.
pub const NO_KIND: &str = "(no kind)";
/// What the kinds beyond a thousand are counted as.
pub const OTHER_KINDS: &str = "(other kinds)";

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The policies, sorted by name; empty when the input held none.
    pub policies: Vec<Located>,
    /// Where policies are defined again, and alike.
    pub copies: Vec<Place>,
    /// How many objects of other kinds were found, by kind; those in `objects`, `pods` and `workloads` are counted too.
    pub passed_over: BTreeMap<String, usize>,
    /// The files of folders and archives that were not read, in whole or in part, and hold no policy.
    pub unread: Vec<Unread>,
    /// The objects that say who may use a policy, in the order of the input.
    pub objects: Vec<Object>,
    /// The pods, in the order of the input.
    pub pods: Vec<Compact>,
    /// What makes pods of a template, like Deployments and CronJobs, in the order of the input.
    pub workloads: Vec<Compact>,
    /// What the user should know though the policies could be read.
    pub warnings: Vec<Problem>,
    /// What is right as it is, and still may surprise.
    pub notes: Vec<Problem>,
}

impl Inventory {
    /// How many files were not read for this reason.
    pub fn unread(&self, why: Why) -> usize {
        self.unread.iter().filter(|unread| unread.why == why).count()
    }

    /// Has places name files as seen from the folder `base`, so that they are the same wherever it lies.
    pub fn relative_to(&mut self, base: &Path) {
        let inner = |place: &mut Place| {
            if let Ok(file) = Path::new(&place.file).strip_prefix(base) {
                place.file = file.to_string_lossy().into_owned();
            }
        };
        self.policies.iter_mut().for_each(|located| inner(&mut located.place));
        self.objects.iter_mut().for_each(|object| inner(&mut object.place));
        self.copies.iter_mut().for_each(inner);
        let prefix = format!("{}/", base.display());
        for remark in self.warnings.iter_mut().chain(&mut self.notes) {
            inner(&mut remark.place);
            if prefix.len() > 1 {
                remark.message = remark.message.replace(&prefix, "");
            }
        }
    }
}

/// A file of a folder or archive that was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its path as places name it.
    pub file: String,
    /// Why.
    pub why: Why,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It is no manifest.
    NoManifest,
    /// It cannot be read as YAML, and does not hold the word PodSecurityPolicy.
    Unreadable,
    /// It is a template, and states no policy.
    Template,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::NoManifest => "no manifest",
            Why::Unreadable => "cannot be read, and does not hold the word PodSecurityPolicy",
            Why::Template => "a template without a policy",
        };
        write!(f, "{}: {why}", printable(&self.file))
    }
}

/// A policy and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The policy.
    pub policy: Policy,
    /// The place of its object.
    pub place: Place,
    /// `sha256:` and 12 hexadecimal digits that change only with what the policy means.
    pub digest: String,
    /// Line and column of each field that the object states, in the same file.
    pub fields: Vec<(Field, usize, usize)>,
}

/// A pod or what makes pods, without what admission never looked at, as text, since a cluster may have 100,000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compact(Box<str>);

impl Compact {
    pub(super) fn new(object: &serde_json::Value) -> Self {
        Self(object.to_string().into())
    }

    /// The object.
    pub fn value(&self) -> serde_json::Value {
        let mut text = serde_json::Deserializer::from_str(&self.0);
        // it was within the reader's own limit
        text.disable_recursion_limit();
        serde_json::Value::deserialize(&mut text).unwrap_or_default()
    }
}

/// An object of another kind, without what its API server and clients note down for themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind, like `ClusterRole`.
    pub kind: String,
    /// Its API version, like `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// The object.
    pub value: serde_json::Value,
    /// Its place.
    pub place: Place,
}
