//! What happens at the gate, told to whoever listens and to the webhook's receiver.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use faregate_core::{About, Kind, What};
use faregate_ledger::EventStore;
use faregate_server::config::Env;
use faregate_server::gateway::{Deps, Events, Gateway, Heard};
use faregate_server::webhook::Webhook;
use faregate_types::l402::webhook;
use faregate_types::{Code, Secret, Timestamp};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::common::{End, NOW, PAYER, World};
use crate::kit::{House, Upstream, config_in, deps};

const SOON: Duration = Duration::from_secs(30);

/// Signatures and bodies that a receiver got.
type Got = Arc<Mutex<Vec<(String, Bytes)>>>;

/// Refuses the first thing it hears.
async fn receiver() -> (String, Got) {
    let got = Got::default();
    let hears = Arc::clone(&got);
    let hear = move |headers: HeaderMap, body: Bytes| {
        let signature = headers["l402-signature"].to_str().unwrap().to_owned();
        let mut all = hears.lock().unwrap();
        all.push((signature, body));
        std::future::ready(match all.len() {
            1 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NO_CONTENT,
        })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new().route("/hook", post(hear));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, got)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_out_and_is_never_paid_is_told_as_a_loss_until_it_was_heard() {
    let (hook, got) = receiver().await;
    let (world, upstream, events) = (World::new(), Upstream::default(), Events::default());
    let addr = upstream.start().await;
    let env: Env = [("HOOK".to_owned(), "a secret of some length".to_owned())].into();
    let settings = config_in(
        &env,
        &format!(
            "upstream = \"http://{addr}\"\nwebhook = {{ url = \"{hook}\", secret = \"env:HOOK\", events = [\"payment.failed\"] }}"
        ),
        "[[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\nsettle = \"background\"\nexposure_max = \"$1\"\n",
    );
    // Five seconds pass with every look at it, so that nobody has to wait for the second try.
    let time = AtomicU64::new(NOW.as_secs());
    let clock = move || Timestamp::from_secs(time.fetch_add(5, Ordering::SeqCst));
    let outbox = Arc::clone(&world.store) as Arc<dyn EventStore>;
    let hook = settings.webhook.as_ref().unwrap();
    let worker = Webhook::start(hook, &env, outbox, Arc::new(clock)).unwrap();

    let mut listening = events.subscribe([Kind::Failed, Kind::Settled]);
    let deps = Deps {
        events: Some(events),
        ..deps(&world)
    };
    let house = House {
        gate: Gateway::start(settings, deps).await.unwrap(),
        client: hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
            .build_http(),
        upstream_addr: addr,
        world,
        upstream,
    };
    let credential = house.credential("/joke", 1).await;
    house.world.ends(End::Failed(Code::TransactionFailed));
    assert_eq!(house.pay("/joke", &credential).await.status(), 200);
    let Some(Heard::Event(told)) = timeout(SOON, listening.next()).await.unwrap() else {
        panic!("nothing was told");
    };
    let code = Code::TransactionFailed;
    let lost = What::Failed {
        code,
        is_loss: true,
    };
    assert_eq!((&told.what, &*told.route), (&lost, "GET /joke"));
    let about = told.payment.clone().unwrap();
    assert_eq!(about.payer.name(), PAYER.to_string());

    house.world.ends(End::Settled);
    let paid = house.credential("/joke", 2).await;
    assert_eq!(house.pay("/joke", &paid).await.status(), 200);
    let second = timeout(SOON, listening.next()).await.unwrap();
    assert!(
        matches!(&second, Some(Heard::Event(event)) if event.what.kind() == Kind::Settled),
        "{second:?}"
    );
    let twice = async {
        while got.lock().unwrap().len() < 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, twice).await.unwrap();
    drop(worker);
    for (signature, body) in got.lock().unwrap().iter() {
        says_that_it_is_lost(signature, body, &about);
    }
}

/// Nothing else: what was paid is told only to those who ask for that.
fn says_that_it_is_lost(signature: &str, body: &[u8], about: &About) {
    let secret = Secret::new(b"a secret of some length".to_vec());
    let now = Timestamp::from_secs(NOW.as_secs() + 100);
    webhook::verify(&secret, signature, body, now).unwrap();
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["type"], "payment.failed");
    assert_eq!(body["id"], format!("payment.failed:{}", about.id));
    let data = &body["data"];
    let code = json!(Code::TransactionFailed.as_str());
    let expected = (&json!(true), &code, &json!("1000"));
    assert_eq!((&data["loss"], &data["code"], &data["amount"]), expected);
    assert_eq!(data["payer"], PAYER.to_string());
}
