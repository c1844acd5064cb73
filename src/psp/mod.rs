//! PodSecurityPolicy as the API server knew it: its types, its validity, and admission itself.

pub mod admission;
mod field;
pub(crate) mod parse;
mod pod;
pub mod policy;
pub mod set;
pub mod sysctl;
mod union;
pub mod validity;

pub use field::Field;
pub use parse::SPEC_FIELDS;
pub use policy::Policy;
pub use union::union;
