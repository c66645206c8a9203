//! JSON-RPC by hand: shapes, errors, limits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

mod support;

use faregate_devnet::chain::limits;
use reqwest::Method;
use serde_json::{Value, json};

use support::{World, account, raw, transfer};

#[tokio::test]
async fn what_is_not_a_request_gets_an_error_and_never_a_500() {
    let world = World::start().await;
    let deep = "[".repeat(10_000);
    let table: &[(&[u8], i64)] = &[
        (b"", -32700),
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b"nonsense", -32700),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\"} x",
            -32700,
        ),
        (deep.as_bytes(), -32700),
        (b"5", -32600),
        (b"null", -32600),
        (b"\"eth_chainId\"", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b"{\"id\":1,\"method\":\"eth_chainId\"}", -32600),
        (
            b"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"eth_chainId\"}",
            -32600,
        ),
        (
            b"{\"jsonrpc\":2,\"id\":1,\"method\":\"eth_chainId\"}",
            -32600,
        ),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}", -32600),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"eth_chainId\"}",
            -32600,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_nope\"}",
            -32601,
        ),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", -32601),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":{}}",
            -32602,
        ),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\",\"params\":\"x\"}",
            -32602,
        ),
    ];
    for (body, code) in table {
        let (status, text) = world.post(body.to_vec()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]);
        assert_eq!(status, 200, "{shown}");
        let reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(reply["error"]["code"], *code, "{shown}: {text}");
        assert_eq!(reply["jsonrpc"], "2.0");
        assert!(reply.get("id").is_some(), "{shown}");
    }
}

/// Every method that needs parameters.
const NEEDS_PARAMETERS: &str = "
    eth_getBlockByNumber eth_getBlockByHash eth_getBlockReceipts eth_getTransactionByHash
    eth_getTransactionByBlockNumberAndIndex eth_getTransactionByBlockHashAndIndex eth_getTransactionReceipt
    eth_getTransactionCount eth_getBalance eth_getCode eth_getStorageAt eth_call eth_estimateGas eth_feeHistory
    eth_getLogs eth_newFilter eth_getFilterChanges eth_getFilterLogs eth_uninstallFilter eth_sendRawTransaction
    eth_sendTransaction eth_signTransaction eth_sign personal_sign evm_setAutomine evm_setIntervalMining evm_revert
    evm_increaseTime evm_setNextBlockTimestamp evm_setTime anvil_setCode anvil_setBalance anvil_setNonce
    anvil_setStorageAt anvil_impersonateAccount anvil_stopImpersonatingAccount anvil_dropTransaction
    anvil_setNextBlockBaseFeePerGas anvil_reorg faregate_reorg faregate_mint web3_sha3 eth_getRawTransactionByHash
    eth_getBlockTransactionCountByNumber";

#[tokio::test]
async fn nonsense_for_parameters_gets_an_error() {
    let world = World::start().await;
    let nonsense = [
        json!([]),
        json!([null]),
        json!(["zz", "zz", "zz"]),
        json!([{}, [], {}]),
        json!([[[]]]),
        json!([-1, -1]),
        json!([1.5, 1e300]),
        json!(["0x", "0x", "0x"]),
        json!([
            "0xfffffffffffffffffffffffff",
            "0xfffffffffffffffffffffffff",
            "+1"
        ]),
        json!([true, {"a": 1}]),
    ];
    for method in NEEDS_PARAMETERS.split_whitespace() {
        for params in &nonsense {
            let reply = world.reply(method, params.clone()).await;
            let Some(error) = reply.get("error") else {
                // A few of them are fine after all: an empty call, an empty filter, a switch.
                assert!(reply.get("result").is_some(), "{method} {params}");
                continue;
            };
            assert_ne!(error["code"], -32603, "{method} {params}: {reply}");
            assert_ne!(error["code"], -32601, "{method} does not exist");
        }
        let (code, _) = world.err(method, json!([[[]]])).await;
        assert_eq!(code, -32602, "{method}");
    }
}

