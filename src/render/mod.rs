//! From restrictions to the text of a rules file.

mod helpers;
pub mod pattern;
mod templates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::psp::sysctl::SAFE;
use crate::psp::validity::unusable;
use crate::psp::{Field, Policy};
use crate::read::Located;
use crate::restrictions::{Mapped, map};
use templates::Templates;

/// Annotation that restricts a policy's rules to pods with one of these images (as `falcoctl convert psp` had it).
pub const IMAGES: &str = "falco-rules-psp-images";
/// Annotation that restricts a policy's rules to these namespaces (as `falcoctl convert psp` had it).
pub const NAMESPACES: &str = "falco-rules-psp-namespaces";

/// The oldest engine that has all operators of the plain rules (Falco 0.39: `regex`).
const ENGINE: &str = "0.43.0";
/// The oldest engine that has `concat` (Falco 0.44), which ties a mount to its volume.
const ENGINE_WITH_CONCAT: &str = "0.62.0";

/// Which object of an audit event the rules read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditObject {
    /// `responseObject`: the pod as stored, after every mutation.
    #[default]
    Response,
    /// `requestObject`: the pod as the client sent it, for logs that hold no more.
    Request,
}

impl AuditObject {
    fn root(self) -> &'static str {
        match self {
            AuditObject::Response => "/responseObject",
            AuditObject::Request => "/requestObject",
        }
    }
}

/// How rules are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The object that the rules read.
    pub object: AuditObject,
    /// How many containers are counted, where containers have to be counted; beyond it the guard alerts.
    pub max_containers: usize,
    /// How many volumes are addressed by position, where mounts have to be told apart; beyond it the guard alerts.
    pub max_volumes: usize,
    /// Only pods of these namespaces; empty: of all.
    pub namespaces: Vec<String>,
    /// No pods of these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// A folder whose `audit/NAME.yaml.hbs` replace the templates of that name.
    pub templates: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            object: AuditObject::Response,
            max_containers: 10,
            max_volumes: 16,
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            templates: None,
        }
    }
}

/// A rules file and what it is made of.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The file.
    pub text: String,
    /// How many rules it holds, the guard included.
    pub rules: usize,
    /// What each policy says in each field, in the order of the file.
    pub policies: Vec<(String, Vec<(Field, Mapped)>)>,
}

/// Makes the rules for the Kubernetes audit log.
///
/// # Errors
/// A template that does not render, with its name and line.
pub fn audit_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    let templates = Templates::load(options.templates.as_deref())?;
    let names = macro_names(policies.iter().map(|p| p.policy.name.as_str()));
    let mut body = String::new();
    let mut mapped_policies = Vec::new();
    for located in policies {
        let policy = &located.policy;
        let mapped: Vec<(Field, Mapped)> = Field::ALL.into_iter().map(|f| (f, map(f, policy))).collect();
        if rules_note(policy, &mapped).is_none() {
            let id = names.get(&policy.name).map(String::as_str).unwrap_or_default();
            body.push_str(&policy_rules(&templates, policy, id, &mapped, options)?);
        }
        mapped_policies.push((policy.name.clone(), mapped));
    }
    let shared = blocks(&templates.render("shared", &base_data(options))?);
    let guard_data = |used: &BTreeSet<String>| {
        let mut data = base_data(options);
        insert(&mut data, "counts_containers", used.contains("psps_no_apparmor"));
        insert(&mut data, "numbers_volumes", used.iter().any(|m| m.starts_with("psps_writes_to_volume")));
        data
    };
    let used = used_blocks(&shared, &body);
    let guard = templates.render("incomplete", &guard_data(&used))?;
    let used = used_blocks(&shared, &format!("{body}{guard}"));
    let kept: String = shared.iter().filter(|b| used.contains(&b.name)).map(|b| format!("{}\n", b.text)).collect();
    let mut text = header(policies, &mapped_policies, if kept.contains("concat(") { ENGINE_WITH_CONCAT } else { ENGINE });
    text.push_str(&kept);
    text.push_str(&body);
    text.push_str(&guard);
    let text = share_outputs(&tidy(&text));
    let rules = text.lines().filter(|l| l.starts_with("- rule:")).count();
    Ok(Rendered { text, rules, policies: mapped_policies })
}

