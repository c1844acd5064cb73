//! A real Falco that replays audit logs, if there is one. The tests of the plugin's library use it, too.
//!
//! `PSP2FALCO_FALCO=/path/to/falco` names it, and `PSP2FALCO_FALCO_PLUGINS=/folder` where `libk8saudit.so` and
//! `libjson.so` lie, if not where Falco looks by itself.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A Falco to run.
pub struct Falco(OsString);

/// The plugin psp as Falco loads it.
#[derive(Debug, Clone, Copy)]
pub struct Psp<'a> {
    /// The library's file.
    pub library: &'a Path,
    /// The text of the bundle of policies.
    pub bundle: &'a str,
}

/// The Falco to use; none when the test is to be skipped.
pub fn falco() -> Option<Falco> {
    let falco = std::env::var_os("PSP2FALCO_FALCO");
    if falco.is_none() {
        // not `eprintln!`, which the test harness would swallow
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no real Falco has seen the recorded pods; name one with PSP2FALCO_FALCO=/path/to/falco\n"
        );
    }
    falco.map(Falco)
}

/// Falco's configuration: nothing but the plugins, a log to read, and alerts on standard output. The plugins read fields
/// in Falco's own thread (`useAsync: false`): else each of their calls waits for another thread, for milliseconds on a
/// busy machine.
fn config(log: &Path, psp: Option<(&Path, &Path)>) -> String {
    let folder = std::env::var("PSP2FALCO_FALCO_PLUGINS").map(|f| f + "/").unwrap_or_default();
    let text = |value: &str| Value::from(value).to_string();
    let path = |path: &Path| text(&path.display().to_string());
    let (k8saudit, json) = (text(&format!("{folder}libk8saudit.so")), text(&format!("{folder}libjson.so")));
    let log = path(log);
    let mut config = format!(
        "config_files: []
rules_files: []
watch_config_files: false
engine: {{kind: nodriver}}
plugins:
  - {{name: k8saudit, init_config: {{useAsync: false}}, library_path: {k8saudit}, open_params: {log}}}
  - {{name: json, init_config: {{useAsync: false}}, library_path: {json}}}
"
    );
    if let Some((library, bundle)) = psp {
        let (library, bundle) = (path(library), path(bundle));
        let line = "  - {name: psp, library_path: LIBRARY, init_config: {policies: BUNDLE}}";
        let line = line.replace("LIBRARY", &library).replace("BUNDLE", &bundle);
        let _ = writeln!(config, "{line}\nload_plugins: [k8saudit, json, psp]");
    } else {
        config.push_str("load_plugins: [k8saudit, json]\n");
    }
    config
        + "time_format_iso_8601: false
priority: debug
rule_matching: all
json_output: true
json_include_output_property: true
json_include_message_property: false
json_include_output_fields_property: true
json_include_tags_property: true
outputs_queue: {capacity: 0}
append_output: []
stdout_output: {enabled: true}
syslog_output: {enabled: false}
webserver: {enabled: false}
log_stderr: true
log_syslog: false
"
}

impl Falco {
    /// The alerts that a log gives with some rules, less the host's name.
    pub fn alerts(&self, rules: &str, log: &str, psp: Option<Psp<'_>>) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("rules.yaml"), rules).unwrap();
        fs::write(path("audit.log"), log).unwrap();
        let bundle = path("psp_policies.json");
        let psp = psp.map(|psp| {
            fs::write(&bundle, psp.bundle).unwrap();
            (psp.library, bundle.as_path())
        });
        fs::write(path("falco.yaml"), config(&path("audit.log"), psp)).unwrap();
        let output = Command::new(&self.0)
            .arg("-c")
            .arg(path("falco.yaml"))
            .args(["--enable-source", "k8s_audit", "-r"])
            .arg(path("rules.yaml"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("LOAD_"), "{}: {said}", self.0.display());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| {
                let mut alert: Value = serde_json::from_str(line).unwrap();
                alert.as_object_mut().unwrap().shift_remove("hostname");
                alert
            })
            .collect()
    }
}