#[tokio::test]
async fn batches_are_answered_in_order_and_notifications_not_at_all() {
    let world = World::start().await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "method": "evm_mine"},
        5,
        {"jsonrpc": "2.0", "id": 7, "method": "eth_nope"},
        {"jsonrpc": "2.0", "id": null, "method": "eth_blockNumber", "params": []},
    ]);
    let (status, text) = world.post(batch.to_string()).await;
    assert_eq!(status, 200);
    let replies: Value = serde_json::from_str(&text).unwrap();
    let replies = replies.as_array().unwrap();
    assert_eq!(replies.len(), 4);
    assert_eq!(
        (&replies[0]["id"], &replies[0]["result"]),
        (&json!("a"), &json!("0x14a34"))
    );
    assert_eq!(replies[1]["error"]["code"], -32600);
    assert_eq!(
        (&replies[2]["id"], &replies[2]["error"]["code"]),
        (&json!(7), &json!(-32601))
    );
    assert_eq!(
        (&replies[3]["id"], &replies[3]["result"]),
        (&Value::Null, &json!("0x1"))
    );

    let notification = json!({"jsonrpc": "2.0", "method": "evm_mine"}).to_string();
    assert_eq!(world.post(notification.clone()).await, (204, String::new()));
    assert_eq!(
        world.post(format!("[{notification}]")).await,
        (204, String::new())
    );
    assert_eq!(world.chain.block_number().await.unwrap(), 3);

    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
    let full: Vec<_> = std::iter::repeat_n(&call, limits::BATCH_CALLS_MAX).collect();
    let (_, text) = world.post(json!(full).to_string()).await;
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&text).unwrap().len(),
        limits::BATCH_CALLS_MAX
    );
    let over: Vec<_> = std::iter::repeat_n(&call, limits::BATCH_CALLS_MAX + 1).collect();
    let (_, text) = world.post(json!(over).to_string()).await;
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["error"]["code"],
        -32600
    );
}

#[tokio::test]
async fn the_http_side_is_bounded_and_open_to_browsers() {
    let world = World::start().await;
    let (status, text) = world.post(vec![b' '; limits::BODY_BYTES_MAX + 1]).await;
    assert_eq!(status, 413);
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap()["error"]["code"],
        -32600
    );

    let ask = async |method: Method| {
        let request = world
            .http
            .request(method, format!("{}/any/path", world.chain.rpc_url()));
        request
            .header("origin", "https://shop.example")
            .send()
            .await
            .unwrap()
    };
    let preflight = ask(Method::OPTIONS).await;
    assert_eq!(preflight.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "*"),
        ("access-control-allow-methods", "POST, GET, OPTIONS"),
    ] {
        assert_eq!(preflight.headers()[name], value);
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let refused = ask(method).await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.headers()["allow"], "POST, OPTIONS");
    }
    let response = world
        .http
        .post(world.chain.rpc_url())
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn refused_transactions_say_why_in_words_that_clients_know() {
    let world = World::start().await;
    world.send(account(0), transfer(0)).await;
    let mut poor = transfer(1);
    poor.value = "1000000000000000000000000000".parse().unwrap();
    let mut small = transfer(1);
    small.gas_limit = 100;
    let mut other_chain = transfer(1);
    other_chain.chain_id = 1;
    let mut cheap = transfer(1);
    cheap.max_fee_per_gas = 1;
    cheap.max_priority_fee_per_gas = 0;
    for (tx, text) in [
        (transfer(0), "nonce too low"),
        (poor, "insufficient funds for gas * price + value"),
        (small, "intrinsic gas too low"),
        (other_chain, "invalid chain id for signer"),
        (cheap, "max fee per gas less than block base fee"),
    ] {
        let (code, message) = world
            .err("eth_sendRawTransaction", json!([raw(account(0), tx)]))
            .await;
        assert_eq!(code, -32000, "{message}");
        assert!(message.starts_with(text), "{message}");
    }
    world.ok("evm_setAutomine", json!([false])).await;
    let waiting = raw(account(0), transfer(1));
    world.ok("eth_sendRawTransaction", json!([waiting])).await;
    let (_, message) = world.err("eth_sendRawTransaction", json!([waiting])).await;
    assert_eq!(message, "already known");
    let mut other = transfer(1);
    other.value = "2".parse().unwrap();
    let (_, message) = world
        .err("eth_sendRawTransaction", json!([raw(account(0), other)]))
        .await;
    assert_eq!(message, "replacement transaction underpriced");
    let (code, _) = world.err("eth_sendRawTransaction", json!(["0x1234"])).await;
    assert_eq!(code, -32602);
}

#[tokio::test]
async fn log_queries_are_bounded() {
    let world = World::start().await;
    world
        .ok("anvil_mine", json!([limits::MINE_BLOCKS_MAX]))
        .await;
    world.ok("anvil_mine", json!([5])).await;
    let (code, message) = world
        .err("eth_getLogs", json!([{"fromBlock": "0x0"}]))
        .await;
    assert_eq!(code, -32005);
    assert!(message.contains("max block range 10000"), "{message}");
    world
        .ok(
            "eth_getLogs",
            json!([{"fromBlock": "0x0", "toBlock": "0x270f"}]),
        )
        .await;
    let (code, message) = world
        .err("eth_getBalance", json!([account(0).address, "0x1"]))
        .await;
    assert_eq!(code, -32000);
    assert!(message.contains("no longer kept"), "{message}");
}

