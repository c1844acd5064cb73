#![doc = include_str!("../README.md")]

mod answers;
mod bundle_file;
mod config;

use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use falco_event::events::Event;
use falco_event::fields::{FromBytes, FromBytesError, ToBytes};
use falco_plugin::anyhow::{Error, bail};
use falco_plugin::base::{Json, Plugin};
use falco_plugin::event::{EventSource, PluginEvent};
use falco_plugin::extract::{ExtractFieldInfo, ExtractPlugin, ExtractRequest, field};
use falco_plugin::tables::TablesInput;
use psp_admission::{Admission, Field};

use answers::Answers;
use bundle_file::BundleFile;
use config::Config;

#[cfg(panic = "abort")]
compile_error!("a panic must not end Falco: build this crate with a profile of panic = \"unwind\"");

/// The plugin: admission by the bundle that `init_config.policies` names.
#[derive(Debug)]
pub struct PspPlugin {
    file: BundleFile,
    admission: Arc<Admission>,
    /// What has been said of the last event, for the next rule that asks.
    last: Option<(Identity, Option<Answers>)>,
}

/// What tells an event from others: its number, and where its text is.
type Identity = (usize, usize, usize);

/// The text of an audit event.
#[derive(Debug, Clone, Copy)]
pub struct AuditText<'a>(&'a [u8]);

impl EventSource for AuditText<'_> {
    const SOURCE: Option<&'static str> = Some("k8s_audit");
}

impl<'a> FromBytes<'a> for AuditText<'a> {
    fn from_bytes(bytes: &mut &'a [u8]) -> Result<Self, FromBytesError> {
        <&[u8]>::from_bytes(bytes).map(Self)
    }
}

impl ToBytes for AuditText<'_> {
    fn binary_size(&self) -> usize {
        self.0.len()
    }

    fn write<W: std::io::Write>(&self, writer: W) -> std::io::Result<()> {
        ToBytes::write(&self.0, writer)
    }

    fn default_repr() -> impl ToBytes {
        &[] as &[u8]
    }
}

type Request<'c, 'e, 'r, 't> = ExtractRequest<'c, 'e, 'r, 't, PspPlugin>;

impl Plugin for PspPlugin {
    const NAME: &'static CStr = c"psp";
    const PLUGIN_VERSION: &'static CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"0.0.0",
        };
    const DESCRIPTION: &'static CStr = c"What PodSecurityPolicy admission would have decided about new pods";
    const CONTACT: &'static CStr = c"the psp2falco project";
    type ConfigType = Json<Config>;

    fn new(_: Option<&TablesInput<'_>>, Json(config): Json<Config>) -> Result<Self, Error> {
        let Ok(loaded) = catch_unwind(|| BundleFile::load(config.path()?)) else {
            bail!("the bundle of policies cannot be read: internal error");
        };
        let file = loaded?;
        let admission = file.current();
        Ok(Self { file, admission, last: None })
    }
}

impl ExtractPlugin for PspPlugin {
    type Event<'a> = Event<PluginEvent<AuditText<'a>>>;
    type ExtractContext = ();
    const EXTRACT_FIELDS: &'static [ExtractFieldInfo<Self>] = &[
        field("psp.verdict", &Self::verdict)
            .with_display("Verdict")
            .with_description(
                "What PodSecurityPolicy admission would have decided about the new pod: allowed, corrected, refused, \
                 unusable (nobody may use any policy) or unknown (the event does not hold the pod)",
            ),
        field("psp.violations", &Self::violations)
            .with_display("Violations")
            .with_description("POLICY/FIELD for each field of a policy that would have refused the pod"),
        field("psp.lost_defaults", &Self::lost_defaults)
            .with_display("Lost defaults")
            .with_description("POLICY/FIELD for each field of a policy that would have filled in what the pod leaves unset"),
        field("psp.evidence", &Self::evidence)
            .with_display("Evidence")
            .with_description(
                "Why, for one POLICY/FIELD: the container or volume, the value, and what the policy allowed or set",
            ),
        field("psp.policy", &Self::policy)
            .with_display("Policy")
            .with_description("The policy that would have admitted the pod, where that is certain"),
        field("psp.usable", &Self::usable)
            .with_display("Usable policies")
            .with_description("The policies that the pod's service account or its requester may use, where RBAC is known"),
        field("psp.service_account", &Self::service_account)
            .with_display("Service account")
            .with_description("The pod's service account; default where the pod names none"),
        field("psp.owner", &Self::owner)
            .with_display("Owner")
            .with_description("KIND/NAME of what owns the pod, such as a ReplicaSet"),
        field("psp.bundle", &Self::bundle)
            .with_display("Bundle")
            .with_description("The digest of the bundle of policies that is in force"),
    ];
}

