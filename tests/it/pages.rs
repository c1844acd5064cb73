//! The README and the pages of `docs` tell the truth: their commands are run, their outputs, tables and examples
//! compared, their links followed.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it pages::` writes them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;

use crate::snapshot::{check, files, root};
use falco_rules::{Event, RuleSet, Source, load};
use psp_admission::Field;
use psp2falco::read;
use psp2falco::render;
use psp2falco::report;
use psp2falco::restrictions;
use serde_json::{Value, json};

const TUNING: &str = "fixtures/tuning/psp_tuning.yaml";
const EVERY_FIELD: &str = "fixtures/psp/policies/every-field.yaml";
const RESTRICTED: &str = "fixtures/psp/policies/kubernetes-restricted.yaml";

#[test]
fn every_page_is_up_to_date() {
    let mut unused: BTreeSet<&str> = GENERATED.iter().map(|(marker, _)| *marker).collect();
    let mut problems = Vec::new();
    for page in pages() {
        let path = root().join(&page);
        let mut text = fs::read_to_string(&path).unwrap();
        for (marker, generate) in GENERATED {
            if let Some(new) = between(&text, marker, &generate) {
                unused.remove(marker);
                text = new;
            }
        }
        #[cfg(unix)]
        {
            text = with_outputs(&page, &text);
        }
        problems.extend(check(&path, &text).err());
    }
    assert!(unused.is_empty(), "no page shows {unused:?}");
    crate::snapshot::report(&problems, "it pages::");
}

/// Makes what stands between two markers.
type Generate = fn() -> String;

/// What the program knows best, by the marker of the places where pages show it.
const GENERATED: [(&str, Generate); 9] = [
    ("tuning", tuning),
    ("coverage", coverage),
    ("runtime", runtime),
    ("runtime counts", runtime_counts),
    ("limits", limits),
    ("sizes", sizes),
    ("command line", command_line),
    ("configuration", configuration),
    ("plugin fields", plugin_fields),
];

/// Every page that people read, by its path in the repository.
fn pages() -> Vec<String> {
    let docs = files(&root().join("docs")).into_iter().map(|path| format!("docs/{}", path.display()));
    let markdown = docs.filter(|path| path.ends_with(".md"));
    markdown
        .chain(["README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"].map(str::to_owned))
        .collect()
}

/// `text` with what stands between two markers replaced, if it has them.
fn between(text: &str, marker: &str, new: &dyn Fn() -> String) -> Option<String> {
    let (open, close) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->\n"));
    let (before, rest) = text.split_once(&open)?;
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no {close}"));
    Some(format!("{before}{open}{}{close}{after}", new()))
}

fn tuning() -> String {
    format!("```yaml\n{}```\n", fs::read_to_string(root().join(TUNING)).unwrap())
}

/// The help of every command, as it is on record.
fn command_line() -> String {
    let mut text = String::new();
    for name in ["convert", "scan", "generate", "replay", "explain", "lint", "krm", "completions", "man"] {
        let help = fs::read_to_string(root().join(format!("fixtures/expected/help/{name}.txt"))).unwrap();
        text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end()));
    }
    text.push('\n');
    text
}

/// The keys of a psp2falco.yaml, as its schema explains them.
fn configuration() -> String {
    fn rows(schema: &Value, above: &str, table: &mut String) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            let description = value["description"].as_str().unwrap();
            let values = value["enum"].as_array().or_else(|| value["items"]["enum"].as_array());
            let values = values.map(|values| values.iter().map(|v| format!("`{}`", v.as_str().unwrap())));
            let mut meaning = description.to_owned();
            if let Some(values) = values {
                meaning.push_str(&format!(" One of {}.", values.collect::<Vec<_>>().join(", ")));
            }
            if let Some(default) = value.get("default") {
                meaning.push_str(&format!(" `{}` when left out.", default.to_string().trim_matches('"')));
            }
            table.push_str(&format!("| `{above}{key}` | {} |\n", meaning.replace('|', "\\|")));
            rows(value, &format!("{above}{key}."), table);
        }
    }
    let schema: Value = serde_json::from_str(include_str!("../../src/config/schema.json")).unwrap();
    let mut table = String::from("| key | meaning |\n| --- | --- |\n");
    rows(&schema, "", &mut table);
    table
}

