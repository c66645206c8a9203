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
    let digits = text.strip_prefix("0x").ok_or(HexError::Prefix)?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| byte(*high, *low))
        .collect::<Option<Vec<u8>>>()
        .ok_or(HexError::Digit)?;
    if rest.is_empty() {
        Ok(bytes.into())
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

fn byte(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from((high << 4) | low).ok()
}
