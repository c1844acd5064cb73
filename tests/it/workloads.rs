//! The prediction for Deployments, CronJobs and other makers of pods, against the pods that controllers made of them.
//!
//! A failure of a random one prints its seed; `PSP2FALCO_SEED=… cargo test --test it workloads::` runs it again.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use crate::common::random::{Random, seed};
use crate::common::{Recording, lines};
use crate::properties;

use falco_rules::{self as falco, Event, RuleSet};
use psp2falco::predict::{self, Alert, Prediction, predict};
use psp2falco::rbac;
use psp2falco::read::{self, Inventory};
use psp2falco::render::{Options, audit_rules};
use serde_json::{Map, Value, json};

fn list(items: &[Value]) -> Inventory {
    let text = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    read::read_text("list.json", &text, &read::Options::default()).unwrap()
}

fn load(texts: &[&str]) -> RuleSet {
    let files: Vec<falco::Source<'_>> =
        texts.iter().map(|text| falco::Source { name: "rules", text }).collect();
    let loaded = falco::load(&files);
    assert!(loaded.findings.is_empty(), "{}\n{}", loaded.findings[0], texts.last().unwrap());
    loaded.rules.unwrap()
}

/// The alerts on an event, in the bytes that the API server would write.
fn alerts(rules: &RuleSet, event: &Value) -> BTreeSet<String> {
    let mut line = event.to_string();
    for letter in ['<', '>', '&', '\u{2028}'] {
        line = line.replace(letter, &format!("\\u{:04x}", letter as u32));
    }
    rules.alerts(&Event::parse(line.as_bytes()).unwrap()).iter().map(|a| a.name.clone()).collect()
}

/// The alerts predicted, by the words for the workload.
fn predicted(prediction: &Prediction<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let rules = |alerts: &BTreeSet<Alert<'_>>| alerts.iter().map(Alert::rule).collect();
    prediction.findings.iter().map(|(workload, f)| (workload.to_string(), rules(&f.alerts))).collect()
}

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace",
                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ],
        "defaultMode": 420,
    }})
}

/// The recorded server was a 1.20, which mounted tokens from Secrets; since 1.22 they are projected.
fn with_projected_token(event: &mut Value) {
    let volumes = event["responseObject"]["spec"]["volumes"].as_array_mut();
    for volume in volumes.into_iter().flatten() {
        let name = volume["name"].as_str().unwrap().to_owned();
        if volume["secret"]["secretName"] == name.as_str() && name.contains("-token-") {
            *volume = token_volume(&name);
        }
    }
}

/// What was recorded of workloads: the objects as stored, and the events of the pods that controllers made of them.
fn recorded() -> (Vec<Value>, Vec<Value>) {
    let shapes = lines("request-shapes.jsonl.gz");
    let shapes = shapes.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let (mut workloads, mut pods) = (Vec::new(), Vec::new());
    for mut event in shapes.flat_map(|shape| shape["events"].as_array().unwrap().clone()) {
        let resource = event["objectRef"]["resource"].as_str().unwrap().to_owned();
        let user = event["user"]["username"].as_str().unwrap().to_owned();
        let made = event["verb"] == "create" && event["responseStatus"]["code"] == 201;
        if resource == "pods" && made && user.starts_with("system:serviceaccount:kube-system:") {
            with_projected_token(&mut event);
            pods.push(event);
        } else if event["responseObject"]["spec"]["template"].is_object()
            || event["responseObject"]["spec"]["jobTemplate"].is_object()
        {
            workloads.push(event["responseObject"].clone());
        }
    }
    (workloads, pods)
}

