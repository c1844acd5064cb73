//! Rules as a step of a pipeline: `generate`, the wrappers, the KRM function, and the examples of all of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::snapshot::{check, entries, files, report, root, updating};
use psp2falco::config::{Config, SCHEMA};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_psp2falco");

/// What a run left behind.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }
}

fn start(mut command: Command, folder: &Path, input: &str) -> Run {
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // a program that reads no input may be gone already
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(folder: &Path, args: &[&str], input: &str) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(args);
    start(command, folder, input)
}

/// Runs a line of shell with the program in the path.
fn shell(folder: &Path, line: &str, input: &str) -> Run {
    let own = Path::new(PROGRAM).parent().unwrap().display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PATH", format!("{own}:{}", std::env::var("PATH").unwrap_or_default()));
    start(command, folder, input)
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         seLinux: {{rule: RunAsAny}}\n  runAsUser: {{rule: RunAsAny}}\n  supplementalGroups: {{rule: RunAsAny}}\n  \
         fsGroup: {{rule: RunAsAny}}\n  {spec}\n"
    )
}

const CONFIG: &str = "version: 1\nsources: [policies]\noutputs: {rules: falco/rules.yaml}\n";

/// A repository with two policies and a configuration.
fn repository(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "psp2falco.yaml", config);
    write(folder.path(), "policies/a.yaml", &policy("alpha", "hostPorts: [{min: 80, max: 80}]"));
    write(folder.path(), "policies/b.yaml", &policy("beta", "privileged: true"));
    folder
}

/// The lines that a unified difference takes out and puts in.
fn changed(diff: &str) -> Vec<&str> {
    let is_change =
        |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---");
    diff.lines().filter(is_change).collect()
}

#[test]
fn a_changed_policy_is_drift_until_the_rules_are_made_again() {
    let temp = repository(CONFIG);
    let folder = temp.path();
    let missing = run(folder, &["generate", "--check"], "").failed(1);
    assert!(missing.err.contains("missing: falco/rules.yaml\n"), "{}", missing.err);
    assert!(missing.out.starts_with("--- falco/rules.yaml\n+++ falco/rules.yaml (new)\n"), "{}", missing.out);
    assert!(!folder.join("falco").exists(), "--check writes nothing");

    let first = run(folder, &["generate"], "");
    assert!(first.err.ends_with("wrote falco/rules.yaml\n"), "{}", first.err);
    assert_eq!(first.done(), "");
    let made = fs::read_to_string(folder.join("falco/rules.yaml")).unwrap();
    assert_eq!(run(folder, &["convert", "policies"], "").done(), made, "as convert makes them");
    let second = run(folder, &["generate"], "");
    assert!(second.err.ends_with("unchanged falco/rules.yaml\n"), "{}", second.err);
    assert_eq!(run(folder, &["generate", "--check"], "").done(), "");

    write(folder, "policies/a.yaml", &policy("alpha", "hostPorts: [{min: 80, max: 81}]"));
    let drift = run(folder, &["generate", "--check"], "").failed(1);
    assert!(drift.err.contains("out of date: falco/rules.yaml\n"), "{}", drift.err);
    let lines = changed(&drift.out);
    let headline = "changes: 1 policy changed, 1 rule matching fewer, 1 rule with other words or tags\n  ~ policy alpha\n";
    assert!(drift.out.starts_with(headline), "{}", drift.out);
    assert!(drift.out.contains("\n  ~ rule PSP alpha Violation (hostPorts)"), "{}", drift.out);
    // the policy's digest, the macro with the ports, and the words of the rule
    assert_eq!(lines.len(), 6, "{}", drift.out);
    assert!(lines.iter().any(|line| line.starts_with("+#   alpha sha256:")), "{}", drift.out);
    for changed in [
        "-  desc: PodSecurityPolicy admission refused such pods (host port outside 80).",
        "+  desc: PodSecurityPolicy admission refused such pods (host port outside 80-81).",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(changed)), "{}", drift.out);
    }
    assert!(!lines.iter().any(|line| line.contains("beta")), "{}", drift.out);
    assert_eq!(fs::read_to_string(folder.join("falco/rules.yaml")).unwrap(), made);

    run(folder, &["generate"], "").done();
    assert_eq!(run(folder, &["generate", "--check"], "").done(), "");
}

/// `generate --init` in a folder with these files, and the sources that it chose.
fn init(files: &[(&str, &str)]) -> (TempDir, Config) {
    let temp = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(temp.path(), name, text);
    }
    let made = run(temp.path(), &["generate", "--init"], "");
    assert!(made.err.contains("wrote psp2falco.yaml: rules in "), "{}", made.err);
    assert_eq!(made.done(), "");
    let text = fs::read_to_string(temp.path().join("psp2falco.yaml")).unwrap();
    let config = Config::parse("psp2falco.yaml", &text).unwrap();
    // as it stands, it makes rules, and says the same of what lies there when it is asked again
    run(temp.path(), &["generate"], "").done();
    run(temp.path(), &["generate", "--check"], "").done();
    (temp, config)
}

const ROLES: &str = "kind: ClusterRole\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: use}\nrules:\n\
                     - {apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [alpha]}\n\
                     ---\nkind: Role\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: read, namespace: a}\n\
                     rules:\n- {apiGroups: [''], resources: [pods], verbs: [get]}\n";
const BINDING: &str = "kind: RoleBinding\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {name: use, namespace: a}\n\
                       roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: use}\n\
                       subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: dev}]\n";

