//! Rules files inside what brings them to Falco: a ConfigMap, values of the Helm chart, the operator's Rulesfile.
//!
//! The payload of a wrapper, unwrapped, is the rules file byte for byte. The one exception is a Rulesfile that holds
//! its rules inline: there they are an object, whose values are those of the file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Error, Result};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::messages;
use crate::problem::{Message, Problem, quote};
use crate::psp::names;
use crate::yaml::{Documents, fits_block, write};
use falco_rules::file::yaml;

/// What a rules file is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// The rules file itself.
    #[default]
    Rules,
    /// A ConfigMap to mount at /etc/falco/rules.d.
    #[value(name = "configmap")]
    ConfigMap,
    /// `customRules` of the Falco Helm chart.
    HelmValues,
    /// A Rulesfile of the Falco operator, with the ConfigMap that it refers to.
    Rulesfile,
}

impl Format {
    /// Its word on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
    }

    /// The name of a wrapped file in a folder; `rules` is that of the rules file.
    pub fn file_name(self, rules: &str) -> String {
        let stem = rules.strip_suffix(".yaml").unwrap_or(rules);
        match self {
            Format::Rules => rules.to_owned(),
            Format::ConfigMap => format!("{stem}.configmap.yaml"),
            Format::HelmValues => format!("{stem}.values.yaml"),
            Format::Rulesfile => format!("{stem}.rulesfile.yaml"),
        }
    }
}

/// The Kubernetes object that carries rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// Its name; `psp-audit-rules` for `psp_audit_rules.yaml` when left out.
    pub name: Option<String>,
    /// Its namespace; that of the one who applies it when left out.
    pub namespace: Option<String>,
    /// Labels beside `app.kubernetes.io/managed-by`.
    pub labels: BTreeMap<String, String>,
    /// Put the rules into the Rulesfile itself, without their comments, rather than into a ConfigMap.
    pub inline: bool,
    /// The bundle of policies that goes with the rules, where they are for the plugin psp.
    pub bundle: Option<String>,
}

/// The name of the bundle of policies, as a file beside the rules and as a key beside theirs. Falco passes over what
/// lies in its rules folder and is no YAML.
pub const BUNDLE: &str = "psp_policies.json";

/// The annotation by which an object is known to be ours; its value names the rules file in it.
pub const ANNOTATION: &str = "psp2falco/rules";

/// What the values of a ConfigMap may amount to (`MaxSecretSize` of the API server).
pub const MOST_IN_CONFIG_MAP: usize = 1 << 20;
/// What `kubectl apply` can record in its annotation; beyond it, only a server-side apply works.
const MOST_IN_ANNOTATIONS: usize = 256 << 10;
/// What etcd takes in one request, less some room for the object around it (`--max-request-bytes`, 1.5 MiB).
const MOST_IN_REQUEST: usize = (3 << 19) - (16 << 10);

/// The key under which the operator looks for rules in a ConfigMap (`ConfigMapRulesKey`).
const OPERATOR_KEY: &str = "rules.yaml";

/// Puts the rules file `text`, called `file` in a folder, into `format`.
///
/// # Errors
/// Names and labels that the API server refuses, and rules that are too large for the object or that its reader would
/// not get as they are.
pub fn wrap<'t>(format: Format, file: &str, text: &'t str, object: &Object) -> Result<Cow<'t, str>> {
    object.check().map_err(|(option, message)| Problem::of_file(option, message))?;
    let mut out = String::new();
    match format {
        Format::Rules => return Ok(text.into()),
        Format::ConfigMap => {
            out.push_str(&heading("A ConfigMap to mount at /etc/falco/rules.d of Falco"));
            if object.bundle.is_some() {
                out.push_str(PLUGIN_NOTES);
            }
            note_size(object.size(text), &mut out);
            write(&object.config_map(file, file, text)?, 0, &mut out);
        }
        Format::HelmValues => {
            if !fits_block(text) {
                return Err(Problem::of_file(file, messages::commands::unfit_for_helm()).into());
            }
            config_map_size(file, object.size(text))?;
            out.push_str(&heading("Values for the Helm chart of Falco"));
            if object.bundle.is_some() {
                out.push_str(&HELM_NOTES.replace(JSON_ARTIFACT, "").replace(JSON_PLUGINS, PSP_PLUGINS));
                out.push_str(LIBRARY_NOTES);
            } else {
                out.push_str(HELM_NOTES);
            }
            // Helm merges maps: this key stands beside whatever else the chart's other values say of Falco
            let values = json!({
                "falco": { "rule_matching": "all" },
                "customRules": object.data(file, text),
            });
            write(&values, 0, &mut out);
        }
        Format::Rulesfile => {
            out.push_str(&heading("Rules for the operator of Falco"));
            out.push_str(OPERATOR_NOTES);
            if object.bundle.is_some() {
                out.push_str(PLUGIN_NOTES);
            }
            note_size(object.size(text), &mut out);
            for (n, value) in object.rulesfile(file, text)?.iter().enumerate() {
                if n > 0 {
                    out.push_str("---\n");
                }
                write(value, 0, &mut out);
            }
        }
    }
    Ok(out.into())
}

