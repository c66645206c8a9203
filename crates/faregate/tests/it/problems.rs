//! Known problems of the field, as a stranger would try them on the whole stack. Tests of those that live in one crate
//! stand there; `docs/src/reference/known-problems.md` lists all.

use std::time::Duration;

use alloy_primitives::U256;
use faregate::stack::{Stack, payer};
use faregate_core::SettlePolicy;
use faregate_server::config::{Config, ConfigErrors, Env, RoutePrice};
use faregate_types::x402::{header, v2};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{http, offer, payment, payment_for, received, stack};

/// The decoded credential, changed, and written again.
fn bent(credential: &str, bend: impl FnOnce(&mut Value)) -> String {
    let bytes = header::decode_base64(credential.as_bytes()).unwrap();
    let mut payload = serde_json::from_slice(&bytes).unwrap();
    bend(&mut payload);
    header::encode(&payload)
}

/// Sends the credential for the joke; status and the `error` member of the body, if it has one.
async fn send(stack: &Stack, credential: &str) -> (u16, Option<String>) {
    let answer = http()
        .get(format!("{}/joke", stack.gate_url()))
        .header(header::PAYMENT_SIGNATURE, credential)
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or(Value::Null);
    (status, body["error"].as_str().map(Into::into))
}

/// A request for the facilitator: the credential, with the gate's own terms.
async fn question(stack: &Stack, credential: &str) -> Value {
    let payload: Value =
        serde_json::from_slice(&header::decode_base64(credential.as_bytes()).unwrap()).unwrap();
    let required = offer(stack, "/joke").await;
    json!({
        "x402Version": 2,
        "paymentPayload": payload,
        "paymentRequirements": required.accepts[0],
    })
}

async fn ask(stack: &Stack, call: &str, question: &Value) -> Value {
    let url = format!("{}{call}", stack.facilitator_url());
    let answer = http().post(url).json(question).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{call}");
    answer.json().await.unwrap()
}

