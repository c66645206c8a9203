//! How the values of the credit network's JSON are written, and read more liberally (specs/4mica.md §1.1).

use std::borrow::Cow;

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use serde_json::value::RawValue;

use crate::amount::parse_atomic;
use crate::hex_text::{parse_address, parse_b256, parse_bytes};
use crate::limits::{CREDIT_ANSWER_BYTES_MAX, CREDIT_REQUEST_BYTES_MAX};
use crate::timestamp::Timestamp;

/// A message does not have the shape it should have. Names the member, never carries a part of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(Box<str>);

impl Malformed {
    pub(super) fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        if !error.is_data() {
            return Self::new("expected JSON");
        }
        let text = error.to_string();
        // The place says nothing more than the member's name does.
        let (what, _) = text.split_once(" at line ").unwrap_or((&text, ""));
        Self::new(what)
    }
}

/// Reads a request: at most [`CREDIT_REQUEST_BYTES_MAX`], members nobody knows are passed over.
///
/// # Errors
/// [`Malformed`] says which member is wrong and what was expected there.
pub fn read<M: Message>(body: &[u8]) -> Result<M, Malformed> {
    read_up_to(CREDIT_REQUEST_BYTES_MAX, body)
}

/// Reads an answer: at most [`CREDIT_ANSWER_BYTES_MAX`], members nobody knows are passed over.
///
/// # Errors
/// [`Malformed`] says which member is wrong and what was expected there.
pub fn read_answer<M: Message>(body: &[u8]) -> Result<M, Malformed> {
    read_up_to(CREDIT_ANSWER_BYTES_MAX, body)
}

fn read_up_to<M: Message>(most: usize, body: &[u8]) -> Result<M, Malformed> {
    if body.len() > most {
        return Err(Malformed::new(format!("expected at most {most} bytes")));
    }
    Ok(serde_json::from_slice::<Got<M>>(body)?.0)
}

/// What a body can hold: a message, a list of them, or `null` for none.
///
/// Implemented for the messages of this module, `Vec` and `Option`. Messages are also `Serialize` and `Deserialize`.
#[allow(private_bounds, reason = "only values of this crate are on the wire")]
pub trait Message: Field {}

#[allow(private_bounds, reason = "see the trait")]
impl<M: Field> Message for M {}

/// Writes a message. The text is that of the wire: members in their order, no blanks.
#[must_use]
pub fn write<M: Message>(message: &M) -> String {
    // Nothing in a message can fail to be written: names are texts, and there are no maps of anything else.
    serde_json::to_string(&As(message)).unwrap_or_default()
}

/// Reads a number as every peer writes it: `0x` and up to 64 digits of either case, or decimal digits.
///
/// Blanks around it are passed over, as the SDK does.
///
/// ```
/// use faregate_types::U256;
/// use faregate_types::credit::parse_quantity;
///
/// assert_eq!(parse_quantity("0x1f"), Some(U256::from(31)));
/// assert_eq!(parse_quantity(" 31 "), Some(U256::from(31)));
/// assert_eq!(parse_quantity("-1"), None);
/// ```
#[must_use]
pub fn parse_quantity(text: &str) -> Option<U256> {
    let text = text.trim_ascii();
    let hex = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match hex {
        Some(digits) => {
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let fits = (1..=64).contains(&digits.len());
            (is_hex && fits).then(|| U256::from_str_radix(digits, 16).ok())?
        }
        None => {
            let significant = text.trim_start_matches('0');
            let is_zero = significant.is_empty() && !text.is_empty();
            parse_atomic(if is_zero { "0" } else { significant }).ok()
        }
    }
}

/// Writes a number as every peer reads it: `0x` and as few lower-case digits as it takes.
#[must_use]
pub fn to_quantity(number: U256) -> String {
    format!("{number:#x}")
}

/// A value of a message.
pub(crate) trait Field: Sized {
    /// What it is when its member is not there.
    const ABSENT: Option<Self> = None;

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// The error says what was expected and nothing about what was there.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// A field that is written.
pub(crate) struct As<'a, T>(pub(crate) &'a T);

/// A field that was read.
pub(crate) struct Got<T>(pub(crate) T);

impl<T: Field> Serialize for As<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

impl<'de, T: Field> Deserialize<'de> for Got<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::read(deserializer).map(Self)
    }
}

/// Reads a text without a copy where the input allows it.
pub(crate) fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<Cow<'de, str>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    match Borrowed::deserialize(deserializer) {
        Ok(Borrowed(text)) => Ok(text),
        Err(_) => Err(D::Error::custom(expected)),
    }
}

