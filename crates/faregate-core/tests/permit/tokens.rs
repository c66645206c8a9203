//! What a token opens, and what it does not.

use std::sync::{Arc, Mutex};

use faregate_core::TokenPolicy;
use faregate_core::rail::l402::Revocations;
use faregate_ledger::{Revocation, RevocationStore, RevokedName, StoreError};
use faregate_types::Code;
use faregate_types::permit::{Claims, TokenKey, token};
use futures_util::future::{BoxFuture, ready};
use proptest::prelude::*;

use super::collector::*;
use super::world::*;

#[tokio::test]
async fn a_token_works_in_its_last_second_and_not_in_the_next() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    let token = world.buy(&offer, permit(0)).await.0.token();
    world.pass_secs(TOKEN_SECS);
    // In every way a request can go.
    for _ in 0..3 {
        assert_eq!(world.show(&token, &offer).await, OPENED);
    }
    let restarted = world.restarted();
    world.pass_secs(1);
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::AccessTokenExpired)
    );
    assert_eq!(
        restarted.show(&token, &offer).await,
        Err(Code::AccessTokenExpired)
    );
}

#[tokio::test]
async fn a_token_opens_the_route_it_was_bought_for() {
    let world = World::new();
    let (joke, song) = (
        offer("joke", PRICE, TokenPolicy::Optimistic),
        offer("song", PRICE, TokenPolicy::Optimistic),
    );
    let token = world.buy(&joke, permit(0)).await.0.token();
    for _ in 0..3 {
        assert_eq!(world.show(&token, &joke).await, OPENED);
        assert_eq!(
            world.show(&token, &song).await,
            Err(Code::AccessTokenElsewhere)
        );
    }
}

#[tokio::test]
async fn a_token_without_a_quote_opens_what_costs_no_more() {
    let world = World::new();
    let bought = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, _settling) = world.post(&bought, permit(0), false).await;
    let token = got.token();
    for _ in 0..3 {
        for (route, price, opens) in [
            ("joke", PRICE, OPENED),
            ("pun", PRICE - 1, OPENED),
            ("same", PRICE, OPENED),
            ("song", PRICE + 1, Err(Code::AccessTokenElsewhere)),
        ] {
            let offer = offer(route, price, TokenPolicy::Optimistic);
            assert_eq!(world.show(&token, &offer).await, opens, "{route}");
        }
    }
}

/// A token that was let in elsewhere on trust is not trusted where the seller wants the money first.
#[tokio::test]
async fn a_route_that_wants_the_money_first_takes_no_token_on_trust() {
    let world = World::new();
    let cheap = offer("pun", PRICE, TokenPolicy::Optimistic);
    let strict = offer("joke", PRICE, TokenPolicy::Settled);
    let (got, settling) = world.post(&cheap, permit(0), false).await;
    let token = got.token();
    for _ in 0..3 {
        let (code, _) = world
            .show_lines(&[format!("Bearer {token}").as_bytes()], &strict)
            .await
            .unwrap_err();
        // It is to be shown again, not to be paid again.
        assert_eq!(code, Code::SettlementPending);
        assert_eq!(world.show(&token, &cheap).await, OPENED);
    }
    settling.unwrap().run().await;
    for _ in 0..3 {
        assert_eq!(world.show(&token, &strict).await, OPENED);
    }
}

#[tokio::test]
async fn a_token_with_other_words_opens_nothing() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    let text = world.buy(&offer, permit(0)).await.0.token();
    let key = || TokenKey::new(KEY.to_owned()).unwrap();
    let claims = token::verify(&text, &key(), world.now()).unwrap().claims;
    assert_eq!(token::mint(&key(), &claims), text);
    let elsewhere = |change: fn(&mut Claims)| {
        let mut changed = claims.clone();
        change(&mut changed);
        token::mint(&key(), &changed)
    };
    let other_asset = format!("eip155:84532/erc20:{TREASURY}");
    for changed in [
        elsewhere(|claims| claims.aud = Some("songs.example".to_owned())),
        elsewhere(|claims| claims.aud = None),
        elsewhere(|claims| claims.route = None),
        elsewhere(|claims| claims.method = Some("POST".to_owned())),
        elsewhere(|claims| claims.jti = None),
        elsewhere(|claims| claims.jti = Some("0x12".to_owned())),
        elsewhere(|claims| claims.payer = None),
        elsewhere(|claims| claims.asset = None),
        elsewhere(|claims| claims.amount = Some("999".to_owned())),
        elsewhere(|claims| claims.amount = Some("-1".to_owned())),
        token::mint(
            &key(),
            &Claims {
                asset: Some(other_asset),
                ..claims.clone()
            },
        ),
        // What a server of the product makes with the same key.
        token::mint(
            &key(),
            &Claims {
                exp: claims.exp,
                iat: claims.iat,
                nonce: claims.nonce.clone(),
                ..Claims::default()
            },
        ),
    ] {
        assert_eq!(
            world.show(&changed, &offer).await,
            Err(Code::AccessTokenElsewhere),
            "{changed}"
        );
    }
    let forged = token::mint(&TokenKey::new("another".to_owned()).unwrap(), &claims);
    assert_eq!(
        world.show(&forged, &offer).await,
        Err(Code::AccessTokenForged)
    );
    assert_eq!(world.show(&text, &offer).await, OPENED);
}

