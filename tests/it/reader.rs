//! What the reader takes in, and what it says of what it does not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use psp_admission::Field;
use psp_admission::policy::SPEC_FIELDS;
use psp_admission::policy::{
    HostPath, IdRule, IdStrategy, Policy, Range, RuntimeClass, SeLinux, SeLinuxOptions, Spec,
};
use psp2falco::problem::Problem;
use psp2falco::psp::validity;
use psp2falco::read::{Inventory, Options, Source, Why, read, read_text};
use tempfile::TempDir;

use crate::snapshot::root;

/// A template's hint.
const RENDER: &str = "this is an unrendered Helm template; render it: helm template CHART --kube-version 1.24 --api-versions \
     policy/v1beta1/PodSecurityPolicy | psp2falco convert -";

fn policy(name: &str) -> String {
    format!(
        "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: {name}
spec:
  seLinux: {{rule: RunAsAny}}
  runAsUser: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  fsGroup: {{rule: RunAsAny}}
"
    )
}

/// A policy with more lines in its spec, the first of them on line 10.
fn with_spec(lines: &str) -> String {
    policy("p") + lines
}

fn json(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"policy/v1beta1","kind":"PodSecurityPolicy","metadata":{{"name":"{name}","uid":"1"}},"spec":{{"seLinux":{{"rule":"RunAsAny"}},"runAsUser":{{"rule":"RunAsAny"}},"supplementalGroups":{{"rule":"RunAsAny"}},"fsGroup":{{"rule":"RunAsAny"}}}}}}"#
    )
}

