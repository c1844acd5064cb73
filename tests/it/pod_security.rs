//! The closest Pod Security Standard, held to recorded pods: a level breaks nothing that the report does not name, and
//! covers what the report does not list as left over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use crate::common::Recording;
use psp_admission::{Pod, Policy, Verdict, judge};
use psp2falco::pod_security::Level;
use psp2falco::read::{Options, read_text};
use psp2falco::report::pss::standing;
use serde_json::{Value, json};

/// The checks of pod security admission that a stored pod fails (kubernetes/pod-security-admission
/// `policy/check_*.go`), written apart from the program's own table.
fn failed(pod: &Value) -> BTreeSet<(Level, &'static str)> {
    let spec = &pod["spec"];
    let pod_context = &spec["securityContext"];
    let containers: Vec<&Value> = ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| spec[*list].as_array().into_iter().flatten())
        .collect();
    let list = |value: &Value| -> Vec<Value> { value.as_array().cloned().unwrap_or_default() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let any = |test: &dyn Fn(&Value) -> bool| containers.iter().any(|c| test(&c["securityContext"]));
    let everywhere = |test: &dyn Fn(&Value) -> bool| test(pod_context) || any(test);
    let adds = |allowed: &[&str]| {
        any(&|c| list(&c["capabilities"]["add"]).iter().any(|cap| !allowed.contains(&cap.as_str().unwrap())))
    };
    let usual = [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ];
    let safe = [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_notsent_lowat",
    ];
    let types = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
    let volumes = [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ];
    let unmasked = any(&|c| c["procMount"].as_str().is_some_and(|p| p != "Default"));
    let annotations = pod["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
    let apparmor = |(key, value): (&String, &Value)| {
        let value = value.as_str().unwrap();
        let fine = value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
        key.starts_with("container.apparmor.security.beta.kubernetes.io/") && !fine
    };
    let chosen = |value: &Value| matches!(value.as_str(), Some("RuntimeDefault" | "Localhost"));
    let seccomp = |context: &Value| context["seccompProfile"]["type"].clone();
    let only = Level::Baseline;
    let also = Level::Restricted;
    [
        (only, "privileged", any(&|c| c["privileged"] == true)),
        (only, "hostNamespaces", ["hostNetwork", "hostPID", "hostIPC"].iter().any(|k| spec[*k] == true)),
        (only, "windowsHostProcess", everywhere(&|c| c["windowsOptions"]["hostProcess"] == true)),
        (only, "hostPathVolumes", list(&spec["volumes"]).iter().any(|v| v.get("hostPath").is_some())),
        (
            only,
            "hostPorts",
            containers
                .iter()
                .any(|c| list(&c["ports"]).iter().any(|p| p["hostPort"].as_i64().unwrap_or(0) != 0)),
        ),
        (only, "capabilities_baseline", adds(&usual)),
        (only, "procMount", unmasked),
        (
            only,
            "sysctls",
            list(&pod_context["sysctls"]).iter().any(|s| !safe.contains(&s["name"].as_str().unwrap())),
        ),
        (
            only,
            "seLinuxOptions",
            everywhere(&|c| {
                let options = &c["seLinuxOptions"];
                let own = !text(&options["user"]).is_empty() || !text(&options["role"]).is_empty();
                own || !types.contains(&text(&options["type"]).as_str())
            }),
        ),
        (
            only,
            "appArmorProfile",
            annotations.iter().any(apparmor) || everywhere(&|c| c["appArmorProfile"]["type"] == "Unconfined"),
        ),
        (only, "seccompProfile_baseline", everywhere(&|c| seccomp(c) == "Unconfined")),
        (
            also,
            "restrictedVolumes",
            list(&spec["volumes"])
                .iter()
                .any(|v| !v.as_object().unwrap().keys().any(|key| volumes.contains(&key.as_str()))),
        ),
        (also, "allowPrivilegeEscalation", any(&|c| c["allowPrivilegeEscalation"] != false)),
        (
            also,
            "runAsNonRoot",
            any(&|c| c["runAsNonRoot"] == false)
                || pod_context["runAsNonRoot"] != true && any(&|c| c["runAsNonRoot"] != true),
        ),
        (also, "runAsUser", everywhere(&|c| c["runAsUser"] == 0)),
        (
            also,
            "seccompProfile_restricted",
            any(&|c| {
                let own = seccomp(c);
                if own.is_null() { !chosen(&seccomp(pod_context)) } else { !chosen(&own) }
            }),
        ),
        (
            also,
            "capabilities_restricted",
            adds(&["NET_BIND_SERVICE"])
                || any(&|c| !list(&c["capabilities"]["drop"]).iter().any(|cap| cap == "ALL")),
        ),
        (also, "procMount_restricted", unmasked),
    ]
    .into_iter()
    .filter(|(.., failed)| *failed)
    .map(|(level, name, _)| (level, name))
    .collect()
}

/// A pod that the restricted level takes, made of a recorded one.
fn hardened(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let spec = pod["spec"].as_object_mut().unwrap();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        spec.remove(key);
    }
    for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
        *volume = json!({"name": volume["name"], "emptyDir": {}});
    }
    spec.insert("securityContext".to_owned(), json!({"seccompProfile": {"type": "RuntimeDefault"}}));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["securityContext"] = json!({
                "allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
            });
            container.as_object_mut().unwrap().remove("ports");
        }
    }
    let metadata = pod["metadata"].as_object_mut().unwrap();
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.contains("apparmor") && !key.contains("seccomp"));
    }
    pod
}

