//! What the program says when something is wrong: every message starts with the place, says what and what to do, in
//! lower case and without a full stop. `fixtures/expected/help/errors.txt` holds them for review; those of `scan` lie in
//! `errors-scan.txt`, and `tests/it/messages.rs` finds what is missing in both.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stderr)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::snapshot::{check, report, root};
use crate::voice::{faults, section};

const HEAD: &str = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\n";
const RULES: &str = "  seLinux: {rule: RunAsAny}\n  runAsUser: {rule: RunAsAny}\n  supplementalGroups: {rule: RunAsAny}\n  \
                     fsGroup: {rule: RunAsAny}\n";

const POD: &str = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {containers: [{name: c, image: d, \
                   securityContext: {privileged: true}}]}\n";

fn policy(spec: &str) -> String {
    format!("{HEAD}spec:\n{RULES}{spec}")
}

/// A run that has something to say.
struct Case {
    what: &'static str,
    args: Vec<&'static str>,
    files: Vec<(&'static str, Vec<u8>)>,
    stdin: Vec<u8>,
    code: i32,
    full: bool,
}

/// A run that fails.
fn case(what: &'static str, args: &[&'static str]) -> Case {
    Case {
        what,
        args: args.to_vec(),
        files: vec![("psp.yaml", restricted().into_bytes())],
        stdin: Vec::new(),
        code: 2,
        full: false,
    }
}

impl Case {
    fn file(mut self, name: &'static str, text: impl Into<Vec<u8>>) -> Self {
        self.files.push((name, text.into()));
        self
    }

    fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// It ends well, or with findings.
    fn code(mut self, code: i32) -> Self {
        self.code = code;
        self
    }

    /// Its standard output takes nothing.
    fn full(mut self) -> Self {
        self.full = true;
        self
    }

    /// Runs it in a folder, and returns its section of the record: the command, and what it says; and what is wrong.
    fn run(self, folder: &Path) -> (String, Vec<String>) {
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let stdout = if self.full { File::create("/dev/full").unwrap().into() } else { Stdio::piped() };
        let mut child = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
            .args(&self.args)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // who is refused before does not read it
        let _ = child.stdin.take().unwrap().write_all(&self.stdin);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let code = output.status.code();
        let mut problems = Vec::new();
        if code != Some(self.code) {
            problems.push(format!("{}: ends with {code:?} instead of {}", self.what, self.code));
        }
        // a KRM function tells in its results what is no error
        let out = String::from_utf8(output.stdout).unwrap();
        let results =
            out.lines().filter(|line| line.trim_start_matches("- ").trim_start().starts_with("message: "));
        let results: Vec<&str> = results.filter(|_| self.args[0] == "krm").collect();
        if code == Some(2) && !out.is_empty() {
            problems.push(format!("{}: fails with {} bytes on standard output", self.what, out.len()));
        }
        let section = section(self.what, &self.args, &said, &results);
        problems.extend(faults(&section, self.code == 2 || self.args[0] == "krm"));
        (section, problems)
    }
}

