//! `scan` against what API servers answer, over HTTP on loopback.
#![cfg(feature = "cluster")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::api::{Bench, End, Reply, Request, Server, cluster, files, kubeconfig, listed, ok, reply, status};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use psp2falco::read::cluster::resource::{
    NAMESPACES, PODS, POLICIES, RBAC, RELEASES, Resource, SERVICE_ACCOUNTS,
};
use serde_json::{Value, json};

const POLICY_LIST: &str = "/apis/policy/v1beta1/podsecuritypolicies";
const OLD_POLICY_LIST: &str = "/apis/extensions/v1beta1/podsecuritypolicies";

/// What a real API server answered.
fn recorded(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/api").join(name)).unwrap()
}

/// The rules of the test's cluster.
fn rules_of_the_cluster() -> String {
    Bench::with(&Server::start(cluster).url).scan(&[]).done().out
}

#[test]
fn a_scan_and_the_conversion_of_what_it_saved_are_the_same_bytes() {
    let server = Server::start(cluster);
    let bench = Bench::with(&server.url);
    let (rules, run) = bench.scan_both_ways(&[]);
    for policy in ["closed", "yes"] {
        assert!(rules.contains(&format!("- rule: PSP {policy} Violation (privileged)")), "{rules}");
    }
    assert!(!run.err.contains("warning"), "{}", run.err);

    let saved = files(&bench.path("saved"));
    let names: Vec<&str> = saved.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "clusterrolebindings.yaml",
            "clusterroles.yaml",
            "namespaces.yaml",
            "pods.yaml",
            "podsecuritypolicies.yaml",
            "rolebindings.yaml",
            "roles.yaml",
            "serviceaccounts.yaml",
        ]
    );
    let all: String = saved.values().map(String::as_str).collect();
    for private in
        ["hunter2", "managedFields", "resourceVersion", "default-token-x", "podIP", "creationTimestamp"]
    {
        assert!(!all.contains(private), "{private}: {all}");
    }
    assert_eq!(
        saved["roles.yaml"],
        "\
# roles, made by psp2falco scan: 1
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
rules:
  - apiGroups:
      - policy
    resources:
      - podsecuritypolicies
    verbs:
      - use
    resourceNames:
      - \"yes\"
metadata:
  name: \"yes\"
  namespace: web
"
    );
    let pods: Vec<&str> = saved["pods.yaml"].lines().filter_map(|line| line.strip_prefix("  name")).collect();
    let in_order =
        [": a", "space: kube-system", ": a", "space: web", ": b", "space: web", ": a", "space: web-2"];
    assert_eq!(pods, in_order);

    // once more, over what is there
    bench.scan_both_ways(&[]);
    assert_eq!(files(&bench.path("saved")), saved);

    let asked = server.requests();
    assert!(asked.iter().all(|request| request.query["limit"] == "500"), "{asked:?}");
    assert!(asked.iter().any(|request| request.query.get("continue").is_some_and(|token| token == "at-2")));
    assert!(asked.iter().all(|request| request.headers["authorization"] == "Bearer t0ken"));
    assert!(asked.iter().all(|request| request.headers["user-agent"].starts_with("psp2falco/")));
}

#[test]
fn what_kubectl_prints_gives_the_same_rules() {
    let server = Server::start(|request| match request.path.as_str() {
        POLICY_LIST => reply(200, recorded("raw-psp-list.json")),
        path => match listed(path) {
            Some((kind, api_version, _)) => {
                ok(&json!({"kind": format!("{kind}List"), "apiVersion": api_version, "items": null}))
            }
            None => cluster(request),
        },
    });
    let bench = Bench::with(&server.url);
    let (scanned, _) = bench.scan_both_ways(&[]);
    for name in ["kubectl-psp-list.yaml", "kubectl-psp-list.json"] {
        bench.write(name, &recorded(name));
        assert_eq!(bench.run(&["convert", name]).done().out, scanned, "{name}");
    }
}

