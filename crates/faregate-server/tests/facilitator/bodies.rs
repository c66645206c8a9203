//! What is not a request of the protocol gets a 4xx with its reason; a verdict is always 200.

use std::sync::atomic::Ordering;

use axum::body::Body;
use bytes::Bytes;
use faregate_types::x402::Version;
use faregate_types::{ChainId, Code};
use futures_util::stream;
use http::{Method, Request, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::kit::{Desk, Fake, HASH, Settles};
use super::payment::{PAYEE, Payer};

fn good(version: Version, nonce: u64) -> Value {
    Payer::new(ChainId::BASE_SEPOLIA).body(version, nonce)
}

/// The body of a good request with one part replaced.
fn bent(path: &[&str], value: Value) -> String {
    let mut body = good(Version::V2, 1);
    let mut place = &mut body;
    for key in path {
        place = &mut place[*key];
    }
    *place = value;
    body.to_string()
}

/// A body, the status and the reason.
type Case = (String, u16, &'static str);

/// What is no request at all.
fn no_requests() -> Vec<Case> {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100));
    vec![
        (String::new(), 400, "malformed_json"),
        ("{".into(), 400, "malformed_json"),
        ("null".into(), 400, "malformed_json"),
        ("[]".into(), 400, "malformed_json"),
        ("\"x\"".into(), 400, "malformed_json"),
        ("NaN".into(), 400, "malformed_json"),
        ("\u{0}".into(), 400, "malformed_json"),
        (deep, 400, "malformed_json"),
        ("{}".into(), 400, "invalid_payload"),
        (
            bent(&["paymentPayload"], json!(null)),
            400,
            "invalid_payload",
        ),
        (bent(&["paymentPayload"], json!([])), 400, "invalid_payload"),
        (
            bent(&["paymentPayload", "payload"], json!("0x")),
            400,
            "invalid_payload",
        ),
        (
            bent(&["paymentPayload", "accepted"], json!(7)),
            400,
            "invalid_payload",
        ),
        (
            bent(&["x402Version"], json!(1)),
            400,
            "invalid_x402_version",
        ),
        (
            bent(&["x402Version"], json!("2")),
            400,
            "invalid_x402_version",
        ),
        (
            bent(&["paymentPayload", "x402Version"], json!(3)),
            400,
            "invalid_x402_version",
        ),
        (
            bent(&["paymentPayload", "x402Version"], json!(-2)),
            400,
            "invalid_x402_version",
        ),
        (
            bent(&["paymentRequirements"], json!(null)),
            400,
            "invalid_payment_requirements",
        ),
        (
            bent(&["paymentRequirements", "amount"], json!(10_000)),
            400,
            "invalid_payment_requirements",
        ),
        (" ".repeat(200_000), 413, "body_too_large"),
    ]
}

/// What is a request, and cannot be paid.
fn refusals() -> Vec<Case> {
    let authorization = ["paymentPayload", "payload", "authorization"];
    vec![
        (
            bent(&["paymentRequirements", "scheme"], json!("upto")),
            200,
            "unsupported_scheme",
        ),
        (
            bent(&["paymentRequirements", "network"], json!("eip155:1")),
            200,
            "network_mismatch",
        ),
        (
            bent(&["paymentRequirements", "extra"], json!({})),
            200,
            "missing_eip712_domain",
        ),
        (
            bent(&["paymentRequirements", "amount"], json!("1e4")),
            200,
            "invalid_payment_requirements",
        ),
        (
            bent(&["paymentRequirements", "payTo"], json!("0x12")),
            200,
            "invalid_payment_requirements",
        ),
        (
            bent(&["paymentPayload", "payload"], json!({})),
            200,
            "invalid_payload",
        ),
        (
            bent(&[&authorization[..], &["value"]].concat(), json!("0x10")),
            200,
            "invalid_payload",
        ),
        (
            bent(
                &[&authorization[..], &["value"]].concat(),
                json!("9".repeat(500)),
            ),
            200,
            "invalid_payload",
        ),
        (
            bent(&[&authorization[..], &["nonce"]].concat(), json!("0x00")),
            200,
            "invalid_exact_evm_payload_signature",
        ),
    ]
}

