//! Why Falco refuses or warns about a part of a condition or of an output.

use crate::finding::Severity;
use crate::syntax::Pos;

/// Falco's code for a condition that does not compile.
pub(crate) const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";
/// Falco's code for an output that does not compile.
pub(crate) const OUTPUT: &str = "LOAD_ERR_COMPILE_OUTPUT";

/// Something wrong with a comparison.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) pos: Pos,
    /// A field or event type is not known, which `skip-if-unknown-filter` forgives.
    pub(crate) unknown: bool,
}

impl Problem {
    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Why something is refused.
pub(crate) struct Refusal {
    pub(crate) message: String,
    pub(crate) unknown: bool,
}

pub(crate) type Checked<T> = Result<T, Refusal>;

pub(crate) fn refuse<T>(message: impl Into<String>) -> Checked<T> {
    Err(Refusal { message: message.into(), unknown: false })
}
