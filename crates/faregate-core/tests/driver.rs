//! The till over a scripted rail and a ledger in memory: which effects happen, and in which order.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use faregate_core::port::{Away, SettleOutcome, Unknown};
use faregate_core::rail::VerifyError;
use faregate_core::{Offer, Outcome, Served, SettlePolicy, Till};
use faregate_ledger::{Answer, PaymentState};
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use support::{
    Log, Memory, Scripted, credential, failed, offer, order, payment_id, settled, unknown,
};

struct World {
    till: Till,
    memory: Arc<Memory>,
    rail: Arc<Scripted>,
    log: Log,
    served: Arc<AtomicU32>,
    offer: Offer,
}

fn world(policy: SettlePolicy) -> World {
    world_with(policy, false)
}

/// With a rail that settles `elsewhere`, where its trail hears nothing.
fn world_with(policy: SettlePolicy, elsewhere: bool) -> World {
    let rail = Scripted {
        elsewhere,
        ..Scripted::default()
    };
    let (till, memory, rail, log) = support::till(rail, || Timestamp::from_secs(1_000));
    World {
        till,
        memory,
        rail,
        log,
        served: Arc::default(),
        offer: offer(policy),
    }
}

impl World {
    /// Sends payment 1 for `path`; the service answers with `well`.
    async fn send(&self, path: &str, well: bool) -> Outcome<&'static str> {
        self.send_signed(path, well, "sig").await
    }

    async fn send_signed(
        &self,
        path: &str,
        well: bool,
        signature: &'static str,
    ) -> Outcome<&'static str> {
        let print = Fingerprint::of(&[path.as_bytes()]);
        let (log, served) = (Arc::clone(&self.log), Arc::clone(&self.served));
        self.till
            .run(
                order(&self.offer, print, None),
                credential(1, signature),
                std::future::ready(()),
                move |_paid| {
                    Box::pin(async move {
                        log.lock().unwrap().push("serve".into());
                        served.fetch_add(1, Ordering::SeqCst);
                        if well {
                            Served::Well("joke")
                        } else {
                            Served::Badly("oops")
                        }
                    })
                },
            )
            .await
    }

    async fn sell(&self, path: &str) {
        match self.send(path, true).await {
            Outcome::Sold { sale, .. } => sale.keep(answer()).await.unwrap(),
            other => panic!("not sold: {other:?}"),
        }
    }

    fn effects(&self) -> String {
        self.log.lock().unwrap().join(" ")
    }

    fn state(&self) -> Option<PaymentState> {
        self.memory.state(payment_id(1))
    }
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: Some(b"joke".to_vec()),
    }
}

#[tokio::test]
async fn settle_before_moves_money_then_serves() {
    let world = world(SettlePolicy::Before);
    world.sell("/joke").await;
    assert_eq!(
        world.effects(),
        "verify claim broadcast send post serve keep"
    );
    assert_eq!(world.state(), Some(PaymentState::Settled));
}

#[tokio::test]
async fn settle_after_serves_then_moves_money() {
    let world = world(SettlePolicy::After);
    world.sell("/joke").await;
    assert_eq!(
        world.effects(),
        "verify claim serve broadcast send post keep"
    );
}

#[tokio::test]
async fn an_error_of_the_service_costs_nothing_when_settling_after() {
    let world = world(SettlePolicy::After);
    assert!(matches!(
        world.send("/joke", false).await,
        Outcome::NotSold("oops")
    ));
    assert_eq!(world.effects(), "verify claim serve release");
    // ... and the same payment buys the next, good answer
    world.sell("/joke").await;
    assert_eq!(world.served.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failed_settlement_serves_nothing() {
    for (policy, effects) in [
        (
            SettlePolicy::Before,
            "verify claim broadcast send void challenge",
        ),
        (
            SettlePolicy::After,
            "verify claim serve broadcast send void challenge",
        ),
    ] {
        let world = world(policy);
        world.rail.settle.lock().unwrap().push_back(failed());
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Refused { .. }
        ));
        assert_eq!(world.effects(), effects);
        // its copy hears the same and nothing is sent again
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Refused { .. }
        ));
        assert_eq!(world.state(), Some(PaymentState::Failed));
    }
}

