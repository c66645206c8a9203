//! What becomes of a token whose money does not move.

use std::sync::Arc;

use faregate_core::TokenPolicy;
use faregate_ledger::PaymentState;
use faregate_types::Code;
use futures_util::FutureExt;
use futures_util::future::join;
use tokio::sync::Semaphore;

use super::collector::*;
use super::world::*;

#[tokio::test]
async fn a_token_whose_money_did_not_move_is_refused_at_the_next_request() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    let token = got.token();
    for _ in 0..3 {
        assert_eq!(world.show(&token, &offer).await, OPENED);
    }
    world.script.then(End::Failed(Code::TransactionFailed));
    settling.unwrap().run().await;
    for _ in 0..3 {
        assert_eq!(
            world.show(&token, &offer).await,
            Err(Code::AccessTokenRevoked)
        );
    }
    // The permit buys no other token, and is not sent again.
    let Got::No(refusal) = world.buy(&offer, permit(0)).await.0 else {
        panic!("a permit that failed bought a token");
    };
    assert_eq!(refusal.code, Code::TransactionFailed);
    assert_eq!(world.script.settles(), 1);
}

/// Proof takes blocks; until then nothing more is given on trust.
#[tokio::test]
async fn a_token_whose_settlement_was_reverted_rests_until_more_is_known() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    for ends_well in [true, false] {
        let permit = permit(u64::from(ends_well));
        let (got, settling) = world.buy(&offer, permit).await;
        let token = got.token();
        assert_eq!(world.show(&token, &offer).await, OPENED);
        world.script.then(End::Reverted);
        settling.unwrap().run().await;
        for _ in 0..2 {
            assert_eq!(
                world.show(&token, &offer).await,
                Err(Code::AccessTokenRevoked)
            );
        }
        assert_eq!(world.state(&permit), Some(PaymentState::Broadcast));
        // Whoever restarts hears it again from the chain.
        let restarted = world.restarted();
        world
            .script
            .resolve
            .lock()
            .unwrap()
            .push_back(End::Reverted);
        let sweep = restarted.till.recovery().sweep(restarted.now(), 10).await;
        assert_eq!(sweep.unwrap().still_unknown, 1);
        assert_eq!(
            restarted.show(&token, &offer).await,
            Err(Code::AccessTokenRevoked)
        );
        let (end, shown) = if ends_well {
            (End::Settled, OPENED)
        } else {
            let failed = End::Failed(Code::TransactionFailed);
            (failed, Err(Code::AccessTokenRevoked))
        };
        world.script.resolve.lock().unwrap().push_back(end);
        world.till.recovery().sweep(world.now(), 10).await.unwrap();
        assert_eq!(world.show(&token, &offer).await, shown);
    }
}

/// The ledger said that it is good; before that was heard, the payment failed.
#[tokio::test]
async fn a_failure_during_an_admission_is_not_forgotten_by_it() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    let token = got.token();
    let late = Arc::new(Semaphore::new(0));
    *world.memory.late.lock().unwrap() = Some(Arc::clone(&late));
    let mut admission = Box::pin(world.show(&token, &offer));
    assert!(admission.as_mut().now_or_never().is_none());
    world.script.then(End::Failed(Code::TransactionFailed));
    *world.memory.late.lock().unwrap() = None;
    settling.unwrap().run().await;
    late.add_permits(1);
    // It was good when it was asked about.
    assert_eq!(admission.await, OPENED);
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::AccessTokenRevoked)
    );
}

#[tokio::test]
async fn requests_in_parallel_with_the_failure_end_refused() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    let token = got.token();
    world.script.then(End::Failed(Code::TransactionFailed));
    let shows = async {
        for _ in 0..50 {
            let _ = world.show(&token, &offer).await;
            tokio::task::yield_now().await;
        }
    };
    join(shows, settling.unwrap().run()).await;
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::AccessTokenRevoked)
    );
}

#[tokio::test]
async fn recovery_settles_what_was_given_out_and_not_sent() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    for nonce in 0..2 {
        // The process died here.
        world.buy(&offer, permit(nonce)).await.0.token();
    }
    let restarted = world.restarted();
    let tokens = [
        restarted.buy(&offer, permit(0)).await.0.token(),
        restarted.buy(&offer, permit(1)).await.0.token(),
    ];
    assert_eq!(world.script.settles(), 0);
    for token in &tokens {
        assert_eq!(restarted.show(token, &offer).await, OPENED);
    }
    world.script.then(End::Failed(Code::TransactionFailed));
    let failed = End::Failed(Code::TransactionFailed);
    world.script.resolve.lock().unwrap().push_back(failed);
    let report = restarted.till.recovery().sweep(restarted.now(), 10).await;
    let report = report.unwrap();
    assert_eq!((report.settled, report.failed, report.unpaid), (1, 1, 1));
    let shown = [
        restarted.show(&tokens[0], &offer).await,
        restarted.show(&tokens[1], &offer).await,
    ];
    let refused = shown
        .iter()
        .filter(|shown| **shown == Err(Code::AccessTokenRevoked));
    assert_eq!(refused.count(), 1, "{shown:?}");
    assert!(shown.contains(&OPENED), "{shown:?}");
}

#[tokio::test]
async fn a_settlement_that_the_chain_took_back_and_that_fails_then_revokes_too() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    let token = world.buy(&offer, permit(0)).await.0.token();
    assert_eq!(world.show(&token, &offer).await, OPENED);
    let gone = faregate_core::port::Finality::Gone;
    world.script.confirm.lock().unwrap().push_back(gone);
    world.script.then(End::Failed(Code::TransactionFailed));
    let failed = End::Failed(Code::TransactionFailed);
    world.script.resolve.lock().unwrap().push_back(failed);
    let report = world.till.recovery().sweep(world.now(), 10).await.unwrap();
    assert_eq!((report.reopened, report.unpaid), (1, 1));
    assert_eq!(
        world.show(&token, &offer).await,
        Err(Code::AccessTokenRevoked)
    );
}

#[tokio::test]
async fn an_unknown_end_gives_no_token_where_the_money_comes_first_and_is_found_out() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Settled);
    world.script.then(End::Sent);
    assert!(matches!(world.buy(&offer, permit(0)).await.0, Got::Later));
    assert_eq!(world.state(&permit(0)), Some(PaymentState::Broadcast));
    // Still unknown.
    assert!(matches!(world.buy(&offer, permit(0)).await.0, Got::Later));
    world.script.resolve.lock().unwrap().push_back(End::Settled);
    let token = world.buy(&offer, permit(0)).await.0.token();
    assert_eq!(world.show(&token, &offer).await, OPENED);
    assert_eq!(world.script.settles(), 1);
}

#[tokio::test]
async fn nothing_that_could_not_be_sent_is_lost() {
    let world = World::new();
    let offer = offer("joke", PRICE, TokenPolicy::Optimistic);
    let (got, settling) = world.buy(&offer, permit(0)).await;
    let token = got.token();
    for _ in 0..3 {
        world.script.then(End::Away);
    }
    settling.unwrap().run().await;
    assert_eq!(world.script.settles(), 3);
    assert_eq!(world.state(&permit(0)), Some(PaymentState::Reserved));
    assert_eq!(world.show(&token, &offer).await, OPENED);
    let report = world.till.recovery().sweep(world.now(), 10).await.unwrap();
    assert_eq!(report.settled, 1);
}
