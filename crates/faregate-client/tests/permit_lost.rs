//! Permits whose end is unknown, and tokens on the way: always the same permit, never a second one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use common::lightning::l402_seller;
use common::permit::{ENDPOINT, Release, Shop, TOKEN_SECS, cut_off, posts};
use common::{NOW, Seen, Seller, builder, memory, nobody, seller};
use faregate_client::{
    Client, Doubt, Ends, Kind, PayError, Proof, SpendState, Standing, WalletStore,
};
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{Code, Timestamp};
use futures_util::FutureExt as _;

/// A shop whose answers to the first `count` requests that `are` such ones become something else; it has done everything.
async fn spoilt(
    shop: &Shop,
    count: usize,
    are: fn(&Seen) -> bool,
    into: fn() -> Response,
) -> Seller {
    let (shop, seen_so_far) = (shop.clone(), Arc::new(AtomicUsize::new(0)));
    seller(move |seen| {
        let answer = shop.answer(seen);
        if are(seen) && seen_so_far.fetch_add(1, Ordering::SeqCst) < count {
            return into();
        }
        answer
    })
    .await
}

fn is_post(seen: &Seen) -> bool {
    seen.path == ENDPOINT
}

fn shows_a_token(seen: &Seen) -> bool {
    !is_post(seen) && seen.headers.contains_key("authorization")
}

fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error").into_response()
}

/// A client that sends again once, and does not wait for an end.
fn hasty(store: &Arc<dyn WalletStore>) -> Client {
    let client = builder().resends(1).wait(Duration::from_millis(500));
    client.store(store.clone()).build().unwrap()
}

async fn states(store: &Arc<dyn WalletStore>) -> Vec<SpendState> {
    let spends = store.recent_spends(9).await.unwrap();
    spends.into_iter().map(|record| record.state).collect()
}

/// All posts have the same bytes.
fn the_same(seller: &Seller, count: usize) {
    let posts = posts(seller);
    assert_eq!(posts.len(), count);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
}

