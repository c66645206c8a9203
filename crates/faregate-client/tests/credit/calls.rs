//! The same calls as the network's SDK makes.

use alloy_primitives::{Address, U256};
use faregate_client::credit::{CreditError, ETH, Revert, SendError};
use faregate_types::credit::api::{CreateAdminKey, Hidden, SettlementStatus};
use faregate_types::credit::{Certificate, Guarantee, GuaranteeVersion, SigningScheme};
use serde_json::{Value, json};

use crate::common::Seen;
use crate::world::*;

/// What SDK 1.1.1 did in this step.
fn trace(step: &str) -> Vec<Value> {
    let text = include_str!("../../../../conformance/vectors/4mica_sdk_traces.json");
    let traces: Value = serde_json::from_str(text).unwrap();
    let traced = traces
        .as_array()
        .unwrap()
        .iter()
        .find(|traces| traces["sdk"] == "1.1.1");
    let steps = traced.unwrap()["trace"].as_array().unwrap();
    let found = steps.iter().find(|traced| traced["step"] == step).unwrap();
    found["calls"].as_array().unwrap().clone()
}

/// The one call of the service in this step: what is asked, and the body.
fn http_of(step: &str) -> (String, Value) {
    let calls = trace(step);
    let call = calls.iter().find(|call| call["type"] == "http").unwrap();
    let asked = format!(
        "{} {}",
        call["method"].as_str().unwrap(),
        call["path"].as_str().unwrap()
    );
    (asked, call["body"].clone())
}

/// Value, receiver and calldata of the transaction in this step.
fn transaction_of(step: &str) -> (U256, Address, String) {
    let calls = trace(step);
    let call = calls
        .iter()
        .find(|call| call["method"] == "eth_estimateGas")
        .unwrap();
    let call = &call["params"][0];
    (
        call["value"].as_str().unwrap().parse().unwrap(),
        call["to"].as_str().unwrap().parse().unwrap(),
        call["data"].as_str().unwrap().to_owned(),
    )
}

fn answer(seen: &Seen) -> axum::response::Response {
    let path = seen.path.as_str();
    let key = json!({"id": "0".repeat(32), "name": "n", "scopes": [], "created_at": 1, "revoked_at": null});
    json_answer(
        200,
        &match path {
            "/core/payment-tabs" => {
                json!({"id": "0xabc", "user_address": ME, "recipient_address": ME,
                "asset_address": ETH, "erc20_token": null, "guarantee_version": 1, "next_req_id": "0x0"})
            }
            _ if path.ends_with("suspension") => {
                json!({"user_address": ME, "suspended": true, "updated_at": 1})
            }
            "/core/admin/api-keys" if seen.method == "POST" => {
                let mut key = key;
                key["api_key"] = json!("ak_1.2");
                key
            }
            _ if path.ends_with("revoke") => key,
            _ if path.ends_with("latest") || path.ends_with("/17") => Value::Null,
            _ if path.starts_with("/core/users") || path == "/core/tabs/0xabc" => Value::Null,
            _ => json!([]),
        },
    )
}

#[tokio::test]
async fn every_endpoint_is_asked_as_the_sdk_asks() {
    let service = service(answer).await;
    let chain = Chain::new(31337);
    let client = builder(&service, &chain).connect().await.unwrap();
    let recipient = client.recipient();
    let tab = U256::from(0xabc);
    let admin = client
        .rpc()
        .clone()
        .with_admin_api_key(Hidden::new("ak_k".to_owned()));
    let mut expected = Vec::new();
    let mut expect = |step| expected.push(http_of(step));

    recipient
        .create_tab(ME, ETH, None, GuaranteeVersion::V1)
        .await
        .unwrap();
    expect("create_tab");
    recipient.settled_tabs().await.unwrap();
    expect("settled");
    recipient.pending_remunerations().await.unwrap();
    expect("pending");
    assert!(recipient.tab(tab).await.unwrap().is_none());
    expect("get_tab");
    let settled = [SettlementStatus::Pending, SettlementStatus::Settled];
    recipient.tabs(&settled).await.unwrap();
    expect("tabs");
    recipient.guarantees(tab).await.unwrap();
    expect("guarantees");
    recipient.latest_guarantee(tab).await.unwrap();
    expect("latest");
    recipient.guarantee(tab, U256::from(17)).await.unwrap();
    expect("one");
    recipient.payments().await.unwrap();
    expect("payments");
    recipient.collateral_events(tab).await.unwrap();
    expect("coll");
    recipient.balance(ME, ETH).await.unwrap();
    expect("bal");
    admin.set_suspension(ME, true).await.unwrap();
    expect("susp");
    let key = CreateAdminKey {
        name: "n".into(),
        scopes: vec!["user_suspension:write".into()],
    };
    admin.create_admin_key(&key).await.unwrap();
    expect("mk");
    admin.admin_keys().await.unwrap();
    expect("ls");

    let seen = service.seen();
    let seen = &seen[1..];
    assert_eq!(seen.len(), expected.len());
    for (seen, (asked, expected)) in seen.iter().zip(&expected) {
        assert_eq!(format!("{} {}", seen.method, seen.path), *asked);
        assert_eq!(body(seen), *expected, "{asked}");
        assert!(seen.header("authorization").is_none());
    }
    assert_eq!(seen[11].header("x-api-key").unwrap(), "ak_k");
    assert!(seen[0].header("x-api-key").is_none());

    // An id is an id, and no way to somewhere else.
    assert!(admin.revoke_admin_key("../../tabs").await.is_err());
    admin.revoke_admin_key(&"ab".repeat(16)).await.unwrap();
    let path = "POST /core/admin/api-keys/abababab-abab-abab-abab-abababababab/revoke";
    assert_eq!(asked(&service).last().unwrap(), path);
}

