//! Who answers the three calls.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use faregate_core::crash::{self, Point};
use faregate_core::rail::x402::response_of;
use faregate_core::{Away, Clock, Facilitator, Recovery, Settler, Verdict};
use faregate_ledger::LedgerStore;
use faregate_types::Code;
use faregate_types::x402::VerifyResponse;
use http::Request;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::Instrument;

use super::answer::{self, Endpoint};
use super::meter::{self, Outcome};
use super::read::read;
use crate::limits;

/// Everything the calls share.
#[derive(Clone)]
pub(super) struct Desk {
    facilitator: Arc<dyn Facilitator>,
    store: Arc<dyn LedgerStore>,
    settler: Settler,
    settles: Settles,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Settlements in progress, whether or not somebody waits for their answer.
#[derive(Clone, Debug)]
pub(super) struct Settles(Arc<Semaphore>);

impl Settles {
    /// Returns when none is in progress any more. Nothing may be started afterwards.
    pub(super) async fn ended(&self) {
        // The semaphore is never closed; an error would mean that nothing can be in progress.
        drop(self.0.acquire_many(limits::SETTLES_MAX).await);
    }
}

impl Desk {
    pub(super) fn new(
        facilitator: Arc<dyn Facilitator>,
        store: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let settler = Settler::new(Arc::clone(&facilitator), Arc::clone(&store), clock);
        let places = usize::try_from(limits::SETTLES_MAX).unwrap_or(usize::MAX);
        Self {
            facilitator,
            store,
            settler,
            settles: Settles(Arc::new(Semaphore::new(places))),
        }
    }

    pub(super) fn settles(&self) -> Settles {
        self.settles.clone()
    }

    pub(super) fn recovery(&self) -> Recovery {
        self.settler.recovery()
    }

    pub(super) fn store(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.store)
    }

    pub(super) fn facilitator(&self) -> Arc<dyn Facilitator> {
        Arc::clone(&self.facilitator)
    }
}

/// `GET /supported`.
pub(super) async fn supported(State(desk): State<Desk>) -> Response {
    match desk.facilitator.supported().await {
        Ok(supported) => answer::ok(&supported),
        Err(away) => answer::away(away),
    }
}

/// `POST /verify`.
pub(super) async fn verify(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let begun = Instant::now();
    let (outcome, response) = desk.verify(request).await;
    meter::answered(Endpoint::Verify, outcome, begun.elapsed());
    response
}

/// `POST /settle`.
pub(super) async fn settle(State(desk): State<Desk>, request: Request<Body>) -> Response {
    let begun = Instant::now();
    let (outcome, response) = desk.settle(request).await;
    meter::answered(Endpoint::Settle, outcome, begun.elapsed());
    response
}

impl Desk {
    async fn verify(&self, request: Request<Body>) -> (Outcome, Response) {
        let request = match read(request).await {
            Ok(request) => request,
            Err(about) => {
                return (
                    Outcome::BadRequest,
                    answer::refuse(Endpoint::Verify, &about),
                );
            }
        };
        match self.facilitator.verify(&request).await {
            Ok(Verdict::Valid { payer }) => {
                (Outcome::Valid, answer::ok(&VerifyResponse::valid(payer)))
            }
            Ok(Verdict::Invalid(refusal)) => (
                Outcome::Invalid,
                answer::ok(&VerifyResponse::invalid(&refusal)),
            ),
            Err(away) => (Outcome::Away, answer::away(away)),
        }
    }

    async fn settle(&self, request: Request<Body>) -> (Outcome, Response) {
        let request = match read(request).await {
            Ok(request) => request,
            Err(about) => {
                return (
                    Outcome::BadRequest,
                    answer::refuse(Endpoint::Settle, &about),
                );
            }
        };
        let away = |code| (Outcome::Away, answer::away(Away { code }));
        let Ok(place) = Arc::clone(&self.settles.0).try_acquire_owned() else {
            return away(Code::Overloaded);
        };
        let settler = self.settler.clone();
        let settling = async move {
            let outcome = settler.settle(&request, sleep(limits::COPY_WAIT)).await?;
            drop(place);
            crash::point(Point::Replying);
            Ok((Outcome::from(&outcome), response_of(&request, &outcome)))
        };
        match tokio::spawn(settling.in_current_span()).await {
            Ok(Ok((outcome, response))) => (outcome, answer::ok(&response)),
            Ok(Err(Away { code })) => away(code),
            Err(error) => {
                tracing::error!(%error, "a settlement ended in a panic; a copy of the request finds out how it ended");
                away(Code::Internal)
            }
        }
    }
}
