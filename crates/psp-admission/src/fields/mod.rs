//! What admission did with each field. One file a field.

use crate::field::Field;
use crate::pod::Pod;
use crate::policy::Policy;
use crate::reason::Reason;
use restriction::Restriction as _;

mod allow_privilege_escalation;
mod allowed_capabilities;
mod allowed_csi_drivers;
mod allowed_flex_volumes;
mod allowed_host_paths;
mod allowed_proc_mount_types;
mod allowed_unsafe_sysctls;
mod apparmor;
mod default_add_capabilities;
mod default_allow_privilege_escalation;
mod forbidden_sysctls;
mod fs_group;
mod host_ipc;
mod host_network;
mod host_pid;
mod host_ports;
mod privileged;
mod read_only_root_filesystem;
mod required_drop_capabilities;
mod restriction;
mod run_as_group;
mod run_as_user;
mod runtime_class;
mod se_linux;
mod seccomp;
mod supplemental_groups;
mod volumes;

macro_rules! fields {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations { $($(#[$more_doc:meta])+ $more_module:ident $more:ident $more_name:literal),+ $(,)? }
    ) => {
        fields! { all $($module $variant,)+ $($more_module $more,)+ }
    };
    (all $($module:ident $variant:ident,)+) => {
        impl Field {
            /// Would `policy` have refused `pod` because of this field, after filling in what it can?
            pub fn refuses(self, policy: &Policy, pod: &Pod<'_>) -> bool {
                match self { $(Field::$variant => $module::$variant::refusals(policy, pod).next().is_some()),+ }
            }

            /// Would `policy` have filled in what this field governs?
            ///
            /// A default for `allowPrivilegeEscalation` is named by the pod's field, whichever of the two policy
            /// fields gave it.
            pub fn corrects(self, policy: &Policy, pod: &Pod<'_>) -> bool {
                match self { $(Field::$variant => $module::$variant::corrections(policy, pod).next().is_some()),+ }
            }

            /// Why `policy` would have refused `pod` because of this field: each container, volume and value.
            pub fn refusals<'a>(self, policy: &'a Policy, pod: &'a Pod<'a>) -> Vec<Reason<'a>> {
                match self { $(Field::$variant => $module::$variant::refusals(policy, pod).collect()),+ }
            }

            /// What `policy` would have filled in of what this field governs, and where.
            pub fn corrections<'a>(self, policy: &'a Policy, pod: &'a Pod<'a>) -> Vec<Reason<'a>> {
                match self { $(Field::$variant => $module::$variant::corrections(policy, pod).collect()),+ }
            }

            /// Why admission could make nothing of what `policy` says here, and skipped the policy. `None` if it could.
            pub fn unusable(self, policy: &Policy) -> Option<String> {
                match self { $(Field::$variant => $module::$variant::unusable(policy)),+ }
            }

            /// The annotations in which a policy states the field; none for a field of `spec`.
            pub const fn annotations(self) -> &'static [&'static str] {
                match self { $(Field::$variant => $module::$variant::ANNOTATIONS),+ }
            }

            /// Does `policy` refuse or correct a pod because of this field that `other` admits as it is?
            pub(crate) fn asks_more(self, policy: &Policy, other: &Policy) -> bool {
                match self { $(Field::$variant => $module::$variant::asks_more(policy, other)),+ }
            }

            /// Makes `union` allow, in this field, what `a` or `b` allows.
            pub(crate) fn unite(self, a: &Policy, b: &Policy, union: &mut Policy) {
                match self { $(Field::$variant => $module::$variant::unite(a, b, union)),+ }
            }
        }
    };
}

with_fields!(fields);
