//! The items `required_engine_version` and `required_plugin_versions`.

use std::collections::HashSet;
use std::rc::Rc;

use super::values::{
    Read, VALIDATE, YAML, refuse, refuse_at, required_scalar, warn_schema_keys, warn_unknown_keys,
};
use super::yaml::Node;
use crate::check::Known;
use crate::check::versions::{ENGINE_VERSION, engine_version, is_compatible, version};
use crate::finding::{Findings, Severity};

pub(crate) fn read_engine_version(findings: &mut Findings<'_>, node: &Rc<Node>, item: &str) -> Read<()> {
    let text = required_scalar(node, "required_engine_version")?;
    let Some(wanted) = engine_version(text) else {
        return refuse(
            YAML,
            format!(
                "Unable to parse engine version '{text}' as a semver string. Expected \"x.y.z\" semver format."
            ),
        );
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
    warn_unknown_keys(findings, node, item, &["required_engine_version"]);
    Ok(())
}

pub(crate) fn read_plugin_versions(
    findings: &mut Findings<'_>,
    node: &Rc<Node>,
    item: &str,
    known: Known<'_>,
) -> Read<()> {
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
        check_plugin(findings, plugin, &wanted, item, known)?;
        warn_schema_keys(findings, plugin, item, &["name", "version", "alternatives"]);
    }
    warn_unknown_keys(findings, node, item, &["required_plugin_versions"]);
    Ok(())
}

fn check_plugin(
    findings: &mut Findings<'_>,
    node: &Node,
    wanted: &[(String, String)],
    item: &str,
    known: Known<'_>,
) -> Read<()> {
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
        met |= known.version(name).is_some_and(|have| is_compatible(have, version));
    }
    let is_known = |(name, _): &(String, String)| known.version(name).is_some();
    if !wanted.iter().any(is_known) {
        let names: Vec<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!("nothing is known here of the plugin {}", names.join(" or "));
        findings.find(Severity::Warning, "UNKNOWN_PLUGIN", (findings.file, node.place), item, message);
    } else if !met {
        let wanted: Vec<String> = wanted.iter().map(|(name, version)| format!("{name}:{version}")).collect();
        let message = format!("Plugin requirement not satisfied, must load one of: {}", wanted.join(", "));
        findings.find(Severity::Error, "PLUGIN_REQUIREMENT", (findings.file, node.place), item, message);
    }
    Ok(())
}

fn plugin_version(node: &Node) -> Read<(String, String)> {
    Ok((required_scalar(node, "name")?.to_owned(), required_scalar(node, "version")?.to_owned()))
}
