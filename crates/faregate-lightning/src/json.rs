//! Reading the JSON of backends: numbers that are strings, hashes in two alphabets, texts that nobody vouches for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use serde_json::Value;

use crate::limits::DETAIL_CHARS_MAX;

/// A text in an object, looked up by a path such as `/data/id`.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// A whole number that is not negative, as a number or as a string.
pub(crate) fn integer(value: &Value, path: &str) -> Option<u64> {
    match value.pointer(path)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number of millisatoshis.
pub(crate) fn msat(value: &Value, path: &str) -> Option<Msat> {
    integer(value, path).map(Msat::new)
}

/// A number of satoshis.
pub(crate) fn sat(value: &Value, path: &str) -> Option<Msat> {
    integer(value, path).and_then(Msat::from_sat)
}

/// An amount as the APIs of services for people write it: `{"amount": "0.00000010", "currency": "BTC"}`. What is finer than
/// a millisatoshi counts as a whole one. `None` for anything else, other currencies too.
pub(crate) fn btc(value: &Value, path: &str) -> Option<Msat> {
    let value = value.pointer(path)?;
    if text(value, "/currency") != Some("BTC") {
        return None;
    }
    let amount = text(value, "/amount")?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if !digits(whole) || !(fraction.is_empty() || digits(fraction)) {
        return None;
    }
    let (exact, finer) = fraction.split_at_checked(11).unwrap_or((fraction, ""));
    let msat: u64 = format!("{whole}{exact:0<11}").parse().ok()?;
    let more = u64::from(finer.bytes().any(|digit| digit != b'0'));
    msat.checked_add(more).map(Msat::new)
}

/// Whole satoshis in bitcoins, with eight places.
pub(crate) fn to_btc(sat: u64) -> String {
    let coin = 100_000_000;
    format!("{}.{:08}", sat.div_euclid(coin), sat.rem_euclid(coin))
}

/// A name that a backend gave to something, if it can stand in a path.
pub(crate) fn name(text: &str) -> Option<&str> {
    let fits = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    fits.then_some(text)
}

/// A preimage in hexadecimal. Nodes write zeros where there is none.
pub(crate) fn preimage(value: &Value, path: &str) -> Option<Preimage> {
    let preimage = Preimage::parse(text(value, path)?).ok()?;
    (preimage.expose() != &[0; 32]).then_some(preimage)
}

/// Whether a payment hash is the one that is meant, where there is one at all.
pub(crate) fn is_about(value: &Value, path: &str, hash: &PaymentHash) -> bool {
    match text(value, path) {
        Some(text) => read_hash(text) == Some(*hash),
        None => true,
    }
}

/// A payment hash in hexadecimal, or in base64 of either alphabet.
pub(crate) fn read_hash(text: &str) -> Option<PaymentHash> {
    if let Ok(hash) = text.parse() {
        return Some(hash);
    }
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let bytes: [u8; 32] = bytes.ok()?.try_into().ok()?;
    Some(PaymentHash::from_bytes(bytes))
}

/// A text of a backend, cut to what fits into a line.
pub(crate) fn detail(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bitcoins_are_read_to_the_millisatoshi_and_rounded_up() {
        for (amount, msat) in [
            ("0.00000010", Some(10_000)),
            ("1", Some(100_000_000_000)),
            ("21000000.00000000", Some(2_100_000_000_000_000_000)),
            ("0.00000000001", Some(1)),
            ("0.000000000010", Some(1)),
            ("0.000000000011", Some(2)),
            ("0.000000000001", Some(1)),
            ("", None),
            (".5", None),
            ("-1", None),
            ("1e3", None),
            ("0.0.1", None),
            ("999999999999999999999", None),
        ] {
            let value = json!({ "fee": { "amount": amount, "currency": "BTC" } });
            assert_eq!(btc(&value, "/fee"), msat.map(Msat::new), "{amount}");
        }
        let dollars = json!({ "fee": { "amount": "1", "currency": "USD" } });
        assert_eq!(btc(&dollars, "/fee"), None);
        assert_eq!(to_btc(10), "0.00000010");
        assert_eq!(to_btc(123_456_789_012), "1234.56789012");
    }

    #[test]
    fn names_stay_in_their_segment_of_the_path() {
        for bad in ["", "a/b", "..", "a?b", "a b", "ä"] {
            assert_eq!(name(bad), None, "{bad}");
        }
        assert_eq!(name("b8c2-4_F"), Some("b8c2-4_F"));
    }

    #[test]
    fn hashes_are_read_in_both_alphabets_of_base64_and_in_hexadecimal() {
        let hash = PaymentHash::from_bytes([0xfb; 32]);
        let standard = STANDARD.encode(hash.as_bytes());
        for text in [hash.to_string(), standard, URL_SAFE.encode(hash.as_bytes())] {
            assert_eq!(read_hash(&text), Some(hash), "{text}");
        }
        assert_eq!(read_hash("AAAA"), None);
    }
}
