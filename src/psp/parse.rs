//! A PodSecurityPolicy out of a located document.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use psp_admission::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, HostPath, IdRule, IdStrategy, Range, RuntimeClass, SECCOMP_ALLOWED,
    SECCOMP_DEFAULT, SPEC_FIELDS, SeLinux, SeLinuxOptions, Spec,
};
use psp_admission::{Field, Policy};

use super::validity::{self, GROUP_RULES, SE_LINUX_RULES, USER_RULES, unknown_value};
use crate::problem::{Problem, nearest, quote};
use crate::read::node::{Data, Entry, Mark, Node};

/// What an object may have beside its `spec`; `status` is what some tools leave behind.
const ROOT_FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// The fields of `metadata` in any release that served policies (`ObjectMeta` of apimachinery).
const METADATA_FIELDS: [&str; 17] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "initializers",
    "finalizers",
    "clusterName",
    "managedFields",
];

/// A policy as far as it could be read, and what is wrong with it.
pub(crate) struct Parsed {
    pub(crate) policy: Policy,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

/// Reads a policy and checks its validity. `strict` makes errors of what can only be meant in one way, and is wrong.
pub(crate) fn policy(node: &Node<'_>, file: &str, strict: bool) -> Parsed {
    let mut decoder = Decoder { file, strict, problems: Vec::new(), warnings: Vec::new() };
    let policy = decoder.policy(node);
    let Decoder { mut problems, mut warnings, .. } = decoder;

    let located = |fault: validity::Fault| {
        let place = node.locate(&fault.path).mark.within(file);
        Problem { place, path: fault.path, message: fault.message }
    };
    // enough to do: what the values mean is for the next run
    let checked = if problems.len() > MANY { Vec::new() } else { validity::check(&policy) };
    let faults: Vec<Problem> = checked
        .into_iter()
        .filter(|fault| !problems.iter().any(|problem| overlap(&problem.path, &fault.path)))
        .map(located)
        .collect();
    let is_lenient = |fault: &Problem| fault.path == NAME && !strict && validity::is_speakable(&policy.name);
    let (lenient, faults): (Vec<Problem>, Vec<Problem>) = faults.into_iter().partition(is_lenient);
    problems.extend(faults);
    warnings.extend(lenient.into_iter().map(|fault| {
        let message =
            format!("the API server would have refused {}; the rules bear it as it is", quote(&policy.name));
        Problem { message, ..fault }
    }));
    problems.sort_by(|left, right| left.place.cmp(&right.place));
    if problems.is_empty() {
        warnings.extend(validity::remarks(&policy).into_iter().map(located));
        warnings.sort_by(|left, right| left.place.cmp(&right.place));
    }
    Parsed { policy, problems, warnings }
}

/// The path of a policy's name.
const NAME: &str = "metadata.name";

/// Beyond so many problems with the form of a policy, its meaning is not looked at.
const MANY: usize = 1000;
/// Where the object states each field: at its key, the first of them for the profile annotations.
pub(crate) fn field_marks(node: &Node<'_>) -> Vec<(Field, Mark)> {
    let entries = |node: Option<&'_ Node<'_>>| match node.map(|n| &n.data) {
        Some(Data::Map(entries)) => in_force(entries).map(|e| (e.key.to_string(), e.mark)).collect(),
        _ => Vec::new(),
    };
    let annotations = entries(node.get("metadata").and_then(|m| m.get("annotations")));
    let spec = entries(node.get("spec"));
    let annotated = |key: &str| match key {
        SECCOMP_ALLOWED | SECCOMP_DEFAULT => Some(Field::Seccomp),
        APPARMOR_ALLOWED | APPARMOR_DEFAULT => Some(Field::AppArmor),
        _ => None,
    };
    let named = |key: &str| Field::ALL.into_iter().find(|f| f.name() == key && annotated(key).is_none());
    let mut marks: Vec<(Field, Mark)> =
        spec.iter().filter_map(|(k, mark)| Some((named(k)?, *mark))).collect();
    marks.extend(annotations.iter().filter_map(|(k, mark)| Some((annotated(k)?, *mark))));
    marks.sort_by_key(|(field, mark)| (*field, mark.line, mark.column));
    marks.dedup_by_key(|(field, _)| *field);
    marks
}

/// Does one of the paths lead to, or through, what the other names?
fn overlap(left: &str, right: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    within(left, right) || within(right, left)
}

/// A field path under construction: it becomes text only when there is something to say.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

struct Decoder<'f> {
    file: &'f str,
    strict: bool,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Reads a field of `spec` by its [shape](psp_admission::policy::shape).
macro_rules! read {
    (Flag, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.flag($node, $path)
    };
    (FlagUnlessFalse, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.optional_flag($node, $path).unwrap_or(true)
    };
    (FlagOrUnset, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.optional_flag($node, $path)
    };
    (Names, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.list($node, $path, Self::text)
    };
    (Ports, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.list($node, $path, Self::port_range)
    };
    (Users, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.ids($node, $path, &USER_RULES)
    };
    (Groups, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.ids($node, $path, &GROUP_RULES)
    };
    (Labels, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.se_linux($node, $path)
    };
    (Paths, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.list($node, $path, Self::host_path)
    };
    (FlexDrivers, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.list($node, $path, |this, node, path| this.named(node, path, "driver"))
    };
    (CsiDrivers, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.list($node, $path, |this, node, path| this.named(node, path, "name"))
    };
    (Class, $decoder:ident, $node:ident, $path:ident) => {
        $decoder.runtime_class($node, $path)
    };
}

macro_rules! spec {
    (
        spec { $($(#[$doc:meta])+ $member:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations $annotations:tt
    ) => {
        impl Decoder<'_> {
            fn spec(&mut self, node: &Node<'_>, path: &Path<'_>, spec: &mut Spec) {
                self.fields(node, path, &SPEC_FIELDS, |this, key, node, path| match key {
                    $($name => spec.$member = read!($shape, this, node, path),)+
                    _ => {}
                });
            }
        }
    };
}

psp_admission::with_fields!(spec);

impl Decoder<'_> {
    fn policy(&mut self, node: &Node<'_>) -> Policy {
        let mut policy = Policy::default();
        self.fields(node, &Path::Root, &ROOT_FIELDS, |this, key, node, path| match key {
            "metadata" => this.metadata(node, path, &mut policy),
            "spec" => this.spec(node, path, &mut policy.spec),
            _ => {}
        });
        self.required_rules(node);
        policy
    }

    fn metadata(&mut self, node: &Node<'_>, path: &Path<'_>, policy: &mut Policy) {
        self.fields(node, path, &METADATA_FIELDS, |this, key, node, path| match key {
            "name" => policy.name = this.text(node, path),
            "annotations" => policy.annotations = this.texts(node, path),
            "labels" => this.labels(node, path),
            _ => {}
        });
    }

    /// Labels mean nothing to a policy, but a bad one made the API server refuse it.
    fn labels(&mut self, node: &Node<'_>, path: &Path<'_>) {
        for (key, value) in self.texts(node, path) {
            let wrong = validity::qualified_name(&key).or_else(|| validity::label_value(&value));
            if let Some(message) = wrong {
                self.problem(node.get(&key).unwrap_or(node).mark, &Path::Key(path, &key), message);
            }
        }
    }

    /// The strategies that every policy needs, and the rule of each strategy that is there.
    fn required_rules(&mut self, root: &Node<'_>) {
        let spec = root.get("spec").unwrap_or(root);
        if !matches!(spec.data, Data::Map(_) | Data::Null) {
            return;
        }
        for (field, required) in [
            ("seLinux", true),
            ("runAsUser", true),
            ("runAsGroup", false),
            ("supplementalGroups", true),
            ("fsGroup", true),
        ] {
            let strategy = spec.get(field).filter(|node| !matches!(node.data, Data::Null));
            let at = match strategy {
                None if !required => continue,
                None => spec,
                // Of another type, or with a rule: said already, or nothing to say.
                Some(node) if !matches!(node.data, Data::Map(_)) || has_rule(node) => continue,
                Some(node) => node,
            };
            let path = format!("spec.{field}.rule");
            let place = at.mark.within(self.file);
            if self.strict {
                let message =
                    "missing, and the API server requires it; add the rule, RunAsAny for no restriction";
                self.problems.push(Problem { place, path, message: message.to_owned() });
            } else {
                let message = "missing, though the API server requires it; read as RunAsAny";
                self.warnings.push(Problem { place, path, message: message.to_owned() });
            }
        }
    }

    fn se_linux(&mut self, node: &Node<'_>, path: &Path<'_>) -> SeLinux {
        let mut strategy = SeLinux::default();
        self.fields(node, path, &["rule", "seLinuxOptions"], |this, key, node, path| match key {
            "rule" => strategy.must_run_as = this.rule(node, path, &SE_LINUX_RULES) == IdRule::MustRunAs,
            _ => strategy.options = this.se_linux_options(node, path),
        });
        strategy
    }

    fn se_linux_options(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<SeLinuxOptions> {
        let mut options = SeLinuxOptions::default();
        let there = self.fields(node, path, &["user", "role", "type", "level"], |this, key, node, path| {
            let text = this.text(node, path);
            match key {
                "user" => options.user = text,
                "role" => options.role = text,
                "type" => options.type_ = text,
                _ => options.level = text,
            }
        });
        there.then_some(options)
    }

    fn ids(&mut self, node: &Node<'_>, path: &Path<'_>, rules: &[&str]) -> IdStrategy {
        let mut strategy = IdStrategy::default();
        self.fields(node, path, &["rule", "ranges"], |this, key, node, path| match key {
            "rule" => strategy.rule = this.rule(node, path, rules),
            _ => strategy.ranges = this.list(node, path, Self::id_range),
        });
        strategy
    }

    /// A rule out of `known`; `RunAsAny` where there is none.
    fn rule(&mut self, node: &Node<'_>, path: &Path<'_>, known: &[&str]) -> IdRule {
        let text = self.borrowed_text(node, path);
        if !text.is_empty() && !known.contains(&text.as_ref()) {
            self.problem(node.mark, path, unknown_value("rule", &text, known));
        }
        match text.as_ref() {
            "MustRunAs" => IdRule::MustRunAs,
            "MayRunAs" => IdRule::MayRunAs,
            "MustRunAsNonRoot" => IdRule::MustRunAsNonRoot,
            _ => IdRule::RunAsAny,
        }
    }

    fn id_range(&mut self, node: &Node<'_>, path: &Path<'_>) -> Range {
        self.range(node, path, i64::MIN..=i64::MAX)
    }

    /// Ports are 32 bits wide in the API, ids 64.
    fn port_range(&mut self, node: &Node<'_>, path: &Path<'_>) -> Range {
        self.range(node, path, i32::MIN.into()..=i32::MAX.into())
    }

    fn range(&mut self, node: &Node<'_>, path: &Path<'_>, limits: std::ops::RangeInclusive<i64>) -> Range {
        let mut range = Range::default();
        self.fields(node, path, &["min", "max"], |this, key, node, path| {
            let value = this.integer(node, path);
            if !limits.contains(&value) {
                this.problem(
                    node.mark,
                    path,
                    format!("{value} does not fit the 32 bits of a port; use 0 to 65535"),
                );
            }
            if key == "min" { range.min = value } else { range.max = value }
        });
        range
    }

    fn host_path(&mut self, node: &Node<'_>, path: &Path<'_>) -> HostPath {
        let mut host_path = HostPath::default();
        self.fields(node, path, &["pathPrefix", "readOnly"], |this, key, node, path| match key {
            "pathPrefix" => host_path.path_prefix = this.text(node, path),
            _ => host_path.read_only = this.flag(node, path),
        });
        host_path
    }

    /// The text of an object's only field.
    fn named(&mut self, node: &Node<'_>, path: &Path<'_>, field: &'static str) -> String {
        let mut name = String::new();
        self.fields(node, path, &[field], |this, _, node, path| name = this.text(node, path));
        name
    }

    fn runtime_class(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<RuntimeClass> {
        let mut class = RuntimeClass::default();
        let known = ["allowedRuntimeClassNames", "defaultRuntimeClassName"];
        let there = self.fields(node, path, &known, |this, key, node, path| match key {
            "allowedRuntimeClassNames" => class.allowed = this.list(node, path, Self::text),
            _ if matches!(node.data, Data::Null) => {}
            _ => class.default = Some(this.text(node, path)),
        });
        there.then_some(class)
    }

    /// Hands each known field of a mapping to `take`. False where there is no mapping (null is none, as in Go).
    fn fields(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        known: &[&str],
        mut take: impl FnMut(&mut Self, &str, &Node<'_>, &Path<'_>),
    ) -> bool {
        let Some(entries) = self.entries(node, path, "a mapping") else { return false };
        self.duplicates(entries, |key| Path::Field(path, key));
        for entry in in_force(entries) {
            let path = Path::Field(path, &entry.key);
            if known.contains(&entry.key.as_ref()) {
                take(self, &entry.key, &entry.node, &path);
            } else {
                self.problem(entry.mark, &path, unknown_field(&entry.key, known));
            }
        }
        true
    }

    /// A mapping of free keys to strings.
    fn texts(&mut self, node: &Node<'_>, path: &Path<'_>) -> BTreeMap<String, String> {
        let entries = self.entries(node, path, "a mapping").unwrap_or_default();
        self.duplicates(entries, |key| Path::Key(path, key));
        in_force(entries)
            .map(|entry| (entry.key.to_string(), self.text(&entry.node, &Path::Key(path, &entry.key))))
            .collect()
    }

    fn entries<'n, 'a>(
        &mut self,
        node: &'n Node<'a>,
        path: &Path<'_>,
        wanted: &str,
    ) -> Option<&'n [Entry<'a>]> {
        match &node.data {
            Data::Map(entries) => return Some(entries),
            Data::Null => {}
            _ => self.wrong_type(node, path, wanted, ""),
        }
        None
    }

    /// Says which keys stand twice. kubectl took the last before 1.25, and refuses them since.
    fn duplicates<'e>(&mut self, entries: &'e [Entry<'_>], path: impl Fn(&'e str) -> Path<'e>) {
        if !has_duplicates(entries) {
            return;
        }
        let mut first: HashMap<&str, u32> = HashMap::new();
        for entry in entries {
            let line = *first.entry(&entry.key).or_insert(entry.mark.line);
            if is_same(entry, entries.iter().find(|other| other.key == entry.key)) {
                continue;
            }
            let path = path(&entry.key);
            if self.strict {
                let message = format!("stands in line {line} too; remove one of the two");
                self.problem(entry.mark, &path, message);
            } else {
                let message = format!("stands in line {line} too; this one counts, as it did for kubectl");
                self.warnings.push(Problem {
                    place: entry.mark.within(self.file),
                    path: path.to_string(),
                    message,
                });
            }
        }
    }

    fn list<T>(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        mut item: impl FnMut(&mut Self, &Node<'_>, &Path<'_>) -> T,
    ) -> Vec<T> {
        match &node.data {
            Data::List(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| item(self, node, &Path::Index(path, index)))
                .collect(),
            Data::Null => Vec::new(),
            _ => {
                self.wrong_type(node, path, "a list", "; write it as a list");
                Vec::new()
            }
        }
    }

    fn text(&mut self, node: &Node<'_>, path: &Path<'_>) -> String {
        self.borrowed_text(node, path).into_owned()
    }

    fn borrowed_text<'n>(&mut self, node: &'n Node<'_>, path: &Path<'_>) -> Cow<'n, str> {
        match &node.data {
            Data::Text(text) => return Cow::Borrowed(text),
            Data::Null => {}
            Data::List(_) | Data::Map(_) => self.wrong_type(node, path, "a string", ""),
            _ => self.wrong_type(node, path, "a string", "; put it in quotes"),
        }
        Cow::Borrowed("")
    }

