//! The README tells the truth: its commands are run, its outputs, tables and examples compared.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it readme::` writes them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use crate::snapshot::{check, root};
use falco_rules::{Event, RuleSet, Source, load};
use psp_admission::Field;
use psp2falco::read;
use psp2falco::render;
use psp2falco::report;
use psp2falco::restrictions;
use serde_json::json;

const TUNING: &str = "fixtures/tuning/psp_tuning.yaml";
const EVERY_FIELD: &str = "fixtures/psp/policies/every-field.yaml";
const RESTRICTED: &str = "fixtures/psp/policies/kubernetes-restricted.yaml";

#[test]
fn the_readme_is_up_to_date() {
    let path = root().join("README.md");
    let mut text = fs::read_to_string(&path).unwrap();
    let tuning = fs::read_to_string(root().join(TUNING)).unwrap();
    text = between(&text, "tuning", &format!("```yaml\n{tuning}```\n"));
    text = between(&text, "coverage", &coverage());
    text = between(&text, "runtime", &runtime());
    text = between(&text, "limits", &limits());
    text = between(&text, "sizes", &sizes());
    #[cfg(unix)]
    {
        text = with_outputs(&text);
    }
    crate::snapshot::report(&check(&path, &text).err().into_iter().collect::<Vec<_>>(), "readme");
}

/// `text` with what stands between two markers replaced.
fn between(text: &str, marker: &str, new: &str) -> String {
    let (open, close) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->\n"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("README.md: no {open}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("README.md: no {close}"));
    format!("{before}{open}{new}{close}{after}")
}

/// The limits that the program refuses to go beyond.
fn limits() -> String {
    let mut table = String::from("| what | at most |\n| --- | --: |\n");
    let mut row = |what: &str, most: String| table.push_str(&format!("| {what} | {most} |\n"));
    row("one text", format!("{} MiB", read::MAX_TEXT >> 20));
    row("what an archive unpacks to", format!("{} GiB", read::MAX_ARCHIVE >> 30));
    row("files in an archive", read::MAX_MEMBERS.to_string());
    row("values in one document", read::MAX_NODES.to_string());
    row("values that anchors and aliases repeat in one document", read::MAX_COPIED.to_string());
    row("broken documents after which a text is read on", read::MAX_BROKEN.to_string());
    row("problems and warnings shown", read::MAX_PROBLEMS.to_string());
    row("policies", read::MAX_POLICIES.to_string());
    row("values of one policy", read::MAX_POLICY.to_string());
    row("values of all other objects that are used", read::MAX_OBJECTS.to_string());
    row("one path, name or profile, as JSON", format!("{} bytes", render::MAX_VALUE));
    row("all values of one field of a policy", format!("{} KiB", render::MAX_FIELD >> 10));
    row("a rules file", format!("{} MiB", render::MAX_RULES >> 20));
    row("a template of your own", format!("{} KiB", render::MAX_TEMPLATE >> 10));
    row("blocks and parentheses in it", render::MAX_BLOCKS.to_string());
    table
}

/// The size of some policies' rules, and the distinct fields that Falco extracts from one event at most.
fn sizes() -> String {
    let recording = crate::common::Recording::load();
    let single = |id: &&String| {
        let spec = &recording.stored[*id]["spec"];
        spec["containers"].as_array().unwrap().len() == 1 && spec.get("initContainers").is_none()
    };
    let events: Vec<&str> =
        recording.stored.keys().filter(single).map(|id| recording.events[id].as_str()).collect();
    let mut table = String::from(
        "| policy | rules | bytes | fields read of a pod with one container |\n| --- | --: | --: | --: |\n",
    );
    for name in ["kubernetes-baseline", "kubernetes-restricted", "every-field", "forty-ranges"] {
        let inventory = read(&format!("fixtures/psp/policies/{name}.yaml"));
        let rendered = render::audit_rules(&inventory.policies, &render::Options::default()).unwrap();
        let rules = load(&[Source { name: "rules.yaml", text: &rendered.text }]).rules.unwrap();
        let count = |line: &&str| rules.alerts_counted(&Event::parse(line.as_bytes()).unwrap()).1.distinct;
        let most = events.iter().map(count).max().unwrap();
        table.push_str(&format!("| `{name}` | {} | {} | {most} |\n", rendered.rules, rendered.text.len()));
    }
    table
}

