//! The reports: expected files for every format, their schemas, hostile manifests, and a real browser.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it report::` writes the expected files. `PSP2FALCO_CHROMIUM=/usr/bin/chromium` has
//! that browser open the page.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::snapshot::{check, root};
use psp2falco::read::{self, Inventory};
use psp2falco::render::{self, AuditObject};
use psp2falco::report::diff::{Diff, Tuning, compare};
use psp2falco::report::{Format, Report};
use serde_json::{Value, json};

/// What the expected reports are made of.
const POLICIES: [&str; 4] =
    ["kubernetes-privileged", "kubernetes-baseline", "kubernetes-restricted", "every-field"];
const FORMATS: [(Format, &str); 6] = [
    (Format::Text, "report.txt"),
    (Format::Markdown, "report.md"),
    (Format::Json, "report.json"),
    (Format::Html, "report.html"),
    (Format::Github, "github.txt"),
    (Format::Sarif, "report.sarif"),
];

fn fixtures() -> Inventory {
    let sources: Vec<read::Source> = POLICIES
        .iter()
        .map(|name| read::Source::Path(format!("fixtures/psp/policies/{name}.yaml").into()))
        .collect();
    // tests run at the root of the repository
    read::read(&sources, &read::Options::default()).unwrap()
}

fn report(inventory: &Inventory, object: AuditObject, changes: Option<Diff>) -> Report {
    let options = render::Options { object, ..render::Options::default() };
    let rendered = render::audit_rules(&inventory.policies, &options).unwrap();
    Report::new(inventory, &[rendered], &options, changes)
}

/// What changes when the restricted policy is taken back a little.
fn changes() -> Diff {
    let rules = |text: &str| {
        let inventory = read::read_text("restricted.yaml", text, &read::Options::default()).unwrap();
        render::audit_rules(&inventory.policies, &render::Options::default()).unwrap().text
    };
    let old = fs::read_to_string("fixtures/psp/policies/kubernetes-restricted.yaml").unwrap();
    let new = old
        .replace("hostNetwork: false", "hostNetwork: true")
        .replace("ephemeral]", "ephemeral, nfs]")
        .replace("hostIPC: false", "hostIPC: false\n  hostPorts: [{min: 8000, max: 8080}]")
        .replace("readOnlyRootFilesystem: false", "readOnlyRootFilesystem: true");
    let tuning = fs::read_to_string("fixtures/tuning/psp_tuning.yaml").unwrap()
        + "\n- rule: PSP restricted Violation (hostNetwork)\n  enabled: false\n  override: {enabled: replace}\n";
    compare(&rules(&old), &rules(&new), &[Tuning { name: "tuning.yaml", text: &tuning }])
}

#[test]
fn every_format_gives_its_expected_file() {
    let inventory = fixtures();
    let folder = root().join("fixtures/expected/report");
    let whole = report(&inventory, AuditObject::Response, None);
    let request = report(&inventory, AuditObject::Request, Some(changes()));
    let mut problems = Vec::new();
    for (format, name) in FORMATS {
        problems.extend(check(&folder.join(name), &format.render(&whole).unwrap()).err());
        if format != Format::Html {
            let path = folder.join("changes").join(name);
            problems.extend(check(&path, &format.render(&request).unwrap()).err());
        }
    }
    crate::snapshot::report(&problems, "report");
}

#[test]
fn changes_say_which_way() {
    let diff = changes();
    assert_eq!(diff.policies.changed, ["restricted"]);
    let lines = diff.lines();
    let has = |line: &str| assert!(lines.iter().any(|l| l == line), "{line}\n{lines:#?}");
    has("- rule PSP restricted Violation (hostNetwork)");
    has("+ rule PSP restricted Violation (readOnlyRootFilesystem)");
    has("~ rule PSP restricted Violation (hostPorts): matches fewer; desc changed");
    has("~ rule PSP restricted Violation (volumes): matches fewer; desc changed");
    assert_eq!(diff.tuning.len(), 1, "{:?}", diff.tuning);
    assert!(diff.tuning[0].item.contains("hostNetwork"));
}

