//! What a conversion costs, as a multiple of parsing the same YAML, at three sizes. Run with `cargo bench`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use psp2falco::read::{Options, read_text};
use psp2falco::{commands, render};

/// `count` policies that differ in name, and in their ranges as if `distinct` people had written them.
fn policies(count: usize, distinct: usize) -> String {
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

/// The shortest of several runs.
fn best(mut run: impl FnMut()) -> Duration {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..3).map(|_| time(&mut run)).min().unwrap()
}

fn parse(text: &str) {
    for document in serde_yaml::from_multiple::<serde_json::Value>(text).unwrap() {
        std::hint::black_box(document);
    }
}

/// The largest resident set so far, in MiB (`VmHWM`); 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok()).unwrap_or_default() / 1024
}

fn main() {
    for (distinct, title) in [(20, "policies much alike"), (usize::MAX, "no two policies alike")] {
        println!("{title}");
        table(distinct);
    }
}

fn table(distinct: usize) {
    println!("policies   parse ms   read ms   render ms   check ms   whole/parse   rules KB   peak MiB");
    for count in [10, 100, 1000] {
        let text = policies(count, distinct);
        let parsed = best(|| parse(&text));
        let read = best(|| drop(std::hint::black_box(read_text("p.yaml", &text, &Options::default()))));
        let inventory = read_text("p.yaml", &text, &Options::default()).unwrap();
        let options = render::Options::default();
        let rendering =
            best(|| drop(std::hint::black_box(render::audit_rules(&inventory.policies, &options))));
        let rendered = render::audit_rules(&inventory.policies, &options).unwrap();
        let checking = best(|| commands::check(&rendered).unwrap());
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        println!(
            "{count:8} {:10.1} {:9.1} {:11.1} {:10.1} {:13.2} {:10} {:10}",
            ms(parsed),
            ms(read),
            ms(rendering),
            ms(checking),
            ms(read + rendering + checking) / ms(parsed),
            rendered.text.len() / 1000,
            peak(),
        );
    }
}
