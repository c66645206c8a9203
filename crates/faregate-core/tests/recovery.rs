//! Recovery over a scripted rail and a ledger in memory: which payments are asked about, and what is written down.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use faregate_core::port::{SettleOutcome, Unknown};
use faregate_core::{Outcome, Recovery, Served, SettlePolicy, SweepReport, Till};
use faregate_ledger::{AccountId, Answer, Claim, Payment, PaymentState, Transfer};
use faregate_types::{Address, Amount, AssetRegistry, ChainId, Code, Fingerprint, RailName};
use faregate_types::{Timestamp, U256};
use futures_util::poll;
use support::{
    DAMAGED, Log, Memory, Scripted, credential, failed, offer, order, payment_id, settled, unknown,
};
use tokio::sync::Semaphore;

const NOW: u64 = 10_000;

struct World {
    till: Till,
    recovery: Recovery,
    memory: Arc<Memory>,
    rail: Arc<Scripted>,
    log: Log,
    clock: Arc<AtomicU64>,
}

fn world() -> World {
    world_with(None)
}

fn world_with(hold: Option<Semaphore>) -> World {
    let rail = Scripted {
        hold,
        ..Scripted::default()
    };
    let clock = Arc::new(AtomicU64::new(NOW));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_secs(time.load(Ordering::SeqCst));
    let (till, memory, rail, log) = support::till(rail, now);
    World {
        recovery: till.recovery(),
        till,
        memory,
        rail,
        log,
        clock,
    }
}

impl World {
    /// Puts a payment into the ledger that somebody left behind at `at`.
    fn left(&self, number: u8, state: PaymentState, at: u64) {
        let asset = AssetRegistry::builtin()
            .default_for(ChainId::BASE_SEPOLIA)
            .unwrap()
            .id;
        let claim = Claim {
            id: payment_id(number),
            rail: RailName::X402,
            fingerprint: Fingerprint::of(&[Fingerprint::of(&[b"/joke"]).as_bytes(), b"sig"]),
            transfer: Transfer {
                debit: AccountId::payer(Address::repeat_byte(1)),
                credit: AccountId::payee(Address::repeat_byte(2)),
                amount: Amount::new(U256::from(1_000), asset),
            },
            route: "joke".into(),
            evidence: b"sig".to_vec(),
            at: Timestamp::from_secs(at),
            exposure_max: None,
            funds: None,
            idempotency: None,
        };
        let mut row = Payment::reserved(claim);
        row.state = state;
        row.transaction = (state == PaymentState::Broadcast).then(|| "0xaa".into());
        self.memory
            .rows
            .lock()
            .unwrap()
            .insert(payment_id(number), row);
    }

    /// The payment's answer has left before it was paid.
    fn serve(&self, number: u8) {
        let mut rows = self.memory.rows.lock().unwrap();
        rows.get_mut(&payment_id(number)).unwrap().answer = Some(Answer {
            status: 200,
            headers: Vec::new(),
            body: None,
        });
    }

    fn tell(&self, outcomes: impl IntoIterator<Item = SettleOutcome>) {
        self.rail.resolve.lock().unwrap().extend(outcomes);
    }

    async fn sweep(&self, limit: u32) -> SweepReport {
        let now = Timestamp::from_secs(self.clock.load(Ordering::SeqCst));
        self.recovery.sweep(now, limit).await.unwrap()
    }

    fn state(&self, number: u8) -> PaymentState {
        self.memory.state(payment_id(number)).unwrap()
    }

    fn later(&self, secs: u64) {
        self.clock.fetch_add(secs, Ordering::SeqCst);
    }

    fn effects(&self) -> String {
        self.log.lock().unwrap().join(" ")
    }

    async fn send(&self, number: u8) -> Outcome<&'static str> {
        let print = Fingerprint::of(&[b"/joke"]);
        let offer = offer(SettlePolicy::Before);
        let mine = credential(number, "sig");
        let serve = |_paid| -> futures_util::future::BoxFuture<'static, Served<&'static str>> {
            Box::pin(async { Served::Well("joke") })
        };
        self.till
            .run(
                order(&offer, print, None),
                mine,
                std::future::ready(()),
                serve,
            )
            .await
    }
}

fn counts(report: SweepReport) -> [u32; 4] {
    [
        report.looked_at,
        report.settled,
        report.failed,
        report.still_unknown,
    ]
}

