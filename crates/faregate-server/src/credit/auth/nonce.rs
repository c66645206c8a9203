//! Sign-in nonces that are stored by nobody until they are used: each carries a proof that this service gave it to this
//! wallet, and when. So strangers who ask for any number of them leave nothing behind, and cannot use up anybody's.

use faregate_types::{Address, Timestamp};
use subtle::ConstantTimeEq as _;

use super::token::TokenKey;

/// The digits: RFC 4648, in lower case. Letters and digits only, as EIP-4361 wants.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Seconds since 1970, chance, and the code of both and the wallet.
const TIME: usize = 4;
const CHANCE: usize = 6;
const CODE: usize = 10;
const BYTES: usize = TIME + CHANCE + CODE;

/// Eight digits for five bytes.
const LETTERS: usize = 32;

/// Bytes of chance in a nonce.
pub(super) type Chance = [u8; CHANCE];

/// A nonce for `wallet`: 32 letters and digits.
pub(super) fn make(key: &TokenKey, wallet: Address, now: Timestamp, chance: Chance) -> String {
    let secs = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let body = [secs.to_be_bytes().as_slice(), &chance].concat();
    let whole = [body.as_slice(), &code(key, wallet, &body)].concat();
    encode(&whole)
}

/// When this nonce was given to `wallet`; `None` when it never was.
pub(super) fn given_at(key: &TokenKey, wallet: Address, nonce: &str) -> Option<Timestamp> {
    let bytes = decode(nonce)?;
    let (body, shown) = bytes.split_at(TIME + CHANCE);
    if !bool::from(code(key, wallet, body).ct_eq(shown)) {
        return None;
    }
    let secs = u32::from_be_bytes(*body.first_chunk()?);
    Some(Timestamp::from_secs(secs.into()))
}

fn code(key: &TokenKey, wallet: Address, body: &[u8]) -> [u8; CODE] {
    let whole = key.code(b"faregate credit nonce", &[wallet.as_slice(), body]);
    let mut code = [0; CODE];
    code.copy_from_slice(whole.split_at(CODE).0);
    code
}

/// Five bytes are eight digits.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(LETTERS);
    for five in bytes.chunks(5) {
        let bits = five
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let digit = usize::try_from(bits >> (place * 5) & 31).unwrap_or(0);
            text.push(char::from(*DIGITS.get(digit).unwrap_or(&b'a')));
        }
    }
    text
}

fn decode(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != LETTERS {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (eight, slot) in text.as_bytes().chunks(8).zip(bytes.chunks_mut(5)) {
        let bits = eight.iter().try_fold(0_u64, |bits, digit| {
            let value = DIGITS.iter().position(|known| known == digit)?;
            Some(bits << 5 | u64::try_from(value).ok()?)
        })?;
        let low: [u8; 5] = *bits.to_be_bytes().last_chunk()?;
        slot.copy_from_slice(&low);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: u8) -> TokenKey {
        TokenKey::new(&[secret; 32]).unwrap()
    }

    fn wallet(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    #[test]
    fn a_nonce_is_of_one_wallet_one_service_and_one_moment() {
        let now = Timestamp::from_secs(1_795_000_000);
        let nonce = make(&key(1), wallet(1), now, [9; CHANCE]);
        assert_eq!(nonce.len(), 32);
        assert!(nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(given_at(&key(1), wallet(1), &nonce), Some(now));
        assert_eq!(given_at(&key(1), wallet(2), &nonce), None);
        assert_eq!(given_at(&key(2), wallet(1), &nonce), None);
        let other = make(&key(1), wallet(1), now, [8; CHANCE]);
        assert_ne!(nonce, other);
    }

    #[test]
    fn no_changed_nonce_was_given() {
        let now = Timestamp::from_secs(1_795_000_000);
        let nonce = make(&key(1), wallet(1), now, [9; CHANCE]);
        for index in 0..nonce.len() {
            for digit in DIGITS {
                let mut changed = nonce.clone().into_bytes();
                if changed[index] == *digit {
                    continue;
                }
                changed[index] = *digit;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(given_at(&key(1), wallet(1), &changed), None);
            }
        }
        for odd in ["", "a", &nonce.to_uppercase(), &format!("{nonce}a")] {
            assert_eq!(given_at(&key(1), wallet(1), odd), None, "{odd}");
        }
        let wide = "é".repeat(16);
        assert_eq!(given_at(&key(1), wallet(1), &wide), None);
    }
}
