//! All of a run's files or none: each of its outputs in turn is one that cannot be written, and nothing changes then,
//! no file, no folder.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::api::Bench;
use crate::snapshot::root;

const POD: &str = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: web}\nspec: {containers: [{name: c, image: d, \
                   securityContext: {privileged: true}}]}\n";

/// All below a folder: files with what is in them and when they were written, folders and links without.
fn everything(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
            let what = if kind.is_file() {
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                format!("{time:?} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
            } else {
                format!("{kind:?}")
            };
            all.insert(path.strip_prefix(folder).unwrap().display().to_string(), what);
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    all
}

/// How an output is made one that cannot be written, and what is said then.
type Break = (&'static str, fn(&Path), &'static str);

const A_FOLDER: Break = (
    "a folder",
    |path| {
        let _ = fs::remove_file(path);
        fs::create_dir_all(path.join("inside")).unwrap();
    },
    ": is a folder; name a file",
);
const SOMEBODY_S: Break = (
    "somebody's file",
    |path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    },
    ": was not written by psp2falco; choose another file, or overwrite it with --force",
);

/// Breaks each of `outputs` in each way, with old files there and without, and runs the command.
fn break_each(
    prepare: &dyn Fn() -> Bench,
    args: &[&str],
    old: &dyn Fn(&Bench),
    outputs: &[&str],
    breaks: &[Break],
) {
    let whole = prepare();
    whole.run(args).done();
    for output in outputs {
        assert!(whole.path(output).is_file(), "{output} is no output of {args:?}");
        for (what, break_it, said) in breaks {
            for is_again in [false, true] {
                let bench = prepare();
                if is_again {
                    old(&bench);
                }
                break_it(&bench.path(output));
                let before = everything(&bench.path("."));
                let errors = bench.run(args).failed();
                let expected = format!("{output}{said}");
                assert!(errors.lines().any(|line| line == expected), "{output} is {what}: {errors}");
                assert_eq!(before, everything(&bench.path(".")), "{output} is {what}, {is_again}");
            }
        }
    }
}

fn policies() -> Bench {
    let bench = Bench::new();
    let policy = root().join("fixtures/psp/policies/kubernetes-restricted.yaml");
    bench.write("psp.yaml", &(fs::read_to_string(policy).unwrap() + POD));
    let config = "version: 1\nsources: [psp.yaml]\noutputs: {rules: out/, reports: [text, markdown, json, html, sarif]}\n";
    bench.write("psp2falco.yaml", config);
    bench
}

const REPORTS: [&str; 10] =
    ["--report", "text", "--report", "markdown", "--report", "json", "--report", "html", "--report", "sarif"];
const FILES: [&str; 7] = [
    "out/psp_audit_rules.yaml",
    "out/psp_runtime_rules.yaml",
    "out/psp_report.txt",
    "out/psp_report.md",
    "out/psp_report.json",
    "out/psp_report.html",
    "out/psp_report.sarif",
];

#[test]
fn convert_writes_all_or_nothing() {
    let args =
        [&["convert", "psp.yaml", "-o", "out/", "--suggest-exceptions", "mine/own.yaml"][..], &REPORTS]
            .concat();
    // of another policy, so that every file would change
    let old = |bench: &Bench| {
        bench.write(
            "other.yaml",
            &fs::read_to_string(root().join("fixtures/psp/policies/every-field.yaml")).unwrap(),
        );
        bench.run(&[&["convert", "other.yaml", "-o", "out/"][..], &REPORTS].concat()).done();
    };
    break_each(&policies, &args, &old, &FILES, &[A_FOLDER, SOMEBODY_S]);
    let exists: fn(&Path) = |path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    };
    let said = ": exists, and may hold your work; choose another file";
    break_each(&policies, &args, &old, &["mine/own.yaml"], &[("there", exists, said)]);
}

#[test]
fn generate_writes_all_or_nothing() {
    let old = |bench: &Bench| {
        let now = bench.read("psp.yaml");
        bench.write("psp.yaml", &now.replace("privileged: false", "privileged: true"));
        bench.run(&["generate"]).done();
        bench.write("psp.yaml", &now);
    };
    break_each(&policies, &["generate"], &old, &FILES, &[A_FOLDER, SOMEBODY_S]);
}

#[test]
#[cfg(feature = "cluster")]
fn scan_writes_all_or_nothing() {
    let server = crate::api::Server::start(crate::api::cluster);
    let scanning = || Bench::with(&server.url);
    let args =
        ["scan", "--kubeconfig", "kubeconfig", "-o", "out/", "--report", "json", "--save", "saved/cluster"];
    let old = |bench: &Bench| {
        bench.run(&["scan", "--kubeconfig", "kubeconfig", "-o", "out/", "--namespace", "web"]).done();
    };
    let files = [
        "out/psp_audit_rules.yaml",
        "out/psp_runtime_rules.yaml",
        "out/psp_report.json",
        "saved/cluster/podsecuritypolicies.yaml",
        "saved/cluster/serviceaccounts.yaml",
    ];
    break_each(&scanning, &args, &old, &files, &[A_FOLDER, SOMEBODY_S]);
}

#[test]
fn places_that_no_file_can_have_leave_nothing_behind() {
    let long = format!("{}.yaml", "x".repeat(300));
    let deep_and_long = format!("new/deep/{long}");
    for place in ["psp.yaml/x.yaml", "gone/x.yaml", long.as_str(), deep_and_long.as_str()] {
        let outputs: [&[&str]; 4] = [
            &["-o", place],
            &["-o", "out/", "--report", "json", "--report-file", place],
            &["-o", "new/rules.yaml", "--suggest-exceptions", place],
            // standard output gets nothing either
            &["--suggest-exceptions", place],
        ];
        for output in outputs {
            let bench = policies();
            symlink("nowhere/at/all", bench.path("gone")).unwrap();
            let before = everything(&bench.path("."));
            let args = [&["convert", "psp.yaml"], output].concat();
            let errors = bench.run(&args).failed();
            let name = if place.ends_with("/x.yaml") { place.trim_end_matches("/x.yaml") } else { place };
            assert!(errors.starts_with(&format!("{name}: ")), "{args:?}: {errors}");
            assert_eq!(before, everything(&bench.path(".")), "{args:?}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_that_takes_nothing_leaves_the_files_alone() {
    for output in
        [&["-o", "/dev/full"][..], &["-o", "out/", "--report", "json", "--report-file", "/dev/full"]]
    {
        let bench = policies();
        let before = everything(&bench.path("."));
        let args = [&["convert", "psp.yaml", "--suggest-exceptions", "new/own.yaml"], output].concat();
        let errors = bench.run(&args).failed();
        assert_eq!(errors, "/dev/full: cannot be written: No space left on device (os error 28)\n");
        assert_eq!(before, everything(&bench.path(".")));
    }
}

#[test]
fn what_does_not_change_is_not_written() {
    let bench = policies();
    let args = [&["convert", "psp.yaml", "-o", "out/"][..], &REPORTS].concat();
    for (args, others) in [(&args[..], 0), (&["generate"], 0), (&["man", "-o", "man"], 1)] {
        bench.run(args).done();
        let before = everything(&bench.path("."));
        let again = bench.run(args).done();
        assert_eq!(before, everything(&bench.path(".")), "{args:?}");
        assert!(!again.err.contains("wrote "), "{}", again.err);
        let unchanged = again.err.lines().filter(|line| line.starts_with("unchanged ")).count();
        assert!(unchanged >= FILES.len() + others, "{}", again.err);
    }
}
