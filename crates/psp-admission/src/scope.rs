//! Which pods a policy is asked about, beyond who may use it: what the user narrowed it to.

use crate::pod::Pod;
use crate::policy::Policy;
pub use crate::policy::{IMAGES, NAMESPACES};

/// The names that an annotation of a policy lists: separated by commas, in brackets and quotes or not.
pub fn listed_in(policy: &Policy, annotation: &str) -> Vec<String> {
    let text = policy.annotations.get(annotation).map(String::as_str).unwrap_or_default();
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split(',').map(|n| n.trim().trim_matches(['"', '\'']).to_owned()).filter(|n| !n.is_empty()).collect()
}

/// What a user narrowed all policies to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Only pods of these namespaces; empty: of all.
    pub namespaces: Vec<String>,
    /// No pods of these namespaces.
    pub exclude_namespaces: Vec<String>,
}

impl Scope {
    /// Are pods of this namespace looked at?
    pub fn contains(&self, namespace: &str) -> bool {
        let lists = |names: &[String]| names.iter().any(|name| name == namespace);
        (self.namespaces.is_empty() || lists(&self.namespaces)) && !lists(&self.exclude_namespaces)
    }
}

/// What a policy's annotations narrow it to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyScope {
    namespaces: Vec<String>,
    images: Vec<String>,
}

impl PolicyScope {
    /// What the annotations of `policy` say.
    pub fn new(policy: &Policy) -> Self {
        Self { namespaces: listed_in(policy, NAMESPACES), images: listed_in(policy, IMAGES) }
    }

    /// Is the policy asked about this pod of this namespace?
    pub fn contains(&self, pod: &Pod<'_>, namespace: &str) -> bool {
        let is = |image: &str, wanted: &str| {
            image.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
        };
        let used = |wanted: &String| pod.containers.iter().any(|container| is(&container.image, wanted));
        (self.namespaces.is_empty() || self.namespaces.iter().any(|name| name == namespace))
            && (self.images.is_empty() || self.images.iter().any(used))
    }
}
