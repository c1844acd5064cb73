use super::*;
use crate::catalog::{Argument, FieldInfo, FieldType};
use crate::{Event, EventReader, Extractions, FieldValue, FieldValues};

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: NOTICE\n  source: k8s_audit\n"
    )
}

/// The findings of some files, as `severity code item line:column message`.
fn findings(files: &[&str]) -> Vec<String> {
    let sources: Vec<Source<'_>> = files.iter().map(|text| Source { name: "f.yaml", text }).collect();
    load(&sources).findings.iter().map(Finding::to_string).collect()
}

/// The names of the rules that alert on an event with verb `create`.
fn alerts(files: &[&str]) -> Vec<String> {
    let sources: Vec<Source<'_>> = files.iter().map(|text| Source { name: "f.yaml", text }).collect();
    let loaded = load(&sources);
    let rules = loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings));
    let line = br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11Z","verb":"create","requestURI":"/api"}"#;
    let event = Event::parse(line).unwrap();
    rules.alerts(&event).iter().map(|r| r.name.clone()).collect()
}

#[track_caller]
fn finds(files: &[&str], expected: &str) {
    let found = findings(files);
    assert!(found.iter().any(|f| f.contains(expected)), "{found:#?}");
}

#[test]
fn loads_nothing_from_nothing() {
    assert!(load(&[]).rules.unwrap().rules().is_empty());
    assert_eq!(findings(&["", "---\n"]), Vec::<String>::new());
}

#[test]
fn lists_go_in_as_text() {
    let list = "- list: verbs\n  items: [create, get]\n- list: more\n  items: [verbs, \"x y\"]\n";
    assert_eq!(
        alerts(&[list, &(rule("a", "ka.verb in (verbs)") + &rule("b", "ka.verb in (more)"))]),
        ["a", "b"]
    );
    let one = "- list: verbs\n  items: [create]\n";
    let quoted = rule("a", "ka.verb=verbs") + &rule("b", "'ka.verb=\"verbs\"'");
    assert_eq!(alerts(&[one, &quoted]), ["a"]);
    // A later file changes what the list holds for rules of an earlier one.
    let file = "- list: verbs\n  items: [get]\n".to_owned() + &rule("a", "ka.verb in (verbs)");
    assert_eq!(alerts(&[&file]), [""; 0]);
    assert_eq!(alerts(&[&file, "- list: verbs\n  items: [create]\n  override: {items: append}\n"]), ["a"]);
    assert_eq!(alerts(&[&file, one]), ["a"]);
}

#[test]
fn macros_see_those_before_them() {
    let before = "- macro: a\n  condition: ka.verb=create\n- macro: b\n  condition: a and ka.uri exists\n";
    assert_eq!(alerts(&[before, &rule("r", "b")]), ["r"]);
    let after = "- macro: b\n  condition: a\n- macro: a\n  condition: ka.verb=create\n";
    finds(&[after], "f.yaml:2:14: error: LOAD_ERR_VALIDATE: macro 'b': Undefined macro 'a' used in filter.");
    finds(&[&rule("r", "a and b")], "f.yaml:3:14: error: LOAD_ERR_VALIDATE: rule 'r': Undefined macro 'a'");
    let appended = "- macro: a\n  condition: ka.verb=x\n- macro: b\n  condition: a\n- macro: a\n  condition: or b\n  \
                    override: {condition: append}\n";
    finds(&[appended], "reference loop in macro 'b'");
    finds(&["- macro: a\n  condition: ka.verb=x\n"], "f.yaml:1:3: warning: LOAD_UNUSED_MACRO: macro 'a'");
    finds(&["- list: a\n  items: [x]\n"], "LOAD_UNUSED_LIST: list 'a'");
    finds(&["- macro: a-b\n  condition: ka.verb=x\n"], "LOAD_INVALID_MACRO_NAME");
    finds(&["- list: a b\n  items: [x]\n"], "LOAD_INVALID_LIST_NAME");
}

