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
    ([$($audit:literal),*] [$($runtime:literal),*] $($field:literal),+ $(,)?) => {
        const AUDIT: Embedded = embedded!(@ "audit" $($audit)* $($field)+);
        const RUNTIME: Embedded = embedded!(@ "runtime" $($runtime)* $($field)+);
    };
    (@ $folder:literal $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../templates/", $folder, "/", $name, ".yaml.hbs")))),+]
    };
}

embedded![
    ["shared", "policy", "violation", "lost_default", "output", "incomplete", "set"]
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
    pub(super) fn load(layer: Layer, folder: Option<&Path>) -> Result<Self> {
        let embedded = embedded(layer);
        let layer = layer.name();
        let mut registry = Handlebars::new();
        let mut places = HashMap::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(no_escape);
        helpers::register(&mut registry);
        for (name, built_in) in embedded {
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

fn embedded(layer: Layer) -> Embedded {
    match layer {
        Layer::Audit => AUDIT,
        Layer::Runtime => RUNTIME,
    }
}

/// A folder without a layer's folder, and a file in one that replaces nothing, are mistakes in a name.
fn refuse_unknown(folder: &Path) -> Result<()> {
    let mut found = false;
    for layer in [Layer::Audit, Layer::Runtime] {
        let Ok(entries) = std::fs::read_dir(folder.join(layer.name())) else { continue };
        found = true;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known =
                name.strip_suffix(".yaml.hbs").is_some_and(|n| embedded(layer).iter().any(|(e, _)| *e == n));
            if name.ends_with(".hbs") && !known {
                bail!(
                    "{}: replaces no template; name it after a field, as in templates/{}",
                    entry.path().display(),
                    layer.name()
                );
            }
        }
    }
    if !found {
        bail!(
            "{}: not a folder with audit/ or runtime/ in it; name the one where template overrides lie",
            folder.display()
        );
    }
    Ok(())
}
