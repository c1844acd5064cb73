//! `scan`: policies from a live cluster become rules.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Exit, deliver};
use crate::cli;
use crate::read;
use crate::read::cluster::resource::Resource;
use crate::read::cluster::{self, Request, Scan, Target};
use crate::write;

/// Writes the rules of a cluster's policies.
pub(super) fn run(args: &cli::Scan, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let request = Request {
        target: Target { kubeconfig: args.kubeconfig.clone(), context: args.context.clone() },
        timeout: Duration::from_secs(args.timeout),
        helm_releases: args.helm_releases,
    };
    let scan = read_cluster(&request)?;
    let inventory = scan.inventory(&read::Options { strict: args.strict }).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!(lines.join("\n"))
    })?;
    let warnings = scan.notes.iter().cloned().chain(inventory.warnings.iter().map(ToString::to_string));
    for warning in warnings {
        writeln!(err, "warning: {warning}")?;
    }
    let exit = deliver(&inventory, &args.rules, &args.output, out, err)?;
    if let Some(folder) = &args.save {
        save(&scan, folder, args.output.force)?;
        writeln!(err, "saved to {}; the same again: psp2falco convert {0}", folder.display())?;
    }
    Ok(exit)
}

/// Reads the cluster; on a terminal it shows how far it is.
fn read_cluster(request: &Request) -> Result<Scan> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let scan = cluster::scan(request, &mut |resource: &Resource, count| {
        bar.set_message(format!("{}: {count}", resource.plural));
    });
    bar.finish_and_clear();
    scan
}

fn save(scan: &Scan, folder: &Path, force: bool) -> Result<()> {
    for (name, text) in scan.manifests() {
        write::replace(&folder.join(name), &text, force)?;
    }
    Ok(())
}
