//! Over Lightning: `faregate curl` ends around the payment of an invoice, or the gate ends around the use of a token. The same
//! command, or `faregate wallet pending`, fetches what was bought. The invoice is paid once, and one use is counted.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use faregate::stack::Stack;
use faregate_core::crash::{L402_CLIENT, L402_GATE, Point};
use faregate_devnet::{LightningConfig, WalletName};
use faregate_ledger::{PaymentState, SpendState, WalletStore as _};
use faregate_store::sqlite::SqliteWallet;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::stack;
use crate::{SOON, free_port, seller, start, state};

/// What the joke costs over Lightning, and what the way costs.
const PRICE_AND_FEE: u64 = 11_001;

/// Longer than a client waits before it ends while the gate has its request.
const TAKES: Duration = Duration::from_millis(600);

/// A gate that sells a slow joke for one-use tokens, and a payer's home.
struct Shop {
    stack: Stack,
    folder: TempDir,
    url: String,
    runs: Arc<AtomicU32>,
}

impl Shop {
    async fn open() -> Self {
        let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
        let (upstream, runs) = seller(TAKES).await;
        let bind = format!("127.0.0.1:{}", free_port());
        let macaroon = folder.path().join("seller.macaroon");
        std::fs::write(&macaroon, stack.lightning().macaroon(WalletName::Seller)).unwrap();
        let root_key = folder.path().join("root.key");
        std::fs::write(&root_key, "5a".repeat(32)).unwrap();
        let text = format!(
            "[gate]\nbind = \"{bind}\"\npublic_url = \"http://{bind}\"\nupstream = \"{upstream}\"\nstore = \"{}\"\n\
             [gate.lightning]\nbackend = \"lnd\"\nurl = \"{}\"\nkey = \"file:{}\"\nnetwork = \"regtest\"\nroot_key = \"file:{}\"\n\
             [[route]]\nmatch = \"GET /joke\"\nprice = \"10 sat\"\n",
            folder.path().join("gate.db").display(),
            stack.lightning().rest_url(),
            macaroon.display(),
            root_key.display(),
        );
        std::fs::write(folder.path().join("gate.toml"), text).unwrap();
        Self {
            stack,
            folder,
            url: format!("http://{bind}"),
            runs,
        }
    }

    async fn gate(&self, point: Option<Point>) -> Child {
        start("gate", self.folder.path(), &self.url, point).await
    }

    async fn faregate(&self, arguments: &[&str], point: Option<Point>) -> Output {
        let lightning = self.stack.lightning();
        let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
        command
            .args(arguments)
            .env_clear()
            .env("FAREGATE_LND_REST", lightning.rest_url())
            .env(
                "FAREGATE_LND_MACAROON",
                lightning.macaroon(WalletName::Payer),
            )
            .env("FAREGATE_WALLET_DB", self.folder.path().join("wallet.db"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(point) = point {
            command.env("FAREGATE_CRASH_AT", point.name());
        }
        timeout(SOON, command.output()).await.unwrap().unwrap()
    }

    async fn curl(&self, point: Option<Point>) -> Output {
        let joke = format!("{}/joke", self.url);
        self.faregate(&["curl", &joke], point).await
    }

    fn spent(&self) -> u64 {
        let balance = self.stack.lightning().balance(WalletName::Payer);
        LightningConfig::default().balance.get() - balance.get()
    }

    async fn spends(&self) -> Vec<(String, SpendState)> {
        spends(&self.folder.path().join("wallet.db")).await
    }

    /// In the end: one payment, one use, and both sides agree.
    async fn ended(self, mut gate: Child, runs: u32, case: &str) {
        gate.kill().await.unwrap();
        let spends = self.spends().await;
        assert_eq!(spends.len(), 1, "{case}");
        assert_eq!(spends[0].1, SpendState::Paid, "{case}");
        assert_eq!(self.spent(), PRICE_AND_FEE, "{case}");
        let books = state(&self.folder.path().join("gate.db")).await;
        assert_eq!(books, PaymentState::Settled, "{case}");
        assert_eq!(self.runs.load(Ordering::SeqCst), runs, "{case}");
        self.stack.shutdown().await;
    }
}

async fn spends(path: &Path) -> Vec<(String, SpendState)> {
    let wallet = SqliteWallet::open(path).unwrap();
    assert!(wallet.audit().await.unwrap().is_clean());
    let spends = wallet.recent_spends(9).await.unwrap();
    let found = spends.into_iter();
    found
        .map(|record| (record.spend.id.to_string(), record.state))
        .collect()
}

fn told(output: &Output, case: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {said}");
    assert_eq!(output.stdout, b"a joke", "{case}");
}

async fn client_killed_at(point: Point, resumes: bool) {
    let case = format!("{}, {resumes}", point.name());
    let shop = Shop::open().await;
    let gate = shop.gate(None).await;
    let first = shop.curl(Some(point)).await;
    assert!(!first.status.success(), "{case}");
    let paid = point != Point::Reserved;
    assert_eq!(shop.spent(), if paid { PRICE_AND_FEE } else { 0 }, "{case}");
    let left = shop.spends().await;
    assert_eq!(left.len(), 1, "{case}");
    if point == Point::Recorded {
        // After the last place the caller has what was bought.
        assert_eq!(
            (&*first.stdout, left[0].1),
            (&b"a joke"[..], SpendState::Paid)
        );
    } else {
        assert!(first.stdout.is_empty(), "{case}");
        assert_eq!(left[0].1, SpendState::Open, "{case}");
        let again = if resumes {
            let resume = ["wallet", "pending", "--resume", &left[0].0];
            shop.faregate(&resume, None).await
        } else {
            shop.curl(None).await
        };
        told(&again, &case);
        assert_eq!(shop.spends().await[0].0, left[0].0, "{case}");
    }
    shop.ended(gate, 1, &case).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_once_wherever_the_client_ends() {
    for point in L402_CLIENT {
        client_killed_at(point, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_left_behind_is_fetched_by_wallet_pending() {
    for point in L402_CLIENT {
        client_killed_at(point, true).await;
    }
}

/// The gate ends while it sells for a token: the token is good for the same purchase, and for no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_use_is_counted_once_wherever_the_gate_ends() {
    for point in L402_GATE {
        let case = point.name();
        let shop = Shop::open().await;
        let mut gate = shop.gate(Some(point)).await;
        let first = shop.curl(None).await;
        assert!(!first.status.success() && first.stdout.is_empty(), "{case}");
        let ended = timeout(SOON, gate.wait()).await.expect(case).unwrap();
        assert!(!ended.success(), "{case}");
        assert_eq!(shop.spends().await[0].1, SpendState::Open, "{case}");

        let gate = shop.gate(None).await;
        told(&shop.curl(None).await, case);
        // Again when it ran and its answer was lost with the process.
        let runs = 1 + u32::from(point == Point::Served);
        shop.ended(gate, runs, case).await;
    }
}
