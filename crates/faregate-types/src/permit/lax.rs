//! Reading JSON as the peers of this rail do: numbers also as texts and as floats without a rest, unknown members passed over.
//!
//! Numbers are taken from their digits, whatever their size: a Permit2 nonce does not survive a float. Two members of one
//! name are refused, because which of them counts depends on the reader.

use std::collections::BTreeMap;
use std::fmt;

use alloy_primitives::U256;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::decimal::Decimal;

/// A message does not have the shape it should have. Never carries a part of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{member}: expected {expected}")]
#[non_exhaustive]
pub struct ShapeError {
    /// Where, for example `permit.value`.
    pub member: &'static str,
    /// What should be there.
    pub expected: &'static str,
}

impl ShapeError {
    pub(super) const fn new(member: &'static str, expected: &'static str) -> Self {
        Self { member, expected }
    }
}

/// The members of an object, not looked at yet.
#[derive(Default)]
pub(super) struct Object<'a>(BTreeMap<String, &'a RawValue>);

/// One value, not looked at yet.
#[derive(Clone, Copy)]
pub(super) struct Member<'a>(&'a RawValue);

impl<'a> Object<'a> {
    /// Reads a whole text.
    pub(super) fn read(json: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
    }

    /// A member that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<Member<'a>> {
        let raw = self.0.get(name)?;
        (raw.get() != "null").then_some(Member(raw))
    }

    /// Whether there is such a member, null or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<'a> Member<'a> {
    pub(super) fn text(self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// A number, or a text of one.
    pub(super) fn decimal(self) -> Option<Decimal> {
        let raw = self.0.get();
        if raw.starts_with('"') {
            Decimal::parse(&self.text()?).ok()
        } else {
            Decimal::parse(raw).ok()
        }
    }

    /// A whole number that fits 256 bits and is not negative; Python counts `true` as one.
    pub(super) fn integer(self) -> Option<U256> {
        match self.0.get() {
            "true" => Some(U256::from(1)),
            "false" => Some(U256::ZERO),
            _ => self.decimal()?.to_units(0).ok(),
        }
    }

    pub(super) fn object(self) -> Option<Object<'a>> {
        serde_json::from_str(self.0.get()).ok()
    }

    pub(super) fn items(self) -> Option<Vec<Self>> {
        let items: Vec<&'a RawValue> = serde_json::from_str(self.0.get()).ok()?;
        Some(items.into_iter().map(Self).collect())
    }

    /// As it was written.
    pub(super) const fn raw(self) -> &'a RawValue {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry::<String, &'de RawValue>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("expected no duplicate member"));
            }
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(value: &str) -> Option<String> {
        let json = format!("{{\"a\":{value}}}");
        let read = Object::read(json.as_bytes())?.get("a")?.integer();
        read.map(|number| number.to_string())
    }

    #[test]
    fn whole_numbers_are_read_in_every_form_and_digit_by_digit() {
        let most = U256::MAX.to_string();
        for (value, number) in [
            ("117651503894575687", "117651503894575687"),
            ("18446744073709551616", "18446744073709551616"),
            (&most, &most),
            ("\"500000\"", "500000"),
            ("500000.0", "500000"),
            ("5e5", "500000"),
            ("true", "1"),
            ("false", "0"),
        ] {
            assert_eq!(integer(value).as_deref(), Some(number), "{value}");
        }
        let above = format!("{most}0");
        for value in [
            "1.5", "-1", "null", "[]", "{}", "\"\"", "\"x\"", "\"0x1\"", &above,
        ] {
            assert_eq!(integer(value), None, "{value}");
        }
    }

    #[test]
    fn objects_have_each_member_once_and_nothing_after_them() {
        assert!(Object::read(br#"{"a":1,"b":[{"c":null}]}"#).is_some());
        for json in [
            &br#"{"a":1,"a":1}"#[..],
            br#"{"a":1,"\u0061":1}"#,
            b"{}x",
            b"[]",
            b"null",
            b"",
            b"{\"a\":\xff}",
        ] {
            assert!(Object::read(json).is_none());
        }
        let nulls = Object::read(br#"{"a":null}"#).unwrap();
        assert!(nulls.has("a") && nulls.get("a").is_none());
    }
}
