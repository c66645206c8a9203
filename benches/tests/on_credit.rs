//! What a sale on credit asks of others, and that one payer may buy a hundred times at once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use faregate_benches::chain::{CHAIN, asset};
use faregate_benches::credit::{self, Crowd, story};
use faregate_benches::{http, serve};
use faregate_client::credit::{CoreIssuer, CreditClient, LocalSigner};
use faregate_core::port::{CertificateStore as _, Issuer};
use faregate_core::rail::credit::Credit;
use faregate_core::{CreditAsk, Offer, Resource, SettlePolicy, Till};
use faregate_server::credit::router;
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::PaywallLayer;
use faregate_types::credit::GuaranteeRequest;
use faregate_types::credit::x402::{CreditEnvelope, SCHEME};
use faregate_types::x402::Version;
use faregate_types::{Amount, PaymentId, Timestamp, U256};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

/// What somebody was asked.
type Asked = Arc<Mutex<Vec<String>>>;

fn taken(asked: &Asked) -> Vec<String> {
    std::mem::take(&mut *asked.lock().unwrap())
}

async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn note(
    State(asked): State<Asked>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let question = format!("{} {}", request.method(), request.uri().path());
    asked.lock().unwrap().push(question);
    next.run(request).await
}

/// A credit core behind its HTTP API, with the collateral and the tab of one payer in its books.
async fn core() -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let service = credit::service(Crowd::Regular, "memory").await.unwrap();
    let app = router(service, credit::settings().unwrap()).await.unwrap();
    let app = app.layer(from_fn_with_state(Arc::clone(&asked), note));
    (listen(app).await, asked)
}

/// A node that passes everything on to another.
async fn node(to: SocketAddr) -> (SocketAddr, Asked) {
    let asked = Asked::default();
    let notes = Arc::clone(&asked);
    let app = Router::new().fallback(move |body: Bytes| {
        notes
            .lock()
            .unwrap()
            .push(String::from_utf8_lossy(&body).into_owned());
        async move {
            let answer = http::once(to, &http::post("/", &body)).await.unwrap();
            answer.body().to_vec()
        }
    });
    (listen(app).await, asked)
}

fn offer() -> Offer {
    let asset = asset().unwrap().id;
    let ask = CreditAsk {
        asset,
        amount: Amount::new(U256::from(1000), asset),
        recipient: credit::recipient_of(0).unwrap().address(),
        tab_endpoint: "http://127.0.0.1/tabs".into(),
        is_plain: true,
        condition: None,
        owed_max: None,
    };
    let resource = Resource {
        url: "http://127.0.0.1/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    Offer::new("joke", resource, vec![ask.into()], SettlePolicy::After, 300).unwrap()
}

fn paid(request: &GuaranteeRequest) -> Request {
    let envelope = CreditEnvelope {
        version: Version::V1,
        scheme: SCHEME.to_owned(),
        network: CHAIN.to_string(),
        request: request.clone(),
    };
    let header = envelope.to_header(&Value::Null, None);
    let request = Request::get("/joke").header("x-payment", header);
    request.body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_on_credit_asks_the_core_once_and_the_chain_never() {
    let ground = story::chain().await.unwrap();
    let (at, of_node) = node(ground.addr()).await;
    let (core, of_core) = core().await;
    let signer = LocalSigner::new(credit::recipient_key(0).unwrap()).unwrap();
    let builder = CreditClient::builder()
        .service(format!("http://{core}").parse().unwrap())
        .node(format!("http://{at}").parse().unwrap())
        .signer(signer)
        .sign_in();
    let issuer: Arc<dyn Issuer> = Arc::new(CoreIssuer::new(builder, CHAIN));
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    let ledger = Arc::new(ledger);
    let clock = || Arc::new(|| Timestamp::from(SystemTime::now()));
    let rail = Credit::new([issuer], Arc::clone(&ledger) as _, clock());
    let till = Till::new(Arc::clone(&ledger) as _, clock(), vec![Arc::new(rail)]);
    let app = serve::joke().layer(PaywallLayer::new(till, offer()).unwrap());
    let buy = async |promise: &GuaranteeRequest| {
        let answer = app.clone().oneshot(paid(promise)).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 64 * 1024).await.unwrap();
        assert!(status.is_success(), "{status} {body:?}");
    };
    let promises = credit::promises(Crowd::Regular, 101).unwrap();
    // The first one finds out who the core is, and signs in there.
    buy(&promises[0]).await;
    assert!(taken(&of_node).len() > 1);
    assert_eq!(taken(&of_core).last().unwrap(), "POST /core/guarantees");

    join_all(promises[1..].iter().map(&buy)).await;
    assert_eq!(taken(&of_core), vec!["POST /core/guarantees"; 100]);
    assert_eq!(taken(&of_node), Vec::<String>::new());
    for promise in &promises {
        let claims = &promise.claims;
        let (payer, recipient) = (claims.payer, claims.recipient);
        let id = PaymentId::credit(CHAIN, payer, recipient, claims.tab_id, claims.req_id);
        let held = ledger.certificate(id).await.unwrap().unwrap();
        assert_eq!(held.amount.value(), U256::from(1000));
    }
}
