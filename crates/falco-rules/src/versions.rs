//! The versions that rules files require of Falco and its plugins.

use super::items::{Read, VALIDATE, YAML, refuse, refuse_at, required_scalar};
use super::reader::Collector;
use super::rules::{ENGINE_VERSION, PLUGIN_VERSIONS, Severity};
use super::yaml::Node;
use std::collections::HashSet;
use std::rc::Rc;

impl Collector<'_> {
    pub(crate) fn read_engine_version(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let text = required_scalar(node, "required_engine_version")?;
        let wanted = match text.parse::<u32>() {
            Ok(minor) => [0, u64::from(minor), 0],
            Err(_) => match version(text) {
                Some(version) => version,
                None => {
                    return refuse(
                        YAML,
                        format!(
                            "Unable to parse engine version '{text}' as a semver string. Expected \"x.y.z\" semver format."
                        ),
                    );
                }
            },
        };
        if !is_compatible(ENGINE_VERSION, wanted) {
            let [major, minor, patch] = wanted;
            return refuse(
                VALIDATE,
                format!(
                    "Rules require engine version {major}.{minor}.{patch}, but engine version is {ENGINE_VERSION}"
                ),
            );
        }
        self.warn_unknown_keys(node, item, &["required_engine_version"]);
        Ok(())
    }

    pub(crate) fn read_plugin_versions(&mut self, node: &Rc<Node>, item: &str) -> Read<()> {
        let Some(list) = node.get("required_plugin_versions") else { return Ok(()) };
        let Some(plugins) = list.sequence() else {
            return refuse_at(list, "Value of required_plugin_versions must be a sequence");
        };
        for plugin in plugins {
            if plugin.mapping().is_none() {
                return refuse_at(plugin, "Plugin version must be a mapping");
            }
            let mut wanted = vec![plugin_version(plugin)?];
            if let Some(others) = plugin.get("alternatives") {
                let Some(others) = others.sequence() else {
                    return refuse_at(others, "Value of plugin version alternatives must be a sequence");
                };
                for other in others {
                    if other.mapping().is_none() {
                        return refuse_at(other, "Plugin version alternative must be a mapping");
                    }
                    wanted.push(plugin_version(other)?);
                }
            }
            self.check_plugin(plugin, &wanted, item)?;
            self.check_schema_keys(plugin, item, &["name", "version", "alternatives"]);
        }
        self.warn_unknown_keys(node, item, &["required_plugin_versions"]);
        Ok(())
    }

    fn check_plugin(&mut self, node: &Node, wanted: &[(String, String)], item: &str) -> Read<()> {
        let mut names = HashSet::new();
        let mut met = false;
        for (name, text) in wanted {
            let Some(version) = version(text) else {
                return refuse(VALIDATE, format!("Invalid required version '{text}' for plugin '{name}'"));
            };
            if !names.insert(name) {
                return refuse(
                    VALIDATE,
                    format!("Defined multiple alternative version requirements for plugin '{name}'"),
                );
            }
            met |= PLUGIN_VERSIONS.iter().any(|(n, v)| n == name && is_compatible(v, version));
        }
        let is_known = |(name, _): &(String, String)| PLUGIN_VERSIONS.iter().any(|(n, _)| n == name);
        if !wanted.iter().any(is_known) {
            let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("nothing is known here of the plugin {}", names.join(" or "));
            self.find(Severity::Warning, "UNKNOWN_PLUGIN", (self.file, node.place), item, message);
        } else if !met {
            let wanted: Vec<String> =
                wanted.iter().map(|(name, version)| format!("{name}:{version}")).collect();
            let message =
                format!("Plugin requirement not satisfied, must load one of: {}", wanted.join(", "));
            self.find(Severity::Error, "PLUGIN_REQUIREMENT", (self.file, node.place), item, message);
        }
        Ok(())
    }
}

fn plugin_version(node: &Node) -> Read<(String, String)> {
    Ok((required_scalar(node, "name")?.to_owned(), required_scalar(node, "version")?.to_owned()))
}

/// A version's three numbers; what follows them is left aside.
fn version(text: &str) -> Option<[u64; 3]> {
    let mut rest = text;
    let mut out = [0; 3];
    for (i, slot) in out.iter_mut().enumerate() {
        rest = if i == 0 { rest } else { rest.strip_prefix('.')? };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        *slot = number.parse().ok()?;
        rest = tail;
    }
    Some(out)
}

/// Whether version `have` does for those who want `wanted`: the same major version, and no older.
fn is_compatible(have: &str, wanted: [u64; 3]) -> bool {
    let Some(have) = version(have) else { return false };
    have.first() == wanted.first() && have >= wanted
}
