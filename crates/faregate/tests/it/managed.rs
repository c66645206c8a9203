//! Managed mode with everything real but the money: a seller without a wallet, whose gate asks a managed mode server for
//! invoices; a buyer; an owner with a Lightning address. Two processes over the dev network.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_ledger::{AccountId, Balance, LedgerStore as _};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::AssetId;
use faregate_types::l402::challenge::Challenge;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::l402_gate::{challenge, get};
use crate::l402_process::{free_port, upstream};
use crate::support::http;

const SOON: Duration = Duration::from_secs(30);

/// What every wallet starts with, in millisatoshis.
const START: u64 = 1_000_000_000;

/// The server's address, and the configuration of it and of a gate in front of it.
async fn configure(folder: &Path, net: &DevLightning) -> [String; 2] {
    let [managed, gate] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let text = format!(
        "[managed]\nbind = \"{managed}\"\nstore = \"{}\"\ndirectory = \"{}\"\nowners = [\"*@{}\"]\n\
         payout_min = \"50 sat\"\nrouting_max_min = \"2 sat\"\nprivate_addresses = true\n\
         [managed.lightning]\nbackend = \"lnd\"\nurl = \"{}\"\nkey = \"env:LND\"\nnetwork = \"regtest\"\n",
        folder.join("managed.db").display(),
        folder.join("directory.json").display(),
        net.addr(),
        net.rest_url(),
    );
    std::fs::write(folder.join("managed.toml"), text).unwrap();
    let text = format!(
        "[gate]\nbind = \"{gate}\"\npublic_url = \"http://{gate}\"\nupstream = \"{}\"\nstore = \"{}\"\n\
         [gate.lightning]\nbackend = \"managed\"\nurl = \"http://{managed}\"\naddress = \"{}\"\nnetwork = \"regtest\"\n\
         master_key = \"env:MASTER_KEY\"\n[[route]]\nmatch = \"GET /data\"\nprice = \"100 sat\"\n",
        upstream().await,
        folder.join("gate.db").display(),
        net.address(WalletName::Owner),
    );
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    [managed, gate].map(|bind| format!("http://{bind}"))
}

fn faregate(net: &DevLightning) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .env_clear()
        .env("LND", net.macaroon(WalletName::Seller))
        .env("MASTER_KEY", "5a".repeat(32))
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn start(kind: &str, folder: &Path, net: &DevLightning, url: &str) -> Child {
    let mut command = faregate(net);
    let config = folder.join(format!("{kind}.toml"));
    let child = command.args([kind, "-c"]).arg(config).spawn().unwrap();
    let ready = async {
        while http().get(format!("{url}/readyz")).send().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ready).await.unwrap();
    child
}

/// Pays as a stranger would, and returns the preimage.
async fn pay(net: &DevLightning, challenge: &Challenge) -> String {
    let answer = http()
        .post(format!("{}/v2/router/send", net.rest_url()))
        .header("grpc-metadata-macaroon", net.macaroon(WalletName::Payer))
        .json(&json!({
            "payment_request": &*challenge.invoice, "timeout_seconds": 10, "fee_limit_msat": "2000", "no_inflight_updates": true,
        }))
        .send()
        .await
        .unwrap();
    let said = answer.text().await.unwrap();
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let preimage = last["result"]["payment_preimage"].as_str();
    preimage.unwrap().to_owned()
}

async fn buy(net: &DevLightning, url: &str) {
    let asked = get(url, None).await;
    assert_eq!(asked.status(), 402);
    let challenge = challenge(asked.headers());
    let credential = format!("L402 {}:{}", &*challenge.token, pay(net, &challenge).await);
    assert_eq!(get(url, Some(&credential)).await.status(), 200);
    assert_eq!(get(url, Some(&credential)).await.status(), 402, "used up");
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(SOON, waiting).await.is_ok(), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_without_a_node_is_paid_for_what_was_sold() {
    let net = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [managed, gate] = configure(folder.path(), &net).await;
    let mut server = start("managed", folder.path(), &net, &managed).await;
    let _gate = start("gate", folder.path(), &net, &gate).await;
    let url = format!("{gate}/data");
    let owner = || net.balance(WalletName::Owner).get() - START;

    buy(&net, &url).await;
    until("the owner is paid", || owner() == 99_000).await;

    // It is not there while the next one is bought; what it was paid for stands in its ledger.
    let asked = get(&url, None).await;
    let next = challenge(asked.headers());
    server.kill().await.unwrap();
    assert_eq!(get(&url, None).await.status(), 503);
    let credential = format!("L402 {}:{}", &*next.token, pay(&net, &next).await);
    assert_eq!(get(&url, Some(&credential)).await.status(), 200);
    let _server = start("managed", folder.path(), &net, &managed).await;
    until("the owner is paid after a restart", || owner() == 198_000).await;

    // The books say what the wallets say, once the server has written the last of it.
    let ledger = SqliteLedger::open(folder.path().join("managed.db")).unwrap();
    let written = async {
        // Invoices that nobody paid are open, too.
        while ledger
            .open_payments(99)
            .await
            .unwrap()
            .iter()
            .any(|open| &*open.claim.route == "payout")
        {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, written).await.unwrap();
    assert!(ledger.audit().await.unwrap().is_clean());
    let sums = async |name: &str| {
        let account = AccountId::parse(name).unwrap();
        let asset = AssetId::Msat(BitcoinNetwork::Regtest);
        let Balance {
            credits_posted,
            debits_posted,
            ..
        } = ledger.balance(account, asset).await.unwrap();
        [credits_posted, debits_posted].map(|sum| u64::try_from(sum).unwrap())
    };
    let account = format!("owner/{}", net.address(WalletName::Owner));
    assert_eq!(sums(&account).await, [198_000, 198_000]);
    // Two fees of a satoshi each, and two ways.
    assert_eq!(sums("operator/fees").await, [2_000, 2 * 1_009]);
    let [given_back, received] = sums("lightning/wallet").await;
    let holds = net.balance(WalletName::Seller);
    assert_eq!(Msat::new(START + received - given_back), holds);
    net.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_is_listed_from_the_command_line() {
    let net = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [managed, _] = configure(folder.path(), &net).await;
    let _server = start("managed", folder.path(), &net, &managed).await;
    let register = async |name: &str, key: Option<&str>| {
        let mut command = faregate(&net);
        command
            .args([
                "--json",
                "register",
                "https://api.example/v1",
                "--name",
                name,
            ])
            .args([
                "--price-sats",
                "100",
                "--category",
                "data",
                "--server",
                &managed,
            ])
            .args(["--address", &net.address(WalletName::Owner)])
            .stdout(Stdio::piped());
        if let Some(key) = key {
            command.env("KEY", key).args(["--key", "env:KEY"]);
        }
        let done = timeout(SOON, command.output()).await.unwrap().unwrap();
        let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        (done.status.success(), said)
    };
    let (ok, said) = register("My API", None).await;
    assert!(ok && said["verified"] == false, "{said}");
    let key = said["key"].as_str().unwrap();
    assert!(!register("Not mine", None).await.0);
    assert!(register("My API, renamed", Some(key)).await.0);
    let list = http().get(format!("{managed}/api/apis.json?category=data"));
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!(list["apis"][0]["name"], "My API, renamed");
    assert_eq!(list["count"], 1);
    net.shutdown().await;
}
