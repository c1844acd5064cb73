//! What `scan` says when something is wrong, as `tests/it/errors.rs` has it of the other commands;
//! `fixtures/expected/help/errors-scan.txt` holds it for review.
#![cfg(all(unix, feature = "cluster"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

use std::io::Write as _;
use std::path::Path;

use crate::api::{Bench, End, Reply, Request, Server, cluster, kubeconfig, ok, reply, status};
use crate::snapshot::{check, report, root};
use crate::voice::{faults, section};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use regex::{Captures, Regex};
use serde_json::{Value, json};

const POLICIES: &str = "/apis/policy/v1beta1/podsecuritypolicies";

/// The record of all runs, and what is wrong with it.
#[derive(Default)]
struct Record {
    text: String,
    problems: Vec<String>,
}

impl Record {
    /// Runs `scan` and records what it says, without what differs from run to run.
    fn run(&mut self, what: &str, bench: &Bench, args: &[&str], code: i32, server: &str) {
        let all: Vec<&str> = [&["scan"], args].concat();
        let run = bench.run(&all);
        if run.code != Some(code) {
            self.problems.push(format!("{what}: ends with {:?} instead of {code}", run.code));
        }
        let address = server.strip_prefix("http").unwrap_or("://none");
        let home = bench.path("").display().to_string();
        let said = run.err.replace(address, "://SERVER").replace(&home, "HOME/");
        // the causes that the system names differ between systems
        let cause = Regex::new(r"(broke|cut off|cannot be found) \([^)]*\)|TLS: [^;]*;").unwrap();
        let said = cause.replace_all(&said, |found: &Captures<'_>| match found.get(1) {
            Some(what) => format!("{} (…)", what.as_str()),
            None => "TLS: …;".to_owned(),
        });
        let warnings: Vec<&str> = said
            .lines()
            .filter(|line| code != 0 || line.starts_with("warning: ") || line.starts_with("saved "))
            .collect();
        let said = warnings.join("\n");
        let section = section(what, &all, &said, &[]);
        self.problems.extend(faults(&section, code == 2));
        self.text.push_str(&section);
    }

    /// A scan of a server.
    fn server(
        &mut self,
        (what, code): (&str, i32),
        args: &[&str],
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) {
        let server = Server::start(answer);
        self.run(what, &Bench::with(&server.url), args, code, &server.url);
    }

    /// A scan with a kubeconfig.
    fn kubeconfig(&mut self, what: &str, config: &str, args: &[&str], server: &str) {
        let bench = Bench::new();
        bench.write("kubeconfig", config);
        self.run(what, &bench, &[&["--kubeconfig", "kubeconfig"], args].concat(), 2, server);
    }
}

/// The answer to requests for policies; elsewhere the cluster of the tests.
fn policies(answer: Reply) -> impl Fn(&Request) -> Reply {
    at("/podsecuritypolicies", answer)
}

/// The answer to requests whose path ends so; elsewhere the cluster of the tests.
fn at(path: &'static str, answer: Reply) -> impl Fn(&Request) -> Reply {
    move |request| if request.path.ends_with(path) { answer.clone() } else { cluster(request) }
}

/// A cluster that no longer serves policies, with one secret of Helm's.
fn upgraded(secret: Value) -> impl Fn(&Request) -> Reply {
    move |request| match request.path.as_str() {
        path if path.ends_with("/podsecuritypolicies") => reply(404, "404 page not found\n"),
        "/version" => ok(&json!({"gitVersion": "v1.31.0"})),
        "/api/v1/secrets" => ok(&json!({"kind": "SecretList", "items": [secret]})),
        "/api/v1/configmaps" => ok(&json!({"kind": "ConfigMapList", "items": []})),
        _ => cluster(request),
    }
}

/// A revision of a Helm release, as a Secret holds it.
fn packed(version: u32, status: &str, manifest: &str) -> Value {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(json!({"manifest": manifest}).to_string().as_bytes()).unwrap();
    let data = STANDARD.encode(STANDARD.encode(gzip.finish().unwrap()));
    let labels = json!({"owner": "helm", "name": "shop", "status": status, "version": version.to_string()});
    json!({"metadata": {"namespace": "web", "name": format!("v{version}"), "labels": labels}, "data": {"release": data}})
}

