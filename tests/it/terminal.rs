//! The program on a terminal, 80 columns wide: every command ends, nothing is wider than the terminal where the
//! program lays out text, colours and progress show there and nowhere else, and Ctrl-C leaves a clean line.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::CommandFactory as _;
use psp2falco::cli::Cli;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use tempfile::TempDir;

use crate::faults::ignored;
use crate::snapshot::root;

const WIDTH: u16 = 80;
/// How long a run may take before it is taken to hang; a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(120);
const CTRL_C: &[u8] = b"\x03";
const CTRL_D: &[u8] = b"\x04";

/// A run of the program on a terminal.
struct Session {
    pty: Arc<Pty>,
    child: Child,
    pieces: Receiver<Vec<u8>>,
    shown: Vec<u8>,
    start: Instant,
}

/// What a run came to.
struct Ended {
    status: ExitStatus,
    shown: Vec<u8>,
}

impl Session {
    /// Starts the program with all three streams on a terminal, but those that `with` puts elsewhere.
    fn start(folder: &Path, args: &[&str], with: impl FnOnce(Command) -> Command) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(24, WIDTH)).unwrap();
        let program = env!("CARGO_BIN_EXE_psp2falco");
        // the shell of a terminal leaves Ctrl-C as it is, whatever this test was told to ignore (in the background)
        let command = match ignored(2) {
            true => Command::new("env").args(["--default-signal=INT", program]),
            false => Command::new(program),
        };
        let command = command
            .args(args)
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .env_remove("KUBECONFIG");
        let child = with(command).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (send, pieces) = channel();
        let terminal = Arc::clone(&pty);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            // on Linux, the end of the last program on a terminal is an error
            while let Ok(length @ 1..) = (&*terminal).read(&mut piece) {
                if send.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pty, child, pieces, shown: Vec::new(), start: Instant::now() }
    }

    fn press(&self, keys: &[u8]) {
        (&*self.pty).write_all(keys).unwrap();
    }

    /// How long it may still take.
    fn left(&self) -> Duration {
        PATIENCE.saturating_sub(self.start.elapsed())
    }

    fn hangs(&mut self, what: &str) -> ! {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let first = &self.shown[..self.shown.len().min(4000)];
        panic!("{what}; on the terminal is\n{}", String::from_utf8_lossy(first));
    }

    /// Waits until the terminal has shown something.
    fn until(&mut self, what: &str, is_there: impl Fn(&str) -> bool) {
        while !is_there(&String::from_utf8_lossy(&self.shown)) {
            match self.pieces.recv_timeout(self.left()) {
                Ok(piece) => self.shown.extend(piece),
                Err(error) => self.hangs(&format!("{what} did not come ({error})")),
            }
        }
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        loop {
            match self.pieces.recv_timeout(self.left()) {
                Ok(piece) => self.shown.extend(piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.hangs("it does not end"),
            }
        }
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended { status, shown: self.shown };
            }
            if self.left().is_zero() {
                self.hangs("it has left the terminal and does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a person sees in the end: the lines, and where the cursor is.
struct Screen {
    lines: Vec<String>,
    column: usize,
    cursor_is_hidden: bool,
}

impl Ended {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    fn is_coloured(&self) -> bool {
        let text = self.text();
        text.split("\x1b[").skip(1).any(|rest| {
            let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let (colour, rest) = rest.split_at(end);
            rest.starts_with('m') && !matches!(colour, "" | "0")
        })
    }

    /// Plays the bytes on a screen as wide as one likes.
    fn screen(&self) -> Screen {
        let text = self.text();
        let mut rows: Vec<Vec<char>> = vec![Vec::new()];
        let (mut row, mut column, mut cursor_is_hidden) = (0_usize, 0_usize, false);
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\r' => column = 0,
                '\n' => row += 1,
                '\u{8}' => column = column.saturating_sub(1),
                '\x1b' => {
                    assert_eq!(letters.next(), Some('['), "an escape sequence that is not known here");
                    let mut number = String::new();
                    let last = loop {
                        match letters.next().unwrap() {
                            letter if letter.is_ascii_alphabetic() => break letter,
                            letter => number.push(letter),
                        }
                    };
                    let count = number.parse::<usize>().unwrap_or(1);
                    match last {
                        'm' => {}
                        'A' => row = row.saturating_sub(count),
                        'B' => row += count,
                        'G' => column = count - 1,
                        'K' if number == "2" => rows[row].clear(),
                        'K' => rows[row].truncate(column),
                        'J' => {
                            rows[row].truncate(column);
                            rows.truncate(row + 1);
                        }
                        'h' | 'l' if number == "?25" => cursor_is_hidden = last == 'l',
                        _ => panic!("an escape sequence that is not known here: {number}{last}"),
                    }
                }
                letter => {
                    let line = &mut rows[row];
                    line.resize(line.len().max(column + 1), ' ');
                    line[column] = letter;
                    column += 1;
                }
            }
            rows.resize(rows.len().max(row + 1), Vec::new());
        }
        let lines = rows.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
        Screen { lines, column, cursor_is_hidden }
    }

    /// The screen of a run that left the line clean: nothing of a bar, and the cursor at the start of a line.
    fn clean(&self) -> Screen {
        let screen = self.screen();
        let shown = screen.lines.join("\n");
        assert!(!shown.contains('█') && !shown.contains('░') && !shown.contains(" to go"), "{shown}");
        assert_eq!((screen.column, screen.cursor_is_hidden), (0, false), "{shown}");
        screen
    }
}

const POLICY: &str = "psp.yaml";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("fixtures/psp/policies/kubernetes-restricted.yaml", POLICY),
        ("fixtures/audit/audit.log.gz", "audit.log.gz"),
        ("fixtures/lint/typos.yaml", "typos.yaml"),
    ] {
        fs::copy(root().join(from), folder.path().join(to)).unwrap();
    }
    let config = "version: 1\nsources: [psp.yaml]\noutputs: {rules: out/}\n";
    fs::write(folder.path().join("psp2falco.yaml"), config).unwrap();
    fs::write(folder.path().join("old.yaml"), "# made by psp2falco\n- macro: old\n  condition: never\n")
        .unwrap();
    folder
}

