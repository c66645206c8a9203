//! The permit rail at the till, over a collector that does as it is told: what a permit buys, what a token opens, and what
//! becomes of both when the money does not move.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests may"
)]

#[path = "support/collector.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod collector;
#[path = "permit/ends.rs"]
mod ends;
#[allow(dead_code, reason = "every test file uses its own part")]
mod support;
#[path = "permit/tokens.rs"]
mod tokens;
#[path = "support/permit_world.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod world;

use faregate_core::port::Care;
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::{Asked, Rail, SettlePolicy, TokenPolicy};
use faregate_ledger::{AccountId, Claim, Claimed, LedgerStore, PaymentState, Transfer};
use faregate_types::{Amount, Code, Fingerprint, PaymentId, RailName, Refusal, Timestamp, U256};
use futures_util::future::join_all;
use http::HeaderMap;

use collector::*;
use world::*;

#[tokio::test]
async fn a_402_has_the_members_of_the_product_and_may_be_given_again() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let why = Refusal::new(Code::PaymentRequired);
    let asked = Asked::default();
    let made = world.till.challenge(&offer, &asked, &why).await.unwrap();
    assert!(made.reusable && made.headers.is_empty() && made.status == 402);
    assert_eq!(made.body["reason"], "Missing authorization token");
    let endpoint = made.body["access_token_endpoint"].as_str().unwrap();
    let quote = endpoint.strip_prefix("/token/").unwrap();
    let quotes = Quotes::of([&offer]).unwrap();
    assert_eq!(quotes.find(quote).unwrap().route(), "joke");
    let component = &made.body["payment_scheme"]["payment_components"][0];
    assert_eq!(component["payment_type"], "evm");
    assert_eq!(component["amount"].to_string(), "0.001");
    assert_eq!(component["metadata"]["wallet_address"], WALLET.to_string());
    // Another price is another quote, and the same one is not.
    let same = Quotes::of([&collector_offer("joke", PRICE)]).unwrap();
    assert!(same.find(quote).is_some());
    for other in [
        collector_offer("joke", PRICE + 1),
        collector_offer("jokes", PRICE),
    ] {
        assert!(Quotes::of([&other]).unwrap().find(quote).is_none());
    }
}

fn collector_offer(route: &str, price: u64) -> faregate_core::Offer {
    offer(route, price, TokenPolicy::Optimistic)
}

#[tokio::test]
async fn each_policy_gives_its_token_at_its_time_after_its_checks() {
    for (policy, care, is_owed) in [
        (TokenPolicy::Optimistic, Care::Read, true),
        (TokenPolicy::Simulated, Care::Simulate, true),
        (TokenPolicy::Settled, Care::Read, false),
    ] {
        let world = World::new();
        let offer = offer("joke", PRICE, policy);
        let (got, settling) = world.buy(&offer, permit(0)).await;
        let token = got.token();
        assert_eq!(*world.script.cares.lock().unwrap(), [care], "{policy:?}");
        assert_eq!(settling.is_some(), is_owed, "{policy:?}");
        assert_eq!(world.script.settles(), usize::from(!is_owed), "{policy:?}");
        assert_eq!(world.show(&token, &offer).await, OPENED);
        if let Some(settling) = settling {
            settling.run().await;
        }
        assert_eq!(world.state(&permit(0)), Some(PaymentState::Settled));
        assert_eq!(world.show(&token, &offer).await, OPENED);
        assert_eq!(world.script.settles(), 1, "{policy:?}");
    }
}

/// An offer with two ways to pay is as careful as the more careful of them.
#[test]
fn of_two_policies_the_token_offer_has_the_stricter() {
    let (first, mut second) = (
        ask(PRICE, TokenPolicy::Optimistic),
        ask(PRICE, TokenPolicy::Settled),
    );
    second.asset.id = faregate_types::Erc20::new(second.asset.id.chain(), TREASURY);
    second.amount = Amount::new(U256::from(PRICE), second.asset.id);
    for asks in [vec![first.clone(), second.clone()], vec![second, first]] {
        let offer = offer_of("joke", asks);
        let sold = Permits::token_offer(&offer).unwrap().unwrap();
        assert_eq!(sold.policy(), SettlePolicy::Before);
    }
}

#[tokio::test]
async fn one_digest_buys_one_token_also_after_a_restart() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    let first = got.token();
    world.pass_secs(5);
    // Meanwhile the money has not moved.
    assert_eq!(world.buy(&offer, permit(0)).await.0.token(), first);
    let again = signed(permit(0), Signed::Again);
    drop(settling);
    assert_eq!(world.buy(&offer, again).await.0.token(), first);
    let restarted = world.restarted();
    assert_eq!(restarted.buy(&offer, permit(0)).await.0.token(), first);
    assert_eq!(restarted.show(&first, &offer).await, OPENED);
    // And after it has.
    let recovery = restarted.till.recovery();
    recovery.sweep(restarted.now(), 10).await.unwrap();
    assert_eq!(restarted.state(&permit(0)), Some(PaymentState::Settled));
    assert_eq!(restarted.buy(&offer, permit(0)).await.0.token(), first);
    assert_eq!(world.script.settles(), 1);
    assert_eq!(world.memory.rows.lock().unwrap().len(), 1);
}

