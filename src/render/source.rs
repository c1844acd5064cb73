//! What a template makes items of.

use std::sync::Arc;

use psp_admission::Field;
use serde_json::{Map, Value};

use super::options::Layer;
use crate::restrictions::Mapped;

/// What a template is rendered from, beside what all templates get.
#[derive(Debug)]
pub(super) enum Source {
    /// What a policy restricts in a field, for the template of that field.
    Restriction(Field, Arc<Mapped>),
    /// What a policy's rules are narrowed to, for the template `policy`.
    Scope {
        /// Whether only pods count whose requesters may use the policy.
        usable: bool,
        /// The conditions that a pod must meet.
        conditions: Vec<String>,
    },
    /// What serves all policies: the name of the template, and its data.
    Shared(&'static str, Map<String, Value>),
    /// Items that no template makes.
    Written,
}

impl Source {
    /// The template.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Source::Restriction(field, _) => field.name(),
            Source::Scope { .. } => "policy",
            Source::Shared(template, _) => template,
            Source::Written => "",
        }
    }

    /// The field that it restricts.
    pub(super) fn field(&self) -> Option<Field> {
        match self {
            Source::Restriction(field, _) => Some(*field),
            _ => None,
        }
    }

    /// The data of the template of a layer, but for the policy's names.
    pub(super) fn data(&self, layer: Layer) -> Map<String, Value> {
        match self {
            Source::Restriction(field, mapped) => {
                let own = FieldData::new(layer, mapped);
                let mut data = own.data.clone();
                data.insert("field".to_owned(), field.name().into());
                data.extend(
                    own.sentences.into_iter().map(|(name, sentence)| (name.to_owned(), sentence.into())),
                );
                data
            }
            Source::Scope { conditions, .. } => {
                Map::from_iter([("scope".to_owned(), conditions.clone().into())])
            }
            Source::Shared(_, data) => data.clone(),
            Source::Written => Map::new(),
        }
    }
}

/// The data of a field's template in a layer. Of what is equal, the template makes the same rules.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct FieldData<'m> {
    /// The sentences that the rules go by, under their names in the template.
    sentences: Vec<(&'static str, Option<&'m str>)>,
    data: &'m Map<String, Value>,
}

impl<'m> FieldData<'m> {
    pub(super) fn new(layer: Layer, mapped: &'m Mapped) -> Self {
        match layer {
            Layer::Audit => Self {
                sentences: vec![
                    ("refuses", mapped.refuses.as_deref()),
                    ("corrects", mapped.corrects.as_deref()),
                ],
                data: &mapped.data,
            },
            Layer::Runtime => {
                Self { sentences: vec![("sees", mapped.runtime.sees.as_deref())], data: &mapped.runtime.data }
            }
        }
    }

    /// Is there nothing to make rules of?
    pub(super) fn restricts_nothing(&self) -> bool {
        self.sentences.iter().all(|(_, sentence)| sentence.is_none())
    }
}
