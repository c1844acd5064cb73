//! `volumes`: which types of volume may pods use?

use psp_admission::Policy;
use psp_admission::pod::volume_type;

use super::mapped::{AtRuntime, Mapped, listed};
use super::restriction::{Restriction, allows_volume};
use crate::messages::policy as messages;
use crate::pod_security::{Check, Level, Stance};
use crate::psp::fault::{Fault, of_entries};
use crate::yaml::unknown_value;

/// The sources of a `v1.Volume` (Kubernetes 1.36), as they are spelt in pods.
const SOURCES: [&str; 30] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

/// Can a persistent volume be of the type?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Persistent,
    Pod,
}

/// The kubelet's folder for each source, `kubernetes.io~FOLDER` (Kubernetes `pkg/volume/*`, plugin names).
const FOLDERS: [(&str, Kind, &str); 25] = [
    ("awsElasticBlockStore", Kind::Persistent, "aws-ebs"),
    ("azureDisk", Kind::Persistent, "azure-disk"),
    ("azureFile", Kind::Persistent, "azure-file"),
    ("cephfs", Kind::Persistent, "cephfs"),
    ("cinder", Kind::Persistent, "cinder"),
    ("configMap", Kind::Pod, "configmap"),
    ("csi", Kind::Persistent, "csi"),
    ("downwardAPI", Kind::Pod, "downward-api"),
    ("emptyDir", Kind::Pod, "empty-dir"),
    ("fc", Kind::Persistent, "fc"),
    ("flocker", Kind::Persistent, "flocker"),
    ("gcePersistentDisk", Kind::Persistent, "gce-pd"),
    ("gitRepo", Kind::Pod, "git-repo"),
    ("glusterfs", Kind::Persistent, "glusterfs"),
    ("iscsi", Kind::Persistent, "iscsi"),
    ("nfs", Kind::Persistent, "nfs"),
    ("photonPersistentDisk", Kind::Persistent, "photon-pd"),
    ("portworxVolume", Kind::Persistent, "portworx-volume"),
    ("projected", Kind::Pod, "projected"),
    ("quobyte", Kind::Persistent, "quobyte"),
    ("rbd", Kind::Persistent, "rbd"),
    ("scaleIO", Kind::Persistent, "scaleio"),
    ("secret", Kind::Pod, "secret"),
    ("storageos", Kind::Persistent, "storageos"),
    ("vsphereVolume", Kind::Persistent, "vsphere-volume"),
];

/// Every volume type that a policy can name, besides `*`: no image volumes, which are younger than policies, and storageos
/// as pods spell it, not as admission does.
fn types() -> Vec<&'static str> {
    let known = SOURCES.into_iter().filter(|source| *source != "image");
    known.map(|source| if source == "storageos" { source } else { volume_type(source) }).collect()
}

/// The volume types of the restricted level that a policy can name.
const RESTRICTED: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) struct Volumes;

impl Restriction for Volumes {
    fn map(policy: &Policy) -> Mapped {
        let types = &policy.spec.volumes;
        let lists = |wanted: &str| types.iter().any(|t| t == wanted);
        // a listed secret lets service account tokens in, which Kubernetes projects since 1.21
        let tokens_only = lists("secret") && !lists("projected");
        let refused: Vec<&str> = SOURCES
            .into_iter()
            .filter(|s| !(lists(volume_type(s)) || tokens_only && *s == "projected"))
            .collect();
        let allowed = listed(types);
        let allowed_source = SOURCES.into_iter().find(|s| !refused.contains(s) && *s != "projected");
        let refused_source =
            refused.iter().find(|source| **source == "hostPath").or(refused.first()).copied();
        // where claims are allowed, a pod may mount a persistent volume of any type
        let claims = lists("persistentVolumeClaim") || lists("ephemeral");
        let folders: Vec<&str> = FOLDERS
            .into_iter()
            .filter(|(source, kind, _)| refused.contains(source) && !(claims && *kind == Kind::Persistent))
            .filter(|(source, _, _)| !(tokens_only && *source == "projected"))
            .map(|(_, _, folder)| folder)
            .collect();
        let flex = refused.contains(&"flexVolume") && !claims;
        let host_path = refused.contains(&"hostPath");
        let runtime = AtRuntime::approximate(
            !lists("*") && (!folders.is_empty() || flex || tokens_only || host_path),
            format!("mounted volume of a type other than {allowed}"),
            "a persistent volume shows the type behind it, so those pass where claims are allowed; a host path is what comes from \
             none of the kubelet's and the container runtime's folders",
        )
        .with("or_flex", !folders.is_empty())
        .with("or_tokens", flex || !folders.is_empty())
        .with("or_host_path", tokens_only || flex || !folders.is_empty())
        .with("folders", folders)
        .with("flex", flex)
        .with("tokens_only", tokens_only)
        .with("host_path", host_path)
        .with("kubernetes", vec!["kubernetes.io~"]);
        Mapped::value(if lists("*") { "any".to_owned() } else { allowed.clone() })
            .refuses(!lists("*"), format!("volume type other than {allowed}"))
            .runtime(runtime)
            .with("tokens_only", tokens_only)
            .with("allowed", allowed_source)
            .with("refused", refused_source)
            .with("sources", refused)
    }

    fn faults(policy: &Policy) -> Vec<Fault> {
        let types = types();
        of_entries("spec.volumes", &policy.spec.volumes, |volume| match volume.as_str() {
            // the name of its feature gate
            "genericEphemeralVolume" => Some(messages::feature_gate_volume()),
            known if known == "*" || types.contains(&known) => None,
            _ => Some(unknown_value("volume type", volume, &[&types[..], &["*"]].concat())),
        })
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let listed = &policy.spec.volumes;
        match check {
            Check::HostPathVolumes => Some(Stance::refuses(!allows_volume(policy, "hostPath"))),
            Check::RestrictedVolumes => {
                Some(Stance::refuses(listed.iter().all(|listed| RESTRICTED.contains(&listed.as_str()))))
            }
            _ => None,
        }
    }

    /// Types that no policy can list (image, and storageos as admission spells it) do not count.
    fn beyond(policy: &Policy, level: Level) -> Option<&'static str> {
        let covered = match level {
            Level::Restricted => RESTRICTED.iter().all(|type_| allows_volume(policy, type_)),
            _ => types().iter().all(|type_| *type_ == "hostPath" || allows_volume(policy, type_)),
        };
        (!covered).then_some("the level allows more types")
    }
}