/// What was signed is no secret once it is on the chain, and neither is it enough.
#[tokio::test]
async fn a_copy_that_the_payer_did_not_sign_gets_no_token_at_any_time() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let forged = signed(permit(0), Signed::Forged);
    let no = |got: Got| match got {
        Got::No(refusal) => refusal.code,
        Got::Later => Code::SettlementPending,
        other => panic!("{other:?}"),
    };
    let (got, settling) = world.buy(&offer, permit(0)).await;
    got.token();
    // While it is worked on, nobody looks at signatures: the copy is to be sent again.
    let early = no(world.buy(&offer, forged).await.0);
    assert_eq!(early, Code::SettlementPending);
    settling.unwrap().run().await;
    let late = no(world.buy(&offer, forged).await.0);
    assert_eq!(late, Code::PermitSignatureInvalid);
    world.pass_secs(601);
    assert_eq!(no(world.buy(&offer, forged).await.0), Code::PermitExpired);
    // The payer's own copy still has its token.
    world.buy(&offer, permit(0)).await.0.token();
}

#[tokio::test]
async fn another_digest_on_a_nonce_that_is_taken_buys_nothing() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    got.token();
    let other = until(permit(0), 1);
    drop(settling);
    assert!(matches!(world.buy(&offer, other).await.0, Got::Taken));
    let recovery = world.till.recovery();
    recovery.sweep(world.now(), 10).await.unwrap();
    assert!(matches!(world.buy(&offer, other).await.0, Got::Taken));
    assert_eq!(world.script.settles(), 1);
}

/// The same authorization shown over x402 is the same payment.
#[tokio::test]
async fn an_authorization_that_was_used_over_x402_buys_no_token() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let used = authorization(7);
    let claimed = world.memory.claim(reservation(used.payment_id(), PRICE));
    assert_eq!(claimed.await.unwrap(), Claimed::Won);
    assert!(matches!(world.buy(&offer, used).await.0, Got::Taken));
    world.buy(&offer, authorization(8)).await.0.token();
}

/// A payment over x402 in progress.
fn reservation(id: PaymentId, value: u64) -> Claim {
    Claim {
        id,
        rail: RailName::X402,
        fingerprint: Fingerprint::of(&[b"x402"]),
        transfer: Transfer {
            debit: AccountId::payer(OWNER),
            credit: AccountId::payee(TREASURY),
            amount: Amount::new(U256::from(value), usdc().id),
        },
        route: "joke".into(),
        evidence: Vec::new(),
        at: Timestamp::from_secs(NOW),
        exposure_max: None,
        funds: None,
        idempotency: None,
    }
}

#[tokio::test]
async fn after_a_payment_has_failed_another_permit_with_its_nonce_is_another_attempt() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    for attempt in 0..3_u64 {
        world.script.then(End::Failed(Code::TransactionFailed));
        let signed = until(permit(0), attempt);
        let Got::No(refusal) = world.buy(&offer, signed).await.0 else {
            panic!("attempt {attempt} was not refused");
        };
        assert_eq!(refusal.code, Code::TransactionFailed);
        // Once refused it stays refused, and nothing is tried again.
        assert!(matches!(world.buy(&offer, signed).await.0, Got::No(_)));
        assert_eq!(
            world.script.settles(),
            usize::try_from(attempt).unwrap() + 1
        );
    }
    let last = until(permit(0), 9);
    let (got, _) = world.buy(&offer, last).await;
    let token = got.token();
    assert_eq!(world.show(&token, &offer).await, OPENED);
    assert_eq!(world.buy(&offer, last).await.0.token(), token);
    let rows = world.memory.rows.lock().unwrap();
    let failed = rows
        .values()
        .filter(|row| row.state == PaymentState::Failed);
    assert_eq!((failed.count(), rows.len()), (3, 4));
    assert_eq!(rows[&permit(0).payment_id()].state, PaymentState::Failed);
}

/// Each attempt is looked for where it is, without asking the chain about the ones before more than once.
#[tokio::test]
async fn a_second_attempt_asks_the_chain_once_for_each_that_failed() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    world.script.then(End::Failed(Code::TransactionFailed));
    assert!(matches!(world.buy(&offer, permit(0)).await.0, Got::No(_)));
    let before = world.script.verifies();
    world.buy(&offer, until(permit(0), 1)).await.0.token();
    assert_eq!(world.script.verifies() - before, 2);
}

