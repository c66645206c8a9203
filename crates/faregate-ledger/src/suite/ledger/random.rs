//! Chance: many events in any order, and the books are what the payments add up to.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::U256;
use faregate_types::{Amount, AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::{answer, fail, sell, serve};
use crate::suite::kit::{
    Bench, Chance, asset, at, claim, id, named, on_credit, other_request, payee, payer,
};
use crate::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, PaymentState, Step,
    StoreError,
};

/// Something that may happen to one of a few payments.
#[derive(Clone, Debug)]
enum Event {
    Claim(Box<Claim>),
    Step(PaymentId, Step, Timestamp),
}

impl Event {
    /// An event at one of six payments, of which one is new now and then: old ones end and nothing moves them any more.
    fn any(chance: &mut Chance, secs: u64, first: u64) -> Self {
        let number = first + chance.below(6);
        let step = match chance.below(15) {
            0..=3 => {
                let mut claim = other_request(claim(number), chance.below(2));
                claim.at = at(secs);
                claim.transfer.debit = payer(chance.below(3));
                claim.transfer.credit = payee(chance.below(2));
                claim.transfer.amount =
                    Amount::new(U256::from(1 + chance.below(1000)), asset(chance.below(2)));
                if chance.below(2) == 0 {
                    claim = on_credit(claim, 1_500);
                }
                if chance.below(3) == 0 {
                    let key = ["a", "b"][usize::from(chance.below(2) == 0)];
                    claim = named(claim, key, chance.below(2));
                }
                return Self::Claim(Box::new(claim));
            }
            4 => Step::Broadcast {
                transaction: format!("0x{}", chance.below(3)).into(),
            },
            5 => Step::Settle { transaction: None },
            6 => fail(),
            7 | 8 => Step::Release,
            9 => Step::Finalize,
            10 => Step::Reopen,
            11 | 12 => serve(),
            13 => sell(),
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

/// What the rules say to a claim, given every payment there is: see [`LedgerStore::claim`].
fn judge(
    model: &BTreeMap<PaymentId, Payment>,
    keys: &BTreeMap<(AccountId, IdempotencyKey), PaymentId>,
    claim: &Claim,
) -> Claimed {
    let known = model.get(&claim.id).cloned();
    if let Some(verdict) = known.and_then(|payment| payment.verdict(&claim.fingerprint)) {
        return verdict;
    }
    let (payer, asset) = (&claim.transfer.debit, claim.transfer.amount.asset());
    if let Some(own) = &claim.idempotency
        && let Some(first) = keys.get(&(payer.clone(), own.key.clone()))
        && *first != claim.id
        && let Some(verdict) = model[first].clone().keyed(&own.request)
    {
        return verdict;
    }
    let exposed = exposed(model.values(), payer, asset);
    match claim.exposure_max {
        Some(max) if exposed + claim.transfer.amount.value() > max => Claimed::Exposed,
        Some(_) | None => Claimed::Won,
    }
}

/// What a payer owes or may come to owe.
fn exposed<'a>(
    payments: impl IntoIterator<Item = &'a Payment>,
    payer: &AccountId,
    asset: AssetId,
) -> U256 {
    payments
        .into_iter()
        .filter(|payment| payment.is_exposed())
        .map(|payment| &payment.claim.transfer)
        .filter(|transfer| transfer.debit == *payer && transfer.amount.asset() == asset)
        .fold(U256::ZERO, |sum, transfer| sum + transfer.amount.value())
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
    let mut keys = BTreeMap::new();
    let (mut moves, mut seen) = (0, BTreeSet::new());
    for secs in 0..600 {
        match Event::any(&mut chance, secs, secs / 8) {
            Event::Claim(claim) => {
                let expected = judge(&model, &keys, &claim);
                seen.insert(format!("{expected:?}").split('(').next().map(str::to_owned));
                assert_eq!(
                    store.claim((*claim).clone()).await,
                    Ok(expected.clone()),
                    "event {secs}"
                );
                if expected == Claimed::Won {
                    keys.retain(|_, first| *first != claim.id);
                    if let Some(own) = &claim.idempotency {
                        keys.insert((claim.transfer.debit.clone(), own.key.clone()), claim.id);
                    }
                    model.insert(claim.id, Payment::reserved(*claim));
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
        for number in 0..3 {
            assert_eq!(
                store.exposure(payer(number), asset(0)).await,
                Ok(exposed(&payments, &payer(number), asset(0)))
            );
        }
    }
    assert_eq!(seen.len(), 7, "every verdict was seen: {seen:?}");
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
                            Event::Claim(claim) => store.claim(*claim).await.err(),
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
