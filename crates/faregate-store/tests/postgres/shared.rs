//! Several processes and instances on one database: one winner, no more than there is, and a schema that is made once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use faregate_core::port::Turn as _;
use faregate_ledger::{Claimed, LedgerStore as _, Step, StoreError};
use faregate_store::postgres::{
    PostgresError, PostgresLedger, PostgresUrl, migrate, schema_version,
};
use faregate_types::U256;
use futures_util::future::join_all;
use tokio_postgres::NoTls;

use super::common::{self, at, child, claim, id};
use super::kit::Place;

const PROCESSES: u64 = 3;
const PAYMENTS: u64 = 80;

#[tokio::test]
async fn one_process_wins_each_payment() {
    let Some(place) = Place::new().await else {
        return;
    };
    let text = place.text();
    // All at once, on a place where none of them finds a table.
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| child("shared::a_child_that_claims", Path::new(&text), number))
        .map(|mut child| child.spawn().unwrap())
        .collect();
    let mut lines = BTreeMap::<String, usize>::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
    }
    for number in 0..PAYMENTS {
        assert_eq!(lines.get(&format!("won {number}")), Some(&1), "{number}");
    }
    let audit = place.open().await.audit().await.unwrap();
    assert_eq!((audit.rows, audit.faults), (PAYMENTS, vec![]));
}

#[test]
#[ignore = "started by the test above"]
#[allow(
    clippy::print_stdout,
    reason = "children talk to their parent by lines"
)]
fn a_child_that_claims() {
    // The harness has begun a line with the name of the test.
    println!();
    let Ok(text) = std::env::var(common::FILE) else {
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = PostgresUrl::parse(&text).unwrap();
        let ledger = PostgresLedger::open(&url).await.unwrap();
        let claims = (0..PAYMENTS).map(|number| ledger.claim(claim(number)));
        for (number, claimed) in join_all(claims).await.into_iter().enumerate() {
            if claimed.unwrap() == Claimed::Won {
                println!("won {number}");
            }
        }
    });
}

/// One payer, one payee, two instances, everything at once: as much is reserved as there is, and nothing is lost of it.
#[tokio::test(flavor = "multi_thread")]
async fn instances_reserve_what_a_payer_has_and_no_more() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledgers = [Arc::new(place.open().await), Arc::new(place.open().await)];
    let asked = (0..200_u64).map(|number| {
        let ledger = Arc::clone(&ledgers[usize::from(number % 2 == 0)]);
        tokio::spawn(async move {
            let mut claim = claim(7 * number);
            claim.transfer.amount = faregate_types::Amount::new(U256::from(1_000), common::asset());
            claim.funds = Some(U256::from(50_500));
            let claimed = ledger.claim(claim).await.unwrap();
            if claimed == Claimed::Won && number % 3 == 0 {
                let settle = Step::Settle { transaction: None };
                ledger.advance(id(7 * number), settle, at(1)).await.unwrap();
            }
            claimed
        })
    });
    let claimed = join_all(asked.collect::<Vec<_>>()).await;
    let won = claimed
        .iter()
        .filter(|claimed| *claimed.as_ref().unwrap() == Claimed::Won)
        .count();
    let settled = claimed
        .iter()
        .step_by(3)
        .filter(|claimed| *claimed.as_ref().unwrap() == Claimed::Won)
        .count();
    let claim = claim(0);
    let payer = ledgers[0]
        .balance(claim.transfer.debit, common::asset())
        .await
        .unwrap();
    let units = |sum: U256| usize::try_from(sum / U256::from(1_000)).unwrap();
    assert_eq!(units(payer.debits_pending), won - settled);
    assert_eq!(units(payer.debits_posted), settled);
    assert!(payer.debits_pending <= U256::from(50_500));
    assert!(won >= 50, "{won}");
    assert_eq!(ledgers[1].audit().await.unwrap().faults, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_makes_the_schema_once() {
    let Some(place) = Place::new().await else {
        return;
    };
    let url = place.url();
    let before = schema_version(&url).await.unwrap();
    assert_eq!((before.found, before.is_current()), (0, false));
    let crowd = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { migrate(&url).await.map(|found| found.found) })
    });
    let mut made = 0;
    for found in join_all(crowd.collect::<Vec<_>>()).await {
        made += u32::from(found.unwrap().unwrap() == 0);
    }
    assert!(made >= 1);
    assert!(schema_version(&url).await.unwrap().is_current());
    place.run("UPDATE faregate_schema SET version = 99").await;
    let newer = PostgresLedger::open(&url).await.unwrap_err();
    assert!(newer.to_string().contains("newer program"), "{newer}");
    assert!(migrate(&url).await.is_err());
}

