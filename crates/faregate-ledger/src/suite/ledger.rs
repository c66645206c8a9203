//! Cases for [`LedgerStore`]. Each says in its name what an engine promises.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use faregate_types::{Amount, AssetId, Code, PaymentId, RailName, Timestamp};
use futures_util::future::BoxFuture;

use super::kit::{Bench, Chance, asset, at, claim, claim_of, id, other_request, payee, payer};
use crate::{
    AccountId, Answer, Balance, Claim, Claimed, Effect, LedgerStore, Payment, PaymentState, Step,
    StepError, StoreError,
};

/// How many callers a crowd has.
const CROWD: u64 = 64;

/// A new payment in the books.
async fn won<S: LedgerStore>(store: &S, claim: Claim) -> Payment {
    assert_eq!(store.claim(claim.clone()).await, Ok(Claimed::Won));
    Payment::reserved(claim)
}

async fn balance<S: LedgerStore>(store: &S, account: AccountId) -> [U256; 4] {
    let balance = store.balance(account, asset(1)).await.unwrap();
    assert_eq!(balance.asset, asset(1));
    [
        balance.debits_pending,
        balance.debits_posted,
        balance.credits_pending,
        balance.credits_posted,
    ]
}

/// Payer 1 gave and payee 1 received this much, pending and posted, and nobody else did anything.
async fn assert_books<S: LedgerStore>(store: &S, pending: U256, posted: U256) {
    let zero = U256::ZERO;
    assert_eq!(
        balance(store, payer(1)).await,
        [pending, posted, zero, zero]
    );
    assert_eq!(
        balance(store, payee(1)).await,
        [zero, zero, pending, posted]
    );
    let total = Balance {
        asset: asset(1),
        debits_pending: pending,
        debits_posted: posted,
        credits_pending: pending,
        credits_posted: posted,
    };
    assert_eq!(store.totals().await, Ok(vec![total]));
}

fn broadcast() -> Step {
    Step::Broadcast {
        transaction: "0xb0".into(),
    }
}

fn settle() -> Step {
    Step::Settle {
        transaction: Some("0x5e".into()),
    }
}

fn fail() -> Step {
    Step::Fail {
        code: Code::TransactionFailed,
    }
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![("content-type".into(), b"text/plain".to_vec())],
        body: Some(b"knock knock".to_vec()),
    }
}

/// One step of each kind.
fn steps() -> [Step; 5] {
    [
        broadcast(),
        settle(),
        fail(),
        Step::Release,
        Step::Keep { answer: answer() },
    ]
}

/// The shortest way to each state.
fn ways() -> [(PaymentState, Vec<Step>); 5] {
    [
        (PaymentState::Reserved, vec![]),
        (PaymentState::Broadcast, vec![broadcast()]),
        (PaymentState::Settled, vec![broadcast(), settle()]),
        (PaymentState::Failed, vec![fail()]),
        (PaymentState::Released, vec![Step::Release]),
    ]
}

/// Nothing of a claim is lost, whatever is in it.
pub async fn a_payment_is_kept_whole<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, rail) in (0..).zip(RailName::ALL) {
        let claim = Claim {
            rail,
            route: "GET /naïve/路/\"quoted\"'; --".into(),
            evidence: (0..=255).collect(),
            at: Timestamp::from_secs(u64::MAX - number),
            ..claim_of(number, U256::from(1) << 200)
        };
        let payment = won(store, claim).await;
        assert_eq!(store.payment(payment.claim.id).await, Ok(Some(payment)));
    }
    let empty = Claim {
        route: "".into(),
        evidence: vec![],
        at: Timestamp::from_secs(0),
        ..claim(9)
    };
    let payment = won(store, empty).await;
    assert_eq!(store.payment(payment.claim.id).await, Ok(Some(payment)));
}

/// The second claim of the same request is told that the first is being worked on.
pub async fn a_claim_is_won_once<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let payment = won(store, claim(1)).await;
    let later = Claim {
        at: at(5),
        evidence: vec![9],
        ..claim(1)
    };
    assert_eq!(
        store.claim(later).await,
        Ok(Claimed::InFlight(Box::new(payment.clone())))
    );
    assert_eq!(store.payment(id(1)).await, Ok(Some(payment)));
    assert_books(store, U256::from(1000), U256::ZERO).await;
}

