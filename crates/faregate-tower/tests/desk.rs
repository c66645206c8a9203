//! The token endpoint over HTTP, over a collector that does as it is told: the table at the top of `desk.rs`, line by line.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    dead_code,
    reason = "tests may"
)]

#[path = "../../faregate-core/tests/support/collector.rs"]
mod collector;
mod common;
#[path = "desk/late.rs"]
mod late;
#[path = "desk/shop.rs"]
mod shop;
#[path = "../../faregate-core/tests/support/mod.rs"]
mod support;
#[path = "desk/told.rs"]
mod told;
#[path = "../../faregate-core/tests/support/wallet.rs"]
mod wallet;
#[path = "common/desk_world.rs"]
mod world;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use faregate_ledger::{AccountId, Claim, LedgerStore, RevokedName, Transfer};
use faregate_tower::Cors;
use faregate_types::permit::{Permit, Terms};
use faregate_types::{Amount, Fingerprint, PaymentId, RailName, Timestamp, U256};
use futures_util::stream;
use http::{HeaderValue, Method, Request};
use serde_json::json;

use collector::*;
use world::*;

#[tokio::test]
async fn a_permit_that_pays_gets_its_token_in_the_products_shape() {
    let world = World::new().await;
    let sold = world.buy("/joke", &permit(0)).await;
    assert_eq!(sold.header("content-type"), "application/json");
    assert_eq!(sold.header("cache-control"), "no-store");
    assert_eq!(sold.header("access-control-allow-origin"), "*");
    let start = format!(
        "{{\"access_token\":\"{}\",\"token_type\":\"Bearer\",\"expires_in\":3600,\"metadata\":{{",
        sold.token()
    );
    assert!(sold.text.starts_with(&start), "{}", sold.text);
    let about = &sold.json()["metadata"];
    let id = permit(0).payment_id().to_string();
    assert_eq!(about["payment_id"], *id);
    assert_eq!(about["state"], "reserved");
    assert_eq!(about["is_final"], false);
    assert_eq!(about["amount"], "1000");
    assert_eq!(about["tx_hash"], serde_json::Value::Null);
    assert_eq!(
        about["Token Instruction"],
        "Use this token to access the protected resource in the Authorization header as a Bearer token."
    );
    let opened = world.open("/joke", &sold.token()).await;
    assert_eq!((opened.status, &*opened.text), (200, "knock, knock"));
    world.purchases.ended().await;
    // Once the money has moved, the answer says by which transaction.
    world.pass_secs(7);
    let again = world.buy("/joke", &permit(0)).await;
    assert_eq!(again.token(), sold.token());
    assert_eq!(again.json()["expires_in"], 3_593);
    assert_eq!(again.json()["metadata"]["state"], "settled");
    assert_eq!(again.json()["metadata"]["tx_hash"], TRANSACTION);
    assert_eq!(world.script.settles(), 1);
}

#[tokio::test]
async fn a_receipt_says_what_became_of_the_payment() {
    let world = World::new().await;
    let sold = world.buy("/song", &worth(0, 2 * PRICE)).await;
    let url = sold.json()["metadata"]["status_url"]
        .as_str()
        .unwrap()
        .to_owned();
    let receipt = world.get(&url).await;
    assert_eq!(receipt.status, 200);
    assert_eq!(receipt.json()["state"], "settled");
    assert_eq!(receipt.json()["tx_hash"], TRANSACTION);
    assert_eq!(receipt.json()["access_token"], serde_json::Value::Null);
    assert!(!receipt.text.contains(&sold.token()));
    world
        .script
        .then(End::Failed(faregate_types::Code::TransactionFailed));
    let failed = world.buy("/song", &worth(1, 2 * PRICE)).await;
    assert_eq!(failed.status, 400, "{}", failed.text);
    let url = format!("/token/receipts/{}", worth(1, 2 * PRICE).payment_id());
    let receipt = world.get(&url).await;
    assert_eq!(receipt.json()["state"], "failed");
    assert_eq!(receipt.json()["error"], "transaction_failed");
}

