//! What the audit rules cost a real Falco: CPU time and memory above a rule that never matches, beside Falco's own rules
//! for the audit log. Run with
//! `PSP2FALCO_FALCO=/path/to/falco cargo bench --bench engine`; `PSP2FALCO_FALCO_PLUGINS=/folder` says where
//! `libk8saudit.so` and `libjson.so` lie, if not where Falco looks by itself, and
//! `PSP2FALCO_FALCO_RULES=/path/to/k8s_audit_rules.yaml` where Falco's rules do. With
//! `PSP2FALCO_LIBPSP=/path/to/libpsp.so` (`cargo build --release -p falco-plugin-psp`) the rules of the plugin psp are
//! measured too, beside as many rules that never match: less than those no rules of that number can cost.
//!
//! Each figure is the least of several rounds in which all rules took their turn: what else the machine does only adds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "engine/cluster.rs"]
mod cluster;
#[path = "engine/events.rs"]
mod events;
#[path = "cost/process.rs"]
mod process;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use events::Pod;
use psp2falco::commands;
use psp2falco::cost::Cost;
use psp2falco::rbac;
use psp2falco::read::{Options, read_text};
use psp2falco::render::{self, audit_rules};
use serde_json::Value;

/// A rule that never matches, by one field.
const NEVER: &str = "- rule: Never
  desc: d
  condition: ka.verb=never
  output: o
  priority: DEBUG
  source: k8s_audit
";

/// The policies of the clusters that are measured.
const CLUSTERS: [usize; 4] = [3, 10, 20, 50];

/// A check that costs Falco next to nothing: no plugin is asked, and all rules share its answer.
const CHEAPEST: &str = "evt.num=0";

/// Falco's configuration: its plugins, psp among them if rules have a bundle, a log to read, and alerts on standard
/// output. By default the plugins hand over each value to a thread that waits for the next; on the file of a replay that takes milliseconds.
fn config(log: &Path, bundle: Option<&Path>) -> String {
    let folder = std::env::var("PSP2FALCO_FALCO_PLUGINS").map(|f| f + "/").unwrap_or_default();
    let plugin = |name: &str, log: &str| {
        let library = Value::from(format!("{folder}lib{name}.so"));
        format!("{{name: {name}, library_path: {library}, init_config: {{useAsync: false}}{log}}}")
    };
    let log = format!(", open_params: {}", Value::from(log.to_str().unwrap()));
    let mut loaded = "k8saudit, json".to_owned();
    let mut plugins = vec![plugin("k8saudit", &log), plugin("json", "")];
    if let Some(bundle) = bundle {
        let library = Value::from(std::env::var("PSP2FALCO_LIBPSP").unwrap());
        let bundle = Value::from(bundle.to_str().unwrap());
        plugins.push(format!("{{name: psp, library_path: {library}, init_config: {{policies: {bundle}}}}}"));
        loaded += ", psp";
    }
    let plugins = plugins.join(", ");
    format!(
        "rules_files: []\nconfig_files: []\nengine: {{kind: nodriver}}\nload_plugins: [{loaded}]\n\
         plugins: [{plugins}]\npriority: debug\nrule_matching: all\njson_output: true\n\
         stdout_output: {{enabled: true}}\nsyslog_output: {{enabled: false}}\nwebserver: {{enabled: false}}\n"
    )
}

/// What Falco loads.
struct Rules {
    text: String,
    /// What the plugin psp judges by, if it is to be loaded.
    bundle: Option<String>,
}

/// Rules and what they cost so far: the time of a single event, and of each log.
struct Subject {
    name: String,
    rules: Rules,
    /// What `convert` takes them to cost.
    estimate: Option<Cost>,
    loading: Duration,
    memory: usize,
    replays: Vec<Duration>,
    alerts: usize,
}

