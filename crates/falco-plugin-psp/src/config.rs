//! What `falco.yaml` says: `init_config: {policies: /etc/falco/psp_policies.json}`.

use std::path::Path;

use falco_plugin::anyhow::{Error, bail};
use falco_plugin::schemars::JsonSchema;
use falco_plugin::serde::Deserialize;

/// The plugin's `init_config`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(crate = "falco_plugin::serde", deny_unknown_fields)]
#[schemars(crate = "falco_plugin::schemars")]
pub struct Config {
    /// Path of the bundle of policies: the psp_policies.json that psp2falco has written. It is read again when it
    /// changes.
    #[serde(default)]
    policies: Option<String>,
}

impl Config {
    /// The bundle's path.
    pub(crate) fn path(&self) -> Result<&Path, Error> {
        match self.policies.as_deref() {
            None | Some("") => bail!(
                "init_config.policies is missing; name the psp_policies.json that psp2falco convert --plugin has written"
            ),
            Some(path) => Ok(Path::new(path)),
        }
    }
}
