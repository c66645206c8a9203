//! The token endpoint of a gate, under both policies: a permit is charged once or not at all, and whoever was charged gets the
//! token, the same one however often it is asked for.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::U256;
use faregate::stack::Stack;
use faregate_core::crash::{GATE, Point};
use faregate_evm::LocalSigner;
use faregate_evm::permit_settler::PermitSettler;
use faregate_types::SecretKey;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{http, payee_address, payer_key, permit_request, received, stack};
use crate::{SOON, configure_permits, let_it_expire, seller, start};

/// So long recovery may take to find a payment and settle it again.
const RECOVERED: Duration = Duration::from_secs(90);

/// The status and the JSON of a token request; `None` when the gate went away instead.
async fn ask(url: &str, request: &str) -> Option<(u16, Value)> {
    let sent = http()
        .post(format!("{url}/token"))
        .header("content-type", "application/json")
        .body(request.to_owned())
        .send();
    let answer = sent.await.ok()?;
    let status = answer.status().as_u16();
    let text = answer.text().await.ok()?;
    Some((status, serde_json::from_str(&text).unwrap()))
}

/// The token, as soon as the gate knows enough to give it.
async fn token(url: &str, request: &str, case: &str) -> String {
    let until = Instant::now() + RECOVERED;
    loop {
        let (status, said) = ask(url, request).await.expect(case);
        if status == 200 {
            return said["access_token"].as_str().unwrap().to_owned();
        }
        assert!(status == 503 && Instant::now() < until, "{case}: {said}");
        sleep(Duration::from_millis(300)).await;
    }
}

async fn joke(url: &str, token: &str) -> u16 {
    let request = http().get(format!("{url}/joke")).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

/// Returns when so much has arrived.
async fn has_received(stack: &Stack, all: U256, case: &str) {
    let paid = async {
        while received(stack).await < all {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(RECOVERED, paid).await.expect(case);
}

/// Recorded and never sent: nobody can know before the permit expires, and then it is given up.
async fn is_given_up(stack: &Stack, url: &str, request: &str, before: U256, case: &str) {
    assert_eq!(ask(url, request).await.expect(case).0, 503, "{case}");
    let_it_expire(stack).await;
    let (status, said) = ask(url, request).await.expect(case);
    assert_eq!(status, 400, "{case}: {said}");
    assert_eq!(received(stack).await, before, "{case}");
}

/// Asked for once more, the token is the same one, or the permit a replay; and the token goes on working.
async fn is_the_same_again(url: &str, request: &str, token: &str, case: &str) {
    let (status, said) = ask(url, request).await.expect(case);
    assert!(
        status == 400 || said["access_token"] == token,
        "{case}: {said}"
    );
    assert_eq!(joke(url, token).await, 200, "{case}");
}

async fn killed_at(point: Point, policy: &str) {
    let case = format!("{}, {policy}", point.name());
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (upstream, runs) = seller(Duration::ZERO).await;
    let url = configure_permits(folder.path(), &stack, &upstream, policy);
    let before = received(&stack).await;
    let payer = LocalSigner::new(SecretKey::from_hex(payer_key()).unwrap()).unwrap();
    let settler = PermitSettler::of(payee_address()).unwrap();
    let request = permit_request(&payer, settler.address(), 1_000);

    let mut gate = start("gate", folder.path(), &url, Some(point)).await;
    let first = ask(&url, &request).await;
    // Tokens that are given out at once may have left before the places of the settlement behind them.
    let first = first.map(|(status, said)| (status, said["access_token"].clone()));
    let ended = timeout(SOON, gate.wait()).await.expect(&case).unwrap();
    assert!(!ended.success(), "{case}");

    let mut gate = start("gate", folder.path(), &url, None).await;
    if point == Point::BroadcastRecorded && policy == "settled" {
        is_given_up(&stack, &url, &request, before, &case).await;
        gate.kill().await.unwrap();
        stack.shutdown().await;
        return;
    }
    let token = token(&url, &request, &case).await;
    let given = first.filter(|(status, _)| *status == 200);
    assert!(given.is_none_or(|(_, given)| given == token), "{case}");
    assert_eq!(joke(&url, &token).await, 200, "{case}");
    let price = U256::from(1_000);
    has_received(&stack, before + price, &case).await;
    is_the_same_again(&url, &request, &token, &case).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "{case}");
    gate.kill().await.unwrap();
    assert_eq!(received(&stack).await, before + price, "{case}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_out_at_once() {
    for point in GATE {
        killed_at(point, "optimistic").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_out_when_settled() {
    for point in GATE {
        killed_at(point, "settled").await;
    }
}
