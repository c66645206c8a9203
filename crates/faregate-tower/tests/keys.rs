//! Names of purchases: `Idempotency-Key` and the extension `payment-identifier`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;
#[path = "common/jokes.rs"]
mod jokes;

use axum::body::Body;
use axum::response::Response;
use common::{World, ask, credential_v1, credential_v2, get, offer, text};
use faregate_core::{Identifier, SettlePolicy};
use faregate_tower::PaywallLayer;
use faregate_types::x402::{header, v2};
use http::{HeaderValue, Request, StatusCode};
use jokes::Jokes;
use serde_json::{Value, json};
use tower::Layer;

const NAME: &str = "pay_7d5d747be160e280504c099d984bcfe0";

type Shop = faregate_tower::Paywall<Jokes>;

fn shop(world: &World, identifier: Identifier) -> (Shop, Jokes) {
    let jokes = Jokes::new();
    let offer = offer(SettlePolicy::After).with_identifier(identifier);
    let layer = PaywallLayer::new(world.till.clone(), offer).unwrap();
    (layer.layer(jokes.clone()), jokes)
}

/// What a 402 offers in its extensions.
async fn offered(shop: &Shop) -> Option<Value> {
    let unpaid = ask(shop.clone(), get()).await;
    let value = unpaid.headers()[header::PAYMENT_REQUIRED].as_bytes();
    let required = header::decode_payment_required(value).unwrap();
    required.extensions.map(Value::Object)
}

/// A credential with extensions.
async fn with(shop: &Shop, nonce: u64, extensions: Value) -> HeaderValue {
    let plain = credential_v2(&ask(shop.clone(), get()).await, nonce);
    let mut payment: v2::PaymentPayload = header::decode_payment_v2(plain.as_bytes()).unwrap();
    payment.extensions = extensions.as_object().cloned();
    HeaderValue::from_str(&header::encode(&payment)).unwrap()
}

async fn named(shop: &Shop, nonce: u64, id: Value) -> HeaderValue {
    let mut extensions = offered(shop).await.unwrap();
    extensions["payment-identifier"]["info"]["id"] = id;
    with(shop, nonce, extensions).await
}

fn paying(credential: &HeaderValue, target: &str, key: Option<&str>) -> Request<Body> {
    let mut request = Request::get(target).header(header::PAYMENT_SIGNATURE, credential);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(Body::empty()).unwrap()
}

async fn code(answer: Response) -> String {
    let body: Value = serde_json::from_str(&text(answer).await).unwrap();
    body["code"].as_str().unwrap().to_owned()
}

async fn pays(shop: &Shop, request: Request<Body>) -> (StatusCode, String) {
    let answer = ask(shop.clone(), request).await;
    (answer.status(), text(answer).await)
}

#[tokio::test]
async fn the_offer_says_what_it_takes() {
    let world = World::new();
    assert_eq!(offered(&shop(&world, Identifier::Off).0).await, None);
    for (identifier, required) in [(Identifier::Optional, false), (Identifier::Required, true)] {
        let offered = offered(&shop(&world, identifier).0).await.unwrap();
        let extension = &offered["payment-identifier"];
        assert_eq!(extension["info"], json!({ "required": required }));
        assert_eq!(extension["schema"]["properties"]["id"]["minLength"], 16);
    }
}