#[test]
fn recorded_pods_alert_as_their_workloads_predict() {
    let policies: Vec<_> = Recording::load().located.values().cloned().collect();
    let rules = load(&[&audit_rules(&policies, &Options::default()).unwrap().text]);
    let (workloads, pods) = recorded();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alerting = 0;
    for event in &pods {
        let owner = &event["responseObject"]["metadata"]["ownerReferences"][0];
        let same =
            |object: &&Value| object["kind"] == owner["kind"] && object["metadata"]["name"] == owner["name"];
        let maker = workloads.iter().find(same).unwrap_or_else(|| panic!("{owner}"));
        // a Deployment has many templates in its life: the one that this ReplicaSet has
        let above = &maker["metadata"]["ownerReferences"][0];
        let declares = |object: &&Value| {
            object["kind"] == above["kind"]
                && object["metadata"]["name"] == above["name"]
                && object["spec"]["template"]["spec"] == maker["spec"]["template"]["spec"]
        };
        let deployment = workloads.iter().filter(|_| !above.is_null()).find(declares);
        let real = alerts(&rules, event);
        alerting += real.len();
        for workload in [Some(maker), deployment].into_iter().flatten() {
            let mut workload = workload.clone();
            // some were recorded after they had been scaled down
            workload["spec"]["replicas"] = 1.into();
            let mut inventory = list(std::slice::from_ref(&workload));
            inventory.policies.clone_from(&policies);
            let options = Options::default();
            let prediction = predict(&inventory, &options);
            assert_eq!((prediction.workloads, prediction.templates, prediction.pods), (1, 1, 0));
            let (name, found) = predicted(&prediction).pop_first().unwrap();
            assert_eq!(found, real, "{name}: {event}");
            *kinds.entry(workload["kind"].as_str().unwrap().to_owned().leak()).or_default() += 1;
        }
    }
    for kind in ["DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
    assert!(alerting > 1000, "{alerting}");
}

/// Pods that the controller of `ReplicaSets` made in the recorded worlds of RBAC.
#[test]
fn recorded_worlds_alert_as_their_workloads_predict() {
    let mut events = 0;
    let mut found = BTreeSet::new();
    for number in 0..8 {
        let path = format!("{}/tests/data/rbac/w{number}/objects.json.gz", env!("CARGO_MANIFEST_DIR"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let mut world: Value = serde_json::from_str(&text).unwrap();
        let inventory = read::read_text("objects.json", &text, &read::Options::default()).unwrap();
        let options = Options { access: rbac::access(&inventory, None), ..Options::default() };
        let rules = load(&[&audit_rules(&inventory.policies, &options).unwrap().text]);
        let mut real = BTreeMap::new();
        for line in lines(&format!("rbac/w{number}/audit.jsonl.gz")) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["user"]["username"] != "system:serviceaccount:kube-system:replicaset-controller" {
                continue;
            }
            let pod = &event["responseObject"];
            let (name, namespace) = (&pod["metadata"]["name"], &pod["metadata"]["namespace"]);
            let mut spec = pod["spec"].clone();
            let volumes = spec["volumes"].as_array().into_iter().flatten();
            assert!(!volumes.into_iter().any(|v| v["name"].as_str().unwrap().contains("-token-")), "{line}");
            spec["automountServiceAccountToken"] = false.into();
            let annotations = &event["requestObject"]["metadata"]["annotations"];
            world["items"].as_array_mut().unwrap().push(json!({
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": namespace},
                "spec": {"template": {"metadata": {"annotations": annotations}, "spec": spec}},
            }));
            let words = format!("ReplicaSet {}/{}", namespace.as_str().unwrap(), name.as_str().unwrap());
            let alerts = alerts(&rules, &event);
            found.extend(alerts.iter().map(|rule| rule.split(' ').nth(2).unwrap().to_owned()));
            events += 1;
            if !alerts.is_empty() {
                real.insert(words, alerts);
            }
        }
        let inventory = read::read_text("world.json", &world.to_string(), &read::Options::default()).unwrap();
        assert_eq!(predicted(&predict(&inventory, &options)), real, "world {number}");
    }
    assert_eq!(events, 114);
    assert_eq!(found, ["Lost", "Usable", "Violation"].map(str::to_owned).into());
}

/// `object` with a key where Go's structs have it: before the first of these others.
fn set_before(object: &mut Value, key: &str, value: Value, others: &[&str]) {
    let map = object.as_object_mut().unwrap();
    let mut placed = Map::new();
    let mut value = Some(value);
    for (old, kept) in std::mem::take(map) {
        if others.contains(&old.as_str())
            && let Some(value) = value.take()
        {
            placed.insert(key.to_owned(), value);
        }
        if old != key {
            placed.insert(old, kept);
        }
    }
    if let Some(value) = value {
        placed.insert(key.to_owned(), value);
    }
    *map = placed;
}

/// A random pod as stored, and the template that it may be made of: without what the API server has filled in.
fn random_pair(random: &mut Random, stateful: bool) -> (Value, Value) {
    let mut pod = properties::pod(random);
    pod["spec"].as_object_mut().unwrap().shift_remove("ephemeralContainers");
    // the API server takes profiles of containers that are there, and no others
    let annotations = pod["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| !key.starts_with("container.apparmor.") || !key.ends_with("/e0"));
    let mut template =
        json!({"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"]});
    let host_network = pod["spec"]["hostNetwork"] == true;
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let mut wanted = volumes.clone();
    for volume in &mut wanted {
        let sources = volume.pointer_mut("/projected/sources").and_then(Value::as_array_mut);
        for source in sources.into_iter().flatten() {
            let items = source.pointer_mut("/downwardAPI/items").and_then(Value::as_array_mut);
            for item in items.into_iter().flatten() {
                item["fieldRef"].as_object_mut().unwrap().remove("apiVersion");
            }
        }
    }
    match random.below(3) {
        0 => {
            volumes.push(json!({"name": "scratch", "emptyDir": {}}));
            wanted.push(json!({"name": "scratch", "emptyDir": null}));
        }
        1 => {
            volumes.push(json!({"name": "scratch", "emptyDir": {}}));
            wanted.push(json!({"name": "scratch"}));
        }
        _ => {}
    }
    if stateful {
        volumes.insert(0, json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-x-0"}}));
        if random.one_in(2) {
            wanted.push(json!({"name": "data", "hostPath": {"path": "/data"}}));
        }
    }
    let token = match random.below(3) {
        0 => {
            template["spec"]["automountServiceAccountToken"] = false.into();
            false
        }
        1 => {
            template["spec"]["automountServiceAccountToken"] = true.into();
            true
        }
        _ => true,
    };
    let account = match random.below(3) {
        0 => {
            template["spec"]["serviceAccount"] = "robot".into();
            "robot"
        }
        1 => {
            template["spec"]["serviceAccountName"] = "robot".into();
            template["spec"]["serviceAccount"] = "ignored".into();
            "robot"
        }
        _ => "default",
    };
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let stored = pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        let written = template["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (stored, written) in stored.zip(written) {
            if host_network && stored.get("ports").is_some() {
                stored["ports"][0]["hostPort"] = 8080.into();
                if random.one_in(2) {
                    written["ports"][0].as_object_mut().unwrap().remove("hostPort");
                } else {
                    written["ports"][0]["hostPort"] = 8080.into();
                }
            }
            if written.get("securityContext").is_none() {
                written["securityContext"] = Value::Null;
            }
            if token {
                let mut mounts =
                    stored.get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default();
                if random.one_in(6) {
                    let own = json!({"name": "own", "mountPath": TOKEN});
                    let mut mine = mounts.clone();
                    mine.push(own.clone());
                    written["volumeMounts"] = mine.into();
                    mounts.push(own);
                } else {
                    mounts
                        .push(json!({"name": "kube-api-access-abcde", "readOnly": true, "mountPath": TOKEN}));
                    mounted = true;
                }
                set_before(
                    stored,
                    "volumeMounts",
                    mounts.into(),
                    &["livenessProbe", "terminationMessagePath"],
                );
            }
        }
    }
    if mounted {
        volumes.push(token_volume("kube-api-access-abcde"));
    }
    template["spec"].as_object_mut().unwrap().shift_remove("volumes");
    if !wanted.is_empty() {
        template["spec"]["volumes"] = wanted.into();
    }
    pod["spec"].as_object_mut().unwrap().shift_remove("volumes");
    if !volumes.is_empty() {
        set_before(&mut pod["spec"], "volumes", volumes.into(), &["initContainers", "containers"]);
    }
    let after = ["hostNetwork", "hostPID", "hostIPC", "securityContext"];
    set_before(&mut pod["spec"], "serviceAccountName", account.into(), &after);
    set_before(&mut pod["spec"], "serviceAccount", account.into(), &after);
    for key in ["hostNetwork", "hostPID", "runtimeClassName"] {
        if template["spec"].get(key).is_none() {
            template["spec"][key] = Value::Null;
        }
    }
    (pod, template)
}

/// The kinds of workloads: with the kind that owns the pods, what its name ends in, and the account that makes them.
const KINDS: [(&str, &str, &str, &str, &str); 7] = [
    ("apps/v1", "Deployment", "ReplicaSet", "-7f9c6d5b8", "replicaset-controller"),
    ("apps/v1", "StatefulSet", "StatefulSet", "", "statefulset-controller"),
    ("apps/v1", "DaemonSet", "DaemonSet", "", "daemon-set-controller"),
    ("apps/v1", "ReplicaSet", "ReplicaSet", "", "replicaset-controller"),
    ("v1", "ReplicationController", "ReplicationController", "", "replication-controller"),
    ("batch/v1", "Job", "Job", "", "job-controller"),
    ("batch/v1beta1", "CronJob", "Job", "-29001234", "job-controller"),
];

/// The event of the pod that a controller makes.
fn event(pod: &Value, controller: &str) -> Value {
    json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/pods", "verb": "create",
        "user": {"username": format!("system:serviceaccount:kube-system:{controller}"),
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": pod["metadata"]["namespace"], "apiVersion": "v1"},
        "responseStatus": {"code": 201}, "responseObject": pod,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    })
}

/// Who may use the policy `p`: in one namespace all service accounts, in another one account and one controller.
fn grants(random: &mut Random) -> Vec<Value> {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let bind = |namespace: &str, subjects: Value| {
        json!({"apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "use", "namespace": namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "use"}, "subjects": subjects})
    };
    let controller = KINDS[random.below(KINDS.len())].4;
    vec![
        json!({"apiVersion": version, "kind": "ClusterRole",
            "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}),
        json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": "use"}, "rules": [{"verbs": ["use"],
            "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": ["p"]}]}),
        bind("all", json!([{"kind": "Group", "apiGroup": group, "name": "system:serviceaccounts:all"}])),
        bind(
            "some",
            json!([{"kind": "ServiceAccount", "namespace": "some", "name": "robot"},
            {"kind": "ServiceAccount", "namespace": "kube-system", "name": controller}]),
        ),
    ]
}

#[test]
fn random_templates_alert_as_predicted() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let (mut pairs, mut kinds) = (0, BTreeSet::new());
    for round in 0..60 {
        // few random policies correct a pod that they do not refuse, so the first does hardly anything else
        let policy = if round == 0 {
            serde_yaml::from_str(CORRECTS).unwrap()
        } else {
            properties::policy(&mut random)
        };
        let mut items = vec![policy.clone()];
        let known = round % 2 == 1;
        if known {
            items.extend(grants(&mut random));
        }
        let mut pods = Vec::new();
        for n in 0..14 {
            let (version, kind, owner, suffix, controller) = KINDS[n % KINDS.len()];
            let namespace = *random.pick(&["all", "some", "none"]);
            let (mut pod, template) = random_pair(&mut random, kind == "StatefulSet");
            let name = format!("w{n}");
            pod["metadata"]["name"] = format!("{name}{suffix}-abcde").into();
            pod["metadata"]["namespace"] = namespace.into();
            let reference = json!({"apiVersion": version, "kind": owner, "name": format!("{name}{suffix}"), "controller": true});
            pod["metadata"]["ownerReferences"] = json!([reference]);
            let spec = match kind {
                "CronJob" => json!({"schedule": "@daily", "jobTemplate": {"spec": {"template": template}}}),
                "StatefulSet" => {
                    json!({"template": template, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]})
                }
                _ => json!({"template": template}),
            };
            let metadata = json!({"name": name, "namespace": namespace});
            items.push(json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}));
            pods.push((format!("{kind} {namespace}/{name}"), event(&pod, controller)));
        }
        let inventory = list(&items);
        let access = rbac::access(&inventory, None);
        assert_eq!(access.is_some(), known);
        let options = Options { access, ..Options::default() };
        let prediction = predict(&inventory, &options);
        assert_eq!(prediction.templates, pods.len());
        let text = audit_rules(&inventory.policies, &options).unwrap().text;
        let exceptions = predict::exceptions(&prediction, options.object);
        let rules = load(&[&text]);
        let silenced = exceptions.as_ref().map(|exceptions| load(&[&text, exceptions]));
        let found = predicted(&prediction);
        for (workload, event) in pods {
            let real = alerts(&rules, &event);
            let predicted = found.get(&workload).cloned().unwrap_or_default();
            assert_eq!(
                predicted, real,
                "PSP2FALCO_SEED={seed} {workload}\npolicy {policy}\nevent {event}\n{items:?}"
            );
            kinds.extend(real.iter().map(|rule| rule.split(' ').nth(2).unwrap().to_owned()));
            pairs += 1;
            let Some(silenced) = &silenced else { continue };
            assert_eq!(alerts(silenced, &event), BTreeSet::new(), "PSP2FALCO_SEED={seed} {workload}");
            for (place, other) in [
                ("/responseObject/metadata/ownerReferences/0/name", "another"),
                ("/responseObject/metadata/ownerReferences/0/kind", "Another"),
            ] {
                let mut another = event.clone();
                *another.pointer_mut(place).unwrap() = other.into();
                assert_eq!(alerts(silenced, &another), real, "PSP2FALCO_SEED={seed} {another}");
            }
        }
    }
    assert_eq!(kinds, ["Lost", "Usable", "Violation"].map(str::to_owned).into());
    assert_eq!(pairs, 840);
}

