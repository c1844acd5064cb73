//! What each field of a policy means to the program: its words and the data for its templates, what the API server made
//! of it, and what the Pod Security Standards make up for.
//!
//! One file a field; the last few hold what several fields share. The words here are Kubernetes' own; how Falco is told
//! stands in `templates/`.

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
mod run_as_group;
mod run_as_user;
mod runtime_class;
mod se_linux;
mod seccomp;
mod supplemental_groups;
mod volumes;

mod capabilities;
mod ids;
mod mapped;
mod profiles;
mod restriction;
mod sysctls;

use psp_admission::{Field, Policy};

use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::Fault;
use restriction::Restriction as _;

pub use mapped::{AtRuntime, Mapped, Restrictions};

macro_rules! fields {
    (
        spec { $($(#[$doc:meta])+ $module:ident $variant:ident $name:literal : $shape:ident),+ $(,)? }
        annotations { $($(#[$more_doc:meta])+ $more_module:ident $more:ident $more_name:literal),+ $(,)? }
    ) => {
        fields! { all $($module $variant,)+ $($more_module $more,)+ }
    };
    (all $($module:ident $variant:ident,)+) => {
        fn restriction(field: Field, policy: &Policy) -> Mapped {
            match field { $(Field::$variant => $module::$variant::map(policy)),+ }
        }

        /// Why the API server would have refused `policy` because of `field`.
        pub(crate) fn faults(field: Field, policy: &Policy) -> Vec<Fault> {
            match field { $(Field::$variant => $module::$variant::faults(policy)),+ }
        }

        /// What the API server accepted of `field`, and an administrator would hardly have meant.
        pub(crate) fn remarks(field: Field, policy: &Policy) -> Vec<Fault> {
            match field { $(Field::$variant => $module::$variant::remarks(policy)),+ }
        }

        /// What `policy` does about what a check of pod security admission demands. No field: it leaves it open.
        pub(crate) fn stance(policy: &Policy, check: Check) -> Stance {
            let stances = [$($module::$variant::stance(policy, check)),+];
            stances.into_iter().flatten().max().unwrap_or(Stance::LeavesOpen)
        }

        /// What `level` admits that `policy` does not because of `field`. `None`: the level is at least as strict.
        pub(crate) fn beyond(field: Field, policy: &Policy, level: Level) -> Option<&'static str> {
            match field { $(Field::$variant => $module::$variant::beyond(policy, level)),+ }
        }
    };
}

psp_admission::with_fields!(fields);

/// What `policy` says in `field`. A strategy that admission could make nothing of restricts nothing.
pub fn map(field: Field, policy: &Policy) -> Mapped {
    let unusable = policy.unusable();
    match unusable.into_iter().find(|(at_fault, _)| *at_fault == field) {
        Some((_, reason)) => Mapped::value(restriction(field, policy).value).note(reason),
        None => restriction(field, &policy.without_unusable()),
    }
}
