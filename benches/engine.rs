//! What the audit rules cost a real Falco: CPU time and memory above a rule that never matches, beside Falco's own rules
//! for the audit log. Run with
//! `PSP2FALCO_FALCO=/path/to/falco cargo bench --bench engine`; `PSP2FALCO_FALCO_PLUGINS=/folder` says where
//! `libk8saudit.so` and `libjson.so` lie, if not where Falco looks by itself, and
//! `PSP2FALCO_FALCO_RULES=/path/to/k8s_audit_rules.yaml` where Falco's rules do.
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

/// Falco's configuration: the two plugins, a log to read, and alerts on standard output. By default the plugins hand over
/// each value to a thread that waits for the next; on the file of a replay that takes milliseconds.
fn config(log: &Path) -> String {
    let folder = std::env::var("PSP2FALCO_FALCO_PLUGINS").map(|f| f + "/").unwrap_or_default();
    let plugin = |name: &str, log: &str| {
        let library = Value::from(format!("{folder}lib{name}.so"));
        format!("{{name: {name}, library_path: {library}, init_config: {{useAsync: false}}{log}}}")
    };
    let log = format!(", open_params: {}", Value::from(log.to_str().unwrap()));
    format!(
        "rules_files: []\nconfig_files: []\nengine: {{kind: nodriver}}\nload_plugins: [k8saudit, json]\n\
         plugins: [{}, {}]\npriority: debug\nrule_matching: all\njson_output: true\n\
         stdout_output: {{enabled: true}}\nsyslog_output: {{enabled: false}}\nwebserver: {{enabled: false}}\n",
        plugin("k8saudit", &log),
        plugin("json", "")
    )
}

/// Rules and what they cost so far: the time of a single event, and of each log.
struct Subject {
    name: String,
    rules: String,
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
            rules,
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
fn replay(falco: &OsStr, folder: &Path, rules: &str, log: &str) -> (Duration, usize, usize) {
    let path = |name: &str| folder.join(name);
    fs::write(path("rules.yaml"), rules).unwrap();
    fs::write(path("audit.log"), log).unwrap();
    fs::write(path("falco.yaml"), config(&path("audit.log"))).unwrap();
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