/// The macros and rules of one policy.
fn policy_rules(
    templates: &Templates,
    policy: &Policy,
    id: &str,
    mapped: &[(Field, Mapped)],
    options: &Options,
) -> Result<String> {
    let mut data = base_data(options);
    insert(&mut data, "policy", policy.name.as_str());
    insert(&mut data, "id", id);
    insert(&mut data, "scope", scope(policy, options));
    let mut text = format!("{}\n", templates.render("policy", &data)?);
    let mut refused = Vec::new();
    for (field, mapped) in mapped {
        let mut data = data.clone();
        insert(&mut data, "field", field.name());
        insert(&mut data, "refuses", mapped.refuses.clone());
        insert(&mut data, "corrects", mapped.corrects.clone());
        if let Value::Object(data) = &mut data {
            data.extend(mapped.data.clone());
        }
        let rules = templates.render(field.name(), &data)?;
        if let Some(when) = violation_condition(&rules, id) {
            refused.push(when);
        } else if mapped.refuses.is_some() {
            bail!("template {field}: a Violation rule with the condition `{id} and …` is missing; see the built-in one");
        }
        let _ = writeln!(text, "{rules}");
    }
    if text.contains(&format!("{id}_refused")) {
        let condition = if refused.is_empty() { "jevt.rawtime=0".to_owned() } else { refused.join(" or ") };
        let _ = writeln!(text, "- macro: {id}_refused\n  condition: ({condition})\n");
    }
    Ok(text)
}

/// What stands after `ID and` in the condition of the Violation rule among `rules`.
fn violation_condition(rules: &str, id: &str) -> Option<String> {
    let mut lines = rules.lines().skip_while(|l| !(l.starts_with("- rule:") && l.contains(" Violation (")));
    let condition = lines.find_map(|l| l.strip_prefix("  condition: "))?;
    Some(condition.strip_prefix(id)?.strip_prefix(" and ")?.to_owned())
}

/// What every template may use.
fn base_data(options: &Options) -> Value {
    json!({
        "object": options.object.root(),
        "slots": (0..options.max_volumes).collect::<Vec<_>>(),
        "max_volumes": options.max_volumes,
        "counts": (1..=options.max_containers).collect::<Vec<_>>(),
        "max_containers": options.max_containers,
        "one_more": options.max_containers + 1,
        "safe_sysctls": SAFE.map(pattern::literal),
    })
}

fn insert(data: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = data {
        map.insert(key.to_owned(), value.into());
    }
}

/// The conditions that narrow a policy's rules to what its user asked for.
fn scope(policy: &Policy, options: &Options) -> Vec<String> {
    let quoted = |names: &[String]| names.iter().map(|n| helpers::quote(n)).collect::<Vec<_>>().join(", ");
    let annotation = |key: &str| -> Vec<String> {
        let text = policy.annotations.get(key).map(String::as_str).unwrap_or_default();
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        text.split(',').map(|n| n.trim().trim_matches(['"', '\'']).to_owned()).filter(|n| !n.is_empty()).collect()
    };
    let mut scope = Vec::new();
    for names in [options.namespaces.clone(), annotation(NAMESPACES)] {
        if !names.is_empty() {
            scope.push(format!("ka.target.namespace in ({})", quoted(&names)));
        }
    }
    if !options.exclude_namespaces.is_empty() {
        scope.push(format!("not ka.target.namespace in ({})", quoted(&options.exclude_namespaces)));
    }
    let images = annotation(IMAGES);
    if !images.is_empty() {
        scope.push(format!("ka.req.pod.containers.image.repository intersects ({})", quoted(&images)));
    }
    scope
}

/// The name of each policy's macros: `psp_` and the name, with `_` for what a macro's name cannot hold. Names that
/// would come out the same are told apart by a digest of the policy's name.
pub fn macro_names<'a>(policies: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let sanitised = |name: &str| -> String {
        let word = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
        format!("psp_{}", word.collect::<String>())
    };
    let mut by_name: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for policy in policies {
        by_name.entry(sanitised(policy)).or_default().push(policy);
    }
    let mut names = BTreeMap::new();
    for (name, policies) in by_name {
        let alone = policies.len() == 1;
        for policy in policies {
            let digest: String =
                Sha256::digest(policy.as_bytes()).iter().take(3).map(|b| format!("{b:02x}")).collect();
            let name = if alone { name.clone() } else { format!("{name}_{digest}") };
            names.insert(policy.to_owned(), name);
        }
    }
    names
}

