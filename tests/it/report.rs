//! The reports: expected files for every format, their schemas, hostile manifests, and a real browser.
//!
//! `UPDATE_EXPECTED=1 cargo test --test it report::` writes the expected files. `PSP2FALCO_CHROMIUM=/usr/bin/chromium` has
//! that browser open the page; `PSP2FALCO_AXE=axe.min.js` (`.ci/axe-core FOLDER` fetches it) checks there that everybody
//! can read and use it; `PSP2FALCO_SCREENSHOTS=FOLDER` keeps pictures of it.
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
    Report::new(inventory, &[rendered], &options, None, changes)
}

/// A report of a cluster, as the program writes it: rules of both layers, who may use which policy, and what would alert.
fn cluster() -> Report {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
        .args(["convert", "fixtures/cluster", "--report", "json", "-o"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&fs::read_to_string(folder.path().join("psp_report.json")).unwrap()).unwrap()
}

/// The same with hostile texts in the place of what comes from manifests.
fn hostile_cluster() -> Report {
    fn spoil(value: &mut Value, next: &mut dyn FnMut() -> String) {
        match value {
            Value::String(text) => *text = next(),
            Value::Array(all) => all.iter_mut().for_each(|value| spoil(value, next)),
            Value::Object(map) => {
                let spoilt = map.iter_mut().filter(|(key, value)| *key != "kind" || !value.is_string());
                spoilt.for_each(|(_, value)| spoil(value, next));
            }
            _ => {}
        }
    }
    let mut texts = HOSTILE.iter().cycle().map(|text| (*text).to_owned());
    let mut next = || texts.next().unwrap();
    let mut report = serde_json::to_value(cluster()).unwrap();
    for part in
        ["/would_alert", "/may_use_every_policy", "/conditions", "/policies/1/may_use", "/files/0/name"]
    {
        spoil(report.pointer_mut(part).unwrap(), &mut next);
    }
    for workload in report["would_alert"]["alerting"].as_array_mut().unwrap() {
        workload["kind"] = json!(next());
    }
    let rule = report["conditions"].as_object().unwrap().keys().next().unwrap().clone();
    report["conditions"][rule] = json!("</code></pre><script>alert(1)</script>");
    let may_use = &mut report["policies"][1]["may_use"]["namespaces"];
    *may_use = HOSTILE
        .iter()
        .map(|text| ((*text).to_owned(), json!(HOSTILE)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    serde_json::from_value(report).unwrap()
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
    let cluster = cluster();
    let mut problems = Vec::new();
    for (format, name) in FORMATS {
        problems.extend(check(&folder.join(name), &format.render(&whole).unwrap()).err());
        if format != Format::Html {
            let path = folder.join("changes").join(name);
            problems.extend(check(&path, &format.render(&request).unwrap()).err());
        }
        if matches!(format, Format::Text | Format::Markdown | Format::Json | Format::Html) {
            let path = folder.join("cluster").join(name);
            problems.extend(check(&path, &format.render(&cluster).unwrap()).err());
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
        cluster(),
        hostile_cluster(),
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
    let mut shown = serde_json::to_value(&reports()[1]).unwrap();
    let mut of_cluster = serde_json::to_value(cluster()).unwrap();
    // their keys are names
    for report in [&mut shown, &mut of_cluster] {
        report["conditions"] = json!({});
        for policy in report["policies"].as_array_mut().unwrap() {
            policy["may_use"]["namespaces"] = json!({});
        }
    }
    keys(&shown, &mut found);
    keys(&of_cluster, &mut found);
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
        let place = json!({"file": text, "line": 0, "column": 0});
        let warning = json!({"place": place, "path": text, "message": text});
        inventory.warnings.push(serde_json::from_value(warning).unwrap());
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
    let all = [report(&hostile(), AuditObject::Response, Some(hostile_changes())), hostile_cluster()];
    for ((format, name), report) in
        FORMATS.into_iter().flat_map(|format| all.iter().map(move |r| (format, r)))
    {
        let text = format.render(report).unwrap();
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
                for line in outside_fences(&text) {
                    let outside = without_code(line);
                    for bad in ["<script", "<img", "javascript:", "@someone", "<!-- {"] {
                        assert!(!outside.contains(bad), "{bad}: {line}");
                    }
                    assert!(!line.starts_with("# heading") && line != "```", "{line}");
                }
                let cells = |line: &str| without_code(line).replace("\\|", "").matches('|').count();
                let (_, table) = text.split_once("| policy | closest level |").unwrap();
                let rows = table.lines().skip(2).take(report.policies.len());
                let expected = 4 + report.totals.layers().count();
                rows.for_each(|row| assert_eq!(cells(row), expected, "{row}"));
            }
            Format::Html => assert_eq!(html_problems(&text), Vec::<String>::new()),
            _ => {}
        }
    }
}

/// The lines of Markdown that stand in no fenced block. Each block ends before the text does.
fn outside_fences(text: &str) -> Vec<&str> {
    let mut fence = None;
    let mut outside = Vec::new();
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            None if ticks.len() > 2 && line.ends_with("yaml") => fence = Some(ticks),
            None => outside.push(line),
            Some(open) if line == open => fence = None,
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "a block is open");
    outside
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
    const ATTRIBUTES: &[&str] = &[
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "class",
        "id",
        "type",
        "value",
        "scope",
        "href",
        "role",
        "aria-label",
        "aria-labelledby",
        "aria-hidden",
        "aria-live",
        "autocomplete",
        "data-name",
        "data-level",
        "data-layer",
        "data-audit",
        "data-runtime",
        "data-label",
        "viewBox",
        "preserveAspectRatio",
        "x",
        "width",
        "height",
        "tabindex",
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
            if attribute == "href" && !page.contains(&format!(" id=\"{}\"", value.trim_start_matches('#'))) {
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

/// All policies of the fixtures.
fn seventeen() -> Inventory {
    let inventory =
        read::read(&[read::Source::Path("fixtures/psp/policies".into())], &read::Options::default()).unwrap();
    assert_eq!(inventory.policies.len(), 17);
    inventory
}

/// A report of rules of both layers.
fn two_layers(inventory: &Inventory) -> Report {
    let options = render::Options::default();
    let files = [
        render::audit_rules(&inventory.policies, &options).unwrap(),
        render::runtime_rules(&inventory.policies, &options).unwrap(),
    ];
    Report::new(inventory, &files, &options, None, None)
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

/// A browser without a window, and the pages that it is to open.
struct Browser {
    program: std::ffi::OsString,
    folder: tempfile::TempDir,
}

impl Browser {
    /// The browser that is named; where there is none, says so.
    fn named(skipped: &str) -> Option<Self> {
        let Some(program) = std::env::var_os("PSP2FALCO_CHROMIUM") else {
            // not `eprintln!`, which the test harness would swallow
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED: {skipped}; name a browser with PSP2FALCO_CHROMIUM=/usr/bin/chromium\n"
            );
            return None;
        };
        Some(Self { program, folder: tempfile::tempdir().unwrap() })
    }

    /// Opens a page of that width; gives what the browser prints. Nothing may be wrong on the page's console.
    fn open(&self, page: &str, width: usize, dark: bool, extra: &[String]) -> String {
        let (profile, file) = (tempfile::tempdir().unwrap(), self.folder.path().join("page.html"));
        fs::write(&file, page).unwrap();
        let output = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--hide-scrollbars", "--virtual-time-budget=60000"])
            .arg(format!("--window-size={width},1800"))
            .arg(format!("--blink-settings=preferredColorScheme={}", i32::from(!dark)))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(extra)
            .arg(format!("file://{}", file.display()))
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let console: Vec<&str> = log.lines().filter(|l| l.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{console:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What a script of our own finds on the page in a frame of that width (a browser's window is 500 pixels wide at
    /// least); it calls `found` with an object.
    fn find(&self, page: &str, width: usize, dark: bool, script: &str) -> Value {
        // the page's own policy of content would let in no other script
        let start = page.find("<meta http-equiv").unwrap();
        let end = start + page[start..].find('>').unwrap() + 1;
        let open = page[..start].to_owned() + &page[end..];
        let script = format!(
            "<script>function found(it) {{ parent.postMessage(it, '*'); }}\n{script}</script></body>"
        );
        fs::write(self.folder.path().join("framed.html"), open.replace("</body>", &script)).unwrap();
        let frame = format!(
            "<!doctype html><iframe src=\"framed.html\" style=\"width: {width}px; height: 1800px; border: 0\"></iframe>
            <script>onmessage = function (event) {{
                var at = document.createElement('pre');
                at.id = 'found';
                at.textContent = encodeURIComponent(JSON.stringify(event.data));
                document.body.appendChild(at);
            }};</script>"
        );
        let dom = self.open(&frame, width + 100, dark, &["--dump-dom".to_owned()]);
        let (_, rest) =
            dom.split_once("<pre id=\"found\">").unwrap_or_else(|| panic!("nothing found:\n{dom}"));
        let bytes = percent_decoded(rest.split_once('<').unwrap().0);
        serde_json::from_slice(&bytes).unwrap()
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, others @ ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = others;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[test]
fn a_real_browser_shows_the_page() {
    let Some(browser) = Browser::named("no browser has opened the page") else { return };
    let keep = std::env::var_os("PSP2FALCO_SCREENSHOTS").map(PathBuf::from);
    for (name, report) in [
        ("hostile", report(&hostile(), AuditObject::Response, Some(hostile_changes()))),
        ("hostile-cluster", hostile_cluster()),
        ("cluster", cluster()),
        ("17", two_layers(&seventeen())),
        ("400", two_layers(&many(400))),
    ] {
        let page = Format::Html.render(&report).unwrap();
        let dom = browser.open(&page, 1400, false, &["--dump-dom".to_owned()]);
        // the script ran: it says that it is there, and counts the policies
        let n = report.policies.len();
        assert!(dom.contains("<html lang=\"en\" class=\"js\">"), "{name}: {}", &dom[..dom.len().min(500)]);
        assert!(dom.contains(&format!(" class=\"soft small\">{n} of {n} policies</output>")), "{name}");
        assert_eq!(dom.matches("<img").count() + dom.matches("onerror=\"").count(), 0, "{name}");
        for (width, dark) in [400, 800, 1400].into_iter().flat_map(|width| [(width, false), (width, true)]) {
            let script = "onload = function () { document.querySelectorAll('details').forEach(function (d) { d.open = true; }); \
                          var out = Array.prototype.filter.call(document.querySelectorAll('main *'), function (e) { \
                              return e.getBoundingClientRect().right > innerWidth && !e.closest('.matrix'); }); \
                          found({ page: document.documentElement.scrollWidth, window: innerWidth, \
                              out: out.slice(-3).map(function (e) { return e.outerHTML.slice(0, 300); }) }); };";
            let found = browser.find(&page, width, dark, script);
            assert_eq!(found["window"], width, "{name}");
            assert!(found["page"].as_u64() <= found["window"].as_u64(), "{name} at {width}: {found}");
            if let Some(folder) = &keep {
                let file = folder.join(format!("{name}-{width}-{}.png", if dark { "dark" } else { "light" }));
                browser.open(&page, width, dark, &[format!("--screenshot={}", file.display())]);
            }
        }
    }
}

#[test]
fn a_link_filter_and_copy_work_in_a_browser() {
    let Some(browser) = Browser::named("nobody has clicked on the page") else { return };
    let page = Format::Html.render(&two_layers(&many(5))).unwrap();
    let script = "onload = function () {
        var set = function (id, value) { var at = document.getElementById(id); at.value = value; at.dispatchEvent(new Event('input')); };
        var shown = function () { return document.querySelectorAll('#matrix tbody tr:not([hidden])').length; };
        var all = shown(), counts = [];
        set('by-layer', 'runtime'); set('by-fidelity', 'u'); counts.push(shown());
        set('by-layer', 'audit'); counts.push(shown());
        set('by-fidelity', ''); set('by-name', '002'); counts.push(shown());
        var said = document.getElementById('shown').textContent;
        set('by-name', '');
        var link = document.querySelector('#matrix td[data-audit] > a'), target = document.querySelector(link.getAttribute('href'));
        var name = link.closest('tr').querySelector('th a');
        name.focus();
        ['ArrowRight', 'ArrowRight'].forEach(function (key) { document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: key, bubbles: true })); });
        link.click();
        setTimeout(function () {
            found({ all: all, counts: counts, said: said, open: target.closest('details').open, at: location.hash,
                    focus: document.activeElement.textContent });
        }, 100);
    };";
    let found = browser.find(&page, 1400, false, script);
    assert_eq!(found["all"], 5);
    assert_eq!(found["said"], "1 of 5 policies");
    assert_eq!(found["counts"][1], 0, "the audit layer detects everything: {found}");
    assert_eq!(found["counts"][2], 1, "{found}");
    assert!(found["counts"][0].as_u64().unwrap() > 0, "{found}");
    assert_eq!(found["open"], true, "{found}");
    assert!(found["at"].as_str().unwrap().starts_with("#policy-team-"), "{found}");
}

#[test]
fn everybody_can_read_and_use_the_page() {
    let Some(browser) = Browser::named("axe has not checked the page") else { return };
    let Some(axe) = std::env::var_os("PSP2FALCO_AXE") else {
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: axe has not checked the page; fetch it with .ci/axe-core target/axe and name it with \
             PSP2FALCO_AXE=target/axe/axe.min.js\n"
        );
        return;
    };
    let axe = fs::read_to_string(axe).unwrap();
    for (name, report) in [
        ("cluster", cluster()),
        ("changes", report(&fixtures(), AuditObject::Request, Some(changes()))),
        ("hostile", hostile_cluster()),
    ] {
        let page = Format::Html.render(&report).unwrap();
        for (width, dark) in [(400, false), (1400, false), (400, true), (1400, true)] {
            let script = format!(
                "{axe}\nonload = function () {{
                    document.querySelectorAll('details').forEach(function (d) {{ d.open = true; }});
                    var rules = {{}};
                    axe.getRules().forEach(function (rule) {{ rules[rule.ruleId] = {{ enabled: true }}; }});
                    axe.run(document, {{ rules: rules }}).then(function (results) {{
                        found({{ passes: results.passes.length, violations: results.violations.map(function (v) {{
                            return v.id + ': ' + v.help + ': ' + v.nodes.slice(0, 3).map(function (n) {{ return n.html.slice(0, 200) + ' ' + n.failureSummary; }}).join('; ');
                        }}) }});
                    }}, function (error) {{ found({{ passes: 0, violations: [String(error)] }}); }});
                }};"
            );
            let found = browser.find(&page, width, dark, &script);
            let violations: Vec<&str> =
                found["violations"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
            assert!(violations.is_empty(), "{name} at {width}, dark {dark}:\n{}", violations.join("\n"));
            assert!(found["passes"].as_u64().unwrap() > 20, "{found}");
        }
    }
}

#[test]
fn seventeen_policies_are_twelve_sheets_of_paper_at_most() {
    let Some(browser) = Browser::named("nobody has printed the page") else { return };
    let page = Format::Html.render(&two_layers(&seventeen())).unwrap();
    let folder = std::env::var_os("PSP2FALCO_SCREENSHOTS").map(PathBuf::from);
    let file = folder.unwrap_or_else(|| browser.folder.path().to_owned()).join("17.pdf");
    let print = ["--no-pdf-header-footer".to_owned(), format!("--print-to-pdf={}", file.display())];
    browser.open(&page, 1400, false, &print);
    let pdf = fs::read(&file).unwrap();
    let page = b"/Type /Page";
    let is_page = |at: &&[u8]| at.starts_with(page) && at.get(page.len()) != Some(&b's');
    let pages = (0..pdf.len()).map(|at| &pdf[at..]).filter(is_page).count();
    assert!((2..=12).contains(&pages), "{pages} pages");
}

#[test]
fn the_report_names_the_files_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let convert = |target: &str, more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2falco"))
            .args([
                "convert",
                "fixtures/psp/policies/kubernetes-restricted.yaml",
                "--report",
                "json",
                "--force",
                "-o",
            ])
            .arg(folder.path().join(target))
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = fs::read_to_string(folder.path().join("psp_report.json")).unwrap();
        let report: Report = serde_json::from_str(&report).unwrap();
        report.files.into_iter().map(|file| file.name).collect::<Vec<_>>()
    };
    assert_eq!(convert("", &[]), ["psp_audit_rules.yaml", "psp_runtime_rules.yaml"]);
    assert_eq!(convert("mine.yaml", &["--layer", "runtime"]), ["mine.yaml"]);
    assert_eq!(convert("object.yaml", &["--format", "configmap"]), ["psp_audit_rules.yaml"]);
}

#[test]
fn links_find_policies_and_fields_by_name() {
    let mut inventory = many(2);
    inventory.policies[0].policy.name = "a".to_owned();
    inventory.policies[1].policy.name = "a-hostPorts".to_owned();
    // no policy's name has capital letters, but one may end in the name of such a field
    let page = Format::Html.render(&report(&inventory, AuditObject::Response, None)).unwrap();
    let ids: Vec<&str> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "an id stands twice");
    assert_eq!(html_problems(&page), Vec::<String>::new());
    let page = Format::Html.render(&report(&fixtures(), AuditObject::Response, None)).unwrap();
    assert!(page.contains("id=\"policy-restricted\"") && page.contains("id=\"policy-restricted-hostPorts\""));
}

#[test]
fn four_hundred_policies_stay_a_page() {
    let page = Format::Html.render(&two_layers(&many(400))).unwrap();
    assert!(page.len() < 32 << 20, "{} bytes", page.len());
    assert_eq!(page.matches("<details class=\"policy\"").count(), 400);
    assert!(Path::new("templates/report/report.js").exists());
}
