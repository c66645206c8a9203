//! The whole stack on the dev chain: one payment is one charge, whatever happens around it.

use crate::support::{http, offer, payee_address, payment, received, stack};
use alloy_primitives::U256;
use faregate_core::Kind;
use faregate_ledger::{AccountId, LedgerStore as _};
use faregate_server::gateway::Heard;
use faregate_types::x402::header;
use futures_util::future::join_all;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn problem_01_a_thousand_copies_are_one_run_one_transaction_one_charge() {
    let stack = stack().await;
    let (url, credential) = (
        format!("{}/joke", stack.gate_url()),
        payment(&stack, "/joke").await,
    );
    let (before, block) = (
        received(&stack).await,
        stack.devchain().unwrap().block_number().await.unwrap(),
    );

    let client = http();
    let copies = (0..1000).map(|_| async {
        let answer = client
            .get(&url)
            .header(header::PAYMENT_SIGNATURE, &credential)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let receipt = answer.headers().get(header::PAYMENT_RESPONSE).cloned();
        (status, receipt, answer.bytes().await.unwrap())
    });
    let mut sold = Vec::new();
    for (status, receipt, body) in join_all(copies).await {
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        sold.push((receipt.unwrap(), body));
    }
    assert!(sold.iter().all(|copy| *copy == sold[0]), "copies differ");
    assert_eq!(stack.jokes_told(), 1);
    assert_eq!(received(&stack).await - before, U256::from(1000));
    assert_eq!(
        stack.devchain().unwrap().block_number().await.unwrap() - block,
        1,
        "one transaction, one block"
    );

    // ... and a copy that comes later gets the same bytes
    let late = client
        .get(&url)
        .header(header::PAYMENT_SIGNATURE, &credential)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (late.status().as_u16(), late.bytes().await.unwrap()),
        (200, sold[0].1.clone())
    );
    assert_eq!(stack.jokes_told(), 1);

    let account = stack
        .ledger
        .balance(AccountId::payee(payee_address()), stack.asset.id.into())
        .await
        .unwrap();
    assert_eq!(
        (account.credits_posted, account.credits_pending),
        (U256::from(1000), U256::ZERO)
    );
    assert!(stack.ledger.audit().unwrap().is_clean());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_to_the_stack_hears_what_happens_at_its_gate() {
    let stack = stack().await;
    let mut events = stack.events.subscribe(Kind::ALL);
    let credential = payment(&stack, "/joke").await;
    let request = http().get(format!("{}/joke", stack.gate_url()));
    let answer = request.header(header::PAYMENT_SIGNATURE, credential).send();
    assert_eq!(answer.await.unwrap().status(), 200);
    let mut told = Vec::new();
    while told.last() != Some(&Kind::Settled) {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(30), events.next()).await;
        match heard.unwrap() {
            Some(Heard::Event(event)) => told.push(event.what.kind()),
            other => panic!("{other:?} after {told:?}"),
        }
    }
    let expected = [Kind::Challenged, Kind::Verified, Kind::Authorised];
    assert!(expected.iter().all(|kind| told.contains(kind)), "{told:?}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn problem_03_a_payment_buys_one_thing_only() {
    let stack = stack().await;
    let credential = payment(&stack, "/joke").await;
    let get = |path: &str| {
        http()
            .get(format!("{}{path}", stack.gate_url()))
            .header(header::PAYMENT_SIGNATURE, &credential)
    };
    assert_eq!(get("/joke").send().await.unwrap().status(), 200);
    let other = get("/joke?again=1").send().await.unwrap();
    assert_eq!(other.status(), 409);
    assert_eq!(
        other.json::<Value>().await.unwrap()["code"],
        "payment_conflict"
    );
    assert_eq!(stack.jokes_told(), 1);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_answer_offers_both_versions_under_the_public_url() {
    let stack = stack().await;
    let answer = http()
        .get(format!("{}/joke", stack.gate_url()))
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let v2 = header::decode_payment_required(answer.headers()[header::PAYMENT_REQUIRED].as_bytes())
        .unwrap();
    let v1: Value = answer.json().await.unwrap();
    let url = format!("{}/joke", stack.gate_url());
    assert_eq!(
        (v2.resource.url.as_str(), &v1["accepts"][0]["resource"]),
        (url.as_str(), &json!(url))
    );
    assert_eq!(
        (v2.accepts[0].network.as_str(), &v1["accepts"][0]["network"]),
        ("eip155:84532", &json!("base-sepolia"))
    );
    assert_eq!(
        (
            v2.accepts[0].amount.as_str(),
            &v1["accepts"][0]["maxAmountRequired"]
        ),
        ("1000", &json!("1000"))
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_route_is_free_and_other_paths_are_nowhere() {
    let stack = stack().await;
    for (method, path, status) in [
        ("GET", "/free", 200),
        ("GET", "/free?again=1", 200),
        ("HEAD", "/joke", 402),
        ("POST", "/joke", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/joke/..%2fjoke", 400),
        ("GET", "//joke", 402),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
    ] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = http()
            .request(method.clone(), format!("{}{path}", stack.gate_url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
    }
    assert_eq!(stack.jokes_told(), 0);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_get_a_fresh_402_and_change_nothing() {
    let stack = stack().await;
    let good = payment(&stack, "/joke").await;
    let required = offer(&stack, "/joke").await;
    let forged = {
        let mut payload: Value =
            serde_json::from_slice(&header::decode_base64(good.as_bytes()).unwrap()).unwrap();
        payload["accepted"]["amount"] = json!("1");
        header::encode(&payload)
    };
    let cheaper = {
        let mut payload: Value =
            serde_json::from_slice(&header::decode_base64(good.as_bytes()).unwrap()).unwrap();
        payload["payload"]["authorization"]["value"] = json!("1");
        header::encode(&payload)
    };
    let (cut, long) = (good[..100].to_owned(), "A".repeat(40_000));
    let before = received(&stack).await;
    for (name, value, error) in [
        ("payment-signature", "", "malformed_credential"),
        ("payment-signature", "%%%", "malformed_credential"),
        ("payment-signature", &cut, "malformed_credential"),
        ("payment-signature", &long, "credential_too_large"),
        ("payment-signature", "e30=", "invalid_x402_version"),
        ("x-payment", &good, "invalid_x402_version"),
        ("payment-signature", &forged, "no_matching_requirements"),
        (
            "payment-signature",
            &cheaper,
            "invalid_exact_evm_payload_authorization_value_mismatch",
        ),
    ] {
        let answer = http()
            .get(format!("{}/joke", stack.gate_url()))
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 402, "{name}: {error}");
        let fresh =
            header::decode_payment_required(answer.headers()[header::PAYMENT_REQUIRED].as_bytes())
                .unwrap();
        assert_eq!(fresh.accepts, required.accepts);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(
            (fresh.error.as_deref(), &body["error"]),
            (Some(error), &json!(error)),
            "{name}"
        );
    }
    assert_eq!((received(&stack).await, stack.jokes_told()), (before, 0));
    stack.shutdown().await;
}