/// A macro or list of the shared part, with the comment before it.
struct Block {
    name: String,
    text: String,
}

/// Splits the shared part into its macros and lists.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut comment = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("- macro: ").or_else(|| line.strip_prefix("- list: ")) {
            blocks.push(Block { name: name.trim().to_owned(), text: format!("{}{line}\n", std::mem::take(&mut comment)) });
        } else if line.starts_with('#') {
            comment.push_str(line);
            comment.push('\n');
        } else if let Some(block) = blocks.last_mut()
            && !line.trim().is_empty()
        {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    blocks
}

/// The blocks that `text` names, directly or through another block.
fn used_blocks(blocks: &[Block], text: &str) -> BTreeSet<String> {
    let words = |text: &str| -> BTreeSet<String> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        text.split(|c| !word(c)).filter(|w| w.starts_with("psps_")).map(str::to_owned).collect()
    };
    let mut used = words(text);
    loop {
        let more: BTreeSet<String> =
            blocks.iter().filter(|b| used.contains(&b.name)).flat_map(|b| words(&b.text)).collect();
        if more.is_subset(&used) {
            return used;
        }
        used.extend(more);
    }
}

/// Why a policy gets no rules, if so.
fn rules_note(policy: &Policy, mapped: &[(Field, Mapped)]) -> Option<&'static str> {
    if unusable(policy).is_some() {
        return Some(" (unusable: no rules)");
    }
    let restricts = mapped.iter().any(|(_, m)| m.refuses.is_some() || m.corrects.is_some());
    (!restricts).then_some(" (restricts nothing: no rules)")
}

/// The file's opening: what made it, of what, how to tune it, and what it needs.
fn header(policies: &[Located], mapped: &[(String, Vec<(Field, Mapped)>)], engine: &str) -> String {
    let mut text = format!(
        "# Falco rules for the Kubernetes audit log, made by psp2falco {} from PodSecurityPolicies. Do not edit: to\n\
         # tune, let a later file override psps_exempt_namespaces, psps_exempt, psp_<policy>_exempt, or a rule.\n",
        env!("CARGO_PKG_VERSION"),
    );
    for (located, (name, mapped)) in policies.iter().zip(mapped) {
        let note = rules_note(&located.policy, mapped).unwrap_or_default();
        let _ = writeln!(text, "#   {name} {}{note}", located.digest);
    }
    let _ = write!(
        text,
        "
- required_engine_version: {engine}

- required_plugin_versions:
    - name: k8saudit
      version: 0.7.0
      alternatives:
        - {{name: k8saudit-eks, version: 0.4.0}}
        - {{name: k8saudit-gke, version: 0.1.0}}
        - {{name: k8saudit-aks, version: 0.1.0}}
        - {{name: k8saudit-ovh, version: 0.1.0}}
    - name: json
      version: 0.7.0

"
    );
    text
}

/// One empty line between items, none at the end.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        let inside = line.starts_with(' ');
        if empty > 0 && !inside && !tidy.is_empty() {
            tidy.push('\n');
        }
        empty = 0;
        tidy.push_str(line);
        tidy.push('\n');
    }
    tidy
}

/// Writes an output that several rules share once, as a YAML anchor.
fn share_outputs(text: &str) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for output in text.lines().filter_map(|l| l.strip_prefix("  output: ")) {
        *counts.entry(output).or_default() += 1;
    }
    let mut anchors: Vec<&str> = Vec::new();
    let mut shared = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("  output: ") {
            Some(output) if counts.get(output).is_some_and(|n| *n > 1) => {
                if let Some(index) = anchors.iter().position(|a| *a == output) {
                    let _ = writeln!(shared, "  output: *output{}", index + 1);
                } else {
                    anchors.push(output);
                    let _ = writeln!(shared, "  output: &output{} {output}", anchors.len());
                }
            }
            _ => {
                let _ = writeln!(shared, "{line}");
            }
        }
    }
    shared
}

/// Reads a template override, naming it in the error.
fn read_override(path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))
}
