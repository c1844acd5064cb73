//! `scan`: policies from a live cluster become rules.

use std::time::Duration;

use anyhow::Result;

use super::pipeline::{Exit, deliver};
use crate::cli;
use crate::console::Console;
use crate::excerpt::Gravity;
use crate::problem::Problems;
use crate::read;
use crate::read::cluster::resource::Resource;
use crate::read::cluster::{self, Request, Scan, Target};

/// Writes the rules of a cluster's policies.
pub(super) fn run(args: &cli::Scan, console: &mut Console<'_>) -> Result<Exit> {
    let request = Request {
        target: Target { kubeconfig: args.cluster.kubeconfig.clone(), context: args.cluster.context.clone() },
        timeout: Duration::from_secs(args.cluster.timeout),
        helm_releases: args.cluster.helm_releases,
    };
    let scan = read_cluster(&request, console)?;
    let inventory = scan
        .inventory(&read::Options { strict: args.cluster.strict, ..read::Options::default() })
        .map_err(Problems)?;
    for note in &scan.notes {
        console.tell(Gravity::Warning, note);
    }
    for warning in &inventory.warnings {
        console.tell(Gravity::Warning, warning);
    }
    let saved: Vec<_> = match &args.cluster.save {
        Some(folder) => scan.manifests().into_iter().map(|(name, text)| (folder.join(name), text)).collect(),
        None => Vec::new(),
    };
    let exit = deliver(&inventory, &args.rules, &args.output, &saved, console)?;
    if let Some(folder) = &args.cluster.save {
        console.say(format_args!("saved to {}; the same again: psp2falco convert {0}", folder.display()));
    }
    Ok(exit)
}

/// Reads the cluster; on a terminal it shows how far it is.
fn read_cluster(request: &Request, console: &Console<'_>) -> Result<Scan> {
    let progress = console.progress("{spinner} {msg}", None);
    cluster::scan(request, &mut |resource: &Resource, count| {
        progress.set_message(format!("{}: {count}", resource.plural));
    })
}
