//! The client owes the joke of the whole stack: `faregate curl`, and a hundred requests at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use faregate::stack::{Stack, payer};
use faregate_client::{
    Caps, Client, OnCredit, Prefer, ShownCertificate, SpendState, Wallet, WalletStore, limits,
};
use faregate_store::memory::MemoryWallet;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::credit::x402::CreditEnvelope;
use faregate_types::x402::header;
use faregate_types::{Address, U256};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::credit_process::{PAYER, RECIPIENT, client};
use crate::support::{Owed, payee_address, payer_key, stack};

const PRICE: u64 = 1_000;
const AT_ONCE: u64 = 100;

async fn faregate(stack: &Stack, home: &Path, args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(args)
        .env_clear()
        .envs(stack.env())
        .env("FAREGATE_HOME", home)
        .env("FAREGATE_PRIVATE_KEY", payer_key())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), run);
    output.await.unwrap().unwrap()
}

fn heard(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_owes_for_the_joke_of_dev() {
    let (stack, home) = (stack().await, tempfile::tempdir().unwrap());
    let (home, joke) = (home.path(), format!("{}/joke", stack.gate_url()));
    let curl = |more: &[&'static str]| {
        let joke = joke.clone();
        let mut args = vec!["curl".to_owned(), joke];
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    };
    let run = async |more: &[&'static str]| {
        let args = curl(more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        faregate(&stack, home, &args).await
    };

    // Without collateral there is no tab, and nothing is signed.
    let failed = run(&["--json", "--prefer", "credit"]).await;
    let text = String::from_utf8_lossy(&failed.stderr).into_owned()
        + &String::from_utf8_lossy(&failed.stdout);
    assert!(!failed.status.success(), "{text}");
    assert!(text.contains("credit_payer_unknown"), "{text}");
    assert_eq!(stack.jokes_told(), 0);

    let owed = Owed::after_a_deposit(&stack).await;
    let dry = heard(&run(&["--json", "--dry-run", "--prefer", "credit"]).await);
    assert_eq!(dry["credits"][0]["price"], "0.001 USDC", "{dry}");
    let mut numbers = BTreeSet::new();
    for bought in 1..=2_u64 {
        let paid = heard(&run(&["--json", "--prefer", "credit"]).await);
        let payment = &paid["payment"];
        assert_eq!(paid["status"], 200, "{paid}");
        let found = (&payment["rail"], &payment["price"], &payment["state"]);
        assert_eq!(
            found,
            (&"credit".into(), &"0.001 USDC".into(), &"paid".into())
        );
        assert_eq!(payment["total"], (bought * PRICE).to_string(), "{paid}");
        assert_eq!(payment["receipt"], true);
        assert!(payment["certificate"]["claims"].is_string(), "{paid}");
        numbers.insert(payment["reqId"].to_string());
        assert_eq!(owed.locked().await, Some(U256::from(bought * PRICE)));
    }
    assert_eq!(numbers.len(), 2);
    let said = run(&["--prefer", "credit"]).await;
    let said = String::from_utf8_lossy(&said.stderr);
    assert!(said.contains("owe 0.001 USDC to"), "{said}");
    assert!(said.contains("0.003 USDC on the tab in all"), "{said}");

    // Where it is only allowed, what moves at once comes first.
    let paid = heard(&run(&["--json", "--credit"]).await);
    assert_eq!(paid["payment"]["rail"], "x402", "{paid}");
    let shown = heard(&faregate(&stack, home, &["wallet", "show", "--json"]).await);
    let rows = shown["payments"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{shown}");
    assert!(rows.iter().all(|row| row["state"] == "paid"), "{shown}");
    let pending = faregate(&stack, home, &["wallet", "pending", "--json"]).await;
    assert_eq!(heard(&pending)["pending"], Value::Array(vec![]));
    assert_eq!(stack.jokes_told(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_of_one_payer_at_once_all_succeed() {
    let stack = stack().await;
    let owed = Owed::after_a_deposit(&stack).await;
    let credit = stack.credit().unwrap();
    let core = client(&credit.url(), credit.contract(), PAYER).await;
    let store = Arc::new(MemoryWallet::new());
    let env = [("FAREGATE_PRIVATE_KEY".to_owned(), payer_key().to_owned())];
    let client = Client::builder()
        .wallet(Wallet::from_env(&env.into()).unwrap())
        .caps(Caps::per_payment(limits::PER_PAYMENT_DEFAULT))
        .store(store.clone())
        .credit(OnCredit::new().core(core))
        .prefer(Prefer::Credit)
        .build()
        .unwrap();
    let mut requests = JoinSet::new();
    for _ in 0..AT_ONCE {
        let request = client.get(format!("{}/joke", stack.gate_url()));
        requests.spawn(async move { request.send().await });
    }
    let mut guarantees = BTreeSet::new();
    while let Some(paid) = requests.join_next().await {
        let paid = paid.unwrap().unwrap();
        assert_eq!(paid.answer.status(), 200);
        let payment = paid.payment.unwrap();
        assert_eq!(payment.state, SpendState::Paid);
        let credit = payment.credit().unwrap();
        let shown = &credit.certificate;
        assert!(matches!(shown, ShownCertificate::Verified(_)), "{shown:?}");
        guarantees.insert((credit.tab, credit.number));
    }
    let count = usize::try_from(AT_ONCE).unwrap();
    assert_eq!(guarantees.len(), count);
    let all = U256::from(AT_ONCE * PRICE);
    assert_eq!(owed.locked().await, Some(all));
    // One entry each: nobody lost a race after it had signed.
    client.flush().await.unwrap();
    let spends = store.recent_spends(1_000).await.unwrap();
    assert_eq!(spends.len(), count);
    assert!(spends.iter().all(|spend| spend.state == SpendState::Paid));
}

/// A seller that takes claims for a tab and never answers; what it was sent.
async fn silent(tab: U256, token: Address) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let offer = json!({"x402Version": 1, "accepts": [{"scheme": "4mica-credit", "network": "eip155:84532",
        "maxAmountRequired": PRICE.to_string(), "payTo": payee_address(), "asset": token, "maxTimeoutSeconds": 60,
        "extra": {"tabEndpoint": format!("{at}/tabs")}}]});
    let number = Arc::new(AtomicU64::new(0));
    let ticket = move || {
        let number = number.fetch_add(1, Ordering::SeqCst);
        let (tab, payer) = (format!("{tab:#x}"), payer().unwrap().address);
        let ticket = json!({"tabId": tab, "userAddress": payer, "nextReqId": number});
        async move { ticket.to_string() }
    };
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = sent.clone();
    let joke = async move |headers: HeaderMap| {
        let Some(payment) = headers.get("x-payment") else {
            return (StatusCode::PAYMENT_REQUIRED, offer.to_string());
        };
        heard
            .lock()
            .unwrap()
            .push(payment.to_str().unwrap().to_owned());
        (StatusCode::INTERNAL_SERVER_ERROR, String::new())
    };
    let app = Router::new()
        .route("/tabs", post(ticket))
        .fallback(get(joke));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (at, sent)
}

/// What became of claims that nobody answered: the core knows, and says so on the command line.
#[tokio::test(flavor = "multi_thread")]
async fn pending_asks_the_core_what_became_of_claims() {
    let (stack, home) = (stack().await, tempfile::tempdir().unwrap());
    let _owed = Owed::after_a_deposit(&stack).await;
    let credit = stack.credit().unwrap();
    let seller = client(&credit.url(), credit.contract(), RECIPIENT).await;
    let token = stack.asset.id.token();
    let (seller_of, owing) = (seller.recipient(), payer().unwrap().address);
    let tab = seller_of.create_tab(owing, token, None, GuaranteeVersion::V1);
    let tab = tab.await.unwrap().id;
    let (at, sent) = silent(tab, token).await;
    for path in ["/a", "/b"] {
        let url = format!("{at}{path}");
        let curl = ["curl", &url, "--prefer", "credit"];
        faregate(&stack, home.path(), &curl).await;
    }
    let states = async || {
        let core = credit.url();
        let list = ["wallet", "pending", "--json", "--credit-url", &core];
        let found = heard(&faregate(&stack, home.path(), &list).await);
        let rows = found["pending"].as_array().unwrap().clone();
        let state = |path: &str| {
            let row = rows
                .iter()
                .find(|row| row["url"].as_str().unwrap().ends_with(path));
            row.unwrap()["state"].as_str().unwrap().to_owned()
        };
        (state("/a"), state("/b"))
    };
    assert_eq!(states().await, ("valid".to_owned(), "valid".to_owned()));
    // The seller has the first one charged after all.
    let payment = sent.lock().unwrap()[0].clone();
    let payment = header::decode_any(payment.as_bytes()).unwrap();
    let request = CreditEnvelope::read(&payment).unwrap().request;
    seller
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap();
    let charged = ("charged, not answered".to_owned(), "valid".to_owned());
    assert_eq!(states().await, charged);
    stack.shutdown().await;
}
