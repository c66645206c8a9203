//! Cases for [`LedgerStore`]. Each says in its name what an engine promises.

use alloy_primitives::U256;
use faregate_types::Code;

use super::kit::{asset, at, payee, payer};
use crate::{AccountId, Answer, Balance, Claim, Claimed, LedgerStore, Payment, PaymentState, Step};

pub mod books;
pub mod claims;
pub mod exposure;
pub mod finality;
pub mod keys;
pub mod lists;
pub mod prune;
pub mod random;
pub mod steps;

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
fn steps() -> [Step; 9] {
    [
        broadcast(),
        settle(),
        fail(),
        Step::Release,
        Step::Keep { answer: answer() },
        sell(),
        Step::Serve { answer: answer() },
        Step::Finalize,
        Step::Reopen,
    ]
}

/// A payment with all these steps behind it.
async fn after<S: LedgerStore>(
    store: &S,
    claim: Claim,
    steps: impl IntoIterator<Item = Step>,
) -> Payment {
    let mut payment = won(store, claim).await;
    for step in steps {
        payment = store.advance(payment.claim.id, step, at(1)).await.unwrap();
    }
    payment
}

fn serve() -> Step {
    Step::Serve { answer: answer() }
}

fn sell() -> Step {
    Step::Sell {
        transaction: Some("0x5e".into()),
        answer: answer(),
    }
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