/// Inputs of `convert` with something wrong, and the options that they are read with.
fn inputs() -> Vec<(&'static str, String, &'static [&'static str])> {
    let mut all: Vec<(&str, String, &[&str])> = Vec::new();
    let specs = [
        ("unknown field", "  privilegd: true\n"),
        ("wrong type", "  privileged: 3\n  volumes: secret\n  hostPorts: [{min: a}]\n"),
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
        ("no version, strictly", "kind: PodSecurityPolicy\nmetadata: {name: p}\nspec: {}\n".to_owned(), &["--strict"]),
        ("unknown version", policy("").replace("v1beta1", "v2"), &[]),
        ("duplicate key, strictly", policy("  hostPID: true\n  hostPID: true\n"), &["--strict"]),
        ("duplicate policy, strictly", format!("{}---\n{}", policy(""), policy("")), &["--strict"]),
        ("an unquoted asterisk", policy("  volumes: [*]\n"), &[]),
        ("fields at the wrong depth", policy("  ranges: []\n  rule: RunAsAny\n  annotations: {}\n  labels: {}\n  name: p\n  seLinuxOptions: {}\n  pathPrefix: /\n"), &[]),
        ("the name of a feature gate", policy("  volumes: [genericEphemeralVolume]\n"), &[]),
        ("a no-break space", policy("  hostPID:\u{a0}true\n"), &[]),
        ("a narrow no-break space", policy("  hostPID:\u{202f}true\n"), &[]),
        ("an em space", policy("  hostPID:\u{2003}true\n"), &[]),
        ("an ideographic space", policy("  hostPID:\u{3000}true\n"), &[]),
        ("a zero-width space", policy("  host\u{200b}PID: true\n"), &[]),
        ("quotation marks", policy("  volumes: [“nfs”]\n"), &[]),
        ("an en dash", policy("  volumes:\n  – nfs\n"), &[]),
        ("an em dash", policy("  volumes:\n  — nfs\n"), &[]),
        ("a fullwidth colon", policy("  hostPID：true\n"), &[]),
        ("a Go template", policy("  hostPID: {{ .pid }}\n"), &[]),
        ("a Jinja template", policy("  hostPID: {{ pid }}\n"), &[]),
        ("a ytt template", policy("  hostPID: #@ pid\n"), &[]),
        ("an ERB template", policy("  <%= pid %>\n"), &[]),
        ("shell variables", policy("  volumes: ['${VOLUME}']\n"), &[]),
        ("variables of kustomize", policy("  volumes: [$(VOLUME)]\n"), &[]),
        ("a placeholder", policy("  volumes: [<volume>]\n"), &[]),
        ("an OpenShift template", "kind: Template\nobjects: [{kind: PodSecurityPolicy}]\n".to_owned(), &[]),
        ("kubectl's error", "error: the server doesn't have a resource type \"psp\"\n".to_owned(), &[]),
        ("kubectl's other errors", "Error from server (Forbidden): no\n".to_owned(), &[]),
        ("kubectl's table", "NAME  PRIV  CAPS\n".to_owned(), &[]),
        ("a namespace in and out", policy(""), &["--namespace", "x", "--exclude-namespace", "x"]),
        ("a broken pattern", policy(""), &["--exclude", "a["]),
        ("a URL", policy(""), &["https://example.com/psp.yaml"]),
        ("unknown kind", policy("").replace("PodSecurityPolicy", "podsecuritypolicy"), &[]),
        ("no name", policy("").replace("{name: p}", "{}"), &[]),
        ("bad name", policy("").replace("name: p", "name: a b"), &[]),
        ("two of a name", format!("{}---\n{}", policy(""), policy("  hostPID: true\n")), &[]),
        ("required fields", format!("{HEAD}spec: {{}}\n"), &["--strict"]),
        (
            "a refusal",
            "kind: Status\nstatus: Failure\nreason: Forbidden\nmessage: no right to list\n".to_owned(),
            &[],
        ),
        ("not YAML", "kind: [\n".to_owned(), &[]),
        ("a tab", "kind:\n\tx: 1\n".to_owned(), &[]),
        ("not JSON", "{\"kind\": \"List\",\n".to_owned(), &[]),
        ("not JSON after its beginning", "{\"kind\": \"List\"}\nfoo: bar\n".to_owned(), &[]),
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

/// A policy with one restriction.
fn restricted() -> String {
    policy("  privileged: false\n")
}

/// A policy that the API server accepted and could not use.
fn unusable() -> String {
    restricted()
        .replace("seLinux: {rule: RunAsAny}", "seLinux: {rule: MustRunAs}")
        .replace("runAsUser: {rule: RunAsAny}", "runAsUser: {rule: MustRunAs}")
}

/// Warnings of `convert`, limits, templates, and places to write to.
fn conversions() -> Vec<Case> {
    let items = |kind: &str, items: String| format!("apiVersion: v1\nkind: {kind}\nitems:\n{items}");
    let many = |count: usize, spec: &str| -> String {
        let one = |n: usize| format!("---\n{}", policy(spec).replace("name: p", &format!("name: p-{n}")));
        (0..count).map(one).collect()
    };
    let template = |what: &'static str, text: &str| {
        case(what, &["convert", "psp.yaml", "--templates", "own"])
            .file("psp.yaml", restricted())
            .file("own/audit/privileged.yaml.hbs", text)
    };
    let rule = |condition: &str| {
        format!(
            "- rule: PSP {{{{policy}}}} Violation (privileged)\n  desc: d\n  condition: {{{{id}}}} and {condition}\n  output: o\n  \
             priority: WARNING\n  source: k8s_audit\n"
        )
    };
    let role = |metadata: &str, rules: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {metadata}}}\n{rules}\n"
        )
    };
    let binding = |n: usize, role: &str, subject: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: b-{n}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\nsubjects: [{subject}]\n"
        )
    };
    let uses = "rules: [{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use]}]";
    let gone = "{kind: ServiceAccount, name: gone, namespace: web}";
    let aggregated = role("gathered", "aggregationRule: {clusterRoleSelectors: []}");
    let partial = restricted()
        + &role("use", uses)
        + &role("use", &uses.replace("verbs", "resourceNames: [other], verbs"))
        + &binding(0, "use", gone)
        + &binding(1, "absent", gone)
        + &role("own", uses)
        + &binding(2, "own", "{kind: ServiceAccount, name: homeless}");
    let mut rbac = restricted() + &aggregated + &role("use", uses);
    rbac += &role("cluster-admin, labels: {kubernetes.io/bootstrapping: rbac-defaults}", "rules: []");
    rbac += "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: here, namespace: web}\n";
    rbac += &binding(0, "use", gone);
    rbac.extend((1..12).map(|n| binding(n, "absent", gone)));
    let list = |count: usize| (0..count).map(|n| format!("'/{n}/{}'", "x".repeat(8000))).collect::<Vec<_>>();
    let paths = |paths: Vec<String>| {
        let paths: Vec<String> = paths.iter().map(|path| format!("{{pathPrefix: {path}}}")).collect();
        policy(&format!("  volumes: ['*']\n  allowedHostPaths: [{}]\n", paths.join(", ")))
    };
    let tuning = "- rule: PSP gone Violation (hostPID)\n  priority: DEBUG\n  override: {priority: replace}\n";
    let mut all = vec![
        case("a policy that admission could not use", &["convert", "psp.yaml"]).file("psp.yaml", unusable()).code(0),
        case("accepted and of no effect", &["convert", "psp.yaml"])
            .file("psp.yaml", policy("  hostPorts: [{min: 9, max: 1}]\n  allowedProcMountTypes: [unmasked]\n"))
            .code(0),
        case("fields that the API server requires", &["convert", "psp.yaml"])
            .file("psp.yaml", format!("{HEAD}spec: {{privileged: true}}\n"))
            .code(0),
        case("what can only be meant so", &["convert", "psp.yaml", "--exclude", "dev"])
            .file(
                "psp.yaml",
                format!("{}---\n{}", policy("  hostPID: true\n  hostPID: true\n").replace("policy/v1beta1", "v1"), policy("  hostPorts: [{min: 80}]\n  allowedCapabilities: [CAP_SYS_ADMIN]\n"))
                    .replace("apiVersion: v1\n", "")
                    .replacen("name: p", "name: RELEASE-NAME-p", 1),
            )
            .code(0),
        case("another version", &["convert", "psp.yaml"]).file("psp.yaml", policy("").replace("v1beta1", "v1")).code(0),
        case("no path", &["convert"]),
        case("nothing in the pipe", &["convert", "-"]),
        case("an environment too many", &["convert", "environments"])
            .file("environments/base/psp.yaml", policy(""))
            .file("environments/dev/psp.yaml", policy("  hostPID: true\n"))
            .file("environments/prod/psp.yaml", policy("")),
        case("one environment", &["convert", "environments", "--exclude", "dev"]).code(0),
        case("a patch of kustomize", &["convert", "kustomize"])
            .file("kustomize/base/psp.yaml", policy(""))
            .file("kustomize/prod/kustomization.yaml", "resources: [../base]\npatches: [{path: psp.yaml}]\n")
            .file("kustomize/prod/psp.yaml", policy("  hostPID: true\n")),
        case("no patch, though a kustomization names it", &["convert", "kustomize"])
            .file("kustomize/base/psp.yaml", policy(""))
            .file("kustomize/prod/kustomization.yaml", "resources: [psp.yaml]\npatches: [{path: other.yaml}]\n")
            .file("kustomize/prod/other.yaml", "kind: ConfigMap\n")
            .file("kustomize/prod/psp.yaml", policy("  hostPID: true\n")),
        case("a repository", &["convert", "repository"])
            .file("repository/psp.yaml", policy(""))
            .file("repository/scc.yaml", "kind: SecurityContextConstraints\n")
            .file("repository/cm.yaml", "kind: ConfigMap\nmetadata: {name: cm}\ndata: {psp: 'kind: PodSecurityPolicy'}\n")
            .file("repository/chart/Chart.yaml", "name: c\n")
            .file("repository/chart/templates/psp.yaml", "{{ if .Values.psp }}\nkind: PodSecurityPolicy\n")
            .file("repository/chart/templates/role.yaml", "{{ if .Values.psp }}\nkind: Role\n")
            .file("repository/chart/templates/more.yaml", "{{ if .Values.psp }}\nkind: Role\n")
            .file("repository/ansible/psp.yml", "{% if psp %}\nkind: PodSecurityPolicy\n")
            .file("repository/ansible/more.yml", "{% if psp %}\nkind: PodSecurityPolicy\n")
            .file("repository/tsconfig.json", "{ // a comment\n}")
            .file("repository/secret.yaml", b"\xff")
            .code(0),
        case("a repository of templates", &["convert", "repository/chart"]),
        case("a repository without a policy", &["convert", "repository", "--exclude", "psp.y*"]),
        case("a ConfigMap in a pipe", &["convert", "-"]).stdin("kind: ConfigMap\ndata: {a.b: 'kind: PodSecurityPolicy'}\n"),
        case("quotes too few or too many", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            policy("  privileged: 'true'\n  hostPorts: [{min: '1', max: x}]\n  allowedCapabilities: [1, [a]]\n  hostIPC: []\n"),
        ),
        case("fields in the wrong place", &["convert", "psp.yaml"])
            .file("psp.yaml", restricted() + "privileged: true\nzebra: 1\n"),
        case("a field that is nowhere", &["convert", "psp.yaml"])
            .file("psp.yaml", policy("  zebra: 1\n  runAsGroup: {rule: RunAsAny, zebra: 1}\n")),
        case("a default that is not allowed", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            policy("  runtimeClass: {allowedRuntimeClassNames: [a], defaultRuntimeClassName: b}\n"),
        ),
        case("long names", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            policy(&format!("  allowedCSIDrivers: [{{name: {}}}]\n", "x".repeat(64)))
                .replace("name: p", &format!("name: {}", "x".repeat(254))),
        ),
        case("large annotations", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            policy("").replace("name: p", &format!("name: p, annotations: {{a: {}}}", "x".repeat(300_000))),
        ),
        case("a merge of no mapping, and a key that is none", &["convert", "psp.yaml", "other.yaml"])
            .file("psp.yaml", "a: {<<: [5]}\n")
            .file("other.yaml", "a: &a [1]\n*a : 2\n"),
        case("repeated values", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            format!("a: &a [{}]\nb: [{}]\n", vec!["1"; 500].join(", "), vec!["*a"; 500].join(", ")),
        ),
        case("more values than a policy has", &["convert", "psp.yaml"])
            .file("psp.yaml", policy(&format!("  allowedCapabilities: [{}]\n", vec!["A"; 50_001].join(",")))),
        case("more policies than one run takes", &["convert", "psp.yaml"]).file(
            "psp.yaml",
            items("List", "- {apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: p}}\n".repeat(10_001))
                .split("name: p")
                .enumerate()
                .fold(String::new(), |all, (n, part)| if n == 0 { part.into() } else { format!("{all}name: p-{n}{part}") }),
        ),
        case("too many problems", &["convert", "psp.yaml"]).file("psp.yaml", many(1001, "  privileged: 3\n")),
        case("too many warnings", &["convert", "psp.yaml"])
            .file("psp.yaml", many(1001, "  hostPorts: [{min: 9, max: 1}]\n"))
            .code(0),
        case("a field of many long values", &["convert", "psp.yaml"]).file("psp.yaml", paths(list(40))),
        case("not text", &["convert", "psp.yaml", "wide.yaml", "packed.tgz"])
            .file("psp.yaml", b"kind: \xff\n")
            .file("wide.yaml", b"\xff\xfek\0i")
            .file("packed.tgz", b"\x1f\x8b\x08garbage"),
        case("a first configuration", &["generate", "--init", "--config", "fresh/psp2falco.yaml"])
            .file("fresh/policies/psp.yaml", restricted())
            .code(0),
        case("a first configuration in the place of another", &["generate", "--init"])
            .file("psp2falco.yaml", "version: 1\n"),
        case("a folder without rules, and a name that Falco does not load", &["lint", "empty", "psp.txt"])
            .file("empty/README.md", "notes"),
        case("a name that Falco does not load", &["lint", "rules.txt"])
            .file("rules.txt", "- list: unused\n  items: []\n")
            .code(1),
        case("nothing but other files", &["convert", "other"])
            .file("other/notes.txt", "notes")
            .file("other/more.txt", "notes")
            .file("other/odd.yaml", "a: 1\n"),
        case("a template that nothing defines", &["convert", "psp.yaml", "--templates", "folder"])
            .file("psp.yaml", restricted())
            .file("folder/audit/privileged.yaml.hbs/x", ""),
        case("RBAC that grants nothing", &["convert", "psp.yaml"]).file("psp.yaml", rbac).code(0),
        case("RBAC that is not all there is", &["convert", "psp.yaml"]).file("psp.yaml", partial).code(0),
        case("a default namespace that is none", &["convert", "psp.yaml", "--default-namespace", "A b"])
            .file("psp.yaml", restricted()),
        case("both layers for one file", &["convert", "psp.yaml", "--layer", "both"]),
        case("the baseline alone", &["convert", "psp.yaml", "--baseline"]),
        case("two reports in one file", &["convert", "psp.yaml", "-o", "a.yaml", "--report", "text", "--report", "json", "--report-file", "r"]),
        case("a report among the messages", &["convert", "psp.yaml", "--report", "json"]),
        case("differences with no file", &["convert", "psp.yaml", "-o", "-", "--diff"]),
        case("two outputs in one place", &["convert", "psp.yaml", "-o", "a.yaml", "--report", "text", "--report-file", "./a.yaml"]),
        case("man pages to standard output", &["man", "-o", "-"]),
        case("an object's name for a plain file", &["convert", "psp.yaml", "--object-name", "a"]),
        case("report and rules to standard output", &["convert", "psp.yaml", "--report", "text", "--report-file", "-"]),
        case("exceptions over a file", &["convert", "pods.yaml", "--suggest-exceptions", "mine.yaml"])
            .file("pods.yaml", restricted() + POD),
        case("exceptions without pods", &["convert", "psp.yaml", "--suggest-exceptions", "new.yaml"]),
        case("exceptions without rules", &["convert", "psp.yaml", "--layer", "runtime", "--suggest-exceptions", "new.yaml"]),
        case("a prediction without pods", &["convert", "psp.yaml", "--predict"]).code(0),
        case("no tuning file", &["convert", "psp.yaml", "-o", "rules.yaml", "--tuning", "absent.yaml"]),
        case("a tuning file that loses its target", &["convert", "psp.yaml", "-o", "rules.yaml", "--tuning", "tuning.yaml"])
            .file("tuning.yaml", tuning)
            .code(0),
        case("a name that no object has", &["convert", "psp.yaml", "--format", "configmap", "--object-name", "A_b"]),
        case("a namespace that no object has", &["convert", "psp.yaml", "--format", "configmap", "--object-namespace", "a.b"]),
        case("a label's key", &["convert", "psp.yaml", "--format", "configmap", "--object-label", "a b=c"]),
        case("a label's value", &["convert", "psp.yaml", "--format", "configmap", "--object-label", "a=b c"]),
        case("a label without a value", &["convert", "psp.yaml", "--object-label", "a"]),
        case("exceptions", &["convert", "pods.yaml", "-o", "rules.yaml", "--suggest-exceptions", "exceptions.yaml"])
            .file("pods.yaml", restricted() + POD)
            .code(0),
        case("a full device as the target", &["convert", "psp.yaml", "-o", "/dev/full"]),
        case("a full device as standard output", &["convert", "psp.yaml"]).full(),
        case("a circle of links", &["convert", "psp.yaml", "-o", "circle.yaml"]),
        case(
            "characters that the chart cannot carry",
            &["convert", "psp.yaml", "--format", "helm-values", "--templates", "chart"],
        )
        .file("chart/audit/privileged.yaml.hbs", rule("ka.verb=create").replace("output: o", "output: \"o\u{2028}\"")),
        case("too large for a ConfigMap", &["convert", "psp.yaml", "--format", "configmap"])
            .file("psp.yaml", many(400, "  privileged: false\n")),
        case("the plugin without a folder", &["convert", "psp.yaml", "--plugin"]),
        case("the plugin for running containers", &["convert", "psp.yaml", "--plugin", "--layer", "runtime"]),
        case(
            "the plugin in a Rulesfile alone",
            &["convert", "psp.yaml", "--plugin", "--format", "rulesfile", "--rulesfile-inline"],
        ),
        case("a name that is too long for the plugin", &["convert", "psp.yaml", "--plugin", "-o", "out/"])
            .file("psp.yaml", restricted().replace("{name: p}", &format!("{{name: {}}}", "long.".repeat(49) + "name"))),
        case("too large for a Rulesfile", &["convert", "psp.yaml", "--format", "rulesfile", "--rulesfile-inline"])
            .file("psp.yaml", many(700, "  privileged: false\n")),
        case("more than the Helm chart allows", &["convert", "psp.yaml", "--format", "configmap"])
            .file("psp.yaml", many(1500, "  privileged: false\n")),
    ];
    all.extend([
        template("a long template", &"x".repeat((256 << 10) + 1)),
        template("a template of many blocks", &"{{#if a}}{{/if}}".repeat(501)),
        template("a partial without a name", "{{> (lookup this 'a')}}"),
        template("an inline partial without a name", "{{#*inline (lookup this 'a')}}{{/inline}}"),
        template("an argument too few", "{{quote}}"),
        template("a number for a string", "{{quote 1}}"),
        template("a string for a list", "{{items 'a'}}"),
        template("a long word", &format!("{{{{one_of 'a' 'b' 'c' [\"{}\"]}}}}", "x".repeat(400))),
        template("a category with a quotation mark", "{{other_than 'a\"b'}}"),
        template("a list of numbers", "{{items [1]}}"),
        template("a list of no ranges", "{{within 'a' [1]}}"),
        template("a part that is neither text nor number", "{{path names}}"),
        template("a template that makes no YAML", "- rule: [\n"),
        template("an item of no kind", "- append: true\n"),
        template("a condition that is none", &rule("ka.verb=")),
        template("rules that Falco does not load", &rule("ka.nothing=1")),
    ]);
    all
}

