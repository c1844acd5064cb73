//! The command line: what can be typed, and nothing else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::Colour;
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
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 drift or findings, 2 anything wrong (nothing was written).";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert PodSecurityPolicies from files into Falco rules for the Kubernetes audit log and running containers.
    Convert(Convert),
    /// Convert the PodSecurityPolicies of a live cluster, with its RBAC and pods.
    #[cfg(feature = "cluster")]
    Scan(Scan),
    /// Show what each field of each policy says, what is detected of it, and what is lost.
    Explain(Explain),
    /// Make the rules that a psp2falco.yaml asks for, or check that they are up to date.
    Generate(Generate),
    /// Be a KRM function of kustomize or kpt: a ResourceList on standard input and output.
    Krm,
    /// Show which rules would have alerted on a recorded audit log, without Falco.
    Replay(Replay),
    /// Check Falco rules files as Falco does when it loads them.
    Lint(Lint),
    /// Print the completions of a shell.
    Completions(Completions),
    /// Print a man page, or write all of them into a folder.
    Man(Man),
}

/// Where policies come from.
#[derive(Debug, Args)]
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
pub struct Reading {
    /// Leave files and folders out of the folders and archives that are read, by a pattern as in a .gitignore: `dev`
    /// at any depth, `overlays/dev` from the top, `**/dev/*.yaml` (repeat for more).
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Refuse what the API server or kubectl would have refused and what is read all the same, with a warning: missing
    /// rules, keys that stand twice, names with capitals, another apiVersion, templates in folders.
    #[arg(long)]
    pub strict: bool,
}

/// How rules are made.
#[derive(Debug, Args)]
pub struct Rules {
    /// Only alert on pods of this namespace (repeat for more).
    #[arg(long, value_name = "NAME")]
    pub namespace: Vec<String>,

    /// Never alert on pods of this namespace (repeat for more).
    #[arg(long, value_name = "NAME")]
    pub exclude_namespace: Vec<String>,

    /// Hold every policy against every pod, though the input says who may use which.
    #[arg(long)]
    pub no_rbac: bool,

    /// The namespace of Roles, RoleBindings, ServiceAccounts, pods and workloads that name none; they count in every
    /// namespace when left out.
    #[arg(long, value_name = "NAME")]
    pub default_namespace: Option<String>,

    /// The object of an audit event to judge: the pod as stored, or as the client sent it.
    #[arg(long, value_name = "OBJECT", value_enum, default_value_t = AuditObject::Response)]
    pub audit_object: AuditObject,

    /// How many containers of a pod to count, where AppArmor annotations have to be counted against them; a larger
    /// pod that needs it raises an alert of its own.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_containers: u16,

    /// How many volumes of a pod to number, where a policy has read-only host paths; likewise.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub max_volumes: u16,

    /// Make rules for a Falco with the plugin psp (libpsp.so), which judges pods itself: for logs whose keys are sorted,
    /// as those of GKE, and for many policies. Writes what it judges by beside the rules, as psp_policies.json.
    #[arg(long)]
    pub plugin: bool,

    /// Templates that replace the built-in ones: DIR/audit/FIELD.yaml.hbs, DIR/plugin/NAME.yaml.hbs,
    /// DIR/runtime/FIELD.yaml.hbs.
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,

    /// Where the rules look; a folder gets both layers unless told otherwise, a file or standard output audit.
    #[arg(long, value_name = "LAYER", value_enum)]
    pub layer: Option<Layers>,

    /// Add rules that belong to no policy to the runtime layer: shells, package managers, writes to system files, the
    /// container runtime's socket, the Kubernetes API.
    #[arg(long)]
    pub baseline: bool,
}

/// Where rules go.
#[derive(Debug, Args)]
pub struct Output {
    /// A folder (it exists, ends in `/`, or has no extension) for psp_audit_rules.yaml and psp_runtime_rules.yaml, or a
    /// file for one of them; `-`, or nothing, is standard output.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// Overwrite a file that psp2falco did not write.
    #[arg(long)]
    pub force: bool,

    /// Show all that would alert of the pods in the input, rather than the first rows.
    #[arg(long)]
    pub predict: bool,

    /// Write a file for Falco that silences exactly what would alert of the pods in the input. It is never overwritten.
    #[arg(long, value_name = "FILE")]
    pub suggest_exceptions: Option<PathBuf>,

