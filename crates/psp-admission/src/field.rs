//! The fields of a PodSecurityPolicy, in the API's own spelling and order: the one list of them.

use std::fmt;

/// Hands the list of all fields to a macro. Nowhere else are they listed: what has to know every field is made by
/// such a macro, or matches on [`Field`].
///
/// The macro gets two groups, in the order of the API's type: the fields of `spec`, then those that a policy states in
/// annotations. An entry is its documentation, the name of its module (and of its member of
/// [`Spec`](crate::policy::Spec)), its variant of [`Field`], the API's spelling, and for a field of `spec` its
/// [shape](crate::policy::shape).
#[macro_export]
macro_rules! with_fields {
    ($macro:ident) => {
        $macro! {
            spec {
                /// May containers be privileged?
                privileged Privileged "privileged": Flag,
                /// Capabilities added to every container that does not drop them.
                default_add_capabilities DefaultAddCapabilities "defaultAddCapabilities": Names,
                /// Capabilities that every container must drop.
                required_drop_capabilities RequiredDropCapabilities "requiredDropCapabilities": Names,
                /// Capabilities that containers may add; `*` allows any.
                allowed_capabilities AllowedCapabilities "allowedCapabilities": Names,
                /// Volume types that pods may use; `*` allows any, an empty list none.
                volumes Volumes "volumes": Names,
                /// May pods use the node's network?
                host_network HostNetwork "hostNetwork": Flag,
                /// Host ports that containers may bind.
                host_ports HostPorts "hostPorts": Ports,
                /// May pods see the node's processes?
                host_pid HostPid "hostPID": Flag,
                /// May pods use the node's inter-process communication?
                host_ipc HostIpc "hostIPC": Flag,
                /// Which SELinux options pods must have.
                se_linux SeLinux "seLinux": Labels,
                /// Which user ids containers may run as.
                run_as_user RunAsUser "runAsUser": Users,
                /// Which group ids containers may run as (absent in the API: `RunAsAny`).
                run_as_group RunAsGroup "runAsGroup": OptionalGroups,
                /// Which supplemental groups pods may have.
                supplemental_groups SupplementalGroups "supplementalGroups": Groups,
                /// Which group may own a pod's volumes.
                fs_group FsGroup "fsGroup": Groups,
                /// Must containers have a read-only root file system?
                read_only_root_filesystem ReadOnlyRootFilesystem "readOnlyRootFilesystem": Flag,
                /// `allowPrivilegeEscalation` of containers that leave it unset.
                default_allow_privilege_escalation DefaultAllowPrivilegeEscalation
                    "defaultAllowPrivilegeEscalation": FlagOrUnset,
                /// May containers allow privilege escalation (absent in the API: true)?
                allow_privilege_escalation AllowPrivilegeEscalation "allowPrivilegeEscalation": FlagUnlessFalse,
                /// Host paths that hostPath volumes may use; an empty list allows any.
                allowed_host_paths AllowedHostPaths "allowedHostPaths": Paths,
                /// FlexVolume drivers that pods may use; an empty list allows any.
                allowed_flex_volumes AllowedFlexVolumes "allowedFlexVolumes": FlexDrivers,
                /// Drivers that inline CSI volumes may use; an empty list allows any.
                allowed_csi_drivers AllowedCsiDrivers "allowedCSIDrivers": CsiDrivers,
                /// Sysctls outside the safe set that pods may set (a trailing `*` matches a prefix).
                allowed_unsafe_sysctls AllowedUnsafeSysctls "allowedUnsafeSysctls": Names,
                /// Sysctls that pods must not set (a trailing `*` matches a prefix).
                forbidden_sysctls ForbiddenSysctls "forbiddenSysctls": Names,
                /// Types of the proc mount that containers may use; an empty list allows `Default` only.
                allowed_proc_mount_types AllowedProcMountTypes "allowedProcMountTypes": Names,
                /// Which runtime classes pods may use; absent: any.
                runtime_class RuntimeClass "runtimeClass": Class,
            }
            annotations {
                /// Which seccomp profiles pods may use, and which they got.
                seccomp Seccomp "seccomp",
                /// Which AppArmor profiles containers may use, and which they got.
                apparmor AppArmor "apparmor",
            }
        }
    };
}

macro_rules! fields {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations { $($(#[$more_doc:meta])+ $more_module:ident $more:ident $more_name:literal),+ $(,)? }
    ) => {
        /// One restriction of a PodSecurityPolicy. The order is that of the API type, the annotations last.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[$doc])+ $variant,)+
            $($(#[$more_doc])+ $more,)+
        }

        impl Field {
            /// All fields, in order.
            pub const ALL: [Field; [$($name,)+ $($more_name),+].len()] =
                [$(Field::$variant,)+ $(Field::$more),+];

            /// The API's spelling.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Field::$variant => $name,)+
                    $(Field::$more => $more_name,)+
                }
            }
        }
    };
}

with_fields!(fields);

impl Field {
    /// The field with this spelling.
    pub fn named(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fields(u32);

const _: () = assert!(Field::ALL.len() <= u32::BITS as usize, "one bit a field");

impl Fields {
    /// Is `field` in the set?
    pub fn contains(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }

    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        self.0 |= 1 << field as u32;
    }

    /// Is no field in the set?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many fields are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The fields in the order of [`Field::ALL`].
    pub fn iter(self) -> FieldsIter {
        FieldsIter { fields: self, all: Field::ALL.into_iter() }
    }
}

/// The fields of a set, in the order of [`Field::ALL`].
#[derive(Debug, Clone)]
pub struct FieldsIter {
    fields: Fields,
    all: std::array::IntoIter<Field, { Field::ALL.len() }>,
}

impl Iterator for FieldsIter {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        self.all.find(|field| self.fields.contains(*field))
    }
}

impl IntoIterator for Fields {
    type Item = Field;
    type IntoIter = FieldsIter;

    fn into_iter(self) -> FieldsIter {
        self.iter()
    }
}

impl FromIterator<Field> for Fields {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        let mut set = Self::default();
        fields.into_iter().for_each(|field| set.insert(field));
        set
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
