//! What replaying an audit log costs: megabytes of log a second on one thread and on two, as a share of what parsing
//! the same JSON alone takes, and memory. Run with `cargo bench --bench replay`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

#[path = "cost/events.rs"]
mod events;

use std::sync::Arc;
use std::time::{Duration, Instant};

use events::{Repeated, recorded};
use falco_rules::{self as falco, RuleSet};
use psp2falco::replay::Outcome;

/// Rules that never alert, to show what reading and finding the pods costs.
const IDLE: &str = "- rule: None
  desc: d
  condition: ka.verb=create and ka.target.resource=pods and jevt.value[/responseObject/spec/hostPID]=maybe
  output: o
  priority: NOTICE
  source: k8s_audit
";

fn rules(policy: &str) -> RuleSet {
    match policy {
        "(no alert)" => falco::load(&[falco::Source { name: "rules", text: IDLE }]).rules.unwrap(),
        policy => events::rules(policy),
    }
}

fn run(text: &Arc<[u8]>, events: usize, rules: &RuleSet, threads: usize) -> (Duration, Outcome) {
    let start = Instant::now();
    let outcome = events::run(text, events, rules, threads);
    (start.elapsed(), outcome)
}

/// How long a bare JSON parser takes for as much text.
fn bare(text: &Arc<[u8]>, events: usize) -> Duration {
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
    let start = Instant::now();
    for line in lines.iter().cycle().take(events) {
        std::hint::black_box(serde_json::from_slice::<serde_json::Value>(line).unwrap());
    }
    start.elapsed()
}

/// The largest resident set so far, in MiB (`VmHWM`); 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or_default() / 1024
}

fn main() {
    let text = recorded();
    let few = std::env::var("EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    println!("memory, MiB: {} before", peak());
    let restricted = rules("kubernetes-restricted");
    for events in [few / 10, few] {
        run(&text, events, &restricted, 2);
        println!("memory, MiB: {} after {events} events", peak());
    }
    let megabytes = Repeated::new(&text, few).left as f64 / 1e6;
    let parsed = bare(&text, few);
    println!(
        "{few} events, {megabytes:.0} MB; a bare JSON parse: {:.0} MB/s",
        megabytes / parsed.as_secs_f64()
    );
    println!("policy                   rules   alerts   1 thread MB/s   time/parse   2 threads MB/s");
    for policy in [
        "(no alert)",
        "eks-privileged",
        "kubernetes-baseline",
        "kubernetes-restricted",
        "forty-ranges",
        "every-field",
    ] {
        let rules = rules(policy);
        let (one, outcome) = run(&text, few, &rules, 1);
        let (two, _) = run(&text, few, &rules, 2);
        println!(
            "{policy:24} {:5} {:8} {:15.0} {:12.2} {:16.0}",
            rules.active_rules(),
            outcome.alerts,
            megabytes / one.as_secs_f64(),
            one.as_secs_f64() / parsed.as_secs_f64(),
            megabytes / two.as_secs_f64(),
        );
    }
}