    fn flag(&mut self, node: &Node<'_>, path: &Path<'_>) -> bool {
        self.optional_flag(node, path).unwrap_or_default()
    }

    fn optional_flag(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<bool> {
        match &node.data {
            Data::Bool(value) => return Some(*value),
            Data::Null => {}
            Data::Text(text) if matches!(text.as_ref(), "true" | "false") => {
                self.wrong_type(node, path, "true or false", "; remove the quotes");
            }
            _ => self.wrong_type(node, path, "true or false", ""),
        }
        None
    }

    fn integer(&mut self, node: &Node<'_>, path: &Path<'_>) -> i64 {
        /// Below it every integer has a float of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match &node.data {
            Data::Int(value) => return *value,
            // kubectl hands 1e3 on as 1000.
            Data::Float(value) if value.fract() == 0.0 && value.abs() <= EXACT => return *value as i64,
            Data::Null => {}
            Data::Text(text) if text.parse::<i64>().is_ok() => {
                self.wrong_type(node, path, "a whole number", "; remove the quotes");
            }
            _ => self.wrong_type(node, path, "a whole number", ""),
        }
        0
    }

    fn wrong_type(&mut self, node: &Node<'_>, path: &Path<'_>, wanted: &str, cure: &str) {
        let message = format!("expected {wanted}, found {}{cure}", node.describe());
        self.problem(node.mark, path, message);
    }