#[test]
fn later_items_change_earlier_rules() {
    let base = rule("r", "ka.verb=x");
    let with = |change: &str| alerts(&[&base, change]);
    assert_eq!(with("- rule: r\n  condition: or ka.verb=create\n  override: {condition: append}\n"), ["r"]);
    assert_eq!(with("- rule: r\n  condition: ka.verb=create\n  override: {condition: replace}\n"), ["r"]);
    assert_eq!(with(&rule("r", "ka.verb=create")), ["r"]);
    let base = rule("r", "ka.verb=create") + &rule("s", "ka.verb=create");
    let with = |change: &str| alerts(&[&base, change]);
    assert_eq!(with("- rule: r\n  enabled: false\n  override: {enabled: replace}\n"), ["s"]);
    assert_eq!(with("- rule: r\n  enabled: false\n"), ["s"]);
    // A rule keeps the place of its first definition.
    assert_eq!(with(&rule("r", "ka.uri exists")), ["r", "s"]);
    let change = "- rule: r\n  tags: [z, a]\n  output: more\n  override: {tags: append, output: append}\n";
    let loaded = load(&[Source { name: "a", text: &base }, Source { name: "b", text: change }]);
    let rules = loaded.rules.unwrap();
    let changed = rules.rule("r").unwrap();
    assert_eq!((changed.output.as_str(), changed.tags.join(" ")), ("o more", "a z".to_owned()));
}

#[test]
fn refuses_broken_overrides() {
    let base = rule("r", "ka.verb=x");
    for (change, message) in [
        ("- rule: q\n  condition: x\n  override: {condition: append}\n", "Rule uses 'append' or"),
        (
            "- rule: q\n  condition: x\n  override: {condition: replace}\n",
            "An 'override.<key>: replace' to a rule",
        ),
        ("- rule: r\n  override: {condition: append}\n", "'condition' is not defined"),
        ("- rule: r\n  priority: ERROR\n  override: {priority: append}\n", "cannot be appended to"),
        ("- rule: r\n  condition: x\n  override: {condition: foo}\n", "Allowed values are: append replace"),
        ("- rule: r\n  condition: x\n  desc: y\n  override: {condition: append}\n", "Unexpected key 'desc'"),
        (
            "- rule: r\n  append: true\n  condition: x\n  override: {condition: append}\n",
            "cannot be used together",
        ),
        ("- rule: q\n  enabled: false\n", "no rule by that name already exists"),
        ("- list: l\n  items: [x]\n  append: true\n", "no list by that name"),
        ("- macro: m\n  condition: x\n  append: true\n", "no macro by that name"),
    ] {
        finds(&[&base, change], message);
    }
}

#[test]
fn exceptions_become_conditions() {
    let with = |exception: &str| {
        let text = rule("r", "ka.verb exists") + "  exceptions:\n  - " + exception + "\n";
        alerts(&[&text]).len()
    };
    assert_eq!(
        with("{name: e, fields: [ka.verb, ka.uri], comps: [=, startswith], values: [[create, /a]]}"),
        0
    );
    assert_eq!(with("{name: e, fields: [ka.verb, ka.uri], values: [[create, /a]]}"), 1);
    assert_eq!(with("{name: e, fields: ka.verb, values: [get, create]}"), 0);
    assert_eq!(with("{name: e, fields: [ka.verb], comps: [in], values: [[[get, create]]]}"), 0);
    assert_eq!(with("{name: e, fields: ka.verb, comps: startswith anyof, values: [cre]}"), 0);
    assert_eq!(with("{name: e, fields: ka.verb}"), 1);
    let error = |exception: &str, message: &str| {
        finds(&[&(rule("r", "ka.verb exists") + "  exceptions:\n  - " + exception + "\n")], message);
    };
    error("{name: e, fields: [ka.verb], values: [[a, b]]}", "Fields and values lists must have equal length");
    error("{name: e, fields: [ka.nope], values: [[a]]}", "'ka.nope' is not a supported filter field");
    error(
        "{name: e, fields: [ka.verb], comps: [~], values: [[a]]}",
        "is not a supported comparison operator",
    );
    error("{name: e, values: [[a]]}", "Item has no mapping for key 'fields'");
    let base = rule("r", "ka.verb exists") + "  exceptions:\n  - {name: e, fields: ka.verb, values: [x]}\n";
    let more =
        "- rule: r\n  exceptions:\n  - {name: e, values: [create]}\n  override: {exceptions: append}\n";
    assert_eq!(alerts(&[&base, more]), [""; 0]);
}

