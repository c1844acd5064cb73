//! What plugins that are not modelled here yield for an event: asked of whoever knows them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::check::PluginInfo;
use crate::event::Extracted;

/// A plugin that extracts fields of Kubernetes audit events, beside those that are modelled.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// What rules may name of it.
    pub info: PluginInfo,
    /// Reads its fields. Without it, rules that name them load, and find them on no event.
    pub reader: Option<Arc<dyn EventReader>>,
}

/// Reads events for a plugin.
pub trait EventReader: fmt::Debug + Send + Sync {
    /// Looks at an event, given as its JSON text. It is asked once an event, for all rules.
    fn read(&self, event: &[u8]) -> Box<dyn FieldValues>;
}

/// What a plugin says of one event.
pub trait FieldValues {
    /// The value of a field, with what stands in brackets after its name; `None` if the event does not have it.
    /// `event` is the text of the same event again.
    fn value(&self, event: &[u8], name: &str, argument: Option<&str>) -> Option<FieldValue>;
}

/// The value of a plugin's field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// Of a field that yields a text.
    Text(String),
    /// Of a field that yields a list; a list of none is absent.
    List(Vec<String>),
}

impl From<FieldValue> for Extracted<'_> {
    fn from(value: FieldValue) -> Self {
        let bytes = |text: String| Cow::Owned(text.into_bytes());
        match value {
            FieldValue::Text(text) => Self::one(Some(bytes(text))),
            FieldValue::List(texts) => Self::many(Some(texts.into_iter().map(bytes).collect())),
        }
    }
}
