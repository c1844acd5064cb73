//! The PodSecurityPolicy types (`policy/v1beta1`, Kubernetes 1.24 `staging/src/k8s.io/api/policy/v1beta1/types.go`).
//!
//! The spellings are the API's; a field left out has the value that the API server gave it. As JSON a policy is
//! canonical: only the annotations that mean something, no field that has its default, the API's order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::field::Field;

/// Annotation that lists the seccomp profiles a pod may use, separated by commas; `*` allows any.
pub const SECCOMP_ALLOWED: &str = "seccomp.security.alpha.kubernetes.io/allowedProfileNames";
/// Annotation that names the seccomp profile given to pods that set none.
pub const SECCOMP_DEFAULT: &str = "seccomp.security.alpha.kubernetes.io/defaultProfileName";
/// Annotation that lists the AppArmor profiles a container may use, separated by commas.
pub const APPARMOR_ALLOWED: &str = "apparmor.security.beta.kubernetes.io/allowedProfileNames";
/// Annotation that names the AppArmor profile given to containers that set none.
pub const APPARMOR_DEFAULT: &str = "apparmor.security.beta.kubernetes.io/defaultProfileName";

/// Annotation that restricts a policy to pods with one of these images (as `falcoctl convert psp` had it).
pub const IMAGES: &str = "falco-rules-psp-images";
/// Annotation that restricts a policy to these namespaces (as `falcoctl convert psp` had it).
pub const NAMESPACES: &str = "falco-rules-psp-namespaces";

/// One PodSecurityPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.annotations`, whole.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// `spec`.
    #[serde(default)]
    pub spec: Spec,
}

impl Policy {
    /// Why admission could not use the policy, although the API server accepted it: it then skipped the policy, which
    /// so admitted nothing. A field and what it lacks; empty for a policy that worked
    /// (Kubernetes `pkg/security/podsecuritypolicy/factory.go`).
    pub fn unusable(&self) -> Vec<(Field, String)> {
        Field::ALL.into_iter().filter_map(|field| Some((field, field.unusable(self)?))).collect()
    }

    /// The policy as if the strategies that admission could make nothing of ([`Policy::unusable`]) restricted nothing.
    pub fn without_unusable(&self) -> Cow<'_, Self> {
        let unusable = self.unusable();
        if unusable.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut policy = self.clone();
        unusable.into_iter().for_each(|(field, _)| policy.spec.leave_out(field));
        Cow::Owned(policy)
    }

    /// The policy's value of an annotation; empty counts as none.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl Policy {
    /// Writes what a policy is made of into a map.
    pub(crate) fn serialize_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("name", &self.name)?;
        let of_fields = Field::ALL.into_iter().flat_map(|field| field.annotations().iter().copied());
        let annotations: BTreeMap<&str, &String> = of_fields
            .chain([IMAGES, NAMESPACES])
            .filter_map(|key| Some((key, self.annotations.get(key)?)))
            .collect();
        if !annotations.is_empty() {
            map.serialize_entry("annotations", &annotations)?;
        }
        map.serialize_entry("spec", &self.spec)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_entries(&mut map)?;
        map.end()
    }
}

/// The shapes that fields of `spec` have.
pub mod shape {
    /// True or false; false when absent.
    pub type Flag = bool;
    /// True or false; true when absent (`pkg/apis/policy/v1beta1/defaults.go`).
    pub type FlagUnlessFalse = bool;
    /// True or false, or nothing said.
    pub type FlagOrUnset = Option<bool>;
    /// A list of words.
    pub type Names = Vec<String>;
    /// A list of ranges of ports.
    pub type Ports = Vec<crate::policy::Range>;
    /// A strategy over user ids.
    pub type Users = crate::policy::IdStrategy;
    /// A strategy over group ids.
    pub type Groups = crate::policy::IdStrategy;
    /// A strategy over group ids that a policy may leave out.
    pub type OptionalGroups = crate::policy::IdStrategy;
    /// A strategy over SELinux labels.
    pub type Labels = crate::policy::SeLinux;
    /// A list of host paths.
    pub type Paths = Vec<crate::policy::HostPath>;
    /// A list of FlexVolume drivers, in the API as `{driver: NAME}`.
    pub type FlexDrivers = Vec<String>;
    /// A list of CSI drivers, in the API as `{name: NAME}`.
    pub type CsiDrivers = Vec<String>;
    /// What is said of runtime classes, if anything.
    pub type Class = Option<crate::policy::RuntimeClass>;
}

/// What a field has that a policy leaves out.
macro_rules! absent {
    (FlagUnlessFalse) => {
        true
    };
    ($shape:ident) => {
        Default::default()
    };
}

