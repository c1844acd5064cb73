//! What the commands share: read, map, render, check, write.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Error, Result};
use clap::Parser as _;
use psp_admission::access::Access;

use crate::cli::{self, Input, Output, Rules, Wrapper};
use crate::config::Config;
use crate::console::Console;
use crate::cost::Cost;
use crate::excerpt::Gravity;
use crate::messages::commands as messages;
use crate::paint::Paint;
use crate::predict::{self, Prediction};
use crate::problem::{Problem, Problems, cut, printable};
use crate::rbac;
use crate::read::{self, Inventory, Why};
use crate::render::{self, Layer, Layers, Rendered};
use crate::write::{self, Batch, Destination};
use crate::{plugin, report, wrap};
use falco_rules as falco;

/// Name of the bundle of policies beside the rules that need it.
pub const BUNDLE: &str = wrap::BUNDLE;

/// How many rows of the prediction are shown unasked.
const MAX_ROWS: usize = 5;

/// How many bindings that grant nothing are worth showing.
const MAX_NOTES: usize = 10;

/// How a command ended that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or in sync: exit code 0.
    Done,
    /// Drift or findings, where they were asked for: exit code 1.
    Findings,
}

/// Rules files, one a layer, and how they were made.
pub(super) struct Made {
    pub(super) files: Vec<Rendered>,
    pub(super) options: render::Options,
}

/// What every command that makes rules does: map, render, check.
pub(super) fn make(
    inventory: &Inventory,
    rules: &Rules,
    layers: &[Layer],
    console: &mut Console<'_>,
) -> Result<Made> {
    if let Some(both) = rules.namespace.iter().find(|name| rules.exclude_namespace.contains(name)) {
        return Err(Problem::of_file(&format!("--namespace {both}"), messages::namespace_in_and_out()).into());
    }
    let mut options = options(rules);
    options.access = access(inventory, rules, console)?;
    let mut files = Vec::new();
    for layer in layers {
        let rendered = match layer {
            Layer::Audit => render::audit_rules(&inventory.policies, &options)?,
            Layer::Runtime => render::runtime_rules(&inventory.policies, &options)?,
        };
        let cost = check(&rendered)?;
        // the estimate is one of rules for audit events
        if *layer == Layer::Audit {
            console.add(format_args!("{}: {cost}", rendered.layer.file_name()));
        }
        if cost.exceeds_chart() {
            let without = if options.access.is_some() { ", --no-rbac" } else { "" };
            let megabytes = cost.memory() / 1_000_000;
            let message = messages::costly_rules(megabytes, cost.loading().as_secs().max(1), without);
            console.tell(Gravity::Warning, &Problem::of_file(rendered.layer.file_name(), message));
        }
        files.push(rendered);
    }
    Ok(Made { files, options })
}

/// A rules file in the format that was asked for, and the rules that it replaces.
pub(super) struct Placed<'t> {
    /// Where it goes; nowhere: to standard output.
    pub(super) path: Option<PathBuf>,
    pub(super) text: Cow<'t, str>,
    /// The rules that are there now.
    pub(super) old: Option<String>,
}

impl Made {
    /// The rules for the audit log, if they were asked for.
    pub(super) fn audit(&self) -> Option<&Rendered> {
        self.files.iter().find(|file| file.layer == Layer::Audit)
    }

