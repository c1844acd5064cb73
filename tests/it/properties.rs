//! Random policies on random pods: the generated rules, evaluated as Falco does, agree with admission.
//!
//! A failure prints its seed; `PSP2FALCO_SEED=… cargo test --test it properties::` runs it again.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use crate::common::random::{Random, seed};

use std::collections::{BTreeMap, BTreeSet};

use falco_rules::{self as falco, Event};
use psp_admission::{Field, Fields, Pod, Policy, Verdict, judge, refuses_all_of, union};
use psp2falco::psp::validity::unusable;
use psp2falco::render::{Options, audit_rules, runtime_rules};
use serde_json::{Map, Value, json};

const CAPABILITIES: [&str; 8] =
    ["SYS_ADMIN", "NET_RAW", "ALL", "KILL", "CAP_KILL", "SYS_TIME", "SYS", "NET_BIND_SERVICE"];
const PATHS: [&str; 16] = [
    "/",
    "/var",
    "/var/",
    "/var/log",
    "/var/log2",
    "/var/log/pods/x",
    "/mnt/a b",
    "/mnt/x.y",
    "/mnt/xzy",
    "/mnt/it's",
    "/mnt/\"q\"",
    "/srv/[a-z]+(b|c){2}^$",
    "/srv/a\\b",
    "/srv/<&>",
    "/srv/%d{{x}}",
    "/srv/ü\u{2028}é",
];
const IDS: [i64; 16] =
    [0, 1, 2, 9, 10, 11, 99, 100, 101, 999, 1000, 65534, 65535, 65536, 1_000_660_000, 2_147_483_647];
const PORTS: [i64; 9] = [1, 22, 80, 443, 1024, 8080, 8999, 32767, 65535];
const FLEX: [&str; 4] = ["example/lvm", "example/lvm2", "other/cifs", "a"];
const CSI: [&str; 4] = ["secrets-store.csi.k8s.io", "inline.storage.k8s.io", "inline.storage", "a"];
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "kernel.msgmax",
    "kernel.sem",
    "net.core.somaxconn",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_forward",
    "fs.mqueue.msg_max",
    "kernel.shm",
    "kernelxsem",
];
const CLASSES: [&str; 3] = ["gvisor", "kata", "kata2"];
const SECCOMP: [&str; 6] =
    ["runtime/default", "docker/default", "unconfined", "localhost/a.json", "localhost/b.json", "*"];
const APPARMOR: [&str; 4] = ["runtime/default", "unconfined", "localhost/foo", "localhost/foo2"];
const TYPES: [&str; 12] = [
    "configMap",
    "emptyDir",
    "secret",
    "projected",
    "downwardAPI",
    "hostPath",
    "flexVolume",
    "csi",
    "nfs",
    "persistentVolumeClaim",
    "ephemeral",
    "cephFS",
];
const TRICKY: [&str; 8] = [
    "\"privileged\":true",
    "\"runAsUser\":0,\"hostPort\":22",
    "it's",
    "\"imagePullPolicy\":\"Always\"",
    "x\",\"readOnlyRootFilesystem\":false",
    "\\\"",
    "{\"hostPath\":{\"path\":\"/etc\"}}",
    "terminationGracePeriodSeconds\":30",
];
const LEVELS: [&str; 8] = [
    "s0",
    "s0:c1,c2",
    "s0:c2,c1",
    "s1:c1,c2",
    "s0:c1",
    "s0:c1,c2,c3,c4,c5",
    "s0:c5,c4,c3,c2,c1",
    "s0:c1,c2,c3,c4",
];

fn ranges(random: &mut Random, values: &[i64], most: usize) -> Value {
    let ranges = (0..1 + random.below(most)).map(|_| {
        let (a, b) = (*random.pick(values), *random.pick(values));
        json!({"min": a.min(b), "max": a.max(b)})
    });
    ranges.collect()
}

