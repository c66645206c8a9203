//! What a facilitator makes of requests, good and bad. The table in `x402/request.rs` says why.

use faregate_types::x402::{
    DecodeError, FacilitatorRequest, Kind, SupportedResponse, VerifyResponse, Version,
};
use faregate_types::{ChainId, Code, Problem, Refusal};
use serde_json::{Value, json};

use crate::samples::{PAYEE, PAYER, USDC, exact_payload, request_v1, request_v2, with, without};

fn decode(request: &Value) -> Result<FacilitatorRequest, DecodeError> {
    FacilitatorRequest::decode(request.to_string().as_bytes())
}

#[test]
fn good_requests_of_both_versions_become_one_typed_payment() {
    for (request, version) in [(request_v2(), Version::V2), (request_v1(), Version::V1)] {
        let decoded = decode(&request).unwrap();
        assert_eq!(decoded.version(), version);
        assert_eq!(
            FacilitatorRequest::decode(&decoded.encode()).unwrap(),
            decoded
        );
        assert_eq!(
            serde_json::from_slice::<Value>(&decoded.encode()).unwrap(),
            request
        );

        let payment = decoded.exact().unwrap();
        assert_eq!(payment.version, version);
        assert_eq!(payment.terms.asset.chain(), ChainId::BASE_SEPOLIA);
        assert_eq!(payment.terms.asset.token().to_string(), USDC);
        assert_eq!(payment.terms.amount.to_string(), "10000");
        assert_eq!(payment.terms.pay_to.to_string(), PAYEE);
        assert_eq!(payment.terms.max_timeout_secs, 60);
        assert_eq!(payment.payer().to_string(), PAYER);
        assert_eq!(payment.payload.signature.len(), 65);
        assert_eq!(payment.payload.to_value(), exact_payload());
    }
    // One payment has one id, whichever version it came in.
    let id = |request: &Value| decode(request).unwrap().exact().unwrap().id();
    assert_eq!(id(&request_v1()), id(&request_v2()));
}

/// What is kept and sent on is what was sent to us, also where it means nothing to us.
#[test]
fn long_numbers_of_others_survive() {
    let digits = format!("1005{}00", "5".repeat(88));
    let text = request_v2().to_string().replacen(
        "\"signature\":",
        &format!("\"alue\":{digits},\"signature\":"),
        1,
    );
    assert!(text.contains(&digits));
    let decoded = FacilitatorRequest::decode(text.as_bytes()).unwrap();
    let again = FacilitatorRequest::decode(&decoded.encode()).unwrap();
    assert_eq!(again, decoded);
}

#[test]
fn the_requests_own_version_may_be_absent_but_not_another() {
    for message in [
        without(request_v2(), "/x402Version"),
        with(request_v2(), "/x402Version", Value::Null),
    ] {
        assert!(decode(&message).is_ok());
    }
    for version in [
        json!(1),
        json!(3),
        json!("2"),
        json!(2.5),
        json!([2]),
        json!({}),
    ] {
        let error = decode(&with(request_v2(), "/x402Version", version)).unwrap_err();
        assert_eq!(
            (error.code, error.http_status()),
            (Code::InvalidX402Version, 400)
        );
    }
}