/// The objects of a format that is one or more objects: the ConfigMap, or the Rulesfile with its ConfigMap.
///
/// # Errors
/// As [`wrap`]; and formats that are no objects.
pub fn objects(format: Format, file: &str, text: &str, object: &Object) -> Result<Vec<Value>> {
    object.check().map_err(|(option, message)| Problem::of_file(option, message))?;
    match format {
        Format::ConfigMap => Ok(vec![object.config_map(file, file, text)?]),
        Format::Rulesfile => object.rulesfile(file, text),
        Format::Rules | Format::HelmValues => {
            Err(Problem::of_file(file, messages::commands::no_objects()).into())
        }
    }
}

/// The rules file in a wrapped file; nothing where none is found. Rules that stand inline come as JSON.
pub fn payload(format: Format, file: &str, text: String) -> Option<String> {
    if format == Format::Rules {
        return Some(text);
    }
    let values: Vec<Value> =
        Documents::new(&text).map_while(Result::ok).map(|node| node.to_value()).collect();
    let at = |value: &Value, map: &str, key: &str| Some(value.get(map)?.get(key)?.as_str()?.to_owned());
    values.iter().find_map(|value| match format {
        Format::Rules => None,
        Format::ConfigMap => at(value, "data", file),
        Format::HelmValues => at(value, "customRules", file),
        Format::Rulesfile => at(value, "data", OPERATOR_KEY)
            .or_else(|| value.get("spec")?.get("inlineRules").map(ToString::to_string)),
    })
}

impl Object {
    fn name(&self, file: &str) -> String {
        let stem = file.strip_suffix(".yaml").unwrap_or(file);
        self.name.clone().unwrap_or_else(|| stem.replace('_', "-"))
    }

    /// What the API server would refuse.
    ///
    /// # Errors
    /// The option of the command line, and what it must be.
    pub fn check(&self) -> Result<(), (&'static str, Message)> {
        if let Some(name) = self.name.as_deref().filter(|name| !names::is_subdomain(name)) {
            return Err(("--object-name", messages::config::no_object_name(quote(name))));
        }
        if let Some(name) = self.namespace.as_deref().filter(|name| !names::is_dns_label(name)) {
            return Err(("--object-namespace", messages::config::no_namespace_name(quote(name))));
        }
        for (key, value) in &self.labels {
            if let Some(message) = names::qualified_name(key).or_else(|| names::label_value(value)) {
                return Err(("--object-label", message));
            }
        }
        Ok(())
    }

    /// What is said of the object though `format` has no place for it: the option of the command line, the key of the
    /// configuration, and the formats that have one.
    pub fn unused(&self, format: Format) -> Option<(&'static str, &'static str, &'static str)> {
        const OBJECTS: &str = "configmap or rulesfile";
        let is_object = matches!(format, Format::ConfigMap | Format::Rulesfile);
        if self.inline && format != Format::Rulesfile {
            Some(("--rulesfile-inline", "inline", "rulesfile"))
        } else if is_object {
            None
        } else if self.name.is_some() {
            Some(("--object-name", "name", OBJECTS))
        } else if self.namespace.is_some() {
            Some(("--object-namespace", "namespace", OBJECTS))
        } else {
            (!self.labels.is_empty()).then_some(("--object-label", "labels", OBJECTS))
        }
    }

    fn metadata(&self, file: &str) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), self.name(file).into());
        if let Some(namespace) = &self.namespace {
            metadata.insert("namespace".to_owned(), namespace.as_str().into());
        }
        let managed = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "psp2falco".to_owned())]);
        let labels: BTreeMap<_, _> = managed.into_iter().chain(self.labels.clone()).collect();
        metadata.insert("labels".to_owned(), json!(labels));
        metadata.insert("annotations".to_owned(), json!({ ANNOTATION: file }));
        Value::Object(metadata)
    }

    fn config_map(&self, file: &str, key: &str, text: &str) -> Result<Value> {
        config_map_size(file, self.size(text))?;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(file),
            "data": self.data(key, text),
        }))
    }

    /// The rules under `key`, and their bundle.
    fn data(&self, key: &str, text: &str) -> Value {
        let mut data = Map::new();
        data.insert(key.to_owned(), text.into());
        data.extend(self.bundle.as_ref().map(|bundle| (BUNDLE.to_owned(), bundle.as_str().into())));
        Value::Object(data)
    }

    /// How many bytes these are.
    fn size(&self, text: &str) -> usize {
        text.len() + self.bundle.as_ref().map_or(0, String::len)
    }

    fn rulesfile(&self, file: &str, text: &str) -> Result<Vec<Value>> {
        let object = |spec: Value| {
            json!({
                "apiVersion": "artifact.falcosecurity.dev/v1alpha1",
                "kind": "Rulesfile",
                "metadata": self.metadata(file),
                "spec": spec,
            })
        };
        if !self.inline {
            let reference = object(json!({ "configMapRef": { "name": self.name(file) } }));
            return Ok(vec![self.config_map(file, OPERATOR_KEY, text)?, reference]);
        }
        if self.bundle.is_some() {
            return Err(
                Problem::of_file("--rulesfile-inline", messages::commands::bundle_inline(BUNDLE)).into()
            );
        }
        let rules = inline(file, text)?;
        let size = rules.to_string().len();
        if size > MOST_IN_REQUEST {
            return Err(
                Problem::of_file(file, messages::commands::too_large_inline(size, MOST_IN_REQUEST)).into()
            );
        }
        Ok(vec![object(json!({ "inlineRules": rules }))])
    }
}

