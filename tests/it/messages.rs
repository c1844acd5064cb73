//! Every message in the sources is on record: what a string literal says in words stands in
//! `fixtures/expected/help/errors.txt` or `errors-scan.txt`, or in the list here of what no test can bring about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::snapshot::{files, root};
use regex::Regex;

/// Where words are no messages but what rules, reports and Falco say; there, only what an error is made of counts.
const OTHER_WORDS: [&str; 8] = [
    "cli.rs",
    "config/starter.rs",
    "predict",
    "render/",
    "replay/summary.rs",
    "report/",
    "restrictions/",
    "wrap/",
];
/// The calls that errors are made with.
const CALLS: [&str; 9] =
    ["bail!", "anyhow!", "context", "with_context", "Err", "ok_or", "ok_or_else", "problem", "of_file"];

/// Messages that no run here brings about, and words that are none, by the reason.
const UNSEEN: &[(&str, &[&str])] = &[
    (
        "it takes hundreds of megabytes; tests/it/faults.rs has some of these in `heavy` tests",
        &[
            "{FILE}: larger than {} MiB; split it",
            "larger than {} MiB; split it",
            "larger than {} MiB",
            "longer than {} MiB",
            "more than {MAX_MEMBERS} files; split it",
            "unpacks to more than {} GiB; split it",
            "more than {MAX_NODES} values in one document; split it into several files",
            "pods, workloads, service accounts, namespaces and RBAC objects of more than {MAX_OBJECTS} values; leave out the pods, or read in several runs",
            "{place}: the rules grow beyond {} MiB here; convert fewer policies in a run",
            "the answer is larger than {} MiB; is this the API server?",
        ],
    ),
    ("a gigabyte of a file's name: tests/it/faults.rs", &["a file name longer than {} KiB"]),
    (
        "the disk or its permissions fail; root may do everything: tests/it/faults.rs",
        &[
            "no permission to read this; change its mode or the user",
            "{}: cannot be written; what was there stays",
            "{}: no file can be made here; choose another folder",
            "\n{}: is new, since what was there before could not be put back: {error}",
        ],
    ),
    (
        "what comes before leaves no way here",
        &[
            "--audit-log: missing",
            "--plugin: {} policies are more than a bundle may have ({MAX_POLICIES})",
            "{place}: Falco would not load these exceptions, so nothing was written: {finding}",
            "{file}: this format has no objects; use configmap or rulesfile",
            "{place}: the list expired (410)",
        ],
    ),
    (
        "the network or a proxy fails in ways that a loopback does not",
        &[
            "scan: the network cannot be used",
            "scan: the client could not be set up",
            "no connection ({last}); check the address, the network and the proxy",
            "no answer within {} s",
            "TLS: {last}; check certificate-authority and server in the kubeconfig",
            "the credentials of the kubeconfig do not work ({}); correct them",
        ],
    ),
    (
        "looked for in what libraries say",
        &[
            "Connection refused",
            "dns error",
            "failed to lookup",
            "Name or service not known",
            "corrupt message",
            "handshake eof",
            "deadline has elapsed",
            "timed out",
            "tcp connect",
            "connection closed before message completed",
        ],
    ),
    (
        "only a terminal is told: tests/it/terminal.rs",
        &["stdin: type or paste {what}, then Ctrl-D; Ctrl-C gives up", "an audit log", "a rules file"],
    ),
    (
        "looked for in what kubectl says",
        &[
            "error: the server doesn't have a resource type",
            "no matches for kind",
            "Error from server",
            "Unable to connect to the server",
            "No resources found",
        ],
    ),
    ("no message: the look of a progress bar", &["{wide_bar} {bytes} of {total_bytes}, {eta} to go"]),
    (
        "no message: a comment in saved manifests",
        &["left out: RBAC could not be read as a whole", "left out: could not be read"],
    ),
    ("the thousand-and-first kind", &["(other kinds)"]),
];

/// Does a literal say something in words?
fn is_wordy(text: &str) -> bool {
    Regex::new(r"[A-Za-z]{2,}\S* \S*[a-z]{2,}").unwrap().is_match(text)
}

/// The fixed parts of a format string.
fn fixed(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let parts = Regex::new(r"\{[^{}]*\}").unwrap();
    parts.split(&text).map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}")).collect()
}

#[test]
fn every_message_is_on_record() {
    let record: String = ["errors.txt", "errors-scan.txt"]
        .map(|name| fs::read_to_string(root().join("fixtures/expected/help").join(name)).unwrap())
        .concat();
    let mut missing = Vec::new();
    let unseen: Vec<&str> = UNSEEN.iter().flat_map(|(_, texts)| texts.iter().copied()).collect();
    let mut used = vec![false; unseen.len()];
    let mut seen = 0;
    for path in files(&root().join("src")) {
        let name = path.display().to_string();
        if !name.ends_with(".rs") || name.ends_with("tests.rs") {
            continue;
        }
        let other = OTHER_WORDS.iter().any(|start| name.starts_with(start));
        for literal in literals(&fs::read_to_string(root().join("src").join(&path)).unwrap()) {
            let in_error = literal.calls.iter().any(|call| CALLS.contains(&call.as_str()));
            let parts = fixed(&literal.text);
            if (other && !in_error) || !is_wordy(&parts.join(" ")) {
                continue;
            }
            let pattern: Vec<String> = parts.iter().map(|part| regex::escape(part)).collect();
            if let Some(n) = unseen.iter().position(|text| *text == literal.text) {
                used[n] = true;
            } else if record.contains(&literal.text)
                || Regex::new(&pattern.join("[^\n]*?")).unwrap().is_match(&record)
            {
                seen += 1;
            } else {
                missing.push(format!("src/{name}:{}: {:?}", literal.line, literal.text));
            }
        }
    }
    let idle = unseen.iter().zip(used).filter(|(_, used)| !used);
    missing.extend(idle.map(|(text, _)| format!("UNSEEN: {text:?}: is nowhere; remove it")));
    assert!(
        missing.is_empty(),
        "\n{}\n\nBring these about in tests/it/errors.rs or tests/it/errors_scan.rs, or say in UNSEEN why that cannot be.\n",
        missing.join("\n")
    );
    assert!(seen > 200, "only {seen} messages were found");
}

