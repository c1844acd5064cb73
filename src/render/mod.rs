//! From restrictions to the text of a rules file.

mod block;
mod exceptions;
mod helpers;
mod mounts;
pub mod pattern;
mod plugin;
mod recursion;
mod runtime;
mod scope;
mod set;
mod templates;
mod together;
mod usable;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use memchr::memmem;
use psp_admission::access::Access;
use psp_admission::sysctl::SAFE;
use psp_admission::{Field, Policy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::problem::Place;
use crate::psp::validity::unusable;
use crate::read::Located;
use crate::restrictions::{Mapped, map};
use block::{Block, Item};
pub use exceptions::{exceptions, exceptions_by_workload};
pub use plugin::BundleText;
pub use runtime::runtime_rules;
pub(crate) use scope::namespaces;
use scope::{check_scope, everywhere, scope};
pub use scope::{in_scope, in_scope_of_all};
use templates::Templates;

/// Longest value that a rule is made for, in bytes of JSON: no path of Linux has more than 4096 (`PATH_MAX`).
pub const MAX_VALUE: usize = 8192;
/// The most bytes of all values of one field together.
pub const MAX_FIELD: usize = 256 * 1024;
/// The most bytes of a rules file.
pub const MAX_RULES: usize = 256 * 1024 * 1024;

/// The most bytes of a template that replaces a built-in one.
pub const MAX_TEMPLATE: u64 = 256 * 1024;
/// The most blocks and parentheses of such a template: they may nest, and each level takes of the stack.
pub const MAX_BLOCKS: usize = 500;

/// The oldest engine that has all operators of the plain rules (Falco 0.39: `regex`).
const ENGINE: &str = "0.43.0";
/// The oldest engine that has `concat` (Falco 0.44), which ties a mount to its volume.
const ENGINE_WITH_CONCAT: &str = "0.62.0";

/// The plugin that reads the audit log, or one that reads a cloud's: those that hand on the events in the API
/// server's own words.
const K8SAUDIT: &str = "    - name: k8saudit
      version: 0.7.0
      alternatives:
        - {name: k8saudit-eks, version: 0.4.0}
        - {name: k8saudit-aks, version: 0.1.0}
        - {name: k8saudit-ovh, version: 0.1.0}
";
/// The plugin that the conditions read pods with.
const JSON: &str = "    - name: json
      version: 0.7.0
";

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
    /// Where the object stands in an event, as a JSON pointer.
    pub fn root(self) -> &'static str {
        match self {
            AuditObject::Response => "/responseObject",
            AuditObject::Request => "/requestObject",
        }
    }

    /// The same, as a bundle says it.
    pub fn admission(self) -> psp_admission::AuditObject {
        match self {
            AuditObject::Response => psp_admission::AuditObject::Response,
            AuditObject::Request => psp_admission::AuditObject::Request,
        }
    }
}

/// Where rules look: one file each, since a Falco without the container plugin loads the first alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The Kubernetes audit log: pods as they are made.
    Audit,
    /// The kernel's events: containers as they run.
    Runtime,
}

impl Layer {
    /// The name of its templates' folder.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Audit => "audit",
            Layer::Runtime => "runtime",
        }
    }

    /// What its rules look at, in words.
    pub fn title(self) -> &'static str {
        match self {
            Layer::Audit => "the audit log",
            Layer::Runtime => "running containers",
        }
    }

    /// The name of its rules in a folder.
    pub fn file_name(self) -> &'static str {
        match self {
            Layer::Audit => "psp_audit_rules.yaml",
            Layer::Runtime => "psp_runtime_rules.yaml",
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
    /// The namespace of pods and workloads in the input whose manifests name none.
    pub default_namespace: Option<String>,
    /// A folder whose `LAYER/NAME.yaml.hbs` replace the templates of that name.
    pub templates: Option<PathBuf>,
    /// Add the rules that belong to no policy to the runtime layer.
    pub baseline: bool,
    /// Make the audit rules for a Falco with the plugin psp.
    pub plugin: bool,
    /// Who may use which policy. Known, the policies decide together; not known, each stands alone.
    pub access: Option<Access>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            object: AuditObject::Response,
            max_containers: 8,
            max_volumes: 10,
            namespaces: Vec::new(),
            exclude_namespaces: Vec::new(),
            default_namespace: None,
            templates: None,
            baseline: false,
            plugin: false,
            access: None,
        }
    }
}