#[tokio::test]
async fn hostile_bodies_get_their_reason_and_never_a_500() {
    let desk = Desk::new(Fake::default());
    for (body, status, code) in no_requests().into_iter().chain(refusals()) {
        let shown: String = body.chars().take(200).collect();
        let answer = desk.post("/verify", body.clone()).await;
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        let json = answer.json();
        assert_eq!(json["isValid"], false, "{shown}: {answer:?}");
        assert_eq!(json["invalidReason"], code, "{shown}: {answer:?}");

        let answer = desk.post("/settle", body).await;
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        let json = answer.json();
        assert_eq!(json["success"], false, "{shown}: {answer:?}");
        assert_eq!(json["errorReason"], code, "{shown}: {answer:?}");
        assert_eq!(json["transaction"], "");
        assert!(json["network"].is_string());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        if status != 200 {
            // A problem at the same time.
            assert_eq!(json["code"], code);
            assert_eq!(json["status"], status);
            assert!(json["type"].as_str().unwrap().ends_with(code));
            assert!(json["detail"].is_string());
        }
    }
    assert_eq!(desk.fake.settlements(), 0);
}

#[tokio::test]
async fn a_body_without_length_is_cut_off() {
    let desk = Desk::new(Fake::default());
    let endless = stream::repeat(Ok::<_, std::convert::Infallible>(Bytes::from_static(
        &[b' '; 1_024],
    )));
    let answer = desk.post("/verify", Body::from_stream(endless)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["invalidReason"], "body_too_large");

    let broken = stream::iter([
        Ok(Bytes::from_static(b"{")),
        Err(std::io::Error::other("gone")),
    ]);
    let answer = desk.post("/settle", Body::from_stream(broken)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["errorReason"], "bad_request");
}