fn anywhere(command: Command) -> Command {
    command
}

/// Commands and their exit codes; each command of the program is among them.
const RUNS: &[(&[&str], i32)] = &[
    (&[], 2),
    (&["--help"], 0),
    (&["--version"], 0),
    (&["cnvert"], 2),
    (&["convert"], 2),
    (&["convert", POLICY], 0),
    (&["convert", POLICY, "-o", "rules/"], 0),
    (&["convert", POLICY, "-o", "old.yaml", "--diff"], 0),
    (&["explain", POLICY], 0),
    (&["generate"], 0),
    (&["generate", "--check"], 1),
    (&["replay", "--audit-log", "audit.log.gz", POLICY], 0),
    (&["replay", "--audit-log", "audit.log.gz", "--format", "json", "--fail-on-alerts", POLICY], 1),
    (&["lint", "typos.yaml"], 1),
    (&["completions", "bash"], 0),
    (&["man", "convert"], 0),
    #[cfg(feature = "cluster")]
    (&["scan", "--kubeconfig", "absent"], 2),
];

/// Commands that show tables.
const TABLES: [&[&str]; 2] = [&["explain", POLICY], &["replay", "--audit-log", "audit.log.gz", POLICY]];

#[test]
fn every_command_ends_on_a_terminal() {
    let mut commands: BTreeSet<String> =
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for (args, code) in RUNS {
        if let Some(command) = args.first() {
            commands.remove(*command);
        }
        let temp = folder();
        let ended = Session::start(temp.path(), args, anywhere).end();
        assert_eq!(ended.status.code(), Some(*code), "{args:?}: {}", ended.text());
        let screen = ended.clean();
        let all = screen.lines.join("\n");
        assert!(!all.trim().is_empty(), "{args:?} says nothing");

        // without colour, where that is wished
        let temp = folder();
        let plain = Session::start(temp.path(), args, |command| command.env("NO_COLOR", "1")).end();
        assert_eq!(plain.status.code(), Some(*code), "{args:?}: {}", plain.text());
        assert!(!plain.is_coloured(), "{args:?}: {:?}", plain.text());
        assert_eq!(plain.clean().lines.join("\n"), all, "{args:?}");

        // the product in a file, messages on the terminal
        let temp = folder();
        let file = temp.path().join("product");
        let to_file = |command: Command| command.stdout(File::create(&file).unwrap());
        let split = Session::start(temp.path(), args, to_file).end();
        assert_eq!(split.status.code(), Some(*code), "{args:?}: {}", split.text());
        let product = fs::read_to_string(&file).unwrap();
        assert!(!product.contains('\x1b'), "{args:?}: {product:?}");
        // help and tables are as wide as what they go to
        if !args.contains(&"--help") && !TABLES.contains(args) {
            let both = product.clone() + &split.clean().lines.join("\n");
            let mut both: Vec<&str> =
                both.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
            let mut all: Vec<&str> = all.lines().filter(|line| !line.is_empty()).collect();
            both.sort_unstable();
            all.sort_unstable();
            assert_eq!(both, all, "{args:?}");
        }
    }
    // a function of kustomize reads what it is given: see below
    assert_eq!(commands, BTreeSet::from(["krm".to_owned()]), "commands without a run here");
}

