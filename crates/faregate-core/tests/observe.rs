//! What whoever watches a till is told: everything that happens, each thing once, and nothing that nobody wants.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use faregate_core::port::{Away, Finality};
use faregate_core::rail::{Credential, VerifyError};
use faregate_core::{
    About, GateEvent, Kind, Observer, Offer, Outcome, Served, SettlePolicy, Till, Uses, What,
};
use faregate_ledger::{Answer, PaymentState};
use faregate_types::{Code, Fingerprint, RailName, Refusal, Timestamp};
use support::{Memory, Scripted, failed, lending, offer, order, payment_id, settled, unknown};

/// Writes down what it is told.
#[derive(Default)]
struct Witness {
    told: Mutex<Vec<GateEvent>>,
    unwanted: Vec<Kind>,
    panics: bool,
}

impl Observer for Witness {
    fn wants(&self, kind: Kind) -> bool {
        !self.unwanted.contains(&kind)
    }

    fn notice(&self, event: GateEvent) {
        self.told.lock().unwrap().push(event);
        assert!(!self.panics, "on purpose");
    }
}

struct World {
    till: Till,
    memory: Arc<Memory>,
    rail: Arc<Scripted>,
    witness: Arc<Witness>,
    clock: Arc<AtomicU64>,
}

fn world(rail: Scripted) -> World {
    world_of(rail, Witness::default())
}

fn world_of(rail: Scripted, witness: Witness) -> World {
    let (witness, clock) = (Arc::new(witness), Arc::new(AtomicU64::new(1_000)));
    let time = Arc::clone(&clock);
    let now = move || Timestamp::from_secs(time.load(Ordering::SeqCst));
    let (till, memory, rail, _) = support::till(rail, now);
    World {
        till: till.observed_by(Arc::clone(&witness) as Arc<dyn Observer>),
        memory,
        rail,
        witness,
        clock,
    }
}

impl World {
    /// Payment 1 for `path`.
    async fn ask(&self, offer: &Offer, path: &str, well: bool) -> Outcome<&'static str> {
        let print = Fingerprint::of(&[path.as_bytes()]);
        let name = faregate_core::Rail::name(&*self.rail);
        let serve = move |_paid| -> futures_util::future::BoxFuture<'static, Served<&'static str>> {
            Box::pin(async move {
                if well {
                    Served::Well("joke")
                } else {
                    Served::Badly("oops")
                }
            })
        };
        let order = order(offer, print, None);
        let credential = Credential::new(name, (1_u8, "sig"));
        self.till
            .run(order, credential, std::future::ready(()), serve)
            .await
    }

    /// The same to its end, with what is settled behind the answer.
    async fn buy(&self, offer: &Offer) {
        match self.ask(offer, "/joke", true).await {
            Outcome::Sold { sale, .. } => sale.keep(answer()).await.unwrap(),
            Outcome::Owed { owed, .. } => {
                owed.serve(answer()).await.unwrap().run().await;
            }
            _ => {}
        }
    }

    /// What was told since this was last asked.
    fn told(&self) -> Vec<What> {
        let told = std::mem::take(&mut *self.witness.told.lock().unwrap());
        told.into_iter().map(|event| event.what).collect()
    }

    async fn sweep(&self) {
        let now = self.clock.fetch_add(10_000, Ordering::SeqCst);
        let recovery = self.till.recovery();
        let older = Timestamp::from_secs(now + 9_000);
        recovery.sweep(older, 10).await.unwrap();
    }
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: None,
    }
}

fn paid() -> What {
    What::Settled {
        transaction: Some("0xaa".into()),
    }
}

fn not_paid(is_loss: bool) -> What {
    What::Failed {
        code: Code::TransactionFailed,
        is_loss,
    }
}

fn refused(code: Code) -> What {
    What::Refused { code }
}

#[tokio::test]
async fn a_purchase_is_told_in_the_order_in_which_it_happens_and_its_copies_are_not() {
    use What::{Authorised, Verified};
    for (offer, expected) in [
        (offer(SettlePolicy::Before), [Verified, paid(), Authorised]),
        (offer(SettlePolicy::After), [Verified, Authorised, paid()]),
        (lending(1), [Verified, Authorised, paid()]),
    ] {
        let world = world(Scripted::default());
        world.buy(&offer).await;
        assert_eq!(world.told(), expected);
        world.buy(&offer).await;
        world.buy(&offer).await;
        assert_eq!(world.told(), []);
        world.ask(&offer, "/other", true).await;
        assert_eq!(world.told(), [refused(Code::PaymentConflict)]);
    }
}

