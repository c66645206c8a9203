//! Who answers the calls.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use faregate_core::crash::{self, Point};
use faregate_core::port::SettleOutcome;
use faregate_core::rail::x402::response_of;
use faregate_core::{Away, Clock, Facilitator, Recovery, Settler, Verdict};
use faregate_ledger::LedgerStore;
use faregate_types::credit::x402::CreditCall;
use faregate_types::limits::BODY_BYTES_MAX;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::x402::{FacilitatorRequest, SettleResponse, VerifyResponse};
use faregate_types::{Code, Problem};
use http::Request;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::Instrument;

use super::access::{Access, Caller};
use super::answer::{self, Endpoint};
use super::credit::{self, CreditNetworks};
use super::heard::{Call, Heard};
use super::meter::{self, Outcome};
use crate::config::Duplicates;
use crate::http::{Peer, json};
use crate::limits;

/// Everything the calls share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Desk(Arc<Parts>);

struct Parts {
    facilitator: Arc<dyn Facilitator>,
    store: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
    settler: Settler,
    settles: Settles,
    access: Access,
    credit: CreditNetworks,
    heard: Heard,
}

/// How a request ended, and what is said about it.
type Answered = (Outcome, Response);

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
        access: Access,
        credit: CreditNetworks,
    ) -> Self {
        let places = usize::try_from(limits::SETTLES_MAX).unwrap_or(usize::MAX);
        Self(Arc::new(Parts {
            settler: Settler::new(
                Arc::clone(&facilitator),
                Arc::clone(&store),
                Arc::clone(&clock),
            ),
            facilitator,
            store,
            clock,
            settles: Settles(Arc::new(Semaphore::new(places))),
            access,
            credit,
            heard: Heard::default(),
        }))
    }

    pub(super) fn settles(&self) -> Settles {
        self.0.settles.clone()
    }

    pub(super) fn gives_credit(&self) -> bool {
        !self.0.credit.is_empty()
    }

    pub(super) fn recovery(&self) -> Recovery {
        self.0.settler.recovery()
    }

    pub(super) fn store(&self) -> Arc<dyn LedgerStore> {
        Arc::clone(&self.0.store)
    }

    pub(super) fn facilitator(&self) -> Arc<dyn Facilitator> {
        Arc::clone(&self.0.facilitator)
    }
}

/// `GET /supported`. For everybody: a caller has to know what it could ask for.
pub(super) async fn supported(State(desk): State<Desk>) -> Response {
    let (supported, credit) = tokio::join!(desk.0.facilitator.supported(), desk.0.credit.kinds());
    match supported {
        Ok(mut supported) => {
            supported.kinds.extend(credit);
            answer::ok(&supported)
        }
        Err(away) => answer::away(away),
    }
}

/// `POST /tabs`.
pub(super) async fn tabs(State(desk): State<Desk>, request: Request<Body>) -> Response {
    desk.0.measured(Endpoint::Tabs, request).await
}

/// `POST /verify`.
pub(super) async fn verify(State(desk): State<Desk>, request: Request<Body>) -> Response {
    desk.0.measured(Endpoint::Verify, request).await
}

/// `POST /settle`.
pub(super) async fn settle(State(desk): State<Desk>, request: Request<Body>) -> Response {
    desk.0.measured(Endpoint::Settle, request).await
}

impl Parts {
    async fn measured(&self, endpoint: Endpoint, request: Request<Body>) -> Response {
        let begun = Instant::now();
        let (name, (outcome, response)) = match self.access.caller(request.headers()) {
            Ok(caller) => (caller.name(), self.answer(endpoint, caller, request).await),
            Err(about) => (
                self.access.nobody(),
                turned_away(endpoint, Outcome::Unauthorized, &about),
            ),
        };
        meter::answered(endpoint, outcome, name, begun.elapsed());
        response
    }

    async fn answer(
        &self,
        endpoint: Endpoint,
        caller: &Caller,
        request: Request<Body>,
    ) -> Answered {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
        if let Err(about) = self.count(endpoint, caller, peer) {
            return turned_away(endpoint, Outcome::Limited, &about);
        }
        let call = Call::of(request.headers());
        let body = match json::read(request, BODY_BYTES_MAX).await {
            Ok(body) => body,
            Err(about) => return (Outcome::BadRequest, answer::refuse(endpoint, &about)),
        };
        if endpoint == Endpoint::Tabs {
            let opened = self.credit.tab(&body, |payee| caller.may_act_for(payee));
            let response = opened.await;
            return (Outcome::of_status(response.status()), response);
        }
        if self.credit.is_for(&body) {
            return self.guaranteed(endpoint, caller, &body).await;
        }
        let request = match FacilitatorRequest::decode(&body) {
            Ok(request) => request,
            Err(error) => {
                let about = Problem::from(&error);
                return (Outcome::BadRequest, answer::refuse(endpoint, &about));
            }
        };
        if let Err(about) = caller.check_payee(&request) {
            return (Outcome::Forbidden, answer::refuse(endpoint, &about));
        }
        match endpoint {
            Endpoint::Settle => self.settle(caller, call, request).await,
            Endpoint::Verify | Endpoint::Tabs => self.verify(&request).await,
        }
    }

