//! Routes that are paid over Lightning, from the challenge to whatever kind of answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use faregate_core::port::lightning::{PayOrder, PayOutcome, Sender};
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_server::config::{Config, Env};
use faregate_server::gateway::{Deps, Gateway, StartError};
use faregate_server::http::Running;
use faregate_types::Timestamp;
use faregate_types::l402::challenge::Challenge;
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat};
use futures_util::{SinkExt, StreamExt, stream};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, client_async};

use crate::common::{World, value};
use crate::kit::deps;

const SOON: Duration = Duration::from_secs(10);

/// Invoices are made by the dev network's clock.
fn now() -> Timestamp {
    SystemTime::now().into()
}

pub(crate) struct Shop {
    gate: Running,
    net: DevLightning,
}

/// A gate without facilitator, in front of `upstream`.
pub(crate) async fn open(upstream: &str, routes: &str) -> Result<Shop, StartError> {
    open_with(upstream, "", "", routes).await
}

/// The same with more lines in `[gate]` and in `[gate.lightning]`.
pub(crate) async fn open_with(
    upstream: &str,
    gate: &str,
    lightning: &str,
    routes: &str,
) -> Result<Shop, StartError> {
    let text = format!(
        "[gate]\nbind = \"127.0.0.1:0\"\npublic_url = \"https://api.example\"\nupstream = \"{upstream}\"\n{gate}\
         [gate.lightning]\nbackend = \"lnd\"\nurl = \"http://127.0.0.1:1\"\nkey = \"env:KEY\"\nnetwork = \"regtest\"\n\
         master_key = \"env:MASTER_KEY\"\n{lightning}{routes}"
    );
    let env = Env::from([
        ("KEY".to_owned(), "00".to_owned()),
        ("MASTER_KEY".to_owned(), "5a".repeat(32)),
    ]);
    let config = Config::parse(&text, &env).unwrap_or_else(|errors| panic!("{errors}"));
    let config = config.gate.unwrap();
    let net = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let lightning = config.lightning.as_ref().unwrap();
    let wallet = Arc::new(net.wallet(WalletName::Seller));
    let rail = lightning.rail(wallet, lightning.keys(&env).unwrap(), Arc::new(now));
    let deps = Deps {
        facilitator: None,
        l402: Some(Arc::new(rail)),
        clock: Arc::new(now),
        ..deps(&World::new())
    };
    let gate = Gateway::start(config, deps).await?;
    Ok(Shop { gate, net })
}

impl Shop {
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.gate.addr()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request.body(Body::empty()).unwrap());
        timeout(SOON, answer).await.unwrap().unwrap().map(Body::new)
    }

    /// What opens a route once its challenge is paid.
    async fn pay(&self, unpaid: &HeaderMap) -> String {
        let lines = unpaid.get_all("www-authenticate").iter();
        let challenge = Challenge::parse(lines.map(|line| line.as_bytes())).unwrap();
        let wallet = Arc::new(self.net.wallet(WalletName::Payer));
        let sender = Sender::new(wallet, BitcoinNetwork::Regtest, Arc::new(now)).unwrap();
        let order = PayOrder {
            invoice: Bolt11::parse(&challenge.invoice).unwrap(),
            fee_max: Msat::new(5_000),
            time_limit: SOON,
        };
        let PayOutcome::Paid(paid) = sender.pay(&order).await else {
            panic!("not paid")
        };
        format!(
            "L402 {}:{}",
            &*challenge.token,
            &*paid.preimage.expose_hex()
        )
    }

    fn earned(&self) -> u64 {
        let start = LightningConfig::default().balance;
        let now = self.net.balance(WalletName::Seller);
        now.checked_sub(start).unwrap().get()
    }
}

async fn start(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{addr}")
}

#[tokio::test]
async fn a_paid_stream_leaves_as_it_comes() {
    let (service, source) = mpsc::channel::<&'static str>(1);
    let source = Arc::new(Mutex::new(source));
    let app = Router::new().fallback(get(move || {
        let pieces = stream::unfold(Arc::clone(&source), |source| async move {
            let piece = source.lock().await.recv().await?;
            Some((Ok::<_, std::io::Error>(Bytes::from(piece)), source))
        });
        async {
            (
                [("content-type", "text/event-stream")],
                Body::from_stream(pieces),
            )
        }
    }));
    let route = "[[route]]\nmatch = \"GET /events\"\nprice = \"10 sat\"\nsettle = \"before\"\n";
    let shop = open(&start(app).await, route).await.unwrap();
    let unpaid = shop.send(Method::GET, "/events", &[]).await;
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let credential = shop.pay(unpaid.headers()).await;
    let paid = [("authorization", credential.as_str())];
    let answer = shop.send(Method::GET, "/events", &paid).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        service.send(event).await.unwrap();
        let frame = timeout(SOON, body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.unwrap().into_data().unwrap(), event);
    }
    // The one use is taken while the stream still flows.
    let again = shop.send(Method::GET, "/events", &paid).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);
    drop(service);
    assert_eq!(shop.earned(), 10_000);
}

