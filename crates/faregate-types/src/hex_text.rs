//! Strict hexadecimal text: `0x`, then digits of either case, exactly as many as asked for.
//!
//! Addresses are accepted in any mix of cases (the checksum of EIP-55 is written, never required); nothing is padded,
//! trimmed or guessed.

use alloy_primitives::{Address, B256, Bytes};

/// Why a text is not the hexadecimal value that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HexError {
    /// The text does not start with a lower-case `0x`.
    #[error("expected hexadecimal text that starts with \"0x\"")]
    Prefix,
    /// A character is not a hexadecimal digit.
    #[error("expected only hexadecimal digits after \"0x\"")]
    Digit,
    /// The number of digits is not the one asked for, or is odd.
    #[error("expected another number of hexadecimal digits")]
    Length,
}

/// Reads a 20-byte address: `0x` and 40 digits of any case.
///
/// # Errors
/// [`HexError`] says which part of the shape is wrong.
pub fn parse_address(text: &str) -> Result<Address, HexError> {
    parse_array(text).map(Address::from)
}

/// Reads a 32-byte word: `0x` and 64 digits of any case.
///
/// # Errors
/// [`HexError`] says which part of the shape is wrong.
pub fn parse_b256(text: &str) -> Result<B256, HexError> {
    parse_array(text).map(B256::from)
}

/// Reads a byte string: `0x` and an even number of digits of any case; `0x` alone is empty.
///
/// # Errors
/// [`HexError`] says which part of the shape is wrong.
pub fn parse_bytes(text: &str) -> Result<Bytes, HexError> {
    let digits = text.strip_prefix("0x").ok_or(HexError::Prefix)?;
    parse_digits(digits).map(Bytes::from)
}

/// Reads a byte string without a prefix, as Lightning writes it: an even number of digits of any case.
pub(crate) fn parse_digits(digits: &str) -> Result<Vec<u8>, HexError> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let mut bytes = Vec::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(byte(*high, *low).ok_or(HexError::Digit)?);
    }
    if rest.is_empty() {
        Ok(bytes)
    } else {
        Err(HexError::Length)
    }
}

/// Reads exactly `N` bytes: `0x` and `2 * N` digits of any case.
///
/// # Errors
/// [`HexError`] says which part of the shape is wrong.
pub fn parse_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut out = [0; N];
    fill(text.strip_prefix("0x").ok_or(HexError::Prefix)?, &mut out)?;
    Ok(out)
}

/// Reads digits without a prefix, exactly as many as fill the slice. In place, so that secrets are not copied around.
pub(crate) fn fill(digits: &str, out: &mut [u8]) -> Result<(), HexError> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(HexError::Digit);
    }
    if pairs.len() != out.len() || !rest.is_empty() {
        return Err(HexError::Length);
    }
    for (slot, [high, low]) in out.iter_mut().zip(pairs) {
        *slot = byte(*high, *low).ok_or(HexError::Digit)?;
    }
    Ok(())
}

/// Lower-case digits without a prefix.
pub(crate) fn to_digits(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles
        .filter_map(|nibble| char::from_digit(u32::from(nibble), 16))
        .collect()
}

fn byte(high: u8, low: u8) -> Option<u8> {
    Some(digit(high)? << 4 | digit(low)?)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(character.wrapping_sub(b'a' - 10)),
        b'A'..=b'F' => Some(character.wrapping_sub(b'A' - 10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_the_digit_it_is_or_none() {
        for character in u8::MIN..=u8::MAX {
            let known = char::from(character).to_digit(16);
            assert_eq!(digit(character).map(u32::from), known, "{character}");
        }
    }

    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(parse_bytes("0x"), Ok(Bytes::new()));
        assert_eq!(
            parse_bytes("0x00fFA9"),
            Ok(Bytes::from_static(&[0, 0xff, 0xa9]))
        );
        assert_eq!(parse_bytes("00"), Err(HexError::Prefix));
        assert_eq!(parse_bytes("0x0"), Err(HexError::Length));
        assert_eq!(parse_bytes("0x0g"), Err(HexError::Digit));
        assert_eq!(parse_bytes("0xé"), Err(HexError::Digit));
        assert_eq!(parse_array("0x0aF0"), Ok([0x0a, 0xf0]));
    }
}