#[test]
fn a_first_configuration_names_what_the_folder_holds() {
    let alpha = policy("alpha", "privileged: true");
    let beta = policy("beta", "privileged: true");
    let other = BINDING.replace("name: use", "name: read").replace("ClusterRole", "Role");
    let (_, config) = init(&[
        ("deploy/psp/alpha.yaml", &alpha),
        ("deploy/psp/more/beta.yaml", &beta),
        ("deploy/rbac/roles.yaml", ROLES),
        ("teams/a/binding.yaml", BINDING),
        ("teams/b/binding.yaml", &other),
        ("deploy/app/web.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
        ("gamma.yaml", &policy("gamma", "privileged: true")),
    ]);
    assert_eq!(config.sources, ["deploy/psp", "deploy/rbac", "gamma.yaml", "teams/a"]);
    assert_eq!((config.rules.as_str(), config.format), ("falco", Default::default()));

    // rules that are there are made again where they are, and rules go into no folder that is read
    let rules = "# A ConfigMap, made by psp2falco 0.1.0.\n";
    let (_, config) =
        init(&[("a.yaml", &alpha), ("x/falco.d/psp_audit_rules.configmap.yaml", rules), ("b/y.yaml", &beta)]);
    assert_eq!(config.sources, ["a.yaml", "b"]);
    assert_eq!(config.rules, "x/falco.d");
    assert_eq!(config.format, psp2falco::wrap::Format::ConfigMap);
    let (_, config) =
        init(&[("falco/alpha.yaml", &alpha), ("falco-rules/psp_audit_rules.yaml", "- list: mine\n")]);
    assert_eq!((config.sources, config.rules.as_str()), (vec!["falco".to_owned()], "psp2falco"));
    // names that YAML would take for something else
    let (_, config) = init(&[("#1: [x]/alpha.yaml", &alpha), ("no/beta.yaml", &beta)]);
    assert_eq!(config.sources, ["#1: [x]", "no"]);
}

#[test]
fn a_first_configuration_explains_every_key() {
    let (temp, config) = init(&[("policies/a.yaml", &policy("alpha", "hostPorts: [{min: 80, max: 80}]"))]);
    let text = fs::read_to_string(temp.path().join("psp2falco.yaml")).unwrap();
    let problem = check(&root().join("fixtures/expected/init/psp2falco.yaml"), &text).err();
    report(&problem.into_iter().collect::<Vec<_>>(), "gitops");
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");

    // whatever is commented out is right as it stands
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut keys = std::collections::BTreeSet::new();
    for (key, property) in schema["properties"].as_object().unwrap() {
        keys.insert(key.clone());
        keys.extend(property["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()));
    }
    let mut missing = keys.clone();
    let uncommented: String = text
        .lines()
        .map(|line| {
            let indent = line.len() - line.trim_start().len();
            let own = line.trim_start().strip_prefix("# ").unwrap_or(line.trim_start());
            match own.trim_start().split_once(':') {
                Some((key, _)) if keys.contains(key) => {
                    missing.remove(key);
                    format!("{}{own}\n", " ".repeat(indent))
                }
                _ => format!("{line}\n"),
            }
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}\n{text}");
    // names and labels are those of an object that carries the rules
    let uncommented = uncommented.replace("format: rules\n", "format: rulesfile\n");
    let all = Config::parse("all.yaml", &uncommented).unwrap_or_else(|e| panic!("{e:?}\n{uncommented}"));
    assert_eq!(all.sources, config.sources);
    assert_eq!(all.namespaces, ["shop"]);
    assert_eq!(all.max_containers, Some(8));

    // it is the user's from then on
    let again = run(temp.path(), &["generate", "--init"], "").failed(2).err;
    assert!(again.starts_with("psp2falco.yaml: exists, and may hold your work; "), "{again}");
    assert_eq!(fs::read_to_string(temp.path().join("psp2falco.yaml")).unwrap(), text);
    run(temp.path(), &["generate", "--init", "--config", "ci/second.yaml"], "").failed(2);
    assert!(!temp.path().join("ci").exists(), "there is no policy below ci");
    fs::rename(temp.path().join("policies"), temp.path().join("ci")).unwrap();
    run(temp.path(), &["generate", "--init", "--config", "ci/second.yaml"], "").done();
    run(temp.path(), &["generate", "--config", "ci/second.yaml"], "").done();
    assert!(temp.path().join("ci/falco/psp_audit_rules.yaml").exists());
    for contradiction in ["--check", "--stdout", "--force", "--print-schema", "--fail-on=warning"] {
        let refused = run(temp.path(), &["generate", "--init", contradiction], "").failed(2).err;
        assert!(refused.contains("'--init' cannot be used with"), "{refused}");
    }
}

#[test]
fn every_machine_makes_the_same_bytes() {
    let config = "version: 1\nsources: [policies]\nscope: {namespaces: [web]}\noptions: {auditObject: request}\n\
                  outputs: {rules: falco/, format: configmap, reports: [markdown, json]}\nfailOn: [approximate]\n";
    let one = repository(config);
    let binding = |name: &str| {
        format!(
            "kind: ClusterRole\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {{name: {name}}}\nrules:\n\
             - {{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{name}]}}\n---\n\
             kind: ClusterRoleBinding\napiVersion: rbac.authorization.k8s.io/v1\nmetadata: {{name: {name}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
             subjects: [{{kind: Group, apiGroup: rbac.authorization.k8s.io, name: of-{name}}}]\n"
        )
    };
    write(one.path(), "policies/r1.yaml", &binding("alpha"));
    write(one.path(), "policies/r2.yaml", &binding("beta"));
    let made =
        |folder: &Path| fs::read_to_string(folder.join("falco/psp_audit_rules.configmap.yaml")).unwrap();
    let first = run(one.path(), &["generate"], "").failed(1);

    // other file names, another order, another place, called from outside
    let two = tempfile::tempdir().unwrap();
    let shuffled = config.replace("[policies]", "[x/2, x/1]");
    write(two.path(), "deep/er/psp2falco.yaml", &shuffled);
    let text = |name: &str| fs::read_to_string(one.path().join("policies").join(name)).unwrap();
    write(two.path(), "deep/er/x/1/z.yaml", &text("a.yaml"));
    write(two.path(), "deep/er/x/2/a.yaml", &text("b.yaml"));
    write(two.path(), "deep/er/x/1/a.yaml", &binding("beta"));
    write(two.path(), "deep/er/x/2/b.yaml", &binding("alpha"));
    run(two.path(), &["generate", "--config", "deep/er/psp2falco.yaml"], "").failed(1);
    assert_eq!(made(one.path()), made(&two.path().join("deep/er")));
    assert!(made(one.path()).contains("of-alpha"));
    let report = fs::read_to_string(one.path().join("falco/psp_report.md")).unwrap();
    for path in [one.path(), two.path()] {
        assert!(!made(one.path()).contains(&path.display().to_string()));
        assert!(!report.contains(&path.display().to_string()), "{report}");
    }
    // places are those of the repository, wherever the program was started
    let outside = one.path().join("psp2falco.yaml").display().to_string();
    let again = run(two.path(), &["generate", "--config", &outside], "").failed(1);
    assert_eq!(again.err.matches("unchanged ").count(), 4, "{}", again.err);
    let findings = |err: &str| -> Vec<String> {
        err.lines().filter(|line| line.starts_with("policies/")).map(str::to_owned).collect()
    };
    assert!(!findings(&first.err).is_empty(), "{}", first.err);
    assert_eq!(findings(&first.err), findings(&again.err));
}

#[test]
fn findings_fail_a_run_where_asked() {
    let temp = repository(CONFIG);
    let folder = temp.path();
    write(
        folder,
        "policies/c.yaml",
        &policy("gamma", "hostPID: true")
            .replace("runAsUser: {rule: RunAsAny}", "runAsUser: {rule: MustRunAs}"),
    );
    let fail = |kinds: &str| run(folder, &["generate", "--fail-on", kinds], "");
    let approximate = fail("approximate").failed(1);
    let line = "policies/c.yaml:1:1: hostNetwork: approximate in the policy \"gamma\": admission skipped this policy";
    assert!(approximate.err.lines().any(|l| l.starts_with(line)), "{}", approximate.err);
    let unusable = fail("unusable").failed(1);
    assert!(
        unusable.err.contains("\npolicies/c.yaml:1:1: unusable in the policy \"gamma\": spec.runAsUser: "),
        "{}",
        unusable.err
    );
    assert!(unusable.err.ends_with("\nfailed on 1 finding\n"), "{}", unusable.err);
    assert!(
        fail("undetectable,warning")
            .failed(1)
            .err
            .contains("policies/c.yaml:1:1: runAsUser: undetectable in ")
    );
    write(
        folder,
        "psp2falco.yaml",
        &format!("{CONFIG}options: {{auditObject: request}}\nfailOn: [approximate]\n"),
    );
    let approximate = run(folder, &["generate"], "").failed(1);
    let line = "policies/a.yaml:1:1: hostPorts: approximate in the policy \"alpha\": the request lacks ";
    assert!(approximate.err.lines().any(|l| l.starts_with(line)), "{}", approximate.err);
    assert_eq!(fail("everything").code, Some(2));
}

#[test]
fn tuning_that_loses_its_target_is_told() {
    let temp = repository(&format!("{CONFIG}options: {{tuning: [tuning.yaml]}}\n"));
    let rule = "PSP alpha Violation (hostPorts)";
    write(
        temp.path(),
        "tuning.yaml",
        &format!("- rule: {rule}\n  enabled: false\n  override: {{enabled: replace}}\n"),
    );
    let fine = run(temp.path(), &["generate"], "");
    assert!(!fine.err.contains("tuning.yaml"), "{}", fine.err);
    fine.done();
    write(temp.path(), "policies/a.yaml", &policy("alpha", "hostPorts: [{min: 0, max: 65535}]"));
    let lost = run(temp.path(), &["generate", "--check"], "").failed(1);
    assert!(lost.err.contains("warning: tuning.yaml:1:") && lost.err.contains(rule), "{}", lost.err);
}

#[test]
fn what_is_not_ours_stays_and_nothing_else_is_written() {
    let temp = repository(CONFIG);
    write(temp.path(), "falco/rules.yaml", "mine\n");
    let refused = run(temp.path(), &["generate"], "").failed(2);
    assert!(refused.err.contains("falco/rules.yaml: was not written by psp2falco"), "{}", refused.err);
    run(temp.path(), &["generate", "--check"], "").failed(1);
    run(temp.path(), &["generate", "--force"], "").done();
    let printed = run(temp.path(), &["generate", "--stdout"], "").done();
    assert_eq!(printed, fs::read_to_string(temp.path().join("falco/rules.yaml")).unwrap());
    let absent = run(temp.path(), &["generate", "--config", "absent.yaml"], "").failed(2);
    assert!(
        absent.err.starts_with(
            "absent.yaml: no such file or folder; check the path, or name another with --config"
        ),
        "{}",
        absent.err
    );
}

/// Configurations that are right, and those that are wrong with what is said of them.
const RIGHT: [&str; 3] = [
    CONFIG,
    "version: 1\nsources: [a, b/c.yaml]\nscope: {namespaces: [], excludeNamespaces: [kube-system]}\noutputs:\n  \
     rules: out/\n  format: rulesfile\n  name: a.b\n  namespace: falco\n  labels: {example.com/team: ''}\n  inline: true\n  \
     reports: [text, markdown, json, html, sarif]\noptions: {strict: true, rbac: false, auditObject: request, \
     maxContainers: 1, maxVolumes: 100, templates: t, tuning: [a.yaml]}\nfailOn: [warning]\n",
    "{\"version\": 1, \"sources\": [\"..\"], \"outputs\": {\"rules\": \"x.yaml\", \"format\": \"helm-values\"}}",
];
const WRONG: [(&str, &str); 28] = [
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, reports: [github]}\n",
        "c.yaml:3:31: outputs.reports[0]: is for the log of a workflow, and no file; use another format",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\noptions: {tuning: t.yaml}\n",
        "c.yaml:4:19: options.tuning: expected a list, found the string \"t.yaml\"; write it as a list",
    ),
    ("", "c.yaml: is empty"),
    ("[]", "c.yaml:1:1: expected a mapping, found a list"),
    ("version: 1\n", "c.yaml:1:1: sources: missing"),
    ("sources: [a]\noutputs: {rules: b}\n", "c.yaml:1:1: version: missing; set it to 1"),
    ("version: 1\nsources: [a]\noutputs: {}\n", "c.yaml:3:10: outputs.rules: missing"),
    ("version: 2\nsources: [a]\noutputs: {rules: b}\n", "c.yaml:1:10: version: must be 1, not the number 2"),
    (
        "version: '1'\nsources: [a]\noutputs: {rules: b}\n",
        "c.yaml:1:10: version: must be 1, not the string \"1\"",
    ),
    (
        "version: 1\nsources: a\noutputs: {rules: b}\n",
        "c.yaml:2:10: sources: expected a list, found the string \"a\"",
    ),
    ("version: 1\nsources: []\noutputs: {rules: b}\n", "c.yaml:2:10: sources: must not be empty"),
    (
        "version: 1\nsources: [1]\noutputs: {rules: b}\n",
        "c.yaml:2:11: sources[0]: expected a string, found the number 1; put it in quotes",
    ),
    ("version: 1\nsources: [/a]\noutputs: {rules: b}\n", "c.yaml:2:11: sources[0]: must be relative"),
    ("version: 1\nsources: [-]\noutputs: {rules: b}\n", "c.yaml:2:11: "),
    ("version: 1\nsources: ['-']\noutputs: {rules: b}\n", "c.yaml:2:11: sources[0]: must be relative"),
    (
        "version: 1\nsource: [a]\nsources: [a]\noutputs: {rules: b}\n",
        "c.yaml:2:1: source: unknown field \"source\"; did you mean sources?",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, fromat: rules}\n",
        "c.yaml:3:21: outputs.fromat: unknown field \"fromat\"; did you mean format?",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, strict: true}\n",
        "c.yaml:3:21: outputs.strict: unknown field \"strict\"; it belongs under options",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\nremovePolicies: true\n",
        "c.yaml:4:1: removePolicies: unknown field \"removePolicies\"; only a KRM function has it",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, format: configmpa}\n",
        "c.yaml:3:29: outputs.format: unknown value \"configmpa\"; did you mean configmap? use one of rules, configmap, helm-values, rulesfile",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, name: A_b}\n",
        "c.yaml:3:27: outputs.name: \"A_b\" is not a name of an object",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, labels: {a: 'b c'}}\n",
        "c.yaml:3:29: outputs.labels: \"b c\" is not a valid label; use at most 63 letters",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b, labels: {a: 1}}\n",
        "c.yaml:3:33: outputs.labels[a]: expected a string",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\noptions: {maxVolumes: 0}\n",
        "c.yaml:4:23: options.maxVolumes: must be a number from 1 to 100, not the number 0",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\noptions: {strict: 'no'}\n",
        "c.yaml:4:19: options.strict: expected true or false, found the string \"no\"",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\nfailOn: [unuseable]\n",
        "c.yaml:4:10: failOn[0]: unknown value \"unuseable\"; did you mean unusable? use one of undetectable, approximate, unusable, warning",
    ),
    (
        "version: 1\nsources: [a]\noutputs: {rules: b}\nscope: {namespaces: ['']}\n",
        "c.yaml:4:22: scope.namespaces[0]: must not be empty",
    ),
    ("version: 1\nsources: [a]\noutputs: null\n", "c.yaml:3:10: outputs: must not be empty"),
];

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let value = |text: &str| serde_yaml::from_str::<Value>(text).unwrap_or(Value::Null);
    for text in RIGHT {
        Config::parse("c.yaml", text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert!(schema.is_valid(&value(text)), "{text}");
    }
    for (text, message) in WRONG {
        let problems = Config::parse("c.yaml", text).expect_err(text);
        assert!(problems[0].to_string().starts_with(message), "{}\n{message}", problems[0]);
        assert!(!schema.is_valid(&value(text)), "{text}");
    }
    let printed = run(root(), &["generate", "--print-schema"], "").done();
    assert_eq!(printed, SCHEMA);
}

