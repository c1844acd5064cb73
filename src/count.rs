//! Numbers of things, in words.

/// `1 policy`, `2 policies`, `0 policies`: a number and its noun, which is given in the singular.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// The noun as it follows `number`.
pub(crate) fn plural(number: usize, noun: &str) -> String {
    if number == 1 {
        return noun.to_owned();
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_follow_their_number() {
        assert_eq!(counted(0, "finding"), "0 findings");
        assert_eq!(counted(1, "policy"), "1 policy");
        assert_eq!(counted(2, "PodSecurityPolicy"), "2 PodSecurityPolicies");
        assert_eq!(counted(3, "key"), "3 keys");
    }
}