/// However many claim at once, one wins, and the money is reserved once.
pub async fn one_of_many_claims_wins<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, _| store.claim(claim(1)))
        .await;
    let payment = Payment::reserved(claim(1));
    let (won, others): (Vec<_>, Vec<_>) = verdicts
        .into_iter()
        .partition(|verdict| *verdict == Ok(Claimed::Won));
    assert_eq!(won.len(), 1);
    assert_eq!(others.len(), 63);
    for verdict in others {
        assert_eq!(verdict, Ok(Claimed::InFlight(Box::new(payment.clone()))));
    }
    assert_books(&*bench.store, U256::from(1000), U256::ZERO).await;
}

/// A credential that was used for one request is refused for another, in every state but `Released`.
pub async fn another_fingerprint_is_a_conflict<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (state, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        for step in way {
            store.advance(id(number), step, at(1)).await.unwrap();
        }
        let before = store.payment(id(number)).await;
        let verdict = store.claim(other_request(claim(number), 1)).await;
        if state == PaymentState::Released {
            assert_eq!(verdict, Ok(Claimed::Won));
        } else {
            assert_eq!(verdict, Ok(Claimed::Conflict), "{state:?}");
            assert_eq!(store.payment(id(number)).await, before);
        }
    }
}

/// Many requests with one credential: one of them gets it, the others are refused.
pub async fn one_of_many_fingerprints_wins<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, request| {
            store.claim(other_request(claim(1), request))
        })
        .await;
    let count = |wanted: &Claimed| {
        verdicts
            .iter()
            .filter(|verdict| verdict.as_ref() == Ok(wanted))
            .count()
    };
    assert_eq!((count(&Claimed::Won), count(&Claimed::Conflict)), (1, 63));
    assert_books(&*bench.store, U256::from(1000), U256::ZERO).await;
}

/// After a release anybody may claim again, for any request and amount; still only one gets it.
pub async fn a_released_payment_is_claimed_again_by_one<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim(1)).await;
    store.advance(id(1), Step::Release, at(1)).await.unwrap();
    assert_books(store, U256::ZERO, U256::ZERO).await;

    let again = |request: u64| Claim {
        at: at(2),
        ..other_request(claim_of(1, U256::from(request + 1)), request)
    };
    let verdicts = bench
        .crowd(0..CROWD, move |store, request| {
            Box::pin(async move { (request, store.claim(again(request)).await) })
        })
        .await;
    let winners: Vec<u64> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Ok(Claimed::Won))
        .map(|(request, _)| *request)
        .collect();
    let conflicts = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Ok(Claimed::Conflict))
        .count();
    assert_eq!((winners.len(), conflicts), (1, 63));
    let payment = Payment::reserved(again(winners[0]));
    assert_books(store, payment.claim.transfer.amount.value(), U256::ZERO).await;
    assert_eq!(store.payment(id(1)).await, Ok(Some(payment)));
}

/// The same request after the end gets the end, again and again.
pub async fn copies_are_told_the_end<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, step) in [(1, settle()), (2, fail())] {
        let mut payment = won(store, claim(number)).await;
        payment.apply(step.clone(), at(1)).unwrap();
        assert_eq!(
            store.advance(id(number), step, at(1)).await,
            Ok(payment.clone())
        );
        for _ in 0..2 {
            assert_eq!(
                store.claim(claim(number)).await,
                Ok(Claimed::Same(Box::new(payment.clone())))
            );
        }
    }
    let kept = store
        .advance(id(1), Step::Keep { answer: answer() }, at(2))
        .await
        .unwrap();
    assert_eq!(kept.answer, Some(answer()));
    assert_eq!(
        store.claim(claim(1)).await,
        Ok(Claimed::Same(Box::new(kept)))
    );
}

/// Every state with every step: the engine does what [`PaymentState::after`] and [`Payment::apply`] say, and a refused
/// step leaves no trace.
pub async fn every_state_and_step_agrees_with_the_rules<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut number = 0;
    for (state, way) in ways() {
        for step in steps() {
            number += 1;
            let mut payment = won(store, claim(number)).await;
            for step in way.clone() {
                payment.apply(step.clone(), at(1)).unwrap();
                assert_eq!(
                    store.advance(id(number), step, at(1)).await,
                    Ok(payment.clone())
                );
            }
            assert_eq!(payment.state, state);
            let expected = match state.after(&step) {
                Ok(next) => {
                    payment.apply(step.clone(), at(2)).unwrap();
                    assert_eq!(payment.state, next);
                    Ok(payment.clone())
                }
                Err(StepError { from }) => {
                    assert_eq!(from, state);
                    Err(StoreError::Step(StepError { from }))
                }
            };
            assert_eq!(
                store.advance(id(number), step.clone(), at(2)).await,
                expected,
                "{state:?} {step:?}"
            );
            assert_eq!(
                store.payment(id(number)).await,
                Ok(Some(payment)),
                "{state:?} {step:?}"
            );
        }
    }
}

