//! Brings policies in: manifests, folders, archives and standard input become one [`Inventory`].

mod archive;
#[cfg(feature = "cluster")]
pub mod cluster;
mod digest;
mod exclude;
mod files;
pub(crate) mod hints;
mod keep;
pub(crate) mod node;
mod scalar;
pub(crate) mod template;
mod yaml;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use psp_admission::{Field, Policy};
use serde::Deserialize as _;

use crate::problem::{Place, Problem, cut, quote};
use crate::psp::parse;
use exclude::Exclude;
use hints::WORD;
use node::{Data, Mark, Node};
pub(crate) use scalar::resolve;
use template::{Template, YttDocument};

pub(crate) use keep::is_workload;

pub use archive::{MAX_ARCHIVE, MAX_MEMBERS};
pub use files::MAX_TEXT;
pub(crate) use files::unreadable;
pub use yaml::{MAX_BROKEN, MAX_COPIED, MAX_NODES};

/// The API versions that served policies: `policy/v1beta1` from 1.10 to 1.24, `extensions/v1beta1` up to 1.15.
pub const API_VERSIONS: [&str; 2] = ["policy/v1beta1", "extensions/v1beta1"];
/// What stands in manifests instead, and can only be meant so.
const MEANT_VERSIONS: [&str; 3] = ["", "v1", "policy/v1"];

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Refuse what the API server or kubectl would have refused, instead of reading it as it was meant with a warning.
    pub strict: bool,
    /// Patterns of paths to leave out of folders and archives, as in a `.gitignore`.
    pub exclude: Vec<String>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The policies, sorted by name; empty when the input held none.
    pub policies: Vec<Located>,
    /// Where policies are defined again, and alike.
    pub copies: Vec<Place>,
    /// How many objects of other kinds were found, by kind; those in `objects`, `pods` and `workloads` are counted too.
    pub passed_over: BTreeMap<String, usize>,
    /// How many files in folders and archives were not manifests.
    pub skipped_files: usize,
    /// How many files in folders and archives could not be read, in whole or in part, and hold no policy.
    pub unread_files: usize,
    /// How many more of them are templates that hold no policy.
    pub unread_templates: usize,
    /// The objects that say who may use a policy, in the order of the input.
    pub objects: Vec<Object>,
    /// The pods, in the order of the input.
    pub pods: Vec<Compact>,
    /// What makes pods of a template, like Deployments and CronJobs, in the order of the input.
    pub workloads: Vec<Compact>,
    /// What the user should know though the policies could be read.
    pub warnings: Vec<Problem>,
    /// What is right as it is, and still may surprise.
    pub notes: Vec<Problem>,
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
        self.copies.iter_mut().for_each(inner);
        let prefix = format!("{}/", base.display());
        for remark in self.warnings.iter_mut().chain(&mut self.notes) {
            inner(&mut remark.place);
            if prefix.len() > 1 {
                remark.message = remark.message.replace(&prefix, "");
            }
        }
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

/// A pod or what makes pods, without what admission never looked at, as text, since a cluster may have 100,000.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compact(Box<str>);

impl Compact {
    /// The object.
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
    let mut reader = Reader::new(options);
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
    let mut reader = Reader::new(options);
    reader.text(name, text, false);
    reader.finish()
}

/// Reads bytes as it reads a file: a text or an archive, compressed or not; `name` stands for the file in places.
///
/// # Errors
/// Everything that is wrong with them.
pub fn read_bytes(name: &str, bytes: &[u8], options: &Options) -> Result<Inventory, Vec<Problem>> {
    let mut reader = Reader::new(options);
    reader.stream(name, bytes);
    reader.finish()
}

/// The documents of a text, each as a located tree.
pub(crate) fn documents(text: &str) -> yaml::Documents<'_> {
    yaml::Documents::new(text)
}

/// A text and where it is from.
#[derive(Clone, Copy)]
struct Origin<'t> {
    /// What places call it.
    file: &'t str,
    text: &'t str,
    /// Was it found in a folder or an archive, rather than named?
    found: bool,
    looks: &'t Looks,
}

