//! A live cluster: policies, RBAC and pods as the API server lists them, or policies out of Helm's release records.
//!
//! What is read becomes manifests first, and these are read like any other, so that a scan and the conversion of its
//! saved manifests cannot differ. Needs `list` only.

mod connect;
mod fetch;
mod helm;
mod list;
pub mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::reader::Reader;
use super::{Inventory, Options, redact};
use crate::messages::cluster as messages;
use crate::problem::{Message, Problem};
use crate::write::MARK;
use crate::yaml;
pub use connect::Target;
use fetch::{Api, Failure};
use list::Query;
use resource::{NAMESPACES, PODS, POLICIES, RBAC, RELEASES, Resource, SERVICE_ACCOUNTS};

/// How many objects to ask for at once.
const PAGE: u32 = 500;
/// How many release records: one may have a MiB.
const RECORDS: u32 = 50;

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
    pub notes: Vec<Problem>,
    files: Vec<Dump>,
}

/// The objects of one kind.
#[derive(Debug, Clone)]
struct Dump {
    resource: Resource,
    objects: Vec<Saved>,
    /// Why there are none, if that is not because the cluster has none.
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
        .map_err(|error| Problem::of_file("scan", messages::no_network(error)))?;
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
        Problem::of_file(&server, messages::credentials_too_late(request.timeout.as_secs()))
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
    notes: Vec<Problem>,
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
                Err(failure) => return Err(self.fatal(&resource, &failure).into()),
            }
        }
        if served.is_none() && !helm_releases {
            return Err(self.no_policies(forbidden).await?.into());
        }
        if let (None, Some(said)) = (served, &forbidden) {
            let message = messages::only_from_helm(in_brackets(said));
            self.notes.push(Problem::of_file(&self.place(POLICIES[0].plural), message));
        }
        if helm_releases {
            self.releases(&mut objects, served.is_some()).await?;
        }
        if objects.is_empty() {
            let message = match (served.is_some(), helm_releases) {
                (true, false) => messages::no_policies(),
                (true, true) => messages::no_policies_anywhere(),
                (false, _) => messages::no_policies_in_helm(),
            };
            return Err(Problem::of_file(&self.place(POLICIES[0].plural), message).into());
        }
        self.files.push(Dump { resource: POLICIES[0], objects, missing: None });
        Ok(())
    }

    /// Why there are no policies, and what to do about it.
    async fn no_policies(&self, forbidden: Option<String>) -> Result<Problem> {
        let version = match self.api.get("/version").await {
            Ok(body) => serde_json::from_slice::<Version>(&body).unwrap_or_default().git_version,
            Err(Failure::Deadline) => return Err(self.late("version").into()),
            Err(_) => String::new(),
        };
        let known: String = version
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || ".+-".contains(*char))
            .take(40)
            .collect();
        let message = match &forbidden {
            Some(said) if !is_without_policies(&version) => messages::policies_forbidden(in_brackets(said)),
            None if version.is_empty() => messages::no_version(),
            _ => messages::served_no_more(known),
        };
        Ok(Problem::of_file(&self.place(POLICIES[0].plural), message))
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
                Err(failure) => return Err(self.fatal(&resource, &failure).into()),
            }
        }
        for (plural, said) in &forbidden {
            let (place, said) = (self.place(plural), in_brackets(said));
            if forbidden.len() == RELEASES.len() && !served {
                return Err(Problem::of_file(&place, messages::releases_forbidden(said)).into());
            }
            self.notes.push(Problem::of_file(&place, messages::releases_lost(said)));
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
                let policy = redact::redact((*policy).clone(), POLICIES[0].kind, &POLICIES[0].api_version());
                objects.push(Saved {
                    key: key_of(&policy),
                    place: document.place.clone(),
                    // the first one brings all of the document
                    source: if whole { Some(source.take().unwrap_or_default()) } else { None },
                    manifest: manifest(&policy),
                });
            }
            taken.extend(names.iter().map(|name| format!("{name} ({})", document.place)));
        }
        if !taken.is_empty() {
            let taken = taken.join(", ");
            let message = if served { messages::from_helm_only(taken) } else { messages::from_helm(taken) };
            self.notes.push(Problem::of_file(&self.server, message));
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
        let message = messages::rbac_left_out(reasons.join("; "));
        self.notes.push(Problem::of_file(&self.server, message));
        let missing = Some("left out: RBAC could not be read as a whole");
        self.files.extend(RBAC.map(|resource| Dump { resource, objects: Vec::new(), missing }));
        Ok(())
    }

    async fn optional(&mut self, resource: Resource, lost: &str) -> Result<()> {
        let (objects, missing) = match self.list(resource).await {
            Ok(objects) => (objects, None),
            Err(failure) => {
                let reason = self.lack(&resource, failure)?;
                let message = messages::resource_lost(reason, lost);
                self.notes.push(Problem::of_file(&self.place(resource.plural), message));
                (Vec::new(), Some("left out: could not be read"))
            }
        };
        self.files.push(Dump { resource, objects, missing });
        Ok(())
    }

    async fn list(&mut self, resource: Resource) -> Result<Vec<Saved>, Failure> {
        let mut keep = |object: Map<String, Value>| {
            let object = redact::redact(object, resource.kind, &resource.api_version());
            let key = key_of(&object);
            let mut place = format!("{}/{}", resource.plural, key.1);
            if !key.0.is_empty() {
                place = format!("{}/{place}", key.0);
            }
            Some(Saved { key, place, source: None, manifest: manifest(&object) })
        };
        let query = Query { resource, selectors: "", limit: PAGE };
        let objects = list::list(&self.api, query, &mut keep, self.progress).await?;
        self.seen += objects.len();
        Ok(objects)
    }

    /// The reason why a resource that is not indispensable cannot be read.
    fn lack(&self, resource: &Resource, failure: Failure) -> Result<Message> {
        match failure {
            Failure::Forbidden(said) => Ok(messages::forbidden(in_brackets(&said))),
            Failure::NotFound => Ok(messages::not_served()),
            failure => Err(self.fatal(resource, &failure).into()),
        }
    }

    fn fatal(&self, resource: &Resource, failure: &Failure) -> Problem {
        let message = match failure {
            Failure::Unauthorized => return Problem::of_file(&self.server, messages::unauthorized()),
            Failure::Deadline => return self.late(resource.plural),
            Failure::Forbidden(said) => messages::forbidden(in_brackets(said)),
            Failure::NotFound => messages::not_served(),
            Failure::Expired => messages::expired(),
            Failure::Busy(said, _) => messages::busy(said),
            Failure::Broken(what) => messages::broken(what),
            Failure::Other(what) => what.clone(),
        };
        Problem::of_file(&self.place(resource.plural), message)
    }

    fn late(&self, what: &str) -> Problem {
        let message = messages::too_late(self.timeout.as_secs(), self.seen);
        Problem::of_file(&self.place(what), message)
    }

    /// What messages about a resource start with.
    fn place(&self, plural: &str) -> String {
        format!("{}: {plural}", self.server)
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
        let mut reader = Reader::new(options.strict);
        for saved in self.files.iter().flat_map(|file| &file.objects) {
            let text = saved.source.as_ref().unwrap_or(&saved.manifest);
            reader.text(&saved.place, text, None);
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

/// An object as a YAML document, with `---` before it.
fn manifest(object: &Value) -> String {
    let mut text = String::from("---\n");
    yaml::write(object, 0, &mut text);
    text
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
