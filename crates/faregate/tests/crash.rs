//! The gate as a process of its own, killed at every named place and started again on its ledger: charged once or not at
//! all, and whoever was charged gets what was sold.
//!
//! `cargo test -p faregate --features crash-points --test crash`

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    dead_code,
    reason = "tests may"
)]

#[path = "it/support.rs"]
mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use alloy_primitives::U256;
use axum::Router;
use axum::routing::get;
use faregate::stack::Stack;
use faregate_core::crash::POINTS;
use faregate_devnet::Devchain;
use faregate_ledger::{LedgerStore as _, PaymentState};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::x402::header;
use support::{http, payee_address, payment_at, received, stack};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(30);

/// Pays the gas of the gate; the stack beside it has signers of its own.
const SIGNER: usize = 7;

/// A service to sell that counts.
async fn seller() -> (String, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let joke = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready("a joke")
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/joke", get(joke));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, runs)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes the configuration of a gate and returns where it will listen.
fn configure(folder: &Path, stack: &Stack, upstream: &str, settle: &str) -> String {
    let bind = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"{upstream}\"\nnetwork = \"{}\"\n\
         pay_to = \"{}\"\nstore = \"{}\"\n\n[gate.facilitator]\nrpc_url = \"{}\"\nsigner_key = \"env:GAS_KEY\"\n\n\
         [[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\nsettle = \"{settle}\"\n",
        stack.chain,
        payee_address(),
        folder.join("gate.db").display(),
        stack.rpc_url(),
    );
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    format!("http://{bind}")
}

/// Starts the gate, to end at `point` if there is one, and waits until it answers.
async fn start(folder: &Path, url: &str, point: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(["gate", "-c"])
        .arg(folder.join("gate.toml"))
        .env_clear()
        .env("GAS_KEY", Devchain::accounts()[SIGNER].private_key)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = point {
        command.env("FAREGATE_CRASH_AT", point);
    }
    let child = command.spawn().unwrap();
    let answers = async {
        while http().get(format!("{url}/livez")).send().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, answers).await.unwrap();
    child
}

/// The answer to `GET /joke` with the payment; `None` when the gate went away instead.
async fn buy(url: &str, credential: &str) -> Option<(u16, String)> {
    let request = http()
        .get(format!("{url}/joke"))
        .header(header::PAYMENT_SIGNATURE, credential);
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

async fn state(folder: &Path) -> PaymentState {
    let ledger = SqliteLedger::open(folder.join("gate.db")).unwrap();
    assert!(ledger.audit().await.unwrap().is_clean());
    let payments = ledger.recent_payments(10).await.unwrap();
    assert_eq!(payments.len(), 1);
    payments[0].state
}

/// Makes the chain's clock go past the end of every authorization of this test.
async fn let_it_expire(stack: &Stack) {
    for (method, parameters) in [("evm_increaseTime", "[3600]"), ("evm_mine", "[]")] {
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{parameters}}}"
        );
        let request = http().post(stack.rpc_url()).body(body);
        let request = request.header("content-type", "application/json");
        let said = request.send().await.unwrap().text().await.unwrap();
        assert!(!said.contains("\"error\""), "{said}");
    }
}

/// Recorded and never sent: nobody can know before the authorization expires, and then it is given up.
async fn given_up(stack: &Stack, url: &str, credential: &str, case: &str) {
    let pending = "\"code\":\"settlement_pending\"";
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && body.contains(pending), "{case}: {body}");
    let_it_expire(stack).await;
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && !body.contains(pending), "{case}: {body}");
}

/// The same payment buys the joke, and a copy gets the same answer.
async fn served(url: &str, credential: &str, case: &str) {
    for _ in 0..2 {
        let answer = buy(url, credential).await.expect(case);
        assert_eq!(answer, (200, "a joke".to_owned()), "{case}");
    }
}

/// How often the service runs altogether: again when it ran and its answer was lost with the process.
fn runs_of(point: &str, settle: &str) -> u32 {
    match (point, settle) {
        ("broadcast_recorded", "before") => 0,
        ("served", _) | ("before_broadcast_recorded" | "sent" | "outcome_recorded", "after") => 2,
        _ => 1,
    }
}

async fn killed_at(point: &str, settle: &str) {
    let case = format!("{point}, settle {settle}");
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (upstream, runs) = seller().await;
    let url = configure(folder.path(), &stack, &upstream, settle);
    let before = received(&stack).await;

    let mut gate = start(folder.path(), &url, Some(point)).await;
    let credential = payment_at(&stack, &url, "/joke").await;
    // At the last place the answer may be out already.
    let first = buy(&url, &credential).await;
    assert!(first.is_none() || point == "kept", "{case}: {first:?}");
    let ended = timeout(SOON, gate.wait()).await.expect(&case).unwrap();
    assert!(!ended.success(), "{case}");

    let mut gate = start(folder.path(), &url, None).await;
    let ends = if point == "broadcast_recorded" {
        given_up(&stack, &url, &credential, &case).await;
        (U256::ZERO, PaymentState::Failed)
    } else {
        served(&url, &credential, &case).await;
        (U256::from(1_000), PaymentState::Settled)
    };
    gate.kill().await.unwrap();
    let charged = received(&stack).await - before;
    assert_eq!((charged, state(folder.path()).await), ends, "{case}");
    assert_eq!(
        runs.load(Ordering::SeqCst),
        runs_of(point, settle),
        "{case}"
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_first() {
    for point in POINTS {
        killed_at(point, "before").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_afterwards() {
    for point in POINTS {
        killed_at(point, "after").await;
    }
}