#[tokio::test]
async fn a_named_purchase_is_bought_once_whatever_it_is_paid_with() {
    let world = World::new();
    let (shop, jokes) = shop(&world, Identifier::Optional);
    let first = named(&shop, 1, json!(NAME)).await;
    assert_eq!(
        pays(&shop, paying(&first, "/joke", None)).await.0,
        StatusCode::OK
    );
    // the same, and the same purchase with a payment that was signed anew, wherever the name stands
    let again = named(&shop, 2, json!(NAME)).await;
    let plain = with(&shop, 3, Value::Null).await;
    for (credential, key) in [(&first, None), (&again, None), (&plain, Some(NAME))] {
        let answer = ask(shop.clone(), paying(credential, "/joke", key)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["x-run"], "1");
    }
    assert_eq!((jokes.runs(), world.settles()), (1, 1));
    // the name stands for that request only
    let other = named(&shop, 4, json!(NAME)).await;
    let answer = ask(shop.clone(), paying(&other, "/joke?lang=en", None)).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(code(answer).await, "idempotency_conflict");
    // and another name is another purchase
    let (status, _) = pays(&shop, paying(&plain, "/joke", Some("another"))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((jokes.runs(), world.settles()), (2, 2));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_before_anything_is_charged() {
    let world = World::new();
    let (shop, jokes) = shop(&world, Identifier::Optional);
    for id in [json!("short"), json!(7), json!("pay abc aaaaaaaaaa")] {
        let credential = named(&shop, 1, id).await;
        let answer = ask(shop.clone(), paying(&credential, "/joke", None)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(code(answer).await, "idempotency_key_invalid");
    }
    let plain = with(&shop, 1, Value::Null).await;
    let longest = "k".repeat(256);
    for key in ["two words", "", &longest] {
        let answer = ask(shop.clone(), paying(&plain, "/joke", Some(key))).await;
        assert_eq!(code(answer).await, "idempotency_key_invalid", "{key}");
    }
    let mut twice = paying(&plain, "/joke", Some("one"));
    twice
        .headers_mut()
        .append("idempotency-key", HeaderValue::from_static("one"));
    assert_eq!(
        code(ask(shop.clone(), twice).await).await,
        "idempotency_key_invalid"
    );
    let credential = named(&shop, 1, json!(NAME)).await;
    let answer = ask(shop.clone(), paying(&credential, "/joke", Some("other"))).await;
    assert_eq!(code(answer).await, "idempotency_key_invalid");
    assert_eq!((jokes.runs(), world.settles()), (0, 0));
}

#[tokio::test]
async fn a_route_may_insist_on_a_name() {
    let world = World::new();
    let (shop, jokes) = shop(&world, Identifier::Required);
    let echoed = offered(&shop).await.unwrap();
    for extensions in [Value::Null, json!({}), echoed] {
        let credential = with(&shop, 1, extensions).await;
        let answer = ask(shop.clone(), paying(&credential, "/joke", None)).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(code(answer).await, "payment_identifier_required");
    }
    assert_eq!(jokes.runs(), 0);
    let credential = named(&shop, 1, json!(NAME)).await;
    assert_eq!(
        pays(&shop, paying(&credential, "/joke", None)).await.0,
        StatusCode::OK
    );
    // The first version of the protocol has no extensions; its clients say it in the header.
    let request = Request::get("/joke")
        .header(header::X_PAYMENT, credential_v1(2))
        .header("idempotency-key", "order-17");
    let (status, _) = pays(&shop, request.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn an_echo_that_changes_the_offer_does_not_pay() {
    let world = World::new();
    let (shop, _) = shop(&world, Identifier::Required);
    let echo = json!({ "payment-identifier": { "info": { "required": false, "id": NAME } } });
    let credential = with(&shop, 1, echo).await;
    let answer = ask(shop.clone(), paying(&credential, "/joke", None)).await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    let value = answer.headers()[header::PAYMENT_REQUIRED].as_bytes();
    let required = header::decode_payment_required(value).unwrap();
    assert_eq!(required.error.as_deref(), Some("extension_echo_mismatch"));
    // Where nothing is offered, nothing is looked at, not even a name that is none.
    let (open, _) = self::shop(&world, Identifier::Off);
    let ignored = json!({ "payment-identifier": { "info": { "id": "x" } } });
    let credential = with(&open, 2, ignored).await;
    assert_eq!(
        pays(&open, paying(&credential, "/joke", None)).await.0,
        StatusCode::OK
    );
}