/// `generate`.
fn generations() -> Vec<Case> {
    let config = |what: &'static str, text: &str| case(what, &["generate"]).file("psp2falco.yaml", text);
    let good = "version: 1\nsources: [psp.yaml]\noutputs: {rules: out/rules.yaml}\n";
    vec![
        case("no configuration", &["generate", "--config", "absent.yaml"]),
        case("a configuration that is a folder", &["generate", "--config", "taken"]),
        config("an empty configuration", ""),
        config("a configuration that is a list", "[]"),
        config("a configuration without anything", "version: 2\noutputs: {}\n"),
        config("no outputs", "version: 1\nsources: []\n"),
        config(
            "a name for a plain file",
            "version: 1\nsources: [psp.yaml]\noutputs: {rules: out, name: a}\n",
        ),
        config("two configurations", &format!("{good}---\n{good}")),
        config("a configuration that is not YAML", "version: ["),
        config(
            "wrong values",
            "version: 1\nsources: [/etc, '-', '', 3, []]\noutputs: {rules: out, format: configmpa, reports: [github], labels: {a: [], b c: d}, name: A_b, namespace: a.b}\nlimits: []\noptions: {strict: maybe}\nfailOn: [true]\n",
        ),
        config(
            "more wrong values",
            "version: 1\nversion: 1\nsources: psp.yaml\noutputs: {rules: out, labels: 3}\nrules: out\nmaxContainers: 500\nzebra: 1\nremovePolicies: true\nfailOn: [aproximate]\noptions: {maxContainers: 500, layr: audit}\n",
        ),
        case("rules that are missing", &["generate", "--check"]).file("psp2falco.yaml", good).code(1),
        case("written", &["generate"]).code(0),
        case("in sync", &["generate", "--check"]).code(0),
        case("out of date", &["generate", "--check"]).file("out/rules.yaml", "# made by psp2falco\n").code(1),
        case("one finding", &["generate", "--fail-on", "unusable"]).file("psp.yaml", unusable()).code(1),
        case("findings", &["generate", "--fail-on", "undetectable,unusable,warning"])
            .file("psp.yaml", unusable())
            .code(1),
        case("a folder in the place of the rules", &["generate", "--check"])
            .file("psp2falco.yaml", "version: 1\nsources: [psp.yaml]\noutputs: {rules: taken}\n"),
    ]
}