    fn problem(&mut self, mark: Mark, path: &Path<'_>, message: String) {
        self.problems.push(Problem { place: mark.within(self.file), path: path.to_string(), message });
    }
}

fn has_rule(strategy: &Node<'_>) -> bool {
    strategy.get("rule").is_some_and(|rule| !matches!(rule.data, Data::Null) && rule.text() != Some(""))
}

/// Does a key stand twice?
fn has_duplicates(entries: &[Entry<'_>]) -> bool {
    // Few keys are compared faster than hashed.
    const FEW: usize = 16;
    if entries.len() <= FEW {
        return entries
            .iter()
            .enumerate()
            .any(|(index, entry)| entries.iter().take(index).any(|before| before.key == entry.key));
    }
    let mut seen: HashSet<&str> = HashSet::new();
    !entries.iter().all(|entry| seen.insert(&entry.key))
}

fn is_same(one: &Entry<'_>, other: Option<&Entry<'_>>) -> bool {
    other.is_some_and(|other| std::ptr::eq(one, other))
}

/// The entries that count: of a key that stands twice the last one.
fn in_force<'e, 'a>(entries: &'e [Entry<'a>]) -> impl Iterator<Item = &'e Entry<'a>> {
    let last: Option<HashMap<&str, &Entry<'a>>> =
        has_duplicates(entries).then(|| entries.iter().map(|entry| (entry.key.as_ref(), entry)).collect());
    entries.iter().filter(move |entry| {
        last.as_ref().is_none_or(|last| is_same(entry, last.get(entry.key.as_ref()).copied()))
    })
}

