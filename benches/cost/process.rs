//! What a process costs: the time of all its threads, and the memory that it held at most.
#![allow(unreachable_pub)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command to its successful end, and returns its CPU time and its largest resident set in MB.
pub fn run(command: &mut Command) -> (Duration, usize) {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().unwrap();
    let process = Path::new("/proc").join(child.id().to_string());
    let read = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
    let mut peak = 0;
    // until it has ended and waits to be asked for its end
    let ticks = loop {
        let status = read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap_or_default());
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        if matches!(fields.first(), None | Some(&"" | &"Z")) {
            let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
            break ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(child.wait().unwrap().success(), "{command:?}");
    // Linux counts in hundredths of a second for everybody
    (
        ticks.map_or_else(|| start.elapsed(), |ticks| Duration::from_millis(ticks * 10)),
        peak * 1024 / 1_000_000,
    )
}
