//! A node in front of the node, which misbehaves on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What happens to calls of a method.
#[derive(Clone)]
pub enum Mood {
    /// The call gets there; the answer is lost.
    LoseAnswer,
    /// The call never gets there.
    LoseCall,
    /// The call never gets there, and the answer says it did.
    Pretend,
    /// HTTP 502.
    BadGateway,
    /// A JSON-RPC error with these words.
    Refuse(&'static str),
    /// The same, for the first call only.
    RefuseOnce(&'static str),
    /// Something happens first, once; afterwards everything is normal.
    First(Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>),
}

pub struct Proxy {
    pub url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    http: reqwest::Client,
    moods: Mutex<BTreeMap<&'static str, Mood>>,
    seen: Mutex<Vec<(String, Value)>>,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            moods: Mutex::default(),
            seen: Mutex::default(),
        });
        let router = axum::Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            shared,
            server,
        }
    }

    pub fn set(&self, method: &'static str, mood: Mood) {
        self.shared.moods.lock().unwrap().insert(method, mood);
    }

    /// Everything is normal again.
    pub fn calm(&self) {
        self.shared.moods.lock().unwrap().clear();
    }

    pub fn calls(&self, method: &str) -> usize {
        self.shared
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(seen, _)| seen == method)
            .count()
    }

    /// Parameters of the calls of a method, in order.
    pub fn params(&self, method: &str) -> Vec<Value> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|(seen, _)| seen == method)
            .map(|(_, params)| params.clone())
            .collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let method = call["method"].as_str().unwrap().to_owned();
    shared
        .seen
        .lock()
        .unwrap()
        .push((method.clone(), call["params"].clone()));
    let mood = {
        let mut moods = shared.moods.lock().unwrap();
        match moods.get(method.as_str()).cloned() {
            Some(mood @ (Mood::First(_) | Mood::RefuseOnce(_))) => {
                moods.remove(method.as_str());
                Some(mood)
            }
            mood => mood,
        }
    };
    match mood {
        None => forward(&shared, body).await,
        Some(Mood::First(what)) => {
            what().await;
            forward(&shared, body).await
        }
        Some(Mood::LoseAnswer) => {
            drop(forward(&shared, body).await);
            std::future::pending().await
        }
        Some(Mood::LoseCall) => std::future::pending().await,
        Some(Mood::Pretend) => {
            axum::Json(json!({ "jsonrpc": "2.0", "id": call["id"], "result": format!("0x{}", "00".repeat(32)) })).into_response()
        }
        Some(Mood::BadGateway) => StatusCode::BAD_GATEWAY.into_response(),
        Some(Mood::Refuse(words) | Mood::RefuseOnce(words)) => {
            let error = json!({ "code": -32000, "message": words });
            axum::Json(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }))
                .into_response()
        }
    }
}

async fn forward(shared: &Shared, body: Bytes) -> Response {
    let request = shared
        .http
        .post(&shared.upstream)
        .header("content-type", "application/json")
        .body(body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    axum::Json(answer).into_response()
}
