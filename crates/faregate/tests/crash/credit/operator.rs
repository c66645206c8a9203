//! Telling the contract of payments: one transaction for each that was killed on its way, one record on the chain, one in the
//! books.

use faregate_core::crash::CREDIT_OPERATOR;
use faregate_core::credit::{PaymentStage, TabPayment};
use serde_json::Value;

use crate::support::http;

use super::*;

/// What is paid for each of the two tabs each time.
const TOKENS: u64 = 10;
const ETHER: u64 = 3;

/// How many transactions the operator has sent that were mined.
async fn told(chain: &Devchain) -> u64 {
    let operator = Devchain::accounts()[SIGNER].address;
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_getTransactionCount\",\"params\":[\"{operator}\",\"latest\"]}}"
    );
    let request = http().post(chain.rpc_url()).body(body);
    let request = request.header("content-type", "application/json");
    let said: Value = request.send().await.unwrap().json().await.unwrap();
    let count = said["result"].as_str().unwrap().trim_start_matches("0x");
    u64::from_str_radix(count, 16).unwrap()
}

/// Those that were found after the first `before`.
async fn payments(town: &Town, before: usize) -> Vec<TabPayment> {
    let books = town.books().await;
    let found = books.payments_to(town.recipient.address(), ALL);
    let mut found = found.await.unwrap();
    found.truncate(found.len() - before);
    found
}

/// What the contract knows to be paid of both tabs.
async fn on_chain(town: &Town, tabs: [TabId; 2]) -> [u64; 2] {
    let mut paid = [0; 2];
    for (slot, tab) in paid.iter_mut().zip(tabs) {
        let status = town.payer.user().tab_payment_status(tab.0).await.unwrap();
        *slot = status.paid.to();
    }
    paid
}

/// What was paid on both tabs after so many times.
const fn sum(times: u64) -> [u64; 2] {
    [times * TOKENS, times * ETHER]
}

/// What a core left behind that ended at `point` after the two payments that came after `before` others.
async fn left_behind(town: &Town, tabs: [TabId; 2], point: Point, before: u64) {
    let case = point.name();
    let left = payments(town, 2 * usize::try_from(before).unwrap()).await;
    assert_eq!(left.len(), 2, "{case}");
    for payment in left {
        let noted = matches!(payment.stage, PaymentStage::Telling(_));
        let is_so = match point {
            Point::PaymentsChosen | Point::RecordSigned => payment.stage == PaymentStage::Found,
            Point::RecordNoted | Point::RecordSent | Point::RecordMined => noted,
            _ => panic!("{case}: what has to be true there?"),
        };
        assert!(is_so, "{case}: {payment:?}");
    }
    let known = before + u64::from(point == Point::RecordMined);
    assert_eq!(on_chain(town, tabs).await, sum(known), "{case}");
}

/// All payments are recorded, each once.
async fn recorded(town: &Town, tabs: [TabId; 2], times: u64, case: &str) {
    assert_eq!(on_chain(town, tabs).await, sum(times), "{case}");
    let books = town.books().await;
    for (tab, paid) in tabs.into_iter().zip(sum(times)) {
        assert_eq!(tab_of(&books, tab).await.paid, U256::from(paid), "{case}");
        let unlocked = lines(&books, tab, EntryKind::Unlock).await;
        assert_eq!(u64::try_from(unlocked), Ok(times), "{case}");
    }
    let untold = books.untold_payments(9).await.unwrap();
    assert!(untold.is_empty(), "{case}: {untold:?}");
}

async fn killed_at(town: &Town, tabs: [TabId; 2], point: Point, before: u64) {
    let (case, token) = (point.name(), town.chain.usdc());
    let transactions = told(&town.chain).await;
    town.pay(tabs[0], token, TOKENS).await;
    town.pay(tabs[1], ETH, ETHER).await;
    // What was sent stays in the pool.
    let held = point == Point::RecordSent;
    town.chain.set_automine(!held).await.unwrap();
    town.poll(POLL_ONCE);
    town.ends_at(point, case).await;
    left_behind(town, tabs, point, before).await;

    town.poll(POLL_FAST);
    let mut core = town.start(None).await;
    if held {
        // Long enough for a core that would tell once more.
        sleep(Duration::from_millis(500)).await;
        town.chain.set_automine(true).await.unwrap();
    }
    let [tokens, ether] = sum(before + 1);
    town.balance(token, (1_000, 500 - tokens), case).await;
    town.balance(ETH, (400, 200 - ether), case).await;
    core.kill().await.unwrap();
    recorded(town, tabs, before + 1, case).await;
    assert_eq!(told(&town.chain).await, transactions + 1, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_recorded_once() {
    let town = Town::new().await;
    let token = town.chain.usdc();
    town.deposit(token, 1_000).await;
    town.deposit(ETH, 400).await;
    let mut core = town.start(None).await;
    let mut tabs = Vec::new();
    for (asset, total, amount) in [(token, 1_000, 500), (ETH, 400, 200)] {
        town.balance(asset, (total, 0), "a deposit").await;
        let tab = town.tab(asset).await;
        let request = town.signed(tab, 0, asset, amount).await;
        let about = town.recipient.recipient();
        about.issue_payment_guarantee(&request).await.unwrap();
        tabs.push(tab);
    }
    core.kill().await.unwrap();
    let tabs = [tabs[0], tabs[1]];
    for (point, before) in CREDIT_OPERATOR.into_iter().zip(0..) {
        killed_at(&town, tabs, point, before).await;
    }
    town.agrees().await;
}
