//! The bundle: all that admission knew, in one file. Policies, who may use them, and what the user narrowed them to.
//!
//! It is canonical: the same policies make the same bytes, sorted by name, with nothing that has its default and one
//! field of a policy on each line, so that a difference reads as a change of policy. It states its version and the
//! SHA-256 of its text without the line of the digest:
//!
//! ```console
//! $ grep -v '^  "digest"' psp_policies.json | sha256sum
//! ```

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::Formatter;
use sha2::{Digest as _, Sha256};

use crate::access::{Access, Grants, Subjects};
use crate::event::AuditObject;
use crate::policy::{Policy, Spec};
use crate::scope::Scope;

/// The version of the format that this crate writes, and the only one that it reads.
pub const VERSION: u64 = 1;
/// The most bytes of a bundle.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most policies of a bundle.
pub const MAX_POLICIES: usize = 20_000;

/// All that admission knew.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// The object of an audit event that is judged.
    pub object: AuditObject,
    /// Which namespaces are looked at.
    pub scope: Scope,
    /// The policies, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Who may use which policy. Known, the policies decide together; not known, each stands alone.
    pub access: Option<Access>,
}

impl Bundle {
    /// The bundle as text, and the digest that it states.
    pub fn to_text(&self) -> (String, String) {
        let digest = self.digest();
        (self.text(Some(&digest)), digest)
    }

    /// `sha256:` and 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.write(&mut hash, None);
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}")
    }

    fn text(&self, digest: Option<&str>) -> String {
        let mut text = Vec::new();
        self.write(&mut text, digest);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Writes the text, to where writing does not fail.
    fn write(&self, mut to: impl io::Write, digest: Option<&str>) {
        let mut serializer = serde_json::Serializer::with_formatter(&mut to, Lines::default());
        // what is made of texts, numbers and lists, JSON can always hold, and memory and a hash take it
        let _ = Written { bundle: self, digest }.serialize(&mut serializer);
        let _ = to.write_all(b"\n");
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// When the text is no bundle of this version, not whole, or more than a bundle may be.
    pub fn parse(text: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        if text.len() > MAX_BYTES {
            return Err(BundleError::TooLarge(text.len()));
        }
        let Version { version } = serde_json::from_slice(text).map_err(BundleError::of_json)?;
        if version != VERSION {
            return Err(BundleError::Version(version));
        }
        let file: File = serde_json::from_slice(text).map_err(BundleError::of_json)?;
        if file.policies.len() > MAX_POLICIES {
            return Err(BundleError::TooManyPolicies(file.policies.len()));
        }
        let stated = file.digest.clone();
        let bundle = Self::from(file);
        let digest = bundle.digest();
        if digest == stated { Ok(bundle) } else { Err(BundleError::Digest { stated, digest }) }
    }
}

/// Why a text is no bundle, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleError {
    /// It has more than [`MAX_BYTES`]: so many.
    TooLarge(usize),
    /// It has more than [`MAX_POLICIES`]: so many.
    TooManyPolicies(usize),
    /// It has a version that this crate does not read.
    Version(u64),
    /// It is no JSON, or not the JSON of a bundle.
    Json {
        /// Where, from 1.
        line: usize,
        /// Where in the line, in bytes from 1; 0 for the line as a whole.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// The digest that it states is not that of what it holds.
    Digest {
        /// What it states.
        stated: String,
        /// What it holds.
        digest: String,
    },
}

impl BundleError {
    #[allow(clippy::needless_pass_by_value, reason = "taken by map_err")]
    fn of_json(error: serde_json::Error) -> Self {
        let what = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = what.strip_suffix(place.as_str()).unwrap_or(&what);
        Self::Json { line: error.line(), column: error.column(), what: crate::text::short(what, 200) }
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WRITE: &str = "write it with psp2falco convert --plugin";
        match self {
            Self::TooLarge(bytes) => {
                write!(f, "{bytes} bytes are more than a bundle may have ({MAX_BYTES}); {WRITE}")
            }
            Self::TooManyPolicies(count) => {
                write!(f, "{count} policies are more than a bundle may have ({MAX_POLICIES}); split it")
            }
            Self::Version(version) => write!(
                f,
                "version {version} is not known here, only {VERSION}; use the psp2falco and the libpsp.so of one release"
            ),
            Self::Json { line, column, what } => {
                write!(f, "line {line} column {column}: not a bundle of policies: {what}; {WRITE}")
            }
            Self::Digest { stated, digest } => write!(
                f,
                "states {}, but what it holds is {digest}: it is torn, or was changed by hand; {WRITE}",
                crate::text::short(stated, 80)
            ),
        }
    }
}

impl std::error::Error for BundleError {}

/// How a bundle is written.
struct Written<'b> {
    bundle: &'b Bundle,
    digest: Option<&'b str>,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Bundle { object, scope, policies, access } = self.bundle;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        if let Some(digest) = self.digest {
            map.serialize_entry("digest", digest)?;
        }
        map.serialize_entry("auditObject", object)?;
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        if !scope.namespaces.is_empty() {
            map.serialize_entry("namespaces", &sorted(&scope.namespaces))?;
        }
        if !scope.exclude_namespaces.is_empty() {
            map.serialize_entry("excludeNamespaces", &sorted(&scope.exclude_namespaces))?;
        }
        if let Some(access) = access {
            map.serialize_entry("rbac", &if access.whole { Rbac::Whole } else { Rbac::Partial })?;
            map.serialize_entry("mayUseEvery", &Users::of(access.every()))?;
        }
        let policies: Vec<WrittenPolicy<'_>> =
            policies.values().map(|policy| WrittenPolicy { policy, access: access.as_ref() }).collect();
        map.serialize_entry("policies", &policies)?;
        map.end()
    }
}

