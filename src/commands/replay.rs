//! `replay`: which rules would have alerted on a recorded audit log.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use psp_admission::Admission;
use psp_admission::bundle::MAX_BYTES;

use super::{BUNDLE, Exit, make, read_input, read_rules};
use crate::cli::{Input, Replay, ReplayFormat, RuleMatching};
use crate::console::Console;
use crate::plugin;
use crate::read;
use crate::render::Layer;
use crate::replay::{self, Cost, Format, Log, Matching, Outcome};
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
            Err(error) => problems.push(format!("{}: {}", path.display(), read::unreadable(&error))),
        }
    }
    if !problems.is_empty() {
        bail!(problems.join("\n"));
    }
    let how = replay::Options {
        matching: match args.rule_matching {
            RuleMatching::First => Matching::First,
            RuleMatching::All => Matching::All,
        },
        format: match args.format {
            ReplayFormat::Table => Format::Table,
            ReplayFormat::Json => Format::Json,
        },
        threads: args
            .threads
            .map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from),
    };
    let outcome = with_progress(args, &logs, &done, console, |console| {
        replay::replay(opened, &rules, &how, &mut |text: &[u8]| console.print(text))
    })?;
    if args.format == ReplayFormat::Table && outcome.alerts > 0 {
        let width = console.product_width();
        console.print(outcome.summary.table(width))?;
    }
    console.flush()?;
    tell(&outcome, &rules, &logs, console);
    if outcome.sorted > 0 && !plugin::is_asked(&rules) {
        console.say(format_args!(
            "warning: {}: {} event{} of Cloud Logging, whose pods have sorted keys: stock rules cannot judge them; \
             add --plugin",
            names(&logs),
            outcome.sorted,
            s(outcome.sorted)
        ));
    }
    if outcome.events == 0 {
        bail!(
            "{}: no audit event here, so nothing was judged; name a log that the API server wrote",
            names(&logs)
        );
    }
    Ok(if args.fail_on_alerts && outcome.alerts > 0 { Exit::Findings } else { Exit::Done })
}

/// Tells logs from policies: `--audit-log` takes all that follows it, but no log is a folder or YAML.
fn sorted_out(args: &Replay) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let is_policy =
        |path: &Path| path.is_dir() || path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let (first, rest) = match args.audit_log.split_first() {
        Some((first, rest)) => (first.clone(), rest),
        None => bail!("--audit-log: missing"),
    };
    let mut logs = vec![first];
    let mut policies = args.paths.clone();
    for path in rest {
        if is_policy(path) { policies.push(path.clone()) } else { logs.push(path.clone()) }
    }
    let all = || logs.iter().chain(&policies).chain(&args.rules);
    if all().filter(|path| path.as_os_str() == "-").count() > 1 {
        bail!("-: standard input can be read only once; put the rest into files");
    }
    Ok((logs, policies))
}

/// The rules of the policies, and the rules files on top.
fn rules(args: &Replay, policies: Vec<PathBuf>, console: &mut Console<'_>) -> Result<RuleSet> {
    if policies.is_empty() && args.rules.is_empty() {
        bail!("replay: no rules; name policies, or rules files with --rules");
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
    texts.extend(read_rules(&args.rules, console)?);
    let sources: Vec<falco::Source<'_>> =
        texts.iter().map(|(name, text)| falco::Source { name, text }).collect();
    let bundle = match &args.bundle {
        Some(path) => Some(read_bundle(path)?),
        None => bundle.map_or_else(|| beside(&args.rules), |bundle| Ok(Some(bundle)))?,
    };
    let plugin = match &bundle {
        Some((name, text)) => {
            plugin::loaded(Admission::parse(text).map_err(|error| anyhow!("{name}: {error}"))?)
        }
        None => plugin::known(),
    };
    let loaded = falco::load_with(&sources, &[plugin]);
    let Some(rules) = loaded.rules else {
        let errors = loaded.findings.iter().filter(|f| f.severity == Severity::Error);
        let lines: Vec<String> = errors.map(ToString::to_string).collect();
        return Err(anyhow!(lines.join("\n")));
    };
    if bundle.is_none() && plugin::is_asked(&rules) {
        bail!(
            "replay: these rules ask the plugin psp; name the {BUNDLE} that was written with them, with --bundle"
        );
    }
    let warnings = loaded.findings.iter().filter(|f| f.code != "NOT_MODELLED").count();
    if warnings > 0 {
        console.say(format_args!(
            "warning: {}: {warnings} warning{} when Falco loads this; psp2falco lint shows them",
            sources.iter().map(|source| source.name).collect::<Vec<_>>().join(", "),
            s(warnings)
        ));
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
            console.say(format_args!("warning: rule '{}': not replayed: {reason}", rule.name));
        }
    }
    if rules.active_rules() == 0 {
        bail!(
            "replay: no rule for audit events that could be replayed; name policies, or other files with --rules"
        );
    }
    Ok(rules)
}

/// Reads a bundle of policies.
fn read_bundle(path: &Path) -> Result<(String, Vec<u8>)> {
    let name = path.display().to_string();
    let mut text = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut text));
    read.map_err(|error| anyhow!("{name}: {}", read::unreadable(&error)))?;
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
    if args.format == ReplayFormat::Json && console.product_is_on_terminal() {
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

/// Says what was replayed and what could not be.
fn tell(outcome: &Outcome, rules: &RuleSet, logs: &[PathBuf], console: &mut Console<'_>) {
    for trouble in &outcome.troubles {
        console.say(trouble);
    }
    let shown = outcome.troubles.iter().filter(|t| t.cost != Cost::Rest).count() as u64;
    let lost = outcome.bad_lines + outcome.bad_events;
    if lost > shown {
        console.say(format_args!("and {} more like these", lost - shown));
    }
    for (first, second) in &outcome.disorder {
        console.say(format_args!(
            "warning: {second}: starts earlier than {first}, which was given before it; give the oldest first"
        ));
    }
    if outcome.oversized > 0 {
        console.say(format_args!(
            "warning: {}: {} event{} above 256 KiB: judged here, but Falco's k8saudit plugin drops such events unless its \
             maxEventSize is raised",
            names(logs),
            outcome.oversized,
            s(outcome.oversized)
));
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

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn s(count: impl TryInto<u64>) -> &'static str {
    if count.try_into().is_ok_and(|count: u64| count == 1) { "" } else { "s" }
}