fn servers(record: &mut Record) {
    let kubeconfig = &["--kubeconfig", "kubeconfig"][..];
    let with = |more: &[&'static str]| [kubeconfig, more].concat();
    let list = |more: Value| {
        let mut list = json!({"kind": "PodSecurityPolicyList", "items": []});
        list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ok(&list)
    };
    let expired = |request: &Request| {
        let token = request.path == "/api/v1/pods" && request.query.contains_key("continue");
        if token { status(410, "expired") } else { cluster(request) }
    };
    for (what, answer) in [
        ("credentials that the server does not know", status(401, "Unauthorized")),
        ("no right to list policies", status(403, "no")),
        ("a redirect", reply(302, "").with("location", "https://login.example.com/")),
        ("a web page", reply(200, "<html>").with("content-type", "text/html")),
        ("a list of something else", ok(&json!({"kind": "PodList", "items": []}))),
        ("a list of nothing known", ok(&json!({"items": []}))),
        ("no policies", list(json!({}))),
        ("a list without end", list(json!({"metadata": {"continue": "x"}}))),
        ("no JSON", reply(200, "{\"kind\": \"PodSecurityPolicyList\", \"items\": [{]}")),
        ("an answer that nothing explains", status(400, "no such selector")),
        ("a server that keeps failing", status(500, "etcd has no leader").with("retry-after", "0")),
        ("an answer that is cut off", reply(200, "{}".repeat(1000)).ending(End::CutOff)),
        ("a connection that breaks", reply(200, "").ending(End::Closed)),
    ] {
        record.server((what, 2), kubeconfig, policies(answer));
    }
    record.server(("no server of Kubernetes", 2), kubeconfig, |_| reply(404, "404 page not found\n"));
    record.server(("a server without policies", 2), kubeconfig, upgraded(json!({})));
    record.server(("neither policies nor releases", 2), &with(&["--helm-releases"]), upgraded(json!({})));
    record.server(
        ("no policies in releases either", 2),
        &with(&["--helm-releases"]),
        |request| match request.path.as_str() {
            POLICIES => ok(&json!({"kind": "PodSecurityPolicyList", "items": []})),
            "/api/v1/secrets" => ok(&json!({"kind": "SecretList", "items": []})),
            "/api/v1/configmaps" => ok(&json!({"kind": "ConfigMapList", "items": []})),
            _ => cluster(request),
        },
    );
    record.server(("a list that expires", 2), kubeconfig, expired);
    let silent = reply(200, "").ending(End::Silent);
    record.server(("a server that is late", 2), &with(&["--timeout", "1"]), at("/pods", silent.clone()));
    let version = move |request: &Request| match request.path.as_str() {
        "/version" => silent.clone(),
        _ => reply(404, ""),
    };
    record.server(("a version that is late", 2), &with(&["--timeout", "1"]), version);
    record.server(("no right to list roles", 0), kubeconfig, at("/clusterroles", status(403, "no")));
    record.server(("roles that are not served", 0), kubeconfig, at("/roles", reply(404, "")));
    for path in ["/pods", "/namespaces", "/serviceaccounts"] {
        record.server(("no right to list other objects", 0), kubeconfig, at(path, status(403, "no")));
    }
    record.server(("no right to list releases", 2), &with(&["--helm-releases"]), |request| {
        match request.path.as_str() {
            "/api/v1/secrets" | "/api/v1/configmaps" => status(403, "no"),
            path if path.ends_with("/podsecuritypolicies") => reply(404, ""),
            _ => cluster(request),
        }
    });
    let release = |name: &str, labels: Value, release: Value| json!({"metadata": {"namespace": "web", "name": name, "labels": labels}, "data": release});
    let deployed = json!({"name": "odd", "status": "deployed", "version": "1"});
    let listed = move |request: &Request, data: Value| match request.path.as_str() {
        "/api/v1/secrets" => {
            ok(&json!({"kind": "SecretList", "items": [release("odd", deployed.clone(), data)]}))
        }
        "/api/v1/configmaps" => status(403, "no"),
        _ => cluster(request),
    };
    for (what, data) in [
        ("a release without a record", json!({})),
        ("a record that is not base64", json!({"release": "%"})),
        ("a record that is no list", json!({"release": "YWJj"})),
        (
            "a record that is not gzip",
            json!({"release": STANDARD.encode(STANDARD.encode([0x1f, 0x8b, 8, 9]))}),
        ),
    ] {
        let listed = listed.clone();
        record.server((what, 0), &with(&["--helm-releases"]), move |request| listed(request, data.clone()));
    }
    let chart = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: shop}\nspec:\n  seLinux: {rule: RunAsAny}\n  \
                 runAsUser: {rule: RunAsAny}\n  supplementalGroups: {rule: RunAsAny}\n  fsGroup: {rule: RunAsAny}\n";
    let records = json!([packed(1, "superseded", chart), packed(2, "deployed", "")]);
    let released = move |request: &Request, policies: Reply| match request.path.as_str() {
        path if path.ends_with("/podsecuritypolicies") => policies,
        "/api/v1/secrets" => ok(&json!({"kind": "SecretList", "items": records})),
        "/api/v1/configmaps" => ok(&json!({"kind": "ConfigMapList", "items": []})),
        _ => cluster(request),
    };
    let (first, saved) = (released.clone(), &with(&["--helm-releases", "--save", "saved"]));
    record.server(("releases in the place of what is forbidden", 0), saved, move |request| {
        first(request, status(403, "no"))
    });
    record.server(("releases beside policies", 0), &with(&["--helm-releases"]), move |request| {
        let own = if request.path == POLICIES { cluster(request) } else { reply(404, "") };
        released(request, own)
    });
}

