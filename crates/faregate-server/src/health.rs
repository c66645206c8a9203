//! Is this process alive, and can it work?
//!
//! | path | 200 `{"status":"ok"}` when |
//! |---|---|
//! | `/livez`, `/health` | the process answers; restarting it would not help otherwise |
//! | `/readyz` | the ledger, the facilitator and the Lightning wallet, if there are any, answer too; else 503 with the code of who does not |
//!
//! A credit core that is away makes nobody unready, because everything else goes on: `{"status":"ok","away":["credit on
//! eip155:84532"]}`.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faregate_core::port::Issuer;
use faregate_core::port::lightning::{Receiver, UNSUPPORTED, Wanted};
use faregate_core::{Away, Facilitator};
use faregate_ledger::LedgerStore;
use faregate_tower::respond;
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{ChainId, Code, PaymentId, Problem};
use futures_util::future::join_all;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::limits;

/// Asks the parts of a server whether they can work. Cheap to clone; however often it is asked, the parts are asked once a
/// second at most, so that strangers cannot keep them busy.
#[derive(Clone)]
pub struct Readiness(Arc<Parts>, Arc<Cores>);

/// Credit cores, and which of them did not answer lately.
#[derive(Default)]
struct Cores {
    issuers: Vec<Arc<dyn Issuer>>,
    last: Mutex<Option<(Instant, Vec<ChainId>)>>,
}

struct Parts {
    store: Arc<dyn LedgerStore>,
    facilitator: Option<Arc<dyn Facilitator>>,
    wallet: Option<Receiver>,
    last: Mutex<Option<(Instant, Result<(), Away>)>>,
    /// When the wallet last answered: many are paid for, or count, what they are asked.
    wallet_answered: Mutex<Option<Instant>>,
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
        Self::with_wallet(store, facilitator, None)
    }

    /// The same with a wallet that can be asked about payment hashes.
    #[must_use]
    pub fn with_wallet(
        store: Arc<dyn LedgerStore>,
        facilitator: Option<Arc<dyn Facilitator>>,
        wallet: Option<Receiver>,
    ) -> Self {
        let parts = Parts {
            store,
            facilitator,
            wallet,
            last: Mutex::new(None),
            wallet_answered: Mutex::new(None),
        };
        Self(Arc::new(parts), Arc::default())
    }

    /// The same with credit cores.
    #[must_use]
    pub fn and_credit(self, issuers: Vec<Arc<dyn Issuer>>) -> Self {
        let last = Mutex::new(None);
        Self(self.0, Arc::new(Cores { issuers, last }))
    }

    /// The networks whose credit core does not answer: what is paid on credit there has to wait.
    pub async fn without_credit(&self) -> Vec<ChainId> {
        let cores = &self.1;
        if cores.issuers.is_empty() {
            return Vec::new();
        }
        let mut last = cores.last.lock().await;
        if let Some((at, away)) = &*last
            && at.elapsed() < limits::CREDIT_READY_KEPT
        {
            return away.clone();
        }
        let asked = cores.issuers.iter().map(async |issuer| {
            let answer = timeout(limits::CREDIT_READY_TIMEOUT, issuer.versions()).await;
            (issuer.chain(), matches!(answer, Ok(Ok(_))))
        });
        let away = join_all(asked).await.into_iter();
        let away: Vec<ChainId> = away
            .filter_map(|(chain, answered)| (!answered).then_some(chain))
            .collect();
        *last = Some((Instant::now(), away.clone()));
        away
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
        self.ask_facilitator().await?;
        self.ask_wallet().await
    }

    async fn ask_facilitator(&self) -> Result<(), Away> {
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

    /// Asks about an invoice that nobody made.
    async fn ask_wallet(&self) -> Result<(), Away> {
        let Some(wallet) = &self.wallet else {
            return Ok(());
        };
        let mut answered = self.wallet_answered.lock().await;
        if answered.is_some_and(|at| at.elapsed() < limits::WALLET_READY_KEPT) {
            return Ok(());
        }
        let nothing = Wanted {
            payment_hash: PaymentHash::from_bytes([0; 32]),
            amount: Msat::new(1),
            handle: None,
        };
        match timeout(limits::READY_TIMEOUT, wallet.look_up(&nothing)).await {
            // One that cannot be asked says nothing about whether it is there.
            Ok(Ok(_)) | Ok(Err(UNSUPPORTED)) => {
                *answered = Some(Instant::now());
                Ok(())
            }
            Ok(Err(away)) => Err(away),
            Err(_) => Err(away(Code::LightningUnavailable)),
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
    well(&json!({ "status": "ok" }))
}

fn well(body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, body.to_string()).into_response()
}

pub(crate) async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.check().await {
        Ok(()) => {
            let away = readiness.without_credit().await;
            if away.is_empty() {
                return live().await;
            }
            let away = away.iter().map(|chain| format!("credit on {chain}"));
            well(&json!({ "status": "ok", "away": away.collect::<Vec<_>>() }))
        }
        Err(away) => respond::problem(&Problem::new(away.code).status(503)),
    }
}
