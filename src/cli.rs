//! The command line: what can be typed, and nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::{Colour, Volume};
use crate::findings::Kind;
use crate::render::{AuditObject, Layers};
use crate::replay::{self, Matching};
use crate::wrap::Format;

/// Carry Kubernetes PodSecurityPolicies over to Falco.
#[derive(Debug, Parser)]
#[command(name = "psp2falco", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What the program says, and how.
    #[command(flatten)]
    pub messages: Messages,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 drift or findings, 2 anything wrong (nothing was written).";

/// Ends the heading of what stands before, since clap carries a heading on.
const NO_HEADING: Option<&str> = None;

/// What the program says, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct Messages {
    /// Say only what is wrong: errors, warnings, and why the exit code is 1.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: which files were read and passed over, and what the rules cost Falco.
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// When to use colour.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto, global = true)]
    pub color: Colour,
}

impl Messages {
    /// How much the program says.
    pub fn volume(&self) -> Volume {
        match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Normal,
        }
    }
}

/// Two commands for each help: what most people came for, and what they ask next.
mod examples {
    pub(super) const CONVERT: &str = "\
Examples:
  Rules for both layers and a report, from a folder of manifests:
    psp2falco convert policies/ -o falco/ --report html
  The same for a cluster's own policies, RBAC and pods, from a dump:
    kubectl get psp,clusterroles,clusterrolebindings,roles,rolebindings,pods \\
      -A -o yaml | psp2falco convert - -o falco/";
    #[cfg(feature = "cluster")]
    pub(super) const SCAN: &str = "\
Examples:
  Rules and a report for the cluster of the current context:
    psp2falco scan -o falco/ --report html
  Keep what was read, so that the rules can be made again without the cluster:
    psp2falco scan --context staging --save dump/ -o falco/";
    pub(super) const EXPLAIN: &str = "\
Examples:
  What a folder of policies restricts, and what of it Falco can detect:
    psp2falco explain policies/
  The same as data, the fields that restrict nothing included:
    psp2falco explain policies/ --all --format json";
    pub(super) const GENERATE: &str = "\
Examples:
  Start: write a psp2falco.yaml for what this folder holds, and make its rules:
    psp2falco generate --init && psp2falco generate
  In a pipeline: fail when the committed rules are out of date:
    psp2falco generate --check";
    pub(super) const KRM: &str = "\
Examples:
  As kustomize and kpt call it, with a ResourceList from a file:
    psp2falco krm < resource-list.yaml
  From a kustomization that names it as a generator or transformer:
    kustomize build --enable-alpha-plugins --enable-exec .";
    pub(super) const REPLAY: &str = "\
Examples:
  Which of a folder's policies would have alerted on last night's log:
    psp2falco replay --audit-log audit.log policies/
  The alerts of rules that were made and tuned, as Falco would print them:
    psp2falco replay --audit-log audit.log --rules falco/ --format json";
    pub(super) const LINT: &str = "\
Examples:
  Would Falco load these rules:
    psp2falco lint falco/
  A tuning file on top of the rules that it changes, as data:
    psp2falco lint falco/psp_audit_rules.yaml tuning.yaml --format json";
    pub(super) const COMPLETIONS: &str = "\
Examples:
  For bash, from the next session on:
    psp2falco completions bash \\
      > ~/.local/share/bash-completion/completions/psp2falco
  For fish:
    psp2falco completions fish > ~/.config/fish/completions/psp2falco.fish";
    pub(super) const MAN: &str = "\
Examples:
  Read the page of one command:
    psp2falco man convert | man -l -
  Install all pages:
    psp2falco man -o ~/.local/share/man/man1/";
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert PodSecurityPolicies from files into Falco rules.
    #[command(after_help = examples::CONVERT)]
    Convert(Convert),
    /// Convert the PodSecurityPolicies of a live cluster, with its RBAC and pods.
    #[cfg(feature = "cluster")]
    #[command(after_help = examples::SCAN)]
    Scan(Scan),
    /// Show what each field of each policy says, what is detected of it, and what is lost.
    #[command(after_help = examples::EXPLAIN)]
    Explain(Explain),
    /// Make the rules that a psp2falco.yaml asks for, or check that they are up to date.
    #[command(after_help = examples::GENERATE)]
    Generate(Generate),
    /// Be a KRM function of kustomize or kpt: a ResourceList on standard input and output.
    #[command(after_help = examples::KRM)]
    Krm,
    /// Show which rules would have alerted on a recorded audit log, without Falco.
    #[command(after_help = examples::REPLAY)]
    Replay(Replay),
    /// Check Falco rules files as Falco does when it loads them.
    #[command(after_help = examples::LINT)]
    Lint(Lint),
    /// Print the completions of a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
    /// Print a man page, or write all of them into a folder.
    #[command(after_help = examples::MAN)]
    Man(Man),
}

