//! The names that the API server takes.

use crate::messages::policy as messages;
use crate::problem::{Message, quote};

/// The most characters of an object's name and of a sysctl.
pub(crate) const MAX_NAME: usize = 253;
/// The most characters of a CSI driver's name, and of the name part of a label or annotation.
pub(crate) const MAX_LABEL: usize = 63;

/// What is wrong with the name of an object, a runtime class or a CSI driver (DNS-1123 subdomain).
pub(crate) fn name(name: &str) -> Option<Message> {
    if name.is_empty() {
        Some(messages::no_name())
    } else if name.len() > MAX_NAME {
        Some(messages::too_long(MAX_NAME))
    } else if is_subdomain(name) {
        None
    } else {
        Some(messages::bad_name(quote(name)))
    }
}

/// Is this a subdomain of RFC 1123, as names of objects are?
pub(crate) fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(|part| is_lower_segment(part, "-"))
}

/// Is this a label of RFC 1123, as names of namespaces are?
pub(crate) fn is_dns_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_lower_segment(name, "-")
}

/// Can rules bear the name, though the API server may have refused it? It must stand in the name of a rule, in a tag
/// and in a comment as it is.
pub(crate) fn is_speakable(name: &str) -> bool {
    let speakable = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(speakable) && !name.ends_with(':')
}

/// What is wrong with the name of a namespace (DNS-1123 label).
pub fn namespace(name: &str) -> Option<Message> {
    if is_dns_label(name) {
        return None;
    }
    Some(messages::bad_namespace(quote(name), MAX_LABEL))
}

/// What is wrong with the key of an annotation or label.
pub(crate) fn qualified_name(key: &str) -> Option<Message> {
    let (prefix, rest) = key.split_once('/').map_or((None, key), |(prefix, rest)| (Some(prefix), rest));
    if prefix.is_none_or(|prefix| name(prefix).is_none()) && is_label_text(rest) {
        return None;
    }
    Some(messages::bad_key(quote(key)))
}

/// What is wrong with the value of a label.
pub(crate) fn label_value(value: &str) -> Option<Message> {
    if value.is_empty() || is_label_text(value) {
        return None;
    }
    Some(messages::bad_label(quote(value), MAX_LABEL))
}

fn is_label_text(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Is this a lower-case letter or a digit?
pub(crate) fn is_lower_or_digit(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// Lower-case letters and digits, with `inner` characters between them.
pub(crate) fn is_lower_segment(part: &str, inner: &str) -> bool {
    part.starts_with(is_lower_or_digit)
        && part.ends_with(is_lower_or_digit)
        && part.chars().all(|c| is_lower_or_digit(c) || inner.contains(c))
}
