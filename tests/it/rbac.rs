//! Several policies and RBAC at once: recorded worlds of a real API server, and random ones.
//!
//! A failure of a random one prints its seed; `PSP2FALCO_SEED=… cargo test --test it rbac::` runs it again.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use crate::common::random::{Random, seed};

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use falco_rules::{self as falco, Event, RuleSet};
use psp_admission::access::{self, Access, Request};
use psp_admission::{
    Admission, Bundle, Field, Fields, Judgement, May, Overall, Pod, Policy, Verdict, alerts_beyond,
    changes_under_all, decide, judge,
};
use psp2falco::rbac;
use psp2falco::read::{self, Inventory};
use psp2falco::render::{Options, audit_rules};
use serde_json::{Value, json};

/// The rules of an inventory with RBAC, and their text.
fn rules(inventory: &Inventory) -> (String, RuleSet) {
    let access = rbac::access(inventory, None);
    assert!(access.is_some());
    let text = audit_rules(&inventory.policies, &Options { access, ..Options::default() }).unwrap().text;
    let loaded = falco::load(&[falco::Source { name: "rules.yaml", text: &text }]);
    assert!(loaded.findings.is_empty(), "{}\n{text}", loaded.findings[0]);
    (text, loaded.rules.unwrap())
}

/// Rules that decide nothing ask nobody: Falco warns of a macro that nothing names.
#[test]
fn a_policy_for_all_that_restricts_nothing_has_no_rules() {
    let policy = |name: &str, privileged: bool| {
        json!({
            "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": name},
            "spec": {
                "privileged": privileged, "hostPID": true, "hostIPC": true, "hostNetwork": true,
                "hostPorts": [{"min": 0, "max": 65535}], "volumes": ["*"], "allowedCapabilities": ["*"],
                "allowedUnsafeSysctls": ["*"], "allowedProcMountTypes": ["Default", "Unmasked"],
                "seLinux": {"rule": "RunAsAny"}, "runAsUser": {"rule": "RunAsAny"},
                "supplementalGroups": {"rule": "RunAsAny"}, "fsGroup": {"rule": "RunAsAny"},
            },
        })
    };
    let mut open = policy("open", true);
    open["metadata"]["annotations"] =
        json!({"seccomp.security.alpha.kubernetes.io/allowedProfileNames": "*"});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "use"},
        "rules": [{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"],
            "resourceNames": ["open"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "use"},
        "roleRef": {"kind": "ClusterRole", "name": "use"},
        "subjects": [{"kind": "Group", "name": "system:authenticated"}],
    });
    for policies in [vec![open.clone()], vec![open, policy("other", false)]] {
        let items: Vec<Value> = policies.into_iter().chain([role.clone(), binding.clone()]).collect();
        let text = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        rules(&read::read_text("cluster.json", &text, &read::Options::default()).unwrap());
    }
}

/// The alerts that admission by the bundle of an inventory stands for, whatever the order of an event's keys.
fn by_bundle(admission: &Admission, event: &Value) -> BTreeSet<String> {
    let [outcome, of_sorted] = [event.to_string(), crate::common::sorted(event).to_string()]
        .map(|text| admission.judge(text.as_bytes()).unwrap_or_else(|| panic!("no pod: {text}")));
    assert_eq!(outcome, of_sorted);
    let mut alerts = BTreeSet::new();
    for (found, what) in [(&outcome.violations, "Violation"), (&outcome.lost_defaults, "Lost Default")] {
        for (policy, fields) in found {
            alerts.extend(fields.iter().map(|f| format!("PSP {} {what} ({f})", policy.name)));
        }
    }
    let verdict = match outcome.verdict {
        Overall::Unusable => {
            alerts.insert("PSP No Usable Policy".to_owned());
            Overall::Unusable
        }
        _ if alerts.iter().any(|alert| alert.contains(" Violation (")) => Overall::Refused,
        _ if !alerts.is_empty() => Overall::Corrected,
        _ => Overall::Allowed,
    };
    assert_eq!(outcome.verdict, verdict);
    alerts
}

/// The bundle of an inventory, as it is read again from its text.
fn bundle(inventory: &Inventory, access: &Access) -> Bundle {
    let policies = inventory.policies.iter().map(|located| &located.policy);
    let bundle = Bundle {
        policies: policies.map(|policy| (policy.name.clone(), policy.clone())).collect(),
        access: Some(access.clone()),
        ..Bundle::default()
    };
    let (text, digest) = bundle.to_text();
    let read = Bundle::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read.to_text(), (text, digest));
    read
}

fn alerts(rules: &RuleSet, line: &str) -> BTreeSet<String> {
    let event = Event::parse(line.as_bytes()).unwrap();
    rules.alerts(&event).iter().map(|a| a.name.clone()).collect()
}

/// The alerts that the API server's decision over an event's pod stands for.
fn wanted(inventory: &Inventory, access: &Access, event: &Value) -> BTreeSet<String> {
    let pod = &event["responseObject"];
    let (user, groups) = access::requester(event);
    let request = Request {
        user: &user,
        groups: &groups,
        namespace: event["objectRef"]["namespace"].as_str().unwrap(),
        service_account: access::service_account(pod),
    };
    let policies: Vec<(&Policy, May)> = inventory
        .policies
        .iter()
        .filter_map(|p| Some((&p.policy, access.may(&p.policy.name, &request)?)))
        .collect();
    let decision = decide(
        policies.iter().copied(),
        &Pod::new(pod),
        event.get("requestObject").is_some_and(changes_under_all),
    );
    let mut alerts = BTreeSet::new();
    if decision.none_usable && access.whole {
        alerts.insert("PSP No Usable Policy".to_owned());
    }
    let mut add = |found: &[(&Policy, Fields)], what: &str| {
        for (policy, fields) in found {
            alerts.extend(fields.iter().map(|f| format!("PSP {} {what} ({f})", policy.name)));
        }
    };
    add(&decision.refused, "Violation");
    add(&decision.corrected, "Lost Default");
    assert_eq!(alerts, in_words(&policies, pod, event, access.whole));
    alerts
}