/// What is looked for in a text before it is read as YAML, which does not show it.
#[derive(Default)]
struct Looks {
    /// Characters that only look right.
    odd: Vec<(Mark, String)>,
    ytt: Vec<YttDocument>,
    /// Is it JSON, as an API server writes it? Its values are what they are, templates or not.
    json: bool,
}

impl Looks {
    fn of(text: &str) -> Self {
        let start = text.trim_start();
        Self {
            odd: hints::odd_characters(text),
            ytt: template::ytt_documents(text),
            json: start.starts_with(['{', '[']) && !start.starts_with("{{"),
        }
    }

    /// The character on this line that only looks right, and what to do about it.
    fn odd_at(&self, line: u32) -> Option<(Mark, String)> {
        let index = self.odd.binary_search_by_key(&line, |(mark, _)| mark.line).ok()?;
        self.odd.get(index).cloned()
    }
}

/// Where a policy was first defined, and where again with the same meaning.
struct Defined {
    place: Place,
    /// Its index in the inventory.
    index: usize,
    copies: Vec<Place>,
}

/// What has been read so far.
struct Reader {
    options: Options,
    inventory: Inventory,
    problems: Vec<Problem>,
    /// Each policy by its name.
    names: HashMap<String, Defined>,
    /// The files read, by canonical path.
    files: HashSet<PathBuf>,
    /// The objects read from Velero backups, by their path without the API version.
    backed_up: HashSet<String>,
    exclude: Exclude,
    /// The folder or archive that is read.
    root: PathBuf,
    /// The templates in folders that hold policies: how many of a kind in a chart or folder, and one of them.
    templates: BTreeMap<(String, Template), (usize, Problem)>,
    /// The nodes of the objects kept.
    kept: usize,
    /// Has a limit been reached, so that reading on is of no use?
    full: bool,
}

impl Reader {
    fn new(options: &Options) -> Self {
        let (exclude, problems) = Exclude::new(&options.exclude);
        Self {
            options: options.clone(),
            inventory: Inventory::default(),
            problems,
            names: HashMap::new(),
            files: HashSet::new(),
            backed_up: HashSet::new(),
            exclude,
            root: PathBuf::new(),
            templates: BTreeMap::new(),
            kept: 0,
            full: false,
        }
    }

