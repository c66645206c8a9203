//! The gate as a process: the till of the product over a ledger and a facilitator, and its answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::rail::x402::X402;
use faregate_core::{
    Asked, Clock, Facilitator, Offer, Order, Outcome, Owed, Paid, Rail, Reading, Served,
    SettlePolicy, Till,
};
use faregate_ledger::{Answer, LedgerStore};
use faregate_types::x402::header;
use faregate_types::{Fingerprint, PaymentId};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{sleep, timeout};

use crate::bugs::Bug;
use crate::ledger::short;
use crate::process::Process;
use crate::shop::{Reply, Shop};

/// How long a copy waits for the first.
const COPY_WAIT: Duration = Duration::from_secs(10);

/// How long the service may take.
const SERVE_TIMEOUT: Duration = Duration::from_secs(30);

/// A request with a payment.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which offer it is for.
    pub route: usize,
    /// What it asks for.
    pub path: String,
    /// The payment header.
    pub payment: String,
    /// The payment it names, for the record.
    pub id: PaymentId,
}

/// What runs at the gate.
pub struct Gate {
    process: Process,
    till: Till,
    offers: Arc<[Offer]>,
    shop: Arc<Shop>,
    bug: Option<Bug>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({})", self.process)
    }
}

impl Gate {
    /// A gate in `process`.
    #[must_use]
    pub fn new(
        process: &Process,
        store: Arc<dyn LedgerStore>,
        facilitator: Arc<dyn Facilitator>,
        offers: Arc<[Offer]>,
        shop: Arc<Shop>,
        bug: Option<Bug>,
    ) -> Self {
        let world = process.world().clone();
        let clock: Arc<dyn Clock> = Arc::new(move || world.now());
        let rail: Arc<dyn Rail> = Arc::new(X402::new(facilitator));
        Self {
            till: Till::new(store, clock, vec![rail]),
            process: process.clone(),
            offers,
            shop,
            bug,
        }
    }

    /// The till.
    #[must_use]
    pub const fn till(&self) -> &Till {
        &self.till
    }

    /// Answers a request with a payment.
    pub async fn handle(&self, request: Request) -> Reply {
        let mut reply = self.sell(&request).await;
        if self.bug == Some(Bug::CopyRunsAgain) && matches!(reply, Reply::Replay { .. }) {
            let policy = self.offers[request.route].policy();
            let gate = self.process.to_string();
            self.shop.asked(&gate, request.id, policy);
            let (status, body) = self.shop.run(&gate, request.id, &request.path);
            reply = Reply::Sold { status, body };
        }
        self.process.alive().await;
        self.shop
            .leaves(&self.process.to_string(), request.id, &request.path, &reply);
        reply
    }

    async fn sell(&self, request: &Request) -> Reply {
        let mut headers = HeaderMap::new();
        let name = HeaderName::from_static(header::PAYMENT_SIGNATURE);
        let Ok(value) = HeaderValue::from_str(&request.payment) else {
            return Reply::Unpaid("header");
        };
        headers.insert(name, value);
        let Reading::Found(credential) = self.till.read(&headers, &self.offers[request.route])
        else {
            return Reply::Unpaid("malformed");
        };
        let offer = &self.offers[request.route];
        let fingerprint = match self.bug {
            Some(Bug::OtherRequestIsCopy) => Fingerprint::of(&[]),
            _ => Fingerprint::of(&[request.path.as_bytes()]),
        };
        let serve = self.serve(request, offer.policy());
        let outcome = self
            .till
            .run(
                Order {
                    offer,
                    asked: &Asked::default(),
                    fingerprint,
                    idempotency: None,
                },
                credential,
                sleep(COPY_WAIT),
                serve,
            )
            .await;
        match outcome {
            Outcome::Unpaid { refusal, .. } => Reply::Unpaid(refusal.code.as_str()),
            Outcome::Refused { refusal, .. } => Reply::Refused(refusal.code.as_str()),
            // Nothing of x402 buys more than one request.
            Outcome::Passed { .. } => Reply::Unpaid("passed"),
            Outcome::Sold { response, sale, .. } => {
                let (status, body) = response;
                // As the paywall does it: whoever paid for a breakdown is owed an answer.
                if status < 500 {
                    let id = sale.id();
                    let answer = Answer {
                        status,
                        headers: Vec::new(),
                        body: Some(body.clone().into_bytes()),
                    };
                    if sale.keep(answer).await.is_ok() {
                        self.shop.kept(id, &body);
                    }
                }
                Reply::Sold { status, body }
            }
            Outcome::NotSold(_) => Reply::NotSold,
            Outcome::Pending { .. } => Reply::Pending,
            Outcome::Replay(payment) => match payment.answer {
                Some(answer) => Reply::Replay {
                    status: answer.status,
                    body: String::from_utf8(answer.body.unwrap_or_default()).unwrap_or_default(),
                },
                None => Reply::InFlight,
            },
            Outcome::InFlight => Reply::InFlight,
            Outcome::Conflict | Outcome::KeyConflict => Reply::Conflict,
            Outcome::Owed { response, owed, .. } => self.lend(response, owed).await,
            Outcome::Unavailable(away) => Reply::Away(away.code.as_str()),
        }
    }

    /// As the paywall does it: recorded, then out, and settled beside it.
    async fn lend(&self, (status, body): (u16, String), owed: Owed) -> Reply {
        let id = owed.id();
        let answer = Answer {
            status,
            headers: Vec::new(),
            body: Some(body.clone().into_bytes()),
        };
        match owed.serve(answer).await {
            Ok(settling) => {
                self.shop.kept(id, &body);
                drop(self.process.spawn(settling.run()));
                Reply::Sold { status, body }
            }
            Err(away) => Reply::Away(away.code.as_str()),
        }
    }

    /// The way to the service, which is a machine of its own.
    fn serve(
        &self,
        request: &Request,
        policy: SettlePolicy,
    ) -> impl FnOnce(Paid) -> BoxFuture<'static, Served<(u16, String)>> + Send + use<> {
        let (process, shop, path) = (
            self.process.clone(),
            Arc::clone(&self.shop),
            request.path.clone(),
        );
        move |paid| {
            Box::pin(async move {
                let world = process.world().clone();
                let gate = process.to_string();
                let what = format!("serves {}", short(paid.id));
                shop.asked(&gate, paid.id, policy);
                let there = move || -> BoxFuture<'static, Option<(u16, String)>> {
                    let (shop, gate, path) = (Arc::clone(&shop), gate.clone(), path.clone());
                    Box::pin(async move { Some(shop.run(&gate, paid.id, &path)) })
                };
                match timeout(SERVE_TIMEOUT, world.ask_once(&process, &what, there)).await {
                    Ok(Ok((status, body))) if status < 400 => Served::Well((status, body)),
                    Ok(Ok(error)) => Served::Badly(error),
                    Ok(Err(_)) | Err(_) => Served::Badly((502, String::new())),
                }
            })
        }
    }
}