    /// What rules are put into.
    #[command(flatten)]
    pub wrapper: Wrapper,

    /// What is told of them.
    #[command(flatten)]
    pub reporting: Reporting,
}

/// What rules are put into.
#[derive(Debug, Args)]
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
pub struct Reporting {
    /// Also write a report, beside the rules as psp_report.* (repeat for more). Where the rules go to standard output,
    /// `text` is a message on standard error, as `github` always is, and others need --report-file.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub report: Vec<ReportFormat>,

    /// Where the report goes instead; `-` is standard output, which holds one thing: the rules must go elsewhere.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub report_file: Option<PathBuf>,

    /// Show how the rules differ from those that they replace, rule by rule and line by line, and in the report too.
    #[arg(long, requires = "output")]
    pub diff: bool,

    /// A file that tunes the rules: say what in it would lose its target (repeat for more, in load order).
    #[arg(long, value_name = "FILE", requires = "output")]
    pub tuning: Vec<PathBuf>,

    /// When the differences are coloured.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
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
    /// Where policies come from.
    #[command(flatten)]
    pub input: Input,

    /// How rules are made.
    #[command(flatten)]
    pub rules: Rules,

    /// Where rules go.
    #[command(flatten)]
    pub output: Output,
}

/// `scan`.
#[cfg(feature = "cluster")]
#[derive(Debug, Args)]
pub struct Scan {
    /// The kubeconfig; KUBECONFIG, ~/.kube/config or the pod's own service account when left out.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig; its current one when left out.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: u64,

    /// Also take policies from the records of Helm's releases, for a cluster that no longer serves policies; needs list
    /// on secrets.
    #[arg(long)]
    pub helm_releases: bool,

    /// Write what was read to this folder as manifests, for `convert`.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Refuse policies that lack a field which the API server requires, instead of taking it for RunAsAny.
    #[arg(long)]
    pub strict: bool,

    /// How rules are made.
    #[command(flatten)]
    pub rules: Rules,

    /// Where rules go.
    #[command(flatten)]
    pub output: Output,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Where policies come from.
    #[command(flatten)]
    pub input: Input,

    /// Which object of an audit event the rules would judge.
    #[arg(long, value_name = "OBJECT", value_enum, default_value_t = AuditObject::Response)]
    pub audit_object: AuditObject,
}

/// `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// The file that says what to make of what.
    #[arg(long, value_name = "FILE", default_value = crate::config::FILE)]
    pub config: PathBuf,

    /// Write a first file for what its folder holds, with every key explained. It is never overwritten.
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

    /// When the differences are coloured.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,

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

    /// Audit logs, plain or gzip'd, read in the order given (rotated logs: the oldest first); `-` is standard input. A
    /// folder or YAML file that follows is taken for a PATH. What the API server wrote: JSON lines, an EventList, an
    /// array. What a cloud exports: GKE (`gcloud logging read --format=json`, or an entry a line), EKS (CloudWatch: `aws
    /// logs filter-log-events`, or lines that start with a time), AKS (Azure Monitor: `records`, or one a line;
    /// Log Analytics: `az monitor log-analytics query`).
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub audit_log: Vec<PathBuf>,

    /// A rules file or folder of them, as for `lint` (repeat for more): loaded in the order given, on top of the rules
    /// of the policies.
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,

    /// The psp_policies.json by which the plugin psp judges, where the rules files ask it; that of the policies, or the
    /// one beside the rules files, when left out.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,

    /// Which of the rules that match an event alert: `all` as in the falco.yaml that psp2falco recommends, `first` as
    /// in Falco's own default.
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

    /// How policies are read.
    #[command(flatten)]
    pub reading: Reading,

    /// How rules are made.
    #[command(flatten)]
    pub generation: Rules,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Falco rules files and folders of them, in the order in which Falco loads them; `-` is standard input. Of a folder
    /// Falco loads *.yaml and *.yml in the order of their names, and none below it.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Leave files out of the folders, by a pattern as in a .gitignore: `*-test.yaml` (repeat for more).
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Findings for people, or one JSON object.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LintFormat::Text)]
    pub format: LintFormat,
}

/// How `lint` shows findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// Each with its line.
    Text,
    /// One JSON object.
    Json,
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
