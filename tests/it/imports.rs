//! What imports what: no circle between files, and each room imports only those that it may.
//!
//! The `use` lines and the paths of every source file are read, those of tests left out. A name that a file hands on
//! (`pub use`) counts for the file that it comes from.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::snapshot::{files, root};

/// Circles that are yet to be cut. None may be added to; a file that is in no circle any more is to be taken off.
const CIRCLES: &[&[&str]] = &[];

/// The rooms of `falco-rules`: each may import those before it.
const FALCO_RULES: [&str; 8] = ["place", "finding", "syntax", "check", "file", "event", "engine", "implies"];

/// A source file without its comments, texts and tests, as words and marks.
struct Source {
    /// Its path in the repository.
    path: String,
    /// Its crate and modules, as `["falco_rules", "engine", "re2"]`.
    module: Vec<String>,
    tokens: Vec<String>,
    /// What its `use` lines name, with the name that each gets here.
    uses: Vec<(String, Vec<String>)>,
}

/// Every source file of the workspace.
fn sources() -> Vec<Source> {
    let packages = files(&root().join("crates"))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"))
        .map(|path| format!("crates/{}/", path.parent().unwrap().display()));
    packages.chain([String::new()]).flat_map(|package| package_sources(&package)).collect()
}

fn package_sources(package: &str) -> Vec<Source> {
    let name = package.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let crate_name = name.unwrap_or("psp2falco").replace('-', "_");
    let folder = format!("{package}src");
    let mut sources = Vec::new();
    for path in files(&root().join(&folder)) {
        let path = path.display().to_string();
        let Some(stem) = path.strip_suffix(".rs").filter(|stem| !stem.ends_with("tests")) else { continue };
        let mut module = vec![crate_name.clone()];
        module.extend(stem.split('/').map(str::to_owned));
        if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
            module.pop();
        }
        let path = format!("{folder}/{path}");
        let mut tokens = without_tests(&tokens(&fs::read_to_string(root().join(&path)).unwrap()));
        let uses = take_uses(&mut tokens);
        sources.push(Source { path, module, tokens, uses });
    }
    sources
}

/// Words, `::` and single marks; comments, texts and characters are left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let raw = rest.trim_start_matches(['b', 'c']).strip_prefix('r').filter(|r| r.starts_with(['#', '"']));
        let hashes = raw.map(|r| r.len() - r.trim_start_matches('#').len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let (Some(raw), Some(hashes)) = (raw, hashes)
            && raw[hashes..].starts_with('"')
        {
            let opening = rest.len() - raw.len() + hashes + 1;
            let closing = format!("\"{}", "#".repeat(hashes));
            opening + rest[opening..].find(&closing).unwrap() + closing.len()
        } else if c == '"' {
            quoted(rest, '"')
        } else if c == '\'' && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'')) {
            quoted(rest, '\'')
        } else if c.is_alphanumeric() || c == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The tokens without the items that are for tests alone.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let test = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].iter().take(test.len()).eq(test.iter()) {
            at = end_of_item(tokens, at + test.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn end_of_item(tokens: &[String], start: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(token.as_str(), "}" | ";") {
            return at + 1;
        }
    }
    tokens.len()
}

/// Takes the `use` lines out of the tokens.
fn take_uses(tokens: &mut Vec<String>) -> Vec<(String, Vec<String>)> {
    let mut uses = Vec::new();
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        // `use<'a>` is part of a type
        if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|next| next != "<") {
            let end = at + tokens[at..].iter().position(|token| token == ";").unwrap();
            tree(&tokens[at + 1..end], &mut 0, &[], &mut uses);
            at = end;
        } else {
            kept.push(tokens[at].clone());
        }
        at += 1;
    }
    *tokens = kept;
    uses
}

/// Reads one branch of a `use` line.
fn tree(tokens: &[String], at: &mut usize, before: &[String], uses: &mut Vec<(String, Vec<String>)>) {
    let mut path = before.to_vec();
    loop {
        match tokens.get(*at).map_or("", String::as_str) {
            "{" => {
                *at += 1;
                while tokens[*at] != "}" {
                    tree(tokens, at, &path, uses);
                    *at += usize::from(tokens[*at] == ",");
                }
                *at += 1;
                return;
            }
            "::" => *at += 1,
            "as" => {
                uses.push((tokens[*at + 1].clone(), path));
                *at += 2;
                return;
            }
            "" | "," | "}" => {
                let name = path.last().cloned().unwrap_or_default();
                return uses.push((name, path));
            }
            "self" if !path.is_empty() => *at += 1,
            word => {
                path.push(word.to_owned());
                *at += 1;
            }
        }
    }
}

/// The paths of more than one word that stand in the code, as far as their first word says where they start.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut path = vec![tokens[at].clone()];
        at += 1;
        while tokens.get(at).is_some_and(|token| token == "::") && at + 1 < tokens.len() {
            path.push(tokens[at + 1].clone());
            at += 2;
        }
        if path.len() > 1 {
            paths.push(path);
        }
    }
    paths
}

struct Workspace {
    sources: Vec<Source>,
    by_module: BTreeMap<Vec<String>, usize>,
}

impl Workspace {
    fn read() -> Self {
        let sources = sources();
        let by_module = sources.iter().enumerate().map(|(at, s)| (s.module.clone(), at)).collect();
        Self { sources, by_module }
    }