#[test]
fn missing_and_odd_keys() {
    let whole = rule("r", "ka.verb=x");
    for key in ["condition", "output", "desc", "priority"] {
        let text: Vec<&str> = whole.lines().filter(|l| !l.trim().starts_with(key)).collect();
        finds(&[&text.join("\n")], &format!("Item has no mapping for key '{key}'"));
    }
    finds(&[&whole.replace("k8s_audit", "aws")], "LOAD_UNKNOWN_SOURCE");
    finds(
        &[&(whole.clone() + "  foo: 1\n")],
        "f.yaml:7:3: warning: LOAD_UNKNOWN_KEY: rule 'r': Unknown key 'foo'",
    );
    finds(
        &[&whole.replace("NOTICE", "critical")],
        "f.yaml:5:13: warning: SCHEMA: rule 'r': priority 'critical'",
    );
    finds(&[&whole.replace("NOTICE", "loud")], "Invalid priority");
    finds(&[&(whole.clone() + &whole)], "f.yaml:7:3: warning: DUPLICATE_RULE");
    finds(&["- foo: 1\n"], "LOAD_UNKNOWN_ITEM");
    finds(&["foo: 1\n"], "Rules content is not yaml array of objects");
    finds(&["- [\n"], "LOAD_ERR_YAML_PARSE");
    // A source key left out makes a syscall rule, in which audit fields do not exist.
    let syscall = whole.replace("  source: k8s_audit\n", "");
    finds(&[&syscall], "nonexistent field ka.verb (the field is for rules with source: k8s_audit)");
}

#[test]
fn checks_conditions_where_they_stand() {
    let folded = rule("r", ">\n    ka.verb=create and\n    ka.nmae=x");
    finds(&[&folded], "f.yaml:5:5: error: LOAD_ERR_COMPILE_CONDITION: rule 'r': filter_check called with");
    finds(&[&rule("r", "ka.verbs=x")], "nonexistent field ka.verbs (did you mean ka.verb?)");
    finds(&[&rule("r", "ka.user.groups=x")], "'=' operator not supported list filters");
    finds(&[&rule("r", "'ka.verb != \"<NA>\"'")], "LOAD_UNSAFE_NA_CHECK");
    finds(&[&rule("r", "ka.verb regex abc")], "LOAD_COMPILE_CONDITION");
    finds(&[&rule("r", "ka.verb=ka.uri")], "may be a valid field misused as a const string value");
    finds(&[&rule("r", &format!("ka.verb={}", "x".repeat(256)))], "filter parameter too long (used=257");
    assert_eq!(findings(&[&rule("r", &format!("ka.verb={}", "x".repeat(255)))]), [""; 0]);
    // All errors are told, not the first only; one in a macro once, at its place.
    let text = "- macro: m\n  condition: ka.nope=1\n".to_owned()
        + &rule("r", "m or ka.nope2=1 or ka.nope3=1")
        + &rule("s", "m");
    let found = findings(&[&text]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("f.yaml:2:14: error: LOAD_ERR_COMPILE_CONDITION: macro 'm'"));
}

