//! Buying with permits from sellers of every generation.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use common::permit::{ENDPOINT, PRICE, Release, SEPOLIA_USDC, Shop, ask, body, posts};
use common::{
    PAYEE, PAYER, Seller, builder, client, encode, memory, offer_v1, offer_v2, required_v1,
    required_v2, seller, served,
};
use faregate_client::{Choice, Ends, Prefer, Quote, SpendState};
use faregate_types::U256;
use faregate_types::permit::PermitKind;

const LATER: [Release; 2] = [Release::Third, Release::Ours];

#[tokio::test]
async fn a_permit_buys_a_token_and_the_token_the_answer() {
    for release in LATER {
        for ends in [Ends::WhenAnswered, Ends::WhenAcknowledged] {
            let shop = Shop::new(release);
            let seller = shop.open().await;
            let store = memory();
            let client = builder().ends(ends).store(store.clone()).build().unwrap();
            let paid = client.get(seller.url("/joke?x=1")).send().await.unwrap();
            let payment = paid.payment.unwrap();
            assert_eq!(paid.answer.text().await.unwrap(), "served");
            let permit = payment.permit().unwrap();
            assert_eq!((permit.kind, &*payment.payee), (PermitKind::Erc3009, PAYEE));
            assert_eq!(permit.payer.to_string(), PAYER);
            assert_eq!(
                (payment.amount.value(), payment.state),
                (U256::from(PRICE), SpendState::Paid)
            );
            client.acknowledge(&payment).await;
            let spends = store.recent_spends(9).await.unwrap();
            assert_eq!((spends.len(), spends[0].state), (1, SpendState::Paid));
            assert!(store.open_spends(9).await.unwrap().is_empty());
            // The token is shown again, by this client and by the next.
            assert!(
                client
                    .get(seller.url("/joke?x=2"))
                    .send()
                    .await
                    .unwrap()
                    .payment
                    .is_none()
            );
            let next = builder().store(store.clone()).build().unwrap();
            assert!(
                next.get(seller.url("/joke"))
                    .send()
                    .await
                    .unwrap()
                    .payment
                    .is_none()
            );
            // Not at another path, nor with another method: who knows what it is good for.
            assert!(
                next.get(seller.url("/other"))
                    .send()
                    .await
                    .unwrap()
                    .payment
                    .is_some()
            );
            assert!(
                next.post(seller.url("/joke"))
                    .send()
                    .await
                    .unwrap()
                    .payment
                    .is_some()
            );
            assert_eq!((shop.taken(), posts(&seller).len()), (3, 3), "{release:?}");
        }
    }
}

#[tokio::test]
async fn what_is_posted_is_the_permit_and_nothing_of_the_request() {
    let shop = Shop::new(Release::Ours);
    let seller = shop.open().await;
    let request = client(&memory()).post(seller.url("/joke"));
    let request = request
        .header(
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer mine"),
        )
        .header(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/x-mine"),
        )
        .header(header::COOKIE, HeaderValue::from_static("mine=1"))
        .body("my body");
    let paid = request.send().await.unwrap();
    assert_eq!(paid.answer.status(), 200);
    let post = &posts(&seller)[0];
    assert_eq!(post.header("content-type").unwrap(), "application/json");
    assert_eq!(
        (post.header("cookie"), post.header("authorization")),
        (None, None)
    );
    assert!(!String::from_utf8_lossy(&post.body).contains("my body"));
    // The first request is the caller's, and so is the last but for the token in place of its own credential.
    let [first, _, last] = &seller.seen()[..] else {
        panic!()
    };
    assert_eq!(first.header("authorization").unwrap(), "Bearer mine");
    assert_eq!(last.headers.get_all("authorization").iter().count(), 1);
    assert_ne!(last.header("authorization"), first.header("authorization"));
    assert_eq!(
        (&last.body, last.header("content-type")),
        (&first.body, first.header("content-type"))
    );
}

/// A seller that takes one cent over x402 and with a permit.
async fn both(shop: &Shop, version: u8) -> Seller {
    let shop = shop.clone();
    seller(move |seen| {
        if seen.path == ENDPOINT || shop.opens(seen) {
            return shop.answer(seen);
        }
        if seen.payment().is_some() {
            return served();
        }
        let mut body = body(ENDPOINT, &[shop.release.component()]);
        if version == 1 {
            let offers = required_v1(&[offer_v1()]);
            body.as_object_mut()
                .unwrap()
                .extend(offers.as_object().unwrap().clone());
            return ask(&body);
        }
        let offers = [("payment-required", encode(&required_v2(&[offer_v2()])))];
        (StatusCode::PAYMENT_REQUIRED, offers, Json(body)).into_response()
    })
    .await
}

#[tokio::test]
async fn the_order_of_rails_is_the_payers() {
    for version in [1, 2] {
        for (rails, permit) in [
            (&[][..], false),
            (&[Prefer::X402], false),
            (&[Prefer::L402], false),
            (&[Prefer::Permit], true),
            (&[Prefer::L402, Prefer::Permit], true),
        ] {
            let shop = Shop::new(Release::Ours);
            let seller = both(&shop, version).await;
            let client = builder().rails(rails.iter().copied()).store(memory());
            let client = client.build().unwrap();
            let Quote::Priced(quote) = client.get(seller.url("/")).quote().await.unwrap() else {
                panic!()
            };
            let choice = if permit {
                Choice::Permit(0)
            } else {
                Choice::Offer(0)
            };
            assert_eq!(*quote.verdict.as_ref().unwrap(), choice);
            assert_eq!(quote.price().unwrap().amount.value(), U256::from(PRICE));
            let paid = client.get(seller.url("/")).send().await.unwrap();
            assert_eq!(
                paid.payment.unwrap().permit().is_some(),
                permit,
                "v{version} {rails:?}"
            );
            assert_eq!(shop.taken(), usize::from(permit));
        }
    }
}

/// An x402 offer that cannot be taken leaves the permit.
#[tokio::test]
async fn another_rail_is_taken_when_the_first_cannot_be() {
    let shop = Shop::new(Release::Ours);
    let seller = seller({
        let shop = shop.clone();
        move |seen| match shop.answer(seen) {
            answer if answer.status() == 402 => {
                let mut dear = offer_v2();
                dear["amount"] = "100001".into();
                let offers = [("payment-required", encode(&required_v2(&[dear])))];
                (offers, answer).into_response()
            }
            answer => answer,
        }
    })
    .await;
    let paid = client(&memory()).get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.unwrap().permit().is_some());
}

/// The words in a signature are 64 digits each: servers settle with what they are sent.
#[tokio::test]
async fn signatures_have_all_their_digits() {
    let shop = Shop::new(Release::Third);
    let seller = shop.open().await;
    let client = client(&memory());
    for number in 0..40 {
        client
            .get(seller.url(&format!("/{number}")))
            .send()
            .await
            .unwrap();
    }
    for post in posts(&seller) {
        let json: serde_json::Value = serde_json::from_slice(&post.body).unwrap();
        let signature = &json["permit"]["signature"];
        for part in ["r", "s"] {
            assert_eq!(signature[part].as_str().unwrap().len(), 66);
        }
        assert_eq!(json["permit"]["token"], SEPOLIA_USDC);
    }
}