/// The rules as an object. Falco reads every scalar as text first, so texts they stay: `0.10` would not survive as a
/// number.
fn inline(file: &str, text: &str) -> Result<Value> {
    let documents = yaml::documents(text)
        .map_err(|e| Error::msg(format!("{file}:{}:{}: {}", e.place.line, e.place.column, e.message)))?;
    Ok(documents
        .iter()
        .filter_map(|document| document.sequence())
        .flatten()
        .map(|item| value(item))
        .collect())
}

fn value(node: &yaml::Node) -> Value {
    match &node.data {
        yaml::Data::Null => Value::Null,
        yaml::Data::Scalar(text, _) => Value::from(text.as_str()),
        yaml::Data::Sequence(items) => items.iter().map(|item| value(item)).collect(),
        yaml::Data::Mapping(pairs) => pairs
            .iter()
            .map(|(key, item)| (key.scalar().unwrap_or_default().to_owned(), value(item)))
            .collect(),
    }
}

fn config_map_size(file: &str, size: usize) -> Result<()> {
    if size > MOST_IN_CONFIG_MAP {
        return Err(Problem::of_file(
            file,
            messages::commands::too_large_for_config_map(size, MOST_IN_CONFIG_MAP),
        )
        .into());
    }
    Ok(())
}

fn heading(what: &str) -> String {
    format!(
        "# {what}, made by psp2falco {}. Do not edit: to tune,\n# let a later rules file override what this one defines.\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn note_size(length: usize, out: &mut String) {
    // quotes and line ends are escaped in the annotation, so what is near the limit is beyond it
    if length + length / 10 > MOST_IN_ANNOTATIONS {
        let _ = write!(
            out,
            "#\n# Too large for a client-side `kubectl apply`: use `kubectl apply --server-side`, or the like of it\n\
             # (Argo CD: ServerSideApply=true).\n"
        );
    }
}

/// What the chart (9.x) needs beside the rules.
const HELM_NOTES: &str = "\
#
#   helm upgrade --install falco falcosecurity/falco --namespace falco --values THIS_FILE --values OTHERS
#
# OTHERS must hold at least this (Helm merges maps and replaces lists, so it is left to you). Leave out driver,
# collectors and controller where the same Falco is to watch system calls too.
#
#   driver: {enabled: false}
#   collectors: {enabled: false}
#   controller: {kind: deployment, deployment: {replicas: 1}}
#   services:
#     - name: k8saudit-webhook
#       ports: [{port: 9765, protocol: TCP}]
#   falcoctl:
#     config:
#       artifact:
#         install: {refs: [k8saudit:0.18.0, json:0.7.4]}
#     artifact:
#       follow: {enabled: false}
#   falco:
#     rules_files: [/etc/falco/rules.d]
#     load_plugins: [k8saudit, json]
#     plugins:
#       - {name: k8saudit, library_path: libk8saudit.so, open_params: \"http://:9765/k8s-audit\"}
#       - {name: json, library_path: libjson.so}
#
# The API server's audit webhook must lead to that service. The chart's own values-k8saudit.yaml will do for OTHERS if it
# comes first; it loads the official audit rules as well. With `rule_matching: all` every rule that matches alerts; the
# chart's default stops at the first, and most alerts of these rules would be lost.
";

/// What the notes for Helm say of the plugin json, and what of the plugin psp instead.
const JSON_ARTIFACT: &str = ", json:0.7.4";
const JSON_PLUGINS: &str = "\
#     load_plugins: [k8saudit, json]
#     plugins:
#       - {name: k8saudit, library_path: libk8saudit.so, open_params: \"http://:9765/k8s-audit\"}
#       - {name: json, library_path: libjson.so}
";
const PSP_PLUGINS: &str = "\
#     load_plugins: [k8saudit, psp]
#     plugins:
#       - {name: k8saudit, library_path: libk8saudit.so, open_params: \"http://:9765/k8s-audit\"}
#       - name: psp
#         library_path: libpsp.so
#         init_config: {policies: /etc/falco/rules.d/psp_policies.json}
";
const LIBRARY_NOTES: &str = "\
#
# libpsp.so must lie in /usr/share/falco/plugins of the image.
";

/// What else rules need that ask the plugin psp.
const PLUGIN_NOTES: &str = "\
#
# The same Falco needs the plugin psp (libpsp.so), with init_config.policies naming psp_policies.json where this
# ConfigMap is mounted.
";

/// What the operator needs beside the rules.
const OPERATOR_NOTES: &str = "\
#
# The same Falco needs a Plugin k8saudit and a Plugin json (artifact.falcosecurity.dev/v1alpha1), and a Config with
# `rule_matching: all`.
";

#[cfg(test)]
mod tests;
