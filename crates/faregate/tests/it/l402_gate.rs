//! The whole stack over Lightning: one 402 with both rails, invoices paid over LND's REST API, tokens that buy what they say.

use std::collections::BTreeMap;

use faregate::stack::Stack;
use faregate_devnet::WalletName;
use faregate_ledger::{AccountId, LedgerStore as _};
use faregate_types::l402::challenge::Challenge;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::x402::header;
use faregate_types::{AssetId, U256};
use futures_util::future::join_all;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{http, payment, received, stack};

/// What `GET /joke` costs over Lightning.
const PRICE: u64 = 10_000;

/// What the dev network takes for a payment of this price.
const FEE: u64 = 1_001;

pub(crate) async fn get(url: &str, credential: Option<&str>) -> Response {
    let mut request = http().get(url);
    if let Some(credential) = credential {
        request = request.header("authorization", credential);
    }
    request.send().await.unwrap()
}

/// The challenge of a 402, as our own clients would read it.
pub(crate) fn challenge(headers: &HeaderMap) -> Challenge {
    let lines = headers.get_all("www-authenticate").iter();
    Challenge::parse(lines.map(|line| line.as_bytes())).unwrap()
}

/// Pays an invoice over LND's REST API, as a stranger would, and returns the preimage.
pub(crate) async fn pay(stack: &Stack, invoice: &str) -> String {
    let answer = http()
        .post(format!("{}/v2/router/send", stack.lightning().rest_url()))
        .header(
            "grpc-metadata-macaroon",
            stack.lightning().macaroon(WalletName::Payer),
        )
        .json(&json!({
            "payment_request": invoice, "timeout_seconds": 10, "fee_limit_msat": FEE.to_string(), "no_inflight_updates": true,
        }))
        .send()
        .await
        .unwrap();
    let said = answer.text().await.unwrap();
    let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["status"], "SUCCEEDED", "{said}");
    last["result"]["payment_preimage"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A token for `url`, paid for.
pub(crate) async fn buy(stack: &Stack, url: &str) -> String {
    let answer = get(url, None).await;
    assert_eq!(answer.status(), 402);
    let challenge = challenge(answer.headers());
    let preimage = pay(stack, &challenge.invoice).await;
    format!("L402 {}:{preimage}", &*challenge.token)
}

fn balances(stack: &Stack) -> [u64; 2] {
    [WalletName::Payer, WalletName::Seller].map(|wallet| stack.lightning().balance(wallet).get())
}

/// What the gate's books say was paid over Lightning.
async fn earned(stack: &Stack) -> Msat {
    let payee = AccountId::parse("payee/lightning").unwrap();
    let asset = AssetId::Msat(BitcoinNetwork::Regtest);
    let account = stack.ledger.balance(payee, asset).await.unwrap();
    assert_eq!(account.credits_pending, U256::ZERO);
    Msat::new(u64::try_from(account.credits_posted).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_402_carries_both_rails_and_either_of_them_pays() {
    let stack = stack().await;
    let url = format!("{}/joke", stack.gate_url());

    let asked = get(&url, None).await;
    assert_eq!(asked.status(), 402);
    let headers = asked.headers().clone();
    assert!(headers.contains_key(header::PAYMENT_REQUIRED));
    assert_eq!(headers["cache-control"], "no-store");
    let lines: Vec<_> = headers.get_all("www-authenticate").iter().collect();
    assert!(lines[0].as_bytes().starts_with(b"LSAT macaroon=\""));
    assert!(lines[1].as_bytes().starts_with(b"L402 macaroon=\""));
    let body: Value = asked.json().await.unwrap();
    assert_eq!(
        (
            &body["accepts"][0]["maxAmountRequired"],
            &body["price_sats"]
        ),
        (&json!("1000"), &json!(10))
    );
    let offered = challenge(&headers);
    assert_eq!(body["invoice"], *offered.invoice);

    // with x402 ...
    let chain = received(&stack).await;
    let signed = payment(&stack, "/joke").await;
    let answer = http().get(&url).header(header::PAYMENT_SIGNATURE, &signed);
    assert_eq!(answer.send().await.unwrap().status(), 200);
    assert_eq!(received(&stack).await - chain, U256::from(1_000));
    assert_eq!(earned(&stack).await, Msat::ZERO);

    // ... and with L402, once for each token
    let before = balances(&stack);
    let credential = buy(&stack, &url).await;
    let answer = get(&url, Some(&credential)).await;
    assert_eq!(answer.status(), 200);
    assert!(
        answer.headers()["cache-control"]
            .to_str()
            .unwrap()
            .contains("private")
    );
    assert!(answer.json::<Value>().await.unwrap()["joke"].is_string());
    let paid = [before[0] - PRICE - FEE, before[1] + PRICE];
    assert_eq!((balances(&stack), stack.jokes_told()), (paid, 2));
    assert_eq!(earned(&stack).await, Msat::new(PRICE));

    let again = get(&url, Some(&credential)).await;
    assert_eq!(again.status(), 402);
    let next = challenge(again.headers());
    assert_ne!(next.invoice, offered.invoice);
    let body: Value = again.json().await.unwrap();
    assert_eq!(body["invoice"], *next.invoice);
    assert_eq!((balances(&stack), stack.jokes_told()), (paid, 2));

    // the new challenge is a good one
    let preimage = pay(&stack, &next.invoice).await;
    let second = format!("L402 {}:{preimage}", &*next.token);
    assert_eq!(get(&url, Some(&second)).await.status(), 200);
    assert_eq!(
        (earned(&stack).await, stack.jokes_told()),
        (Msat::new(2 * PRICE), 3)
    );
    assert!(stack.ledger.audit().unwrap().is_clean());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_uses_at_once_of_a_token_for_one_are_one() {
    let stack = stack().await;
    let url = format!("{}/joke", stack.gate_url());
    let credential = buy(&stack, &url).await;
    let client = http();
    let uses = (0..1_000).map(|_| {
        let request = client.get(&url).header("authorization", &credential);
        async { request.send().await.unwrap().status().as_u16() }
    });
    let mut statuses = BTreeMap::<u16, u32>::new();
    for status in join_all(uses).await {
        *statuses.entry(status).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 1), (402, 999)]));
    assert_eq!(
        (stack.jokes_told(), earned(&stack).await),
        (1, Msat::new(PRICE))
    );
    assert!(stack.ledger.audit().unwrap().is_clean());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_paid_token_buys_nothing() {
    let stack = stack().await;
    let url = format!("{}/joke", stack.gate_url());
    let unpaid = challenge(get(&url, None).await.headers());
    let good = buy(&stack, &url).await;
    let (token, preimage) = good.strip_prefix("L402 ").unwrap().split_once(':').unwrap();
    let wrong = "0".repeat(64);
    for credential in [
        format!("L402 {}:{wrong}", &*unpaid.token),
        format!("L402 {}:{preimage}", &*unpaid.token),
        format!("L402 {token}"),
        format!("L402 {}A:{preimage}", &token[..token.len() - 1]),
        "L402 !:".to_owned(),
    ] {
        let answer = get(&url, Some(&credential)).await;
        assert_eq!(answer.status(), 401, "{credential}");
        let lines: Vec<_> = answer
            .headers()
            .get_all("www-authenticate")
            .iter()
            .collect();
        assert_eq!(lines, ["L402"], "no invoice for what nobody issued");
    }
    assert_eq!(stack.jokes_told(), 0);
    assert_eq!(get(&url, Some(&good)).await.status(), 200);
    stack.shutdown().await;
}
