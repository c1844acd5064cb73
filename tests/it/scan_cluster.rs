//! `scan` of a real API server: `KUBEBUILDER_ASSETS` names a folder with `etcd` and `kube-apiserver`.
//!
//! Up to 1.24 the policies are scanned too; newer ones show that they are gone, and Helm's release records.
#![cfg(all(feature = "cluster", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::api::{Bench, files, kubeconfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// More than one page holds.
const MANY: usize = 510;

/// An API server and its store, stopped when dropped.
struct Cluster {
    etcd: Child,
    server: Child,
    folder: tempfile::TempDir,
    url: String,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    /// Does it still serve policies?
    served: bool,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.etcd] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(program: &Path, folder: &Path, log: &str, args: &[String]) -> Child {
    let log = File::create(folder.join(log)).unwrap();
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

impl Cluster {
    fn start(assets: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (store, peer, port) = (free_port(), free_port(), free_port());
        let etcd = spawn(
            &assets.join("etcd"),
            folder.path(),
            "etcd.log",
            &[
                format!("--data-dir={}", at("etcd")),
                format!("--listen-client-urls=http://127.0.0.1:{store}"),
                format!("--advertise-client-urls=http://127.0.0.1:{store}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
            ],
        );
        fs::write(
            at("tokens.csv"),
            "admin-token,admin,1,\"system:masters\"\nscanner-token,scanner,2\nnobody-token,nobody,3\n",
        )
        .unwrap();
        let server = spawn(
            &assets.join("kube-apiserver"),
            folder.path(),
            "server.log",
            &[
                format!("--etcd-servers=http://127.0.0.1:{store}"),
                format!("--secure-port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                "--advertise-address=127.0.0.1".to_owned(),
                format!("--cert-dir={}", at("certs")),
                format!("--token-auth-file={}", at("tokens.csv")),
                "--authorization-mode=RBAC".to_owned(),
                "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
                // the key that the server makes for itself
                format!("--service-account-key-file={}", at("certs/apiserver.key")),
                format!("--service-account-signing-key-file={}", at("certs/apiserver.key")),
                "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
                "--allow-privileged=true".to_owned(),
                "--endpoint-reconciler-type=none".to_owned(),
                "--disable-admission-plugins=ServiceAccount".to_owned(),
            ],
        );
        let url = format!("https://127.0.0.1:{port}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let insecure = json!({"insecure-skip-tls-verify": true});
        let config =
            Kubeconfig::from_yaml(&kubeconfig(&url, &insecure, &json!({"token": "admin-token"}))).unwrap();
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            kube::Client::try_from(kube::Config::from_custom_kubeconfig(config, &options).await.unwrap())
                .unwrap()
        });
        let mut cluster = Self { etcd, server, folder, url, runtime, client, served: false };
        cluster.wait();
        let version = cluster.call("GET", "/version", None).unwrap();
        cluster.served = cluster.call("GET", "/apis/policy/v1beta1/podsecuritypolicies", None).is_ok();
        eprintln!("scanning Kubernetes {}", version["gitVersion"]);
        cluster
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while self.send("GET", "/readyz", None).is_none_or(|(code, _)| code != 200) {
            let exited = self.server.try_wait().unwrap();
            if exited.is_some() || start.elapsed() > Duration::from_secs(120) {
                let log = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
                let (server, etcd) = (log("server.log"), log("etcd.log"));
                let tail = |text: &str| {
                    text.lines().rev().take(15).map(|line| format!("{line}\n")).collect::<String>()
                };
                panic!("the API server does not start:\n{}\n{}", tail(&server), tail(&etcd));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Option<(u16, String)> {
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request =
            http::Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(bytes)).unwrap();
        self.runtime.block_on(async {
            let answer = self.client.send(request).await.ok()?;
            let code = answer.status().as_u16();
            let body = answer.into_body().collect_bytes().await.ok()?;
            Some((code, String::from_utf8(body.to_vec()).unwrap()))
        })
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let (code, text) = self.send(method, path, body).ok_or("no answer")?;
        if code < 300 {
            Ok(serde_json::from_str(&text).unwrap())
        } else {
            Err(format!("{method} {path}: {code}: {text}"))
        }
    }

    #[track_caller]
    fn create(&self, path: &str, object: &Value) {
        self.call("POST", path, Some(object)).unwrap();
    }

    /// A kubeconfig for one of the users, in which the server is trusted.
    fn bench(&self, user: &str) -> Bench {
        let bench = Bench::new();
        let ca = json!({"certificate-authority": self.folder.path().join("certs/apiserver.crt")});
        bench.write("kubeconfig", &kubeconfig(&self.url, &ca, &json!({"token": format!("{user}-token")})));
        bench
    }

    fn grant(&self, name: &str, user: &str) {
        let binding = json!({
            "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        self.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding);
    }
}

/// The roles in the page on scanning, as a user would apply them.
fn documented_roles() -> Vec<Value> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/scan.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .filter(|block| block.contains("kind: ClusterRole\n"))
        .map(|block| serde_yaml::from_str(block).unwrap())
        .collect()
}

/// The recorded policies, without what a server adds.
fn policies() -> Vec<Value> {
    let text = include_str!("../data/api/raw-psp-list.json");
    let list: Value = serde_json::from_str(text).unwrap();
    let strip = |item: &Value| json!({"metadata": {"name": item["metadata"]["name"]}, "spec": item["spec"]});
    list["items"].as_array().unwrap().iter().map(strip).collect()
}

fn fill(cluster: &Cluster) {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    for name in ["web", "web-2"] {
        cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
    }
    for index in 0..MANY {
        let account = json!({"metadata": {"name": format!("account-{index}")}});
        cluster.create("/api/v1/namespaces/web/serviceaccounts", &account);
    }
    for role in documented_roles() {
        cluster.create(&format!("{RBAC}/clusterroles"), &role);
    }
    cluster.grant("psp2falco-scan", "scanner");
    let rule = json!([{"apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "verbs": ["use"], "resourceNames": ["restricted"]}]);
    cluster.create(
        &format!("{RBAC}/namespaces/web/roles"),
        &json!({"metadata": {"name": "restricted"}, "rules": rule}),
    );
    let binding = json!({
        "metadata": {"name": "restricted"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "restricted"},
        "subjects": [{"kind": "ServiceAccount", "name": "account-1", "namespace": "web"}, {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "dev"}],
    });
    cluster.create(&format!("{RBAC}/namespaces/web/rolebindings"), &binding);
    for (namespace, name, privileged) in
        [("web", "plain", false), ("web-2", "plain", false), ("web", "strong", true)]
    {
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{
            "name": "c", "image": "example/web:1", "env": [{"name": "PASSWORD", "value": "hunter2"}],
            "securityContext": {"privileged": privileged},
        }]}});
        cluster.create(&format!("/api/v1/namespaces/{namespace}/pods"), &pod);
    }
    if cluster.served {
        for policy in policies() {
            cluster.create("/apis/policy/v1beta1/podsecuritypolicies", &policy);
        }
    }
    cluster.create("/api/v1/namespaces/web/secrets", &release());
}

/// What Helm keeps of a release with one policy.
fn release() -> Value {
    let policy = "---\n# Source: shop/templates/psp.yaml\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: \
                  {name: of-helm}\nspec:\n  privileged: false\n  volumes: [configMap]\n  seLinux: {rule: RunAsAny}\n  \
                  runAsUser: {rule: MustRunAsNonRoot}\n  supplementalGroups: {rule: RunAsAny}\n  fsGroup: {rule: RunAsAny}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json!({"name": "shop", "manifest": policy}).to_string().as_bytes()).unwrap();
    let record = STANDARD.encode(gzip.finish().unwrap());
    json!({
        "metadata": {
            "name": "sh.helm.release.v1.shop.v2",
            "labels": {"owner": "helm", "name": "shop", "status": "deployed", "version": "2"},
        },
        "type": "helm.sh/release.v1", "stringData": {"release": record},
    })
}

#[test]
fn a_real_cluster_is_scanned() {
    let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) else {
        eprintln!(
            "skipped: no real API server was scanned; KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver"
        );
        return;
    };
    let cluster = Cluster::start(&assets);
    fill(&cluster);
    let served = cluster.served;
    let args: &[&str] = if served { &[] } else { &["--helm-releases"] };
    if !served {
        let error = cluster.bench("scanner").scan(&[]).failed();
        assert!(
            error.contains("does not serve them (removed in 1.25)") && error.contains("--helm-releases"),
            "{error}"
        );
        let error = cluster.bench("scanner").scan(args).failed();
        assert!(
            error.contains("secrets: forbidden (secrets is forbidden: User \"scanner\" cannot list"),
            "{error}"
        );
        cluster.grant("psp2falco-scan-helm", "scanner");
    }

    // with the rights of the README and no more
    let scanner = cluster.bench("scanner");
    let (rules, run) = scanner.scan_both_ways(args);
    assert!(!run.err.contains("forbidden"), "{}", run.err);
    let policy = if served { "restricted" } else { "of-helm" };
    assert!(rules.contains(&format!("- rule: PSP {policy} Violation (privileged)")), "{rules}");
    let saved = files(&scanner.path("saved"));
    assert_eq!(
        saved["serviceaccounts.yaml"].matches("kind: ServiceAccount").count(),
        MANY,
        "more than a page"
    );
    assert_eq!(saved["pods.yaml"].matches("kind: Pod").count(), 3);
    assert!(
        saved["rolebindings.yaml"].contains("name: restricted")
            && saved["roles.yaml"].contains("name: restricted")
    );
    assert!(saved["clusterroles.yaml"].contains("name: \"system:node\""));
    let all: String = saved.values().map(String::as_str).collect();
    for private in ["hunter2", "managedFields", "resourceVersion"] {
        assert!(!all.contains(private), "{private}");
    }

    // the same again, by anybody who may
    let admin = cluster.bench("admin");
    assert_eq!(admin.scan_both_ways(args).0, rules);
    assert_eq!(files(&admin.path("saved")), saved);
    if served {
        let (more, _) = admin.scan_both_ways(&["--helm-releases"]);
        assert!(more.contains("- rule: PSP of-helm Violation (privileged)"), "{more}");
    }

    let error = cluster.bench("nobody").scan(&[]).failed();
    let expected = if served {
        "podsecuritypolicies: forbidden (podsecuritypolicies.policy is forbidden: User \"nobody\""
    } else {
        "removed in 1.25"
    };
    assert!(error.contains(expected), "{error}");
    let error = cluster.bench("wrong").scan(&[]).failed();
    assert!(error.contains("does not accept these credentials (401)"), "{error}");

    // a server that nobody vouches for
    let stranger = Bench::new();
    stranger.write("kubeconfig", &kubeconfig(&cluster.url, &json!({}), &json!({"token": "admin-token"})));
    let error = stranger.scan(&[]).failed();
    assert!(
        error.contains(": TLS: invalid peer certificate") && error.contains("check certificate-authority"),
        "{error}"
    );

    // without rights on pods
    let mut role = documented_roles().remove(0);
    role["rules"].as_array_mut().unwrap().last_mut().unwrap()["resources"] =
        json!(["namespaces", "serviceaccounts"]);
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/psp2falco-scan";
    cluster.call("PUT", path, Some(&role)).unwrap();
    let (_, run) = scanner.scan_both_ways(args);
    assert!(
        run.err.contains("pods: forbidden (pods is forbidden: User \"scanner\" cannot list"),
        "{}",
        run.err
    );
}
