//! The closest Pod Security Standard, held to recorded pods: a level breaks nothing that the report does not name, and
//! covers what the report does not list as left over.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;

use common::{Recording, group};
use psp2falco::report::pss::{Level, standing};
use serde_json::Value;

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

#[test]
fn levels_break_nothing_unsaid_and_cover_what_they_are_said_to() {
    let recording = Recording::load();
    let (mut broken, mut covered) = (0, 0);
    for case in &recording.cases {
        let Some(pod) = recording.stored.get(&case.id) else { continue };
        let policy = &recording.policies[&case.policy];
        let Some(standing) = standing(policy) else { continue };
        let failed: Vec<&str> = failed(pod)
            .into_iter()
            .filter(|(level, _)| *level <= standing.level)
            .map(|(_, name)| name)
            .collect();
        if case.verdict == "denied" {
            if standing.level > Level::Privileged && failed.is_empty() {
                let left: BTreeSet<String> = standing.not_covered.iter().map(|n| group(&n.field)).collect();
                for field in &case.fields {
                    assert!(left.contains(field), "{}: {field} gets through {:?}", case.id, standing);
                }
                covered += 1;
            }
            continue;
        }
        let said: Vec<&str> = standing
            .refuses_more
            .iter()
            .chain(&standing.pods_must_set)
            .map(|demand| demand.control.as_str())
            .collect();
        for name in failed {
            assert!(said.contains(&name), "{}: {name} would refuse it, unsaid: {standing:?}", case.id);
            broken += 1;
        }
    }
    assert!(broken > 20 && covered > 5, "the recordings show something: {broken}, {covered}");
}
