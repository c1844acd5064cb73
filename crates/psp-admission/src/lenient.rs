//! Reading JSON as an API server's readers of old would have it: of what does not belong nothing is said.
//!
//! A value of another type than wanted, and null, count as absent; unknown keys are passed over; of equal keys the last
//! one counts; a number may be written as a float. No nesting, however deep, takes of the stack: what is not wanted is
//! passed over without recursion.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Text, borrowed where the JSON has no escapes in it.
pub type Text<'a> = Cow<'a, str>;

/// What can be read of JSON of any type; what stands there of another type reads as the default.
pub(crate) trait Lenient<'de>: Default {
    fn of_bool(_: bool) -> Self {
        Self::default()
    }

    fn of_integer(_: i64) -> Self {
        Self::default()
    }

    fn of_text(_: Text<'de>) -> Self {
        Self::default()
    }

    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn of_object<A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Reads a [`Lenient`] type.
pub(crate) struct Read<T>(pub(crate) T);

impl<'de, T: Lenient<'de>> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData)).map(Read)
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Ok(T::of_bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        Ok(T::of_integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        Ok(i64::try_from(value).map_or_else(|_| T::default(), T::of_integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        /// Below it every integer has a float of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = value.fract() == 0.0 && value.abs() <= EXACT;
        Ok(if whole { T::of_integer(value as i64) } else { T::default() })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T, E> {
        Ok(T::of_text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok(T::of_text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<T, A::Error> {
        T::of_object(object)
    }
}

impl<'de> Lenient<'de> for Option<bool> {
    fn of_bool(value: bool) -> Self {
        Some(value)
    }
}

impl<'de> Lenient<'de> for Option<i64> {
    fn of_integer(value: i64) -> Self {
        Some(value)
    }
}

impl<'de> Lenient<'de> for Option<Text<'de>> {
    fn of_text(text: Text<'de>) -> Self {
        Some(text)
    }
}

impl<'de, T: Lenient<'de>> Lenient<'de> for Vec<T> {
    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut items = Vec::new();
        while let Some(Read(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}

/// An object of which some keys are read.
pub(crate) trait Object<'de>: Default {
    fn read<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error>;
}

/// An object that may be absent.
impl<'de, T: Object<'de>> Lenient<'de> for Option<T> {
    fn of_object<A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        T::read(object).map(Some)
    }
}

/// A key of an object.
pub(crate) struct Key<'de>(pub(crate) Text<'de>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Declares an object of which some keys are read: `struct Name<'a> { member: Type = "key", … }`.
macro_rules! object {
    ($($(#[$doc:meta])* struct $name:ident<'a> { $($member:ident: $type:ty = $key:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        struct $name<'a> {
            $($member: $type,)+
            lifetime: std::marker::PhantomData<&'a ()>,
        }

        impl<'a> $crate::lenient::Object<'a> for $name<'a> {
            fn read<A: serde::de::MapAccess<'a>>(mut map: A) -> Result<Self, A::Error> {
                let mut object = Self::default();
                while let Some($crate::lenient::Key(key)) = map.next_key()? {
                    match &*key {
                        $($key => object.$member = map.next_value::<$crate::lenient::Read<$type>>()?.0,)+
                        _ => {
                            map.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }
    )+};
}
pub(crate) use object;
