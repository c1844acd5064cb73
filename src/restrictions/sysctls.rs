//! What the two fields about sysctls share.

use std::collections::{BTreeSet, HashSet};

use super::mapped::{AtRuntime, one_line};
use crate::messages::policy as messages;
use crate::pattern::json_text;
use crate::problem::quote;
use crate::psp::fault::{Fault, of_entries};
use crate::psp::names::{MAX_NAME, is_lower_or_digit, is_lower_segment};

/// The most overlapping pairs of sysctls worth showing.
const MAX_OVERLAPS: usize = 1000;

/// Writes of sysctls, by the files under `/proc/sys` that the patterns name.
pub(super) fn written_sysctls(restricted: bool, sentence: String, patterns: &[String]) -> AtRuntime {
    let path = |name: &str| format!("/proc/sys/{}", name.replace('.', "/"));
    let (mut names, mut prefixes) = (Vec::new(), Vec::new());
    for pattern in patterns.iter().filter(|p| one_line(p)) {
        match pattern.strip_suffix('*') {
            Some(prefix) => prefixes.push(path(prefix)),
            None => names.push(path(pattern)),
        }
    }
    names.sort();
    names.dedup();
    prefixes.sort();
    prefixes.dedup();
    AtRuntime::approximate(
        restricted,
        sentence,
        "shows whoever writes the file, a process or the container runtime, if Falco knows its container then",
    )
    .with("names", names)
    .with("prefixes", prefixes)
}

/// Sysctl patterns as the beginning of a name: a whole name with its closing quote, or a prefix.
pub(super) fn patterns(patterns: &[String]) -> Vec<String> {
    patterns
        .iter()
        .map(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => json_text(prefix),
            None => format!("{}\"", json_text(pattern)),
        })
        .collect()
}

/// What is wrong with a list of sysctls.
pub(super) fn wrong_sysctls(path: &str, patterns: &[String]) -> Vec<Fault> {
    let mut faults = of_entries(path, patterns, |pattern| {
        if pattern.is_empty() {
            Some(messages::empty_sysctl())
        } else {
            (!is_sysctl_pattern(pattern)).then(|| messages::no_sysctl(quote(pattern), MAX_NAME))
        }
    });
    if patterns.len() > 1 && patterns.iter().any(|pattern| pattern == "*") {
        faults.push(Fault::new(path, messages::all_sysctls()));
    }
    faults
}

/// `([a-z0-9]([-_a-z0-9]*[a-z0-9])?\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]`
fn is_sysctl_pattern(pattern: &str) -> bool {
    let (parents, last) = pattern.rsplit_once('.').map_or((None, pattern), |(all, last)| (Some(all), last));
    let stem = last.strip_suffix('*').unwrap_or(last);
    pattern.len() <= MAX_NAME
        && !last.is_empty()
        && parents.is_none_or(|all| all.split('.').all(|part| is_lower_segment(part, "-_")))
        && (stem.is_empty()
            || stem.starts_with(is_lower_or_digit)
                && stem.chars().all(|c| is_lower_or_digit(c) || "-_".contains(c)))
        && (stem.len() < last.len() || last.ends_with(is_lower_or_digit))
}

/// The entries of the list at `path` that are within an entry of the `others`; equal ones count if `or_equal`.
pub(super) fn overlaps(path: &str, own: &[String], others: &[String], or_equal: bool) -> Vec<Fault> {
    let may_overlap = may_overlap(others);
    let own = own.iter().enumerate().filter(|(_, own)| may_overlap(own));
    let pairs = own.flat_map(|(n, own)| others.iter().map(move |other| (n, own, other)));
    pairs
        .filter(|(_, own, other)| covers(other, own) && (or_equal || own != other))
        .take(MAX_OVERLAPS)
        .map(|(n, _, other)| Fault::new(format!("{path}[{n}]"), messages::overlapping_sysctls(quote(other))))
        .collect()
}

/// Does a pattern overlap with one of many? Found without looking at each.
fn may_overlap(patterns: &[String]) -> impl Fn(&str) -> bool {
    let stem = |pattern: &str| pattern.strip_suffix('*').unwrap_or(pattern).to_owned();
    let stems: BTreeSet<String> = patterns.iter().map(|pattern| stem(pattern)).collect();
    let wide: HashSet<String> = patterns.iter().filter(|p| p.ends_with('*')).map(|p| stem(p)).collect();
    move |pattern| {
        let own = stem(pattern);
        let begins = own.char_indices().map(|(at, _)| own.get(..at)).chain([Some(own.as_str())]);
        stems.contains(&own)
            || begins.flatten().any(|begin| wide.contains(begin))
            || stems.range(own.clone()..).next().is_some_and(|next| next.starts_with(&own))
    }
}

/// Does pattern `wide` match all that `narrow` does?
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(prefix) => narrow.strip_suffix('*').unwrap_or(narrow).starts_with(prefix),
        None => wide == narrow,
    }
}
