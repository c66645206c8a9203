//! L402 as a payer meets it over HTTP: challenges, tokens, what goes through and what is held back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "tests may"
)]

#[path = "../../faregate-core/tests/support/wallet.rs"]
mod wallet;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Received;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use bytes::Bytes;
use faregate_core::port::lightning::{ReceiveBackend, Receiver};
use faregate_core::rail::l402::{L402, MasterKey, MasterKeys};
use faregate_core::{Clock, LightningAsk, Offer, Rail, Resource, Scope, SettlePolicy, Till};
use faregate_ledger::LedgerStore;
use faregate_store::memory::MemoryLedger;
use faregate_tower::{Paid, PaywallLayer};
use faregate_types::Timestamp;
use faregate_types::l402::{Challenge, credential};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use wallet::{NOW, Wallet};

struct World {
    wallet: Arc<Wallet>,
    ledger: Arc<MemoryLedger>,
    served: Arc<AtomicU32>,
    app: Router,
}

fn world(uses: Option<u32>, policy: SettlePolicy) -> World {
    world_of(uses, policy, |served| {
        any(move |request: Received| {
            served.fetch_add(1, Ordering::SeqCst);
            serve(request)
        })
    })
}

/// With a service that counts its own calls.
fn world_of(
    uses: Option<u32>,
    policy: SettlePolicy,
    service: impl FnOnce(Arc<AtomicU32>) -> MethodRouter,
) -> World {
    let wallet = Arc::new(Wallet::default());
    let clock: Arc<dyn Clock> = Arc::new(|| Timestamp::from_secs(NOW));
    let backend = Arc::clone(&wallet) as Arc<dyn ReceiveBackend>;
    let receiver = Receiver::new(backend, BitcoinNetwork::Regtest, Arc::clone(&clock));
    let keys = MasterKeys::new(MasterKey::from_bytes([1; 32]));
    let rail = L402::new(receiver, keys, Arc::clone(&clock));
    let ledger = Arc::new(MemoryLedger::new());
    let store = Arc::clone(&ledger) as Arc<dyn LedgerStore>;
    let till = Till::new(store, clock, vec![Arc::new(rail) as Arc<dyn Rail>]);
    let ask = LightningAsk {
        network: BitcoinNetwork::Regtest,
        price: Msat::new(10_000),
        route: "/*".into(),
        service: "jokes".into(),
        tier: 0,
        capability: None,
        uses: uses.and_then(NonZeroU32::new),
        valid_secs: 3_600,
        scope: Scope::Route,
        is_bound_to_client: false,
    };
    let resource = Resource {
        url: "https://api.example/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    let offer = Offer::new("jokes", resource, vec![ask.into()], policy, 60).unwrap();
    let served = Arc::new(AtomicU32::new(0));
    let app = Router::new()
        .fallback_service(service(Arc::clone(&served)))
        .layer(PaywallLayer::new(till, offer).unwrap());
    World {
        wallet,
        ledger,
        served,
        app,
    }
}

/// `/break` breaks down, `/none` is not there, everything else says how long its body was and whether it was paid.
async fn serve(request: Received) -> (StatusCode, String) {
    let paid = request.extensions().get::<Paid>().is_some();
    let status = match request.uri().path() {
        "/break" => StatusCode::INTERNAL_SERVER_ERROR,
        "/none" => StatusCode::NOT_FOUND,
        _ => StatusCode::OK,
    };
    let body = request.into_body().collect().await.unwrap().to_bytes();
    (status, format!("{} {paid}", body.len()))
}

impl World {
    async fn send(&self, request: Request<Body>) -> Response {
        self.app.clone().oneshot(request).await.unwrap()
    }

    /// The whole `Authorization` value of a token that was just bought.
    async fn buy(&self) -> String {
        let unpaid = self.send(get("/joke")).await;
        assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
        let lines = unpaid.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = Challenge::parse(lines.map(|line| line.as_bytes())).unwrap();
        let hash = Bolt11::parse(&challenge.invoice).unwrap().payment_hash();
        credential::write(&challenge.token, &self.wallet.pay(hash)).to_string()
    }

    async fn use_it(&self, path: &str, line: &str) -> Response {
        self.send(paying(path, line, Body::empty())).await
    }

    fn served(&self) -> u32 {
        self.served.load(Ordering::SeqCst)
    }

    async fn payments(&self) -> usize {
        self.ledger.recent_payments(100).await.unwrap().len()
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn paying(path: &str, line: &str, body: Body) -> Request<Body> {
    Request::get(path)
        .header(AUTHORIZATION, line)
        .body(body)
        .unwrap()
}

async fn text(answer: Response) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn json(answer: Response) -> serde_json::Value {
    serde_json::from_str(&text(answer).await).unwrap()
}

#[tokio::test]
async fn a_402_has_its_lines_in_order_and_a_body_for_every_client() {
    let world = world(Some(1), SettlePolicy::After);
    let answer = world.send(get("/joke")).await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    let headers = answer.headers();
    let lines: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].as_bytes().starts_with(b"LSAT macaroon="));
    assert!(lines[1].as_bytes().starts_with(b"L402 macaroon="));
    assert_eq!(headers["cache-control"], "no-store");
    let exposed = headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("WWW-Authenticate"), "{exposed}");
    let body = json(answer).await;
    for name in ["error", "price_sats", "priceSats", "invoice", "macaroon"] {
        assert!(body.get(name).is_some(), "{name}: {body}");
    }
    let again = json(world.send(get("/joke")).await).await;
    assert_ne!(again["invoice"], body["invoice"]);
}

