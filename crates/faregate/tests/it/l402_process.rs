//! Gates as processes of their own, paid over the stack's Lightning network: what outlives a restart, and what holds while the
//! wallet is away.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faregate::stack::Stack;
use faregate_devnet::{Devchain, WalletName};
use faregate_ledger::EventStore as _;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::l402::{Identifier, Macaroon, webhook};
use faregate_types::lightning::Preimage;
use faregate_types::{Secret, Timestamp};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::l402_gate::{buy, challenge, get};
use crate::support::{http, payee_address, stack};

const ADMIN_KEY: &str = "operators-know-this-1";

const SOON: Duration = Duration::from_secs(30);

/// Pays the gas of the gate; the stack has signers of its own.
const SIGNER: usize = 6;

/// A service to sell: says which `Authorization` it got.
pub(crate) async fn upstream() -> String {
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

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Writes the configuration of a gate over the Lightning node at `lnd`, and returns where it will listen.
async fn configure(folder: &Path, stack: &Stack, lnd: &str, tokens: bool) -> String {
    configure_with(folder, stack, lnd, tokens, "").await
}

/// The same with more tables after `[gate]`.
async fn configure_with(
    folder: &Path,
    stack: &Stack,
    lnd: &str,
    tokens: bool,
    more: &str,
) -> String {
    let bind = format!("127.0.0.1:{}", free_port());
    let facilitator = format!(
        "[gate.facilitator]\nrpc_url = \"{}\"\nsigner_key = \"env:GAS_KEY\"\n[[route]]\nmatch = \"GET /both\"\nprice = [\"$0.001\", \"10 sat\"]\n",
        stack.rpc_url()
    );
    let text = format!(
        "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"{}\"\nnetwork = \"{}\"\npay_to = \"{}\"\nstore = \"{}\"\n\
         [gate.lightning]\nbackend = \"lnd\"\nurl = \"{lnd}\"\nkey = \"env:LND\"\nnetwork = \"regtest\"\nmaster_key = \"env:MASTER_KEY\"\n\
         {more}{}[[route]]\nmatch = \"GET /one\"\nprice = \"10 sat\"\n[[route]]\nmatch = \"GET /three\"\nprice = \"10 sat\"\nl402 = {{ uses = 3 }}\n",
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
        .env("ADMIN_KEY", ADMIN_KEY)
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
        .env("FAREGATE_ADMIN_KEY", ADMIN_KEY)
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
    let ready = get(&format!("{url}/readyz"), None).await;
    assert_eq!(ready.status(), 200);
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
    let ready = get(&format!("{url}/readyz"), None).await;
    assert_eq!(ready.status(), 503);
    let said: Value = ready.json().await.unwrap();
    assert_eq!(said["code"], "lightning_unavailable");
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

/// The payment's hash and the token's id, as `faregate decode` shows them.
fn names(credential: &str) -> [String; 2] {
    let token = credential.strip_prefix("L402 ").unwrap();
    let token = Macaroon::from_base64(token.split_once(':').unwrap().0).unwrap();
    let identifier = Identifier::decode(token.identifier()).unwrap();
    let id: String = identifier
        .token_id
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    [identifier.payment_hash.to_string(), id]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_revoked_stays_revoked_when_the_gate_starts_again() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let admin = format!("127.0.0.1:{}", free_port());
    let tables = format!(
        "[admin]\nbind = \"{admin}\"\nkey = \"env:ADMIN_KEY\"\n\
         [[route]]\nmatch = \"GET /all\"\nprice = \"10 sat\"\nl402 = {{ uses = \"unlimited\" }}\n"
    );
    let url = configure_with(folder.path(), &stack, &lnd, false, &tables).await;
    let mut gate = start(folder.path(), &stack, &url).await;
    let (one, all) = (format!("{url}/one"), format!("{url}/all"));
    let admin_url = format!("http://{admin}");
    let (pass, other, single) = (
        buy(&stack, &all).await,
        buy(&stack, &all).await,
        buy(&stack, &one).await,
    );
    for _ in 0..3 {
        assert_eq!(get(&all, Some(&pass)).await.status(), 200);
    }
    let [_, id] = names(&pass);
    let [hash, _] = names(&single);

    // Nobody without the key, and nothing that is no id.
    let list = format!("{admin_url}/l402/revocations");
    for (key, body, status) in [
        (None, json!({ "id": id }), 401),
        (Some("somebody-elses-key"), json!({ "id": id }), 401),
        (Some(ADMIN_KEY), json!({ "id": "5" }), 400),
        (Some(ADMIN_KEY), json!({}), 400),
    ] {
        let mut request = http().post(&list).json(&body);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        assert_eq!(request.send().await.unwrap().status(), status, "{body}");
    }
    assert_eq!(http().get(&list).send().await.unwrap().status(), 401);
    assert_eq!(get(&all, Some(&pass)).await.status(), 200);

    let revoked = l402(&["revoke", &id, &hash, "--admin-url", &admin_url], "").await;
    assert!(revoked.status.success(), "{revoked:?}");
    let refused = async |url: &str, credential: &str| {
        let answer = get(url, Some(credential)).await;
        assert_eq!(answer.status(), 402);
        let next = challenge(answer.headers());
        assert!(!next.invoice.is_empty());
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"], "l402_token_revoked");
    };
    for _ in 0..2 {
        refused(&all, &pass).await;
        refused(&one, &single).await;
        assert_eq!(get(&all, Some(&other)).await.status(), 200);
    }
    let shown = http().get(&list).bearer_auth(ADMIN_KEY).send().await;
    let shown: Value = shown.unwrap().json().await.unwrap();
    assert_eq!(
        (&shown["count"], &shown["revocations"][0]["id"]),
        (&json!(2), &json!(hash))
    );

    gate.kill().await.unwrap();
    // While nobody has the ledger, it can be written to directly.
    let store = folder.path().join("gate.db");
    let [other_hash, _] = names(&other);
    let arguments = ["revoke", &other_hash, "--store", store.to_str().unwrap()];
    let revoked = l402(&arguments, "").await;
    assert!(revoked.status.success(), "{revoked:?}");
    let _gate = start(folder.path(), &stack, &url).await;
    refused(&all, &pass).await;
    refused(&one, &single).await;
    refused(&all, &other).await;
    assert_eq!(l402(&arguments, "").await.status.code(), Some(2), "in use");
    stack.shutdown().await;
}

/// A token for three requests is bought by one process and used by the next two; its secret is only in the file.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_shown_by_later_commands_and_listed_without_their_secrets() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let url = configure(folder.path(), &stack, &lnd, false).await;
    let _gate = start(folder.path(), &stack, &url).await;
    let faregate = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(arguments)
            .args(["--json"])
            .env_clear()
            .envs(stack.env())
            .env("FAREGATE_HOME", folder.path())
            .kill_on_drop(true)
            .output();
        async move {
            let output = timeout(SOON, run).await.unwrap().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        }
    };
    let route = format!("{url}/three");
    let mut left = Vec::new();
    for number in 0..4 {
        let paid = faregate(&["curl", &route]).await;
        assert_eq!(paid["status"], 200);
        assert_eq!(paid["payment"].is_object(), number % 3 == 0, "{number}");
        let tokens = faregate(&["wallet", "tokens"]).await;
        let tokens = tokens["tokens"].as_array().unwrap();
        left.push(tokens.first().map(|token| token["usesLeft"].clone()));
        for token in tokens {
            assert_eq!(
                (&token["method"], &token["path"]),
                (&"GET".into(), &"/three".into())
            );
            assert_eq!(token.as_object().unwrap().len(), 7);
        }
    }
    let two = || Some(Value::from(2));
    assert_eq!(left, [two(), Some(1.into()), None, two()]);
    let shown = faregate(&["wallet", "show"]).await;
    let payments = shown["payments"].as_array().unwrap();
    assert_eq!((payments.len(), &payments[0]["payer"]), (2, &"lnd".into()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let about = std::fs::metadata(folder.path().join("wallet.db")).unwrap();
        assert_eq!(about.permissions().mode() & 0o077, 0);
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_gate_asks_its_node_before_the_first_use() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let lnd = stack.lightning().rest_url();
    let url = configure_with(folder.path(), &stack, &lnd, false, "strict = true\n").await;
    let mut gate = start(folder.path(), &stack, &url).await;
    let three = format!("{url}/three");
    let bought = buy(&stack, &three).await;
    assert_eq!(get(&three, Some(&bought)).await.status(), 200);

    // Signed by the gate's own key and with the right preimage, but the node never had an invoice for it.
    let preimage = "cd".repeat(32);
    let hash = Preimage::parse(&preimage).unwrap().hash().to_string();
    let mint = [
        "mint",
        "--payment-hash",
        &hash,
        "--max-uses",
        "3",
        "--service",
        "127.0.0.1",
    ];
    let route = ["--path", "/three", "--price", "10 sat"];
    let minted = l402(&[&mint[..], &route].concat(), "").await;
    let token = String::from_utf8(minted.stdout).unwrap();
    let gift = format!("L402 {}:{preimage}", token.trim());
    let answer = get(&three, Some(&gift)).await;
    assert_eq!(answer.status(), 402);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], "l402_invoice_unpaid");
    gate.kill().await.unwrap();

    // A node that is away knows nothing: come back, whatever is left of the token.
    let text = std::fs::read_to_string(folder.path().join("gate.toml")).unwrap();
    let away = text.replace(&lnd, &format!("http://127.0.0.1:{}", free_port()));
    std::fs::write(folder.path().join("gate.toml"), away).unwrap();
    let mut gate = start(folder.path(), &stack, &url).await;
    let answer = get(&three, Some(&bought)).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    gate.kill().await.unwrap();
    std::fs::write(folder.path().join("gate.toml"), text).unwrap();
    let _gate = start(folder.path(), &stack, &url).await;
    for status in [200, 200, 402] {
        assert_eq!(get(&three, Some(&bought)).await.status(), status);
    }
    stack.shutdown().await;
}

/// What a receiver of webhooks heard: the signature and the body.
type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that takes nothing while it refuses.
async fn receiver(refuses: &Arc<AtomicBool>) -> (String, Heard) {
    let heard = Heard::default();
    let (refuses, hears) = (Arc::clone(refuses), Arc::clone(&heard));
    let hear = move |headers: axum::http::HeaderMap, body: axum::body::Bytes| {
        let signature = headers["l402-signature"].to_str().unwrap().to_owned();
        hears.lock().unwrap().push((signature, body.to_vec()));
        let status = if refuses.load(Ordering::SeqCst) {
            503
        } else {
            204
        };
        std::future::ready(axum::http::StatusCode::from_u16(status).unwrap())
    };
    let app = axum::Router::new().route("/hook", axum::routing::post(hear));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, heard)
}

