//! What is wrong with a field of a policy.

use crate::problem::Message;

/// Something wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, like `spec.runAsUser.ranges[0]`.
    pub path: String,
    /// What is wrong, and the cure.
    pub message: Message,
}

impl Fault {
    pub(crate) fn new(path: impl Into<String>, message: Message) -> Self {
        Self { path: path.into(), message }
    }
}

/// What `wrong` says of the entries of a list, each with its path.
pub(crate) fn of_entries<T>(path: &str, list: &[T], wrong: impl Fn(&T) -> Option<Message>) -> Vec<Fault> {
    let entries = list.iter().enumerate();
    entries.filter_map(|(n, entry)| Some(Fault::new(format!("{path}[{n}]"), wrong(entry)?))).collect()
}
