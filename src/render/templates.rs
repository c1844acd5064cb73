//! The templates: compiled in, and replaced one by one from a folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use handlebars::{Handlebars, no_escape};
use serde_json::Value;

use super::{helpers, read_override, recursion};

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of every template. One that is missing does not compile.
        const EMBEDDED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../templates/audit/", $name, ".yaml.hbs")))),+];
    };
}

embedded![
    "shared",
    "policy",
    "violation",
    "lost_default",
    "output",
    "incomplete",
    "set",
    "privileged",
    "defaultAddCapabilities",
    "requiredDropCapabilities",
    "allowedCapabilities",
    "volumes",
    "hostNetwork",
    "hostPorts",
    "hostPID",
    "hostIPC",
    "seLinux",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "fsGroup",
    "readOnlyRootFilesystem",
    "defaultAllowPrivilegeEscalation",
    "allowPrivilegeEscalation",
    "allowedHostPaths",
    "allowedFlexVolumes",
    "allowedCSIDrivers",
    "allowedUnsafeSysctls",
    "forbiddenSysctls",
    "allowedProcMountTypes",
    "runtimeClass",
    "seccomp",
    "apparmor",
];

/// The registered templates.
pub(super) struct Templates {
    registry: Handlebars<'static>,
    /// Where each template stands, for messages.
    places: HashMap<&'static str, String>,
}

impl Templates {
    /// Registers the built-in templates, each replaced by `folder/audit/NAME.yaml.hbs` where that exists.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self> {
        let mut registry = Handlebars::new();
        let mut places = HashMap::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        helpers::register(&mut registry);
        for (name, built_in) in EMBEDDED {
            let path =
                folder.map(|f| f.join("audit").join(format!("{name}.yaml.hbs"))).filter(|p| p.exists());
            let text = match &path {
                Some(path) => read_override(path)?,
                None => (*built_in).to_owned(),
            };
            let place =
                path.map_or_else(|| format!("templates/audit/{name}.yaml.hbs"), |p| p.display().to_string());
            registry.register_template_string(name, text.trim_end()).map_err(|e| {
                let (line, column) = e.pos().unwrap_or((1, 1));
                anyhow!("{place}:{line}:{column}: {}", e.reason())
            })?;
            places.insert(*name, place);
        }
        if let Some(folder) = folder {
            refuse_unknown(&folder.join("audit"))?;
            if let Some((name, problem)) = recursion::endless(registry.get_templates().iter()) {
                bail!("{}: {problem}", places.get(name.as_str()).unwrap_or(&name));
            }
        }
        Ok(Self { registry, places })
    }

    /// Renders one template.
    pub(super) fn render(&self, name: &str, data: &Value) -> Result<String> {
        self.registry.render(name, data).map_err(|e| {
            let template = e.template_name.as_deref().unwrap_or(name);
            let place = self.places.get(template).map_or(template, String::as_str);
            anyhow!("{place}:{}:{}: {}", e.line_no.unwrap_or(1), e.column_no.unwrap_or(1), e.reason())
        })
    }
}

/// A file in the folder that replaces nothing is a mistake in its name.
fn refuse_unknown(folder: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        bail!("{}: not a folder; template overrides lie in audit/ below the folder given", folder.display());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = name.strip_suffix(".yaml.hbs").is_some_and(|n| EMBEDDED.iter().any(|(e, _)| *e == n));
        if name.ends_with(".hbs") && !known {
            bail!(
                "{}: replaces no template; name it after a field, as in templates/audit",
                entry.path().display()
            );
        }
    }
    Ok(())
}
