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
    Restriction {
        /// The field.
        field: Field,
        /// What it restricts.
        mapped: Arc<Mapped>,
        /// Whether its rules ask for the policy's scope before they look at the pod.
        scope_first: bool,
    },
    /// What a policy's rules are narrowed to, for the template `policy`.
    Scope(Scope),
    /// What serves all policies: the name of the template, and its data.
    Shared(&'static str, Map<String, Value>),
    /// Items that no template makes.
    Written,
}

/// What a policy's rules are narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// Only pods count whose requesters may use the policy.
    pub(super) usable: bool,
    /// Not everybody may: the rules ask that before they look at the pod.
    pub(super) first: bool,
    /// What else must hold.
    pub(super) conditions: Vec<String>,
}

impl Source {
    /// The template.
    pub(super) fn template(&self) -> &'static str {
        match self {
            Source::Restriction { field, .. } => field.name(),
            Source::Scope(_) => "policy",
            Source::Shared(template, _) => template,
            Source::Written => "",
        }
    }

    /// The field that it restricts.
    pub(super) fn field(&self) -> Option<Field> {
        match self {
            Source::Restriction { field, .. } => Some(*field),
            _ => None,
        }
    }

    /// The data of the template of a layer, but for the policy's names.
    pub(super) fn data(&self, layer: Layer) -> Map<String, Value> {
        match self {
            Source::Restriction { field, mapped, scope_first } => {
                let own = FieldData::new(layer, mapped);
                let mut data = own.data.clone();
                data.insert("scope_first".to_owned(), (*scope_first).into());
                data.insert("field".to_owned(), field.name().into());
                data.extend(
                    own.sentences.into_iter().map(|(name, sentence)| (name.to_owned(), sentence.into())),
                );
                data
            }
            Source::Scope(scope) => Map::from_iter([
                ("usable".to_owned(), scope.usable.into()),
                ("scope".to_owned(), scope.conditions.clone().into()),
            ]),
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