struct WrittenPolicy<'b> {
    policy: &'b Policy,
    access: Option<&'b Access>,
}

impl Serialize for WrittenPolicy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.policy.serialize_entries(&mut map)?;
        let grants = self.access.and_then(|access| access.of(&self.policy.name));
        if let Some(grants) = grants.filter(|grants| !grants.are_none()) {
            map.serialize_entry("mayUse", &Users::of(grants))?;
        }
        map.end()
    }
}

/// A bundle as its JSON has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(rename = "version")]
    _version: u64,
    digest: String,
    audit_object: AuditObject,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default)]
    exclude_namespaces: Vec<String>,
    rbac: Option<Rbac>,
    #[serde(default)]
    may_use_every: Users,
    policies: Vec<FilePolicy>,
}

/// How much is known of who may use a policy.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rbac {
    Whole,
    Partial,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FilePolicy {
    name: String,
    #[serde(default)]
    annotations: UniqueMap<String>,
    spec: Spec,
    #[serde(default)]
    may_use: Users,
}

/// Who may use something: by namespace, [`ANYWHERE`] in all of them.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Users(UniqueMap<FileSubjects>);

/// Stands for all namespaces.
const ANYWHERE: &str = "*";

#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct FileSubjects {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    users: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    groups: BTreeSet<String>,
    /// Service accounts of these names, each in its own namespace.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    own_service_accounts: BTreeSet<String>,
}

impl Users {
    fn of(grants: &Grants) -> Self {
        let names = |names: &BTreeSet<Arc<str>>| names.iter().map(|name| name.to_string()).collect();
        let subjects = |subjects: &Subjects| FileSubjects {
            users: names(&subjects.users),
            groups: names(&subjects.groups),
            own_service_accounts: BTreeSet::new(),
        };
        let anywhere =
            FileSubjects { own_service_accounts: names(&grants.at_home), ..subjects(&grants.everywhere) };
        let within = grants.within.iter().map(|(namespace, own)| (namespace.to_string(), subjects(own)));
        let all = std::iter::once((ANYWHERE.to_owned(), anywhere)).chain(within);
        Self(UniqueMap(all.filter(|(_, subjects)| *subjects != FileSubjects::default()).collect()))
    }

    fn grants(self, names: &mut Names) -> Grants {
        let mut grants = Grants::default();
        for (namespace, FileSubjects { users, groups, own_service_accounts }) in self.0.0 {
            let subjects = Subjects { users: names.all(users), groups: names.all(groups) };
            if namespace == ANYWHERE {
                grants.everywhere = subjects;
                grants.at_home = names.all(own_service_accounts);
            } else {
                grants.within.insert(names.one(namespace), subjects);
            }
        }
        grants
    }
}

/// Names, each once in memory.
#[derive(Default)]
struct Names(HashSet<Arc<str>>);

impl Names {
    fn one(&mut self, name: String) -> Arc<str> {
        if let Some(known) = self.0.get(name.as_str()) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.0.insert(Arc::clone(&name));
        name
    }

    fn all(&mut self, names: BTreeSet<String>) -> BTreeSet<Arc<str>> {
        names.into_iter().map(|name| self.one(name)).collect()
    }
}