/// The fields that people put under `spec`, and where they belong.
const MISPLACED: [(&str, &str); 7] = [
    ("annotations", "it belongs under metadata"),
    ("labels", "it belongs under metadata"),
    ("name", "it belongs under metadata"),
    ("ranges", "it belongs under runAsUser, runAsGroup, supplementalGroups or fsGroup; indent it"),
    ("rule", "it belongs under seLinux, runAsUser, runAsGroup, supplementalGroups or fsGroup; indent it"),
    ("seLinuxOptions", "it belongs under seLinux; indent it"),
    ("pathPrefix", "it belongs under allowedHostPaths; indent it"),
];

fn unknown_field(name: &str, known: &[&str]) -> String {
    let misplaced = MISPLACED.iter().find(|(field, _)| *field == name && known == SPEC_FIELDS);
    let cure = match (misplaced, nearest(name, known)) {
        (Some((_, cure)), _) => (*cure).to_owned(),
        (None, Some(meant)) => format!("did you mean {meant}?"),
        (None, None) if known == ROOT_FIELDS && SPEC_FIELDS.contains(&name) => {
            "it belongs under spec".to_owned()
        }
        (None, None) if known.len() > ROOT_FIELDS.len() => "correct or remove it".to_owned(),
        (None, None) => format!("known here: {}", known.join(", ")),
    };
    format!("unknown field {}; {cure}", quote(name))
}
