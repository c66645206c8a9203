use alloy_primitives::{B256, address};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use faregate_types::x402::header::{self, HeaderError};
use faregate_types::x402::{SettleResponse, v1, v2};
use faregate_types::{Code, Refusal};
use serde_json::{Value, json};

use crate::samples::{self, PAYER, with, without};

fn encode(message: &Value) -> Vec<u8> {
    STANDARD.encode(message.to_string()).into_bytes()
}

/// `PAYMENT-SIGNATURE` values as PyPI `x402` 2.25.0 and npm `@x402/fetch` 2.27.0 write them.
#[test]
fn headers_of_the_v2_sdks_are_read() {
    for text in [PYTHON_V2, TYPESCRIPT_V2] {
        let payment = header::decode_payment_v2(text.as_bytes()).unwrap();
        assert_eq!(
            serde_json::to_value(&payment.accepted).unwrap(),
            samples::requirements_v2()
        );
        assert_eq!(payment.payload, samples::exact_payload());
        assert_eq!(
            payment.resource.as_ref().unwrap().url,
            "https://api.example.com/premium-data"
        );
        let ours = header::encode(&payment);
        assert_eq!(header::decode_payment_v2(ours.as_bytes()).unwrap(), payment);
    }
}

/// An `X-PAYMENT` value as npm `x402` 1.2.0 writes it.
#[test]
fn headers_of_the_v1_sdk_are_read() {
    let payment = header::decode_payment_v1(TYPESCRIPT_V1.as_bytes()).unwrap();
    assert_eq!(
        (payment.scheme.as_str(), payment.network.as_str()),
        ("exact", "base-sepolia")
    );
    let authorization = &payment.payload["authorization"];
    assert_eq!(
        (&authorization["value"], &authorization["validAfter"]),
        (&json!("10000"), &json!("1740671489"))
    );
    let ours = header::encode(&payment);
    assert_eq!(header::decode_payment_v1(ours.as_bytes()).unwrap(), payment);
}

#[test]
fn offers_survive_the_round_trip_in_any_language() {
    let message = with(
        samples::required_v2(),
        "/resource/description",
        json!("Café – prix 5 € 🚀"),
    );
    let required = header::decode_payment_required(&encode(&message)).unwrap();
    assert_eq!(serde_json::to_value(&required).unwrap(), message);
    let text = header::encode(&required);
    assert!(text.len().is_multiple_of(4) && text.is_ascii());
    assert_eq!(
        header::decode_payment_required(text.as_bytes()).unwrap(),
        required
    );
}

#[test]
fn base64_is_standard_with_or_without_padding() {
    // Three lengths, so that every kind of padding occurs.
    for tail in ["", "a", "aa"] {
        let json = with(samples::payment_v2(), "/note", json!(tail)).to_string();
        assert!(header::decode_payment_v2(STANDARD.encode(&json).as_bytes()).is_ok());
        assert!(header::decode_payment_v2(STANDARD_NO_PAD.encode(&json).as_bytes()).is_ok());
    }
    let odd = with(samples::payment_v2(), "/note", json!("🚀?>?~~ÿÿÿ")).to_string();
    let url_safe = URL_SAFE.encode(&odd);
    assert!(url_safe.contains(['-', '_']));
    let good = STANDARD.encode(&odd);
    let (head, rest) = good.split_at(8);
    for text in [
        &url_safe,
        &format!("{head}\n{rest}"),
        &format!("{head} {rest}"),
        &format!("{good}===="),
        "%%%",
        "=",
        "a",
    ] {
        assert_eq!(
            header::decode_payment_v2(text.as_bytes()),
            Err(HeaderError::Base64),
            "{text:.20}"
        );
    }
}

