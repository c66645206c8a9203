//! The four calls, in the shapes of l402kit's service (specs/l402.md §2.4, §2.5).

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use faregate_http::Reach;
use faregate_ledger::LedgerStore as _;
use faregate_server::health::Readiness;
use faregate_server::http::Peer;
use faregate_server::managed::{self, OwnerRule, Owners, Settings};
use faregate_types::l402::UnsignedToken;
use faregate_types::lightning::{Bolt11, Msat, Preimage};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::kit::{World, owner};

fn open() -> Settings {
    Settings {
        owners: Owners::Anybody,
        ..Settings::default()
    }
}

async fn service(world: &World, settings: Settings) -> Router {
    let store = Arc::<faregate_store::memory::MemoryLedger>::clone(&world.ledger);
    let readiness = Readiness::new(store, None);
    let router = managed::router(world.custody(), readiness, world.core_clock(), settings);
    router.await.unwrap()
}

struct Told {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

async fn send(router: &Router, peer: [u8; 4], request: Request<Body>) -> Told {
    let mut request = request;
    request
        .extensions_mut()
        .insert(Peer(SocketAddr::from((peer, 9))));
    let answer = router.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Told {
        status: head.status,
        headers: head.headers,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

const SELLER: [u8; 4] = [203, 0, 113, 7];

async fn post(router: &Router, path: &str, body: &Value) -> Told {
    let request = Request::post(path).header("content-type", "application/json");
    send(
        router,
        SELLER,
        request.body(body.to_string().into()).unwrap(),
    )
    .await
}

async fn get(router: &Router, path: &str) -> Told {
    send(
        router,
        SELLER,
        Request::get(path).body(Body::empty()).unwrap(),
    )
    .await
}

fn ask(sats: u64) -> Value {
    json!({ "amountSats": sats, "ownerAddress": owner().as_str() })
}

#[tokio::test]
async fn an_invoice_is_made_as_l402kits_sellers_expect_it() {
    let world = World::new().await;
    let router = service(&world, open()).await;
    let made = post(&router, "/api/invoice", &ask(10)).await;
    assert_eq!(made.status, 200);
    let invoice = Bolt11::parse(made.json["paymentRequest"].as_str().unwrap()).unwrap();
    assert_eq!(invoice.amount(), Some(Msat::new(10_000)));
    let hash = invoice.payment_hash().to_string();
    assert_eq!(made.json["paymentHash"], hash.as_str());
    assert_eq!(made.json.as_object().unwrap().len(), 3);
    // Share and fee stand in the books before the answer.
    let open = world.ledger.open_payments(9).await.unwrap();
    let names = open
        .iter()
        .map(|entry| entry.claim.transfer.credit.to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["operator/fees", "owner/owner@wallet.example"]);
}

#[tokio::test]
async fn what_is_no_invoice_is_400_and_what_may_not_be_is_403() {
    let world = World::new().await;
    let router = service(&world, open()).await;
    let address = owner().to_string();
    for bad in [
        json!({}),
        json!([]),
        json!("x"),
        json!({ "amountSats": 10 }),
        json!({ "ownerAddress": address }),
        json!({ "amountSats": 0, "ownerAddress": address }),
        json!({ "amountSats": 1, "ownerAddress": address }),
        json!({ "amountSats": -1, "ownerAddress": address }),
        json!({ "amountSats": 1.5, "ownerAddress": address }),
        json!({ "amountSats": "10", "ownerAddress": address }),
        json!({ "amountSats": u64::MAX, "ownerAddress": address }),
        json!({ "amountSats": 1_000_001, "ownerAddress": address }),
        json!({ "amountSats": 10, "ownerAddress": "nobody" }),
        json!({ "amountSats": 10, "ownerAddress": "a@b/../c" }),
        json!({ "amountSats": 10, "ownerAddress": "x".repeat(10_000) }),
    ] {
        let told = post(&router, "/api/invoice", &bad).await;
        assert_eq!(told.status, 400, "{bad}");
    }
    let long = json!({ "amountSats": 10, "ownerAddress": "x".repeat(20_000) });
    assert_eq!(post(&router, "/api/invoice", &long).await.status, 413);
    assert!(world.ledger.open_payments(9).await.unwrap().is_empty());
    let owners = Owners::These(vec![
        OwnerRule::Host("ours.example".into()),
        OwnerRule::Address("one@other.example".parse().unwrap()),
    ]);
    let settings = Settings { owners, ..open() };
    let router = service(&world, settings).await;
    for (address, status) in [
        ("any@ours.example", 200),
        ("one@other.example", 200),
        ("One@Other.Example", 200),
        ("two@other.example", 403),
        ("any@not.ours.example", 403),
        ("any@ours.example:81", 403),
    ] {
        let asked = json!({ "amountSats": 10, "ownerAddress": address });
        let told = post(&router, "/api/invoice", &asked).await;
        assert_eq!(told.status.as_u16(), status, "{address}");
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let world = World::new().await;
    let settings = Settings {
        invoices_per_minute: NonZeroU32::new(3).unwrap(),
        registrations_per_hour: NonZeroU32::new(2).unwrap(),
        invoices_per_minute_all: NonZeroU32::new(4).unwrap(),
        ..open()
    };
    let router = service(&world, settings).await;
    let from = async |peer: [u8; 4], path: &str, body: &Value| {
        let request = Request::post(path).body(body.to_string().into()).unwrap();
        send(&router, peer, request).await
    };
    for _ in 0..3 {
        assert_eq!(
            from([203, 0, 113, 1], "/api/invoice", &ask(10))
                .await
                .status,
            200
        );
    }
    let told = from([203, 0, 113, 1], "/api/invoice", &ask(10)).await;
    assert_eq!(told.status, 429);
    assert!(told.headers.contains_key("retry-after"));
    assert_eq!(
        from([203, 0, 113, 2], "/api/invoice", &ask(10))
            .await
            .status,
        200
    );
    // All together have a limit, too.
    assert_eq!(
        from([203, 0, 113, 3], "/api/invoice", &ask(10))
            .await
            .status,
        429
    );
    for status in [400, 400, 429] {
        let told = from([203, 0, 113, 4], "/api/register", &json!({})).await;
        assert_eq!(told.status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_token_is_valid_when_its_invoice_is_ours_and_paid() {
    let world = World::new().await;
    let router = service(&world, open()).await;
    let made = post(&router, "/api/invoice", &ask(10)).await;
    let macaroon = made.json["macaroon"].as_str().unwrap();
    let check = async |token: String| {
        let told = post(&router, "/api/verify", &json!({ "token": token })).await;
        assert_eq!(told.status, 200);
        (
            told.json["valid"].as_bool().unwrap(),
            told.json["error"].as_str().map(str::to_owned),
        )
    };
    let invoice = Bolt11::parse(made.json["paymentRequest"].as_str().unwrap()).unwrap();
    let faregate_core::port::lightning::PayOutcome::Paid(paid) = world.pay(&invoice).await else {
        panic!("not paid");
    };
    let good = format!("{macaroon}:{}", hex::encode(paid.preimage.expose()));
    assert!(UnsignedToken::parse(&good).is_ok());
    assert_eq!(check(good.clone()).await, (true, None));
    // H1: whoever invents a preimage has such a token, too.
    let invented = Preimage::from_bytes([7; 32]);
    let now_ms = world.core_clock().now().as_secs() * 1_000;
    let forged = faregate_types::l402::unsigned_token(invented.hash(), now_ms + 60_000);
    let forged = format!("{forged}:{}", "07".repeat(32));
    let said = check(forged).await;
    assert_eq!(
        said,
        (false, Some("no such invoice was made here".to_owned()))
    );
    for bad in [
        String::new(),
        "x".to_owned(),
        format!("{macaroon}:{}", "00".repeat(32)),
        "x".repeat(5_000),
    ] {
        let (valid, error) = check(bad).await;
        assert!(!valid && error.is_some());
    }
    world.later(3_601);
    assert!(!check(good).await.0, "expired");
    assert_eq!(post(&router, "/api/verify", &json!({})).await.status, 400);
}

#[tokio::test]
async fn l402_hole_13_what_l402kits_service_has_besides_is_not_there() {
    let world = World::new().await;
    let router = service(&world, open()).await;
    // H13: their login takes any signature.
    for path in [
        "/api/lnurl-auth",
        "/api/lnurl-auth?tag=login",
        "/api/delete-data",
        "/api/split",
        "/api/blink-webhook",
        "/api/stats",
        "/",
    ] {
        assert_eq!(get(&router, path).await.status, 404, "{path}");
        assert_eq!(post(&router, path, &json!({})).await.status, 404, "{path}");
    }
    assert_eq!(get(&router, "/api/invoice").await.status, 405);
    assert_eq!(get(&router, "/livez").await.status, 200);
    assert_eq!(get(&router, "/readyz").await.status, 200);
}

/// A host that says this at `/.well-known/l402.txt`, and how often it was asked.
async fn host(text: &'static str) -> String {
    let app = Router::new().route(
        "/.well-known/l402.txt",
        axum::routing::get(async move || text),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn entry(url: &str, name: &str, address: &str) -> Value {
    // As l402kit sends it.
    json!({
        "url": url, "name": name, "price_sats": 10, "lightning_address": address,
        "description": null, "category": "data",
    })
}

#[tokio::test]
async fn an_entry_is_verified_by_its_host_and_stays_in_the_directory() {
    let world = World::new().await;
    let settings = Settings {
        reach: Reach::Anywhere,
        ..open()
    };
    let router = service(&world, settings).await;
    let api = format!("{}/v1/data", host("# paid to\nme@wallet.example\n").await);
    let told = post(
        &router,
        "/api/register",
        &entry(&api, "Mine", "me@wallet.example"),
    )
    .await;
    assert_eq!(told.status, 200);
    assert_eq!(
        (&told.json["ok"], &told.json["verified"]),
        (&json!(true), &json!(true))
    );
    assert!(told.json["key"].is_string() && told.json["id"].is_string());
    let other = "https://unverified.example/";
    let told = post(
        &router,
        "/api/register",
        &entry(other, "Other", "me@wallet.example"),
    )
    .await;
    assert_eq!(
        (told.status.as_u16(), &told.json["verified"]),
        (200, &json!(false))
    );
    let list = get(&router, "/api/apis.json").await;
    assert_eq!(list.headers["access-control-allow-origin"], "*");
    assert_eq!(
        (&list.json["version"], &list.json["count"]),
        (&json!("1"), &json!(2))
    );
    // Theirs leaves out what is verified.
    assert_eq!(list.json["apis"][0]["url"], api.as_str());
    assert_eq!(list.json["apis"][0]["verified"], true);
    assert!(!list.json.to_string().contains("key"));
    assert_eq!(
        get(&router, "/api/apis.json?category=data").await.json["count"],
        2
    );
    assert_eq!(
        get(&router, "/api/apis.json?category=ai").await.json["count"],
        0
    );
}

#[tokio::test]
async fn a_stranger_changes_nobodys_entry() {
    let world = World::new().await;
    let router = service(&world, open()).await;
    let url = "https://api.example/v1";
    let told = post(
        &router,
        "/api/register",
        &entry(url, "Mine", "me@wallet.example"),
    )
    .await;
    let key = told.json["key"].as_str().unwrap().to_owned();
    // The program of the seller starts again, and says the same.
    let same = post(
        &router,
        "/api/register",
        &entry(url, "Mine", "me@wallet.example"),
    )
    .await;
    assert_eq!((same.status.as_u16(), same.json.get("key")), (200, None));
    for (name, address) in [
        ("Worse", "me@wallet.example"),
        ("Mine", "thief@wallet.example"),
    ] {
        let told = post(&router, "/api/register", &entry(url, name, address)).await;
        assert_eq!(told.status, 403);
    }
    let with = async |key: &str| {
        let request =
            Request::post("/api/register").header("authorization", format!("Bearer {key}"));
        let body = entry(url, "Better", "me@wallet.example").to_string();
        send(&router, SELLER, request.body(body.into()).unwrap()).await
    };
    assert_eq!(with("0123456789abcdef").await.status, 403);
    assert_eq!(with("short").await.status, 400);
    assert_eq!(with(&key).await.status, 200);
    assert_eq!(
        get(&router, "/api/apis.json").await.json["apis"][0]["name"],
        "Better"
    );
}

#[tokio::test]
async fn hosts_on_this_network_are_not_asked_unless_the_operator_says_so() {
    let world = World::new().await;
    // Connections are counted, not requests: nothing may get so far.
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let settings = Settings {
        registrations_per_hour: NonZeroU32::new(100).unwrap(),
        ..open()
    };
    let router = service(&world, settings).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/{scheme}");
            let told = post(
                &router,
                "/api/register",
                &entry(&url, "Mine", "me@wallet.example"),
            )
            .await;
            assert_eq!(
                (told.status.as_u16(), &told.json["verified"]),
                (200, &json!(false)),
                "{url}"
            );
        }
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let private = Settings {
        reach: Reach::Anywhere,
        ..open()
    };
    let router = service(&world, private).await;
    let url = format!("https://127.0.0.1:{port}/");
    post(
        &router,
        "/api/register",
        &entry(&url, "Mine", "me@wallet.example"),
    )
    .await;
    assert!(asked.load(Ordering::SeqCst) > 0, "the operator said so");
}

#[tokio::test]
async fn a_host_is_not_followed_elsewhere_and_not_listened_to_for_long() {
    let world = World::new().await;
    let settings = Settings {
        reach: Reach::Anywhere,
        ..open()
    };
    let router = service(&world, settings).await;
    let elsewhere = host("me@wallet.example").await;
    let to = format!("{elsewhere}/.well-known/l402.txt");
    let app = Router::new().route(
        "/.well-known/l402.txt",
        axum::routing::get(async move || (StatusCode::FOUND, [("location", to)])),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirects = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let huge: &'static str = Box::leak(format!("me@wallet.example {}", "x".repeat(9_000)).into());
    let huge = host(huge).await;
    for url in [redirects, huge] {
        let told = post(
            &router,
            "/api/register",
            &entry(&url, "Mine", "me@wallet.example"),
        )
        .await;
        assert_eq!(
            (told.status.as_u16(), &told.json["verified"]),
            (200, &json!(false)),
            "{url}"
        );
    }
}