#[tokio::test]
async fn a_websocket_is_one_use() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    let route = "[[route]]\nmatch = \"GET /ws\"\nprice = \"10 sat\"\nwebsocket = true\n";
    let shop = open(&upstream, route).await.unwrap();
    let ask = async |credential: Option<&str>| {
        let stream = TcpStream::connect(shop.gate.addr()).await.unwrap();
        let url = format!("ws://{}/ws", shop.gate.addr());
        let mut request = url.into_client_request().unwrap();
        if let Some(credential) = credential {
            let value = credential.parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        match timeout(SOON, client_async(request, stream)).await.unwrap() {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => Err(answer),
            Err(error) => panic!("{error}"),
        }
    };
    let unpaid = ask(None).await.unwrap_err();
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    let credential = shop.pay(unpaid.headers()).await;
    let mut socket = ask(Some(&credential)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let back = timeout(SOON, socket.next()).await.unwrap();
    assert_eq!(back.unwrap().unwrap(), Message::text("hello"));
    let again = ask(Some(&credential)).await.unwrap_err();
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(shop.earned(), 10_000);
}

#[tokio::test]
async fn a_grpc_client_is_asked_in_headers() {
    let app = Router::new().fallback(async || "served");
    let route = "[[route]]\nmatch = \"POST /pkg.Service/Call\"\nprice = \"10 sat\"\n";
    let shop = open(&start(app).await, route).await.unwrap();
    let grpc = ("content-type", "application/grpc");
    let path = "/pkg.Service/Call";
    let unpaid = shop.send(Method::POST, path, &[grpc]).await;
    assert_eq!(unpaid.status(), StatusCode::OK);
    let said: BTreeMap<_, _> = ["content-type", "grpc-status", "grpc-message"]
        .map(|name| (name, value(&unpaid, name)))
        .into();
    assert_eq!(
        said,
        BTreeMap::from([
            ("content-type", Some("application/grpc")),
            ("grpc-message", Some("payment required")),
            ("grpc-status", Some("13")),
        ])
    );
    let credential = shop.pay(unpaid.headers()).await;
    let paid = [grpc, ("authorization", credential.as_str())];
    let answer = shop.send(Method::POST, path, &paid).await;
    assert_eq!(value(&answer, "grpc-status"), None);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "served");
    let again = shop.send(Method::POST, path, &paid).await;
    assert_eq!(value(&again, "grpc-status"), Some("13"));
    let forged = [grpc, ("authorization", "L402 AAAA:00")];
    let forged = shop.send(Method::POST, path, &forged).await;
    assert_eq!(value(&forged, "grpc-status"), Some("16"));
}

#[tokio::test]
async fn a_gate_that_asks_for_satoshis_only_is_ready_without_facilitator() {
    let route = "[[route]]\nmatch = \"GET /joke\"\nprice = \"10 sat\"\n";
    let shop = open("http://127.0.0.1:1", route).await.unwrap();
    for path in ["/livez", "/readyz"] {
        assert_eq!(
            shop.send(Method::GET, path, &[]).await.status(),
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_route_whose_tokens_nobody_settles_does_not_start() {
    let route = "network = \"base-sepolia\"\n";
    let text = format!(
        "[gate]\npublic_url = \"https://api.example\"\nupstream = \"http://127.0.0.1:1\"\nbind = \"127.0.0.1:0\"\n{route}\
         pay_to = \"0x2222222222222222222222222222222222222222\"\nfacilitator = {{ url = \"https://facilitator.example\" }}\n\
         [gate.lightning]\nbackend = \"address\"\naddress = \"shop@wallet.example\"\nnetwork = \"regtest\"\nmaster_key = \"env:MASTER_KEY\"\n\
         [[route]]\nmatch = \"GET /joke\"\nprice = [\"$0.001\", \"10 sat\"]\n"
    );
    let env = Env::from([("MASTER_KEY".to_owned(), "5a".repeat(32))]);
    let config = || Config::parse(&text, &env).unwrap().gate.unwrap();
    let world = World::new();
    // Each rail alone is there, and the other is missing.
    let only_x402 = Gateway::start(config(), deps(&world)).await.unwrap_err();
    assert!(
        matches!(only_x402, StartError::NotTaken { .. }),
        "{only_x402}"
    );
    let net = DevLightning::start(LightningConfig::default())
        .await
        .unwrap();
    let settings = config().lightning.unwrap();
    let wallet = Arc::new(net.wallet(WalletName::Seller));
    let rail = settings.rail(wallet, settings.keys(&env).unwrap(), Arc::new(now));
    let deps = Deps {
        facilitator: None,
        l402: Some(Arc::new(rail)),
        ..deps(&world)
    };
    let only_l402 = Gateway::start(config(), deps).await.unwrap_err();
    assert!(
        matches!(only_l402, StartError::NotTaken { .. }),
        "{only_l402}"
    );
}