/// Where policies come from.
#[derive(Debug, Args)]
#[command(next_help_heading = NO_HEADING)]
pub struct Input {
    /// Files, folders (recursive), Velero backups (folder or .tar.gz); `-` is standard input.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// What is left out and what is let pass.
    #[command(flatten)]
    pub reading: Reading,
}

/// How folders, archives and policies are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reading")]
pub struct Reading {
    /// Leave files and folders out, by a pattern as in a .gitignore (repeat for more).
    ///
    /// `dev` at any depth, `overlays/dev` from the top, `**/dev/*.yaml`. It counts in the folders and archives that are
    /// read.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Refuse what is otherwise read with a warning.
    ///
    /// That is what the API server or kubectl would have refused: missing rules, keys that stand twice, names with
    /// capitals, another apiVersion, templates in folders.
    #[arg(long)]
    pub strict: bool,
}

/// How rules are made.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct Rules {
    /// Where the rules look.
    ///
    /// A folder gets both layers when this is left out; a file or standard output gets `audit`.
    #[arg(long, value_name = "LAYER", value_enum)]
    pub layer: Option<Layers>,

    /// Make rules for a Falco with the plugin psp (libpsp.so), which judges pods itself.
    ///
    /// It works on logs whose keys are sorted, as GKE's are, and stays cheap with many policies. The policies that it
    /// judges by are written beside the rules, as psp_policies.json.
    #[arg(long)]
    pub plugin: bool,

    /// Add runtime rules that belong to no policy.
    ///
    /// They tell of shells, package managers, writes to system files, the container runtime's socket and the Kubernetes
    /// API.
    #[arg(long)]
    pub baseline: bool,

    /// Only alert on pods of this namespace (repeat for more).
    #[arg(long, value_name = "NAME")]
    pub namespace: Vec<String>,

    /// Never alert on pods of this namespace (repeat for more).
    #[arg(long, value_name = "NAME")]
    pub exclude_namespace: Vec<String>,

    /// Hold every policy against every pod, though the input says who may use which.
    #[arg(long)]
    pub no_rbac: bool,

    /// The namespace of objects that name none.
    ///
    /// It is for Roles, RoleBindings, ServiceAccounts, pods and workloads; they count in every namespace when it is left
    /// out.
    #[arg(long, value_name = "NAME")]
    pub default_namespace: Option<String>,

    /// The object of an audit event to judge: the pod as stored, or as the client sent it.
    #[arg(long, value_name = "OBJECT", value_enum, default_value_t = AuditObject::Response)]
    pub audit_object: AuditObject,

    /// How many containers of a pod to count.
    ///
    /// Rules count them where AppArmor annotations must be held against containers. A larger pod that needs it raises an
    /// alert of its own.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_containers: u16,

    /// How many volumes of a pod to number.
    ///
    /// Rules number them where a policy has read-only host paths. A larger pod that needs it raises an alert of its own.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_volumes: u16,

    /// A folder of templates that replace the built-in ones.
    ///
    /// DIR/audit/FIELD.yaml.hbs, DIR/plugin/NAME.yaml.hbs, DIR/runtime/FIELD.yaml.hbs.
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
}

/// Where rules go.
#[derive(Debug, Args)]
#[command(next_help_heading = NO_HEADING)]
pub struct Output {
    /// Where the rules go: a folder or a file; `-`, or nothing, is standard output.
    ///
    /// A folder exists, ends in `/`, or has no extension; it gets psp_audit_rules.yaml and psp_runtime_rules.yaml. A file
    /// gets one of them.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// Overwrite a file that psp2falco did not write.
    #[arg(long)]
    pub force: bool,