fn strategy(random: &mut Random, rules: &[&str]) -> Value {
    let rule = *random.pick(rules);
    match rule {
        "MustRunAs" | "MayRunAs" => {
            let most = if random.one_in(10) { 40 } else { 3 };
            json!({"rule": rule, "ranges": ranges(random, &IDS, most)})
        }
        _ => json!({"rule": rule}),
    }
}

fn se_linux_options(random: &mut Random) -> Value {
    let mut options = Map::new();
    for (key, values) in [
        ("user", ["system_u", "u"].as_slice()),
        ("role", &["r", "ro"]),
        ("type", &["spc_t", "t\"}", "container_t"]),
        ("level", &LEVELS),
    ] {
        if random.one_in(2) {
            options.insert(key.to_owned(), (*random.pick(values)).into());
        }
    }
    Value::Object(options)
}

pub fn policy(random: &mut Random) -> Value {
    let mut spec = json!({
        "seLinux": {"rule": "RunAsAny"},
        "runAsUser": strategy(random, &["RunAsAny", "MustRunAs", "MustRunAsNonRoot"]),
        "supplementalGroups": strategy(random, &["RunAsAny", "MustRunAs", "MayRunAs"]),
        "fsGroup": strategy(random, &["RunAsAny", "MustRunAs", "MayRunAs"]),
    });
    let mut set = |key: &str, value: Value| spec.as_object_mut().unwrap().insert(key.to_owned(), value);
    for key in ["privileged", "hostNetwork", "hostPID", "hostIPC", "readOnlyRootFilesystem"] {
        set(key, (!random.one_in(3)).into());
    }
    if random.one_in(2) {
        set("runAsGroup", strategy(random, &["RunAsAny", "MustRunAs", "MayRunAs"]));
    }
    if random.one_in(3) {
        set("seLinux", json!({"rule": "MustRunAs", "seLinuxOptions": se_linux_options(random)}));
    }
    set("hostPorts", if random.one_in(4) { json!([]) } else { ranges(random, &PORTS, 4) });
    set("volumes", if random.one_in(2) { json!(["*"]) } else { json!(random.some(&TYPES, 8)) });
    let any_capability = random.one_in(4);
    let allowed: BTreeSet<&str> = random.some(&CAPABILITIES, 5).into_iter().copied().collect();
    let defaults: BTreeSet<&str> = if random.one_in(3) {
        random.some(&CAPABILITIES, 2).into_iter().copied().collect()
    } else {
        BTreeSet::new()
    };
    let required: BTreeSet<&str> = random
        .some(&CAPABILITIES, 2)
        .into_iter()
        .copied()
        .filter(|c| !allowed.contains(c) && !defaults.contains(c))
        .collect();
    set("allowedCapabilities", if any_capability { json!(["*"]) } else { json!(allowed) });
    set("defaultAddCapabilities", json!(defaults));
    if !any_capability {
        set("requiredDropCapabilities", json!(required));
    }
    let escalation = random.one_in(2);
    set("allowPrivilegeEscalation", escalation.into());
    if random.one_in(3) {
        set("defaultAllowPrivilegeEscalation", (escalation && random.one_in(2)).into());
    }
    let paths: Vec<Value> = random
        .some(&PATHS, 4)
        .into_iter()
        .map(|p| json!({"pathPrefix": p}))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|mut p| {
            if random.one_in(2) {
                p["readOnly"] = true.into();
            }
            p
        })
        .collect();
    set("allowedHostPaths", paths.into());
    set("allowedFlexVolumes", random.some(&FLEX, 2).into_iter().map(|d| json!({"driver": d})).collect());
    set("allowedCSIDrivers", random.some(&CSI, 2).into_iter().map(|d| json!({"name": d})).collect());
    let unsafe_sysctls: Vec<&str> = match random.below(4) {
        0 => vec!["*"],
        1 => vec!["kernel.msg*", "net.core.somaxconn"],
        2 => vec!["net.*"],
        _ => vec![],
    };
    let forbidden: Vec<&str> = match random.below(4) {
        0 if unsafe_sysctls.is_empty() => vec!["*"],
        1 => vec!["kernel.shm_rmid_forced", "fs.*"],
        _ => vec![],
    };
    if !unsafe_sysctls.contains(&"*") || forbidden.is_empty() {
        set("forbiddenSysctls", json!(forbidden));
    }
    set("allowedUnsafeSysctls", json!(unsafe_sysctls));
    set(
        "allowedProcMountTypes",
        match random.below(4) {
            0 => json!(["Default"]),
            1 => json!(["Unmasked"]),
            2 => json!(["Default", "Unmasked"]),
            _ => json!([]),
        },
    );
    if random.one_in(3) {
        let allowed = if random.one_in(4) { vec!["*"] } else { vec!["gvisor", "kata"] };
        let mut class = json!({"allowedRuntimeClassNames": allowed});
        if random.one_in(2) {
            class["defaultRuntimeClassName"] = "gvisor".into();
        }
        set("runtimeClass", class);
    }
    let mut annotations = Map::new();
    let mut annotate = |kind: &str, profiles: &[&str], random: &mut Random| {
        if random.one_in(2) {
            let names: Vec<&str> = random.some(profiles, 3).into_iter().copied().collect();
            annotations.insert(format!("{kind}/allowedProfileNames"), names.join(",").into());
        }
        if random.one_in(3) {
            let default = *random.pick(&profiles[..3]);
            annotations.insert(format!("{kind}/defaultProfileName"), default.into());
        }
    };
    annotate("seccomp.security.alpha.kubernetes.io", &SECCOMP, random);
    annotate("apparmor.security.beta.kubernetes.io", &APPARMOR, random);
    json!({
        "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy",
        "metadata": {"name": "p", "annotations": annotations}, "spec": spec,
    })
}