const POLICY: &str = "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: p}
spec:
  privileged: false
  volumes: [secret, emptyDir]
  hostNetwork: true
  hostPorts: [{min: 8000, max: 8999}]
  allowedProcMountTypes: [Default]
  seLinux: {rule: RunAsAny}
  runAsUser: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
";

/// Refuses next to nothing, and gives every pod a group for its volumes.
const CORRECTS: &str = "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: p, annotations: {seccomp.security.alpha.kubernetes.io/allowedProfileNames: '*'}}
spec:
  privileged: true
  hostNetwork: true
  hostPID: true
  hostIPC: true
  hostPorts: [{min: 0, max: 65535}]
  volumes: ['*']
  allowedCapabilities: ['*']
  allowedUnsafeSysctls: ['*']
  allowedProcMountTypes: [Default, Unmasked]
  seLinux: {rule: RunAsAny}
  runAsUser: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: MustRunAs, ranges: [{min: 1, max: 2147483647}]}
";

const PRIVILEGED: &str = "containers: [{name: c, image: i, securityContext: {privileged: true}}]";

/// The words for each workload with the fields that alert, and how many there are of pods and of templates alone.
fn told(manifests: &str) -> (Vec<String>, (usize, usize, usize)) {
    let text = format!("{POLICY}---\n{manifests}");
    let inventory = read::read_text("all.yaml", &text, &read::Options::default()).unwrap();
    let options = Options::default();
    let prediction = predict(&inventory, &options);
    let fields = |rule: &String| rule.split('(').nth(1).unwrap().trim_end_matches(')').to_owned();
    let words = predicted(&prediction).into_iter().map(|(workload, rules)| {
        let fields: Vec<String> = rules.iter().map(fields).collect();
        format!("{workload}: {}", fields.join(", "))
    });
    (words.collect(), (prediction.workloads, prediction.templates, prediction.pods))
}