#[test]
fn keys_that_stand_twice_and_documents_that_follow_are_refused() {
    for (text, message) in [
        (format!("{CONFIG}version: 1\n"), "c.yaml:4:1: version: stands in line 1 too; remove one of the two"),
        (format!("{CONFIG}---\nversion: 1\n"), "c.yaml:5:1: a second document; leave one"),
        ("version: {{ .Values.x }}\nsources: [\n".to_owned(), "c.yaml:"),
    ] {
        let problems = Config::parse("c.yaml", &text).expect_err(&text);
        assert!(problems[0].to_string().starts_with(message), "{}", problems[0]);
    }
    // all of them in one run
    let temp = repository("version: 3\nsources: [policies]\noutptus: {}\n");
    let errors = run(temp.path(), &["generate"], "").failed(2).err;
    assert_eq!(errors.lines().count(), 3, "{errors}");
    assert!(
        errors.contains("psp2falco.yaml:3:1: outptus: unknown field \"outptus\"; did you mean outputs?\n"),
        "{errors}"
    );
}

/// The documents of a YAML text.
fn documents(text: &str) -> Vec<Value> {
    serde_yaml::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_policy_s_rules_come_out_of_every_wrapper_as_they_went_in() {
    let convert =
        |args: &[&str]| run(root(), &[&["convert", "fixtures/psp/policies"], args].concat(), "").done();
    let rules = convert(&[]);
    assert!(rules.len() > 100_000);
    let config_map = convert(&["--format", "configmap", "--object-namespace", "falco"]);
    assert_eq!(documents(&config_map)[0]["data"]["psp_audit_rules.yaml"], rules.as_str());
    let values = convert(&["--format", "helm-values"]);
    assert_eq!(
        documents(&values),
        [json!({"falco": {"rule_matching": "all"}, "customRules": {"psp_audit_rules.yaml": rules}})]
    );
    let both =
        documents(&convert(&["--format", "rulesfile", "--object-name", "own", "--object-label", "a=b"]));
    assert_eq!(both[0]["data"]["rules.yaml"], rules.as_str());
    assert_eq!(both[1]["spec"], json!({"configMapRef": {"name": "own"}}));
    assert_eq!(both[1]["metadata"]["labels"]["a"], "b");

    let inline = documents(&convert(&["--format", "rulesfile", "--rulesfile-inline"]));
    let items = inline[0]["spec"]["inlineRules"].as_array().unwrap();
    let names = |key: &str| items.iter().filter_map(|item| item[key].as_str()).collect::<Vec<_>>();
    let plain = |prefix: &str| rules.lines().filter_map(|line| line.strip_prefix(prefix)).collect::<Vec<_>>();
    assert_eq!(names("rule"), plain("- rule: "));
    assert_eq!(names("macro"), plain("- macro: "));
    // what Falco reads of them is the same
    let text = serde_json::to_string(items).unwrap();
    let load = |text: &str| {
        let loaded = falco_rules::load(&[falco_rules::Source { name: "r", text }]);
        assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
        let rules = loaded.rules.unwrap();
        let read = |rule: &falco_rules::Rule| {
            format!(
                "{:?}",
                (&rule.name, &rule.condition, &rule.output, rule.priority, &rule.tags, rule.enabled)
            )
        };
        rules.rules().iter().map(read).collect::<Vec<_>>()
    };
    assert_eq!(load(&text), load(&rules));
}

#[test]
fn wrapped_files_have_names_of_their_own_and_are_known_as_ours() {
    let temp = repository(CONFIG);
    for (format, name) in [
        ("rules", "psp_audit_rules.yaml"),
        ("configmap", "psp_audit_rules.configmap.yaml"),
        ("helm-values", "psp_audit_rules.values.yaml"),
        ("rulesfile", "psp_audit_rules.rulesfile.yaml"),
    ] {
        let runtime = name.replace("audit", "runtime");
        for verb in ["wrote", "unchanged"] {
            let told = run(temp.path(), &["convert", "policies", "--format", format, "-o", "out/"], "");
            for name in [name, &runtime] {
                assert!(told.err.contains(&format!("{verb} out/{name}\n")), "{}", told.err);
            }
            told.done();
        }
    }
    assert_eq!(files(&temp.path().join("out")).len(), 8);
    for (format, option) in [
        ("rules", ["--object-name", "a"]),
        ("helm-values", ["--object-namespace", "a"]),
        ("rules", ["--object-label", "a=b"]),
        ("configmap", ["--rulesfile-inline", "--force"]),
    ] {
        let args = [&["convert", "policies", "--format", format][..], &option].concat();
        let refused = run(temp.path(), &args, "").failed(2);
        let expected = format!("{}: has no effect with --format {format}; use --format ", option[0]);
        assert!(refused.err.starts_with(&expected), "{}", refused.err);
        assert_eq!(refused.out, "");
    }
    let refused =
        run(temp.path(), &["convert", "policies", "--format", "configmap", "--object-name", "A"], "");
    assert!(refused.failed(2).err.contains("--object-name: \"A\" is not a name of an object; "));
    run(temp.path(), &["convert", "policies", "--object-label", "novalue"], "").failed(2);
}

/// A ResourceList with a policy, as kustomize writes it.
fn resource_list(config: &str) -> String {
    format!(
        "apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- apiVersion: v1
  kind: Service
  metadata:
    name: web # stays
    annotations:
      internal.config.kubernetes.io/index: '0'
- apiVersion: policy/v1beta1
  kind: PodSecurityPolicy
  metadata:
    name: web
    annotations:
      internal.config.kubernetes.io/path: policies/web.yaml
      internal.config.kubernetes.io/index: '1'
      config.kubernetes.io/path: policies/web.yaml
  spec:
    privileged: false
    seLinux: {{rule: RunAsAny}}
    runAsUser: {{rule: RunAsAny}}
    supplementalGroups: {{rule: RunAsAny}}
    fsGroup: {{rule: RunAsAny}}
{config}"
    )
}

const FUNCTION: &str = "functionConfig:
  apiVersion: psp2falco/v1
  kind: Psp2Falco
  metadata: {name: rules}
  spec:
    outputs: {name: rules, namespace: falco}
";

fn krm(input: &str) -> Run {
    run(root(), &["krm"], input)
}

#[test]
fn the_krm_function_adds_the_rules_and_touches_nothing_else() {
    let input = resource_list(FUNCTION);
    let once = krm(&input).done();
    // what was there stands there byte for byte, in its order
    let (before, after) = input.split_once("functionConfig:").unwrap();
    assert!(once.starts_with(before), "{once}");
    assert!(once.contains(&format!("functionConfig:{after}results:\n")), "{once}");
    let list = &documents(&once)[0];
    let added = &list["items"][2];
    assert_eq!(added["metadata"]["name"], "rules");
    assert_eq!(added["metadata"]["namespace"], "falco");
    let policy = serde_json::to_string(&list["items"][1]).unwrap();
    let rules = run(root(), &["convert", "-"], &policy).done();
    assert_eq!(added["data"]["psp_audit_rules.yaml"], rules.as_str());
    let results = list["results"].as_array().unwrap();
    assert_eq!(results.last().unwrap()["severity"], "info");

    assert_eq!(krm(&once).done(), once, "a second run changes nothing");

    // what others have put on our object stays when the rules change
    let annotated = once.replace(
        "      psp2falco/rules:",
        "      internal.config.kubernetes.io/path: x.yaml\n      psp2falco/rules:",
    );
    assert_ne!(annotated, once);
    let changed = krm(&annotated.replace("privileged: false", "privileged: true")).done();
    let list = &documents(&changed)[0];
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(list["items"][2]["metadata"]["annotations"]["internal.config.kubernetes.io/path"], "x.yaml");
    assert!(!changed.contains("PSP web Violation (privileged)"));
}

#[test]
fn the_krm_function_takes_a_config_map_and_makes_what_it_says() {
    let config = "functionConfig:\n  apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n  data:\n    \
                  format: rulesfile\n    excludeNamespaces: kube-system, monitoring\n    removePolicies: 'true'\n    \
                  maxContainers: '3'\n";
    let out = krm(&resource_list(config)).done();
    let list = &documents(&out)[0];
    let kinds: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Service", "ConfigMap", "Rulesfile"]);
    let rules = list["items"][1]["data"]["rules.yaml"].as_str().unwrap();
    assert!(
        rules.contains("not jevt.value[/objectRef/namespace] in ('kube-system', 'monitoring')"),
        "{rules}"
    );
    // with the policies gone there is nothing to make, and what was made stays
    let again = krm(&out).done();
    assert_eq!(documents(&again)[0]["items"], list["items"]);
    assert_eq!(documents(&again)[0]["results"][0]["severity"], "warning");
}

#[test]
fn the_krm_function_says_what_is_wrong_in_results() {
    let results = |input: &str| {
        let answer = krm(input).failed(1);
        assert!(!answer.err.is_empty(), "kustomize shows standard error only");
        let list = documents(&answer.out).remove(0);
        assert_eq!(list["items"], documents(input)[0]["items"]);
        let results = list["results"].as_array().unwrap().clone();
        assert!(results.iter().any(|result| result["severity"] == "error"), "{results:?}");
        results
    };
    let wrong = results(&resource_list(FUNCTION).replace("privileged: false", "privilegd: false"));
    assert_eq!(
        wrong,
        [json!({
            "message": "spec.privilegd: unknown field \"privilegd\"; did you mean privileged?",
            "severity": "error",
            "resourceRef": {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "name": "web"},
            "field": {"path": "spec.privilegd"},
            "file": {"path": "policies/web.yaml", "index": 1},
        })]
    );
    let config = results(&resource_list(&FUNCTION.replace("namespace:", "namespaces:")));
    assert_eq!(
        config[0]["message"],
        "functionConfig.spec.outputs.namespaces: unknown field \"namespaces\"; did you mean namespace?"
    );
    let config = results(&resource_list(&FUNCTION.replace("name: rules, ", "rules: x, ")));
    assert!(config[0]["message"].as_str().unwrap().ends_with("a KRM function reads no files"), "{config:?}");
    let config = results(&resource_list(&FUNCTION.replace("name: rules, ", "format: rules, ")));
    assert!(config[0]["message"].as_str().unwrap().contains("must be configmap or rulesfile"), "{config:?}");
    let config = results(&resource_list(&FUNCTION.replace("kind: Psp2Falco", "kind: Other")));
    assert!(config[0]["message"].as_str().unwrap().contains("must be Psp2Falco or ConfigMap"), "{config:?}");

    let foreign = resource_list(FUNCTION).replace(
        "items:\n",
        "items:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: rules, namespace: falco}\n",
    );
    let taken = results(&foreign);
    assert!(taken[0]["message"].as_str().unwrap().contains("was not made by psp2falco"), "{taken:?}");

    let fail = "    options: {auditObject: request}\n    failOn: [approximate]\n";
    let answer = krm(&resource_list(&format!("{FUNCTION}{fail}"))).failed(1);
    let list = &documents(&answer.out)[0];
    assert_eq!(list["results"][0]["severity"], "error");
    assert_eq!(list["results"][0]["file"]["path"], "policies/web.yaml");

    let none = krm("kind: Service\napiVersion: v1\n").failed(2);
    assert_eq!((none.out.as_str(), none.err.lines().count()), ("", 1));
}

#[test]
fn a_json_list_stays_json() {
    let value = documents(&resource_list(FUNCTION)).remove(0);
    let out = krm(&value.to_string()).done();
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(list["items"][0], value["items"][0]);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(krm(&out).done(), out);
}

fn examples() -> PathBuf {
    root().join("examples")
}

/// A copy of one example's folder.
fn copy(name: &str) -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let from = examples().join(name);
    for path in files(&from) {
        let to = temp.path().join(&path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from.join(&path), to).unwrap();
    }
    temp
}