    /// What is written, and where.
    pub(super) fn placed(&self, output: &Output) -> Result<Vec<Placed<'_>>> {
        let mut placed = Vec::new();
        let destination = Destination::of(output.output.as_deref());
        for rendered in &self.files {
            let (file, format) = (rendered.layer.file_name(), output.wrapper.format);
            let object = object_of(&output.wrapper, rendered, self.files.len());
            if let Some((option, _, formats)) = object.unused(format) {
                return Err(Problem::of_file(
                    option,
                    messages::option_without_effect(format.name(), formats),
                )
                .into());
            }
            let text = wrap::wrap(format, file, &rendered.text, &object)?;
            let path = destination.file(&format.file_name(file));
            let old = path.as_deref().and_then(report::old_text);
            let old = old.and_then(|old| wrap::payload(format, file, old));
            placed.push(Placed { path, text, old });
        }
        Ok(placed)
    }

    /// The bundle of policies as a file of its own, and where it goes: beside the rules. What rules are put into
    /// carries their bundle, too.
    pub(super) fn bundle(&self, output: &Output, placed: &[Placed<'_>]) -> Result<Option<(PathBuf, &str)>> {
        let Some(bundle) = self.files.iter().find_map(|file| file.bundle.as_ref()) else { return Ok(None) };
        if output.wrapper.format != wrap::Format::Rules {
            return Ok(None);
        }
        let path = placed.first().and_then(|file| file.path.as_deref());
        let Some(path) = path.filter(|path| !write::is_stream(path)) else {
            return Err(Problem::of_file("--plugin", messages::bundle_without_place(BUNDLE)).into());
        };
        Ok(Some((path.with_file_name(BUNDLE), &bundle.text)))
    }

    /// What the rules amount to.
    pub(super) fn summary(&self, inventory: &Inventory) -> String {
        let one = |rendered: &Rendered| match rendered.layer {
            Layer::Audit => report::summary(inventory, rendered, &self.options),
            Layer::Runtime => report::runtime_summary(inventory, rendered, &self.options),
        };
        self.files.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

/// What the one-off commands end in: make the rules, write them and the files `beside` them, tell.
pub(super) fn deliver(
    inventory: &Inventory,
    rules: &Rules,
    output: &Output,
    beside: &[(PathBuf, String)],
    console: &mut Console<'_>,
) -> Result<Exit> {
    let made = make(inventory, rules, layers(rules, output)?, console)?;
    let prediction = made.audit().map(|_| predict::predict(inventory, &made.options));
    let exceptions = suggest(&made, prediction.as_ref(), output)?;
    let placed = made.placed(output)?;
    let bundle = made.bundle(output, &placed)?;
    let outputs = report::Outputs {
        reporting: &output.reporting,
        files: placed.iter().map(|file| (file.path.as_deref(), file.old.as_deref())).collect(),
        plain: output.wrapper.format == wrap::Format::Rules,
    };
    let prepared = report::prepare(inventory, &made.files, &made.options, prediction.as_ref(), outputs)?;

    let mut batch = Batch::new(output.force);
    let rules_files = placed.iter().filter_map(|file| Some((file.path.as_deref()?, &*file.text)));
    let mut rules_files: Vec<(&Path, &str)> = rules_files.collect();
    rules_files.extend(bundle.as_ref().map(|(path, text)| (path.as_path(), *text)));
    for (path, text) in &rules_files {
        batch.replace(path, *text);
    }
    for (target, text) in &prepared.reports {
        if let report::Target::File(path) = target {
            batch.replace(path, text);
        }
    }
    if let (Some(path), Some(text)) = (&output.foresight.suggest_exceptions, &exceptions) {
        batch.create(path, text);
    }
    for (path, text) in beside {
        batch.replace(path, text);
    }
    let batch = batch.prepare()?;
    // what is printed may fail, and then no file is in place
    for file in placed.iter().filter(|file| file.path.is_none()) {
        console.print(&*file.text)?;
    }
    for (_, text) in prepared.reports.iter().filter(|(target, _)| *target == report::Target::Stdout) {
        console.print(text)?;
    }
    console.flush()?;
    let mut written = batch.put_in_place()?.into_iter();

    console.say(made.summary(inventory));
    if let Some(prediction) = &prediction {
        let told = predicted(prediction, output, console.messages_width(), console.messages_paint());
        match output.foresight.predict {
            // what was asked for comes all the same
            true => console.answer(told.unwrap_or_default()),
            false => console.say(told.unwrap_or_default()),
        }
    }
    for file in written.by_ref().take(rules_files.len()) {
        console.say(file);
    }
    prepared.tell(console);
    for (target, text) in &prepared.reports {
        match target {
            report::Target::Stdout => {}
            report::Target::Messages => console.answer(text),
            report::Target::File(_) => written.next().into_iter().for_each(|file| console.say(file)),
        }
    }
    if let Some(file) = written.next().filter(|_| exceptions.is_some()) {
        console.say(format_args!("{file}; load it after the rules"));
    }
    Ok(Exit::Done)
}

/// What would alert of the pods and workloads in the input, if there are any or it was asked for.
fn predicted(
    prediction: &Prediction<'_>,
    output: &Output,
    width: Option<usize>,
    paint: Paint,
) -> Option<String> {
    if prediction.workloads > 0 {
        let most = if output.foresight.predict { usize::MAX } else { MAX_ROWS };
        return Some(report::prediction(prediction, most, width, paint));
    }
    let nothing =
        "no pods or workloads in the input, so nothing to predict; add `kubectl get pods -A -o yaml`";
    output.foresight.predict.then(|| nothing.to_owned())
}

/// The file that silences what would alert today, if it is asked for.
fn suggest(made: &Made, prediction: Option<&Prediction<'_>>, output: &Output) -> Result<Option<String>> {
    let Some(path) = &output.foresight.suggest_exceptions else { return Ok(None) };
    let place = path.display().to_string();
    let (Some(audit), Some(prediction)) = (made.audit(), prediction) else {
        return Err(Problem::of_file(&place, messages::exceptions_without_audit()).into());
    };
    if prediction.workloads == 0 {
        return Err(Problem::of_file(&place, messages::exceptions_without_pods()).into());
    }
    let Some(text) = predict::exceptions(prediction, made.options.object) else { return Ok(None) };
    let files = [
        falco::Source { name: Layer::Audit.file_name(), text: &audit.text },
        falco::Source { name: "exceptions", text: &text },
    ];
    if let Some(finding) = falco::load_with(&files, &[plugin::known()]).findings.first() {
        return Err(Problem::of_file(&place, messages::broken_exceptions(finding)).into());
    }
    Ok(Some(text))
}

/// Who may use which policy, if the input says so and the user does not turn it off.
fn access(inventory: &Inventory, rules: &Rules, console: &mut Console<'_>) -> Result<Option<Access>> {
    if rules.no_rbac {
        return Ok(None);
    }
    if let Some(name) = &rules.default_namespace {
        render::check_namespaces("--default-namespace", std::slice::from_ref(name))?;
    }
    let Some(access) = rbac::access(inventory, rules.default_namespace.as_deref()) else { return Ok(None) };
    let shown = if console.is_verbose() { usize::MAX } else { MAX_NOTES };
    for problem in rbac::problems(inventory, &access).take(shown) {
        console.tell(Gravity::Warning, &problem);
    }
    if let more @ 1.. = access.notes.len().saturating_sub(shown) {
        console.warn(format_args!("RBAC: {more} more objects of that kind; --verbose shows them all"));
    }
    // one chart's RBAC for something else tells nothing of policies
    Ok((access.whole || access.granting > 0).then_some(access))
}

/// The layers to make: a folder holds both, one file (or standard output) one.
///
/// # Errors
/// Both layers for one file, and the baseline without the layer that it belongs to.
pub(super) fn layers(rules: &Rules, output: &Output) -> Result<&'static [Layer]> {
    let folder = matches!(Destination::of(output.output.as_deref()), Destination::Folder(_));
    if rules.layer == Some(Layers::Both) && !folder {
        return Err(Problem::of_file("--layer both", messages::both_layers_in_one_file()).into());
    }
    chosen(rules, if folder { Layers::Both } else { Layers::Audit })
}

/// The layers that were asked for; if none was, those of `default`.
pub(super) fn chosen(rules: &Rules, default: Layers) -> Result<&'static [Layer]> {
    let layers = rules.layer.unwrap_or(default).each();
    if rules.plugin && !layers.contains(&Layer::Audit) {
        return Err(Problem::of_file("--plugin", messages::plugin_without_audit()).into());
    }
    if rules.baseline && !layers.contains(&Layer::Runtime) {
        return Err(Problem::of_file("--baseline", messages::baseline_without_runtime()).into());
    }
    Ok(layers)
}

