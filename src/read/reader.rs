//! Texts become an [`Inventory`]: what each document is, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::digest;
use super::hints::{self, WORD};
use super::inventory::{Compact, Inventory, Located, NO_KIND, OTHER_KINDS, Object, Unread, Why};
use super::redact;
use super::template::{self, Template, YttDocument};
use crate::messages::read as messages;
use crate::problem::{Message, Place, Problem, cut, quote, quote_lines};
use crate::psp::parse;
use crate::yaml::{self, Data, Mark, Node};

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

/// A text and where it is from.
#[derive(Clone, Copy)]
struct Origin<'t> {
    /// What places call it.
    file: &'t str,
    text: &'t str,
    /// The folder or archive that it was found in; none for a text that the user named.
    root: Option<&'t Path>,
    looks: &'t Looks,
}

/// What is looked for in a text before it is read as YAML, which does not show it.
#[derive(Default)]
struct Looks {
    /// Characters that only look right.
    odd: Vec<(Mark, Message)>,
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
    fn odd_at(&self, line: u32) -> Option<(Mark, Message)> {
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
#[derive(Default)]
pub(super) struct Reader {
    /// Refuse what the API server or kubectl would have refused, instead of reading it as it was meant with a warning.
    strict: bool,
    pub(super) inventory: Inventory,
    pub(super) problems: Vec<Problem>,
    /// Each policy by its name.
    names: HashMap<String, Defined>,
    /// The templates in folders that hold policies: how many of a kind in a chart or folder, and one of them.
    templates: BTreeMap<(String, Template), (usize, String)>,
    /// The nodes of the objects kept.
    kept: usize,
    /// Has a limit been reached, so that reading on is of no use?
    full: bool,
}

impl Reader {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    /// What was read.
    ///
    /// # Errors
    /// Everything that is wrong with it, in its order.
    pub(super) fn finish(mut self) -> Result<Inventory, Vec<Problem>> {
        self.tell_templates();
        if self.has_too_many_problems() {
            self.problems.truncate(MAX_PROBLEMS);
            let file = self.problems.last().map(|problem| problem.place.file.clone()).unwrap_or_default();
            self.problems.push(Problem::of_file(&file, messages::too_many_problems()));
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.tell_copies();
        self.inventory.policies.sort_by(|left, right| left.policy.name.cmp(&right.policy.name));
        Ok(self.inventory)
    }

    /// Notes which templates in folders hold policies: a warning where there are other policies, else an error.
    fn tell_templates(&mut self) {
        let fatal = self.strict || self.inventory.policies.is_empty();
        let told =
            std::mem::take(&mut self.templates).into_iter().map(|((folder, template), (files, one))| {
                let (file, chart) = (&one, (template == Template::Helm).then(|| Path::new(&folder)));
                let (what, command) = (template.name(), template.cure(file, chart));
                let message = match files {
                    1 => messages::template_found(what, command),
                    _ => messages::templates_found(files, what, command),
                };
                Problem::of_file(&folder, message)
            });
        if fatal { self.problems.extend(told) } else { self.inventory.warnings.extend(told) }
    }

    /// Notes which policies stand in several places.
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
            let message = messages::defined_alike(quote(name), others.join(", "));
            self.inventory.notes.push(Problem::new(place.clone(), "metadata.name", message));
        }
    }

    fn has_too_many_problems(&self) -> bool {
        self.problems.len() > MAX_PROBLEMS
    }

    /// Is there no use in reading on?
    pub(super) fn is_full(&self) -> bool {
        self.full || self.has_too_many_problems()
    }

    /// Reads a text. `root` is the folder or archive that it was found in; a text that the user named has none.
    pub(super) fn text(&mut self, file: &str, text: &str, root: Option<&Path>) {
        let (problems, warnings, notes) =
            (self.problems.len(), self.inventory.warnings.len(), self.inventory.notes.len());
        self.documents(file, text, root);
        let Inventory { warnings: all_warnings, notes: all_notes, .. } = &mut self.inventory;
        for (all, before) in [(&mut self.problems, problems), (all_warnings, warnings), (all_notes, notes)] {
            quote_lines(all.get_mut(before..).unwrap_or_default(), text);
        }
    }

    fn documents(&mut self, file: &str, text: &str, root: Option<&Path>) {
        if let Some(message) = hints::kubectl(text).filter(|_| root.is_none()) {
            return self.problem(file, Mark { line: 1, column: 1 }, "", message);
        }
        let holds_word = text.contains(WORD);
        let looks = if holds_word { Looks::of(text) } else { Looks::default() };
        let origin = Origin { file, text, root, looks: &looks };
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
                    None if root.is_some() && !holds_word => unread = true,
                    None => self.syntax(origin, syntax),
                },
            }
        }
        if unread {
            self.not_read(file, Why::Unreadable);
        }
        if self.problems.len() + self.inventory.policies.len() == before {
            self.unrecognized(origin);
        }
    }

    /// Notes a file of a folder or archive that was not read.
    pub(super) fn not_read(&mut self, file: &str, why: Why) {
        self.inventory.unread.push(Unread { file: file.to_owned(), why });
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
        let Origin { file, text, root, .. } = origin;
        let chart = template::chart(file).filter(|_| file != "stdin");
        let template = match template {
            Template::Go if chart.is_some() => Template::Helm,
            other => other,
        };
        if root.is_none() {
            return self.problem(file, mark, path, template.hint(file, chart.as_deref()));
        }
        if !hints::states_policy(text) {
            return self.not_read(file, Why::Template);
        }
        let chart = chart.filter(|_| template == Template::Helm);
        let parent = || Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
        let folder = chart.unwrap_or_else(parent).display().to_string();
        self.templates.entry((folder, template)).or_insert_with(|| (0, file.to_owned())).0 += 1;
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
                let message = messages::misspelt_kind(quote(&kind));
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
            let version = quote(api_version);
            if self.strict || !MEANT_VERSIONS.contains(&api_version) {
                let message = match api_version {
                    "" => messages::no_version(supported),
                    _ => messages::unsupported_version(version, supported),
                };
                return self.problem(file, mark, "apiVersion", message);
            }
            let message = match api_version {
                "" => messages::no_version_read(),
                _ => messages::unsupported_version_read(version),
            };
            warnings.push(Problem::new(mark.within(file), "apiVersion", message));
        }
        if yaml::weight(node) > MAX_POLICY {
            let message = messages::too_large_policy(MAX_POLICY);
            return self.problem(file, node.mark, "", message);
        }
        if self.inventory.policies.len() >= MAX_POLICIES {
            self.full = true;
            let message = messages::too_many_policies(MAX_POLICIES);
            return self.problem(file, node.mark, "", message);
        }
        let mut parsed = parse::policy(node, file, self.strict);
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
        if differing.is_empty() && !self.strict && parsed.problems.is_empty() {
            first.copies.push(named.clone());
            self.inventory.copies.push(named.clone());
            return true;
        }
        let (place, quoted) = (&first.place, quote(name));
        let message = if differing.is_empty() {
            messages::defined_twice(quoted, place)
        } else if let Some(root) = origin.root.filter(|_| origin.file != place.file) {
            let (one, other) = (Path::new(origin.file), Path::new(&place.file));
            let path = if one.parent() == other.parent() { one } else { one.parent().unwrap_or(one) };
            let inner = path.strip_prefix(root).unwrap_or(path);
            let fields = differing.join(", ");
            match [one, other].into_iter().find_map(template::kustomization) {
                Some(folder) => {
                    let inner = folder.strip_prefix(root).unwrap_or(folder);
                    let command = template::word(&folder.display().to_string());
                    messages::patched(quoted, place, fields, command, inner.display())
                }
                None => {
                    messages::several_environments(quoted, place, fields, path.display(), inner.display())
                }
            }
        } else {
            messages::defined_otherwise(quoted, place, differing.join(", "))
        };
        self.problems.push(Problem::new(named.clone(), "metadata.name", message));
        false
    }

    fn warning(&mut self, warning: Problem) {
        let warnings = &mut self.inventory.warnings;
        match warnings.len() {
            0..MAX_PROBLEMS => warnings.push(warning),
            MAX_PROBLEMS => {
                warnings.push(Problem::of_file(&warning.place.file, messages::too_many_warnings()));
            }
            _ => {}
        }
    }

    /// The API server's answer where objects were expected, like the 403 of a user who may not list policies.
    fn refusal(&mut self, file: &str, node: &Node<'_>) {
        let reason = node.text_at("reason").unwrap_or("Failure");
        let message = node.text_at("message").unwrap_or_default();
        self.problem(file, node.mark, "", messages::api_server_refusal(reason, message));
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
            kept = redact::redact(object, kind, api_version);
            weight = redact::weight(&kept);
        }
        self.kept += weight;
        if self.kept > MAX_OBJECTS {
            self.full = true;
            let message = messages::too_many_objects(MAX_OBJECTS);
            return self.problem(file, node.mark, "", message);
        }
        if kind == "Pod" {
            self.inventory.pods.push(Compact::new(&kept));
        } else if redact::makes_pods(kind, api_version) {
            self.inventory.workloads.push(Compact::new(&kept));
        } else {
            self.inventory.objects.push(Object {
                kind: kind.to_owned(),
                api_version: api_version.to_owned(),
                value: kept,
                place: node.mark.within(file),
            });
        }
    }

    /// Notes what to do about an object that is no policy but may have been meant as one.
    fn look_alike(&mut self, origin: Origin<'_>, node: &Node<'_>, kind: &str) {
        let file = origin.file;
        let name = node.get("metadata").and_then(|metadata| metadata.text_at("name")).unwrap_or_default();
        match kind {
            "ConfigMap" => {
                for (mark, key) in hints::packed(node) {
                    let path = format!("data[{key}]");
                    self.warning(Problem::new(mark.within(file), path, hints::unpack(&key, name, file)));
                }
            }
            "SecurityContextConstraints" if self.inventory.passed_over.get(kind).is_none_or(|n| *n == 0) => {
                let place = node.locate("kind").mark.within(file);
                self.inventory.notes.push(Problem::new(place, "kind", messages::openshift()));
            }
            "Template" if holds_policy(node.get("objects")) => {
                self.template(origin, node.mark, "", Template::OpenShift);
            }
            _ => {}
        }
    }

    fn problem(&mut self, file: &str, mark: Mark, path: &str, message: Message) {
        self.problems.push(Problem::new(mark.within(file), path, message));
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
        _ => redact::makes_pods(kind, api_version),
    }
}

/// Is one of the objects a policy?
fn holds_policy(objects: Option<&Node<'_>>) -> bool {
    let Some(Data::List(objects)) = objects.map(|objects| &objects.data) else { return false };
    objects.iter().any(|object| object.text_at("kind") == Some(WORD))
}