#[test]
fn what_the_program_lays_out_fits() {
    let temp = folder();
    let mut runs: Vec<Vec<&str>> = vec![vec!["--help"]];
    let command = Cli::command();
    runs.extend(command.get_subcommands().map(|command| vec![command.get_name(), "--help"]));
    runs.extend(TABLES.map(<[&str]>::to_vec));
    for args in runs {
        let ended = Session::start(temp.path(), &args, anywhere).end();
        assert_eq!(ended.status.code(), Some(0));
        for line in ended.clean().lines {
            assert!(line.chars().count() <= usize::from(WIDTH), "{args:?}: {line}");
        }
    }
}

#[test]
fn what_counts_is_coloured_on_a_terminal() {
    for args in [
        &["generate", "--check"][..],
        &["convert", POLICY, "-o", "old.yaml", "--diff"],
        &["explain", POLICY],
        &["lint", "typos.yaml"],
        &["replay", "--audit-log", "audit.log.gz", POLICY],
        &["convert", "absent"],
    ] {
        let temp = folder();
        let ended = Session::start(temp.path(), args, anywhere).end();
        assert!(ended.is_coloured(), "{args:?}: {}", ended.text());
    }
}

#[test]
fn what_is_read_from_a_terminal_is_asked_for() {
    let temp = folder();
    let policy = fs::read_to_string(temp.path().join(POLICY)).unwrap();
    let rules = "- list: web\n  items: [a]\n";
    let list = "kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems: []\n";
    let runs: [(&[&str], &str, i32); 4] = [
        (&["convert", "-"], &policy, 0),
        (&["lint", "-"], rules, 1),
        (&["krm"], list, 0),
        (&["replay", POLICY, "--audit-log", "-"], "{}\n", 2),
    ];
    for (args, input, code) in runs {
        let mut session = Session::start(temp.path(), args, anywhere);
        session.until("the request for input", |shown| shown.contains("then Ctrl-D; Ctrl-C gives up"));
        session.press(input.as_bytes());
        session.press(CTRL_D);
        let ended = session.end();
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {}", ended.text());

        let mut session = Session::start(temp.path(), args, anywhere);
        session.until("the request for input", |shown| shown.contains("then Ctrl-D; Ctrl-C gives up"));
        session.press(CTRL_C);
        assert_eq!(session.end().status.signal(), Some(2), "{args:?}");
    }
}

/// A named pipe in the folder; none where the system has no tool for it.
fn fifo(folder: &Path) -> bool {
    let made = std::process::Command::new("mkfifo").arg(folder.join("log")).status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        eprintln!("SKIPPED: there is no mkfifo");
    }
    made
}

/// Starts a replay of a log that goes on, and waits until its progress is seen.
fn replay(temp: &TempDir, options: &[&str], with: impl FnOnce(Command) -> Command) -> (Session, File) {
    let args = [&["replay", POLICY, "--audit-log", "log"], options].concat();
    let mut session = Session::start(temp.path(), &args, with);
    let mut log = File::options().write(true).open(temp.path().join("log")).unwrap();
    log.write_all(&fs::read(temp.path().join("audit.log.gz")).unwrap()).unwrap();
    session.until("progress", |shown| shown.contains("KiB") || shown.contains(" B"));
    (session, log)
}

#[test]
fn a_replay_shows_progress_and_clears_it() {
    let temp = folder();
    if !fifo(temp.path()) {
        return;
    }
    for in_file in [false, true] {
        let file = temp.path().join("product");
        let with = |command: Command| match in_file {
            true => command.stdout(File::create(&file).unwrap()),
            false => command,
        };
        let (session, log) = replay(&temp, &[], with);
        drop(log);
        let ended = session.end();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.text());
        let screen = ended.clean();
        let last = screen.lines.iter().rfind(|line| !line.is_empty()).unwrap();
        assert!(last.starts_with("43 alerts by 22 rules on 14 events"), "{last}");
        assert!(!screen.lines.iter().any(|line| line.contains("KiB")), "{}", screen.lines.join("\n"));
        let table = if in_file { fs::read_to_string(&file).unwrap() } else { screen.lines.join("\n") };
        let found = if in_file { "PRIORITY  RULE" } else { "    alerts: 5; pods: 5: " };
        assert!(table.contains(found) && table.contains("PSP restricted Violation (hostPorts)"), "{table}");
    }
}

#[test]
fn ctrl_c_ends_a_replay_and_leaves_a_clean_line() {
    let temp = folder();
    if !fifo(temp.path()) {
        return;
    }
    for options in [&[][..], &["--threads", "1"]] {
        let (session, log) = replay(&temp, options, anywhere);
        session.press(CTRL_C);
        let ended = session.end();
        assert_eq!(ended.status.signal(), Some(2), "{}", ended.text());
        let screen = ended.screen();
        let shown = screen.lines.join("\n");
        assert!(!screen.cursor_is_hidden && !shown.contains("KiB") && !shown.contains(" B"), "{shown}");
        drop(log);
    }
}