/// Reads the input; notes and warnings are told, and no policy at all is an error.
pub(super) fn read_input(input: &Input, console: &mut Console<'_>) -> Result<Inventory> {
    if input.paths.is_empty() {
        return Err(Problem::of_file("PATH", messages::no_path()).into());
    }
    let url = input.paths.iter().map(|path| path.to_string_lossy()).find(|path| path.contains("://"));
    if let Some(url) = url {
        return Err(Problem::of_file(&url, messages::url(&url)).into());
    }
    let source = |path: &std::path::PathBuf| {
        if path.as_os_str() == "-" { read::Source::Stdin } else { read::Source::Path(path.clone()) }
    };
    let sources: Vec<read::Source> = input.paths.iter().map(source).collect();
    if sources.contains(&read::Source::Stdin) {
        console.announce_input("manifests");
    }
    let cli::Reading { exclude, strict } = input.reading.clone();
    let inventory = read::read(&sources, &read::Options { strict, exclude }).map_err(Problems)?;
    for note in &inventory.notes {
        console.tell(Gravity::Note, note);
    }
    for warning in &inventory.warnings {
        console.tell(Gravity::Warning, warning);
    }
    tell_files(&inventory, console);
    if inventory.policies.is_empty() {
        let mut found: Vec<String> = Vec::new();
        if !inventory.passed_over.is_empty() {
            found.push(report::kinds(&inventory.passed_over));
        }
        found.extend(match inventory.unread(Why::NoManifest) {
            0 => None,
            1 => Some("1 file that is no manifest".to_owned()),
            n => Some(format!("{n} files that are no manifests")),
        });
        found.extend(report::unread(&inventory));
        let piped = sources.contains(&read::Source::Stdin) && found.is_empty();
        let found = if found.is_empty() { "nothing at all".to_owned() } else { found.join(", ") };
        let message = if piped { messages::no_policy_in_pipe(found) } else { messages::no_policy(found) };
        return Err(Problem::of_file(&names(input), message).into());
    }
    Ok(inventory)
}