/// A profile field, in the order of Go's struct.
fn profile(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({"type": "Unconfined"}),
        1 => {
            json!({"type": "Localhost", "localhostProfile": *random.pick(&["a.json", "b.json", "foo", "foo2"])})
        }
        _ => json!({"type": "RuntimeDefault"}),
    }
}

/// Puts optional values into an object in a fixed order: each is left out as often as not.
fn object(random: &mut Random, fields: Vec<(&str, Value)>) -> Value {
    let mut object = Map::new();
    for (key, value) in fields {
        if random.one_in(2) {
            object.insert(key.to_owned(), value);
        }
    }
    Value::Object(object)
}

fn container(random: &mut Random, name: &str, volumes: &[String], newer: bool) -> Value {
    let mut c = Map::new();
    c.insert("name".into(), name.into());
    c.insert("image".into(), "registry.example.com/app:1".into());
    if random.one_in(3) {
        c.insert("args".into(), json!(random.some(&TRICKY, 3)));
    }
    if random.one_in(3) {
        c.insert(
            "ports".into(),
            json!([{"hostPort": *random.pick(&PORTS), "containerPort": 8080, "protocol": "TCP"}]),
        );
    }
    if random.one_in(3) {
        c.insert("env".into(), json!([{"name": "NOTE", "value": *random.pick(&TRICKY)}]));
    }
    c.insert(
        "resources".into(),
        if random.one_in(3) {
            json!({"limits": {"example.com/add": "1", "example.com/drop": "2"}})
        } else {
            json!({})
        },
    );
    if !volumes.is_empty() && random.one_in(2) {
        let mounts: Vec<Value> = random
            .some(volumes, 3)
            .into_iter()
            .map(|name| (name, random.one_in(2)))
            .map(|(name, read_only)| {
                if read_only {
                    json!({"name": name, "readOnly": true, "mountPath": "/m"})
                } else {
                    json!({"name": name, "mountPath": "/m"})
                }
            })
            .collect();
        c.insert("volumeMounts".into(), mounts.into());
    }
    if random.one_in(4) {
        c.insert("livenessProbe".into(), json!({"httpGet": {"path": "/", "port": 80, "host": "Uhost"}, "failureThreshold": 3, "terminationGracePeriodSeconds": 5}));
    }
    c.insert("terminationMessagePath".into(), "/dev/termination-log".into());
    c.insert("terminationMessagePolicy".into(), "File".into());
    c.insert("imagePullPolicy".into(), (*random.pick(&["Always", "IfNotPresent", "Never"])).into());
    if !random.one_in(4) {
        let lists = vec![
            ("add", json!(random.some(&CAPABILITIES, 3))),
            ("drop", json!(random.some(&CAPABILITIES, 3))),
        ];
        let mut lists = object(random, lists);
        lists.as_object_mut().unwrap().retain(|_, v| v != &json!([]));
        let fields = vec![
            ("capabilities", lists),
            ("privileged", random.one_in(3).into()),
            ("seLinuxOptions", se_linux_options(random)),
            ("runAsUser", (*random.pick(&IDS)).into()),
            ("runAsGroup", (*random.pick(&IDS)).into()),
            ("runAsNonRoot", random.one_in(2).into()),
            ("readOnlyRootFilesystem", random.one_in(2).into()),
            ("allowPrivilegeEscalation", random.one_in(2).into()),
            ("procMount", (*random.pick(&["Default", "Unmasked"])).into()),
            ("seccompProfile", profile(random)),
        ];
        let mut security = object(random, fields);
        if newer && random.one_in(2) {
            security["appArmorProfile"] = profile(random);
        }
        c.insert("securityContext".into(), security);
    }
    if random.one_in(5) {
        c.insert("stdin".into(), true.into());
        c.insert("tty".into(), true.into());
    }
    Value::Object(c)
}

