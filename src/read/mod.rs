//! Brings policies in: manifests, folders, archives and standard input become one [`Inventory`].

mod archive;
#[cfg(feature = "cluster")]
pub mod cluster;
mod digest;
pub(crate) mod exclude;
mod files;
pub(crate) mod hints;
mod inventory;
mod reader;
mod redact;
pub(crate) mod template;

pub use archive::{MAX_ARCHIVE, MAX_MEMBERS};
pub(crate) use files::unreadable;
pub use files::{MAX_TEXT, Options, Source, read, read_bytes, read_text};
pub use inventory::{Compact, Inventory, Located, NO_KIND, OTHER_KINDS, Object, Unread, Why};
pub use reader::{API_VERSIONS, MAX_OBJECTS, MAX_POLICIES, MAX_POLICY, MAX_PROBLEMS};
pub(crate) use redact::is_workload;
