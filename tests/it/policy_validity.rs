//! Every policy of which the API server's answer was recorded is accepted or refused as it was there, for the same
//! field. The one deliberate difference: an unknown field, which the API server dropped in silence, is refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use std::fs::File;
use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use psp2falco::problem::Problem;
use psp2falco::psp::validity;
use psp2falco::read::{Inventory, Options, read_text};
use serde_json::Value;

/// Refused here, accepted there.
const REFUSED_ON_PURPOSE: &str = "unknown field";

/// Accepted there, but admission skipped the policy.
const UNUSABLE: [(&str, &str); 4] = [
    ("runAsUser MustRunAs without ranges", "spec.runAsUser"),
    ("fsGroup MustRunAs without ranges", "spec.fsGroup"),
    ("fsGroup MayRunAs without ranges", "spec.fsGroup"),
    ("seLinux MustRunAs without options", "spec.seLinux"),
];

/// Accepted and usable, but hardly meant so: they get a warning too.
const REMARKED: [(&str, &str); 3] = [
    ("capability with CAP_ prefix", "spec.allowedCapabilities[0]"),
    ("hostPorts reversed", "spec.hostPorts[0]"),
    ("procMount unknown", "spec.allowedProcMountTypes[0]"),
];

struct Case {
    name: String,
    policy: Value,
    accepted: bool,
    message: String,
}

impl Case {
    fn read(&self, strict: bool) -> Result<Inventory, Vec<Problem>> {
        read_text("policy.json", &self.policy.to_string(), &Options { strict, ..Options::default() })
    }
}

fn cases() -> Vec<Case> {
    let file = File::open("tests/data/policy-validity.jsonl.gz").unwrap();
    let cases: Vec<Case> = BufReader::new(GzDecoder::new(file))
        .lines()
        .map(|line| {
            let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
            Case {
                name: text("case"),
                policy: case["policy"].clone(),
                accepted: case["accepted"].as_bool().unwrap(),
                message: text("message"),
            }
        })
        .collect();
    assert_eq!(cases.len(), 74);
    cases
}

/// The field that the API server's message names, in the spelling of a manifest.
fn field(message: &str) -> String {
    // A type error names the Go field: `v1beta1.PodSecurityPolicySpec.HostPorts: []v1beta1.HostPortRange: …`.
    if message.contains("cannot be handled as") {
        let fields: Vec<String> = message
            .split(": ")
            .filter_map(|part| part.strip_prefix("v1beta1.")?.split_once('.'))
            .filter(|(type_, _)| *type_ != "PodSecurityPolicy")
            .map(|(_, name)| name[..1].to_lowercase() + &name[1..])
            .collect();
        return format!("spec.{}", fields.join("."));
    }
    let (_, fault) = message.split_once("is invalid: ").unwrap();
    let (path, _) = fault.trim_start_matches('[').split_once(": ").unwrap();
    // Three paths of the API server are not those of the manifest.
    let path = path
        .replace("allowedFlexVolumes.allowedFlexVolumes[", "allowedFlexVolumes[")
        .replace("allowedCSIDrivers.allowedCSIDriver[", "allowedCSIDrivers[");
    if path.ends_with("Capabilities") { format!("spec.{path}") } else { path }
}

/// Is `ours` the field that the API server named, a part of it, or the range whose end it named?
fn same_field(ours: &str, theirs: &str) -> bool {
    let whole = theirs.strip_suffix(".min").unwrap_or(theirs);
    ours.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn accepts_and_refuses_as_the_api_server_did() {
    for case in cases() {
        let strict = case.read(true);
        if case.name == REFUSED_ON_PURPOSE {
            let problems = strict.unwrap_err();
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].path, "spec.privilegedd");
            assert_eq!(
                problems[0].message.to_string(),
                "unknown field \"privilegedd\"; did you mean privileged?"
            );
            continue;
        }
        assert_eq!(strict.is_ok(), case.accepted, "{}: {strict:?}", case.name);
        let Err(problems) = strict else { continue };
        let field = field(&case.message);
        for problem in &problems {
            assert!(same_field(&problem.path, &field), "{}: {problem} is not about {field}", case.name);
            assert!(problem.place.line == 1 && problem.place.column > 0, "{}: {problem}", case.name);
            assert!(
                problem
                    .message
                    .to_string()
                    .starts_with(|first: char| !first.is_uppercase() || first == 'M' || first == 'R')
            );
        }
    }
}

#[test]
fn reads_required_fields_that_are_missing_as_run_as_any() {
    for case in cases() {
        let missing = case.name.starts_with("missing ");
        match case.read(false) {
            Ok(inventory) if missing => {
                let warnings: Vec<String> = inventory.warnings.iter().map(ToString::to_string).collect();
                let path = field(&case.message);
                let text = "missing, though the API server requires it; read as RunAsAny";
                assert_eq!(warnings.len(), 1, "{}", case.name);
                assert!(warnings[0].ends_with(&format!(": {path}: {text}")), "{}", warnings[0]);
            }
            // rules bear a name that the API server refused
            Ok(inventory) if !case.accepted => {
                let paths: Vec<&str> =
                    inventory.warnings.iter().map(|warning| warning.path.as_str()).collect();
                assert_eq!(paths, ["metadata.name"], "{}", case.name);
            }
            result => {
                assert_eq!(result.is_ok(), case.accepted && case.name != REFUSED_ON_PURPOSE, "{}", case.name);
            }
        }
    }
}

#[test]
fn warns_of_what_was_accepted_and_useless() {
    for case in cases().into_iter().filter(|case| case.accepted && case.name != REFUSED_ON_PURPOSE) {
        let inventory = case.read(true).unwrap();
        let unusable = UNUSABLE.iter().find(|(name, _)| *name == case.name);
        let expected = unusable.or_else(|| REMARKED.iter().find(|(name, _)| *name == case.name));
        let paths: Vec<&str> = inventory.warnings.iter().map(|warning| warning.path.as_str()).collect();
        assert_eq!(paths, expected.map(|(_, path)| *path).into_iter().collect::<Vec<_>>(), "{}", case.name);

        let reason = validity::unusable(&inventory.policies[0].policy);
        assert_eq!(reason.is_some(), unusable.is_some(), "{}: {reason:?}", case.name);
        if unusable.is_some() {
            assert!(
                inventory.warnings[0].message.to_string().contains("skipped it, so it admitted no pod"),
                "{}",
                case.name
            );
        }
    }
}