#[allow(clippy::needless_pass_by_value, reason = "the SDK hands requests over by value")]
impl PspPlugin {
    fn verdict(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<CString>, Error> {
        Ok(self.answers(&request).map(|answers| answers.verdict.clone()))
    }

    fn violations(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<Vec<CString>>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.violations.clone()))
    }

    fn lost_defaults(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<Vec<CString>>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.lost_defaults.clone()))
    }

    fn policy(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<CString>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.policy.clone()))
    }

    fn usable(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<Vec<CString>>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.usable.clone()))
    }

    fn service_account(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<CString>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.service_account.clone()))
    }

    fn owner(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<CString>, Error> {
        Ok(self.answers(&request).and_then(|answers| answers.owner.clone()))
    }

    fn bundle(&mut self, request: Request<'_, '_, '_, '_>) -> Result<Option<CString>, Error> {
        Ok(self.answers(&request).map(|answers| answers.bundle.clone()))
    }

    fn evidence(&mut self, request: Request<'_, '_, '_, '_>, about: &CStr) -> Result<Option<CString>, Error> {
        if self.answers(&request).is_none() {
            return Ok(None);
        }
        let event = request.event.event()?;
        let text = event.params.event_data.0;
        let Some((_, Some(answers))) = &mut self.last else { return Ok(None) };
        if !answers.evidence.contains_key(about) {
            // where one rule alerts the others do, too: the event is read for all of them at once
            let asked: Vec<&CStr> = match answers.listed().any(|listed| listed == about) {
                true => answers.listed().collect(),
                false => vec![about],
            };
            let asked: Vec<(&CStr, (&str, Field))> =
                asked.into_iter().filter_map(|about| Some((about, policy_and_field(about)?))).collect();
            let (names, fields): (Vec<CString>, Vec<(&str, Field)>) =
                asked.into_iter().map(|(about, of)| (about.to_owned(), of)).unzip();
            let found = guarded(|| self.admission.evidences(text, &fields)).unwrap_or_default();
            let found = found.into_iter().map(|evidence| evidence.map(answers::c_string));
            let found: Vec<_> = names.into_iter().zip(found).collect();
            answers.evidence.extend(found);
        }
        Ok(answers.evidence.get(about).cloned().flatten())
    }

    /// What is to be said of an event; `None` if it tells of no new pod.
    fn answers(&mut self, request: &Request<'_, '_, '_, '_>) -> Option<&Answers> {
        let event = request.event.event().ok()?;
        let text = event.params.event_data.0;
        let identity = (request.event.event_number(), text.as_ptr().addr(), text.len());
        if self.last.as_ref().is_none_or(|(last, _)| *last != identity) {
            if let Some(admission) = self.file.changed() {
                self.admission = admission;
            }
            let admission = &self.admission;
            let answers =
                guarded(|| admission.judge(text).map(|outcome| Answers::new(&outcome, admission.digest())))
                    // a pod that brings the plugin to fail is one that nobody has judged
                    .unwrap_or_else(|| Some(Answers::unknown(admission.digest())));
            self.last = Some((identity, answers));
        }
        self.last.as_ref().and_then(|(_, answers)| answers.as_ref())
    }
}

/// The two sides of `POLICY/FIELD`; a policy's name may hold a slash, a field's does not.
fn policy_and_field(about: &CStr) -> Option<(&str, Field)> {
    let (policy, field) = about.to_str().ok()?.rsplit_once('/')?;
    Some((policy, Field::named(field)?))
}

/// Does what may fail only by a fault of this program; `None`: it has failed. No panic may reach Falco.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        log::error!("psp: internal error while a pod was judged; its verdict is unknown");
    }
    done.ok()
}

mod export {
    #![allow(
        unsafe_code,
        missing_docs,
        reason = "what the SDK's macros expand to: the functions that Falco calls"
    )]

    use falco_plugin::{extract_plugin, plugin};

    use super::PspPlugin;

    plugin!(PspPlugin);
    extract_plugin!(PspPlugin);
}
