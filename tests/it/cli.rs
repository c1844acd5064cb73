//! The command line, as users type it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::snapshot::{check, report, root};
use tempfile::TempDir;

const RESTRICTED: &str = "fixtures/psp/policies/kubernetes-restricted.yaml";
const BASELINE: &str = "fixtures/psp/policies/kubernetes-baseline.yaml";

/// A small valid policy.
const SMALL: &str = "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: small}
spec:
  seLinux: {rule: RunAsAny}
  runAsUser: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
";

/// What a run of the program left behind.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program in `folder` with `input` on standard input.
fn run_in(folder: &Path, args: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
        .args(args)
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

/// Runs the program at the root of the repository.
fn run(args: &[&str]) -> Run {
    run_in(root(), args, "")
}

impl Run {
    /// The output of a run that must have succeeded.
    fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// The errors of a run that must have failed, with nothing on standard output.
    fn failed(self) -> String {
        assert_eq!(self.code, Some(2), "{}", self.err);
        assert_eq!(self.out, "");
        self.err
    }
}

/// A folder with files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// The names of the files in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    crate::snapshot::files(folder).iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn help_stays_as_it_is() {
    let mut cases = vec![
        (vec!["convert", "--help"], "convert"),
        (vec!["explain", "--help"], "explain"),
        (vec!["generate", "--help"], "generate"),
        (vec!["krm", "--help"], "krm"),
        (vec!["replay", "--help"], "replay"),
        (vec!["lint", "--help"], "lint"),
        (vec!["completions", "--help"], "completions"),
        (vec!["man", "--help"], "man"),
    ];
    if cfg!(feature = "cluster") {
        cases.extend([(vec!["--help"], "psp2falco"), (vec!["scan", "--help"], "scan")]);
    }
    let problems: Vec<String> = cases
        .iter()
        .filter_map(|(args, name)| {
            // without a terminal the width is fixed
            let help = run(args).done();
            check(&root().join(format!("fixtures/expected/help/{name}.txt")), &help).err()
        })
        .collect();
    report(&problems, "cli");
}

#[test]
fn explain_shows_each_field() {
    let table = run(&["explain", "--all", "fixtures/psp/policies/every-field.yaml"]).done();
    let problems: Vec<String> = check(&root().join("fixtures/expected/help/explain-every-field.txt"), &table)
        .err()
        .into_iter()
        .collect();
    report(&problems, "cli");
    for field in psp_admission::Field::ALL {
        let rows = table.lines().filter(|line| line.split_whitespace().next() == Some(field.name())).count();
        assert_eq!(rows, 1, "{field}");
    }
}

