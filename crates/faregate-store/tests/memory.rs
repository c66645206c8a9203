//! What only the engine in memory has: an end of its room, and how it is met.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod common;

use common::{at, claim, id, per_host, spend};
use faregate_ledger::{
    Answer, Claimed, LedgerStore, PaymentState, Reserved, SpendEnd, Step, StoreError, TermsRule,
    Unit, WalletStore,
};
use faregate_store::memory::{LedgerLimits, MemoryLedger, MemoryWallet, WalletLimits};
use faregate_types::{Timestamp, U256};

const FULL: Result<Claimed, StoreError> = Err(StoreError::Unavailable);

fn settle() -> Step {
    Step::Settle { transaction: None }
}

/// An answer that counts this many bytes.
fn answer(bytes: usize) -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: Some(vec![b'x'; bytes]),
    }
}

async fn sold(ledger: &MemoryLedger, number: u64, bytes: usize) {
    assert_eq!(ledger.claim(claim(number)).await, Ok(Claimed::Won));
    let keep = Step::Keep {
        answer: answer(bytes),
    };
    for step in [settle(), keep] {
        ledger.advance(id(number), step, at(number)).await.unwrap();
    }
}

/// Whether the bodies of the first payments are kept.
async fn bodies(ledger: &MemoryLedger, numbers: std::ops::RangeInclusive<u64>) -> Vec<bool> {
    let mut kept = vec![];
    for number in numbers {
        let payment = ledger.payment(id(number)).await.unwrap().unwrap();
        kept.push(payment.answer.unwrap().body.is_some());
    }
    kept
}

#[tokio::test]
async fn l402_hole_12_a_full_ledger_refuses_and_forgets_nothing() {
    let ledger = MemoryLedger::with_limits(LedgerLimits {
        payments: 3,
        ..LedgerLimits::default()
    });
    for number in 1..=3 {
        assert_eq!(ledger.claim(claim(number)).await, Ok(Claimed::Won));
    }
    for step in [settle(), Step::Finalize] {
        ledger.advance(id(1), step, at(5)).await.unwrap();
    }
    ledger.advance(id(2), Step::Release, at(5)).await.unwrap();
    assert_eq!(ledger.claim(claim(4)).await, FULL);
    assert_eq!(ledger.payment(id(4)).await, Ok(None));
    // Whatever is in it goes on: copies are told, steps are done, what was released is claimed again.
    let copy = ledger.claim(claim(1)).await.unwrap();
    assert!(matches!(copy, Claimed::Same(paid) if paid.state == PaymentState::Settled));
    assert_eq!(ledger.claim(claim(2)).await, Ok(Claimed::Won));
    let settled = ledger.advance(id(3), settle(), at(6)).await.unwrap();
    assert_eq!(settled.state, PaymentState::Settled);
    assert_eq!(ledger.claim(claim(4)).await, FULL, "nothing makes room");
    assert!(ledger.audit().unwrap().is_clean());
}

#[tokio::test]
async fn what_comes_with_claims_is_counted() {
    let one = claim(1);
    let bytes = u64::try_from(one.evidence.len() + one.route.len()).unwrap();
    let ledger = MemoryLedger::with_limits(LedgerLimits {
        claim_bytes: 2 * bytes,
        ..LedgerLimits::default()
    });
    let mut large = claim(9);
    large
        .evidence
        .extend(vec![0; usize::try_from(bytes).unwrap() + 1]);
    assert_eq!(ledger.claim(large).await, FULL);
    for number in 1..=2 {
        assert_eq!(ledger.claim(claim(number)).await, Ok(Claimed::Won));
    }
    assert_eq!(ledger.claim(claim(3)).await, FULL);
    // A released claim gives its bytes to the one that takes its place, and to no other.
    ledger.advance(id(2), Step::Release, at(5)).await.unwrap();
    assert_eq!(ledger.claim(claim(3)).await, FULL);
    assert_eq!(ledger.claim(claim(2)).await, Ok(Claimed::Won));
    assert!(ledger.audit().unwrap().is_clean());
}

#[tokio::test]
async fn the_oldest_answers_make_room_for_new_ones() {
    let ledger = MemoryLedger::with_limits(LedgerLimits {
        answer_bytes: 100,
        ..LedgerLimits::default()
    });
    for number in 1..=5 {
        sold(&ledger, number, 40).await;
    }
    let kept = [false, false, false, true, true];
    assert_eq!(bodies(&ledger, 1..=5).await, kept);
    // An answer too large to be kept is given to whoever is served, and not kept.
    sold(&ledger, 6, 101).await;
    assert_eq!(bodies(&ledger, 1..=6).await, [false; 6]);
    let copy = ledger.claim(claim(6)).await.unwrap();
    assert!(matches!(copy, Claimed::Same(paid) if paid.answer.as_ref().unwrap().status == 200));
}