#[test]
fn what_is_no_request_is_a_400() {
    use Code::{InvalidPayload, InvalidPaymentRequirements, InvalidX402Version, MalformedJson};
    let set = |pointer: &str, value: Value| with(request_v2(), pointer, value).to_string();
    let cut = |pointer: &str| without(request_v2(), pointer).to_string();
    let v1_requirements = request_v1()["paymentRequirements"].clone();
    #[rustfmt::skip]
    let cases = [
        ("empty", String::new(), MalformedJson),
        ("text", "hello".into(), MalformedJson),
        ("cut off", request_v2().to_string()[..200].into(), MalformedJson),
        ("trailing", format!("{}{{}}", request_v2()), MalformedJson),
        ("null", "null".into(), MalformedJson),
        ("array", json!([2, {}, {}]).to_string(), MalformedJson),
        ("half a surrogate", r#"{"a":"\ud800"}"#.into(), InvalidPayload),
        ("empty object", "{}".into(), InvalidPayload),
        ("payload missing", cut("/paymentPayload"), InvalidPayload),
        ("payload null", set("/paymentPayload", Value::Null), InvalidPayload),
        ("payload array", set("/paymentPayload", json!([])), InvalidPayload),
        ("payload text", set("/paymentPayload", json!("x")), InvalidPayload),
        ("no version", cut("/paymentPayload/x402Version"), InvalidX402Version),
        ("empty payload", set("/paymentPayload", json!({})), InvalidX402Version),
        ("no accepted", cut("/paymentPayload/accepted"), InvalidPayload),
        ("inner payload", set("/paymentPayload/payload", json!(7)), InvalidPayload),
        ("v1 no scheme", without(request_v1(), "/paymentPayload/scheme").to_string(), InvalidPayload),
        ("no requirements", cut("/paymentRequirements"), InvalidPaymentRequirements),
        ("requirements text", set("/paymentRequirements", json!("x")), InvalidPaymentRequirements),
        ("requirements array", set("/paymentRequirements", json!([])), InvalidPaymentRequirements),
        ("amount number", set("/paymentRequirements/amount", json!(1)), InvalidPaymentRequirements),
        ("versions mixed", set("/paymentRequirements", v1_requirements), InvalidPaymentRequirements),
    ];
    for (name, body, code) in cases {
        let error = FacilitatorRequest::decode(body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.code, error.http_status()),
            (code, 400),
            "{name}: {error}"
        );
        assert_eq!(Problem::from(&error).status, 400);
    }
    assert!(FacilitatorRequest::decode(&[b'{', 0xff, b'}']).is_err());
}

#[test]
fn only_versions_1_and_2_are_known() {
    for version in [json!(0), json!(3), json!("2"), json!(2.5), Value::Null] {
        let body = with(request_v2(), "/paymentPayload/x402Version", version.clone());
        for body in [
            with(body.clone(), "/x402Version", version.clone()),
            without(body, "/x402Version"),
        ] {
            assert_eq!(
                decode(&body).unwrap_err().code,
                Code::InvalidX402Version,
                "{version}"
            );
        }
    }
}

#[test]
fn large_bodies_are_not_looked_into() {
    let large = vec![b' '; faregate_types::limits::BODY_BYTES_MAX + 1];
    let error = FacilitatorRequest::decode(&large).unwrap_err();
    assert_eq!((error.code, error.http_status()), (Code::BodyTooLarge, 413));
    assert_eq!(
        FacilitatorRequest::decode(&large[1..]).unwrap_err().code,
        Code::MalformedJson
    );
}

