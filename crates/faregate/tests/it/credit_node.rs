//! The local world on somebody else's node: the contracts of credit are put there, once, and time goes on.

use std::time::Duration;

use crate::credit_process::{ADMIN, PAYER, RECIPIENT, balance, claims, client, signer};
use crate::support::http;
use faregate::stack::{Stack, StackConfig};
use faregate_client::credit::CreditClient;
use faregate_devnet::chain::CREDIT_CORE;
use faregate_devnet::{ChainConfig, Devchain};
use faregate_types::credit::{GuaranteeVersion, SigningScheme};
use faregate_types::{Address, U256};
use serde_json::{Value, json};

/// A node with the token and without any contract of credit.
async fn node() -> Devchain {
    Devchain::start(ChainConfig::default()).await.unwrap()
}

async fn stack_on(node: &Devchain, sign_in: bool) -> Stack {
    let config = StackConfig {
        rpc_url: Some(node.rpc_url().parse().unwrap()),
        credit_sign_in: sign_in,
        ..StackConfig::default()
    };
    Stack::start(config).await.unwrap()
}

async fn status(url: &str, path: &str) -> u16 {
    let answer = http().get(format!("{url}{path}")).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contracts_are_put_on_a_node_once_and_time_goes_on_there() {
    let node = node().await;
    let first = stack_on(&node, false).await;
    let credit = first.credit().unwrap();
    let (contract, url) = (credit.contract(), credit.url());
    assert_ne!(contract, CREDIT_CORE);
    let said = http().get(format!("{url}/core/public-params")).send().await;
    let said: Value = said.unwrap().json().await.unwrap();
    let env: serde_json::Map<String, Value> = first
        .env()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    assert_eq!(env["FAREGATE_CREDIT_CONTRACT"], contract.to_string());
    assert_eq!(said["contract_address"], contract.to_string());
    assert_eq!(said["accepted_guarantee_versions"], json!([1, 2]));
    let registries = json!([env["FAREGATE_VALIDATION_REGISTRY"]]);
    assert_eq!(said["trusted_validation_registries"], registries);
    assert_eq!(status(&url, "/core/tabs/0x1").await, 200);

    let payer = client(&url, contract, PAYER).await;
    let recipient = client(&url, contract, RECIPIENT).await;
    let (user, about, token) = (payer.user(), recipient.recipient(), node.usdc());
    user.approve(token, U256::from(1_000)).await.unwrap();
    user.deposit(token, U256::from(1_000)).await.unwrap();
    balance(&recipient, &node, (1_000, 0)).await;
    let tab = about.create_tab(payer.address(), token, None, GuaranteeVersion::V1);
    let claims = claims(&node, tab.await.unwrap().id, 0, 300).await;
    let signed = user.sign_payment(claims, SigningScheme::Eip712).await;
    let issued = about.issue_payment_guarantee(&signed.unwrap()).await;
    issued.unwrap();
    balance(&recipient, &node, (1_000, 300)).await;
    // Nobody sends anything, and blocks come.
    let before = node.block_number().await.unwrap();
    let grows = async {
        while node.block_number().await.unwrap() <= before {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let grew = tokio::time::timeout(Duration::from_secs(120), grows).await;
    grew.unwrap();
    first.shutdown().await;

    // The next one finds the contract, and the collateral in it. Nothing is sent for that.
    let admin = Devchain::accounts()[ADMIN].address;
    let sent = sent_by(&node, admin).await;
    let second = stack_on(&node, true).await;
    let credit = second.credit().unwrap();
    assert_eq!(credit.contract(), contract);
    assert_eq!(sent_by(&node, admin).await, sent);
    assert_eq!(status(&credit.url(), "/core/tabs/0x1").await, 401);
    assert_eq!(status(&credit.url(), "/core/public-params").await, 200);
    let payer = CreditClient::builder()
        .service(credit.url().parse().unwrap())
        .signer(signer(PAYER))
        .contract(contract)
        .sign_in()
        .connect();
    balance(&payer.await.unwrap(), &node, (1_000, 0)).await;
    second.shutdown().await;
}

async fn sent_by(node: &Devchain, account: Address) -> Value {
    rpc(node, "eth_getTransactionCount", json!([account, "latest"])).await
}

async fn rpc(node: &Devchain, method: &str, params: Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = http().post(node.rpc_url()).json(&call).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    answer["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_pay_for_contracts_the_rest_works() {
    let node = node().await;
    let admin = Devchain::accounts()[ADMIN].address;
    rpc(&node, "anvil_setBalance", json!([admin, "0x0"])).await;
    let stack = stack_on(&node, false).await;
    let why = stack.credit().unwrap_err();
    assert!(
        why.contains(&admin.to_string()) && why.contains("no ether"),
        "{why}"
    );
    let env = stack.env();
    assert!(
        env.iter()
            .all(|(name, _)| !name.starts_with("FAREGATE_CREDIT"))
    );
    assert_eq!(status(&stack.gate_url(), "/free").await, 200);
    stack.shutdown().await;
}
