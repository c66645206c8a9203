//! Who may call, how often, and for whom.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use faregate_server::config::{Config, Env};
use faregate_server::facilitator::Access;
use faregate_server::http::Peer;
use faregate_store::memory::MemoryLedger;
use faregate_types::x402::Version;
use faregate_types::{ChainId, Code};
use http::Request;
use serde_json::Value;

use super::kit::{Answer, Desk, Fake, Settles};
use super::payment::{PAYEE, Payer};

const KEY_A: &str = "key-of-shop-a-0123456789";
const KEY_B: &str = "key-of-shop-b-0123456789";
const NEW_B: &str = "new-key-of-shop-b-012345";

/// A desk whose file has these lines below `[facilitator]`.
fn desk(lines: &str) -> Desk {
    let gas = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let env: Env = [("GAS", gas), ("A", KEY_A), ("B", KEY_B), ("NEW_B", NEW_B)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let text = format!(
        "[facilitator]\nsigner_key = \"env:GAS\"\nnetwork = \"base-sepolia\"\nrpc_url = \"http://127.0.0.1:1\"\n{lines}"
    );
    let config = Config::parse(&text, &env).unwrap_or_else(|errors| panic!("{errors}"));
    let access = Access::new(&config.facilitator.unwrap().access, &env).unwrap();
    let store = Arc::new(MemoryLedger::new());
    Desk::with(Fake::default(), store, access)
}

fn shops(lines: &str) -> Desk {
    desk(&format!(
        "[[facilitator.caller]]\nname = \"shop-a\"\nkey = \"env:A\"\n{lines}\n\
         [[facilitator.caller]]\nname = \"shop-b\"\nkey = [\"env:B\", \"env:NEW_B\"]\n"
    ))
}

fn body(nonce: u64) -> Value {
    Payer::new(ChainId::BASE_SEPOLIA).body(Version::V2, nonce)
}

impl Desk {
    async fn ask(&self, path: &str, headers: &[&str], body: &Value) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json");
        for value in headers {
            request = request.header("authorization", *value);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.send(request).await
    }

    async fn ask_as(&self, key: &str, path: &str, nonce: u64) -> Answer {
        self.ask(path, &[&format!("Bearer {key}")], &body(nonce))
            .await
    }

    async fn ask_from(&self, address: &str, path: &str, body: &Value) -> Answer {
        let address: SocketAddr = address.parse().unwrap();
        let mut request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        request.extensions_mut().insert(Peer(address));
        self.send(request).await
    }
}

#[tokio::test]
async fn without_a_known_key_nothing_is_looked_at() {
    let desk = shops("");
    let wrong = format!("Bearer {KEY_A}x");
    let twice = format!("Bearer {KEY_A}");
    let long = format!("Bearer {}", "k".repeat(600));
    let table: &[&[&str]] = &[
        &[],
        &["Bearer"],
        &["Bearer "],
        &["Basic c2hvcDpzaG9w"],
        &[KEY_A],
        &[&wrong],
        &[&long],
        &[&twice, &twice],
    ];
    for headers in table {
        let verify = desk.ask("/verify", headers, &body(1)).await;
        let settle = desk.ask("/settle", headers, &body(1)).await;
        for answer in [&verify, &settle] {
            assert_eq!(answer.status, 401, "{headers:?}: {answer:?}");
            assert_eq!(
                answer.header("www-authenticate"),
                Some("Bearer realm=\"facilitator\"")
            );
            assert_eq!(answer.json()["code"], "unauthorized");
            assert!(!answer.text.contains("key-of"), "{answer:?}");
        }
        // It is no verdict about the payment; and nothing was settled, for sure.
        assert_eq!(verify.json().get("isValid"), None);
        assert_eq!(settle.json()["success"], false);
        assert_eq!(settle.json()["transaction"], "");
    }
    assert_eq!(desk.fake.settlements(), 0);
    assert_eq!(desk.get("/supported").await.status, 200);
    assert_eq!(desk.get("/livez").await.status, 200);
}

#[tokio::test]
async fn every_key_of_a_caller_works() {
    let desk = shops("");
    for (nonce, key) in (1..).zip([KEY_A, KEY_B, NEW_B]) {
        let verified = desk.ask_as(key, "/verify", nonce).await;
        assert_eq!(verified.json()["isValid"], true, "{verified:?}");
        let settled = desk.ask_as(key, "/settle", nonce).await;
        assert_eq!(settled.json()["success"], true, "{settled:?}");
    }
}

#[tokio::test]
async fn quotas_are_per_caller_and_per_call() {
    let desk = shops("verify_per_second = 2\nsettle_per_second = 1\n");
    for (path, allowed) in [("/verify", 2), ("/settle", 1)] {
        for nonce in 0..allowed {
            assert_eq!(desk.ask_as(KEY_A, path, nonce).await.status, 200, "{path}");
        }
        let answer = desk.ask_as(KEY_A, path, 77).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.json()["code"], "rate_limited");
        assert_eq!(answer.json().get("isValid"), None);
        for nonce in 100..110 {
            assert_eq!(desk.ask_as(KEY_B, path, nonce).await.status, 200, "{path}");
        }
    }
    let refused = desk.ask_as(KEY_A, "/settle", 77).await.json();
    assert_eq!(
        (&refused["success"], &refused["errorReason"]),
        (&false.into(), &"rate_limited".into())
    );
}

