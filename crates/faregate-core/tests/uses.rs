//! Payments that buy several requests, and payments whose money moved before they are shown.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use alloy_primitives::U256;
use faregate_core::{Outcome, Sale, Served, SettlePolicy, Till, Uses};
use faregate_ledger::{Answer, LedgerStore, PaymentState};
use faregate_types::{Fingerprint, IdempotencyKey, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use support::{Memory, Scripted, credential, offer, order, payment_id};
use tokio::sync::Semaphore;

struct World {
    till: Till,
    memory: Arc<Memory>,
    log: support::Log,
    clock: Arc<AtomicU64>,
    served: Arc<AtomicU32>,
    policy: SettlePolicy,
}

fn world(uses: Uses, policy: SettlePolicy) -> World {
    let rail = Scripted {
        uses: Some(uses),
        prepaid: true,
        ..Scripted::default()
    };
    let clock = Arc::new(AtomicU64::new(1_000));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_secs(time.load(Ordering::SeqCst));
    let (till, memory, _, log) = support::till(rail, now);
    World {
        till,
        memory,
        log,
        clock,
        served: Arc::default(),
        policy,
    }
}

fn counted(max: u32) -> Uses {
    Uses::Counted(NonZeroU32::new(max).unwrap())
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: Some(b"joke".to_vec()),
    }
}

impl World {
    async fn send(&self, path: &str, key: Option<&str>, well: bool) -> Outcome<u32> {
        let (served, offer) = (Arc::clone(&self.served), offer(self.policy));
        let key = key.map(|key| IdempotencyKey::from_payment_identifier(key).unwrap());
        let serve = move |_paid| -> BoxFuture<'static, Served<u32>> {
            async move {
                let n = served.fetch_add(1, Ordering::SeqCst);
                if well {
                    Served::Well(n)
                } else {
                    Served::Badly(n)
                }
            }
            .boxed()
        };
        let print = Fingerprint::of(&[path.as_bytes()]);
        let order = order(&offer, print, key);
        let patience = std::future::ready(());
        self.till
            .run(order, credential(1, "sig"), patience, serve)
            .await
    }

    async fn sell(&self, path: &str) {
        let sale = sale(self.send(path, None, true).await);
        sale.keep(answer()).await.unwrap();
    }

    /// The same ledger in a process that remembers nothing.
    fn restart(self, uses: Uses) -> Self {
        let rail = Scripted {
            uses: Some(uses),
            prepaid: true,
            log: Arc::clone(&self.log),
            ..Scripted::default()
        };
        let time = Arc::clone(&self.clock);
        let till = Till::new(
            Arc::clone(&self.memory) as Arc<dyn LedgerStore>,
            Arc::new(move || Timestamp::from_secs(time.load(Ordering::SeqCst))),
            vec![Arc::new(rail)],
        );
        Self { till, ..self }
    }

    /// How many uses recovery gave back.
    async fn swept(&self) -> u32 {
        let recovery = self.till.recovery();
        let report = recovery.sweep(Timestamp::from_secs(2_000), 10).await;
        report.unwrap().released
    }

    fn effects(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap()).join(" ")
    }

    fn state(&self, n: u32) -> Option<PaymentState> {
        self.memory.state(payment_id(1).nth(n))
    }
}

fn sale<R: std::fmt::Debug>(outcome: Outcome<R>) -> Sale {
    match outcome {
        Outcome::Sold { sale, .. } => sale,
        other => panic!("not sold: {other:?}"),
    }
}

fn is_used_up<R>(outcome: &Outcome<R>) -> bool {
    matches!(outcome, Outcome::Unpaid { .. })
}

#[tokio::test]
async fn a_payment_for_three_buys_three_and_each_costs_its_part() {
    let world = world(counted(3), SettlePolicy::After);
    for path in ["/a", "/a", "/b"] {
        world.sell(path).await;
    }
    assert!(is_used_up(&world.send("/a", None, true).await));
    assert_eq!(world.served.load(Ordering::SeqCst), 3);
    let rows = world.memory.rows.lock().unwrap();
    let parts: Vec<U256> = rows
        .values()
        .map(|row| row.claim.transfer.amount.value())
        .collect();
    let sum = parts.iter().fold(U256::ZERO, |sum, part| sum + *part);
    assert_eq!(sum, U256::from(1_000), "{parts:?}");
    assert!(
        parts
            .iter()
            .all(|part| (333..=334).contains(&part.to::<u64>()))
    );
}

/// What was paid beforehand is written down twice: claimed before it is served, and used with the answer.
#[tokio::test]
async fn a_use_is_recorded_together_with_its_answer() {
    for policy in [SettlePolicy::Before, SettlePolicy::After] {
        let world = world(counted(1), policy);
        world.sell("/a").await;
        assert_eq!(world.effects().replace("send ", ""), "verify claim sell");
        assert_eq!(world.state(0), Some(PaymentState::Settled));
    }
}

