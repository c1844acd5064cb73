//! What rules cost Falco before it has seen an event, estimated from the checks that it holds for them.
//!
//! Falco copies each macro into each rule that names it, with a filter, a regular expression and a cache of its own for
//! each check. The figures are those of Falco 0.44.1 with k8saudit 0.18.0 and json 0.7.4, as `cargo bench --bench engine`
//! prints them: files of 2,000 to 230,000 checks take 3.5 to 4.5 KB and 27 to 40 µs a check. Beyond some 5,000 checks the
//! memory has 16 MB more, event buffers of k8saudit that the loading of a large file makes resident.

use std::fmt;
use std::time::Duration;

use crate::count::counted;

/// The memory that Falco takes for a check, in bytes.
const BYTES: usize = 4_000;
/// The time that Falco takes to load a check.
const LOADING: Duration = Duration::from_micros(35);
/// The memory that the Helm chart allows Falco by default (`charts/falco/values.yaml`, `resources.limits.memory`), less
/// what Falco takes with the two plugins and hardly any rules.
const ALLOWED: usize = (1024 - 64) << 20;

/// What rules cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The checks that Falco holds.
    pub checks: usize,
}

impl Cost {
    /// The memory, in bytes.
    pub fn memory(self) -> usize {
        self.checks.saturating_mul(BYTES)
    }

    /// The time that loading takes.
    pub fn loading(self) -> Duration {
        LOADING.saturating_mul(u32::try_from(self.checks).unwrap_or(u32::MAX))
    }

    /// Does Falco need more than its Helm chart allows by default?
    pub fn exceeds_chart(self) -> bool {
        self.memory() > ALLOWED
    }
}

/// `1234 checks, some 5 MB and 0.04 s to load in Falco`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (megabytes, seconds) = (self.memory().div_ceil(1_000_000), self.loading().as_secs_f64());
        write!(
            f,
            "{}, some {megabytes} MB and {seconds:.2} s to load in Falco",
            counted(self.checks, "check")
        )
    }
}
