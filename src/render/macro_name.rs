//! The names of a policy's macros.

/// The name of a policy's macros: `psp_` and its name, with `_` for `-`. A name that the API server took holds no
/// capitals, so what is spelt in capitals keeps two names apart for good; what belongs to a policy follows after `__`.
pub fn macro_name(policy: &str) -> String {
    let mut name = String::from("psp_");
    for letter in policy.chars() {
        match letter {
            '.' => name.push_str("_DOT_"),
            '_' => name.push_str("_LINE_"),
            ':' => name.push_str("_COLON_"),
            'A'..='Z' => name.extend("_CAPITAL_".chars().chain([letter.to_ascii_lowercase()])),
            _ if letter.is_ascii_alphanumeric() => name.push(letter),
            _ if name.ends_with('_') => name.push_str("DASH_"),
            _ => name.push('_'),
        }
    }
    name
}
