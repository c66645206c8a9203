//! `faregate curl` and `faregate wallet pending` over Lightning, against a seller of one thing for ten satoshis.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse as _;
use faregate_core::port::lightning::{InvoiceAsk, PayOrder, PayReport, Receiver, SendBackend as _};
use faregate_devnet::lightning::Fate;
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_types::Timestamp;
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, Preimage};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{payer_key, stack};

/// Ten satoshis, and what the way costs.
const PRICE_AND_FEE: u64 = 11_001;

async fn seller(dev: &DevLightning) -> String {
    let wallet = Arc::new(dev.wallet(WalletName::Seller));
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let receiver = Receiver::new(wallet, BitcoinNetwork::Regtest, clock);
    let joke = move |headers: HeaderMap| {
        let receiver = receiver.clone();
        async move {
            // The token is the payment hash.
            let shown = headers.get("authorization").and_then(|value| {
                let credential = value.to_str().ok()?.strip_prefix("L402 ")?;
                let (token, preimage) = credential.split_once(':')?;
                let hash = Preimage::parse(preimage).ok()?.hash().to_string();
                (hash == token).then_some(())
            });
            if shown.is_some() {
                return "a joke".into_response();
            }
            let ask = InvoiceAsk {
                amount: Msat::new(10_000),
                description: "a joke".into(),
                expiry_secs: 600,
            };
            let invoice = receiver.create(&ask).await.unwrap();
            let invoice = invoice.bolt11();
            let challenge = format!(
                "L402 macaroon=\"{}\", invoice=\"{invoice}\"",
                invoice.payment_hash()
            );
            let mut response = StatusCode::PAYMENT_REQUIRED.into_response();
            let challenge = HeaderValue::from_str(&challenge).unwrap();
            response.headers_mut().insert("www-authenticate", challenge);
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/joke", listener.local_addr().unwrap());
    let app = Router::new().route("/joke", axum::routing::any(joke));
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

/// Runs the program without a key, with the node in its environment.
async fn faregate(folder: &Path, dev: &DevLightning, arguments: &[&str]) -> Output {
    let macaroon = dev.macaroon(WalletName::Payer);
    let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(arguments)
        .env_clear()
        .env("FAREGATE_HOME", folder)
        .env("FAREGATE_LND_REST", dev.rest_url())
        .env("FAREGATE_LND_MACAROON_PAYER", &macaroon)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), run);
    let output = output.await.unwrap().unwrap();
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains(&macaroon), "the macaroon was printed");
    output
}

fn heard(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn spent(dev: &DevLightning) -> u64 {
    LightningConfig::default().balance.get() - dev.balance(WalletName::Payer).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_pays_an_invoice_within_caps_and_says_what_it_cost() {
    let dev = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let (url, home) = (seller(&dev).await, tempfile::tempdir().unwrap());
    let run = |arguments: Vec<String>| {
        let (dev, home) = (&dev, home.path());
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            faregate(home, dev, &arguments).await
        }
    };
    let curl = |more: &str| {
        let words = format!("curl {url} {more}");
        run(words.split_whitespace().map(str::to_owned).collect())
    };
    let quote = heard(&curl("--dry-run --json").await);
    assert_eq!(quote["invoice"]["amountMsat"], 10_000);
    // What the way may cost counts: fifteen satoshis altogether.
    let macaroon = dev.macaroon(WalletName::Payer);
    for (more, exit) in [
        ("--max-sats 14", 3),
        ("--max-sats 15 --max-sats-per-day 14", 3),
        ("--lnd-network mainnet", 4),
        ("--lnd-network nowhere", 2),
        ("--lnd-macaroon env:NOTHING", 2),
        (&format!("--lnd-macaroon {macaroon}"), 2),
    ] {
        let output = curl(more).await;
        assert_eq!(output.status.code(), Some(exit), "{more}: {output:?}");
    }
    assert_eq!(spent(&dev), 0);
    let paid = heard(&curl("--max-sats 15 --json").await);
    assert_eq!(
        (&paid["body"], &paid["payment"]["rail"]),
        (&"a joke".into(), &"l402".into())
    );
    assert_eq!(paid["payment"]["amountMsat"], 10_000);
    assert_eq!(paid["payment"]["feeMsat"], 1_001);
    assert_eq!(spent(&dev), PRICE_AND_FEE);
    // The same again is free: the token is shown once more. Another method is another purchase.
    let again = heard(&curl("--json").await);
    assert_eq!(again["payment"], Value::Null);
    let output = curl("-X PUT").await;
    assert_eq!(output.stdout, b"a joke");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("paid 10 sat to "), "{said}");
}

