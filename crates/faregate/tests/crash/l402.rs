//! The client over Lightning: `faregate curl` ends around the payment of an invoice, and the same command, or
//! `faregate wallet pending`, fetches what was bought. The invoice is paid once.

use std::path::Path;
use std::process::{Output, Stdio};

use faregate::stack::Stack;
use faregate_core::crash::{L402_CLIENT, Point};
use faregate_devnet::{LightningConfig, WalletName};
use faregate_ledger::{SpendState, WalletStore as _};
use faregate_store::sqlite::SqliteWallet;
use tokio::process::Command;
use tokio::time::timeout;

use crate::SOON;
use crate::support::stack;

/// The joke of `faregate dev` over Lightning, and what the way costs.
const PRICE_AND_FEE: u64 = 11_001;

async fn faregate(
    stack: &Stack,
    folder: &Path,
    arguments: &[&str],
    point: Option<Point>,
) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(arguments)
        .env_clear()
        .env("FAREGATE_LND_REST", stack.lightning().rest_url())
        .env(
            "FAREGATE_LND_MACAROON",
            stack.lightning().macaroon(WalletName::Payer),
        )
        .env("FAREGATE_WALLET_DB", folder.join("wallet.db"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = point {
        command.env("FAREGATE_CRASH_AT", point.name());
    }
    timeout(SOON, command.output()).await.unwrap().unwrap()
}

fn spent(stack: &Stack) -> u64 {
    let balance = stack.lightning().balance(WalletName::Payer);
    LightningConfig::default().balance.get() - balance.get()
}

async fn states(folder: &Path) -> Vec<(String, SpendState)> {
    let wallet = SqliteWallet::open(folder.join("wallet.db")).unwrap();
    assert!(wallet.audit().await.unwrap().is_clean());
    let spends = wallet.recent_spends(9).await.unwrap();
    let found = spends.into_iter();
    found
        .map(|record| (record.spend.id.to_string(), record.state))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_once_wherever_the_client_ends() {
    for point in L402_CLIENT {
        for resumes in [false, true] {
            let case = format!("{}, {resumes}", point.name());
            let (stack, home) = (stack().await, tempfile::tempdir().unwrap());
            let (folder, joke) = (home.path(), format!("{}/joke", stack.gate_url()));
            let first = faregate(&stack, folder, &["curl", &joke], Some(point)).await;
            assert!(!first.status.success() && first.stdout.is_empty(), "{case}");
            let paid = point == Point::InvoicePaid;
            assert_eq!(
                spent(&stack),
                if paid { PRICE_AND_FEE } else { 0 },
                "{case}"
            );
            let left = states(folder).await;
            assert_eq!(left.len(), 1, "{case}");
            assert_eq!(left[0].1, SpendState::Open, "{case}");
            let again: &[&str] = if resumes {
                &["wallet", "pending", "--resume", &left[0].0]
            } else {
                &["curl", &joke]
            };
            let again = faregate(&stack, folder, again, None).await;
            let said = String::from_utf8_lossy(&again.stderr);
            assert!(again.status.success(), "{case}: {said}");
            assert!(!again.stdout.is_empty(), "{case}");
            assert_eq!(spent(&stack), PRICE_AND_FEE, "{case}");
            let ended = [(left[0].0.clone(), SpendState::Paid)];
            assert_eq!(states(folder).await, ended, "{case}");
            stack.shutdown().await;
        }
    }
}