/// What a policy says in each field. What many policies say is there once.
pub type Says = Vec<(Field, Arc<Mapped>)>;

/// A rules file and what it is made of.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// Where its rules look.
    pub layer: Layer,
    /// The file.
    pub text: String,
    /// A file that holds each distinct macro and rule of `text` once: what loads here loads there.
    pub sample: String,
    /// How many rules the file holds, the guard included.
    pub rules: usize,
    /// What each policy says in each field, in the order of the file.
    pub policies: Vec<(String, Says)>,
    /// Names of users and groups that no condition can hold: the rules take them to have no access.
    pub left_out: Vec<String>,
    /// What the plugin judges by, if the rules ask it.
    pub bundle: Option<BundleText>,
}

/// Makes the rules for the Kubernetes audit log.
///
/// # Errors
/// A template that does not render, with its name and line.
pub fn audit_rules(policies: &[Located], options: &Options) -> Result<Rendered> {
    if options.plugin {
        return plugin::plugin_rules(policies, options);
    }
    let mut assembly = Assembly::new(Layer::Audit, options)?;
    let mut set = options.access.as_ref().map(|access| set::Set::new(access, options.object));
    let mut mapped_policies = Vec::with_capacity(policies.len());
    namespaces("--namespace", &options.namespaces)?;
    namespaces("--exclude-namespace", &options.exclude_namespaces)?;
    for located in policies {
        let policy = &located.policy;
        let mapped = assembly.says(policy);
        let id = macro_name(&policy.name);
        if let Some(set) = &mut set
            && unusable(policy).is_none()
        {
            assembly.all.push_str(&set.member(&policy.name, &id));
        }
        if has_rules(policy, &mapped, options) {
            check_scope(located)?;
            let said: Vec<(Field, Said<'_>)> = mapped.iter().map(|(f, m)| (*f, Said::audit(m))).collect();
            let mut scope = scope(policy, options);
            if options.access.as_ref().is_some_and(|access| !access.stands_alone(&policy.name)) {
                scope.insert(0, format!("{}__usable", block::ID));
            }
            let blocks = assembly.policy(&policy.name, &id, scope, &said, &located.place)?;
            assembly.bounded(&located.place)?;
            if let Some(set) = &mut set {
                set.rules(&blocks);
            }
        }
        mapped_policies.push((policy.name.clone(), mapped));
    }
    let mut left_out = Vec::new();
    if let Some(mut set) = set {
        let mut data = assembly.base.clone();
        assembly.rules += usize::from(set.fill(&mut data, everywhere(options)));
        let text = block::tidy(&assembly.templates.render("set", data)?);
        assembly.shared.extend(block::shared_names(&text));
        assembly.all = set.named(&assembly.all);
        assembly.all.push_str(&text);
        assembly.all = set.asked_only(assembly.all);
        left_out = set.left_out();
    }
    let (opening, closing) = assembly.frame(policies, &mapped_policies)?;
    let text = framed(&opening, assembly.all, &closing);
    // where policies decide together, each rule hangs on all of them
    let sample = match options.access {
        Some(_) => text.clone(),
        None => framed(&opening, assembly.sample, &closing),
    };
    Ok(Rendered {
        layer: Layer::Audit,
        text,
        sample,
        rules: assembly.rules + 1,
        policies: mapped_policies,
        left_out,
        bundle: None,
    })
}

/// A text between two others. The text is large: it is moved, not copied.
fn framed(opening: &str, mut text: String, closing: &str) -> String {
    text.reserve_exact(opening.len() + closing.len());
    text.insert_str(0, opening);
    text.push_str(closing);
    text
}

/// What one field's template is told.
struct Said<'a> {
    /// The sentences that its rules go by, under their names in the template.
    sentences: Vec<(&'static str, Option<&'a str>)>,
    data: &'a Map<String, Value>,
}

