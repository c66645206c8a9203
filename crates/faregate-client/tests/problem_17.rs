//! Problem 17 of the x402 wire facts §8: a malicious server against the client. One test for each of its tricks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::slice::from_ref;
use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use common::{Seller, ask_v2, builder, caps, cents, honest, memory, offer_v2, seller, served};
use faregate_client::{Caps, Client, Kind, Period, SpendState, WalletStore, limits};
use faregate_types::Code;
use serde_json::{Value, json};

async fn asking(offer: Value) -> Seller {
    seller(move |request| match request.payment() {
        Some(_) => served(),
        None => ask_v2(from_ref(&offer)),
    })
    .await
}

fn offer(member: &str, value: Value) -> Value {
    let mut offer = offer_v2();
    offer[member] = value;
    offer
}

fn client(store: &Arc<dyn WalletStore>, caps: Caps) -> Client {
    let builder = builder().store(Arc::clone(store)).caps(caps);
    builder.build().unwrap()
}

/// Nothing is signed, and the reason is `code`.
async fn nothing_signed(offer: Value, code: Code) {
    let seller = asking(offer.clone()).await;
    let store = memory();
    let error = client(&store, caps()).get(seller.url("/")).send().await;
    assert_eq!(error.unwrap_err().code(), code, "{offer}");
    assert_eq!(seller.payments(), [""; 0], "{offer}");
    assert_eq!(store.recent_spends(9).await.unwrap(), [], "{offer}");
}

#[tokio::test]
async fn problem_17_over_price() {
    nothing_signed(offer("amount", json!("100001")), Code::OverPaymentCap).await;
    nothing_signed(offer("amount", json!("9".repeat(78))), Code::MalformedOffer).await;
}

/// Fifty dollars that look like dust to whoever believes the server's decimals.
#[tokio::test]
async fn problem_17_wrong_decimals() {
    for decimals in [json!(18), json!("18"), json!(255)] {
        let mut dear = offer("amount", json!("50000000"));
        dear["decimals"] = decimals.clone();
        dear["extra"]["decimals"] = decimals;
        nothing_signed(dear, Code::OverPaymentCap).await;
    }
    // And one cent stays one cent, whatever it is called.
    let mut cheap = offer_v2();
    cheap["extra"]["decimals"] = json!(0);
    let seller = asking(cheap).await;
    let paid = client(&memory(), caps()).get(seller.url("/")).send().await;
    assert_eq!(paid.unwrap().payment.unwrap().worth, cents(1));
}

#[tokio::test]
async fn problem_17_unknown_asset() {
    let asset = json!("0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
    nothing_signed(offer("asset", asset), Code::AssetUnknown).await;
    // A known address, on a network where it is another contract.
    nothing_signed(
        offer("network", json!("eip155:11155111")),
        Code::AssetUnknown,
    )
    .await;
}

/// The name and version of another token's domain: a signature over it would be good for that token.
#[tokio::test]
async fn problem_17_domain_of_another_asset() {
    for extra in [
        json!({"name": "USD Coin", "version": "2"}),
        json!({"name": "Dai Stablecoin", "version": "1"}),
        json!({"name": "USDC ", "version": "2"}),
        json!({"name": "USDC", "version": 2}),
        json!({"name": "USDC"}),
    ] {
        nothing_signed(offer("extra", extra), Code::DomainMismatch).await;
    }
    nothing_signed(offer("extra", json!({})), Code::MissingEip712Domain).await;
}

#[tokio::test]
async fn problem_17_huge_validity() {
    let longest = limits::VALIDITY_SECS_MAX;
    for secs in [longest + 1, 86_400 * 365, u64::from(u32::MAX)] {
        nothing_signed(
            offer("maxTimeoutSeconds", json!(secs)),
            Code::ValidityTooLong,
        )
        .await;
    }
    let seller = asking(offer("maxTimeoutSeconds", json!(longest))).await;
    let paid = client(&memory(), caps()).get(seller.url("/")).send().await;
    let valid_until = paid.unwrap().payment.unwrap().valid_until;
    assert_eq!(valid_until.as_secs(), common::NOW + longest);
}

/// Per payment, per host and per window, at the unit, and counted when signed.
#[tokio::test]
async fn problem_17_caps() {
    let secs = 3600;
    let table = [
        (
            Caps {
                per_payment: cents(1),
                ..caps()
            },
            9,
            Code::OverPaymentCap,
        ),
        (
            Caps {
                total: None,
                per_host: Some(cents(3)),
                ..caps()
            },
            3,
            Code::OverHostCap,
        ),
        (
            Caps {
                per_period: Some(Period {
                    secs,
                    cap: cents(2),
                }),
                ..caps()
            },
            2,
            Code::OverPeriodCap,
        ),
    ];
    for (caps, allowed, code) in table {
        let seller = honest().await;
        let store = memory();
        let client = client(&store, caps);
        for _ in 0..allowed {
            assert!(client.get(seller.url("/")).send().await.is_ok(), "{code:?}");
        }
        let refused = if code == Code::OverPaymentCap {
            let dear = asking(offer("amount", json!("10001"))).await;
            client.get(dear.url("/")).send().await
        } else {
            client.get(seller.url("/")).send().await
        };
        assert_eq!(refused.unwrap_err().code(), code);
        assert_eq!(store.recent_spends(99).await.unwrap().len(), allowed);
    }
}

#[tokio::test]
async fn problem_17_only_named_hosts() {
    let (named, other) = (honest().await, honest().await);
    let only = [named.url("/").parse().unwrap()];
    let client = builder().store(memory()).only_origins(only).unwrap();
    let client = client.build().unwrap();
    assert!(client.get(named.url("/")).send().await.is_ok());
    let error = client.get(other.url("/")).send().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::OverBudget, Code::HostNotAllowed)
    );
    assert_eq!(other.payments(), [""; 0]);
}

/// Another port, another name for the same machine, another scheme: wherever a redirect leads, before the payment or after
/// it, the payment does not go there.
#[tokio::test]
async fn problem_17_payments_never_cross_origins() {
    let other = honest().await;
    let port = other.address.port();
    let targets = [
        other.url("/joke"),
        format!("http://localhost:{port}/joke"),
        format!("//127.0.0.1:{port}/joke"),
        format!("http://user:word@127.0.0.1:{port}/joke"),
    ];
    for target in targets {
        for status in [301, 302, 303, 307, 308] {
            let status = StatusCode::from_u16(status).unwrap();
            let location = target.clone();
            let seller = seller(move |request| {
                let redirect = (status, [(header::LOCATION, location.clone())]).into_response();
                match (request.payment(), request.path.as_str()) {
                    (None, "/after") => ask_v2(&[offer_v2()]),
                    _ => redirect,
                }
            })
            .await;
            let store = memory();
            let client = client(&store, caps());
            let before = client.get(seller.url("/before")).send().await.unwrap();
            assert!(before.payment.is_none() && before.answer.status() == status);
            let after = client.get(seller.url("/after")).send().await.unwrap();
            assert_eq!(after.answer.status(), status, "{target}");
            assert_eq!(after.payment.unwrap().state, SpendState::Open);
        }
    }
    assert_eq!(other.seen().len(), 0);
}