#[tokio::test]
async fn answers_that_cannot_be_dropped_refuse_new_claims() {
    let ledger = MemoryLedger::with_limits(LedgerLimits {
        answer_bytes: 100,
        ..LedgerLimits::default()
    });
    for number in 1..=2 {
        let mut owed = claim(number);
        owed.exposure_max = Some(U256::MAX);
        assert_eq!(ledger.claim(owed).await, Ok(Claimed::Won));
        let serve = Step::Serve { answer: answer(60) };
        ledger.advance(id(number), serve, at(5)).await.unwrap();
    }
    assert_eq!(bodies(&ledger, 1..=2).await, [true, true]);
    assert_eq!(ledger.claim(claim(3)).await, FULL);
    // Once one of them has ended, its answer may go.
    ledger.advance(id(2), settle(), at(6)).await.unwrap();
    assert_eq!(ledger.claim(claim(3)).await, Ok(Claimed::Won));
    assert_eq!(bodies(&ledger, 1..=2).await, [true, false]);
}

#[tokio::test]
async fn many_answers_are_pruned_in_one_call() {
    let ledger = MemoryLedger::new();
    for number in 0..200 {
        sold(&ledger, number, 10).await;
    }
    assert_eq!(ledger.prune(at(1_000), u64::MAX, 150).await, Ok(150));
    assert_eq!(ledger.prune(at(0), 100, 1_000).await, Ok(40));
    assert_eq!(ledger.prune(at(0), 100, 1_000).await, Ok(0));
    let kept = bodies(&ledger, 0..=199).await;
    assert_eq!(kept.iter().position(|kept| *kept), Some(190));
}

#[tokio::test]
async fn a_full_wallet_refuses_and_forgets_nothing() {
    let wallet = MemoryWallet::with_limits(WalletLimits {
        spends: 2,
        ..WalletLimits::default()
    });
    let reserve = |number| wallet.reserve_spend(spend(number, 10), per_host(30), TermsRule::ANY);
    for number in 1..=2 {
        assert!(matches!(reserve(number).await, Ok(Reserved::Recorded(_))));
    }
    assert_eq!(reserve(3).await, Err(StoreError::Unavailable));
    let usage = wallet
        .usage("https://seller.example".into(), Unit::Dollar, at(0))
        .await;
    assert_eq!(usage.unwrap().host, spend(1, 20).worth, "it was not signed");
    assert!(matches!(reserve(1).await, Ok(Reserved::Recorded(_))));
    assert!(wallet.finish_spend_later(id(1), SpendEnd::Unused, at(9)));
    assert_eq!(wallet.open_spends(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_counts_while_it_is_kept() {
    let mut with_request = spend(1, 10);
    with_request.request = vec![b'x'; 1_000];
    let wallet = MemoryWallet::with_limits(WalletLimits {
        bytes: 1_500,
        ..WalletLimits::default()
    });
    let reserve = |number| {
        let mut spend = with_request.clone();
        spend.id = id(number);
        wallet.reserve_spend(spend, per_host(1_000), TermsRule::ANY)
    };
    assert!(matches!(reserve(1).await, Ok(Reserved::Recorded(_))));
    assert_eq!(reserve(2).await, Err(StoreError::Unavailable));
    let paid = SpendEnd::Paid { transaction: None };
    wallet.finish_spend(id(1), paid, at(1)).await.unwrap();
    assert!(matches!(reserve(2).await, Ok(Reserved::Recorded(_))));
}

#[tokio::test]
async fn a_time_that_no_file_can_hold_is_refused_as_on_disk() {
    let mut late = spend(1, 10);
    late.at = Timestamp::from_secs(u64::MAX);
    let wallet = MemoryWallet::new();
    let reserved = wallet.reserve_spend(late, per_host(30), TermsRule::ANY);
    assert_eq!(reserved.await, Err(StoreError::Damaged));
    assert_eq!(wallet.spend(id(1)).await, Ok(None));
}

#[tokio::test]
async fn nothing_is_done_before_somebody_waits_for_it() {
    let ledger = MemoryLedger::new();
    drop(ledger.claim(claim(1)));
    assert_eq!(ledger.payment(id(1)).await, Ok(None));
}

#[test]
fn debug_shows_nothing_of_what_is_in_it() {
    assert_eq!(format!("{:?}", MemoryLedger::new()), "MemoryLedger { .. }");
    assert_eq!(format!("{:?}", MemoryWallet::new()), "MemoryWallet { .. }");
}
