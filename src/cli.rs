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
    /// Convert PodSecurityPolicies from files into Falco rules for the Kubernetes audit log and running containers.
    Convert(Convert),
    /// Show what each field of each policy says, what is detected of it, and what is lost.
    Explain(Explain),
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

    /// Templates that replace the built-in ones: DIR/audit/FIELD.yaml.hbs, DIR/runtime/FIELD.yaml.hbs.
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,

    /// Where the rules look; a folder gets both layers unless told otherwise, a file or standard output audit.
    #[arg(long, value_name = "LAYER", value_enum)]
    pub layer: Option<Layer>,

    /// Add rules that belong to no policy to the runtime layer: shells, package managers, writes to system files, the
    /// container runtime's socket, the Kubernetes API.
    #[arg(long)]
    pub baseline: bool,
}

/// Where rules go.
#[derive(Debug, Args)]
pub struct Output {
    /// A file, or a folder for psp_audit_rules.yaml and psp_runtime_rules.yaml; standard output when left out.
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

/// Where rules look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layer {
    /// The Kubernetes audit log: pods as they are made.
    Audit,
    /// The kernel's events: containers as they run.
    Runtime,
    /// Both, one file each.
    Both,
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
