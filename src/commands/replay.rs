//! `replay`: which rules would have alerted on a recorded audit log.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Error, Result};
use psp_admission::Admission;
use psp_admission::bundle::MAX_BYTES;

use super::pipeline::{BUNDLE, Exit, make, read_input};
use super::rules_files::read_rules;
use crate::cli::{Input, Replay};
use crate::console::Console;
use crate::count::counted;
use crate::excerpt::Gravity;
use crate::messages::replay as messages;
use crate::plugin;
use crate::problem::{Message, Problem, Problems};
use crate::read;
use crate::render::Layer;
use crate::replay::{self, Cost, Format, Log, Outcome};
use falco_rules::{self as falco, RuleSet, Severity};

/// Replays audit logs through the rules of policies and rules files.
pub(super) fn run(args: &Replay, console: &mut Console<'_>) -> Result<Exit> {
    let (logs, policies) = sorted_out(args)?;
    let rules = rules(args, policies, console)?;
    let done = Arc::new(AtomicU64::new(0));
    let mut opened = Vec::new();
    if logs.iter().any(|path| path.as_os_str() == "-") {
        console.announce_input("an audit log");
    }
    let mut problems = Vec::new();
    for path in &logs {
        match Log::open(path, &done) {
            Ok(log) => opened.push(log),
            Err(error) => problems.push(of_path(path, read::unreadable(&error))),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    let how = replay::Options {
        matching: args.rule_matching,
        format: args.format,
        threads: args
            .threads
            .map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from),
    };
    let outcome = with_progress(args, &logs, &done, console, |console| {
        replay::replay(opened, &rules, &how, &mut |text: &[u8]| console.print(text))
    })?;
    if args.format == Format::Table && outcome.alerts > 0 {
        let width = console.product_width();
        let paint = console.product_paint();
        console.print(outcome.summary.table(width, paint))?;
    }
    console.flush()?;
    tell(&outcome, &rules, &logs, console);
    if outcome.sorted > 0 && !plugin::is_asked(&rules) {
        let message = messages::sorted_keys(events(outcome.sorted));
        console.tell(Gravity::Warning, &Problem::of_file(&names(&logs), message));
    }
    if outcome.events == 0 {
        return Err(Problem::of_file(&names(&logs), messages::no_event()).into());
    }
    Ok(if args.fail_on_alerts && outcome.alerts > 0 { Exit::Findings } else { Exit::Done })
}

/// Tells logs from policies: `--audit-log` takes all that follows it, but no log is a folder or YAML.
fn sorted_out(args: &Replay) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let is_policy =
        |path: &Path| path.is_dir() || path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let (first, rest) = match args.audit_log.split_first() {
        Some((first, rest)) => (first.clone(), rest),
        None => return Err(Problem::of_file("--audit-log", messages::no_audit_log()).into()),
    };
    let mut logs = vec![first];
    let mut policies = args.paths.clone();
    for path in rest {
        if is_policy(path) { policies.push(path.clone()) } else { logs.push(path.clone()) }
    }
    let all = || logs.iter().chain(&policies).chain(&args.rules);
    if all().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Problem::of_file("-", messages::standard_input_twice()).into());
    }
    Ok((logs, policies))
}

/// The rules of the policies, and the rules files on top.
fn rules(args: &Replay, policies: Vec<PathBuf>, console: &mut Console<'_>) -> Result<RuleSet> {
    if policies.is_empty() && args.rules.is_empty() {
        return Err(Problem::of_file("replay", messages::no_rules()).into());
    }
    let mut texts = Vec::new();
    let mut bundle = None;
    if !policies.is_empty() {
        let inventory = read_input(&Input { paths: policies, reading: args.reading.clone() }, console)?;
        let made = make(&inventory, &args.generation, &[Layer::Audit], console)?;
        for file in made.files {
            bundle = bundle.or(file.bundle.map(|bundle| (BUNDLE.to_owned(), bundle.text.into_bytes())));
            texts.push((file.layer.file_name().to_owned(), file.text));
        }
    }
    texts.extend(read_rules(&args.rules, &[], console)?);
    let sources: Vec<falco::Source<'_>> =
        texts.iter().map(|(name, text)| falco::Source { name, text }).collect();
    let bundle = match &args.bundle {
        Some(path) => Some(read_bundle(path)?),
        None => bundle.map_or_else(|| beside(&args.rules), |bundle| Ok(Some(bundle)))?,
    };
    let plugin = match &bundle {
        Some((name, text)) => plugin::loaded(
            Admission::parse(text).map_err(|error| Problem::of_file(name, messages::broken_bundle(error)))?,
        ),
        None => plugin::known(),
    };
    let loaded = falco::load_with(&sources, &[plugin]);
    let Some(rules) = loaded.rules else {
        let errors = loaded.findings.iter().filter(|f| f.severity == Severity::Error);
        let lines: Vec<String> = errors.map(ToString::to_string).collect();
        return Err(Error::msg(lines.join("\n")));
    };
    if bundle.is_none() && plugin::is_asked(&rules) {
        return Err(Problem::of_file("replay", messages::no_bundle(BUNDLE)).into());
    }
    let warnings = loaded.findings.iter().filter(|f| f.code != "NOT_MODELLED").count();
    if warnings > 0 {
        let names = sources.iter().map(|source| source.name).collect::<Vec<_>>().join(", ");
        let message = messages::warnings_when_loaded(counted(warnings, "warning"));
        console.tell(Gravity::Warning, &Problem::of_file(&names, message));
    }
    let other = rules.rules().iter().filter(|rule| rule.source != "k8s_audit").count();
    if other > 0 {
        console.say(format_args!("passed over {other} rule{} for other events than audit events", s(other)));
    }
    let off = rules.rules().iter().filter(|rule| rule.source == "k8s_audit" && !rule.enabled).count();
    if off > 0 {
        console.say(format_args!(
            "passed over {off} rule{} that {} switched off",
            s(off),
            if off == 1 { "is" } else { "are" }
        ));
    }
    for rule in rules.rules().iter().filter(|rule| rule.enabled && rule.source == "k8s_audit") {
        if let Some(reason) = &rule.not_modelled {
            let rule = format!("rule '{}'", rule.name);
            console.tell(Gravity::Warning, &Problem::of_file(&rule, messages::not_replayed(reason)));
        }
    }
    if rules.active_rules() == 0 {
        return Err(Problem::of_file("replay", messages::no_rule_to_replay()).into());
    }
    Ok(rules)
}

