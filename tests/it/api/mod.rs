//! A small HTTP server that answers as an API server does, the kubeconfigs for it, and runs of the program.
#![allow(
    missing_docs,
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What the program asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    /// How many requests for the same path came before.
    pub earlier: usize,
}

/// What it is told.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub end: End,
}

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Whole,
    /// The connection closes before the last bytes.
    CutOff,
    /// The connection closes without an answer.
    Closed,
    /// No answer ever comes.
    Silent,
}

pub fn reply(code: u16, body: impl Into<String>) -> Reply {
    Reply { code, headers: Vec::new(), body: body.into(), end: End::Whole }
}

pub fn ok(body: &Value) -> Reply {
    reply(200, body.to_string())
}

/// An API server's refusal.
pub fn status(code: u16, message: &str) -> Reply {
    reply(code, json!({"kind": "Status", "status": "Failure", "message": message, "code": code}).to_string())
}

impl Reply {
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

/// A server on loopback; it answers until the test ends.
pub struct Server {
    pub url: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (shared, answer) = (Arc::clone(&log), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { url, log }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(mut request) = read_request(&mut reader) else { return };
    {
        let mut log = log.lock().unwrap();
        request.earlier = log.iter().filter(|earlier| earlier.path == request.path).count();
        log.push(request.clone());
    }
    let reply = answer(&request);
    let mut stream = stream;
    match reply.end {
        End::Silent => std::thread::sleep(Duration::from_secs(60)),
        End::Closed => {}
        End::Whole | End::CutOff => {
            let mut text = format!("HTTP/1.1 {} X\r\nconnection: close\r\n", reply.code);
            if !reply.headers.iter().any(|(name, _)| *name == "content-type") {
                text.push_str("content-type: application/json\r\n");
            }
            for (name, value) in &reply.headers {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            let sent = if reply.end == End::CutOff { reply.body.len() / 2 } else { reply.body.len() };
            text.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
            let _ = stream.write_all(text.as_bytes());
            let _ = stream.write_all(&reply.body.as_bytes()[..sent]);
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    // closing with unread bytes would reset the connection under the answer
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = reader.read(&mut [0; 1024]);
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Some(Request { path: path.to_owned(), query, headers, earlier: 0 })
}

/// A kubeconfig for `server` with the fields of a user.
pub fn kubeconfig(server: &str, cluster: &Value, user: &Value) -> String {
    let mut cluster = cluster.clone();
    cluster["server"] = json!(server);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    })
    .to_string()
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self
    }

    /// The errors of a run that must have failed, with nothing on standard output.
    #[track_caller]
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(2), "{}\n{}", self.out, self.err);
        assert_eq!(self.out, "");
        self.err
    }
}

/// A folder of one test, and the program run in it, away from the clusters of whoever runs the tests.
pub struct Bench {
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// With a kubeconfig at hand for `server`.
    pub fn with(server: &str) -> Self {
        let bench = Self::new();
        bench.write("kubeconfig", &kubeconfig(server, &json!({}), &json!({"token": "t0ken"})));
        bench
    }

    pub fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn run(&self, args: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// `scan` with the kubeconfig at hand.
    pub fn scan(&self, args: &[&str]) -> Run {
        let mut all = vec!["scan", "--kubeconfig", "kubeconfig"];
        all.extend(args);
        self.run(&all)
    }

    /// Scans and saves, converts what was saved, and returns the rules when both are the same bytes.
    #[track_caller]
    pub fn scan_both_ways(&self, args: &[&str]) -> (String, Run) {
        let mut all = vec!["--save", "saved"];
        all.extend(args);
        let scanned = self.scan(&all).done();
        let converted = self.run(&["convert", "saved"]).done();
        assert!(!scanned.out.is_empty());
        assert_eq!(scanned.out, converted.out);
        (scanned.out.clone(), scanned)
    }
}

/// The files of a folder, by name.
pub fn files(folder: &Path) -> BTreeMap<String, String> {
    let read = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap())
    };
    fs::read_dir(folder).unwrap().map(|entry| read(entry.unwrap())).collect()
}

