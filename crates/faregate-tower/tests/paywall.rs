//! What a request meets at a priced service: every outcome as HTTP.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;
#[path = "common/jokes.rs"]
mod jokes;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use common::{
    End, PAYER, TRANSACTION, World, ask, credential_v1, credential_v2, get, paying, receipt, text,
    value,
};
use faregate_core::SettlePolicy::{After, Before};
use faregate_ledger::{LedgerStore, PaymentState};
use faregate_tower::Cors;
use faregate_types::Code;
use faregate_types::x402::header;
use http::{HeaderValue, Method, Request, StatusCode};
use jokes::Jokes;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn an_unpaid_request_gets_both_versions_in_one_answer() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world.layer(After).layer(jokes.clone());
    // twice: the second one comes from the cache
    for _ in 0..2 {
        let answer = ask(service.clone(), get()).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        let mut names: Vec<&str> = answer
            .headers()
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "access-control-allow-origin",
                "access-control-expose-headers",
                "cache-control",
                "content-type",
                "payment-required",
                "vary",
                "x-content-type-options"
            ]
        );
        assert_eq!(value(&answer, "content-type"), Some("application/json"));
        assert_eq!(value(&answer, "cache-control"), Some("no-store"));
        assert_eq!(
            value(&answer, "vary"),
            Some("PAYMENT-SIGNATURE, X-PAYMENT, Authorization")
        );
        assert_eq!(value(&answer, "access-control-allow-origin"), Some("*"));
        let required = value(&answer, "payment-required").unwrap();
        let required =
            String::from_utf8(header::decode_base64(required.as_bytes()).unwrap()).unwrap();
        assert_eq!(
            required,
            include_str!("golden/payment_required_v2.json").trim_end()
        );
        let body: serde_json::Value = serde_json::from_str(&text(answer).await).unwrap();
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("golden/payment_required_v1.json")).unwrap();
        assert_eq!(body, golden);
    }
    assert_eq!(jokes.runs(), 0);
    assert_eq!(world.facilitator.verifies.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_paid_request_is_served_with_a_receipt() {
    for (policy, settled_first) in [(After, "false"), (Before, "true")] {
        let world = World::new();
        let jokes = Jokes::new();
        let service = world.layer(policy).layer(jokes.clone());
        let unpaid = ask(service.clone(), get()).await;
        let answer = ask(service, paying(&credential_v2(&unpaid, 1))).await;
        assert_eq!(answer.status(), StatusCode::OK, "{policy:?}");
        let receipt = receipt(&answer);
        assert!(receipt.success);
        assert_eq!(receipt.transaction, TRANSACTION);
        assert_eq!(receipt.network, "eip155:84532");
        assert_eq!(receipt.payer_address(), Some(PAYER));
        assert_eq!(
            value(&answer, "x-paid"),
            Some(format!("payer/{PAYER} 1000 {settled_first}").as_str())
        );
        assert_eq!(value(&answer, "cache-control"), Some("max-age=60, private"));
        assert_eq!(
            value(&answer, "vary"),
            Some("PAYMENT-SIGNATURE, X-PAYMENT, Authorization")
        );
        assert_eq!(value(&answer, "settlement-overrides"), None);
        assert_eq!(text(answer).await, "knock, knock");
        assert_eq!((jokes.runs(), world.settles()), (1, 1));
        assert!(world.store.audit().unwrap().is_clean());
    }
}

#[tokio::test]
async fn a_v1_client_pays_the_same_route() {
    let world = World::new();
    let service = world.layer(After).layer(Jokes::new());
    let request = Request::get("/joke")
        .header("X-PAYMENT", credential_v1(1))
        .body(Body::empty())
        .unwrap();
    let answer = ask(service, request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(receipt(&answer).network, "base-sepolia");
}

#[tokio::test]
async fn an_upstream_error_is_not_charged() {
    for status in [
        StatusCode::BAD_REQUEST,
        StatusCode::NOT_FOUND,
        StatusCode::INTERNAL_SERVER_ERROR,
    ] {
        let world = World::new();
        let jokes = Jokes::failing(status);
        let service = world.layer(After).layer(jokes.clone());
        let unpaid = ask(service.clone(), get()).await;
        let credential = credential_v2(&unpaid, 1);
        let answer = ask(service.clone(), paying(&credential)).await;
        assert_eq!(answer.status(), status);
        assert_eq!(value(&answer, "payment-response"), None);
        assert_eq!(value(&answer, "settlement-overrides"), None);
        assert_eq!(text(answer).await, "knock, knock");
        assert_eq!(world.settles(), 0);
        let payment = world.store.recent_payments(1).await.unwrap().pop().unwrap();
        assert_eq!(payment.state, PaymentState::Released);
        // and the credential is still good
        drop(ask(service, paying(&credential)).await);
        assert_eq!(jokes.runs(), 2);
    }
}

#[tokio::test]
async fn problem_02_a_failed_settlement_withholds_the_answer() {
    for policy in [After, Before] {
        let world = World::new();
        let jokes = Jokes::new();
        let service = world.layer(policy).layer(jokes.clone());
        let unpaid = ask(service.clone(), get()).await;
        world.ends(End::Failed(Code::TransactionFailed));
        let answer = ask(service, paying(&credential_v2(&unpaid, 1))).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        let receipt = receipt(&answer);
        assert!(!receipt.success);
        assert_eq!(receipt.code(), Some(Code::TransactionFailed));
        assert!(value(&answer, "payment-required").is_some());
        assert_eq!(value(&answer, "x-run"), None);
        assert!(text(answer).await.contains("\"x402Version\":1"));
        assert_eq!(jokes.runs(), u32::from(policy == After));
    }
}

#[tokio::test]
async fn problem_05_an_unknown_settlement_is_pending_and_never_sent_again() {
    for policy in [After, Before] {
        let world = World::new();
        let jokes = Jokes::new();
        let service = world.layer(policy).layer(jokes.clone());
        let unpaid = ask(service.clone(), get()).await;
        let credential = credential_v2(&unpaid, 1);
        world.ends(End::Unknown);
        for _ in 0..3 {
            let answer = ask(service.clone(), paying(&credential)).await;
            assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
            let receipt = receipt(&answer);
            assert!(!receipt.success);
            assert_eq!(
                (receipt.code(), receipt.transaction.as_str()),
                (Some(Code::SettlementPending), TRANSACTION)
            );
            assert_eq!(
                value(&answer, "payment-required"),
                None,
                "nobody should sign a second time"
            );
            assert_eq!(value(&answer, "retry-after"), Some("2"));
            assert!(
                text(answer)
                    .await
                    .contains("\"code\":\"settlement_pending\"")
            );
        }
        assert_eq!(world.settles(), 1);
        // known at last: the same credential is served
        *world.facilitator.resolved.lock().unwrap() = End::Settled;
        let answer = ask(service.clone(), paying(&credential)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(receipt(&answer).success);
        assert_eq!(text(answer).await, "knock, knock");
        assert_eq!(world.settles(), 1);
    }
}

#[tokio::test]
async fn a_copy_gets_the_same_bytes() {
    for policy in [After, Before] {
        let world = World::new();
        let jokes = Jokes::new();
        let service = world.layer(policy).layer(jokes.clone());
        let unpaid = ask(service.clone(), get()).await;
        let credential = credential_v2(&unpaid, 1);
        let first = ask(service.clone(), paying(&credential)).await;
        let (first_head, first_text) = (first.headers().clone(), text(first).await);
        let second = ask(service.clone(), paying(&credential)).await;
        assert_eq!(second.status(), StatusCode::OK);
        assert_eq!(second.headers(), &first_head);
        assert_eq!(text(second).await, first_text);
        assert_eq!((jokes.runs(), world.settles()), (1, 1));
    }
}

#[tokio::test]
async fn the_same_credential_for_another_request_is_a_conflict() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world.layer(After).layer(jokes.clone());
    let unpaid = ask(service.clone(), get()).await;
    let credential = credential_v2(&unpaid, 1);
    drop(ask(service.clone(), paying(&credential)).await);
    let other = |method: Method, target: &str, body: &'static str| {
        Request::builder()
            .method(method)
            .uri(target)
            .header("payment-signature", &credential)
            .body(Body::from(body))
            .unwrap()
    };
    for request in [
        other(Method::GET, "/joke?page=2", ""),
        other(Method::GET, "/other", ""),
        other(Method::HEAD, "/joke", ""),
        other(Method::GET, "/joke", "body"),
    ] {
        let answer = ask(service.clone(), request).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT);
        assert_eq!(
            value(&answer, "content-type"),
            Some("application/problem+json")
        );
        assert!(text(answer).await.contains("\"code\":\"payment_conflict\""));
    }
    assert_eq!((jokes.runs(), world.settles()), (1, 1));
}

