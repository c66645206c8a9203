//! Paying on credit: tabs, claims, receipts, numbers that somebody else was faster with, lost answers.
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
use std::sync::atomic::{AtomicU64, Ordering};

use common::credit::{CreditShop, PRICE, conditional, on_credit, plain, questions};
use common::{
    NOW, PAYEE, PAYER, builder, cents, decode, memory, offer_v1, offer_v2, raw, raw_seller,
};
use faregate_client::{
    Caps, Choice, Doubt, Kind, OnCredit, PayError, Prefer, Quote, Rail, Receipt, ShownCertificate,
    SpendState, WalletStore, limits,
};
use faregate_types::{Code, PaymentId, Timestamp, U256};
use serde_json::{Value, json};

fn exact_v1(_: &str) -> Value {
    offer_v1()
}

fn exact_v2(_: &str) -> Value {
    offer_v2()
}

/// The thinnest way: a tab, claims, what was bought; in both versions.
#[tokio::test]
async fn both_versions_are_paid_on_credit() {
    for version in [1, 2] {
        let shop = match version {
            1 => CreditShop::new(&[plain], &[]),
            _ => CreditShop::new(&[], &[conditional]),
        };
        let seller = shop.open().await;
        let store = memory();
        let client = on_credit(&store).build().unwrap();
        let paid = client.get(seller.url("/joke")).send().await.unwrap();
        let payment = paid.payment.unwrap();
        assert_eq!(paid.answer.text().await.unwrap(), "served");

        let asked = &questions(&seller)[0];
        assert_eq!(asked["userAddress"], PAYER);
        assert_eq!(asked["x402Version"], version);
        let offer = &asked["paymentRequirements"];
        assert_eq!(offer["payTo"], PAYEE);
        let sent = decode(&seller.payments()[0]);
        assert_eq!(sent["payload"]["claims"]["tab_id"], "0x2a");
        if version == 1 {
            assert_eq!(sent["network"], "eip155:84532");
            assert_eq!(sent["scheme"], "4mica-credit");
        } else {
            // What the seller said comes back as it was said.
            assert_eq!(&sent["accepted"], offer);
            assert_eq!(sent["resource"]["mimeType"], "application/json");
            assert_eq!(asked["resource"], sent["resource"]);
        }

        assert_eq!(payment.amount.value(), U256::from(PRICE));
        assert_eq!((&*payment.payee, payment.state), (PAYEE, SpendState::Paid));
        assert_eq!(payment.worth, cents(1));
        let credit = payment.credit().unwrap();
        assert_eq!(credit.version.number(), version);
        assert_eq!((credit.tab, credit.number), (U256::from(0x2a), U256::ZERO));
        assert_eq!(credit.total, Some(U256::from(PRICE)));
        assert!(matches!(credit.certificate, ShownCertificate::Given(_)));
        assert_eq!(credit.receipt.transaction(), Some("0x2a/0"));

        let chain = payment.amount.asset().as_erc20().unwrap().chain();
        let (payer, payee) = (PAYER.parse().unwrap(), PAYEE.parse().unwrap());
        let natural = PaymentId::credit(chain, payer, payee, U256::from(0x2a), U256::ZERO);
        let record = store.spend(natural).await.unwrap().unwrap();
        client.flush().await.unwrap();
        assert_eq!((record.state, payment.id), (SpendState::Paid, natural));
        assert_eq!(record.transaction.as_deref(), Some("0x2a/0"));
    }
}

/// Nobody owes anything who did not say so.
#[tokio::test]
async fn credit_is_off_unless_it_is_switched_on() {
    let shop = CreditShop::new(&[plain], &[]);
    let seller = shop.open().await;
    let store = memory();
    let client = builder().prefer(Prefer::Credit).store(store.clone());
    let client = client.build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    let found = (error.code(), error.kind());
    assert_eq!(found, (Code::UnsupportedScheme, Kind::NoOffer));
    assert!(error.to_string().contains("not switched on"), "{error}");
    assert_eq!(seller.seen().len(), 1);
    assert_eq!(store.recent_spends(9).await.unwrap(), []);
}

/// Which of two offers is taken is the payer's choice, wherever they stand: plain credit is only ever in the body.
#[tokio::test]
async fn credit_takes_its_place_in_the_order_of_rails() {
    for (v1, v2) in [
        (vec![exact_v1 as fn(&str) -> Value, plain], vec![]),
        (vec![], vec![exact_v2 as fn(&str) -> Value, conditional]),
        (vec![plain], vec![exact_v2]),
        (vec![plain], vec![exact_v2, conditional]),
    ] {
        for (prefer, is_owed) in [(None, false), (Some(Prefer::Credit), true)] {
            let shop = CreditShop::new(&v1, &v2);
            let seller = shop.open().await;
            let mut client = builder().credit(OnCredit::new()).store(memory());
            if let Some(prefer) = prefer {
                client = client.prefer(prefer);
            }
            let client = client.build().unwrap();
            let request = client.get(seller.url("/"));
            let Quote::Priced(priced) = request.quote().await.unwrap() else {
                panic!()
            };
            let choice = priced.verdict.as_ref().unwrap();
            assert_eq!(matches!(choice, Choice::Credit(_)), is_owed, "{choice:?}");
            assert_eq!(priced.price().unwrap().worth, cents(1));
            assert_eq!(questions(&seller), [Value::Null; 0], "a quote opens no tab");
            if is_owed {
                let paid = client.get(seller.url("/")).send().await.unwrap();
                assert!(matches!(paid.payment.unwrap().rail, Rail::Credit(_)));
            }
        }
    }
}

