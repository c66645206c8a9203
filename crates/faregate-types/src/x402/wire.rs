//! What every wire struct needs: objects only, no duplicate members, bounded depth, checked texts.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::{Deserialize, Serialize, Serializer, forward_to_deserialize_any};
use serde_json::{Map, Number, Value};

use crate::limits::JSON_DEPTH_MAX;

/// Declares a wire struct: `Serialize` by derive, `Deserialize` from JSON objects only.
///
/// serde's derive alone would also take an array of the members in order, which no peer sends and no schema allows.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident ($expecting:literal) {
            $( $(#[doc = $doc:literal])* $(#[serde($($serde:tt)*)])? pub $field:ident: $ty:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(clippy::exhaustive_structs, reason = "plain wire data, built by literal in the other crates")]
        pub struct $name {
            $( $(#[doc = $doc])* $(#[serde($($serde)*)])? pub $field: $ty, )*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(rename_all = "camelCase", expecting = $expecting)]
                struct Shape {
                    $( $(#[serde($($serde)*)])? $field: $ty, )*
                }
                let Shape { $($field),* } = Shape::deserialize($crate::x402::wire::ObjectOnly(deserializer))?;
                Ok(Self { $($field),* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// A deserializer that answers a request for a struct with an object, never with an array.
pub(crate) struct ObjectOnly<D>(pub(crate) D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The member `x402Version` of a message of version `N`: that number and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "has no state")]
pub struct VersionTag<const N: u8>;

impl<const N: u8> Serialize for VersionTag<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(N)
    }
}

impl<'de, const N: u8> Deserialize<'de> for VersionTag<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number == u64::from(N) {
            Ok(Self)
        } else {
            Err(D::Error::invalid_value(
                Unexpected::Unsigned(number),
                &"the protocol version of this message",
            ))
        }
    }
}

/// The member `maxTimeoutSeconds`: a number above zero.
///
/// We write whole seconds only. Others may write fractions (the TypeScript schema allows them); the number is kept as
/// it came, because a client has to echo it and a server compares it.
///
/// ```
/// use faregate_types::x402::MaxTimeout;
///
/// assert_eq!(MaxTimeout::from_secs(60).as_secs(), 60);
/// assert_eq!(serde_json::from_str::<MaxTimeout>("1.5").unwrap().as_secs(), 1);
/// assert!(serde_json::from_str::<MaxTimeout>("0").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaxTimeout {
    whole: u64,
    /// The number as it came, when it was not a whole one.
    fractional: Option<Number>,
}

impl MaxTimeout {
    /// So many whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self {
            whole: secs,
            fractional: None,
        }
    }

    /// Whole seconds, rounded down: nobody may rely on the rest.
    #[must_use]
    pub const fn as_secs(&self) -> u64 {
        self.whole
    }
}

impl From<u64> for MaxTimeout {
    fn from(secs: u64) -> Self {
        Self::from_secs(secs)
    }
}

impl Serialize for MaxTimeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.fractional {
            Some(number) => number.serialize(serializer),
            None => serializer.serialize_u64(self.whole),
        }
    }
}

impl<'de> Deserialize<'de> for MaxTimeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let refused = || D::Error::custom("expected a number of seconds above zero and below 2^53");
        let timeout = match number.as_u64() {
            Some(whole) => Self::from_secs(whole),
            None => fractional(number).ok_or_else(refused)?,
        };
        let positive = timeout.whole > 0 || timeout.fractional.is_some();
        if positive && timeout.whole < SECONDS_END {
            Ok(timeout)
        } else {
            Err(refused())
        }
    }
}

/// Above this, JavaScript peers cannot tell neighbouring seconds apart.
const SECONDS_END: u64 = 1 << 53;

/// Takes a number with a point apart by its text, because floats and seconds should not meet.
fn fractional(number: Number) -> Option<MaxTimeout> {
    let text = number.to_string();
    // Very large and very small numbers are written with an exponent and fall out here, negative ones by their sign.
    let (whole, fraction) = text.split_once('.')?;
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let is_whole = fraction.bytes().all(|b| b == b'0');
    Some(MaxTimeout {
        whole: whole.parse().ok()?,
        fractional: (!is_whole).then_some(number),
    })
}

/// For `deserialize_with`: a text that is not empty.
pub(crate) fn non_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        Err(D::Error::invalid_length(0, &"a text that is not empty"))
    } else {
        Ok(text)
    }
}

/// For `Deserialize` of a type whose wire form is a text.
pub(crate) fn from_text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

/// For `deserialize_with`: an object of any content, without duplicate members and of bounded depth.
pub(crate) fn object<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    deserializer.deserialize_map(ObjectVisitor {
        depth: JSON_DEPTH_MAX,
    })
}

/// For `deserialize_with`: an [`object`], kept as a JSON value.
pub(crate) fn object_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    object(deserializer).map(Value::Object)
}

/// For `deserialize_with` together with `default`: an [`object`], null or nothing.
pub(crate) fn optional_object<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    struct OptionalObject;

    impl<'de> Visitor<'de> for OptionalObject {
        type Value = Option<Map<String, Value>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or null")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            object(deserializer).map(Some)
        }
    }

    d.deserialize_option(OptionalObject)
}

/// For `deserialize_with` together with `default`: an [`object`] or nothing, but not null.
pub(crate) fn present_object<'de, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    object(d).map(Some)
}

struct ObjectVisitor {
    depth: u16,
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value_seed(AnyValue { depth: self.depth })?;
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom(
                    "expected no duplicate member in an object",
                ));
            }
        }
        Ok(map)
    }
}

/// Reads any JSON value, at most so many levels deep.
struct AnyValue {
    depth: u16,
}

impl AnyValue {
    fn inner<E: Error>(&self) -> Result<u16, E> {
        self.depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("expected fewer levels of nesting"))
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Self { depth })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        ObjectVisitor {
            depth: self.inner()?,
        }
        .visit_map(access)
        .map(Value::Object)
    }
}

/// Reads one JSON object as a struct; an array of its members is refused.
pub(crate) fn object_from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = object_only(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// For `deserialize_with`: a struct, from an object only.
pub(crate) fn object_only<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(ObjectOnly(deserializer))
}

/// What is wrong with a JSON text, without the texts that stand in it: they may be signatures, and they may be long.
pub(crate) fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.split_once('"'), text.rsplit_once('"')) {
        (Some((before, _)), Some((_, after))) => format!("{before}…{after}"),
        _ => text,
    }
}

/// Writes JSON without blanks. Our own types always have a JSON form; should one not, the text is empty.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
