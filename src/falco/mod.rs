//! falco
pub mod catalog;
pub mod condition;
pub mod event;
mod extract;
mod glob;
mod json;
mod posix;
mod yaml;
