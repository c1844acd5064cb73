//! What the parts of the program and whole runs cost at three sizes a factor of ten apart, and how that grows: the table
//! of the README. Run with `cargo bench --bench cost`.
//!
//! Times are those of a core, the best of several runs where they are short. What grows by more than its input shows as
//! more than ×10.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

#[path = "cost/cluster.rs"]
mod cluster;
#[path = "cost/events.rs"]
mod events;
#[path = "cost/process.rs"]
mod process;
#[path = "cost/runs.rs"]
mod runs;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use psp_admission::Field;
use psp2falco::predict::Predictor;
use psp2falco::rbac;
use psp2falco::read::{Inventory, Options, read_text};
use psp2falco::{commands, render, restrictions};

/// The sizes of what policies cost.
const POLICIES: [usize; 3] = [100, 1_000, 10_000];

/// `count` policies that differ in name, and in their ranges as if `distinct` people had written them.
pub fn policies(count: usize, distinct: usize) -> String {
    let base = include_str!("../fixtures/psp/policies/kubernetes-restricted.yaml");
    let mut text = String::new();
    for n in 0..count {
        let own = base
            .replace("name: restricted", &format!("name: restricted-{n:05}"))
            .replace("max: 65535", &format!("max: {}", 20_000 + (n % distinct) * 7));
        let _ = write!(text, "---\n{own}");
    }
    text
}

fn inventory(count: usize, distinct: usize) -> Inventory {
    read_text("p.yaml", &policies(count, distinct), &Options::default()).unwrap()
}

/// The time that this thread has had a core; where the system does not tell, the time since `start`.
fn spent(start: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// What a run costs: the least of several, within two seconds. Short ones are timed together, since the system may count
/// in steps of some milliseconds.
fn cost<T>(mut run: impl FnMut() -> T) -> Duration {
    const SHORT: Duration = Duration::from_millis(100);
    let clock = Instant::now();
    black_box(run());
    let together = (SHORT.as_micros() / clock.elapsed().as_micros().max(1)).clamp(1, 10_000) as u32;
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let begun = spent(clock);
        for _ in 0..together {
            black_box(run());
        }
        least = least.min((spent(clock) - begun) / together);
        if clock.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    least
}

/// A time in two digits.
fn shown(time: Duration) -> String {
    match time.as_secs_f64() * 1000.0 {
        ms if ms < 1.0 => format!("{ms:.2} ms"),
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

/// Prints a row: what was done, what it cost at the three sizes, how that grows, and the memory of the largest.
fn row(what: &str, times: [Duration; 3], memory: Option<usize>) {
    let [small, middle, large] = times;
    let grows = |from: Duration, to: Duration| format!("×{:.0}", to.as_secs_f64() / from.as_secs_f64());
    println!(
        "| {what} | {} | {} | {} | {}, {} | {} |",
        shown(small),
        shown(middle),
        shown(large),
        grows(small, middle),
        grows(middle, large),
        memory.map(|mib| format!("{mib} MB")).unwrap_or_default()
    );
}

fn conversion(distinct: usize, alike: &str) {
    let options = render::Options::default();
    if distinct < usize::MAX {
        let texts = POLICIES.map(|count| policies(count, distinct));
        let parse = |text: &String| {
            let documents: Vec<&str> = text.split("---\n").skip(1).collect();
            cost(|| {
                for document in &documents {
                    drop(black_box(serde_yaml::from_str::<serde_json::Value>(document).unwrap()));
                }
            })
        };
        row(
            "parsing the YAML of 100, 1,000, 10,000 policies, for comparison",
            texts.each_ref().map(parse),
            None,
        );
        let read = |text: &String| cost(|| read_text("p.yaml", text, &Options::default()).unwrap());
        row("reading them", texts.each_ref().map(read), None);
        let map = |count| {
            let inventory = inventory(count, distinct);
            cost(|| {
                for located in &inventory.policies {
                    Field::ALL
                        .iter()
                        .for_each(|field| drop(black_box(restrictions::map(*field, &located.policy))));
                }
            })
        };
        row("mapping their fields", POLICIES.map(map), None);
    }
    let (mut rendering, mut checking) = ([Duration::ZERO; 3], [Duration::ZERO; 3]);
    for (n, count) in POLICIES.into_iter().enumerate() {
        let inventory = inventory(count, distinct);
        rendering[n] = cost(|| render::audit_rules(&inventory.policies, &options).unwrap());
        let rendered = render::audit_rules(&inventory.policies, &options).unwrap();
        checking[n] = cost(|| commands::check(&rendered).unwrap());
    }
    row(&format!("rendering audit rules, {alike}"), rendering, None);
    row("checking these as Falco loads them", checking, None);
}

/// Expressions are cut into what a condition holds, which must not cost more the longer the value is.
fn long_values() {
    let times = [80, 800, 8_000].map(|length| {
        let path = "/x.y-z".repeat(length / 6);
        let text = include_str!("../fixtures/psp/allowedHostPaths/restrictive.yaml");
        let (head, _) = text.split_once("  allowedHostPaths:").unwrap();
        let text = format!("{head}  allowedHostPaths: [{{pathPrefix: {path}}}]\n");
        let inventory = read_text("p.yaml", &text, &Options::default()).unwrap();
        let options = render::Options::default();
        cost(|| {
            (
                render::audit_rules(&inventory.policies, &options),
                render::runtime_rules(&inventory.policies, &options),
            )
        })
    });
    row("rendering a path of 80, 800, 8,000 bytes, both layers", times, None);
}

fn access() {
    let options = |access| render::Options { access, ..render::Options::default() };
    let mut times = [Duration::ZERO; 3];
    for (n, bindings) in [200, 2_000, 20_000].into_iter().enumerate() {
        let inventory = cluster::inventory(bindings);
        times[n] = cost(|| rbac::access(&inventory, None).unwrap());
    }
    row("who may use which policy, by 200, 2,000, 20,000 bindings", times, None);
    let inventory = cluster::inventory(2_000);
    let options = options(rbac::access(&inventory, None));
    for (n, pods) in [1_000, 10_000, 100_000].into_iter().enumerate() {
        let mut predictor = Predictor::new(inventory.policies.iter().map(|p| &p.policy), &options);
        let clock = Instant::now();
        times[n] = Duration::ZERO;
        for chunk in 0..pods / 500 {
            // as from a paginated list
            let pods: Vec<_> = (chunk * 500..(chunk + 1) * 500).map(cluster::pod).collect();
            let begun = spent(clock);
            pods.iter().for_each(|pod| predictor.add(pod));
            times[n] += spent(clock) - begun;
        }
        let begun = spent(clock);
        black_box(predictor.finish());
        times[n] += spent(clock) - begun;
    }
    row("predicting alerts of 1,000, 10,000, 100,000 pods", times, None);
}

fn replays() {
    let (text, rules) = (events::recorded(), events::rules("kubernetes-restricted"));
    let times = [1_000, 10_000, 100_000].map(|count| cost(|| events::run(&text, count, &rules, 1)));
    row("replaying 1,000, 10,000, 100,000 events of 5 KB", times, None);
}

fn main() {
    println!("| part or run | small | ten times | hundred times | grows by | memory, at most |");
    println!("| --- | --: | --: | --: | --- | --: |");
    conversion(20, "many alike");
    conversion(usize::MAX, "no two alike");
    long_values();
    access();
    replays();
    runs::all();
}