#[tokio::test]
async fn what_does_not_pay_gets_a_fresh_challenge() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world.layer(After).layer(jokes.clone());
    *world.facilitator.verdict.lock().unwrap() = Err(Code::InsufficientFunds);
    let good = credential_v2(&ask(service.clone(), get()).await, 1);
    let cheap = {
        let bytes = header::decode_base64(good.as_bytes()).unwrap();
        let json = String::from_utf8(bytes)
            .unwrap()
            .replace("\"amount\":\"1000\"", "\"amount\":\"1\"");
        HeaderValue::from_str(&header::encode(
            &serde_json::from_str::<serde_json::Value>(&json).unwrap(),
        ))
        .unwrap()
    };
    let huge = HeaderValue::from_str(&"A".repeat(40_000)).unwrap();
    for (credential, reason) in [
        (good, "insufficient_funds"),
        (cheap, "no_matching_requirements"),
        (HeaderValue::from_static("%%%"), "malformed_credential"),
        (HeaderValue::from_static("e30="), "malformed_credential"),
        (
            HeaderValue::from_bytes(b"\xff\xfe").unwrap(),
            "malformed_credential",
        ),
        (HeaderValue::from_static(""), "malformed_credential"),
        (huge, "credential_too_large"),
    ] {
        let answer = ask(service.clone(), paying(&credential)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{reason}");
        let required =
            header::decode_payment_required(answer.headers()["payment-required"].as_bytes())
                .unwrap();
        let error = required.error.unwrap();
        assert!(
            error.contains(reason) || reason == "malformed_credential",
            "{reason} {error}"
        );
        assert_ne!(
            error, "PAYMENT-SIGNATURE or X-PAYMENT header is required",
            "{reason}"
        );
        assert_eq!(value(&answer, "cache-control"), Some("no-store"));
    }
    assert_eq!((jokes.runs(), world.settles()), (0, 0));
}