#[tokio::test]
async fn what_was_sent_ends_as_the_rail_says() {
    let world = world();
    for number in 1..=3 {
        world.left(number, PaymentState::Broadcast, u64::from(number));
    }
    world.tell([settled(), failed(), unknown()]);
    assert_eq!(counts(world.sweep(10).await), [3, 1, 1, 1]);
    assert_eq!(world.effects(), "resolve post resolve void resolve");
    assert_eq!(world.state(1), PaymentState::Settled);
    assert_eq!(world.state(2), PaymentState::Failed);
    assert_eq!(world.state(3), PaymentState::Broadcast);
}

/// Recorded and perhaps never sent: who was served pays, unless the chain already has it.
#[tokio::test]
async fn what_was_served_and_is_not_found_is_settled_again() {
    let world = world();
    world.left(1, PaymentState::Broadcast, NOW);
    world.left(2, PaymentState::Broadcast, NOW);
    world.serve(1);
    world.tell([unknown(), unknown()]);
    assert_eq!(counts(world.sweep(9).await), [2, 0, 0, 2]);
    assert_eq!(world.effects().matches("send").count(), 0);
    world.later(120);
    world.tell([unknown(), unknown()]);
    world.rail.settle.lock().unwrap().push_back(settled());
    assert_eq!(counts(world.sweep(9).await), [2, 1, 0, 1]);
    assert_eq!(world.state(1), PaymentState::Settled);
    assert_eq!(world.state(2), PaymentState::Broadcast, "nobody was served");
}

#[tokio::test]
async fn time_alone_ends_nothing() {
    let world = world();
    world.left(1, PaymentState::Broadcast, 1);
    world.left(2, PaymentState::Reserved, 2);
    *world.rail.expires.lock().unwrap() = Some(Timestamp::from_secs(3));
    let away = || {
        SettleOutcome::Unknown(Unknown {
            code: Code::ChainUnavailable,
            transaction: None,
        })
    };
    for _ in 0..20 {
        world.tell([away(), away()]);
        assert_eq!(counts(world.sweep(10).await), [2, 0, 0, 2]);
        world.later(100_000_000);
    }
    assert_eq!(world.state(1), PaymentState::Broadcast);
    assert_eq!(world.state(2), PaymentState::Reserved);
}

#[tokio::test]
async fn a_reservation_is_asked_about_only_when_the_question_can_move_no_money() {
    let world = world();
    world.left(1, PaymentState::Reserved, 1);
    world.tell([failed()]);
    assert_eq!(counts(world.sweep(10).await), [0; 4], "it never ends");
    *world.rail.expires.lock().unwrap() = Some(Timestamp::from_secs(NOW));
    assert_eq!(counts(world.sweep(10).await), [0; 4], "clocks differ");
    world.later(59);
    assert_eq!(counts(world.sweep(10).await), [0; 4], "clocks still differ");
    world.later(1);
    assert_eq!(counts(world.sweep(10).await), [1, 0, 1, 0]);
    assert_eq!(world.state(1), PaymentState::Failed);
    assert_eq!(world.effects(), "resolve void");
}

#[tokio::test]
async fn a_reservation_whose_money_moved_all_the_same_is_posted() {
    let world = world();
    world.left(1, PaymentState::Reserved, 1);
    *world.rail.expires.lock().unwrap() = Some(Timestamp::from_secs(2));
    world.tell([settled()]);
    assert_eq!(counts(world.sweep(10).await), [1, 1, 0, 0]);
    assert_eq!(world.state(1), PaymentState::Settled);
    // Who paid is served, and not charged again.
    match world.send(1).await {
        Outcome::Sold { response, .. } => assert_eq!(response, "joke"),
        other => panic!("{other:?}"),
    }
    assert!(!world.effects().contains("send"));
}

#[tokio::test]
async fn what_changed_lately_and_what_is_over_the_limit_waits() {
    let world = world();
    for number in 1..=4 {
        world.left(number, PaymentState::Broadcast, u64::from(number) * 10);
    }
    let older_than = Timestamp::from_secs(35);
    let swept = world.recovery.sweep(older_than, 2).await.unwrap();
    assert_eq!(counts(swept), [2, 0, 0, 2]);
    // The two that stayed unknown rest, so the third is next; the fourth is too young.
    world.tell([settled()]);
    let swept = world.recovery.sweep(older_than, 2).await.unwrap();
    assert_eq!(counts(swept), [1, 1, 0, 0]);
    assert_eq!(world.state(3), PaymentState::Settled);
    assert_eq!(world.state(4), PaymentState::Broadcast);
}