/// What the cluster of the tests has at a path, as a list; nothing elsewhere.
pub fn listed(path: &str) -> Option<(&'static str, &'static str, Vec<Value>)> {
    let clutter = json!([{"manager": "kubectl", "operation": "Update"}]);
    let object = |namespace: &str, name: &str, mut rest: Value| {
        let mut metadata = json!({
            "name": name, "uid": format!("uid-{name}"), "resourceVersion": "7",
            "creationTimestamp": "2024-01-01T00:00:00Z", "managedFields": clutter,
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"secret\":\"hunter2\"}"},
        });
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        rest["metadata"] = metadata;
        rest
    };
    let policy = |name: &str, privileged: bool| {
        object(
            "",
            name,
            json!({"spec": {
                "privileged": privileged, "volumes": ["*"], "seLinux": {"rule": "RunAsAny"},
                "runAsUser": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"},
                "fsGroup": {"rule": "RunAsAny"}, "allowPrivilegeEscalation": true,
            }}),
        )
    };
    let role = |name: &str| {
        json!({"rules": [{
            "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "verbs": ["use"], "resourceNames": [name],
        }]})
    };
    let to = |kind: &str, role: &str, subject: Value| json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}, "subjects": [subject]});
    let group = |name: &str| json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name});
    let pod = |namespace: &str, name: &str, privileged: bool| {
        object(
            namespace,
            name,
            json!({
                "spec": {
                    "containers": [{
                        "name": "c", "image": "example/web:1", "command": ["sh", "-c", "echo hunter2"],
                        "env": [{"name": "PASSWORD", "value": "hunter2"}], "resources": {},
                        "securityContext": {"privileged": privileged},
                    }],
                    "serviceAccountName": "default", "securityContext": {},
                },
                "status": {"phase": "Running", "podIP": "10.0.0.1"},
            }),
        )
    };
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    Some(match path {
        "/apis/policy/v1beta1/podsecuritypolicies" => (
            "PodSecurityPolicy",
            "policy/v1beta1",
            vec![policy("open", true), policy("closed", false), policy("yes", false)],
        ),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles" => (
            "ClusterRole",
            RBAC,
            vec![
                object("", "open", role("open")),
                object("", "closed", role("closed")),
                object("", "none", json!({"rules": null})),
            ],
        ),
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings" => (
            "ClusterRoleBinding",
            RBAC,
            vec![object("", "everybody", to("ClusterRole", "closed", group("system:authenticated")))],
        ),
        "/apis/rbac.authorization.k8s.io/v1/roles" => ("Role", RBAC, vec![object("web", "yes", role("yes"))]),
        "/apis/rbac.authorization.k8s.io/v1/rolebindings" => (
            "RoleBinding",
            RBAC,
            vec![
                object("web", "yes", to("Role", "yes", group("dev"))),
                object(
                    "kube-system",
                    "open",
                    to("ClusterRole", "open", group("system:serviceaccounts:kube-system")),
                ),
            ],
        ),
        "/api/v1/namespaces" => {
            let names = ["kube-system", "web", "web-2"];
            (
                "Namespace",
                "v1",
                names.map(|name| object("", name, json!({"status": {"phase": "Active"}}))).into(),
            )
        }
        "/api/v1/serviceaccounts" => {
            let secrets = json!({"secrets": [{"name": "default-token-x"}]});
            ("ServiceAccount", "v1", vec![object("web", "default", secrets)])
        }
        "/api/v1/pods" => (
            "Pod",
            "v1",
            vec![
                pod("web-2", "a", true),
                pod("web", "b", false),
                pod("web", "a", true),
                pod("kube-system", "a", true),
            ],
        ),
        _ => return None,
    })
}

/// The cluster of the tests: pages of two objects.
pub fn cluster(request: &Request) -> Reply {
    if request.path == "/version" {
        return ok(&json!({"major": "1", "minor": "20", "gitVersion": "v1.20.2"}));
    }
    let Some((kind, api_version, items)) = listed(&request.path) else {
        return reply(404, "404 page not found\n").with("content-type", "text/plain");
    };
    let start: usize =
        request.query.get("continue").map_or(0, |token| token.trim_start_matches("at-").parse().unwrap());
    let page: Vec<&Value> = items.iter().skip(start).take(2).collect();
    let mut metadata = json!({"resourceVersion": "9"});
    if start + page.len() < items.len() {
        metadata["continue"] = json!(format!("at-{}", start + page.len()));
    }
    ok(
        &json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": metadata, "items": page}),
    )
}