fn valid(schema: &str, document: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// All reports that the tests make, the hostile one included.
fn reports() -> Vec<Report> {
    let inventory = fixtures();
    vec![
        report(&inventory, AuditObject::Response, None),
        report(&inventory, AuditObject::Request, Some(changes())),
        report(&hostile(), AuditObject::Response, Some(hostile_changes())),
        report(&unusable(), AuditObject::Response, None),
    ]
}

fn unusable() -> Inventory {
    let text = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: nothing}\nspec:\n  \
                seLinux: {rule: RunAsAny}\n  runAsUser: {rule: MustRunAs}\n  supplementalGroups: {rule: RunAsAny}\n  \
                fsGroup: {rule: RunAsAny}\n";
    read::read_text("nothing.yaml", text, &read::Options::default()).unwrap()
}

#[test]
fn json_fits_its_schema() {
    let schema = fs::read_to_string("schemas/report.schema.json").unwrap();
    for report in reports() {
        let text = Format::Json.render(&report).unwrap();
        valid(&schema, &text);
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report, "it reads back as it was");
    }
    // the schema knows every key, so that none goes undocumented
    let known = serde_json::from_str::<Value>(&schema).unwrap().to_string();
    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| {
                found.push(key.clone());
                keys(value, found);
            }),
            Value::Array(all) => all.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    keys(&serde_json::to_value(&reports()[1]).unwrap(), &mut found);
    for key in found {
        assert!(known.contains(&format!("\"{key}\"")), "{key} is not in the schema");
    }
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let schema = fs::read_to_string("tests/data/sarif-subset.schema.json").unwrap();
    for report in reports() {
        let text = Format::Sarif.render(&report).unwrap();
        valid(&schema, &text);
        let log: Value = serde_json::from_str(&text).unwrap();
        let run = &log["runs"][0];
        let mut prints = Vec::new();
        for result in run["results"].as_array().unwrap() {
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
            prints.push(result["partialFingerprints"]["psp2falco/v1"].as_str().unwrap().to_owned());
        }
        let all = prints.len();
        prints.sort();
        prints.dedup();
        assert_eq!(prints.len(), all, "two findings would be taken for one");
    }
}

/// Texts that mean something to one of the formats, or to a reader's eyes.
const HOSTILE: [&str; 10] = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "-->]]><!-- {{evil}}",
    "\n::error file=x::owned\r\n",
    "a\u{2028}b\u{2029}c\u{202e}drow\u{202c}\u{200f}\u{feff}",
    "| x | `y` | [l](javascript:alert(1)) @someone #1 https://example.com",
    "</details></table>\n\n# heading\n```\n",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "%0A::stop-commands::x,y:z%",
];

fn hostile() -> Inventory {
    let policy = |(index, text): (usize, &&str)| {
        json!({
            "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy",
            "metadata": {"name": format!("p{index}"), "annotations": {
                "falco-rules-psp-images": text,
            }},
            "spec": {
                "allowedCapabilities": [text], "volumes": ["hostPath"],
                "allowedHostPaths": [{"pathPrefix": format!("/{text}")}],
                "seLinux": {"rule": "MustRunAs", "seLinuxOptions": {"user": text, "level": "s0"}},
                "runAsUser": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"},
                "fsGroup": {"rule": "RunAsAny"}
            }
        })
    };
    let items: Vec<Value> = HOSTILE.iter().enumerate().map(policy).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let mut inventory =
        read::read_text(&format!("dir/{}.json", HOSTILE.concat()), &list, &read::Options::default()).unwrap();
    for text in HOSTILE {
        inventory.passed_over.insert(text.to_owned(), 1);
        let mut warning = psp2falco::problem::Problem::of_file(text, text);
        warning.path = text.to_owned();
        inventory.warnings.push(warning);
    }
    inventory
}

fn hostile_changes() -> Diff {
    let rules = |names: &[&str]| -> String {
        let one = |name: &&str| {
            json!([{
                "rule": name, "desc": name, "condition": "ka.verb=create", "output": name, "priority": "NOTICE",
                "source": "k8s_audit"
            }])
            .to_string()
        };
        // rules files of one document each, in flow style
        names.iter().map(one).collect::<Vec<_>>().join("\n---\n")
    };
    compare(
        &rules(&HOSTILE[..5]),
        &rules(&HOSTILE[5..]),
        &[Tuning { name: HOSTILE[0], text: &rules(&HOSTILE[..2]) }],
    )
}

