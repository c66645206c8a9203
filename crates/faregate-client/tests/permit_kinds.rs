//! Which kind of permit is signed, for which release of the product's servers, and with what one has to know.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::time::Duration;

use axum::response::IntoResponse as _;
use common::permit::{
    PRICE, RELEASES, Release, SEPOLIA, Shop, WALLET, ask, body, node, node_of, posts,
};
use common::{PAYEE, Seller, builder, caps, cents, memory, seller};
use faregate_client::{Caps, ClientBuilder, Doubt, Kind, PayError, PermitKind, SpendState};
use faregate_types::{ChainId, Code, U256};
use serde_json::json;

fn with_node(node: &Seller) -> ClientBuilder {
    builder().node(ChainId::evm(SEPOLIA), node.url("/").parse().unwrap())
}

/// Which kind each release gets, with and without a node, and whom it names.
#[tokio::test]
async fn each_release_gets_the_likeliest_kind_that_can_be_signed() {
    for release in RELEASES {
        for has_node in [false, true] {
            let shop = Shop::new(release);
            let seller = shop.open().await;
            let node = node(&shop, 0).await;
            let client = if has_node {
                with_node(&node)
            } else {
                builder()
            };
            let client = client.resends(0).store(memory()).build().unwrap();
            let answer = client.get(seller.url("/")).send().await;
            let (kind, payee, good) = match (release, has_node) {
                (Release::First, true) => (PermitKind::Eip2612, WALLET, true),
                (Release::First, false) => (PermitKind::Erc3009, WALLET, false),
                (Release::Second, true) => (PermitKind::Eip2612, WALLET, false),
                (Release::Second, false) => (PermitKind::Erc3009, WALLET, true),
                (Release::Third | Release::Ours, _) => (PermitKind::Erc3009, PAYEE, true),
            };
            let [permit] = shop.posted()[..] else {
                panic!("one and no more")
            };
            assert_eq!(
                (permit.terms.kind(), permit.terms.value()),
                (kind, U256::from(PRICE))
            );
            assert_eq!(permit.terms.payee().to_string(), payee, "{release:?}");
            match answer {
                Ok(paid) => assert!(good && paid.payment.unwrap().permit().unwrap().kind == kind),
                Err(PayError::Undecided(undecided)) => {
                    assert!(!good && undecided.why == Doubt::Permit(kind), "{release:?}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn without_a_node_no_allowance_is_signed() {
    let shop = Shop::new(Release::First);
    let seller = shop.open().await;
    let client = builder().permit_kind(PermitKind::Eip2612).store(memory());
    let error = client
        .build()
        .unwrap()
        .get(seller.url("/"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (Code::UnsupportedScheme, Kind::NoOffer)
    );
    assert!(error.to_string().contains("node"), "{error}");
    assert!(posts(&seller).is_empty());
}

/// A server that breaks down may have kept the first permit: the second is signed when the payer names its kind, and when both
/// together are within the cap for one payment.
#[tokio::test]
async fn another_kind_is_signed_only_when_the_payer_says_so() {
    for (cap, is_bought) in [(2, true), (1, false)] {
        let shop = Shop::new(Release::Second);
        let seller = shop.open().await;
        let node = node(&shop, 0).await;
        let store = memory();
        let capped = || {
            let caps = Caps {
                per_payment: cents(cap),
                ..caps()
            };
            with_node(&node).caps(caps).resends(1).store(store.clone())
        };
        let client = capped().build().unwrap();
        for _ in 0..2 {
            let error = client.get(seller.url("/")).send().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Undecided);
            assert!(error.to_string().contains("EIP2612"), "{error}");
        }
        assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
        let posted = posts(&seller);
        assert_eq!(posted.len(), 4);
        assert!(posted.iter().all(|post| post.body == posted[0].body));

        let client = capped().permit_kind(PermitKind::Erc3009).build().unwrap();
        let answer = client.get(seller.url("/")).send().await;
        assert_eq!(shop.taken(), usize::from(is_bought));
        let spends = store.recent_spends(9).await.unwrap();
        assert_eq!(spends.len(), if is_bought { 2 } else { 1 }, "both count");
        assert_eq!(
            store.open_spends(9).await.unwrap().len(),
            1,
            "the first is still open"
        );
        match answer {
            Ok(paid) => assert_eq!(paid.payment.unwrap().state, SpendState::Paid),
            Err(error) => assert_eq!(error.code(), Code::OverPaymentCap),
        }
    }
}

/// The contract takes one permit after the other, so the second waits until the first is collected.
#[tokio::test]
async fn allowances_wait_for_each_other() {
    let shop = Shop::new(Release::First);
    let seller = shop.open().await;
    let node = node(&shop, 0).await;
    let store = memory();
    let client = |secs| {
        let client = with_node(&node).wait(Duration::from_secs(secs));
        client.store(store.clone()).build().unwrap()
    };
    client(0).get(seller.url("/1")).send().await.unwrap();
    let error = client(0).get(seller.url("/2")).send().await.unwrap_err();
    assert!(matches!(error, PayError::PermitWaits(_)), "{error}");
    assert_eq!((error.code(), shop.taken()), (Code::PaymentInFlight, 1));
    let till = shop.till.clone();
    let collected = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        till.lock().unwrap().next_nonce = U256::from(1);
    });
    let paid = client(60).get(seller.url("/2")).send().await.unwrap();
    collected.await.unwrap();
    assert_eq!((paid.answer.status().as_u16(), shop.taken()), (200, 2));
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 2);
}

/// A permit that came to nothing does not block its nonce for ever.
#[tokio::test]
async fn a_nonce_is_signed_again_after_a_permit_that_was_refused() {
    let shop = Shop::new(Release::First);
    let late = Shop {
        now: common::NOW + 5_000,
        ..shop.clone()
    };
    let refusing = late.open().await;
    let seller = shop.open().await;
    let node = node(&shop, 0).await;
    let store = memory();
    let client = with_node(&node).store(store.clone()).build().unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let error = client.get(refusing.url("/")).send().await.unwrap_err();
        assert_eq!(error.code(), Code::PermitExpired, "{error}");
        ids.push(error.payment().unwrap());
    }
    let paid = client.get(seller.url("/")).send().await.unwrap();
    ids.push(paid.payment.unwrap().id);
    ids.dedup();
    assert_eq!(
        (ids.len(), store.recent_spends(9).await.unwrap().len()),
        (4, 4)
    );
}

/// Permit2 needs an allowance, and this client gives none by itself.
#[tokio::test]
async fn an_allowance_that_is_known_to_be_too_small_is_told() {
    let shop = Shop::new(Release::Ours);
    let seller = shop.open().await;
    for (allowance, is_bought) in [(PRICE - 1, false), (PRICE, true)] {
        let node = node(&shop, allowance).await;
        let client = with_node(&node)
            .permit_kind(PermitKind::Permit2)
            .store(memory());
        let answer = client.build().unwrap().get(seller.url("/")).send().await;
        assert_eq!(shop.taken(), usize::from(is_bought));
        if let Err(error) = answer {
            assert_eq!(error.code(), Code::PermitAllowanceTooLow);
            assert!(error.to_string().contains("0.009999 USDC"), "{error}");
        }
    }
    let kinds: Vec<_> = shop
        .posted()
        .iter()
        .map(|permit| permit.terms.kind())
        .collect();
    assert_eq!(kinds, [PermitKind::Permit2]);
}

#[tokio::test]
async fn a_node_that_lies_or_is_away_signs_nothing() {
    let shop = Shop::new(Release::First);
    let shopfront = shop.open().await;
    let other_chain = node_of(1, &shop, 0).await;
    let broken = seller(|_| axum::Json(json!({"result": "0x"})).into_response()).await;
    for (node, code) in [
        (&other_chain, Code::NetworkMismatch),
        (&broken, Code::ChainUnavailable),
    ] {
        let client = with_node(node).store(memory()).build().unwrap();
        let error = client.get(shopfront.url("/")).send().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Kind::Http), "{error}");
    }
    assert!(posts(&shopfront).is_empty());
}

/// The label decides the later kind, as with the product's clients; what a token can do is in our own table.
#[tokio::test]
async fn another_label_is_paid_through_permit2() {
    let shop = Shop::new(Release::Third);
    let seller = seller({
        let shop = shop.clone();
        move |seen| {
            let answer = shop.answer(seen);
            if answer.status() != 402 {
                return answer;
            }
            let mut component = shop.release.component();
            component["currency"] = json!("USDT");
            ask(&body(common::permit::ENDPOINT, &[component]))
        }
    })
    .await;
    let client = builder().store(memory()).build().unwrap();
    client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(shop.posted()[0].terms.kind(), PermitKind::Permit2);
}