#[test]
fn duplicate_members_are_refused_everywhere() {
    let request = request_v2().to_string();
    for (once, twice) in [
        (r#""value":"10000""#, r#""value":"1","value":"10000""#),
        (r#""amount":"10000""#, r#""amount":"1","amount":"10000""#),
        (r#""name":"USDC""#, r#""name":"USDX","name":"USDC""#),
        (
            r#""paymentPayload":{"#,
            r#""paymentPayload":{},"paymentPayload":{"#,
        ),
        (r#""x402Version":2"#, r#""x402Version":2,"x402Version":2"#),
    ] {
        let doubled = request.replacen(once, twice, 1);
        assert_ne!(doubled, request);
        assert!(
            FacilitatorRequest::decode(doubled.as_bytes()).is_err(),
            "{twice}"
        );
    }
}

/// Every refusal here knows the payer.
fn refused(name: &str, request: &Value, code: Code) {
    let refusal = decode(request).unwrap().exact().unwrap_err();
    assert_eq!(
        (refusal.code, refusal.payer),
        (code, PAYER.parse().ok()),
        "{name}: {refusal}"
    );
}

/// Steps 1 and 2 of specs/x402.md §2.2, then the requirements' own texts.
#[test]
fn terms_are_refused_with_the_specified_reason() {
    use Code::{
        InvalidExactEvmFailedToGetNetworkConfig as NoNetwork,
        InvalidPaymentRequirements as Requirements, MissingEip712Domain as NoDomain,
        NetworkMismatch, UnsupportedScheme,
    };
    let both = |request: Value, payload: &str, value: &str| {
        let request = with(request, &format!("/paymentPayload/{payload}"), json!(value));
        with(request, "/paymentRequirements/network", json!(value))
    };
    let networks = |value: &str| both(request_v2(), "accepted/network", value);
    let v1_networks = |value: &str| both(request_v1(), "network", value);
    let v1 = |pointer: &str, value: Value| with(request_v1(), pointer, value);
    let accepted = |key: &str, value: Value| {
        with(
            request_v2(),
            &format!("/paymentPayload/accepted/{key}"),
            value,
        )
    };
    let required =
        |key: &str, value: Value| with(request_v2(), &format!("/paymentRequirements/{key}"), value);
    #[rustfmt::skip]
    let cases = [
        ("scheme of the payload", accepted("scheme", json!("upto")), UnsupportedScheme),
        ("scheme required", required("scheme", json!("upto")), UnsupportedScheme),
        ("v1 scheme", v1("/paymentPayload/scheme", json!("upto")), UnsupportedScheme),
        ("network", accepted("network", json!("eip155:8453")), NetworkMismatch),
        ("v1 network", v1("/paymentPayload/network", json!("base")), NetworkMismatch),
        ("not an EVM network", networks("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"), NoNetwork),
        ("no chain number", networks("eip155:0x14a34"), NoNetwork),
        ("CAIP-2 in version 1", v1_networks("eip155:84532"), NoNetwork),
        ("unknown v1 name", v1_networks("base-goerli"), NoNetwork),
        ("extra empty", required("extra", json!({})), NoDomain),
        ("extra null", required("extra", Value::Null), NoDomain),
        ("no domain version", without(request_v2(), "/paymentRequirements/extra/version"), NoDomain),
        ("domain name empty", required("extra/name", json!("")), NoDomain),
        ("domain version number", required("extra/version", json!(2)), NoDomain),
        ("v1 no extra", without(request_v1(), "/paymentRequirements/extra"), NoDomain),
        ("amount text", required("amount", json!("ten")), Requirements),
        ("amount hex", required("amount", json!("0x10")), Requirements),
        ("asset", required("asset", json!("USDC")), Requirements),
        ("payTo", required("payTo", json!("0x12")), Requirements),
    ];
    for (name, request, code) in cases {
        refused(name, &request, code);
    }
}

#[test]
fn payloads_are_refused_with_the_specified_reason() {
    use Code::{InvalidExactEvmPayloadSignature as Signature, InvalidPayload as Payload};
    let whole = "/paymentPayload/payload";
    let set = |key: &str, value: Value| with(request_v2(), &format!("{whole}/{key}"), value);
    let auth = |key: &str, value: Value| set(&format!("authorization/{key}"), value);
    let cut = |key: &str| without(request_v2(), &format!("{whole}/{key}"));
    let permit2 = json!({"permit2Authorization": {"from": PAYER}});
    #[rustfmt::skip]
    let cases = [
        ("no signature", cut("signature"), Payload),
        ("signature number", set("signature", json!(7)), Payload),
        ("signature odd", set("signature", json!("0x123")), Payload),
        ("signature words", set("signature", json!("sign here")), Payload),
        ("to", auth("to", json!("somebody")), Payload),
        ("value_hex_string", auth("value", json!("0x2710")), Payload),
        ("value_number", auth("value", json!(10000)), Payload),
        ("value sign", auth("value", json!("-10000")), Payload),
        ("value zero first", auth("value", json!("010000")), Payload),
        ("value huge", auth("value", json!("9".repeat(78))), Payload),
        ("validAfter number", auth("validAfter", json!(0)), Payload),
        ("validBefore missing", cut("authorization/validBefore"), Payload),
        ("nonce missing", cut("authorization/nonce"), Payload),
        ("nonce_31_bytes", auth("nonce", json!(format!("0x{}", "ab".repeat(31)))), Signature),
        ("permit2", with(request_v2(), whole, permit2), Payload),
    ];
    for (name, request, code) in cases {
        refused(name, &request, code);
    }
}

#[test]
fn a_payload_that_names_no_payer_is_still_a_verdict() {
    let payload = "/paymentPayload/payload";
    for request in [
        with(request_v2(), payload, json!({})),
        with(request_v1(), payload, json!({})),
        without(request_v2(), &format!("{payload}/authorization")),
        with(
            request_v2(),
            &format!("{payload}/authorization"),
            json!("x"),
        ),
        with(
            request_v2(),
            &format!("{payload}/authorization"),
            json!([PAYER]),
        ),
        with(
            request_v2(),
            &format!("{payload}/authorization/from"),
            json!("0x1234"),
        ),
        with(
            request_v2(),
            &format!("{payload}/authorization/from"),
            json!(7),
        ),
    ] {
        let refusal = decode(&request).unwrap().exact().unwrap_err();
        assert_eq!(
            (refusal.code, refusal.payer),
            (Code::InvalidPayload, None),
            "{request}"
        );
    }
}

/// Earlier checks win: the reason is that of the first step that fails.
#[test]
fn the_order_of_checks_decides_the_reason() {
    let mut request = with(request_v2(), "/paymentPayload/payload", json!({}));
    let mut expect = |pointer: &str, value: Value, code: Code| {
        request = with(request.clone(), pointer, value);
        assert_eq!(
            decode(&request).unwrap().exact().unwrap_err().code,
            code,
            "{pointer}"
        );
    };
    expect("/paymentPayload/payload", json!({}), Code::InvalidPayload);
    expect(
        "/paymentRequirements/amount",
        json!("x"),
        Code::InvalidPaymentRequirements,
    );
    expect(
        "/paymentRequirements/extra",
        json!({}),
        Code::MissingEip712Domain,
    );
    expect(
        "/paymentPayload/accepted/network",
        json!("x:y"),
        Code::NetworkMismatch,
    );
    expect(
        "/paymentPayload/accepted/scheme",
        json!("upto"),
        Code::UnsupportedScheme,
    );
}

#[test]
fn what_only_a_chain_can_judge_passes() {
    for (pointer, value) in [
        (
            "/paymentPayload/payload/authorization/to",
            json!(PAYEE.to_lowercase()),
        ),
        (
            "/paymentPayload/payload/authorization/to",
            json!("0x000000000000000000000000000000000000dEaD"),
        ),
        ("/paymentPayload/payload/authorization/value", json!("9999")),
        (
            "/paymentPayload/payload/authorization/validBefore",
            json!("1000"),
        ),
        ("/paymentPayload/payload/signature", json!("0x")),
        ("/paymentPayload/payload/signature", json!("0x1234")),
        ("/paymentPayload/accepted/amount", json!("1")),
        ("/paymentPayload/accepted/payTo", json!("somebody")),
        ("/paymentRequirements/amount", json!("0")),
        ("/paymentRequirements/asset", json!(USDC.to_lowercase())),
    ] {
        assert!(
            decode(&with(request_v2(), pointer, value))
                .unwrap()
                .exact()
                .is_ok(),
            "{pointer}"
        );
    }
}

#[test]
fn verdicts_are_written_and_read() {
    let valid = VerifyResponse::valid(PAYER.parse().unwrap());
    assert_eq!(
        serde_json::to_value(&valid).unwrap(),
        json!({"isValid": true, "payer": PAYER})
    );
    let refusal = Refusal::new(Code::NetworkMismatch)
        .detail("x")
        .payer(PAYER.parse().unwrap());
    let invalid = VerifyResponse::invalid(&refusal);
    assert_eq!(
        serde_json::to_value(&invalid).unwrap(),
        json!({"isValid": false, "invalidReason": "network_mismatch", "invalidMessage": "x", "payer": PAYER})
    );
    let theirs =
        json!({"isValid": false, "invalidReason": "invalid_exact_evm_signature", "payer": ""});
    let theirs: VerifyResponse = serde_json::from_value(theirs).unwrap();
    assert_eq!(theirs.code(), Some(Code::InvalidExactEvmPayloadSignature));
    assert_eq!(theirs.payer_address(), None);
    assert!(serde_json::from_value::<VerifyResponse>(json!({"success": true})).is_err());
}

#[test]
fn supported_kinds_of_both_versions_share_a_list() {
    let answer = SupportedResponse {
        kinds: vec![
            Kind::exact(Version::V2, "eip155:84532"),
            Kind::exact(Version::V1, "base-sepolia"),
        ],
        extensions: Vec::new(),
        signers: [("eip155:*".to_owned(), vec![PAYER.to_owned()])].into(),
    };
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(
        json,
        json!({
            "kinds": [
                {"x402Version": 2, "scheme": "exact", "network": "eip155:84532"},
                {"x402Version": 1, "scheme": "exact", "network": "base-sepolia"},
            ],
            "extensions": [],
            "signers": {"eip155:*": [PAYER]},
        })
    );
    assert_eq!(
        serde_json::from_value::<SupportedResponse>(json).unwrap(),
        answer
    );
    assert!(serde_json::from_value::<SupportedResponse>(json!({"kinds": []})).is_ok());
}