#[tokio::test]
async fn receipts_are_of_this_rail_only_and_of_known_payments() {
    let world = World::new().await;
    let x402 = PaymentId::from_bytes([5; 32]);
    let claim = Claim {
        id: x402,
        rail: RailName::X402,
        fingerprint: Fingerprint::of(&[]),
        transfer: Transfer {
            debit: AccountId::payer(OWNER),
            credit: AccountId::payee(TREASURY),
            amount: Amount::new(U256::from(1), usdc().id),
        },
        route: "joke".into(),
        evidence: Vec::new(),
        at: Timestamp::from_secs(NOW),
        exposure_max: None,
        funds: None,
        idempotency: None,
    };
    world.memory.claim(claim).await.unwrap();
    for id in [
        x402.to_string(),
        PaymentId::from_bytes([6; 32]).to_string(),
        "0x12".to_owned(),
        String::new(),
        "%00/..".to_owned(),
        "x".repeat(4_000),
    ] {
        let answer = world.get(&format!("/token/receipts/{id}")).await;
        assert_eq!(
            (answer.status, &*answer.text),
            (404, "{\"detail\":\"Not Found\"}"),
            "{id}"
        );
    }
    let posted = world.post(&format!("/token/receipts/{x402}"), "{}").await;
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
    *world.memory.away.lock().unwrap() = true;
    assert_eq!(
        world.get(&format!("/token/receipts/{x402}")).await.status,
        503
    );
}

/// Permits that pay for nothing here, and what is said to them.
fn worthless() -> Vec<(Permit, String)> {
    let mut spender = permit(0);
    if let Terms::Eip2612 { permit, .. } = &mut spender.terms {
        permit.spender = TREASURY;
    }
    let mut token = permit(0);
    if let Terms::Eip2612 { token, .. } = &mut token.terms {
        *token = TREASURY;
    }
    let mut late = permit(0);
    if let Terms::Eip2612 { permit, .. } = &mut late.terms {
        permit.deadline = U256::from(NOW - 1);
    }
    let mut chain = permit(0);
    chain.chain = faregate_types::ChainId::BASE;
    vec![
        (
            worth(0, PRICE - 1),
            verification(
                "Permit authorized amount is less than required payment\nDetails: {\n  \"permit_value\": 999,\n  \"required_value\": 1000",
            ),
        ),
        (
            spender,
            verification(&format!(
                "Spender address does not match server address\nDetails: {{\n  \"expected_spender\": \"{WALLET}\",\n  \"provided_spender\": \"{TREASURY}\""
            )),
        ),
        (
            late,
            verification(&format!(
                "Permit has expired\nDetails: {{\n  \"deadline\": {},\n  \"current_time\": {NOW}",
                NOW - 1
            )),
        ),
        (
            signed(permit(0), Signed::Forged),
            verification(&format!(
                "Recovered signer does not match permit owner\nDetails: {{\n  \"recovered_signer\": \"none\",\n  \"permit_owner\": \"{OWNER}\""
            )),
        ),
        (
            token,
            format!(
                "Signature verification failed: Payment component not registered for token: {TREASURY}"
            ),
        ),
        (
            chain,
            format!(
                "Signature verification failed: Payment component not registered for token: {} on chain eip155:8453",
                usdc().id.token()
            ),
        ),
    ]
}

fn verification(text: &str) -> String {
    format!("Verification failed: {text}\n}}")
}

#[tokio::test]
async fn what_does_not_pay_is_refused_in_the_products_words() {
    let world = World::new().await;
    for (permit, text) in worthless() {
        let answer = world.buy("/joke", &permit).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.json(), json!({ "error": text }));
        // The plain endpoint says the same of one that would pay for nothing.
        if permit.terms.value() == U256::from(PRICE) {
            let plain = world.post("/token", written(&permit)).await;
            assert_eq!(plain.json(), json!({ "error": text }));
        }
    }
    world.script.holds(PRICE - 1);
    let answer = world.buy("/joke", &permit(0)).await;
    let text = verification(
        "Owner does not have sufficient token balance\nDetails: {\n  \"owner_balance\": 999,\n  \"required_value\": 1000",
    );
    assert_eq!(answer.json(), json!({ "error": text }));
    assert!(world.memory.rows.lock().unwrap().is_empty());
    assert_eq!(world.script.settles(), 0);
}