/// The table of all fields, for a policy that restricts each.
fn coverage() -> String {
    let inventory = read(EVERY_FIELD);
    let policy = &inventory.policies[0].policy;
    let mut table = String::from(
        "| field | what the policy refused (`Violation`) | what it corrected (`Lost Default`) | fidelity |\n\
         | --- | --- | --- | --- |\n",
    );
    for field in Field::ALL {
        let mapped = restrictions::map(field, policy);
        let fidelity = report::audit_detection(policy, field, &mapped, &render::Options::default()).fidelity;
        let refuses = mapped.refuses.unwrap_or_default();
        let corrects = mapped.corrects.or(mapped.note).unwrap_or_default();
        table.push_str(&format!("| `{field}` | {refuses} | {corrects} | {} |\n", fidelity.name()));
    }
    table
}

/// The table of what running containers show, for a policy that restricts each field.
fn runtime() -> String {
    let inventory = read(EVERY_FIELD);
    let policy = &inventory.policies[0].policy;
    let mut table = String::from("| field | alerts on | fidelity | because |\n| --- | --- | --- | --- |\n");
    for field in Field::ALL {
        let mapped = restrictions::map(field, policy);
        let fidelity =
            report::runtime_detection(policy, field, &mapped, &render::Options::default()).fidelity;
        let sees = mapped.runtime.sees.unwrap_or_default();
        let reason = mapped.runtime.reason.unwrap_or_default();
        table.push_str(&format!("| `{field}` | {sees} | {} | {reason} |\n", fidelity.name()));
    }
    table
}

fn read(path: &str) -> read::Inventory {
    read::read(&[read::Source::Path(root().join(path))], &read::Options::default()).unwrap()
}

/// The README with the true output after each command of its `console` blocks. They run one after the other in a
/// folder of their own where `fixtures` and `examples` are at hand; `cargo run --release --` stands for the program.
#[cfg(unix)]
fn with_outputs(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fixtures", "examples"] {
        std::os::unix::fs::symlink(root().join(name), folder.path().join(name)).unwrap();
    }
    let mut new = String::new();
    let mut in_block = false;
    for line in text.lines() {
        let fence = line.starts_with("```");
        if !in_block || fence || line.starts_with("$ ") {
            new.push_str(line);
            new.push('\n');
        }
        if fence {
            in_block = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| in_block) {
            new.push_str(&output(command, folder.path()));
        }
    }
    new
}

/// What a terminal shows of `command`.
#[cfg(unix)]
fn output(command: &str, folder: &std::path::Path) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_psp2falco"));
    let found_first = program.parent().unwrap().display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let command = command.replace("cargo run --release --", "psp2falco");
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{{ {command}\n}} 2>&1")])
        .env("PATH", format!("{found_first}:{path}"))
        .current_dir(folder)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.trim().is_empty(), "README.md: {command} prints nothing");
    text
}

/// The restricted policy's rules with the README's tuning on top.
fn tuned() -> RuleSet {
    let rules = render::audit_rules(&read(RESTRICTED).policies, &render::Options::default()).unwrap().text;
    let tuning = fs::read_to_string(root().join(TUNING)).unwrap();
    let loaded = load(&[Source { name: "rules", text: &rules }, Source { name: "tuning", text: &tuning }]);
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    loaded.rules.unwrap()
}