#[tokio::test]
async fn an_unknown_end_is_withheld_then_resolved_and_never_sent_twice() {
    for policy in [SettlePolicy::Before, SettlePolicy::After] {
        let world = world(policy);
        world.rail.settle.lock().unwrap().push_back(unknown());
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Pending { .. }
        ));
        assert_eq!(world.state(), Some(PaymentState::Broadcast));
        // still unknown
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Pending { .. }
        ));
        world.rail.resolve.lock().unwrap().push_back(settled());
        world.sell("/joke").await;
        assert_eq!(world.state(), Some(PaymentState::Settled));
        assert_eq!(
            world.effects().matches("send").count(),
            1,
            "{}",
            world.effects()
        );
    }
}

#[tokio::test]
async fn a_copy_gets_the_kept_answer_even_when_it_no_longer_verifies() {
    let world = world(SettlePolicy::Before);
    world.sell("/joke").await;
    for verify in [
        Ok(()),
        Err(VerifyError::Refused(Refusal::new(
            Code::InvalidExactEvmNonceAlreadyUsed,
        ))),
    ] {
        world.rail.verify.lock().unwrap().push_back(verify);
        match world.send("/joke", true).await {
            Outcome::Replay(payment) => assert_eq!(payment.answer, Some(answer())),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn another_request_or_other_bytes_with_the_same_payment_conflict() {
    let world = world(SettlePolicy::Before);
    world.sell("/joke").await;
    assert!(matches!(
        world.send("/other", true).await,
        Outcome::Conflict
    ));
    assert!(matches!(
        world.send_signed("/joke", true, "forged").await,
        Outcome::Conflict
    ));
    // a forged copy that does not verify hears why, and gets no answer
    let spent = Err(VerifyError::Refused(Refusal::new(
        Code::InvalidExactEvmPayloadSignature,
    )));
    world.rail.verify.lock().unwrap().push_back(spent);
    assert!(matches!(
        world.send_signed("/joke", true, "forged").await,
        Outcome::Conflict
    ));
    assert_eq!(world.served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_payer_whose_answer_was_lost_is_served() {
    let world = world(SettlePolicy::Before);
    // sold, and the process dies before the answer is kept
    assert!(matches!(
        world.send("/joke", true).await,
        Outcome::Sold { .. }
    ));
    world.sell("/joke").await;
    assert_eq!(world.effects().matches("send").count(), 1);
    assert_eq!(world.served.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_copy_waits_while_the_first_is_not_kept() {
    let world = world(SettlePolicy::Before);
    let Outcome::Sold { sale, .. } = world.send("/joke", true).await else {
        panic!("not sold")
    };
    assert!(matches!(world.send("/joke", true).await, Outcome::InFlight));
    sale.keep(answer()).await.unwrap();
    assert!(matches!(
        world.send("/joke", true).await,
        Outcome::Replay(_)
    ));
}

#[tokio::test]
async fn nothing_is_served_or_sent_while_the_ledger_is_away() {
    for policy in [SettlePolicy::Before, SettlePolicy::After] {
        let world = world(policy);
        *world.memory.away.lock().unwrap() = true;
        match world.send("/joke", true).await {
            Outcome::Unavailable(Away { code }) => assert_eq!(code, Code::StoreUnavailable),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.effects(), "verify");
    }
}

#[tokio::test]
async fn a_refused_credential_claims_nothing() {
    let world = world(SettlePolicy::Before);
    let refusal = Refusal::new(Code::InvalidExactEvmInsufficientBalance);
    world
        .rail
        .verify
        .lock()
        .unwrap()
        .push_back(Err(VerifyError::Refused(refusal.clone())));
    match world.send("/joke", true).await {
        Outcome::Unpaid { refusal: why, .. } => assert_eq!(why, refusal),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.effects(), "verify challenge");
    assert_eq!(world.state(), None);
}

#[tokio::test]
async fn an_unknown_end_that_failed_is_refused() {
    let world = world(SettlePolicy::Before);
    world
        .rail
        .settle
        .lock()
        .unwrap()
        .push_back(SettleOutcome::Unknown(Unknown {
            code: Code::FacilitatorUnavailable,
            transaction: None,
        }));
    assert!(matches!(
        world.send("/joke", true).await,
        Outcome::Pending { .. }
    ));
    assert_eq!(world.state(), Some(PaymentState::Broadcast));
    world.rail.resolve.lock().unwrap().push_back(failed());
    assert!(matches!(
        world.send("/joke", true).await,
        Outcome::Refused { .. }
    ));
    assert_eq!(world.state(), Some(PaymentState::Failed));
}

#[tokio::test]
async fn a_claim_whose_owner_died_before_sending_is_taken_over() {
    let world = world(SettlePolicy::After);
    let print = Fingerprint::of(&[b"/joke"]);
    let (log, mine) = (Arc::clone(&world.log), credential(1, "sig"));
    let mut first = Box::pin(world.till.run(
        order(&world.offer, print, None),
        mine,
        std::future::pending(),
        move |_paid| {
            log.lock().unwrap().push("serve".into());
            Box::pin(std::future::pending::<Served<&'static str>>())
        },
    ));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(matches!(world.send("/joke", true).await, Outcome::InFlight));
    drop(first);
    assert_eq!(world.state(), Some(PaymentState::Reserved));
    world.sell("/joke").await;
    assert_eq!(
        world.effects(),
        "verify claim serve verify claim serve broadcast send post keep"
    );
}

#[tokio::test]
async fn copies_wait_for_the_first_and_get_its_answer() {
    let world = world(SettlePolicy::Before);
    let Outcome::Sold { sale, .. } = world.send("/joke", true).await else {
        panic!("not sold")
    };
    let print = Fingerprint::of(&[b"/joke"]);
    let serve = |_paid| -> futures_util::future::BoxFuture<'static, Served<&'static str>> {
        panic!("a copy is not served")
    };
    let same = credential(1, "sig");
    let copy = world.till.run(
        order(&world.offer, print, None),
        same,
        std::future::pending(),
        serve,
    );
    let forged = credential(1, "forged");
    let other = world.till.run(
        order(&world.offer, print, None),
        forged,
        std::future::pending(),
        serve,
    );
    let (mut copy, mut other) = (Box::pin(copy), Box::pin(other));
    assert!(futures_util::poll!(copy.as_mut()).is_pending());
    assert!(futures_util::poll!(other.as_mut()).is_pending());
    sale.keep(answer()).await.unwrap();
    match copy.await {
        Outcome::Replay(payment) => assert_eq!(payment.answer, Some(answer())),
        other => panic!("{other:?}"),
    }
    assert!(matches!(other.await, Outcome::Conflict));
}

#[tokio::test]
async fn copies_of_one_that_gave_up_may_be_sent_again() {
    let world = world(SettlePolicy::Before);
    let print = Fingerprint::of(&[b"/joke"]);
    let log = Arc::clone(&world.log);
    // The first is stuck in the service of a route that settles afterwards; its copy waits, then the first gives up.
    let after = offer(SettlePolicy::After);
    let (mine, same) = (credential(1, "sig"), credential(1, "sig"));
    let mut first = Box::pin(world.till.run(
        order(&after, print, None),
        mine,
        std::future::pending(),
        move |_paid| {
            log.lock().unwrap().push("serve".into());
            Box::pin(std::future::pending::<Served<&'static str>>())
        },
    ));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let serve = |_paid| -> futures_util::future::BoxFuture<'static, Served<&'static str>> {
        panic!("a copy is not served")
    };
    let mut copy = Box::pin(world.till.run(
        order(&after, print, None),
        same,
        std::future::pending(),
        serve,
    ));
    assert!(futures_util::poll!(copy.as_mut()).is_pending());
    drop(first);
    assert!(matches!(copy.await, Outcome::InFlight));
    assert_eq!(world.state(), Some(PaymentState::Reserved));
}

#[tokio::test]
async fn what_was_asked_of_somebody_else_is_not_begun_again() {
    for policy in [SettlePolicy::Before, SettlePolicy::After] {
        let world = world_with(policy, true);
        let lost = SettleOutcome::Unknown(Unknown {
            code: Code::FacilitatorUnavailable,
            transaction: None,
        });
        world.rail.settle.lock().unwrap().push_back(lost);
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Pending { .. }
        ));
        // Nothing is on record, and all the same it may have been sent: a service that fails now must not give it back.
        assert_eq!(world.state(), Some(PaymentState::Reserved));
        assert!(matches!(
            world.send("/joke", false).await,
            Outcome::Pending { .. }
        ));
        assert!(!world.effects().contains("release"), "{}", world.effects());
        world.rail.resolve.lock().unwrap().push_back(settled());
        assert!(matches!(
            world.send("/joke", true).await,
            Outcome::Sold { .. }
        ));
        assert_eq!(world.effects().matches("send").count(), 1);
    }
}