impl<'a> Said<'a> {
    fn audit(mapped: &'a Mapped) -> Self {
        let sentences =
            vec![("refuses", mapped.refuses.as_deref()), ("corrects", mapped.corrects.as_deref())];
        Self { sentences, data: &mapped.data }
    }

    /// All that is said, as one text.
    fn text(&self) -> Result<String> {
        Ok(serde_json::to_string(&(&self.sentences, self.data))?)
    }

    fn nothing(&self) -> bool {
        self.sentences.iter().all(|(_, sentence)| sentence.is_none())
    }

    /// Length of the longest text in the data, in bytes.
    fn longest(&self) -> Option<usize> {
        let listed = self.data.values().flat_map(|v| v.as_array().into_iter().flatten());
        listed.filter_map(Value::as_str).map(str::len).max()
    }
}

/// A rules file under way.
struct Assembly<'a> {
    layer: Layer,
    templates: Templates,
    options: &'a Options,
    base: Value,
    said: HashSet<Arc<Mapped>>,
    /// What each field's template rendered for each thing said.
    blocks: HashMap<(Field, String), Rc<Block>>,
    /// The openings of policies, by their scope.
    openings: HashMap<Vec<String>, Rc<Block>>,
    all: String,
    sample: String,
    /// The rules in the sample that need not stand in it again.
    checked: HashSet<Item>,
    shared: BTreeSet<String>,
    rules: usize,
}

impl<'a> Assembly<'a> {
    fn new(layer: Layer, options: &'a Options) -> Result<Self> {
        Ok(Self {
            layer,
            templates: Templates::load(layer, options.plugin, options.templates.as_deref())?,
            options,
            base: base_data(options),
            said: HashSet::new(),
            blocks: HashMap::new(),
            openings: HashMap::new(),
            all: String::new(),
            sample: String::new(),
            checked: HashSet::new(),
            shared: BTreeSet::new(),
            rules: 0,
        })
    }

    /// What a policy says.
    fn says(&mut self, policy: &Policy) -> Says {
        let mut one = |field| {
            let mapped = map(field, policy);
            if let Some(said) = self.said.get(&mapped) {
                return (field, Arc::clone(said));
            }
            let said = Arc::new(mapped);
            self.said.insert(Arc::clone(&said));
            (field, said)
        };
        Field::ALL.into_iter().map(&mut one).collect()
    }

