//! Revoking tokens. Unlike everything else here this changes something, so whoever asks shows a key: pages in a browser on
//! the operator's machine reach its loopback addresses too.
//!
//! | request | answer |
//! |---|---|
//! | `POST /l402/revocations` `{"id": "<64 hexadecimal digits>"}` | 200 `{"id": …, "new": true}`; the id is a payment hash or a token id of L402, or the id of a payment with a permit (`0x` may stand in front) |
//! | `GET /l402/revocations` | 200 `{"count": …, "revocations": [{"id": …, "revokedAt": …}, …]}`, newest first, at most 1,000 |

use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use faregate_core::Clock;
use faregate_core::rail::l402::Revocations;
use faregate_ledger::RevokedName;
use faregate_tower::respond;
use faregate_types::{Code, Problem};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bearer::BearerKey;
use crate::config::{AdminConfig, Env, SecretError};
use crate::limits::REVOCATIONS_SHOWN_MAX;

/// Who may revoke, and where it is written.
#[derive(Clone)]
pub struct Revoking {
    key: BearerKey,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Revoking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revoking").finish_non_exhaustive()
    }
}

impl Revoking {
    /// Fetches the key. `None` when the file names none.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there, or too short to be safe.
    pub fn new(
        config: &AdminConfig,
        env: &Env,
        revocations: Arc<Revocations>,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Self>, SecretError> {
        let Some(source) = &config.key else {
            return Ok(None);
        };
        Ok(Some(Self {
            key: BearerKey::load(source, env)?,
            revocations,
            clock,
        }))
    }

    fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let shown = BearerKey::shown(headers)?;
        if bool::from(self.key.is(&shown)) {
            Ok(())
        } else {
            Err(Problem::new(Code::Unauthorized).detail("this is not the key of this address"))
        }
    }

    async fn put(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, Problem> {
        self.admit(headers)?;
        let asked: Asked =
            serde_json::from_slice(body).map_err(|_| Problem::new(Code::MalformedJson))?;
        let mut name = [0; 32];
        let digits = asked.id.strip_prefix("0x").unwrap_or(&asked.id);
        hex::decode_to_slice(digits, &mut name).map_err(|_| {
            Problem::new(Code::BadRequest)
                .detail("expected the id of a payment or of a token: 64 hexadecimal digits")
        })?;
        let name = RevokedName::from_bytes(name);
        let revoked = self.revocations.revoke(name, self.clock.now()).await;
        let new = revoked.map_err(|away| Problem::new(away.code).status(503))?;
        tracing::info!(id = %name, new, "a token was revoked");
        Ok(json!({ "id": name.to_string(), "new": new }))
    }

    async fn list(&self, headers: &HeaderMap) -> Result<Value, Problem> {
        self.admit(headers)?;
        let list = self.revocations.list().await;
        let list = list.map_err(|away| Problem::new(away.code).status(503))?;
        let newest = list.iter().rev().take(REVOCATIONS_SHOWN_MAX);
        let shown: Vec<Value> = newest
            .map(|entry| json!({ "id": entry.name.to_string(), "revokedAt": entry.at.as_secs() }))
            .collect();
        Ok(json!({ "count": list.len(), "revocations": shown }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: String,
}

/// `POST /l402/revocations`.
pub(super) async fn put(
    State(revoking): State<Option<Revoking>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match revoking {
        Some(revoking) => answer(revoking.put(&headers, &body).await),
        None => off(),
    }
}

/// `GET /l402/revocations`.
pub(super) async fn list(State(revoking): State<Option<Revoking>>, headers: HeaderMap) -> Response {
    match revoking {
        Some(revoking) => answer(revoking.list(&headers).await),
        None => off(),
    }
}

fn answer(said: Result<Value, Problem>) -> Response {
    match said {
        Ok(value) => {
            let headers = [
                (CONTENT_TYPE, "application/json"),
                (CACHE_CONTROL, "no-store"),
            ];
            (headers, value.to_string()).into_response()
        }
        Err(problem) => respond::problem(&problem),
    }
}

fn off() -> Response {
    let detail =
        "this needs a gate that sells over Lightning or for permits, and [admin] key in its file";
    respond::problem(&Problem::new(Code::Forbidden).detail(detail))
}
