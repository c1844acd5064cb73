//! Bytes as a manifest or an archive: policies or problems, each problem with its place, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use psp2falco::read::{Options, read_bytes};

fuzz_target!(|bytes: &[u8]| {
    let strict = bytes.first().is_some_and(|byte| byte % 2 == 1);
    match read_bytes("input", bytes, &Options { strict, ..Options::default() }) {
        Ok(inventory) => assert!(inventory.policies.is_sorted_by(|a, b| a.policy.name < b.policy.name)),
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                let line = problem.to_string();
                assert!(line.starts_with("input"), "{line}");
                assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
});