/// With --verbose: which file holds which policies, and which files were not read.
fn tell_files(inventory: &Inventory, console: &mut Console<'_>) {
    let mut held: BTreeMap<&str, Vec<Cow<'_, str>>> = BTreeMap::new();
    for located in &inventory.policies {
        held.entry(&located.place.file).or_default().push(printable(&located.policy.name));
    }
    for (file, policies) in held {
        console.add(format_args!("{}: {}", printable(file), policies.join(", ")));
    }
    for unread in &inventory.unread {
        console.add(format_args!("not read: {unread}"));
    }
}

fn names(input: &Input) -> String {
    input.paths.iter().map(|p| printable(&p.to_string_lossy()).into_owned()).collect::<Vec<_>>().join(", ")
}

/// The object that carries one of `layers` rules files.
pub(super) fn object_of(wrapper: &Wrapper, rendered: &Rendered, layers: usize) -> wrap::Object {
    let name = |name: &String| match rendered.layer {
        Layer::Runtime if layers > 1 => format!("{name}-runtime"),
        Layer::Runtime | Layer::Audit => name.clone(),
    };
    wrap::Object {
        name: wrapper.object_name.as_ref().map(name),
        namespace: wrapper.object_namespace.clone(),
        labels: wrapper.object_label.iter().cloned().collect(),
        inline: wrapper.rulesfile_inline,
        bundle: rendered.bundle.as_ref().map(|bundle| bundle.text.clone()),
    }
}

/// The options of `convert` as they are when none is given.
#[derive(clap::Parser)]
struct Defaults {
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    output: Output,
}

/// The rules and the output that `convert` has when nothing is said of them, with what `config` says.
pub(super) fn configured(config: &Config, base: &Path) -> Result<(Rules, Output)> {
    let Defaults { mut rules, mut output } = Defaults::try_parse_from(["psp2falco"])?;
    config.apply(base, &mut rules, &mut output);
    Ok((rules, output))
}

fn options(rules: &Rules) -> render::Options {
    render::Options {
        object: rules.audit_object,
        max_containers: rules.max_containers.into(),
        max_volumes: rules.max_volumes.into(),
        namespaces: rules.namespace.clone(),
        exclude_namespaces: rules.exclude_namespace.clone(),
        default_namespace: rules.default_namespace.clone(),
        templates: rules.templates.clone(),
        baseline: rules.baseline,
        plugin: rules.plugin,
        access: None,
    }
}

/// The most findings of the load check to show, and the most characters of each line.
const MOST_FINDINGS: usize = 20;
const WIDEST: usize = 300;

/// Holds the rules against what Falco loads; anything it would say, if only a warning, is an error here.
///
/// # Errors
/// Every finding, with the place in the template that made it.
pub fn check(rendered: &Rendered) -> Result<Cost> {
    let (name, sample) = (rendered.layer.file_name(), rendered.sample());
    let loaded = falco::load_with(&[falco::Source { name, text: &sample }], &[plugin::known()]);
    if loaded.findings.is_empty() {
        let rules = loaded.rules.unwrap_or_default();
        // the sample holds a part of the rules, all that differ
        let (held, all) = (rules.rules().len().max(1), rendered.rules().count());
        return Ok(Cost { checks: rules.checks().saturating_mul(all) / held });
    }
    let mut message = Problem::of_file(name, messages::broken_rules()).to_string();
    for finding in loaded.findings.iter().take(MOST_FINDINGS) {
        let line = finding.line.checked_sub(1).and_then(|n| sample.lines().nth(n)).unwrap_or_default();
        let finding = match rendered.template_of(finding.line) {
            Some(template) => format!("{template}: {}", finding.without_place()),
            None => finding.to_string(),
        };
        let line = cut(line.trim(), WIDEST);
        let _ = write!(message, "\n{}\n    {}", cut(&printable(&finding), WIDEST), printable(&line));
    }
    if let Some(more) = loaded.findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) {
        let _ = write!(message, "\nand {more} more");
    }
    Err(Error::msg(message))
}
