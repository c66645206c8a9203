//! Files that are not what they should be: a clear error, never a panic, and nothing of somebody else's is touched.
#![allow(
    clippy::integer_division,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{at, claim, id, per_host, spend};
use faregate_ledger::{
    Answer, CapRefusal, LedgerStore as _, Reserved, SpendEnd, SpendState, Step, StoreError,
    TermsRule, WalletStore as _,
};
use faregate_store::audit::AuditFault;
use faregate_store::sqlite::{OpenError, SqliteLedger, SqliteWallet};
use faregate_types::Code;
use rusqlite::Connection;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A ledger with a few payments in every state.
async fn filled(file: &Path) {
    let ledger = SqliteLedger::open(file).unwrap();
    for number in 0..40 {
        ledger.claim(claim(number)).await.unwrap();
        let step = match number % 4 {
            0 => Step::Settle {
                transaction: Some("0x1".into()),
            },
            1 => Step::Fail {
                code: Code::TransactionFailed,
            },
            2 => Step::Release,
            _ => Step::Broadcast {
                transaction: "0x2".into(),
            },
        };
        ledger.advance(id(number), step, at(50)).await.unwrap();
        if number % 4 == 0 {
            let answer = Answer {
                status: 200,
                headers: vec![],
                body: Some(vec![7; 5000]),
            };
            ledger
                .advance(id(number), Step::Keep { answer }, at(51))
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn a_ledger_is_the_same_after_reopening() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    filled(&file).await;
    let read = async || {
        let ledger = SqliteLedger::open(&file).unwrap();
        let payments = ledger.recent_payments(100).await.unwrap();
        (
            payments,
            ledger.open_payments(100).await.unwrap(),
            ledger.totals().await.unwrap(),
        )
    };
    let first = read().await;
    assert_eq!((first.0.len(), first.1.len(), first.2.len()), (40, 10, 1));
    assert_eq!(read().await, first);
}

#[tokio::test]
async fn a_wallet_is_the_same_after_reopening() {
    let folder = folder();
    let file = folder.path().join("wallet.db");
    let wallet = SqliteWallet::open(&file).unwrap();
    for number in 0..10 {
        wallet
            .reserve_spend(spend(number, 10), per_host(100), TermsRule::ANY)
            .await
            .unwrap();
    }
    let receipt = SpendEnd::Paid {
        transaction: Some("0x1".into()),
    };
    wallet.finish_spend(id(3), receipt, at(1)).await.unwrap();
    let before = wallet.recent_spends(100).await.unwrap();
    drop(wallet);
    let wallet = SqliteWallet::open(&file).unwrap();
    assert_eq!(wallet.recent_spends(100).await, Ok(before));
    let late = wallet.reserve_spend(spend(11, 1), per_host(100), TermsRule::ANY);
    assert!(
        matches!(late.await, Ok(Reserved::Cap(CapRefusal::Host, _))),
        "the cap is still used up"
    );
    assert!(wallet.audit().await.unwrap().is_clean());
}

/// Nobody waits for it, and it is on the disk all the same when the store is gone.
#[tokio::test]
async fn an_end_that_nobody_waited_for_is_there_after_reopening() {
    let folder = folder();
    let file = folder.path().join("wallet.db");
    let wallet = SqliteWallet::open(&file).unwrap();
    for number in 0..10 {
        let reserve = wallet.reserve_spend(spend(number, 10), per_host(100), TermsRule::ANY);
        reserve.await.unwrap();
        assert!(wallet.finish_spend_later(id(number), SpendEnd::Unused, at(1)));
    }
    drop(wallet);
    let wallet = SqliteWallet::open(&file).unwrap();
    let spends = wallet.recent_spends(100).await.unwrap();
    assert_eq!(spends.len(), 10);
    assert!(
        spends
            .iter()
            .all(|record| record.state == SpendState::Unused)
    );
}

#[test]
fn a_newer_file_is_refused_and_not_touched() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    drop(SqliteLedger::open(&file).unwrap());
    let conn = Connection::open(&file).unwrap();
    conn.execute_batch("PRAGMA user_version = 700; PRAGMA journal_mode = DELETE;")
        .unwrap();
    drop(conn);
    let before = fs::read(&file).unwrap();
    let error = SqliteLedger::open(&file).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 700, known } if known < 700),
        "{error:?}"
    );
    assert_eq!(error.code(), Code::StoreUnavailable);
    assert!(error.to_string().contains("version 700"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_file_of_another_kind_is_refused_and_not_touched() {
    let folder = folder();
    let (ledger, wallet, other) = (
        folder.path().join("ledger.db"),
        folder.path().join("wallet.db"),
        folder.path().join("other.db"),
    );
    drop(SqliteLedger::open(&ledger).unwrap());
    drop(SqliteWallet::open(&wallet).unwrap());
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (a)")
        .unwrap();
    let before = fs::read(&other).unwrap();
    for result in [
        SqliteLedger::open(&wallet).map(drop),
        SqliteLedger::open(&other).map(drop),
    ] {
        assert!(
            matches!(result, Err(OpenError::OtherKind { expected: "ledger" })),
            "{result:?}"
        );
    }
    assert!(matches!(
        SqliteWallet::open(&ledger),
        Err(OpenError::OtherKind { expected: "wallet" })
    ));
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[test]
fn a_path_that_cannot_be_is_told() {
    let folder = folder();
    let missing = folder.path().join("no").join("such").join("folder.db");
    assert!(matches!(
        SqliteLedger::open(&missing),
        Err(OpenError::Path { .. })
    ));
    assert!(matches!(
        SqliteLedger::open(""),
        Err(OpenError::Path { .. })
    ));
    assert!(SqliteLedger::open(folder.path()).is_err(), "a folder");
    let error = SqliteLedger::open(missing).unwrap_err();
    assert!(error.to_string().contains("folder.db"), "{error}");
}

/// SQLite would read these as an address or as "in memory", and lose the books.
#[tokio::test]
async fn odd_names_are_files() {
    let folder = folder();
    for name in [":memory:", "file:books?mode=memory", "ü % ?.db"] {
        let file = folder.path().join(name);
        SqliteLedger::open(&file)
            .unwrap()
            .claim(claim(1))
            .await
            .unwrap();
        assert!(file.is_file());
        assert!(
            SqliteLedger::open(&file)
                .unwrap()
                .payment(id(1))
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// Damage anywhere in the file: opening, reading, claiming and auditing give errors or right answers. Somewhere it is seen.
#[tokio::test]
async fn a_damaged_file_is_an_error() {
    let folder = folder();
    let file = folder.path().join("ledger.db");
    filled(&file).await;
    let sound = fs::read(&file).unwrap();
    let (mut at_open, mut later) = (0, 0);
    for page in 0..sound.len() / 4096 {
        let mut damaged = sound.clone();
        damaged[page * 4096..page * 4096 + 512].fill(0xa5);
        fs::write(&file, damaged).unwrap();
        match SqliteLedger::open(&file) {
            Err(error) => {
                assert!(
                    matches!(error, OpenError::Damaged),
                    "page {page}: {error:?}"
                );
                at_open += 1;
            }
            Ok(ledger) => {
                let mut faults = vec![
                    ledger.recent_payments(100).await.err(),
                    ledger.totals().await.err(),
                ];
                for number in 0..50 {
                    faults.push(ledger.payment(id(number)).await.err());
                    faults.push(ledger.claim(claim(number)).await.err());
                }
                let audit = ledger.audit().await;
                faults.push(audit.as_ref().err().copied());
                for fault in faults.iter().flatten() {
                    assert_eq!(*fault, StoreError::Damaged, "page {page}");
                }
                assert!(
                    !audit.is_ok_and(|audit| audit.is_clean()),
                    "page {page}: the audit sees it"
                );
                later += 1;
            }
        }
        for side in ["ledger.db-wal", "ledger.db-shm"] {
            drop(fs::remove_file(folder.path().join(side)));
        }
    }
    assert!(at_open > 0 && later > 3, "{at_open} {later}");

    fs::write(&file, &sound[..sound.len() / 2]).unwrap();
    let half = match SqliteLedger::open(&file) {
        Err(error) => matches!(error, OpenError::Damaged),
        Ok(ledger) => !ledger.audit().await.is_ok_and(|audit| audit.is_clean()),
    };
    assert!(half, "a file cut in half");
    fs::write(&file, b"this is a letter, not a database, and it is long enough to have a header of its own ........").unwrap();
    assert!(matches!(SqliteLedger::open(&file), Err(OpenError::Damaged)));
}

/// What somebody changed by hand is found.
#[tokio::test]
async fn an_audit_finds_what_does_not_add_up() {
    let table = [
        (
            "UPDATE balance SET debits_posted = '1' WHERE account LIKE 'payer/%'",
            "balance",
        ),
        (
            "DELETE FROM balance WHERE account LIKE 'payee/%'",
            "balance",
        ),
        (
            "INSERT INTO balance VALUES ('payer/x', 'eip155:1/erc20:0x0000000000000000000000000000000000000001', '0', '0', '0', '0')",
            "balance",
        ),
        (
            "UPDATE payment SET state = 'settled' WHERE state = 'failed'",
            "contradict",
        ),
        (
            "UPDATE payment SET state = 'reserved' WHERE state = 'released'",
            "contradict",
        ),
        (
            "DELETE FROM payment WHERE state = 'broadcast'",
            "reserved for nobody",
        ),
    ];
    for (sql, expected) in table {
        let folder = folder();
        let file = folder.path().join("ledger.db");
        filled(&file).await;
        assert!(
            SqliteLedger::open(&file)
                .unwrap()
                .audit()
                .await
                .unwrap()
                .is_clean()
        );
        let conn = Connection::open(&file).unwrap();
        assert!(conn.execute(sql, []).unwrap() > 0);
        drop(conn);
        let audit = SqliteLedger::open(&file).unwrap().audit().await.unwrap();
        assert!(!audit.faults.is_empty(), "{sql}");
        assert!(
            audit
                .faults
                .iter()
                .all(|fault| fault.to_string().contains(expected)),
            "{sql}: {:?}",
            audit.faults
        );
    }
}

#[tokio::test]
async fn an_audit_of_a_wallet_finds_what_does_not_add_up() {
    for (sql, origin) in [
        ("UPDATE signed_for_origin SET worth = '1'", true),
        ("DELETE FROM signed_in_slot WHERE level = 2", false),
        (
            "INSERT INTO signed_in_slot VALUES ('usd', 0, 5, '0')",
            false,
        ),
    ] {
        let folder = folder();
        let file = folder.path().join("wallet.db");
        let wallet = SqliteWallet::open(&file).unwrap();
        wallet
            .reserve_spend(spend(1, 10), per_host(100), TermsRule::ANY)
            .await
            .unwrap();
        drop(wallet);
        Connection::open(&file).unwrap().execute(sql, []).unwrap();
        let audit = SqliteWallet::open(&file).unwrap().audit().await.unwrap();
        assert_eq!((audit.rows, audit.faults.len()), (1, 1));
        assert_eq!(matches!(audit.faults[0], AuditFault::Origin { .. }), origin);
    }
}

/// The tables themselves refuse to rewrite history.
#[tokio::test]
async fn history_is_immutable() {
    let folder = folder();
    let (ledger, wallet) = (
        folder.path().join("ledger.db"),
        folder.path().join("wallet.db"),
    );
    filled(&ledger).await;
    let books = SqliteWallet::open(&wallet).unwrap();
    books
        .reserve_spend(spend(1, 10), per_host(100), TermsRule::ANY)
        .await
        .unwrap();
    drop(books);
    for (file, sql) in [
        (&ledger, "UPDATE transfer SET amount = '1'"),
        (&ledger, "DELETE FROM transfer"),
        (&ledger, "UPDATE transfer_end SET phase = 'posted'"),
        (&ledger, "DELETE FROM transfer_end"),
        (&wallet, "UPDATE spend SET worth = '0'"),
        (&wallet, "DELETE FROM spend"),
    ] {
        let error = Connection::open(file)
            .unwrap()
            .execute(sql, [])
            .unwrap_err();
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{sql}"
        );
    }
}
