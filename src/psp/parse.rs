//! A PodSecurityPolicy out of a located document.

use psp_admission::policy::{
    HostPath, IdRule, IdStrategy, Range, RuntimeClass, SPEC_FIELDS, SeLinux, SeLinuxOptions, Spec,
};
use psp_admission::{Field, Policy};

use super::fault::Fault;
use super::{names, validity};
use crate::messages;
use crate::problem::{Message, Problem, nearest, quote};
use crate::yaml::{Data, Decoder, Mark, Node, Path, in_force, unknown_value};

/// What an object may have beside its `spec`; `status` is what some tools leave behind.
const ROOT_FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// The rules that a strategy over user ids may have.
const USER_RULES: [&str; 3] = ["MustRunAs", "MustRunAsNonRoot", "RunAsAny"];
/// The rules that a strategy over group ids may have.
const GROUP_RULES: [&str; 3] = ["MustRunAs", "MayRunAs", "RunAsAny"];
/// The rules that `seLinux` may have.
const SE_LINUX_RULES: [&str; 2] = ["MustRunAs", "RunAsAny"];

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
    let mut decoder = Decoder::new(file, strict);
    let policy = decoder.policy(node, strict);
    let Decoder { mut problems, mut warnings, .. } = decoder;

    let located = |fault: Fault| {
        let place = node.locate(&fault.path).mark.within(file);
        Problem::new(place, fault.path, fault.message)
    };
    // enough to do: what the values mean is for the next run
    let checked = if problems.len() > MANY { Vec::new() } else { validity::check(&policy) };
    let faults: Vec<Problem> = checked
        .into_iter()
        .filter(|fault| !problems.iter().any(|problem| overlap(&problem.path, &fault.path)))
        .map(located)
        .collect();
    let is_lenient = |fault: &Problem| fault.path == NAME && !strict && names::is_speakable(&policy.name);
    let (lenient, faults): (Vec<Problem>, Vec<Problem>) = faults.into_iter().partition(is_lenient);
    problems.extend(faults);
    warnings.extend(lenient.into_iter().map(|fault| {
        let message = messages::policy::refused_name(quote(&policy.name));
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
    let annotated = |key: &str| Field::ALL.into_iter().find(|field| field.annotations().contains(&key));
    let named = |key: &str| Field::named(key).filter(|field| field.annotations().is_empty());
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
    (OptionalGroups, $decoder:ident, $node:ident, $path:ident) => {
        read!(Groups, $decoder, $node, $path)
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

/// Must a policy have a field of this shape? Only of strategies, which must state a rule where they are there.
macro_rules! required {
    (Users) => {
        Some(true)
    };
    (Groups) => {
        Some(true)
    };
    (OptionalGroups) => {
        Some(false)
    };
    (Labels) => {
        Some(true)
    };
    ($shape:ident) => {
        None
    };
}

macro_rules! spec {
    (
        spec { $($(#[$doc:meta])+ $member:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations $annotations:tt
    ) => {
        /// The fields of `spec`; of those that are strategies, whether a policy must have them.
        const REQUIRED: [(&str, Option<bool>); SPEC_FIELDS.len()] = [$(($name, required!($shape))),+];

        impl Decoder<'_> {
            fn spec(&mut self, node: &Node<'_>, path: &Path<'_>, spec: &mut Spec) {
                self.known_fields(node, path, &SPEC_FIELDS, |this, key, node, path| match key {
                    $($name => spec.$member = read!($shape, this, node, path),)+
                    _ => {}
                });
            }
        }
    };
}

psp_admission::with_fields!(spec);

impl Decoder<'_> {
    fn policy(&mut self, node: &Node<'_>, strict: bool) -> Policy {
        let mut policy = Policy::default();
        self.known_fields(node, &Path::Root, &ROOT_FIELDS, |this, key, node, path| match key {
            "metadata" => this.metadata(node, path, &mut policy),
            "spec" => this.spec(node, path, &mut policy.spec),
            _ => {}
        });
        self.required_rules(node, strict);
        policy
    }

    fn metadata(&mut self, node: &Node<'_>, path: &Path<'_>, policy: &mut Policy) {
        self.known_fields(node, path, &METADATA_FIELDS, |this, key, node, path| match key {
            "name" => policy.name = this.text(node, path),
            "annotations" => policy.annotations = this.texts(node, path),
            "labels" => this.labels(node, path),
            _ => {}
        });
    }

    /// Labels mean nothing to a policy, but a bad one made the API server refuse it.
    fn labels(&mut self, node: &Node<'_>, path: &Path<'_>) {
        for (key, value) in self.texts(node, path) {
            let wrong = names::qualified_name(&key).or_else(|| names::label_value(&value));
            if let Some(message) = wrong {
                self.problem(node.get(&key).unwrap_or(node).mark, &Path::Key(path, &key), message);
            }
        }
    }

    /// The strategies that every policy needs, and the rule of each strategy that is there.
    fn required_rules(&mut self, root: &Node<'_>, strict: bool) {
        let spec = root.get("spec").unwrap_or(root);
        if !matches!(spec.data, Data::Map(_) | Data::Null) {
            return;
        }
        let strategies = REQUIRED.iter().filter_map(|(field, required)| Some((field, (*required)?)));
        for (field, required) in strategies {
            let strategy = spec.get(field).filter(|node| !matches!(node.data, Data::Null));
            let at = match strategy {
                None if !required => continue,
                None => spec,
                // Of another type, or with a rule: said already, or nothing to say.
                Some(node) if !matches!(node.data, Data::Map(_)) || has_rule(node) => continue,
                Some(node) => node,
            };
            let spec = Path::Field(&Path::Root, "spec");
            let field = Path::Field(&spec, field);
            let path = Path::Field(&field, "rule");
            if strict {
                self.problem(at.mark, &path, messages::policy::missing_rule());
            } else {
                self.warning(at.mark, &path, messages::policy::missing_rule_read());
            }
        }
    }

    fn se_linux(&mut self, node: &Node<'_>, path: &Path<'_>) -> SeLinux {
        let mut strategy = SeLinux::default();
        self.known_fields(node, path, &["rule", "seLinuxOptions"], |this, key, node, path| match key {
            "rule" => strategy.must_run_as = this.rule(node, path, &SE_LINUX_RULES) == IdRule::MustRunAs,
            _ => strategy.options = this.se_linux_options(node, path),
        });
        strategy
    }

    fn se_linux_options(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<SeLinuxOptions> {
        let mut options = SeLinuxOptions::default();
        let there =
            self.known_fields(node, path, &["user", "role", "type", "level"], |this, key, node, path| {
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
        self.known_fields(node, path, &["rule", "ranges"], |this, key, node, path| match key {
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
        self.known_fields(node, path, &["min", "max"], |this, key, node, path| {
            let value = this.integer(node, path);
            if !limits.contains(&value) {
                this.problem(node.mark, path, messages::policy::no_port(value));
            }
            if key == "min" { range.min = value } else { range.max = value }
        });
        range
    }

    fn host_path(&mut self, node: &Node<'_>, path: &Path<'_>) -> HostPath {
        let mut host_path = HostPath::default();
        self.known_fields(node, path, &["pathPrefix", "readOnly"], |this, key, node, path| match key {
            "pathPrefix" => host_path.path_prefix = this.text(node, path),
            _ => host_path.read_only = this.flag(node, path),
        });
        host_path
    }

    /// The text of an object's only field.
    fn named(&mut self, node: &Node<'_>, path: &Path<'_>, field: &'static str) -> String {
        let mut name = String::new();
        self.known_fields(node, path, &[field], |this, _, node, path| name = this.text(node, path));
        name
    }

    fn runtime_class(&mut self, node: &Node<'_>, path: &Path<'_>) -> Option<RuntimeClass> {
        let mut class = RuntimeClass::default();
        let known = ["allowedRuntimeClassNames", "defaultRuntimeClassName"];
        let there = self.known_fields(node, path, &known, |this, key, node, path| match key {
            "allowedRuntimeClassNames" => class.allowed = this.list(node, path, Self::text),
            _ if matches!(node.data, Data::Null) => {}
            _ => class.default = Some(this.text(node, path)),
        });
        there.then_some(class)
    }

    /// Hands each known field of a mapping to `take`. False where there is no mapping (null is none, as in Go).
    fn known_fields(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        known: &[&str],
        take: impl FnMut(&mut Self, &str, &Node<'_>, &Path<'_>),
    ) -> bool {
        self.fields(node, path, known, |name| unknown_field(name, known), take)
    }
}

fn has_rule(strategy: &Node<'_>) -> bool {
    strategy.get("rule").is_some_and(|rule| !matches!(rule.data, Data::Null) && rule.text() != Some(""))
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

fn unknown_field(name: &str, known: &[&str]) -> Message {
    let misplaced = MISPLACED.iter().find(|(field, _)| *field == name && known == SPEC_FIELDS);
    let quoted = quote(name);
    match (misplaced, nearest(name, known)) {
        (Some((_, home)), _) => messages::yaml::misplaced_field(quoted, home),
        (None, Some(meant)) => messages::yaml::misspelt_field(quoted, meant),
        (None, None) if known == ROOT_FIELDS && SPEC_FIELDS.contains(&name) => {
            messages::yaml::misplaced_field(quoted, "it belongs under spec")
        }
        (None, None) if known.len() > ROOT_FIELDS.len() => messages::yaml::unknown_field_of_many(quoted),
        (None, None) => messages::yaml::unknown_field(quoted, known.join(", ")),
    }
}
