//! The items of rules files, once all that changes them is taken in.

use super::exceptions::Exception;
use super::priority::Priority;
use super::text::{Located, Text};

/// A list.
#[derive(Debug)]
pub(crate) struct ListInfo {
    pub(crate) name: String,
    pub(crate) items: Vec<String>,
    pub(crate) at: Located,
    /// How many items were defined before it.
    pub(crate) index: usize,
    /// It sees the items whose index is lower.
    pub(crate) visibility: usize,
}

/// A macro.
#[derive(Debug)]
pub(crate) struct MacroInfo {
    pub(crate) name: String,
    pub(crate) condition: Text,
    pub(crate) at: Located,
    /// How many items were defined before it.
    pub(crate) index: usize,
    /// It sees the items whose index is lower.
    pub(crate) visibility: usize,
}

/// A rule.
#[derive(Debug)]
pub(crate) struct RuleInfo {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) condition: Text,
    pub(crate) output: Text,
    pub(crate) priority: Priority,
    pub(crate) source: String,
    pub(crate) tags: Vec<String>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) enabled: bool,
    pub(crate) warn_evttypes: bool,
    pub(crate) skip_if_unknown_filter: bool,
    pub(crate) at: Located,
}
