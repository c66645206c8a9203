//! Gate, facilitator, client and credit core as processes of their own, killed at every named place and started again on their
//! files: charged once or not at all, and whoever was charged gets what was sold; no deposit, lock, payment or certificate is
//! lost or counted twice.
//!
//! The places come from `faregate_core::crash`, one list per process, so no place is without its test.
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

#[path = "crash/client.rs"]
mod client;
#[path = "crash/credit.rs"]
mod credit;
#[path = "crash/facilitator.rs"]
mod facilitator;
#[path = "crash/gate.rs"]
mod gate;
#[path = "it/held.rs"]
mod held;
#[path = "crash/l402.rs"]
mod l402;
#[path = "crash/permit.rs"]
mod permit;
#[path = "crash/redeem.rs"]
mod redeem;
#[path = "it/support.rs"]
mod support;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use faregate::stack::Stack;
use faregate_core::crash::Point;
use faregate_devnet::Devchain;
use faregate_ledger::{LedgerStore as _, PaymentState};
use faregate_store::sqlite::SqliteLedger;
use support::{http, payee_address};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(30);

/// Pays the gas of the gate; the stack beside it has signers of its own.
const SIGNER: usize = 7;

/// A service to sell that counts, and takes its time.
async fn seller(takes: Duration) -> (String, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let joke = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(takes).await;
            "a joke"
        }
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
    let credit = match settle {
        "background" => "exposure_max = \"$1\"\n",
        _ => "",
    };
    let bind = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"{upstream}\"\nnetwork = \"{}\"\n\
         pay_to = \"{}\"\nmax_timeout_secs = 600\nstore = \"{}\"\n\n[gate.facilitator]\nrpc_url = \"{}\"\nsigner_key = \"env:GAS_KEY\"\n\n\
         [[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\nsettle = \"{settle}\"\n{credit}",
        stack.chain,
        payee_address(),
        folder.join("gate.db").display(),
        stack.rpc_url(),
    );
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    format!("http://{bind}")
}

/// The same for a gate that takes permits, and gives tokens out by this policy.
fn configure_permits(folder: &Path, stack: &Stack, upstream: &str, policy: &str) -> String {
    let url = configure(folder, stack, upstream, "before");
    let file = folder.join("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let permit =
        format!("[gate.permit]\ntoken_key = \"env:TOKEN_KEY\"\npolicy = \"{policy}\"\n\n[[route]]");
    std::fs::write(&file, text.replace("[[route]]", &permit)).unwrap();
    url
}

/// The same for a gate that gives credit from the stack's core.
fn configure_credit(folder: &Path, stack: &Stack, upstream: &str) -> String {
    let url = configure(folder, stack, upstream, "before");
    let file = folder.join("gate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let credit = format!(
        "[gate.credit]\n\n[[gate.credit.core]]\nnetwork = \"{}\"\nurl = \"{}\"\nrpc_url = \"{}\"\n\n[[route]]",
        stack.chain,
        stack.credit().unwrap().url(),
        stack.rpc_url(),
    );
    std::fs::write(&file, text.replace("[[route]]", &credit)).unwrap();
    url
}

/// Starts a gate, a facilitator or a credit core, to end at `point` if there is one.
fn launch(kind: &str, folder: &Path, point: Option<Point>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args([kind, "-c"])
        .arg(folder.join(format!("{kind}.toml")))
        .env_clear()
        .env("GAS_KEY", Devchain::accounts()[SIGNER].private_key)
        .env("OTHER_KEY", Devchain::accounts()[8].private_key)
        .env("TOKEN_KEY", "a key of these tests and of no others")
        .env("BLS_KEY", credit::BLS_KEY)
        .env("ADMIN_SEED", credit::ADMIN_SEED)
        .stdout(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = point {
        command.env("FAREGATE_CRASH_AT", point.name());
    }
    command.spawn().unwrap()
}

/// The same, and waits until it answers.
async fn start(kind: &str, folder: &Path, url: &str, point: Option<Point>) -> Child {
    let mut child = launch(kind, folder, point);
    let answers = async {
        while http().get(format!("{url}/livez")).send().await.is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "it did not start");
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, answers).await.unwrap();
    child
}

/// Where the one payment of a ledger stands. The books have to add up.
async fn state(file: &Path) -> PaymentState {
    let ledger = SqliteLedger::open(file).unwrap();
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