/// A wallet behind phoenixd's API that pays out of the dev network. Wants the password `hunter2`.
async fn phoenixd(dev: &DevLightning) -> String {
    let wallet = Arc::new(dev.wallet(WalletName::Payer));
    let pay = move |headers: HeaderMap, body: String| {
        let wallet = Arc::clone(&wallet);
        async move {
            // Base64 of ":hunter2".
            let may = headers
                .get("authorization")
                .is_some_and(|value| value == "Basic Omh1bnRlcjI=");
            if !may {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            let invoice = Bolt11::parse(body.strip_prefix("invoice=").unwrap()).unwrap();
            let order = PayOrder {
                invoice: invoice.clone(),
                fee_max: Msat::new(5_000),
                time_limit: Duration::from_secs(5),
            };
            let PayReport::Paid {
                preimage: Some(preimage),
                ..
            } = wallet.pay(&order).await
            else {
                panic!("the dev network did not pay");
            };
            axum::Json(json!({
                "paymentHash": invoice.payment_hash().to_string(), "routingFeeSat": 1,
                "paymentPreimage": hex::encode(preimage.expose()),
            }))
            .into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/payinvoice", axum::routing::post(pay));
    tokio::spawn(async { axum::serve(listener, app).await });
    url
}

/// Two payments that count fifteen satoshis each, by host and altogether.
fn assert_report(report: &Value, url: &str) {
    let bitcoin = &report["units"][0];
    assert_eq!(
        (&bitcoin["total"], &bitcoin["remaining"]),
        (&"30".into(), &"70".into())
    );
    let day = json!({"secs": 86_400, "spent": "30", "remaining": "10"});
    assert_eq!(bitcoin["period"], day);
    let origin = url.strip_suffix("/joke").unwrap();
    let host = json!({"origin": origin, "unit": bitcoin["unit"], "total": "30", "remaining": null});
    assert_eq!(report["hosts"], json!([host]));
    let listed = report["transactions"].as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["payer"]), (1, &"savings".into()));
}

/// Any wallet that pays can be named, in arguments or in the environment, and the books say which of them paid.
#[tokio::test(flavor = "multi_thread")]
async fn curl_pays_with_the_wallet_that_is_named() {
    let dev = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let (url, home) = (seller(&dev).await, tempfile::tempdir().unwrap());
    let (phoenixd, lnd) = (phoenixd(&dev).await, dev.rest_url());
    let run = |arguments: &str, env: &[(&str, &str)]| {
        let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(arguments.split_whitespace())
            .env_clear()
            .env("FAREGATE_HOME", home.path())
            .env("PASSWORD", "hunter2")
            .env("MACAROON", dev.macaroon(WalletName::Payer))
            .envs(env.iter().copied())
            .kill_on_drop(true)
            .output();
        async move {
            let output = tokio::time::timeout(Duration::from_secs(60), run);
            let output = output.await.unwrap().unwrap();
            let said = [output.stdout.clone(), output.stderr.clone()].concat();
            assert!(!String::from_utf8_lossy(&said).contains("hunter2"));
            output
        }
    };
    let of_phoenixd = format!("--lightning phoenixd --lightning-url {phoenixd}");
    for wrong in [
        "--lightning nowhere --lightning-url http://127.0.0.1:1",
        "--lightning lnd --lightning-key env:MACAROON",
        "--lightning blink --lightning-url http://127.0.0.1:1 --lightning-key env:PASSWORD",
        "--lightning opennode --lightning-url http://127.0.0.1:1 --lightning-key env:PASSWORD",
        "--lightning nwc --lightning-url http://127.0.0.1:1 --lightning-key env:PASSWORD",
        "--lightning nwc --lightning-key env:PASSWORD",
        "--lightning phoenixd --lightning-url http://203.0.113.1 --lightning-key env:PASSWORD",
        &of_phoenixd,
        &format!("{of_phoenixd} --lightning-key env:NOTHING"),
        &format!("{of_phoenixd} --lightning-key hunter2"),
        &format!("{of_phoenixd} --lightning-key env:PASSWORD --lightning-network nowhere"),
    ] {
        let output = run(&format!("curl {url} {wrong}"), &[]).await;
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
    }
    let paid = heard(
        &run(
            &format!("curl {url} --json {of_phoenixd} --lightning-key env:PASSWORD"),
            &[],
        )
        .await,
    );
    assert_eq!(paid["payment"]["feeMsat"], 1_000);
    let in_env = [
        ("FAREGATE_LIGHTNING", "lnd"),
        ("FAREGATE_LIGHTNING_URL", &lnd),
        ("FAREGATE_LIGHTNING_KEY", &dev.macaroon(WalletName::Payer)),
        ("FAREGATE_LIGHTNING_NAME", "savings"),
    ];
    let paid = heard(&run(&format!("curl {url} --json -X PUT"), &in_env).await);
    assert_eq!(paid["payment"]["feeMsat"], 1_001);
    let shown = heard(&run("wallet show --json", &[]).await);
    let payers: Vec<_> = shown["payments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|payment| payment["payer"].as_str().unwrap())
        .collect();
    assert_eq!(payers, ["savings", "phoenixd"]);
    // Both count with the most that the way could cost, five satoshis each.
    let budgets = "--max-sats-total 100 --max-sats-per-day 40";
    let report = heard(&run(&format!("wallet report --json --limit 1 {budgets}"), &[]).await);
    assert_report(&report, &url);
    let said = run("wallet report", &[]).await;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("altogether  30 sat"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_on_its_way_is_pending_until_the_node_knows() {
    let dev = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let (url, home) = (seller(&dev).await, tempfile::tempdir().unwrap());
    dev.next_payments([Fate::Hold]);
    let first = faregate(home.path(), &dev, &["curl", &url, "--wait", "1"]).await;
    assert_eq!(first.status.code(), Some(6), "{first:?}");
    let pending = ["wallet", "pending", "--json"];
    let listed = heard(&faregate(home.path(), &dev, &pending).await);
    let rows = listed["pending"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["price"]), (1, &"10 sat".into()));
    let id = rows[0]["id"].as_str().unwrap();
    let resume = ["wallet", "pending", "--resume", id, "--wait", "1"];
    let again = faregate(home.path(), &dev, &resume).await;
    assert_eq!(again.status.code(), Some(6), "{again:?}");
    dev.settle_held();
    let done = faregate(home.path(), &dev, &resume).await;
    assert_eq!(done.stdout, b"a joke", "{done:?}");
    let listed = heard(&faregate(home.path(), &dev, &pending).await);
    assert_eq!(listed["pending"], Value::Array(vec![]));
    assert_eq!(spent(&dev), PRICE_AND_FEE);
}

/// The joke of `faregate dev` costs a tenth of a cent or ten satoshis, in one answer.
#[tokio::test(flavor = "multi_thread")]
async fn curl_buys_the_joke_of_dev_over_either_rail() {
    let (stack, home) = (stack().await, tempfile::tempdir().unwrap());
    let joke = format!("{}/joke", stack.gate_url());
    for (prefer, rail) in [("l402", "l402"), ("x402", "x402")] {
        let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(["curl", "--json", &joke, "--prefer", prefer])
            .env_clear()
            .envs(stack.env())
            .env("FAREGATE_HOME", home.path())
            .env("FAREGATE_PRIVATE_KEY", payer_key())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(60), run);
        let paid = heard(&output.await.unwrap().unwrap());
        assert_eq!(
            (&paid["status"], &paid["payment"]["rail"]),
            (&200.into(), &rail.into())
        );
        assert_eq!(paid["payment"]["state"], "paid");
    }
    assert_eq!(spent(stack.lightning()), PRICE_AND_FEE);
}