/// The alerts on a privileged pod with an NFS volume.
fn alerts(rules: &RuleSet, namespace: &str, name: &str, impersonated: Option<&str>) -> Vec<(String, String)> {
    let pod = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}],
            "containers": [{
                "name": "c", "image": "example/web", "resources": {},
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always", "securityContext": {"privileged": true},
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "securityContext": {},
        },
    });
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "auditID": "1",
        "stage": "ResponseComplete", "requestURI": format!("/api/v1/namespaces/{namespace}/pods"), "verb": "create",
        "user": {"username": "someone", "groups": ["system:authenticated"]},
        "objectRef": {"resource": "pods", "namespace": namespace, "name": name, "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "requestObject": pod, "responseObject": pod,
        "requestReceivedTimestamp": "2024-01-01T00:00:00.000000Z", "stageTimestamp": "2024-01-01T00:00:00.000000Z",
    });
    if let Some(name) = impersonated {
        event["impersonatedUser"] = json!({"username": name});
    }
    let line = event.to_string();
    let event = Event::parse(line.as_bytes()).unwrap();
    rules
        .alerts(&event)
        .into_iter()
        .map(|rule| (rule.name.clone(), rule.priority.name().to_owned()))
        .collect()
}

#[test]
fn the_tuning_example_does_what_it_says() {
    let rules = tuned();
    let alerts = |namespace: &str, name: &str, impersonated| alerts(&rules, namespace, name, impersonated);
    let expected = |rule: &str, priority: &str| (rule.to_owned(), priority.to_owned());

    let plain = alerts("web", "shop-1", None);
    assert!(plain.contains(&expected("PSP restricted Violation (privileged)", "Critical")), "{plain:?}");
    assert!(plain.contains(&expected("PSP restricted Violation (volumes)", "Notice")), "{plain:?}");
    assert!(!alerts("monitoring", "shop-1", None).is_empty());
    assert!(!alerts("web", "shop-1", Some("somebody-else")).is_empty());

    assert_eq!(alerts("kube-system", "shop-1", None), []);
    assert_eq!(alerts("web", "shop-1", Some("break-glass")), []);
    assert_eq!(alerts("monitoring", "node-exporter-x", None), []);
}

/// The rows of the table in `docs/falco-model.md`: example and reason.
fn refused_constructs(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter(|line| line.starts_with("| ")).skip(2);
    let cells =
        |line: &str| line.trim_matches(['|', ' ']).split(" | ").map(str::to_owned).collect::<Vec<_>>();
    rows.map(|line| {
        let cells = cells(line);
        (cells[1].trim_matches('`').to_owned(), cells[2].clone())
    })
    .collect()
}

/// Why the model does not evaluate a condition, if so.
fn reason(condition: &str) -> Option<String> {
    let rule = json!([{"rule": "r", "desc": "d", "condition": condition, "output": "o", "priority": "NOTICE",
        "source": "k8s_audit"}])
    .to_string();
    let loaded = load(&[Source { name: "r.yaml", text: &rule }]);
    let rules = loaded.rules.unwrap_or_else(|| panic!("{condition}: {}", loaded.findings[0]));
    rules.rules()[0].not_modelled.clone()
}

#[test]
fn the_list_of_what_is_not_evaluated_is_complete() {
    let path = root().join("docs/falco-model.md");
    let text = fs::read_to_string(&path).unwrap();
    let rows = refused_constructs(&text);
    for (example, wanted) in &rows {
        assert_eq!(reason(example).as_ref(), Some(wanted), "{example}");
    }
    // a row for every place in the code that refuses something
    let code = include_str!("../../crates/falco-rules/src/engine/compilation.rs");
    let places = code.matches("self.unmodelled = Some(").count()
        - code.matches("self.unmodelled = Some(reason.clone())").count();
    assert_eq!(rows.len(), places);
    let unread = |field: &&falco_rules::catalog::FieldInfo| {
        let argument = if field.argument.is_some_and(|a| a.required) { "[1]" } else { "" };
        field.sources.contains(&"k8s_audit") && reason(&format!("{}{argument} exists", field.name)).is_some()
    };
    let fields: Vec<String> =
        falco_rules::catalog::catalog().fields().filter(unread).map(|f| format!("`{}`", f.name)).collect();
    let line = format!("The fields that no log holds: {}.\n", fields.join(", "));
    let old = text.lines().find(|line| line.starts_with("The fields that no log holds: ")).unwrap();
    crate::snapshot::report(
        &check(&path, &text.replace(&format!("{old}\n"), &line)).err().into_iter().collect::<Vec<_>>(),
        "readme",
    );
}
