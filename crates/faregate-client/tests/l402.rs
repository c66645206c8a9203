//! Paying over L402: what is bought, what it costs, and what is shown again.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use common::lightning::{
    Net, SAT, ask_with, honest_l402, invoice_of, l402_seller, msat_caps, shown,
};
use common::{ask_v2, caps, cents, memory, offer_v2, served, wallet};
use faregate_client::{Caps, Choice, MsatCaps, Prefer, Quote, SpendState};
use faregate_types::Code;
use faregate_types::lightning::Msat;

/// Ten satoshis and what the way costs in this network: one satoshi and a ten-thousandth.
const TEN_SAT_AND_FEE: u64 = 10 * SAT + SAT + 1;

#[tokio::test]
async fn an_invoice_is_paid_and_its_token_shown() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 1).await;
    let store = memory();
    let client = net.client(&store).build().unwrap();
    let paid = client.get(seller.url("/joke")).send().await.unwrap();
    assert_eq!(paid.answer.status(), StatusCode::OK);
    let payment = paid.payment.unwrap();
    let l402 = payment.l402().unwrap();
    assert_eq!(l402.amount.get(), 10 * SAT);
    assert_eq!(l402.fee.map(|fee| fee.get()), Some(SAT + 1));
    assert_eq!(l402.fee_max.get(), 5 * SAT);
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
    assert_eq!((payment.state, payment.resumed), (SpendState::Paid, false));
    let record = store.spend(payment.id).await.unwrap().unwrap();
    assert_eq!(record.state, SpendState::Paid);
    assert_eq!(
        record.transaction,
        Some(l402.payment_hash.to_string().into())
    );
    assert_eq!(
        shown(&seller.seen()[1]),
        Some(*l402.payment_hash.as_bytes())
    );
}

#[tokio::test]
async fn a_token_is_shown_again_until_it_is_used_up() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 3).await;
    let client = net.client(&memory()).build().unwrap();
    for number in 1_u64..=7 {
        let paid = client.get(seller.url("/joke?n=1")).send().await.unwrap();
        assert_eq!(paid.answer.status(), StatusCode::OK);
        let expected = number.div_ceil(3);
        assert_eq!(net.spent(), expected * TEN_SAT_AND_FEE, "{number}");
        assert_eq!(paid.payment.is_some(), number % 3 == 1, "{number}");
    }
    // Another path and another method are other purchases, and the token is not shown there.
    let before = seller.seen().len();
    client.get(seller.url("/other")).send().await.unwrap();
    client.post(seller.url("/joke")).send().await.unwrap();
    let seen = seller.seen();
    assert!(seen[before].header("authorization").is_none());
    assert!(seen[before + 2].header("authorization").is_none());
    assert_eq!(net.spent(), 5 * TEN_SAT_AND_FEE);
}

#[tokio::test]
async fn l402_hole_09_a_used_token_that_is_answered_with_401_is_bought_anew_once() {
    let net = Net::start().await;
    let shop = net.clone();
    let last = Arc::new(Mutex::new(None));
    let seller = l402_seller(move |request| {
        let (net, last) = (shop.clone(), last.clone());
        async move {
            match shown(&request) {
                Some(hash) if last.lock().unwrap().replace(hash) == Some(hash) => {
                    let body = r#"{"error":"Token already used"}"#;
                    (StatusCode::UNAUTHORIZED, body).into_response()
                }
                Some(_) => served(),
                None => net.ask(10 * SAT).await,
            }
        }
    })
    .await;
    let client = net.client(&memory()).build().unwrap();
    for number in 1..=3 {
        let paid = client.get(seller.url("/")).send().await.unwrap();
        assert_eq!(paid.answer.status(), StatusCode::OK);
        assert!(paid.payment.is_some());
        assert_eq!(net.spent(), number * TEN_SAT_AND_FEE);
    }
}

