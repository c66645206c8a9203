//! Macaroons in version 1, the older text packets, for showing foreign tokens to people. Nothing is verified in this form.

use crate::limits::{CAVEATS_MAX, MACAROON_BYTES_MAX};

use super::macaroon::MacaroonError;

/// What a macaroon of version 1 says.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MacaroonV1 {
    /// A hint where to use it.
    pub location: Box<[u8]>,
    /// What it was issued for.
    pub identifier: Box<[u8]>,
    /// The conditions, in the order they were added; verification ids and locations of third parties are left out.
    pub caveats: Vec<Box<[u8]>>,
}

/// The digits before each packet that say how long it is, them included.
const LENGTH_DIGITS: usize = 4;

impl MacaroonV1 {
    /// Reads packets of the form `<four hexadecimal digits><key> <value>\n`.
    ///
    /// # Errors
    /// [`MacaroonError`].
    pub fn inspect(bytes: &[u8]) -> Result<Self, MacaroonError> {
        if bytes.len() > MACAROON_BYTES_MAX {
            return Err(MacaroonError::TooLarge);
        }
        let (mut location, mut identifier, mut caveats) = (None, None, Vec::new());
        let mut rest = bytes;
        loop {
            let Packet { key, value, after } = packet(rest)?;
            match key {
                b"location" if location.is_none() && identifier.is_none() => {
                    location = Some(value);
                }
                b"identifier" if identifier.is_none() => identifier = Some(value),
                b"cid" if identifier.is_some() && caveats.len() < CAVEATS_MAX => {
                    caveats.push(Box::from(value));
                }
                b"vid" | b"cl" if !caveats.is_empty() => {}
                b"signature" if value.len() != 32 => return Err(MacaroonError::Signature),
                b"signature" if !after.is_empty() => return Err(MacaroonError::TrailingBytes),
                b"signature" => break,
                _ => return Err(MacaroonError::Field),
            }
            rest = after;
        }
        Ok(Self {
            location: location.unwrap_or_default().into(),
            identifier: identifier.ok_or(MacaroonError::Field)?.into(),
            caveats,
        })
    }
}

impl std::fmt::Debug for MacaroonV1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        f.debug_struct("MacaroonV1")
            .field("location", &text(&self.location))
            .field("identifier", &text(&self.identifier))
            .field("caveats", &self.caveats.len())
            .finish()
    }
}

struct Packet<'a> {
    key: &'a [u8],
    value: &'a [u8],
    after: &'a [u8],
}

/// The first packet, and what comes after it.
fn packet(bytes: &[u8]) -> Result<Packet<'_>, MacaroonError> {
    let digits = bytes.get(..LENGTH_DIGITS).ok_or(MacaroonError::CutOff)?;
    let digits = std::str::from_utf8(digits).ok();
    let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let length = digits.and_then(|text| usize::from_str_radix(text, 16).ok());
    let length = length.ok_or(MacaroonError::Length)?;
    let content = bytes.get(LENGTH_DIGITS..length);
    let content = content.ok_or(MacaroonError::CutOff)?;
    let line = content.strip_suffix(b"\n").ok_or(MacaroonError::Field)?;
    let space = line.iter().position(|byte| *byte == b' ');
    let space = space.ok_or(MacaroonError::Field)?;
    let (key, value) = line.split_at(space);
    let value = value.get(1..).unwrap_or_default();
    Ok(Packet {
        key,
        value,
        after: bytes.get(length..).unwrap_or_default(),
    })
}
