//! Really signed payments, on a chain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use faregate_core::Facilitator;
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig};
use faregate_ledger::{LedgerStore, PaymentState};
use faregate_server::facilitator::FacilitatorServer;
use faregate_server::http::Running;
use faregate_store::memory::MemoryLedger;
use faregate_types::x402::Version;
use faregate_types::{ChainId, SecretKey, Timestamp, U256};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::payment::{PAYEE, PRICE, Payer, usdc};

struct World {
    chain: Devchain,
    store: Arc<MemoryLedger>,
    running: Running,
    http: reqwest::Client,
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_secs(since.unwrap().as_secs())
}

async fn start() -> World {
    // Makes sure there is a TLS provider before the first client is built.
    drop(rustls::crypto::ring::default_provider().install_default());
    let chain = Devchain::start(ChainConfig::default()).await.unwrap();
    let key = SecretKey::from_hex(Devchain::accounts().first().unwrap().private_key).unwrap();
    let network = NetworkConfig::new(
        ChainId::BASE_SEPOLIA,
        chain.rpc_url().parse().unwrap(),
        vec![usdc(ChainId::BASE_SEPOLIA)],
    );
    let facilitator = ExactFacilitator::builder()
        .network(network)
        .signer(LocalSigner::new(key).unwrap())
        .connect()
        .await
        .unwrap();
    let facilitator: Arc<dyn Facilitator> = Arc::new(facilitator);
    let store = Arc::new(MemoryLedger::new());
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    let running = FacilitatorServer::start(bind, facilitator, store.clone(), Arc::new(now))
        .await
        .unwrap();
    World {
        chain,
        store,
        running,
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
    }
}

impl World {
    async fn call(&self, path: &str, body: &Value) -> Value {
        let url = format!("http://{}{path}", self.running.addr());
        let answer = self.http.post(url).json(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn balance(&self, account: &str) -> U256 {
        let digits = account.trim_start_matches("0x");
        let data = format!("0x70a08231{digits:0>64}");
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "eth_call",
            "params": [{ "to": self.chain.usdc().to_string(), "data": data }, "latest"],
        });
        let answer = self
            .http
            .post(self.chain.rpc_url())
            .json(&call)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["result"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_of_both_versions_settle_once() {
    let world = start().await;
    let payer = Payer::new(ChainId::BASE_SEPOLIA);
    let supported = format!("http://{}/supported", world.running.addr());
    let supported: Value = world
        .http
        .get(supported)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let kinds = supported["kinds"].as_array().unwrap();
    for kind in [
        json!({ "x402Version": 2, "scheme": "exact", "network": "eip155:84532" }),
        json!({ "x402Version": 1, "scheme": "exact", "network": "base-sepolia" }),
    ] {
        assert!(kinds.contains(&kind), "{supported}");
    }
    let before = world.balance(PAYEE).await;
    for (sold, version) in (1_u64..).zip([Version::V1, Version::V2]) {
        let body = payer.body(version, sold);
        let verified = world.call("/verify", &body).await;
        assert_eq!(
            verified,
            json!({ "isValid": true, "payer": payer.address().to_string() })
        );
        let settled = world.call("/settle", &body).await;
        assert_eq!(settled["success"], true, "{settled}");
        assert_eq!(settled["payer"], payer.address().to_string());
        assert_eq!(settled["transaction"].as_str().unwrap().len(), 66);
        // Copies hear of the same transaction and move nothing.
        for copy in join_all((0..5).map(|_| world.call("/settle", &body))).await {
            assert_eq!(copy["errorReason"], "duplicate_settlement", "{copy}");
            assert_eq!(copy["transaction"], settled["transaction"]);
        }
        let verified = world.call("/verify", &body).await;
        assert_eq!(
            verified["invalidReason"],
            "invalid_exact_evm_nonce_already_used"
        );
        assert_eq!(
            world.balance(PAYEE).await,
            before + U256::from(PRICE * sold)
        );
    }
    let books = world.store.recent_payments(10).await.unwrap();
    assert_eq!(books.len(), 2);
    assert!(
        books
            .iter()
            .all(|payment| payment.state == PaymentState::Settled)
    );
    assert!(world.store.audit().is_ok());
    world.running.shutdown().await;
    world.chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_that_do_not_fit_are_refused_by_both_calls() {
    let world = start().await;
    let payer = Payer::new(ChainId::BASE_SEPOLIA);
    let too_much = payer.body_for(Version::V2, 1, PRICE + 1);
    let mut forged = payer.body(Version::V2, 2);
    let signature = forged
        .pointer_mut("/paymentPayload/payload/signature")
        .unwrap();
    *signature = format!("0x{}1b", "11".repeat(64)).into();
    for (body, reason) in [
        (
            too_much,
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
        (forged, "invalid_exact_evm_payload_signature"),
    ] {
        let verified = world.call("/verify", &body).await;
        assert_eq!(verified["invalidReason"], reason, "{verified}");
        let settled = world.call("/settle", &body).await;
        assert_eq!(
            (&settled["success"], &settled["errorReason"]),
            (&false.into(), &reason.into())
        );
    }
    assert!(world.store.recent_payments(10).await.unwrap().is_empty());
    world.running.shutdown().await;
}
