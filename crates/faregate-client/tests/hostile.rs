//! Servers that want more than they should get. Nothing may be signed for any of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use common::{
    Seller, ask_v1, ask_v2, builder, client, encode, honest, memory, offer_v1, offer_v2,
    raw_seller, required_v2, seller, served,
};
use faregate_client::{HttpFault, Kind, PayError, PlainHttp, Quote, RequestFault};
use faregate_types::Code;
use serde_json::{Value, json};

/// Whatever it asks for, it is not paid.
async fn refuses(seller: &Seller, code: Code, kind: Kind, why: &str) -> PayError {
    let store = memory();
    let client = client(&store);
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (code, kind), "{why}: {error}");
    assert_eq!(seller.payments(), [""; 0], "{why}");
    assert_eq!(store.recent_spends(9).await.unwrap(), [], "{why}");
    assert_eq!(error.payment(), None, "{why}");
    error
}

fn changed(mut offer: Value, member: &str, value: Value) -> Value {
    offer[member] = value;
    offer
}

/// What `select` decides, end to end, in both versions. Member, new value, code.
const BAD_OFFERS: &str = r#"
    amount            "100001"                   over_payment_cap
    amount            10000                      malformed_offer
    amount            "-10000"                   malformed_offer
    amount            "0x2710"                   malformed_offer
    asset             "0x209693Bc6afc0C5328bA36FaF03C514EF312287C" asset_unknown
    extra             {"name":"Gold","version":"2"} domain_mismatch
    extra             {"name":"USDC","version":"1"} domain_mismatch
    maxTimeoutSeconds 86400                      validity_too_long
    scheme            "upto"                     unsupported_scheme
    payTo             "0x00"                     malformed_offer
"#;

#[tokio::test]
async fn problem_17_bad_offers_of_both_versions() {
    for line in BAD_OFFERS.trim().lines() {
        let [member, value, code] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let code = Code::from_str(code).unwrap();
        let kind = match code {
            Code::OverPaymentCap => Kind::OverBudget,
            _ => Kind::NoOffer,
        };
        let value: Value = serde_json::from_str(value).unwrap();
        let v2 = changed(offer_v2(), member, value.clone());
        let v2 = seller(move |_| ask_v2(from_ref(&v2))).await;
        refuses(&v2, code, kind, line).await;
        let member = match member {
            "amount" => "maxAmountRequired",
            member => member,
        };
        let v1 = changed(offer_v1(), member, value);
        let v1 = seller(move |_| ask_v1(from_ref(&v1))).await;
        refuses(&v1, code, kind, line).await;
    }
    let everything =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let dear = changed(offer_v2(), "amount", json!(everything));
    let seller = seller(move |_| ask_v2(from_ref(&dear))).await;
    refuses(
        &seller,
        Code::OverPaymentCap,
        Kind::OverBudget,
        "everything",
    )
    .await;
}

#[tokio::test]
async fn unknown_and_unnamed_networks() {
    let table = [
        (
            "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp",
            Code::InvalidNetwork,
        ),
        ("eip155:123456789", Code::NetworkNotAllowed),
        ("eip155:8453", Code::NetworkNotAllowed),
    ];
    for (network, code) in table {
        let offer = changed(offer_v2(), "network", json!(network));
        let seller = seller(move |_| ask_v2(from_ref(&offer))).await;
        let error = refuses(&seller, code, Kind::NoOffer, network).await;
        assert!(error.to_string().contains(network), "{error}");
    }
}