/// The same in the words of the README, policy by policy.
fn in_words(policies: &[(&Policy, May)], pod: &Value, event: &Value, whole: bool) -> BTreeSet<String> {
    let usable: Vec<(&Policy, May)> =
        policies.iter().copied().filter(|(policy, _)| policy.unusable().is_empty()).collect();
    if usable.is_empty() && whole {
        return BTreeSet::from(["PSP No Usable Policy".to_owned()]);
    }
    let changed = event.get("requestObject").is_some_and(changes_under_all);
    let certainly = |verdicts: &[Verdict], before: Option<&str>| {
        usable.iter().any(|(policy, may)| {
            let earlier = before.is_none_or(|name| policy.name.as_str() < name);
            *may == May::Certainly && earlier && verdicts.contains(&judge(policy, &Pod::new(pod)).verdict)
        })
    };
    let mut alerts = BTreeSet::new();
    for (policy, _) in &usable {
        let judgement = judge(policy, &Pod::new(pod));
        let what = match judgement.verdict {
            Verdict::Denied if !certainly(&[Verdict::Allowed, Verdict::Defaulted], None) => "Violation",
            Verdict::Defaulted
                if (changed || !certainly(&[Verdict::Allowed], None))
                    && !certainly(&[Verdict::Allowed, Verdict::Defaulted], Some(&policy.name)) =>
            {
                "Lost Default"
            }
            _ => continue,
        };
        alerts.extend(judgement.fields.iter().map(|f| format!("PSP {} {what} ({f})", policy.name)));
    }
    alerts
}

/// A recorded world: its objects, cases and events by the pod's name.
struct World {
    inventory: Inventory,
    cases: Vec<Value>,
    events: BTreeMap<String, String>,
}

