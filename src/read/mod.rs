//! Brings policies in: manifests, folders, archives and standard input become one [`Inventory`].

mod archive;
#[cfg(feature = "cluster")]
pub mod cluster;
mod digest;
mod files;
mod keep;
pub(crate) mod node;
mod scalar;
mod yaml;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use psp_admission::{Field, Policy};
use serde::Deserialize as _;

use crate::problem::{Place, Problem, cut, quote};
use crate::psp::parse;
use node::{Data, Mark, Node};
pub(crate) use scalar::resolve;

pub use archive::{MAX_ARCHIVE, MAX_MEMBERS};
pub use files::MAX_TEXT;
pub(crate) use files::unreadable;
pub use yaml::{MAX_BROKEN, MAX_COPIED, MAX_NODES};

/// The API versions that served policies: `policy/v1beta1` from 1.10 to 1.24, `extensions/v1beta1` up to 1.15.
pub const API_VERSIONS: [&str; 2] = ["policy/v1beta1", "extensions/v1beta1"];

/// The most nodes of a policy: the API server took no request above 3 MiB.
pub const MAX_POLICY: usize = 50_000;
/// The most policies: no cluster has had so many, and each takes some 80 KB of memory on its way.
pub const MAX_POLICIES: usize = 10_000;
/// The most nodes that the other objects may have together.
pub const MAX_OBJECTS: usize = 10_000_000;
/// The most problems, and the most warnings, worth showing.
pub const MAX_PROBLEMS: usize = 1000;
/// The most kinds that are counted apart.
const MAX_KINDS: usize = 1000;

/// What a document without a `kind` is counted as.
pub const NO_KIND: &str = "(no kind)";
/// What the kinds beyond a thousand are counted as.
pub const OTHER_KINDS: &str = "(other kinds)";

/// Where to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, a folder with everything below it, or an archive (`.tar`, `.tar.gz`).
    Path(PathBuf),
    /// Standard input: text or an archive.
    Stdin,
}

/// How to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Refuse policies that lack what the API server requires, instead of reading it as `RunAsAny` with a warning.
    pub strict: bool,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The policies, sorted by name; empty when the input held none.
    pub policies: Vec<Located>,
    /// How many objects of other kinds were found, by kind; those in `objects` and `pods` are counted too.
    pub passed_over: BTreeMap<String, usize>,
    /// How many files in folders and archives were not manifests.
    pub skipped_files: usize,
    /// The objects that say who may use a policy, in the order of the input.
    pub objects: Vec<Object>,
    /// The pods, in the order of the input.
    pub pods: Vec<Pod>,
    /// What the user should know though the policies could be read.
    pub warnings: Vec<Problem>,
}

impl Inventory {
    /// Has places name files as seen from the folder `base`, so that they are the same wherever it lies.
    pub fn relative_to(&mut self, base: &Path) {
        let inner = |place: &mut Place| {
            if let Ok(file) = Path::new(&place.file).strip_prefix(base) {
                place.file = file.to_string_lossy().into_owned();
            }
        };
        self.policies.iter_mut().for_each(|located| inner(&mut located.place));
        self.objects.iter_mut().for_each(|object| inner(&mut object.place));
        self.warnings.iter_mut().for_each(|warning| inner(&mut warning.place));
    }
}

/// A policy and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The policy.
    pub policy: Policy,
    /// The place of its object.
    pub place: Place,
    /// `sha256:` and 12 hexadecimal digits that change only with what the policy means.
    pub digest: String,
    /// Line and column of each field that the object states, in the same file.
    pub fields: Vec<(Field, usize, usize)>,
}

/// A pod without what admission never looked at, as text, since a cluster may have 100,000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod(Box<str>);

impl Pod {
    /// The pod (`v1.Pod`).
    pub fn value(&self) -> serde_json::Value {
        let mut text = serde_json::Deserializer::from_str(&self.0);
        // it was within the reader's own limit
        text.disable_recursion_limit();
        serde_json::Value::deserialize(&mut text).unwrap_or_default()
    }
}

/// An object of another kind, without what its API server and clients note down for themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind, like `ClusterRole`.
    pub kind: String,
    /// Its API version, like `rbac.authorization.k8s.io/v1`.
    pub api_version: String,
    /// The object.
    pub value: serde_json::Value,
    /// Its place.
    pub place: Place,
}

/// Reads all sources. A file that several sources name is read once.
///
/// # Errors
/// Everything that is wrong with the input, in its order.
pub fn read(sources: &[Source], options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut reader = Reader::new(*options);
    for source in sources {
        reader.source(source);
    }
    reader.finish()
}