#[test]
fn hostile_manifests_stay_text() {
    let report = report(&hostile(), AuditObject::Response, Some(hostile_changes()));
    for (format, name) in FORMATS {
        let text = format.render(&report).unwrap();
        for c in text.chars().filter(|c| *c != '\n' && format != Format::Json) {
            let hidden = c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c) || c == '\u{200f}';
            assert!(!hidden, "{name}: {c:?}");
        }
        match format {
            Format::Github => {
                for line in text.lines() {
                    let whole = ["::error ", "::warning ", "::notice "].iter().any(|c| line.starts_with(c));
                    assert!(whole || line.starts_with("psp2falco: "), "{line}");
                    assert!(!line.contains("%0A::stop") && !line.starts_with("::error file=x"), "{line}");
                }
            }
            Format::Markdown => {
                for line in text.lines() {
                    let outside = without_code(line);
                    for bad in ["<script", "<img", "javascript:", "@someone", "<!-- {"] {
                        assert!(!outside.contains(bad), "{bad}: {line}");
                    }
                    assert!(!line.starts_with("# heading") && line != "```", "{line}");
                }
                let cells = |line: &str| without_code(line).replace("\\|", "").matches('|').count();
                let (_, table) = text.split_once("| policy | closest level |").unwrap();
                let rows = table.lines().skip(2).take(HOSTILE.len());
                rows.for_each(|row| assert_eq!(cells(row), 7, "{row}"));
            }
            Format::Html => assert_eq!(html_problems(&text), Vec::<String>::new()),
            _ => {}
        }
    }
}

/// A line of Markdown without its code spans.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        out.push_str(&rest[..start]);
        let fence: String = rest[start..].chars().take_while(|c| *c == '`').collect();
        let after = &rest[start + fence.len()..];
        // a span ends at a run of exactly as many backticks
        let mut from = 0;
        let end = loop {
            let Some(found) = after[from..].find('`') else { break None };
            let at = from + found;
            let run = after[at..].chars().take_while(|c| *c == '`').count();
            if run == fence.len() {
                break Some(at);
            }
            from = at + run;
        };
        let Some(end) = end else { panic!("an open code span: {line}") };
        rest = &after[end + fence.len()..];
    }
    out + rest
}

/// What is wrong with a page: tags that do not nest, attributes that no tag of the report has, bare markup.
fn html_problems(page: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "input", "br", "rect"];
    const ATTRIBUTES: [&str; 33] = [
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "class",
        "id",
        "type",
        "placeholder",
        "aria-label",
        "value",
        "scope",
        "title",
        "href",
        "data-name",
        "data-level",
        "data-has",
        "viewBox",
        "preserveAspectRatio",
        "role",
        "x",
        "width",
        "height",
        "tabindex",
        "for",
        "checked",
        "hidden",
        "open",
        "colspan",
        "html",
        "selected",
        "disabled",
        "rel",
    ];
    let mut problems = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut end = None;
        let mut quoted = false;
        for (i, c) in rest.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '<' if !quoted => problems.push(format!("< in a tag: {}", &rest[..i])),
                '>' if !quoted => {
                    end = Some(i);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else {
            problems.push("a tag is not closed".to_owned());
            break;
        };
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last.as_deref() != Some(name) {
                problems.push(format!("</{name}> closes {last:?}"));
            }
            continue;
        }
        let name: String = tag.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        let mut attributes = tag[name.len()..].trim_end_matches('/');
        while let Some((attribute, after)) = attributes.split_once("=\"") {
            let attribute = attribute.trim();
            if attribute.starts_with("on") || !ATTRIBUTES.contains(&attribute) {
                problems.push(format!("<{name}> has {attribute:?}"));
            }
            let Some((value, after)) = after.split_once('"') else { break };
            if attribute == "href" && !value.starts_with("#policy-") {
                problems.push(format!("a link to {value}"));
            }
            attributes = after;
        }
        if name == "style" || name == "script" {
            let close = format!("</{name}>");
            let Some((text, after)) = rest.split_once(&close) else { panic!("{name} is not closed") };
            let file = fs::read_to_string(if name == "style" {
                "templates/report/report.css"
            } else {
                "templates/report/report.js"
            });
            if file.unwrap() != text {
                problems.push(format!("<{name}> holds more than its file"));
            }
            rest = after;
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    problems.extend((!open.is_empty()).then(|| format!("open: {open:?}")));
    problems
}