impl Field for U256 {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:#x}"))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // From the digits as they stand there: large numbers do not survive a float.
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let raw = raw.get();
        let read = if raw.starts_with('"') {
            serde_json::from_str::<Cow<'_, str>>(raw)
                .ok()
                .and_then(|text| parse_quantity(&text))
        } else {
            parse_atomic(raw).ok()
        };
        read.ok_or_else(|| {
            D::Error::custom("expected a number below 2^256, in hexadecimal or decimal digits")
        })
    }
}

impl Field for Address {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Checksummed.
        serializer.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected an address of \"0x\" and 40 hexadecimal digits";
        let text = text(deserializer, EXPECTED)?;
        parse_address(&text).map_err(|_| D::Error::custom(EXPECTED))
    }
}

impl Field for B256 {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"0x\" and 64 hexadecimal digits";
        let text = text(deserializer, EXPECTED)?;
        parse_b256(&text).map_err(|_| D::Error::custom(EXPECTED))
    }
}

/// Read from a text too, as the SDKs do.
impl Field for u64 {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        U256::read(deserializer)
            .ok()
            .and_then(|number| Self::try_from(number).ok())
            .ok_or_else(|| D::Error::custom("expected a whole number below 2^64"))
    }
}

impl Field for Bytes {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"0x\" and hexadecimal digits";
        let text = text(deserializer, EXPECTED)?;
        parse_bytes(&text).map_err(|_| D::Error::custom(EXPECTED))
    }
}

impl Field for u8 {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer)
            .map_err(|_| D::Error::custom("expected a whole number from 0 to 255"))
    }
}

impl Field for Timestamp {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_secs())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::read(deserializer).map(Self::from_secs)
    }
}

impl Field for bool {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::deserialize(deserializer).map_err(|_| D::Error::custom("expected true or false"))
    }
}

impl Field for String {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer, "expected a text").map(Cow::into_owned)
    }
}

/// `null` and a member that is not there are the same.
impl<T: Field> Field for Option<T> {
    const ABSENT: Option<Self> = Some(None);

    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(value) => serializer.serialize_some(&As(value)),
            None => serializer.serialize_none(),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = <Option<Got<T>>>::deserialize(deserializer)?;
        Ok(read.map(|Got(value)| value))
    }
}

impl<T: Field> Field for Vec<T> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.len()))?;
        for item in self {
            seq.serialize_element(&As(item))?;
        }
        seq.end()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = <Vec<Got<T>>>::deserialize(deserializer)?;
        Ok(read.into_iter().map(|Got(item)| item).collect())
    }
}

/// Passes a member over that nobody knows.
pub(crate) type Unknown = IgnoredAny;

/// Declares a message: our names, the wire's names, which of them are understood besides.
///
/// The first wire name is written; a member must be there unless its type has a value for "absent".
macro_rules! message {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident ($expecting:literal) {
            $( $(#[doc = $doc:literal])* $field_vis:vis $field:ident: $ty:ty = $wire:literal $(| $alias:literal)* $(or $default:expr)?, )*
        }
    ) => {
        $(#[$meta])*
        #[allow(clippy::exhaustive_structs, reason = "plain wire data, built by literal in the other crates")]
        $vis struct $name {
            $( $(#[doc = $doc])* $field_vis $field: $ty, )*
        }

        impl $crate::credit::field::Field for $name {
            fn write<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let mut map = serializer.serialize_map(None)?;
                $( map.serialize_entry($wire, &$crate::credit::field::As(&self.$field))?; )*
                map.end()
            }

            fn read<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members;

                impl<'de> serde::de::Visitor<'de> for Members {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        use serde::de::Error as _;
                        $( let mut $field: Option<$ty> = None; )*
                        while let Some(key) = map.next_key::<String>()? {
                            match key.as_str() {
                                $( $wire $(| $alias)* => {
                                    if $field.is_some() {
                                        return Err(A::Error::custom(concat!($wire, ": expected only once")));
                                    }
                                    let $crate::credit::field::Got(value) = map
                                        .next_value()
                                        .map_err(|error| A::Error::custom(format_args!(concat!($wire, ": {}"), error)))?;
                                    $field = Some(value);
                                } )*
                                _ => {
                                    let $crate::credit::field::Unknown {} = map.next_value()?;
                                }
                            }
                        }
                        $(
                            $( let $field = $field.or_else(|| Some($default)); )?
                            let absent = <$ty as $crate::credit::field::Field>::ABSENT;
                            let missing = || A::Error::custom(concat!($wire, ": expected to be there"));
                            let $field = $field.or(absent).ok_or_else(missing)?;
                        )*
                        Ok($name { $($field),* })
                    }
                }

                deserializer.deserialize_map(Members)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::credit::field::Field::write(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::credit::field::Field::read(deserializer)
            }
        }
    };
}
pub(crate) use message;
