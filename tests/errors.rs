//! What the program says when something is wrong: every message starts with the place, says what and what to do, in
//! lower case and without a full stop. `fixtures/expected/help/errors.txt` holds them for review.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

mod snapshot;

use std::fs;
use std::process::{Command, Stdio};

use snapshot::{check, report, root};

const HEAD: &str = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\n";
const RULES: &str = "  seLinux: {rule: RunAsAny}\n  runAsUser: {rule: RunAsAny}\n  supplementalGroups: {rule: RunAsAny}\n  \
                     fsGroup: {rule: RunAsAny}\n";

fn policy(spec: &str) -> String {
    format!("{HEAD}spec:\n{RULES}{spec}")
}

/// Inputs with something wrong, and the options that they are read with.
fn inputs() -> Vec<(&'static str, String, &'static [&'static str])> {
    let mut all: Vec<(&str, String, &[&str])> = Vec::new();
    let specs = [
        ("unknown field", "  privilegd: true\n"),
        ("wrong type", "  privileged: 3\n  volumes: secret\n  hostPorts: [{min: a}]\n"),
        ("duplicate key", "  privileged: true\n  privileged: false\n"),
        ("unknown rule", "  runAsGroup: {rule: MustRunAsNonRoot}\n"),
        ("ranges", "  runAsGroup: {rule: MustRunAs}\n"),
        ("ranges without need", "  runAsGroup: {rule: RunAsAny, ranges: [{min: 1, max: 2}]}\n"),
        (
            "reversed range",
            "  runAsGroup: {rule: MustRunAs, ranges: [{min: 20, max: 10}, {min: 3}, {min: -1, max: 1}]}\n",
        ),
        ("volumes", "  volumes: [hostpath]\n"),
        ("port", "  hostPorts: [{min: 1, max: 9999999999}]\n"),
        (
            "capabilities",
            "  allowedCapabilities: ['*']\n  requiredDropCapabilities: [A]\n  defaultAddCapabilities: [A]\n",
        ),
        ("paths", "  allowedHostPaths: [{pathPrefix: ''}, {pathPrefix: /a/../b}]\n"),
        ("drivers", "  allowedFlexVolumes: [{}]\n  allowedCSIDrivers: [{name: ''}, {name: A_b}]\n"),
        ("sysctls", "  allowedUnsafeSysctls: ['', 'A b', '*']\n  forbiddenSysctls: ['kernel.*']\n"),
        (
            "runtime classes",
            "  runtimeClass: {allowedRuntimeClassNames: [a, a, '*'], defaultRuntimeClassName: B}\n",
        ),
        ("escalation", "  allowPrivilegeEscalation: false\n  defaultAllowPrivilegeEscalation: true\n"),
    ];
    all.extend(specs.map(|(what, spec)| (what, policy(spec), &[][..])));
    let annotated = |annotations: &str| {
        policy("").replace("{name: p}", &format!("{{name: p, annotations: {{{annotations}}}}}"))
    };
    all.extend([
        ("no version", "kind: PodSecurityPolicy\n".to_owned(), &[][..]),
        ("unknown version", policy("").replace("v1beta1", "v1"), &[]),
        ("unknown kind", policy("").replace("PodSecurityPolicy", "podsecuritypolicy"), &[]),
        ("no name", policy("").replace("{name: p}", "{}"), &[]),
        ("bad name", policy("").replace("name: p", "name: A_b"), &[]),
        ("two of a name", format!("{}---\n{}", policy(""), policy("")), &[]),
        ("required fields", format!("{HEAD}spec: {{}}\n"), &["--strict"]),
        (
            "a refusal",
            "kind: Status\nstatus: Failure\nreason: Forbidden\nmessage: no right to list\n".to_owned(),
            &[],
        ),
        ("not YAML", "kind: [\n".to_owned(), &[]),
        ("a tab", "kind:\n\tx: 1\n".to_owned(), &[]),
        ("not JSON", "{\"kind\": \"List\",\n".to_owned(), &[]),
        ("deep", "[".repeat(1000), &[]),
        ("a template", "kind: {{ .Values.kind }}\nspec: {{- if x }}\n".to_owned(), &[]),
        ("keys", "? [1]\n: 2\n".to_owned(), &[]),
        ("aliases", "a: &a [*a]\n".to_owned(), &[]),
        ("merge", "<<: 5\n".to_owned(), &[]),
        ("nothing", String::new(), &[]),
        ("other kinds", "apiVersion: v1\nkind: ConfigMap\n".to_owned(), &[]),
        ("annotation key", annotated("a b: c"), &[]),
        (
            "profiles",
            annotated(
                "seccomp.security.alpha.kubernetes.io/allowedProfileNames: 'x,localhost//a,localhost/../a'",
            ),
            &[],
        ),
        (
            "AppArmor",
            annotated("apparmor.security.beta.kubernetes.io/defaultProfileName: ' unconfined'"),
            &[],
        ),
        (
            "namespaces of a policy",
            annotated("falco-rules-psp-namespaces: 'a b'").replace("spec:\n", "spec:\n  privileged: false\n"),
            &[],
        ),
        ("images of a policy", annotated(&format!("falco-rules-psp-images: {}", "x".repeat(300))), &[]),
        ("namespace", policy(""), &["--namespace", "A b"]),
        ("excluded namespace", policy(""), &["--exclude-namespace", ""]),
        (
            "long value",
            policy(&format!(
                "  volumes: ['*']\n  allowedHostPaths: [{{pathPrefix: /{}}}]\n",
                "x".repeat(9000)
            )),
            &[],
        ),
        ("long name", policy(&format!("  requiredDropCapabilities: [{}]\n", "X".repeat(300))), &[]),
        (
            "private character",
            policy("  volumes: ['*']\n  allowedHostPaths: [{pathPrefix: \"/\\ue000\"}]\n"),
            &[],
        ),
        ("absent", policy(""), &["absent.yaml"]),
        ("absent templates", policy(""), &["--templates", "absent"]),
        ("broken template", policy(""), &["--templates", "broken"]),
        ("template that fails", policy(""), &["--templates", "fails"]),
        ("template of its own making", policy(""), &["--templates", "condition"]),
        ("unknown template", policy(""), &["--templates", "unknown"]),
        ("endless template", policy(""), &["--templates", "endless"]),
        ("somebody's file", policy(""), &["-o", "mine.yaml"]),
        ("a folder in the way", policy(""), &["-o", "taken"]),
        ("a file in the way", policy(""), &["-o", "mine.yaml/rules.yaml"]),
    ]);
    all
}

#[test]
fn every_message_has_its_place_and_one_voice() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("mine.yaml", "mine"),
        ("taken/psp_audit_rules.yaml/x", ""),
        ("broken/audit/privileged.yaml.hbs", "{{#if}"),
        ("fails/audit/privileged.yaml.hbs", "{{nothing}}"),
        ("condition/audit/privileged.yaml.hbs", "- rule: PSP p Violation (privileged)\n  condition: x\n"),
        ("unknown/audit/privilegd.yaml.hbs", ""),
        ("endless/audit/violation.yaml.hbs", "{{> violation}}"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut shown = String::new();
    let mut problems = Vec::new();
    for (what, text, options) in inputs() {
        fs::write(folder.path().join("psp.yaml"), text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
            .args(["convert", "psp.yaml"])
            .args(options)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(output.stdout.is_empty(), "{what}");
        shown.push_str(&format!("# {what}\n{said}\n"));
        for line in said.lines().filter(|line| !line.starts_with("warning: ")) {
            problems.extend(fault(line).map(|fault| format!("{what}: {fault}: {line}")));
        }
    }
    problems.extend(check(&root().join("fixtures/expected/help/errors.txt"), &shown).err());
    report(&problems, "errors");
}

/// What is wrong with a message.
fn fault(line: &str) -> Option<&'static str> {
    let places = [
        "psp.yaml",
        "absent",
        "mine.yaml",
        "taken",
        "broken",
        "fails",
        "condition",
        "unknown",
        "endless",
        "--",
    ];
    let Some((_, message)) =
        line.split_once(": ").filter(|_| places.iter().any(|place| line.starts_with(place)))
    else {
        return Some("starts with no place");
    };
    let last = line.rsplit(": ").next().unwrap_or(message);
    let begins = message.chars().next();
    if begins.is_some_and(char::is_uppercase)
        && !["RunAsAny", "Is a", "Not a", "MustRunAs"].iter().any(|w| message.starts_with(w))
    {
        return Some("begins with a capital");
    }
    if last.ends_with('.') {
        return Some("ends with a full stop");
    }
    (line.chars().count() > 500).then_some("is too long")
}
