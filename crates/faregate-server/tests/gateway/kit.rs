//! A gate on a port, a service behind it that says what it got, and a client that sends what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use faregate_core::Facilitator;
use faregate_ledger::LedgerStore;
use faregate_server::config::{Config, Env, GatewayConfig};
use faregate_server::gateway::{Deps, Gateway};
use faregate_server::http::Running;
use http::{HeaderValue, Method};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{NOW, World, credential_v2};

pub(crate) const ROUTES: &str = r#"
[[route]]
match = "GET /joke"
price = "$0.001"
description = "one joke"
mime_type = "text/plain"

[[route]]
match = "POST /jokes"
price = "$0.001"

[[route]]
match = "GET /jokes/[id]"
price = "$0.001"

[[route]]
match = "GET /free/*"
price = "free"

[[route]]
match = "POST /upload"
price = "free"
"#;

/// What the service behind got, as it saw it.
#[derive(Clone, Default)]
pub(crate) struct Upstream {
    pub(crate) runs: Arc<AtomicU32>,
}

impl Upstream {
    pub(crate) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        addr
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let run = upstream.runs.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let path = head.uri.path().to_owned();
    match path.as_str() {
        "/free/moved" => Redirect::temporary(&format!(
            "http://{}/free/x",
            head.headers["host"].to_str().unwrap()
        ))
        .into_response(),
        "/free/slow" => std::future::pending().await,
        "/free/stalls" => {
            let pieces =
                futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from("first"))]);
            Body::from_stream(futures_util::StreamExt::chain(
                pieces,
                futures_util::stream::pending(),
            ))
            .into_response()
        }
        "/free/large" => Body::from(vec![b'x'; 3_000_000]).into_response(),
        "/jokes/missing" => (http::StatusCode::NOT_FOUND, "no such joke").into_response(),
        _ => {
            let headers: BTreeMap<&str, &str> = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            let said = json!({
                "run": run,
                "method": head.method.as_str(),
                "target": head.uri.to_string(),
                "headers": headers,
                "body": String::from_utf8(body.unwrap_or_default().to_vec()).unwrap(),
            });
            let ours = [
                ("payment-response", "spoofed"),
                ("payment-required", "spoofed"),
                ("settlement-overrides", "{\"amount\":\"0\"}"),
                ("x-own", "kept"),
            ];
            (ours, axum::Json(said)).into_response()
        }
    }
}

pub(crate) struct House {
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
    pub(crate) upstream_addr: SocketAddr,
    pub(crate) gate: Running,
    pub(crate) client: Client<hyper_util::client::legacy::connect::HttpConnector, Body>,
}

pub(crate) fn config(gate: &str, routes: &str) -> GatewayConfig {
    config_in(&Env::new(), gate, routes)
}

pub(crate) fn config_in(env: &Env, gate: &str, routes: &str) -> GatewayConfig {
    let text = format!(
        "[gate]\nbind = \"127.0.0.1:0\"\npublic_url = \"https://api.example\"\nnetwork = \"eip155:84532\"\n\
         pay_to = \"0x2222222222222222222222222222222222222222\"\nfacilitator = {{ url = \"https://facilitator.example\" }}\n\
         {gate}\n{routes}"
    );
    let config = Config::parse(&text, env).unwrap_or_else(|errors| panic!("{errors}"));
    config.gate.unwrap()
}

pub(crate) fn deps(world: &World) -> Deps {
    Deps {
        facilitator: Some(Arc::clone(&world.facilitator) as Arc<dyn Facilitator>),
        l402: None,
        permits: None,
        credit: None,
        store: Arc::clone(&world.store) as Arc<dyn LedgerStore>,
        clock: Arc::new(|| NOW),
        events: None,
    }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with("", ROUTES).await
    }

    pub(crate) async fn with(gate: &str, routes: &str) -> Self {
        let (world, upstream) = (World::new(), Upstream::default());
        let addr = upstream.start().await;
        let config = config(&format!("upstream = \"http://{addr}\"\n{gate}"), routes);
        let gate = Gateway::start(config, deps(&world)).await.unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            world,
            upstream,
            upstream_addr: addr,
            gate,
            client,
        }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.gate.addr())
    }

    pub(crate) async fn send(&self, request: http::Request<Body>) -> Response {
        let answer =
            tokio::time::timeout(Duration::from_secs(20), self.client.request(request)).await;
        answer.unwrap().unwrap().map(Body::new)
    }

    pub(crate) async fn ask(&self, method: Method, target: &str) -> Response {
        let request = http::Request::builder()
            .method(method)
            .uri(self.url(target))
            .body(Body::empty())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.ask(Method::GET, target).await
    }

    /// A credential for what `GET target` costs.
    pub(crate) async fn credential(&self, target: &str, nonce: u64) -> HeaderValue {
        credential_v2(&self.get(target).await, nonce)
    }

    pub(crate) fn paying(
        &self,
        method: Method,
        target: &str,
        credential: &HeaderValue,
        body: &str,
    ) -> http::Request<Body> {
        http::Request::builder()
            .method(method)
            .uri(self.url(target))
            .header("payment-signature", credential)
            .body(Body::from(body.to_owned()))
            .unwrap()
    }

    pub(crate) async fn pay(&self, target: &str, credential: &HeaderValue) -> Response {
        self.send(self.paying(Method::GET, target, credential, ""))
            .await
    }
}

/// What the service behind said it got.
pub(crate) async fn said(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// The code of a problem answer.
pub(crate) async fn code(response: Response) -> String {
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    said(response).await["code"].as_str().unwrap().to_owned()
}