fn volume(random: &mut Random, name: &str) -> Value {
    let (key, source) = match random.below(14) {
        0..=3 => (
            "hostPath",
            json!({"path": format!("{}{}", random.pick(&PATHS), random.pick(&["", "/", "/sub", "x"])), "type": ""}),
        ),
        4 => (
            "flexVolume",
            json!({"driver": *random.pick(&FLEX), "options": {"driver": "example/lvm", "hostPath": "x"}}),
        ),
        5 => (
            "csi",
            json!({"driver": *random.pick(&CSI), "volumeAttributes": {"driver": "a", "imagePullPolicy": "x"}}),
        ),
        6 => ("nfs", json!({"server": "s", "path": "/"})),
        7 => ("secret", json!({"secretName": "s", "defaultMode": 420})),
        8 => ("azureFile", json!({"secretName": "s", "shareName": "h"})),
        9 => (
            "downwardAPI",
            json!({"items": [{"path": "l", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}], "defaultMode": 420}),
        ),
        10 => (
            "ephemeral",
            json!({"volumeClaimTemplate": {"metadata": {"labels": {"name": "x", "nfs": "y"}}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}),
        ),
        11 => ("image", json!({"reference": "r", "pullPolicy": "Always"})),
        12 => ("cephfs", json!({"monitors": ["m"]})),
        _ => {
            let sources: Vec<Value> = (0..1 + random.below(3)).map(|_| match random.below(8) {
                0 => json!({"secret": {"name": "s"}}),
                1 => json!({"configMap": {"name": "other", "items": [{"key": "a", "path": "b"}]}}),
                2 => json!({"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels"}}]}}),
                3 => json!({"serviceAccountToken": {"audience": "vault", "expirationSeconds": 3607, "path": "token"}}),
                4 => json!({"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}),
                5 => json!({"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}),
                6 => json!({"serviceAccountToken": {"expirationSeconds": 3607, "path": *random.pick(&["token", "other", "tokens"])}}),
                _ => json!({"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}),
            }).collect();
            ("projected", json!({"sources": sources, "defaultMode": 420}))
        }
    };
    json!({"name": name, key: source})
}

pub fn pod(random: &mut Random) -> Value {
    let newer = random.one_in(2);
    let mut spec = Map::new();
    let volumes: Vec<String> = (0..random.below(4)).map(|n| format!("v{n}")).collect();
    if !volumes.is_empty() {
        spec.insert("volumes".into(), volumes.iter().map(|name| volume(random, name)).collect());
    }
    let mut names = Vec::new();
    for (list, prefix, most) in
        [("initContainers", "i", 2), ("containers", "c", 3), ("ephemeralContainers", "e", 1)]
    {
        let count = if list == "containers" {
            1 + random.below(most)
        } else if random.one_in(2) {
            0
        } else {
            random.below(most + 1)
        };
        let containers: Vec<Value> = (0..count)
            .map(|n| {
                names.push(format!("{prefix}{n}"));
                container(random, &format!("{prefix}{n}"), &volumes, newer)
            })
            .collect();
        if !containers.is_empty() {
            spec.insert(list.into(), containers.into());
        }
    }
    spec.insert("restartPolicy".into(), "Always".into());
    spec.insert("terminationGracePeriodSeconds".into(), 30.into());
    spec.insert("dnsPolicy".into(), "ClusterFirst".into());
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if random.one_in(5) {
            spec.insert(key.into(), true.into());
        }
    }
    let sysctls: Vec<Value> = random
        .some(&SYSCTLS, 2)
        .into_iter()
        .map(|n| json!({"name": n, "value": *random.pick(&TRICKY)}))
        .collect();
    let fields = vec![
        ("seLinuxOptions", se_linux_options(random)),
        ("runAsUser", (*random.pick(&IDS)).into()),
        ("runAsGroup", (*random.pick(&IDS)).into()),
        ("runAsNonRoot", random.one_in(2).into()),
        ("supplementalGroups", (0..1 + random.below(3)).map(|_| Value::from(*random.pick(&IDS))).collect()),
        ("fsGroup", (*random.pick(&IDS)).into()),
        ("sysctls", sysctls.into()),
        ("seccompProfile", profile(random)),
    ];
    let mut security = object(random, fields);
    security.as_object_mut().unwrap().retain(|_, v| v != &json!([]));
    let apparmor = newer && random.one_in(3);
    if apparmor {
        security["appArmorProfile"] = profile(random);
    }
    spec.insert("securityContext".into(), security);
    if random.one_in(3) {
        spec.insert("runtimeClassName".into(), (*random.pick(&CLASSES)).into());
    }
    let mut annotations = Map::new();
    annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), json!({"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}}}).to_string().into());
    if !newer {
        for name in &names {
            if random.one_in(2) {
                let profile = *random.pick(&APPARMOR);
                annotations
                    .insert(format!("container.apparmor.security.beta.kubernetes.io/{name}"), profile.into());
            }
        }
    }
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "annotations": annotations}, "spec": spec})
}