impl From<File> for Bundle {
    fn from(file: File) -> Self {
        let mut names = Names::default();
        let mut grants = BTreeMap::new();
        let mut policies = BTreeMap::new();
        for FilePolicy { name, annotations, spec, may_use } in file.policies {
            grants.insert(name.clone(), may_use.grants(&mut names));
            policies.insert(name.clone(), Policy { name, annotations: annotations.0, spec });
        }
        let every = file.may_use_every.grants(&mut names);
        Self {
            object: file.audit_object,
            scope: Scope { namespaces: file.namespaces, exclude_namespaces: file.exclude_namespaces },
            policies,
            access: file.rbac.map(|rbac| Access::of_grants(rbac == Rbac::Whole, every, grants)),
        }
    }
}

/// A map that refuses a key that stands twice.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UniqueMap<T>(BTreeMap<String, T>);

impl<T> Default for UniqueMap<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Serialize> Serialize for UniqueMap<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for UniqueMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = UniqueMap<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if entries.contains_key(&key) {
                        return Err(serde::de::Error::custom(format_args!("the key {key:?} stands twice")));
                    }
                    entries.insert(key, value);
                }
                Ok(UniqueMap(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

/// Writes what is nested less deep than a field's value over lines, and a field's value in one line.
#[derive(Default)]
struct Lines {
    depth: usize,
    is_empty: bool,
}

/// So many levels are written over lines: the bundle, its policies, a policy, its parts.
const OPEN: usize = 4;

impl Lines {
    fn begin<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.is_empty = true;
        writer.write_all(bracket)
    }

    fn item<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        let comma: &[u8] = match (first, self.depth <= OPEN) {
            (true, _) => b"",
            (false, true) => b",",
            (false, false) => b", ",
        };
        writer.write_all(comma)?;
        self.line(writer)
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        if !self.is_empty && self.depth < OPEN {
            writer.write_all(b"\n")?;
            (0..self.depth).try_for_each(|_| writer.write_all(b"  "))?;
        }
        self.is_empty = false;
        writer.write_all(bracket)
    }

    fn line<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        if self.depth <= OPEN {
            writer.write_all(b"\n")?;
            (0..self.depth).try_for_each(|_| writer.write_all(b"  "))?;
        }
        Ok(())
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.is_empty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;
    use crate::policy::{
        HostPath, IdRule, IdStrategy, Range, RuntimeClass, SECCOMP_ALLOWED, SeLinux, Spec, shape,
    };

    fn bundle() -> Bundle {
        let names =
            |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<Arc<str>>>();
        let mut web = Policy { name: "web".to_owned(), ..Policy::default() };
        web.annotations.insert(SECCOMP_ALLOWED.to_owned(), "*".to_owned());
        web.annotations.insert("note".to_owned(), "means nothing".to_owned());
        web.spec.allow_privilege_escalation = false;
        web.spec.host_ports = vec![Range { min: 80, max: 80 }, Range { min: 8000, max: 8080 }];
        web.spec.run_as_user =
            IdStrategy { rule: IdRule::MustRunAs, ranges: vec![Range { min: 1, max: 65_535 }] };
        let free = Policy { name: "free".to_owned(), ..Policy::default() };
        let every = Grants {
            everywhere: Subjects { groups: names(&["system:masters"]), ..Subjects::default() },
            ..Grants::default()
        };
        let of_web = Grants {
            everywhere: Subjects { users: names(&["jane", "joe"]), groups: names(&["dev"]) },
            within: BTreeMap::from([(
                Arc::from("shop"),
                Subjects { users: names(&["system:serviceaccount:shop:default"]), ..Subjects::default() },
            )]),
            at_home: names(&["builder"]),
        };
        let grants = BTreeMap::from([("free".to_owned(), Grants::default()), ("web".to_owned(), of_web)]);
        Bundle {
            scope: Scope { exclude_namespaces: vec!["kube-system".to_owned()], ..Scope::default() },
            policies: [web, free].map(|policy| (policy.name.clone(), policy)).into(),
            access: Some(Access::of_grants(true, every, grants)),
            ..Bundle::default()
        }
    }

    #[test]
    fn is_text_that_reads_as_policy_and_is_read_again() {
        let (text, digest) = bundle().to_text();
        let expected = r#"{
  "version": 1,
  "digest": "DIGEST",
  "auditObject": "response",
  "excludeNamespaces": [
    "kube-system"
  ],
  "rbac": "whole",
  "mayUseEvery": {
    "*": {
      "groups": [
        "system:masters"
      ]
    }
  },
  "policies": [
    {
      "name": "free",
      "spec": {}
    },
    {
      "name": "web",
      "annotations": {
        "seccomp.security.alpha.kubernetes.io/allowedProfileNames": "*"
      },
      "spec": {
        "hostPorts": [{"min": 80, "max": 80}, {"min": 8000, "max": 8080}],
        "runAsUser": {"rule": "MustRunAs", "ranges": [{"min": 1, "max": 65535}]},
        "allowPrivilegeEscalation": false
      },
      "mayUse": {
        "*": {"users": ["jane", "joe"], "groups": ["dev"], "ownServiceAccounts": ["builder"]},
        "shop": {"users": ["system:serviceaccount:shop:default"]}
      }
    }
  ]
}
"#;
        assert_eq!(text.replace(&digest, "DIGEST"), expected);
        // as anybody can compute it
        let rest: String = text
            .lines()
            .filter(|line| !line.starts_with("  \"digest\""))
            .map(|line| format!("{line}\n"))
            .collect();
        let hash: String = Sha256::digest(rest).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, format!("sha256:{hash}"));
        let read = Bundle::parse(text.as_bytes()).unwrap();
        assert_eq!(read.to_text(), (text.clone(), digest.clone()));
        // what a tool makes of the layout does not matter
        let squeezed = serde_json::from_str::<serde_json::Value>(&text).unwrap().to_string();
        assert_eq!(Bundle::parse(squeezed.as_bytes()).unwrap().digest(), digest);
    }

    /// A value of a shape that differs from that of a field left out.
    macro_rules! changed {
        (Flag) => {
            true
        };
        (FlagUnlessFalse) => {
            false
        };
        (FlagOrUnset) => {
            Some(false)
        };
        (Ports) => {
            vec![Range { min: 1, max: 2 }]
        };
        (Users) => {
            IdStrategy { rule: IdRule::MustRunAsNonRoot, ranges: Vec::new() }
        };
        (Groups) => {
            IdStrategy { rule: IdRule::MayRunAs, ranges: Vec::new() }
        };
        (OptionalGroups) => {
            changed!(Groups)
        };
        (Labels) => {
            SeLinux { must_run_as: true, options: None }
        };
        (Paths) => {
            vec![HostPath { path_prefix: "/srv".to_owned(), read_only: false }]
        };
        (Class) => {
            Some(RuntimeClass::default())
        };
        ($names:ident) => {
            vec!["one".to_owned()]
        };
    }

    macro_rules! changes {
        (
            spec { $($(#[$doc:meta])+ $member:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
            annotations $annotations:tt
        ) => {
            /// Changes a field of `spec`.
            fn change(spec: &mut Spec, field: Field) {
                match field {
                    $(Field::$variant => {
                        let value: shape::$shape = changed!($shape);
                        spec.$member = value;
                    })+
                    _ => {}
                }
            }
        };
    }

    with_fields!(changes);

    #[test]
    fn the_digest_tells_of_a_change_in_any_field() {
        let digest = |policy: Policy| {
            Bundle { policies: [(policy.name.clone(), policy)].into(), ..Bundle::default() }.digest()
        };
        let mut digests = BTreeSet::from([digest(Policy::default())]);
        let mut count = 1;
        for field in Field::ALL {
            let mut policies = Vec::new();
            if field.annotations().is_empty() {
                let mut policy = Policy::default();
                change(&mut policy.spec, field);
                policies.push(policy);
            }
            for key in field.annotations() {
                let annotations = BTreeMap::from([((*key).to_owned(), "runtime/default".to_owned())]);
                policies.push(Policy { annotations, ..Policy::default() });
            }
            count += policies.len();
            digests.extend(policies.into_iter().map(digest));
            assert_eq!(digests.len(), count, "{field} does not change the digest");
        }
    }

    #[test]
    fn refuses_what_is_not_as_it_was_written() {
        let (text, digest) = bundle().to_text();
        let refused = |text: &str| Bundle::parse(text.as_bytes()).unwrap_err().to_string();
        for (changed, why) in [
            (text.replace("8080", "8081"), "torn, or was changed by hand"),
            (text.replace(&digest, "sha256:1\u{1b}[2J"), "line 3 column"),
            (text.replace("\"version\": 1", "\"version\": 7"), "version 7 is not known here, only 1"),
            (text.replace("\"version\": 1,", ""), "missing field `version`"),
            (text.replace("\"shop\"", "\"*\""), "the key \"*\" stands twice"),
            (text.replace("\"hostPorts\"", "\"hostPort\""), "unknown field `hostPort`"),
            (text.replace("\"users\"", "\"user\""), "unknown field `user`"),
            ("[".repeat(100_000), "not a bundle of policies"),
        ] {
            assert_ne!(changed, text);
            let error = refused(&changed);
            assert!(error.contains(why), "{error}\nlacks {why}");
            assert!(error.chars().all(crate::text::is_plain) && error.len() < 600, "{error}");
        }
        assert_eq!(
            Bundle::parse(&vec![b' '; MAX_BYTES + 1]).unwrap_err(),
            BundleError::TooLarge(MAX_BYTES + 1)
        );
    }
}