/// Many requests at once: each gets a number of its own, whether the seller hands out numbers or only says which is next.
#[tokio::test]
async fn concurrent_payments_of_one_payer_lose_nothing() {
    for is_reserving in [true, false] {
        let shop = CreditShop::new(&[plain], &[]);
        shop.book.lock().unwrap().is_reserving = is_reserving;
        let seller = shop.open().await;
        let store = memory();
        let client = on_credit(&store).build().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..24 {
            let request = client.get(seller.url(&format!("/{number}")));
            tasks.spawn(async move { request.send().await.unwrap().payment.unwrap() });
        }
        let mut numbers = BTreeSet::new();
        while let Some(payment) = tasks.join_next().await {
            let payment = payment.unwrap();
            assert_eq!(payment.state, SpendState::Paid);
            numbers.insert(payment.credit().unwrap().number);
        }
        assert_eq!((numbers.len(), shop.taken()), (24, 24));
        // None was sent in vain: who was slower asked again before anything left the process.
        assert_eq!(seller.payments().len(), 24, "reserving: {is_reserving}");
        assert_eq!(store.recent_spends(99).await.unwrap().len(), 24);
    }
}

/// Another wallet with the same key, whose books nobody here sees, was faster.
#[tokio::test]
async fn a_number_that_is_taken_is_signed_anew() {
    for code in [
        "credit_req_id_taken",
        "credit_req_id_invalid",
        "credit_tab_closed",
        "credit_tab_unknown",
        "credit_tab_mismatch",
    ] {
        let shop = CreditShop::new(&[plain], &[]);
        shop.book.lock().unwrap().refuses = Some((code, 2));
        let seller = shop.open().await;
        let store = memory();
        let client = on_credit(&store).build().unwrap();
        let paid = client.get(seller.url("/")).send().await.unwrap();
        assert_eq!(paid.payment.unwrap().state, SpendState::Paid);
        client.flush().await.unwrap();
        let records = store.recent_spends(9).await.unwrap();
        let count = |state| {
            let found = records.iter().filter(|record| record.state == state);
            found.count()
        };
        // Each has an entry of its own, though the number was the same: it counts.
        assert_eq!(
            (count(SpendState::Refused), count(SpendState::Paid)),
            (2, 1)
        );
        assert_eq!(questions(&seller).len(), 3, "{code}");
    }
}

/// A seller that never takes a number gets no more than this.
#[tokio::test]
async fn signing_anew_has_an_end_and_counts() {
    let shop = CreditShop::new(&[plain], &[]);
    shop.book.lock().unwrap().refuses = Some(("credit_req_id_taken", usize::MAX));
    let seller = shop.open().await;
    let store = memory();
    let client = on_credit(&store).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::CreditReqIdTaken);
    let most = usize::try_from(limits::CREDIT_REFRESHES).unwrap() + 1;
    assert_eq!(seller.payments().len(), most);

    let caps = Caps {
        total: Some(cents(2)),
        ..common::caps()
    };
    let store = memory();
    let client = on_credit(&store).caps(caps).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::OverTotalCap);
    assert_eq!(seller.payments().len(), most + 2);
}

/// Refusals that other claims would get as well are the caller's.
#[tokio::test]
async fn other_refusals_are_not_signed_anew() {
    for code in ["credit_collateral_too_low", "credit_suspended"] {
        let shop = CreditShop::new(&[plain], &[]);
        shop.book.lock().unwrap().refuses = Some((code, 1));
        let seller = shop.open().await;
        let store = memory();
        let client = on_credit(&store).build().unwrap();
        let error = client.get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(error.code().as_str(), code);
        assert_eq!(seller.payments().len(), 1);
        assert!(matches!(&error, PayError::Refused(refused) if !refused.asks_again));
        // The number came to nothing, and may be signed for the next request.
        let paid = client.get(seller.url("/")).send().await.unwrap();
        assert_eq!(paid.payment.unwrap().credit().unwrap().number, U256::ZERO);
    }
}