/// A string literal outside of tests and attributes.
struct Literal {
    /// Where it begins, counted from 1.
    line: usize,
    /// What it says, escapes undone.
    text: String,
    /// The names before the parentheses and braces around it, outermost first: `bail!`, `format!`, `Problem`.
    calls: Vec<String>,
}

/// The literals of a source up to its unit tests.
fn literals(source: &str) -> Vec<Literal> {
    let source = source.split("\n#[cfg(test)]\nmod ").next().unwrap();
    let mut reader = Reader { text: source.as_bytes(), at: 0, line: 1 };
    let (mut found, mut calls, mut word): (Vec<Literal>, Vec<String>, String) = Default::default();
    while let Some(byte) = reader.next() {
        match byte {
            b'/' if reader.peek(0) == Some(b'/') => reader.skip_while(|byte| byte != b'\n'),
            b'#' if matches!(reader.peek(0), Some(b'[' | b'!')) => reader.attribute(),
            b'\'' => reader.character(),
            b'"' => {
                let line = reader.line;
                let text = reader.string((word == "r").then_some(0));
                found.push(Literal { line, text, calls: calls.clone() });
                word.clear();
            }
            b'#' if word == "r" && reader.peek(0) == Some(b'"') => {
                let line = reader.line;
                reader.next();
                let text = reader.string(Some(1));
                found.push(Literal { line, text, calls: calls.clone() });
                word.clear();
            }
            b'(' | b'[' | b'{' => calls.push(std::mem::take(&mut word)),
            b')' | b']' | b'}' => {
                calls.pop();
                word.clear();
            }
            b'!' => word.push('!'),
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                if word.ends_with('!') {
                    word.clear();
                }
                word.push(char::from(byte));
            }
            b' ' if reader.peek(0) == Some(b'{') => {}
            _ => word.clear(),
        }
    }
    found
}

/// Where the reading of a source stands.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn skip_while(&mut self, is_skipped: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&is_skipped) {
            self.next();
        }
    }

    /// What stands between the brackets of an attribute is for the compiler.
    fn attribute(&mut self) {
        let mut depth = 0;
        while let Some(byte) = self.next() {
            match byte {
                b'"' => drop(self.string(None)),
                b'[' => depth += 1,
                b']' if depth == 1 => return,
                b']' => depth -= 1,
                _ => {}
            }
        }
    }

    /// A character's literal; a lifetime is none.
    fn character(&mut self) {
        if self.peek(0) == Some(b'\\') {
            self.at += 2;
            self.skip_while(|byte| byte != b'\'');
            self.next();
            return;
        }
        let length = match self.peek(0).map_or(0, u8::leading_ones) {
            0 => 1,
            bytes => bytes as usize,
        };
        if self.peek(length) == Some(b'\'') {
            self.at += length + 1;
        }
    }

    /// The rest of a string after its quotation mark; of a raw one, with so many hashes.
    fn string(&mut self, raw: Option<usize>) -> String {
        let mut text = Vec::new();
        while let Some(byte) = self.next() {
            match (byte, raw) {
                (b'"', None) => break,
                (b'"', Some(hashes)) if (0..hashes).all(|n| self.peek(n) == Some(b'#')) => {
                    self.at += hashes;
                    break;
                }
                (b'\\', None) => match self.next() {
                    Some(b'n') => text.push(b'\n'),
                    Some(b'\n') => self.skip_while(|byte| byte.is_ascii_whitespace()),
                    Some(b'u') => {
                        self.skip_while(|byte| byte != b'}');
                        self.next();
                    }
                    Some(other) => text.push(other),
                    None => {}
                },
                (byte, _) => text.push(byte),
            }
        }
        String::from_utf8(text).unwrap()
    }
}

#[test]
fn literals_are_found_with_the_calls_around_them() {
    let source = "//! no \"comment\"\n#[doc = \"no\"]\nfn f<'a>(c: char) -> &'a str {\n  let q = '\"';\n  \
                  bail!(format!(\"{q}: one \\\n     two\"), \"it's\");\n  Err(r#\"a \"raw\" one\"#)\n}\n\n\
                  #[cfg(test)]\nmod tests {\n \"none\" }";
    let found = literals(source);
    let shown: Vec<_> = found.iter().map(|l| (l.line, l.text.as_str(), l.calls.join(" "))).collect();
    assert_eq!(
        shown,
        [
            (5, "{q}: one two", "str bail! format!".to_owned()),
            (6, "it's", "str bail!".to_owned()),
            (7, "a \"raw\" one", "str Err".to_owned()),
        ]
    );
}
