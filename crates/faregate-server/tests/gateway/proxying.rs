//! Free routes, and everything that is not about money.

use axum::body::Body;
use http::{Method, Request, StatusCode};

use crate::common::{text, value};
use crate::kit::{House, ROUTES, code, said};

#[tokio::test]
async fn a_free_route_goes_through_with_what_the_gate_says() {
    let house = House::new().await;
    let request = Request::get(house.url("/free//A%2e/%7Eb?q=%20&r"))
        .header("accept", "application/json")
        .header("x-forwarded-for", "10.0.0.1")
        .header("x-forwarded-host", "evil.example")
        .header("x-payment", "something")
        .header("faregate-payer", "payer/somebody")
        .header("connection", "keep-alive, x-secret-hop")
        .header("x-secret-hop", "1")
        .body(Body::empty())
        .unwrap();
    let answer = house.send(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(value(&answer, "payment-response"), None);
    assert_eq!(value(&answer, "x-own"), Some("kept"));
    let said = said(answer).await;
    assert_eq!(said["target"], "/free/A./~b?q=%20&r");
    let headers = said["headers"].as_object().unwrap();
    assert_eq!(headers["accept"], "application/json");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], "api.example");
    for gone in ["x-payment", "faregate-payer", "x-secret-hop"] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert!(headers["host"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test]
async fn what_no_route_names_is_refused() {
    let house = House::new().await;
    for (method, target, status, reason) in [
        (Method::GET, "/", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/jok", StatusCode::NOT_FOUND, "not_found"),
        (Method::GET, "/joke/x", StatusCode::NOT_FOUND, "not_found"),
        (
            Method::POST,
            "/joke",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            Method::DELETE,
            "/free/x",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            Method::TRACE,
            "/joke",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            Method::from_bytes(b"get").unwrap(),
            "/joke",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
    ] {
        let answer = house.ask(method.clone(), target).await;
        assert_eq!(answer.status(), status, "{method} {target}");
        if (&method, target) == (&Method::POST, "/joke") {
            assert_eq!(value(&answer, "allow"), Some("GET, HEAD"));
        }
        assert_eq!(code(answer).await, reason, "{method} {target}");
    }
    assert_eq!(house.upstream.runs(), 0);
}

#[tokio::test]
async fn what_no_route_names_is_free_when_the_seller_says_so() {
    let house = House::with("unmatched = \"free\"", ROUTES).await;
    assert_eq!(house.get("/anything?x").await.status(), StatusCode::OK);
    assert_eq!(
        house.get("/joke").await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    // other readings of a priced path do not become free
    for target in ["/joke;x=1", "/jokes%2F7", "/jokes%2f7;v"] {
        let answer = house.get(target).await;
        assert_eq!(
            (answer.status(), code(answer).await.as_str()),
            (StatusCode::BAD_REQUEST, "bad_request"),
            "{target}"
        );
    }
    for target in [
        "/JOKE",
        "/joke/",
        "//joke",
        "/%6Aoke",
        "/joke?",
        "/jokes/%2e%2fx",
    ] {
        let status = house.get(target).await.status();
        assert!(
            matches!(
                status,
                StatusCode::PAYMENT_REQUIRED | StatusCode::BAD_REQUEST
            ),
            "{target} {status}"
        );
    }
    let lower = house
        .ask(Method::from_bytes(b"get").unwrap(), "/joke")
        .await;
    assert_eq!(lower.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(house.upstream.runs(), 1);
}

#[tokio::test]
async fn routes_for_one_host_are_for_that_host() {
    let routes = "[[route]]\nmatch = \"/x\"\nhost = \"a.example\"\nprice = \"free\"\n\
                  [[route]]\nmatch = \"/x\"\nprice = \"$0.001\"\n";
    let house = House::with("", routes).await;
    for (host, status) in [
        ("a.example", StatusCode::OK),
        ("A.EXAMPLE.:80", StatusCode::OK),
        ("b.example", StatusCode::PAYMENT_REQUIRED),
    ] {
        let request = Request::get(house.url("/x"))
            .header("host", host)
            .body(Body::empty())
            .unwrap();
        assert_eq!(house.send(request).await.status(), status, "{host}");
    }
}

#[tokio::test]
async fn uploads_stream_through_up_to_the_limit() {
    let house = House::with(
        "limits = { request_body_bytes_max = 100000, paid_body_bytes_max = 10 }",
        ROUTES,
    )
    .await;
    let upload = |bytes: usize, announced: bool| {
        let body = "x".repeat(bytes);
        let body = if announced {
            Body::from(body)
        } else {
            Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(body)]))
        };
        Request::post(house.url("/upload")).body(body).unwrap()
    };
    for announced in [true, false] {
        let answer = house.send(upload(100_000, announced)).await;
        assert_eq!(said(answer).await["body"].as_str().unwrap().len(), 100_000);
        let answer = house.send(upload(100_001, announced)).await;
        assert_eq!(
            answer.status(),
            StatusCode::PAYLOAD_TOO_LARGE,
            "{announced}"
        );
    }
    let credential = house.credential("/joke", 1).await;
    let answer = house
        .send(house.paying(Method::POST, "/jokes", &credential, "12345678901"))
        .await;
    assert_eq!(
        (answer.status(), code(answer).await.as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
    );
    assert_eq!(house.world.settles(), 0);
}

#[tokio::test]
async fn a_redirect_of_the_service_comes_back_to_the_gate() {
    let house = House::new().await;
    let answer = house.get("/free/moved").await;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        value(&answer, "location"),
        Some("https://api.example/free/x")
    );
}

#[tokio::test]
async fn a_service_that_is_away_slow_or_stuck_is_named() {
    let house = House::with(
        "limits = { upstream_timeout_secs = 1, stream_idle_timeout_secs = 1 }",
        ROUTES,
    )
    .await;
    let answer = house.get("/free/slow").await;
    assert_eq!(
        (answer.status(), code(answer).await.as_str()),
        (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout")
    );
    let answer = house.get("/free/stalls").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let cut = http_body_util::BodyExt::collect(answer.into_body()).await;
    assert!(
        cut.is_err(),
        "an answer that breaks off does not look whole"
    );

    let away = "[[route]]\nmatch = \"GET /x\"\nprice = \"$0.001\"\nupstream = \"http://127.0.0.1:1\"\n\
                [[route]]\nmatch = \"GET /y\"\nprice = \"free\"\nupstream = \"http://127.0.0.1:1\"\n";
    let house = House::with("", away).await;
    let answer = house.get("/y").await;
    assert_eq!(
        (answer.status(), code(answer).await.as_str()),
        (StatusCode::BAD_GATEWAY, "upstream_unavailable")
    );
    let credential = house.credential("/x", 1).await;
    let answer = house.pay("/x", &credential).await;
    assert_eq!(
        (answer.status(), code(answer).await.as_str()),
        (StatusCode::BAD_GATEWAY, "upstream_unavailable")
    );
    assert_eq!(house.world.settles(), 0);
}

#[tokio::test]
async fn large_answers_stream_through_free_routes() {
    let house = House::new().await;
    let answer = house.get("/free/large").await;
    assert_eq!(value(&answer, "content-length"), Some("3000000"));
    assert_eq!(text(answer).await.len(), 3_000_000);
}

#[tokio::test]
async fn an_upstream_may_live_below_a_path() {
    let house = House::new().await;
    let addr = house.url("").replace("http://", "");
    // the gate as its own upstream: what comes out is what the second one got
    let routes = format!(
        "[[route]]\nmatch = \"GET /*\"\nprice = \"free\"\nupstream = \"http://{addr}/free/base/\"\n"
    );
    let outer = House::with("", &routes).await;
    let answer = outer.get("/a?b=c").await;
    assert_eq!(said(answer).await["target"], "/free/base/a?b=c");
}

#[tokio::test]
async fn health_is_the_gates_own() {
    let house = House::with("unmatched = \"free\"", ROUTES).await;
    for path in ["/livez", "/readyz"] {
        let answer = house.get(path).await;
        assert_eq!(
            (answer.status(), text(answer).await.as_str()),
            (StatusCode::OK, "{\"status\":\"ok\"}"),
            "{path}"
        );
    }
    assert_eq!(house.upstream.runs(), 0);
}