    fn finish(mut self) -> Result<Inventory, Vec<Problem>> {
        self.tell_templates();
        if self.has_too_many_problems() {
            self.problems.truncate(MAX_PROBLEMS);
            let file = self.problems.last().map(|problem| problem.place.file.clone()).unwrap_or_default();
            self.problems.push(Problem::of_file(&file, "too many problems to go on; solve these first"));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.inventory.warnings.extend(self.exclude.idle());
        self.tell_copies();
        self.inventory.policies.sort_by(|left, right| left.policy.name.cmp(&right.policy.name));
        Ok(self.inventory)
    }

    /// Says which templates in folders hold policies: a warning where there are other policies, else an error.
    fn tell_templates(&mut self) {
        let fatal = self.options.strict || self.inventory.policies.is_empty();
        let told =
            std::mem::take(&mut self.templates).into_iter().map(|((folder, template), (files, one))| {
                let (file, chart) =
                    (&one.place.file, (template == Template::Helm).then(|| Path::new(&folder)));
                let (hold, them) = if files == 1 {
                    ("holds policies and was", "it")
                } else {
                    ("hold policies and were", "them")
                };
                let s = if files == 1 { "" } else { "s" };
                let message = format!(
                    "{files} {}{s} {hold} not read; render {them}: {}",
                    template.name(),
                    template.cure(file, chart)
                );
                Problem::of_file(&folder, message)
            });
        if fatal { self.problems.extend(told) } else { self.inventory.warnings.extend(told) }
    }

    /// Says which policies stand in several places.
    fn tell_copies(&mut self) {
        /// The most places to name.
        const MOST: usize = 3;
        let mut copied: Vec<_> =
            self.names.iter().filter(|(_, defined)| !defined.copies.is_empty()).collect();
        copied.sort_by_key(|(name, _)| name.as_str());
        for (name, Defined { place, copies, .. }) in copied {
            let mut others: Vec<String> = copies.iter().take(MOST).map(ToString::to_string).collect();
            if let Some(more) = copies.len().checked_sub(MOST).filter(|more| *more > 0) {
                others.push(format!("{more} more"));
            }
            let message =
                format!("the policy {} is defined alike in {}; read once", quote(name), others.join(", "));
            let path = "metadata.name".to_owned();
            self.inventory.notes.push(Problem { place: place.clone(), path, message });
        }
    }

    fn has_too_many_problems(&self) -> bool {
        self.problems.len() > MAX_PROBLEMS
    }

    /// Is there no use in reading on?
    fn is_full(&self) -> bool {
        self.full || self.has_too_many_problems()
    }

    /// Reads a text; `found`: in a folder or an archive, rather than named.
    fn text(&mut self, file: &str, text: &str, found: bool) {
        if let Some(message) = hints::kubectl(text).filter(|_| !found) {
            return self.problem(file, Mark { line: 1, column: 1 }, "", message);
        }
        let holds_word = text.contains(WORD);
        let looks = if holds_word { Looks::of(text) } else { Looks::default() };
        let origin = Origin { file, text, found, looks: &looks };
        let before = self.problems.len() + self.inventory.policies.len();
        let mut unread = false;
        for document in yaml::Documents::new(text) {
            match document {
                _ if self.is_full() => return,
                Ok(node) if matches!(node.data, Data::Null) => {}
                Ok(node) => self.object(origin, node, None),
                Err(syntax) => match Template::of_broken(text, syntax.mark) {
                    // what follows in a template would only repeat the hint
                    Some((template, mark)) => return self.template(origin, mark, "", template),
                    None if found && !holds_word => unread = true,
                    None => self.syntax(origin, syntax),
                },
            }
        }
        self.inventory.unread_files += usize::from(unread);
        if self.problems.len() + self.inventory.policies.len() == before {
            self.unrecognized(origin);
        }
    }

    fn syntax(&mut self, origin: Origin<'_>, syntax: yaml::Syntax) {
        let line = syntax.mark.line;
        let odd = [line, line.saturating_sub(1)].into_iter().find_map(|line| origin.looks.odd_at(line));
        let (mark, message) = odd.unwrap_or((syntax.mark, syntax.message));
        self.problem(origin.file, mark, "", message);
    }

    /// Nothing came of a text: is it for a character beside the kind of a policy?
    fn unrecognized(&mut self, origin: Origin<'_>) {
        if origin.looks.odd.is_empty() {
            return;
        }
        let stated =
            template::lines(origin.text).filter(|(_, line)| line.contains(WORD) && line.contains("kind"));
        let odd = stated.map(|(number, _)| number).find_map(|number| origin.looks.odd_at(number));
        if let Some((mark, message)) = odd {
            self.problem(origin.file, mark, "", message);
        }
    }

    /// A text is a template: no policy can be read from it before it is rendered.
    fn template(&mut self, origin: Origin<'_>, mark: Mark, path: &str, template: Template) {
        let Origin { file, text, found, .. } = origin;
        let chart = template::chart(file).filter(|_| file != "stdin");
        let template = match template {
            Template::Go if chart.is_some() => Template::Helm,
            other => other,
        };
        if !found {
            return self.problem(file, mark, path, template.hint(file, chart.as_deref()));
        }
        if !hints::states_policy(text) {
            self.inventory.unread_templates += 1;
            return;
        }
        let chart = chart.filter(|_| template == Template::Helm);
        let parent = || Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
        let folder = chart.unwrap_or_else(parent).display().to_string();
        let one = Problem { place: mark.within(file), path: path.to_owned(), message: String::new() };
        self.templates.entry((folder, template)).or_insert((0, one)).0 += 1;
    }

    /// Takes in one object. Items of a list like `PodSecurityPolicyList` get their `type_` from it.
    fn object(&mut self, origin: Origin<'_>, mut node: Node<'_>, type_: Option<Type<'_>>) {
        let file = origin.file;
        let kind = node.text_at("kind").or(type_.map(|own| own.kind)).unwrap_or_default().to_owned();
        let api_version =
            node.text_at("apiVersion").or(type_.map(|own| own.api_version)).unwrap_or_default().to_owned();
        match kind.as_str() {
            WORD => self.policy(origin, &node, &api_version),
            "Status" if node.text_at("status") == Some("Failure") => self.refusal(file, &node),
            _ if kind.eq_ignore_ascii_case(WORD) => {
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
                        self.object(origin, item, type_);
                    }
                }
                (Some(_), Some(Data::Null)) => {}
                _ => self.other(origin, &node, &kind, &api_version),
            },
        }
    }

    fn policy(&mut self, origin: Origin<'_>, node: &Node<'_>, api_version: &str) {
        let file = origin.file;
        let by_value = || Template::of_policy(node).filter(|_| !origin.looks.json);
        let ytt = template::ytt_at(&origin.looks.ytt, node.mark).map(|mark| (Template::Ytt, mark));
        if let Some((template, mark)) = ytt.or_else(by_value) {
            return self.template(origin, mark, "", template);
        }
        let supported = API_VERSIONS.join(" or ");
        let mut warnings = Vec::new();
        if !API_VERSIONS.contains(&api_version) {
            let mark = node.locate("apiVersion").mark;
            let what = match api_version {
                "" => "missing".to_owned(),
                other => format!("unsupported version {} of PodSecurityPolicy", quote(other)),
            };
            if self.options.strict || !MEANT_VERSIONS.contains(&api_version) {
                return self.problem(file, mark, "apiVersion", format!("{what}; use {supported}"));
            }
            warnings.push(Problem {
                place: mark.within(file),
                path: "apiVersion".to_owned(),
                message: format!("{what}; read as policy/v1beta1"),
            });
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
        let mut parsed = parse::policy(node, file, self.options.strict);
        let templated = parsed.problems.iter().find_map(|problem| {
            let value = node.locate(&problem.path);
            Some((Template::of_text(value.text()?)?, value.mark))
        });
        if let Some((template, mark)) = templated {
            return self.template(origin, mark, "", template);
        }
        for problem in &mut parsed.problems {
            let line = u32::try_from(problem.place.line).unwrap_or(u32::MAX);
            if let Some((mark, message)) = origin.looks.odd_at(line) {
                problem.place = mark.within(file);
                problem.message = message;
            }
        }
        let named = node.locate("metadata.name").mark.within(file);
        if self.is_defined(origin, &parsed, &named) {
            return;
        }
        self.problems.extend(parsed.problems);
        warnings.extend(parsed.warnings);
        for warning in warnings {
            self.warning(warning);
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

    /// Has this policy been read already? One of the same name that says something else is a problem.
    fn is_defined(&mut self, origin: Origin<'_>, parsed: &parse::Parsed, named: &Place) -> bool {
        let name = &parsed.policy.name;
        if name.is_empty() {
            return false;
        }
        let Some(first) = self.names.get_mut(name) else {
            let first =
                Defined { place: named.clone(), index: self.inventory.policies.len(), copies: Vec::new() };
            self.names.insert(name.clone(), first);
            return false;
        };
        let known = self.inventory.policies.get(first.index).map(|located| &located.policy);
        let differing = known.map(|known| digest::differing(known, &parsed.policy)).unwrap_or_default();
        if differing.is_empty() && !self.options.strict && parsed.problems.is_empty() {
            first.copies.push(named.clone());
            self.inventory.copies.push(named.clone());
            return true;
        }
        let (place, quoted) = (&first.place, quote(name));
        let message = if differing.is_empty() {
            format!("the policy {quoted} is already defined at {place}; remove one of the two")
        } else if !origin.found || origin.file == place.file {
            format!(
                "the policy {quoted} is defined at {place} too, with other {}; remove one of the two",
                differing.join(", ")
            )
        } else {
            let (one, other) = (Path::new(origin.file), Path::new(&place.file));
            let path = if one.parent() == other.parent() { one } else { one.parent().unwrap_or(one) };
            let inner = path.strip_prefix(&self.root).unwrap_or(path);
            format!(
                "the policy {quoted} is defined at {place} too, with other {}; convert one environment at a time (psp2falco convert {}), or leave one out (--exclude {})",
                differing.join(", "),
                path.display(),
                inner.display(),
            )
        };
        let path = "metadata.name".to_owned();
        self.problems.push(Problem { place: named.clone(), path, message });
        false
    }

    fn warning(&mut self, warning: Problem) {
        let warnings = &mut self.inventory.warnings;
        match warnings.len() {
            0..MAX_PROBLEMS => warnings.push(warning),
            MAX_PROBLEMS => {
                let more = "more warnings than can be shown; heed these first, then run it again";
                warnings.push(Problem::of_file(&warning.place.file, more));
            }
            _ => {}
        }
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

    fn other(&mut self, origin: Origin<'_>, node: &Node<'_>, kind: &str, api_version: &str) {
        let file = origin.file;
        self.look_alike(origin, node, kind);
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
                "pods, workloads, service accounts, namespaces and RBAC objects of more than {MAX_OBJECTS} values; leave out \
                 the pods, or read in several runs"
            );
            return self.problem(file, node.mark, "", message);
        }
        if kind == "Pod" {
            self.inventory.pods.push(Compact(kept.to_string().into()));
        } else if keep::makes_pods(kind, api_version) {
            self.inventory.workloads.push(Compact(kept.to_string().into()));
        } else {
            self.inventory.objects.push(Object {
                kind: kind.to_owned(),
                api_version: api_version.to_owned(),
                value: kept,
                place: node.mark.within(file),
            });
        }
    }

    /// Says what to do about an object that is no policy and may have been given for one.
    fn look_alike(&mut self, origin: Origin<'_>, node: &Node<'_>, kind: &str) {
        let file = origin.file;
        let name = node.get("metadata").and_then(|metadata| metadata.text_at("name")).unwrap_or_default();
        match kind {
            "ConfigMap" => {
                for (mark, key) in hints::packed(node) {
                    let path = format!("data[{key}]");
                    self.warning(Problem {
                        place: mark.within(file),
                        path,
                        message: hints::unpack(&key, name, file),
                    });
                }
            }
            "SecurityContextConstraints" if self.inventory.passed_over.get(kind).is_none_or(|n| *n == 0) => {
                let message = "no PodSecurityPolicy but SecurityContextConstraints, which OpenShift goes on enforcing; \
                               there is nothing to convert";
                let path = "kind".to_owned();
                self.inventory.notes.push(Problem {
                    place: node.locate("kind").mark.within(file),
                    path,
                    message: message.to_owned(),
                });
            }
            "Template" if holds_policy(node.get("objects")) => {
                self.template(origin, node.mark, "", Template::OpenShift);
            }
            _ => {}
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

/// Is this one of the objects that decide who may use a policy, a pod, or what makes pods?
fn is_kept(kind: &str, api_version: &str) -> bool {
    match kind {
        "Namespace" | "Pod" | "ServiceAccount" => api_version == "v1",
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => {
            api_version.starts_with("rbac.authorization.k8s.io/")
        }
        _ => keep::makes_pods(kind, api_version),
    }
}

/// Is one of the objects a policy?
fn holds_policy(objects: Option<&Node<'_>>) -> bool {
    let Some(Data::List(objects)) = objects.map(|objects| &objects.data) else { return false };
    objects.iter().any(|object| object.text_at("kind") == Some(WORD))
}
