//! `libpsp.so` as Falco has it: loaded from its file, with a source of audit events beside it.
#![allow(unsafe_code, reason = "loads a library, and exports the source of events")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use falco_event::events::RawEvent;
use falco_plugin::anyhow::{self, Error};
use falco_plugin::api::{
    plugin_api, plugin_api__bindgen_ty_1, plugin_api__bindgen_ty_2, plugin_api__bindgen_ty_3,
    plugin_api__bindgen_ty_4, plugin_api__bindgen_ty_5,
};
use falco_plugin::base::Plugin;
use falco_plugin::source::{EventBatch, EventInput, SourcePlugin, SourcePluginInstance};
use falco_plugin::tables::TablesInput;
use falco_plugin::{FailureReason, static_plugin};
use falco_plugin_runner::{CapturingPluginRunner, ExtractedField, PluginRunner};
use libloading::Library;

/// The library that was built with this test.
pub fn path() -> PathBuf {
    let beside = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let name = format!("{}psp{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = beside.join(&name);
    assert!(path.is_file(), "{} is not there; cargo test builds it", path.display());
    path
}

/// The functions of the library, found by their names as Falco finds them.
pub static API: LazyLock<plugin_api> = LazyLock::new(|| {
    // SAFETY: the library is this project's own; its functions have the types that the SDK gives them
    unsafe {
        let library: &'static Library = Box::leak(Box::new(Library::new(path()).unwrap()));
        macro_rules! function {
            ($name:literal) => {
                library.get($name).ok().map(|function| *function)
            };
        }
        plugin_api {
            get_required_api_version: function!(b"plugin_get_required_api_version"),
            get_init_schema: function!(b"plugin_get_init_schema"),
            init: function!(b"plugin_init"),
            destroy: function!(b"plugin_destroy"),
            get_last_error: function!(b"plugin_get_last_error"),
            get_name: function!(b"plugin_get_name"),
            get_description: function!(b"plugin_get_description"),
            get_contact: function!(b"plugin_get_contact"),
            get_version: function!(b"plugin_get_version"),
            __bindgen_anon_1: plugin_api__bindgen_ty_1 {
                get_id: function!(b"plugin_get_id"),
                get_event_source: function!(b"plugin_get_event_source"),
                open: function!(b"plugin_open"),
                close: function!(b"plugin_close"),
                list_open_params: function!(b"plugin_list_open_params"),
                get_progress: function!(b"plugin_get_progress"),
                event_to_string: function!(b"plugin_event_to_string"),
                next_batch: function!(b"plugin_next_batch"),
            },
            __bindgen_anon_2: plugin_api__bindgen_ty_2 {
                get_extract_event_types: function!(b"plugin_get_extract_event_types"),
                get_extract_event_sources: function!(b"plugin_get_extract_event_sources"),
                get_fields: function!(b"plugin_get_fields"),
                extract_fields: function!(b"plugin_extract_fields"),
            },
            __bindgen_anon_3: plugin_api__bindgen_ty_3 {
                get_parse_event_types: function!(b"plugin_get_parse_event_types"),
                get_parse_event_sources: function!(b"plugin_get_parse_event_sources"),
                parse_event: function!(b"plugin_parse_event"),
            },
            __bindgen_anon_4: plugin_api__bindgen_ty_4 {
                get_async_event_sources: function!(b"plugin_get_async_event_sources"),
                get_async_events: function!(b"plugin_get_async_events"),
                set_async_event_handler: function!(b"plugin_set_async_event_handler"),
                dump_state: function!(b"plugin_dump_state"),
            },
            set_config: function!(b"plugin_set_config"),
            get_metrics: function!(b"plugin_get_metrics"),
            __bindgen_anon_5: plugin_api__bindgen_ty_5 {
                capture_open: function!(b"plugin_capture_open"),
                capture_close: function!(b"plugin_capture_close"),
            },
        }
    }
});

/// A text that a function of the library returns.
pub fn text(function: unsafe extern "C-unwind" fn() -> *const std::ffi::c_char) -> String {
    // SAFETY: these functions return text that lives as long as the library
    unsafe { CStr::from_ptr(function()) }.to_str().unwrap().to_owned()
}

/// The schema of the plugin's configuration.
pub fn config_schema() -> String {
    let mut kind = Default::default();
    // SAFETY: as above
    unsafe { CStr::from_ptr(API.get_init_schema.unwrap()(&mut kind)) }.to_str().unwrap().to_owned()
}

thread_local! {
    /// Events that the source hands out, in the thread that runs it.
    static EVENTS: RefCell<VecDeque<Vec<u8>>> = const { RefCell::new(VecDeque::new()) };
}

/// A source of audit events, like Falco's k8saudit.
pub struct Source;

impl Plugin for Source {
    const NAME: &'static CStr = c"audit-events";
    const PLUGIN_VERSION: &'static CStr = c"0.1.0";
    const DESCRIPTION: &'static CStr = c"audit events of a test";
    const CONTACT: &'static CStr = c"the tests";
    type ConfigType = ();

    fn new(_: Option<&TablesInput<'_>>, (): ()) -> Result<Self, Error> {
        Ok(Self)
    }
}

pub struct Instance;

impl SourcePluginInstance for Instance {
    type Plugin = Source;

    fn next_batch(&mut self, _: &mut Source, batch: &mut EventBatch<'_>) -> Result<(), Error> {
        let next = EVENTS.with_borrow_mut(VecDeque::pop_front);
        let text = next.ok_or_else(|| anyhow::anyhow!("no more events").context(FailureReason::Eof))?;
        Ok(batch.add(Self::plugin_event(&text))?)
    }
}

impl SourcePlugin for Source {
    type Instance = Instance;
    const EVENT_SOURCE: &'static CStr = c"k8s_audit";
    const PLUGIN_ID: u32 = 1;
    type Event<'a> = RawEvent<'a>;

    fn open(&mut self, _: Option<&str>) -> Result<Instance, Error> {
        Ok(Instance)
    }

    fn event_to_string(&mut self, _: &EventInput<'_, RawEvent<'_>>) -> Result<CString, Error> {
        Ok(CString::default())
    }
}

static_plugin!(AUDIT_EVENTS = Source);

/// The plugin, running.
pub struct Running(CapturingPluginRunner);

/// What the fields say of an event; absent ones are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub verdict: String,
    pub violations: Vec<String>,
    pub lost_defaults: Vec<String>,
    pub policy: String,
    pub usable: Option<Vec<String>>,
    pub bundle: String,
    pub service_account: String,
    pub owner: String,
    /// Of each violation and lost default.
    pub evidence: Vec<String>,
}