#[tokio::test]
async fn head_costs_the_same_and_options_is_never_sold() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world.layer(After).layer(jokes.clone());
    let head = Request::head("/joke").body(Body::empty()).unwrap();
    assert_eq!(
        ask(service.clone(), head).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    let preflight = Request::options("/joke")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "GET")
        .header(
            "access-control-request-headers",
            "payment-signature, authorization",
        )
        .body(Body::empty())
        .unwrap();
    let answer = ask(service.clone(), preflight).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(value(&answer, "access-control-allow-origin"), Some("*"));
    let allowed = value(&answer, "access-control-allow-headers").unwrap();
    for name in [
        "PAYMENT-SIGNATURE",
        "X-PAYMENT",
        "Access-Control-Expose-Headers",
        "authorization",
    ] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert!(
        value(&answer, "access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let paid = Request::options("/joke")
        .header("payment-signature", &credential)
        .body(Body::empty())
        .unwrap();
    assert_eq!(ask(service, paid).await.status(), StatusCode::NO_CONTENT);
    assert_eq!((jokes.runs(), world.settles()), (0, 0));
}

#[tokio::test]
async fn only_named_pages_may_read_when_the_seller_says_so() {
    let world = World::new();
    let shop: Arc<[HeaderValue]> = Arc::new([HeaderValue::from_static("https://shop.example")]);
    for (cors, origin, allowed) in [
        (
            Cors::Origins(Arc::clone(&shop)),
            "https://shop.example",
            Some("https://shop.example"),
        ),
        (Cors::Origins(shop), "https://evil.example", None),
        (Cors::Off, "https://shop.example", None),
    ] {
        let service = world.layer(After).cors(cors).layer(Jokes::new());
        let request = Request::get("/joke")
            .header("origin", origin)
            .body(Body::empty())
            .unwrap();
        let answer = ask(service, request).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
        assert_eq!(value(&answer, "access-control-allow-origin"), allowed);
    }
}

#[tokio::test]
async fn the_host_header_is_not_believed() {
    let world = World::new();
    let service = world.layer(After).layer(Jokes::new());
    let request = Request::get("http://evil.example/joke")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .body(Body::empty())
        .unwrap();
    let answer = ask(service, request).await;
    let required =
        header::decode_payment_required(answer.headers()["payment-required"].as_bytes()).unwrap();
    assert_eq!(required.resource.url, "https://api.example/joke");
    assert!(!text(answer).await.contains("evil"));
}

#[tokio::test]
async fn the_facilitator_away_is_503_and_nothing_is_served() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world.layer(After).layer(jokes.clone());
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    for code in [Code::FacilitatorUnavailable, Code::ChainUnavailable] {
        *world.facilitator.away.lock().unwrap() = Some(code);
        let answer = ask(service.clone(), paying(&credential)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(value(&answer, "retry-after"), Some("2"));
        assert!(text(answer).await.contains(code.as_str()));
    }
    assert_eq!((jokes.runs(), world.settles()), (0, 0));
    *world.facilitator.away.lock().unwrap() = None;
    assert_eq!(
        ask(service, paying(&credential)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn problem_14_an_answer_too_large_to_hold_back_is_not_charged() {
    let world = World::new();
    let stream = || {
        Body::from_stream(futures_util::stream::iter(
            (0..4).map(|_| Ok::<_, Infallible>(Bytes::from("12345"))),
        ))
    };
    for jokes in [
        Jokes::saying(stream),
        Jokes::saying(|| Body::from("x".repeat(20))),
    ] {
        let service = world.layer(After).response_bytes_max(19).layer(jokes);
        let credential = credential_v2(&ask(service.clone(), get()).await, 1);
        let answer = ask(service, paying(&credential)).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        assert!(
            text(answer)
                .await
                .contains("\"code\":\"response_too_large\"")
        );
    }
    assert_eq!(world.settles(), 0);
}

#[tokio::test]
async fn a_body_too_large_for_a_paid_request_is_413_and_not_charged() {
    let world = World::new();
    let jokes = Jokes::new();
    let service = world
        .layer(Before)
        .request_body_bytes_max(4)
        .layer(jokes.clone());
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let post = |body: Body| {
        Request::post("/joke")
            .header("payment-signature", &credential)
            .body(body)
            .unwrap()
    };
    let endless = futures_util::stream::iter(std::iter::repeat_with(|| {
        Ok::<_, Infallible>(Bytes::from("123"))
    }));
    for body in [Body::from("12345"), Body::from_stream(endless)] {
        let answer = ask(service.clone(), post(body)).await;
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let broken =
        futures_util::stream::iter([Ok(Bytes::from("1")), Err(std::io::Error::other("gone"))]);
    assert_eq!(
        ask(service.clone(), post(Body::from_stream(broken)))
            .await
            .status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!((jokes.runs(), world.settles()), (0, 0));
    assert_eq!(
        ask(service, post(Body::from("1234"))).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_panic_and_a_hang_of_the_service_are_not_charged() {
    let world = World::new();
    let panicking = service_fn(|_: Request<Body>| async { panic!("a bug of the seller's") });
    let panicking = world
        .layer(After)
        .layer(panicking.map_response(|response: Response| response));
    let credential = credential_v2(&ask(panicking.clone(), get()).await, 1);
    let answer: Response = panicking
        .oneshot(paying(&credential))
        .await
        .map_err(|error: Infallible| error)
        .unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);

    let hanging =
        service_fn(|_: Request<Body>| std::future::pending::<Result<Response, Infallible>>());
    let hanging = world
        .layer(After)
        .serve_timeout(Duration::from_millis(20))
        .layer(hanging);
    let answer = ask(hanging, paying(&credential)).await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(world.settles(), 0);
    // the credential is still good
    let service = world.layer(After).layer(Jokes::new());
    assert_eq!(
        ask(service, paying(&credential)).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn paid_first_and_then_broken_is_served_again_without_paying_again() {
    let world = World::new();
    let broken = Jokes::failing(StatusCode::SERVICE_UNAVAILABLE);
    let service = world.layer(Before).layer(broken);
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let answer = ask(service, paying(&credential)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        receipt(&answer).success,
        "the money is in, and the payer has the proof"
    );
    *world.facilitator.resolved.lock().unwrap() = End::Settled;
    let repaired = world.layer(Before).layer(Jokes::new());
    let answer = ask(repaired, paying(&credential)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(receipt(&answer).success);
    assert_eq!(world.settles(), 1);
}

#[tokio::test]
async fn a_route_that_nobody_could_pay_does_not_start() {
    let store = Arc::new(faregate_store::memory::MemoryLedger::new());
    let till = faregate_core::Till::new(store, Arc::new(|| common::NOW), Vec::new());
    let error = faregate_tower::PaywallLayer::new(till, common::offer(After)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no rail of this till can be paid for the offer"
    );
}