/// Reads the documents of one text; `name` stands for the file in places.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn read_text(name: &str, text: &str, options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut reader = Reader::new(*options);
    reader.text(name, text);
    reader.finish()
}

/// Reads bytes as it reads a file: a text or an archive, compressed or not; `name` stands for the file in places.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read_bytes(name: &str, bytes: &[u8], options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut reader = Reader::new(*options);
    reader.stream(name, bytes);
    reader.finish()
}

/// The documents of a text, each as a located tree.
pub(crate) fn documents(text: &str) -> yaml::Documents<'_> {
    yaml::Documents::new(text)
}

/// What has been read so far.
struct Reader {
    options: Options,
    inventory: Inventory,
    problems: Vec<Problem>,
    /// The place of each policy's name.
    names: HashMap<String, Place>,
    /// The files read, by canonical path.
    files: HashSet<PathBuf>,
    /// The objects read from Velero backups, by their path without the API version.
    backed_up: HashSet<String>,
    /// The nodes of the objects kept.
    kept: usize,
    /// Has a limit been reached, so that reading on is of no use?
    full: bool,
}

impl Reader {
    fn new(options: Options) -> Self {
        Self {
            options,
            inventory: Inventory::default(),
            problems: Vec::new(),
            names: HashMap::new(),
            files: HashSet::new(),
            backed_up: HashSet::new(),
            kept: 0,
            full: false,
        }
    }