#[tokio::test]
async fn a_day_has_an_end() {
    let desk = shops("settle_per_day = 3\n");
    for nonce in 0..3 {
        assert_eq!(desk.ask_as(KEY_A, "/settle", nonce).await.status, 200);
    }
    let answer = desk.ask_as(KEY_A, "/settle", 3).await;
    assert_eq!(answer.status, 429);
    // The clock of these tests stands at 22:13:20.
    assert_eq!(answer.header("retry-after"), Some("6400"));
    assert_eq!(desk.ask_as(KEY_A, "/verify", 4).await.status, 200);
    assert_eq!(desk.ask_as(KEY_B, "/settle", 5).await.status, 200);
}

#[tokio::test]
async fn a_caller_settles_for_its_own_payees() {
    let other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    let own = shops(&format!("payees = [\"{other}\", \"{PAYEE}\"]"));
    assert_eq!(own.ask_as(KEY_A, "/settle", 1).await.status, 200);
    let desk = shops(&format!("payees = [\"{other}\"]"));
    for (path, verdict) in [("/verify", "isValid"), ("/settle", "success")] {
        let answer = desk.ask_as(KEY_A, path, 1).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(answer.json()["code"], "payee_not_allowed");
        assert_eq!(answer.json()[verdict], false);
        assert_eq!(desk.ask_as(KEY_B, path, 2).await.status, 200);
    }
    assert_eq!(desk.fake.settlements(), 1);
}

#[tokio::test]
async fn a_caller_may_want_the_recorded_result() {
    let desk = shops("duplicates = \"recorded\"\n");
    for (key, reason) in [(KEY_A, Value::Null), (KEY_B, "duplicate_settlement".into())] {
        let nonce = if key == KEY_A { 1 } else { 2 };
        let first = desk.ask_as(key, "/settle", nonce).await.json();
        assert_eq!(first["success"], true);
        let second = desk.ask_as(key, "/settle", nonce).await.json();
        assert_eq!(second["errorReason"], reason, "{second}");
        assert_eq!(second["transaction"], first["transaction"]);
    }
}

/// Problem: gas griefing. Without keys, strangers get only so many settlements each.
#[tokio::test]
async fn an_open_service_bounds_each_address() {
    let desk = desk("open_settle_per_second = 2\n");
    for (nonce, address) in [(1, "203.0.113.7:1"), (2, "203.0.113.7:2")] {
        let answer = desk.ask_from(address, "/settle", &body(nonce)).await;
        assert_eq!(answer.status, 200);
    }
    let answer = desk.ask_from("203.0.113.7:3", "/settle", &body(3)).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(desk.fake.settlements(), 2);
    // Verification costs no gas, and others are not touched.
    for address in ["203.0.113.7:3", "127.0.0.1:9", "[2001:db8::1]:9"] {
        let answer = desk.ask_from(address, "/verify", &body(4)).await;
        assert_eq!(answer.status, 200, "{address}");
    }
    let answer = desk.ask_from("203.0.113.8:3", "/settle", &body(4)).await;
    assert_eq!(answer.status, 200);
    for nonce in 10..20 {
        let answer = desk.ask_from("127.0.0.1:3", "/settle", &body(nonce)).await;
        assert_eq!(answer.status, 200);
    }
}

/// The same, for one payer whose transactions cost gas and move nothing, whoever asks.
#[tokio::test]
async fn a_payer_whose_settlements_fail_has_to_wait() {
    let desk = desk("");
    // Refusals before anything is sent do not count: the payer may not even know of them.
    desk.fake
        .will(Settles::Badly(Code::InvalidExactEvmPayloadSignature));
    for nonce in 0..10 {
        assert_eq!(
            desk.post("/settle", body(nonce).to_string()).await.status,
            200
        );
    }
    desk.fake.will(Settles::Badly(Code::TransactionFailed));
    for nonce in 10..15 {
        // Copies cost nothing and do not count; after the fifth the payer has to wait.
        for _copy in 0..(15 - nonce) {
            let answer = desk.post("/settle", body(nonce).to_string()).await;
            assert_eq!(answer.json()["errorReason"], "transaction_failed");
        }
    }
    let sent = desk.fake.settlements();
    let answer = desk.post("/settle", body(15).to_string()).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("120"));
    assert_eq!(desk.fake.settlements(), sent);
    // Somebody else pays as before.
    let mut other = body(16);
    let from = "/paymentPayload/payload/authorization/from";
    *other.pointer_mut(from).unwrap() = PAYEE.into();
    desk.fake.will(Settles::Well);
    let answer = desk.post("/settle", other.to_string()).await;
    assert_eq!(answer.json()["success"], true, "{answer:?}");
}