#[tokio::test]
async fn of_many_at_once_exactly_as_many_are_served_as_were_paid_for() {
    let world = world(counted(5), SettlePolicy::After);
    let sales = join_all((0..200).map(|n| {
        let world = &world;
        async move {
            match world.send(&format!("/{}", n % 3), None, true).await {
                Outcome::Sold { sale, .. } => {
                    sale.keep(answer()).await.unwrap();
                    1
                }
                outcome => {
                    assert!(is_used_up(&outcome), "{outcome:?}");
                    0
                }
            }
        }
    }))
    .await;
    assert_eq!(sales.iter().sum::<u32>(), 5);
    assert_eq!(world.served.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn an_error_of_the_service_gives_the_use_back() {
    let world = world(counted(2), SettlePolicy::After);
    world.sell("/a").await;
    for _ in 0..5 {
        let failed = world.send("/b", None, false).await;
        assert!(matches!(failed, Outcome::NotSold(_)));
    }
    assert_eq!(world.state(1), Some(PaymentState::Released));
    world.sell("/c").await;
    assert!(is_used_up(&world.send("/c", None, true).await));
    // Paid first, the head of an answer may have left when the service breaks down: the edge says so.
    let world = self::world(counted(1), SettlePolicy::Before);
    sale(world.send("/a", None, true).await).give_back().await;
    assert_eq!(world.state(0), Some(PaymentState::Released));
    world.sell("/b").await;
}

#[tokio::test]
async fn what_was_recorded_and_broke_off_is_owed_to_the_same_request_only() {
    let world = world(counted(1), SettlePolicy::Before);
    let mut streamed = sale(world.send("/a", None, true).await);
    streamed.record().await.unwrap();
    assert!(streamed.is_recorded());
    drop(streamed);
    for _ in 0..3 {
        assert!(is_used_up(&world.send("/b", None, true).await));
    }
    world.sell("/a").await;
    assert!(is_used_up(&world.send("/a", None, true).await));
}

/// A process that dies while it serves has sold nothing: the answer is on record before it leaves.
#[tokio::test]
async fn recovery_gives_back_what_nobody_serves_any_more() {
    let world = world(counted(1), SettlePolicy::After);
    drop(sale(world.send("/a", None, true).await));
    assert_eq!(world.state(0), Some(PaymentState::Reserved));
    let world = world.restart(counted(1));
    assert!(is_used_up(&world.send("/b", None, true).await));
    assert_eq!(world.swept().await, 1);
    world.sell("/b").await;
    assert_eq!(world.swept().await, 0);
    assert_eq!(world.state(0), Some(PaymentState::Settled));
}

#[tokio::test]
async fn the_same_request_after_a_crash_gets_what_it_was_claimed_for() {
    let world = world(counted(1), SettlePolicy::After);
    drop(sale(world.send("/a", None, true).await));
    let world = world.restart(counted(1));
    world.sell("/a").await;
    assert!(is_used_up(&world.send("/a", None, true).await));
}

#[tokio::test]
async fn a_process_that_remembers_nothing_finds_the_next_use() {
    for used in [0, 1, 4, 9, 10] {
        let mut world = world(counted(10), SettlePolicy::After);
        for _ in 0..used {
            world.sell("/a").await;
        }
        world = world.restart(counted(10));
        for _ in used..10 {
            world.sell("/a").await;
        }
        assert!(is_used_up(&world.send("/a", None, true).await), "{used}");
    }
}

/// A payer who names a purchase gets the same answer for it again, and keeps the other uses.
#[tokio::test]
async fn a_named_purchase_is_bought_once() {
    let world = world(counted(3), SettlePolicy::After);
    let first = sale(world.send("/a", Some("order-one-12345678"), true).await);
    first.keep(answer()).await.unwrap();
    for _ in 0..5 {
        let again = world.send("/a", Some("order-one-12345678"), true).await;
        assert!(matches!(again, Outcome::Replay(_)), "{again:?}");
    }
    world.sell("/a").await;
    world.sell("/a").await;
    assert!(is_used_up(&world.send("/a", None, true).await));
}

/// The answer was lost on its way, and there is no other use: the name is looked for among those that were bought.
#[tokio::test]
async fn a_named_purchase_is_found_when_the_payment_is_used_up() {
    const ONE: Option<&str> = Some("order-one-12345678");
    for max in [1, 3] {
        let world = world(counted(max), SettlePolicy::After);
        let first = sale(world.send("/a", ONE, true).await);
        first.keep(answer()).await.unwrap();
        for _ in 1..max {
            world.sell("/b").await;
        }
        let mut world = world;
        for _ in 0..2 {
            let again = world.send("/a", ONE, true).await;
            let Outcome::Replay(kept) = again else {
                panic!("not the same answer: {again:?}");
            };
            assert_eq!(kept.answer, Some(answer()));
            let other = world.send("/b", ONE, true).await;
            assert!(matches!(other, Outcome::KeyConflict), "{other:?}");
            let unnamed = world.send("/a", None, true).await;
            assert!(is_used_up(&unnamed), "{unnamed:?}");
            let new = world.send("/a", Some("order-two-12345678"), true).await;
            assert!(is_used_up(&new), "{new:?}");
            assert_eq!(world.served.load(Ordering::SeqCst), max);
            assert_eq!(world.memory.rows.lock().unwrap().len(), max as usize);
            world = world.restart(counted(max));
        }
    }
}

/// Many copies under one name at the same time: one is served, and nobody hears that the payment is used up.
#[tokio::test]
async fn copies_under_one_name_share_the_only_use() {
    let world = world(counted(1), SettlePolicy::After);
    let (gate, served) = (Arc::new(Semaphore::new(0)), Arc::clone(&world.served));
    let send = |patient: bool| {
        let (held, served) = (Arc::clone(&gate), Arc::clone(&served));
        let (offer, till) = (offer(world.policy), world.till.clone());
        async move {
            let key = IdempotencyKey::from_payment_identifier("order-one-12345678").unwrap();
            let order = order(&offer, Fingerprint::of(&[b"/a"]), Some(key));
            let serve = move |_paid| -> BoxFuture<'static, Served<u32>> {
                async move {
                    held.acquire().await.unwrap().forget();
                    Served::Well(served.fetch_add(1, Ordering::SeqCst))
                }
                .boxed()
            };
            let patience = async move {
                if patient {
                    std::future::pending::<()>().await;
                }
            };
            let outcome = till.run(order, credential(1, "sig"), patience, serve).await;
            match outcome {
                Outcome::Sold { sale, .. } => {
                    sale.keep(answer()).await.unwrap();
                    "sold"
                }
                Outcome::Replay(_) => "replay",
                Outcome::InFlight => "in flight",
                other => panic!("{other:?}"),
            }
        }
    };
    let mut copies: Vec<_> = (0..20).map(|n| Box::pin(send(n % 2 == 0))).collect();
    let waiting = join_all(
        copies
            .iter_mut()
            .map(|copy| async move { futures_util::poll!(copy.as_mut()).map(Some).is_ready() }),
    );
    // The impatient are told to come again, the others wait.
    let left = waiting.await.into_iter().filter(|left| *left).count();
    assert_eq!(left, 10);
    gate.add_permits(20);
    let patient = copies.into_iter().step_by(2);
    let said = join_all(patient).await;
    let count = |what| said.iter().filter(|said| **said == what).count();
    assert_eq!((count("sold"), count("replay")), (1, 9), "{said:?}");
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pass_is_recorded_once_and_serves_whatever_is_asked() {
    let world = world(Uses::Unlimited, SettlePolicy::After);
    for path in ["/a", "/b", "/a"] {
        let passed = world.send(path, None, true).await;
        assert!(matches!(passed, Outcome::Passed { .. }), "{passed:?}");
    }
    let oops = world.send("/a", None, false).await;
    assert!(
        matches!(oops, Outcome::Passed { .. }),
        "an error is an answer"
    );
    assert_eq!(world.memory.rows.lock().unwrap().len(), 1);
    assert_eq!(world.state(0), Some(PaymentState::Settled));
    *world.memory.away.lock().unwrap() = true;
    let away = world.send("/a", None, true).await;
    assert!(matches!(away, Outcome::Unavailable(_)), "{away:?}");
}

#[tokio::test]
async fn while_the_ledger_is_away_nothing_is_bought() {
    let world = world(counted(2), SettlePolicy::After);
    *world.memory.away.lock().unwrap() = true;
    let away = world.send("/a", None, true).await;
    assert!(matches!(away, Outcome::Unavailable(_)));
    assert_eq!(world.served.load(Ordering::SeqCst), 0);
    *world.memory.away.lock().unwrap() = false;
    let sold = sale(world.send("/a", None, true).await);
    *world.memory.away.lock().unwrap() = true;
    assert!(!sold.is_recorded());
    assert!(sold.keep(answer()).await.is_err(), "so it must not leave");
    *world.memory.away.lock().unwrap() = false;
    world.sell("/a").await;
    world.sell("/a").await;
    assert!(is_used_up(&world.send("/a", None, true).await));
}

/// Somebody is on the last use while another asks: there is none left, and there is one again when it was given back.
#[tokio::test]
async fn a_use_in_progress_is_taken() {
    let world = world(counted(1), SettlePolicy::After);
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let slow = move |_paid| -> BoxFuture<'static, Served<u32>> {
        async move {
            held.acquire().await.unwrap().forget();
            Served::Badly(0)
        }
        .boxed()
    };
    let offer = offer(SettlePolicy::After);
    let order = order(&offer, Fingerprint::of(&[b"/slow"]), None);
    let patience = std::future::ready(());
    let mut first = Box::pin(world.till.run(order, credential(1, "sig"), patience, slow));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(is_used_up(&world.send("/a", None, true).await));
    gate.add_permits(1);
    assert!(matches!(first.await, Outcome::NotSold(_)));
    world.sell("/a").await;
}
