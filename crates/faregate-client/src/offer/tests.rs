use proptest::prelude::*;
use reqwest::header::HeaderValue;
use serde_json::json;

use super::*;

fn header_of(value: HeaderValue) -> HeaderMap {
    [("payment-required".parse().unwrap(), value)]
        .into_iter()
        .collect()
}

fn offer() -> Value {
    json!({"scheme": "exact", "network": "eip155:84532", "amount": "1", "asset": "0x", "payTo": "0x",
        "maxTimeoutSeconds": 60})
}

#[test]
fn one_bad_offer_does_not_hide_the_others() {
    let required = json!({"x402Version": 2, "accepts": [7, offer(), {"scheme": "exact"}, null]});
    let value = header::encode(&required).parse().unwrap();
    let offers = from_headers(&header_of(value)).unwrap();
    let readable: Vec<bool> = offers
        .entries
        .iter()
        .map(|entry| entry.asked.is_ok())
        .collect();
    assert_eq!(readable, [false, true, false, false]);
}

#[test]
fn a_member_twice_is_no_offer() {
    let twice = offer().to_string().replacen('{', r#"{"amount":"2","#, 1);
    let required = format!(r#"{{"x402Version":2,"accepts":[{twice}]}}"#);
    let raw: Box<RawValue> = RawValue::from_string(required).unwrap();
    let value = header::encode(&raw).parse().unwrap();
    let offers = from_headers(&header_of(value)).unwrap();
    assert!(offers.entries[0].asked.is_err());
}

#[test]
fn what_other_rails_put_into_the_body_does_not_disturb() {
    let body = json!({"x402Version": 1, "error": "pay", "accepts": [{}], "invoice": "lnbc1", "l402": {"x": [1]}});
    let offers = from_body(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        (offers.entries.len(), offers.error.as_deref()),
        (1, Some("pay"))
    );
}

#[test]
fn deep_nesting_is_refused_and_not_recursed_into() {
    let deep = "[".repeat(20_000);
    assert!(from_body(deep.as_bytes()).is_err());
    let inside = format!(
        r#"{{"x402Version":1,"accepts":[{}{}]}}"#,
        "[".repeat(9000),
        "]".repeat(9000)
    );
    let offers = from_body(inside.as_bytes());
    assert!(offers.is_err() || offers.is_ok_and(|offers| offers.entries[0].asked.is_err()));
}

proptest! {
    #[test]
    fn any_body_gives_an_answer(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _read = from_body(&body);
    }

    #[test]
    fn any_header_gives_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = header_of(value);
            let _read = from_headers(&headers);
            let _text = refusal_text(&headers, &bytes);
        }
    }

    #[test]
    fn a_changed_byte_gives_an_answer(place in 0_usize..200, byte in any::<u8>()) {
        let mut json = json!({"x402Version": 2, "accepts": [offer()]}).to_string().into_bytes();
        if let Some(slot) = json.get_mut(place) {
            *slot = byte;
        }
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &json);
        if let Ok(offers) = from_headers(&header_of(text.parse().unwrap())) {
            prop_assert_eq!(offers.entries.len(), 1);
        }
    }
}