#[test]
fn the_old_api_group_serves_too() {
    let server = Server::start(|request| match request.path.as_str() {
        POLICY_LIST => reply(404, recorded("extensions-404.json")),
        OLD_POLICY_LIST => {
            let (_, _, items) = listed(POLICY_LIST).unwrap();
            ok(&json!({"kind": "PodSecurityPolicyList", "apiVersion": "extensions/v1beta1", "items": items}))
        }
        _ => cluster(request),
    });
    assert_eq!(Bench::with(&server.url).scan_both_ways(&[]).0, rules_of_the_cluster());
}

#[test]
fn options_of_the_conversion_count() {
    let server = Server::start(cluster);
    let bench = Bench::with(&server.url);
    bench.scan(&["--save", "saved", "-o", "a/", "--namespace", "web", "--audit-object", "request"]).done();
    bench.run(&["convert", "saved", "-o", "b/", "--namespace", "web", "--audit-object", "request"]).done();
    assert_eq!(files(&bench.path("a")), files(&bench.path("b")));
    bench.write("mine.yaml", "mine");
    let error = bench.scan(&["-o", "mine.yaml"]).failed();
    assert!(error.contains("mine.yaml: was not written by psp2falco"), "{error}");
}

/// Runs a scan that must fail, and returns the error with the server's address left out.
fn failure(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static, args: &[&str]) -> String {
    let server = Server::start(answer);
    let bench = Bench::with(&server.url);
    let mut all = vec!["--save", "saved", "-o", "rules.yaml"];
    all.extend(args);
    let error = bench.scan(&all).failed();
    assert!(!bench.path("saved").exists() && !bench.path("rules.yaml").exists(), "something was written");
    let place = format!("{}: ", server.url);
    error
        .strip_prefix(&place)
        .unwrap_or_else(|| panic!("does not start with {place}: {error}"))
        .trim_end()
        .to_owned()
}

/// The answer to requests for policies; elsewhere the cluster of the tests.
fn for_policies(answer: Reply) -> impl Fn(&Request) -> Reply {
    move |request| {
        if request.path.ends_with("/podsecuritypolicies") { answer.clone() } else { cluster(request) }
    }
}

#[test]
fn refusals_say_what_to_do() {
    assert_eq!(
        failure(for_policies(reply(401, recorded("unauthorized.json"))), &[]),
        "the server does not accept these credentials (401); log in again, or choose another user with --context"
    );
    assert_eq!(
        failure(for_policies(reply(403, recorded("forbidden.json"))), &[]),
        "podsecuritypolicies: forbidden (podsecuritypolicies.policy is forbidden: User \"dave\" cannot list resource \
         \"podsecuritypolicies\" in API group \"policy\" at the cluster scope); without policies there is nothing to \
         convert; bind the ClusterRole of docs/how-to/scan.md to this user, or choose another one with \
         --context"
    );
    assert_eq!(
        failure(for_policies(reply(302, "").with("location", "https://login.example.com/")), &[]),
        "podsecuritypolicies: answers with a redirect (302) to \"https://login.example.com/\"; name the API server \
         itself in the kubeconfig"
    );
    assert_eq!(
        failure(for_policies(reply(200, "<html>log in</html>").with("content-type", "text/html")), &[]),
        "podsecuritypolicies: answers with a web page, not with JSON; is this the API server, or a proxy's login?"
    );
    assert_eq!(
        failure(for_policies(ok(&json!({"kind": "PodList", "items": []}))), &[]),
        "podsecuritypolicies: answers with \"PodList\", not with a PodSecurityPolicyList; is this the API server?"
    );
    assert_eq!(
        failure(for_policies(ok(&json!({"kind": "PodSecurityPolicyList", "items": []}))), &[]),
        "podsecuritypolicies: it serves policies but has none; is this the right cluster?"
    );
    let repeating = json!({"kind": "PodSecurityPolicyList", "metadata": {"continue": "x"}, "items": []});
    assert_eq!(
        failure(for_policies(ok(&repeating)), &[]),
        "podsecuritypolicies: the server repeats a page of the list without end; is there a proxy in between?"
    );
    let error =
        failure(for_policies(reply(200, "{\"kind\": \"PodSecurityPolicyList\", \"items\": [{]}")), &[]);
    assert!(
        error.starts_with("podsecuritypolicies: the answer is not what an API server sends: "),
        "{error}"
    );
    assert!(error.contains("line 1 column 46"), "{error}");
    assert_eq!(
        failure(for_policies(status(400, "no such selector")), &[]),
        "podsecuritypolicies: answers 400: no such selector"
    );
}