/// A step that is repeated, because its answer was lost, changes nothing: no money, no time, no word.
pub async fn a_second_step_changes_nothing<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (_, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        let mut way = way;
        if way.contains(&settle()) {
            way.push(Step::Keep { answer: answer() });
        }
        for step in way {
            let first = store.advance(id(number), step.clone(), at(1)).await;
            let totals = store.totals().await;
            assert!(first.is_ok());
            assert_eq!(store.advance(id(number), step, at(9)).await, first);
            assert_eq!(store.totals().await, totals);
        }
    }
    // What an end says stays, even if somebody says it differently later.
    let settled = store.payment(id(2)).await.unwrap().unwrap();
    for step in [
        Step::Settle {
            transaction: Some("0xother".into()),
        },
        Step::Settle { transaction: None },
        Step::Keep {
            answer: Answer {
                status: 500,
                headers: vec![],
                body: None,
            },
        },
    ] {
        assert_eq!(store.advance(id(2), step, at(9)).await, Ok(settled.clone()));
    }
    let failed = store.payment(id(3)).await.unwrap().unwrap();
    assert_eq!(
        store
            .advance(
                id(3),
                Step::Fail {
                    code: Code::Internal
                },
                at(9)
            )
            .await,
        Ok(failed)
    );
}

/// What was handed to the network is not forgotten; a replacement replaces it.
pub async fn a_broadcast_keeps_its_transaction<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim(1)).await;
    for (secs, transaction) in [(1, "0x01"), (2, "0x02")] {
        let step = Step::Broadcast {
            transaction: transaction.into(),
        };
        let payment = store.advance(id(1), step, at(secs)).await.unwrap();
        assert_eq!(payment.transaction.as_deref(), Some(transaction));
        assert_eq!(
            (payment.state, payment.changed_at),
            (PaymentState::Broadcast, at(secs))
        );
    }
    let settled = store
        .advance(id(1), Step::Settle { transaction: None }, at(3))
        .await
        .unwrap();
    assert_eq!(settled.transaction.as_deref(), Some("0x02"));

    won(store, claim(2)).await;
    store.advance(id(2), broadcast(), at(1)).await.unwrap();
    let failed = store.advance(id(2), fail(), at(2)).await.unwrap();
    assert_eq!(
        failed.transaction.as_deref(),
        Some("0xb0"),
        "also when it failed"
    );

    won(store, claim(3)).await;
    store
        .advance(id(3), Step::Settle { transaction: None }, at(1))
        .await
        .unwrap();
    let told = store.advance(id(3), settle(), at(2)).await.unwrap();
    assert_eq!(
        told.transaction.as_deref(),
        Some("0x5e"),
        "a reference that becomes known later is noted"
    );
    assert_books(store, U256::ZERO, U256::from(2000)).await;
}

/// Settling posts, failing and releasing void, to the unit.
pub async fn money_moves_exactly<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let large = (U256::from(1) << 255) - U256::from(1);
    let steps = [
        (claim_of(1, large), vec![broadcast()], large, U256::ZERO),
        (
            claim_of(2, U256::from(7)),
            vec![],
            large + U256::from(7),
            U256::ZERO,
        ),
        (claim_of(1, large), vec![settle()], U256::from(7), large),
        (claim_of(2, U256::from(7)), vec![fail()], U256::ZERO, large),
        (
            claim_of(3, U256::from(1)),
            vec![Step::Release],
            U256::ZERO,
            large,
        ),
        (
            claim_of(4, U256::from(1)),
            vec![broadcast(), settle()],
            U256::ZERO,
            large + U256::from(1),
        ),
    ];
    for (claim, steps, pending, posted) in steps {
        let claim_id = claim.id;
        store.claim(claim).await.unwrap();
        for step in steps {
            store.advance(claim_id, step, at(1)).await.unwrap();
        }
        assert_books(store, pending, posted).await;
    }
}

