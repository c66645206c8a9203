//! Purchases that are served before they are paid, and purchases that their payers gave a name to.

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

use faregate_core::port::{Away, SettleOutcome, Unknown};
use faregate_core::rail::VerifyError;
use faregate_core::{Offer, Outcome, Served, SettlePolicy, Till};
use faregate_ledger::{Answer, PaymentState};
use faregate_types::{Code, Fingerprint, IdempotencyKey, Refusal, Timestamp};
use support::{
    Log, Memory, Scripted, credential, failed, lending, offer, order, payment_id, receipt_name,
    unknown,
};

struct World {
    till: Till,
    memory: Arc<Memory>,
    rail: Arc<Scripted>,
    log: Log,
}

fn world() -> World {
    world_with(false)
}

/// `elsewhere`: somebody else sends, and this ledger hears only how it ended.
fn world_with(elsewhere: bool) -> World {
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
    }
}

fn answer(text: &str) -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: Some(text.as_bytes().to_vec()),
    }
}

impl World {
    async fn send(&self, offer: &Offer, number: u8, path: &str, key: Option<&str>) -> Outcome<u8> {
        self.ask(offer, number, path, key, true).await
    }

    async fn ask(
        &self,
        offer: &Offer,
        number: u8,
        path: &str,
        key: Option<&str>,
        well: bool,
    ) -> Outcome<u8> {
        let print = Fingerprint::of(&[path.as_bytes()]);
        let key = key.map(|key| IdempotencyKey::from_header(key.as_bytes()).unwrap());
        let (log, mine) = (Arc::clone(&self.log), credential(number, "sig"));
        let serve = move |_paid| -> futures_util::future::BoxFuture<'static, Served<u8>> {
            log.lock().unwrap().push("serve".into());
            let served = if well {
                Served::Well(number)
            } else {
                Served::Badly(number)
            };
            Box::pin(std::future::ready(served))
        };
        let patience = std::future::ready(());
        self.till
            .run(order(offer, print, key), mine, patience, serve)
            .await
    }

    /// Buys and keeps the answer.
    async fn buy(&self, number: u8, key: Option<&str>) {
        match self
            .send(&offer(SettlePolicy::Before), number, "/a", key)
            .await
        {
            Outcome::Sold { sale, .. } => sale.keep(answer("first")).await.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn effects(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap()).join(" ")
    }

    fn state(&self, number: u8) -> Option<PaymentState> {
        self.memory.state(payment_id(number))
    }
}