    /// Adds the macros and rules of one policy; gives the fields' blocks.
    fn policy(
        &mut self,
        name: &str,
        id: &str,
        scope: Vec<String>,
        said: &[(Field, Said<'_>)],
        place: &Place,
    ) -> Result<Vec<(Field, Rc<Block>)>> {
        let opening = self.opening(scope)?;
        let mut blocks = Vec::new();
        let mut new = Vec::new();
        for (field, said) in said {
            if said.nothing() {
                continue;
            }
            let (block, first) = self.block(*field, said, place)?;
            let refuses = self.layer == Layer::Audit
                && !self.options.plugin
                && said.sentences.first().is_some_and(|(_, s)| s.is_some());
            if block.refused.is_none() && refuses {
                let template = self.templates.place(field.name());
                bail!("{template}: its Violation rule needs the condition `… and {{{{id}}}}` on one line");
            }
            self.shared.extend(block.shared.iter().cloned());
            self.rules += block.rules;
            if first {
                new.push(Rc::clone(&block));
            }
            blocks.push((*field, block));
        }
        self.shared.extend(opening.shared.iter().cloned());
        let items = || opening.items().chain(blocks.iter().flat_map(|(_, block)| block.items()));
        write_policy(name, id, items(), blocks.iter().map(|(_, block)| &**block), &mut self.all);
        // what stands on nothing of its block is the same for all policies
        let mut first = |item: &&Item| !item.stands_alone() || self.checked.insert((*item).clone());
        let unchecked: Vec<&Item> = new.iter().flat_map(|block| block.items()).filter(|i| first(i)).collect();
        if !unchecked.is_empty() {
            let items = opening.items().chain(unchecked);
            write_policy(name, id, items, new.iter().map(|block| &**block), &mut self.sample);
        }
        Ok(blocks)
    }

    /// Refuses rules that have grown beyond all use.
    fn bounded(&self, place: &Place) -> Result<()> {
        if self.all.len() > MAX_RULES {
            bail!(
                "{place}: the rules grow beyond {} MiB here; convert fewer policies in a run",
                MAX_RULES >> 20
            );
        }
        Ok(())
    }

    /// What a policy's rules stand on, narrowed to a scope.
    fn opening(&mut self, scope: Vec<String>) -> Result<Rc<Block>> {
        if let Some(block) = self.openings.get(&scope) {
            return Ok(Rc::clone(block));
        }
        let mut data = self.stand_ins();
        insert(&mut data, "scope", scope.clone());
        let block = Rc::new(Block::new(&self.templates.render("policy", data)?));
        self.openings.insert(scope, Rc::clone(&block));
        Ok(block)
    }

    /// The template's data, with stand-ins for the policy's names.
    fn stand_ins(&self) -> Value {
        let mut data = self.base.clone();
        insert(&mut data, "policy", block::POLICY);
        insert(&mut data, "id", block::ID);
        data
    }

    /// The block of a field, and whether it is the first that says so.
    fn block(&mut self, field: Field, said: &Said<'_>, place: &Place) -> Result<(Rc<Block>, bool)> {
        let key = (field, said.text()?);
        if let Some(block) = self.blocks.get(&key) {
            return Ok((Rc::clone(block), false));
        }
        if key.1.contains(['\u{e000}', '\u{e001}', block::ADMITTED]) {
            bail!(
                "{place}: {field}: a value holds U+E000, U+E001 or U+E002, which no template can carry; remove it"
            );
        }
        if let Some(length) = said.longest().filter(|n| *n > MAX_VALUE) {
            bail!(
                "{place}: {field}: a value of {length} bytes is longer than any path or name of Linux ({MAX_VALUE}); remove it"
            );
        }
        if key.1.len() > 2 * MAX_FIELD {
            bail!(
                "{place}: {field}: values of more than {} KiB make no rule that Falco can use; remove some",
                MAX_FIELD >> 10
            );
        }
        let mut data = self.stand_ins();
        insert(&mut data, "field", field.name());
        for (name, sentence) in &said.sentences {
            insert(&mut data, name, *sentence);
        }
        if let Value::Object(data) = &mut data {
            data.extend(said.data.clone());
        }
        let number = self.blocks.len();
        insert(&mut data, "admitted", format!("{0}{number}{0}", block::ADMITTED));
        let rendered =
            self.templates.render(field.name(), data).with_context(|| format!("{place}: {field}"))?;
        let mut block = Block::new(&rendered);
        if self.layer == Layer::Audit && self.options.plugin {
            // what the macros would ask of the event, the plugin knows
            block.keep_rules();
        }
        block.number = number;
        let block = Rc::new(block);
        self.blocks.insert(key, Rc::clone(&block));
        Ok((block, true))
    }

    /// The shared macros and lists that something names.
    fn shared_items(&self, data: Value) -> Result<String> {
        let shared = items(&self.templates.render("shared", data)?);
        let used = used_items(&shared, &self.shared);
        let kept: String =
            shared.iter().filter(|i| used.contains(&i.name)).map(|i| i.text.as_str()).collect();
        Ok(block::tidy(&kept))
    }

    /// What stands before and after the policies: the header with the shared macros, and the guard.
    fn frame(&self, policies: &[Located], mapped: &[(String, Says)]) -> Result<(String, String)> {
        let shared = items(&self.templates.render("shared", shared_data(self.options))?);
        let used = used_items(&shared, &self.shared);
        let mut data = self.base.clone();
        insert(&mut data, "counts_containers", used.contains("psps_no_apparmor"));
        insert(&mut data, "numbers_volumes", used.iter().any(|m| m.starts_with("psps_writes_volume")));
        let guard = block::tidy(&self.templates.render("incomplete", data)?);
        let mut named = self.shared.clone();
        named.extend(block::shared_names(&guard));
        let used = used_items(&shared, &named);
        let kept: String =
            shared.iter().filter(|i| used.contains(&i.name)).map(|i| i.text.as_str()).collect();
        let of_account = memmem::find(self.all.as_bytes(), b"=concat('system:serviceaccount:', ").is_some();
        let engine = if kept.contains("concat(") || of_account { ENGINE_WITH_CONCAT } else { ENGINE };
        let plugins = format!("{K8SAUDIT}{JSON}");
        let header = header(policies, mapped, engine, &plugins, self.options);
        Ok((format!("{header}{}", block::tidy(&kept)), guard))
    }
}

/// Writes what a policy's rules stand on and its rules, then what its blocks refuse in all where that is asked.
fn write_policy<'b>(
    name: &str,
    id: &str,
    items: impl Iterator<Item = &'b Item>,
    blocks: impl Iterator<Item = &'b Block>,
    out: &mut String,
) {
    let mut needs_refused = false;
    for item in items {
        item.write(name, id, out);
        needs_refused |= item.needs_refused;
    }
    if needs_refused {
        let refused: Vec<String> =
            blocks.filter_map(|b| b.refused.as_ref()).map(|c| c.replace(block::ID, id)).collect();
        let condition = if refused.is_empty() { "jevt.rawtime=0".to_owned() } else { refused.join(" or ") };
        let _ = writeln!(out, "\n- macro: {id}__refused\n  condition: {condition}");
    }
}

/// The containers whose security contexts the rules look at one by one, as nearly all pods have no others: for each rule
/// Falco asks its plugins anew, for a short value in a microsecond or two, for the text of a whole spec in twenty and more.
const CONTAINER_SLOTS: [&str; 5] =
    ["containers/0", "containers/1", "containers/2", "initContainers/0", "initContainers/1"];
/// A pod with a container here has others.
const BEYOND_SLOTS: [&str; 3] = ["containers/3", "initContainers/2", "ephemeralContainers/0"];
/// The security context of a container that meets the Pod Security Standard "restricted". Its keys have the order of
/// the API (`core/v1/types.go`, `SecurityContext`): in a log with sorted keys none looks like it.
const HARDENED: &str = concat!(
    r#"{"capabilities":{"drop":[[]"ALL"[]]},("privileged":false,)?"#,
    r#"("r[A-Za-z]*":(true|[1-9][0-9]*),)*"allowPrivilegeEscalation":false(,"[A-Za-z]*":{"type":"RuntimeDefault"})*}"#
);

/// What every template may use.
fn base_data(options: &Options) -> Value {
    json!({
        "object": options.object.root(),
        "stored": options.object == AuditObject::Response,
        "set": options.access.is_some(),
        "evidence": false,
        "more": false,
        "where": false,
        "process": false,
        "nothing": Value::Array(Vec::new()),
        "slots": (0..options.max_volumes).collect::<Vec<_>>(),
        "max_volumes": options.max_volumes,
        "counts": (1..=options.max_containers).collect::<Vec<_>>(),
        "max_containers": options.max_containers,
        "one_more": options.max_containers + 1,
        "container_slots": CONTAINER_SLOTS,
        "beyond_slots": BEYOND_SLOTS,
        "hardened": HARDENED,
    })
}

/// What the shared macros are made of, beside that.
fn shared_data(options: &Options) -> Value {
    let mut data = base_data(options);
    insert(&mut data, "safe_sysctls", SAFE.map(pattern::literal).to_vec());
    data
}

fn insert(data: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(map) = data {
        map.insert(key.to_owned(), value.into());
    }
}

/// Names as Falco takes them in a list.
fn quoted(names: &[String]) -> String {
    names.iter().map(|n| helpers::quote(n)).collect::<Vec<_>>().join(", ")
}

/// The name of a policy's macros: `psp_` and its name, with `_` for `-`. A name that the API server took holds no
/// capitals, so what is spelt in capitals keeps two names apart for good; what belongs to a policy follows after `__`.
pub fn macro_name(policy: &str) -> String {
    let mut name = String::from("psp_");
    for letter in policy.chars() {
        match letter {
            '.' => name.push_str("_DOT_"),
            '_' => name.push_str("_LINE_"),
            ':' => name.push_str("_COLON_"),
            'A'..='Z' => name.extend("_CAPITAL_".chars().chain([letter.to_ascii_lowercase()])),
            _ if letter.is_ascii_alphanumeric() => name.push(letter),
            _ if name.ends_with('_') => name.push_str("DASH_"),
            _ => name.push('_'),
        }
    }
    name
}

/// A macro or list of the shared part, with the comment before it.
struct SharedItem {
    name: String,
    text: String,
}

/// Splits the shared part into its macros and lists.
fn items(text: &str) -> Vec<SharedItem> {
    let mut items: Vec<SharedItem> = Vec::new();
    let mut comment = String::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        if let Some(name) = line.strip_prefix("- macro: ").or_else(|| line.strip_prefix("- list: ")) {
            items.push(SharedItem {
                name: name.trim().to_owned(),
                text: format!("{}{line}\n", std::mem::take(&mut comment)),
            });
        } else if line.starts_with('#') {
            let _ = writeln!(comment, "{line}");
        } else if let Some(item) = items.last_mut() {
            let _ = writeln!(item.text, "{line}");
        }
    }
    items
}