/// The second is refused while the first is there, and whoever comes after it is called the same.
#[tokio::test(flavor = "multi_thread")]
async fn one_holds_a_ledger_and_nobody_writes_beside_it() {
    let Some(place) = Place::new().await else {
        return;
    };
    let url = place.url();
    let first = PostgresLedger::open_alone(&url).await.unwrap();
    let second = PostgresLedger::open_alone(&url).await;
    assert!(matches!(second, Err(PostgresError::Held)), "{second:?}");
    assert_eq!(first.claim(claim(1)).await, Ok(Claimed::Won));
    first.leave().await;
    assert_eq!(first.claim(claim(2)).await, Err(StoreError::Unavailable));
    let second = PostgresLedger::open_alone(&url).await.unwrap();
    assert!(second.gate().is_some());
    assert_eq!(second.gate(), first.gate());
    assert_eq!(second.claim(claim(2)).await, Ok(Claimed::Won));
    // Somebody takes it although the second is there: as if it had not been seen for a while.
    place
        .run("UPDATE holder SET run = decode(repeat('07', 16), 'hex')")
        .await;
    while second.claim(claim(3)).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(second.claim(claim(4)).await, Err(StoreError::Unavailable));
    assert!(
        second.payment(id(2)).await.unwrap().is_some(),
        "it may be read"
    );
}

/// One of two has the turn; the other has it as soon as it is left, or when who had it is not seen for a while.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_has_the_turn() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledgers = [place.open().await, place.open().await];
    let [first, second] = ledgers
        .each_ref()
        .map(|ledger| ledger.turn("records").unwrap());
    let other = ledgers[1].turn("something else").unwrap();
    let (a, b) = tokio::join!(first.is_ours(), second.is_ours());
    assert!(a ^ b, "{a} {b}");
    let (has, waits) = if a {
        (&first, &second)
    } else {
        (&second, &first)
    };
    assert!(has.is_ours().await && !waits.is_ours().await && other.is_ours().await);
    has.leave().await;
    assert!(waits.is_ours().await && !has.is_ours().await);
    place
        .run("UPDATE holder SET seen_at = seen_at - 25000 WHERE name = 'records'")
        .await;
    assert!(has.is_ours().await);
    // Who was away for so long finds out.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert!(!waits.is_ours().await);
}

/// While one row is locked by somebody else, everything that comes waits for one transaction, however much it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_shares_one_transaction() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledger = place.open().await;
    assert_eq!(ledger.claim(claim(0)).await, Ok(Claimed::Won));
    let (other, connection) = tokio_postgres::connect(&place.text(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    other
        .batch_execute("BEGIN; SELECT 1 FROM balance FOR UPDATE")
        .await
        .unwrap();
    let claims = join_all((1..=200).map(|number| ledger.claim(claim(number))));
    let releases = async {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = current_setting('application_name')";
        while other.query(waits, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (claimed, ()) = tokio::join!(claims, releases);
    assert!(
        claimed
            .into_iter()
            .all(|claimed| claimed == Ok(Claimed::Won))
    );
    // Every row knows the transaction that wrote it: the one that waited, and the one behind it.
    let count = "SELECT count(DISTINCT xmin::text) FROM payment WHERE claimed_at > 1740000000";
    let transactions: i64 = other.query_one(count, &[]).await.unwrap().get(0);
    assert!((1..=2).contains(&transactions), "{transactions}");
    drop(other);
    driver.await.unwrap().unwrap();
}