#[tokio::test]
async fn what_is_told_says_which_payment_of_whom_for_what() {
    let world = world(Scripted::default());
    let offer = offer(SettlePolicy::Before);
    world.buy(&offer).await;
    let told = world.witness.told.lock().unwrap();
    let row = world.memory.rows.lock().unwrap()[&payment_id(1)].clone();
    for event in told.iter() {
        assert_eq!(event.at, Timestamp::from_secs(1_000));
        assert_eq!((&*event.route, event.rail), ("joke", Some(RailName::X402)));
        let About {
            id, payer, amount, ..
        } = event.payment.as_ref().unwrap();
        assert_eq!(
            (*id, payer, *amount),
            (
                payment_id(1),
                &row.claim.transfer.debit,
                row.claim.transfer.amount
            )
        );
    }
    assert!(!format!("{told:?}").contains("sig"));
}

#[tokio::test]
async fn a_failed_payment_is_a_loss_where_something_was_given_out() {
    let code = Code::TransactionFailed;
    for (offer, expected) in [
        (
            offer(SettlePolicy::Before),
            vec![What::Verified, not_paid(false), refused(code)],
        ),
        (
            offer(SettlePolicy::After),
            vec![
                What::Verified,
                What::Authorised,
                not_paid(false),
                refused(code),
            ],
        ),
        (
            lending(1),
            vec![What::Verified, What::Authorised, not_paid(true)],
        ),
    ] {
        let world = world(Scripted::default());
        world.rail.settle.lock().unwrap().push_back(failed());
        world.buy(&offer).await;
        assert_eq!(world.told(), expected);
        // A copy hears of it, and nothing more happens to the payment.
        world.buy(&offer).await;
        assert_eq!(world.told(), [refused(code)]);
    }
}

#[tokio::test]
async fn a_credential_that_does_not_verify_is_refused_and_one_that_nobody_can_check_is_not_told() {
    let world = world(Scripted::default());
    let code = Code::InsufficientFunds;
    let away = Away {
        code: Code::ChainUnavailable,
    };
    world.rail.verify.lock().unwrap().extend([
        Err(VerifyError::Refused(Refusal::new(code))),
        Err(VerifyError::Away(away)),
    ]);
    let offer = offer(SettlePolicy::Before);
    world.buy(&offer).await;
    assert_eq!(world.told(), [refused(code)]);
    world.buy(&offer).await;
    assert_eq!(world.told(), []);
}

#[tokio::test]
async fn what_buys_nothing_is_released_and_may_be_verified_again() {
    let world = world(Scripted::default());
    let offer = offer(SettlePolicy::After);
    for _ in 0..2 {
        world.ask(&offer, "/joke", false).await;
        let expected = [What::Verified, What::Authorised, What::Released];
        assert_eq!(world.told(), expected);
    }
}

#[tokio::test]
async fn an_unknown_end_is_told_once_and_what_recovery_finds_once() {
    let world = world(Scripted::default());
    let offer = lending(1);
    world.rail.settle.lock().unwrap().push_back(unknown());
    world.buy(&offer).await;
    let pending = What::Unknown {
        code: Code::SettlementPending,
        transaction: Some("0xaa".into()),
    };
    assert_eq!(world.told(), [What::Verified, What::Authorised, pending]);
    // Copies and sweeps that find out nothing are no news.
    world.rail.settle.lock().unwrap().push_back(unknown());
    world.buy(&offer).await;
    world.sweep().await;
    assert_eq!(world.told(), []);
    world.rail.resolve.lock().unwrap().push_back(settled());
    world.sweep().await;
    assert_eq!(world.told(), [paid()]);
    let confirmed = [Finality::Gone, Finality::Waiting, Finality::Final];
    world.rail.confirm.lock().unwrap().extend(confirmed);
    world.sweep().await;
    assert_eq!(world.told(), [What::Reopened, paid()]);
    world.sweep().await;
    world.sweep().await;
    world.sweep().await;
    assert_eq!(world.told(), [What::Finalized]);
}

/// The store did it and did not get to say so: the step is taken again, and told once.
#[tokio::test]
async fn a_step_that_is_repeated_because_the_ledger_did_not_answer_is_told_once() {
    use What::{Authorised, Released, Verified};
    let unheard = |world: &World, steps: &[&'static str]| {
        *world.memory.unheard.lock().unwrap() = steps.to_vec();
    };
    let world = world(Scripted::default());
    unheard(&world, &["broadcast", "post", "post", "keep"]);
    world.buy(&offer(SettlePolicy::Before)).await;
    assert_eq!(world.told(), [Verified, paid(), Authorised]);

    let lost = world_of(Scripted::default(), Witness::default());
    unheard(&lost, &["lend", "void"]);
    lost.rail.settle.lock().unwrap().push_back(failed());
    lost.buy(&lending(1)).await;
    assert_eq!(lost.told(), [Verified, Authorised, not_paid(true)]);

    let badly = world_of(Scripted::default(), Witness::default());
    unheard(&badly, &["release"]);
    badly.ask(&offer(SettlePolicy::After), "/joke", false).await;
    assert_eq!(badly.told(), [Verified, Authorised, Released]);
    for world in [world, lost, badly] {
        assert!(world.memory.unheard.lock().unwrap().is_empty());
    }
}

