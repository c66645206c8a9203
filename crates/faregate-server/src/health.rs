//! Is this process alive, and can it work?
//!
//! | path | 200 `{"status":"ok"}` when |
//! |---|---|
//! | `/livez`, `/health` | the process answers; restarting it would not help otherwise |
//! | `/readyz` | the ledger and the facilitator, if there is one, answer too; else 503 with the code of who does not |

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faregate_core::{Away, Facilitator};
use faregate_ledger::LedgerStore;
use faregate_tower::respond;
use faregate_types::{Code, PaymentId, Problem};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::limits;

/// Asks the parts of a server whether they can work. Cheap to clone; however often it is asked, the parts are asked once a
/// second at most, so that strangers cannot keep them busy.
#[derive(Clone)]
pub struct Readiness(Arc<Parts>);

struct Parts {
    store: Arc<dyn LedgerStore>,
    facilitator: Option<Arc<dyn Facilitator>>,
    last: Mutex<Option<(Instant, Result<(), Away>)>>,
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

impl Readiness {
    /// Readiness of a server with these parts.
    #[must_use]
    pub fn new(store: Arc<dyn LedgerStore>, facilitator: Option<Arc<dyn Facilitator>>) -> Self {
        Self(Arc::new(Parts {
            store,
            facilitator,
            last: Mutex::new(None),
        }))
    }

    /// Whether all parts can work now.
    ///
    /// # Errors
    /// The first part that cannot.
    pub async fn check(&self) -> Result<(), Away> {
        let mut last = self.0.last.lock().await;
        if let Some((at, result)) = *last
            && at.elapsed() < limits::READY_KEPT
        {
            return result;
        }
        let result = self.0.ask().await;
        *last = Some((Instant::now(), result));
        result
    }
}

impl Parts {
    async fn ask(&self) -> Result<(), Away> {
        let nobody = PaymentId::from_bytes([0; 32]);
        match timeout(limits::READY_TIMEOUT, self.store.payment(nobody)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return Err(away(Code::StoreUnavailable)),
        }
        let Some(facilitator) = &self.facilitator else {
            return Ok(());
        };
        match timeout(limits::READY_TIMEOUT, facilitator.supported()).await {
            Ok(Ok(supported)) if supported.kinds.is_empty() => Err(away(Code::NotReady)),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(away)) => Err(away),
            Err(_) => Err(away(Code::FacilitatorUnavailable)),
        }
    }
}

const fn away(code: Code) -> Away {
    Away { code }
}

/// `/livez`, `/health` and `/readyz`.
pub fn router(readiness: Readiness) -> Router {
    Router::new()
        .route("/readyz", get(ready))
        .with_state(readiness)
        .merge(live_router())
}

/// `/livez` and `/health`.
pub(crate) fn live_router() -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/health", get(live))
}

/// The answer of a process that is alive.
async fn live() -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, r#"{"status":"ok"}"#).into_response()
}

pub(crate) async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.check().await {
        Ok(()) => live().await,
        Err(away) => respond::problem(&Problem::new(away.code).status(503)),
    }
}