#[test]
fn checks_event_types_of_syscall_rules() {
    let syscall = |condition: &str| findings(&[&rule("r", condition).replace("k8s_audit", "syscall")]);
    for fine in [
        "evt.type in (execve, execveat) and proc.vpid=1",
        "evt.type=container and container.privileged=true",
        "not (evt.type!=execve or proc.name=x)",
        "evt.type=execve and container.mount.dest[/etc*] exists and proc.aname[2]=sh and user.uid=0",
    ] {
        assert_eq!(syscall(fine), [""; 0], "{fine}");
    }
    for (condition, expected) in [
        ("proc.name=x", "LOAD_NO_EVTTYPE"),
        ("evt.type!=execve", "LOAD_NO_EVTTYPE"),
        ("evt.type=open or proc.name=x", "LOAD_NO_EVTTYPE"),
        ("evt.asynctype=container", "LOAD_NO_EVTTYPE"),
        ("evt.type=execve and evt.dir=<", "LOAD_DEPRECATED_ITEM"),
        ("evt.type=exeve", "unknown event type exeve"),
        ("evt.type=execve and container.privileged=yes", "unrecognized boolean value yes"),
        ("evt.type=execve and proc.pid=abc", "abc is not a valid number"),
        ("evt.type=execve and proc.pid contains 1", "operator not supported for numeric filters"),
    ] {
        let found = syscall(condition);
        assert!(found.iter().any(|f| f.contains(expected)), "{condition}: {found:#?}");
    }
}

#[test]
fn checks_required_versions() {
    let engine = |v: &str| findings(&[&format!("- required_engine_version: {v}\n")]).join("\n");
    assert_eq!([engine("0.62.0"), engine("15"), engine("0.31.0")], ["", "", ""]);
    assert!(engine("0.63.0").contains("Rules require engine version 0.63.0, but engine version is 0.62.0"));
    assert!(engine("abc").contains("Unable to parse engine version 'abc'"));
    let plugin = |text: &str| findings(&[&format!("- required_plugin_versions:\n  - {text}\n")]).join("\n");
    let eks = "{name: k8saudit-eks, version: 0.4.0, alternatives: [{name: k8saudit, version: 0.7.0}]}";
    assert_eq!(plugin(eks), "");
    assert!(plugin("{name: json, version: 0.9.0}").contains("PLUGIN_REQUIREMENT"));
    assert!(plugin("{name: json, version: x}").contains("Invalid required version 'x' for plugin 'json'"));
}

#[test]
fn anchors_stand_for_their_values() {
    let text = "- rule: a\n  desc: &d d\n  condition: &c ka.verb=create\n  output: &o \"100: %ka.verb\"\n  priority: \
                NOTICE\n  source: k8s_audit\n  tags: &t [x, y]\n- rule: b\n  desc: *d\n  condition: *c\n  output: *o\n  \
                priority: NOTICE\n  source: k8s_audit\n  tags: *t\n";
    assert_eq!(alerts(&[text]), ["a", "b"]);
}

#[test]
fn outputs_name_known_fields() {
    let output = |text: &str| findings(&[&rule("r", "ka.verb=x").replace("output: o", text)]).join("\n");
    assert_eq!(output("output: a %ka.verb, %jevt.value[/a/b] %toupper(ka.verb)%5ka.uri"), "");
    assert!(output("output: a %ka.nope").contains("LOAD_ERR_COMPILE_OUTPUT: rule 'r': unknown filter"));
    assert!(output("output: a %proc.name").contains("for rules with source: syscall"));
    assert!(output("output: 100%").contains("formatting cannot end with a %"));
    assert!(output("output: 100% of").contains("LOAD_ERR_COMPILE_OUTPUT"));
    assert!(output("output: \"%container.info\"").contains("LOAD_DEPRECATED_ITEM"));
}