#[tokio::test]
async fn only_json_and_only_the_known_calls() {
    let desk = Desk::new(Fake::default());
    let body = good(Version::V2, 1).to_string();
    for (kind, status) in [
        (Some("application/json; charset=utf-8"), 200),
        (Some("APPLICATION/JSON"), 200),
        (None, 200),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("multipart/form-data; boundary=x"), 415),
    ] {
        let mut request = Request::post("/verify");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = desk
            .send(request.body(Body::from(body.clone())).unwrap())
            .await;
        assert_eq!(answer.status, status, "{kind:?}");
        if status == 415 {
            assert_eq!(answer.json()["invalidReason"], "unsupported_media_type");
        }
    }
    for (method, path, status, code) in [
        (Method::GET, "/verify", 405, "method_not_allowed"),
        (Method::DELETE, "/settle", 405, "method_not_allowed"),
        (Method::POST, "/supported", 405, "method_not_allowed"),
        (Method::GET, "/", 404, "not_found"),
        (Method::POST, "/verify/x", 404, "not_found"),
        (Method::POST, "//settle", 404, "not_found"),
    ] {
        let answer = desk.method(method.clone(), path).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.json()["code"], code);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(
            answer.header("allow").is_some(),
            status == 405,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn verdicts_have_the_protocols_shape() {
    let desk = Desk::new(Fake::default());
    let payer = Payer::new(ChainId::BASE_SEPOLIA).address().to_string();
    let body = good(Version::V2, 1).to_string();

    let answer = desk.get("/supported").await;
    assert_eq!(
        answer.json(),
        json!({
            "kinds": [{ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" }],
            "extensions": [],
            "signers": { "eip155:*": [] },
        })
    );
    let answer = desk.post("/verify", body.clone()).await;
    assert_eq!(answer.json(), json!({ "isValid": true, "payer": payer }));
    *desk.fake.verify.lock().unwrap() = Ok(Err(Code::InvalidExactEvmInsufficientBalance));
    let answer = desk.post("/verify", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let reason = "invalid_exact_evm_insufficient_balance";
    assert_eq!(
        answer.json(),
        json!({ "isValid": false, "invalidReason": reason, "payer": payer })
    );
    *desk.fake.verify.lock().unwrap() = Ok(Ok(()));

    for (version, network) in [(Version::V1, "base-sepolia"), (Version::V2, "eip155:84532")] {
        let nonce = u64::from(version.number()) * 10;
        let body = |nonce| good(version, nonce).to_string();
        desk.fake.will(Settles::Well);
        let answer = desk.post("/settle", body(nonce)).await;
        assert_eq!(answer.status, StatusCode::OK);
        let settled = json!({
            "success": true, "payer": payer, "transaction": HASH, "network": network,
        });
        assert_eq!(answer.json(), settled);

        desk.fake.will(Settles::Badly(Code::TransactionFailed));
        let answer = desk.post("/settle", body(nonce + 1)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.json(),
            json!({
                "success": false, "errorReason": "transaction_failed", "payer": payer,
                "transaction": "", "network": network,
            })
        );

        for transaction in [None, Some(HASH)] {
            desk.fake.will(Settles::Unknown(transaction));
            let nonce = nonce + 2 + u64::from(transaction.is_some());
            let answer = desk.post("/settle", body(nonce)).await;
            assert_eq!(answer.status, StatusCode::OK);
            let json = answer.json();
            assert_eq!(json["success"], false);
            assert_eq!(json["errorReason"], "settlement_pending");
            assert_eq!(json["transaction"], transaction.unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn who_is_away_gives_no_verdict() {
    let desk = Desk::new(Fake::default());
    for (code, status) in [
        (Code::ChainUnavailable, 503),
        (Code::FacilitatorUnavailable, 503),
        (Code::FacilitatorAnswerInvalid, 502),
        (Code::Internal, 500),
    ] {
        *desk.fake.verify.lock().unwrap() = Err(code);
        *desk.fake.supported.lock().unwrap() = Err(code);
        let body = good(Version::V2, 1).to_string();
        for answer in [
            desk.post("/verify", body.clone()).await,
            desk.post("/settle", body).await,
            desk.get("/supported").await,
        ] {
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            let json = answer.json();
            assert_eq!(json["code"], code.as_str());
            for verdict in ["isValid", "success", "invalidReason", "errorReason"] {
                assert!(json.get(verdict).is_none(), "{answer:?}");
            }
        }
    }
    assert_eq!(desk.fake.settlements(), 0);
}

#[tokio::test]
async fn a_panic_in_a_settlement_is_a_500_and_a_copy_finds_out() {
    let desk = Desk::new(Fake::default());
    let body = good(Version::V2, 1).to_string();
    desk.fake.will(Settles::Panic);
    let answer = desk.post("/settle", body.clone()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.json().get("success").is_none());
    assert!(!answer.text.contains("on purpose"));
    desk.fake.will(Settles::Well);
    let answer = desk.post("/settle", body).await;
    assert_eq!(answer.json()["success"], true);
    assert_eq!(desk.fake.settlements(), 1);
    assert_eq!(desk.fake.resolved.load(Ordering::SeqCst), 1);
}

/// A JSON value of any shape, with the protocol's own names in it more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("exact")),
        Just(json!("eip155:84532")),
        Just(json!(PAYEE)),
    ];
    let key = prop_oneof![
        Just("x402Version".to_owned()),
        Just("paymentPayload".to_owned()),
        Just("paymentRequirements".to_owned()),
        Just("payload".to_owned()),
        Just("accepted".to_owned()),
        Just("authorization".to_owned()),
        Just("extra".to_owned()),
        ".{0,8}",
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// One of the places of a good request, and what to put there.
fn any_bend() -> impl Strategy<Value = String> {
    let places: Vec<Vec<&'static str>> = vec![
        vec!["x402Version"],
        vec!["paymentPayload"],
        vec!["paymentPayload", "accepted"],
        vec!["paymentPayload", "payload"],
        vec!["paymentPayload", "payload", "signature"],
        vec!["paymentPayload", "payload", "authorization"],
        vec!["paymentPayload", "payload", "authorization", "value"],
        vec!["paymentRequirements"],
        vec!["paymentRequirements", "extra"],
        vec!["paymentRequirements", "maxTimeoutSeconds"],
    ];
    (prop::sample::select(places), any_json()).prop_map(|(place, value)| bent(&place, value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_body_gets_a_clear_answer(body in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any_json().prop_map(|json| json.to_string().into_bytes()),
        any_bend().prop_map(String::into_bytes),
    ]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let desk = Desk::new(Fake::default());
            for path in ["/verify", "/settle"] {
                let answer = desk.post(path, body.clone()).await;
                prop_assert!(matches!(answer.status.as_u16(), 200 | 400), "{answer:?}");
                let json = answer.json();
                let verdict = json.get("isValid").or(json.get("success"));
                prop_assert!(verdict.is_some_and(Value::is_boolean), "{answer:?}");
            }
            Ok(())
        })?;
    }
}
