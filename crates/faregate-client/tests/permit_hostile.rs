//! Servers that ask for permits and want more than they should get, and what is signed for all servers together.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use common::permit::{ENDPOINT, PRICE, Release, SEPOLIA_USDC, Shop, ask, body, cut_off, posts};
use common::{PAYEE, Seller, builder, cents, client, memory, seller};
use faregate_client::{Caps, Doubt, Kind, PayError, Period, WalletStore, Worth, limits};
use faregate_types::permit::request;
use faregate_types::{Code, U256};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A shop that asks for something else than it should.
async fn asking(body: Value) -> (Shop, Seller) {
    let shop = Shop::new(Release::Ours);
    let answering = shop.clone();
    let seller = seller(move |seen| match answering.answer(seen) {
        answer if answer.status() == 402 => ask(&body),
        answer => answer,
    })
    .await;
    (shop, seller)
}

/// Whatever it asks for, it is not paid.
async fn refuses(body: Value, code: &str, kind: Kind, why: &str) {
    let (_, seller) = asking(body).await;
    let store = memory();
    let error = client(&store)
        .get(seller.url("/"))
        .send()
        .await
        .unwrap_err();
    let found = (error.code().as_str(), error.kind());
    assert_eq!(found, (code, kind), "{why}: {error}");
    assert!(
        posts(&seller).is_empty() && seller.seen().len() == 1,
        "{why}"
    );
    assert_eq!(store.recent_spends(9).await.unwrap(), [], "{why}");
}

/// Member, new value, code.
const BAD_COMPONENTS: &str = r#"
    token_decimals 12                      malformed_offer
    token_decimals 18                      malformed_offer
    token_decimals 0                       malformed_offer
    token_decimals 256                     malformed_offer
    token_name     "Gold"                  domain_mismatch
    token_version  "1"                     domain_mismatch
    token          "0x209693Bc6afc0C5328bA36FaF03C514EF312287C" asset_unknown
    token          "0x036CbD53842c5426634e7929541eC2318f3dCF7e" asset_unknown
    token          "gold"                  malformed_offer
    amount         0.100001                over_payment_cap
    amount         1e9                     over_payment_cap
    amount         1e70                    over_payment_cap
    amount         1e400                   malformed_offer
    amount         "NaN"                   malformed_offer
    amount         0                       malformed_offer
    amount         -0.01                   malformed_offer
    amount         0.0000001               malformed_offer
    pay_to         "0x0000000000000000000000000000000000000000" malformed_offer
    pay_to         "0x00"                  malformed_offer
    payment_type   "svm"                   malformed_offer
    chain_id       1                       malformed_offer
    caip2          "eip155:1"              malformed_offer
"#;

#[tokio::test]
async fn bad_components_are_not_paid() {
    for line in BAD_COMPONENTS.trim().lines() {
        let [member, value, code] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let kind = match code {
            "over_payment_cap" => Kind::OverBudget,
            _ => Kind::NoOffer,
        };
        let mut component = Release::Ours.component();
        // As it stands there: this number has more digits than a float.
        component[member] = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        refuses(body(ENDPOINT, &[component]), code, kind, line).await;
    }
    // In the words of the first generation.
    for (member, value, code) in [
        ("decimals", json!(12), "malformed_offer"),
        ("name", json!("Gold"), "domain_mismatch"),
        ("version", json!("7"), "domain_mismatch"),
    ] {
        let mut component = Release::First.component();
        component["metadata"][member] = value;
        refuses(body(ENDPOINT, &[component]), code, Kind::NoOffer, member).await;
    }
}

#[tokio::test]
async fn other_chains_are_not_paid_on() {
    for (chain, token, code) in [
        (
            1,
            "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "network_not_allowed",
        ),
        (
            8453,
            "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            "network_not_allowed",
        ),
        (123_456_789, SEPOLIA_USDC, "network_not_allowed"),
        (84_532, SEPOLIA_USDC, "asset_unknown"),
    ] {
        let mut component = Release::Ours.component();
        component["chain_id"] = json!(chain);
        component["caip2"] = json!(format!("eip155:{chain}"));
        component["token"] = json!(token);
        let why = chain.to_string();
        refuses(body(ENDPOINT, &[component]), code, Kind::NoOffer, &why).await;
    }
}

#[tokio::test]
async fn permits_are_posted_to_the_same_origin_only() {
    let component = Release::Ours.component();
    for endpoint in [
        "@evil.example/token",
        "https://evil.example/token",
        "//evil.example/token",
        "/\\evil.example/token",
        "token",
        "",
        "/token#x",
        "/to ken",
    ] {
        let asked = body(endpoint, std::slice::from_ref(&component));
        refuses(asked, "malformed_offer", Kind::NoOffer, endpoint).await;
    }
    let mut without = body(ENDPOINT, &[component]);
    without["access_token_endpoint"] = json!(null);
    refuses(without, "malformed_offer", Kind::NoOffer, "null").await;
}