fn ok(text: &str) -> Inventory {
    read_text("a.yaml", text, &Options::default()).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn names(inventory: &Inventory) -> Vec<&str> {
    inventory.policies.iter().map(|located| located.policy.name.as_str()).collect()
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn refused(text: &str) -> Vec<String> {
    match read_text("a.yaml", text, &Options::default()) {
        Ok(inventory) => panic!("accepted: {:?}\n{text}", names(&inventory)),
        Err(problems) => lines(&problems),
    }
}

/// Only the spec's lines from 10 on are wrong.
fn refused_spec(spec: &str) -> Vec<String> {
    refused(&with_spec(spec))
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn read_paths(paths: &[&Path]) -> Result<Inventory, Vec<Problem>> {
    let sources: Vec<Source> = paths.iter().map(|path| Source::Path(path.to_path_buf())).collect();
    read(&sources, &Options::default())
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn reads_every_field() {
    let text = "
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: all
  annotations: {team: red}
spec:
  privileged: true
  defaultAddCapabilities: [A]
  requiredDropCapabilities: [B]
  allowedCapabilities: [C]
  volumes: [nfs, '*']
  hostNetwork: true
  hostPorts: [{min: 1, max: 2}, {max: 3}]
  hostPID: true
  hostIPC: true
  seLinux: {rule: MustRunAs, seLinuxOptions: {user: u, role: r, type: t, level: l}}
  runAsUser: {rule: MustRunAsNonRoot}
  runAsGroup: {rule: MayRunAs, ranges: [{min: 4, max: 5}]}
  supplementalGroups: {rule: MustRunAs, ranges: [{min: 6, max: 7}]}
  fsGroup: {rule: RunAsAny}
  readOnlyRootFilesystem: true
  defaultAllowPrivilegeEscalation: false
  allowPrivilegeEscalation: false
  allowedHostPaths: [{pathPrefix: /a}, {pathPrefix: /b, readOnly: true}]
  allowedFlexVolumes: [{driver: d}]
  allowedCSIDrivers: [{name: e}]
  allowedUnsafeSysctls: [kernel.*]
  forbiddenSysctls: [net.x]
  allowedProcMountTypes: [Unmasked]
  runtimeClass: {allowedRuntimeClassNames: [x], defaultRuntimeClassName: x}
";
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ids = |rule, ranges: &[(i64, i64)]| IdStrategy {
        rule,
        ranges: ranges.iter().map(|(min, max)| Range { min: *min, max: *max }).collect(),
    };
    let expected = Policy {
        name: "all".to_owned(),
        annotations: [("team".to_owned(), "red".to_owned())].into(),
        spec: Spec {
            privileged: true,
            default_add_capabilities: strings(&["A"]),
            required_drop_capabilities: strings(&["B"]),
            allowed_capabilities: strings(&["C"]),
            volumes: strings(&["nfs", "*"]),
            host_network: true,
            host_ports: vec![Range { min: 1, max: 2 }, Range { min: 0, max: 3 }],
            host_pid: true,
            host_ipc: true,
            se_linux: SeLinux {
                must_run_as: true,
                options: Some(SeLinuxOptions {
                    user: "u".to_owned(),
                    role: "r".to_owned(),
                    type_: "t".to_owned(),
                    level: "l".to_owned(),
                }),
            },
            run_as_user: ids(IdRule::MustRunAsNonRoot, &[]),
            run_as_group: ids(IdRule::MayRunAs, &[(4, 5)]),
            supplemental_groups: ids(IdRule::MustRunAs, &[(6, 7)]),
            fs_group: ids(IdRule::RunAsAny, &[]),
            read_only_root_filesystem: true,
            default_allow_privilege_escalation: Some(false),
            allow_privilege_escalation: false,
            allowed_host_paths: vec![
                HostPath { path_prefix: "/a".to_owned(), read_only: false },
                HostPath { path_prefix: "/b".to_owned(), read_only: true },
            ],
            allowed_flex_volumes: strings(&["d"]),
            allowed_csi_drivers: strings(&["e"]),
            allowed_unsafe_sysctls: strings(&["kernel.*"]),
            forbidden_sysctls: strings(&["net.x"]),
            allowed_proc_mount_types: strings(&["Unmasked"]),
            runtime_class: Some(RuntimeClass { allowed: strings(&["x"]), default: Some("x".to_owned()) }),
        },
    };
    let inventory = ok(text);
    assert_eq!(inventory.policies[0].policy, expected);
    assert_eq!(inventory.policies[0].place.to_string(), "a.yaml:2:1");
    assert_eq!(inventory.warnings, []);
    for field in SPEC_FIELDS {
        assert!(text.contains(&format!("\n  {field}: ")), "{field} is not in this test");
    }
}

#[test]
fn a_field_left_out_or_null_has_the_value_that_the_api_server_gave_it() {
    let bare = &ok(&policy("p")).policies[0].policy.spec.clone();
    assert_eq!(*bare, Spec::default());
    let nulls: String = SPEC_FIELDS
        .iter()
        .filter(|field| !["seLinux", "runAsUser", "supplementalGroups", "fsGroup"].contains(field))
        .map(|field| format!("  {field}: null\n"))
        .collect();
    assert_eq!(ok(&with_spec(&nulls)).policies[0].policy.spec, *bare);
}

#[test]
fn reads_what_an_api_server_and_kubectl_print() {
    let inventories: Vec<Inventory> = ["raw-psp-list.json", "kubectl-psp-list.json", "kubectl-psp-list.yaml"]
        .iter()
        .map(|name| read_paths(&[&Path::new("tests/data/api").join(name)]).unwrap())
        .collect();
    for inventory in &inventories {
        assert_eq!(names(inventory), ["privileged", "restricted"]);
        assert_eq!(inventory.warnings, []);
        for (one, other) in inventory.policies.iter().zip(&inventories[0].policies) {
            assert_eq!((&one.digest, &one.policy), (&other.digest, &other.policy));
        }
    }
    assert_eq!(inventories[0].policies[1].place.to_string(), "tests/data/api/raw-psp-list.json:63:5");
    assert_eq!(inventories[2].policies[1].place.to_string(), "tests/data/api/kubectl-psp-list.yaml:36:3");
}

#[test]
fn says_when_the_input_is_a_refusal_of_the_api_server() {
    let problems = read_paths(&[Path::new("tests/data/api/forbidden.json")]).unwrap_err();
    assert_eq!(
        lines(&problems),
        ["tests/data/api/forbidden.json:1:1: this is the API server's refusal (Forbidden: \
          podsecuritypolicies.policy is forbidden: User \"dave\" cannot list resource \"podsecuritypolicies\" in API \
          group \"policy\" at the cluster scope), not its objects; fetch them again"]
    );
    assert!(read_paths(&[Path::new("tests/data/api/extensions-404.json")]).is_err());
    assert!(read_paths(&[Path::new("tests/data/api/unauthorized.json")]).is_err());
    let page = read_paths(&[Path::new("tests/data/api/not-served-404.txt")]).unwrap();
    assert_eq!((page.policies.len(), page.passed_over["(no kind)"]), (0, 1));
}

#[test]
fn reads_lists_in_lists_and_both_groups() {
    let old = policy("old").replace("policy/v1beta1", "extensions/v1beta1");
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let text = format!(
        "apiVersion: v1\nkind: List\nitems:\n-\n{}- apiVersion: v1\n  kind: List\n  items:\n  -\n{}---\nkind: List\nitems:\n",
        indent(&policy("new")),
        indent(&old),
    );
    assert_eq!(names(&ok(&text)), ["new", "old"]);
    let items = format!(
        "{{kind: PodSecurityPolicyList, apiVersion: policy/v2, items: [{}]}}",
        "{metadata: {name: x}}"
    );
    assert_eq!(
        refused(&items),
        [
            "a.yaml:1:62: apiVersion: unsupported version \"policy/v2\" of PodSecurityPolicy; use policy/v1beta1 or \
          extensions/v1beta1"
        ]
    );
}

#[test]
fn reads_many_documents_however_they_are_written() {
    let text =
        format!("# a comment\n---\n---\n{}...\n---\n# only this\n---\n{}---\n", policy("b"), policy("a"));
    let inventory = ok(&text);
    assert_eq!(names(&inventory), ["a", "b"]);
    assert_eq!(inventory.policies[1].place.to_string(), "a.yaml:4:1");
    assert_eq!(names(&ok(&text.replace('\n', "\r\n"))), ["a", "b"]);
    assert_eq!(names(&ok(&format!("\u{feff}{text}"))), ["a", "b"]);

    // JSON documents one after the other, as jq prints them; with tabs.
    let text = format!("{}\n{}\n{}", json("c"), json("a"), json("b").replace(",\"", ",\n\t\""));
    let inventory = ok(&text);
    assert_eq!(names(&inventory), ["a", "b", "c"]);
    assert_eq!(inventory.policies[1].place.to_string(), "a.yaml:3:1");
    assert_eq!(names(&ok(&(json("a") + &json("b")))), ["a", "b"]);

    for empty in ["", "\n", "---\n", "# nothing\n", "---\n---\n", "\u{feff}", "{}", "null"] {
        assert_eq!(ok(empty).policies, [], "{empty:?}");
    }
}

#[test]
fn reads_what_powershell_redirects() {
    let text = policy("wide");
    for (mark, bytes) in
        [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
    {
        let wide: Vec<u8> = mark.into_iter().chain(text.encode_utf16().flat_map(bytes)).collect();
        let folder = folder(&[("a.yaml", &wide)]);
        assert_eq!(names(&read_paths(&[folder.path()]).unwrap()), ["wide"]);
    }
}

#[test]
fn reads_yaml_as_kubectl_does() {
    let spec = &ok(&with_spec(
        "  privileged: yes\n  hostPID: On\n  hostIPC: off\n  hostPorts: [{min: 0x10, max: 1e3}, {min: 010, max: 1_000}]\n",
    ))
    .policies[0]
        .policy
        .spec
        .clone();
    assert!(spec.privileged && spec.host_pid && !spec.host_ipc);
    assert_eq!(spec.host_ports, [Range { min: 16, max: 1000 }, Range { min: 8, max: 1000 }]);
    assert_eq!(
        refused_spec("  allowedCapabilities: [NO, 5, NET_RAW]\n"),
        [
            "a.yaml:10:25: spec.allowedCapabilities[0]: expected a string, found the boolean false; put it in quotes",
            "a.yaml:10:29: spec.allowedCapabilities[1]: expected a string, found the number 5; put it in quotes",
        ]
    );
}

#[test]
fn follows_anchors_and_merges() {
    let inventory = ok("
x: &any {rule: RunAsAny}
kind: Other
base: &base
  apiVersion: policy/v1beta1
  kind: PodSecurityPolicy
");
    assert_eq!(inventory.passed_over["Other"], 1);
    let inventory = ok("
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: p}
spec:
  seLinux: &any {rule: RunAsAny}
  runAsUser: *any
  fsGroup: *any
  supplementalGroups: {<<: [*any, {rule: MustRunAs}]}
  runAsGroup: {<<: *any, rule: MustRunAs, ranges: [{min: 1, max: 1}]}
");
    let spec = &inventory.policies[0].policy.spec;
    assert_eq!(spec.supplemental_groups.rule, IdRule::RunAsAny);
    assert_eq!(spec.run_as_group.rule, IdRule::MustRunAs);
}

#[test]
fn does_not_mind_what_a_server_adds() {
    let text = policy("p").replace(
        "  name: p\n",
        "  name: p
  namespace: kube-system
  creationTimestamp: null
  uid: 4
  labels: {app: x}
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {}
  managedFields: [{manager: kubectl, fieldsV1: {'f:spec': {}}}]
",
    ) + "status: {}\n";
    let inventory = ok(&text);
    assert_eq!(inventory.warnings, []);
    assert_eq!(inventory.policies[0].digest, ok(&policy("p")).policies[0].digest);
    assert_eq!(inventory.policies[0].policy.annotations.len(), 1);
}

#[test]
fn keeps_of_a_pod_what_admission_looks_at() {
    let pod = "apiVersion: v1
kind: Pod
metadata:
  name: x
  uid: abc
  annotations: {kubernetes.io/psp: restricted, kubectl.kubernetes.io/last-applied-configuration: '{}'}
  managedFields: [{fieldsV1: {'f:spec': {}}}]
spec:
  hostPID: true
  containers:
  - {name: a, image: b, env: [{name: PASSWORD, value: secret}], args: [secret], securityContext: {runAsUser: 0}}
status: {phase: Running, podIP: 10.0.0.1}
";
    let kept = ok(pod).pods[0].value();
    let expected = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "annotations": {"kubernetes.io/psp": "restricted"}},
        "spec": {
            "hostPID": true,
            "containers": [{"name": "a", "image": "b", "securityContext": {"runAsUser": 0}}],
        },
        "status": {"phase": "Running"},
    });
    assert_eq!(kept, expected);
    let deep =
        pod.replace("hostPID: true", &format!("hostPID: true\n  x: {}1{}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(ok(&deep).pods[0].value()["spec"]["hostPID"], true);
}

#[test]
fn keeps_who_may_use_a_policy_and_counts_the_rest() {
    let object = |kind: &str, version: &str| {
        format!("---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n")
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let text = [
        object("ClusterRole", rbac),
        object("RoleBinding", "rbac.authorization.k8s.io/v1beta1"),
        object("Namespace", "v1"),
        object("Pod", "v1"),
        object("ServiceAccount", "v1"),
        object("ClusterRole", "authorization.openshift.io/v1"),
        object("Deployment", "apps/v1"),
        object("Deployment", "apps/v1"),
        format!("---\nkind: RoleList\napiVersion: {rbac}\nitems: [{{metadata: {{name: y}}}}]\n"),
        "---\n[1, 2]\n---\nname: values\n".to_owned(),
    ]
    .concat();
    let inventory = ok(&text);
    let kept: Vec<&str> = inventory.objects.iter().map(|object| object.kind.as_str()).collect();
    assert_eq!(kept, ["ClusterRole", "RoleBinding", "Namespace", "ServiceAccount", "Role"]);
    assert_eq!(inventory.objects[0].value["metadata"]["name"], "x");
    assert_eq!(inventory.objects[4].api_version, rbac);
    assert_eq!(inventory.pods[0].value()["metadata"]["name"], "x");
    assert_eq!(inventory.objects[1].place.to_string(), "a.yaml:6:1");
    let counts: Vec<(&str, usize)> =
        inventory.passed_over.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(
        counts,
        [
            ("(no kind)", 2),
            ("ClusterRole", 2),
            ("Deployment", 2),
            ("Namespace", 1),
            ("Pod", 1),
            ("Role", 1),
            ("RoleBinding", 1),
            ("ServiceAccount", 1),
        ]
    );
}

#[test]
fn reads_folders() {
    let folder = folder(&[
        ("b/two.yml", policy("two").as_bytes()),
        ("a/one.json", json("one").as_bytes()),
        ("c/three", policy("three").as_bytes()),
        ("c/four.txt", json("four").as_bytes()),
        ("README.md", b"# PSP\n\n```yaml\nkind: PodSecurityPolicy\n```\n"),
        ("values.yaml", b"replicas: 3\n"),
        ("logo.png", b"\x89PNG\r\n\x1a\n\0\0"),
        ("empty", b""),
        (".git/config.yaml", b"kind: [\n"),
        (".hidden.yaml", b"kind: [\n"),
    ]);
    let inventory = read_paths(&[folder.path()]).unwrap();
    assert_eq!(names(&inventory), ["four", "one", "three", "two"]);
    assert_eq!(inventory.unread(Why::NoManifest), 3);
    assert_eq!(inventory.passed_over["(no kind)"], 1);
    assert_eq!(inventory.policies[1].place.file, folder.path().join("a/one.json").display().to_string());

    // Naming a file twice is no contradiction.
    let twice =
        read_paths(&[folder.path(), &folder.path().join("b/two.yml"), &folder.path().join("b")]).unwrap();
    assert_eq!(twice.policies, inventory.policies);

    let nothing = tempfile::tempdir().unwrap();
    let inventory = read_paths(&[nothing.path()]).unwrap();
    assert_eq!((inventory.policies.len(), inventory.unread(Why::NoManifest)), (0, 0));
}

#[cfg(unix)]
#[test]
fn follows_links_without_running_in_circles() {
    let folder = folder(&[("..data/a.yaml", policy("a").as_bytes()), ("sub/b.yaml", policy("b").as_bytes())]);
    let link =
        |target: &str, name: &str| std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
    link("..data/a.yaml", "a.yaml");
    link("a.yaml", "copy.yaml");
    link("..", "sub/circle");
    assert_eq!(names(&read_paths(&[folder.path()]).unwrap()), ["a", "b"]);

    link("nowhere", "dangling.yaml");
    let inventory = read_paths(&[folder.path()]).unwrap();
    assert_eq!((names(&inventory), inventory.unread(Why::Unreadable)), (vec!["a", "b"], 1));
    let dangling = folder.path().join("dangling.yaml");
    let problems = read_paths(&[&dangling]).unwrap_err();
    assert_eq!(lines(&problems), [format!("{}: no such file or folder; check the path", dangling.display())]);
}

#[test]
fn reports_every_bad_file_in_one_run() {
    let folder = folder(&[
        ("1.yaml", policy("a").as_bytes()),
        ("2.yaml", b"kind: [\n# PodSecurityPolicy\n"),
        ("3.yaml", b"\xff\xfe\xfd"),
        ("4.yaml", b"PodSecurityPolicy: \xff\n"),
        ("5.yaml", (policy("a") + "  hostPID: true\n").as_bytes()),
        ("6.yaml", b"kind: [\n"),
        ("sub/7.yaml", (policy("a") + "  hostIPC: true\n").as_bytes()),
    ]);
    let root = folder.path().display().to_string();
    let missing = folder.path().join("missing.yaml");
    let problems = read_paths(&[&missing, folder.path()]).unwrap_err();
    let said: Vec<String> = lines(&problems).iter().map(|line| line.replace(&root, "DIR")).collect();
    assert_eq!(
        said,
        [
            "DIR/missing.yaml: no such file or folder; check the path",
            "DIR/2.yaml:1:7: not valid YAML: unclosed bracket '['",
            "DIR/4.yaml: neither text in UTF-8 nor an archive (byte 20); give a manifest",
            "DIR/5.yaml:4:9: metadata.name: the policy \"a\" is defined at DIR/1.yaml:4:9 too, with other hostPID; convert one \
             environment at a time (psp2falco convert DIR/5.yaml), or leave one out (--exclude 5.yaml)",
            "DIR/sub/7.yaml:4:9: metadata.name: the policy \"a\" is defined at DIR/1.yaml:4:9 too, with other hostIPC; convert \
             one environment at a time (psp2falco convert DIR/sub), or leave one out (--exclude sub)",
        ]
    );
}

/// A backup holds each object twice, and on old clusters each policy in two groups.
fn backup() -> Vec<(&'static str, Vec<u8>)> {
    let psp = json("web").into_bytes();
    let old = json("web").replace("policy/v1beta1", "extensions/v1beta1").into_bytes();
    let role = br#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r","namespace":"n"}}"#;
    vec![
        ("metadata/version", b"1.1.0\n".to_vec()),
        ("resources/podsecuritypolicies.policy/v1beta1-preferredversion/cluster/web.json", psp.clone()),
        ("resources/podsecuritypolicies.policy/cluster/web.json", psp),
        ("resources/podsecuritypolicies.extensions/cluster/web.json", old),
        ("resources/roles.rbac.authorization.k8s.io/namespaces/n/r.json", role.to_vec()),
        ("resources/roles.rbac.authorization.k8s.io/v1-preferredversion/namespaces/n/r.json", role.to_vec()),
    ]
}

#[test]
fn a_folder_called_resources_is_no_backup() {
    let folder = folder(&[
        ("resources/psp/cluster/a.yaml", policy("a").as_bytes()),
        ("resources/psp/v1/cluster/a.yaml", policy("b").as_bytes()),
    ]);
    assert_eq!(names(&read_paths(&[folder.path()]).unwrap()), ["a", "b"]);
}

#[test]
fn reads_velero_backups() {
    let files = backup();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
    let packed = archive(&files);
    let archives = folder(&[
        ("b.tar.gz", &gzip(&packed)),
        ("b.tgz", &gzip(&packed)),
        ("b.tar", &packed),
        ("noname", &packed),
    ]);
    let unpacked = folder(&files);
    let mut paths: Vec<PathBuf> =
        ["b.tar.gz", "b.tgz", "b.tar", "noname"].map(|name| archives.path().join(name)).into();
    paths.push(unpacked.path().to_owned());
    for path in &paths {
        let inventory = read_paths(&[path]).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(names(&inventory), ["web"], "{}", path.display());
        assert_eq!((inventory.objects.len(), inventory.passed_over["Role"]), (1, 1));
        assert_eq!(inventory.unread(Why::NoManifest), 1);
        let place = inventory.policies[0].place.to_string();
        assert!(
            place.starts_with(&path.display().to_string()) && place.ends_with("/web.json:1:1"),
            "{place}"
        );
    }
    // Two backups hold the same policy.
    let both = read_paths(&[&paths[0], &paths[2]]).unwrap();
    assert_eq!((names(&both), both.notes.len()), (vec!["web"], 1));
    // An archive within a folder is a file like others.
    assert_eq!(read_paths(&[archives.path()]).unwrap().unread(Why::NoManifest), 4);
}

#[test]
fn reads_packed_manifests_and_refuses_broken_archives() {
    let packed = gzip(&archive(&[("x/web.yaml", policy("web").as_bytes())]));
    let folder = folder(&[
        ("plain.yaml.gz", &gzip(policy("web").as_bytes())),
        ("chart.tgz", &packed),
        ("short.tgz", &packed[..packed.len() / 2]),
    ]);
    assert_eq!(names(&read_paths(&[&folder.path().join("plain.yaml.gz")]).unwrap()), ["web"]);
    let chart = folder.path().join("chart.tgz");
    let inventory = read_paths(&[&chart]).unwrap();
    assert_eq!(inventory.policies[0].place.to_string(), format!("{}/x/web.yaml:1:1", chart.display()));
    let short = folder.path().join("short.tgz");
    let said = lines(&read_paths(&[&short]).unwrap_err());
    assert!(
        said.len() == 1 && said[0].starts_with(&format!("{}/x/web.yaml: cannot be read: ", short.display())),
        "{said:?}"
    );
}

#[test]
fn points_at_what_is_wrong() {
    for (spec, expected) in [
        (
            "  privilegedd: true\n",
            "a.yaml:10:3: spec.privilegedd: unknown field \"privilegedd\"; did you mean privileged?",
        ),
        ("  hostpid: true\n", "a.yaml:10:3: spec.hostpid: unknown field \"hostpid\"; did you mean hostPID?"),
        ("  replicas: 3\n", "a.yaml:10:3: spec.replicas: unknown field \"replicas\"; correct or remove it"),
        (
            "  hostPorts:\n  - min: 1\n    maks: 2\n",
            "a.yaml:12:5: spec.hostPorts[0].maks: unknown field \"maks\"; known here: min, max",
        ),
        (
            "  allowedHostPaths:\n  - path: /etc\n    pathPrefix: /etc\n",
            "a.yaml:11:5: spec.allowedHostPaths[0].path: unknown field \"path\"; known here: pathPrefix, readOnly",
        ),
        (
            "  privileged: 'true'\n",
            "a.yaml:10:15: spec.privileged: expected true or false, found the string \"true\"; remove the quotes",
        ),
        ("  privileged: 1\n", "a.yaml:10:15: spec.privileged: expected true or false, found the number 1"),
        (
            "  volumes: nfs\n",
            "a.yaml:10:12: spec.volumes: expected a list, found the string \"nfs\"; write it as a list",
        ),
        ("  volumes:\n  - {nfs: 1}\n", "a.yaml:11:5: spec.volumes[0]: expected a string, found a mapping"),
        (
            "  volumes:\n  - nfs\n  - hostpath\n",
            "a.yaml:12:5: spec.volumes[1]: unknown volume type \"hostpath\"; did you mean hostPath? use one of ",
        ),
        ("  hostPorts: [80]\n", "a.yaml:10:15: spec.hostPorts[0]: expected a mapping, found the number 80"),
        (
            "  hostPorts: [{min: '80', max: 90}]\n",
            "a.yaml:10:21: spec.hostPorts[0].min: expected a whole number, found the string \"80\"; remove the quotes",
        ),
        (
            "  hostPorts: [{min: 0, max: 1.5}]\n",
            "a.yaml:10:29: spec.hostPorts[0].max: expected a whole number, found the number 1.5",
        ),
        (
            "  hostPorts: [{max: 4294967296}]\n",
            "a.yaml:10:21: spec.hostPorts[0].max: 4294967296 does not fit the 32 bits of a port; use 0 to 65535",
        ),
        (
            "  runAsGroup:\n    rule: MustRunAs\n    ranges:\n    - min: 20\n      max: 10\n",
            "a.yaml:13:7: spec.runAsGroup.ranges[0]: min 20 is greater than max 10",
        ),
        (
            "  runAsGroup: {rule: MustRunAs, ranges: [{min: 5}]}\n",
            "a.yaml:10:42: spec.runAsGroup.ranges[0]: min 5 is greater than max 0; a max left out is 0",
        ),
        (
            "  runAsGroup: {rule: MustRunAs, ranges: [{min: -5, max: 5}]}\n",
            "a.yaml:10:48: spec.runAsGroup.ranges[0].min: min -5 is negative; ids start at 0",
        ),
        (
            "  runAsGroup: {rule: mustrunas}\n",
            "a.yaml:10:22: spec.runAsGroup.rule: unknown rule \"mustrunas\"; did you mean MustRunAs? use one of MustRunAs, \
             MayRunAs, RunAsAny",
        ),
        (
            "  runAsGroup: {rule: MustRunAsNonRoot}\n",
            "a.yaml:10:22: spec.runAsGroup.rule: unknown rule \"MustRunAsNonRoot\"; use one of MustRunAs, MayRunAs, RunAsAny",
        ),
        (
            "  ranges: [{min: 1, max: 2}]\n",
            "a.yaml:10:3: spec.ranges: unknown field \"ranges\"; it belongs under runAsUser, runAsGroup, supplementalGroups \
             or fsGroup; indent it",
        ),
        (
            "  annotations: {a: b}\n",
            "a.yaml:10:3: spec.annotations: unknown field \"annotations\"; it belongs under metadata",
        ),
        (
            "  volumes: [genericEphemeralVolume]\n",
            "a.yaml:10:13: spec.volumes[0]: unknown volume type \"genericEphemeralVolume\"; write ephemeral",
        ),
        (
            "  volumes:\n  - *\n",
            "a.yaml:11:5: not valid YAML: an unquoted * begins an alias; put it in quotes: '*'",
        ),
        (
            "  volumes: [*]\n",
            "a.yaml:10:13: not valid YAML: an unquoted * begins an alias; put it in quotes: '*'",
        ),
        (
            "  hostPID:\u{a0}true\n",
            "a.yaml:10:11: a no-break space (U+00A0) stands here; replace it by a space",
        ),
        (
            "  volumes: [“nfs”]\n",
            "a.yaml:10:13: spec.volumes[0]: a typographic quotation mark (U+201C) stands here; replace it by \"",
        ),
        ("\tprivileged: true\n", "a.yaml:10:2: not valid YAML: a tab indents this line; use spaces"),
        ("hostPID: true\n", "a.yaml:10:1: hostPID: unknown field \"hostPID\"; it belongs under spec"),
    ] {
        let said = refused_spec(spec);
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(
            said.iter().any(|line| line == expected || expected.ends_with(' ') && line.starts_with(expected)),
            "{said:#?}\n{expected}"
        );
    }
}

#[test]
fn points_at_what_is_wrong_with_an_object() {
    for (from, to, expected) in [
        (
            "policy/v1beta1",
            "apps/v1",
            "a.yaml:1:13: apiVersion: unsupported version \"apps/v1\" of PodSecurityPolicy; use policy/v1beta1 or \
             extensions/v1beta1",
        ),
        (
            "PodSecurityPolicy",
            "PodSecuritypolicy",
            "a.yaml:2:7: kind: unknown kind \"PodSecuritypolicy\"; did you mean PodSecurityPolicy?",
        ),
        ("metadata:\n  name: p\n", "metadata: {}\n", "a.yaml:3:11: metadata.name: missing; give a name"),
        ("metadata:\n  name: p\n", "", "a.yaml:1:1: metadata.name: missing; give a name"),
        (
            "  name: p\n",
            "  name: 5\n",
            "a.yaml:4:9: metadata.name: expected a string, found the number 5; put it in quotes",
        ),
        (
            "  name: p\n",
            "  name: a b\n",
            "a.yaml:4:9: metadata.name: \"a b\" is not a valid name; use lower-case letters, digits, \"-\" and \".\", a \
             letter or digit first and last",
        ),
        (
            "  name: p\n",
            "  name: p\n  anotations: {}\n",
            "a.yaml:5:3: metadata.anotations: unknown field \"anotations\"; did you mean annotations?",
        ),
        (
            "  name: p\n",
            "  name: p\n  annotations: {a: true}\n",
            "a.yaml:5:20: metadata.annotations[a]: expected a string, found the boolean true; put it in quotes",
        ),
        (
            "  name: p\n",
            "  name: p\n  annotations:\n    seccomp.security.alpha.kubernetes.io/allowedProfileNames: other\n",
            "a.yaml:6:63: metadata.annotations[seccomp.security.alpha.kubernetes.io/allowedProfileNames]: \"other\" is not a \
             seccomp profile; use runtime/default, docker/default, unconfined or localhost/PATH",
        ),
        (
            "  name: p\n",
            "  name: p\n  annotations: {a b: x}\n",
            "a.yaml:5:22: metadata.annotations[a b]: \"a b\" is not a valid key; use [domain/]name with letters, digits, \
             \"-\", \"_\" and \".\"",
        ),
        (
            "  name: p\n",
            "  name: p\n  labels: {a: x y}\n",
            "a.yaml:5:15: metadata.labels[a]: \"x y\" is not a valid label; use at most 63 letters, digits, \"-\", \"_\" and \
             \".\"",
        ),
    ] {
        assert_eq!(refused(&policy("p").replacen(from, to, 1)), [expected]);
    }
    let pretty = "{\n  \"apiVersion\": \"policy/v1beta1\",\n  \"kind\": \"PodSecurityPolicy\",\n  \"metadata\": {\"name\": \"p\"},\n  \
                  \"spec\": {\n    \"privileged\": \"no\"\n  }\n}\n";
    assert_eq!(
        refused(pretty),
        ["a.yaml:6:19: spec.privileged: expected true or false, found the string \"no\""]
    );
}

#[test]
fn shows_all_errors_of_a_run_in_the_order_of_the_input() {
    let broken = "a: 'x\n";
    let text = format!(
        "{}{}---\n{broken}---\n{}---\n{}",
        policy("p"),
        "  volumes: [a]\n  hostPIDD: true\n  privileged: 3\n",
        policy("q"),
        policy("q") + "  hostPID: true\n",
    );
    let said = refused(&text);
    let starts = [
        "a.yaml:10:13: spec.volumes[0]: unknown volume type \"a\"; use one of ",
        "a.yaml:11:3: spec.hostPIDD: unknown field \"hostPIDD\"; did you mean hostPID?",
        "a.yaml:12:15: spec.privileged: expected true or false, found the number 3",
        "a.yaml:14:4: not valid YAML: ",
        "a.yaml:29:9: metadata.name: the policy \"q\" is defined at a.yaml:19:9 too, with other hostPID; remove one of the two",
    ];
    assert_eq!(said.len(), starts.len(), "{said:#?}");
    for (line, start) in said.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn hints_at_templates() {
    let psp = policy("p");
    for (text, at) in [
        (format!("{{{{- if .Values.psp }}}}\n{psp}{{{{- end }}}}\n"), "a.yaml:1:1: "),
        (psp.replace("name: p", "name: {{ .Release.Name }}"), "a.yaml:4:9: "),
        (psp.replace("name: p", "name: {{ .Release.Name }}-psp"), "a.yaml:4:9: "),
        (psp.replace("name: p", "name: x-{{ .Release.Name }}"), "a.yaml:4:9: "),
        (psp.replace("name: p", "name: \"{{ .Release.Name }}\""), "a.yaml:4:9: "),
        (with_spec("  privileged: {{ .Values.privileged }}\n"), "a.yaml:10:15: "),
        (with_spec("  privileged: '{{ .Values.privileged }}'\n"), "a.yaml:10:15: "),
        (with_spec("  volumes: ['{{ .Values.volume }}']\n"), "a.yaml:10:13: "),
        (with_spec("{{ toYaml .Values.spec | indent 2 }}\n"), "a.yaml:10:1: "),
        (with_spec("  runAsGroup: {rule: '{{ .Values.rule }}'}\n"), "a.yaml:10:22: "),
    ] {
        assert_eq!(refused(&text), [format!("{at}{RENDER}")], "{text}");
    }
    for (text, expected) in [
        (
            format!("# {{{{ a comment }}}}\n{{{{/* why */}}}}\n{psp}"),
            "a.yaml:2:1: this is an unrendered Go template; render it: with the tool that it is for, such as gomplate -f \
             a.yaml | psp2falco convert -",
        ),
        (
            psp.replace("name: p", "name: {{ name }}"),
            "a.yaml:4:9: this is an unrendered Jinja template; render it: with the tool that it is for, such as ansible \
             localhost -m template -a \"src=a.yaml dest=psp.yaml\", then psp2falco convert psp.yaml",
        ),
        (
            with_spec("  privileged: #@ data.values.privileged\n"),
            "a.yaml:10:15: this is an unrendered ytt template; render it: ytt -f ./ | psp2falco convert -",
        ),
        (
            format!("#@ load(\"@ytt:data\", \"data\")\n---\n---\n#@ if data.values.psp:\n{psp}"),
            "a.yaml:4:1: this is an unrendered ytt template; render it: ytt -f ./ | psp2falco convert -",
        ),
        (
            with_spec("  allowedHostPaths: [{pathPrefix: \"${DATA}/x\"}]\n"),
            "a.yaml:10:35: this is an unrendered file with shell variables; render it: set the variables, then envsubst < \
             a.yaml | psp2falco convert -",
        ),
        (
            psp.replace("name: p", "name: $(NAME)-psp"),
            "a.yaml:4:9: this is an unrendered file with $(…) variables; render it: kustomize build ./ | psp2falco convert -, \
             or the pipeline that sets them",
        ),
        (
            psp.replace("name: p", "name: <your-name>"),
            "a.yaml:4:9: this is an unrendered file with placeholders; render it: replace them by their values",
        ),
    ] {
        assert_eq!(refused(&text), [expected], "{text}");
    }
    // Braces elsewhere are no template, nor is another document's.
    let text = format!("kind: ConfigMap\ndata: {{a: '{{{{ x }}}}'}}\n---\n{psp}---\na: #@ x\n");
    assert_eq!(names(&ok(&text)), ["p"]);
}

#[test]
fn reads_what_can_only_be_meant_so_unless_strict() {
    let strict = |text: &str| {
        lines(&read_text("a.yaml", text, &Options { strict: true, ..Options::default() }).unwrap_err())
    };
    for (text, lenient, refused) in [
        (
            with_spec("  hostPID: true\n  hostPID: false\n"),
            "a.yaml:11:3: spec.hostPID: stands in line 10 too; this one counts, as it did for kubectl",
            "a.yaml:11:3: spec.hostPID: stands in line 10 too; remove one of the two",
        ),
        (
            policy("p").replace("name: p\n", "name: p\n  annotations: {a: x, a: z}\n"),
            "a.yaml:5:23: metadata.annotations[a]: stands in line 5 too; this one counts, as it did for kubectl",
            "a.yaml:5:23: metadata.annotations[a]: stands in line 5 too; remove one of the two",
        ),
        (
            policy("p").replace("policy/v1beta1", "policy/v1"),
            "a.yaml:1:13: apiVersion: unsupported version \"policy/v1\" of PodSecurityPolicy; read as policy/v1beta1",
            "a.yaml:1:13: apiVersion: unsupported version \"policy/v1\" of PodSecurityPolicy; use policy/v1beta1 or \
             extensions/v1beta1",
        ),
        (
            policy("p").replace("apiVersion: policy/v1beta1\n", ""),
            "a.yaml:1:1: apiVersion: missing; read as policy/v1beta1",
            "a.yaml:1:1: apiVersion: missing; use policy/v1beta1 or extensions/v1beta1",
        ),
        (
            policy("RELEASE-NAME-controller"),
            "a.yaml:4:9: metadata.name: the API server would have refused \"RELEASE-NAME-controller\"; the rules bear it as it \
             is",
            "a.yaml:4:9: metadata.name: \"RELEASE-NAME-controller\" is not a valid name; use lower-case letters, digits, \"-\" \
             and \".\", a letter or digit first and last",
        ),
    ] {
        assert_eq!(lines(&ok(&text).warnings), [lenient]);
        assert_eq!(strict(&text), [refused]);
    }
    // The last of two counts, whatever the first was.
    let inventory = ok(&with_spec("  volumes: 3\n  hostPID: true\n  hostPID: false\n  volumes: [nfs]\n"));
    let spec = &inventory.policies[0].policy.spec;
    assert_eq!((spec.host_pid, spec.volumes.as_slice()), (false, &["nfs".to_owned()][..]));
    assert_eq!(strict(&format!("{}---\n{0}", policy("q"))).len(), 1);
}

#[test]
fn a_repository_converts_though_much_in_it_is_no_manifest() {
    let chart = "{{- if .Values.psp }}\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n{{- end }}\n";
    let (base, copy) = (policy("web"), format!("# the same\n{}", json("web")));
    let files: &[(&str, &[u8])] = &[
        ("base/psp.yaml", base.as_bytes()),
        ("copy/psp.yaml", copy.as_bytes()),
        ("charts/a/Chart.yaml", b"name: a\n"),
        ("charts/a/templates/psp.yaml", chart.as_bytes()),
        ("charts/a/templates/more.yaml", chart.as_bytes()),
        ("charts/a/templates/role.yaml", b"kind: Role\nmetadata: {{ x }}\n"),
        ("tsconfig.json", b"{ // the strictest\n  \"strict\": [true }\n"),
        ("secret.yaml", b"\0GITCRYPT\0\xff\xfe"),
        ("node_modules/x/psp.yaml", b"kind: PodSecurityPolicy\nspec: [\n"),
        ("ansible/psp.yml.j2", b"{% if psp %}\nkind: PodSecurityPolicy\n{% endif %}\n"),
    ];
    let folder = folder(files);
    let root = folder.path().display().to_string();
    let shown = |problems: &[Problem]| {
        lines(problems).iter().map(|line| line.replace(&root, "DIR")).collect::<Vec<_>>()
    };
    let helm = "DIR/charts/a: 2 Helm templates hold policies and were not read; render them: helm template DIR/charts/a \
                --kube-version 1.24 --api-versions policy/v1beta1/PodSecurityPolicy | psp2falco convert -";
    let jinja = "DIR/ansible: 1 Jinja template holds policies and was not read; render it: with the tool that it is for, such \
                 as ansible localhost -m template -a \"src=DIR/ansible/psp.yml.j2 dest=psp.yaml\", then psp2falco convert \
                 psp.yaml";
    let inventory = read_paths(&[folder.path()]).unwrap();
    assert_eq!(names(&inventory), ["web"]);
    assert_eq!(shown(&inventory.warnings), [jinja, helm]);
    assert_eq!(
        shown(&inventory.notes),
        [
            "DIR/base/psp.yaml:4:9: metadata.name: the policy \"web\" is defined alike in DIR/copy/psp.yaml:2:78; read once"
        ]
    );
    assert_eq!((inventory.unread(Why::Unreadable), inventory.unread(Why::Template)), (2, 1));

    let read_with = |strict: bool, exclude: &[&str]| {
        let exclude = exclude.iter().map(ToString::to_string).collect();
        read(&[Source::Path(folder.path().to_owned())], &Options { strict, exclude })
    };
    // nothing but templates, or strict
    assert_eq!(shown(&read_with(false, &["base", "copy"]).unwrap_err()), [jinja, helm]);
    assert!(shown(&read_with(true, &["copy"]).unwrap_err()).ends_with(&[jinja.to_owned(), helm.to_owned()]));
    // left out, and a pattern that leaves nothing out
    let inventory = read_with(true, &["charts/a", "*.j2", "copy/**", "base/other.yaml"]).unwrap();
    assert_eq!(inventory.notes, []);
    assert_eq!(
        lines(&inventory.warnings),
        [
            "--exclude: \"base/other.yaml\" leaves nothing out; patterns are relative to the folder that is read"
        ]
    );
    assert!(
        shown(&read_with(false, &["a["]).unwrap_err())[0]
            .starts_with("--exclude: \"a[\" is no pattern of paths")
    );

    // the same in an archive
    let archives = tempfile::tempdir().unwrap();
    let path = archives.path().join("repo.tgz");
    fs::write(&path, gzip(&archive(files))).unwrap();
    let inventory = read_paths(&[&path]).unwrap();
    assert_eq!((names(&inventory), inventory.warnings.len(), inventory.notes.len()), (vec!["web"], 2, 1));
    // what is named is to be read
    assert!(read_paths(&[&folder.path().join("tsconfig.json")]).is_err());
}

#[test]
fn says_what_is_given_for_a_policy_and_is_none() {
    for (text, expected) in [
        (
            "error: the server doesn't have a resource type \"psp\"\n",
            "a.yaml:1:1: this is kubectl's error: from Kubernetes 1.25 on a cluster has no PodSecurityPolicies; take them from \
             Git, from a backup, or from Helm's records: psp2falco scan --helm-releases",
        ),
        (
            "No resources found\n",
            "a.yaml:1:1: this is what kubectl says when it has no objects; run it alone and see what it lacks",
        ),
        (
            "NAME   PRIV   CAPS   SELINUX\nweb    false         RunAsAny\n",
            "a.yaml:1:1: this is kubectl's table, which leaves out most; add -o yaml to the kubectl command",
        ),
        (
            "apiVersion: policy/v1beta1\nkind: “PodSecurityPolicy”\n",
            "a.yaml:2:7: a typographic quotation mark (U+201C) stands here; replace it by \"",
        ),
        (
            "kind: Template\nobjects:\n- {kind: PodSecurityPolicy, metadata: {name: '${NAME}'}}\n",
            "a.yaml:1:1: this is an unrendered OpenShift template; render it: oc process --local -f a.yaml -o yaml | psp2falco \
             convert -",
        ),
    ] {
        assert_eq!(refused(text), [expected]);
    }
    let packed = "kind: ConfigMap\nmetadata: {name: cm}\ndata:\n  psp.yaml: |\n    kind: PodSecurityPolicy\n";
    let file = "a.yaml:4:3: data[psp.yaml]: holds a PodSecurityPolicy as text, which is not read; convert it: yq \
                'select(.metadata.name == \"cm\") | .data[\"psp.yaml\"]' a.yaml | psp2falco convert -";
    assert_eq!(lines(&ok(packed).warnings), [file]);
    let piped = read_text("stdin", packed, &Options::default()).unwrap();
    assert_eq!(
        lines(&piped.warnings),
        [
            "stdin:4:3: data[psp.yaml]: holds a PodSecurityPolicy as text, which is not read; convert it: kubectl get configmap cm \
          -o jsonpath='{.data.psp\\.yaml}' | psp2falco convert -"
        ]
    );
    let scc = "kind: SecurityContextConstraints\n---\nkind: SecurityContextConstraints\n";
    assert_eq!(
        lines(&ok(scc).notes),
        [
            "a.yaml:1:7: kind: no PodSecurityPolicy but SecurityContextConstraints, which OpenShift goes on enforcing; there is \
          nothing to convert"
        ]
    );
    let odd =
        ok(&with_spec("  allowedCapabilities: [CAP_SYS_ADMIN, net_admin, ALL]\n  hostPorts: [{min: 80}]\n"));
    assert_eq!(
        lines(&odd.warnings),
        [
            "a.yaml:10:25: spec.allowedCapabilities[0]: \"CAP_SYS_ADMIN\" is no capability of a pod, which spells it \
             \"SYS_ADMIN\"",
            "a.yaml:10:40: spec.allowedCapabilities[1]: \"net_admin\" is no capability of a pod, which spells it \"NET_ADMIN\"",
            "a.yaml:11:15: spec.hostPorts[0]: min 80 is greater than max 0; a max left out is 0: the API server accepted this, \
             and it allows no port",
        ]
    );
}

#[test]
fn reads_missing_rules_as_run_as_any_unless_strict() {
    let text = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\nspec:\n  privileged: true\n  \
                runAsUser: {}\n  runAsGroup: {}\n  fsGroup: {rule: ''}\n";
    let inventory = ok(text);
    assert_eq!(inventory.policies[0].policy.spec.run_as_user, IdStrategy::default());
    let expect = |message: &str| {
        [
            ("a.yaml:5:3", "seLinux"),
            ("a.yaml:5:3", "supplementalGroups"),
            ("a.yaml:6:14", "runAsUser"),
            ("a.yaml:7:15", "runAsGroup"),
            ("a.yaml:8:12", "fsGroup"),
        ]
        .map(|(at, field)| format!("{at}: spec.{field}.rule: {message}"))
    };
    let lenient = "missing, though the API server requires it; read as RunAsAny";
    assert_eq!(lines(&inventory.warnings), expect(lenient));
    let problems = read_text("a.yaml", text, &Options { strict: true, ..Options::default() }).unwrap_err();
    let strict = "missing, and the API server requires it; add the rule, RunAsAny for no restriction";
    assert_eq!(lines(&problems), expect(strict));
}

#[test]
fn keeps_unusable_policies_with_a_warning() {
    let text = policy("p").replace("runAsUser: {rule: RunAsAny}", "runAsUser: {rule: MustRunAs}");
    let inventory = ok(&text);
    assert_eq!(
        lines(&inventory.warnings),
        [
            "a.yaml:7:14: spec.runAsUser: MustRunAs without ranges: admission could not use this policy and skipped it, so it \
          admitted no pod"
        ]
    );
    let policy = &inventory.policies[0].policy;
    assert_eq!(validity::check(policy), []);
    assert_eq!(validity::unusable(policy).as_deref(), Some("spec.runAsUser: MustRunAs without ranges"));
}

#[test]
fn digests_what_a_policy_means() {
    let digest = |text: &str| ok(text).policies[0].digest.clone();
    let plain = digest(&policy("p"));
    assert!(plain.starts_with("sha256:") && plain.len() == 19, "{plain}");
    assert_eq!(plain, digest(&json("p")));
    assert_eq!(
        plain,
        digest(&with_spec("  privileged: false\n  volumes: []\n  allowPrivilegeEscalation: true\n"))
    );
    assert_eq!(plain, digest(&policy("p").replace("policy/v1beta1", "extensions/v1beta1")));
    assert_eq!(plain, digest(&policy("p").replace("name: p\n", "name: p\n  annotations: {team: red}\n")));

    let mut seen = vec![plain];
    for spec in [
        "privileged: true",
        "hostPID: true",
        "volumes: [nfs, csi]",
        "volumes: [csi, nfs]",
        "allowPrivilegeEscalation: false",
        "defaultAllowPrivilegeEscalation: false",
        "runAsGroup: {rule: MustRunAs, ranges: [{min: 1, max: 2}]}",
        "runAsGroup: {rule: MayRunAs, ranges: [{min: 1, max: 2}]}",
        "runAsGroup: {rule: MayRunAs, ranges: [{min: 1, max: 3}]}",
        "allowedHostPaths: [{pathPrefix: /a}]",
        "allowedHostPaths: [{pathPrefix: /a, readOnly: true}]",
        "runtimeClass: {}",
        "runtimeClass: {allowedRuntimeClassNames: [a]}",
        "runtimeClass: {allowedRuntimeClassNames: [a], defaultRuntimeClassName: a}",
    ] {
        seen.push(digest(&with_spec(&format!("  {spec}\n"))));
    }
    seen.push(digest(&policy("q")));
    seen.push(digest(
        &policy("p").replace("name: p\n", "name: p\n  annotations: {falco-rules-psp-images: '[x]'}\n"),
    ));
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn withstands_hostile_input() {
    let bomb: String = (1..20)
        .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(",")))
        .collect();
    let merges: String = (0..2000).map(|key| format!("k{key}: 1,")).collect();
    for (text, expected) in [
        ("[".repeat(100_000), "nested too deep"),
        ("{\"a\":".repeat(100_000), "nested too deep"),
        ("- ".repeat(100_000), "nested too deep"),
        (format!("a0: &a0 [x,x,x]\n{bomb}"), "anchors and aliases repeat more than"),
        (
            format!("a: &a {{{merges}}}\n{}", "b: {<<: *a}\n".repeat(100)),
            "anchors and aliases repeat more than",
        ),
        ("a: &a [*a]\n".to_owned(), "an alias must not refer to a value that contains it"),
        ("? [1]\n: 2\n".to_owned(), "a key must be a string"),
        ("<<: 5\n".to_owned(), "`<<` must have a mapping"),
        (
            with_spec(&(0..2000).map(|key| format!("  k{key}: 1\n")).collect::<String>()),
            "too many problems to go on",
        ),
        (with_spec(&format!("  volumes: [{}]\n", "x,".repeat(60_000))), "a policy of more than 50000 values"),
    ] {
        let said = refused(&text);
        assert!(said.last().unwrap().contains(expected), "{:?}", said.last());
        assert!(said.len() <= 1001);
    }
    assert_eq!(refused(&"---\na: [\n".repeat(1000)).len(), 20);
    // What a value says stays on its line and short.
    let said = refused_spec(&format!("  volumes: [\"a\\n\\e[31m{}\"]\n", "x".repeat(1000)));
    assert!(said[0].contains(r#"unknown volume type "a\n\u{1b}[31mxxx"#) && said[0].len() < 700, "{said:?}");
}

/// Manifests as projects published them, where a copy is at hand.
#[test]
fn reads_real_manifests_or_says_what_is_wrong_with_them() {
    let folder =
        std::env::var("PSP2FALCO_MANIFESTS").unwrap_or_else(|_| "../shared/corpus/manifests".to_owned());
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no manifests at {folder}; set PSP2FALCO_MANIFESTS to a folder of them");
        return;
    };
    let (mut policies, mut files) = (0, 0);
    for entry in entries {
        let path = entry.unwrap().path();
        files += 1;
        match read_paths(&[&path]) {
            Ok(inventory) => {
                policies += inventory.policies.len();
                let empty = inventory.policies.is_empty() && inventory.passed_over.is_empty();
                assert!(!empty, "nothing found in {}", path.display());
            }
            Err(problems) => {
                let file = path.display().to_string();
                assert!(
                    problems.iter().all(|problem| problem.place.file == file && problem.place.line > 0),
                    "{problems:?}"
                );
            }
        }
    }
    assert!(policies * 2 > files, "only {policies} policies in {files} files");
    // as one folder there is nothing wrong but that projects define a name in several ways
    if let Err(problems) = read_paths(&[Path::new(&folder)]) {
        let conflict = |problem: &Problem| problem.message.to_string().contains(" too, with other ");
        assert!(problems.iter().all(conflict), "{problems:#?}");
    }
}

#[test]
fn no_field_is_left_out_of_a_digest() {
    for field in Field::ALL {
        let digest = |case: &str| {
            let path = root().join(format!("fixtures/psp/{}/{case}.yaml", field.name()));
            let text = fs::read_to_string(path).unwrap();
            let renamed: Vec<&str> = text
                .lines()
                .map(|line| if line.starts_with("  name: ") { "  name: p" } else { line })
                .collect();
            let inventory = read_text("p.yaml", &renamed.join("\n"), &Options::default()).unwrap();
            inventory.policies[0].digest.clone()
        };
        assert_ne!(digest("permissive"), digest("restrictive"), "{}", field.name());
    }
}