/// The items that are named, directly or through another item.
fn used_items(items: &[SharedItem], named: &BTreeSet<String>) -> BTreeSet<String> {
    let mut used = named.clone();
    loop {
        let more: BTreeSet<String> = items
            .iter()
            .filter(|i| used.contains(&i.name))
            .flat_map(|i| block::shared_names(&i.text))
            .collect();
        if more.is_subset(&used) {
            return used;
        }
        used.extend(more);
    }
}

/// Does a policy get audit rules? One that admission skipped does, unless RBAC is known: then the rules decide as
/// admission did.
fn has_rules(policy: &Policy, mapped: &Says, options: &Options) -> bool {
    let restricts = mapped.iter().any(|(_, m)| m.refuses.is_some() || m.corrects.is_some());
    restricts && (options.access.is_none() || unusable(policy).is_none())
}

/// What the file's opening notes of a policy.
fn note(policy: &Policy, has_rules: bool, without: &'static str) -> &'static str {
    match (unusable(policy).is_some(), has_rules) {
        (true, true) => " (admission skipped it: approximate)",
        (true, false) => " (admission skipped it: no rules)",
        (false, true) => "",
        (false, false) => without,
    }
}

/// A line for each policy, as the file's opening has them.
fn policies_listed(
    policies: &[Located],
    mapped: &[(String, Says)],
    note: impl Fn(&Policy, &Says) -> &'static str,
) -> String {
    let mut text = String::new();
    for (located, (name, mapped)) in policies.iter().zip(mapped) {
        let _ = writeln!(text, "#   {name} {}{}", located.digest, note(&located.policy, mapped));
    }
    text
}

/// The file's opening: what made it, of what, how to tune it, and what it needs.
fn header(
    policies: &[Located],
    mapped: &[(String, Says)],
    engine: &str,
    plugins: &str,
    options: &Options,
) -> String {
    let mut text = format!(
        "# Falco rules for the Kubernetes audit log, made by psp2falco {} from PodSecurityPolicies. Do not edit: to\n\
         # tune, let a later file override psps_exempt_namespaces, psps_exempt, psp_<policy>__exempt, or a rule.\n",
        env!("CARGO_PKG_VERSION"),
    );
    text.push_str(&policies_listed(policies, mapped, |policy, says| {
        note(policy, has_rules(policy, says, options), " (restricts nothing: no rules)")
    }));
    let _ = write!(
        text,
        "
- required_engine_version: {engine}

- required_plugin_versions:
{plugins}"
    );
    text
}

/// Reads a template override, naming it in the error.
fn read_override(path: &std::path::Path) -> Result<String> {
    let place = || path.display().to_string();
    if !std::fs::metadata(path).with_context(place)?.is_file() {
        bail!("{}: not a file; a template is one", place());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(place)?;
    file.take(MAX_TEMPLATE + 1).read_to_string(&mut text).with_context(place)?;
    if text.len() as u64 > MAX_TEMPLATE {
        bail!("{}: longer than {} KiB; no template needs that", place(), MAX_TEMPLATE >> 10);
    }
    if text.matches("{{#").count() + text.matches("{{^").count() + text.matches('(').count() > MAX_BLOCKS {
        bail!("{}: more than {MAX_BLOCKS} blocks and parentheses; no template needs that", place());
    }
    Ok(text)
}