#[tokio::test]
async fn endless_answers_are_not_read() {
    let many = vec![Release::Ours.component(); 65];
    refuses(
        body(ENDPOINT, &many),
        "malformed_offer",
        Kind::NoOffer,
        "65",
    )
    .await;
    refuses(
        body(ENDPOINT, &[]),
        "no_usable_offer",
        Kind::NoOffer,
        "none",
    )
    .await;
    let mut large = body(ENDPOINT, &[Release::Ours.component()]);
    large["reason"] = json!("x".repeat(limits::OFFER_BODY_BYTES_MAX));
    refuses(large, "body_too_large", Kind::NoOffer, "large").await;
}

/// Of several offers the one that is first for the payer is taken, and those that lie are passed over.
#[tokio::test]
async fn the_order_of_assets_is_the_payers() {
    let mut lie = Release::Ours.component();
    lie["token_decimals"] = json!(12);
    let mut base = Release::Ours.component();
    base["chain_id"] = json!(84_532);
    base["caip2"] = json!("eip155:84532");
    base["token"] = json!(common::USDC);
    let asked = body(ENDPOINT, &[lie, base, Release::Ours.component()]);
    let sepolia = common::permit::usdc().id;
    for (first, chain) in [(None, 84_532), (Some(sepolia), common::permit::SEPOLIA)] {
        let (_, seller) = asking(asked.clone()).await;
        let client = builder().pay_with(first).store(memory()).build().unwrap();
        drop(client.get(seller.url("/")).send().await);
        let permit = request::read(&posts(&seller)[0].body).unwrap();
        assert_eq!(permit.chain.get(), chain);
    }
}

#[tokio::test]
async fn another_payee_and_a_jump_of_the_price_are_noticed() {
    let (one, two) = (PAYEE, common::permit::WALLET);
    for (member, first, then, code) in [
        ("pay_to", json!(one), json!(two), Code::PayeeChanged),
        ("amount", json!(0.01), json!(0.05), Code::PriceRaised),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let seller = seller(move |seen| {
            if seen.path == ENDPOINT {
                return StatusCode::BAD_REQUEST.into_response();
            }
            let mut component = Release::Ours.component();
            let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            component[member] = if is_first {
                first.clone()
            } else {
                then.clone()
            };
            ask(&body(ENDPOINT, &[component]))
        })
        .await;
        let client = client(&memory());
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(error.code(), Code::PaymentRefused, "{error}");
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Kind::OverBudget));
        assert_eq!(posts(&seller).len(), 1);
    }
}

/// What comes from a token endpoint that is no token.
#[tokio::test]
async fn answers_that_are_no_token_buy_nothing() {
    let huge = || "x".repeat(limits::OFFER_BODY_BYTES_MAX + 1).into_response();
    let redirect = || {
        let to = [("location", "https://evil.example/token")];
        (StatusCode::TEMPORARY_REDIRECT, to).into_response()
    };
    let page = || (StatusCode::NOT_FOUND, "<h1>nothing here</h1>").into_response();
    let blank = || json!({"access_token": "a b"}).to_string().into_response();
    let line = || {
        json!({"access_token": "a\r\nx-evil: 1"})
            .to_string()
            .into_response()
    };
    let table: [(fn() -> Response, Kind); 5] = [
        (huge, Kind::Undecided),
        (redirect, Kind::Refused),
        (page, Kind::Refused),
        (blank, Kind::Undecided),
        (line, Kind::Undecided),
    ];
    for (number, (answer, kind)) in table.into_iter().enumerate() {
        let seller = seller(move |seen| {
            if seen.path == ENDPOINT {
                return answer();
            }
            ask(&body(ENDPOINT, &[Release::Ours.component()]))
        })
        .await;
        let store = memory();
        let client = builder().resends(1).store(store.clone()).build().unwrap();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{number}: {error}");
        if let PayError::Undecided(undecided) = &error {
            assert!(matches!(undecided.why, Doubt::Permit(_)));
        }
        assert_eq!(store.recent_spends(9).await.unwrap().len(), 1, "{number}");
        let shown = seller.seen().into_iter();
        let mut shown = shown.filter(|seen| seen.headers.contains_key("authorization"));
        assert!(shown.next().is_none(), "{number}");
    }
}

