//! A facilitator that does what it is told, a service around it, and calls to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use faregate_core::port::{Away, Facilitator, SettleOutcome, Settlement, Trail, Unknown, Verdict};
use faregate_ledger::LedgerStore;
use faregate_server::facilitator::{Access, Settings, router};
use faregate_store::memory::MemoryLedger;
use faregate_types::x402::{FacilitatorRequest, Kind, SupportedResponse, Version};
use faregate_types::{Address, Code, Refusal, Timestamp};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub(crate) const HASH: &str = "0x00000000000000000000000000000000000000000000000000000000000000aa";

/// What the fake does when asked to settle.
#[derive(Clone, Debug)]
pub(crate) enum Settles {
    Well,
    Badly(Code),
    Unknown(Option<&'static str>),
    Panic,
    /// A resolution never ends.
    Never,
}

/// A facilitator that does what it is told and counts.
pub(crate) struct Fake {
    pub(crate) verify: Mutex<Result<Result<(), Code>, Code>>,
    pub(crate) settle: Mutex<Settles>,
    pub(crate) supported: Mutex<Result<usize, Code>>,
    /// How often it was asked what it supports.
    pub(crate) asked: AtomicUsize,
    pub(crate) settled: AtomicUsize,
    pub(crate) resolved: AtomicUsize,
    /// A settlement waits for one permit.
    pub(crate) go: Semaphore,
    /// A settlement has begun.
    begun: Semaphore,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            verify: Mutex::new(Ok(Ok(()))),
            settle: Mutex::new(Settles::Well),
            supported: Mutex::new(Ok(1)),
            asked: AtomicUsize::new(0),
            settled: AtomicUsize::new(0),
            resolved: AtomicUsize::new(0),
            go: Semaphore::new(Semaphore::MAX_PERMITS),
            begun: Semaphore::new(0),
        }
    }
}

impl Fake {
    /// One whose settlements wait for [`Fake::go`].
    pub(crate) fn held() -> Self {
        Self {
            go: Semaphore::new(0),
            ..Self::default()
        }
    }

    /// Until a settlement has begun.
    pub(crate) async fn begins(&self) {
        self.begun.acquire().await.unwrap().forget();
    }

    pub(crate) fn will(&self, settle: Settles) {
        *self.settle.lock().unwrap() = settle;
    }

    pub(crate) fn settlements(&self) -> usize {
        self.settled.load(Ordering::SeqCst)
    }

    fn outcome(&self, request: &FacilitatorRequest) -> SettleOutcome {
        let what = self.settle.lock().unwrap().clone();
        match what {
            Settles::Well => SettleOutcome::Settled(Settlement {
                transaction: Some(HASH.into()),
                payer: Some(payer(request)),
            }),
            Settles::Badly(code) => SettleOutcome::Failed(Refusal::new(code).payer(payer(request))),
            Settles::Unknown(transaction) => SettleOutcome::Unknown(Unknown {
                code: Code::ChainUnavailable,
                transaction: transaction.map(Into::into),
            }),
            Settles::Panic | Settles::Never => panic!("on purpose"),
        }
    }
}

fn payer(request: &FacilitatorRequest) -> Address {
    request.exact().unwrap().payload.authorization.from
}

impl Facilitator for Fake {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let kinds = match *self.supported.lock().unwrap() {
            Ok(kinds) => Ok(kinds),
            Err(code) => Err(Away { code }),
        };
        Box::pin(async move {
            let kind = Kind::exact(Version::V2, "eip155:84532");
            Ok(SupportedResponse {
                kinds: vec![kind; kinds?],
                extensions: Vec::new(),
                signers: [("eip155:*".to_owned(), Vec::new())].into(),
            })
        })
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        let told = *self.verify.lock().unwrap();
        Box::pin(async move {
            let payment = match request.exact() {
                Ok(payment) => payment,
                Err(refusal) => return Ok(Verdict::Invalid(refusal)),
            };
            let payer = payment.payload.authorization.from;
            match told {
                Ok(Ok(())) => Ok(Verdict::Valid { payer }),
                Ok(Err(code)) => Ok(Verdict::Invalid(Refusal::new(code).payer(payer))),
                Err(code) => Err(Away { code }),
            }
        })
    }

    fn uses_trail(&self) -> bool {
        true
    }

    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            self.settled.fetch_add(1, Ordering::SeqCst);
            trail.broadcast(HASH).await.unwrap();
            self.begun.add_permits(1);
            self.go.acquire().await.unwrap().forget();
            self.outcome(request)
        })
    }

    fn resolve<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        _transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        self.resolved.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let never = matches!(*self.settle.lock().unwrap(), Settles::Never);
            if never {
                std::future::pending::<()>().await;
            }
            self.outcome(request)
        })
    }
}

/// A service around the fake, with a ledger in memory.
pub(crate) struct Desk {
    pub(crate) fake: Arc<Fake>,
    pub(crate) store: Arc<dyn LedgerStore>,
    pub(crate) router: Router,
}

impl Desk {
    pub(crate) fn new(fake: Fake) -> Self {
        Self::on(fake, Arc::new(MemoryLedger::new()))
    }

    pub(crate) fn on(fake: Fake, store: Arc<dyn LedgerStore>) -> Self {
        Self::with(fake, store, Access::default())
    }

    pub(crate) fn with(fake: Fake, store: Arc<dyn LedgerStore>, access: Access) -> Self {
        Self::set(fake, store, Settings::default().access(access))
    }

    pub(crate) fn set(fake: Fake, store: Arc<dyn LedgerStore>, settings: Settings) -> Self {
        let fake = Arc::new(fake);
        let facilitator: Arc<dyn Facilitator> = fake.clone();
        let router = router(facilitator, Arc::clone(&store), Arc::new(clock), settings);
        Self {
            fake,
            store,
            router,
        }
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    /// `POST /settle` with an `Idempotency-Key`.
    pub(crate) async fn settle_as(&self, key: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post("/settle")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn method(&self, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// The same time for everybody.
pub(crate) fn clock() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