#[test]
fn explain_hides_what_restricts_nothing_and_has_json() {
    let privileged = "fixtures/psp/policies/kubernetes-privileged.yaml";
    for (policy, hidden) in [(RESTRICTED, "8 more fields restrict"), (privileged, "24 more fields restrict")]
    {
        let (some, all) = (run(&["explain", policy]).done(), run(&["explain", policy, "--all"]).done());
        assert!(some.contains(&format!("  {hidden} nothing; --all shows them\n")), "{some}");
        assert!(!all.contains("--all") && all.contains("  readOnlyRootFilesystem "), "{all}");
        assert!(!some.contains("  readOnlyRootFilesystem "), "{some}");
    }
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&run(&[&["explain", "--format", "json", RESTRICTED], args].concat()).done())
            .unwrap()
    };
    let fields = |value: &serde_json::Value| value["policies"][0]["fields"].as_array().unwrap().len();
    assert_eq!((fields(&json(&[])), fields(&json(&["--all"]))), (18, 26));

    // the same policies as in the JSON report
    let folder = tempfile::tempdir().unwrap();
    let out = format!("{}/", folder.path().display());
    run(&["convert", RESTRICTED, "-o", &out, "--report", "json"]).done();
    let report = fs::read_to_string(folder.path().join("psp_report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(json(&["--all"])["policies"], report["policies"]);
}

#[test]
fn quiet_says_what_is_wrong_and_verbose_what_was_read() {
    let folder = folder(&[
        ("a.yaml", SMALL),
        ("notes.txt", "no manifest"),
        ("b.yaml", &SMALL.replace("small", "other").replace("  fsGroup: {rule: RunAsAny}\n", "")),
    ]);
    let said = |args: &[&str]| run_in(folder.path(), &[&["convert", "."], args].concat(), "");
    let (quiet, normal, verbose) = (said(&["-q"]), said(&[]), said(&["--verbose"]));
    assert_eq!((&quiet.out, quiet.code), (&normal.out, Some(0)));
    assert_eq!(verbose.out, normal.out);
    assert!(
        quiet.err.lines().all(|line| line.starts_with("warning: ")) && !quiet.err.is_empty(),
        "{}",
        quiet.err
    );
    assert!(normal.err.starts_with(&quiet.err) && normal.err.contains("2 policies, "), "{}", normal.err);
    for line in ["./a.yaml: small\n", "./b.yaml: other\n", "not read: ./notes.txt: no manifest\n"] {
        assert!(verbose.err.contains(line) && !normal.err.contains(line), "{}", verbose.err);
    }
    assert!(verbose.err.contains(" to load in Falco\n"), "{}", verbose.err);
    let both = said(&["-v", "-o", "both/"]);
    assert_eq!(
        both.err.matches(" to load in Falco\n").count(),
        1,
        "the estimate is of audit rules: {}",
        both.err
    );

    let both = run_in(folder.path(), &["convert", ".", "-q", "-v"], "").failed();
    assert!(both.contains("cannot be used with"), "{both}");
    // what was asked for, and what fails, is said all the same
    let predicted = said(&["-q", "--predict"]);
    assert!(predicted.err.contains("nothing to predict"), "{}", predicted.err);
    assert!(run_in(folder.path(), &["-q", "convert", "absent"], "").failed().starts_with("absent: "));
}

#[test]
fn colour_is_everywhere_where_it_is_wished() {
    let folder = folder(&[("a.yaml", &SMALL.replace("spec:", "spec:\n  privilegd: true"))]);
    let typos = root().join("fixtures/lint/typos.yaml").display().to_string();
    let policy = root().join(RESTRICTED).display().to_string();
    let log = root().join("fixtures/audit/audit.log.gz").display().to_string();
    for args in [
        &["convert", "a.yaml"][..],
        &["explain", &policy],
        &["lint", &typos],
        &["replay", "--audit-log", &log, &policy],
    ] {
        let run = |when| run_in(folder.path(), &[args, &["--color", when]].concat(), "");
        let coloured = |run: &Run| format!("{}{}", run.out, run.err).contains("\u{1b}[");
        assert!(coloured(&run("always")), "{args:?}");
        assert!(!coloured(&run("auto")) && !coloured(&run("never")), "{args:?}");
    }
}

#[test]
fn a_file_a_folder_and_standard_input_give_the_same() {
    let text = fs::read_to_string(root().join(RESTRICTED)).unwrap();
    let folder =
        folder(&[("deep/er/policy.yml", &text), ("notes.txt", "not a manifest"), ("empty.yaml", "")]);
    let from_file = run(&["convert", RESTRICTED]).done();
    assert_eq!(run_in(root(), &["convert", "-"], &text).done(), from_file);
    assert_eq!(run_in(folder.path(), &["convert", "."], "").done(), from_file);
    assert!(from_file.contains("- rule: PSP restricted Violation (privileged)"));
}

#[test]
fn the_summary_goes_to_standard_error() {
    let run = run(&["convert", RESTRICTED]);
    assert!(run.err.starts_with("1 policy, "), "{}", run.err);
    assert!(!run.out.contains("1 policy, "));
}

#[test]
fn order_and_formatting_of_the_input_do_not_matter() {
    let json = |name: &str, extra: &str| {
        format!(
            r#"{{"spec":{{"fsGroup":{{"rule":"RunAsAny"}},"supplementalGroups":{{"rule":"RunAsAny"}},{extra}
            "runAsUser":{{"rule":"RunAsAny"}},"seLinux":{{"rule":"RunAsAny"}},"hostPID":true}},
            "metadata":{{"uid":"1","name":"{name}"}},"kind":"PodSecurityPolicy","apiVersion":"extensions/v1beta1"}}"#
        )
    };
    let yaml = |name: &str, extra: &str| {
        format!("# a comment\n{}  {extra}\n  hostPID: yes\n", SMALL.replace("small", name))
            .replace("yes", "true")
    };
    let one = folder(&[
        ("1.yaml", &yaml("alpha", "hostIPC: false")),
        ("2.yaml", &yaml("beta", "volumes: [secret, 'configMap']")),
    ]);
    let other = folder(&[
        ("a/z.json", &json("beta", r#""volumes":["secret","configMap"],"#)),
        ("b.json", &json("alpha", "")),
    ]);
    let list = format!(
        r#"{{"kind":"List","apiVersion":"v1","items":[{},{}]}}"#,
        json("beta", r#""volumes":["secret","configMap"],"#),
        json("alpha", r#""hostIPC":false,"#)
    );
    let expected = run_in(one.path(), &["convert", "."], "").done();
    assert_eq!(run_in(other.path(), &["convert", "."], "").done(), expected);
    assert_eq!(run_in(other.path(), &["convert", "b.json", "a"], "").done(), expected);
    assert_eq!(run_in(one.path(), &["convert", "-"], &list).done(), expected);
}

#[test]
fn writes_to_a_file_or_into_a_folder() {
    let temp = folder(&[("psp.yaml", SMALL), ("there/keep.txt", "kept")]);
    let expected = run_in(temp.path(), &["convert", "psp.yaml"], "").done();
    for (output, file) in [
        ("rules.yaml", "rules.yaml"),
        ("new/deep/rules.yml", "new/deep/rules.yml"),
        ("there", "there/psp_audit_rules.yaml"),
        ("fresh/", "fresh/psp_audit_rules.yaml"),
        ("plain", "plain/psp_audit_rules.yaml"),
        ("rules.json", "rules.json"),
        ("rules.txt", "rules.txt"),
    ] {
        let run = run_in(temp.path(), &["convert", "psp.yaml", "-o", output], "");
        assert!(run.err.contains(&format!("wrote {file}\n")), "{}", run.err);
        assert_eq!(run.done(), "", "{output}");
        assert_eq!(fs::read_to_string(temp.path().join(file)).unwrap(), expected, "{output}");
    }
    // "-" is no file
    assert_eq!(run_in(temp.path(), &["convert", "psp.yaml", "-o", "-"], "").done(), expected);
    assert_eq!(
        names(temp.path()),
        [
            "fresh/psp_audit_rules.yaml",
            "fresh/psp_runtime_rules.yaml",
            "new/deep/rules.yml",
            "plain/psp_audit_rules.yaml",
            "plain/psp_runtime_rules.yaml",
            "psp.yaml",
            "rules.json",
            "rules.txt",
            "rules.yaml",
            "there/keep.txt",
            "there/psp_audit_rules.yaml",
            "there/psp_runtime_rules.yaml"
        ]
    );
}

#[test]
fn a_layer_is_chosen() {
    let temp = folder(&[("psp.yaml", SMALL)]);
    let run = |args: &[&str]| run_in(temp.path(), &[&["convert", "psp.yaml"], args].concat(), "");
    let runtime = run(&["--layer", "runtime"]).done();
    assert!(runtime.contains("- rule: PSP small Violation (privileged) System Activity"), "{runtime}");
    assert!(!runtime.contains("ka.") && !runtime.contains("Baseline"));
    assert_eq!(run(&["--layer", "audit"]).done(), run(&[]).done());
    assert!(
        run(&["--layer", "runtime", "--baseline"])
            .done()
            .starts_with(runtime.split_once("- list").unwrap().0)
    );

    run(&["--layer", "both", "-o", "both"]).done();
    assert_eq!(fs::read_to_string(temp.path().join("both/psp_runtime_rules.yaml")).unwrap(), runtime);
    run(&["--layer", "audit", "-o", "one/"]).done();
    assert_eq!(
        names(temp.path()),
        ["both/psp_audit_rules.yaml", "both/psp_runtime_rules.yaml", "one/psp_audit_rules.yaml", "psp.yaml"]
    );

    assert!(run(&["--layer", "both"]).failed().contains("--layer both: gives two files"));
    assert!(run(&["--baseline"]).failed().contains("--baseline: belongs to the runtime layer"));
}

#[test]
fn the_scope_holds_for_running_containers() {
    let annotated = SMALL.replace(
        "metadata: {name: small}",
        "metadata: {name: small, annotations: {falco-rules-psp-images: 'web', falco-rules-psp-namespaces: shop}}",
    );
    let temp = folder(&[("psp.yaml", &annotated)]);
    let args = [
        "convert",
        "psp.yaml",
        "--layer",
        "runtime",
        "--baseline",
        "--namespace",
        "a",
        "--exclude-namespace",
        "b",
    ];
    let rules = run_in(temp.path(), &args, "").done();
    let everywhere = "k8s.ns.name in ('a') and k8s.ns.name exists and not k8s.ns.name in ('b')";
    let (_, baseline) = rules.split_once("- macro: psps_baseline\n").unwrap();
    assert!(baseline.lines().nth(1).unwrap().contains(everywhere), "{baseline}");
    let (_, policy) = rules.split_once("- macro: psp_small__runtime\n").unwrap();
    let policy = policy.lines().nth(1).unwrap();
    for part in [
        "k8s.ns.name in ('shop')",
        "not k8s.ns.name in ('b')",
        "container.image.repository in ('web', 'docker.io/web', 'docker.io/library/web')",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
}

#[test]
fn overwrites_its_own_file_and_no_other_without_force() {
    let temp = folder(&[("psp.yaml", SMALL), ("mine.yaml", "- list: mine\n  items: []\n")]);
    let convert = |args: &[&str]| run_in(temp.path(), &[&["convert", "psp.yaml"], args].concat(), "");
    let refused = convert(&["-o", "mine.yaml"]).failed();
    assert_eq!(
        refused.lines().last().unwrap(),
        "mine.yaml: was not written by psp2falco; choose another file, or overwrite it with --force"
    );
    assert_eq!(fs::read_to_string(temp.path().join("mine.yaml")).unwrap(), "- list: mine\n  items: []\n");
    convert(&["-o", "mine.yaml", "--force"]).done();
    // now it is ours
    convert(&["-o", "mine.yaml", "--namespace", "web"]).done();
    assert!(fs::read_to_string(temp.path().join("mine.yaml")).unwrap().contains("web"));
}

#[cfg(unix)]
#[test]
fn follows_a_symbolic_link_and_keeps_the_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = folder(&[("psp.yaml", SMALL), ("real/rules.yaml", "")]);
    let (real, link) = (temp.path().join("real/rules.yaml"), temp.path().join("link.yaml"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real/rules.yaml", &link).unwrap();
    run_in(temp.path(), &["convert", "psp.yaml", "-o", "link.yaml"], "").done();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(mode(&real), 0o640);
    assert!(fs::read_to_string(&real).unwrap().contains("- rule: PSP small Violation (privileged)"));

    // a new file is as readable as any other
    run_in(temp.path(), &["convert", "psp.yaml", "-o", "new.yaml"], "").done();
    assert_eq!(mode(&temp.path().join("new.yaml")), mode(&temp.path().join("psp.yaml")));
}

#[test]
fn all_errors_come_in_one_run_with_their_places() {
    let wrong = SMALL.replace("small", "wrong");
    let temp = folder(&[
        ("p/fine.yaml", SMALL),
        (
            "p/ranges.yaml",
            &wrong.replace(
                "fsGroup: {rule: RunAsAny}",
                "fsGroup: {rule: MustRunAs, ranges: [{min: 20, max: 10}]}",
            ),
        ),
        ("p/typo.yaml", &SMALL.replace("small", "typo").replace("seLinux:", "privilegd: true\n  seLinux:")),
        ("p/z-same.yaml", &SMALL.replace("seLinux:", "hostPID: true\n  seLinux:")),
        ("old.yaml", "# made by psp2falco\n"),
    ]);
    let errors = run_in(temp.path(), &["convert", "p", "-o", "old.yaml"], "").failed();
    let expected = [
        "p/ranges.yaml:8:39: spec.fsGroup.ranges[0]: min 20 is greater than max 10",
        "p/typo.yaml:5:3: spec.privilegd: unknown field \"privilegd\"; did you mean privileged?",
        "p/z-same.yaml:3:18: metadata.name: the policy \"small\" is defined at p/fine.yaml:3:18 too, with other \
         hostPID; convert one environment at a time (psp2falco convert p/z-same.yaml), or leave one out (--exclude z-same.yaml)",
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fs::read_to_string(temp.path().join("old.yaml")).unwrap(), "# made by psp2falco\n");
}

#[test]
fn places_of_standard_input_name_it() {
    let errors = run_in(root(), &["convert", "-"], "kind: PodSecurityPolicy\nspec: {}\n").failed();
    assert!(errors.starts_with("stdin:1:1: metadata.name: missing; "), "{errors}");
}

#[test]
fn input_without_a_policy_is_an_error_that_says_what_was_there() {
    let temp = folder(&[
        ("empty/.keep", ""),
        (
            "others/a.yaml",
            "kind: ConfigMap\napiVersion: v1\n---\nkind: Service\napiVersion: v1\n---\nkind: Service\n",
        ),
        ("others/readme.txt", "hello"),
    ]);
    let errors = |path: &str| run_in(temp.path(), &["convert", path], "").failed();
    assert!(errors("empty").starts_with("empty: no PodSecurityPolicy here; found "), "{}", errors("empty"));
    let others = errors("others");
    assert!(
        others.starts_with(
            "others: no PodSecurityPolicy here; found 1 ConfigMap, 2 Service, 1 file that is no manifest"
        ),
        "{others}"
    );
    assert_eq!(errors("absent"), "absent: no such file or folder; check the path\n");
    assert_eq!(run(&["convert"]).code, Some(2), "a path is required");
}

#[test]
fn other_kinds_are_counted_and_passed_over() {
    let text = format!("{SMALL}---\napiVersion: v1\nkind: ConfigMap\n");
    let run = run_in(root(), &["convert", "-"], &text);
    assert!(run.err.contains("\npassed over: 1 ConfigMap\n"), "{}", run.err);
    run.done();
}

#[test]
fn strict_refuses_what_the_api_server_would_have_refused() {
    let text = SMALL.replace("  fsGroup: {rule: RunAsAny}\n", "");
    let lenient = run_in(root(), &["convert", "-"], &text);
    assert!(lenient.err.starts_with("warning: stdin:5:3: spec.fsGroup"), "{}", lenient.err);
    lenient.done();
    let errors = run_in(root(), &["convert", "--strict", "-"], &text).failed();
    assert!(errors.starts_with("stdin:5:3: spec.fsGroup"), "{errors}");
}

/// The condition of the macro `name` in `rules`.
fn condition<'a>(rules: &'a str, name: &str) -> &'a str {
    let start = format!("- macro: {name}\n  condition: ");
    let (_, rest) = rules.split_once(&start).unwrap_or_else(|| panic!("no macro {name}"));
    rest.split("\n\n").next().unwrap()
}

#[test]
fn namespaces_narrow_every_policy() {
    let rules = run(&["convert", RESTRICTED, BASELINE, "--namespace", "web", "--namespace", "shop"]).done();
    for policy in ["psp_restricted", "psp_baseline"] {
        let scope = condition(&rules, policy);
        assert!(scope.contains("and jevt.value[/objectRef/namespace] in ("), "{scope}");
        assert!(scope.contains("web") && scope.contains("shop"), "{scope}");
    }
    let rules = run(&["convert", RESTRICTED, "--exclude-namespace", "kube-system"]).done();
    assert!(condition(&rules, "psp_restricted").contains("and not jevt.value[/objectRef/namespace] in ("));
    assert!(condition(&rules, "psp_restricted").contains("kube-system"));
}

#[test]
fn annotations_narrow_their_policy() {
    let annotated = SMALL.replace(
        "{name: small}",
        "{name: small, annotations: {falco-rules-psp-images: '[example/web, example/db]', falco-rules-psp-namespaces: 'web,shop'}}",
    );
    let text = format!("{annotated}---\n{}", SMALL.replace("small", "other"));
    let rules = run_in(root(), &["convert", "-"], &text).done();
    let scope = condition(&rules, "psp_small");
    for word in ["jevt.value[/objectRef/namespace] in (", "shop", "image", "example/db"] {
        assert!(scope.contains(word), "{word}: {scope}");
    }
    assert!(!condition(&rules, "psp_other").contains("shop"));
}

#[test]
fn a_hostile_namespace_stays_a_value() {
    let name = "x\") or (jevt.rawtime exists) or ka.verb in (\"";
    let run = run(&["convert", RESTRICTED, "--namespace", name]);
    if run.code == Some(0) {
        let plain = self::run(&["convert", RESTRICTED, "--namespace", "x"]).done();
        assert_eq!(run.out.lines().count(), plain.lines().count());
        assert!(!condition(&run.out, "psp_restricted").contains("(\"x\")"));
    } else {
        run.failed();
    }
}

#[test]
fn the_request_may_be_judged_instead() {
    let run = run(&["convert", RESTRICTED, "--audit-object", "request"]);
    assert!(!run.err.contains("16 exact"), "{}", run.err);
    assert!(run.err.contains(" approximate"), "{}", run.err);
    let rules = run.done();
    assert!(rules.contains("/requestObject/spec") && !rules.contains("jevt.value[/responseObject/spec]"));
    let table = self::run(&["explain", RESTRICTED, "--audit-object", "request"]).done();
    assert!(table.contains("approximate"), "{table}");
}

#[test]
fn the_number_of_containers_to_address_is_the_user_s() {
    let few = run(&["convert", RESTRICTED, "--max-containers", "3"]).done();
    let many = run(&["convert", RESTRICTED, "--max-containers", "30"]).done();
    assert!(few.len() < many.len());
    assert_eq!(run(&["convert", RESTRICTED, "--max-containers", "0"]).code, Some(2));
    assert_eq!(run(&["convert", RESTRICTED, "--max-containers", "many"]).code, Some(2));
}

/// The text of a built-in template.
fn template(name: &str) -> String {
    fs::read_to_string(root().join(format!("templates/audit/{name}.yaml.hbs"))).unwrap()
}

#[test]
fn a_runtime_template_may_be_overridden() {
    let text = fs::read_to_string(root().join("templates/runtime/hostPID.yaml.hbs")).unwrap();
    let temp = folder(&[
        ("psp.yaml", SMALL),
        ("t/runtime/hostPID.yaml.hbs", &text.replace("CRITICAL", "EMERGENCY")),
        ("u/runtime/hostPid.yaml.hbs", ""),
    ]);
    let convert = |folder| ["convert", "psp.yaml", "--layer", "runtime", "--templates", folder];
    let rules = run_in(temp.path(), &convert("t"), "").done();
    assert_eq!(rules.matches("priority: EMERGENCY").count(), 1);
    let errors = run_in(temp.path(), &convert("u"), "").failed();
    assert!(errors.contains("name it after a field, as in templates/runtime"), "{errors}");
}

#[test]
fn a_template_may_be_overridden() {
    let changed = template("hostPID").replace("CRITICAL", "EMERGENCY");
    let temp = folder(&[("psp.yaml", SMALL), ("t/audit/hostPID.yaml.hbs", &changed)]);
    let rules = run_in(temp.path(), &["convert", "psp.yaml", "--templates", "t"], "").done();
    assert_eq!(rules.matches("priority: EMERGENCY").count(), 1);
    let (_, rule) = rules.split_once("- rule: PSP small Violation (hostPID)\n").unwrap();
    assert!(rule.split("\n\n").next().unwrap().contains("priority: EMERGENCY"), "{rule}");
}

#[test]
fn a_bad_template_is_reported_with_its_place() {
    for (name, text, place) in [
        // Handlebars does not take it
        ("hostPID", "{{#if refuses}}\nnever closed\n".to_owned(), "t/audit/hostPID.yaml.hbs:"),
        // a value that does not exist
        ("hostPID", format!("\n{{{{no_such_value}}}}\n{}", template("hostPID")), "hostPID.yaml.hbs:2:"),
        // a rule that Falco does not load
        ("hostPID", template("hostPID").replace("psps_host_pid", "no_such_macro"), "no_such_macro"),
        ("hostPID", template("hostPID").replace("CRITICAL", "critical-ish"), "critical-ish"),
    ] {
        let file = format!("t/audit/{name}.yaml.hbs");
        let temp = folder(&[("psp.yaml", SMALL), (&file, &text)]);
        let errors =
            run_in(temp.path(), &["convert", "psp.yaml", "--templates", "t", "-o", "r.yaml"], "").failed();
        assert!(errors.contains(place), "{place}: {errors}");
        assert!(!temp.path().join("r.yaml").exists());
    }
}

#[test]
fn a_template_that_replaces_nothing_is_refused() {
    let temp = folder(&[("psp.yaml", SMALL), ("t/audit/hostPid.yaml.hbs", ""), ("empty/x", "")]);
    let errors = run_in(temp.path(), &["convert", "psp.yaml", "--templates", "t"], "").failed();
    assert!(errors.contains("t/audit/hostPid.yaml.hbs: replaces no template"), "{errors}");
    let errors = run_in(temp.path(), &["convert", "psp.yaml", "--templates", "empty"], "").failed();
    assert!(errors.contains("where template overrides lie"), "{errors}");
}

#[test]
fn an_unknown_word_gets_the_usage() {
    let run = run(&["convret"]);
    assert!(run.err.contains("convert"), "{}", run.err);
    run.failed();
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
        .args(["convert", "fixtures/psp"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn reports_go_beside_the_rules_or_where_they_are_sent() {
    let temp = folder(&[("psp.yaml", SMALL)]);
    let args =
        ["convert", "psp.yaml", "-o", "out/", "--report", "json", "--report", "html", "--report", "github"];
    let made = run_in(temp.path(), &args, "");
    assert!(made.err.contains("::notice file=psp.yaml,line=1,col=1,"), "{}", made.err);
    made.done();
    let first = names(temp.path());
    let rules = [
        "out/psp_audit_rules.yaml",
        "out/psp_report.html",
        "out/psp_report.json",
        "out/psp_runtime_rules.yaml",
    ];
    assert_eq!(first, [&rules[..], &["psp.yaml"]].concat());
    let bytes = |name: &str| fs::read(temp.path().join(name)).unwrap();
    let before = [bytes("out/psp_report.html"), bytes("out/psp_report.json")];
    let again = run_in(temp.path(), &args, "");
    assert!(again.err.contains("changes: no change\n"), "{}", again.err);
    assert_eq!(before, [bytes("out/psp_report.html"), bytes("out/psp_report.json")]);

    let text = run_in(
        temp.path(),
        &["convert", "psp.yaml", "-o", "r.yaml", "--report", "text", "--report-file", "-"],
        "",
    );
    assert!(text.done().starts_with("What becomes of 1 PodSecurityPolicy, made by psp2falco "));
    let both = ["convert", "psp.yaml", "--report", "text", "--report-file", "-"];
    assert!(
        run_in(temp.path(), &both, "")
            .failed()
            .starts_with("--report-file -: the rules go to standard output")
    );
    for output in [&[][..], &["-o", "-"], &["-o", "/dev/stdout"]] {
        let args = [&["convert", "psp.yaml", "--report", "json"], output].concat();
        let refused = run_in(temp.path(), &args, "").failed();
        assert!(refused.starts_with("--report json: would stand among the messages; "), "{refused}");
    }
    let file = run_in(
        temp.path(),
        &["convert", "psp.yaml", "--report", "markdown", "--report-file", "notes.md"],
        "",
    );
    assert!(file.done().contains("- rule: PSP small Violation (privileged)"));
    assert!(names(temp.path()).contains(&"notes.md".to_owned()));
}

#[test]
fn a_report_never_replaces_another_s_file() {
    let temp = folder(&[("psp.yaml", SMALL), ("out/psp_report.md", "mine\n"), ("out/keep", "")]);
    let errors =
        run_in(temp.path(), &["convert", "psp.yaml", "-o", "out/", "--report", "markdown"], "").failed();
    assert!(errors.starts_with("out/psp_report.md: was not written by psp2falco"), "{errors}");
    assert!(!temp.path().join("out/psp_audit_rules.yaml").exists(), "nothing was written");
    run_in(temp.path(), &["convert", "psp.yaml", "-o", "out/", "--report", "markdown", "--force"], "").done();
}

#[test]
fn what_changes_is_told() {
    let temp = folder(&[
        ("psp.yaml", SMALL),
        (
            "tuning.yaml",
            "- rule: PSP small Violation (hostPID)\n  priority: NOTICE\n  override: {priority: replace}\n",
        ),
    ]);
    let convert = |args: &[&str]| {
        let all: Vec<&str> =
            ["convert", "psp.yaml", "-o", "rules.yaml"].iter().chain(args).copied().collect();
        let run = run_in(temp.path(), &all, "");
        let errors = run.err.clone();
        run.done();
        errors
    };
    assert!(!convert(&[]).contains("changes:"), "there was nothing before");
    let changed = SMALL.replace("spec:\n", "spec:\n  hostPID: true\n  hostPorts: [{min: 80, max: 90}]\n");
    fs::write(temp.path().join("psp.yaml"), &changed).unwrap();
    let told = convert(&["--diff", "--tuning", "tuning.yaml", "--report", "json", "--color", "never"]);
    for line in [
        "  ~ policy small\n",
        "  - rule PSP small Violation (hostPID)\n",
        "  ~ rule PSP small Violation (hostPorts): matches fewer",
        "  ! tuning.yaml:1:3: rule 'PSP small Violation (hostPID)' changes what the new rules do not define: it is gone; remove this item\n",
        "\n--- rules.yaml\n+++ rules.yaml (new)\n@@ ",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains('\x1b'));
    let report = fs::read_to_string(temp.path().join("psp_report.json")).unwrap();
    assert!(report.contains("\"changes\": {"));

    fs::write(temp.path().join("psp.yaml"), changed.replace("max: 90", "max: 8090")).unwrap();
    let told = convert(&["--diff", "--color", "always"]);
    assert!(told.contains("matches fewer") && told.contains("\x1b[31m-"), "{told}");
    let told = convert(&["--tuning", "tuning.yaml"]);
    assert!(told.contains("changes: no change\nwarning: tuning.yaml:1:3: rule "), "{told}");
    assert!(run(&["convert", RESTRICTED, "--diff"]).failed().contains("--output"));
    assert!(
        run(&["convert", RESTRICTED, "--diff", "-o", "-"])
            .failed()
            .starts_with("--diff: compares with a file")
    );
}

const LOG: &str = "fixtures/audit/audit.log.gz";
const TYPOS: &str = "fixtures/lint/typos.yaml";

/// An audit event that creates a pod, as one line.
fn created(pod: &str, minute: u32) -> String {
    format!(
        r#"{{"kind":"Event","auditID":"1","stage":"ResponseComplete","verb":"create","user":{{"username":"ann"}},"objectRef":{{"resource":"pods","namespace":"web","name":"{pod}"}},"stageTimestamp":"2026-11-23T02:{minute:02}:00Z"}}"#
    )
}

/// A rule that alerts on every pod.
const EVERY_POD: &str = "- rule: Pod created
  desc: d
  condition: ka.verb=create and ka.target.resource=pods
  output: pod %ka.target.name
  priority: NOTICE
  source: k8s_audit
";

/// The rows of a replay's table: its words, without the head.
fn rows(table: &str) -> Vec<Vec<String>> {
    table.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn replay_takes_policies_and_rules_and_keeps_their_order() {
    let by_policy = run(&["replay", RESTRICTED, "--audit-log", LOG]).done();
    let converted = run(&["convert", RESTRICTED]).done();
    let temp = folder(&[
        ("rules.yaml", &converted),
        ("policies/psp.yaml", &fs::read_to_string(root().join(RESTRICTED)).unwrap()),
    ]);
    fs::copy(root().join(LOG), temp.path().join("audit.log.gz")).unwrap();
    let by_rules =
        run_in(temp.path(), &["replay", "--audit-log", "audit.log.gz", "--rules", "rules.yaml"], "");
    assert_eq!(by_rules.done(), by_policy);
    // a folder behind the log is no log
    let behind = run_in(temp.path(), &["replay", "--audit-log", "audit.log.gz", "policies"], "");
    assert_eq!(behind.done(), by_policy);
    // rules files come on top of the policies' rules
    let tuned =
        run(&["replay", RESTRICTED, "--audit-log", LOG, "--rules", "fixtures/tuning/psp_tuning.yaml"]);
    assert!(tuned.err.contains("passed over 1 rule that is switched off"), "{}", tuned.err);
    assert!(tuned.done().contains("Notice    PSP restricted Violation (volumes)"));
    // the options that make rules count
    let none = run(&["replay", RESTRICTED, "--audit-log", LOG, "--exclude-namespace", "corpus-a"]);
    assert!(none.err.contains("0 alerts by 22 rules on "), "{}", none.err);
    assert_eq!(none.done(), "");
}

#[test]
fn replay_writes_alerts_as_falco_does() {
    let args = ["replay", RESTRICTED, "--audit-log", LOG, "--format", "json"];
    let all = run(&args).done();
    let alerts: Vec<serde_json::Value> =
        all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times: Vec<&str> = alerts.iter().map(|a| a["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted());
    let first = &alerts[0];
    assert_eq!(first["rule"], "PSP restricted Violation (allowedCapabilities)");
    assert_eq!(first["priority"], "Critical");
    assert_eq!(first["source"], "k8s_audit");
    assert_eq!(first["time"], "2026-11-23T03:13:42.697658000Z");
    assert_eq!(first["output_fields"]["ka.user.name"], "admin");
    assert!(first["output"].as_str().unwrap().starts_with(
        "03:13:42.697658000: Critical Added capability that PSP restricted does not allow (add="
    ));
    assert!(first["tags"].as_array().unwrap().contains(&"psp_field_allowedCapabilities".into()));
    // Falco's default: one alert an event, that of the first rule
    let one = run(&[&args[..], &["--rule-matching", "first"]].concat()).done();
    let pod = |alert: &serde_json::Value| alert["output_fields"]["ka.resp.name"].clone();
    let mut firsts = alerts.clone();
    firsts.dedup_by_key(|alert| pod(alert));
    let ones: Vec<serde_json::Value> = one.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ones, firsts);
    // however many threads
    for threads in ["1", "2", "7"] {
        assert_eq!(run(&[&args[..], &["--threads", threads]].concat()).done(), all);
    }
}

#[test]
fn replay_reads_logs_of_every_shape() {
    let pods = |names: &[&str]| names.iter().map(|name| created(name, 1) + "\n").collect::<String>();
    let list = format!(
        "{{\n  \"kind\": \"EventList\",\n  \"items\": [\n{},\n{}\n]}}\n",
        created("list-0", 2),
        created("list-1", 2)
    );
    let array = format!("[\n  {},\n  {}\n]\n", created("array-0", 3), created("array-1", 3));
    let temp = folder(&[
        ("rules.yaml", EVERY_POD),
        ("plain.log", &pods(&["a", "b"])),
        ("no-end.log", created("c", 1).as_str()),
        ("list.json", &list),
        ("array.json", &array),
        ("one-line.json", &format!("[{},{}]", created("d", 4), created("e", 4))),
        ("empty.log", ""),
    ]);
    let mut members = gzipped(&pods(&["g-0"]));
    members.extend(gzipped(&pods(&["g-1"])));
    fs::write(temp.path().join("members.log.gz"), members).unwrap();
    let names = [
        "plain.log",
        "no-end.log",
        "-",
        "empty.log",
        "members.log.gz",
        "list.json",
        "array.json",
        "one-line.json",
    ];
    let mut args = vec!["replay", "--rules", "rules.yaml", "--format", "json", "--audit-log"];
    args.extend(names);
    let run = run_in(temp.path(), &args, &pods(&["stdin"]));
    assert_eq!(run.err, "12 alerts by 1 rule on 12 events of 8 logs, in the order given\n");
    let outputs: Vec<String> = run
        .done()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["output_fields"]["ka.target.name"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        outputs,
        ["a", "b", "c", "stdin", "g-0", "g-1", "list-0", "list-1", "array-0", "array-1", "d", "e"]
    );
}

#[test]
fn replay_tells_what_it_could_not_read_and_goes_on() {
    let whole = created("a", 1);
    let no_time = whole.replace("stageTimestamp", "stamp");
    let torn = &whole[..whole.len() - 20];
    let log = format!("{whole}\n{torn}\n\n{no_time}\n{{\"kind\":\"Pod\"}}\n{whole}\nx\ny\nz\n{torn}");
    let temp = folder(&[("rules.yaml", EVERY_POD), ("audit.log", &log)]);
    let args = ["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"];
    let run = run_in(temp.path(), &args, "");
    let lines: Vec<&str> = run.err.lines().collect();
    assert!(
        lines[0].starts_with("audit.log:2: no valid JSON: missing closing quote at column "),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1..],
        [
            "audit.log:4: the event has no stageTimestamp; Falco drops it too",
            "audit.log:5: JSON, but no audit event",
            "audit.log:7: no valid JSON: unexpected character at column 1",
            "audit.log:8: no valid JSON: unexpected character at column 1",
            "and 2 more like these",
            "2 alerts by 1 rule on 2 events; 6 of 9 lines not readable; 1 event that Falco drops",
        ]
    );
    let expected = "Notice Pod created 2 a 2026-11-23T02:01:00Z 2026-11-23T02:01:00Z web ann";
    assert_eq!(rows(&run.done()), [expected.split(' ').collect::<Vec<_>>()]);

    // a gzip'd log that breaks off counts as far as it goes
    let many: String =
        (0..2000).map(|n| created(&format!("pod-{n}-{:x}", n * 7919 % 1013), 1) + "\n").collect();
    let packed = gzipped(&many);
    fs::write(temp.path().join("cut.log.gz"), &packed[..packed.len() / 2]).unwrap();
    let run = run_in(temp.path(), &["replay", "--rules", "rules.yaml", "--audit-log", "cut.log.gz"], "");
    assert_eq!(run.code, Some(0), "{}", run.err);
    let told: Vec<&str> = run.err.lines().collect();
    assert!(told[0].ends_with(": the compressed log breaks off here"), "{}", told[0]);
    let line: usize = told[0].split(':').nth(1).unwrap().parse().unwrap();
    let alerts: usize = told[1].split(' ').next().unwrap().parse().unwrap();
    assert!(alerts > 100 && alerts == line - 1, "{}", run.err);
}

#[test]
fn replay_judges_long_lines_and_says_what_falco_would_drop() {
    let long =
        created("big", 1).replace("\"verb\"", &format!("\"pad\":\"{}\",\"verb\"", "x".repeat(10 << 20)));
    let log = format!("{}\n{long}\n{}\n", created("a", 1), created("b", 1));
    let temp = folder(&[("rules.yaml", EVERY_POD), ("audit.log", &log)]);
    let run = run_in(temp.path(), &["replay", "--rules", "rules.yaml", "--audit-log", "audit.log"], "");
    assert!(
        run.err.contains("1 event above 256 KiB: judged here, but Falco's k8saudit plugin drops"),
        "{}",
        run.err
    );
    assert_eq!(rows(&run.done())[0][3], "3");
}

#[test]
fn replay_says_when_logs_come_in_the_wrong_order() {
    let temp = folder(&[
        ("rules.yaml", EVERY_POD),
        ("audit.log", &created("late", 9)),
        ("audit.log.1", &created("early", 1)),
    ]);
    let args = ["replay", "--rules", "rules.yaml", "--audit-log", "audit.log", "audit.log.1"];
    let run = run_in(temp.path(), &args, "");
    assert!(
        run.err.starts_with("warning: audit.log.1: starts earlier than audit.log, which was given before it; give the oldest first"),
        "{}",
        run.err
    );
    run.done();
}

#[test]
fn replay_passes_over_rules_for_other_events() {
    let syscall = "- rule: Shell\n  desc: d\n  condition: evt.type=execve and proc.name=sh\n  output: o\n  priority: NOTICE\n";
    let temp = folder(&[
        ("both.yaml", &format!("{EVERY_POD}\n{syscall}")),
        ("syscall.yaml", syscall),
        ("audit.log", &created("a", 1)),
    ]);
    let both = run_in(temp.path(), &["replay", "--rules", "both.yaml", "--audit-log", "audit.log"], "");
    assert_eq!(
        both.err,
        "passed over 1 rule for other events than audit events\n1 alert by 1 rule on 1 event\n"
    );
    let none = run_in(temp.path(), &["replay", "--rules", "syscall.yaml", "--audit-log", "audit.log"], "");
    assert!(none.failed().ends_with("replay: no rule for audit events that could be replayed; name policies, or other files with --rules\n"));
}

#[test]
fn replay_fails_where_an_answer_would_mislead() {
    let temp = folder(&[
        ("rules.yaml", EVERY_POD),
        ("audit.log", &created("a", 1)),
        ("other.log", "a\nb\n"),
        ("logs/x", ""),
        ("a.zst", "\u{28}"),
        ("broken.yaml", &EVERY_POD.replace("ka.verb", "ka.vreb")),
    ]);
    fs::write(temp.path().join("a.zst"), b"\x28\xb5\x2f\xfd....").unwrap();
    let failed = |args: &[&str]| run_in(temp.path(), &[&["replay"], args].concat(), "").failed();
    assert_eq!(
        failed(&["--audit-log", "audit.log"]),
        "replay: no rules; name policies, or rules files with --rules\n"
    );
    let missing = failed(&["--rules", "rules.yaml", "--audit-log", "none.log", "gone.log"]);
    assert!(missing.starts_with("none.log: ") && missing.contains("\ngone.log: "), "{missing}");
    assert!(
        failed(&["--rules", "rules.yaml", "--audit-log", "logs"])
            .starts_with("logs: cannot be read: this is a folder; name the logs in it")
    );
    assert!(
        failed(&["--rules", "rules.yaml", "--audit-log", "a.zst"])
            .starts_with("a.zst: cannot be read: compressed with zstd; pipe it in: zstd -dc a.zst | ")
    );
    let nothing = failed(&["--rules", "rules.yaml", "--audit-log", "other.log"]);
    assert!(
        nothing.ends_with(
            "other.log: no audit event here, so nothing was judged; name a log that the API server wrote\n"
        ),
        "{nothing}"
    );
    let broken = failed(&["--rules", "broken.yaml", "--audit-log", "audit.log"]);
    assert_eq!(
        broken,
        "broken.yaml:3:14: error: LOAD_ERR_COMPILE_CONDITION: rule 'Pod created': filter_check called with nonexistent field ka.vreb (did you mean ka.verb?)\n"
    );
    assert_eq!(
        failed(&["--rules", "-", "--audit-log", "-"]),
        "-: standard input can be read only once; put the rest into files\n"
    );
}

#[test]
fn replay_ends_with_1_only_when_asked_to() {
    let args = ["replay", RESTRICTED, "--audit-log", LOG];
    assert_eq!(run(&args).code, Some(0));
    assert_eq!(run(&[&args[..], &["--fail-on-alerts"]].concat()).code, Some(1));
    let silent = [&args[..], &["--fail-on-alerts", "--exclude-namespace", "corpus-a"]].concat();
    assert_eq!(run(&silent).code, Some(0));
}

#[test]
fn lint_shows_places_and_ends_with_1() {
    let typos = run(&["lint", TYPOS]);
    assert_eq!(typos.code, Some(1));
    assert!(
        check(&root().join("fixtures/expected/help/lint-typos.txt"), &typos.out)
            .map_err(|e| panic!("{e}"))
            .is_ok()
    );
    assert_eq!(typos.err, "Falco 0.44.1 does not load this: 2 errors, 1 warning\n");
    let json: serde_json::Value =
        serde_json::from_str(&run(&["lint", "--format", "json", TYPOS]).out).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let places: Vec<_> =
        findings.iter().map(|f| (f["line"].as_u64().unwrap(), f["severity"].as_str().unwrap())).collect();
    assert_eq!(places, [(6, "error"), (7, "error"), (8, "warning")]);
    assert_eq!(findings[0]["file"], TYPOS);
    assert_eq!(findings[0]["code"], "LOAD_ERR_VALIDATE");
}

#[test]
fn lint_loads_several_files_in_order() {
    let rules = run(&["convert", RESTRICTED]).done();
    let temp = folder(&[("rules.yaml", &rules)]);
    let tuning = root().join("fixtures/tuning/psp_tuning.yaml");
    let tuning = tuning.to_str().unwrap();
    let fine = run_in(temp.path(), &["lint", "rules.yaml", tuning], "");
    assert_eq!(fine.err, "Falco 0.44.1 loads these 2 files without a warning\n");
    assert_eq!(fine.done(), "");
    assert_eq!(run_in(temp.path(), &["lint", tuning, "rules.yaml"], "").code, Some(1));
    assert_eq!(run_in(temp.path(), &["lint", "-"], &rules).code, Some(0));
    let gone = run_in(temp.path(), &["lint", "rules.yaml", "none.yaml", "gone.yaml"], "").failed();
    assert!(gone.starts_with("none.yaml: ") && gone.contains("\ngone.yaml: "), "{gone}");
}

/// A folder is loaded as Falco loads one of its `rules_files`: the YAML files in the order of their names, none below.
#[test]
fn lint_loads_folders_as_falco_does() {
    let list = "- list: people\n  items: [ann]\n";
    let rule = EVERY_POD.replace("condition: ka", "condition: ka.user.name in (people) and ka");
    let temp = folder(&[
        ("rules.d/20-rules.yml", &format!("{list}{rule}")),
        ("rules.d/30-more.yaml", "- list: people\n  items: [bob]\n  override: {items: append}\n"),
        ("rules.d/.hidden.yaml", "- macro: never\n  condition: gone\n"),
        ("rules.d/README.md", "not rules"),
        ("rules.d/40-old.yaml.bak", "not rules"),
        ("rules.d/below/broken.yaml", "not rules"),
        ("later/a.yaml", "- rule: Pod created\n  enabled: false\n  override: {enabled: replace}\n"),
        ("empty/README.md", "not rules"),
    ]);
    // what is left out is not read, and a pattern that leaves nothing out is told
    let excluding = ["lint", "rules.d", "--exclude", ".hidden.yaml", "--exclude", "*.json"];
    let excluded = run_in(temp.path(), &excluding, "");
    assert_eq!(
        excluded.err,
        "warning: --exclude: \"*.json\" leaves nothing out; patterns are relative to the folder that is read\n\
         Falco 0.44.1 loads these 2 files without a warning\n"
    );
    // a name that begins with a dot is a name like any other to Falco, and comes first
    let hidden = run_in(temp.path(), &["lint", "rules.d"], "");
    assert_eq!(hidden.code, Some(1));
    assert!(hidden.out.starts_with("rules.d/.hidden.yaml:2:14: error: "), "{}", hidden.out);
    fs::remove_file(temp.path().join("rules.d/.hidden.yaml")).unwrap();

    let fine = run_in(temp.path(), &["lint", "rules.d", "later"], "");
    assert_eq!(fine.err, "Falco 0.44.1 loads these 3 files without a warning\n");
    assert_eq!(fine.done(), "");
    let json: serde_json::Value =
        serde_json::from_str(&run_in(temp.path(), &["lint", "rules.d", "--format", "json"], "").done())
            .unwrap();
    let files = ["rules.d/20-rules.yml", "rules.d/30-more.yaml"];
    assert_eq!(json["files"], serde_json::json!(files));
    // what overrides must come after what it overrides
    assert_eq!(run_in(temp.path(), &["lint", "later", "rules.d"], "").code, Some(1));
    let log = created("web", 1);
    let replayed = ["replay", "--audit-log", "-", "--rules", "rules.d", "--format", "json"];
    assert_eq!(run_in(temp.path(), &replayed, &log).done().lines().count(), 1);

    let empty = run_in(temp.path(), &["lint", "empty", "gone"], "").failed();
    assert_eq!(
        empty,
        "empty: holds no *.yaml and no *.yml file; name a folder of rules\n\
         gone: no such file or folder; check the path\n"
    );
    let named = run_in(temp.path(), &["lint", "rules.d/20-rules.yml", "rules.d/40-old.yaml.bak"], "");
    assert!(
        named
            .err
            .starts_with("note: rules.d/40-old.yaml.bak: Falco loads no file of this name; let it end in"),
        "{}",
        named.err
    );
}

#[test]
fn lint_says_what_it_does_not_check() {
    let plugin = "- required_plugin_versions:\n  - {name: cloudtrail, version: 0.2.3}\n- macro: unused\n  condition: ct.name=x\n- rule: Console login\n  desc: d\n  condition: ct.name=ConsoleLogin\n  output: o\n  priority: NOTICE\n  source: aws_cloudtrail\n";
    let foreign = run_in(root(), &["lint", "-"], plugin);
    assert_eq!(
        foreign.err,
        "note: stdin:2:5: nothing is known here of the plugin cloudtrail; rules that need it are not checked against it\n\
         note: stdin: whether macros and lists are used is not checked\n\
         note: stdin: rules of a source that is not known here are not checked\n\
         nothing wrong in what was checked\n"
    );
    assert_eq!(foreign.done(), "");
    // without the requirement the same is a fault, as in Falco
    let (_, without) = plugin.split_once("0.2.3}\n").unwrap();
    assert_eq!(run_in(root(), &["lint", "-"], without).code, Some(1));
    // what syscall rules use
    let syscall = "- rule: Open\n  desc: d\n  condition: evt.type=open and evt.arg.flags contains O_CREAT and proc.aname[2]=sh\n  output: o %evt.arg.flags %proc.pname\n  priority: NOTICE\n";
    assert_eq!(run_in(root(), &["lint", "-"], syscall).code, Some(0));
    for wrong in ["evt.arg[flags]", "evt.args.x", "thread.cgroup[cpu]", "evt.rawarg[0]"] {
        assert_eq!(
            run_in(root(), &["lint", "-"], &syscall.replace("evt.arg.flags contains", &format!("{wrong} =")))
                .code,
            Some(1),
            "{wrong}"
        );
    }
}