/// A seller that answers the first `lost` payments not at all, though it takes them.
fn forgetful(
    lost: usize,
    then: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> (common::Seller, Arc<AtomicU64>) {
    let paid = Arc::new(AtomicU64::new(0));
    let count = paid.clone();
    let seller = raw_seller(move |head| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: "));
        let at = format!("http://{}", host.unwrap());
        if head.starts_with("POST /tabs") {
            let number = count.load(Ordering::SeqCst);
            let tab =
                json!({"tabId": "0x1", "userAddress": PAYER, "nextReqId": number.to_string()});
            return Some(raw(200, &[], &tab.to_string()));
        }
        if !head.contains("x-payment:") {
            let body = common::required_v1(&[plain(&at)]).to_string();
            return Some(raw(402, &[], &body));
        }
        let before = count.fetch_add(1, Ordering::SeqCst);
        (before >= u64::try_from(lost).unwrap()).then(|| then(&at))
    });
    (seller, paid)
}

fn sold(_: &str) -> Vec<u8> {
    raw(200, &[], "served")
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_with_the_same_claims() {
    let (seller, _) = forgetful(2, sold);
    let store = memory();
    let client = on_credit(&store).build().unwrap();
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(paid.payment.unwrap().state, SpendState::Paid);
    let payments: BTreeSet<String> = seller.payments().into_iter().collect();
    assert_eq!((payments.len(), seller.payments().len()), (1, 3));
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
}

/// The next process sends what the one before has signed, and signs nothing else for the request.
#[tokio::test]
async fn claims_whose_end_is_unknown_are_sent_again_by_whoever_comes_next() {
    let (seller, _) = forgetful(1, sold);
    let store = memory();
    let first = on_credit(&store).resends(0).build().unwrap();
    let error = first.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Undecided);
    let id = error.payment().unwrap();
    assert_eq!(first.pending().await.unwrap()[0].id, id);

    let second = on_credit(&store).build().unwrap();
    let paid = second.get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert!(payment.resumed && payment.id == id);
    let receipt = &payment.credit().unwrap().receipt;
    assert_eq!(receipt, &Receipt::Missing);
    let payments: BTreeSet<String> = seller.payments().into_iter().collect();
    assert_eq!(payments.len(), 1);

    // By name, in a program that has the books and no key.
    let (seller, _) = forgetful(1, sold);
    let store = memory();
    let first = on_credit(&store).resends(0).build().unwrap();
    let error = first.get(seller.url("/")).send().await.unwrap_err();
    let nobody = common::nobody(&store);
    let paid = nobody.resume(error.payment().unwrap()).await.unwrap();
    assert_eq!(paid.payment.unwrap().state, SpendState::Paid);
    assert_eq!(nobody.pending().await.unwrap(), []);
}

/// The copy is refused for its number: the claims before may have it, so nothing else is signed while they are good.
#[tokio::test]
async fn a_copy_that_is_refused_for_its_number_is_no_proof() {
    let refuse = |at: &str| {
        let mut body = common::required_v1(&[plain(at)]);
        body["error"] = json!("credit_req_id_taken");
        raw(402, &[], &body.to_string())
    };
    let (seller, _) = forgetful(1, refuse);
    let store = memory();
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = now.clone();
    let client = on_credit(&store)
        .clock(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))
        .build()
        .unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    let PayError::Undecided(undecided) = error else {
        panic!("{error}")
    };
    assert_eq!(undecided.why, Doubt::Server(Code::CreditReqIdTaken));
    let again = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(again.payment(), Some(undecided.id));
    let payments: BTreeSet<String> = seller.payments().into_iter().collect();
    assert_eq!(payments.len(), 1);

    // When they are too old the seller's word is enough.
    now.fetch_add(limits::CREDIT_SECS, Ordering::SeqCst);
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::CreditReqIdTaken);
    let payments: BTreeSet<String> = seller.payments().into_iter().collect();
    assert!(payments.len() > 1);
}

/// What is on its way has its number, whatever the tab endpoint says, also in another process with the same books.
#[tokio::test]
async fn a_number_on_its_way_is_not_signed_for_anything_else() {
    let stuck = raw_seller(|head| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: "));
        let at = format!("http://{}", host.unwrap());
        if head.starts_with("POST /tabs") {
            let tab = json!({"tabId": "0x1", "userAddress": PAYER});
            return Some(raw(200, &[], &tab.to_string()));
        }
        let body = common::required_v1(&[plain(&at)]).to_string();
        (!head.contains("x-payment:")).then(|| raw(402, &[], &body))
    });
    let store: Arc<dyn WalletStore> = memory();
    let client = || {
        let wait = std::time::Duration::from_millis(200);
        on_credit(&store).resends(0).wait(wait).build().unwrap()
    };
    let first = client().get(stuck.url("/a")).send().await.unwrap_err();
    assert_eq!(first.kind(), Kind::Undecided);
    let second = client().get(stuck.url("/b")).send().await.unwrap_err();
    assert!(matches!(second, PayError::Tab(_)), "{second}");
    assert_eq!(second.code(), Code::CreditReqIdTaken);
    assert_eq!(stuck.payments().len(), 1);
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
}