/// A sum is about one asset and one account.
pub async fn assets_are_kept_apart<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=3 {
        let mut claim = claim(number);
        claim.transfer.amount = Amount::new(U256::from(number), asset(number));
        claim.transfer.credit = payee(number);
        won(store, claim).await;
        store.advance(id(number), settle(), at(1)).await.unwrap();
    }
    for number in 1..=3 {
        for account in 1..=3 {
            let received = store
                .balance(payee(account), asset(number))
                .await
                .unwrap()
                .credits_posted;
            let expected = if account == number {
                U256::from(number)
            } else {
                U256::ZERO
            };
            assert_eq!(received, expected);
        }
        let given = store
            .balance(payer(1), asset(number))
            .await
            .unwrap()
            .debits_posted;
        assert_eq!(given, U256::from(number));
    }
    let totals = store.totals().await.unwrap();
    let assets: BTreeSet<AssetId> = totals.iter().map(|total| total.asset).collect();
    assert_eq!((totals.len(), assets), (3, (1..=3).map(asset).collect()));
}

/// A sum beyond 256 bits is an error that changes nothing.
pub async fn sums_never_wrap<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim_of(1, U256::MAX)).await;
    assert_eq!(
        store.claim(claim_of(2, U256::from(1))).await,
        Err(StoreError::Damaged)
    );
    assert_eq!(store.payment(id(2)).await, Ok(None));
    assert_books(store, U256::MAX, U256::ZERO).await;
    store.advance(id(1), Step::Release, at(1)).await.unwrap();
    won(store, claim_of(2, U256::from(1))).await;
}

/// A kept answer is given back as it was: every byte, every header, in order.
pub async fn answers_come_back_byte_for_byte<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers: Vec<(Box<str>, Vec<u8>)> = vec![
        ("set-cookie".into(), b"b=2".to_vec()),
        ("x-bytes".into(), every_byte.clone()),
        ("set-cookie".into(), b"a=1".to_vec()),
        ("x-empty".into(), vec![]),
    ];
    let answers = [
        Answer {
            status: 200,
            headers,
            body: Some(every_byte),
        },
        Answer {
            status: 100,
            headers: vec![],
            body: Some(vec![]),
        },
        Answer {
            status: 599,
            headers: vec![],
            body: None,
        },
        Answer {
            status: 204,
            headers: vec![],
            body: Some(vec![0; 300_000]),
        },
    ];
    for (number, answer) in (0..).zip(answers) {
        won(store, claim(number)).await;
        store.advance(id(number), settle(), at(1)).await.unwrap();
        let kept = store
            .advance(
                id(number),
                Step::Keep {
                    answer: answer.clone(),
                },
                at(2),
            )
            .await
            .unwrap();
        assert_eq!(
            (kept.answer.as_ref(), kept.changed_at),
            (Some(&answer), at(2))
        );
        assert_eq!(store.payment(id(number)).await, Ok(Some(kept.clone())));
        assert_eq!(
            store.claim(claim(number)).await,
            Ok(Claimed::Same(Box::new(kept)))
        );
    }
}

/// There is nothing to sell again before the money moved.
pub async fn only_settled_payments_keep_an_answer<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (state, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        for step in way {
            store.advance(id(number), step, at(1)).await.unwrap();
        }
        let kept = store
            .advance(id(number), Step::Keep { answer: answer() }, at(2))
            .await;
        assert_eq!(kept.is_ok(), state == PaymentState::Settled, "{state:?}");
        let stored = store.payment(id(number)).await.unwrap().unwrap();
        assert_eq!(
            stored.answer.is_some(),
            state == PaymentState::Settled,
            "{state:?}"
        );
    }
}

/// Recovery finds what is open, the longest forgotten first, and no more than it asked for.
pub async fn open_payments_are_oldest_first<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.open_payments(10).await, Ok(vec![]));
    for number in 1..=6 {
        won(
            store,
            Claim {
                at: at(number),
                ..claim(number)
            },
        )
        .await;
    }
    store.advance(id(2), broadcast(), at(20)).await.unwrap();
    store.advance(id(3), settle(), at(21)).await.unwrap();
    store.advance(id(4), fail(), at(22)).await.unwrap();
    store.advance(id(5), Step::Release, at(23)).await.unwrap();
    let ids = async |limit| -> Vec<PaymentId> {
        let payments = store.open_payments(limit).await.unwrap();
        payments
            .into_iter()
            .map(|payment| payment.claim.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(1), id(6), id(2)]);
    assert_eq!(ids(u32::MAX).await, [id(1), id(6), id(2)]);
    assert_eq!(ids(2).await, [id(1), id(6)]);
    assert_eq!(ids(0).await, []);
    assert_eq!(
        store.open_payments(1).await.unwrap()[0],
        Payment::reserved(Claim {
            at: at(1),
            ..claim(1)
        })
    );
}

