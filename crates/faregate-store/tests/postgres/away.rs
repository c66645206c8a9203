//! A database that is not there, does not answer, or holds something strange: told in time, and nothing hangs.

use std::time::{Duration, Instant};

use faregate_ledger::{AccountId, Claimed, LedgerStore as _, StoreError};
use faregate_store::postgres::{PostgresLedger, PostgresUrl, migrate};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::common::{asset, claim, id};
use super::kit::{Place, address};

/// Longer than any bound of the engine, and no measure of speed.
const FOREVER: Duration = Duration::from_secs(40);

/// A wire to the database that can be stopped: what is on it then goes nowhere.
async fn wire(to: String) -> (u16, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut here, _) = listener.accept().await.unwrap();
            let (to, mut stopped) = (to.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut there = TcpStream::connect(to).await.unwrap();
                let passes = async {
                    copy_bidirectional(&mut here, &mut there).await.ok();
                };
                let is_stopped = async { stopped.wait_for(|stopped| *stopped).await.is_ok() };
                let is_stopped = tokio::select! {
                    () = passes => false,
                    stopped = is_stopped => stopped,
                };
                if is_stopped {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (port, stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_database_is_unavailable_and_comes_back() {
    let Some(place) = Place::new().await else {
        return;
    };
    let given = address().unwrap();
    let server = given.split_once('@').unwrap().1.split('/').next().unwrap();
    let (port, stop) = wire(server.to_owned()).await;
    let text = place
        .text()
        .replacen(server, &format!("127.0.0.1:{port}"), 1);
    let ledger = PostgresLedger::open(&PostgresUrl::parse(&text).unwrap())
        .await
        .unwrap();
    assert_eq!(ledger.claim(claim(1)).await, Ok(Claimed::Won));
    assert!(ledger.payment(id(1)).await.unwrap().is_some());
    stop.send_replace(true);
    let since = Instant::now();
    let (claimed, read) = tokio::join!(ledger.claim(claim(2)), ledger.payment(id(1)));
    assert_eq!(claimed, Err(StoreError::Unavailable));
    assert_eq!(read, Err(StoreError::Unavailable));
    assert!(since.elapsed() < FOREVER);
    stop.send_replace(false);
    // For a moment nobody knocks again where nobody answered.
    while ledger.open_payments(1).await.is_err() {
        assert!(since.elapsed() < FOREVER);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nobody knows whether the second was claimed; to ask again says so.
    let again = ledger.claim(claim(2)).await.unwrap();
    assert!(
        matches!(again, Claimed::Won | Claimed::InFlight(_)),
        "{again:?}"
    );
    assert_eq!(ledger.audit().await.unwrap().faults, []);
}

#[tokio::test]
async fn nobody_there_is_said_without_the_password() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = closed.local_addr().unwrap().port();
    for port in [1, silent] {
        let url = format!("postgres://gate:hunter2@127.0.0.1:{port}/books");
        let since = Instant::now();
        let error = migrate(&PostgresUrl::parse(&url).unwrap())
            .await
            .unwrap_err();
        assert!(since.elapsed() < FOREVER);
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// Connections that the server ends under us are made anew, unasked.
#[tokio::test(flavor = "multi_thread")]
async fn ended_connections_are_made_anew() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledger = place.open().await;
    for number in 0..4 {
        assert_eq!(ledger.claim(claim(number)).await, Ok(Claimed::Won));
        assert!(ledger.payment(id(number)).await.unwrap().is_some());
        let of = place.schema();
        place
            .run(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{of}'"
            ))
            .await;
    }
    assert_eq!(ledger.open_payments(9).await.unwrap().len(), 4);
}

/// A row that somebody changed by hand spoils what is asked of it, and the audit says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_wrote_is_damage_and_spoils_nothing_else() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledger = place.open().await;
    for number in 0..3 {
        assert_eq!(ledger.claim(claim(number)).await, Ok(Claimed::Won));
    }
    assert!(ledger.audit().await.unwrap().is_clean());
    place
        .run(
            "UPDATE payment SET rail = 'unheard of' WHERE id = (SELECT id FROM payment ORDER BY id LIMIT 1); \
             UPDATE balance SET debits_pending = debits_pending + 1 WHERE account = (SELECT min(account) FROM balance \
             WHERE account LIKE 'payer/%')",
        )
        .await;
    let asked = (0..5).map(|number| ledger.claim(claim(number)));
    let told = futures_util::future::join_all(asked).await;
    assert_eq!(told[0], Err(StoreError::Damaged));
    assert!(matches!(told[1], Ok(Claimed::InFlight(_))));
    assert_eq!(told[3..], [Ok(Claimed::Won), Ok(Claimed::Won)]);
    assert_eq!(ledger.payment(id(0)).await, Err(StoreError::Damaged));
    let faults = ledger.audit().await.unwrap().faults;
    assert_eq!(faults.len(), 2, "one account, and its books: {faults:?}");
    // The whole transfer is there, or nothing of it.
    let nobody = AccountId::parse("payer/nobody").unwrap();
    let balance = ledger.balance(nobody, asset()).await.unwrap();
    assert!(balance.is_balanced());
}

/// What the database does not take spoils its own job, and not those that share its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_refuses_is_refused_alone() {
    let Some(place) = Place::new().await else {
        return;
    };
    let ledger = place.open().await;
    place
        .run("ALTER TABLE payment ADD CHECK (route <> 'poison')")
        .await;
    let asked = (0..9).map(|number| {
        let mut claim = claim(number);
        if number == 4 {
            claim.route = "poison".into();
        }
        ledger.claim(claim)
    });
    let told = futures_util::future::join_all(asked).await;
    for (number, told) in told.into_iter().enumerate() {
        let expected = if number == 4 {
            Err(StoreError::Damaged)
        } else {
            Ok(Claimed::Won)
        };
        assert_eq!(told, expected, "{number}");
    }
    let audit = ledger.audit().await.unwrap();
    assert_eq!((audit.rows, audit.faults), (8, vec![]));
}