fn deployment(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: a}}\nspec:\n  template:\n    \
         spec:\n      {}\n",
        spec.replace('\n', "\n      ")
    )
}

#[test]
fn templates_are_predicted_with_what_the_api_server_fills_in() {
    for (spec, alerts) in [
        ("containers: [{name: c, image: i}]", ""),
        (PRIVILEGED, "privileged"),
        (
            "initContainers: [{name: c, image: i, securityContext: {privileged: true}}]\ncontainers: [{name: d, image: i}]",
            "privileged",
        ),
        // on the network of the node, a port is a port of the node
        ("containers: [{name: c, image: i, ports: [{containerPort: 80}]}]", ""),
        ("hostNetwork: true\ncontainers: [{name: c, image: i, ports: [{containerPort: 80}]}]", "hostPorts"),
        ("hostNetwork: true\ncontainers: [{name: c, image: i, ports: [{containerPort: 8080}]}]", ""),
        // a volume without a type is an emptyDir
        ("volumes: [{name: v}, {name: w, emptyDir: }]\ncontainers: [{name: c, image: i}]", ""),
        ("volumes: [{name: v, configMap: {name: x}}]\ncontainers: [{name: c, image: i}]", "volumes"),
        ("volumes: [{name: v, hostPath: null, emptyDir: {}}]\ncontainers: [{name: c, image: i}]", ""),
        // a token of one's own for somebody else is no service account's
        (
            "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: token, audience: vault}}]}}]\ncontainers: [{name: c, image: i}]",
            "volumes",
        ),
        (
            "volumes: [{name: v, projected: {sources: [{downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}}]}}]\ncontainers: [{name: c, image: i}]",
            "",
        ),
    ] {
        let wanted: Vec<String> =
            Some(format!("Deployment a/x: {alerts}")).into_iter().filter(|_| !alerts.is_empty()).collect();
        assert_eq!(told(&deployment("x", spec)), (wanted, (1, 1, 0)), "{spec}");
    }
}