    /// The file that defines what a path names, seen from a file; none for what is of no file here.
    fn target(&self, from: usize, path: &[String]) -> Option<usize> {
        let source = &self.sources[from];
        let mut module = source.module.clone();
        let mut rest = path;
        let (first, others) = path.split_first()?;
        match first.as_str() {
            "crate" => module.truncate(1),
            "self" => {}
            "super" => {
                module.pop();
            }
            name => {
                let child: Vec<String> = module.iter().cloned().chain([name.to_owned()]).collect();
                module = match self.by_module.contains_key(&child) {
                    true => child,
                    false if self.by_module.contains_key(&vec![name.to_owned()]) => vec![name.to_owned()],
                    false => return None,
                };
            }
        }
        rest = if rest.is_empty() { rest } else { others };
        while let Some((name, others)) = rest.split_first() {
            if name == "super" {
                module.pop();
            } else {
                module.push(name.clone());
                if !self.by_module.contains_key(&module) {
                    module.pop();
                    break;
                }
            }
            rest = others;
        }
        let found = *self.by_module.get(&module)?;
        let handed_on = rest.first().and_then(|name| self.handed_on(found, name));
        Some(handed_on.filter(|_| found != from).unwrap_or(found))
    }

    /// The file from which another one hands a name on.
    fn handed_on(&self, file: usize, name: &str) -> Option<usize> {
        let (_, path) = self.sources[file].uses.iter().find(|(known, _)| known == name)?;
        self.target(file, path).filter(|target| *target != file)
    }

    /// The files that each file imports.
    fn edges(&self) -> Vec<BTreeSet<usize>> {
        let of = |from: usize| {
            let source = &self.sources[from];
            let uses = source.uses.iter().map(|(_, path)| path.clone());
            uses.chain(paths(&source.tokens))
                .filter_map(|path| self.target(from, &path))
                .filter(|to| *to != from)
                .collect()
        };
        (0..self.sources.len()).map(of).collect()
    }
}

/// All that can be reached from each file.
fn reached(edges: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
    let from = |start: usize| {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = edges[start].iter().copied().collect();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(&edges[next]);
            }
        }
        found
    };
    (0..edges.len()).map(from).collect()
}

/// The files that import each other in a circle, as sets.
fn circles(edges: &[BTreeSet<usize>]) -> BTreeSet<BTreeSet<usize>> {
    let reached = reached(edges);
    let circle = |at: usize| reached[at].iter().copied().filter(|to| reached[*to].contains(&at)).collect();
    (0..edges.len()).filter(|at| reached[*at].contains(at)).map(circle).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let workspace = Workspace::read();
    assert!(workspace.sources.len() > 100, "only {} files were found", workspace.sources.len());
    let edges = workspace.edges();
    let path = |at: &usize| workspace.sources[*at].path.as_str();
    let circles = circles(&edges);
    let mut wrong = Vec::new();
    for circle in &circles {
        let names: BTreeSet<&str> = circle.iter().map(path).collect();
        if !CIRCLES.iter().any(|known| names.iter().all(|name| known.contains(name))) {
            let inside = circle.iter().flat_map(|from| {
                edges[*from].iter().filter(|to| circle.contains(to)).map(move |to| (from, to))
            });
            let edges: Vec<String> =
                inside.map(|(from, to)| format!("  {} imports {}", path(from), path(to))).collect();
            wrong.push(format!("a circle of {} files:\n{}", names.len(), edges.join("\n")));
        }
    }
    let in_circles: BTreeSet<&str> = circles.iter().flatten().map(path).collect();
    for name in CIRCLES.iter().flat_map(|circle| circle.iter()).filter(|name| !in_circles.contains(**name)) {
        wrong.push(format!("{name} is in no circle any more: take it off CIRCLES"));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn each_room_imports_those_below_it() {
    let workspace = Workspace::read();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (from, edges) in workspace.edges().iter().enumerate() {
        let from = &workspace.sources[from];
        for to in edges {
            let to = &workspace.sources[*to];
            let library = !matches!(from.module[0].as_str(), "psp2falco" | "falco_plugin_psp");
            let same_crate = from.module[0] == to.module[0];
            let above = || {
                let floor = |source: &Source| FALCO_RULES.iter().position(|room| *room == source.module[1]);
                same_crate
                    && from.module[0] == "falco_rules"
                    && from.module.len() > 1
                    && floor(to) > floor(from)
            };
            if (library && !same_crate) || above() {
                wrong.push(format!("{} imports {}", from.path, to.path));
            }
            seen += usize::from(library);
        }
    }
    assert!(seen > 50, "only {seen} imports were found");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn falco_rules_knows_nothing_of_policies() {
    for source in sources().iter().filter(|source| source.module[0] == "falco_rules") {
        let text = fs::read_to_string(root().join(&source.path)).unwrap().to_lowercase();
        for word in ["psp", "podsecuritypolic"] {
            assert!(!text.contains(word), "{}: {word}", source.path);
        }
    }
}

#[test]
fn imports_are_read_as_they_are_written() {
    let text = r##"
        // use crate::comment::X;
        use crate::a::{self, b::{C, D as E}, f};
        pub(crate) use super::g::*;
        #[cfg(test)]
        mod tests { use crate::test::T; }
        fn f<'a>(c: char) -> impl Sized + use<'a> {
            let _ = ('"', '\'', "use crate::text::T;", r#"" use crate::raw::R; "#);
            crate::h::i()
        }
    "##;
    let mut tokens = without_tests(&tokens(text));
    let uses: Vec<String> =
        take_uses(&mut tokens).iter().map(|(name, path)| format!("{name}={}", path.join("::"))).collect();
    assert_eq!(
        uses,
        ["a=crate::a", "C=crate::a::b::C", "E=crate::a::b::D", "f=crate::a::f", "*=super::g::*"]
    );
    assert_eq!(paths(&tokens), [["crate", "h", "i"]]);
    let edges = [BTreeSet::from([1]), BTreeSet::from([2]), BTreeSet::from([1, 3]), BTreeSet::new()];
    assert_eq!(circles(&edges), BTreeSet::from([BTreeSet::from([1, 2])]));
}
