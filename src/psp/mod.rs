//! PodSecurityPolicies as the API server took them: read from documents, and valid or not.

pub(crate) mod fault;
pub(crate) mod names;
pub(crate) mod parse;
pub mod validity;
