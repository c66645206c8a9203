//! The service as a whole: its calls and their document, errors, sizes, rates, pages of other origins, health, stopping.

use std::collections::BTreeSet;
use std::time::Duration;

use faregate_server::credit::ChainStanding;
use faregate_types::Address;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kit::{World, count, loopback, payer, recipient, settings, wallet};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::PATCH,
];

#[tokio::test]
async fn the_document_has_every_call_and_no_other() {
    let world = World::new().await;
    let document = world.get(None, "/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        let told = path.replace(['{', '}'], "");
        for method in METHODS {
            let request = world.request(method.clone(), &told).json(&json!({}));
            let there = world.send(request).await.status != StatusCode::METHOD_NOT_ALLOWED;
            let said = operations.get(method.as_str().to_lowercase());
            assert_eq!(there, said.is_some(), "{method} {path}");
            if let Some(said) = said {
                assert!(names.insert(said["operationId"].as_str().unwrap().to_owned()));
            }
        }
    }
    // What specs/4mica.md §1.2 lists, but for metrics, and what only we have.
    let spec = [
        "/core/guarantees/check",
        "/core/public-params",
        "/core/health",
        "/core/tokens",
        "/core/payment-tabs",
        "/core/guarantees",
        "/core/tabs/{tab_id}",
        "/core/tabs/{tab_id}/guarantees",
        "/core/tabs/{tab_id}/guarantees/latest",
        "/core/tabs/{tab_id}/guarantees/{req_id}",
        "/core/tabs/{tab_id}/collateral-events",
        "/core/recipients/{address}/tabs",
        "/core/recipients/{address}/settled-tabs",
        "/core/recipients/{address}/pending-remunerations",
        "/core/recipients/{address}/payments",
        "/core/users/{address}/tabs",
        "/core/users/{address}/assets/{asset}",
        "/core/users/{address}/suspension",
        "/core/admin/api-keys",
        "/core/admin/api-keys/{id}/revoke",
        "/auth/nonce",
        "/auth/verify",
        "/auth/refresh",
        "/auth/logout",
    ];
    for path in spec {
        assert!(paths.contains_key(path), "{path}");
    }
    // Nothing refers to what is not there.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

/// Members of an answer, against the document.
fn check(document: &Value, name: &str, answer: &Value) {
    let schema = &document["components"]["schemas"][name];
    let said: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let told: BTreeSet<&String> = answer.as_object().unwrap().keys().collect();
    let required = schema["required"].as_array().unwrap().iter();
    let missing = required.filter(|one| !told.iter().any(|told| told.as_str() == *one));
    assert_eq!(missing.count(), 0, "{name}: {told:?}");
    assert!(told.is_subset(&said), "{name}: {told:?}");
}

#[tokio::test]
async fn answers_look_as_the_document_says() {
    let world = World::new().await;
    let document = world.get(None, "/openapi.json").await.ok();
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let asked = json!({ "address": recipient().text() });
    let nonce = world.post(None, "/auth/nonce", &asked).await.ok();
    check(&document, "SignInTemplate", &nonce["siwe"]);
    check(&document, "NonceAnswer", &nonce);
    let message = world.message(&recipient()).await;
    let tokens = world.verify(&recipient(), &message).await.ok();
    check(&document, "Tokens", &tokens);
    let token = tokens["access_token"].as_str().unwrap();
    let tab = world.tab(token).await;
    let body = world.signed(&tab, 0, 10);
    check(&document, "GuaranteeRequest", &body);
    let issued = world
        .post(Some(token), "/core/guarantees", &body)
        .await
        .ok();
    check(&document, "Certificate", &issued);
    let get = async |path: String| world.get(Some(token), &path).await.ok();
    check(
        &document,
        "PublicParams",
        &get("/core/public-params".into()).await,
    );
    check(&document, "Health", &get("/core/health".into()).await);
    let tokens = get("/core/tokens".into()).await;
    check(&document, "SupportedTokens", &tokens);
    check(&document, "SupportedToken", &tokens["tokens"][0]);
    check(
        &document,
        "TabInfo",
        &get(format!("/core/tabs/{tab}")).await,
    );
    check(
        &document,
        "GuaranteeInfo",
        &get(format!("/core/tabs/{tab}/guarantees/0")).await,
    );
    check(
        &document,
        "CollateralEvent",
        &get(format!("/core/tabs/{tab}/collateral-events")).await[0],
    );
    let seller = format!("/core/recipients/{}", recipient().text());
    check(
        &document,
        "PendingRemuneration",
        &get(format!("{seller}/pending-remunerations")).await[0],
    );
    let balance = format!("/core/users/{}/assets/{}", payer().text(), Address::ZERO);
    check(&document, "AssetBalance", &get(balance).await);
    let error = world.get(None, "/core/tabs/0x1").await;
    check(&document, "Error", &error.json);
}

#[tokio::test]
async fn parameters_are_those_that_both_sdks_read() {
    let world = World::new().await;
    let params = world.get(None, "/core/public-params").await.ok();
    let key = params["public_key"].as_array().unwrap();
    assert!(key.len() == 48 && key.iter().all(|byte| byte.as_u64().unwrap() < 256));
    assert_eq!(params["ethereum_http_rpc_url"], "");
    assert_eq!(
        (&params["eip712_name"], &params["chain_id"]),
        (&json!("4mica"), &json!(84_532))
    );
    assert_eq!(params["max_accepted_guarantee_version"], 2);
    assert_eq!(params["req_ids"], "strict");
    let domain = params["active_guarantee_domain_separator"]
        .as_str()
        .unwrap();
    let expected = faregate_types::credit::certificate::domain_separator(
        faregate_types::credit::GuaranteeVersion::V2,
        crate::kit::CHAIN,
        crate::kit::contract(),
    );
    assert_eq!(domain, expected.to_string());
    assert_eq!(
        params["validation_hash_canonicalization_version"],
        "4MICA_VALIDATION_REQUEST_V2"
    );
}

#[tokio::test]
async fn every_error_is_a_text_under_error() {
    let world = World::new().await;
    let token = world.token(&recipient()).await;
    for (method, path, expected) in [
        (Method::GET, "/", 404),
        (Method::GET, "/core", 404),
        (Method::GET, "/core/tabs/0x1/", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/core/tabs/%ff", 400),
        (Method::GET, "/core/tabs/zz", 400),
        (Method::GET, "/core/tabs/-1", 400),
        (Method::GET, "/core/tabs/0x1/guarantees/x", 400),
        (Method::GET, "/core/recipients/x/tabs", 400),
        (Method::GET, "/core/users/0x1/assets/0x2", 400),
        (Method::GET, "/core/payment-tabs", 405),
        (Method::DELETE, "/core/health", 405),
        (Method::OPTIONS, "/core/health", 405),
        (Method::POST, "/core/payment-tabs", 400),
        (Method::POST, "/core/guarantees", 400),
        (Method::POST, "/auth/nonce", 400),
        (Method::POST, "/auth/verify", 400),
    ] {
        let told = world
            .send(world.request(method.clone(), path).bearer_auth(&token))
            .await;
        assert_eq!(told.status.as_u16(), expected, "{method} {path}");
        assert!(
            told.json["error"].is_string(),
            "{method} {path}: {}",
            told.json
        );
    }
    // A body that is none, too large, of another type.
    let nonce = || world.request(Method::POST, "/auth/nonce");
    for odd in [
        "",
        "{",
        "[]",
        "null",
        "{\"address\":1}",
        "{\"address\":\"0x1\"}",
        "\u{0}",
    ] {
        let told = world
            .send(nonce().header("content-type", "application/json").body(odd))
            .await;
        assert_eq!(told.status, 400, "{odd}");
        assert!(told.json["error"].is_string());
    }
    let large = format!("{{\"address\":\"{}\"}}", "0".repeat(64 * 1024));
    assert_eq!(world.send(nonce().body(large)).await.status, 413);
    let form = nonce().header("content-type", "text/plain").body("{}");
    assert_eq!(world.send(form).await.status, 415);
}

#[tokio::test]
async fn an_address_that_calls_too_often_is_told_when_to_come_back() {
    let mut few = settings(true);
    few.rates.calls_per_second = count(2);
    few.rates.sign_ins_per_minute = count(3);
    few.proxies = loopback();
    let world = World::with(few).await;
    let from = async |address: &str, path: &str| {
        let method = if path.starts_with("/auth") {
            Method::POST
        } else {
            Method::GET
        };
        let request = world
            .request(method, path)
            .header("x-forwarded-for", address);
        let request = request.json(&json!({ "address": payer().text() }));
        world.send(request).await
    };
    // Two at once, however slow the machine is.
    let mut limited = false;
    for _ in 0..500 {
        let told = from("203.0.113.1", "/core/tokens").await;
        if told.status == 429 {
            assert_eq!(told.error().1, "too many requests");
            assert!(told.headers.contains_key("retry-after"));
            limited = true;
            break;
        }
    }
    assert!(limited);
    for _ in 0..3 {
        assert_eq!(from("203.0.113.2", "/auth/nonce").await.status, 200);
    }
    assert_eq!(from("203.0.113.2", "/auth/nonce").await.status, 429);
    assert_eq!(from("203.0.113.3", "/auth/nonce").await.status, 200);
}

#[tokio::test]
async fn whoever_tries_keys_is_stopped() {
    let mut behind = settings(true);
    behind.proxies = loopback();
    let world = World::with(behind).await;
    let from = async |address: &str, key: &str| {
        let request = world.request(Method::GET, "/core/admin/api-keys");
        let request = request.header("x-forwarded-for", address);
        world
            .send(request.header("x-api-key", key))
            .await
            .status
            .as_u16()
    };
    let guess = format!("ak_{}.{}", "0".repeat(32), "0".repeat(64));
    assert_eq!(from("203.0.113.9", &guess).await, 401);
    let mut told = 401;
    for _ in 0..2_000 {
        told = from("203.0.113.9", &guess).await;
        if told == 429 {
            break;
        }
    }
    assert_eq!(told, 429);
    // Also with the right one now; and nobody else is.
    let good = faregate_types::credit::AdminKey::bootstrap(crate::kit::SEED.as_bytes());
    assert_eq!(from("203.0.113.9", good.to_text().as_str()).await, 429);
    assert_eq!(from("203.0.113.10", good.to_text().as_str()).await, 200);
}

#[tokio::test]
async fn a_wallet_that_calls_too_often_is_told_so_wherever_it_is() {
    let mut few = settings(true);
    few.rates.wallet_calls_per_second = count(1);
    let world = World::with(few).await;
    let path = format!("/core/recipients/{}/tabs", recipient().text());
    let token = world.token(&recipient()).await;
    let mut told = BTreeSet::new();
    for _ in 0..500 {
        told.insert(world.get(Some(&token), &path).await.status.as_u16());
        if told.len() > 1 {
            break;
        }
    }
    assert_eq!(told, BTreeSet::from([200, 429]));
    let other = world.token(&wallet(9)).await;
    let path = format!("/core/recipients/{}/tabs", wallet(9).text());
    assert_eq!(world.get(Some(&other), &path).await.status, 200);
}

#[tokio::test]
async fn a_wallet_signs_in_so_many_times_in_a_minute() {
    let world = World::new().await;
    let mut told = 200;
    for _ in 0..500 {
        let message = world.message(&payer()).await;
        told = world.verify(&payer(), &message).await.status.as_u16();
        if told != 200 {
            break;
        }
    }
    assert_eq!(told, 429);
    world.token(&recipient()).await;
}

#[tokio::test]
async fn pages_of_other_origins_call_when_the_file_names_them() {
    let ask = async |world: &World, origin: &str, method: Method| {
        let request = world
            .request(method, "/core/tokens")
            .header("origin", origin);
        let told = world
            .send(request.header("access-control-request-method", "GET"))
            .await;
        let allowed = told.headers.get("access-control-allow-origin").cloned();
        (
            told.status.as_u16(),
            allowed.map(|value| value.to_str().unwrap().to_owned()),
        )
    };
    let shop = "https://shop.example";
    let closed = World::new().await;
    assert_eq!(ask(&closed, shop, Method::GET).await, (200, None));
    assert_eq!(ask(&closed, shop, Method::OPTIONS).await, (405, None));
    let mut open = settings(true);
    open.origins = vec![shop.parse().unwrap()];
    let open = World::with(open).await;
    assert_eq!(
        ask(&open, shop, Method::GET).await,
        (200, Some(shop.to_owned()))
    );
    assert_eq!(
        ask(&open, shop, Method::OPTIONS).await,
        (204, Some(shop.to_owned()))
    );
    assert_eq!(
        ask(&open, "https://evil.example", Method::GET).await,
        (200, None)
    );
    assert_eq!(
        ask(&open, "https://evil.example", Method::OPTIONS).await,
        (405, None)
    );
}

#[tokio::test]
async fn health_says_what_is_away() {
    let world = World::new().await;
    let well = json!({ "status": "ok", "db": "ok", "chain_rpc": "ok", "listener_ready": true, "forked_at": null });
    assert_eq!(world.get(None, "/core/health").await.ok(), well);
    world.chain.send_replace(ChainStanding::Away);
    let told = world.get(None, "/core/health").await;
    assert_eq!(told.status, 503);
    assert_eq!(
        (
            &told.json["status"],
            &told.json["db"],
            &told.json["chain_rpc"]
        ),
        (&json!("fail"), &json!("ok"), &json!("fail"))
    );
    assert_eq!(told.json["forked_at"], Value::Null);
    world.chain.send_replace(ChainStanding::Forked { block: 7 });
    let told = world.get(None, "/core/health").await;
    assert_eq!(
        (told.status, &told.json["forked_at"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(7))
    );
    // The process lives all the same.
    assert_eq!(world.get(None, "/livez").await.status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_was_begun() {
    let world = World::with(settings(false)).await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let opened = json!({ "user_address": payer().text(), "recipient_address": recipient().text() });
    let tab = world.post(None, "/core/payment-tabs", &opened).await.ok();
    let body = world.signed(tab["id"].as_str().unwrap(), 0, 10).to_string();
    // A request that is being read when the service is told to stop.
    let mut socket = TcpStream::connect(world.addr).await.unwrap();
    let head = format!(
        "POST /core/guarantees HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    let addr = world.addr;
    let stopping = tokio::spawn(world.stop());
    while TcpStream::connect(addr).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("signature"),
        "{answer}"
    );
    stopping.await.unwrap();
}

/// On books that the chain left behind nothing is promised, and what was promised can be read; a chain that is only away stops
/// nobody.
#[tokio::test]
async fn nothing_is_promised_while_the_chain_has_left_the_books() {
    let world = World::with(settings(false)).await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let opened = json!({ "user_address": payer().text(), "recipient_address": recipient().text() });
    let open = || world.post(None, "/core/payment-tabs", &opened);
    let tab = open().await.ok()["id"].as_str().unwrap().to_owned();
    let issue = |req| {
        let signed = world.signed(&tab, req, 10);
        let world = &world;
        async move { world.post(None, "/core/guarantees", &signed).await }
    };
    world.chain.send_replace(ChainStanding::Away);
    issue(0).await.ok();
    world.chain.send_replace(ChainStanding::Forked { block: 7 });
    for refused in [issue(1).await, open().await] {
        let (status, text) = refused.error();
        assert!(
            status == 503 && text.contains("at block 7"),
            "{status} {text}"
        );
        assert_eq!(refused.json["code"], "chain_forked");
        assert_eq!(refused.headers["retry-after"], "60");
    }
    let path = format!("/core/tabs/{tab}/guarantees");
    assert_eq!(
        world.get(None, &path).await.ok().as_array().unwrap().len(),
        1
    );
    world.chain.send_replace(ChainStanding::Followed);
    issue(1).await.ok();
}
