//! Our facilitator, asked in process or over HTTP: the answers have to be the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use faregate_core::port::NoTrail;
use faregate_core::rail::x402::response_of;
use faregate_core::{Facilitator, Verdict};
use faregate_evm::ExactFacilitator;
use faregate_server::facilitator::FacilitatorServer;
use faregate_server::http::Running;
use faregate_store::memory::MemoryLedger;
use faregate_types::Timestamp;
use faregate_types::x402::{FacilitatorRequest, SettleResponse, VerifyResponse};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How the facilitator is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By calling it.
    Embedded,
    /// As a service with books of its own.
    Served,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 2] = [Self::Embedded, Self::Served];
}

/// Who is asked.
pub(super) enum Desk {
    Embedded(ExactFacilitator),
    Served {
        running: Running,
        http: reqwest::Client,
    },
}

/// What is answered.
pub(super) enum Answer<T> {
    /// A verdict, which is always 200 over HTTP.
    Verdict(T),
    /// The body was no request.
    NoRequest { status: u16, code: String },
}

impl Desk {
    pub(super) async fn open(
        way: Way,
        facilitator: ExactFacilitator,
        http: &reqwest::Client,
    ) -> Result<Self, String> {
        if way == Way::Embedded {
            return Ok(Self::Embedded(facilitator));
        }
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let store = MemoryLedger::new();
        let (facilitator, store) = (Arc::new(facilitator), Arc::new(store));
        let running = FacilitatorServer::start(bind, facilitator, store, Arc::new(system_time));
        let running = running.await.map_err(|error| error.to_string())?;
        Ok(Self::Served {
            running,
            http: http.clone(),
        })
    }

    pub(super) async fn close(self) {
        if let Self::Served { running, .. } = self {
            running.shutdown().await;
        }
    }

    pub(super) async fn verify(&self, body: &[u8]) -> Result<Answer<VerifyResponse>, String> {
        let facilitator = match self {
            Self::Embedded(facilitator) => facilitator,
            Self::Served { running, http } => return post(running, http, "verify", body).await,
        };
        let request = match decode(body) {
            Ok(request) => request,
            Err(no_request) => return Ok(no_request),
        };
        let verdict = facilitator
            .verify(&request)
            .await
            .map_err(|away| away.to_string())?;
        Ok(Answer::Verdict(match verdict {
            Verdict::Valid { payer } => VerifyResponse::valid(payer),
            Verdict::Invalid(refusal) => VerifyResponse::invalid(&refusal),
        }))
    }

    pub(super) async fn settle(&self, body: &[u8]) -> Result<Answer<SettleResponse>, String> {
        let facilitator = match self {
            Self::Embedded(facilitator) => facilitator,
            Self::Served { running, http } => return post(running, http, "settle", body).await,
        };
        let request = match decode(body) {
            Ok(request) => request,
            Err(no_request) => return Ok(no_request),
        };
        let outcome = facilitator.settle(&request, &NoTrail).await;
        Ok(Answer::Verdict(response_of(&request, &outcome)))
    }
}

fn decode<T>(body: &[u8]) -> Result<FacilitatorRequest, Answer<T>> {
    FacilitatorRequest::decode(body).map_err(|error| Answer::NoRequest {
        status: error.http_status(),
        code: error.code.to_string(),
    })
}

async fn post<T: DeserializeOwned>(
    running: &Running,
    http: &reqwest::Client,
    call: &str,
    body: &[u8],
) -> Result<Answer<T>, String> {
    let url = format!("http://{}/{call}", running.addr());
    let mut request = http
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_vec());
    // As a gate of ours asks, which keeps books: it hears the recorded result. What others hear is tested with the service.
    if let Some(payment) = FacilitatorRequest::decode(body)
        .ok()
        .and_then(|request| request.exact().ok())
    {
        request = request.header("idempotency-key", payment.id().to_string());
    }
    let response = request.send().await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| error.to_string())?;
    match status {
        200 => serde_json::from_str(&text)
            .map(Answer::Verdict)
            .map_err(|error| format!("{text}: {error}")),
        400..500 => {
            let about: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let code = about.get("code").and_then(Value::as_str);
            let code = code
                .ok_or_else(|| format!("{text} has no code"))?
                .to_owned();
            Ok(Answer::NoRequest { status, code })
        }
        _ => Err(format!("answered {status}: {text}")),
    }
}

fn system_time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_secs(since.as_secs())
}