#[test]
fn renders_as_the_engine_does() {
    let text = rule("r", "ka.verb=create").replace(
        "output: o",
        "output: 'a=%ka.verb b=%ka.impuser.name c=%ka.user.groups d=%evt.num e=%evt.time.iso8601 f=%8ka.verb| g=%ka.verbose \
         h=%len(ka.user.groups) i=%jevt.value[/user] j=%evt.rawtime.ns'",
    );
    let rules = load(&[Source { name: "f", text: &text }]).rules.unwrap();
    let line = br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11.0000005Z","verb":"create","user":{"groups":["","x","y"]}}"#;
    let event = Event::parse(line).unwrap().numbered(7);
    let [alert] = rules.alerts(&event)[..] else { panic!() };
    assert_eq!(
        alert.render_output(&event),
        "a=create b=<NA> c=(x,y) d=7 e=2026-11-23T02:47:11.000000500+0000 f=create  | g=createose h=3 \
         i={\"groups\":[\"\",\"x\",\"y\"]} j=000000500"
    );
    let fields = serde_json::Value::Object(alert.output_fields(&event));
    assert_eq!(
        fields.to_string(),
        r#"{"evt.num":7,"evt.rawtime.ns":500,"evt.time":1795402031000000500,"evt.time.iso8601":1795402031000000500,"jevt.value[/user]":"{\"groups\":[\"\",\"x\",\"y\"]}","ka.impuser.name":null,"ka.user.groups":["","x","y"],"ka.verb":"create"}"#
    );
}

#[test]
fn counts_what_is_read() {
    let text = rule("a", "ka.verb=create and ka.uri=x and ka.stage=y")
        + &rule("b", "ka.verb=get and ka.uri exists")
        + &rule("c", "jevt.value[/a]=1 or jevt.value[/b]=1 or not ka.verb=x")
        + &(rule("d", "ka.verb exists") + "  enabled: false\n");
    let rules = load(&[Source { name: "f", text: &text }]).rules.unwrap();
    let line = br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11Z","verb":"create"}"#;
    let event = Event::parse(line).unwrap();
    let (alerts, counts) = rules.alerts_counted(&event);
    assert_eq!(alerts.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(counts, Extractions { distinct: 4, per_rule: vec![2, 1, 3, 0] });
}

#[test]
fn reading_a_string_alone_changes_the_text_around_it() {
    // Recorded: the second rule sees the list as it is written after the first has read an element.
    let line =
        br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11Z","list":["a\u0026b"]}"#;
    let event = Event::parse(line).unwrap();
    let raw = rule("raw", "jevt.value[/list] contains u0026");
    let read = rule("read", "jevt.value[/list/0] contains '&'");
    let rules = load(&[Source {
        name: "f",
        text: &(raw.clone() + &read + &rule("again", "jevt.value[/list] contains u0026")),
    }]);
    let rules = rules.rules.unwrap();
    for _ in 0..2 {
        let names: Vec<&str> = rules.alerts(&event).iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["raw", "read"]);
        assert_eq!(rules.alerts_counted(&event).0.len(), 2);
    }
}

#[test]
fn says_what_it_cannot_evaluate() {
    let text = rule("r", "getopt(ka.user.groups, \"ab\") exists") + &rule("s", "ka.verb=create");
    let loaded = load(&[Source { name: "f", text: &text }]);
    let rules = loaded.rules.unwrap();
    assert!(rules.rule("r").unwrap().not_modelled.is_some());
    assert_eq!(loaded.findings[0].code, "NOT_MODELLED");
    assert!(rules.rule("s").unwrap().not_modelled.is_none());
}

#[test]
fn bombs_do_no_harm() {
    let mut macros = String::from("- {macro: m0, condition: ka.verb=create}\n");
    for i in 1..60 {
        let before = i - 1;
        macros += &format!("- {{macro: m{i}, condition: m{before} and (m{before} or not m{before})}}\n");
    }
    assert_eq!(alerts(&[&macros, &rule("r", "m59")]), ["r"]);
    let mut chain = String::from("- {macro: m0, condition: ka.verb=create}\n");
    for i in 1..5000 {
        chain += &format!("- {{macro: m{i}, condition: not m{}}}\n", i - 1);
    }
    finds(&[&chain, &rule("r", "m4999")], "nests deeper than");
    let list = format!("- list: l\n  items: [{}]\n", ["abcdefghij"; 5000].join(", "));
    let condition = format!("ka.verb in ({})", ["l"; 5000].join(", "));
    finds(&[&list, &rule("r", &condition)], "becomes too long when its lists are put in");
    let mut aliases = rule("r", "ka.verb=x")
        + "  exceptions:\n  - name: a\n    fields: &a0 [ka.verb, ka.verb]\n    values: &v0 [a, b]\n";
    for i in 1..30 {
        let before = i - 1;
        aliases += &format!(
            "  - name: a{i}\n    fields: &a{i} [*a{before}, *a{before}]\n    values: &v{i} [*v{before}, *v{before}]\n"
        );
    }
    finds(&[&aliases], "too many entries");
    finds(&[&"[".repeat(100_000)], "LOAD_ERR_YAML_PARSE");
}