fn kubeconfigs(record: &mut Record) {
    let server = Server::start(cluster);
    let url = server.url.as_str();
    let none = json!({});
    record.run("no kubeconfig", &Bench::new(), &[], 2, "");
    let pod = Bench::new()
        .environment("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .environment("KUBERNETES_SERVICE_PORT", "1");
    if !Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists() {
        record.run("no service account in a pod", &pod, &[], 2, "");
    }
    record.kubeconfig("no kubeconfig at all", "users:\n- token: secret\n\t- x", &[], "");
    record.kubeconfig("no current context", "{\"contexts\": [], \"clusters\": [], \"users\": []}", &[], "");
    let config: Value = serde_json::from_str(&kubeconfig(url, &none, &none)).unwrap();
    record.kubeconfig("no such context", &config.to_string(), &["--context", "there"], url);
    let mut other = config.clone();
    other["contexts"][0]["context"]["cluster"] = json!("gone");
    record.kubeconfig("no such cluster", &other.to_string(), &[], url);
    other = config.clone();
    other["clusters"][0]["cluster"] = json!({});
    record.kubeconfig("a cluster without a server", &other.to_string(), &[], url);
    record.kubeconfig("nothing listens", &kubeconfig("http://127.0.0.1:1", &none, &none), &[], "");
    let args = &["--timeout", "20"][..];
    record.kubeconfig("an unknown host", &kubeconfig("http://x.invalid", &none, &none), args, "");
    let https = url.replace("http", "https");
    let any = json!({"insecure-skip-tls-verify": true});
    record.kubeconfig("plain HTTP behind https", &kubeconfig(&https, &any, &none), args, url);
    let proxied = json!({"proxy-url": "socks4://127.0.0.1:1"});
    record.kubeconfig("an unknown proxy", &kubeconfig("http://x.invalid", &proxied, &none), args, url);
    let user = |user: Value| kubeconfig(url, &none, &user);
    record.kubeconfig("no token file", &user(json!({"tokenFile": "gone"})), &[], url);
    let provider = json!({"auth-provider": {"name": "nowhere", "config": {}}});
    record.kubeconfig("an unknown provider", &user(provider), &[], url);
    let exec = |command: &str, script: &str| {
        user(json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": ["-c", script],
            "interactiveMode": "Never",
        }}))
    };
    record.kubeconfig("no command for credentials", &exec("./gone", ""), &[], url);
    record.kubeconfig("a command that fails", &exec("sh", "echo 'no session' >&2; exit 3"), &[], url);
    record.kubeconfig("a command that prints something else", &exec("sh", "echo secret"), &[], url);
    let empty = r#"echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}'"#;
    record.kubeconfig("a command that prints no token", &exec("sh", empty), &[], url);
    let args = &["--timeout", "1"][..];
    record.kubeconfig("a command without end", &exec("sh", "exec sleep 30"), args, url);
}

#[test]
fn every_message_of_a_scan_has_its_place_and_one_voice() {
    let mut record = Record { text: "Said to standard error.\n\n".to_owned(), ..Record::default() };
    kubeconfigs(&mut record);
    servers(&mut record);
    let Record { text, mut problems } = record;
    problems.extend(check(&root().join("fixtures/expected/help/errors-scan.txt"), &text).err());
    report(&problems, "errors_scan");
}