#[tokio::test]
async fn the_balance_has_to_cover_what_is_reserved_over_any_rail() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    world.script.holds(3 * PRICE);
    let x402 = PaymentId::from_bytes([9; 32]);
    world
        .memory
        .claim(reservation(x402, 2 * PRICE))
        .await
        .unwrap();
    world.buy(&offer, permit(0)).await.0.token();
    let Got::No(refusal) = world.buy(&offer, permit(1)).await.0 else {
        panic!("more was given out than there is");
    };
    assert_eq!(refusal.code, Code::PermitBalanceTooLow);
    assert_eq!(
        refusal.words.as_deref(),
        Some(
            "Verification failed: Owner does not have sufficient token balance\nDetails: {\n  \"owner_balance\": 3000,\n  \
             \"required_value\": 4000\n}"
        )
    );
}

#[tokio::test]
async fn of_thirty_at_once_as_many_get_tokens_as_the_money_covers() {
    let world = World::new();
    let mut offers = vec![ask(PRICE, TokenPolicy::Optimistic)];
    offers[0].exposure_max = U256::MAX;
    let offer = offer_of("joke", offers);
    world.script.holds(12 * PRICE + 999);
    let buy = |nonce| {
        let (world, offer) = (&world, &offer);
        async move { world.buy(offer, permit(nonce)).await }
    };
    let got = join_all((0..30).map(buy)).await;
    let tokens = got.iter().filter(|(got, _)| matches!(got, Got::Token(_)));
    assert_eq!(tokens.count(), 12);
    let low = got.iter().filter(
        |(got, _)| matches!(got, Got::No(refusal) if refusal.code == Code::PermitBalanceTooLow),
    );
    assert_eq!(low.count(), 18);
}

#[tokio::test]
async fn a_payer_at_the_limit_gets_the_token_when_the_money_has_moved() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let mut unpaid = Vec::new();
    for nonce in 0..10 {
        let (got, settling) = world.buy(&offer, permit(nonce)).await;
        got.token();
        unpaid.push(settling.expect("not at the limit yet"));
    }
    let (got, settling) = world.buy(&offer, permit(10)).await;
    got.token();
    assert!(settling.is_none());
    assert_eq!(world.state(&permit(10)), Some(PaymentState::Settled));
    assert_eq!(world.script.settles(), 1);
    for settling in unpaid {
        settling.run().await;
    }
    assert!(world.buy(&offer, permit(11)).await.1.is_some());
}

#[tokio::test]
async fn nothing_is_sold_while_nobody_answers() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, _settling) = world.buy(&offer, permit(0)).await;
    let token = got.token();
    world
        .script
        .is_away
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let away = world.buy(&offer, permit(1)).await.0;
    assert!(
        matches!(away, Got::Away(Code::ChainUnavailable)),
        "{away:?}"
    );
    world
        .script
        .is_away
        .store(false, std::sync::atomic::Ordering::SeqCst);
    *world.memory.away.lock().unwrap() = true;
    let away = world.buy(&offer, permit(1)).await.0;
    assert!(
        matches!(away, Got::Away(Code::StoreUnavailable)),
        "{away:?}"
    );
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::StoreUnavailable)
    );
    *world.memory.away.lock().unwrap() = false;
    assert_eq!(world.show(&token, &offer).await, OPENED);
    assert_eq!(world.memory.rows.lock().unwrap().len(), 1);
}

#[test]
fn a_permit_for_another_payee_chain_or_asset_is_no_offer_of_ours() {
    let world = World::new();
    let mut asks = vec![ask(PRICE, TokenPolicy::Optimistic)];
    asks[0].asset.id = faregate_types::Erc20::new(faregate_types::ChainId::BASE, TREASURY);
    asks[0].amount = Amount::new(U256::from(PRICE), asks[0].asset.id);
    // Nothing is collected on that chain: the route does not start.
    assert!(!world.rail.serves(&offer_of("joke", asks)));
    assert!(
        world
            .rail
            .serves(&offer("joke", PRICE, TokenPolicy::Optimistic))
    );
    assert!(matches!(
        world.rail.read(&HeaderMap::new()),
        faregate_core::Reading::Nothing
    ));
}

/// Whatever its chain is: what is not offered is refused before any chain is asked, in the product's words.
#[tokio::test]
async fn a_permit_of_another_chain_is_refused_without_asking_one() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let mut elsewhere = permit(0);
    elsewhere.chain = faregate_types::ChainId::BASE;
    let Got::No(refusal) = world.buy(&offer, elsewhere).await.0 else {
        panic!("it was not refused");
    };
    assert_eq!(refusal.code, Code::PermitNotOffered);
    let words = refusal.words.unwrap();
    assert!(words.ends_with(" on chain eip155:8453"), "{words}");
    assert_eq!((world.script.verifies(), world.script.settles()), (0, 0));
}