#[tokio::test]
async fn what_is_no_token_request_is_refused_and_nobody_is_asked() {
    let world = World::new().await;
    let whole = written(&permit(0));
    let long = format!("{}{whole}", " ".repeat(16 * 1024));
    let other = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replace(from, to)
    };
    for (body, start) in [
        (String::new(), "Invalid token request: "),
        ("{".to_owned(), "Invalid token request: "),
        ("[1]".to_owned(), "Invalid token request: "),
        (
            other("Version 0.1", "Version 0.2"),
            "Invalid token request: version",
        ),
        (
            other("\"v\":27", "\"v\":0"),
            "Invalid token request: permit.signature.v",
        ),
        (
            other("\"permit_type\":\"EIP2612\"", "\"permit_type\":\"SVM\""),
            "Invalid token request: permit.permit_type",
        ),
        (
            other("\"value\":1000", "\"value\":-1"),
            "Invalid token request: permit.value",
        ),
        (
            other("\"chain_id\":84532", "\"chain_id\":0"),
            "Invalid token request: permit.chain_id",
        ),
        (
            long,
            "Invalid token request: request: expected at most 16 KiB",
        ),
    ] {
        for to in ["/token", &world.endpoint("/joke").await] {
            let answer = world.post(to, body.clone()).await;
            assert_eq!(answer.status, 400);
            assert!(
                answer.error().starts_with(start),
                "{} for {body:.80}",
                answer.text
            );
        }
    }
    // The same when it comes in pieces and nobody knows how many.
    let pieces = (0..40).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1_000])));
    let answer = world
        .post("/token", Body::from_stream(stream::iter(pieces)))
        .await;
    assert_eq!(
        answer.error(),
        "Invalid token request: request: expected at most 16 KiB"
    );
    let broken = stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("gone"))]);
    let answer = world.post("/token", Body::from_stream(broken)).await;
    assert_eq!(answer.error(), "Invalid token request: the body broke off");
    assert_eq!(world.script.verifies(), 0);
}

#[tokio::test]
async fn a_quote_that_nobody_gave_is_refused() {
    let world = World::new().await;
    let answer = world
        .post("/token/q_AAAAAAAAAAAAAAAAAAAAAA", written(&permit(0)))
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.error(),
        "Verification failed: this quote is not known here; ask for the resource again"
    );
    for path in [
        "/tokens",
        "/token/",
        "/token/x",
        "/token/receipts",
        "/token/q_a/b",
        "/Token",
        "/",
    ] {
        assert!(!world.desk.is_at(path), "{path}");
    }
    for path in ["/token", "/token/q_x", "/token/receipts/"] {
        assert!(world.desk.is_at(path), "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_told_so_and_pages_of_others_may_ask() {
    let world = World::new().await;
    let endpoint = world.endpoint("/joke").await;
    for path in ["/token", &*endpoint] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let request = Request::builder().method(method.clone()).uri(path);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "POST"),
                "{method}"
            );
            assert_eq!(answer.text, "{\"detail\":\"Method Not Allowed\"}");
        }
    }
    let page = "https://page.example";
    let listed = Cors::Origins([HeaderValue::from_static(page)].into());
    for (cors, allowed) in [
        (Cors::Any, Some("*")),
        (listed, Some(page)),
        (Cors::Off, None),
    ] {
        let world = World::with(cors).await;
        let preflight = Request::options("/token").header("origin", page);
        let preflight = world.send(preflight.body(Body::empty()).unwrap()).await;
        assert_eq!(preflight.status, 204);
        let answer = world.post("/token", written(&permit(0))).await;
        assert_eq!(answer.status, 200);
        for heard in [preflight, answer] {
            let origin = heard.headers.get("access-control-allow-origin");
            assert_eq!(origin.map(|origin| origin.to_str().unwrap()), allowed);
        }
    }
}

