//! The good cases: both versions, the answer, the receipt, the books.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use common::{
    HASH, KEY, NOW, PAYEE, PAYER, ask_v1, ask_v2, builder, client, decode, encode, honest, memory,
    offer_v1, offer_v2, receipt, required_v1, required_v2, seller, served,
};
use faregate_client::{Client, PayError, Quote, Receipt, RequestFault, SpendState};
use faregate_evm::{Entropy, EntropyError};
use faregate_types::x402::Version;
use faregate_types::{Code, hex_text};
use reqwest::Method;
use serde_json::{Value, json};

/// Nonces of the vectors.
struct Fixed;

impl Entropy for Fixed {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        let nonce = "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480";
        buffer.copy_from_slice(hex_text::parse_b256(nonce).unwrap().as_slice());
        Ok(())
    }
}

fn fixed() -> Client {
    builder().store(memory()).entropy(Fixed).build().unwrap()
}

fn authorization(valid_after: &str) -> Value {
    json!({"from": PAYER, "to": PAYEE, "value": "10000", "validAfter": valid_after, "validBefore": "1740672149",
        "nonce": "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"})
}

/// `payment_signature_header_v2_exact_eip3009.{python,typescript}`: same key, time and nonce, same content.
#[tokio::test]
async fn version_2_is_paid_as_the_sdks_pay_it() {
    let seller = honest().await;
    let paid = fixed().get(seller.url("/joke")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(paid.answer.text().await.unwrap(), "served");
    assert_eq!(
        (payment.x402().unwrap().version, payment.state),
        (Version::V2, SpendState::Paid)
    );
    assert_eq!(payment.x402().unwrap().receipt.transaction(), Some(HASH));
    assert_eq!(
        (
            payment.x402().unwrap().payer.to_string().as_str(),
            payment.resumed
        ),
        (PAYER, false)
    );
    let seen = seller.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        (seen[0].payment(), seen[1].header("x-payment")),
        (None, None)
    );
    let signature = "0xf70fbdc611bbe3077f7fe15cc911579c0b8a3ea03c084ed9c489fa54ec60c34c63c1f21810b3ce96876b90c14501875ed73381ffb789c6a928b46a64b23abc201c";
    assert_eq!(
        decode(&seen[1].header("payment-signature").unwrap()),
        json!({
            "x402Version": 2,
            "payload": {"authorization": authorization("0"), "signature": signature},
            "resource": required_v2(&[])["resource"],
            "accepted": offer_v2(),
        })
    );
}

/// `x_payment_header_v1_exact_eip3009.{python,typescript_v1sdk,typescript_v2sdk}`.
#[tokio::test]
async fn version_1_is_paid_as_the_sdks_pay_it() {
    let seller = seller(|request| match request.payment() {
        Some(_) => ([("X-PAYMENT-RESPONSE", encode(&receipt()))], "served").into_response(),
        None => ask_v1(&[offer_v1()]),
    })
    .await;
    let paid = fixed().get(seller.url("/joke")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(payment.x402().unwrap().version, Version::V1);
    assert_eq!(payment.x402().unwrap().receipt.transaction(), Some(HASH));
    let seen = seller.seen();
    assert_eq!(seen[1].header("payment-signature"), None);
    let signature = "0x7dac66b80d66e318e97160a76770c9cf9bd31ea90245e7488f13defb730e3fbf1ad6a78234226cdc841d96e2c60523941d37ff0a5f688cd326ddf334c002ecee1b";
    assert_eq!(
        decode(&seen[1].header("x-payment").unwrap()),
        json!({
            "x402Version": 1,
            "scheme": "exact",
            "network": "base-sepolia",
            "payload": {"authorization": authorization("1740671489"), "signature": signature},
        })
    );
}

#[tokio::test]
async fn with_both_versions_in_one_answer_the_header_wins() {
    let seller = seller(|request| match request.payment() {
        Some(_) => served(),
        None => {
            let header = [("PAYMENT-REQUIRED", encode(&required_v2(&[offer_v2()])))];
            let body = required_v1(&[offer_v1()]).to_string();
            (StatusCode::PAYMENT_REQUIRED, header, body).into_response()
        }
    })
    .await;
    let paid = client(&memory()).get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(payment.x402().unwrap().version, Version::V2);
}

#[tokio::test]
async fn a_412_with_offers_is_a_price_and_one_without_is_an_answer() {
    let seller = seller(|request| match (request.payment(), request.path.as_str()) {
        (Some(_), _) => served(),
        (None, "/offers") => {
            let mut response = ask_v2(&[offer_v2()]);
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            response
        }
        (None, _) => StatusCode::PRECONDITION_FAILED.into_response(),
    })
    .await;
    let client = client(&memory());
    let paid = client.get(seller.url("/offers")).send().await.unwrap();
    assert!(paid.payment.is_some());
    let free = client.get(seller.url("/etag")).send().await.unwrap();
    assert!(free.payment.is_none());
    assert_eq!(free.answer.status(), 412);
}

#[tokio::test]
async fn what_is_free_is_not_paid_for() {
    let seller = seller(|_| "free".into_response()).await;
    let store = memory();
    let paid = client(&store).get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.is_none());
    assert_eq!(paid.answer.text().await.unwrap(), "free");
    assert_eq!(store.recent_spends(9).await.unwrap(), []);
}

