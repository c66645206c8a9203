//! The tab endpoint over HTTP, over a core that counts: the table at the top of `tabs.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    dead_code,
    reason = "tests may"
)]

#[path = "../../faregate-core/tests/support/credit_world.rs"]
mod credit_world;
#[path = "../../faregate-core/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::body::{Body, Bytes, to_bytes};
use faregate_core::{Offer, SettlePolicy};
use faregate_tower::limits::{NEW_TABS_PER_MINUTE, TAB_BODY_WAIT};
use faregate_tower::{Cors, Peer, TabDesk};
use faregate_types::Address;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderValue, Method, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use credit_world::{PAYER, SHOP, World, offer, offer_and_exact, offer_with};

struct Heard {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

struct Shop {
    world: World,
    desk: TabDesk,
}

impl Shop {
    fn selling(world: World, offers: &[Offer]) -> Self {
        let tabs = world.credit.tabs().clone();
        let desk = TabDesk::new("/tabs", tabs, offers, Cors::Any);
        Self { world, desk }
    }

    fn new() -> Self {
        Self::selling(World::new(), &[offer(), offer_and_exact()])
    }

    async fn send(&self, method: Method, body: Body, from: Option<&str>) -> Heard {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = "/tabs".parse().unwrap();
        if let Some(from) = from {
            let peer: SocketAddr = format!("{from}:1").parse().unwrap();
            request.extensions_mut().insert(Peer(peer));
        }
        let (head, body) = self.desk.answer(request).await.into_parts();
        let body = to_bytes(body, 100_000).await.unwrap();
        Heard {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn post(&self, body: &Value) -> Heard {
        self.send(Method::POST, body.to_string().into(), None).await
    }
}

fn requirements(version: u64) -> Value {
    let offer = offer();
    let ask = offer.asks()[0].as_credit().unwrap().clone();
    let condition = ask.condition.unwrap();
    json!({
        "scheme": "4mica-credit", "network": "eip155:84532", "payTo": SHOP, "asset": ask.asset.token(),
        (if version == 1 { "maxAmountRequired" } else { "amount" }): "1000", "maxTimeoutSeconds": 60,
        "extra": {
            "tabEndpoint": &*ask.tab_endpoint, "validationRegistryAddress": condition.registry,
            "validatorAddress": condition.validator, "validatorAgentId": "7", "minValidationScore": 80,
            "jobHash": condition.job_hash,
        },
    })
}

fn asked(version: u64) -> Value {
    json!({ "x402Version": version, "userAddress": PAYER, "paymentRequirements": requirements(version),
            "resource": { "url": "https://api.example.com/joke", "description": "", "mimeType": "" } })
}

#[tokio::test]
async fn who_shows_an_offer_gets_its_tab_and_every_time_another_number() {
    let shop = Shop::new();
    let mut old = asked(1);
    old.as_object_mut().unwrap().remove("x402Version");
    let short =
        json!({ "userAddress": PAYER, "recipientAddress": SHOP, "network": "base-sepolia" });
    let mut worth = asked(2);
    worth["paymentRequirements"]["amount"] = "7".into();
    let mut numbers = BTreeSet::new();
    for (body, tab) in [
        (asked(1), "0x2a"),
        (old, "0x2a"),
        (short, "0x2a"),
        (asked(2), "0x2b"),
        (worth, "0x2b"),
    ] {
        let heard = shop.post(&body).await;
        assert_eq!(heard.status, 200, "{body}: {}", heard.body);
        assert_eq!(heard.headers["cache-control"], "no-store");
        assert_eq!(heard.headers["access-control-allow-origin"], "*");
        let ticket = &heard.body;
        assert_eq!(ticket["tabId"], tab);
        assert_eq!(ticket["userAddress"], PAYER.to_string());
        assert_eq!(ticket["recipientAddress"], SHOP.to_string());
        assert_eq!(ticket["startTimestamp"], 1_716_500_000);
        assert_eq!(ticket["ttlSeconds"], 86_400);
        let number = ticket["nextReqId"].as_str().unwrap().to_owned();
        assert!(numbers.insert((tab, number)), "{ticket}");
    }
    assert_eq!(shop.world.core.opened(), 2);
}

#[tokio::test]
async fn a_hundred_at_once_get_a_hundred_numbers() {
    let shop = Shop::new();
    shop.post(&asked(1)).await;
    let body = asked(1);
    let all = futures_util::future::join_all((0..100).map(|_| shop.post(&body))).await;
    let number = |heard: &Heard| heard.body["nextReqId"].to_string();
    let numbers: BTreeSet<String> = all.iter().map(number).collect();
    assert_eq!((numbers.len(), shop.world.core.opened()), (100, 1));
}

#[tokio::test]
async fn what_cannot_be_given_has_a_code() {
    let shop = Shop::new();
    let with = |version, change: &dyn Fn(&mut Value)| {
        let mut body = asked(version);
        change(&mut body);
        body
    };
    let offered = |member: &'static str, value: Value| {
        with(1, &|body| {
            body["paymentRequirements"][member] = value.clone();
        })
    };
    let zero = Address::ZERO.to_string();
    for (body, code) in [
        (offered("payTo", json!(PAYER)), "no_matching_requirements"),
        (offered("asset", zero.into()), "no_matching_requirements"),
        (
            offered("network", "eip155:8453".into()),
            "no_matching_requirements",
        ),
        (offered("scheme", "exact".into()), "unsupported_scheme"),
        (
            offered("maxAmountRequired", "0".into()),
            "invalid_payment_requirements",
        ),
        (
            with(1, &|body| body["x402Version"] = 7.into()),
            "invalid_x402_version",
        ),
        (
            with(1, &|body| body["userAddress"] = "me".into()),
            "invalid_payment_requirements",
        ),
        (
            with(1, &|body| body["recipientAddress"] = json!(PAYER)),
            "no_matching_requirements",
        ),
        (json!([]), "invalid_payment_requirements"),
    ] {
        let heard = shop.post(&body).await;
        assert_eq!(
            (heard.status, &heard.body["code"]),
            (400, &json!(code)),
            "{body} {}",
            heard.body
        );
        assert!(!heard.body["error"].as_str().unwrap().is_empty());
    }
    let long = shop.post(&json!({ "x": "x".repeat(20_000) })).await;
    assert_eq!(
        (long.status, &long.body["code"]),
        (413, &json!("body_too_large"))
    );
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let heard = shop.send(method, Body::empty(), None).await;
        assert_eq!(
            (heard.status, &heard.headers["allow"]),
            (405, &HeaderValue::from_static("POST, OPTIONS"))
        );
        assert_eq!(heard.body["code"], "method_not_allowed");
    }
    assert_eq!(
        shop.send(Method::OPTIONS, Body::empty(), None).await.status,
        204
    );
    assert_eq!(shop.world.core.opened(), 0);
}

#[tokio::test]
async fn a_version_that_is_not_taken_has_no_tab() {
    for (is_plain, given, not_given) in [(true, 1, 2), (false, 2, 1)] {
        let offer = offer_with(SettlePolicy::Before, |ask| {
            ask.is_plain = is_plain;
            if is_plain {
                ask.condition = None;
            }
        });
        let shop = Shop::selling(World::new(), &[offer]);
        assert_eq!(shop.post(&asked(given)).await.status, 200);
        let heard = shop.post(&asked(not_given)).await;
        assert_eq!(
            (heard.status, &heard.body["code"]),
            (400, &json!("no_matching_requirements"))
        );
    }
    assert!(TabDesk::new("/tabs", World::new().credit.tabs().clone(), &[], Cors::Off).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let shop = Shop::new();
    let started = Instant::now();
    let part = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"userAddress\":"))]);
    let body = Body::from_stream(part.chain(stream::pending()));
    let heard = shop.send(Method::POST, body, None).await;
    assert_eq!(
        (heard.status, &heard.body["code"]),
        (400, &json!("bad_request"))
    );
    assert_eq!(started.elapsed(), TAB_BODY_WAIT);
}

#[tokio::test]
async fn a_stranger_opens_so_many_tabs_and_known_payers_go_on() {
    let shop = Shop::new();
    let body = |payer: u32| {
        let mut body = asked(1);
        body["userAddress"] = json!(Address::left_padding_from(&payer.to_be_bytes()));
        Body::from(body.to_string())
    };
    let most = NEW_TABS_PER_MINUTE.get();
    let mut limited = None;
    // A bucket fills up while this runs: twice as many are too many for sure.
    for payer in 1..=2 * most {
        let heard = shop
            .send(Method::POST, body(payer), Some("192.0.2.1"))
            .await;
        if heard.status != 200 {
            limited.get_or_insert((payer, heard));
        }
    }
    let (payer, heard) = limited.unwrap();
    assert!(payer > most);
    assert_eq!(
        (heard.status, &heard.body["code"]),
        (429, &json!("rate_limited"))
    );
    assert!(heard.headers.contains_key("retry-after"));
    assert_eq!(
        shop.send(Method::POST, body(1), Some("192.0.2.1"))
            .await
            .status,
        200
    );
    let new = body(3 * most);
    assert_eq!(
        shop.send(Method::POST, new, Some("192.0.2.2")).await.status,
        200
    );
}