/// The audit event of a pod as stored, in the bytes that the API server would write.
pub fn event(pod: &Value) -> String {
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1", "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/a/pods", "verb": "create", "user": {"username": "u", "groups": []},
        "objectRef": {"resource": "pods", "namespace": "a", "apiVersion": "v1"},
        "responseStatus": {"code": 201}, "responseObject": pod,
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z", "stageTimestamp": "2026-01-01T00:00:00.000000Z",
    });
    written(&event)
}

/// A value in the bytes that the API server would write.
pub fn written(value: &Value) -> String {
    let mut text = value.to_string();
    for letter in ['<', '>', '&', '\u{2028}'] {
        text = text.replace(letter, &format!("\\u{:04x}", letter as u32));
    }
    text
}

#[test]
fn a_union_refuses_only_what_each_of_its_policies_refuses() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let (mut kept, mut lifted) = (0, 0);
    for _ in 0..300 {
        let policies: Vec<Policy> =
            (0..1 + random.below(3)).map(|_| crate::common::policy(&policy(&mut random)).policy).collect();
        let policies: Vec<&Policy> = policies.iter().filter(|p| unusable(p).is_none()).collect();
        if policies.is_empty() {
            continue;
        }
        let together = union(&policies).unwrap();
        for _ in 0..40 {
            let pod = pod(&mut random);
            let refuses = |policy: &Policy| -> Fields {
                let judgement = judge(policy, &Pod::new(&pod));
                if judgement.verdict == Verdict::Denied { judgement.fields } else { Fields::default() }
            };
            let each: Vec<Fields> = policies.iter().map(|p| refuses(p)).collect();
            for field in refuses(&together) {
                // what one policy refuses for its kind, another refuses for its particulars
                let kin: &[Field] = match field {
                    Field::AllowedHostPaths | Field::AllowedFlexVolumes | Field::AllowedCsiDrivers => {
                        &[field, Field::Volumes]
                    }
                    Field::AllowedUnsafeSysctls | Field::ForbiddenSysctls => {
                        &[Field::AllowedUnsafeSysctls, Field::ForbiddenSysctls]
                    }
                    _ => &[field],
                };
                let all = each.iter().all(|refused| kin.iter().any(|f| refused.contains(*f)));
                assert!(all, "PSP2FALCO_SEED={seed} {field}\n{policies:#?}\n{together:#?}\n{pod:#}");
                kept += 1;
            }
            lifted += each.iter().map(|fields| fields.len()).sum::<usize>();
        }
    }
    assert!(kept > 1000 && lifted > kept, "{kept} fields refused together, {lifted} by single policies");
}

