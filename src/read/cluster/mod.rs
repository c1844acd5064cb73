//! A live cluster: policies, RBAC and pods as the API server lists them, or policies out of Helm's release records.
//!
//! What is read becomes manifests first, and these are read like any other, so that a scan and the conversion of its
//! saved manifests cannot differ. Needs `list` only.

mod connect;
mod fetch;
mod helm;
mod list;
mod manifest;
pub mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{Inventory, Options, Reader, keep};
use crate::problem::Problem;
use crate::write::MARK;
use fetch::{Api, Failure};
use list::Query;
use resource::{NAMESPACES, PODS, POLICIES, RBAC, RELEASES, Resource, SERVICE_ACCOUNTS};

/// How many objects to ask for at once.
const PAGE: u32 = 500;
/// How many release records: one may have a MiB.
const RECORDS: u32 = 50;

/// Which cluster, as whom.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The kubeconfig; where kubectl looks for it if unset.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; its current one if unset.
    pub context: Option<String>,
}

/// What to read, and how long to try.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which cluster, as whom.
    pub target: Target,
    /// The time for all of it.
    pub timeout: Duration,
    /// Take policies from Helm's release records too.
    pub helm_releases: bool,
}

/// What a scan has read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// The server's address.
    pub server: String,
    /// What the user should know: what could not be read and what that loses.
    pub notes: Vec<String>,
    files: Vec<Dump>,
}

/// The objects of one kind.
#[derive(Debug, Clone)]
struct Dump {
    resource: Resource,
    objects: Vec<Saved>,
    /// Why there are none, if that is not for want of any.
    missing: Option<&'static str>,
}

/// One object.
#[derive(Debug, Clone)]
struct Saved {
    key: (String, String),
    /// What errors about it start with.
    place: String,
    /// The text to read, if it is not the manifest.
    source: Option<String>,
    /// The object as a YAML document.
    manifest: String,
}

/// Reads the cluster; `progress` is told how many objects of a resource have come.
///
/// # Errors
/// Whatever keeps the policies from being read, in a sentence that starts with the server's address.
pub fn scan(request: &Request, progress: &mut dyn FnMut(&Resource, usize)) -> Result<Scan> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("scan: the network cannot be used")?;
    let result = runtime.block_on(run(request, progress));
    // a command for credentials that hangs is not waited for
    runtime.shutdown_background();
    result
}

async fn run(request: &Request, progress: &mut dyn FnMut(&Resource, usize)) -> Result<Scan> {
    let deadline = Instant::now() + request.timeout;
    let config = connect::config(&request.target).await?;
    let server = connect::server(&config.cluster_url);
    let client = tokio::time::timeout_at(deadline, connect::blocking(move || connect::client(config)));
    let client = client.await.map_err(|_| {
        anyhow!(
            "{server}: no credentials after {} s: the command that the kubeconfig names for them has not ended; run it by \
             hand, or allow more with --timeout",
            request.timeout.as_secs()
        )
    })??;
    let mut scanner = Scanner {
        api: Api { client, deadline },
        server,
        timeout: request.timeout,
        notes: Vec::new(),
        files: Vec::new(),
        progress,
        seen: 0,
    };
    scanner.policies(request.helm_releases).await?;
    scanner.rbac().await?;
    for (resource, lost) in [
        (NAMESPACES, "nothing in the rules; the saved manifests lack them"),
        (SERVICE_ACCOUNTS, "a binding to a service account that is gone is not pointed out"),
        (PODS, "which running pods would alert cannot be predicted"),
    ] {
        scanner.optional(resource, lost).await?;
    }
    let Scanner { server, notes, mut files, .. } = scanner;
    for file in &mut files {
        file.objects.sort_by(|left, right| left.key.cmp(&right.key));
    }
    // as a folder of these files is read
    files.sort_by_key(|file| file.resource.plural);
    Ok(Scan { server, notes, files })
}

