//! Gates as processes of their own, paid over the stack's Lightning network: what outlives a restart, and what holds while the
//! wallet is away.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use faregate::stack::Stack;
use faregate_devnet::{Devchain, WalletName};
use faregate_types::lightning::Preimage;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::l402_gate::{buy, challenge, get};
use crate::support::{http, payee_address, stack};

const SOON: Duration = Duration::from_secs(30);

/// Pays the gas of the gate; the stack has signers of its own.
const SIGNER: usize = 6;

/// A service to sell: says which `Authorization` it got.
async fn upstream() -> String {
    let said = async |headers: axum::http::HeaderMap| {
        let found = headers.get_all("authorization").iter();
        let found: Vec<_> = found.map(|value| value.to_str().unwrap()).collect();
        found.join(" + ")
    };
    let app = axum::Router::new().fallback(said);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes the configuration of a gate over the Lightning node at `lnd`, and returns where it will listen.
async fn configure(folder: &Path, stack: &Stack, lnd: &str, tokens: bool) -> String {
    let bind = format!("127.0.0.1:{}", free_port());
    let facilitator = format!(
        "[gate.facilitator]\nrpc_url = \"{}\"\nsigner_key = \"env:GAS_KEY\"\n[[route]]\nmatch = \"GET /both\"\nprice = [\"$0.001\", \"10 sat\"]\n",
        stack.rpc_url()
    );
    let text = format!(
        "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"{}\"\nnetwork = \"{}\"\npay_to = \"{}\"\nstore = \"{}\"\n\
         [gate.lightning]\nbackend = \"lnd\"\nurl = \"{lnd}\"\nkey = \"env:LND\"\nnetwork = \"regtest\"\nmaster_key = \"env:MASTER_KEY\"\n\
         {}[[route]]\nmatch = \"GET /one\"\nprice = \"10 sat\"\n[[route]]\nmatch = \"GET /three\"\nprice = \"10 sat\"\nl402 = {{ uses = 3 }}\n",
        upstream().await,
        stack.chain,
        payee_address(),
        folder.join("gate.db").display(),
        if tokens { &facilitator } else { "" },
    );
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    format!("http://{bind}")
}

async fn start(folder: &Path, stack: &Stack, url: &str) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["gate", "-c"])
        .arg(folder.join("gate.toml"))
        .env_clear()
        .env("GAS_KEY", Devchain::accounts()[SIGNER].private_key)
        .env("LND", stack.lightning().macaroon(WalletName::Seller))
        .env("MASTER_KEY", "5a".repeat(32))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let ready = async {
        while http().get(format!("{url}/readyz")).send().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ready).await.unwrap();
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_stays_used_when_the_gate_starts_again() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    // Without a facilitator: nobody asks for tokens of a chain.
    let lnd = stack.lightning().rest_url();
    let url = configure(folder.path(), &stack, &lnd, false).await;
    let mut gate = start(folder.path(), &stack, &url).await;
    let (one, three) = (format!("{url}/one"), format!("{url}/three"));
    let used = buy(&stack, &one).await;
    let partly = buy(&stack, &three).await;
    let unused = buy(&stack, &one).await;
    assert_eq!(get(&one, Some(&used)).await.status(), 200);
    assert_eq!(get(&three, Some(&partly)).await.status(), 200);
    assert_eq!(
        get(&three, Some(&used)).await.status(),
        402,
        "another route"
    );

    gate.kill().await.unwrap();
    let _gate = start(folder.path(), &stack, &url).await;
    assert_eq!(get(&one, Some(&used)).await.status(), 402);
    assert_eq!(get(&one, Some(&unused)).await.status(), 200);
    assert_eq!(get(&one, Some(&unused)).await.status(), 402);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(get(&three, Some(&partly)).await.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 402]);
    stack.shutdown().await;
}

/// `faregate l402 …` with the gate's master key.
async fn l402(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .arg("l402")
        .args(arguments)
        .env_clear()
        .env("FAREGATE_L402_MASTER_KEY", "5a".repeat(32))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    timeout(SOON, child.wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_and_checks_the_gates_own_tokens() {
    const ROUTE: [&str; 6] = [
        "--service",
        "127.0.0.1",
        "--path",
        "/one",
        "--price",
        "10 sat",
    ];
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let url = configure(folder.path(), &stack, &lnd, false).await;
    let _gate = start(folder.path(), &stack, &url).await;
    let one = format!("{url}/one");

    let bought = buy(&stack, &one).await;
    let checked = l402(&[&["verify"][..], &ROUTE].concat(), &bought).await;
    assert!(checked.status.success(), "{checked:?}");
    let other_route = [
        "--service",
        "127.0.0.1",
        "--path",
        "/three",
        "--price",
        "10 sat",
    ];
    let checked = l402(&[&["verify"][..], &other_route].concat(), &bought).await;
    assert_eq!(checked.status.code(), Some(5), "{checked:?}");

    // A gift: nobody made an invoice for this preimage.
    let preimage = "ab".repeat(32);
    let hash = Preimage::parse(&preimage).unwrap().hash().to_string();
    let mint = [
        &["mint", "--payment-hash", &hash, "--max-uses", "1"][..],
        &ROUTE,
    ]
    .concat();
    let minted = l402(&mint, "").await;
    assert!(minted.status.success(), "{minted:?}");
    let token = String::from_utf8(minted.stdout).unwrap();
    let gift = format!("L402 {}:{preimage}", token.trim());
    assert_eq!(get(&one, Some(&gift)).await.status(), 200);
    assert_eq!(get(&one, Some(&gift)).await.status(), 402, "used up");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_gets_its_own_authorization_and_never_the_token() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let url = configure(folder.path(), &stack, &lnd, false).await;
    let _gate = start(folder.path(), &stack, &url).await;
    let route = format!("{url}/three");
    let credential = buy(&stack, &route).await;
    for (own, heard) in [("Bearer own", "Bearer own"), ("Basic b3du", "Basic b3du")] {
        let request = http().get(&route).header("authorization", &credential);
        let answer = request.header("authorization", own).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), heard);
    }
    let answer = get(&route, Some(&credential)).await;
    assert_eq!(
        (answer.status().as_u16(), answer.text().await.unwrap()),
        (200, String::new())
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_wallet_is_away_other_rails_are_offered_and_tokens_still_open() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let url = configure(folder.path(), &stack, &lnd, true).await;
    let mut gate = start(folder.path(), &stack, &url).await;
    let (both, one) = (format!("{url}/both"), format!("{url}/one"));
    assert!(
        !challenge(get(&both, None).await.headers())
            .invoice
            .is_empty()
    );
    let credential = buy(&stack, &one).await;
    gate.kill().await.unwrap();

    // The same gate over a node that does not answer.
    let text = std::fs::read_to_string(folder.path().join("gate.toml")).unwrap();
    let away = text.replace(&lnd, &format!("http://127.0.0.1:{}", free_port()));
    std::fs::write(folder.path().join("gate.toml"), away).unwrap();
    let _gate = start(folder.path(), &stack, &url).await;
    let answer = get(&both, None).await;
    assert_eq!(answer.status(), 402);
    assert!(answer.headers().contains_key("payment-required"));
    assert!(!answer.headers().contains_key("www-authenticate"));
    let answer = get(&one, None).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(
        answer.json::<Value>().await.unwrap()["code"],
        "lightning_unavailable"
    );
    assert_eq!(get(&one, Some(&credential)).await.status(), 200);
    stack.shutdown().await;
}