    /// A payment that is a promise: see `credit`.
    async fn guaranteed(&self, endpoint: Endpoint, caller: &Caller, body: &[u8]) -> Answered {
        let call = match CreditCall::decode(body) {
            Ok(call) => call,
            Err(refusal) => {
                let about = Problem::from(&refusal);
                return match (refusal.code, endpoint) {
                    (Code::MalformedJson | Code::BodyTooLarge, _) => {
                        (Outcome::BadRequest, answer::refuse(endpoint, &about))
                    }
                    (_, Endpoint::Settle) => credit::failed("", &refusal),
                    (_, Endpoint::Verify | Endpoint::Tabs) => credit::invalid(&refusal),
                };
            }
        };
        if let Err(about) = caller.may_act_for(call.demand.recipient) {
            return (Outcome::Forbidden, answer::refuse(endpoint, &about));
        }
        if endpoint == Endpoint::Verify {
            return self.credit.verify(&call).await;
        }
        let networks = self.credit.clone();
        let settling = async move { networks.settle(&call).await };
        match self.finish(settling).await {
            Ok(answered) => answered,
            Err(away) => (Outcome::Away, answer::away(away)),
        }
    }

    /// Runs a settlement to its end in a task of its own: whoever hangs up stops nothing, and has heard nothing.
    async fn finish<T: Send + 'static>(
        &self,
        settling: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Away> {
        let place = Arc::clone(&self.settles.0).try_acquire_owned();
        let place = place.map_err(|_| Away {
            code: Code::Overloaded,
        })?;
        let settling = async move {
            let settled = settling.await;
            drop(place);
            settled
        };
        tokio::spawn(settling.in_current_span()).await.map_err(|error| {
            tracing::error!(%error, "a settlement ended in a panic; a copy of the request finds out how it ended");
            Away {
                code: Code::Internal,
            }
        })
    }

    fn count(
        &self,
        endpoint: Endpoint,
        caller: &Caller,
        peer: Option<IpAddr>,
    ) -> Result<(), Problem> {
        self.access.count(caller, endpoint, peer, self.clock.now())
    }

    async fn verify(&self, request: &FacilitatorRequest) -> Answered {
        match self.facilitator.verify(request).await {
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

    async fn settle(&self, caller: &Caller, call: Call, request: FacilitatorRequest) -> Answered {
        let payment = match request.exact() {
            Ok(payment) => payment,
            Err(refusal) => {
                let outcome = SettleOutcome::Failed(refusal);
                return (
                    Outcome::Failed,
                    answer::ok(&response_of(&request, &outcome)),
                );
            }
        };
        if let Err(about) = self.access.check_payer(payment.payer()) {
            return turned_away(Endpoint::Settle, Outcome::Limited, &about);
        }
        let settler = self.settler.clone();
        let settling = async move {
            let outcome = settler.settle(&request, sleep(limits::COPY_WAIT)).await?;
            crash::point(Point::Replying);
            Ok::<_, Away>((response_of(&request, &outcome), outcome))
        };
        match self.finish(settling).await.and_then(|settled| settled) {
            Ok((response, outcome)) => self.tell(caller, call, &payment, response, &outcome),
            Err(away) => (Outcome::Away, answer::away(away)),
        }
    }

    /// Says how it ended; success only to who may hear it.
    fn tell(
        &self,
        caller: &Caller,
        call: Call,
        payment: &ExactPayment,
        response: SettleResponse,
        outcome: &SettleOutcome,
    ) -> Answered {
        let (id, now) = (payment.id(), Instant::now());
        match outcome {
            SettleOutcome::Settled(_) => {
                let may_hear = self.heard.may_hear(id, call, now);
                if may_hear || caller.duplicates == Duplicates::Recorded {
                    (Outcome::Settled, answer::ok(&response))
                } else {
                    (Outcome::Duplicate, answer::ok(&duplicate(response)))
                }
            }
            SettleOutcome::Failed(refusal) => {
                if cost_gas(refusal.code) && self.heard.is_first(id, call, now) {
                    self.access.failed(payment.payer());
                }
                (Outcome::Failed, answer::ok(&response))
            }
            SettleOutcome::Unknown(_) => (Outcome::Pending, answer::ok(&response)),
        }
    }
}

fn turned_away(endpoint: Endpoint, outcome: Outcome, about: &Problem) -> Answered {
    (outcome, answer::turned_away(endpoint, about))
}

/// What somebody hears about a settlement that somebody else heard of first: the transaction, and that it is not theirs.
fn duplicate(settled: SettleResponse) -> SettleResponse {
    let code = Code::DuplicateSettlement;
    SettleResponse {
        success: false,
        error_reason: Some(code.as_str().to_owned()),
        error_message: Some(code.meaning().to_owned()),
        ..settled
    }
}

/// Ends that only a transaction has. A refusal before that says nothing about the payer: anybody can name anybody in a
/// payment with a bad signature.
const fn cost_gas(code: Code) -> bool {
    matches!(
        code,
        Code::TransactionFailed
            | Code::InvalidTransactionState
            | Code::InvalidExactEvmTransferEventMismatch
            | Code::SmartWalletDeploymentFailed
    )
}