fn replayed(outcome: Outcome<u8>) -> Answer {
    match outcome {
        Outcome::Replay(payment) => payment.answer.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn in_the_background_the_answer_is_recorded_then_leaves_then_is_paid() {
    let (world, offer) = (world(), lending(1));
    let Outcome::Owed {
        receipt,
        owed,
        response,
    } = world.send(&offer, 1, "/a", None).await
    else {
        panic!("not owed")
    };
    assert_eq!((response, owed.id()), (1, payment_id(1)));
    assert_eq!(receipt[0], (receipt_name(), "pending".parse().unwrap()));
    assert_eq!(
        world.effects(),
        "verify claim serve",
        "nothing left and nothing is owed yet"
    );
    let settling = owed.serve(answer("lent")).await.unwrap();
    assert_eq!(world.effects(), "lend");
    // A copy has the answer at once, also while the money is on its way.
    assert_eq!(
        replayed(world.send(&offer, 1, "/a", None).await),
        answer("lent")
    );
    assert!(matches!(settling.run().await, SettleOutcome::Settled(_)));
    assert_eq!(world.effects(), "broadcast send post");
    assert_eq!(world.state(1), Some(PaymentState::Settled));
    assert_eq!(
        replayed(world.send(&offer, 1, "/a", None).await),
        answer("lent")
    );
    assert!(!world.effects().contains("serve"));
}

/// Its credential may be too old when recovery comes to it, so a lost question must not be the end of it.
#[tokio::test]
async fn what_was_lent_is_tried_again_at_once_when_nothing_could_be_sent() {
    let nothing = || {
        SettleOutcome::Unknown(Unknown {
            code: Code::ChainUnavailable,
            transaction: None,
        })
    };
    for (elsewhere, lost, state, left) in [
        (false, 2, PaymentState::Settled, 0),
        (false, 4, PaymentState::Broadcast, 1),
        // A facilitator elsewhere may have sent it: a refusal of the repetition would prove nothing.
        (true, 2, PaymentState::Reserved, 1),
    ] {
        let (world, offer) = (world_with(elsewhere), lending(1));
        let Outcome::Owed { owed, .. } = world.send(&offer, 1, "/a", None).await else {
            panic!("not owed")
        };
        let settling = owed.serve(answer("lent")).await.unwrap();
        let script = (0..lost).map(|_| nothing());
        world.rail.settle.lock().unwrap().extend(script);
        settling.run().await;
        assert_eq!(world.state(1), Some(state), "{elsewhere} {lost}");
        assert_eq!(world.rail.settle.lock().unwrap().len(), left);
    }
}

#[tokio::test]
async fn what_is_not_recorded_does_not_leave_and_is_not_charged() {
    let (world, offer) = (world(), lending(1));
    let Outcome::Owed { owed, .. } = world.send(&offer, 1, "/a", None).await else {
        panic!("not owed")
    };
    *world.memory.away.lock().unwrap() = true;
    let refused = owed.serve(answer("lent")).await;
    assert!(matches!(
        refused,
        Err(Away {
            code: Code::StoreUnavailable
        })
    ));
    *world.memory.away.lock().unwrap() = false;
    assert_eq!(world.state(1), Some(PaymentState::Reserved));
    assert!(!world.effects().contains("send"));
    // The same credential buys the next answer.
    assert!(matches!(
        world.send(&offer, 1, "/a", None).await,
        Outcome::Owed { .. }
    ));
}

#[tokio::test]
async fn an_error_of_the_service_costs_nothing_in_the_background() {
    let (world, offer) = (world(), lending(1));
    let outcome = world.ask(&offer, 1, "/a", None, false).await;
    assert!(matches!(outcome, Outcome::NotSold(1)));
    assert_eq!(world.effects(), "verify claim serve release");
}

#[tokio::test]
async fn a_payer_at_the_limit_pays_before() {
    let (world, offer) = (world(), lending(2));
    let mut open = Vec::new();
    for number in 1..=2 {
        match world.send(&offer, number, "/a", None).await {
            Outcome::Owed { owed, .. } => open.push(owed.serve(answer("lent")).await.unwrap()),
            other => panic!("{other:?}"),
        }
    }
    world.effects();
    assert!(matches!(
        world.send(&offer, 3, "/a", None).await,
        Outcome::Sold { .. }
    ));
    assert_eq!(
        world.effects(),
        "verify claim exposed claim broadcast send post serve"
    );
    // One that is paid makes room for the next; one that failed does not.
    open.pop().unwrap().run().await;
    world.rail.settle.lock().unwrap().push_back(failed());
    assert!(matches!(
        world.send(&offer, 4, "/a", None).await,
        Outcome::Owed { .. }
    ));
    open.pop().unwrap().run().await;
    assert_eq!(world.state(1), Some(PaymentState::Failed));
    world.effects();
    assert!(matches!(
        world.send(&offer, 5, "/a", None).await,
        Outcome::Sold { .. }
    ));
    // A copy of what was never paid is not served again.
    assert!(matches!(
        world.send(&offer, 1, "/a", None).await,
        Outcome::Refused { .. }
    ));
}

#[tokio::test]
async fn without_a_limit_for_the_asset_nothing_is_lent() {
    let world = world();
    let outcome = world
        .send(&offer(SettlePolicy::Background), 1, "/a", None)
        .await;
    assert!(matches!(outcome, Outcome::Sold { .. }));
    assert_eq!(world.effects(), "verify claim broadcast send post serve");
}

#[tokio::test]
async fn the_same_key_buys_once_whatever_credential_it_comes_with() {
    let world = world();
    world.buy(1, Some("order")).await;
    world.effects();
    let offer = offer(SettlePolicy::Before);
    // The second credential is verified, so that its payer is known, and then not used.
    assert_eq!(
        replayed(world.send(&offer, 2, "/a", Some("order")).await),
        answer("first")
    );
    assert_eq!(world.effects(), "verify claim verify claim");
    assert_eq!(world.state(2), None);
    let other = world.send(&offer, 2, "/b", Some("order")).await;
    assert!(matches!(other, Outcome::KeyConflict));
    assert_eq!(world.effects(), "verify claim");
    // Whoever cannot pay learns nothing about the key.
    let refusal = Refusal::new(Code::InvalidExactEvmPayloadSignature);
    let refused = Err(VerifyError::Refused(refusal));
    world.rail.verify.lock().unwrap().push_back(refused);
    let outcome = world.send(&offer, 3, "/a", Some("order")).await;
    assert!(matches!(outcome, Outcome::Unpaid { .. }));
}

#[tokio::test]
async fn a_key_in_progress_is_waited_for_and_shared() {
    let world = world();
    let offer = offer(SettlePolicy::Before);
    let Outcome::Sold { sale, .. } = world.send(&offer, 1, "/a", Some("order")).await else {
        panic!("not sold")
    };
    let (mine, key) = (
        credential(2, "sig"),
        IdempotencyKey::from_header(b"order").unwrap(),
    );
    let serve = |_paid| -> futures_util::future::BoxFuture<'static, Served<u8>> {
        panic!("a copy is not served")
    };
    let copy = world.till.run(
        order(&offer, Fingerprint::of(&[b"/a"]), Some(key)),
        mine,
        std::future::pending(),
        serve,
    );
    let mut copy = Box::pin(copy);
    assert!(futures_util::poll!(copy.as_mut()).is_pending());
    let impatient = world.send(&offer, 2, "/a", Some("order")).await;
    assert!(matches!(impatient, Outcome::InFlight));
    sale.keep(answer("first")).await.unwrap();
    assert_eq!(replayed(copy.await), answer("first"));
    assert_eq!(world.state(2), None);
}

#[tokio::test]
async fn a_key_whose_purchase_was_cut_off_is_finished_with_its_own_credential() {
    let world = world();
    let offer = offer(SettlePolicy::Before);
    world.rail.settle.lock().unwrap().push_back(unknown());
    let cut = world.send(&offer, 1, "/a", Some("order")).await;
    assert!(matches!(cut, Outcome::Pending { .. }));
    world.effects();
    let again = world.send(&offer, 2, "/a", Some("order")).await;
    assert!(
        matches!(again, Outcome::Pending { .. }),
        "nothing else is charged"
    );
    world
        .rail
        .resolve
        .lock()
        .unwrap()
        .push_back(support::settled());
    let served = world.send(&offer, 2, "/a", Some("order")).await;
    assert!(matches!(served, Outcome::Sold { .. }));
    assert!(!world.effects().contains("send"));
    assert_eq!(
        (world.state(1), world.state(2)),
        (Some(PaymentState::Settled), None)
    );
}

#[tokio::test]
async fn a_key_whose_evidence_cannot_be_read_buys_nothing_new() {
    let world = world();
    world.buy(1, Some("order")).await;
    {
        let mut rows = world.memory.rows.lock().unwrap();
        let row = rows.get_mut(&payment_id(1)).unwrap();
        row.claim.evidence = support::DAMAGED.to_vec();
    }
    world.effects();
    let offer = offer(SettlePolicy::Before);
    let again = world.send(&offer, 2, "/a", Some("order")).await;
    assert!(matches!(again, Outcome::Unavailable(_)), "{again:?}");
    assert_eq!(world.effects(), "verify claim");
    assert_eq!(world.state(2), None);
}

#[tokio::test]
async fn a_key_is_free_when_its_purchase_failed() {
    let world = world();
    let offer = offer(SettlePolicy::Before);
    world.rail.settle.lock().unwrap().push_back(failed());
    let refused = world.send(&offer, 1, "/a", Some("order")).await;
    assert!(matches!(refused, Outcome::Refused { .. }));
    world.buy(2, Some("order")).await;
    assert_eq!(world.state(2), Some(PaymentState::Settled));
}

#[tokio::test]
async fn a_dropped_answer_is_told_as_used_with_its_receipt() {
    let world = world();
    world.buy(1, None).await;
    let dropped = Answer {
        body: None,
        ..answer("")
    };
    let drop_it = |rows: &mut std::collections::BTreeMap<_, faregate_ledger::Payment>| {
        rows.get_mut(&payment_id(1)).unwrap().answer = Some(dropped);
    };
    drop_it(&mut world.memory.rows.lock().unwrap());
    world.effects();
    let told = replayed(
        world
            .send(&offer(SettlePolicy::Before), 1, "/a", None)
            .await,
    );
    assert_eq!(told.headers, [("receipt".into(), b"settled".to_vec())]);
    assert_eq!((told.status, told.body), (200, None));
    assert_eq!(world.effects(), "verify claim", "not served again");
}
