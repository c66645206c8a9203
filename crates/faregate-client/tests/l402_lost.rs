//! Lost answers, payments on their way, processes that end: never two payments for one purchase.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse as _;
use common::lightning::{Cut, Net, SAT, honest_l402, l402_seller, msat_caps, shown};
use common::{memory, raw, raw_seller};
use faregate_client::{Doubt, Kind, PayError, SpendState};
use faregate_devnet::lightning::Fate;
use faregate_types::Code;
use faregate_types::l402::challenge;

const TEN_SAT_AND_FEE: u64 = 11 * SAT + 1;

#[tokio::test]
async fn a_lost_answer_of_the_wallet_is_asked_for_again() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 1).await;
    net.dev.next_payments([Fate::LoseAnswer]);
    let client = net.client(&memory()).build().unwrap();
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(paid.payment.unwrap().state, SpendState::Paid);
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
}

#[tokio::test]
async fn a_payment_on_its_way_is_waited_for_and_not_made_again() {
    for arrives in [true, false] {
        let net = Net::start().await;
        let seller = honest_l402(&net, 1).await;
        let store = memory();
        let client = || {
            let wait = Duration::from_millis(1_200);
            net.client(&store).wait(wait).build().unwrap()
        };
        net.dev.next_payments([Fate::Hold]);
        let first = client();
        let error = first.get(seller.url("/")).send().await.unwrap_err();
        let PayError::Undecided(undecided) = &error else {
            panic!("{error}");
        };
        assert_eq!(
            undecided.why,
            Doubt::Lightning(Code::LightningPaymentPending)
        );
        let id = undecided.id;
        // The same request asks again, here and in another process, and pays nothing.
        for client in [first, client()] {
            let again = client.get(seller.url("/")).send().await.unwrap_err();
            assert_eq!((again.kind(), again.payment()), (Kind::Undecided, Some(id)));
        }
        assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
        if arrives {
            net.dev.settle_held();
        } else {
            net.dev.fail_held();
        }
        let paid = client().get(seller.url("/")).send().await.unwrap();
        let payment = paid.payment.unwrap();
        assert_eq!((payment.id == id, payment.resumed), (arrives, arrives));
        assert_eq!(net.spent(), TEN_SAT_AND_FEE);
        let expected = if arrives {
            SpendState::Paid
        } else {
            SpendState::Unused
        };
        let record = store.spend(id).await.unwrap().unwrap();
        assert_eq!(record.state, expected);
        assert!(client().pending().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_payment_that_failed_is_no_payment() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 1).await;
    net.dev.next_payments([Fate::Fail]);
    let store = memory();
    let client = net.client(&store).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert!(matches!(error, PayError::NotPaid(_)), "{error}");
    assert_eq!(error.code(), Code::LightningNoRoute);
    assert_eq!((net.spent(), seller.seen().len()), (0, 1));
    let record = store.recent_spends(1).await.unwrap().remove(0);
    assert_eq!(record.state, SpendState::Unused);
    client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
}

/// The process ends after the payment is in the books: before the wallet hears of it, or after it has paid.
#[tokio::test]
async fn a_process_that_ends_while_it_pays_pays_once() {
    for sends in [false, true] {
        let net = Net::start().await;
        let seller = honest_l402(&net, 1).await;
        let store = memory();
        let cut = net
            .client_with(Cut::sender(&net, sends), msat_caps(15 * SAT), &store)
            .build()
            .unwrap();
        let request = cut.get(seller.url("/")).send();
        let ended = tokio::time::timeout(Duration::from_millis(300), request).await;
        assert!(ended.is_err(), "it hangs until it is ended");
        drop(cut);
        let open = store.open_spends(9).await.unwrap();
        assert_eq!(open.len(), 1);
        let id = open[0].spend.id;
        let client = net.client(&store).build().unwrap();
        let paid = if sends {
            client.get(seller.url("/")).send().await.unwrap()
        } else {
            client.resume(id).await.unwrap()
        };
        let payment = paid.payment.unwrap();
        assert_eq!((payment.id, payment.resumed), (id, true));
        assert_eq!(paid.answer.text().await.unwrap(), "a joke");
        assert_eq!(net.spent(), TEN_SAT_AND_FEE);
        assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_payment_is_fetched_with_the_same_token() {
    for resends in [0, 2] {
        let net = Net::start().await;
        let invoice = net.invoice(10 * SAT).await;
        let lines = challenge::Lines::default();
        let line = challenge::write(&net.token(&invoice), invoice.as_str(), lines).remove(1);
        let drops = AtomicU32::new(1);
        let seller = raw_seller(move |head| {
            if !head.contains("authorization: L402 ") {
                return Some(raw(402, &[("www-authenticate", line.clone())], ""));
            }
            let lost = drops.swap(0, Ordering::Relaxed) > 0;
            (!lost).then(|| raw(200, &[], "a joke"))
        });
        let store = memory();
        let client = net.client(&store).resends(resends).build().unwrap();
        let mut result = client.get(seller.url("/")).send().await;
        if resends == 0 {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), Kind::Undecided, "{error}");
            assert_eq!(client.pending().await.unwrap().len(), 1);
            result = client.get(seller.url("/")).send().await;
        }
        let payment = result.unwrap().payment.unwrap();
        assert_eq!(
            (payment.state, payment.resumed),
            (SpendState::Paid, resends == 0)
        );
        assert_eq!(net.spent(), TEN_SAT_AND_FEE);
        let tokens: Vec<_> = seller.seen().iter().filter_map(shown).collect();
        assert_eq!(tokens, [tokens[0]; 2]);
    }
}

#[tokio::test]
async fn a_server_that_breaks_down_is_shown_the_same_token() {
    let net = Net::start().await;
    let (shop, broken) = (net.clone(), Arc::new(AtomicU32::new(1)));
    let seller = l402_seller(move |request| {
        let (net, broken) = (shop.clone(), broken.clone());
        async move {
            match shown(&request) {
                Some(_) if broken.swap(0, Ordering::Relaxed) > 0 => {
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
                Some(_) => common::served(),
                None => net.ask(10 * SAT).await,
            }
        }
    })
    .await;
    let store = memory();
    let client = net.client(&store).build().unwrap();
    let first = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(first.answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let first = first.payment.unwrap();
    assert_eq!(first.state, SpendState::Open);
    let second = client.get(seller.url("/")).send().await.unwrap();
    let second = second.payment.unwrap();
    assert_eq!((second.id, second.state), (first.id, SpendState::Paid));
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
}

/// The name of a purchase is its payment's, in every copy of the request and in no other request; a name of the caller stays.
#[tokio::test]
async fn a_purchase_is_named_after_its_payment_unless_the_caller_names_it() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 3).await;
    let client = net.client(&memory()).build().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let paid = client.get(seller.url("/")).send().await.unwrap();
        ids.extend(paid.payment.map(|payment| payment.id.to_string()));
    }
    let (name, value) = ("idempotency-key", "mine");
    let own = client.get(seller.url("/other")).header(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
    own.send().await.unwrap();
    let names: Vec<_> = seller
        .seen()
        .iter()
        .map(|seen| (shown(seen).is_some(), seen.header("idempotency-key")))
        .collect();
    let mine = Some("mine".to_owned());
    let expected = [
        (false, None),
        (true, ids.first().cloned()),
        (true, None),
        (false, mine.clone()),
        (true, mine),
    ];
    assert_eq!((ids.len(), names), (1, expected.to_vec()));
}