/// What the plugin's own page says of its fields, and how Falco loads it.
fn plugin_fields() -> String {
    let page = fs::read_to_string(root().join("crates/falco-plugin-psp/README.md")).unwrap();
    let (_, rest) = page.split_once("| field |").unwrap();
    let (table, _) = rest.split_once("\nLicense:").unwrap();
    format!("| field |{}\n", table.trim_end())
}

/// How many fields the runtime rules see.
fn runtime_counts() -> String {
    let inventory = read(EVERY_FIELD);
    let policy = &inventory.policies[0].policy;
    let mut counts = [0; 3];
    for field in Field::ALL {
        let mapped = restrictions::map(field, policy);
        match report::runtime_detection(policy, field, &mapped, &render::Options::default()).fidelity.name() {
            "exact" => counts[0] += 1,
            "approximate" => counts[1] += 1,
            "undetectable" => counts[2] += 1,
            _ => {}
        }
    }
    let [exact, approximate, undetectable] = counts;
    format!(
        "- Of the 26 fields, the runtime rules see {exact} exactly, {approximate} approximately and {undetectable} not at all.\n  \
         [Their table](docs/reference/runtime.md) gives the reason for each.\n"
    )
}

/// The lines of `text` outside its fenced blocks, and the blocks: their language and lines.
fn split(text: &str) -> (Vec<&str>, Vec<(&str, Vec<&str>)>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::<(&str, Vec<&str>)>::new());
    let mut in_block = false;
    for line in text.lines() {
        if let Some(language) = line.strip_prefix("```") {
            in_block = !in_block;
            if in_block {
                blocks.push((language, Vec::new()));
            }
        } else if in_block {
            blocks.last_mut().unwrap().1.push(line);
        } else {
            prose.push(line);
        }
    }
    (prose, blocks)
}

