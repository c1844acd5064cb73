//! `seLinux`: which SELinux options must pods and containers have?

use psp_admission::Policy;
use psp_admission::policy::SeLinuxOptions;

use super::mapped::{AtRuntime, Mapped};
use super::restriction::Restriction;
use crate::pattern::json_text;
use crate::pod_security::{Check, Level, Stance};

/// Orders of up to this many categories are spelt out one by one.
const SPELT_OUT: usize = 3;

/// The types that the baseline level lets containers have.
const USUAL_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) struct SeLinux;

impl Restriction for SeLinux {
    fn map(policy: &Policy) -> Mapped {
        let se_linux = &policy.spec.se_linux;
        let Some(options) = se_linux.options.as_ref().filter(|_| se_linux.must_run_as) else {
            return Mapped::value(if se_linux.must_run_as {
                "MustRunAs without options"
            } else {
                "RunAsAny"
            });
        };
        let words = words(options);
        let mapped = Mapped::value(format!("MustRunAs {words}"))
            .refuses(true, format!("SELinux options other than {words}"))
            .corrects(true, format!("seLinuxOptions unset, which the policy set to {words}"))
            .runtime(AtRuntime::undetectable("Falco has no field for a process's SELinux label"));
        let (lead, comma) = lead(options);
        let level = json_text(&options.level);
        let categories: Vec<&str> =
            level.split_once(':').map(|(_, c)| c.split(',').collect()).unwrap_or_default();
        if options.level.is_empty() {
            return mapped.with("options", vec![format!("{lead}}}")]);
        }
        let lead = format!("{lead}{comma}\"level\":\"");
        if categories.len() > SPELT_OUT {
            let sensitivity = level.split(':').next().unwrap_or_default();
            let lead = format!("{lead}{sensitivity}:");
            return mapped
                .with("options", vec![lead.clone()])
                .with("lead", lead)
                .with("fewer", categories.len().saturating_sub(2))
                .with("count", categories.len())
                .with("categories", categories);
        }
        let orders = match level.split_once(':') {
            Some((sensitivity, _)) => orders(&categories)
                .into_iter()
                .map(|c| format!("{lead}{sensitivity}:{}\"}}", c.join(",")))
                .collect(),
            None => vec![format!("{lead}{level}\"}}")],
        };
        mapped.with("options", orders)
    }

    fn stance(policy: &Policy, check: Check) -> Option<Stance> {
        let strategy = &policy.spec.se_linux;
        (check == Check::SeLinuxOptions).then(|| match &strategy.options {
            Some(options) if strategy.must_run_as => {
                let plain = options.user.is_empty() && options.role.is_empty();
                let usual = plain && USUAL_TYPES.contains(&options.type_.as_str());
                if usual { Stance::Refuses } else { Stance::Contradicts }
            }
            _ => Stance::LeavesOpen,
        })
    }

    fn beyond(_: &Policy, _: Level) -> Option<&'static str> {
        Some("the level fixes no level and no single type")
    }
}

fn words(options: &SeLinuxOptions) -> String {
    let parts = [
        ("user", &options.user),
        ("role", &options.role),
        ("type", &options.type_),
        ("level", &options.level),
    ];
    let set: Vec<String> =
        parts.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}={v}")).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(" ") }
}

/// The text of user, role and type as the API server writes them, and the comma that follows if any is set.
fn lead(options: &SeLinuxOptions) -> (String, &'static str) {
    let parts = [("user", &options.user), ("role", &options.role), ("type", &options.type_)];
    let set: Vec<String> = parts
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("\"{key}\":\"{}\"", json_text(value)))
        .collect();
    let comma = if set.is_empty() { "" } else { "," };
    (set.join(","), comma)
}

/// All orders of a few categories.
fn orders<'a>(categories: &[&'a str]) -> Vec<Vec<&'a str>> {
    if categories.len() < 2 {
        return vec![categories.to_vec()];
    }
    let mut all = Vec::new();
    for (index, first) in categories.iter().enumerate() {
        let mut rest = categories.to_vec();
        rest.remove(index);
        all.extend(orders(&rest).into_iter().map(|mut tail| {
            tail.insert(0, first);
            tail
        }));
    }
    all.sort();
    all.dedup();
    all
}