/// A scan under way.
struct Scanner<'a> {
    api: Api,
    server: String,
    timeout: Duration,
    notes: Vec<String>,
    files: Vec<Dump>,
    progress: &'a mut dyn FnMut(&Resource, usize),
    seen: usize,
}

/// What `/version` says.
#[derive(Default, Deserialize)]
struct Version {
    #[serde(default, rename = "gitVersion")]
    git_version: String,
}

impl Scanner<'_> {
    async fn policies(&mut self, helm_releases: bool) -> Result<()> {
        let mut objects = Vec::new();
        let mut served = None;
        let mut forbidden = None;
        for resource in POLICIES {
            match self.list(resource).await {
                Ok(found) => {
                    objects = found;
                    served = Some(resource);
                    break;
                }
                Err(Failure::NotFound) => {}
                Err(Failure::Forbidden(said)) => {
                    forbidden.get_or_insert(said);
                }
                Err(failure) => bail!(self.fatal(&resource, &failure)),
            }
        }
        if served.is_none() && !helm_releases {
            bail!(self.no_policies(forbidden).await?);
        }
        if let (None, Some(said)) = (served, &forbidden) {
            self.notes.push(format!(
                "{}: podsecuritypolicies: forbidden{}; taken from Helm's release records only",
                self.server,
                in_brackets(said)
            ));
        }
        if helm_releases {
            self.releases(&mut objects, served.is_some()).await?;
        }
        if objects.is_empty() {
            let sources = match (served.is_some(), helm_releases) {
                (true, false) => "it serves policies but has none",
                (true, true) => {
                    "it serves policies but has none, and Helm's release records have none either"
                }
                (false, _) => "Helm's release records hold no policies",
            };
            bail!("{}: podsecuritypolicies: {sources}; is this the right cluster?", self.server);
        }
        self.files.push(Dump { resource: POLICIES[0], objects, missing: None });
        Ok(())
    }

    /// Why there are no policies, and what to do about it.
    async fn no_policies(&self, forbidden: Option<String>) -> Result<String> {
        let version = match self.api.get("/version").await {
            Ok(body) => serde_json::from_slice::<Version>(&body).unwrap_or_default().git_version,
            Err(Failure::Deadline) => bail!(self.late("version")),
            Err(_) => String::new(),
        };
        let place = format!("{}: podsecuritypolicies", self.server);
        if let Some(said) = forbidden.as_ref().filter(|_| !is_without_policies(&version)) {
            return Ok(format!(
                "{place}: forbidden{}; without policies there is nothing to convert; bind the ClusterRole from the \
                 README (\"Scan a cluster\") to this user, or choose another one with --context",
                in_brackets(said)
            ));
        }
        if forbidden.is_none() && version.is_empty() {
            return Ok(format!(
                "{place}: not served (404), and the server does not say its version; check that this is the address \
                 of a Kubernetes API server"
            ));
        }
        let known: String = version
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || ".+-".contains(*char))
            .take(40)
            .collect();
        Ok(format!(
            "{place}: Kubernetes {known} does not serve them (removed in 1.25); they can still come from:\n  \
             - Helm's release records in this cluster: psp2falco scan --helm-releases\n  \
             - the manifests in Git: psp2falco convert DIR\n  \
             - a Velero backup from before the upgrade: psp2falco convert BACKUP.tar.gz\n  \
             - an etcd snapshot from before the upgrade: restore it under a kube-apiserver of 1.24 or older, and scan that"
        ))
    }

    async fn releases(&mut self, objects: &mut Vec<Saved>, served: bool) -> Result<()> {
        let mut revisions = Vec::new();
        let mut forbidden = Vec::new();
        for resource in RELEASES {
            let is_secret = resource.kind == "Secret";
            let selectors = if is_secret {
                "&labelSelector=owner%3Dhelm&fieldSelector=type%3Dhelm.sh%2Frelease.v1"
            } else {
                "&labelSelector=owner%3Dhelm"
            };
            let query = Query { resource, selectors, limit: RECORDS };
            let mut keep = |object: Map<String, Value>| helm::revision(&object, is_secret);
            match list::list(&self.api, query, &mut keep, self.progress).await {
                Ok(found) => revisions.extend(found),
                Err(Failure::Forbidden(said)) => forbidden.push((resource.plural, said)),
                Err(failure) => bail!(self.fatal(&resource, &failure)),
            }
        }
        for (plural, said) in &forbidden {
            let text = format!("{}: {plural}: forbidden{}", self.server, in_brackets(said));
            if forbidden.len() == RELEASES.len() && !served {
                bail!(
                    "{text}; Helm keeps its release records there: grant list on secrets, or configmaps, in all namespaces"
                );
            }
            self.notes.push(format!("{text}; lost: releases that Helm records there"));
        }
        let found = helm::newest(revisions);
        self.notes.extend(found.notes);
        let live: BTreeSet<String> = objects.iter().map(|saved| saved.key.1.clone()).collect();
        let mut taken = Vec::new();
        for document in found.documents {
            let is_new =
                |policy: &&Map<String, Value>| helm::name(policy).is_none_or(|name| !live.contains(name));
            let policies: Vec<_> = document.policies.iter().filter(is_new).collect();
            let names: Vec<&str> = policies.iter().copied().filter_map(helm::name).collect();
            let mut source = Some(document.text);
            if policies.len() < document.policies.len() {
                // the text would bring the policies of the cluster a second time
                source = None;
            } else if policies.is_empty() {
                // left to the reader to complain about
                let place = document.place.clone();
                let key = Default::default();
                objects.push(Saved { key, place, source: source.take(), manifest: String::new() });
            }
            let whole = source.is_some();
            for policy in &policies {
                let policy = keep::keep((*policy).clone(), POLICIES[0].kind, &POLICIES[0].api_version());
                objects.push(Saved {
                    key: key_of(&policy),
                    place: document.place.clone(),
                    // the first one brings all of the document
                    source: if whole { Some(source.take().unwrap_or_default()) } else { None },
                    manifest: manifest::document(&policy),
                });
            }
            taken.extend(names.iter().map(|name| format!("{name} ({})", document.place)));
        }
        if !taken.is_empty() {
            let only = if served { ", which the server does not have" } else { "" };
            self.notes.push(format!(
                "{}: from Helm's release records{only}: {}",
                self.server,
                taken.join(", ")
            ));
        }
        Ok(())
    }

    /// All of RBAC, or none: with a part of it, policies would be held against the wrong pods.
    async fn rbac(&mut self) -> Result<()> {
        let mut read = Vec::new();
        let mut unreadable = Vec::new();
        for resource in RBAC {
            match self.list(resource).await {
                Ok(objects) => read.push(Dump { resource, objects, missing: None }),
                Err(failure) => unreadable.push((resource.plural, self.lack(&resource, failure)?)),
            }
        }
        if unreadable.is_empty() {
            self.files.extend(read);
            return Ok(());
        }
        let reasons: Vec<String> =
            unreadable.iter().map(|(plural, reason)| format!("{plural}: {reason}")).collect();
        self.notes.push(format!(
            "{}: {}; RBAC counts only as a whole, so it is left out: the rules hold EVERY POLICY AGAINST EVERY POD, \
             whoever may use it; bind the ClusterRole from the README, or narrow the policies with --namespace",
            self.server,
            reasons.join("; ")
        ));
        let missing = Some("left out: RBAC could not be read as a whole");
        self.files.extend(RBAC.map(|resource| Dump { resource, objects: Vec::new(), missing }));
        Ok(())
    }

    async fn optional(&mut self, resource: Resource, lost: &str) -> Result<()> {
        let (objects, missing) = match self.list(resource).await {
            Ok(objects) => (objects, None),
            Err(failure) => {
                let reason = self.lack(&resource, failure)?;
                self.notes.push(format!("{}: {}: {reason}; lost: {lost}", self.server, resource.plural));
                (Vec::new(), Some("left out: could not be read"))
            }
        };
        self.files.push(Dump { resource, objects, missing });
        Ok(())
    }

    async fn list(&mut self, resource: Resource) -> Result<Vec<Saved>, Failure> {
        let mut keep = |object: Map<String, Value>| {
            let object = keep::keep(object, resource.kind, &resource.api_version());
            let key = key_of(&object);
            let mut place = format!("{}/{}", resource.plural, key.1);
            if !key.0.is_empty() {
                place = format!("{}/{place}", key.0);
            }
            Some(Saved { key, place, source: None, manifest: manifest::document(&object) })
        };
        let query = Query { resource, selectors: "", limit: PAGE };
        let objects = list::list(&self.api, query, &mut keep, self.progress).await?;
        self.seen += objects.len();
        Ok(objects)
    }

    /// The reason why a resource that is not indispensable cannot be read.
    fn lack(&self, resource: &Resource, failure: Failure) -> Result<String> {
        match failure {
            Failure::Forbidden(said) => Ok(format!("forbidden{}", in_brackets(&said))),
            Failure::NotFound => Ok("not served (404)".to_owned()),
            failure => bail!(self.fatal(resource, &failure)),
        }
    }

    fn fatal(&self, resource: &Resource, failure: &Failure) -> String {
        let place = format!("{}: {}", self.server, resource.plural);
        match failure {
            Failure::Unauthorized => format!(
                "{}: the server does not accept these credentials (401); log in again, or choose another user with \
                 --context",
                self.server
            ),
            Failure::Forbidden(said) => format!("{place}: forbidden{}", in_brackets(said)),
            Failure::NotFound => format!("{place}: not served (404)"),
            Failure::Expired => format!("{place}: the list expired (410)"),
            Failure::Busy(said, _) => format!("{place}: the server keeps failing ({said}); try again later"),
            Failure::Broken(what) => {
                format!("{place}: {what}, again and again; check the network and what lies in between")
            }
            Failure::Deadline => self.late(resource.plural),
            Failure::Other(what) => format!("{place}: {what}"),
        }
    }

    fn late(&self, what: &str) -> String {
        format!(
            "{}: {what}: not read within {} s ({} objects before it); allow more with --timeout",
            self.server,
            self.timeout.as_secs(),
            self.seen
        )
    }
}

