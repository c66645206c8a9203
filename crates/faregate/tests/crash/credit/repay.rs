//! The payer: `faregate wallet pay-tabs` ends at a place, and is started again. The recipient gets what is owed, once.

use std::process::Output;

use faregate_core::crash::REPAYMENT;
use faregate_ledger::{RepaymentState, RepaymentStore as _, TabKey};
use faregate_store::sqlite::SqliteWallet;
use serde_json::Value;
use tokio::process::Command;

use super::*;

const OWED: u64 = 1_000;

impl Town {
    /// Pays everything, to end at `point` if there is one.
    async fn pays(&self, point: Option<Point>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
        command
            .args(["wallet", "pay-tabs", "--yes", "--all", "--json"])
            .args(["--max", "ETH=1,USDC=1"])
            .env_clear()
            .env("FAREGATE_HOME", self.folder.path())
            .env("FAREGATE_CREDIT_URL", &self.url)
            .env("FAREGATE_CREDIT_CONTRACT", CREDIT_CORE.to_string())
            .env(
                "FAREGATE_PRIVATE_KEY",
                Devchain::accounts()[PAYER].private_key,
            )
            .kill_on_drop(true);
        if let Some(point) = point {
            command.env("FAREGATE_CRASH_AT", point.name());
        }
        timeout(SOON, command.output()).await.unwrap().unwrap()
    }

    /// The same, which goes well: how many payments were made, and what was found of earlier ones.
    async fn paid(&self, case: &str) -> (usize, Vec<String>) {
        let output = self.pays(None).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {said}");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let earlier = said["earlier"].as_array().unwrap().iter();
        let earlier = earlier.map(|row| row["state"].as_str().unwrap().to_owned());
        (said["paid"].as_array().unwrap().len(), earlier.collect())
    }

    async fn has(&self, asset: Address) -> U256 {
        let who = self.recipient.address();
        if asset == ETH {
            self.chain.eth_balance(who).await.unwrap()
        } else {
            self.chain.usdc_balance(who).await.unwrap()
        }
    }

    /// The payments that the wallet's books have of a tab.
    async fn repayments(&self, tab: TabId) -> Vec<(RepaymentState, usize)> {
        let wallet = SqliteWallet::open(self.folder.path().join("wallet.db")).unwrap();
        let key = TabKey {
            chain: ChainId::BASE_SEPOLIA,
            contract: CREDIT_CORE,
            payer: self.payer.address(),
            tab: tab.0,
        };
        let all = wallet.repayments(key).await.unwrap().into_iter();
        all.map(|record| (record.state, record.sent.len()))
            .collect()
    }
}

async fn killed_and_started_again(town: &Town, asset: Address, point: Point) {
    let case = format!("{} in {asset}", point.name());
    let tab = town.tab(asset).await;
    let signed = town.signed(tab, 0, asset, OWED).await;
    let issued = town.recipient.recipient();
    issued.issue_payment_guarantee(&signed).await.unwrap();
    let before = town.has(asset).await;

    let first = town.pays(Some(point)).await;
    assert!(!first.status.success(), "{case}");
    let left = town.repayments(tab).await;
    let written = match point {
        Point::RepaymentBegun | Point::RepaymentSigned => 0,
        _ => 1,
    };
    assert_eq!(left, [(RepaymentState::Open, written)], "{case}");
    // Who never wrote a transaction down never sent one, and pays now; the others find what they sent, or send the same again.
    let expected = match written {
        0 => (1, vec!["void".to_owned()]),
        _ => (0, vec!["paid".to_owned()]),
    };
    assert_eq!(town.paid(&case).await, expected, "{case}");
    assert_eq!(town.paid(&case).await, (0, vec![]), "{case}");
    assert_eq!(town.has(asset).await - before, U256::from(OWED), "{case}");
    // The core sees one payment, and the next tab is another one.
    let recorded = async {
        loop {
            let found = town.recipient.recipient().tab(tab.0).await.unwrap();
            let paid = found.and_then(|found| found.paid_amount);
            if paid == Some(U256::from(OWED)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, recorded).await.expect(&case);
    assert_eq!(town.paid(&case).await, (0, vec![]), "{case}");
    assert_eq!(town.has(asset).await - before, U256::from(OWED), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_is_paid_once_wherever_its_payer_ends() {
    let town = Town::new().await;
    let mut core = town.start(None).await;
    let token = town.chain.usdc();
    for asset in [ETH, token] {
        town.deposit(asset, 100_000).await;
        town.balance(asset, (100_000, 0), "the deposit").await;
        for point in REPAYMENT {
            killed_and_started_again(&town, asset, point).await;
        }
    }
    core.kill().await.unwrap();
    town.agrees().await;
}