fn text(path: &str) -> String {
    fs::read_to_string(examples().join(path)).unwrap()
}

/// The `run:` lines of a workflow's steps that need nothing installed.
fn steps(workflow: &Value) -> Vec<String> {
    let jobs = workflow["jobs"].as_object().unwrap();
    jobs.values()
        .flat_map(|job| job["steps"].as_array().unwrap())
        .filter_map(|step| step["run"].as_str())
        .filter(|run| !run.contains("curl"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_example_is_listed_and_parses() {
    let index = text("README.md");
    for folder in entries(&examples()).iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_string_lossy();
        assert!(index.contains(&format!("| [{name}]({name}) |")), "examples/README.md: no row for {name}");
    }
    for path in files(&examples()) {
        let text = fs::read_to_string(examples().join(&path)).unwrap();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if extension == "yaml" || path.ends_with("Kptfile") {
            assert!(documents(&text).iter().all(Value::is_object), "{}", path.display());
        } else if extension == "json" {
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }
}

#[test]
fn the_example_repository_is_in_sync() {
    let problems: Vec<String> =
        check(&examples().join("generate/psp2falco.schema.json"), SCHEMA).err().into_iter().collect();
    if updating() {
        run(&examples().join("generate"), &["generate"], "").done();
    }
    report(&problems, "gitops");
    assert_eq!(run(&examples().join("generate"), &["generate", "--check"], "").done(), "");
    // also for who looks from elsewhere
    assert_eq!(
        run(root(), &["generate", "--config", "examples/generate/psp2falco.yaml", "--check"], "").done(),
        ""
    );
}

#[cfg(unix)]
#[test]
fn the_workflow_passes_in_sync_and_fails_on_drift() {
    let steps = steps(&documents(&text("github-actions/falco-rules.yaml"))[0]);
    assert!(steps.iter().any(|step| step.contains("generate --check")));
    let temp = copy("generate");
    steps.iter().for_each(|step| drop(shell(temp.path(), step, "").done()));
    let policy = temp.path().join("policies/web.yaml");
    fs::write(&policy, fs::read_to_string(&policy).unwrap().replace("8080", "8081")).unwrap();
    let codes: Vec<Option<i32>> = steps.iter().map(|step| shell(temp.path(), step, "").code).collect();
    assert!(codes.contains(&Some(1)), "{codes:?}");
}

#[cfg(unix)]
#[test]
fn the_flux_pipeline_commits_what_has_changed() {
    let steps = steps(&documents(&text("flux/pipeline.yaml"))[0]);
    let kustomization = documents(&text("flux/falco-rules.yaml")).remove(1);
    let temp = copy("generate");
    let folder = temp.path();
    let remote = tempfile::tempdir().unwrap();
    let setup = format!(
        "git init -q --bare {remote} && git init -q -b main . && git add -A && \
         git -c user.name=a -c user.email=a@example.com commit -qm first && git remote add origin {remote} && \
         git push -qu origin main",
        remote = remote.path().display()
    );
    if shell(folder, "git --version", "").code != Some(0) {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: no git, so the Flux pipeline was not run\n");
        return;
    }
    shell(folder, &setup, "").done();
    let commits = || shell(remote.path(), "git log --oneline main | wc -l", "").done().trim().to_owned();
    let pipeline = || steps.iter().for_each(|step| drop(shell(folder, step, "").done()));
    pipeline();
    assert_eq!(commits(), "1", "nothing has changed");
    let policy = folder.join("policies/web.yaml");
    fs::write(&policy, fs::read_to_string(&policy).unwrap().replace("8080", "8081")).unwrap();
    pipeline();
    assert_eq!(commits(), "2");
    let shown = shell(remote.path(), "git show --stat --format= main", "").done();
    let path = kustomization["spec"]["path"].as_str().unwrap().trim_start_matches("./").to_owned();
    assert!(shown.contains(&format!("{path}/psp_audit_rules.configmap.yaml")), "{shown}");
}

#[cfg(unix)]
#[test]
fn the_argo_cd_plugin_prints_manifests() {
    let plugin = &documents(&text("argocd/plugin.yaml"))[0];
    let temp = copy("generate");
    assert!(temp.path().join(plugin["spec"]["discover"]["fileName"].as_str().unwrap()).is_file());
    let words = plugin["spec"]["generate"]["command"].as_array().unwrap();
    let command: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let manifests = shell(temp.path(), &command.join(" "), "").done();
    assert_eq!(documents(&manifests)[0]["kind"], "ConfigMap");
    let name = &plugin["metadata"]["name"];
    assert_eq!(&documents(&text("argocd/application.yaml"))[0]["spec"]["source"]["plugin"]["name"], name);
}

/// Runs a KRM function on an example's objects, as kustomize or kpt would.
#[cfg(unix)]
fn function(folder: &str, command: &str) -> Vec<Value> {
    let list = json!({
        "apiVersion": "config.kubernetes.io/v1",
        "kind": "ResourceList",
        "items": documents(&text(&format!("{folder}/policy.yaml"))),
        "functionConfig": documents(&text(&format!("{folder}/rules.yaml")))[0],
    });
    let out = shell(&examples().join(folder), command, &list.to_string()).done();
    documents(&out)[0]["items"].as_array().unwrap().clone()
}

#[cfg(unix)]
#[test]
fn the_kustomize_and_kpt_functions_make_rules() {
    let kinds = |items: &[Value]| -> Vec<String> {
        items.iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
    };
    let kustomization = &documents(&text("kustomize/kustomization.yaml"))[0];
    assert_eq!(kustomization["transformers"], json!(["rules.yaml"]));
    let rules = &documents(&text("kustomize/rules.yaml"))[0];
    let exec = rules["metadata"]["annotations"]["config.kubernetes.io/function"].as_str().unwrap();
    let exec: Value = serde_yaml::from_str(exec).unwrap();
    let items = function("kustomize", exec["exec"]["path"].as_str().unwrap());
    assert_eq!(kinds(&items), ["ConfigMap"]);

    let kptfile = &documents(&text("kpt/Kptfile"))[0];
    let mutator = &kptfile["pipeline"]["mutators"][0];
    assert_eq!(mutator["configPath"], "rules.yaml");
    let items = function("kpt", mutator["exec"].as_str().unwrap());
    assert_eq!(kinds(&items), ["PodSecurityPolicy", "ConfigMap", "Rulesfile"]);
}

/// Runs a real program on an example, where there is one.
#[cfg(unix)]
fn real(program: &str, folder: &Path, line: &str) -> Option<String> {
    if shell(folder, &format!("command -v {program}"), "").code != Some(0) {
        let _ =
            writeln!(std::io::stderr(), "\nSKIPPED: no {program}, so its example was not run through it\n");
        return None;
    }
    Some(shell(folder, line, "").done())
}

#[cfg(unix)]
#[test]
fn real_kustomize_and_kpt_run_their_examples() {
    let command = |file: &str| {
        let first = text(file).lines().next().unwrap().trim_start_matches("# ").to_owned();
        first.rsplit_once(' ').unwrap().0.to_owned()
    };
    let temp = copy("kustomize");
    if let Some(built) =
        real("kustomize", temp.path(), &format!("{} .", command("kustomize/kustomization.yaml")))
    {
        let items = documents(&built);
        assert_eq!(items.len(), 1, "{built}");
        assert_eq!(items[0]["metadata"]["name"], "psp-audit-rules");
        let rules = items[0]["data"]["psp_audit_rules.yaml"].as_str().unwrap();
        assert!(rules.contains("- rule: PSP web Violation (hostPorts)"));
    }
    let temp = copy("kpt");
    if real("kpt", temp.path(), &format!("{} .", command("kpt/Kptfile"))).is_some() {
        let made =
            || files(temp.path()).into_iter().map(|path| (fs::read(temp.path().join(&path)).unwrap(), path));
        let first: Vec<_> = made().collect();
        assert_eq!(first.len(), 5, "the ConfigMap and the Rulesfile are new");
        real("kpt", temp.path(), "kpt fn render --allow-exec .");
        assert_eq!(made().collect::<Vec<_>>(), first, "a second run changes nothing");
    }
}

/// With `PSP2FALCO_FALCO_CHART=/folder/of/charts/falco` and helm: the chart takes the values, beside its own for the
/// audit log.
#[cfg(unix)]
#[test]
fn real_helm_takes_the_values() {
    let Some(chart) = std::env::var_os("PSP2FALCO_FALCO_CHART") else {
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no PSP2FALCO_FALCO_CHART, so Helm was not given the values\n"
        );
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let policy = root().join("fixtures/psp/policies/kubernetes-restricted.yaml").display().to_string();
    run(temp.path(), &["convert", &policy, "--format", "helm-values", "-o", "values.yaml"], "").done();
    let chart = chart.to_string_lossy();
    let line =
        format!("helm template falco {chart} --values {chart}/values-k8saudit.yaml --values values.yaml");
    let Some(manifests) = real("helm", temp.path(), &line) else { return };
    let config_maps: Vec<Value> =
        documents(&manifests).into_iter().filter(|object| object["kind"] == "ConfigMap").collect();
    let at = |key: &str| config_maps.iter().find_map(|object| object["data"][key].as_str()).unwrap();
    let falco = documents(at("falco.yaml")).remove(0);
    assert_eq!(falco["rule_matching"], "all");
    assert_eq!(falco["load_plugins"], json!(["k8saudit", "json"]));
    assert!(falco["rules_files"].as_array().unwrap().contains(&json!("/etc/falco/rules.d")));
    let rules = run(root(), &["convert", &policy], "").done();
    assert_eq!(at("psp_audit_rules.yaml").trim_end(), rules.trim_end());
}

#[test]
fn the_krew_manifest_and_the_containerfile_fit_the_program() {
    let krew = &documents(&text("krew/psp2falco.yaml"))[0];
    assert_eq!(krew["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    for platform in krew["spec"]["platforms"].as_array().unwrap() {
        let windows = platform["selector"]["matchLabels"]["os"] == "windows";
        assert_eq!(platform["bin"], if windows { "psp2falco.exe" } else { "psp2falco" });
        assert_eq!(platform["sha256"].as_str().unwrap().len(), 64);
    }
    let formula = text("homebrew/psp2falco.rb");
    let version = env!("CARGO_PKG_VERSION");
    assert!(formula.contains(&format!("\n  version \"{version}\"\n")), "{formula}");
    let container = text("container/Containerfile");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(container.contains(&format!("rust:{}-alpine", version.trim_matches('"'))), "{container}");
    assert!(container.contains("\nUSER 65532:65532\n"));
}

/// All commands, by the program's own help.
fn commands() -> Vec<String> {
    let help = run(root(), &["--help"], "").done();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_has_a_man_page() {
    let temp = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        run(temp.path(), &["man", "-o", "man/"], "").done();
    }
    let mut expected: Vec<String> = commands().iter().map(|name| format!("psp2falco-{name}.1")).collect();
    assert!(expected.len() >= 6, "{expected:?}");
    expected.push("psp2falco.1".to_owned());
    expected.sort();
    let found: Vec<String> =
        files(&temp.path().join("man")).iter().map(|path| path.display().to_string()).collect();
    assert_eq!(found, expected);
    let page = run(root(), &["man", "generate"], "").done();
    assert_eq!(page, fs::read_to_string(temp.path().join("man/psp2falco-generate.1")).unwrap());
    for word in [".TH psp2falco-generate 1", ".SH SYNOPSIS", "fail\\-on"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(run(root(), &["man"], "").done().contains(".TH psp2falco 1"));
    let wrong = run(root(), &["man", "genrate"], "").failed(2);
    assert_eq!(wrong.err, "man: no command \"genrate\"; did you mean generate?\n");
}

#[test]
fn completions_name_every_command() {
    for shell_name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(root(), &["completions", shell_name], "").done();
        for command in commands() {
            assert!(script.contains(&command), "{shell_name}: {command}");
        }
        if shell_name == "bash" && cfg!(unix) && shell(root(), "command -v bash", "").code == Some(0) {
            assert_eq!(shell(root(), "bash -n", &script).done(), "");
        }
    }
    run(root(), &["completions", "cmd"], "").failed(2);
}

#[cfg(unix)]
#[test]
fn kubectl_calls_it_by_its_own_name() {
    let temp = tempfile::tempdir().unwrap();
    let plugin = temp.path().join("kubectl-psp2falco");
    std::os::unix::fs::symlink(PROGRAM, &plugin).unwrap();
    let help = |args: &[&str]| {
        let mut command = Command::new(&plugin);
        command.args(args);
        start(command, temp.path(), "")
    };
    assert!(help(&["--help"]).done().contains("Usage: kubectl psp2falco [OPTIONS] <COMMAND>"));
    assert!(help(&["convert", "--help"]).done().contains("Usage: kubectl psp2falco convert "));
    assert!(help(&["convert", "--zebra"]).failed(2).err.contains("Usage: kubectl psp2falco convert "));
    assert!(run(temp.path(), &["--help"], "").done().contains("Usage: psp2falco [OPTIONS] <COMMAND>"));
}
