//! What a payer sends to repay its debts, in a file that several processes share.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

use alloy_primitives::{Address, B256, U256};
use faregate_ledger::{
    Repayment, RepaymentState, RepaymentStore as _, Sending, StoreError, TabKey,
};
use faregate_store::sqlite::SqliteWallet;
use faregate_types::{ChainId, Timestamp};

fn tab(number: u64) -> TabKey {
    TabKey {
        chain: ChainId::BASE_SEPOLIA,
        contract: Address::repeat_byte(1),
        payer: Address::repeat_byte(2),
        tab: U256::MAX - U256::from(number),
    }
}

fn repayment(tab: TabKey, number: u32, amount: u64) -> Repayment {
    Repayment {
        tab,
        number,
        recipient: Address::repeat_byte(4),
        asset: Address::repeat_byte(5),
        amount: U256::from(amount),
        total: U256::from(100),
        at: Timestamp::from_secs(5),
    }
}

fn sending(hash: u8, nonce: u64) -> Sending {
    Sending {
        hash: B256::repeat_byte(hash),
        nonce,
        raw: vec![hash; 200],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_known_after_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let first = SqliteWallet::open(&path).unwrap();
    first
        .begin_repayment(repayment(tab(1), 0, 60))
        .await
        .unwrap();
    first
        .begin_repayment(repayment(tab(1), 0, 60))
        .await
        .unwrap();
    for sent in [
        sending(1, u64::MAX),
        sending(1, u64::MAX),
        sending(2, u64::MAX),
    ] {
        first.send_repayment(tab(1), 0, sent).await.unwrap();
    }
    let other_nonce = first.send_repayment(tab(1), 0, sending(3, 7)).await;
    assert_eq!(other_nonce, Err(StoreError::Conflict));
    first
        .begin_repayment(repayment(tab(2), 0, 5))
        .await
        .unwrap();
    drop(first);

    let second = SqliteWallet::open(&path).unwrap();
    let TabKey {
        chain,
        contract,
        payer,
        ..
    } = tab(1);
    let open = second.open_repayments(chain, contract, payer, 9).await;
    let open = open.unwrap();
    assert_eq!(open[0].repayment, repayment(tab(1), 0, 60));
    assert_eq!(open[0].sent, [sending(1, u64::MAX), sending(2, u64::MAX)]);
    assert_eq!(open[1].repayment.tab, tab(2));
    let elsewhere = Address::repeat_byte(9);
    for other in [
        second.open_repayments(ChainId::BASE, contract, payer, 9),
        second.open_repayments(chain, elsewhere, payer, 9),
        second.open_repayments(chain, contract, elsewhere, 9),
    ] {
        assert_eq!(other.await, Ok(vec![]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_written_down_and_what_comes_after_fits_it() {
    let second = SqliteWallet::in_memory().unwrap();
    second
        .begin_repayment(repayment(tab(1), 0, 60))
        .await
        .unwrap();
    // Not another one while nobody knows.
    let next = second.begin_repayment(repayment(tab(1), 1, 40)).await;
    assert_eq!(next, Err(StoreError::Conflict));
    let hash = Some(B256::repeat_byte(2));
    let paid = RepaymentState::Paid;
    second
        .finish_repayment(tab(1), 0, paid, hash)
        .await
        .unwrap();
    let late = second.send_repayment(tab(1), 0, sending(4, u64::MAX)).await;
    assert_eq!(late, Err(StoreError::Conflict));
    let void = RepaymentState::Void;
    let back = second.finish_repayment(tab(1), 0, void, None).await;
    assert_eq!(back, Err(StoreError::Conflict));
    let recorded = RepaymentState::Recorded;
    second
        .finish_repayment(tab(1), 0, recorded, None)
        .await
        .unwrap();
    let more = second.begin_repayment(repayment(tab(1), 1, 41)).await;
    assert_eq!(more, Err(StoreError::Conflict));
    second
        .begin_repayment(repayment(tab(1), 1, 40))
        .await
        .unwrap();
    let all = second.repayments(tab(1)).await.unwrap();
    assert_eq!((all[0].state, all[0].transaction), (recorded, hash));
    assert_eq!(all[1].state, RepaymentState::Open);
    let unknown = second.finish_repayment(tab(3), 0, paid, None).await;
    assert_eq!(unknown, Err(StoreError::NotFound));
}

/// Whoever comes second has not seen what the first begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_would_pay_one_tab_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let (one, other) = (
        SqliteWallet::open(&path).unwrap(),
        SqliteWallet::open(&path).unwrap(),
    );
    for number in 0..20 {
        let mut theirs = repayment(tab(number), 0, 60);
        theirs.at = Timestamp::from_secs(6);
        let (a, b) = tokio::join!(
            one.begin_repayment(repayment(tab(number), 0, 60)),
            other.begin_repayment(theirs)
        );
        assert_eq!([a, b].iter().filter(|begun| begun.is_ok()).count(), 1);
        // Neither does whoever has looked before the first was through.
        let paid = RepaymentState::Paid;
        one.finish_repayment(tab(number), 0, paid, None)
            .await
            .unwrap();
        let again = other.begin_repayment(repayment(tab(number), 0, 40)).await;
        assert_eq!(again, Err(StoreError::Conflict));
    }
}