/// A policy without `secret` and `projected` refuses every pod that gets a token.
#[test]
fn the_token_of_a_service_account_is_a_volume() {
    let plain = "containers: [{name: c, image: i}]";
    let mounted =
        format!("containers: [{{name: c, image: i, volumeMounts: [{{name: v, mountPath: {TOKEN}}}]}}]");
    let account = |namespace: &str, name: &str| {
        format!(
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             automountServiceAccountToken: false\n"
        )
    };
    for (spec, more, refused) in [
        (plain.to_owned(), String::new(), true),
        (format!("automountServiceAccountToken: false\n{plain}"), String::new(), false),
        (plain.to_owned(), account("a", "default"), false),
        (plain.to_owned(), account("b", "default"), true),
        (plain.to_owned(), account("a", "other"), true),
        (format!("serviceAccount: robot\n{plain}"), account("a", "robot"), false),
        (format!("automountServiceAccountToken: true\n{plain}"), account("a", "default"), true),
        // a container with a mount in its place needs none; with another one beside it the pod does
        (mounted.clone(), String::new(), false),
        (mounted.replace("}]}]", "}]}, {name: d, image: i}]"), String::new(), true),
    ] {
        let policy =
            POLICY.replace("[secret, emptyDir]", "[emptyDir]").replace("{name: p}", "{name: strict}");
        let (words, counts) = told(&format!("{}{more}---\n{policy}", deployment("x", &spec)));
        let wanted: Vec<&str> = Some("Deployment a/x: volumes").into_iter().filter(|_| refused).collect();
        assert_eq!(
            (words, counts),
            (wanted.iter().map(ToString::to_string).collect(), (1, 1, 0)),
            "{spec} {more}"
        );
    }
}