/// `krm`.
fn functions() -> Vec<Case> {
    let krm = |what: &'static str, text: &str| case(what, &["krm"]).stdin(text);
    let list = |rest: &str| format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n{rest}");
    let item =
        restricted().lines().map(|line| format!("  {line}\n")).collect::<String>().replacen("  ", "- ", 1);
    let foreign = "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: psp-audit-rules}\n";
    let function =
        |spec: &str| list(&format!("functionConfig: {{kind: Psp2Falco, spec: {spec}}}\nitems:\n{item}"));
    vec![
        krm("no list", ""),
        case("no text", &["krm"]).stdin(b"\xff\xfe"),
        krm("a list that is no YAML", "items: ["),
        krm("two lists", &format!("{}---\n{}", list(""), list(""))),
        krm("another kind", "kind: List\n"),
        krm("another version", "kind: ResourceList\napiVersion: v2\n"),
        krm("items that are none", &list("items: 3\n")),
        krm("no policy", &list("items: []\n")).code(0),
        krm("another function's configuration", &list("functionConfig: {kind: Other}\nitems: []\n")).code(1),
        krm("a wrong configuration", &function("{outputs: {format: rules}, sources: [a], rules: 3}")).code(1),
        krm(
            "a ConfigMap of numbers",
            &list("functionConfig: {kind: ConfigMap, data: {strict: true}}\nitems: []\n"),
        )
        .code(1),
        krm("a broken policy", &list(&format!("items:\n{}", item.replace("false", "3")))).code(1),
        krm("somebody's ConfigMap", &list(&format!("items:\n{foreign}{item}"))).code(1),
        krm(
            "findings",
            &function("{failOn: [unusable], options: {auditObject: request}}")
                .replace("seLinux: {rule: RunAsAny}", "seLinux: {rule: MustRunAs}"),
        )
        .code(1),
        krm("approximate", &function("{options: {auditObject: request}}")).code(0),
    ]
}