    fn finish(mut self) -> Result<Inventory, Vec<Problem>> {
        if self.has_too_many_problems() {
            self.problems.truncate(MAX_PROBLEMS);
            let file = self.problems.last().map(|problem| problem.place.file.clone()).unwrap_or_default();
            self.problems.push(Problem::of_file(&file, "too many problems to go on; solve these first"));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.inventory.policies.sort_by(|left, right| left.policy.name.cmp(&right.policy.name));
        Ok(self.inventory)
    }

    fn has_too_many_problems(&self) -> bool {
        self.problems.len() > MAX_PROBLEMS
    }

    /// Is there no use in reading on?
    fn is_full(&self) -> bool {
        self.full || self.has_too_many_problems()
    }

    fn text(&mut self, file: &str, text: &str) {
        for document in yaml::Documents::new(text) {
            match document {
                _ if self.is_full() => return,
                Ok(node) if matches!(node.data, Data::Null) => {}
                Ok(node) => self.object(file, node, None),
                Err(syntax) => {
                    // What follows in a template would only repeat the hint.
                    if let Some(mark) = template(text) {
                        self.problem(file, mark, "", parse::TEMPLATE);
                        return;
                    }
                    self.problem(file, syntax.mark, "", syntax.message);
                }
            }
        }
    }

    /// Takes in one object. Items of a list like `PodSecurityPolicyList` get their `type_` from it.
    fn object(&mut self, file: &str, mut node: Node<'_>, type_: Option<Type<'_>>) {
        let kind = node.text_at("kind").or(type_.map(|own| own.kind)).unwrap_or_default().to_owned();
        let api_version =
            node.text_at("apiVersion").or(type_.map(|own| own.api_version)).unwrap_or_default().to_owned();
        match kind.as_str() {
            "PodSecurityPolicy" => self.policy(file, &node, &api_version),
            "Status" if node.text_at("status") == Some("Failure") => self.refusal(file, &node),
            _ if kind.eq_ignore_ascii_case("PodSecurityPolicy") => {
                let message = format!("unknown kind {}; did you mean PodSecurityPolicy?", quote(&kind));
                self.problem(file, node.locate("kind").mark, "kind", message);
            }
            _ => match (kind.strip_suffix("List"), node.get_mut("items").map(|items| &mut items.data)) {
                (Some(kind), Some(Data::List(items))) => {
                    let type_ = (!kind.is_empty()).then_some(Type { kind, api_version: &api_version });
                    // each goes when it has been taken in
                    for item in std::mem::take(items) {
                        if self.is_full() {
                            return;
                        }
                        self.object(file, item, type_);
                    }
                }
                (Some(_), Some(Data::Null)) => {}
                _ => self.other(file, &node, &kind, &api_version),
            },
        }
    }

    fn policy(&mut self, file: &str, node: &Node<'_>, api_version: &str) {
        let supported = API_VERSIONS.join(" or ");
        if !API_VERSIONS.contains(&api_version) {
            let message = match api_version {
                "" => format!("missing; a PodSecurityPolicy has {supported}"),
                other => {
                    format!("unsupported version {} of PodSecurityPolicy; use {supported}", quote(other))
                }
            };
            return self.problem(file, node.locate("apiVersion").mark, "apiVersion", message);
        }
        if yaml::weight(node) > MAX_POLICY {
            let message = format!(
                "a policy of more than {MAX_POLICY} values never fitted into the API server; shorten it"
            );
            return self.problem(file, node.mark, "", message);
        }
        if self.inventory.policies.len() >= MAX_POLICIES {
            self.full = true;
            let message = format!("more than {MAX_POLICIES} policies; convert them in several runs");
            return self.problem(file, node.mark, "", message);
        }
        let parsed = parse::policy(node, file, self.options.strict);
        let name = &parsed.policy.name;
        let named = node.locate("metadata.name").mark;
        match self.names.get(name) {
            Some(first) if !name.is_empty() => {
                let message = format!(
                    "the policy {} is already defined at {first}; remove one of the two",
                    quote(name)
                );
                self.problem(file, named, "metadata.name", message);
            }
            _ => {
                self.names.insert(name.clone(), named.within(file));
            }
        }
        self.problems.extend(parsed.problems);
        let warnings = &mut self.inventory.warnings;
        if warnings.len() + parsed.warnings.len() <= MAX_PROBLEMS {
            warnings.extend(parsed.warnings);
        } else if warnings.len() <= MAX_PROBLEMS {
            let more = "more warnings than can be shown; heed these first, then run it again";
            warnings.extend(parsed.warnings.into_iter().take(MAX_PROBLEMS.saturating_sub(warnings.len())));
            warnings.push(Problem::of_file(file, more));
        }
        self.inventory.policies.push(Located {
            digest: digest::digest(&parsed.policy),
            policy: parsed.policy,
            place: node.mark.within(file),
            fields: parse::field_marks(node)
                .into_iter()
                .map(|(field, mark)| (field, mark.line as usize, mark.column as usize))
                .collect(),
        });
    }

    /// The API server's answer where objects were expected, like the 403 of a user who may not list policies.
    fn refusal(&mut self, file: &str, node: &Node<'_>) {
        let reason = node.text_at("reason").unwrap_or("Failure");
        let message = node.text_at("message").unwrap_or_default();
        self.problem(
            file,
            node.mark,
            "",
            format!(
                "this is the API server's refusal ({reason}: {message}), not its objects; fetch them again"
            ),
        );
    }

    fn other(&mut self, file: &str, node: &Node<'_>, kind: &str, api_version: &str) {
        let counted = if kind.is_empty() { NO_KIND } else { kind };
        let kinds = &mut self.inventory.passed_over;
        let counted =
            if kinds.len() < MAX_KINDS || kinds.contains_key(counted) { counted } else { OTHER_KINDS };
        *kinds.entry(cut(counted, 100).into_owned()).or_default() += 1;
        if !is_kept(kind, api_version) {
            return;
        }
        // what is too large by itself is not even copied
        let mut kept = serde_json::Value::Null;
        let mut weight = yaml::weight(node);
        if weight <= MAX_OBJECTS
            && let serde_json::Value::Object(object) = node.to_value()
        {
            kept = keep::keep(object, kind, api_version);
            weight = keep::weight(&kept);
        }
        self.kept += weight;
        if self.kept > MAX_OBJECTS {
            self.full = true;
            let message = format!(
                "pods, service accounts, namespaces and RBAC objects of more than {MAX_OBJECTS} values; leave out \
                 the pods, or read in several runs"
            );
            return self.problem(file, node.mark, "", message);
        }
        if kind == "Pod" {
            self.inventory.pods.push(Pod(kept.to_string().into()));
        } else {
            self.inventory.objects.push(Object {
                kind: kind.to_owned(),
                api_version: api_version.to_owned(),
                value: kept,
                place: node.mark.within(file),
            });
        }
    }

    fn problem(&mut self, file: &str, mark: Mark, path: &str, message: impl Into<String>) {
        self.problems.push(Problem {
            place: mark.within(file),
            path: path.to_owned(),
            message: message.into(),
        });
    }
}

/// What a list says of its items.
#[derive(Clone, Copy)]
struct Type<'a> {
    kind: &'a str,
    api_version: &'a str,
}

/// Is this one of the objects that decide who may use a policy, or a pod?
fn is_kept(kind: &str, api_version: &str) -> bool {
    match kind {
        "Namespace" | "Pod" | "ServiceAccount" => api_version == "v1",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => {
            api_version.starts_with("rbac.authorization.k8s.io/")
        }
        _ => false,
    }
}

/// Where a text that is no YAML turns out to be a Helm template.
fn template(text: &str) -> Option<Mark> {
    text.lines().enumerate().find_map(|(index, line)| {
        let (before, after) = line.split_once("{{")?;
        (after.contains("}}") && !before.trim_start().starts_with('#')).then(|| Mark {
            line: u32::try_from(index + 1).unwrap_or(u32::MAX),
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        })
    })
}
