//! What goes wrong around the program: killed, disk full, targets of all kinds, input that cannot be read or never
//! ends. The old file stays or the new one stands, never half of it; and each fault is said, with exit code 2.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::indexing_slicing)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

const SMALL: &str = "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: small}
spec:
  seLinux: {rule: RunAsAny}
  runAsUser: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
";

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_psp2falco"));
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error of a run.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let output = program(folder, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The errors of a run that must have failed.
fn failed(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(folder, args);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    err
}

fn done(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(folder, args);
    assert_eq!(code, Some(0), "{err}");
    out
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// A folder with many policies, and their rules.
fn many() -> (TempDir, String) {
    let policies: Vec<String> = (0..150).map(|n| SMALL.replace("small", &format!("small-{n}"))).collect();
    let temp = folder(&[("many.yaml", &policies.join("---\n")), ("psp.yaml", SMALL)]);
    let expected = done(temp.path(), &["convert", "many.yaml"]);
    (temp, expected)
}

/// Is there a tool of this name?
fn has(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_file_or_the_new_one() {
    let (temp, new) = many();
    let target = temp.path().join("out/rules.yaml");
    let old = "# made by psp2falco\n".to_owned();
    let convert = || program(temp.path(), &["convert", "many.yaml", "-o", "out/rules.yaml"]);
    fs::create_dir(temp.path().join("out")).unwrap();
    fs::write(&target, &old).unwrap();
    let start = Instant::now();
    assert!(convert().stderr(Stdio::null()).status().unwrap().success());
    let whole = start.elapsed();
    let (mut olds, mut news) = (0, 0);
    for step in 0..60 {
        fs::write(&target, &old).unwrap();
        let mut child = convert().stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * step / 55);
        child.kill().unwrap();
        child.wait().unwrap();
        match fs::read_to_string(&target).unwrap() {
            text if text == old => olds += 1,
            text if text == new => news += 1,
            text => panic!("half a file of {} bytes", text.len()),
        }
    }
    eprintln!("killed {olds} times before the new file was in place, and {news} times after");
    // what a killed run leaves is no rules file, and the next run but an hour later removes it
    let left = temp.path().join("out/.psp2falco-Ab3xYz");
    let others = [".psp2falco-notes", ".psp2falco-Ab3xY!"].map(|name| temp.path().join("out").join(name));
    let hours_ago = SystemTime::now() - Duration::from_secs(7200);
    for path in others.iter().chain([&left]) {
        fs::write(path, "half").unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(hours_ago).unwrap();
    }
    let fresh = temp.path().join("out/.psp2falco-Fresh1");
    fs::write(&fresh, "another run's").unwrap();
    done(temp.path(), &["convert", "many.yaml", "-o", "out/rules.yaml"]);
    assert!(!left.exists() && fresh.exists() && others.iter().all(|path| path.exists()));
}

/// A shell that sends signals at once.
struct Signals(Child);

impl Signals {
    fn new() -> Self {
        Self(Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Sends a signal, and returns when that is done.
    fn send(&mut self, name: &str, child: &Child) {
        let line = format!("kill -{name} {}; echo\n", child.id());
        self.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut done = [0];
        self.0.stdout.as_mut().unwrap().read_exact(&mut done).unwrap();
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command` until it is caught in the middle of writing into `out`, with its temporary file there; it stands
/// still then.
fn caught(mut command: impl FnMut() -> Command, out: &Path, signals: &mut Signals) -> Child {
    let temporary = || names(out).iter().any(|name| name.starts_with(".psp2falco-"));
    for _ in 0..200 {
        let mut child = command().stderr(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            if !temporary() {
                continue;
            }
            signals.send("STOP", &child);
            if temporary() {
                return child;
            }
            signals.send("CONT", &child);
        }
    }
    panic!("was never seen to write");
}

/// Does this process, and so what it starts, ignore a signal? Where the system does not tell, no.
pub fn ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

#[test]
fn told_to_end_it_removes_its_temporary_file_and_dies_of_the_signal() {
    let (temp, new) = many();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let old = "# made by psp2falco\n".to_owned();
    // what is there already would not be written again
    let convert = || {
        fs::write(out.join("rules.yaml"), &old).unwrap();
        program(temp.path(), &["convert", "many.yaml", "-o", "out/rules.yaml"])
    };
    let mut signals = Signals::new();
    for (name, number) in [("HUP", 1), ("INT", 2), ("TERM", 15)] {
        let mut killed = || {
            let mut child = caught(convert, &out, &mut signals);
            signals.send(name, &child);
            signals.send("CONT", &child);
            let status = child.wait().unwrap();
            assert_eq!(names(&out), ["rules.yaml"], "{name}");
            let text = fs::read_to_string(out.join("rules.yaml")).unwrap();
            assert!(text == old || text == new, "{name}: {} bytes", text.len());
            // it may be done before the signal comes through
            assert!(status.signal() == Some(number) || status.success() && text == new, "{name}: {status}");
            status.signal() == Some(number)
        };
        // what this test was told to ignore (in the background, under nohup), the program was told too
        let ends = !ignored(number);
        assert_eq!((0..20).any(|_| killed()), ends, "{name}: does it end it?");
    }
    // at any other moment too
    let start = Instant::now();
    assert!(convert().stderr(Stdio::null()).status().unwrap().success());
    let whole = start.elapsed();
    for step in 0..30 {
        let mut child = convert().stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * step / 25);
        // not yet waited for, so that its id is its own even when it has ended
        signals.send("TERM", &child);
        let status = child.wait().unwrap();
        assert!(status.success() || status.signal() == Some(15), "{status}");
        assert_eq!(names(&out), ["rules.yaml"]);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_signal_that_its_caller_ignores_does_not_end_it() {
    let (temp, new) = many();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let script = format!(
        "trap '' HUP; exec '{}' convert many.yaml -o out/rules.yaml",
        env!("CARGO_BIN_EXE_psp2falco")
    );
    let ignoring = || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(temp.path());
        let _ = fs::remove_file(out.join("rules.yaml"));
        command
    };
    let mut signals = Signals::new();
    let mut child = caught(ignoring, &out, &mut signals);
    signals.send("HUP", &child);
    signals.send("CONT", &child);
    assert!(child.wait().unwrap().success());
    assert_eq!(names(&out), ["rules.yaml"]);
    assert_eq!(fs::read_to_string(out.join("rules.yaml")).unwrap(), new);
}

#[test]
fn two_runs_at_once_leave_one_of_the_two_results() {
    let (temp, many) = many();
    let one = done(temp.path(), &["convert", "psp.yaml"]);
    for _ in 0..5 {
        let start = |input: &str| -> Child {
            program(temp.path(), &["convert", input, "-o", "out/rules.yaml"])
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let children: Vec<Child> = ["many.yaml", "psp.yaml", "many.yaml", "psp.yaml"].map(start).into();
        for mut child in children {
            assert!(child.wait().unwrap().success());
            let text = fs::read_to_string(temp.path().join("out/rules.yaml")).unwrap();
            assert!(text == many || text == one, "{} bytes", text.len());
        }
        assert_eq!(names(&temp.path().join("out")), ["rules.yaml"]);
    }
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let (temp, _) = many();
    let old = "# made by psp2falco\nold\n";
    fs::create_dir(temp.path().join("out")).unwrap();
    fs::write(temp.path().join("out/rules.yaml"), old).unwrap();
    // the shell's limit on the size of files stands for the disk's end: the signal is ignored, the write fails
    let program = env!("CARGO_BIN_EXE_psp2falco");
    let script = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' convert many.yaml -o out/rules.yaml");
    let output = Command::new("sh").args(["-c", &script]).current_dir(temp.path()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.starts_with("out/rules.yaml: "), "{err}");
    assert_eq!(fs::read_to_string(temp.path().join("out/rules.yaml")).unwrap(), old);
    assert_eq!(names(&temp.path().join("out")), ["rules.yaml"]);
}

/// Needs the right to mount: `sudo -E cargo test --test it faults:: -- --ignored full_file_system`.
#[test]
#[ignore = "mounts a small file system"]
fn a_full_file_system_leaves_the_old_file() {
    let (temp, _) = many();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&out).status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no right to mount a file system");
        return;
    }
    let old = "# made by psp2falco\nold\n";
    fs::write(out.join("rules.yaml"), old).unwrap();
    let (code, _, err) = run(temp.path(), &["convert", "many.yaml", "-o", "out/rules.yaml"]);
    let left = (fs::read_to_string(out.join("rules.yaml")).unwrap(), names(&out));
    assert!(Command::new("umount").arg(&out).status().unwrap().success());
    assert_eq!(code, Some(2), "{err}");
    assert!(err.starts_with("out/rules.yaml: cannot be written (No space left on device"), "{err}");
    assert_eq!(left, (old.to_owned(), vec!["rules.yaml".to_owned()]));
}

#[test]
fn full_devices_are_said() {
    let temp = folder(&[("psp.yaml", SMALL)]);
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: there is no /dev/full");
        return;
    }
    let err = failed(temp.path(), &["convert", "psp.yaml", "-o", "/dev/full"]);
    assert!(err.starts_with("/dev/full: cannot be written: No space left on device"), "{err}");
    for args in [["convert", "psp.yaml"], ["explain", "psp.yaml"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program(temp.path(), &args).stdout(full).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.starts_with("standard output: No space left on device"), "{err}");
    }
}

#[test]
fn targets_of_all_kinds() {
    let temp = folder(&[("psp.yaml", SMALL), ("taken/psp_audit_rules.yaml/x", ""), ("plain", "")]);
    let path = |name: &str| temp.path().join(name);
    let expected = done(temp.path(), &["convert", "psp.yaml"]);
    let convert = |output: &str| run(temp.path(), &["convert", "psp.yaml", "-o", output]);

    symlink("nowhere.yaml", path("dangling.yaml")).unwrap();
    assert_eq!(convert("dangling.yaml").0, Some(0));
    assert_eq!(fs::read_to_string(path("nowhere.yaml")).unwrap(), expected);
    assert!(fs::symlink_metadata(path("dangling.yaml")).unwrap().is_symlink());

    symlink("b.yaml", path("a.yaml")).unwrap();
    symlink("a.yaml", path("b.yaml")).unwrap();
    for (output, said) in [
        (
            "a.yaml",
            "a.yaml: cannot be read (too many symbolic links), so it is not overwritten; choose another file",
        ),
        ("taken", "taken/psp_audit_rules.yaml: is a folder; name a file"),
        ("plain/rules.yaml", "plain: no folder can be made here ("),
        ("psp.yaml/", "psp.yaml: no folder can be made here ("),
    ] {
        let (code, _, err) = convert(output);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.starts_with(said), "{output}: {err}");
    }

    // a pipe takes the bytes as they come
    if has("mkfifo") {
        assert!(Command::new("mkfifo").arg(path("pipe.yaml")).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = path("pipe.yaml");
            move || fs::read_to_string(pipe).unwrap()
        });
        assert_eq!(convert("pipe.yaml").0, Some(0));
        assert_eq!(reader.join().unwrap(), expected);
    } else {
        eprintln!("SKIPPED: there is no mkfifo");
    }
}

/// The program as a user whom permissions bind; root is bound by none.
fn as_nobody(folder: &Path, args: &[&str]) -> Option<(Option<i32>, String)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.uid() == 0
    });
    let mut command = if is_root {
        if !has("setpriv") {
            eprintln!("SKIPPED: permissions do not bind root, and there is no setpriv");
            return None;
        }
        // where nobody may run it; another process copies it, since a child that another test starts in this moment
        // would inherit the open copy, and what is open for writing cannot be run
        let copy = folder.join("psp2falco");
        let copied =
            Command::new("install").args(["-m", "755", env!("CARGO_BIN_EXE_psp2falco")]).arg(&copy).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_psp2falco"))
    };
    let output = command.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    Some((output.status.code(), String::from_utf8(output.stderr).unwrap()))
}

#[test]
fn permissions_are_said_and_break_nothing() {
    let temp = folder(&[
        ("in/1.yaml", SMALL),
        ("in/2.yaml", &SMALL.replace("small", "secret")),
        ("in/closed/3.yaml", ""),
        ("out/rules.yaml", "# made by psp2falco\n"),
        ("psp.yaml", SMALL),
    ]);
    let mode = |name: &str, mode| {
        fs::set_permissions(temp.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(".", 0o755);
    mode("in/2.yaml", 0o000);
    mode("in/closed", 0o000);
    mode("out", 0o555);
    let read = as_nobody(temp.path(), &["convert", "in"]);
    let write = as_nobody(temp.path(), &["convert", "psp.yaml", "-o", "out/rules.yaml"]);
    mode("in/closed", 0o755);
    mode("out", 0o755);
    let (Some((read, said)), Some((write, refused))) = (read, write) else { return };
    assert_eq!(
        (read, said.as_str()),
        (
            Some(2),
            "in/2.yaml: no permission to read this; change its mode or the user\n\
             in/closed: no permission to read this; change its mode or the user\n"
        )
    );
    assert_eq!(write, Some(2), "{refused}");
    assert!(refused.starts_with("out: no file can be made here ("), "{refused}");
    assert_eq!(fs::read_to_string(temp.path().join("out/rules.yaml")).unwrap(), "# made by psp2falco\n");
    assert_eq!(names(&temp.path().join("out")), ["rules.yaml"]);
}

/// What the README's table says of each input.
#[test]
fn no_input_is_passed_over_in_silence() {
    let config_map = "apiVersion: v1\nkind: ConfigMap\n";
    let temp = folder(&[
        ("fine/a.yaml", SMALL),
        ("mixed/a.yaml", SMALL),
        ("mixed/b.yaml", config_map),
        ("mixed/notes.txt", "hello"),
        ("others/a.yaml", config_map),
        ("list.yaml", "apiVersion: v1\nkind: List\nitems: []\n"),
        ("blank.yaml", "# nothing\n---\n"),
        ("bad/a.yaml", SMALL),
        ("bad/b.yaml", "kind: [\n# PodSecurityPolicy\n"),
        ("odd/a.yaml", SMALL),
        ("odd/b.yaml", "kind: [\n"),
        ("gone/a.yaml", SMALL),
    ]);
    fs::create_dir(temp.path().join("empty")).unwrap();
    symlink("nowhere", temp.path().join("gone/b.yaml")).unwrap();
    for (input, code, said) in [
        ("fine", 0, "1 policy, "),
        ("mixed", 0, "passed over: 1 ConfigMap"),
        ("others", 2, "others: no PodSecurityPolicy here; found 1 ConfigMap"),
        ("list.yaml", 2, "list.yaml: no PodSecurityPolicy here; found nothing at all"),
        ("blank.yaml", 2, "blank.yaml: no PodSecurityPolicy here; found nothing at all"),
        ("empty", 2, "empty: no PodSecurityPolicy here; found nothing at all"),
        ("absent", 2, "absent: no such file or folder; check the path"),
        ("bad", 2, "bad/b.yaml:1:7: not valid YAML: "),
        ("odd", 0, "not read: 1 unreadable file without the word PodSecurityPolicy"),
        ("gone", 0, "not read: 1 unreadable file without the word PodSecurityPolicy"),
    ] {
        let (found, out, err) = run(temp.path(), &["convert", input]);
        assert_eq!(found, Some(code), "{input}: {err}");
        assert!(err.contains(said), "{input}: {err}");
        assert_eq!(out.is_empty(), code == 2, "{input}");
    }
}

#[test]
fn loops_of_links_end_and_pipes_in_folders_are_left_alone() {
    let temp = folder(&[("in/a.yaml", SMALL), ("in/deep/b.txt", "")]);
    symlink("..", temp.path().join("in/deep/up")).unwrap();
    symlink("in", temp.path().join("in/again")).unwrap();
    symlink(".", temp.path().join("in/deep/here")).unwrap();
    fs::remove_file(temp.path().join("in/again")).unwrap();
    if has("mkfifo") {
        assert!(Command::new("mkfifo").arg(temp.path().join("in/pipe.yaml")).status().unwrap().success());
    }
    let expected = done(temp.path(), &["convert", "in/a.yaml"]);
    assert_eq!(done(temp.path(), &["convert", "in"]), expected);
    let mut deep = temp.path().join("in");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    assert_eq!(done(temp.path(), &["convert", "in"]), expected);
}

#[test]
fn what_never_ends_is_refused() {
    let temp = folder(&[("psp.yaml", SMALL)]);
    if !Path::new("/dev/zero").exists() {
        eprintln!("SKIPPED: there is no /dev/zero");
        return;
    }
    let err = failed(temp.path(), &["convert", "/dev/zero"]);
    assert!(err.starts_with("/dev/zero: cannot be read: larger than 256 MiB"), "{err}");
}

#[test]
fn templates_that_never_end_or_are_none_are_refused() {
    let temp = folder(&[
        ("psp.yaml", SMALL),
        ("self/audit/violation.yaml.hbs", "{{> violation}}"),
        ("circle/audit/violation.yaml.hbs", "{{> output}}"),
        ("circle/audit/output.yaml.hbs", "{{> violation}}"),
        ("deep/audit/violation.yaml.hbs", &"{{#if x}}".repeat(100_000)),
        ("long/audit/violation.yaml.hbs", &"x".repeat(300 * 1024)),
        ("folder/audit/violation.yaml.hbs/x", ""),
        ("run/audit/privileged.yaml.hbs", "{{#if refuses}}\n{{nothing.there}}\n{{/if}}"),
    ]);
    for (templates, said) in [
        ("self", "self/audit/violation.yaml.hbs: includes itself (violation includes violation)"),
        (
            "circle",
            "circle/audit/output.yaml.hbs: includes itself (output includes violation includes output)",
        ),
        ("deep", "deep/audit/violation.yaml.hbs: longer than 256 KiB"),
        ("long", "long/audit/violation.yaml.hbs: longer than 256 KiB"),
        ("folder", "folder/audit/violation.yaml.hbs: not a file"),
        ("run", "psp.yaml:1:1: privileged: run/audit/privileged.yaml.hbs:2:"),
    ] {
        let err = failed(temp.path(), &["convert", "psp.yaml", "--templates", templates]);
        assert!(err.starts_with(said), "{templates}: {err}");
    }
}

/// Bytes of an archive that unpacks to far more: `parts` times `part`, packed.
fn packed(parts: usize, part: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..parts {
        gzip.write_all(part).unwrap();
    }
    gzip.finish().unwrap()
}

fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn archives_can_neither_climb_nor_burst() {
    let temp = folder(&[("keep.yaml", "kept")]);
    // a long name of 1 GiB would have to be held in memory
    let mut long_name = packed(1, &header("././@LongLink", b'L', 1 << 30));
    long_name.extend(packed(1024, &[b'x'; 1 << 20]));
    let mut big = packed(1, &header("big.yaml", b'0', 1 << 30));
    big.extend(packed(300, &[b'#'; 1 << 20]));
    // paths, links and devices are names and no more
    let mut tar = Vec::new();
    for (name, kind) in
        [("up.yaml", b'0'), ("link.yaml", b'2'), ("hard.yaml", b'1'), ("dev.yaml", b'3'), ("pipe.yaml", b'6')]
    {
        let body = if kind == b'0' { SMALL } else { "" };
        let mut bytes = header(name, kind, body.len() as u64);
        if kind == b'0' {
            // the library refuses to write such a name
            bytes[..16].copy_from_slice(b"../../keep.yaml\0");
            bytes[148..156].copy_from_slice(b"        ");
            let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
            bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        tar.extend(bytes);
        tar.extend(body.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.extend([0; 1024]);
    for (name, bytes) in [("name.tgz", &long_name), ("big.tgz", &big), ("climb.tar", &tar)] {
        fs::write(temp.path().join(name), bytes).unwrap();
    }
    let err = failed(temp.path(), &["convert", "name.tgz"]);
    assert_eq!(err, "name.tgz: cannot be read: a file name longer than 64 KiB\n");
    let err = failed(temp.path(), &["convert", "big.tgz"]);
    assert_eq!(err, "big.tgz/big.yaml: cannot be read: larger than 256 MiB; split it\n");
    let shown = done(temp.path(), &["explain", "climb.tar"]);
    assert!(shown.starts_with("small (climb.tar/../../keep.yaml:1:1, "), "{shown}");
    assert_eq!(fs::read_to_string(temp.path().join("keep.yaml")).unwrap(), "kept");
}

/// Heavy: some GB of input, made and read. `cargo test --release --test it faults:: -- --ignored --nocapture heavy`
#[test]
#[ignore = "some GB of input; run it in a release build"]
fn heavy_input_is_refused_in_bounded_time_and_memory() {
    let temp = folder(&[]);
    let items = |n: usize| -> String {
        (0..n)
            .map(|n| {
                format!("- {}\n", SMALL.replace("small", &format!("s{n}")).trim_end().replace('\n', "\n  "))
            })
            .collect()
    };
    let million = format!("apiVersion: v1\nkind: List\nitems:\n{}", items(1_000_000));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("1-gb.yaml", vec![b'#'; 1 << 30], "1-gb.yaml: cannot be read: larger than 256 MiB"),
        ("million.yaml", million.into_bytes(), ": more than 4000000 values in one document"),
        (
            "documents.yaml",
            (0..1_000_000)
                .map(|n| SMALL.replace("small", &format!("s{n}")) + "---\n")
                .collect::<String>()
                .into_bytes(),
            ": more than 10000 policies; convert them in several runs",
        ),
        ("same.yaml", format!("{SMALL}---\n").repeat(200_000).into_bytes(), "too many problems to go on"),
        (
            "kinds.yaml",
            (0..3_000_000).map(|n| format!("kind: K{n}\n---\n")).collect::<String>().into_bytes(),
            "no PodSecurityPolicy here",
        ),
        ("flow.json", "[".repeat(200 << 20).into_bytes(), "nested too deep"),
        ("block.yaml", "- ".repeat(100 << 20).into_bytes(), "nested too deep"),
        ("bomb.tgz", packed(9 << 10, &[b'#'; 1 << 20]), "cannot be read: larger than 256 MiB"),
        (
            "bomb.tar.gz",
            {
                let mut bytes = packed(1, &header("big.bin", b'0', 9 << 30));
                bytes.extend(packed(9 << 10, &[0; 1 << 20]));
                bytes
            },
            "unpacks to more than 8 GiB",
        ),
    ];
    for (name, bytes, said) in cases {
        let path = temp.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        let mut child = program(temp.path(), &["convert", name])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        let mut stderr = child.stderr.take().unwrap();
        let err = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text)
        });
        let code = loop {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            peak = peak.max(line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() / 1024);
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let err = err.join().unwrap().unwrap();
        eprintln!("{name}: {} MB, {:.1} s, peak {peak} MB", bytes.len() >> 20, start.elapsed().as_secs_f64());
        assert_eq!(code, Some(2), "{name}: {err}");
        assert!(err.contains(said), "{name}: {}", err.lines().last().unwrap_or_default());
        assert!(peak < 2048, "{name}: {peak} MB");
        fs::remove_file(&path).unwrap();
    }
}