#[tokio::test]
async fn an_unknown_end_is_asked_about_less_and_less_often() {
    let world = world();
    world.left(1, PaymentState::Broadcast, 1);
    let mut waits = Vec::new();
    let mut waited = 0_u32;
    while waits.len() < 9 {
        if world.sweep(10).await.looked_at == 1 {
            waits.push(waited);
            waited = 0;
        }
        world.later(30);
        waited += 30;
    }
    assert_eq!(waits, [0, 30, 60, 120, 240, 480, 960, 1_920, 3_600]);
}

#[tokio::test]
async fn a_payment_in_progress_here_is_left_alone() {
    let world = world();
    let print = Fingerprint::of(&[b"/joke"]);
    let (offer, mine) = (offer(SettlePolicy::After), credential(1, "sig"));
    let serve = |_paid| -> futures_util::future::BoxFuture<'static, Served<&'static str>> {
        Box::pin(std::future::pending())
    };
    *world.rail.expires.lock().unwrap() = Some(Timestamp::from_secs(1));
    let mut first = Box::pin(world.till.run(
        order(&offer, print, None),
        mine,
        std::future::pending(),
        serve,
    ));
    assert!(poll!(first.as_mut()).is_pending());
    assert_eq!(world.state(1), PaymentState::Reserved);
    assert_eq!(counts(world.sweep(10).await), [0; 4]);
    drop(first);
    assert_eq!(counts(world.sweep(10).await), [1, 0, 0, 1]);
}

#[tokio::test]
async fn a_copy_that_comes_during_the_question_does_not_work_beside_it() {
    let world = world_with(Some(Semaphore::new(0)));
    world.left(1, PaymentState::Broadcast, 1);
    world.tell([settled()]);
    let mut sweep = Box::pin(world.sweep(10));
    assert!(poll!(sweep.as_mut()).is_pending());
    assert!(matches!(world.send(1).await, Outcome::InFlight));
    world.rail.hold.as_ref().unwrap().add_permits(1);
    assert_eq!(counts(sweep.await), [1, 1, 0, 0]);
    assert!(matches!(world.send(1).await, Outcome::Sold { .. }));
    assert!(!world.effects().contains("send"));
}

#[tokio::test]
async fn a_sweep_that_is_cut_off_leaves_the_payment_to_the_next() {
    let world = world_with(Some(Semaphore::new(0)));
    world.left(1, PaymentState::Broadcast, 1);
    world.tell([settled()]);
    let mut sweep = Box::pin(world.sweep(10));
    assert!(poll!(sweep.as_mut()).is_pending());
    drop(sweep);
    assert_eq!(world.state(1), PaymentState::Broadcast);
    world.rail.hold.as_ref().unwrap().add_permits(1);
    world.later(30);
    assert_eq!(counts(world.sweep(10).await), [1, 1, 0, 0]);
}

#[tokio::test]
async fn without_the_ledger_nothing_is_asked() {
    let world = world();
    world.left(1, PaymentState::Broadcast, 1);
    *world.memory.away.lock().unwrap() = true;
    let error = world
        .recovery
        .sweep(Timestamp::from_secs(NOW), 10)
        .await
        .unwrap_err();
    assert_eq!(error.code, Code::StoreUnavailable);
    assert_eq!(world.effects(), "");
}

#[tokio::test]
async fn evidence_that_cannot_be_read_is_never_a_failed_payment() {
    let world = world();
    world.left(1, PaymentState::Reserved, 1);
    {
        let mut rows = world.memory.rows.lock().unwrap();
        let row = rows.get_mut(&payment_id(1)).unwrap();
        row.claim.evidence = DAMAGED.to_vec();
        row.answer = Some(Answer {
            status: 200,
            headers: vec![],
            body: None,
        });
    }
    assert_eq!(counts(world.sweep(10).await), [1, 0, 0, 1]);
    assert_eq!(world.effects(), "resolve broadcast");
    assert_eq!(world.state(1), PaymentState::Broadcast);
}