    /// What would alert of the pods in the input.
    #[command(flatten)]
    pub foresight: Foresight,

    /// What is told of the rules.
    #[command(flatten)]
    pub reporting: Reporting,

    /// What rules are put into.
    #[command(flatten)]
    pub wrapper: Wrapper,
}

/// What would alert of the pods in the input.
#[derive(Debug, Args)]
#[command(next_help_heading = "What would alert")]
pub struct Foresight {
    /// Show all that would alert of the pods in the input, rather than the first rows.
    #[arg(long)]
    pub predict: bool,

    /// Write a file for Falco that silences exactly what would alert of the pods in the input.
    ///
    /// It is never overwritten.
    #[arg(long, value_name = "FILE")]
    pub suggest_exceptions: Option<PathBuf>,
}

/// What rules are put into.
#[derive(Debug, Args)]
#[command(next_help_heading = "Packaging")]
pub struct Wrapper {
    /// What to put the rules into.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Rules)]
    pub format: Format,

    /// The name of the ConfigMap or Rulesfile; psp-audit-rules when left out.
    #[arg(long, value_name = "NAME")]
    pub object_name: Option<String>,

    /// The namespace of the ConfigMap or Rulesfile.
    #[arg(long, value_name = "NAME")]
    pub object_namespace: Option<String>,

    /// A label of the ConfigMap or Rulesfile (repeat for more).
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub object_label: Vec<(String, String)>,

    /// Put the rules into the Rulesfile itself, without their comments, rather than into a ConfigMap.
    #[arg(long)]
    pub rulesfile_inline: bool,
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What is told of the rules.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub struct Reporting {
    /// Also write a report, beside the rules as psp_report.* (repeat for more).
    ///
    /// Where the rules go to standard output, `text` is a message on standard error, as `github` always is, and others
    /// need --report-file.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub report: Vec<ReportFormat>,

    /// Where the report goes instead; `-` is standard output.
    ///
    /// Standard output holds one thing: the rules must go elsewhere then.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub report_file: Option<PathBuf>,

    /// Show how the rules differ from those that they replace, here and in the report.
    ///
    /// The differences are told rule by rule and line by line.
    #[arg(long, requires = "output")]
    pub diff: bool,

    /// A file that tunes the rules: say what in it would lose its target (repeat for more, in load order).
    #[arg(long, value_name = "FILE", requires = "output")]
    pub tuning: Vec<PathBuf>,
}

/// The formats of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Plain text, to be read in a minute.
    Text,
    /// Markdown for a merge request.
    Markdown,
    /// All of it as data; see schemas/report.schema.json.
    Json,
    /// One page that needs no network.
    Html,
    /// Annotations of a GitHub workflow.
    Github,
    /// SARIF 2.1.0 for code scanning.
    Sarif,
}

/// `convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// How rules are made.
    #[command(flatten)]
    pub rules: Rules,

    /// Where rules go.
    #[command(flatten)]
    pub output: Output,

    /// Where policies come from.
    #[command(flatten)]
    pub input: Input,
}

/// `scan`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct Scan {
    /// Which cluster is read, and what of it.
    #[command(flatten)]
    pub cluster: Cluster,

    /// How rules are made.
    #[command(flatten)]
    pub rules: Rules,

    /// Where rules go.
    #[command(flatten)]
    pub output: Output,
}

/// Which cluster is read, and what of it.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// The kubeconfig; KUBECONFIG, ~/.kube/config or the pod's own service account when left out.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig; its current one when left out.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,

    /// Also take policies from the records of Helm's releases, for a cluster that no longer serves policies.
    ///
    /// It needs `list` on secrets.
    #[arg(long)]
    pub helm_releases: bool,

    /// Write what was read to this folder as manifests, for `convert`.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Refuse policies that lack a field which the API server requires, instead of taking it for RunAsAny.
    #[arg(long)]
    pub strict: bool,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Show the fields that restrict nothing, too.
    #[arg(long)]
    pub all: bool,

    /// A table for people, or one JSON object, its policies as in the JSON report.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,

    /// The object of an audit event that the rules would judge.
    #[arg(long, value_name = "OBJECT", value_enum, default_value_t = AuditObject::Response)]
    pub audit_object: AuditObject,

    /// Where policies come from.
    #[command(flatten)]
    pub input: Input,
}

