//! The fields of a PodSecurityPolicy, in the API's own spelling and order.

use std::fmt;

macro_rules! fields {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// One restriction of a PodSecurityPolicy. The order is that of the API type, the annotations last.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $(#[doc = concat!("`", $name, "`.")] $variant),+ }

        impl Field {
            /// All fields, in order.
            pub const ALL: [Field; [$($name),+].len()] = [$(Field::$variant),+];

            /// The API's spelling, as it stands in rule names, templates, fixtures and reports.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),+ }
            }
        }
    };
}

fields! {
    Privileged "privileged",
    DefaultAddCapabilities "defaultAddCapabilities",
    RequiredDropCapabilities "requiredDropCapabilities",
    AllowedCapabilities "allowedCapabilities",
    Volumes "volumes",
    HostNetwork "hostNetwork",
    HostPorts "hostPorts",
    HostPid "hostPID",
    HostIpc "hostIPC",
    SeLinux "seLinux",
    RunAsUser "runAsUser",
    RunAsGroup "runAsGroup",
    SupplementalGroups "supplementalGroups",
    FsGroup "fsGroup",
    ReadOnlyRootFilesystem "readOnlyRootFilesystem",
    DefaultAllowPrivilegeEscalation "defaultAllowPrivilegeEscalation",
    AllowPrivilegeEscalation "allowPrivilegeEscalation",
    AllowedHostPaths "allowedHostPaths",
    AllowedFlexVolumes "allowedFlexVolumes",
    AllowedCsiDrivers "allowedCSIDrivers",
    AllowedUnsafeSysctls "allowedUnsafeSysctls",
    ForbiddenSysctls "forbiddenSysctls",
    AllowedProcMountTypes "allowedProcMountTypes",
    RuntimeClass "runtimeClass",
    Seccomp "seccomp",
    AppArmor "apparmor",
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