impl Subject {
    fn new(name: &str, rules: String, logs: usize) -> Self {
        Self {
            name: name.to_owned(),
            rules: Rules { text: rules, bundle: None },
            estimate: None,
            loading: Duration::MAX,
            memory: usize::MAX,
            replays: vec![Duration::MAX; logs],
            alerts: 0,
        }
    }

    /// The rules of policies, with RBAC if it is in the text.
    fn of(name: &str, policies: &str, logs: usize) -> Self {
        let inventory = read_text("policies.yaml", policies, &Options::default()).unwrap();
        let options =
            render::Options { access: rbac::access(&inventory, None), ..render::Options::default() };
        let rendered = audit_rules(&inventory.policies, &options).unwrap();
        let estimate = Some(commands::check(&rendered).unwrap());
        Self { estimate, ..Self::new(name, rendered.text, logs) }
    }

    /// Rules that ask the plugin psp; as many of the same text that never match; and as many that are nothing but a name.
    fn judged(name: &str, policies: &str, logs: usize) -> [Self; 3] {
        let inventory = read_text("policies.yaml", policies, &Options::default()).unwrap();
        let options = render::Options {
            access: rbac::access(&inventory, None),
            plugin: true,
            ..render::Options::default()
        };
        let rendered = audit_rules(&inventory.policies, &options).unwrap();
        let bundle = rendered.bundle.map(|bundle| bundle.text);
        let mut count = 0;
        let mut idle = String::new();
        for line in rendered.text.lines() {
            count += usize::from(line.starts_with("- rule: "));
            let asks = line.starts_with("  condition: psp.");
            let line = if asks { format!("  condition: {CHEAPEST}") } else { line.to_owned() };
            idle += &(line + "\n");
        }
        let bare: String = (0..count)
            .map(|number| {
                NEVER.replace("Never", &format!("Never {number}")).replace("ka.verb=never", CHEAPEST)
            })
            .collect();
        let with = |name: String, text| Self {
            rules: Rules { text, bundle: bundle.clone() },
            ..Self::new(&name, String::new(), logs)
        };
        [
            with(format!("{name}, plugin"), rendered.text),
            with(format!("the same {count} rules, none of which matches"), idle),
            Self::new(&format!("{count} rules of a name and the cheapest check"), bare, logs),
        ]
    }

    /// Takes its turn.
    fn run(&mut self, falco: &OsStr, folder: &Path, single: &str, logs: &[String]) {
        let (time, memory, _) = replay(falco, folder, &self.rules, single);
        self.loading = self.loading.min(time);
        self.memory = self.memory.min(memory);
        self.alerts = 0;
        for (least, log) in self.replays.iter_mut().zip(logs) {
            let (time, _, alerts) = replay(falco, folder, &self.rules, log);
            *least = time.min(*least);
            self.alerts += alerts;
        }
    }
}

/// What it costs Falco to load rules and replay a log, and how many alerts come of it.
fn replay(falco: &OsStr, folder: &Path, rules: &Rules, log: &str) -> (Duration, usize, usize) {
    let path = |name: &str| folder.join(name);
    fs::write(path("rules.yaml"), &rules.text).unwrap();
    fs::write(path("audit.log"), log).unwrap();
    let bundle = rules.bundle.as_ref().map(|text| {
        fs::write(path("bundle.json"), text).unwrap();
        path("bundle.json")
    });
    fs::write(path("falco.yaml"), config(&path("audit.log"), bundle.as_deref())).unwrap();
    let mut command = Command::new(falco);
    command.arg("-c").arg(path("falco.yaml")).args(["--enable-source", "k8s_audit", "-r"]);
    command.arg(path("rules.yaml"));
    command.stdout(fs::File::create(path("alerts")).unwrap()).stderr(Stdio::null());
    let (time, memory) = process::run(&mut command);
    let alerts = fs::read_to_string(path("alerts")).unwrap();
    (time, memory, alerts.lines().filter(|line| line.starts_with('{')).count())
}

