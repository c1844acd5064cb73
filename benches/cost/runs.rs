//! Whole runs of the program: the time of all its threads, and the memory that it held at most.
#![allow(unreachable_pub)]

use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::events::{self, Repeated};
use super::{POLICIES, cluster, policies, process, row};

/// Runs the program in a folder, and returns what it cost; the memory is in MB.
fn run(folder: &Path, args: &[&str]) -> (Duration, usize) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_psp2falco"));
    process::run(command.args(args).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null()))
}

/// A row for a run at three sizes, each over its own input file and to a new output.
fn sized(what: &str, inputs: [&str; 3], folder: &Path, args: &[&str]) {
    let mut memory = 0;
    let times = inputs.map(|input| {
        let args: Vec<&str> = args.iter().map(|arg| if *arg == "INPUT" { input } else { arg }).collect();
        let anew = |_| {
            let _ = fs::remove_file(folder.join("rules.yaml"));
            run(folder, &args)
        };
        // a run may be shorter than what Linux counts in
        let first = anew(0);
        let count = if first.0 < Duration::from_millis(150) { 20 } else { 2 };
        let (sum, most) = (0..count)
            .map(anew)
            .fold((Duration::ZERO, first.1), |(sum, most), (time, memory)| (sum + time, most.max(memory)));
        memory = memory.max(most);
        sum / count
    });
    row(what, times, Some(memory));
}

/// Prints the rows of all runs.
pub fn all() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let (alike, unlike) = (["a-1.yaml", "a-2.yaml", "a-3.yaml"], ["u-1.yaml", "u-2.yaml", "u-3.yaml"]);
    for (n, count) in POLICIES.into_iter().enumerate() {
        write(alike[n], &policies(count, 20));
        write(unlike[n], &policies(count, usize::MAX));
    }
    let convert = |layer: &'static str| ["convert", "INPUT", "--layer", layer, "-o", "rules.yaml"];
    sized("`convert` of 100, 1,000, 10,000 policies, many alike", alike, folder, &convert("audit"));
    sized("the same, no two alike", unlike, folder, &convert("audit"));
    sized("the same, runtime rules", unlike, folder, &convert("runtime"));
    sized("`explain` of as many", unlike, folder, &["explain", "INPUT"]);

    let bound = ["b-1.json", "b-2.json", "b-3.json"];
    for (name, bindings) in bound.iter().zip([200, 2_000, 20_000]) {
        write(name, &cluster::manifests(bindings));
    }
    sized("`convert` of 50 policies, 200, 2,000, 20,000 bindings", bound, folder, &convert("audit"));

    let (text, logs) = (events::recorded(), ["e-1.log", "e-2.log", "e-3.log"]);
    for (name, count) in logs.iter().zip([600, 6_000, 60_000]) {
        let mut file = BufWriter::new(fs::File::create(folder.join(name)).unwrap());
        let mut buffer = vec![0; 1 << 16];
        let mut log = Repeated::new(&text, count);
        while let Ok(length @ 1..) = log.read(&mut buffer) {
            file.write_all(&buffer[..length]).unwrap();
        }
        file.flush().unwrap();
    }
    let restricted = events::root().join("fixtures/psp/policies/kubernetes-restricted.yaml");
    let replay = ["replay", restricted.to_str().unwrap(), "--threads", "1", "--audit-log", "INPUT"];
    sized("`replay --threads 1` of 3, 30, 300 MB", logs, folder, &replay);
}
