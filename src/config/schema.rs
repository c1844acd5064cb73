//! What the file is called, and what may stand in it.

/// The JSON Schema (2020-12) of the file.
pub const SCHEMA: &str = include_str!("schema.json");

/// The name that is looked for when none is given.
pub const FILE: &str = "psp2falco.yaml";

/// The kind of a KRM function's configuration; its `spec` holds the keys.
pub const KIND: &str = "Psp2Falco";