fn gate_config(route: &str) -> Result<Config, ConfigErrors> {
    let text = format!(
        r#"
        [gate]
        public_url = "https://api.example"
        upstream = "http://127.0.0.1:8000"
        network = "base-sepolia"
        pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        facilitator = {{ url = "https://facilitator.example" }}

        [[route]]
        {route}
        "#
    );
    Config::parse(&text, &Env::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_01_copies_of_one_settlement_are_one_transaction() {
    let stack = stack().await;
    let question = question(&stack, &payment(&stack, "/joke").await).await;
    let before = received(&stack).await;
    let block = stack.devchain().unwrap().block_number().await.unwrap();
    let answers = join_all((0..50).map(|_| ask(&stack, "/settle", &question))).await;
    let settled: Vec<_> = answers
        .iter()
        .filter(|answer| answer["success"] == true)
        .collect();
    // A seller without books serves whatever succeeds: so one does.
    assert_eq!(settled.len(), 1);
    assert_eq!(received(&stack).await - before, U256::from(1000));
    let blocks = stack.devchain().unwrap().block_number().await.unwrap() - block;
    assert_eq!(blocks, 1, "one transaction, one block, none that reverts");
    stack.shutdown().await;
}

#[test]
fn problem_02_methods_with_effects_are_paid_first_by_default() {
    for (route, policy) in [
        (
            "match = \"GET /a\"\nprice = \"$0.001\"",
            SettlePolicy::After,
        ),
        (
            "match = \"POST /a\"\nprice = \"$0.001\"",
            SettlePolicy::Before,
        ),
        (
            "match = \"DELETE /a\"\nprice = \"$0.001\"",
            SettlePolicy::Before,
        ),
        ("match = \"/a\"\nprice = \"$0.001\"", SettlePolicy::Before),
    ] {
        let gate = gate_config(route).unwrap().gate.unwrap();
        let RoutePrice::Paid(offer) = &gate.routes[0].price else {
            panic!("{route} has a price");
        };
        assert_eq!(offer.settle, policy, "{route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_04_another_price_is_told_the_price_and_charged_nothing() {
    let stack = stack().await;
    let before = received(&stack).await;
    // What the gate asked before its price went up, and after it went down.
    for old in ["999", "1001"] {
        let mut required = offer(&stack, "/joke").await;
        required.accepts[0].amount = old.into();
        let (status, error) = send(&stack, &payment_for(&stack, required).await).await;
        assert_eq!(status, 402, "{old}");
        assert_eq!(error.as_deref(), Some("no_matching_requirements"), "{old}");
    }
    assert_eq!((received(&stack).await, stack.jokes_told()), (before, 0));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_08_upto_is_neither_offered_nor_settled() {
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    let required = offer(&stack, "/joke").await;
    assert!(required.accepts.iter().all(|ask| ask.scheme != "upto"));
    let mut question = question(&stack, &credential).await;
    question["paymentPayload"]["accepted"]["scheme"] = json!("upto");
    question["paymentRequirements"]["scheme"] = json!("upto");
    let verdict = ask(&stack, "/verify", &question).await;
    assert_eq!(
        (&verdict["isValid"], &verdict["invalidReason"]),
        (&json!(false), &json!("unsupported_scheme"))
    );
    let settled = ask(&stack, "/settle", &question).await;
    assert_eq!(
        (&settled["success"], &settled["errorReason"]),
        (&json!(false), &json!("unsupported_scheme"))
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_10_what_the_client_says_it_accepted_is_not_believed() {
    let stack = stack().await;
    let before = received(&stack).await;
    let payer = payer().unwrap().address;
    // Signed correctly, for less, or for the payer's own pocket, with an `accepted` that says that this was the offer.
    let mut cheap = offer(&stack, "/joke").await;
    cheap.accepts[0].amount = "1".into();
    let mut own = offer(&stack, "/joke").await;
    own.accepts[0].pay_to = payer.to_string();
    for required in [cheap.clone(), own] {
        let (status, error) = send(&stack, &payment_for(&stack, required).await).await;
        assert_eq!(status, 402);
        assert_eq!(error.as_deref(), Some("no_matching_requirements"));
    }
    // ... and with the gate's words around a signature for less.
    let credential = bent(&payment_for(&stack, cheap).await, |payload| {
        payload["accepted"]["amount"] = json!("1000");
    });
    let (status, error) = send(&stack, &credential).await;
    assert_eq!(status, 402);
    assert_eq!(
        error.as_deref(),
        Some("invalid_exact_evm_payload_authorization_value_mismatch")
    );
    assert_eq!((received(&stack).await, stack.jokes_told()), (before, 0));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_12_other_spellings_of_a_payment_do_not_pass() {
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    let before = received(&stack).await;
    let signature = |bend: fn(&str) -> String| {
        bent(&credential, |payload| {
            let text = payload["payload"]["signature"].as_str().unwrap();
            payload["payload"]["signature"] = json!(bend(text));
        })
    };
    let authorization = |member: &'static str, value: Value| {
        bent(&credential, |payload| {
            payload["payload"]["authorization"][member] = value;
        })
    };
    for (name, spelling) in [
        (
            "v 0 or 1",
            signature(|text| {
                let v = if text.ends_with("1b") { "00" } else { "01" };
                format!("{}{v}", &text[..130])
            }),
        ),
        ("compact", signature(|text| text[..130].to_owned())),
        ("without 0x", signature(|text| text[2..].to_owned())),
        ("a byte more", signature(|text| format!("{text}00"))),
        ("hexadecimal value", authorization("value", json!("0x3e8"))),
        ("leading zero", authorization("value", json!("01000"))),
        ("plus sign", authorization("value", json!("+1000"))),
        ("fraction", authorization("value", json!("1000.0"))),
        ("negative start", authorization("validAfter", json!("-1"))),
        ("short nonce", authorization("nonce", json!("0x01"))),
    ] {
        assert_eq!(send(&stack, &spelling).await.0, 402, "{name}");
    }
    assert_eq!((received(&stack).await, stack.jokes_told()), (before, 0));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_13_no_spelling_of_a_priced_path_is_free() {
    let stack = stack().await;
    let address = stack.gate_url().replace("http://", "");
    for path in [
        "/joke",
        "//joke",
        "/joke/",
        "/JOKE",
        "/%6aoke",
        "/joke?x=/free",
        "/./joke",
        "/free/../joke",
        "/free/..%2fjoke",
        "/%2e%2e/joke",
        "/joke%00",
        "/joke\\",
        "/free;/../joke",
        "/joke%2f",
        "/joke#free",
    ] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer)
            .await
            .unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "402" | "404"), "{path}: {answer}");
    }
    assert_eq!(stack.jokes_told(), 0);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_15_nothing_we_say_is_a_page() {
    let stack = stack().await;
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        "/joke",
        "/nowhere",
        &format!("/joke?{script}"),
        &format!("/{script}"),
    ] {
        let answer = http()
            .get(format!("{}{path}", stack.gate_url()))
            .header("accept", "text/html")
            .header("user-agent", "Mozilla/5.0")
            .send()
            .await
            .unwrap();
        let headers = answer.headers().clone();
        let body = answer.text().await.unwrap();
        let kind = headers["content-type"].to_str().unwrap();
        assert!(kind.contains("json"), "{path}: {kind}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert!(!body.contains("<script"), "{path}: {body}");
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_16_no_cache_keeps_a_price_or_a_paid_answer() {
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    let url = format!("{}/joke", stack.gate_url());
    for (status, request) in [
        (402, http().get(&url)),
        (
            200,
            http()
                .get(&url)
                .header(header::PAYMENT_SIGNATURE, &credential),
        ),
        (
            200,
            http()
                .get(&url)
                .header(header::PAYMENT_SIGNATURE, &credential),
        ),
        (
            402,
            http().get(&url).header(header::PAYMENT_SIGNATURE, "%%%"),
        ),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let cached = answer.headers()["cache-control"].to_str().unwrap();
        // What was paid for may stay with who paid; a price stays nowhere.
        let kept_by_nobody = cached.contains("no-store");
        assert!(
            kept_by_nobody || (status == 200 && cached.contains("private")),
            "{status}: {cached}"
        );
        let vary: Vec<_> = answer.headers().get_all("vary").iter().collect();
        let vary = format!("{vary:?}").to_ascii_uppercase();
        for name in ["PAYMENT-SIGNATURE", "X-PAYMENT"] {
            assert!(vary.contains(name), "{status}: {vary}");
        }
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_18_urls_in_messages_are_not_fetched() {
    let stack = stack().await;
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/trap", trap.local_addr().unwrap());
    let mut required = offer(&stack, "/joke").await;
    let mut resource = v2::ResourceInfo::new(url.as_str());
    resource.icon_url = Some(url.clone());
    required.resource = resource;
    let credential = bent(&payment_for(&stack, required).await, |payload| {
        payload["extensions"] =
            json!({"bazaar": {"info": {"input": {"type": "http", "url": url}}}});
    });
    let question = question(&stack, &credential).await;
    assert_eq!(ask(&stack, "/verify", &question).await["isValid"], true);
    assert_eq!(ask(&stack, "/settle", &question).await["success"], true);
    send(&stack, &credential).await;
    let caller = tokio::time::timeout(Duration::from_millis(200), trap.accept()).await;
    assert!(caller.is_err(), "somebody came");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_21_other_networks_are_not_answered_for() {
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    for network in ["eip155:8453", "eip155:1", "eip155:31337", "solana:mainnet"] {
        let mut question = question(&stack, &credential).await;
        question["paymentPayload"]["accepted"]["network"] = json!(network);
        question["paymentRequirements"]["network"] = json!(network);
        for (call, verdict) in [("/verify", "isValid"), ("/settle", "success")] {
            let answer = ask(&stack, call, &question).await;
            assert_eq!(answer[verdict], false, "{call} {network}: {answer}");
        }
    }
    stack.shutdown().await;
}

#[test]
fn problem_22_a_price_that_rounds_to_nothing_does_not_start() {
    for price in [
        "$0",
        "$0.0",
        "$0.0000001",
        "$0.00000049",
        "0",
        "$-1",
        "$1e-3",
        "$,5",
        "",
    ] {
        let route = format!("match = \"GET /a\"\nprice = \"{price}\"");
        assert!(gate_config(&route).is_err(), "{price}");
    }
    assert!(gate_config("match = \"GET /a\"\nprice = \"$0.000001\"").is_ok());
}