#[tokio::test]
async fn the_whole_request_is_sent_again_with_the_payment() {
    let seller = honest().await;
    let client = client(&memory());
    let paid = client
        .post(seller.url("/translate?to=de"))
        .header("x-trace".parse().unwrap(), "7".parse().unwrap())
        .json(&json!({"text": "hello"}))
        .send()
        .await
        .unwrap();
    assert!(paid.payment.is_some());
    let seen = seller.seen();
    for request in &seen {
        assert_eq!(request.method, "POST");
        assert_eq!(request.path, "/translate?to=de");
        assert_eq!(request.header("x-trace").as_deref(), Some("7"));
        assert_eq!(request.body, r#"{"text":"hello"}"#);
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_stream_cannot_be_sent_twice_and_is_not_sent_once() {
    let seller = honest().await;
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("x")]);
    let request = client(&memory())
        .post(seller.url("/"))
        .body(reqwest::Body::wrap_stream(chunks));
    let error = request.send().await.unwrap_err();
    assert!(matches!(
        error,
        PayError::Request(RequestFault::BodyNotReplayable)
    ));
    assert_eq!(error.code(), Code::BodyNotReplayable);
    assert_eq!(seller.seen().len(), 0);
}

#[tokio::test]
async fn the_books_say_what_was_paid() {
    let store = memory();
    let seller = honest().await;
    let url = seller.url("/joke?key=s3cret");
    let paid = client(&store).get(url).send().await.unwrap();
    let payment = paid.payment.unwrap();
    let spends = store.recent_spends(9).await.unwrap();
    assert_eq!(spends.len(), 1);
    let record = &spends[0];
    assert_eq!(record.state, SpendState::Paid);
    assert_eq!(record.transaction.as_deref(), Some(HASH));
    let spend = &record.spend;
    assert_eq!((spend.id, spend.amount), (payment.id, payment.amount));
    assert_eq!(
        (&*spend.origin, &*spend.payee),
        (seller.url("").as_str(), PAYEE)
    );
    assert!(spend.resource.starts_with("GET /joke #"));
    assert_eq!(spend.valid_until.as_secs(), NOW + 60);
    let line = format!("payment-signature: {}", seller.payments()[0]);
    assert_eq!(spend.credential, line.into_bytes());
}

#[tokio::test]
async fn an_answer_without_receipt_is_reported_as_such() {
    let seller = seller(|request| match request.payment() {
        Some(_) => "served".into_response(),
        None => ask_v2(&[offer_v2()]),
    })
    .await;
    let paid = client(&memory()).get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(
        (payment.x402().unwrap().receipt.clone(), payment.state),
        (Receipt::Missing, SpendState::Paid)
    );
    assert_eq!(paid.answer.text().await.unwrap(), "served");
}

#[tokio::test]
async fn redirects_on_the_same_origin_are_followed_before_paying() {
    let seller = seller(|request| match (request.path.as_str(), request.payment()) {
        ("/old", _) => (StatusCode::FOUND, [("location", "/new")]).into_response(),
        (_, Some(_)) => served(),
        _ => ask_v2(&[offer_v2()]),
    })
    .await;
    let paid = client(&memory())
        .get(seller.url("/old"))
        .send()
        .await
        .unwrap();
    assert!(paid.payment.is_some());
    let paths: Vec<String> = seller.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/old", "/new", "/new"]);
    let unpaid = builder()
        .store(memory())
        .redirects_max(0)
        .build()
        .unwrap()
        .get(seller.url("/old"))
        .send()
        .await
        .unwrap();
    assert_eq!(unpaid.answer.status(), 302);
}

#[tokio::test]
async fn a_quote_signs_nothing() {
    let seller = honest().await;
    let store = memory();
    let client = client(&store);
    let Quote::Priced(priced) = client.get(seller.url("/joke")).quote().await.unwrap() else {
        panic!("the joke has a price")
    };
    let price = priced.price().unwrap();
    assert_eq!(price.amount.value().to_string(), "10000");
    assert_eq!(
        (price.payee.to_string().as_str(), &*price.asset.symbol),
        (PAYEE, "USDC")
    );
    assert_eq!(
        priced.description.as_deref(),
        Some("Access to premium market data")
    );
    assert_eq!(seller.payments(), [""; 0]);
    assert_eq!(store.recent_spends(9).await.unwrap(), []);
    let free = common::seller(|_| "free".into_response()).await;
    let quote = client.get(free.url("/")).quote().await.unwrap();
    assert!(matches!(quote, Quote::Free { status: 200 }));
}

#[tokio::test]
async fn problem_20_nothing_secret_is_printed() {
    let client = client(&memory());
    let texts = [
        format!("{client:?}"),
        format!("{:?}", builder()),
        format!("{:?}", client.get("http://127.0.0.1/")),
    ];
    for text in texts {
        assert!(!text.contains(&KEY[2..20]), "{text}");
    }
}

#[tokio::test]
async fn other_methods_work_too() {
    let seller = honest().await;
    let client = client(&memory());
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD] {
        let paid = client.request(method.clone(), seller.url("/")).send().await;
        assert!(paid.unwrap().payment.is_some(), "{method}");
    }
}

/// Ask and pay on one connection: the body of a 402 answer that is not read must not cost a new one.
#[tokio::test]
async fn connections_are_used_again() {
    use std::collections::BTreeSet;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use axum::extract::{ConnectInfo, Request};

    let peers: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
    let seen = peers.clone();
    let answer = move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        seen.lock().unwrap().insert(peer);
        let paid = request.headers().contains_key("payment-signature");
        async move {
            if paid {
                served()
            } else {
                ask_v2(&[offer_v2()])
            }
        }
    };
    let app = axum::Router::new().fallback(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = client(&memory());
    for _ in 0..10 {
        let paid = client.get(&url).send().await.unwrap();
        assert_eq!(paid.answer.text().await.unwrap(), "served");
    }
    assert_eq!(peers.lock().unwrap().len(), 1);
}
