//! The templates: compiled in, and replaced one by one from a folder.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use handlebars::{Handlebars, no_escape};
use serde_json::Value;

use super::{Layer, helpers, read_override, recursion};

/// Names and texts of templates.
type Embedded = &'static [(&'static str, &'static str)];

/// The templates of each layer: those of the fields, and its own partials. One that is missing does not compile.
macro_rules! embedded {
    ([$($audit:literal),*] [$($plugin:literal),*] [$($runtime:literal),*] $($field:literal),+ $(,)?) => {
        const AUDIT: Embedded = embedded!(@ "audit" $($audit)*);
        const AUDIT_FIELDS: Embedded = embedded!(@ "audit" $($field)+);
        const PLUGIN: Embedded = embedded!(@ "plugin" $($plugin)*);
        const RUNTIME: Embedded = embedded!(@ "runtime" $($runtime)* $($field)+);
    };
    (@ $folder:literal $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../templates/", $folder, "/", $name, ".yaml.hbs")))),+]
    };
}

embedded![
    ["shared", "policy", "violation", "lost_default", "output", "incomplete", "set"]
    ["shared", "policy", "violation", "lost_default", "output", "guards"]
    ["shared", "policy", "violation", "output", "baseline"]
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
    /// Registers a layer's built-in templates, each replaced by `folder/LAYER/NAME.yaml.hbs` where that exists.
    /// Audit rules for the plugin psp are made of the fields' templates for the audit layer, and partials of their own.
    pub(super) fn load(layer: Layer, plugin: bool, folder: Option<&Path>) -> Result<Self> {
        let parts: &[(&str, Embedded)] = match layer {
            Layer::Audit if plugin => &[("audit", AUDIT_FIELDS), ("plugin", PLUGIN)],
            Layer::Audit => &[("audit", AUDIT_FIELDS), ("audit", AUDIT)],
            Layer::Runtime => &[("runtime", RUNTIME)],
        };
        let mut registry = Handlebars::new();
        let mut places = HashMap::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        helpers::register(&mut registry);
        for (layer, (name, built_in)) in
            parts.iter().flat_map(|(layer, all)| all.iter().map(move |t| (layer, t)))
        {
            let path = folder.map(|f| f.join(layer).join(format!("{name}.yaml.hbs"))).filter(|p| p.exists());
            let text = match &path {
                Some(path) => read_override(path)?,
                None => (*built_in).to_owned(),
            };
            let place = path
                .map_or_else(|| format!("templates/{layer}/{name}.yaml.hbs"), |p| p.display().to_string());
            registry.register_template_string(name, text.trim_end()).map_err(|e| {
                let (line, column) = e.pos().unwrap_or((1, 1));
                anyhow!("{place}:{line}:{column}: {}", e.reason())
            })?;
            places.insert(*name, place);
        }
        if let Some(folder) = folder {
            refuse_unknown(folder)?;
            if let Some((name, problem)) = recursion::endless(registry.get_templates().iter()) {
                bail!("{}: {problem}", places.get(name.as_str()).unwrap_or(&name));
            }
        }
        Ok(Self { registry, places })
    }

    /// Where a template stands.
    pub(super) fn place(&self, name: &str) -> String {
        self.places.get(name).cloned().unwrap_or_else(|| format!("{name}.yaml.hbs"))
    }

    /// Renders one template.
    pub(super) fn render(&self, name: &str, data: Value) -> Result<String> {
        self.registry.render_with_context(name, &data.into()).map_err(|e| {
            let template = e.template_name.as_deref().unwrap_or(name);
            let place = self.places.get(template).map_or(template, String::as_str);
            anyhow!("{place}:{}:{}: {}", e.line_no.unwrap_or(1), e.column_no.unwrap_or(1), e.reason())
        })
    }
}

/// The folders of templates, and what is in them.
const FOLDERS: [(&str, &[Embedded]); 3] =
    [("audit", &[AUDIT_FIELDS, AUDIT]), ("plugin", &[PLUGIN]), ("runtime", &[RUNTIME])];

/// A folder without a layer's folder, and a file in one that replaces nothing, are mistakes in a name.
fn refuse_unknown(folder: &Path) -> Result<()> {
    let mut found = false;
    for (layer, embedded) in FOLDERS {
        let Ok(entries) = std::fs::read_dir(folder.join(layer)) else { continue };
        found = true;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let mut names = embedded.iter().flat_map(|part| part.iter().map(|(name, _)| *name));
            let known = name.strip_suffix(".yaml.hbs").is_some_and(|n| names.any(|e| e == n));
            if name.ends_with(".hbs") && !known {
                bail!(
                    "{}: replaces no template; name it after a field, as in templates/{layer}",
                    entry.path().display(),
                );
            }
        }
    }
    if !found {
        bail!(
            "{}: not a folder with audit/, plugin/ or runtime/ in it; name the one where template overrides lie",
            folder.display()
        );
    }
    Ok(())
}