/// Puts one part of the recorded pod back into the hardened one.
fn restored(hardened: &Value, pod: &Value, part: &str) -> Value {
    let mut one = hardened.clone();
    match part {
        "hostNetwork" | "hostPID" | "hostIPC" | "volumes" => {
            if let Some(value) = pod["spec"].get(part) {
                one["spec"][part] = value.clone();
            }
            // admission's word for storageos is none that a policy can list, so only `*` lets it in
            if let Some(volumes) = one["spec"].get_mut("volumes").and_then(Value::as_array_mut) {
                volumes.retain(|volume| volume.get("storageos").is_none());
            }
        }
        "annotations" => {
            if let Some(value) = pod["metadata"].get(part) {
                one["metadata"][part] = value.clone();
            }
        }
        _ => {
            let put = |into: &mut Value, from: &Value| match from.get(part) {
                Some(value) => into[part] = value.clone(),
                None => {
                    if let Some(map) = into.as_object_mut() {
                        map.remove(part);
                    }
                }
            };
            put(&mut one["spec"]["securityContext"], &pod["spec"]["securityContext"]);
            for list in ["containers", "initContainers", "ephemeralContainers"] {
                let all = one["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
                for (container, from) in all.zip(pod["spec"][list].as_array().into_iter().flatten()) {
                    if part == "ports" {
                        put(container, from);
                    } else {
                        put(&mut container["securityContext"], &from["securityContext"]);
                    }
                }
            }
        }
    }
    one
}

const PARTS: [&str; 20] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "volumes",
    "annotations",
    "privileged",
    "capabilities",
    "allowPrivilegeEscalation",
    "readOnlyRootFilesystem",
    "runAsUser",
    "runAsNonRoot",
    "runAsGroup",
    "supplementalGroups",
    "fsGroup",
    "seLinuxOptions",
    "seccompProfile",
    "sysctls",
    "procMount",
    "ports",
    "none",
];

/// The documentation's policies, and each with one field taken from a recorded policy.
fn policies(recording: &Recording) -> Vec<Policy> {
    let mut all = Vec::new();
    for name in ["kubernetes-baseline", "kubernetes-restricted"] {
        let text = std::fs::read_to_string(format!("fixtures/psp/policies/{name}.yaml")).unwrap();
        let base = read_text(name, &text, &Options::default()).unwrap().policies.remove(0).policy;
        all.push(base.clone());
        for other in recording.policies.values() {
            let mut add = |change: &dyn Fn(&mut Policy)| {
                let mut policy = base.clone();
                change(&mut policy);
                if !all.contains(&policy) {
                    all.push(policy);
                }
            };
            let spec = &other.spec;
            add(&|p| p.annotations.clone_from(&other.annotations));
            add(&|p| p.spec.volumes.clone_from(&spec.volumes));
            add(&|p| p.spec.host_ports.clone_from(&spec.host_ports));
            add(&|p| p.spec.se_linux.clone_from(&spec.se_linux));
            add(&|p| p.spec.run_as_user.clone_from(&spec.run_as_user));
            add(&|p| p.spec.fs_group.clone_from(&spec.fs_group));
            add(&|p| p.spec.allowed_proc_mount_types.clone_from(&spec.allowed_proc_mount_types));
            add(&|p| p.spec.read_only_root_filesystem = spec.read_only_root_filesystem);
            add(&|p| {
                p.spec.allowed_capabilities.clone_from(&spec.allowed_capabilities);
                p.spec.default_add_capabilities.clone_from(&spec.default_add_capabilities);
                p.spec.required_drop_capabilities.clone_from(&spec.required_drop_capabilities);
            });
            add(&|p| {
                p.spec.allowed_unsafe_sysctls.clone_from(&spec.allowed_unsafe_sysctls);
                p.spec.forbidden_sysctls.clone_from(&spec.forbidden_sysctls);
            });
        }
    }
    all
}

#[test]
fn levels_break_nothing_unsaid_and_cover_what_they_are_said_to() {
    let recording = Recording::load();
    let mut pods: Vec<(Value, BTreeSet<(Level, &'static str)>)> = Vec::new();
    for (i, pod) in recording.stored.values().enumerate() {
        let hard = hardened(pod);
        // one part of each pod in turn keeps the number of pods in bounds
        for part in PARTS.iter().skip(i % 4).step_by(4) {
            let pod = restored(&hard, pod, part);
            let failed = failed(&pod);
            pods.push((pod, failed));
        }
    }
    let (mut broken, mut covered, mut levels) = (0, 0, BTreeSet::new());
    for (i, policy) in policies(recording).iter().enumerate() {
        let Some(standing) = standing(policy) else { continue };
        levels.insert(standing.level);
        let said: Vec<&str> = standing
            .refuses_more
            .iter()
            .chain(&standing.pods_must_set)
            .map(|demand| demand.control.as_str())
            .collect();
        let left: BTreeSet<&str> = standing.not_covered.iter().map(|n| n.field.as_str()).collect();
        for (pod, failed) in pods.iter().skip(i % 17).step_by(17) {
            let failed: Vec<&str> =
                failed.iter().filter(|(level, _)| *level <= standing.level).map(|(_, name)| *name).collect();
            let judgement = judge(policy, &Pod::new(pod));
            if judgement.verdict != Verdict::Denied {
                for name in failed {
                    assert!(
                        said.contains(&name),
                        "{name} would refuse it, unsaid: {standing:?}\n{policy:?}\n{pod}"
                    );
                    broken += 1;
                }
            } else if failed.is_empty() {
                for field in judgement.fields {
                    assert!(
                        left.contains(field.name()),
                        "{field} gets through: {:?}\n{standing:?}\n{policy:?}\n{}",
                        pod["spec"],
                        pod["metadata"]["annotations"]
                    );
                }
                covered += 1;
            }
        }
    }
    assert!(broken > 100 && covered > 100 && levels.len() == 3, "{broken}, {covered}, {levels:?}");
}