#[tokio::test]
async fn without_a_quote_the_dearest_that_is_covered_is_bought() {
    let world = World::new().await;
    let token = world
        .post("/token", written(&worth(0, 2 * PRICE)))
        .await
        .token();
    for (path, status) in [
        ("/joke", 200),
        ("/pun", 200),
        ("/song", 200),
        ("/poem", 402),
    ] {
        let answer = world.open(path, &token).await;
        assert_eq!(answer.status, status, "{path}");
        if status == 402 {
            assert_eq!(
                answer.json()["reason"],
                "Token is not valid for this resource"
            );
        }
    }
    // `/song` is only sold when the money has moved, and so was this token.
    assert_eq!(world.script.settles(), 1);
    let low = world.post("/token", written(&worth(1, HALF - 1))).await;
    assert!(
        low.error().contains("\"required_value\": 500"),
        "{}",
        low.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_posts_of_one_permit_at_once_buy_one_token() {
    let world = Arc::new(World::new().await);
    let endpoint = world.endpoint("/song").await;
    let body = written(&worth(0, 2 * PRICE));
    let posts = (0..20).map(|_| {
        let (world, endpoint, body) = (Arc::clone(&world), endpoint.clone(), body.clone());
        tokio::spawn(async move { world.post(&endpoint, body).await })
    });
    let mut texts = std::collections::BTreeSet::new();
    for post in posts.collect::<Vec<_>>() {
        texts.insert(post.await.unwrap().token());
    }
    assert_eq!(texts.len(), 1);
    assert_eq!(world.script.settles(), 1);
    let rows = world.memory.rows.lock().unwrap();
    assert_eq!(rows.len(), 1);
}

/// The product's text for a nonce that is used, from the moment on when the token was used and paid.
#[tokio::test]
async fn a_permit_whose_token_was_used_and_paid_is_a_replay() {
    let world = World::new().await;
    let replay = "Verification failed: Permit nonce does not match on-chain nonce\nDetails: {\n  \"permit_nonce\": 0,\n  \
                  \"nonce_state\": \"taken by another permit\"\n}";
    let token = world.buy("/joke", &permit(0)).await.token();
    world.purchases.ended().await;
    // Not used yet: the answer may have been lost.
    world.pass_secs(60);
    assert_eq!(world.buy("/joke", &permit(0)).await.token(), token);
    assert_eq!(world.open("/joke", &token).await.status, 200);
    let answer = world.buy("/joke", &permit(0)).await;
    assert_eq!((answer.status, &*answer.error()), (400, replay));
    let other = world.buy("/joke", &until(permit(0), 5)).await;
    assert_eq!((other.status, &*other.error()), (400, replay));
    // The token itself works on.
    assert_eq!(world.open("/joke", &token).await.status, 200);
    // Copies that were sent at once arrive when they arrive.
    let quick = world.buy("/joke", &permit(1)).await.token();
    world.purchases.ended().await;
    assert_eq!(world.open("/joke", &quick).await.status, 200);
    world.pass_secs(10);
    assert_eq!(world.buy("/joke", &permit(1)).await.token(), quick);
    world.pass_secs(1);
    assert_eq!(world.buy("/joke", &permit(1)).await.status, 400);
    // A token that has expired is given to nobody, used or not.
    world.buy("/joke", &permit(2)).await.token();
    world.purchases.ended().await;
    world.pass_secs(TOKEN_SECS);
    world.buy("/joke", &permit(2)).await.token();
    world.pass_secs(1);
    let late = world.buy("/joke", &permit(2)).await;
    assert_eq!(late.status, 400);
    assert!(
        late.error().contains("\"permit_nonce\": 2"),
        "{}",
        late.text
    );
}

#[tokio::test]
async fn a_revoked_payment_gets_no_token_again() {
    let world = World::new().await;
    let token = world.buy("/joke", &permit(0)).await.token();
    world.purchases.ended().await;
    let name = RevokedName::from_bytes(*permit(0).payment_id().as_bytes());
    world
        .revocations
        .revoke(name, Timestamp::from_secs(NOW))
        .await
        .unwrap();
    let shown = world.open("/joke", &token).await;
    assert_eq!(
        (shown.status, &shown.json()["reason"]),
        (402, &json!("Token has been revoked"))
    );
    let again = world.buy("/joke", &permit(0)).await;
    assert_eq!(
        (again.status, &*again.error()),
        (400, "Verification failed: Token has been revoked")
    );
}