#[test]
fn a_pod_that_is_a_manifest_is_filled_in_too() {
    let pod = |more: &str, status: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: x, namespace: a{more}}}\nspec:\n  hostNetwork: true\n  \
             volumes: [{{name: v}}]\n  containers: [{{name: c, image: i, ports: [{{containerPort: 80}}]}}]\n{status}"
        )
    };
    let told = |manifest: &str| told(manifest).0;
    assert_eq!(told(&pod("", "")), ["Pod a/x: hostPorts"]);
    // one that is stored is as it is
    assert_eq!(told(&pod("", "status: {phase: Running}\n")), Vec::<String>::new());
    let strict = POLICY.replace("[secret, emptyDir]", "[emptyDir]").replace("{name: p}", "{name: strict}");
    assert_eq!(told(&format!("{}---\n{strict}", pod("", ""))), ["Pod a/x: hostPorts, hostPorts, volumes"]);
}

#[test]
fn a_namespace_that_is_yet_to_be_filled_in_is_none() {
    for placeholder in ["${NAMESPACE}", "$(ns)", "NAMESPACE"] {
        let manifest =
            deployment("x", PRIVILEGED).replace("namespace: a", &format!("namespace: '{placeholder}'"));
        assert_eq!(told(&manifest).0, ["Deployment x: privileged"], "{placeholder}");
    }
}