/// Newest first, whatever became of them; a second claim makes a payment new.
pub async fn recent_payments_are_newest_first<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.recent_payments(10).await, Ok(vec![]));
    for number in [1, 2, 3, 4] {
        won(
            store,
            Claim {
                at: at(number),
                ..claim(number)
            },
        )
        .await;
    }
    store.advance(id(1), settle(), at(20)).await.unwrap();
    store.advance(id(2), Step::Release, at(21)).await.unwrap();
    won(
        store,
        Claim {
            at: at(30),
            ..claim(2)
        },
    )
    .await;
    let ids = async |limit| -> Vec<PaymentId> {
        let payments = store.recent_payments(limit).await.unwrap();
        payments
            .into_iter()
            .map(|payment| payment.claim.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(2), id(4), id(3), id(1)]);
    assert_eq!(ids(2).await, [id(2), id(4)]);
    assert_eq!(ids(0).await, []);
}

/// What was never claimed is not there, and asking does not make it.
pub async fn unknown_ids_are_not_found<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.payment(id(1)).await, Ok(None));
    for step in steps() {
        assert_eq!(
            store.advance(id(1), step, at(1)).await,
            Err(StoreError::NotFound)
        );
    }
    assert_eq!(store.payment(id(1)).await, Ok(None));
    assert_eq!(
        store.balance(payer(1), asset(1)).await,
        Ok(Balance::zero(asset(1)))
    );
    assert_eq!(store.totals().await, Ok(vec![]));
}

/// Engines write many jobs at once; one that is refused must not take the others with it.
pub async fn a_failing_job_does_not_spoil_the_others<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut huge = claim_of(1000, U256::MAX);
    huge.transfer.amount = Amount::new(U256::MAX, asset(2));
    won(store, huge.clone()).await;
    let results = bench
        .crowd(
            0..90,
            move |store, number| -> BoxFuture<'_, Result<Option<Claimed>, StoreError>> {
                let overflow = Claim {
                    id: id(2000 + number),
                    ..claim_of(0, U256::MAX)
                };
                Box::pin(async move {
                    match number % 3 {
                        0 => store.claim(claim(number)).await.map(Some),
                        1 => store
                            .advance(id(3000 + number), settle(), at(1))
                            .await
                            .map(|_| None),
                        _ => {
                            let mut claim = overflow;
                            claim.transfer.amount = Amount::new(U256::MAX, asset(2));
                            store.claim(claim).await.map(Some)
                        }
                    }
                })
            },
        )
        .await;
    let count = |wanted: Result<Option<Claimed>, StoreError>| {
        results.iter().filter(|one| **one == wanted).count()
    };
    assert_eq!(count(Ok(Some(Claimed::Won))), 30);
    assert_eq!(count(Err(StoreError::NotFound)), 30);
    assert_eq!(count(Err(StoreError::Damaged)), 30);
    let pending = balance(store, payer(1)).await[0];
    assert_eq!(pending, U256::from(30_000));
    assert_eq!(
        store
            .balance(payer(1), asset(2))
            .await
            .unwrap()
            .debits_pending,
        U256::MAX
    );
    for number in (0..90).step_by(3) {
        assert_eq!(
            store.payment(id(number)).await,
            Ok(Some(Payment::reserved(claim(number))))
        );
    }
}

/// Something that may happen to one of a few payments.
#[derive(Clone, Debug)]
enum Event {
    Claim(Claim),
    Step(PaymentId, Step, Timestamp),
}

impl Event {
    /// An event at one of six payments, of which one is new now and then: old ones end and nothing moves them any more.
    fn any(chance: &mut Chance, secs: u64, first: u64) -> Self {
        let number = first + chance.below(6);
        let step = match chance.below(10) {
            0..=3 => {
                let mut claim = other_request(claim(number), chance.below(2));
                claim.at = at(secs);
                claim.transfer.debit = payer(chance.below(3));
                claim.transfer.credit = payee(chance.below(2));
                claim.transfer.amount =
                    Amount::new(U256::from(1 + chance.below(1000)), asset(chance.below(2)));
                return Self::Claim(claim);
            }
            4 => Step::Broadcast {
                transaction: format!("0x{}", chance.below(3)).into(),
            },
            5 => Step::Settle { transaction: None },
            6 => fail(),
            7 | 8 => Step::Release,
            _ => Step::Keep { answer: answer() },
        };
        Self::Step(id(number), step, at(secs))
    }
}