#[tokio::test]
async fn what_is_posted_is_in_the_books_already() {
    let shop = Shop::new(Release::Ours);
    let store = memory();
    let (books, was_there) = (store.clone(), Arc::new(AtomicBool::new(false)));
    let told = was_there.clone();
    let seller = seller({
        let shop = shop.clone();
        move |seen| {
            if is_post(seen) {
                let open = books.open_spends(9).now_or_never().unwrap().unwrap();
                let kept = String::from_utf8_lossy(&open[0].spend.credential).into_owned();
                let posted = String::from_utf8_lossy(&seen.body).into_owned();
                told.store(kept.contains(&posted), Ordering::SeqCst);
            }
            shop.answer(seen)
        }
    })
    .await;
    hasty(&store).get(seller.url("/")).send().await.unwrap();
    assert!(was_there.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_lost_token_is_asked_for_again_with_the_same_permit() {
    for (spoil, name) in [(cut_off as fn() -> Response, "cut off"), (broken, "broken")] {
        let shop = Shop::new(Release::Third);
        let seller = spoilt(&shop, 2, is_post, spoil).await;
        let store = memory();
        let client = builder().store(store.clone()).build().unwrap();
        let paid = client.post(seller.url("/")).body("x").send().await.unwrap();
        assert_eq!(paid.payment.unwrap().state, SpendState::Paid, "{name}");
        the_same(&seller, 3);
        assert_eq!(
            (shop.taken(), states(&store).await),
            (1, vec![SpendState::Paid])
        );
    }
}

#[tokio::test]
async fn what_stays_unknown_is_pending_and_ends_with_the_same_permit() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2 {
        let store: Arc<dyn WalletStore> = match number {
            0 => memory(),
            _ => Arc::new(SqliteWallet::open(folder.path().join("wallet.db")).unwrap()),
        };
        let shop = Shop::new(Release::Ours);
        let seller = spoilt(&shop, 4, is_post, broken).await;
        let first = hasty(&store);
        let error = first.get(seller.url("/joke")).send().await.unwrap_err();
        assert!(
            matches!(&error, PayError::Undecided(undecided)
                if matches!(undecided.why, Doubt::Permit(_))),
            "{error}"
        );
        // Another process, which cannot sign.
        let other = nobody(&store);
        let pending = other.pending().await.unwrap();
        assert_eq!((pending.len(), pending[0].standing), (1, Standing::Valid));
        assert_eq!(error.payment(), Some(pending[0].id));
        let paid = other.resume(pending[0].id).await.unwrap();
        assert!(paid.payment.unwrap().resumed);
        assert!(other.pending().await.unwrap().is_empty());
        let posted = posts(&seller);
        assert!(posted.iter().all(|post| post.body == posted[0].body));
        assert_eq!(
            (shop.taken(), states(&store).await),
            (1, vec![SpendState::Paid])
        );
        // What was bought is there for everybody.
        let count = posted.len();
        let paid = hasty(&store).get(seller.url("/joke")).send().await.unwrap();
        assert!(paid.payment.is_none());
        assert_eq!(posts(&seller).len(), count);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_is_left_after_a_while() {
    let shop = Shop::new(Release::Ours);
    let asked = shop.clone();
    let seller = l402_seller(move |seen| {
        let shop = asked.clone();
        async move {
            let answer = shop.answer(&seen);
            if is_post(&seen) {
                std::future::pending::<()>().await;
            }
            answer
        }
    })
    .await;
    let store = memory();
    let client = builder().timeout(Duration::from_millis(300)).resends(1);
    let client = client.store(store.clone()).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Undecided);
    the_same(&seller, 2);
    assert_eq!(states(&store).await, [SpendState::Open]);
}

/// The token is in the books before it is shown, so a process that dies, or an answer that is lost, costs nothing.
#[tokio::test]
async fn a_token_that_was_issued_is_not_bought_again() {
    for ends in [Ends::WhenAnswered, Ends::WhenAcknowledged] {
        for (spoil, is_error) in [(cut_off as fn() -> Response, true), (broken, false)] {
            let shop = Shop::new(Release::Ours);
            let seller = spoilt(&shop, 1, shows_a_token, spoil).await;
            let store = memory();
            let client = builder().ends(ends).store(store.clone()).build().unwrap();
            let first = client.post(seller.url("/")).send().await;
            assert_eq!(first.is_err(), is_error);
            // Another process.
            let next = builder().ends(ends).store(store.clone()).build().unwrap();
            let paid = next.post(seller.url("/")).send().await.unwrap();
            assert_eq!(paid.answer.text().await.unwrap(), "served");
            the_same(&seller, 1);
            let open = store.open_spends(9).await.unwrap();
            assert!(open.is_empty(), "a token that is taken closes its payment");
            assert_eq!(states(&store).await, [SpendState::Paid]);
            // And the same one.
            let paid = client.post(seller.url("/")).send().await.unwrap();
            assert_eq!(paid.answer.text().await.unwrap(), "served");
            the_same(&seller, 1);
        }
    }
}

#[tokio::test]
async fn a_server_that_breaks_down_over_the_request_gets_the_same_token_again() {
    let shop = Shop::new(Release::Ours);
    let seller = spoilt(&shop, 1, shows_a_token, broken).await;
    let store = memory();
    let client = hasty(&store);
    let open = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(
        (open.answer.status().as_u16(), open.payment.unwrap().state),
        (500, SpendState::Open)
    );
    assert_eq!(states(&store).await, [SpendState::Open]);
    let paid = client.get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!((payment.resumed, payment.state), (true, SpendState::Paid));
    the_same(&seller, 1);
    assert_eq!(states(&store).await, [SpendState::Paid]);
}

/// The product's servers forget what they issued, and then refuse what is settled.
#[tokio::test]
async fn a_copy_that_is_refused_was_taken_before() {
    let shop = Shop::new(Release::Ours);
    let seller = seller({
        let (shop, tries) = (shop.clone(), Arc::new(AtomicUsize::new(0)));
        move |seen| match (is_post(seen), tries.load(Ordering::SeqCst)) {
            (true, 0) => {
                tries.fetch_add(1, Ordering::SeqCst);
                cut_off()
            }
            (true, _) => {
                let text = r#"{"error":"Verification failed: Permit nonce does not match on-chain nonce\nDetails: {\n  \"on_chain_nonce\": 1\n}"}"#;
                (StatusCode::BAD_REQUEST, text).into_response()
            }
            _ => shop.answer(seen),
        }
    })
    .await;
    let store = memory();
    let error = hasty(&store).get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (Code::PermitNonceUsed, Kind::Refused)
    );
    let text = error.to_string();
    assert!(
        text.contains("does not match on-chain nonce") && !text.contains('\n'),
        "{text}"
    );
    assert_eq!(states(&store).await, [SpendState::Paid]);
}

/// Whoever is too late with a copy does not know whether the permit itself was in time.
#[tokio::test]
async fn a_copy_that_is_too_late_decides_nothing() {
    let shop = Shop::new(Release::Ours);
    let seller = seller({
        let shop = shop.clone();
        move |seen| match (is_post(seen), shop.taken()) {
            (true, 0) => {
                shop.answer(seen);
                cut_off()
            }
            (true, _) => {
                let text = r#"{"error":"Verification failed: Permit has expired"}"#;
                (StatusCode::BAD_REQUEST, text).into_response()
            }
            _ => shop.answer(seen),
        }
    })
    .await;
    let store = memory();
    let at = |secs: u64| {
        let client = builder().clock(move || Timestamp::from_secs(NOW + secs));
        client.resends(0).store(store.clone()).build().unwrap()
    };
    for secs in [0, 700, 600 + 3599] {
        let error = at(secs).get(seller.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Undecided, "{secs}: {error}");
        assert_eq!(states(&store).await, [SpendState::Open]);
    }
    the_same(&seller, 3);
    // It is not asked about for ever.
    let error = at(600 + 3601)
        .get(seller.url("/"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::PermitExpired);
    assert_eq!(
        states(&store).await,
        [SpendState::Refused, SpendState::Open]
    );
}

#[tokio::test]
async fn a_refusal_says_why_and_counts() {
    let shop = Shop::new(Release::Ours);
    let late = Shop {
        now: NOW + 5_000,
        ..shop
    };
    let seller = late.open().await;
    let store = memory();
    let error = hasty(&store).get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(
        (error.code(), error.kind()),
        (Code::PermitExpired, Kind::Refused)
    );
    assert!(
        error.to_string().contains("400: Verification failed: "),
        "{error}"
    );
    the_same(&seller, 1);
    assert_eq!(states(&store).await, [SpendState::Refused]);
}

/// A chain that cannot be asked is nobody's "no".
#[tokio::test]
async fn a_server_that_cannot_ask_its_chain_is_asked_again() {
    let shop = Shop::new(Release::Ours);
    let seller = spoilt(&shop, 1, is_post, || {
        let text = r#"{"error":"Verification failed: Blockchain interaction error: away"}"#;
        (StatusCode::BAD_REQUEST, text).into_response()
    })
    .await;
    let client = builder().store(memory()).build().unwrap();
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(paid.answer.status(), 200);
    the_same(&seller, 2);
}

#[tokio::test]
async fn a_token_that_opens_nothing_is_told_with_what_was_paid() {
    let shop = Shop::new(Release::Ours);
    let seller = spoilt(&shop, 9, shows_a_token, || {
        let body = common::permit::body(ENDPOINT, &[Release::Ours.component()]);
        common::permit::ask(&body)
    })
    .await;
    let store = memory();
    let client = hasty(&store);
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    let PayError::TokenRefused(refused) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        (error.code(), error.kind()),
        (Code::AccessTokenMissing, Kind::Refused)
    );
    assert_eq!(error.payment(), Some(refused.id));
    let text = error.to_string();
    assert!(
        text.contains("0.01 USDC") && text.contains("402 Missing authorization token"),
        "{text}"
    );
    assert_eq!(
        (posts(&seller).len(), states(&store).await),
        (1, vec![SpendState::Paid])
    );
    assert!(store.tokens(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_that_ends_or_is_not_taken_any_more_is_bought_once_more() {
    let shop = Shop::new(Release::Ours);
    let seller = shop.open().await;
    let store = memory();
    let at = |now: u64| {
        let client = builder().clock(move || Timestamp::from_secs(now));
        client.store(store.clone()).build().unwrap()
    };
    at(NOW).get(seller.url("/")).send().await.unwrap();
    let still = at(NOW + TOKEN_SECS - 6)
        .get(seller.url("/"))
        .send()
        .await
        .unwrap();
    assert!(still.payment.is_none());
    // It might end on the way.
    let anew = at(NOW + TOKEN_SECS - 5)
        .get(seller.url("/"))
        .send()
        .await
        .unwrap();
    assert!(anew.payment.is_some());
    assert_eq!(shop.taken(), 2);

    // The same server with another key.
    let other = Shop::new(Release::Ours);
    let second = seller_at(&shop, &other).await;
    let client = hasty(&store);
    client.get(second.url("/")).send().await.unwrap();
    other.till.lock().unwrap().next_nonce = faregate_types::U256::from(1);
    let paid = client.get(second.url("/")).send().await.unwrap();
    assert!(paid.payment.is_some());
    assert_eq!(posts(&second).len(), 2);
    // Asked, paid, shown; then shown, and because it was not taken, paid, shown.
    assert_eq!(second.seen().len(), 6);
}

/// A seller that is `first` until `then` says otherwise by its till, and from then on knows no token of `first`.
async fn seller_at(first: &Shop, then: &Shop) -> Seller {
    let (first, then) = (first.clone(), then.clone());
    seller(move |seen| {
        let is_over = !then.till.lock().unwrap().next_nonce.is_zero();
        if !is_over {
            return first.answer(seen);
        }
        if shows_a_token(seen) && then.taken() == 0 {
            let body = common::permit::body(ENDPOINT, &[Release::Ours.component()]);
            return common::permit::ask(&body);
        }
        then.answer(seen)
    })
    .await
}

#[tokio::test]
async fn a_request_with_a_credential_of_its_own_uses_a_token_that_is_there() {
    let shop = Shop::new(Release::Ours);
    let seller = shop.open().await;
    let client = hasty(&memory());
    for number in 0..3 {
        let mine = HeaderValue::from_static("Basic bWluZQ==");
        let request = client
            .get(seller.url("/"))
            .header(header::AUTHORIZATION, mine);
        let paid = request.send().await.unwrap();
        assert_eq!(paid.answer.text().await.unwrap(), "served");
        assert_eq!(paid.payment.is_some(), number == 0);
    }
    the_same(&seller, 1);
}

/// Whoever does not take a token says 402; a 401 is about something else, and no other token would change it.
#[tokio::test]
async fn a_token_is_not_bought_again_for_a_401() {
    let shop = Shop::new(Release::Ours);
    let seller = spoilt(&shop, 9, shows_a_token, || {
        StatusCode::UNAUTHORIZED.into_response()
    })
    .await;
    let store = memory();
    let client = hasty(&store);
    for number in 0..3 {
        let answer = client.get(seller.url("/")).send().await.unwrap();
        assert_eq!(answer.answer.status(), 401);
        assert_eq!(answer.payment.is_some(), number == 0);
    }
    the_same(&seller, 1);
    assert_eq!(store.tokens(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_somebody_else_bought_meanwhile_is_not_bought_again() {
    let shop = Shop::new(Release::Ours);
    let seller = shop.open().await;
    let store = memory();
    let (one, other) = (hasty(&store), hasty(&store));
    // Both have looked into the books, and there was nothing.
    for client in [&one, &other] {
        client.get(seller.url("/1")).send().await.unwrap();
    }
    assert_eq!(shop.taken(), 1);
    other.get(seller.url("/2")).send().await.unwrap();
    assert!(
        one.get(seller.url("/2"))
            .send()
            .await
            .unwrap()
            .payment
            .is_none()
    );
    assert_eq!(shop.taken(), 2);
}

/// What the chain says about an authorization is the same whoever was told of it.
#[tokio::test]
async fn a_pending_permit_is_proven_as_far_as_one_look_can() {
    use faregate_client::PermitKind;
    let shop = Shop::new(Release::Ours);
    let seller = spoilt(&shop, 9, is_post, broken).await;
    let node = common::permit::node(&shop, u64::MAX).await;
    let reader = faregate_evm::AuthorizationReader::connect(
        node.url("/").parse().unwrap(),
        Duration::from_secs(5),
    )
    .await
    .unwrap();
    let store = memory();
    let client = builder().permit_kind(PermitKind::Permit2).resends(0);
    let client = client.store(store.clone()).build().unwrap();
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    let proof = client
        .prove(error.payment().unwrap(), &reader)
        .await
        .unwrap();
    assert_eq!(proof, Proof::Undecided);
}
