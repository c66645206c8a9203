//! A long queue of permits, and a gate that is killed with it: none is lost, and none is paid twice.
//!
//! `FAREGATE_QUEUE=10000 cargo test --release -p faregate --test it permit_queue -- --nocapture` for a longer one.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use alloy_primitives::U256;
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::{LocalSigner, permit_settler::PermitSettler};
use faregate_ledger::{LedgerStore as _, PaymentState};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{ChainId, SecretKey};
use futures_util::stream::{self, StreamExt as _};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::support::{http, payee_address, permit_request};

const CHAIN: ChainId = ChainId::BASE_SEPOLIA;
const PRICE: u64 = 1_000;
const GAS: usize = 7;
const LONG: Duration = Duration::from_secs(600);

/// How many permits; few enough for every run of the tests unless it is said otherwise.
fn count() -> usize {
    let said = std::env::var("FAREGATE_QUEUE").ok();
    said.map_or(300, |said| said.parse().unwrap())
}

fn configure(folder: &Path, rpc_url: &str) -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = port.local_addr().unwrap();
    let text = format!(
        "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"http://127.0.0.1:9\"\nnetwork = \"{CHAIN}\"\n\
         pay_to = \"{}\"\nstore = \"{}\"\n\n[gate.facilitator]\nrpc_url = \"{rpc_url}\"\nsigner_key = \"env:GAS_KEY\"\n\n\
         [gate.permit]\ntoken_key = \"env:TOKEN_KEY\"\nexposure_prices = 1000000\n\n\
         [[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\n",
        payee_address(),
        folder.join("gate.db").display(),
    );
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    format!("http://{bind}")
}

async fn start(folder: &Path, url: &str) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["gate", "-c"])
        .arg(folder.join("gate.toml"))
        .env_clear()
        .env("GAS_KEY", Devchain::accounts()[GAS].private_key)
        .env("TOKEN_KEY", "a key of this test and of no other")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let answers = async {
        while http().get(format!("{url}/livez")).send().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, answers).await.unwrap();
    child
}

/// Asks for every token, many at once, as long as the gate lives; how many it gave.
async fn ask_for_all(url: &str, requests: &[String]) -> usize {
    let client = http();
    let asked = stream::iter(requests).map(|body| {
        let request = client
            .post(format!("{url}/token"))
            .header("content-type", "application/json")
            .body(body.clone());
        async move {
            request
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
        }
    });
    let given = asked.buffer_unordered(64);
    given
        .filter(|given| std::future::ready(*given))
        .count()
        .await
}

/// The payments of the ledger by their state: how many are settled, how many open, how many anything else.
async fn states(folder: &Path) -> (usize, usize, usize) {
    let ledger = SqliteLedger::open(folder.join("gate.db")).unwrap();
    let most = u32::try_from(count()).unwrap() + 10;
    let payments = ledger.recent_payments(most).await.unwrap();
    let (mut sums, all) = ((0, 0, 0), payments.len());
    for payment in payments {
        sums.0 += usize::from(payment.state == PaymentState::Settled);
        sums.1 += usize::from(payment.state.is_open());
    }
    sums.2 = all - sums.0 - sums.1;
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_permits_survive_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Devchain::start(ChainConfig::default()).await.unwrap();
    let url = configure(folder.path(), &chain.rpc_url());
    let mut gate = start(folder.path(), &url).await;
    let settler = PermitSettler::of(payee_address()).unwrap();
    let payer = &Devchain::accounts()[3];
    let payer = LocalSigner::new(SecretKey::from_hex(payer.private_key).unwrap()).unwrap();
    let request = |_| permit_request(&payer, settler.address(), PRICE);
    let requests: Vec<String> = (0..count()).map(request).collect();
    let funds = U256::from(PRICE) * U256::from(requests.len());
    chain.mint_usdc(payer.address(), funds).await.unwrap();
    let before = chain.usdc_balance(payee_address()).await.unwrap();

    // Nothing is mined: whatever is taken waits.
    chain.set_automine(false).await.unwrap();
    let began = Instant::now();
    let given = ask_for_all(&url, &requests).await;
    println!("{given} tokens in {:?}", began.elapsed());
    assert_eq!(given, requests.len());
    gate.kill().await.unwrap();
    assert_eq!(states(folder.path()).await, (0, given, 0));
    assert_eq!(chain.usdc_balance(payee_address()).await.unwrap(), before);

    chain.set_automine(true).await.unwrap();
    chain.mine(1).await.unwrap();
    let began = Instant::now();
    let mut gate = start(folder.path(), &url).await;
    let paid = async {
        while chain.usdc_balance(payee_address()).await.unwrap() < before + funds {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONG, paid).await.unwrap();
    println!("paid {:?} after the restart", began.elapsed());
    // The books hear of it, and nobody pays more than once: the payer had not a unit more, and the payee got it all.
    let settled = async {
        while states(folder.path()).await != (given, 0, 0) {
            sleep(Duration::from_millis(200)).await;
        }
    };
    timeout(LONG, settled).await.unwrap();
    // The same permits again get their tokens, and move nothing.
    assert_eq!(ask_for_all(&url, &requests).await, given);
    gate.kill().await.unwrap();
    let after = chain.usdc_balance(payee_address()).await.unwrap();
    assert_eq!(after, before + funds);
    let ledger = SqliteLedger::open(folder.path().join("gate.db")).unwrap();
    assert!(ledger.audit().await.unwrap().is_clean());
    chain.shutdown().await;
}