#[test]
fn the_default_namespace_is_that_of_objects_without_one() {
    let text = format!(
        "{}---\n{}---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: default, namespace: web}}\n\
         automountServiceAccountToken: false\n",
        POLICY.replace("[secret, emptyDir]", "[emptyDir]"),
        deployment("x", PRIVILEGED).replace(", namespace: a", ""),
    );
    let inventory = read::read_text("all.yaml", &text, &read::Options::default()).unwrap();
    let told = |name: Option<&str>| {
        let options = Options { default_namespace: name.map(str::to_owned), ..Options::default() };
        let prediction = predict(&inventory, &options);
        let exceptions = predict::exceptions(&prediction, options.object).unwrap();
        (predicted(&prediction), exceptions.contains("ka.target.namespace=web and "))
    };
    let alerts = |fields: &[&str]| fields.iter().map(|f| format!("PSP p Violation ({f})")).collect();
    assert_eq!(told(None), ([("Deployment x".to_owned(), alerts(&["privileged", "volumes"]))].into(), false));
    assert_eq!(told(Some("web")), ([("Deployment web/x".to_owned(), alerts(&["privileged"]))].into(), true));
}

#[test]
fn a_workload_counts_once() {
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x-5d8f7c9b4d-abcde, namespace: a, labels: \
               {pod-template-hash: 5d8f7c9b4d}, ownerReferences: [{kind: ReplicaSet, name: x-5d8f7c9b4d, controller: \
               true}]}\nspec: {hostPID: true, containers: [{name: c, image: i}]}\n";
    let set = |name: &str, replicas: u8| {
        format!(
            "---\napiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {{name: x-{name}, namespace: a, ownerReferences: \
             [{{kind: Deployment, name: x, controller: true}}]}}\nspec: {{replicas: {replicas}, template: {{metadata: \
             {{labels: {{pod-template-hash: {name}}}}}, spec: {{hostIPC: true, containers: [{{name: c, image: i}}]}}}}}}\n"
        )
    };
    let both = deployment("x", PRIVILEGED);
    // pods show what they are; what the template says of them is what it said
    assert_eq!(told(&format!("{both}{pod}")), (vec!["Deployment a/x: hostPID".to_owned()], (1, 0, 1)));
    // a Deployment says what its ReplicaSets will be, wherever they stand
    let set_first = format!("{}{both}", set("5d8f7c9b4d", 1));
    assert_eq!(told(&set_first), (vec!["Deployment a/x: privileged".to_owned()], (1, 1, 0)));
    // without it they speak for themselves, as far as they make pods
    assert_eq!(told(&set("5d8f7c9b4d", 1)), (vec!["Deployment a/x: hostIPC".to_owned()], (1, 1, 0)));
    assert_eq!(told(&set("5d8f7c9b4d", 0)), (vec![], (0, 0, 0)));
    // two templates of one workload, as for two environments
    let other = deployment("x", "hostPID: true\ncontainers: [{name: c, image: i}]");
    assert_eq!(
        told(&format!("{both}{other}")),
        (vec!["Deployment a/x: hostPID, privileged".to_owned()], (1, 1, 0))
    );
}

#[test]
fn what_makes_no_pods_is_not_predicted() {
    let job = |status: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: x, namespace: a}}\nspec: {{template: {{spec: {{{PRIVILEGED}}}}}}}\n\
             status: {{conditions: [{{type: {status}, status: 'True'}}]}}\n"
        )
    };
    assert_eq!(told(&job("Suspended")).1, (1, 1, 0));
    for nothing in [
        job("Complete"),
        job("Failed"),
        // patches: the rest stands elsewhere
        deployment("x", "hostPID: true"),
        deployment("x", "containers: [{name: c, securityContext: {privileged: true}}]"),
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: 3}\n".to_owned(),
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n".to_owned(),
        "apiVersion: apps/v1\nkind: Deployment\nspec: \n".to_owned(),
        // kinds of others that have the same name
        deployment("x", PRIVILEGED).replace("apps/v1", "apps.example.com/v1"),
        // nothing makes pods of it by itself
        format!(
            "apiVersion: v1\nkind: PodTemplate\nmetadata: {{name: x}}\ntemplate: {{spec: {{{PRIVILEGED}}}}}\n"
        ),
    ] {
        assert_eq!(told(&nothing), (vec![], (0, 0, 0)), "{nothing}");
    }
}