/// For people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// Text for people.
    Text,
    /// One JSON object.
    Json,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The file that says what to make of what.
    #[arg(long, value_name = "FILE", default_value = crate::config::FILE)]
    pub config: PathBuf,

    /// Write a first file for what its folder holds, with every key explained.
    ///
    /// It is never overwritten.
    #[arg(long, conflicts_with_all = ["check", "force", "fail_on", "stdout", "print_schema"])]
    pub init: bool,

    /// With --init: leave files and folders out, as `convert` does (repeat for more).
    #[arg(long, value_name = "GLOB", requires = "init")]
    pub exclude: Vec<String>,

    /// Write nothing; show what would change, and exit with code 1 if anything would.
    #[arg(long)]
    pub check: bool,

    /// Exit with code 1 when there are findings of these kinds, beside those of the file.
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    pub fail_on: Vec<Kind>,

    /// Overwrite a file that psp2falco did not write.
    #[arg(long)]
    pub force: bool,

    /// Print the rules that would be written instead of writing anything.
    #[arg(long, conflicts_with_all = ["check", "force"])]
    pub stdout: bool,

    /// Print the JSON Schema of the file instead.
    #[arg(long, conflicts_with_all = ["check", "force", "fail_on", "stdout"])]
    pub print_schema: bool,
}

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Policies whose rules are replayed: as for `convert`.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Audit logs, plain or gzip'd, read in the order given; `-` is standard input.
    ///
    /// Of rotated logs give the oldest first. A folder or YAML file that follows is taken for a PATH. What the API server
    /// wrote: JSON lines, an EventList, an array. What a cloud exports: GKE (`gcloud logging read --format=json`, or an
    /// entry a line), EKS (CloudWatch: `aws logs filter-log-events`, or lines that start with a time), AKS (Azure Monitor:
    /// `records`, or one a line; Log Analytics: `az monitor log-analytics query`).
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub audit_log: Vec<PathBuf>,

    /// A rules file or folder of them, on top of the rules of the policies (repeat for more).
    ///
    /// They are read as `lint` reads them, and loaded in the order given.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,

    /// The psp_policies.json by which the plugin psp judges, where the rules files ask it.
    ///
    /// That of the policies, or the one beside the rules files, when left out.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// Which of the rules that match an event alert.
    ///
    /// `all` as in the falco.yaml that psp2falco recommends, `first` as in Falco's own default.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Matching::All)]
    pub rule_matching: Matching,

    /// A table with a row for each rule that alerted, or each alert as a line of JSON, as Falco writes it.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = replay::Format::Table)]
    pub format: replay::Format,

    /// End with exit code 1 when there is an alert.
    #[arg(long)]
    pub fail_on_alerts: bool,

    /// How many threads judge events; all processors unless set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    /// How rules are made.
    #[command(flatten)]
    pub generation: Rules,

    /// How policies are read.
    #[command(flatten)]
    pub reading: Reading,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Falco rules files and folders of them, in the order in which Falco loads them; `-` is standard input.
    ///
    /// Of a folder Falco loads *.yaml and *.yml in the order of their names, and none below it.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Leave files out of the folders, by a pattern as in a .gitignore: `*-test.yaml` (repeat for more).
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Findings for people, each with its line, or one JSON object.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = TextOrJson::Text)]
    pub format: TextOrJson,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The command whose page to print; that of the program when left out.
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    pub page: Option<String>,

    /// A folder to write all pages into.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// How the program is called: installed as `kubectl-psp2falco`, kubectl calls it as its own command.
pub fn called(program: Option<&OsStr>) -> &'static str {
    let stem = program.and_then(|program| Path::new(program).file_stem());
    if stem.is_some_and(|stem| stem == "kubectl-psp2falco") { "kubectl psp2falco" } else { "psp2falco" }
}