#[test]
fn what_is_not_a_payment_is_refused_with_its_reason() {
    let v3 = with(samples::payment_v2(), "/x402Version", json!(3));
    let text_version = with(samples::payment_v2(), "/x402Version", json!("2"));
    let no_version = without(samples::payment_v2(), "/x402Version");
    for (json, code) in [
        (String::new(), Code::MalformedCredential),
        ("hello".into(), Code::MalformedCredential),
        ("[]".into(), Code::MalformedCredential),
        ("null".into(), Code::MalformedCredential),
        ("{}".into(), Code::InvalidX402Version),
        (r#"{"x402Version":2}"#.into(), Code::MalformedCredential),
        (
            r#"{"x402Version":2,"payload":{}}"#.into(),
            Code::MalformedCredential,
        ),
        (v3.to_string(), Code::InvalidX402Version),
        (text_version.to_string(), Code::InvalidX402Version),
        (no_version.to_string(), Code::InvalidX402Version),
        (samples::payment_v1().to_string(), Code::InvalidX402Version),
        (
            format!("{} x", samples::payment_v2()),
            Code::MalformedCredential,
        ),
        (
            with(samples::payment_v2(), "/accepted/amount", json!(10000)).to_string(),
            Code::MalformedCredential,
        ),
        (
            with(samples::payment_v2(), "/payload", json!([])).to_string(),
            Code::MalformedCredential,
        ),
        (
            with(samples::payment_v2(), "/payload", Value::Null).to_string(),
            Code::MalformedCredential,
        ),
    ] {
        let error = header::decode_payment_v2(STANDARD.encode(&json).as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{json}: {error}");
        assert_eq!(Refusal::from(&error).code, code);
    }
}

#[test]
fn reasons_name_the_place_and_not_the_content() {
    let message = with(
        samples::payment_v2(),
        "/payload",
        json!(format!("0x{}\"quoted\"", "5ec2e7".repeat(99))),
    );
    let text = header::decode_payment_v2(&encode(&message))
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("invalid type: string …, expected an object at line 1"),
        "{text}"
    );
    let message = without(samples::payment_v2(), "/accepted/payTo");
    let text = header::decode_payment_v2(&encode(&message))
        .unwrap_err()
        .to_string();
    assert!(text.contains("`payTo`"), "{text}");
}

#[test]
fn duplicates_depth_and_size_are_bounded() {
    let payment = samples::payment_v2().to_string();
    let doubled = payment.replacen(r#""value":"10000""#, r#""value":"1","value":"10000""#, 1);
    let doubled_member = payment.replacen(
        r#""x402Version":2"#,
        r#""x402Version":2,"x402Version":2"#,
        1,
    );
    let deep = payment.replacen(
        r#""payload":{"#,
        &format!(r#""payload":{{"x":{}1{},"#, "[".repeat(70), "]".repeat(70)),
        1,
    );
    let shallow = payment.replacen(
        r#""payload":{"#,
        &format!(r#""payload":{{"x":{}1{},"#, "[".repeat(40), "]".repeat(40)),
        1,
    );
    let decode = |json: &str| header::decode_payment_v2(STANDARD.encode(json).as_bytes());
    assert_ne!(doubled, payment);
    assert!(matches!(decode(&doubled), Err(HeaderError::Shape(_))));
    assert!(decode(&doubled_member).is_err());
    assert!(matches!(decode(&deep), Err(HeaderError::Shape(_))));
    assert!(decode(&shallow).is_ok());
    assert!(decode(&"[".repeat(20_000)).is_err());
    let large = vec![b'A'; faregate_types::limits::HEADER_BYTES_MAX + 1];
    assert_eq!(
        header::decode_payment_v2(&large),
        Err(HeaderError::TooLarge)
    );
    assert_eq!(
        header::decode_payment_v2(&large[1..]).unwrap_err().code(),
        Code::MalformedCredential
    );
}

#[test]
fn arrays_in_place_of_objects_are_refused() {
    let requirements = samples::requirements_v2();
    let members = [
        "scheme",
        "network",
        "amount",
        "asset",
        "payTo",
        "maxTimeoutSeconds",
        "extra",
    ];
    let as_array: Vec<&Value> = members.iter().map(|key| &requirements[*key]).collect();
    let message = with(samples::payment_v2(), "/accepted", json!(as_array));
    assert!(header::decode_payment_v2(&encode(&message)).is_err());
    assert!(serde_json::from_value::<v2::PaymentRequirements>(json!(as_array)).is_err());
    let receipt = json!([true, null, null, null, "", "", null, null, null]);
    assert!(header::decode_settle_response(&encode(&receipt)).is_err());
}

/// The verdicts of npm `x402` 1.2.0 on its own header, with one exception: it takes `value` in hexadecimal.
#[test]
fn v1_headers_are_judged_as_the_v1_sdk_does() {
    let payment = samples::payment_v1;
    let authorization =
        |key: &str, value: Value| with(payment(), &format!("/payload/authorization/{key}"), value);
    let decode = |message: &Value| header::decode_payment_v1(&encode(message)).map(|_| ());
    for (message, code) in [
        (payment(), None),
        (
            with(payment(), "/network", json!("eip155:84532")),
            Some(Code::InvalidNetwork),
        ),
        (
            with(payment(), "/network", json!("base-goerli")),
            Some(Code::InvalidNetwork),
        ),
        (
            with(payment(), "/x402Version", json!(2)),
            Some(Code::InvalidX402Version),
        ),
        (
            with(payment(), "/scheme", json!("upto")),
            Some(Code::UnsupportedScheme),
        ),
        (
            authorization("value", json!("0x10")),
            Some(Code::InvalidPayload),
        ),
        (authorization("value", json!("1".repeat(18))), None),
        (
            authorization("value", json!("1".repeat(19))),
            Some(Code::InvalidPayload),
        ),
        (
            authorization("value", json!(10000)),
            Some(Code::InvalidPayload),
        ),
        (
            authorization("nonce", json!("0x12")),
            Some(Code::InvalidExactEvmPayloadSignature),
        ),
        (with(payment(), "/payload/signature", json!("0x12")), None),
        (
            with(payment(), "/payload/signature", json!("zz")),
            Some(Code::InvalidPayload),
        ),
        (
            without(payment(), "/payload"),
            Some(Code::MalformedCredential),
        ),
    ] {
        assert_eq!(
            decode(&message).err().map(|error| error.code()),
            code,
            "{message}"
        );
    }
    assert_eq!(
        header::decode_payment_v1(b"aGVsbG8=").unwrap_err(),
        HeaderError::Json
    );
}

/// Python writes blanks after colons and commas; the specification's own example is the last.
#[test]
fn receipts_of_the_sdks_are_read() {
    let hash = B256::repeat_byte(0x12);
    let success = SettleResponse::settled("eip155:84532", PAYER.parse().unwrap(), hash);
    let python = format!(
        r#"{{"success": true, "payer": "{PAYER}", "transaction": "{hash}", "network": "eip155:84532"}}"#
    );
    assert_eq!(
        header::decode_settle_response(STANDARD.encode(&python).as_bytes()).unwrap(),
        success
    );
    let example = "eyJzdWNjZXNzIjp0cnVlLCJ0cmFuc2FjdGlvbiI6IjB4MTIzNDU2Nzg5MGFiY2RlZjEyMzQ1Njc4OTBhYmNkZWYxMjM0NTY3ODkwYWJjZGVmMTIzNDU2Nzg5MGFiY2RlZiIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJwYXllciI6IjB4ODU3YjA2NTE5RTkxZTNBNTQ1Mzg3OTFiRGJiMEUyMjM3M2UzNmI2NiJ9";
    let receipt = header::decode_settle_response(example.as_bytes()).unwrap();
    assert_eq!(
        receipt.payer_address(),
        Some(address!("0x857b06519E91e3A54538791bDbb0E22373e36b66"))
    );
    assert!(receipt.success && receipt.transaction_hash().is_some());
}

#[test]
fn failed_and_pending_receipts_leave_no_doubt() {
    let refusal = Refusal::new(Code::InsufficientFunds).payer(PAYER.parse().unwrap());
    let failed = SettleResponse::failed("eip155:84532", &refusal, None);
    assert_eq!(
        serde_json::to_value(&failed).unwrap(),
        json!({
            "success": false, "errorReason": "insufficient_funds", "payer": PAYER, "transaction": "",
            "network": "eip155:84532",
        })
    );
    assert_eq!(
        (failed.code(), failed.transaction_hash()),
        (Some(Code::InsufficientFunds), None)
    );
    let pending = SettleResponse::pending("base", B256::ZERO.to_string());
    assert_eq!(
        (pending.success, pending.code()),
        (false, Some(Code::SettlementPending))
    );
    // Other facilitators leave members out, or send them empty.
    let sparse = json!({"success": false, "errorReason": "whatever", "payer": "", "network": null});
    let sparse: SettleResponse = serde_json::from_value(sparse).unwrap();
    assert_eq!(
        (
            sparse.code(),
            sparse.payer_address(),
            sparse.transaction.as_str()
        ),
        (None, None, "")
    );
    assert!(serde_json::from_value::<SettleResponse>(json!({"transaction": "0x"})).is_err());
    assert!(serde_json::from_value::<SettleResponse>(json!({"success": "true"})).is_err());
}

#[test]
fn v1_bodies_are_read_within_limits() {
    let body = samples::required_v1();
    let required = v1::PaymentRequired::decode(body.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&required).unwrap(), body);
    for (body, code) in [
        ("nope".to_owned(), Code::MalformedOffer),
        ("[]".to_owned(), Code::MalformedOffer),
        ("{}".to_owned(), Code::InvalidX402Version),
        (samples::required_v2().to_string(), Code::InvalidX402Version),
        (r#"{"x402Version":1}"#.to_owned(), Code::MalformedOffer),
        (" ".repeat(200_000), Code::BodyTooLarge),
    ] {
        assert_eq!(
            v1::PaymentRequired::decode(body.as_bytes())
                .unwrap_err()
                .code,
            code,
            "{body:.40}"
        );
    }
}

const PYTHON_V2: &str = "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDcwOTk3OTcwQzUxODEyZGMzQTAxMEM3ZDAxYjUwZTBkMTdkYzc5QzgiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoiMTc0MDY3MjE0OSIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn0sInNpZ25hdHVyZSI6IjB4ZjcwZmJkYzYxMWJiZTMwNzdmN2ZlMTVjYzkxMTU3OWMwYjhhM2VhMDNjMDg0ZWQ5YzQ4OWZhNTRlYzYwYzM0YzYzYzFmMjE4MTBiM2NlOTY4NzZiOTBjMTQ1MDE4NzVlZDczMzgxZmZiNzg5YzZhOTI4YjQ2YTY0YjIzYWJjMjAxYyJ9LCJhY2NlcHRlZCI6eyJzY2hlbWUiOiJleGFjdCIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJhc3NldCI6IjB4MDM2Q2JENTM4NDJjNTQyNjYzNGU3OTI5NTQxZUMyMzE4ZjNkQ0Y3ZSIsImFtb3VudCI6IjEwMDAwIiwicGF5VG8iOiIweDIwOTY5M0JjNmFmYzBDNTMyOGJBMzZGYUYwM0M1MTRFRjMxMjI4N0MiLCJtYXhUaW1lb3V0U2Vjb25kcyI6NjAsImV4dHJhIjp7Im5hbWUiOiJVU0RDIiwidmVyc2lvbiI6IjIifX0sInJlc291cmNlIjp7InVybCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUuY29tL3ByZW1pdW0tZGF0YSIsImRlc2NyaXB0aW9uIjoiQWNjZXNzIHRvIHByZW1pdW0gbWFya2V0IGRhdGEiLCJtaW1lVHlwZSI6ImFwcGxpY2F0aW9uL2pzb24ifX0=";
const TYPESCRIPT_V2: &str = "eyJ4NDAyVmVyc2lvbiI6MiwicGF5bG9hZCI6eyJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDcwOTk3OTcwQzUxODEyZGMzQTAxMEM3ZDAxYjUwZTBkMTdkYzc5QzgiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMCIsInZhbGlkQmVmb3JlIjoiMTc0MDY3MjE0OSIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn0sInNpZ25hdHVyZSI6IjB4ZjcwZmJkYzYxMWJiZTMwNzdmN2ZlMTVjYzkxMTU3OWMwYjhhM2VhMDNjMDg0ZWQ5YzQ4OWZhNTRlYzYwYzM0YzYzYzFmMjE4MTBiM2NlOTY4NzZiOTBjMTQ1MDE4NzVlZDczMzgxZmZiNzg5YzZhOTI4YjQ2YTY0YjIzYWJjMjAxYyJ9LCJyZXNvdXJjZSI6eyJ1cmwiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbS9wcmVtaXVtLWRhdGEiLCJkZXNjcmlwdGlvbiI6IkFjY2VzcyB0byBwcmVtaXVtIG1hcmtldCBkYXRhIiwibWltZVR5cGUiOiJhcHBsaWNhdGlvbi9qc29uIn0sImFjY2VwdGVkIjp7InNjaGVtZSI6ImV4YWN0IiwibmV0d29yayI6ImVpcDE1NTo4NDUzMiIsImFtb3VudCI6IjEwMDAwIiwiYXNzZXQiOiIweDAzNkNiRDUzODQyYzU0MjY2MzRlNzkyOTU0MWVDMjMxOGYzZENGN2UiLCJwYXlUbyI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsIm1heFRpbWVvdXRTZWNvbmRzIjo2MCwiZXh0cmEiOnsibmFtZSI6IlVTREMiLCJ2ZXJzaW9uIjoiMiJ9fX0=";
const TYPESCRIPT_V1: &str = "eyJ4NDAyVmVyc2lvbiI6MSwic2NoZW1lIjoiZXhhY3QiLCJuZXR3b3JrIjoiYmFzZS1zZXBvbGlhIiwicGF5bG9hZCI6eyJzaWduYXR1cmUiOiIweDdkYWM2NmI4MGQ2NmUzMThlOTcxNjBhNzY3NzBjOWNmOWJkMzFlYTkwMjQ1ZTc0ODhmMTNkZWZiNzMwZTNmYmYxYWQ2YTc4MjM0MjI2Y2RjODQxZDk2ZTJjNjA1MjM5NDFkMzdmZjBhNWY2ODhjZDMyNmRkZjMzNGMwMDJlY2VlMWIiLCJhdXRob3JpemF0aW9uIjp7ImZyb20iOiIweDcwOTk3OTcwQzUxODEyZGMzQTAxMEM3ZDAxYjUwZTBkMTdkYzc5QzgiLCJ0byI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4YkEzNkZhRjAzQzUxNEVGMzEyMjg3QyIsInZhbHVlIjoiMTAwMDAiLCJ2YWxpZEFmdGVyIjoiMTc0MDY3MTQ4OSIsInZhbGlkQmVmb3JlIjoiMTc0MDY3MjE0OSIsIm5vbmNlIjoiMHhmMzc0NjYxM2MyZDkyMGI1ZmRhYmMwODU2ZjJhZWIyZDRmODhlZTYwMzdiOGNjNWQwNGE3MWE0NDYyZjEzNDgwIn19fQ==";
