//! From policies to a rules file.
//!
//! ```text
//! crate::restrictions    what a policy restricts, field by field: sentences, and data for a template
//!         ↓
//! templates (helpers)    a field's template makes rules of it, once for all policies that restrict the same
//!         ↓
//! item                   what was rendered is parsed once: macros, lists and rules as data
//!         ↓
//! rules_file             the rules of each policy, within its scope; what they share; what may be left out
//!         ↓
//! decision (grants)      with RBAC: whose rules count, by what the requester's other policies say (audit log)
//! namespaces             with RBAC: what all policies that pods of a namespace may use allow together (runtime)
//!         ↓
//! audit, plugin          the rules for the audit log: those that read pods themselves, those that ask the plugin psp
//! runtime                the rules for running containers
//! ```

mod audit;
mod decision;
mod examples;
mod grants;
mod header;
mod helpers;
mod item;
mod macro_name;
mod mounts;
mod namespaces;
mod options;
mod plugin;
pub(crate) mod quote;
mod recursion;
mod rules_file;
mod runtime;
mod scope;
mod source;
mod templates;

pub use header::{Plugin, Requirements, listed_policies};
pub use item::{Item, Kind};
pub use macro_name::macro_name;
pub use options::{AuditObject, Layer, Layers, MAX_FIELD, MAX_RULES, MAX_VALUE, Options};
pub use rules_file::{BundleText, Rendered};
pub use runtime::runtime_rules;
pub(crate) use scope::check_namespaces;
pub use templates::{MAX_BLOCKS, MAX_TEMPLATE};

use crate::read::Located;

/// Makes the rules for the Kubernetes audit log; with the option `plugin`, those that ask the plugin psp, and its bundle.
///
/// # Errors
/// A template that does not render, or not to rules, with its file and line; and what no rule or bundle can hold.
pub fn audit_rules(policies: &[Located], options: &Options) -> anyhow::Result<Rendered> {
    if options.plugin {
        plugin::plugin_rules(policies, options)
    } else {
        audit::stock_rules(policies, options)
    }
}
