//! Plugins beside those that are modelled: their versions and fields come as data.

use super::catalog::{FieldInfo, catalog};
use super::versions::PLUGIN_VERSIONS;

/// What rules may name of a plugin that is not modelled here.
#[derive(Debug, Clone, Copy)]
pub struct PluginInfo {
    /// Its name, as `required_plugin_versions` has it.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its fields; their `origin` is its name.
    pub fields: &'static [FieldInfo],
}

/// The plugins and fields that rules may name: those of the catalogue, and those of more plugins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'p>(pub(crate) &'p [PluginInfo]);

impl Known<'_> {
    fn added_fields(self) -> impl Iterator<Item = &'static FieldInfo> {
        self.0.iter().flat_map(|plugin| plugin.fields)
    }

    /// Every field.
    pub(crate) fn fields(self) -> impl Iterator<Item = &'static FieldInfo> {
        catalog().fields().chain(self.added_fields())
    }

    /// The field with this name, if it works on events of `source`.
    pub(crate) fn find(self, name: &str, source: &str) -> Option<&'static FieldInfo> {
        let added = || self.added_fields().find(|field| field.name == name);
        catalog().any(name).or_else(added).filter(|field| field.sources.contains(&source))
    }

    /// The position of the added plugin that brings a field of this name.
    pub(crate) fn plugin_of(self, name: &str) -> Option<usize> {
        self.0.iter().position(|plugin| plugin.fields.iter().any(|field| field.name == name))
    }

    /// The version of a plugin.
    pub(crate) fn version(self, plugin: &str) -> Option<&'static str> {
        let added = self.0.iter().map(|plugin| (plugin.name, plugin.version));
        PLUGIN_VERSIONS.into_iter().chain(added).find(|(name, _)| *name == plugin).map(|(_, version)| version)
    }
}