/// Requests under one payment settle it each on its own, when nobody wrote down yet that it is paid.
#[tokio::test]
async fn of_all_who_take_one_step_one_tells() {
    let world = world(Scripted {
        uses: Some(Uses::Unlimited),
        prepaid: true,
        ..Scripted::default()
    });
    let offer = offer(SettlePolicy::Before);
    for path in ["/a", "/b", "/c"] {
        world.ask(&offer, path, true).await;
    }
    let told = world.told();
    let count = |kind: Kind| told.iter().filter(|what| what.kind() == kind).count();
    let kinds = [Kind::Verified, Kind::Settled, Kind::Authorised];
    assert_eq!(kinds.map(count), [1, 1, 3], "{told:?}");
    assert_eq!(told.len(), 5);
}

#[tokio::test]
async fn a_token_is_asked_for_issued_and_opens_the_route() {
    use What::{Authorised, TokenIssued, Verified};
    for (offer, expected) in [
        (lending(1), [Verified, TokenIssued, paid()]),
        (offer(SettlePolicy::Before), [Verified, paid(), TokenIssued]),
    ] {
        let permits = || Scripted {
            name: Some(RailName::PERMIT),
            ..Scripted::default()
        };
        let world = world(permits());
        world.buy(&offer).await;
        assert_eq!(world.told(), expected);
        world.buy(&offer).await;
        assert_eq!(world.told(), []);
        // The same books, and what comes is a token of that payment.
        let tokens = world_of(
            Scripted {
                uses: Some(Uses::Issued),
                ..permits()
            },
            Witness::default(),
        );
        let rows = std::mem::take(&mut *world.memory.rows.lock().unwrap());
        *tokens.memory.rows.lock().unwrap() = rows;
        tokens.ask(&offer, "/a", true).await;
        tokens.ask(&offer, "/b", true).await;
        assert_eq!(tokens.told(), [Authorised, Authorised]);
        tokens.memory.rows.lock().unwrap().clear();
        tokens.ask(&offer, "/c", true).await;
        assert_eq!(tokens.told(), [refused(Code::AccessTokenRevoked)]);
    }
}

#[tokio::test]
async fn requests_without_a_credential_are_told_by_whoever_answers_them() {
    let world = world(Scripted::default());
    let offer = offer(SettlePolicy::Before);
    world.till.tell_challenged(&offer, Code::PaymentRequired);
    let told = world.witness.told.lock().unwrap().pop().unwrap();
    assert_eq!((told.rail, &told.payment), (None, &None));
    let code = Code::PaymentRequired;
    assert_eq!(told.what, What::Challenged { code });
}

#[tokio::test]
async fn what_nobody_wants_is_not_told() {
    let witness = Witness {
        unwanted: vec![Kind::Verified, Kind::Settled, Kind::Refused],
        ..Witness::default()
    };
    let world = world_of(Scripted::default(), witness);
    let offer = offer(SettlePolicy::Before);
    world.buy(&offer).await;
    world.ask(&offer, "/other", true).await;
    assert_eq!(world.told(), [What::Authorised]);
}

#[tokio::test]
async fn who_watches_and_panics_breaks_nothing() {
    let witness = Witness {
        panics: true,
        ..Witness::default()
    };
    let world = world_of(Scripted::default(), witness);
    world.buy(&offer(SettlePolicy::Before)).await;
    assert_eq!(
        world.memory.state(payment_id(1)),
        Some(PaymentState::Settled)
    );
    let expected = [What::Verified, paid(), What::Authorised];
    let told = world
        .witness
        .told
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let told: Vec<What> = told.iter().map(|event| event.what.clone()).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_kind_has_a_name_and_a_bit_of_its_own() {
    let bits = Kind::ALL
        .into_iter()
        .fold(0, |bits, kind| bits | kind.bit());
    assert_eq!(bits, (1 << Kind::ALL.len()) - 1);
    let mut names = Kind::ALL.map(Kind::as_str);
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair.first() != pair.last()));
}