/// Is the release one that no longer has policies?
fn is_without_policies(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split(|char: char| !char.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= (1, 25))
}

/// The server's words, where it gave any.
fn in_brackets(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(" ({said})") }
}

impl Scan {
    /// What was read, as if its manifests had been files.
    ///
    /// # Errors
    /// Everything that is wrong with the policies.
    pub fn inventory(&self, options: &Options) -> Result<Inventory, Vec<Problem>> {
        let mut reader = Reader::new(options);
        for saved in self.files.iter().flat_map(|file| &file.objects) {
            let text = saved.source.as_ref().unwrap_or(&saved.manifest);
            reader.text(&saved.place, text, false);
        }
        reader.finish()
    }

    /// The manifests, by file name: always the same files, so that none is left over from an earlier scan.
    pub fn manifests(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|file| (format!("{}.yaml", file.resource.plural), file.text())).collect()
    }
}

impl Dump {
    fn text(&self) -> String {
        let what = self.missing.map_or_else(|| self.objects.len().to_string(), str::to_owned);
        let mut text = format!("# {}, {MARK} scan: {what}\n", self.resource.plural);
        self.objects.iter().for_each(|saved| text.push_str(&saved.manifest));
        text
    }
}

/// By what objects are sorted: namespace and name.
fn key_of(object: &Value) -> (String, String) {
    let text = |name: &str| {
        object.pointer(&format!("/metadata/{name}")).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_releases_without_policies() {
        for (version, without) in [
            ("v1.24.17", false),
            ("v1.25.0", true),
            ("v1.31.0-eks-1", true),
            ("v2.0.0", true),
            ("v1.9.0", false),
            ("", false),
        ] {
            assert_eq!(is_without_policies(version), without, "{version}");
        }
    }
}
