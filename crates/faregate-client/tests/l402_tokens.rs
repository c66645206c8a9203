//! Tokens in the wallet's books: another client, and another process, shows what was bought and buys nothing again.

mod common;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use common::lightning::{Net, SAT, honest_l402, l402_seller, shown};
use common::memory;
use faregate_client::{Ends, Quote, WalletStore};
use faregate_store::sqlite::SqliteWallet;
use faregate_types::Timestamp;

const TEN_SAT_AND_FEE: u64 = 11 * SAT + 1;

#[tokio::test]
async fn another_process_shows_the_token_that_the_first_bought() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wallet.db");
    for (number, ends) in (1_u64..).zip([
        Ends::WhenAnswered,
        Ends::WhenAcknowledged,
        Ends::WhenAnswered,
        Ends::WhenAcknowledged,
        Ends::WhenAnswered,
        Ends::WhenAnswered,
    ]) {
        let store: Arc<dyn WalletStore> = Arc::new(SqliteWallet::open(&file).unwrap());
        let client = net.client(&store).ends(ends).build().unwrap();
        let paid = client.get(seller.url("/joke")).send().await.unwrap();
        assert_eq!(paid.answer.status(), 200);
        assert_eq!(paid.payment.is_some(), number % 3 == 1, "{number}");
        assert_eq!(net.spent(), number.div_ceil(3) * TEN_SAT_AND_FEE);
        if let Some(payment) = &paid.payment {
            client.acknowledge(payment).await;
        }
        let listed = store.tokens(9).await.unwrap();
        assert_eq!(listed.len(), 1, "one that is not taken is forgotten");
        assert_eq!(&*listed[0].path, "/joke");
        assert!(listed[0].credential.is_empty());
    }
}

/// Its process may end before the caller has the answer: then the payment is resumed, and the token is not kept yet.
#[tokio::test]
async fn a_token_is_kept_when_the_answer_is_safe() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 3).await;
    let store = memory();
    let client = net.client(&store).ends(Ends::WhenAcknowledged);
    let client = client.build().unwrap();
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert!(store.tokens(9).await.unwrap().is_empty());
    client.acknowledge(&paid.payment.unwrap()).await;
    assert_eq!(store.tokens(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_somebody_else_bought_meanwhile_is_shown_before_anything_is_paid() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 3).await;
    let store = memory();
    let [one, other] = [(); 2].map(|()| net.client(&store).build().unwrap());
    // Both have asked the books, and there was nothing.
    for client in [&one, &other] {
        let quote = client.get(seller.url("/")).quote().await.unwrap();
        assert!(matches!(quote, Quote::Priced(_)));
    }
    other.get(seller.url("/elsewhere")).send().await.unwrap();
    one.get(seller.url("/")).send().await.unwrap();
    let paid = other.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.is_none());
    assert_eq!(net.spent(), 2 * TEN_SAT_AND_FEE);
    // The books count as little as the server says: two of three were used.
    one.get(seller.url("/")).send().await.unwrap();
    let paid = other.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.is_some(), "used up");
    let paid = one.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.is_none(), "the other's new one");
    assert_eq!(net.spent(), 3 * TEN_SAT_AND_FEE);
}

/// Looking at a price uses nothing.
#[tokio::test]
async fn a_quote_shows_no_token() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 2).await;
    let client = net.client(&memory()).build().unwrap();
    client.get(seller.url("/")).send().await.unwrap();
    let before = seller.seen().len();
    for _ in 0..3 {
        client.get(seller.url("/")).quote().await.unwrap();
    }
    assert!(
        seller.seen()[before..]
            .iter()
            .all(|seen| shown(seen).is_none())
    );
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert!(paid.payment.is_none());
}

/// A token that is not taken any more is dropped from the books too, with 402 or 401, and a request is sent at most so often.
#[tokio::test]
async fn tokens_that_are_not_taken_are_dropped_and_bounded() {
    for refusal in [402, 401] {
        let net = Net::start().await;
        let shop = net.clone();
        let seller = l402_seller(move |request| {
            let net = shop.clone();
            async move {
                match (shown(&request), refusal) {
                    (Some(_), 401) if request.path == "/again" => {
                        StatusCode::UNAUTHORIZED.into_response()
                    }
                    (Some(_), _) if request.path == "/again" => net.ask(10 * SAT).await,
                    (Some(_), _) => common::served(),
                    (None, _) => net.ask(10 * SAT).await,
                }
            }
        })
        .await;
        let store = memory();
        let client = net.client(&store).build().unwrap();
        // Many tokens in the books for one place, none of which is taken there.
        client.get(seller.url("/")).send().await.unwrap();
        let now = Timestamp::from(std::time::SystemTime::now());
        let origin: Box<str> = seller.url("").into();
        let bought = store.tokens_at(origin.clone(), "GET".into(), now);
        let bought = bought.await.unwrap().remove(0);
        for number in 1..9 {
            let token = faregate_ledger::KeptToken {
                payment: faregate_types::PaymentId::from_bytes([number; 32]),
                path: "/again".into(),
                ..bought.clone()
            };
            store.keep_token(token).await.unwrap();
        }
        let before = seller.seen().len();
        let result = client.get(seller.url("/again")).send().await;
        assert!(result.is_err(), "it refuses what was paid for, too");
        let seen = &seller.seen()[before..];
        let with = seen.iter().filter(|seen| shown(seen).is_some()).count();
        assert!(
            seen.len() <= 4 && with <= 3,
            "{refusal}: {with} of {}",
            seen.len()
        );
        assert!(store.tokens(99).await.unwrap().len() < 9);
    }
}
