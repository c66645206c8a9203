//! What every engine with rows writes alike.

pub(crate) mod credit;

use faregate_types::Timestamp;

/// Seconds as a database's signed integer, bit for bit: every time there is can be stored, and those before the year 292
/// billion read as themselves.
pub(crate) const fn secs(time: Timestamp) -> i64 {
    time.as_secs().cast_signed()
}

/// The reverse of [`secs`].
pub(crate) const fn time(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs.cast_unsigned())
}

/// Names and values, each after its length as four bytes, big-endian. `None` when one is longer than that can say.
pub(crate) fn headers_to_bytes(headers: &[(Box<str>, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        for part in [name.as_bytes(), value] {
            bytes.extend_from_slice(&u32::try_from(part.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(part);
        }
    }
    Some(bytes)
}

/// The reverse of [`headers_to_bytes`].
pub(crate) fn headers_of(mut bytes: &[u8]) -> Option<Vec<(Box<str>, Vec<u8>)>> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let name = std::str::from_utf8(take_part(&mut bytes)?).ok()?;
        let value = take_part(&mut bytes)?;
        headers.push((name.into(), value.to_vec()));
    }
    Some(headers)
}

fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (part, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_round_trip(headers in prop::collection::vec((".{0,8}", prop::collection::vec(any::<u8>(), 0..9)), 0..5)) {
            let headers: Vec<(Box<str>, Vec<u8>)> = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
            let bytes = headers_to_bytes(&headers).unwrap();
            prop_assert_eq!(headers_of(&bytes), Some(headers));
        }

        #[test]
        fn headers_of_anything_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(headers) = headers_of(&bytes) {
                prop_assert_eq!(headers_to_bytes(&headers), Some(bytes));
            }
        }

        #[test]
        fn times_round_trip(secs_since_1970: u64) {
            let at = Timestamp::from_secs(secs_since_1970);
            prop_assert_eq!(time(secs(at)), at);
        }
    }
}
