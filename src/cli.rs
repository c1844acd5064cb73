//! The command line: what can be typed, and nothing else.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Carry Kubernetes PodSecurityPolicies over to Falco.
#[derive(Debug, Parser)]
#[command(name = "psp2falco", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 findings, 2 anything wrong (nothing was written).";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert PodSecurityPolicies from files into Falco rules for the Kubernetes audit log.
    Convert(Convert),
    /// Show what each field of each policy says, what is detected of it, and what is lost.
    Explain(Explain),
    /// Show which rules would have alerted on a recorded audit log, without Falco.
    Replay(Replay),
    /// Check Falco rules files as Falco does when it loads them.
    Lint(Lint),
}

/// Where policies come from.
#[derive(Debug, Args)]
pub struct Input {
    /// Files, folders (recursive), Velero backups (folder or .tar.gz); `-` is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,

    /// Refuse policies that lack a field which the API server requires, instead of taking it for RunAsAny.
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

    /// Templates that replace the built-in ones: DIR/audit/FIELD.yaml.hbs.
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
}

/// Where rules go.
#[derive(Debug, Args)]
pub struct Output {
    /// A file, or a folder for psp_audit_rules.yaml; standard output when left out.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// Overwrite a file that psp2falco did not write.
    #[arg(long)]
    pub force: bool,
}

/// Which object of an audit event to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditObject {
    /// responseObject, logged at level RequestResponse.
    Response,
    /// requestObject, logged at level Request.
    Request,
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

/// `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Policies whose rules are replayed: as for `convert`.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Audit logs: JSON lines, plain or gzip'd, read in the order given (rotated logs: the oldest first); `-` is
    /// standard input. A folder or YAML file that follows is taken for a PATH.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub audit_log: Vec<PathBuf>,

    /// A rules file (repeat for more): loaded in the order given, on top of the rules of the policies.
    #[arg(long, value_name = "FILE")]
    pub rules: Vec<PathBuf>,

    /// Which of the rules that match an event alert: `all` as in the falco.yaml that psp2falco recommends, `first` as
    /// in Falco's own default.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = RuleMatching::All)]
    pub rule_matching: RuleMatching,

    /// A table with a row for each rule that alerted, or each alert as a line of JSON, as Falco writes it.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ReplayFormat::Table)]
    pub format: ReplayFormat,

    /// End with exit code 1 when there is an alert.
    #[arg(long)]
    pub fail_on_alerts: bool,

    /// How many threads judge events; all processors unless set.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    /// Refuse policies that lack a field which the API server requires, instead of taking it for RunAsAny.
    #[arg(long)]
    pub strict: bool,

    /// How rules are made.
    #[command(flatten)]
    pub generation: Rules,
}

/// Which of the rules that match an event alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RuleMatching {
    /// The first one in the order of the files.
    First,
    /// All of them.
    All,
}

/// How `replay` shows alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// Counted by rule.
    Table,
    /// One JSON object a line.
    Json,
}

/// `lint`.
#[derive(Debug, Args)]
pub struct Lint {
    /// Falco rules files, in the order in which Falco loads them; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

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