/// Method, parameters, result, after one transfer from account 0 (A) to account 1 (B).
const ANSWERS: &str = r#"
    eth_chainId                             | []                    | "0x14a34"
    net_version                             | []                    | "84532"
    eth_syncing                             | []                    | false
    eth_blockNumber                         | []                    | "0x1"
    eth_getTransactionCount                 | ["A"]                 | "0x1"
    eth_getTransactionCount                 | ["A", "0x0"]          | "0x0"
    eth_getTransactionCount                 | ["A", "pending"]      | "0x1"
    eth_getTransactionCount                 | ["A", {"blockNumber": "0x1"}] | "0x1"
    eth_getBalance                          | ["B", "earliest"]     | "0x21e19e0c9bab2400000"
    eth_getBalance                          | ["B"]                 | "0x21e19e0c9bab2400001"
    eth_getCode                             | ["A", "latest"]       | "0x"
    eth_getStorageAt                        | ["A", "0x0", "safe"]  | "ZERO"
    eth_getStorageAt                        | ["A", "ONE"]          | "ZERO"
    eth_getBlockByNumber                    | ["0x99", false]       | null
    eth_getBlockByHash                      | ["ONE", true]         | null
    eth_getBlockReceipts                    | ["0x99"]              | null
    eth_getTransactionByHash                | ["ONE"]               | null
    eth_getTransactionReceipt               | ["ONE"]               | null
    eth_getTransactionByBlockNumberAndIndex | ["latest", "0x5"]     | null
    eth_getBlockTransactionCountByNumber    | ["latest"]            | "0x1"
    web3_sha3                               | ["0x"] | "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    eth_estimateGas                         | [{"to": "B"}]         | "0x5208"
    eth_call                                | [{"to": "B"}]         | "0x"
"#;

#[tokio::test]
async fn plain_answers_have_the_right_shape() {
    let world = World::start().await;
    world.send(account(0), transfer(0)).await;
    let fill = |text: &str| -> Value {
        let text = text
            .replace("\"A\"", &json!(account(0).address).to_string())
            .replace("\"B\"", &json!(account(1).address).to_string())
            .replace("ZERO", &format!("0x{:064x}", 0))
            .replace("ONE", &format!("0x{:064x}", 1));
        serde_json::from_str(&text).unwrap()
    };
    let mut rows = 0;
    for row in ANSWERS.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [method, params, expected] = cells[..] else {
            panic!("{row}");
        };
        assert_eq!(
            world.ok(method, fill(params)).await,
            fill(expected),
            "{row}"
        );
        rows += 1;
    }
    assert_eq!(rows, 23);
}

#[tokio::test]
async fn a_transaction_is_the_same_from_every_side() {
    let world = World::start().await;
    let hash = world.send(account(0), transfer(0)).await;
    let tx = world.ok("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!(tx["blockNumber"], "0x1");
    assert_eq!(tx["type"], "0x2");
    assert_eq!(
        tx["from"],
        json!(account(0).address).as_str().unwrap().to_lowercase()
    );
    for (method, block) in [
        ("eth_getTransactionByBlockNumberAndIndex", json!("0x1")),
        (
            "eth_getTransactionByBlockHashAndIndex",
            tx["blockHash"].clone(),
        ),
    ] {
        assert_eq!(world.ok(method, json!([block, "0x0"])).await, tx);
    }
    for (method, block) in [
        ("eth_getBlockByNumber", json!("latest")),
        ("eth_getBlockByHash", tx["blockHash"].clone()),
    ] {
        let full = world.ok(method, json!([block, true])).await;
        assert_eq!(full["transactions"], json!([tx]));
        let hashes = world.ok(method, json!([block, false])).await;
        assert_eq!(hashes["transactions"], json!([hash]));
    }
    let receipt = world.ok("eth_getTransactionReceipt", json!([hash])).await;
    let receipts = world
        .ok("eth_getBlockReceipts", json!([tx["blockHash"]]))
        .await;
    assert_eq!(receipts, json!([receipt]));
    let sent = raw(account(0), transfer(0));
    assert_eq!(
        world.ok("eth_getRawTransactionByHash", json!([hash])).await,
        json!(sent)
    );
}