/// The published decorator lets everybody through to a handler that does not ask for the request.
#[tokio::test]
async fn l402_hole_04_a_handler_that_takes_no_request_is_paid_all_the_same() {
    let world = world_of(Some(1), SettlePolicy::After, |served| {
        any(async move || {
            served.fetch_add(1, Ordering::SeqCst);
            "no request was asked for"
        })
    });
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "BREW"] {
        let request = Request::builder().method(method).uri("/joke");
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED, "{method}");
    }
    assert_eq!(world.served(), 0);
    let line = world.buy().await;
    let answer = world.use_it("/joke", &line).await;
    assert_eq!(text(answer).await, "no request was asked for");
    assert_eq!(world.served(), 1);
}

#[tokio::test]
async fn what_nobody_issued_gets_401_and_no_invoice() {
    let world = world(Some(1), SettlePolicy::After);
    for line in ["L402 AAAA:00", "L402", "LSAT x"] {
        let answer = world.use_it("/joke", line).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{line}");
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "L402");
        let body = json(answer).await;
        assert_eq!(body["error"], "l402_token_malformed", "{line}");
    }
    assert_eq!(world.wallet.made(), 0);
    // Credentials of other schemes are the service's own business.
    let answer = world.use_it("/joke", "Bearer abc").await;
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn a_token_for_one_use_is_served_once_and_kept_private() {
    let world = world(Some(1), SettlePolicy::After);
    let line = world.buy().await;
    let answer = world.use_it("/joke", &line).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "private");
    assert_eq!(text(answer).await, "0 true");
    let used = world.use_it("/joke", &line).await;
    assert_eq!(used.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(json(used).await["error"], "Token already used");
    assert_eq!((world.served(), world.payments().await), (1, 1));
}

#[tokio::test]
async fn an_error_of_the_service_leaves_the_use_to_its_payer() {
    for policy in [SettlePolicy::Before, SettlePolicy::After] {
        let world = world(Some(1), policy);
        let line = world.buy().await;
        for _ in 0..3 {
            let answer = world.use_it("/break", &line).await;
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        }
        let answer = world.use_it("/joke", &line).await;
        assert_eq!(answer.status(), StatusCode::OK, "{policy:?}");
        let used = world.use_it("/joke", &line).await;
        assert_eq!(used.status(), StatusCode::PAYMENT_REQUIRED);
    }
}

#[tokio::test]
async fn a_thousand_copies_of_one_use_are_served_once() {
    let world = world(Some(1), SettlePolicy::After);
    let line = world.buy().await;
    let sent = (0..1_000).map(|_| world.use_it("/joke", &line));
    let answers = futures_util::future::join_all(sent).await;
    let served = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::OK);
    assert_eq!((served.count(), world.served()), (1, 1));
    // Nobody is known by address here, so all are one client, and one client gets so many invoices.
    let limited = answers
        .iter()
        .filter(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.count() > 900);
    assert!(world.wallet.made() <= 61, "{}", world.wallet.made());
}

/// The first request writes down that it is paid; the others go straight through, whatever they carry.
#[tokio::test]
async fn a_pass_goes_through_like_what_is_free() {
    let world = world(None, SettlePolicy::After);
    let line = world.buy().await;
    let large = Body::from(Bytes::from(vec![7; 20 * 1024 * 1024]));
    for (path, status) in [
        ("/joke", StatusCode::OK),
        ("/none", StatusCode::NOT_FOUND),
        ("/break", StatusCode::INTERNAL_SERVER_ERROR),
        ("/song", StatusCode::OK),
    ] {
        let answer = world.use_it(path, &line).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["cache-control"], "private");
        assert_eq!(text(answer).await, "0 true");
    }
    let answer = world.send(paying("/joke", &line, large)).await;
    assert_eq!(text(answer).await, format!("{} true", 20 * 1024 * 1024));
    assert_eq!((world.served(), world.payments().await), (5, 1));
    // Without the token it is as closed as ever, and with another preimage too.
    assert_eq!(
        world.send(get("/joke")).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    let (token, _) = line.rsplit_once(':').unwrap();
    let forged = format!("{token}:{}", "ab".repeat(32));
    assert_eq!(
        world.use_it("/joke", &forged).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.served(), 5);
}

#[tokio::test]
async fn while_the_wallet_is_away_nothing_new_is_sold() {
    let world = world(Some(2), SettlePolicy::After);
    let line = world.buy().await;
    world.wallet.away.store(true, Ordering::SeqCst);
    let answer = world.send(get("/joke")).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(world.use_it("/joke", &line).await.status(), StatusCode::OK);
}
