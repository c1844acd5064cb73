//! The versions of Falco and its plugins that are modelled, and those that rules files may require of them.

/// The release of Falco that is modelled.
pub const FALCO_VERSION: &str = "0.44.1";

/// The version of Falco's rules engine that is modelled (Falco 0.44.1).
pub const ENGINE_VERSION: &str = "0.62.0";

/// The plugins and their versions that are modelled.
pub const PLUGIN_VERSIONS: [(&str, &str); 3] =
    [("k8saudit", "0.18.0"), ("json", "0.7.4"), ("container", "0.7.1")];

/// What a rules file requires of the engine: a version, or the minor version alone as files of old have it.
pub(crate) fn engine_version(text: &str) -> Option<[u64; 3]> {
    match text.parse::<u32>() {
        Ok(minor) => Some([0, u64::from(minor), 0]),
        Err(_) => version(text),
    }
}

/// A version's three numbers; what follows them is left aside.
pub(crate) fn version(text: &str) -> Option<[u64; 3]> {
    let mut rest = text;
    let mut out = [0; 3];
    for (i, slot) in out.iter_mut().enumerate() {
        rest = if i == 0 { rest } else { rest.strip_prefix('.')? };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        *slot = number.parse().ok()?;
        rest = tail;
    }
    Some(out)
}

/// Whether version `have` does for those who want `wanted`: the same major version, and no older.
pub(crate) fn is_compatible(have: &str, wanted: [u64; 3]) -> bool {
    let Some(have) = version(have) else { return false };
    have.first() == wanted.first() && have >= wanted
}
