//! Every test of the command and of the rules that it writes, in one binary: it links once, and recordings load once.
//!
//! A folder's or file's name is the filter that runs it alone: `cargo test --test it golden::`.

mod admission;
mod alerts;
mod api;
mod captures;
mod cli;
mod common;
mod engine_probes;
mod errors;
mod errors_scan;
mod evidence;
mod exact;
mod examples;
mod falco_properties;
mod faults;
mod gitops;
mod golden;
#[cfg(unix)]
mod help;
mod hostile;
mod imports;
mod messages;
mod pages;
mod pipes;
mod plugin;
mod pod_security;
mod policy_validity;
mod predict;
mod properties;
mod rbac;
mod reader;

mod real_falco;
mod report;
mod report_diff;
mod repositories;
mod scan;
mod scan_cluster;
mod snapshot;
mod targets;
mod terminal;
mod voice;
mod workloads;