/// A log of so many events.
fn log(count: usize, event: impl Fn(usize) -> Value) -> String {
    (0..count).map(|number| event(number).to_string() + "\n").collect()
}

fn measure(falco: &OsString) {
    let variable =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (count, rounds) = (variable("EVENTS", 1000), variable("ROUNDS", 3));
    let pod = Pod { namespace: "shop", account: "web", added: None };
    let (namespace, account) = cluster::application(0);
    let application = Pod { namespace: &namespace, account: &account, added: Some("NET_BIND_SERVICE") };
    let logs = [
        log(count, |n| pod.created(n)),
        log(count, |n| application.created(n)),
        log(count, |n| events::deployment(&pod, n)),
    ];
    let single = log(1, |n| events::deployment(&pod, n));
    let mut subjects = vec![Subject::new("a rule that never matches", NEVER.to_owned(), logs.len())];
    match std::env::var_os("PSP2FALCO_FALCO_RULES") {
        Some(path) => {
            let rules = fs::read_to_string(path).unwrap();
            subjects.push(Subject::new("k8s_audit_rules of Falco", rules, logs.len()));
        }
        None => eprintln!("LEFT OUT: Falco's own rules; name their file with PSP2FALCO_FALCO_RULES"),
    }
    let restricted = include_str!("../fixtures/psp/policies/kubernetes-restricted.yaml");
    subjects.push(Subject::of("`restricted` alone", restricted, logs.len()));
    for policies in CLUSTERS {
        let name = format!("{policies} policies with RBAC");
        subjects.push(Subject::of(&name, &cluster::objects(policies), logs.len()));
    }
    match std::env::var_os("PSP2FALCO_LIBPSP") {
        Some(_) => {
            let [plugin, ..] = Subject::judged("`restricted` alone", restricted, logs.len());
            subjects.push(plugin);
            subjects.extend(Subject::judged("50 policies with RBAC", &cluster::objects(50), logs.len()));
        }
        None => eprintln!("LEFT OUT: the plugin psp; name its library with PSP2FALCO_LIBPSP"),
    }
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..rounds {
        for subject in &mut subjects {
            subject.run(falco, folder.path(), &single, &logs);
        }
    }
    println!("{count} events of each kind, the least of {rounds} rounds; above a rule that never matches:");
    println!(
        "| rules | checks | loading | estimated | memory | estimated | a pod | a pod under its own policy | another event | alerts |"
    );
    println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
    let never = &subjects[0];
    for subject in &subjects {
        let event = |time: Duration, subject: &Subject| {
            time.saturating_sub(subject.loading).as_secs_f64() * 1e6 / (count - 1) as f64
        };
        let above = |n: usize| event(subject.replays[n], subject) - event(never.replays[n], never);
        let estimated = |text: fn(Cost) -> String| subject.estimate.map(text).unwrap_or_default();
        println!(
            "| {} | {} | {:.2} s | {} | {} MB | {} | {:+.0} µs | {:+.0} µs | {:+.0} µs | {} |",
            subject.name,
            estimated(|cost| cost.checks.to_string()),
            subject.loading.saturating_sub(never.loading).as_secs_f64(),
            estimated(|cost| format!("{:.2} s", cost.loading().as_secs_f64())),
            subject.memory.saturating_sub(never.memory),
            estimated(|cost| format!("{} MB", cost.memory() / 1_000_000)),
            above(0),
            above(1),
            above(2),
            subject.alerts,
        );
    }
    let (loading, memory) = (never.loading.as_secs_f64(), never.memory);
    println!("the rule that never matches itself: {loading:.2} s, {memory} MB");
}

fn main() {
    match std::env::var_os("PSP2FALCO_FALCO") {
        Some(falco) => measure(&falco),
        None => eprintln!(
            "\nSKIPPED: nothing was measured; name a real Falco with PSP2FALCO_FALCO=/path/to/falco\n"
        ),
    }
}