/// The scheme is shown as the server writes it.
#[tokio::test]
async fn the_scheme_is_the_servers() {
    let seller = seller(|seen| {
        if seen.path == ENDPOINT {
            let token = json!({"access_token": "abc", "token_type": "tOken", "expires_in": 60});
            return (StatusCode::CREATED, token.to_string()).into_response();
        }
        match seen.header("authorization").as_deref() {
            Some("tOken abc") => "served".into_response(),
            _ => ask(&body(ENDPOINT, &[Release::Third.component()])),
        }
    })
    .await;
    let client = client(&memory());
    for number in 0..2 {
        let paid = client.get(seller.url("/")).send().await.unwrap();
        assert_eq!(
            (paid.answer.status().as_u16(), paid.payment.is_some()),
            (200, number == 0)
        );
    }
}

/// What a lying shop does to one request.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Sell,
    Refuse,
    BreakDown,
    LoseTheToken,
    GiveABadToken,
    /// Takes the permit and asks for another.
    AskAgain,
}

fn tricks() -> impl Strategy<Value = Vec<(Trick, u64)>> {
    let trick = prop_oneof![
        Just(Trick::Sell),
        Just(Trick::Refuse),
        Just(Trick::BreakDown),
        Just(Trick::LoseTheToken),
        Just(Trick::GiveABadToken),
        Just(Trick::AskAgain),
    ];
    proptest::collection::vec((trick, 1_u64..40_000), 1..12)
}

/// A shop that does with the request to `/<number>` what the list says.
async fn liar(list: Vec<(Trick, u64)>) -> Seller {
    seller(move |seen| {
        let number = seen.path.rsplit('/').next().unwrap();
        let number: usize = number.split('?').next().unwrap().parse().unwrap();
        let (trick, price) = list[number];
        let mut component = Release::Ours.component();
        component["amount"] = json!(format!("0.{price:06}"));
        let again = ask(&body(&format!("/token/{number}"), &[component]));
        if !seen.path.starts_with("/token/") {
            let is_shown = seen.headers.contains_key("authorization");
            return match trick {
                Trick::Sell if is_shown => "served".into_response(),
                _ => again,
            };
        }
        match trick {
            Trick::Sell | Trick::GiveABadToken => {
                json!({"access_token": "x"}).to_string().into_response()
            }
            Trick::Refuse => {
                let text = json!({"error": "Verification failed: Permit has expired"});
                (StatusCode::BAD_REQUEST, text.to_string()).into_response()
            }
            Trick::BreakDown => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Trick::LoseTheToken => cut_off(),
            Trick::AskAgain => again,
        }
    })
    .await
}

/// Everything that was signed and has left the process, in atomic units: all of it may be collected.
fn signed(seller: &Seller) -> U256 {
    let posts = seller.seen().into_iter();
    let posts = posts.filter(|seen| seen.path.starts_with("/token/"));
    let bodies: BTreeSet<Vec<u8>> = posts.map(|post| post.body.to_vec()).collect();
    let values = bodies
        .iter()
        .map(|body| request::read(body).unwrap().terms.value());
    values.sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the server does, what is signed stays within each cap, and each permit is in the books.
    #[test]
    fn nothing_makes_it_sign_more_than_the_caps(
        list in tricks(),
        each in 1_u64..5,
        all in 1_u64..12,
        which in 0_u8..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cap = cents(all);
            let caps = Caps {
                per_payment: cents(each),
                total: (which == 0).then_some(cap),
                per_host: (which == 1).then_some(cap),
                per_period: (which == 2).then_some(Period { secs: 60, cap }),
            };
            let count = list.len();
            let seller = liar(list).await;
            let store: Arc<dyn WalletStore> = memory();
            let client = builder().caps(caps).resends(0).store(store.clone());
            let client = client.build().unwrap();
            for round in 0..2 {
                for number in 0..count {
                    drop(client.get(seller.url(&format!("/x/{number}?{round}"))).send().await);
                }
            }
            let total = Worth::of_dollar_coin(signed(&seller), 6).unwrap();
            assert!(total <= cap, "{total:?}");
            let spends = store.recent_spends(1000).await.unwrap();
            let booked: U256 = spends.iter().map(|record| record.spend.amount.value()).sum();
            assert_eq!(booked, signed(&seller));
            assert!(spends.iter().all(|record| record.spend.worth <= cents(each)));
        });
    }
}

/// The property would hold of a client that signs nothing: this one does.
#[tokio::test]
async fn the_liar_gets_what_the_caps_allow() {
    let list = vec![(Trick::Refuse, PRICE); 9];
    let seller = liar(list).await;
    let caps = Caps {
        total: Some(cents(5)),
        ..common::caps()
    };
    let client = builder().caps(caps).store(memory()).build().unwrap();
    for number in 0..9 {
        drop(client.get(seller.url(&format!("/x/{number}"))).send().await);
    }
    assert_eq!(signed(&seller), U256::from(5 * PRICE));
}
