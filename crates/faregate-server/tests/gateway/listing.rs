//! What a gate says that it sells, what a request would cost, and whose limits count behind a proxy.

use axum::response::Response;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::common::value;
use crate::lightning::{Shop, open, open_with};

async fn body(answer: Response) -> Value {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

async fn document(shop: &Shop, path: &str) -> Value {
    let answer = shop.send(Method::GET, path, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(value(&answer, "content-type"), Some("application/json"));
    assert_eq!(value(&answer, "cache-control"), Some("public, max-age=300"));
    assert_eq!(value(&answer, "access-control-allow-origin"), Some("*"));
    body(answer).await
}

#[tokio::test]
async fn what_is_sold_over_lightning_is_listed_and_free() {
    let routes = "[[route]]\nmatch = \"GET /jokes/*\"\nprice = \"10 sat\"\ndescription = \"jokes\"\n\
                  l402 = { service = \"fun\", capability = \"jokes\", uses = \"unlimited\" }\n\
                  [[route]]\nmatch = \"GET /joke\"\nprice = \"2500 msat\"\nl402 = { service = \"fun\", tier = 1 }\n\
                  [[route]]\nmatch = \"GET /free\"\nprice = \"free\"\n";
    let shop = open("http://127.0.0.1:1", routes).await.unwrap();
    let all = document(&shop, "/.well-known/l402.json").await;
    assert_eq!(
        (
            &all["version"],
            &all["currencies"],
            &all["macaroon_versions"]
        ),
        (&json!("1.0"), &json!(["msat"]), &json!([0]))
    );
    assert_eq!(all["demo_endpoint"], "https://api.example/joke");
    let [service] = &**all["services"].as_array().unwrap() else {
        panic!("{all}")
    };
    assert_eq!(
        (
            &service["name"],
            &service["tiers"],
            &service["capabilities"]
        ),
        (&json!("fun"), &json!([0, 1]), &json!(["jokes"]))
    );
    assert_eq!(
        service["resources"],
        json!([
            {
                "path": "/jokes/*", "method": "GET", "capability": "jokes", "description": "jokes",
                "pricing": { "model": "fixed", "price_msat": 10_000 }, "constraints": { "valid_secs": 3_600, "max_uses": null },
            },
            {
                "path": "/joke", "method": "GET",
                "pricing": { "model": "fixed", "price_msat": 2_500 }, "constraints": { "valid_secs": 3_600, "max_uses": 1 },
            },
        ])
    );
    assert!(all["caveats"]["fun_valid_until"].is_object());
    let path = "/.well-known/l402.json";
    let refused = shop.send(Method::POST, path, &[]).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    let preflight = shop.send(Method::OPTIONS, path, &[]).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
}

const ROUTES: &str = "[[route]]\nmatch = \"GET /jokes/*\"\nprice = [\"10 sat\"]\ndescription = \"jokes\"\n\
    l402 = { uses = 3, valid_secs = 7200 }\n\
    [[route]]\nmatch = \"POST /joke\"\nprice = \"2500 msat\"\n\
    [[route]]\nmatch = \"GET /free\"\nprice = \"free\"\n";

#[tokio::test]
async fn what_a_request_would_cost_is_told_without_an_invoice() {
    // One invoice a minute: a quote takes none of it.
    let one = "invoices_per_minute = 1\n";
    let shop = open_with("http://127.0.0.1:1", "", one, ROUTES)
        .await
        .unwrap();
    let list = document(&shop, "/.well-known/l402-services").await;
    assert_eq!(list["version"], "1");
    assert_eq!(
        list["quote"],
        "https://api.example/.well-known/faregate-quote"
    );
    let routes = list["routes"].as_array().unwrap();
    let names: Vec<_> = routes.iter().map(|route| &route["match"]).collect();
    assert_eq!(
        names,
        ["GET /jokes/*", "POST /joke"],
        "what is free is not listed"
    );
    let jokes = json!({
        "match": "GET /jokes/*", "host": null, "method": "GET", "free": false, "settle": "after", "description": "jokes",
        "prices": [{
            "rail": "l402", "network": "regtest", "amountMsat": "10000", "service": "api.example", "tier": 0, "capability": null,
            "uses": 3, "validSecs": 7200, "scope": "route", "boundToClient": false,
        }],
    });
    assert_eq!(routes[0], jokes);

    let quote = |query: &str| format!("/.well-known/faregate-quote{query}");
    for _ in 0..5 {
        let told = document(&shop, &quote("?path=/jokes/a%20b")).await;
        assert_eq!(
            told,
            json!({ "version": "1", "method": "GET", "path": "/jokes/a%20b", "route": jokes })
        );
    }
    let post = document(&shop, &quote("?method=POST&path=/joke")).await;
    assert_eq!(post["route"]["prices"][0]["amountMsat"], "2500");
    let head = document(&shop, &quote("?method=HEAD&path=/jokes/1")).await;
    assert_eq!(head["route"]["prices"], jokes["prices"], "sold like GET");
    let free = document(&shop, &quote("?path=/free")).await;
    assert_eq!(
        (&free["route"]["free"], &free["route"]["prices"]),
        (&json!(true), &json!([]))
    );
    for (query, status) in [
        ("", 400),
        ("?path=", 400),
        ("?path=/joke", 404),
        ("?path=/nothing", 404),
        ("?path=/a&path=/b", 400),
        ("?path=/a&price=1", 400),
        ("?path=/jokes/../x", 400),
        ("?path=/jokes/%zz", 400),
        ("?path=/joke&method=a%20b", 400),
        ("?path=%ff", 400),
    ] {
        let answer = shop.send(Method::GET, &quote(query), &[]).await;
        assert_eq!(answer.status().as_u16(), status, "{query}");
    }
    let refused = shop.send(Method::POST, &quote("?path=/joke"), &[]).await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    let unpaid = shop.send(Method::GET, "/jokes/1", &[]).await;
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let limited = shop.send(Method::GET, "/jokes/1", &[]).await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_limits_of_its_own() {
    let one = "invoices_per_minute = 1\n";
    let ask = async |shop: &Shop, forwarded: &str| {
        let headers = [("x-forwarded-for", forwarded)];
        let answer = shop.send(Method::GET, "/jokes/1", &headers).await;
        answer.status().as_u16()
    };
    let trusting = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";
    let shop = open_with("http://127.0.0.1:1", trusting, one, ROUTES)
        .await
        .unwrap();
    assert_eq!(ask(&shop, "203.0.113.1").await, 402);
    assert_eq!(ask(&shop, "203.0.113.1").await, 429);
    assert_eq!(ask(&shop, "203.0.113.2, 10.0.0.7").await, 402);
    // Whatever a client writes before what the proxy says of it.
    assert_eq!(ask(&shop, "198.51.100.1, 203.0.113.1").await, 429);
    assert_eq!(ask(&shop, "198.51.100.2, 203.0.113.2").await, 429);

    // Without a word about proxies all of them are one client.
    let shop = open_with("http://127.0.0.1:1", "", one, ROUTES)
        .await
        .unwrap();
    assert_eq!(ask(&shop, "203.0.113.1").await, 402);
    assert_eq!(ask(&shop, "203.0.113.2").await, 429);
}