async fn until_heard(heard: &Heard, count: usize) {
    let all = async {
        while heard.lock().unwrap().len() < count {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_hears_of_a_payment_although_it_refused_and_the_gate_was_killed() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let refuses = Arc::new(AtomicBool::new(true));
    let (hook, heard) = receiver(&refuses).await;
    let lnd = stack.lightning().rest_url();
    let table = format!("[gate.webhook]\nurl = \"{hook}\"\nsecret = \"env:ADMIN_KEY\"\n");
    let url = configure_with(folder.path(), &stack, &lnd, false, &table).await;
    let mut gate = start(folder.path(), &stack, &url).await;
    let one = format!("{url}/one");
    let credential = buy(&stack, &one).await;
    // Served whatever the receiver does.
    assert_eq!(get(&one, Some(&credential)).await.status(), 200);
    until_heard(&heard, 1).await;
    gate.kill().await.unwrap();

    refuses.store(false, Ordering::SeqCst);
    let mut gate = start(folder.path(), &stack, &url).await;
    until_heard(&heard, 2).await;
    let [hash, _] = names(&credential);
    let preimage = credential.rsplit_once(':').unwrap().1;
    let secret = Secret::new(ADMIN_KEY.as_bytes().to_vec());
    let now = Timestamp::from(std::time::SystemTime::now());
    let mut events = Vec::new();
    for (signature, body) in heard.lock().unwrap().iter() {
        webhook::verify(&secret, signature, body, now).unwrap();
        let text = String::from_utf8(body.clone()).unwrap();
        assert!(!text.contains(preimage), "the preimage was told");
        events.push(serde_json::from_str::<Value>(&text).unwrap());
    }
    assert_eq!(events[0], events[1], "the same event, known by its id");
    assert_eq!(events[1]["type"], "payment.received");
    let data = &events[1]["data"];
    assert_eq!(
        (&data["endpoint"], &data["amountSats"], &data["paymentHash"]),
        (&json!("GET /one"), &json!(10), &json!(hash))
    );

    // Told once it was taken, and forgotten.
    let store = folder.path().join("gate.db");
    let is_empty = async {
        loop {
            gate.kill().await.unwrap();
            let books = SqliteLedger::open(&store).unwrap();
            let later = Timestamp::from_secs(now.as_secs() + 100_000);
            if books.due_events(later, 9).await.unwrap().is_empty() {
                break;
            }
            drop(books);
            gate = start(folder.path(), &stack, &url).await;
            sleep(Duration::from_secs(1)).await;
        }
    };
    timeout(SOON, is_empty).await.unwrap();
    stack.shutdown().await;
}