#[test]
fn the_page_loads_nothing_and_nests() {
    for report in reports() {
        let page = Format::Html.render(&report).unwrap();
        assert_eq!(html_problems(&page), Vec::<String>::new());
        assert!(page.contains("default-src 'none'; style-src 'sha256-"));
        for sign in ["http://", "https://", "url(", "@import", " style=\""] {
            let own = page.replace("https://example.com", "");
            assert!(!own.contains(sign), "{sign}");
        }
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for (format, name) in FORMATS {
        let once = format.render(&report(&fixtures(), AuditObject::Response, None)).unwrap();
        assert_eq!(once, format.render(&report(&fixtures(), AuditObject::Response, None)).unwrap(), "{name}");
        let here = root().display().to_string();
        assert!(!once.contains(&here), "{name} names a folder of this machine");
    }
}

/// Many policies, by taking the fixtures again under other names.
fn many(n: usize) -> Inventory {
    let mut inventory = fixtures();
    let originals = inventory.policies.clone();
    inventory.policies = (0..n)
        .map(|i| {
            let mut located = originals[i % originals.len()].clone();
            located.policy.name = format!("team-{:03}-{}", i, located.policy.name);
            located
        })
        .collect();
    inventory
}

#[test]
fn a_real_browser_shows_the_page() {
    let Some(chromium) = std::env::var_os("PSP2FALCO_CHROMIUM") else {
        // not `eprintln!`, which the test harness would swallow
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no browser has opened the page; name one with PSP2FALCO_CHROMIUM=/usr/bin/chromium\n"
        );
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let shoot = std::env::var_os("PSP2FALCO_SCREENSHOTS").map(PathBuf::from);
    for (name, report) in [
        ("hostile", report(&hostile(), AuditObject::Response, Some(hostile_changes()))),
        ("1", report(&many(1), AuditObject::Response, None)),
        ("40", report(&many(40), AuditObject::Request, Some(changes()))),
        ("400", report(&many(400), AuditObject::Response, None)),
    ] {
        let page = temp.path().join(format!("{name}.html"));
        fs::write(&page, Format::Html.render(&report).unwrap()).unwrap();
        for dark in [true, false] {
            let browser = |extra: &[String]| {
                let profile = tempfile::tempdir().unwrap();
                let output = Command::new(&chromium)
                    .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
                    .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
                    .args(["--enable-logging=stderr", "--window-size=1400,1800", "--hide-scrollbars"])
                    .arg(format!("--blink-settings=preferredColorScheme={}", i32::from(!dark)))
                    .arg(format!("--user-data-dir={}", profile.path().display()))
                    .args(extra)
                    .arg(format!("file://{}", page.display()))
                    .output()
                    .unwrap();
                let log = String::from_utf8_lossy(&output.stderr).into_owned();
                let console: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
                assert!(console.is_empty(), "{name}: {console:?}");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let dom = browser(&["--dump-dom".to_owned()]);
            // the script ran: it says that it is there, and counts the policies
            let n = report.policies.len();
            assert!(
                dom.contains("<html lang=\"en\" class=\"js\">"),
                "{name}: {}",
                &dom[..dom.len().min(500)]
            );
            assert!(dom.contains(&format!("<span id=\"shown\">{n} of {n}</span>")), "{name}");
            assert_eq!(dom.matches("<img").count() + dom.matches("onerror=\"").count(), 0, "{name}");
            if let Some(folder) = &shoot {
                let file = folder.join(format!("{name}-{}.png", if dark { "dark" } else { "light" }));
                browser(&[format!("--screenshot={}", file.display())]);
            }
        }
    }
}

#[test]
fn four_hundred_policies_stay_a_page() {
    let page = Format::Html.render(&report(&many(400), AuditObject::Response, None)).unwrap();
    assert!(page.len() < 8 << 20, "{} bytes", page.len());
    assert_eq!(page.matches("<details class=\"policy\"").count(), 400);
    assert!(Path::new("templates/report/report.js").exists());
}