#[tokio::test]
async fn a_payment_that_the_books_do_not_have_opens_nothing() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let token = world.buy(&offer, permit(0)).await.0.token();
    world.memory.rows.lock().unwrap().clear();
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::AccessTokenRevoked)
    );
}

#[tokio::test]
async fn one_good_line_is_enough_and_the_words_are_those_of_the_product() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    let good = world.buy(&offer, permit(0)).await.0.token();
    let good = format!("bearer {good}");
    for lines in [
        [b"Bearer upstream's".as_slice(), good.as_bytes()],
        [good.as_bytes(), b"Basic dTpw"],
        [b"Bearer a.b", good.as_bytes()],
    ] {
        for _ in 0..2 {
            assert_eq!(world.show_lines(&lines, &offer).await, Ok(()));
        }
    }
    for (line, code, reason) in [
        ("", Code::PaymentRequired, ""),
        (
            "Bearer",
            Code::AccessTokenMalformed,
            "Invalid authorization header format",
        ),
        (
            "Basic dTpw",
            Code::AccessTokenMalformed,
            "Invalid authorization header format",
        ),
        (
            "Bearer a b",
            Code::AccessTokenMalformed,
            "Invalid authorization header format",
        ),
        (
            "Bearer abc",
            Code::AccessTokenMalformed,
            "Invalid token format",
        ),
        (
            "Bearer a.b.c",
            Code::AccessTokenMalformed,
            "Invalid token format",
        ),
        (
            "Bearer abc.x",
            Code::AccessTokenMalformed,
            "Invalid token format",
        ),
        (
            "Bearer abcd.abcd",
            Code::AccessTokenForged,
            "Signature verification failed",
        ),
    ] {
        let refused = world.show_lines(&[line.as_bytes()], &offer).await;
        assert_eq!(refused, Err((code, reason.to_owned())), "{line}");
    }
}

/// A list that is written nowhere.
#[derive(Default)]
struct List(Mutex<Vec<Revocation>>);

impl RevocationStore for List {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.lock().unwrap().push(revocation);
        Box::pin(ready(Ok(true)))
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(ready(Ok(self.0.lock().unwrap().clone())))
    }
}

#[tokio::test]
async fn a_revoked_payment_opens_nothing_from_then_on() {
    let list = Arc::new(Revocations::load(Arc::<List>::default()).await.unwrap());
    let world = World::new().revoking(&list);
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    let token = world.buy(&offer, permit(0)).await.0.token();
    for _ in 0..3 {
        assert_eq!(world.show(&token, &offer).await, OPENED);
    }
    let name = RevokedName::from_bytes(*permit(0).payment_id().as_bytes());
    list.revoke(name, world.now()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            world.show(&token, &offer).await,
            Err(Code::AccessTokenRevoked)
        );
    }
}

proptest! {
    /// Whatever stands in the header, there is an answer.
    #[test]
    fn any_line_has_an_answer(line in proptest::collection::vec(any::<u8>(), 0..200), is_bearer: bool) {
        let mut text = if is_bearer { b"Bearer ".to_vec() } else { Vec::new() };
        text.extend(line.into_iter().filter(|byte| *byte >= 32 && *byte != 127));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = World::new();
        let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
        let shown = runtime.block_on(world.show_lines(&[&text], &offer));
        prop_assert!(shown.is_err());
    }
}