#[test]
fn a_policy_refuses_all_that_it_is_said_to() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let mut held: BTreeMap<Field, usize> = BTreeMap::new();
    for _ in 0..600 {
        let [one, another] = [(); 2].map(|()| crate::common::policy(&policy(&mut random)).policy);
        if unusable(&one).is_some() || unusable(&another).is_some() {
            continue;
        }
        for _ in 0..30 {
            let pod = pod(&mut random);
            let judged = [&one, &another].map(|policy| judge(policy, &Pod::new(&pod)));
            for (policy, own, other, its) in [(&one, 0, &another, 1), (&another, 1, &one, 0)] {
                if judged[its].verdict != Verdict::Denied {
                    continue;
                }
                for field in judged[its].fields.iter().filter(|field| refuses_all_of(policy, other, *field)) {
                    let denied = judged[own].verdict == Verdict::Denied;
                    assert!(denied, "PSP2FALCO_SEED={seed} {field}\n{policy:#?}\n{other:#?}\n{pod:#}");
                    *held.entry(field).or_default() += 1;
                }
            }
        }
    }
    println!("{held:?}");
    assert_eq!(held.len(), 15, "{held:?}");
}

#[test]
fn rules_and_admission_agree() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let (mut pairs, mut verdicts) = (0, BTreeSet::new());
    for _ in 0..120 {
        let value = policy(&mut random);
        let located = crate::common::policy(&value);
        let text = audit_rules(std::slice::from_ref(&located), &Options::default()).unwrap().text;
        let loaded = falco::load(&[falco::Source { name: "rules.yaml", text: &text }]);
        assert!(loaded.findings.is_empty(), "PSP2FALCO_SEED={seed}: {}\n{value}", loaded.findings[0]);
        let rules = loaded.rules.unwrap();
        let runtime = runtime_rules(std::slice::from_ref(&located), &Options::default()).unwrap().text;
        let findings = falco::load(&[falco::Source { name: "runtime.yaml", text: &runtime }]).findings;
        assert!(findings.is_empty(), "PSP2FALCO_SEED={seed}: {}\n{value}", findings[0]);
        for _ in 0..40 {
            let pod = pod(&mut random);
            let line = event(&pod);
            let wanted = judge(&located.policy, &Pod::new(&pod));
            let kind = match wanted.verdict {
                Verdict::Denied => "Violation",
                _ => "Lost Default",
            };
            let wanted: BTreeSet<String> =
                wanted.fields.iter().map(|f| format!("PSP p {kind} ({f})")).collect();
            let alerts: BTreeSet<String> = rules
                .alerts(&Event::parse(line.as_bytes()).unwrap())
                .iter()
                .map(|a| a.name.clone())
                .collect();
            assert_eq!(alerts, wanted, "PSP2FALCO_SEED={seed}\npolicy {value}\npod {pod}");
            pairs += 1;
            verdicts.insert(kind);
        }
    }
    println!("{pairs} pairs agree");
    assert_eq!(verdicts.len(), 2);
}
