//! All that the program says of its input and of what it was asked to do, one file a room. Each message is a function
//! that makes a [`Message`], and an entry in the list that tests hold against what the program has been seen to say.

/// Defines messages, as `name(values) "what is wrong"; "the cure";`.
macro_rules! messages {
    ($($name:ident($($value:ident),*) $text:literal $(; $cure:literal)?;)+) => {
        /// The messages of this room.
        pub(super) const ALL: &[$crate::problem::Wording] = &[
            $($crate::problem::Wording { name: stringify!($name), text: $text, cure: concat!($($cure)?) },)+
        ];
        $(
            #[doc = concat!("`", $text, "`")]
            pub(crate) fn $name($($value: impl std::fmt::Display),*) -> $crate::problem::Message {
                $(let $value = $crate::problem::printable(&$value.to_string()).into_owned();)*
                $crate::problem::Message::new(format!($text), String::new() $(+ &format!($cure))?)
            }
        )+
    };
}

#[cfg(feature = "cluster")]
pub(crate) mod cluster;
pub(crate) mod commands;
pub(crate) mod config;
pub(crate) mod policy;
pub(crate) mod read;
pub(crate) mod replay;
pub(crate) mod write;
pub(crate) mod yaml;

use crate::problem::Wording;

/// The wording of every message, by the room that it is from.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Wording)> {
    let rooms = [
        #[cfg(feature = "cluster")]
        ("cluster", cluster::ALL),
        ("commands", commands::ALL),
        ("config", config::ALL),
        ("policy", policy::ALL),
        ("read", read::ALL),
        ("replay", replay::ALL),
        ("write", write::ALL),
        ("yaml", yaml::ALL),
    ];
    rooms.into_iter().flat_map(|(room, messages)| messages.iter().map(move |message| (room, message)))
}