#[test]
fn a_server_without_policies_names_other_sources() {
    for missing in [
        reply(404, recorded("not-served-404.txt")).with("content-type", "text/plain; charset=utf-8"),
        reply(404, recorded("extensions-404.json")),
        // who may not list them is refused before the server finds that it has none
        reply(403, recorded("forbidden.json")),
    ] {
        let answer = move |request: &Request| match request.path.as_str() {
            POLICY_LIST | OLD_POLICY_LIST => missing.clone(),
            "/version" => ok(&json!({"gitVersion": "v1.31.0"})),
            _ => cluster(request),
        };
        let error = failure(answer, &[]);
        assert!(
            error.starts_with(
                "podsecuritypolicies: Kubernetes v1.31.0 does not serve them (removed in 1.25);"
            ),
            "{error}"
        );
        for source in ["--helm-releases", "Git", "Velero", "etcd"] {
            assert!(error.contains(source), "{source}: {error}");
        }
    }
    let nothing = failure(|_| reply(404, "404 page not found\n"), &[]);
    assert!(nothing.contains("is the address of a Kubernetes API server"), "{nothing}");
}

#[test]
fn what_passes_by_is_tried_again() {
    let expected = rules_of_the_cluster();
    let troubles = [
        status(429, "slow down").with("retry-after", "0"),
        status(500, "etcd has no leader"),
        reply(503, "<html>"),
        reply(200, "0123456789".repeat(1000)).ending(End::CutOff),
        reply(200, "").ending(End::Closed),
    ];
    for trouble in troubles {
        let shared = trouble.clone();
        let server = Server::start(move |request| match request.path.as_str() {
            POLICY_LIST | "/api/v1/pods" if request.earlier == 0 => shared.clone(),
            _ => cluster(request),
        });
        let run = Bench::with(&server.url).scan(&[]).done();
        assert_eq!(run.out, expected, "{trouble:?}");
        let asked = server.requests().iter().filter(|request| request.path == POLICY_LIST).count();
        assert_eq!(asked, 3, "one more than there are pages: {trouble:?}");
    }
}

#[test]
fn what_stays_is_told() {
    let error = failure(for_policies(status(500, "etcd has no leader").with("retry-after", "0")), &[]);
    assert_eq!(
        error,
        "podsecuritypolicies: the server keeps failing (500: etcd has no leader); try again later"
    );
    let error = failure(for_policies(reply(200, "{}".repeat(1000)).ending(End::CutOff)), &[]);
    assert!(error.starts_with("podsecuritypolicies: the answer was cut off ("), "{error}");
    assert!(error.ends_with("again and again; check the network and what lies in between"), "{error}");
}

#[test]
fn the_time_is_limited() {
    for answer in [
        reply(200, "").ending(End::Silent),
        // longer than there is time
        status(429, "slow down").with("retry-after", "30"),
    ] {
        let late = move |request: &Request| {
            if request.path == "/api/v1/pods" { answer.clone() } else { cluster(request) }
        };
        assert_eq!(
            failure(late, &["--timeout", "1"]),
            "pods: not read within 1 s (14 objects before it); allow more with --timeout"
        );
    }
}

#[test]
fn an_expired_list_is_read_anew_once() {
    let expired = |request: &Request, times: usize| {
        let token = request.query.contains_key("continue");
        (request.path == "/api/v1/pods" && token && request.earlier < times).then(|| status(410, "expired"))
    };
    let server = Server::start(move |request| expired(request, 2).unwrap_or_else(|| cluster(request)));
    let bench = Bench::with(&server.url);
    assert_eq!(bench.scan_both_ways(&[]).0, rules_of_the_cluster());
    assert_eq!(bench.read("saved/pods.yaml").matches("kind: Pod").count(), 4);
    assert_eq!(
        failure(move |request| expired(request, 9).unwrap_or_else(|| cluster(request)), &[]),
        "pods: the list expired twice while it was read (410); try again later"
    );
}

