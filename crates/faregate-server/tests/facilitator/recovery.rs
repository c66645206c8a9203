//! Settlements whose end was unknown when the service stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faregate_core::Facilitator;
use faregate_ledger::{LedgerStore, PaymentState};
use faregate_server::facilitator::FacilitatorServer;
use faregate_server::http::Running;
use faregate_server::limits::RECOVERY_AGE_SECS;
use faregate_store::memory::MemoryLedger;
use faregate_types::x402::Version;
use faregate_types::{ChainId, Code};
use tokio::time::{sleep, timeout};

use super::kit::{Desk, Fake, HASH, Settles, clock};
use super::payment::Payer;

const SOON: Duration = Duration::from_secs(10);

/// A ledger with a settlement that was sent and whose end is unknown, and the body that asked for it.
async fn left() -> (Arc<MemoryLedger>, String) {
    let store = Arc::new(MemoryLedger::new());
    let desk = Desk::on(Fake::default(), Arc::clone(&store) as Arc<dyn LedgerStore>);
    desk.fake.will(Settles::Unknown(Some(HASH)));
    let payer = Payer::new(ChainId::BASE_SEPOLIA);
    let body = payer.body(Version::V2, 1).to_string();
    let answer = desk.post("/settle", body.clone()).await.json();
    assert_eq!(answer["errorReason"], "settlement_pending");
    assert_eq!(state(&store).await, PaymentState::Broadcast);
    (store, body)
}

async fn state(store: &MemoryLedger) -> PaymentState {
    store.recent_payments(1).await.unwrap()[0].state
}

/// The service some time later.
async fn server(fake: &Arc<Fake>, store: &Arc<MemoryLedger>, secs: u64) -> Running {
    let facilitator: Arc<dyn Facilitator> = fake.clone();
    let now = clock().checked_add_secs(secs).unwrap();
    let store = Arc::clone(store) as Arc<dyn LedgerStore>;
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    FacilitatorServer::start(bind, facilitator, store, Arc::new(move || now))
        .await
        .unwrap()
}

async fn resolved(fake: &Fake) {
    let asked = async {
        while fake.resolved.load(Ordering::SeqCst) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, asked).await.unwrap();
}

#[tokio::test]
async fn the_next_start_finds_out_how_they_ended() {
    for (told, ends) in [
        (Settles::Well, PaymentState::Settled),
        (
            Settles::Badly(Code::TransactionFailed),
            PaymentState::Failed,
        ),
    ] {
        let (store, body) = left().await;
        let fake = Arc::new(Fake::default());
        fake.will(told);
        let running = server(&fake, &store, RECOVERY_AGE_SECS).await;
        let ended = async {
            while state(&store).await != ends {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, ended).await.unwrap();
        running.shutdown().await;
        assert_eq!(fake.settlements(), 0, "nothing was sent again");
        assert!(store.audit().unwrap().is_clean());
        // Whoever asks now hears the recorded end.
        let desk = Desk::on(Fake::default(), Arc::clone(&store) as Arc<dyn LedgerStore>);
        let answer = desk.post("/settle", body).await.json();
        assert_eq!(answer["success"], ends == PaymentState::Settled);
        assert_eq!(desk.fake.settlements(), 0);
    }
}

#[tokio::test]
async fn an_end_that_stays_unknown_stays_open() {
    let (store, _) = left().await;
    let fake = Arc::new(Fake::default());
    fake.will(Settles::Unknown(None));
    let running = server(&fake, &store, 1_000_000).await;
    resolved(&fake).await;
    running.shutdown().await;
    assert_eq!(state(&store).await, PaymentState::Broadcast);
}

#[tokio::test]
async fn a_question_without_an_answer_does_not_hold_up_the_shutdown() {
    let (store, _) = left().await;
    let fake = Arc::new(Fake::default());
    fake.will(Settles::Never);
    let running = server(&fake, &store, RECOVERY_AGE_SECS).await;
    resolved(&fake).await;
    timeout(SOON, running.shutdown()).await.unwrap();
    assert_eq!(state(&store).await, PaymentState::Broadcast);
}

#[tokio::test]
async fn what_changed_a_moment_ago_is_left_to_whoever_is_on_it() {
    let (store, _) = left().await;
    let fake = Arc::new(Fake::default());
    let running = server(&fake, &store, RECOVERY_AGE_SECS - 1).await;
    sleep(Duration::from_millis(100)).await;
    running.shutdown().await;
    assert_eq!(fake.resolved.load(Ordering::SeqCst), 0);
}
