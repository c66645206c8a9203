//! `faregate curl` buys with permits of every kind from a gate of ours, and what the wallet says about it.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use faregate::stack::Stack;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{payer_key, stack};

async fn faregate(stack: &Stack, home: &Path, args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(args)
        .env_clear()
        .envs(stack.env())
        .env("FAREGATE_HOME", home)
        .env("FAREGATE_PRIVATE_KEY", payer_key())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), run);
    output.await.unwrap().unwrap()
}

fn heard(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_buys_the_joke_of_dev_with_permits() {
    let stack = stack().await;
    let joke = format!("{}/joke", stack.gate_url());
    let node = format!("eip155:84532={}", stack.rpc_url());
    for (kind, name) in [("erc3009", "ERC3009"), ("eip2612", "EIP2612")] {
        let home = tempfile::tempdir().unwrap();
        let curl = [
            "curl",
            "--json",
            &joke,
            "--prefer",
            "permit",
            "--node",
            &node,
            "--permit-kind",
            kind,
        ];
        let paid = heard(&faregate(&stack, home.path(), &curl).await);
        let payment = &paid["payment"];
        assert_eq!(paid["status"], 200, "{paid}");
        assert_eq!(
            (&payment["rail"], &payment["kind"]),
            (&"permit".into(), &name.into())
        );
        assert_eq!(
            (&payment["price"], &payment["state"]),
            (&"0.001 USDC".into(), &"paid".into())
        );
        // Another process shows the same token, and its owner sees it without what is secret in it.
        let again = heard(&faregate(&stack, home.path(), &curl).await);
        assert_eq!(
            (&again["status"], &again["payment"]),
            (&200.into(), &Value::Null)
        );
        let tokens = heard(&faregate(&stack, home.path(), &["wallet", "tokens", "--json"]).await);
        assert_eq!(tokens["tokens"][0]["payment"], payment["id"], "{tokens}");
        assert!(!tokens.to_string().contains("Bearer"));
        let shown = heard(&faregate(&stack, home.path(), &["wallet", "show", "--json"]).await);
        let row = &shown["payments"][0];
        assert_eq!(
            (&row["state"], &row["price"]),
            (&"paid".into(), &"0.001 USDC".into())
        );
        let pending = ["wallet", "pending", "--json"];
        let pending = heard(&faregate(&stack, home.path(), &pending).await);
        assert_eq!(pending["pending"], Value::Array(vec![]));
    }
    assert_eq!(stack.jokes_told(), 4);
}

/// Nothing is approved unasked, and nothing is signed that cannot be collected.
#[tokio::test(flavor = "multi_thread")]
async fn curl_says_that_permit2_may_not_take_the_money() {
    let (stack, home) = (stack().await, tempfile::tempdir().unwrap());
    let joke = format!("{}/joke", stack.gate_url());
    let node = format!("eip155:84532={}", stack.rpc_url());
    let curl = [
        "curl",
        "--json",
        &joke,
        "--prefer",
        "permit",
        "--node",
        &node,
        "--permit-kind",
        "permit2",
    ];
    let failed = faregate(&stack, home.path(), &curl).await;
    assert_eq!(failed.status.code(), Some(4), "{failed:?}");
    let text = String::from_utf8_lossy(&failed.stderr).into_owned()
        + &String::from_utf8_lossy(&failed.stdout);
    assert!(
        text.contains("permit_allowance_too_low") && text.contains("approve"),
        "{text}"
    );
    let shown = heard(&faregate(&stack, home.path(), &["wallet", "show", "--json"]).await);
    assert_eq!(shown["payments"], Value::Array(vec![]));
    let dry = ["curl", "--json", "--dry-run", &joke];
    let dry = heard(&faregate(&stack, home.path(), &dry).await);
    assert_eq!(dry["permits"][0]["scheme"], "ERC3009", "{dry}");
}