impl World {
    fn load(number: usize) -> Self {
        let path = format!("{}/tests/data/rbac/w{number}/objects.json.gz", env!("CARGO_MANIFEST_DIR"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        let inventory = read::read_text("objects.json", &text, &read::Options::default()).unwrap();
        let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
        let cases =
            crate::common::lines(&format!("rbac/w{number}/cases.jsonl.gz")).iter().map(parse).collect();
        let named = |line: String| {
            (parse(&line)["responseObject"]["metadata"]["name"].as_str().unwrap().to_owned(), line)
        };
        let events =
            crate::common::lines(&format!("rbac/w{number}/audit.jsonl.gz")).into_iter().map(named).collect();
        Self { inventory, cases, events }
    }
}

/// What alerts say in the words of the recordings: verdict, fields, and the policy that admitted.
fn verdict(alerts: &BTreeSet<String>) -> (&'static str, BTreeSet<String>, Option<&str>) {
    let field = |name: &String| name.split('(').nth(1).map(|f| crate::common::group(f.trim_end_matches(')')));
    let fields = alerts.iter().filter_map(field).collect();
    let has = |what: &str| alerts.iter().any(|a| a.contains(what));
    let policies: BTreeSet<&str> = alerts.iter().map(|a| a.split(' ').nth(1).unwrap()).collect();
    match (has(" Violation ("), has(" Lost Default ("), has("PSP No Usable Policy")) {
        (false, false, false) => ("allowed", fields, None),
        (false, true, false) if policies.len() == 1 => ("defaulted", fields, policies.first().copied()),
        (true, false, false) => ("denied", fields, None),
        (false, false, true) if alerts.len() == 1 => ("denied", fields, None),
        _ => panic!("{alerts:?}"),
    }
}

#[test]
fn every_recorded_verdict_field_and_policy() {
    let (mut wrong, mut judged, mut unusable, mut chosen) = (Vec::new(), 0, 0, 0);
    for number in 0..8 {
        let world = World::load(number);
        let access = rbac::access(&world.inventory, None).unwrap();
        let (_, set) = rules(&world.inventory);
        for case in &world.cases {
            let id = case["id"].as_str().unwrap();
            let line = &world.events[id];
            let by_rules = alerts(&set, line);
            let by_admission = wanted(&world.inventory, &access, &serde_json::from_str(line).unwrap());
            let recorded = (
                case["verdict"].as_str().unwrap(),
                case["restrictions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|f| f.as_str().unwrap().to_owned())
                    .collect(),
                case["policy"].as_str().filter(|_| case["verdict"] == "defaulted"),
            );
            for (by, alerts) in [("rules", &by_rules), ("admission", &by_admission)] {
                if verdict(alerts) != recorded {
                    wrong.push(format!("{id} by {by}: {alerts:?}, recorded {recorded:?}"));
                }
            }
            if by_rules != by_admission {
                wrong.push(format!("{id}: {by_rules:?} by rules, {by_admission:?} by admission"));
            }
            judged += 1;
            unusable += usize::from(by_rules.contains("PSP No Usable Policy"));
            chosen += usize::from(recorded.2.is_some());
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((judged, unusable, chosen), (480, 209, 129));
}

/// A pod with a seccomp profile field and no annotation was changed by every policy: the order of names decided.
#[test]
fn a_pod_that_every_policy_changes_goes_to_the_first_by_name() {
    let world = World::load(6);
    let (_, set) = rules(&world.inventory);
    let line = &world.events["w6-003"];
    let fields = ["readOnlyRootFilesystem", "runAsUser"];
    let lost = fields.map(|f| format!("PSP w6-g3 Lost Default ({f})"));
    assert_eq!(alerts(&set, line), BTreeSet::from(lost));
    // sent with the annotation, the pod passes unchanged under a later policy
    let mut event: Value = serde_json::from_str(line).unwrap();
    event["requestObject"]["metadata"]["annotations"] =
        json!({"seccomp.security.alpha.kubernetes.io/pod": "runtime/default"});
    assert_eq!(alerts(&set, &event.to_string()), BTreeSet::new());
}

pub const NAMESPACES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "team.x"];
const USERS: [&str; 12] = [
    "alice@corp.example",
    "o'brien",
    "back\\slash",
    "quo\"te",
    "ünï",
    "CN=x, O=y",
    "not",
    "a) or (ka.verb exists",
    "{{id}} %ka.verb",
    "https://issuer.example#1",
    "system:serviceaccount:a:builder",
    "system:node:n1",
];
const GROUPS: [&str; 12] = [
    "dev",
    "ops",
    "op",
    "a.b",
    "axb",
    "g\"x",
    "x\",\"dev",
    "with space",
    "back\\slash",
    "[ops]",
    "system:serviceaccounts:b",
    "system:masters",
];
pub const ACCOUNTS: [&str; 4] = ["default", "builder", "app", "team.bot"];

fn texts(random: &mut Random, choices: &[&str], often: &str) -> Value {
    if random.one_in(10) { json!([*random.pick(choices)]) } else { json!([often]) }
}

fn role(random: &mut Random, policies: &[&str]) -> Value {
    let rules: Vec<Value> = (0..1 + random.below(2))
        .map(|_| {
            let mut rule = json!({
                "verbs": texts(random, &["*", "get", "uses"], "use"),
                "apiGroups": texts(random, &["*", "extensions", "apps", ""], "policy"),
                "resources": texts(random, &["*", "pods", "*/use", "podsecuritypolicies/x"], "podsecuritypolicies"),
            });
            if !random.one_in(12) {
                let names: Vec<&str> = (0..1 + random.below(2)).map(|_| *random.pick(policies)).collect();
                rule["resourceNames"] = if random.one_in(12) { json!(["*"]) } else { json!(names) };
            }
            rule
        })
        .collect();
    json!(rules)
}

fn subject(random: &mut Random) -> Value {
    match random.below(9) {
        0 | 1 => json!({"kind": "User", "name": *random.pick(&USERS)}),
        2 | 3 => json!({"kind": "Group", "name": *random.pick(&GROUPS)}),
        4 => json!({"kind": "Group", "name": format!("system:serviceaccounts:{}", random.pick(&NAMESPACES))}),
        5 if random.one_in(6) => {
            json!({"kind": "Group", "name": *random.pick(&["system:authenticated", "system:serviceaccounts"])})
        }
        6 => json!({"kind": "ServiceAccount", "name": *random.pick(&ACCOUNTS)}),
        _ => {
            json!({"kind": "ServiceAccount", "name": *random.pick(&ACCOUNTS), "namespace": *random.pick(&NAMESPACES)})
        }
    }
}

/// A cluster role as every API server makes it, which shows that RBAC is whole.
pub fn bootstrap() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "cluster-admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    })
}

/// Random roles and bindings; some are in a namespace that they do not name.
pub fn random_rbac(random: &mut Random, policies: &[&str]) -> Vec<Value> {
    let api = "rbac.authorization.k8s.io/v1";
    let mut objects = Vec::new();
    let unnamed = random.one_in(2);
    for n in 0..1 + random.below(4) {
        let rules = role(random, policies);
        objects.push(json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": format!("r{n}")}, "rules": rules}));
    }
    for n in 0..random.below(3) {
        let (rules, namespace) = (role(random, policies), *random.pick(&NAMESPACES));
        let mut role = json!({"apiVersion": api, "kind": "Role", "metadata": {"name": format!("r{n}"), "namespace": namespace}, "rules": rules});
        if unnamed && random.one_in(2) {
            role["metadata"].as_object_mut().unwrap().remove("namespace");
        }
        objects.push(role);
    }
    let spread = random.one_in(2);
    for n in 0..2 + random.below(if spread { 30 } else { 6 }) {
        let cluster = random.one_in(3);
        let kind = if cluster || !random.one_in(3) { "ClusterRole" } else { "Role" };
        let name = if random.one_in(10) { "missing".to_owned() } else { format!("r{}", random.below(4)) };
        let subjects: Vec<Value> = (0..random.below(5)).map(|_| subject(random)).collect();
        let mut binding = json!({
            "apiVersion": api, "kind": if cluster { "ClusterRoleBinding" } else { "RoleBinding" },
            "metadata": {"name": format!("b{n}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": subjects,
        });
        if !(cluster || unnamed && random.one_in(4)) {
            binding["metadata"]["namespace"] = (*random.pick(&NAMESPACES)).into();
        }
        objects.push(binding);
    }
    objects
}

/// The authorizer in plain steps, one question at a time. What names no namespace is in the namespace asked for, except
/// that a binding without one refers to a role without one first.
fn authorized(objects: &[Value], policy: &str, user: &str, groups: &[String], namespace: &str) -> bool {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    if groups.iter().any(|g| g == "system:masters") {
        return true;
    }
    for binding in objects.iter().filter(|o| text(o, "kind").ends_with("Binding")) {
        let given = text(&binding["metadata"], "namespace");
        let local = text(binding, "kind") == "RoleBinding";
        let own = if local && given.is_empty() { namespace.to_owned() } else { given.clone() };
        if local && own != namespace {
            continue;
        }
        let matches =
            binding["subjects"].as_array().unwrap().iter().any(|s| match text(s, "kind").as_str() {
                "User" => text(s, "name") == user,
                "Group" => groups.contains(&text(s, "name")),
                _ => {
                    let given = text(s, "namespace");
                    let of = if given.is_empty() { own.clone() } else { given };
                    !of.is_empty() && user == format!("system:serviceaccount:{of}:{}", text(s, "name"))
                }
            });
        if !matches {
            continue;
        }
        let (kind, name) = (text(&binding["roleRef"], "kind"), text(&binding["roleRef"], "name"));
        let role_of = |namespace: &str| {
            objects.iter().find(|o| {
                text(o, "kind") == kind
                    && text(&o["metadata"], "name") == name
                    && (kind == "ClusterRole" || local && text(&o["metadata"], "namespace") == namespace)
            })
        };
        let exact = role_of(&given).filter(|_| kind == "ClusterRole" || local);
        let role = exact.or_else(|| role_of(if given.is_empty() { &own } else { "" }));
        for rule in role.into_iter().flat_map(|r| r["rules"].as_array().unwrap()) {
            let has = |key: &str, wanted: &str| {
                rule[key].as_array().unwrap().iter().any(|v| v == "*" || v == wanted)
            };
            let named = rule["resourceNames"].as_array().is_none_or(|n| n.iter().any(|n| n == policy));
            let group = has("apiGroups", "policy") || has("apiGroups", "extensions");
            if has("verbs", "use") && group && has("resources", "podsecuritypolicies") && named {
                return true;
            }
        }
    }
    false
}

pub fn inventory(policies: &[read::Located], objects: &[Value]) -> Inventory {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let mut inventory = read::read_text("objects.json", &list, &read::Options::default()).unwrap();
    inventory.policies = policies.to_vec();
    inventory
}

/// Someone who asks: a user with groups, or a service account with its own.
pub fn someone(random: &mut Random) -> (String, Vec<String>) {
    let mut groups: Vec<String> = Vec::new();
    let user = if random.one_in(3) {
        let namespace = *random.pick(&NAMESPACES);
        groups.extend(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
        format!("system:serviceaccount:{namespace}:{}", random.pick(&ACCOUNTS))
    } else {
        (*random.pick(&USERS)).to_owned()
    };
    for _ in 0..random.below(3) {
        // system:masters and the groups of service accounts are rare
        let group = if random.one_in(4) { *random.pick(&GROUPS) } else { *random.pick(&GROUPS[..10]) };
        groups.push(group.to_owned());
    }
    groups.push("system:authenticated".to_owned());
    (user, groups)
}

/// Requests of all kinds, of which the rules, admission and a bundle say the same. How many there were.
fn requests_agree(
    random: &mut Random,
    seed: u64,
    (inventory, objects, access): (&Inventory, &[Value], &Access),
    kinds: &mut BTreeMap<(bool, &str), usize>,
) -> usize {
    let recording = crate::common::Recording::load();
    let lines: Vec<&String> = recording.events.values().collect();
    let names: Vec<&str> = inventory.policies.iter().map(|p| p.policy.name.as_str()).collect();
    let (text, set) = rules(inventory);
    let admission = Admission::new(bundle(inventory, access));
    let mut asked = 0;
    for _ in 0..60 {
        let mut event: Value = serde_json::from_str(random.pick::<&String>(&lines)).unwrap();
        let namespace = if random.one_in(2) { "a" } else { *random.pick(&NAMESPACES) };
        let (user, groups) = someone(random);
        event["objectRef"]["namespace"] = namespace.into();
        if random.one_in(3) {
            event["user"] = json!({"username": "root", "groups": ["system:masters", "system:authenticated"]});
            event["impersonatedUser"] = json!({"username": user, "groups": groups});
        } else {
            event["user"] = json!({"username": user, "groups": groups});
        }
        let spec = event["responseObject"]["spec"].as_object_mut().unwrap();
        if random.one_in(3) {
            spec.remove("serviceAccountName");
        } else {
            spec.insert("serviceAccountName".into(), (*random.pick(&ACCOUNTS)).into());
        }
        let account = access::service_account(&event["responseObject"]).to_owned();
        let told = || format!("PSP2FALCO_SEED={seed}\n{}\n{event}", json!(objects));
        for name in &names {
            let as_account = access::account_user(namespace, &account);
            let account_groups = access::account_groups(namespace);
            let direct = authorized(objects, name, &user, &groups, namespace);
            let of_account = authorized(objects, name, &as_account, &account_groups, namespace);
            assert_eq!(access.may_use(name, &user, &groups, namespace), direct, "{name} {}", told());
            let request = Request { user: &user, groups: &groups, namespace, service_account: &account };
            assert_eq!(access.admits_under(name, &request), direct || of_account, "{name} {}", told());
        }
        let wanted = wanted(inventory, access, &event);
        assert_eq!(alerts(&set, &event.to_string()), wanted, "{}\n{text}", told());
        assert_eq!(by_bundle(&admission, &event), wanted, "{}", told());
        let kind = ["Violation", "Lost Default", "No Usable"];
        let kind = kind.into_iter().find(|k| wanted.iter().any(|a| a.contains(k))).unwrap_or("silence");
        *kinds.entry((access.whole, kind)).or_default() += 1;
        asked += 1;
    }
    asked
}

#[test]
fn rules_for_a_set_and_admission_agree() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let recording = crate::common::Recording::load();
    let all: Vec<&read::Located> = recording.located.values().collect();
    let (mut asked, mut kinds) = (0, BTreeMap::<(bool, &str), usize>::new());
    for _ in 0..80 {
        let mut policies: Vec<read::Located> =
            (0..1 + random.below(5)).map(|_| (*random.pick(&all)).clone()).collect();
        policies.sort_by(|left, right| left.policy.name.cmp(&right.policy.name));
        policies.dedup_by(|left, right| left.policy.name == right.policy.name);
        let names: Vec<&str> = policies.iter().map(|p| p.policy.name.as_str()).collect();
        let mut objects = random_rbac(&mut random, &names);
        let whole = random.one_in(2);
        if whole {
            objects.push(bootstrap());
        }
        let inventory = inventory(&policies, &objects);
        let Some(access) = rbac::access(&inventory, None) else { panic!("roles and bindings were given") };
        assert_eq!(access.whole, whole);
        asked += requests_agree(&mut random, seed, (&inventory, &objects, &access), &mut kinds);
    }
    println!("{asked} requests agree: {kinds:?}");
    assert!(kinds.len() == 7 && kinds.values().all(|n| *n > 10), "{kinds:?}");
}

/// The same in a cluster as most are: policies much alike, most of them for one application's service account.
#[test]
fn policies_much_alike_decide_as_admission_did() {
    let seed = seed();
    println!("PSP2FALCO_SEED={seed}");
    let mut random = Random(seed);
    let recording = crate::common::Recording::load();
    let all: Vec<&read::Located> = recording.located.values().collect();
    let (mut asked, mut kinds) = (0, BTreeMap::<(bool, &str), usize>::new());
    for _ in 0..40 {
        let base = *random.pick(&all);
        let (mut policies, mut objects) = (Vec::new(), vec![bootstrap()]);
        for n in 0..3 + random.below(6) {
            let mut own = if random.one_in(6) { *random.pick(&all) } else { base }.clone();
            own.policy.name = format!("p{n}");
            for _ in 0..random.below(3) {
                let (own, other) = (&mut own.policy.spec, &random.pick(&all).policy.spec);
                match random.below(8) {
                    0 => own.privileged = other.privileged,
                    1 => own.host_network = other.host_network,
                    2 => own.host_ports.clone_from(&other.host_ports),
                    3 => own.fs_group.clone_from(&other.fs_group),
                    4 => own.supplemental_groups.clone_from(&other.supplemental_groups),
                    5 => own.volumes.clone_from(&other.volumes),
                    6 => own.required_drop_capabilities.clone_from(&other.required_drop_capabilities),
                    _ => own.read_only_root_filesystem = other.read_only_root_filesystem,
                }
            }
            let (namespace, account) = (*random.pick(&NAMESPACES[..4]), *random.pick(&ACCOUNTS));
            let (subject, namespace) = match random.below(8) {
                0 => (json!({"kind": "Group", "name": "system:authenticated"}), None),
                1 => (
                    json!({"kind": "Group", "name": format!("system:serviceaccounts:{namespace}")}),
                    Some(namespace),
                ),
                2 => (json!({"kind": "ServiceAccount", "name": account, "namespace": namespace}), None),
                _ => (
                    json!({"kind": "ServiceAccount", "name": account, "namespace": namespace}),
                    Some(namespace),
                ),
            };
            objects.extend(granted_to(&own.policy.name, &subject, namespace));
            policies.push(own);
        }
        let inventory = inventory(&policies, &objects);
        let access = rbac::access(&inventory, None).unwrap();
        asked += requests_agree(&mut random, seed, (&inventory, &objects, &access), &mut kinds);
    }
    println!("{asked} requests agree: {kinds:?}");
    assert!(kinds.len() >= 3 && kinds.values().all(|n| *n > 10), "{kinds:?}");
}

/// A role that lets its subject use a policy, in one namespace or in all.
fn granted_to(policy: &str, subject: &Value, namespace: Option<&str>) -> [Value; 2] {
    let api = "rbac.authorization.k8s.io/v1";
    let rules = json!([{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": [policy]}]);
    let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
    let mut binding = json!({"apiVersion": api, "kind": kind, "metadata": {"name": policy},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": policy},
        "subjects": [subject]});
    if let Some(namespace) = namespace {
        binding["metadata"]["namespace"] = namespace.into();
    }
    [json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": policy}, "rules": rules}), binding]
}

/// A policy that refuses everything that the pods of the recordings do not all keep to.
fn strict(name: &str) -> read::Located {
    crate::common::policy(&json!({
        "apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": name},
        "spec": {
            "privileged": false, "volumes": ["*"],
            "runAsUser": {"rule": "RunAsAny"}, "seLinux": {"rule": "RunAsAny"},
            "fsGroup": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"},
        },
    }))
}

fn granted(subjects: &Value, scope: Option<&str>) -> Vec<Value> {
    let api = "rbac.authorization.k8s.io/v1";
    let mut binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": subjects,
    });
    if let Some(namespace) = scope {
        binding["kind"] = "RoleBinding".into();
        binding["metadata"]["namespace"] = namespace.into();
    }
    vec![
        json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "r"},
            "rules": [{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": ["p"]}]}),
        binding,
    ]
}

/// Names that a condition cannot hold are left out, and said; nothing of them gets into the rules.
#[test]
fn a_name_that_no_condition_can_hold_is_left_out() {
    let long = "x".repeat(300);
    let names = [long.as_str(), "tail\\", "line\nend", "x (psps_exempt_namespaces) y", "null\u{0}"];
    let mut subjects: Vec<Value> = names.iter().map(|n| json!({"kind": "User", "name": n})).collect();
    subjects.push(json!({"kind": "Group", "name": "fine"}));
    let inventory = inventory(&[strict("p")], &granted(&json!(subjects), None));
    let options = Options { access: rbac::access(&inventory, None), ..Options::default() };
    let rendered = audit_rules(&inventory.policies, &options).unwrap();
    assert_eq!(rendered.left_out.len(), 5, "{:?}", rendered.left_out);
    assert!(!rendered.text.contains(&long) && !rendered.text.contains("line"));
    assert!(rendered.text.contains("fine"));
    rules(&inventory);
}

/// An event that is not about pods costs each rule three comparisons at most, however many policies and bindings there are.
#[test]
fn other_events_stay_cheap() {
    let world = World::load(0);
    let (_, set) = rules(&world.inventory);
    let other = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"1","stageTimestamp":"2026-01-01T00:00:00.000000Z","requestReceivedTimestamp":"2026-01-01T00:00:00.000000Z","stage":"ResponseComplete","verb":"list","objectRef":{"resource":"nodes"}}"#;
    let counted = set.alerts_counted(&Event::parse(other.as_bytes()).unwrap()).1;
    assert!(counted.per_rule.iter().all(|n| *n <= 3), "{:?}", counted.per_rule);
}

/// Roles without bindings, or bindings without roles, tell nothing.
#[test]
fn half_of_rbac_is_no_rbac() {
    let objects = granted(&json!([]), None);
    for half in [&objects[..1], &objects[1..]] {
        assert!(rbac::access(&inventory(&[strict("p")], half), None).is_none());
    }
}

/// The rules grow in line with the policies, and hold each namespace once.
#[test]
fn rules_grow_with_the_policies() {
    let size = |count: usize| {
        let policies: Vec<read::Located> = (0..count).map(|n| strict(&format!("p{n:03}"))).collect();
        let inventory = inventory(&policies, &granted(&json!([{"kind": "Group", "name": "dev"}]), Some("a")));
        rules(&inventory).0.len()
    };
    let (few, many) = (size(20), size(80));
    assert!(many < few * 4 + few / 2, "{few} bytes for 20 policies, {many} for 80");
}

/// The one event of a pod that some service account makes for itself.
fn own_pod(policy: &read::Located, namespace: &str, account: &str) -> String {
    let recording = crate::common::Recording::load();
    let refused =
        |id: &&String| judge(&policy.policy, &Pod::new(&recording.stored[*id])).verdict == Verdict::Denied;
    let id = recording.stored.keys().find(refused).unwrap();
    let mut event: Value = serde_json::from_str(&recording.events[id]).unwrap();
    event.as_object_mut().unwrap().remove("impersonatedUser");
    event["objectRef"]["namespace"] = namespace.into();
    event["responseObject"]["spec"]["serviceAccountName"] = account.into();
    event["user"] =
        json!({"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []});
    event.to_string()
}

/// Who may use the policies of some files, each a name and a text.
fn of_files(files: &[(&str, &str)], default_namespace: Option<&str>) -> (Inventory, Option<Access>) {
    let mut all = Inventory::default();
    for (name, text) in files {
        let one = read::read_text(name, text, &read::Options::default()).unwrap();
        all.policies.extend(one.policies);
        all.objects.extend(one.objects);
    }
    let access = rbac::access(&all, default_namespace);
    (all, access)
}

/// A chart with a policy, a role and a binding, none of which names its namespace.
fn chart(policy: &str) -> String {
    let role = |kind: &str, rest: &str| {
        format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: psp}}\n{rest}\n"
        )
    };
    format!(
        "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {{name: {policy}}}\nspec: {{seLinux: {{rule: RunAsAny}}, runAsUser: {{rule: RunAsAny}}, fsGroup: {{rule: RunAsAny}}, supplementalGroups: {{rule: RunAsAny}}}}\n"
    ) + &role(
        "Role",
        &format!(
            "rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{policy}]}}]"
        ),
    ) + &role(
        "RoleBinding",
        &format!(
            "roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: psp}}\nsubjects: [{{kind: ServiceAccount, name: {policy}}}]"
        ),
    )
}

fn account_may(access: &Access, policy: &str, namespace: &str, account: &str) -> bool {
    let user = access::account_user(namespace, account);
    access.may_use(policy, &user, &access::account_groups(namespace), namespace)
}

/// What stands under `fixtures/rbac` becomes what stands under `fixtures/expected/rbac`: the rules, and what is told.
#[test]
fn every_kind_of_rbac_gives_its_expected_rules() {
    use crate::snapshot::{check, files, report, root};
    use clap::Parser as _;
    let mut problems = Vec::new();
    let found = files(&root().join("fixtures/rbac"));
    assert!(found.len() >= 3);
    for path in found {
        let input = root().join("fixtures/rbac").join(&path);
        let words = ["psp2falco".into(), "convert".into(), input.clone().into_os_string()];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        psp2falco::commands::run(
            psp2falco::cli::Cli::try_parse_from(words).unwrap(),
            &mut psp2falco::console::Console::new(&mut out, &mut err),
        )
        .unwrap();
        let told = String::from_utf8(err).unwrap().replace(&format!("{}/", root().display()), "");
        let expected = root().join("fixtures/expected/rbac").join(&path);
        problems.extend(check(&expected, &String::from_utf8(out).unwrap()).err());
        problems.extend(check(&expected.with_extension("txt"), &told).err());
    }
    report(&problems, "it");
}

/// A chart as `helm template` prints it: its service account may use its policy, in whatever namespace it will be.
#[test]
fn a_chart_without_a_namespace_grants_its_policy_in_any() {
    let (inventory, access) = of_files(&[("chart.yaml", &chart("web"))], None);
    let access = access.unwrap();
    assert_eq!((access.notes.as_slice(), access.unnamed, access.whole), ([].as_slice(), 1, false));
    assert!(account_may(&access, "web", "a", "web") && account_may(&access, "web", "b", "web"));
    assert!(!account_may(&access, "web", "a", "default"));
    let elsewhere = access::account_user("b", "web");
    assert!(
        !access.may_use("web", &elsewhere, &access::account_groups("b"), "a"),
        "not the account of another one"
    );
    let (text, set) = rules(&inventory);
    assert!(!text.contains("PSP No Usable Policy"));
    let policy = &inventory.policies[0];
    for (account, judged) in [("web", true), ("default", false)] {
        let alerts = alerts(&set, &own_pod(policy, "team.x", account));
        assert_eq!(!alerts.is_empty(), judged, "{alerts:?}");
        assert!(alerts.iter().all(|a| a.starts_with("PSP web Violation")), "{alerts:?}");
    }
    // with whole RBAC, nobody else may use it
    let whole = format!("{}---\n{}", chart("web"), bootstrap());
    let (whole, _) = of_files(&[("chart.yaml", &whole)], None);
    let (_, set) = rules(&whole);
    let event = own_pod(policy, "team.x", "default");
    assert_eq!(alerts(&set, &event), BTreeSet::from(["PSP No Usable Policy".to_owned()]));
    assert!(!alerts(&set, &own_pod(policy, "team.x", "web")).contains("PSP No Usable Policy"));
}

#[test]
fn the_default_namespace_gives_a_name_to_what_has_none() {
    let (_, access) = of_files(&[("chart.yaml", &chart("web"))], Some("shop"));
    let access = access.unwrap();
    assert_eq!(access.unnamed, 0);
    assert!(account_may(&access, "web", "shop", "web") && !account_may(&access, "web", "a", "web"));
}

/// Role and ClusterRole are different kinds, whatever namespace a Role does not name.
#[test]
fn a_role_never_stands_for_a_cluster_role() {
    let api = "rbac.authorization.k8s.io/v1";
    let rules = json!([{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"]}]);
    let object = |kind: &str, rules: &Value| json!({"apiVersion": api, "kind": kind, "metadata": {"name": "r"}, "rules": rules});
    let binding = |kind: &str, role: &str, namespace: Option<&str>| {
        let mut binding = json!({"apiVersion": api, "kind": kind, "metadata": {"name": "b"},
            "roleRef": {"kind": role, "name": "r"}, "subjects": [{"kind": "Group", "name": "dev"}]});
        if let Some(namespace) = namespace {
            binding["metadata"]["namespace"] = namespace.into();
        }
        binding
    };
    let may = |objects: &[Value], namespace: &str| {
        let access = rbac::access(&inventory(&[strict("p")], objects), None).unwrap();
        access.may_use("p", "x", &["dev"], namespace)
    };
    // the ClusterRole grants nothing, and a Role of its name does not change that
    let roles = [object("ClusterRole", &json!([])), object("Role", &rules)];
    let with = |binding: Value| roles.iter().cloned().chain([binding]).collect::<Vec<_>>();
    assert!(!may(&with(binding("ClusterRoleBinding", "ClusterRole", None)), "a"));
    assert!(!may(&with(binding("ClusterRoleBinding", "Role", None)), "a"));
    assert!(!may(&with(binding("RoleBinding", "ClusterRole", Some("a"))), "a"));
    // a Role is of the namespace of its binding
    let named = with(binding("RoleBinding", "Role", Some("a")));
    assert!(may(&named, "a") && !may(&named, "b"));
    assert!(may(&with(binding("RoleBinding", "Role", None)), "b"));
    // and a binding of that of its role
    let mut local = object("Role", &rules);
    local["metadata"]["namespace"] = "a".into();
    let pair = [local, binding("RoleBinding", "Role", None)];
    assert!(may(&pair, "a") && !may(&pair, "b"));
}

/// Two charts call their roles alike: each binding means the role of its own chart.
#[test]
fn a_binding_refers_to_the_nearest_role_of_the_name() {
    let split = |policy: &str| -> (String, String) {
        let text = chart(policy);
        let (role, binding) = text.rsplit_once("---\n").unwrap();
        (role.to_owned(), binding.to_owned())
    };
    let ((role_a, binding_a), (role_b, binding_b)) = (split("a"), split("b"));
    let may = |files: &[(&str, &str)]| {
        let access = of_files(files, None).1.unwrap();
        let pairs = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")];
        let pairs = pairs.map(|(policy, account)| account_may(&access, policy, "n", account));
        (pairs, access.notes.len())
    };
    let own = [true, false, false, true];
    assert_eq!(may(&[("a.yaml", &chart("a")), ("b.yaml", &chart("b"))]), (own, 0));
    assert_eq!(
        may(&[
            ("charts/a/role.yaml", &role_a),
            ("charts/b/role.yaml", &role_b),
            ("charts/a/binding.yaml", &binding_a),
            ("charts/b/binding.yaml", &binding_b),
        ]),
        (own, 0)
    );
    // nobody can tell: nothing is granted that only one of them grants, and that is said
    let heap = [("roles/a.yaml", &*role_a), ("roles/b.yaml", &*role_b), ("x.yaml", &*binding_a)];
    assert_eq!(may(&heap), ([false; 4], 1));
    // the same role twice is one role
    assert_eq!(may(&[("x/a.yaml", &chart("a")), ("x/c.yaml", &role_a), ("y.yaml", &binding_a)]).1, 0);
}

#[test]
fn aggregated_roles_take_the_rules_of_those_that_they_select() {
    let api = "rbac.authorization.k8s.io/v1";
    let uses = |policy: &str| json!([{"verbs": ["use"], "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": [policy]}]);
    let role = |name: &str, labels: Value, selectors: Value, rules: Value| {
        let mut role = json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": name, "labels": labels}, "rules": rules});
        if !selectors.is_null() {
            role["aggregationRule"] = json!({"clusterRoleSelectors": selectors});
        }
        role
    };
    let binding = json!({"apiVersion": api, "kind": "ClusterRoleBinding", "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "all"}, "subjects": [{"kind": "Group", "name": "dev"}]});
    let label = |key: &str, value: &str| json!([{"matchLabels": {key: value}}]);
    let expression = |operator: &str, values: Value| json!([{"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}]);
    let part = || role("part", json!({"k": "v"}), Value::Null, uses("p"));
    let may = |roles: Vec<Value>| {
        let objects: Vec<Value> = roles.into_iter().chain([binding.clone()]).collect();
        let access = rbac::access(&inventory(&[strict("p")], &objects), None).unwrap();
        (access.may_use("p", "x", &["dev"], "n"), access.notes.len())
    };
    let all = |selectors: Value| role("all", json!({}), selectors, json!([]));
    for (selectors, selected) in [
        (label("k", "v"), true),
        (label("k", "w"), false),
        (json!([{}]), true),
        (json!([]), false),
        (expression("In", json!(["u", "v"])), true),
        (expression("In", json!(["u"])), false),
        (expression("NotIn", json!(["u"])), true),
        (expression("NotIn", json!(["v"])), false),
        (expression("Exists", Value::Null), true),
        (expression("DoesNotExist", Value::Null), false),
        (expression("Equals", json!(["v"])), false),
        (
            json!([{"matchLabels": {"k": "v"}, "matchExpressions": [{"key": "j", "operator": "Exists"}]}]),
            false,
        ),
    ] {
        assert_eq!(
            may(vec![all(selectors.clone()), part()]),
            (selected, usize::from(!selected)),
            "{selectors}"
        );
    }
    // through another one, in circles too; what a manifest writes there, the controller writes anew
    let middle = role(
        "middle",
        json!({"m": "n"}),
        json!([{"matchLabels": {"k": "v"}}, {"matchLabels": {"m": "n"}}]),
        json!([]),
    );
    assert_eq!(may(vec![all(label("m", "n")), middle.clone(), part()]), (true, 0));
    let other = role("other", json!({"k": "v"}), Value::Null, uses("q"));
    let stale = role("middle", json!({"m": "n"}), label("k", "v"), uses("p"));
    assert_eq!(may(vec![all(label("m", "n")), stale, other.clone()]), (false, 0));
    // nothing of it is there: what was filled in counts, as in a listing of the cluster
    assert_eq!(may(vec![role("all", json!({}), label("k", "w"), uses("p")), part()]), (true, 0));
    let stored = role("all", json!({}), label("k", "v"), uses("p"));
    assert_eq!(may(vec![stored.clone(), other.clone()]), (false, 0));
    assert_eq!(may(vec![stored, other, bootstrap()]), (true, 0));
}

/// Every namespace has the account `default`; others are missed only where all there are were read.
#[test]
fn only_an_account_that_cannot_be_there_is_missed() {
    let subject = |name: &str| json!([{"kind": "ServiceAccount", "name": name, "namespace": "a"}]);
    let known = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "known", "namespace": "a"}});
    let notes = |name: &str, whole: bool| {
        let mut objects = granted(&subject(name), None);
        objects.push(known.clone());
        objects.extend(whole.then(bootstrap));
        rbac::access(&inventory(&[strict("p")], &objects), None).unwrap().notes.len()
    };
    assert_eq!(["known", "default", "gone"].map(|name| notes(name, true)), [0, 0, 1]);
    assert_eq!(["known", "default", "gone"].map(|name| notes(name, false)), [0, 0, 0]);
}

/// Where one policy admits a recorded pod as it is and another does not, the comparison names every field of it.
#[test]
fn what_one_policy_admits_and_another_does_not_is_foreseen() {
    let recording = crate::common::Recording::load();
    let mut random = Random(seed());
    let pods: Vec<&Value> = recording.stored.values().collect();
    let policies: Vec<&Policy> = recording.policies.values().filter(|p| p.unusable().is_empty()).collect();
    let (mut compared, mut seen, mut claimed) = (0, BTreeMap::<Field, usize>::new(), 0);
    for _ in 0..4000 {
        let pod = *random.pick(&pods);
        let judged: Vec<(&Policy, Judgement)> = (0..12)
            .map(|_| *random.pick(&policies))
            .map(|policy| (policy, judge(policy, &Pod::new(pod))))
            .collect();
        for (lax, _) in judged.iter().filter(|(_, j)| j.verdict == Verdict::Allowed) {
            for (strict, judgement) in &judged {
                let beyond = alerts_beyond(strict, lax);
                assert!(
                    judgement.fields.iter().all(|field| beyond.contains(field)),
                    "{} {} {judgement:?} {pod}",
                    strict.name,
                    lax.name
                );
                judgement.fields.iter().for_each(|field| *seen.entry(field).or_default() += 1);
                compared += 1;
                claimed += usize::from(!beyond.is_empty());
            }
        }
    }
    println!("{compared} pairs, {claimed} of them unlike, {seen:?}");
    assert!(compared > 1000 && seen.len() > 15, "{compared} {seen:?}");
    for policy in &policies {
        assert_eq!(alerts_beyond(policy, policy), Fields::default(), "{}", policy.name);
    }
}