#[tokio::test]
async fn every_refused_offer_keeps_its_reason() {
    let accepts = [
        changed(offer_v2(), "scheme", json!("upto")),
        changed(offer_v2(), "network", json!("eip155:8453")),
        json!(null),
    ];
    let seller = seller(move |_| ask_v2(&accepts)).await;
    let error = refuses(&seller, Code::NoUsableOffer, Kind::NoOffer, "three").await;
    let PayError::NoUsableOffer(considered) = &error else {
        panic!("{error}")
    };
    assert_eq!(considered.len(), 3);
    let text = error.to_string();
    for part in [
        "unsupported_scheme",
        "network_not_allowed",
        "malformed_offer",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// An answer that is no offer at all.
async fn malformed(
    why: &'static str,
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) {
    let seller = seller(move |_| answer()).await;
    refuses(&seller, Code::MalformedOffer, Kind::NoOffer, why).await;
}

#[tokio::test]
async fn answers_that_are_no_offers() {
    let body = |body: &'static str| move || (StatusCode::PAYMENT_REQUIRED, body).into_response();
    malformed("empty", body("")).await;
    malformed("html", body("<html>pay me</html>")).await;
    malformed("empty object", body("{}")).await;
    malformed("version 3", body(r#"{"x402Version":3,"accepts":[{}]}"#)).await;
    malformed(
        "version 2 in the body",
        body(r#"{"x402Version":2,"accepts":[{}]}"#),
    )
    .await;
    malformed(
        "version as text",
        body(r#"{"x402Version":"1","accepts":[{}]}"#),
    )
    .await;
    malformed("no offers", body(r#"{"x402Version":1,"accepts":[]}"#)).await;
    malformed(
        "offers as object",
        body(r#"{"x402Version":1,"accepts":{}}"#),
    )
    .await;
    malformed("array", body(r#"[1,null,[{}]]"#)).await;
    malformed(
        "twice",
        body(r#"{"x402Version":1,"accepts":[{}],"accepts":[{}]}"#),
    )
    .await;
    malformed("too many offers", || ask_v1(&vec![offer_v1(); 65])).await;
}

#[tokio::test]
async fn headers_that_are_no_offers() {
    // Beside a good version 1 body: there is no falling back from a header that lies.
    let with = |value: String| {
        move || {
            let mut response = ask_v1(&[offer_v1()]);
            let value = HeaderValue::from_str(&value).unwrap();
            response.headers_mut().insert("payment-required", value);
            response
        }
    };
    let base64 = |json: &str| with(encode(&serde_json::from_str(json).unwrap()));
    malformed("not base64", with("!!!".into())).await;
    malformed("empty", with(String::new())).await;
    malformed("url-safe", with("eyJ4Ijoi-_8ifQ==".into())).await;
    malformed("not JSON", with("aGVsbG8=".into())).await;
    malformed("not an object", base64("[2]")).await;
    malformed("version 1", base64(r#"{"x402Version":1,"accepts":[{}]}"#)).await;
    malformed("no offers", base64(r#"{"x402Version":2,"accepts":[]}"#)).await;
    malformed("two headers", || {
        let mut response = ask_v2(&[offer_v2()]);
        let value = encode(&required_v2(&[offer_v2()])).parse().unwrap();
        response.headers_mut().append("payment-required", value);
        response
    })
    .await;
}

#[tokio::test]
async fn too_much_to_read() {
    let large =
        seller(|_| (StatusCode::PAYMENT_REQUIRED, "x".repeat(1 << 20)).into_response()).await;
    refuses(&large, Code::BodyTooLarge, Kind::NoOffer, "1 MB body").await;
    let value = "A".repeat(40_000);
    let header = seller(move |_| {
        let header = [("payment-required", value.clone())];
        (StatusCode::PAYMENT_REQUIRED, header).into_response()
    })
    .await;
    refuses(
        &header,
        Code::HeadersTooLarge,
        Kind::NoOffer,
        "40 kB header",
    )
    .await;
    let value = "A".repeat(1 << 20);
    let huge = raw_seller(move |_| {
        let head = format!("HTTP/1.1 402 Pay\r\npayment-required: {value}\r\n\r\n");
        Some(head.into_bytes())
    });
    let error = refuses(
        &huge,
        Code::UpstreamAnswerInvalid,
        Kind::Http,
        "1 MB header",
    )
    .await;
    assert!(
        matches!(error, PayError::Http(HttpFault::Garbled)),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_not_http() {
    let noise = raw_seller(|_| Some(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    let error = refuses(&noise, Code::UpstreamAnswerInvalid, Kind::Http, "ssh").await;
    assert!(
        matches!(error, PayError::Http(HttpFault::Garbled)),
        "{error}"
    );
    let silent = raw_seller(|_| None);
    refuses(&silent, Code::UpstreamUnavailable, Kind::Http, "closed").await;
    for url in ["ftp://a.example/", "data:text/plain,x", "not a url"] {
        let error = client(&memory()).get(url).send().await.unwrap_err();
        assert_eq!(
            (error.code(), error.kind()),
            (Code::BadRequest, Kind::Request),
            "{url}"
        );
    }
}

#[tokio::test]
async fn endless_402s_are_paid_once() {
    let seller = seller(|_| ask_v2(&[offer_v2()])).await;
    let store = memory();
    let error = client(&store)
        .get(seller.url("/"))
        .send()
        .await
        .unwrap_err();
    let PayError::Refused(refused) = &error else {
        panic!("{error}")
    };
    assert_eq!((refused.status, refused.code), (402, Code::PaymentRefused));
    assert_eq!(refused.reason.as_deref(), Some("Payment required"));
    assert_eq!(error.payment(), Some(refused.id));
    assert_eq!(seller.payments().len(), 1);
    let spends = store.recent_spends(9).await.unwrap();
    assert_eq!(spends[0].state, faregate_client::SpendState::Refused);
}

#[tokio::test]
async fn refusals_say_why() {
    let failed =
        |reason: &str| encode(&json!({"success": false, "errorReason": reason, "transaction": ""}));
    let required =
        |error: &str| encode(&json!({"x402Version": 2, "error": error, "accepts": [offer_v2()]}));
    let body = |error: &str| {
        json!({"x402Version": 1, "error": error, "accepts": [offer_v1()]}).to_string()
    };
    let table = [
        (
            vec![("payment-response", failed("insufficient_funds"))],
            String::new(),
            Code::InsufficientFunds,
        ),
        (
            vec![("payment-required", required("invalid_exact_evm_signature"))],
            String::new(),
            Code::InvalidExactEvmPayloadSignature,
        ),
        (vec![], body("insufficient_funds"), Code::InsufficientFunds),
        (
            vec![],
            body("no more jokes\u{1b}[31m"),
            Code::PaymentRefused,
        ),
        (vec![], String::new(), Code::PaymentRefused),
        (
            vec![("payment-response", "!".to_owned())],
            "[]".to_owned(),
            Code::PaymentRefused,
        ),
    ];
    for (headers, body, code) in table {
        let seller = seller(move |request| {
            if request.payment().is_none() {
                return ask_v2(&[offer_v2()]);
            }
            let mut response = (StatusCode::PAYMENT_REQUIRED, body.clone()).into_response();
            for (name, value) in &headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        })
        .await;
        let error = client(&memory())
            .get(seller.url("/"))
            .send()
            .await
            .unwrap_err();
        assert_eq!(
            (error.code(), error.kind()),
            (code, Kind::Refused),
            "{error}"
        );
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[tokio::test]
async fn problem_17_redirects_to_another_origin_are_not_followed_and_never_paid() {
    let other = honest().await;
    let target = other.url("/");
    // Before the payment: the redirect is the answer, even if it comes with offers.
    let location = target.clone();
    let before = seller(move |_| {
        let mut response = ask_v2(&[offer_v2()]);
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        let location = location.parse().unwrap();
        response.headers_mut().insert(header::LOCATION, location);
        response
    })
    .await;
    let unpaid = client(&memory()).get(before.url("/")).send().await.unwrap();
    assert_eq!(
        (unpaid.answer.status().as_u16(), unpaid.payment.is_none()),
        (307, true)
    );
    // After it: also the answer, and the payment stays open.
    let after = seller(move |request| match request.payment() {
        Some(_) => (
            StatusCode::PERMANENT_REDIRECT,
            [(header::LOCATION, target.clone())],
        )
            .into_response(),
        None => ask_v2(&[offer_v2()]),
    })
    .await;
    let paid = client(&memory()).get(after.url("/")).send().await.unwrap();
    assert_eq!(paid.answer.status(), 308);
    assert_eq!(
        paid.payment.unwrap().state,
        faregate_client::SpendState::Open
    );
    // A 402 with a location is still a 402: it is paid where it came from.
    let location = other.url("/");
    let mixed = seller(move |request| match request.payment() {
        Some(_) => served(),
        None => {
            let mut response = ask_v2(&[offer_v2()]);
            response
                .headers_mut()
                .insert(header::LOCATION, location.parse().unwrap());
            response
        }
    })
    .await;
    let paid = client(&memory()).get(mixed.url("/")).send().await.unwrap();
    assert!(paid.payment.is_some());
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn redirect_loops_end() {
    let hops = Arc::new(AtomicUsize::new(0));
    let count = hops.clone();
    let seller = seller(move |_| {
        let next = count.fetch_add(1, Ordering::SeqCst) + 1;
        (StatusCode::FOUND, [(header::LOCATION, format!("/{next}"))]).into_response()
    })
    .await;
    let unpaid = client(&memory()).get(seller.url("/")).send().await.unwrap();
    assert_eq!(unpaid.answer.status(), 302);
    assert_eq!(hops.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn who_is_paid_can_be_limited() {
    let seller = honest().await;
    let url = seller.url("/");
    let only = |origin: &str| {
        let origins = [origin.parse().unwrap()];
        builder()
            .store(memory())
            .only_origins(origins)
            .unwrap()
            .build()
            .unwrap()
    };
    let error = only("https://a.example")
        .get(&url)
        .send()
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        PayError::Request(RequestFault::HostNotAllowed)
    ));
    assert_eq!(error.kind(), Kind::OverBudget);
    assert_eq!(seller.payments(), [""; 0]);
    let paid = only(&seller.url("/some/path"))
        .get(&url)
        .send()
        .await
        .unwrap();
    assert!(paid.payment.is_some());
}

/// A name for this machine that is not one of the names we know to be this machine.
#[tokio::test]
async fn plain_http_to_another_machine_is_not_paid() {
    let seller = honest().await;
    let proxy: url::Url = seller.url("/").parse().unwrap();
    let client = |plain| {
        let builder = builder()
            .store(memory())
            .proxy(proxy.clone())
            .plain_http(plain);
        builder.build().unwrap()
    };
    let careful = client(PlainHttp::ToThisMachine);
    let error = careful
        .get("http://shop.example/")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (Code::InsecureUrl, Kind::OverBudget)
    );
    let quote = careful.get("http://shop.example/").quote().await.unwrap();
    assert!(matches!(quote, Quote::Priced(priced) if priced.verdict.is_err()));
    assert_eq!(seller.payments(), [""; 0]);
    let open = client(PlainHttp::Anywhere);
    let paid = open.get("http://shop.example/").send().await.unwrap();
    assert!(paid.payment.is_some());
}

#[tokio::test]
async fn lying_receipts_are_not_believed() {
    let other_network =
        json!({"success": true, "transaction": common::HASH, "network": "eip155:8453"});
    for receipt in [encode(&other_network), "?".to_owned()] {
        let seller = seller(move |request| match request.payment() {
            Some(_) => ([("payment-response", receipt.clone())], "served").into_response(),
            None => ask_v2(&[offer_v2()]),
        })
        .await;
        let paid = client(&memory()).get(seller.url("/")).send().await.unwrap();
        let receipt = paid.payment.unwrap().x402().unwrap().receipt.clone();
        assert_eq!(receipt.transaction(), None, "{receipt:?}");
    }
}