impl Running {
    /// Starts the plugin as `falco.yaml` would.
    pub fn configured(config: &str) -> Result<Self, String> {
        let mut runner = PluginRunner::new();
        runner.register_plugin(&AUDIT_EVENTS, c"").unwrap();
        let config = CString::new(config).unwrap();
        runner.register_plugin(&API, &config).map_err(|error| format!("{error:#}"))?;
        Ok(Self(runner.start_capture().unwrap()))
    }

    /// Starts the plugin with a bundle.
    pub fn with_bundle(path: &Path) -> Self {
        let config = serde_json::json!({ "policies": path }).to_string();
        Self::configured(&config).unwrap()
    }

    /// What the fields say of an event.
    pub fn fields(&mut self, event: &[u8]) -> Fields {
        EVENTS.with_borrow_mut(|events| events.push_back(event.to_vec()));
        let event = self.0.next_event().unwrap();
        let mut field = |name: &str| match self.0.extract_field(&event, name).unwrap().unwrap() {
            ExtractedField::None => Vec::new(),
            ExtractedField::String(text) => vec![text.into_string().unwrap()],
            ExtractedField::Vec(texts) => texts.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        };
        let mut fields = Fields {
            verdict: field("psp.verdict").concat(),
            violations: field("psp.violations"),
            lost_defaults: field("psp.lost_defaults"),
            policy: field("psp.policy").concat(),
            bundle: field("psp.bundle").concat(),
            service_account: field("psp.service_account").concat(),
            owner: field("psp.owner").concat(),
            ..Fields::default()
        };
        let usable = field("psp.usable");
        fields.usable = (!usable.is_empty()).then_some(usable);
        for about in fields.violations.iter().chain(&fields.lost_defaults) {
            fields.evidence.push(field(&format!("psp.evidence[{about}]")).concat());
        }
        fields
    }
}
