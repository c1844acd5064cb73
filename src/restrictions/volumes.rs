//! `volumes`: which types of volume may pods use?

use super::{Mapped, listed};
use crate::psp::Policy;
use crate::psp::admission::volume_type;

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

pub(super) fn map(policy: &Policy) -> Mapped {
    let types = &policy.spec.volumes;
    let lists = |wanted: &str| types.iter().any(|t| t == wanted);
    // a listed secret lets service account tokens in, which Kubernetes projects since 1.21
    let tokens_only = lists("secret") && !lists("projected");
    let refused: Vec<&str> = SOURCES
        .into_iter()
        .filter(|s| !(lists(volume_type(s)) || tokens_only && *s == "projected"))
        .collect();
    let allowed = listed(types);
    Mapped::value(if lists("*") { "any".to_owned() } else { allowed.clone() })
        .refuses(!lists("*"), format!("volume type other than {allowed}"))
        .with("tokens_only", tokens_only)
        .with("sources", refused)
}