/// A cluster where listing some resources is forbidden.
fn forbidding(plurals: &'static [&'static str]) -> Server {
    Server::start(move |request| {
        let plural = request.path.rsplit('/').next().unwrap();
        if plurals.contains(&plural) {
            status(403, &format!("{plural} is forbidden: no"))
        } else {
            cluster(request)
        }
    })
}

#[test]
fn goes_on_without_what_is_not_needed_and_says_what_that_loses() {
    for (plural, lost) in [("pods", "predicted"), ("namespaces", "manifests"), ("serviceaccounts", "binding")]
    {
        let server = forbidding(match plural {
            "pods" => &["pods"],
            "namespaces" => &["namespaces"],
            _ => &["serviceaccounts"],
        });
        let bench = Bench::with(&server.url);
        let (_, run) = bench.scan_both_ways(&[]);
        let warning =
            format!("warning: {}: {plural}: forbidden ({plural} is forbidden: no); lost: ", server.url);
        let line =
            run.err.lines().find(|line| line.starts_with(&warning)).unwrap_or_else(|| panic!("{}", run.err));
        assert!(line.contains(lost), "{line}");
        let saved = bench.read(&format!("saved/{plural}.yaml"));
        assert_eq!(saved, format!("# {plural}, made by psp2falco scan: left out: could not be read\n"));
    }
}

#[test]
fn rbac_known_in_part_is_not_used() {
    for plurals in [
        &["clusterroles"][..],
        &["clusterrolebindings"],
        &["roles"],
        &["rolebindings"],
        &["roles", "rolebindings"],
    ] {
        let plurals: &'static [&'static str] = plurals;
        let server = forbidding(plurals);
        let bench = Bench::with(&server.url);
        let (rules, run) = bench.scan_both_ways(&[]);
        for plural in plurals {
            assert!(
                run.err.contains(&format!("{plural}: forbidden ({plural} is forbidden: no)")),
                "{}",
                run.err
            );
        }
        assert!(run.err.contains("EVERY POLICY AGAINST EVERY POD"), "{}", run.err);
        for resource in RBAC {
            let saved = bench.read(&format!("saved/{}.yaml", resource.plural));
            assert!(!saved.contains("kind:"), "{saved}");
        }
        // exactly as if there were no RBAC
        let (_, _, items) = listed(POLICY_LIST).unwrap();
        bench.write(
            "policies.json",
            &json!({"kind": "PodSecurityPolicyList", "apiVersion": "policy/v1beta1", "items": items})
                .to_string(),
        );
        assert_eq!(bench.run(&["convert", "policies.json"]).done().out, rules);
    }
}

#[test]
fn the_way_to_the_cluster_is_explained() {
    let bench = Bench::new();
    let error = bench.run(&["scan"]).failed();
    assert!(
        error.ends_with("/.kube/config: no kubeconfig here; name one with --kubeconfig, or set KUBECONFIG\n"),
        "{error}"
    );
    assert!(bench.scan(&[]).failed().starts_with("kubeconfig: no kubeconfig here"));
    bench.write("kubeconfig", "users:\n- token: hunter2\n\t- x");
    let error = bench.scan(&[]).failed();
    assert!(error.starts_with("kubeconfig: not a kubeconfig: ") && !error.contains("hunter2"), "{error}");

    bench.write("kubeconfig", &kubeconfig("http://127.0.0.1:1", &json!({}), &json!({})));
    assert_eq!(
        bench.scan(&["--context", "there"]).failed(),
        "kubeconfig: no context \"there\"; it has: here\n"
    );
    assert_eq!(
        bench.scan(&[]).failed(),
        "http://127.0.0.1:1: podsecuritypolicies: nothing listens there (connection refused); check the address, and \
         that the cluster runs\n"
    );
    bench.write("kubeconfig", "{\"contexts\": [], \"clusters\": [], \"users\": []}");
    assert_eq!(
        bench.scan(&[]).failed(),
        "kubeconfig: no current context; choose one with --context (it has: none)\n"
    );
    bench.write("kubeconfig", &kubeconfig("http://x.invalid", &json!({}), &json!({})));
    let error = bench.scan(&["--timeout", "20"]).failed();
    assert!(error.starts_with("http://x.invalid: podsecuritypolicies: the host cannot be found"), "{error}");

    // plain HTTP behind an https address
    let server = Server::start(cluster);
    let address = server.url.replace("http", "https");
    bench.write("kubeconfig", &kubeconfig(&address, &json!({"insecure-skip-tls-verify": true}), &json!({})));
    let error = bench.scan(&["--timeout", "20"]).failed();
    assert!(error.starts_with(&format!("{address}: podsecuritypolicies: TLS: ")), "{error}");
}