/// What one payment adds to the books: nothing once it is voided, also by earlier claims of it.
fn tally<'a>(
    payments: impl IntoIterator<Item = &'a Payment>,
) -> BTreeMap<(AccountId, AssetId), Balance> {
    let mut books = BTreeMap::<(AccountId, AssetId), Balance>::new();
    for payment in payments {
        let transfer = &payment.claim.transfer;
        let (asset, amount) = (transfer.amount.asset(), transfer.amount.value());
        let (mut debit, mut credit) = (Balance::zero(asset), Balance::zero(asset));
        if payment.state.is_open() {
            (debit.debits_pending, credit.credits_pending) = (amount, amount);
        } else if payment.state == PaymentState::Settled {
            (debit.debits_posted, credit.credits_posted) = (amount, amount);
        }
        for (account, change) in [(&transfer.debit, debit), (&transfer.credit, credit)] {
            let sum = books
                .entry((account.clone(), asset))
                .or_insert_with(|| Balance::zero(asset));
            *sum = sum.plus(&change).unwrap();
        }
    }
    books
}

/// Every balance and every total is what the payments add up to.
async fn assert_tally<S: LedgerStore>(store: &S, payments: &[Payment]) {
    let books = tally(payments);
    let mut expected = BTreeMap::new();
    for ((account, asset), balance) in &books {
        assert_eq!(
            store.balance(account.clone(), *asset).await,
            Ok(*balance),
            "{account}"
        );
        let total = expected
            .entry(*asset)
            .or_insert_with(|| Balance::zero(*asset));
        *total = total.plus(balance).unwrap();
    }
    for total in store.totals().await.unwrap() {
        assert!(total.is_balanced());
        let expected = expected
            .remove(&total.asset)
            .unwrap_or(Balance::zero(total.asset));
        assert_eq!(total, expected);
    }
    assert!(expected.is_empty());
}

/// A long random sequence, one event after the other: every verdict, payment, balance and total is what the rules say.
pub async fn any_sequence_agrees_with_the_rules<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut chance = Chance::new(402);
    let mut model = BTreeMap::<PaymentId, Payment>::new();
    let mut moves = 0;
    for secs in 0..250 {
        match Event::any(&mut chance, secs, secs / 8) {
            Event::Claim(claim) => {
                let known = model.get(&claim.id).cloned();
                let expected = known
                    .and_then(|payment| payment.verdict(&claim.fingerprint))
                    .unwrap_or(Claimed::Won);
                assert_eq!(
                    store.claim(claim.clone()).await,
                    Ok(expected.clone()),
                    "event {secs}"
                );
                if expected == Claimed::Won {
                    model.insert(claim.id, Payment::reserved(claim));
                }
            }
            Event::Step(id, step, at) => {
                let expected = match model.get_mut(&id) {
                    None => Err(StoreError::NotFound),
                    Some(payment) => match payment.apply(step.clone(), at) {
                        Ok(effect) => {
                            moves += usize::from(effect != Effect::Repeated);
                            Ok(payment.clone())
                        }
                        Err(refused) => Err(StoreError::Step(refused)),
                    },
                };
                assert_eq!(store.advance(id, step, at).await, expected, "event {secs}");
            }
        }
        let payments: Vec<Payment> = model.values().cloned().collect();
        assert_tally(store, &payments).await;
    }
    assert!(moves > 20, "the sequence moved money {moves} times");
}

/// Crowds of random events on few payments: after each, the books are balanced and are what the payments add up to.
pub async fn books_balance_under_any_interleaving<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut chance = Chance::new(712);
    for wave in 0..20 {
        let events: Vec<Event> = (0..24)
            .map(|_| Event::any(&mut chance, wave, wave))
            .collect();
        let faults = bench
            .crowd(
                events,
                |store, event| -> BoxFuture<'_, Option<StoreError>> {
                    Box::pin(async move {
                        match event {
                            Event::Claim(claim) => store.claim(claim).await.err(),
                            Event::Step(id, step, at) => store.advance(id, step, at).await.err(),
                        }
                    })
                },
            )
            .await;
        for fault in faults.into_iter().flatten() {
            assert!(
                matches!(fault, StoreError::NotFound | StoreError::Step(_)),
                "{fault:?}"
            );
        }
        assert_tally(store, &store.recent_payments(100).await.unwrap()).await;
    }
}
