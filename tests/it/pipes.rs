//! Readers that leave before the end, and streams that take nothing. A closed pipe changes neither the files nor the
//! exit code; a product that cannot be written is an error.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

use std::fs;
use std::io::{Read as _, Seek as _, Write as _, pipe};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::snapshot::{files, root};
use tempfile::TempDir;

/// Where a stream leads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum To {
    /// A file.
    File,
    /// A pipe whose reader is gone.
    Nobody,
    /// A pipe whose reader takes a line and goes.
    Head,
    /// A device that takes nothing.
    #[cfg(target_os = "linux")]
    FullDisk,
}

/// A command with its exit code, and what it reads.
struct Case {
    args: &'static [&'static str],
    code: i32,
    input: &'static str,
}

const RESOURCES: &str = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: policy/v1beta1\n  kind: \
                         PodSecurityPolicy\n  metadata: {name: p}\n  spec: {privileged: 3}\n";

/// Every command, with the exit codes that scripts rely on.
const CASES: &[Case] = &[
    Case { args: &["--help"], code: 0, input: "" },
    Case { args: &["--version"], code: 0, input: "" },
    Case { args: &["cnvert"], code: 2, input: "" },
    Case { args: &["convert", "psp.yaml"], code: 0, input: "" },
    Case { args: &["convert", "psp.yaml", "-o", "rules/", "--report", "json"], code: 0, input: "" },
    Case { args: &["convert", "absent.yaml"], code: 2, input: "" },
    Case { args: &["explain", "psp.yaml"], code: 0, input: "" },
    Case { args: &["generate"], code: 0, input: "" },
    Case { args: &["generate", "--check"], code: 1, input: "" },
    Case { args: &["generate", "--stdout"], code: 0, input: "" },
    Case { args: &["generate", "--print-schema"], code: 0, input: "" },
    Case { args: &["krm"], code: 1, input: RESOURCES },
    Case { args: &["replay", "--audit-log", "audit.log.gz", "psp.yaml"], code: 0, input: "" },
    Case {
        args: &["replay", "--fail-on-alerts", "--format", "json", "--audit-log", "audit.log.gz", "psp.yaml"],
        code: 1,
        input: "",
    },
    Case { args: &["lint", "typos.yaml"], code: 1, input: "" },
    Case { args: &["lint", "--format", "json", "typos.yaml"], code: 1, input: "" },
    Case { args: &["completions", "bash"], code: 0, input: "" },
    Case { args: &["man"], code: 0, input: "" },
    Case { args: &["man", "-o", "man/"], code: 0, input: "" },
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("fixtures/psp/policies/kubernetes-restricted.yaml", "psp.yaml"),
        ("fixtures/audit/audit.log.gz", "audit.log.gz"),
        ("fixtures/lint/typos.yaml", "typos.yaml"),
    ] {
        fs::copy(root().join(from), folder.path().join(to)).unwrap();
    }
    let config = "version: 1\nsources: [psp.yaml]\noutputs: {rules: out/, reports: [markdown]}\n";
    fs::write(folder.path().join("psp2falco.yaml"), config).unwrap();
    folder
}

/// The exit code of a run, and what it wrote to the two streams where they are files.
fn run(folder: &Path, case: &Case, out: To, err: To) -> (Option<i32>, String, String) {
    let mut heads = Vec::new();
    let mut stream = |to: To| -> (Stdio, Option<fs::File>) {
        match to {
            To::File => {
                let file = tempfile::tempfile().unwrap();
                (file.try_clone().unwrap().into(), Some(file))
            }
            To::Nobody => (pipe().unwrap().1.into(), None),
            To::Head => {
                let (mut reader, writer) = pipe().unwrap();
                heads.push(std::thread::spawn(move || reader.read(&mut [0; 10]).unwrap()));
                (writer.into(), None)
            }
            #[cfg(target_os = "linux")]
            To::FullDisk => (fs::File::create("/dev/full").unwrap().into(), None),
        }
    };
    let ((stdout, out), (stderr, err)) = (stream(out), stream(err));
    let mut child = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
        .args(case.args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(case.input.as_bytes()).unwrap();
    let code = child.wait().unwrap().code();
    for head in heads {
        head.join().unwrap();
    }
    let text = |file: Option<fs::File>| {
        let mut text = String::new();
        if let Some(mut file) = file {
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
        }
        text
    };
    (code, text(out), text(err))
}

/// The files of a folder with what is in them.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: &std::path::PathBuf| fs::read(folder.join(path)).unwrap();
    files(folder).iter().map(|path| (path.display().to_string(), read(path))).collect()
}

#[test]
fn a_reader_that_leaves_changes_neither_files_nor_the_exit_code() {
    for case in CASES {
        let whole = folder();
        let (code, product, messages) = run(whole.path(), case, To::File, To::File);
        assert_eq!(code, Some(case.code), "{:?}: {messages}", case.args);
        assert!(!product.is_empty() || !messages.is_empty(), "{:?} says nothing", case.args);
        for (out, err) in [
            (To::Nobody, To::File),
            (To::File, To::Nobody),
            (To::Nobody, To::Nobody),
            (To::Head, To::File),
            (To::Head, To::Head),
        ] {
            let temp = folder();
            let (code, part, heard) = run(temp.path(), case, out, err);
            assert_eq!(code, Some(case.code), "{:?} to {out:?} and {err:?}: {heard}", case.args);
            assert!(
                contents(temp.path()) == contents(whole.path()),
                "{:?} to {out:?} and {err:?}",
                case.args
            );
            if out == To::File {
                assert_eq!(part, product, "{:?}", case.args);
            }
            if err == To::File {
                assert_eq!(heard, messages, "{:?}", case.args);
            }
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_product_that_cannot_be_written_is_an_error_and_messages_are_not() {
    for case in CASES {
        let whole = folder();
        let (_, product, messages) = run(whole.path(), case, To::File, To::File);
        let before = folder();
        let temp = folder();
        let (code, _, said) = run(temp.path(), case, To::FullDisk, To::File);
        if product.is_empty() {
            assert_eq!((code, said), (Some(case.code), messages), "{:?}", case.args);
        } else {
            assert_eq!(code, Some(2), "{:?}", case.args);
            assert!(said.contains("standard output: No space left on device"), "{:?}: {said}", case.args);
            assert!(contents(temp.path()) == contents(before.path()), "{:?}", case.args);
        }
        let temp = folder();
        let (code, said, _) = run(temp.path(), case, To::File, To::FullDisk);
        assert_eq!((code, said), (Some(case.code), product), "{:?}", case.args);
        assert!(contents(temp.path()) == contents(whole.path()), "{:?}", case.args);
    }
}