/// `replay`.
fn replays() -> Vec<Case> {
    let event = |time: &str, rest: &str| {
        format!(
            "{{\"kind\":\"Event\",\"level\":\"RequestResponse\",\"verb\":\"get\",\"stageTimestamp\":\"{time}\"{rest}}}\n"
        )
    };
    let (early, late) = (event("2026-01-01T00:00:00Z", ""), event("2026-01-02T00:00:00Z", ""));
    let large = event("2026-01-01T00:00:00Z", &format!(",\"x\":\"{}\"", "x".repeat(300 << 10)));
    let rule = |name: &str, rest: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: ka.verb=create\n  output: o\n  priority: NOTICE\n  source: k8s_audit\n{rest}"
        )
    };
    let syscall = "- rule: other\n  desc: d\n  condition: evt.type=open\n  output: o\n  priority: NOTICE\n";
    let unused = "- macro: unused\n  condition: ka.verb=get\n";
    let log = |what: &'static str, text: &[u8]| {
        case(what, &["replay", "psp.yaml", "--audit-log", "audit.log"])
            .file("psp.yaml", restricted())
            .file("audit.log", text)
    };
    vec![
        case("no rules", &["replay", "--audit-log", "audit.log"]),
        case("no log", &["replay", "psp.yaml", "--audit-log", "absent.log"]).file("psp.yaml", restricted()),
        case("standard input twice", &["replay", "-", "--audit-log", "-"]),
        case(
            "no file of rules",
            &["replay", "--rules", "absent.yaml", "--rules", "taken", "--audit-log", "audit.log"],
        ),
        case("rules that Falco does not load", &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"])
            .file("rules.yaml", "- rule: a\n")
            .file("audit.log", early.clone()),
        case("rules for other events", &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"])
            .file("rules.yaml", syscall),
        case("rules that are passed over", &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"])
            .file("rules.yaml", rule("on", "") + &rule("off", "  enabled: false\n") + syscall + unused)
            .code(0),
        case("a rule that cannot be replayed", &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"])
            .file("rules.yaml", rule("on", "") + &rule("odd", "").replace("ka.verb=create", "getopt(ka.user.groups, \"ab\") exists"))
            .code(0),
        case("rules without their bundle", &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"])
            .file("rules.yaml", rule("on", "").replace("ka.verb=create", "psp.verdict=refused"))
            .file("audit.log", early.clone()),
        case("no bundle", &["replay", "psp.yaml", "--bundle", "absent.json", "--audit-log", "audit.log"])
            .file("psp.yaml", restricted()),
        case("a bundle that is none", &["replay", "psp.yaml", "--bundle", "psp.yaml", "--audit-log", "audit.log"])
            .file("psp.yaml", restricted()),
        log(
            "a log of Cloud Logging",
            br#"{"insertId": "a", "logName": "cloudaudit.googleapis.com%2Factivity", "resource": {"type": "k8s_cluster"}, "receiveTimestamp": "2026-01-01T00:00:00Z", "protoPayload": {"serviceName": "k8s.io", "methodName": "io.k8s.core.v1.pods.get", "resourceName": "core/v1/namespaces/a/pods/b"}}"#,
        )
        .code(0),
        case("a folder as the log", &["replay", "psp.yaml", "--audit-log", "taken"]),
        log("a log that zstd compressed", b"\x28\xb5\x2f\xfd\0\0\0\0"),
        log("a log that breaks off", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        log("a log that is no gzip", b"\x1f\x8bgarbage and more of it"),
        log("no log at all", b"<html>\n"),
        log("lines that are no events", format!("{early}{{\"kind\":\n[1] 2\n{{\"kind\": \"Pod\"}}\n{{\"kind\": \"PodSecurityPolicy\"}}\n{{\"kind\":\"Event\"}}\n{}{{a: 1}}\n{{\"a\": tru}}\n{{\"a\" 1}}\n\"abc\n", event("noon", "")).as_bytes()).code(0),
        log("deep JSON", format!("{early}{}\n", "[".repeat(2000)).as_bytes()).code(0),
        log("JSON over several lines", format!("{{\n{}x\n{{\n", early.trim_start_matches('{')).as_bytes()).code(0),
        log("an array that breaks off", format!("[\n{early},\n").as_bytes()).code(0),
        log("a large event", large.as_bytes()).code(0),
        case("logs in disorder", &["replay", "psp.yaml", "--audit-log", "late.log", "early.log"])
            .file("late.log", late)
            .file("early.log", early)
            .code(0),
    ]
}

/// `lint`, `explain`, `man` and `completions`.
fn others() -> Vec<Case> {
    let plugin = "- required_plugin_versions:\n  - name: nowhere\n    version: 1.0.0\n- rule: a\n  desc: d\n  condition: nowhere.x=1\n  output: o\n  priority: NOTICE\n  source: nowhere\n- macro: m\n  condition: ka.verb=get\n- list: l\n  items: [a]\n- rule: b\n  desc: d\n  condition: evt.type=open and nowhere.z=1\n  output: o\n  priority: NOTICE\n";
    let audit = |condition: &str| {
        format!(
            "- rule: a\n  desc: d\n  condition: {condition}\n  output: o\n  priority: NOTICE\n  source: k8s_audit\n"
        )
    };
    vec![
        case("no rules file", &["lint", "absent.yaml", "taken"]),
        case("rules that are no text", &["lint", "rules.yaml"]).file("rules.yaml", b"\xff\xfe"),
        case("an unknown plugin", &["lint", "rules.yaml"]).file("rules.yaml", plugin).code(0),
        case("an unknown plugin and an unused macro", &["lint", "rules.yaml"])
            .file("rules.yaml", plugin.split("- rule: b").next().unwrap())
            .code(0),
        case("rules that load", &["lint", "rules.yaml"]).file("rules.yaml", audit("ka.verb=create")).code(0),
        case("rules that load with a warning", &["lint", "rules.yaml"])
            .file("rules.yaml", audit("ka.verb=create") + "- list: l\n  items: [a]\n")
            .code(1),
        case("a rule that replay cannot judge", &["lint", "rules.yaml"])
            .file("rules.yaml", audit("getopt(ka.user.groups, \"ab\") exists"))
            .code(0),
        case("a field of an unknown plugin", &["lint", "rules.yaml"])
            .file("rules.yaml", "- rule: a\n  desc: d\n  condition: evt.type=open and nowhere.z=1\n  output: o\n  priority: NOTICE\n")
            .code(1),
        case("no policy to explain", &["explain", "taken"]),
        case("an unknown page", &["man", "genrate"]),
        case("a page of nothing", &["man", "zebra"]),
        case("pages over a file", &["man", "-o", "mine.yaml"]),
        case("an unknown shell", &["completions", "csh"]),
    ]
}

#[test]
fn every_message_has_its_place_and_one_voice() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("mine.yaml", "mine"),
        ("taken/psp_audit_rules.yaml/x", ""),
        ("broken/audit/privileged.yaml.hbs", "{{#if}"),
        ("fails/audit/privileged.yaml.hbs", "{{nothing}}"),
        (
            "condition/audit/privileged.yaml.hbs",
            "- rule: PSP {{policy}} Violation (privileged)\n  condition: x\n",
        ),
        ("unknown/audit/privilegd.yaml.hbs", ""),
        ("endless/audit/violation.yaml.hbs", "{{> violation}}"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    std::os::unix::fs::symlink("circle.yaml", folder.path().join("circle.yaml")).unwrap();
    let inputs = inputs().into_iter().map(|(what, text, options)| {
        let args: Vec<&'static str> = ["convert", "psp.yaml"].iter().chain(options).copied().collect();
        case(what, &args).file("psp.yaml", text)
    });
    let cases =
        inputs.chain(conversions()).chain(generations()).chain(functions()).chain(replays()).chain(others());
    let mut record = String::from(
        "Said to standard error, of `psp2falco convert psp.yaml` unless a command is shown.\n\n",
    );
    let mut problems = Vec::new();
    for case in cases {
        let (section, faults) = case.run(folder.path());
        problems.extend(faults);
        record.push_str(&section);
    }
    problems.extend(check(&root().join("fixtures/expected/help/errors.txt"), &record).err());
    report(&problems, "errors");
}