#[test]
fn workloads_are_known_as_events_show_them() {
    let of = |head: &str, spec: &str| {
        format!("---\n{head}\nspec: {spec}\n")
            .replace("TEMPLATE", &format!("template: {{spec: {{{PRIVILEGED}}}}}"))
    };
    let manifests = [
        of("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}", "{TEMPLATE}"),
        of("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, namespace: a}", "{TEMPLATE}"),
        of(
            "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: report, namespace: a}",
            "{jobTemplate: {spec: {TEMPLATE}}}",
        ),
        of(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: a}",
            "{TEMPLATE, volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]}",
        ),
    ]
    .concat();
    let text = format!("{POLICY}{manifests}");
    let inventory = read::read_text("all.yaml", &text, &read::Options::default()).unwrap();
    let options = Options::default();
    let prediction = predict(&inventory, &options);
    let words: Vec<String> = prediction.findings.keys().map(ToString::to_string).collect();
    assert_eq!(words, ["Deployment web", "CronJob a/report", "Job a/migrate-*", "StatefulSet a/db"]);
    let fields: BTreeSet<String> = predicted(&prediction)["StatefulSet a/db"].clone();
    assert!(fields.contains("PSP p Violation (volumes)"), "{fields:?}");
    let rules = audit_rules(&inventory.policies, &options).unwrap().text;
    let exceptions = predict::exceptions(&prediction, options.object).unwrap();
    assert!(
        exceptions.contains(
            "\n# Deployment web, known by its template; in any namespace, since its manifest names none\n"
        ),
        "{exceptions}"
    );
    let silenced = load(&[&rules, &exceptions]);
    for (namespace, kind, owner, silent) in [
        ("x", "ReplicaSet", "web-7f9c6d5b8", true),
        ("y", "ReplicaSet", "web-7f9c6d5b8", true),
        ("x", "ReplicaSet", "web-db-7f9c6d5b8", false),
        ("x", "StatefulSet", "web-7f9c6d5b8", false),
        ("a", "Job", "migrate-x7k2p", true),
        ("a", "Job", "migrated", false),
        ("b", "Job", "migrate-x7k2p", false),
        ("a", "Job", "report-29001234", true),
        ("a", "Job", "report-x", false),
        ("a", "StatefulSet", "db", true),
        ("a", "StatefulSet", "db-2", false),
    ] {
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": format!("{owner}-abcde"), "namespace": namespace,
                "ownerReferences": [{"apiVersion": "v1", "kind": kind, "name": owner, "controller": true}]},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {}, "imagePullPolicy": "Always",
                "securityContext": {"privileged": true}}], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
                "dnsPolicy": "ClusterFirst", "securityContext": {}},
        });
        let real = alerts(&silenced, &event(&pod, "x"));
        assert_eq!(real.is_empty(), silent, "{namespace} {kind} {owner}: {real:?}");
    }
}

/// Of a workload that is kept, nothing is left that admission does not look at: no secret, and no more than a pod takes.
#[test]
fn keeps_of_a_workload_what_admission_looks_at() {
    let text = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: x, namespace: a, uid: abc, annotations: {note: secret}, labels: {a: b}}
spec:
  replicas: 3
  selector: {matchLabels: {a: b}}
  template:
    metadata: {creationTimestamp: null, labels: {a: b}, annotations: {note: kept, kubectl.kubernetes.io/last-applied-configuration: secret}}
    spec:
      containers: [{name: c, image: i, env: [{name: PASSWORD, value: secret}], args: [secret], livenessProbe: {}}]
  volumeClaimTemplates: [{metadata: {name: data, annotations: {x: secret}}, spec: {storageClassName: secret}}]
status: {replicas: 3, conditions: []}
";
    let inventory = read::read_text("a.yaml", text, &read::Options::default()).unwrap();
    let wanted = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "x", "namespace": "a"},
        "spec": {
            "replicas": 3,
            "template": {
                "metadata": {"labels": {"a": "b"}, "annotations": {"note": "kept"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
        },
        "status": {"conditions": []},
    });
    assert_eq!(inventory.workloads[0].value(), wanted);
}