#[test]
fn contexts_and_kubeconfig_are_found_as_kubectl_finds_them() {
    let expected = rules_of_the_cluster();
    let server = Server::start(cluster);
    let mut config: Value = serde_json::from_str(&kubeconfig(&server.url, &json!({}), &json!({}))).unwrap();
    config["current-context"] = json!("elsewhere");
    // the proxy of the environment is not for this machine
    let bench = Bench::new()
        .environment("KUBECONFIG", "mine")
        .environment("HTTPS_PROXY", "http://127.0.0.1:1")
        // a kubeconfig comes before the service account of a pod
        .environment("KUBERNETES_SERVICE_HOST", "127.0.0.1");
    bench.write("mine", &config.to_string());
    assert_eq!(bench.run(&["scan", "--context", "here"]).done().out, expected);

    let home = Bench::new();
    fs::create_dir(home.path(".kube")).unwrap();
    home.write(".kube/config", &kubeconfig(&server.url, &json!({}), &json!({})));
    assert_eq!(home.run(&["scan"]).done().out, expected);
}

#[test]
fn in_a_pod_the_service_account_is_used() {
    // its files have one fixed place, where tests must not write; that they are looked for can be seen
    if Path::new("/var/run/secrets/kubernetes.io/serviceaccount/token").exists() {
        eprintln!("skipped: this runs in a pod");
        return;
    }
    let bench = Bench::new()
        .environment("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .environment("KUBERNETES_SERVICE_PORT", "1");
    let error = bench.run(&["scan"]).failed();
    assert!(error.starts_with("in-cluster: ") && error.contains("service account"), "{error}");
}

#[cfg(unix)]
#[test]
fn exec_credentials_are_used_and_their_failures_told() {
    let server = Server::start(|request| match request.headers.get("authorization").map(String::as_str) {
        Some("Bearer from-exec") => cluster(request),
        _ => status(401, "Unauthorized"),
    });
    let bench = Bench::new();
    let user = |script: &str| {
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script],
            "interactiveMode": "Never",
        });
        bench.write("kubeconfig", &kubeconfig(&server.url, &json!({}), &json!({"exec": exec})));
    };
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "from-exec"},
    });
    user(&format!("echo '{credential}'"));
    assert_eq!(bench.scan(&[]).done().out, rules_of_the_cluster());

    user("echo hunter2; echo 'no session' >&2; exit 3");
    let error = bench.scan(&[]).failed();
    assert_eq!(
        error,
        format!(
            "{}: the command that the kubeconfig names for credentials (users[].user.exec) failed with exit status: 3: \
             \"no session\"; log in again\n",
            server.url
        )
    );
    user("echo hunter2");
    let error = bench.scan(&[]).failed();
    assert!(error.contains("did not print an ExecCredential") && !error.contains("hunter2"), "{error}");
    user("exec sleep 30");
    let error = bench.scan(&["--timeout", "1"]).failed();
    assert!(error.contains("no credentials after 1 s"), "{error}");
}

/// A release record of Helm: `base64` is 2 in a Secret, 1 in a `ConfigMap`.
fn record(release: (&str, &str, u32), status: &str, manifest: &str, base64: usize) -> Value {
    let (namespace, name, version) = release;
    let json = json!({"name": name, "namespace": namespace, "version": version, "manifest": manifest, "info": {"status": status}});
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(json.to_string().as_bytes()).unwrap();
    let mut data = gzip.finish().unwrap();
    for _ in 0..base64 {
        data = STANDARD.encode(data).into_bytes();
    }
    json!({
        "metadata": {
            "name": format!("sh.helm.release.v1.{name}.v{version}"), "namespace": namespace,
            "labels": {"owner": "helm", "name": name, "status": status, "version": version.to_string()},
        },
        "type": "helm.sh/release.v1",
        "data": {"release": String::from_utf8(data).unwrap()},
    })
}