/// Reads a bundle of policies.
fn read_bundle(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path.display().to_string();
    let mut text = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut text));
    read.map_err(|error| Problem::of_file(&name, read::unreadable(&error)))?;
    Ok((name, text))
}

/// The bundle beside one of the rules files.
fn beside(rules: &[PathBuf]) -> Result<Option<(String, Vec<u8>)>> {
    let path = rules.iter().map(|path| path.with_file_name(BUNDLE)).find(|path| path.is_file());
    path.map(|path| read_bundle(&path)).transpose()
}

/// Runs with a progress bar where someone may be watching.
fn with_progress<T>(
    args: &Replay,
    logs: &[PathBuf],
    read: &AtomicU64,
    console: &mut Console<'_>,
    run: impl FnOnce(&mut Console<'_>) -> T,
) -> T {
    // alerts that scroll by are progress enough
    if args.format == Format::Json && console.product_is_on_terminal() {
        return run(console);
    }
    // The length of standard input is not known.
    let length: Option<u64> = logs
        .iter()
        .map(|path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|m| m.len()))
        .sum();
    let style = match length {
        Some(_) => "{wide_bar} {bytes} of {total_bytes}, {eta} to go",
        None => "{spinner} {bytes}",
    };
    let progress = console.progress(style, length);
    if progress.is_hidden() {
        return run(console);
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                progress.set(read.load(Ordering::Relaxed));
                thread::park_timeout(Duration::from_millis(100));
            }
        });
        let result = run(console);
        done.store(true, Ordering::Relaxed);
        watcher.thread().unpark();
        result
    })
}

/// Tells the user what was replayed and what could not be.
fn tell(outcome: &Outcome, rules: &RuleSet, logs: &[PathBuf], console: &mut Console<'_>) {
    for trouble in &outcome.troubles {
        console.answer(trouble);
    }
    let shown = outcome.troubles.iter().filter(|t| t.cost != Cost::Rest).count() as u64;
    let lost = outcome.bad_lines + outcome.bad_events;
    if lost > shown {
        console.answer(format_args!("and {} more like these", lost - shown));
    }
    for (first, second) in &outcome.disorder {
        console.tell(Gravity::Warning, &Problem::of_file(second, messages::disorder(first)));
    }
    if outcome.oversized > 0 {
        let message = messages::oversized(events(outcome.oversized));
        console.tell(Gravity::Warning, &Problem::of_file(&names(logs), message));
    }
    let mut text = format!(
        "{} alert{} by {} rule{} on {} event{}",
        outcome.alerts,
        s(outcome.alerts),
        rules.active_rules(),
        s(rules.active_rules()),
        outcome.events,
        s(outcome.events),
    );
    if logs.len() > 1 {
        text.push_str(&format!(" of {} logs, in the order given", logs.len()));
    }
    if outcome.bad_lines > 0 {
        text.push_str(&format!("; {} of {} lines not readable", outcome.bad_lines, outcome.lines));
    }
    if outcome.bad_events > 0 {
        text.push_str(&format!("; {} event{} that Falco drops", outcome.bad_events, s(outcome.bad_events)));
    }
    console.say(text);
}

fn of_path(path: &Path, message: Message) -> Problem {
    Problem::of_file(&path.display().to_string(), message)
}

fn events(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "event")
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn s(count: impl TryInto<u64>) -> &'static str {
    if count.try_into().is_ok_and(|count: u64| count == 1) { "" } else { "s" }
}