/// What a forge makes of a heading, to link to it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The targets of the links in `line`.
fn links(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// `path` without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_somewhere() {
    let mut problems = Vec::new();
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in split(&text).0.into_iter().flat_map(links).filter(|link| !link.starts_with("https://"))
        {
            checked += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { page.clone() } else { normal(&format!("{folder}/{path}")) };
            if !root().join(&to).exists() {
                problems.push(format!("{page}: {target} does not exist"));
            } else if page.starts_with("docs/") && !to.starts_with("docs/") {
                problems.push(format!("{page}: {target} is no page of the book; name its path instead"));
            } else if !fragment.is_empty() {
                let there = fs::read_to_string(root().join(&to)).unwrap();
                let headings = split(&there).0.into_iter().filter(|line| line.starts_with('#'));
                if !headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|a| a == fragment) {
                    problems.push(format!("{page}: {to} has no heading #{fragment}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(checked > 50, "{checked}");
}

#[test]
fn every_page_stands_in_the_contents_once() {
    let contents = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed: Vec<String> =
        contents.lines().flat_map(links).map(|link| format!("docs/{link}")).collect();
    listed.sort();
    let mut there: Vec<String> =
        pages().into_iter().filter(|page| page.starts_with("docs/") && page != "docs/SUMMARY.md").collect();
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 150, "{lines} lines; a page of docs/ has room");
}

/// Commands that need a cluster, or write into one, are not run; that they are commands is checked.
#[test]
fn commands_that_are_not_run_are_commands() {
    use clap::Parser as _;
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for (_, lines) in split(&text).1.into_iter().filter(|(language, _)| *language == "sh") {
            let joined = lines.join("\n").replace("\\\n", " ");
            for command in joined.lines().flat_map(|line| line.split('|')).map(str::trim) {
                let words: Vec<&str> = command.split_whitespace().take_while(|word| *word != "&&").collect();
                if words.first() != Some(&"psp2falco") || !cfg!(feature = "cluster") && words[1] == "scan" {
                    continue;
                }
                checked += 1;
                let parsed = psp2falco::cli::Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{page}: {command}: {}", parsed.unwrap_err());
            }
        }
    }
    assert!(checked > 3, "{checked}");
}

#[test]
fn every_yaml_example_is_yaml() {
    for page in pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for (_, lines) in split(&text).1.into_iter().filter(|(language, _)| *language == "yaml") {
            let parsed = serde_yaml::from_str::<Value>(&lines.join("\n"));
            assert!(parsed.is_ok(), "{page}: {}\n{}", parsed.unwrap_err(), lines.join("\n"));
        }
    }
}

/// The limits that the program refuses to go beyond.
fn limits() -> String {
    let mut table = String::from("| what | at most |\n| --- | --: |\n");
    let mut row = |what: &str, most: String| table.push_str(&format!("| {what} | {most} |\n"));
    row("one text", format!("{} MiB", read::MAX_TEXT >> 20));
    row("what an archive unpacks to", format!("{} GiB", read::MAX_ARCHIVE >> 30));
    row("files in an archive", read::MAX_MEMBERS.to_string());
    row("values in one document", psp2falco::yaml::MAX_NODES.to_string());
    row("values that anchors and aliases repeat in one document", psp2falco::yaml::MAX_COPIED.to_string());
    row("broken documents after which a text is read on", psp2falco::yaml::MAX_BROKEN.to_string());
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
        table.push_str(&format!(
            "| `{name}` | {} | {} | {most} |\n",
            rendered.rules().count(),
            rendered.text.len()
        ));
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

/// A page with the true output after each command of its `console` blocks. They run one after the other in a folder of
/// their own where `fixtures`, `examples` and `templates` are at hand; `cargo run --release --` stands for the program.
#[cfg(unix)]
fn with_outputs(page: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for name in ["fixtures", "examples", "templates"] {
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
            new.push_str(&output(page, command, folder.path()));
        }
    }
    new
}

/// What a terminal shows of `command`.
#[cfg(unix)]
fn output(page: &str, command: &str, folder: &std::path::Path) -> String {
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
    assert!(!text.trim().is_empty(), "{page}: {command} prints nothing");
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

/// The rows of the table in `docs/explanation/falco-model.md`: example and reason.
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
    let path = root().join("docs/explanation/falco-model.md");
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
        "it pages::",
    );
}

#[test]
fn contributing_shows_a_field_as_it_is() {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, rest) = page.split_once("```diff\n").unwrap();
    let (diff, _) = rest.split_once("```").unwrap();
    let mut text = String::new();
    for line in diff.lines() {
        if let Some(header) = line.strip_prefix("--- ") {
            let path = header.split(": ").next().unwrap();
            text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        } else {
            let shown = line.strip_prefix('+').unwrap().trim().trim_end_matches(" …");
            assert!(text.contains(shown), "{shown:?} is gone");
        }
    }
}

#[test]
fn a_field_is_named_in_its_own_files_and_in_lists_alone() {
    let names = ["allowedProcMountTypes", "allowed_proc_mount_types", "AllowedProcMountTypes"];
    let folders = ["crates/psp-admission/src", "crates/falco-rules/src", "src", "templates"];
    let all = folders.into_iter().flat_map(|folder| {
        files(&root().join(folder)).into_iter().map(move |path| format!("{folder}/{}", path.display()))
    });
    let naming = all.filter(|path| {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        names.iter().any(|name| text.contains(name))
    });
    let mut naming: Vec<String> = naming.collect();
    naming.sort();
    assert_eq!(
        naming,
        [
            "crates/psp-admission/src/field.rs",
            "crates/psp-admission/src/fields/allowed_proc_mount_types.rs",
            "crates/psp-admission/src/fields/mod.rs",
            "src/restrictions/allowed_proc_mount_types.rs",
            "src/restrictions/mod.rs",
        ]
    );
}