/// A chart's manifest with a policy.
fn chart(policy: &str) -> String {
    format!(
        "---\n# Source: web/templates/sa.yaml\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\n---\n\
         # Source: web/templates/psp.yaml\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata:\n  \
         name: {policy}\nspec:\n  privileged: false\n  seLinux: {{rule: RunAsAny}}\n  runAsUser: {{rule: RunAsAny}}\n  \
         supplementalGroups: {{rule: RunAsAny}}\n  fsGroup: {{rule: RunAsAny}}\n"
    )
}

/// A cluster with Helm's records in it that serves no policies.
fn upgraded(secrets: Vec<Value>, config_maps: Vec<Value>) -> impl Fn(&Request) -> Reply {
    move |request| match request.path.as_str() {
        POLICY_LIST | OLD_POLICY_LIST => reply(404, recorded("not-served-404.txt")),
        "/version" => ok(&json!({"gitVersion": "v1.31.0"})),
        "/api/v1/secrets" => {
            assert_eq!(request.query["fieldSelector"], "type%3Dhelm.sh%2Frelease.v1");
            ok(&json!({"kind": "SecretList", "items": secrets}))
        }
        "/api/v1/configmaps" => {
            assert_eq!(request.query["labelSelector"], "owner%3Dhelm");
            ok(&json!({"kind": "ConfigMapList", "items": config_maps}))
        }
        _ => cluster(request),
    }
}

#[test]
fn policies_come_out_of_helm_releases() {
    let answer = upgraded(
        vec![
            record(("web", "shop", 9), "superseded", &chart("outdated"), 2),
            record(("web", "shop", 10), "deployed", &chart("shop"), 2),
            record(("web", "shop", 11), "failed", &chart("never"), 2),
            // upgraded to a chart without policies
            record(("ops", "logs", 3), "superseded", &chart("logs"), 2),
            record(("ops", "logs", 4), "deployed", "---\nkind: ConfigMap\n", 2),
            record(("ops", "gone", 1), "uninstalled", &chart("uninstalled"), 2),
            json!({"metadata": {"namespace": "ops", "labels": {"name": "odd", "status": "deployed", "version": "1"}}, "data": {"release": "%"}}),
        ],
        vec![record(("dev", "maps", 1), "deployed", &chart("maps"), 1)],
    );
    let server = Server::start(answer);
    let bench = Bench::with(&server.url);
    let (rules, run) = bench.scan_both_ways(&["--helm-releases"]);
    for (policy, there) in [
        ("shop", true),
        ("logs", true),
        ("maps", true),
        ("outdated", false),
        ("never", false),
        ("uninstalled", false),
    ] {
        assert_eq!(
            rules.contains(&format!("- rule: PSP {policy} Violation (privileged)")),
            there,
            "{policy}"
        );
    }
    for note in [
        "warning: helm:ops/odd.v1: not a release record (not base64",
        "warning: helm:ops/logs.v3: its policies are gone from helm:ops/logs.v4, which is deployed",
        ": from Helm's release records: maps (helm:dev/maps.v1), logs (helm:ops/logs.v3), shop (helm:web/shop.v10)",
    ] {
        assert!(run.err.contains(note), "{note}: {}", run.err);
    }
    assert!(!bench.read("saved/podsecuritypolicies.yaml").contains("Source:"));

    let error =
        failure(upgraded(vec![record(("web", "shop", 1), "deployed", "", 2)], vec![]), &["--helm-releases"]);
    assert_eq!(
        error,
        "podsecuritypolicies: Helm's release records hold no policies; is this the right cluster?"
    );
}

#[test]
fn helm_policies_are_checked_where_they_stand() {
    let broken = chart("shop").replace("privileged: false", "privilegd: false");
    let server = Server::start(upgraded(vec![record(("web", "shop", 10), "deployed", &broken, 2)], vec![]));
    let error = Bench::with(&server.url).scan(&["--helm-releases"]).failed();
    assert!(error.starts_with("helm:web/shop.v10:14:3: spec.privilegd: "), "{error}");
}