macro_rules! spec {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations $annotations:tt
    ) => {
        /// `spec` of a PodSecurityPolicy.
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Spec { $($(#[$doc])+ #[serde(rename = $name)] pub $module: shape::$shape),+ }

        /// The fields of `spec`, in the order of the API's type.
        pub const SPEC_FIELDS: [&str; [$($name),+].len()] = [$($name),+];

        impl Spec {
            /// Gives a field of `spec` the value that it has where a policy leaves it out.
            fn leave_out(&mut self, field: Field) {
                match field {
                    $(Field::$variant => self.$module = absent!($shape),)+
                    _ => {}
                }
            }
        }

        impl Default for Spec {
            fn default() -> Self {
                Self { $($module: absent!($shape)),+ }
            }
        }

        impl Serialize for Spec {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let absent = Self::default();
                let mut map = serializer.serialize_map(None)?;
                $(if self.$module != absent.$module {
                    map.serialize_entry($name, &self.$module)?;
                })+
                map.end()
            }
        }
    };
}

with_fields!(spec);

/// A range of ids or ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest value.
    pub min: i64,
    /// The largest value.
    pub max: i64,
}

impl Range {
    /// Is `value` in the range?
    pub fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }
}

/// The rule of an id strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum IdRule {
    /// The id must be set (admission fills it in) and lie in a range.
    MustRunAs,
    /// The id may be unset; if set it lies in a range.
    MayRunAs,
    /// Users only: the id must not be 0.
    MustRunAsNonRoot,
    /// No restriction.
    #[default]
    RunAsAny,
}

impl IdRule {
    /// The API's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MustRunAs => "MustRunAs",
            Self::MayRunAs => "MayRunAs",
            Self::MustRunAsNonRoot => "MustRunAsNonRoot",
            Self::RunAsAny => "RunAsAny",
        }
    }
}

/// A strategy over ids: `runAsUser`, `runAsGroup`, `supplementalGroups`, `fsGroup`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdStrategy {
    /// What the strategy demands.
    pub rule: IdRule,
    /// The allowed ids, for `MustRunAs` and `MayRunAs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

impl IdStrategy {
    /// Do the ranges count?
    pub(crate) fn restricts(&self) -> bool {
        matches!(self.rule, IdRule::MustRunAs | IdRule::MayRunAs)
    }

    /// Must an id be set that lies in a range?
    pub(crate) fn must(&self) -> bool {
        self.rule == IdRule::MustRunAs
    }

    /// Is an id that is set outside every range, where they count?
    pub(crate) fn refuses(&self, id: i64) -> bool {
        self.restricts() && !self.ranges.iter().any(|range| range.contains(id))
    }

    /// The id that admission filled in.
    pub(crate) fn filled_in(&self) -> i64 {
        self.ranges.first().map_or(0, |range| range.min)
    }

    /// A strategy that allows what one of two allows.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let rule = match (self.rule, other.rule) {
            (IdRule::RunAsAny, _) | (_, IdRule::RunAsAny) => return Self::default(),
            (IdRule::MustRunAsNonRoot, IdRule::MustRunAsNonRoot) => return self.clone(),
            (IdRule::MayRunAs, _) | (_, IdRule::MayRunAs) => IdRule::MayRunAs,
            _ => IdRule::MustRunAs,
        };
        // beside ranges, "not root" is one more of them
        let ranges = |strategy: &Self| match strategy.rule {
            IdRule::MustRunAsNonRoot => vec![Range { min: 1, max: i32::MAX.into() }],
            _ => strategy.ranges.clone(),
        };
        let mut joined = ranges(self);
        let more = ranges(other).into_iter().filter(|range| !joined.contains(range)).collect::<Vec<_>>();
        joined.extend(more);
        Self { rule, ranges: joined }
    }
}

/// `spec.seLinux`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SeLinux {
    /// `MustRunAs`; false: `RunAsAny`.
    #[serde(
        rename = "rule",
        serialize_with = "write_se_linux_rule",
        deserialize_with = "read_se_linux_rule"
    )]
    pub must_run_as: bool,
    /// `seLinuxOptions`; `None` under `MustRunAs` makes the policy unusable.
    #[serde(rename = "seLinuxOptions", default, skip_serializing_if = "Option::is_none")]
    pub options: Option<SeLinuxOptions>,
}

/// Writes `spec.seLinux.rule` in the API's spelling.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn write_se_linux_rule<S: Serializer>(must_run_as: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    let rule = if *must_run_as { IdRule::MustRunAs } else { IdRule::RunAsAny };
    rule.serialize(serializer)
}

/// Reads it.
fn read_se_linux_rule<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match IdRule::deserialize(deserializer)? {
        IdRule::MustRunAs => Ok(true),
        IdRule::RunAsAny => Ok(false),
        other => Err(D::Error::custom(format_args!("unknown rule {} for seLinux", other.name()))),
    }
}

/// SELinux labels; an absent part is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeLinuxOptions {
    /// The user label.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// The role label.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The type label.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub type_: String,
    /// The level label.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub level: String,
}

/// One entry of `spec.allowedHostPaths`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HostPath {
    /// The path and all below it.
    pub path_prefix: String,
    /// Must every mount of the volume be read-only?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// `spec.runtimeClass`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeClass {
    /// Names that pods may use; `*` allows any.
    #[serde(rename = "allowedRuntimeClassNames", default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// The name given to pods that set none.
    #[serde(rename = "defaultRuntimeClassName", default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