#[tokio::test]
async fn every_transaction_is_the_one_the_sdk_sends() {
    let service = service(answer).await;
    let chain = Chain::new(31337);
    let client = builder(&service, &chain).connect().await.unwrap();
    let user = client.user();
    let n = |number: u64| U256::from(number);
    let amount = |step: &str| {
        let (_, _, data) = transaction_of(step);
        U256::from_str_radix(&data[data.len() - 64..], 16).unwrap()
    };
    let mut expected = Vec::new();
    let mut expect = |step| expected.push(transaction_of(step));
    user.deposit(ETH, n(10)).await.unwrap();
    expect("deposit eth");
    user.approve(TOKEN, amount("approve")).await.unwrap();
    expect("approve");
    user.deposit(TOKEN, amount("deposit erc20")).await.unwrap();
    expect("deposit erc20");
    let (_, _, paid) = transaction_of("pay erc20");
    let word =
        |index: usize| U256::from_str_radix(&paid[10 + 64 * index..74 + 64 * index], 16).unwrap();
    let recipient = Address::from_word(word(3).into());
    user.pay_tab(word(0), n(0), word(2), recipient, TOKEN)
        .await
        .unwrap();
    expect("pay erc20");
    user.request_withdrawal(ETH, amount("req w")).await.unwrap();
    expect("req w");
    user.request_withdrawal(TOKEN, amount("req w erc"))
        .await
        .unwrap();
    expect("req w erc");
    user.cancel_withdrawal(ETH).await.unwrap();
    expect("cancel");
    user.finalize_withdrawal(TOKEN).await.unwrap();
    expect("fin");
    assert_eq!(chain.estimated(), expected);
    assert_eq!(chain.state.lock().unwrap().sent.len(), expected.len());

    // Not estimated by the SDK: a plain transfer with a marker.
    user.pay_tab(n(0x1234), n(1), n(5), OTHER, ETH)
        .await
        .unwrap();
    let (value, to, data) = chain.estimated().pop().unwrap();
    assert_eq!((value, to), (n(5), OTHER));
    assert_eq!(data, to_hex("tab_id:0x1234;req_id:0x1"));
    // Nothing is not paid, left or asked back.
    assert!(user.deposit(ETH, n(0)).await.is_err());
    assert!(user.pay_tab(n(1), n(1), n(0), OTHER, ETH).await.is_err());
    assert!(
        user.pay_tab(n(1), n(1), n(1), Address::ZERO, ETH)
            .await
            .is_err()
    );
    assert_eq!(chain.estimated().len(), expected.len() + 1);
}

#[tokio::test]
async fn a_refusal_of_the_contract_has_its_name_and_a_reverted_transaction_is_no_success() {
    let service = service(answer).await;
    let chain = Chain::new(31337);
    let client = builder(&service, &chain).connect().await.unwrap();
    let guarantee = Guarantee::of(
        &claims(OTHER, ME),
        domain(GuaranteeVersion::V1),
        U256::from(1000),
    );
    let certificate = Certificate::issue(&guarantee.unwrap(), &bls());
    // TabNotYetOverdue(), said to the question before anything is sent.
    let selector = alloy_primitives::keccak256("TabNotYetOverdue()")[..4].to_vec();
    chain.state.lock().unwrap().refuses = Some(selector.into());
    let error = client
        .recipient()
        .remunerate(&certificate)
        .await
        .unwrap_err();
    let CreditError::Transaction(SendError::Reverted(why)) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*why, Revert::Named("TabNotYetOverdue"));
    assert!(error.to_string().contains("TabNotYetOverdue"));
    assert!(chain.estimated().is_empty());
    assert!(chain.state.lock().unwrap().sent.is_empty());

    chain.state.lock().unwrap().refuses = None;
    client.recipient().remunerate(&certificate).await.unwrap();
    chain.state.lock().unwrap().fails = true;
    let error = client
        .recipient()
        .remunerate(&certificate)
        .await
        .unwrap_err();
    assert!(
        matches!(error, CreditError::Transaction(SendError::Failed(_))),
        "{error:?}"
    );
    assert!(!error.is_unknown());
}

#[tokio::test]
async fn the_signed_request_is_what_the_sdk_sends() {
    let service = service(answer).await;
    let chain = Chain::new(31337);
    let client = builder(&service, &chain).connect().await.unwrap();
    let (_, sent) = http_of("issue");
    let claims = serde_json::from_value(sent["claims"].clone()).unwrap();
    let request = client
        .user()
        .sign_payment(claims, SigningScheme::Eip712)
        .await
        .unwrap();
    let ours: Value = serde_json::from_str(&faregate_types::credit::write(&request)).unwrap();
    assert_eq!(ours["claims"], sent["claims"]);
    assert_eq!(ours["scheme"], sent["scheme"]);
    assert_eq!(ours["signature"].as_str().unwrap().len(), 132);
}