/// A plugin of one field, whose value is the argument and the length of the event.
#[derive(Debug)]
struct Echo;

impl EventReader for Echo {
    fn read(&self, event: &[u8]) -> Box<dyn FieldValues> {
        Box::new(Length(event.len()))
    }
}

struct Length(usize);

impl FieldValues for Length {
    fn value(&self, event: &[u8], name: &str, argument: Option<&str>) -> Option<FieldValue> {
        assert_eq!((event.len(), name), (self.0, "echo.words"));
        let words = argument?.split('+').map(str::to_owned).collect();
        Some(FieldValue::List(words))
    }
}

#[test]
fn fields_of_other_plugins_are_checked_and_read() {
    const FIELDS: &[FieldInfo] = &[FieldInfo {
        name: "echo.words",
        kind: FieldType::Text,
        list: true,
        argument: Some(Argument { required: true, index: false, key: true }),
        origin: "echo",
        sources: &["k8s_audit"],
        since: None,
        deprecated: false,
    }];
    let info = PluginInfo { name: "echo", version: "1.2.0", fields: FIELDS };
    let text = |condition: &str, version: &str| {
        format!(
            "- required_plugin_versions:\n    - {{name: echo, version: {version}}}\n- rule: a\n  desc: d\n  \
             condition: {condition}\n  output: \"%echo.words[x+y]\"\n  priority: NOTICE\n  source: k8s_audit\n"
        )
    };
    let with = |condition: &str, version: &str, reader: Option<Arc<dyn EventReader>>| {
        let text = text(condition, version);
        load_with(&[Source { name: "f", text: &text }], &[Plugin { info, reader }])
    };
    let event =
        Event::parse(br#"{"kind":"Event","auditID":"1","stageTimestamp":"2026-11-23T02:47:11Z"}"#).unwrap();
    for (condition, alerts) in [
        ("echo.words[a+b] intersects (b)", true),
        ("echo.words[a+b] in (a, b)", true),
        ("echo.words[a+b] intersects (c)", false),
        ("not echo.words[a] exists", false),
    ] {
        let rules = with(condition, "1.1.0", Some(Arc::new(Echo))).rules.unwrap();
        let found = rules.alerts(&event);
        assert_eq!(!found.is_empty(), alerts, "{condition}");
        assert!(found.iter().all(|rule| rule.render_output(&event) == "(x,y)"), "{condition}");
        let without = with(condition, "1.1.0", None).rules.unwrap();
        assert_eq!(!without.alerts(&event).is_empty(), condition.starts_with("not "));
    }
    let first = |condition: &str, version: &str| with(condition, version, None).findings[0].to_string();
    assert!(first("echo.words exists", "1.0.0").contains("requires an argument"));
    assert!(first("echo.words[a]=b", "1.0.0").contains("LOAD_ERR_COMPILE_CONDITION"));
    assert!(first("echo.words[a] exists", "1.3.0").contains("must load one of: echo:1.3.0"));
    let unknown = text("echo.words[a] exists", "1.0.0");
    let findings = load(&[Source { name: "f", text: &unknown }]).findings;
    assert!(findings.iter().any(|finding| finding.to_string().contains("nonexistent field echo.words")));
}