/// A policy but for its opening brace.
const FLOW: &str = "apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: NAME}, spec: {seLinux: \
    {rule: RunAsAny}, runAsUser: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}}}";

#[test]
fn live_policies_come_before_those_of_helm() {
    let server = Server::start(|request| match request.path.as_str() {
        "/api/v1/secrets" => {
            let both = format!(
                "apiVersion: v1\nkind: List\nitems:\n- {{{}\n- {{{}",
                FLOW.replace("NAME", "closed"),
                FLOW.replace("NAME", "listed")
            );
            let records = [
                record(("a", "list", 1), "deployed", &both, 2),
                record(("a", "one", 1), "deployed", &chart("closed"), 2),
                record(("a", "two", 1), "deployed", &chart("extra"), 2),
            ];
            ok(&json!({"kind": "SecretList", "items": records}))
        }
        "/api/v1/configmaps" => status(403, "no"),
        _ => cluster(request),
    });
    let (rules, run) = Bench::with(&server.url).scan_both_ways(&["--helm-releases"]);
    assert_eq!(rules.matches("- rule: PSP closed Violation (privileged)").count(), 1);
    assert!(rules.contains("- rule: PSP extra Violation (privileged)"));
    assert!(run.err.contains("from Helm's release records, which the server does not have: listed (helm:a/list.v1), extra (helm:a/two.v1)\n"), "{}", run.err);
    assert!(
        run.err.contains("configmaps: forbidden (no); lost: releases that Helm records there"),
        "{}",
        run.err
    );
}

#[test]
fn forbidden_release_records_are_told() {
    let error = failure(
        |request| match request.path.as_str() {
            "/api/v1/secrets" | "/api/v1/configmaps" => status(403, "no"),
            POLICY_LIST | OLD_POLICY_LIST => reply(404, "404 page not found\n"),
            _ => cluster(request),
        },
        &["--helm-releases"],
    );
    assert_eq!(
        error,
        "secrets: forbidden (no); Helm keeps its release records there: grant list on secrets, or configmaps, in all \
         namespaces"
    );
}

#[test]
fn a_record_that_unpacks_without_end_is_passed_over() {
    let bomb = " ".repeat(200 * 1024 * 1024);
    let server = Server::start(upgraded(
        vec![
            record(("web", "bomb", 1), "deployed", &bomb, 2),
            record(("web", "shop", 1), "deployed", &chart("shop"), 2),
        ],
        vec![],
    ));
    let run = Bench::with(&server.url).scan(&["--helm-releases"]).done();
    assert!(run.err.contains("helm:web/bomb.v1: not a release record (larger than 128 MiB)"), "{}", run.err);
}

/// The rules of a ClusterRole in the page on scanning: API group, resource and verb.
fn documented_role(name: &str) -> BTreeSet<(String, String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/scan.md")).unwrap();
    let block = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let role = block
        .filter(|block| block.contains("kind: ClusterRole\n"))
        .map(|block| serde_yaml::from_str::<Value>(block).unwrap())
        .find(|role| role["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("docs/how-to/scan.md: no ClusterRole {name}"));
    let list = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).unwrap() };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                granted.extend(
                    list(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)),
                );
            }
        }
    }
    granted
}

#[test]
fn the_cluster_role_of_the_documentation_grants_what_a_scan_asks_for_and_no_more() {
    let needs = |resources: &[Resource]| -> BTreeSet<(String, String, String)> {
        resources.iter().map(|r| (r.group.to_owned(), r.plural.to_owned(), "list".to_owned())).collect()
    };
    let read: Vec<Resource> = [&POLICIES[..], &RBAC, &[NAMESPACES, SERVICE_ACCOUNTS, PODS]].concat();
    assert_eq!(documented_role("psp2falco-scan"), needs(&read));
    assert_eq!(documented_role("psp2falco-scan-helm"), needs(&RELEASES));

    // and these are all that it does ask for
    let server = Server::start(upgraded(vec![record(("a", "b", 1), "deployed", &chart("c"), 2)], vec![]));
    Bench::with(&server.url).scan(&["--helm-releases"]).done();
    let asked: BTreeSet<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, read.iter().chain(&RELEASES).map(Resource::path).collect());
}