#[tokio::test]
async fn one_order_decides_which_rail_is_taken() {
    let net = Net::start().await;
    let shop = net.clone();
    let seller = l402_seller(move |request| {
        let net = shop.clone();
        async move {
            if request.payment().is_some() || shown(&request).is_some() {
                return served();
            }
            let mut response = net.ask(10 * SAT).await;
            let offers = ask_v2(&[offer_v2()]);
            response.headers_mut().extend(offers.headers().clone());
            response
        }
    })
    .await;
    let both = || net.client(&memory()).wallet(wallet());
    let too_little = Caps {
        per_payment: cents(0),
        ..caps()
    };
    // Preference, dollars, rail.
    let table = [
        (Prefer::X402, caps(), true),
        (Prefer::L402, caps(), false),
        (Prefer::X402, too_little, false),
    ];
    for (prefer, caps, x402) in table {
        let client = both().prefer(prefer).caps(caps).build().unwrap();
        let quote = client.get(seller.url("/")).quote().await.unwrap();
        let Quote::Priced(priced) = quote else {
            panic!("it is not free");
        };
        assert_eq!(matches!(priced.verdict, Ok(Choice::Offer(0))), x402);
        assert_eq!(matches!(priced.verdict, Ok(Choice::Invoice)), !x402);
        let paid = client.get(seller.url("/")).send().await.unwrap();
        let payment = paid.payment.unwrap();
        assert_eq!(payment.x402().is_some(), x402, "{prefer:?}");
        assert_eq!(payment.l402().is_some(), !x402, "{prefer:?}");
    }
    // Without a key only the invoice can be paid, without a Lightning wallet only the offer.
    let client = net.client(&memory()).build().unwrap();
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.unwrap().l402().is_some());
    let client = common::client(&memory());
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.unwrap().x402().is_some());
}

#[tokio::test]
async fn caps_hold_to_the_millisatoshi_and_in_a_crowd() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 1).await;
    // Ten satoshis, and five for the way.
    for (per_payment, refused) in [(15 * SAT, None), (15 * SAT - 1, Some(Code::OverPaymentCap))] {
        let before = net.spent();
        let client = net
            .client_with(net.sender(), msat_caps(per_payment), &memory())
            .build()
            .unwrap();
        let error = client.get(seller.url("/")).send().await.err();
        assert_eq!(error.map(|error| error.code()), refused);
        assert_eq!(net.spent() > before, refused.is_none());
    }
    let host = MsatCaps {
        total: None,
        per_host: Some(Msat::new(45 * SAT)),
        ..msat_caps(15 * SAT)
    };
    let period = MsatCaps {
        per_period: Some((3_600, Msat::new(45 * SAT))),
        ..msat_caps(15 * SAT)
    };
    for (caps, code) in [(host, Code::OverHostCap), (period, Code::OverPeriodCap)] {
        let (store, before) = (memory(), net.spent());
        let crowd = (0..8).map(|number| {
            let client = net.client_with(net.sender(), caps, &store).build().unwrap();
            let url = seller.url(&format!("/{number}"));
            tokio::spawn(async move { client.get(url).send().await.map_err(|error| error.code()) })
        });
        let mut served = 0;
        for one in crowd.collect::<Vec<_>>() {
            match one.await.unwrap() {
                Ok(_) => served += 1,
                Err(refused) => assert_eq!(refused, code),
            }
        }
        assert_eq!(served, 3);
        assert_eq!(net.spent() - before, 3 * TEN_SAT_AND_FEE);
    }
}

#[tokio::test]
async fn another_node_than_before_is_not_paid() {
    let net = Net::start().await;
    let moved = Arc::new(AtomicBool::new(false));
    let (shop, has_moved) = (net.clone(), moved.clone());
    let seller = l402_seller(move |request| {
        let (net, has_moved) = (shop.clone(), has_moved.load(Ordering::Relaxed));
        async move {
            match shown(&request) {
                Some(_) => (StatusCode::OK, "once").into_response(),
                None if has_moved => ask_with("AAAA", &invoice_of(7, Some(10 * SAT))),
                None => net.ask(10 * SAT).await,
            }
        }
    })
    .await;
    let store = memory();
    let buy = |path| {
        let client = net.client(&store).build().unwrap();
        client.get(seller.url(path)).send()
    };
    buy("/").await.unwrap();
    moved.store(true, Ordering::Relaxed);
    let refused = buy("/other").await.unwrap_err();
    assert_eq!(refused.code(), Code::PayeeChanged);
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
}
