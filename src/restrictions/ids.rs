//! What the four strategies over ids share.

use psp_admission::Policy;
use psp_admission::policy::{IdRule, IdStrategy, Range};

use super::mapped::{AtRuntime, Mapped, covers, ranges_data, ranges_listed};
use crate::messages::policy as messages;
use crate::pattern::MAX_ID;
use crate::psp::fault::Fault;

/// What a strategy over ids says.
pub(super) fn ids(strategy: &IdStrategy, what: &str) -> Mapped {
    let allowed = ranges_listed(&strategy.ranges);
    let (value, restricted, must) = match strategy.rule {
        IdRule::RunAsAny => ("RunAsAny".to_owned(), false, false),
        IdRule::MustRunAsNonRoot => ("MustRunAsNonRoot".to_owned(), false, false),
        IdRule::MustRunAs => (format!("MustRunAs {allowed}"), true, true),
        IdRule::MayRunAs => (format!("MayRunAs {allowed}"), true, false),
    };
    let fill = strategy.ranges.first().map_or(0, |r| r.min);
    Mapped::value(value)
        .refuses(restricted && !covers(&strategy.ranges, 0, MAX_ID), format!("{what} outside {allowed}"))
        .corrects(must, format!("{what} unset, which the policy set to {fill}"))
        .with("ranges", ranges_data(&strategy.ranges))
}

/// What processes show of a strategy over ids. Where every id is allowed, nothing is left to see.
pub(super) fn ids_at_runtime(
    strategy: &IdStrategy,
    what: &str,
    refuses: bool,
    reason: &'static str,
) -> AtRuntime {
    if !refuses {
        return AtRuntime::undetectable(
            "every id is allowed, and a pod's own choice looks like the policy's",
        );
    }
    AtRuntime::approximate(
        true,
        format!("process with a {what} outside {}", ranges_listed(&strategy.ranges)),
        reason,
    )
    .with("ranges", ranges_data(&strategy.ranges))
}

/// May a container under this policy run as root?
pub(super) fn root_allowed(policy: &Policy) -> bool {
    let user = &policy.spec.run_as_user;
    match user.rule {
        IdRule::RunAsAny => true,
        IdRule::MustRunAsNonRoot => false,
        IdRule::MustRunAs | IdRule::MayRunAs => user.ranges.iter().any(|r| r.contains(0)),
    }
}

/// What is wrong with the ranges of the strategy at `path`.
pub(super) fn wrong_ranges(path: &str, strategy: &IdStrategy) -> Vec<Fault> {
    let of_range = |(n, range): (usize, &Range)| {
        let path = format!("{path}.ranges[{n}]");
        let negative = [("min", range.min), ("max", range.max)].into_iter().filter(|(_, id)| *id < 0);
        let mut faults: Vec<Fault> = negative
            .map(|(end, id)| Fault::new(format!("{path}.{end}"), messages::negative_id(end, id)))
            .collect();
        if range.min > range.max {
            let message = messages::reversed_range(range.min, range.max, absent_max(range.max));
            faults.push(Fault::new(path, message));
        }
        faults
    };
    strategy.ranges.iter().enumerate().flat_map(of_range).collect()
}

/// What explains the end of a reversed range that was left out.
pub(super) fn absent_max(max: i64) -> &'static str {
    if max == 0 { "; a max left out is 0" } else { "" }
}
