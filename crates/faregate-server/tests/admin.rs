//! The admin address: metrics and health for the operator, and nothing of it for anybody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "tests may"
)]

#[path = "facilitator/kit.rs"]
mod kit;
#[path = "facilitator/payment.rs"]
mod payment;

use std::net::SocketAddr;
use std::sync::Arc;

use faregate_core::Facilitator;
use faregate_ledger::LedgerStore;
use faregate_server::admin::{Admin, install};
use faregate_server::facilitator::FacilitatorServer;
use faregate_server::health::Readiness;
use faregate_server::http::Running;
use faregate_store::memory::MemoryLedger;
use faregate_types::x402::Version;
use faregate_types::{ChainId, Code};
use kit::{Fake, clock};
use payment::Payer;

const ANYWHERE: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

struct World {
    service: Running,
    admin: Admin,
    fake: Arc<Fake>,
}

async fn start() -> World {
    drop(rustls::crypto::ring::default_provider().install_default());
    let metrics = install().unwrap();
    let fake = Arc::new(Fake::default());
    let facilitator: Arc<dyn Facilitator> = fake.clone();
    let store: Arc<dyn LedgerStore> = Arc::new(MemoryLedger::new());
    let readiness = Readiness::new(Arc::clone(&store), Some(Arc::clone(&facilitator)));
    let service = FacilitatorServer::start(
        SocketAddr::from(ANYWHERE),
        facilitator,
        store,
        Arc::new(clock),
    )
    .await
    .unwrap();
    let admin = Admin::start(SocketAddr::from(ANYWHERE), metrics, readiness, None)
        .await
        .unwrap();
    World {
        service,
        admin,
        fake,
    }
}

async fn get(addr: SocketAddr, path: &str) -> (u16, String) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://{addr}{path}")).send().await;
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn post(addr: SocketAddr, path: &str, body: String) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(format!("http://{addr}{path}")).body(body);
    let request = request.header("content-type", "application/json");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn metrics_are_at_the_admin_address_only() {
    let world = start().await;
    let payer = Payer::new(ChainId::BASE_SEPOLIA);
    let body = payer.body(Version::V2, 1).to_string();
    assert_eq!(post(world.service.addr(), "/verify", body).await, 200);
    assert_eq!(get(world.service.addr(), "/metrics").await.0, 404);
    let (status, text) = get(world.admin.addr(), "/metrics").await;
    assert_eq!(status, 200);
    for part in [
        "faregate_build_info{version=",
        "# TYPE process_start_time_seconds gauge",
        "faregate_facilitator_requests_total{call=\"verify\",outcome=\"valid\"",
        "faregate_facilitator_request_seconds_bucket{call=\"verify\",le=\"0.005\"}",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // Whoever pays is nobody's business.
    let who = payer.address().to_string().to_lowercase();
    assert!(!text.to_lowercase().contains(&who));
    // The service's calls are not offered there.
    assert_eq!(get(world.admin.addr(), "/supported").await.0, 404);
    world.service.shutdown().await;
    world.admin.shutdown().await;
}

#[tokio::test]
async fn readiness_is_that_of_the_service_until_it_stops() {
    let world = start().await;
    let admin = world.admin.addr();
    assert_eq!(get(admin, "/readyz").await.0, 200);
    assert_eq!(get(admin, "/livez").await.0, 200);
    world.admin.stopping();
    let (status, text) = get(admin, "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("\"code\":\"shutting_down\""), "{text}");
    assert_eq!(get(admin, "/livez").await.0, 200);
    assert_eq!(get(admin, "/metrics").await.0, 200);
    world.service.shutdown().await;
    world.admin.shutdown().await;
}

#[tokio::test]
async fn a_part_that_is_away_makes_it_unready() {
    let world = start().await;
    *world.fake.supported.lock().unwrap() = Err(Code::ChainUnavailable);
    let (status, text) = get(world.admin.addr(), "/readyz").await;
    assert_eq!(status, 503);
    assert!(text.contains("\"code\":\"chain_unavailable\""), "{text}");
}
