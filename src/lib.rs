//! Carries Kubernetes PodSecurityPolicies over to Falco.
//!
//! `read` brings policies in, `psp` knows what they meant to the API server, `restrictions` and `render` turn
//! them into rules, the crate `falco-rules` knows what Falco makes of those rules, and `write` puts them in place.

pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod cost;
mod count;
pub mod excerpt;
pub mod findings;
pub mod krm;
pub mod messages;
pub mod paint;
pub mod pattern;
pub mod plugin;
pub mod pod_security;
pub mod predict;
pub mod problem;
pub mod psp;
pub mod rbac;
pub mod read;
// what is wrong with templates is worded where it is found
#[allow(clippy::disallowed_macros)]
pub mod render;
pub mod replay;
pub mod report;
pub mod restrictions;
mod signals;
mod table;
pub mod wrap;
pub mod write;
pub mod yaml;
