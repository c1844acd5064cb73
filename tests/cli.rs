//! The command line, as users type it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod snapshot;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use snapshot::{check, report, root};
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
    snapshot::files(folder).iter().map(|path| path.display().to_string()).collect()
}

#[test]
fn help_stays_as_it_is() {
    let cases = [
        (vec!["--help"], "psp2falco"),
        (vec!["convert", "--help"], "convert"),
        (vec!["explain", "--help"], "explain"),
        (vec!["generate", "--help"], "generate"),
        (vec!["krm", "--help"], "krm"),
        (vec!["completions", "--help"], "completions"),
        (vec!["man", "--help"], "man"),
    ];
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
    let table = run(&["explain", "fixtures/psp/policies/every-field.yaml"]).done();
    let problems: Vec<String> = check(&root().join("fixtures/expected/help/explain-every-field.txt"), &table)
        .err()
        .into_iter()
        .collect();
    report(&problems, "cli");
    for field in psp2falco::psp::Field::ALL {
        let rows = table.lines().filter(|line| line.split_whitespace().next() == Some(field.name())).count();
        assert_eq!(rows, 1, "{field}");
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
    ] {
        let run = run_in(temp.path(), &["convert", "psp.yaml", "-o", output], "");
        assert!(run.err.contains(&format!("wrote {file}\n")), "{}", run.err);
        assert_eq!(run.done(), "", "{output}");
        assert_eq!(fs::read_to_string(temp.path().join(file)).unwrap(), expected, "{output}");
    }
    assert_eq!(
        names(temp.path()),
        [
            "fresh/psp_audit_rules.yaml",
            "new/deep/rules.yml",
            "psp.yaml",
            "rules.yaml",
            "there/keep.txt",
            "there/psp_audit_rules.yaml"
        ]
    );
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
        ("p/z-same.yaml", SMALL),
        ("old.yaml", "# made by psp2falco\n"),
    ]);
    let errors = run_in(temp.path(), &["convert", "p", "-o", "old.yaml"], "").failed();
    let expected = [
        "p/ranges.yaml:8:39: spec.fsGroup.ranges[0]: min 20 is greater than max 10",
        "p/typo.yaml:5:3: spec.privilegd: unknown field \"privilegd\"; did you mean privileged?",
        "p/z-same.yaml:3:18: metadata.name: the policy \"small\" is already defined at p/fine.yaml:3:18; remove one of the two",
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
    assert_eq!(fs::read_to_string(temp.path().join("old.yaml")).unwrap(), "# made by psp2falco\n");
}

#[test]
fn places_of_standard_input_name_it() {
    let errors = run_in(root(), &["convert", "-"], "kind: PodSecurityPolicy\nmetadata: {name: x}\n").failed();
    assert!(errors.starts_with("stdin:1:1: apiVersion: missing; "), "{errors}");
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
        others
            .starts_with("others: no PodSecurityPolicy here; found 1 ConfigMap, 2 Service, 1 not manifests"),
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
        assert!(scope.contains("and ka.target.namespace in ("), "{scope}");
        assert!(scope.contains("web") && scope.contains("shop"), "{scope}");
    }
    let rules = run(&["convert", RESTRICTED, "--exclude-namespace", "kube-system"]).done();
    assert!(condition(&rules, "psp_restricted").contains("and not ka.target.namespace in ("));
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
    for word in ["ka.target.namespace in (", "shop", "image", "example/db"] {
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
    assert!(errors.contains("template overrides lie in audit/"), "{errors}");
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
