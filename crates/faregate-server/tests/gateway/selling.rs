//! Priced routes, end to end.

use faregate_types::x402::header;
use http::{Method, Request, StatusCode};
use serde_json::Value;

use crate::common::{PAYER, credential_v1, receipt, text, value};
use crate::kit::{House, code, said};

#[tokio::test]
async fn an_unpaid_request_never_reaches_the_service() {
    let house = House::new().await;
    for (method, target, url) in [
        (Method::GET, "/joke", "https://api.example/joke"),
        (Method::GET, "/JOKE/?x=1", "https://api.example/joke"),
        (Method::GET, "//joke", "https://api.example/joke"),
        (Method::GET, "/%6aoke", "https://api.example/joke"),
        (Method::GET, "/jokes/7", "https://api.example/jokes/7"),
        (Method::GET, "/jokes//%37", "https://api.example/jokes/7"),
        (Method::POST, "/jokes", "https://api.example/jokes"),
    ] {
        let answer = house.ask(method, target).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{target}");
        let required =
            header::decode_payment_required(answer.headers()["payment-required"].as_bytes())
                .unwrap();
        assert_eq!(required.resource.url, url, "{target}");
        assert_eq!(value(&answer, "cache-control"), Some("no-store"));
        let body: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(body["accepts"][0]["resource"], url);
    }
    assert_eq!(
        house.ask(Method::HEAD, "/joke").await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    assert_eq!(house.upstream.runs(), 0);
}

#[tokio::test]
async fn a_paid_request_reaches_the_service_without_its_credential() {
    let house = House::new().await;
    let credential = house.credential("/joke", 1).await;
    let answer = house.pay("/joke?lang=en", &credential).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(receipt(&answer).success);
    assert_eq!(value(&answer, "x-own"), Some("kept"));
    assert_eq!(value(&answer, "payment-required"), None);
    assert_eq!(value(&answer, "settlement-overrides"), None);
    assert_eq!(value(&answer, "cache-control"), Some("private"));
    let said = said(answer).await;
    assert_eq!(said["target"], "/joke?lang=en");
    assert_eq!(said["headers"]["faregate-payer"], format!("payer/{PAYER}"));
    assert_eq!(said["headers"]["faregate-amount"], "1000");
    assert_eq!(said["headers"]["x-forwarded-host"], "api.example");
    assert_eq!(said["headers"]["x-forwarded-proto"], "https");
    assert_eq!(said["headers"]["x-forwarded-for"], "127.0.0.1");
    assert!(said["headers"].get("payment-signature").is_none());
    assert_eq!((house.upstream.runs(), house.world.settles()), (1, 1));
}

#[tokio::test]
async fn a_post_is_paid_first_and_its_body_arrives() {
    let house = House::new().await;
    let credential = house.credential("/joke", 1).await;
    let answer = house
        .send(house.paying(Method::POST, "/jokes", &credential, "about chickens"))
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    let first = text(answer).await;
    let said: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(
        (&said["body"], &said["run"]),
        (&Value::from("about chickens"), &Value::from(1))
    );
    // a copy gets the same bytes, another body is another request
    let copy = house
        .send(house.paying(Method::POST, "/jokes", &credential, "about chickens"))
        .await;
    assert_eq!(text(copy).await, first);
    let other = house
        .send(house.paying(Method::POST, "/jokes", &credential, "about cows"))
        .await;
    assert_eq!(
        (other.status(), code(other).await.as_str()),
        (StatusCode::CONFLICT, "payment_conflict")
    );
    assert_eq!((house.upstream.runs(), house.world.settles()), (1, 1));
}

#[tokio::test]
async fn a_credential_is_good_for_one_resource() {
    let house = House::new().await;
    let credential = house.credential("/jokes/1", 1).await;
    assert_eq!(
        house.pay("/jokes/1", &credential).await.status(),
        StatusCode::OK
    );
    assert_eq!(
        house.pay("//JOKES/1", &credential).await.status(),
        StatusCode::CONFLICT
    );
    assert_eq!(
        house.pay("/jokes/2", &credential).await.status(),
        StatusCode::CONFLICT
    );
    // the same path written in another way is the same request
    assert_eq!(
        house.pay("/jokes//%31", &credential).await.status(),
        StatusCode::OK
    );
    assert_eq!((house.upstream.runs(), house.world.settles()), (1, 1));
}

#[tokio::test]
async fn an_error_of_the_service_is_not_charged() {
    let house = House::new().await;
    let credential = house.credential("/jokes/missing", 1).await;
    let answer = house.pay("/jokes/missing", &credential).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(text(answer).await, "no such joke");
    assert_eq!(house.world.settles(), 0);
}

#[tokio::test]
async fn a_v1_client_pays_through_the_gate() {
    let house = House::new().await;
    let request = Request::get(house.url("/joke"))
        .header("x-payment", credential_v1(1))
        .body(axum::body::Body::empty());
    let answer = house.send(request.unwrap()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(receipt(&answer).network, "base-sepolia");
    assert!(said(answer).await["headers"].get("x-payment").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_copies_over_the_wire_are_one_purchase() {
    let house = House::new().await;
    let credential = house.credential("/joke", 1).await;
    let copies: Vec<_> = (0..200)
        .map(|_| {
            tokio::spawn(
                house
                    .client
                    .request(house.paying(Method::GET, "/joke", &credential, "")),
            )
        })
        .collect();
    for copy in copies {
        let status = copy.await.unwrap().unwrap().status();
        assert!(
            matches!(status, StatusCode::OK | StatusCode::CONFLICT),
            "{status}"
        );
    }
    assert_eq!((house.upstream.runs(), house.world.settles()), (1, 1));
    assert!(house.world.store.audit().unwrap().is_clean());
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_gate_and_costs_nothing() {
    let house = House::new().await;
    let preflight = Request::options(house.url("/jokes"))
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "payment-signature")
        .body(axum::body::Body::empty())
        .unwrap();
    let answer = house.send(preflight).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(value(&answer, "access-control-allow-origin"), Some("*"));
    let credential = house.credential("/joke", 1).await;
    let answer = house
        .send(house.paying(Method::OPTIONS, "/joke", &credential, ""))
        .await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!((house.upstream.runs(), house.world.settles()), (0, 0));
}

#[tokio::test]
async fn stopping_waits_for_a_purchase_whose_payer_hung_up() {
    let house = House::new().await;
    let credential = house.credential("/joke", 1).await;
    house
        .world
        .facilitator
        .gate
        .forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let request = house.paying(Method::GET, "/joke", &credential, "");
    let House {
        world,
        upstream,
        gate,
        ..
    } = house;
    {
        let client =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http();
        let purchase = tokio::spawn(async move { client.request(request).await.map(drop) });
        while world.settles() == 0 {
            tokio::task::yield_now().await;
        }
        purchase.abort();
    }
    let stopping = tokio::spawn(gate.shutdown());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!stopping.is_finished());
    world.facilitator.gate.add_permits(1);
    tokio::time::timeout(std::time::Duration::from_secs(10), stopping)
        .await
        .unwrap()
        .unwrap();
    let payment = faregate_ledger::LedgerStore::recent_payments(world.store.as_ref(), 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert!(
        payment.answer.is_some(),
        "the answer is kept for the payer's next try"
    );
    assert_eq!(upstream.runs(), 1);
}
