//! Many copies at once, payers who hang up, ledgers that are away.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use common::{World, ask, ask_until_done, credential_v2, get, paying, receipt, text, value};
use faregate_core::SettlePolicy::{After, Before};
use faregate_ledger::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, PaymentState, Step,
    StoreError, Totals,
};
use faregate_store::memory::MemoryLedger;
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp, U256};
use futures_util::future::BoxFuture;
use http::{Request, StatusCode};
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt, service_fn};

/// A service that waits for a permit and counts its runs.
fn slow(
    runs: &Arc<AtomicU32>,
    gate: &Arc<Semaphore>,
) -> impl Service<
    Request<Body>,
    Response = Response,
    Error = Infallible,
    Future = BoxFuture<'static, Result<Response, Infallible>>,
> + Clone
+ Send
+ 'static {
    let (runs, gate) = (Arc::clone(runs), Arc::clone(gate));
    service_fn(move |_: Request<Body>| {
        let (runs, gate) = (Arc::clone(&runs), Arc::clone(&gate));
        let answer = async move {
            drop(gate.acquire().await.unwrap());
            let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
            Ok(Response::new(Body::from(format!("run {run}"))))
        };
        Box::pin(answer) as BoxFuture<'static, _>
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_copies_are_one_purchase() {
    for policy in [After, Before] {
        let world = World::new();
        let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let service = world.layer(policy).layer(slow(&runs, &gate));
        let credential = credential_v2(&ask(service.clone(), get()).await, 1);
        let copies: Vec<_> = (0..1_000)
            .map(|_| tokio::spawn(service.clone().oneshot(paying(&credential))))
            .collect();
        gate.add_permits(1);
        // Every copy waits for the first one's answer and gets it.
        for copy in copies {
            let answer = copy.await.unwrap().unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{policy:?}");
            assert!(receipt(&answer).success);
            assert_eq!(text(answer).await, "run 1");
        }
        assert_eq!(
            (runs.load(Ordering::SeqCst), world.settles()),
            (1, 1),
            "{policy:?}"
        );
        let copy = ask(service, paying(&credential)).await;
        assert_eq!(
            (copy.status(), text(copy).await.as_str()),
            (StatusCode::OK, "run 1")
        );
        assert!(world.store.audit().unwrap().is_clean());
    }
}

#[tokio::test]
async fn a_copy_that_waited_long_enough_is_told_to_come_back() {
    let world = World::new();
    let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
    let layer = world.layer(Before).copy_wait(Duration::ZERO);
    let service = layer.layer(slow(&runs, &gate));
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let first = tokio::spawn(service.clone().oneshot(paying(&credential)));
    while world.settles() == 0 {
        tokio::task::yield_now().await;
    }
    let copy = ask(service, paying(&credential)).await;
    assert_eq!(
        (copy.status(), value(&copy, "retry-after")),
        (StatusCode::CONFLICT, Some("1"))
    );
    assert!(text(copy).await.contains("\"code\":\"payment_in_flight\""));
    gate.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_payer_who_hangs_up_has_bought_all_the_same() {
    for policy in [After, Before] {
        let world = World::new();
        let (runs, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let layer = world.layer(policy);
        let service = layer.layer(slow(&runs, &gate));
        let credential = credential_v2(&ask(service.clone(), get()).await, 1);
        let purchase = tokio::spawn(service.clone().oneshot(paying(&credential)));
        while world.store.recent_payments(1).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        purchase.abort();
        assert!(purchase.await.unwrap_err().is_cancelled());
        let ended = layer.purchases();
        let early = tokio::time::timeout(Duration::from_millis(20), ended.ended()).await;
        assert!(early.is_err(), "a purchase goes on without its payer");
        gate.add_permits(1);
        ended.ended().await;
        let answer = ask_until_done(service.clone(), &credential).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(text(answer).await, "run 1");
        assert_eq!(
            (runs.load(Ordering::SeqCst), world.settles()),
            (1, 1),
            "{policy:?}"
        );
        let payment = world.store.recent_payments(1).await.unwrap().pop().unwrap();
        assert_eq!(payment.state, PaymentState::Settled);
    }
}

#[tokio::test]
async fn a_service_with_a_concurrency_limit_is_asked_whether_it_is_ready() {
    let world = World::new();
    let (runs, gate) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
    );
    let limited = ConcurrencyLimitLayer::new(1).layer(slow(&runs, &gate));
    let service = world.layer(After).layer(limited);
    let unpaid = ask(service.clone(), get()).await;
    let copies: Vec<_> = (1..=20)
        .map(|nonce| {
            tokio::spawn(
                service
                    .clone()
                    .oneshot(paying(&credential_v2(&unpaid, nonce))),
            )
        })
        .collect();
    for copy in copies {
        let answer = tokio::time::timeout(Duration::from_secs(30), copy)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!((runs.load(Ordering::SeqCst), world.settles()), (20, 20));
}

/// A ledger that can be unplugged.
struct Flaky {
    inner: Arc<MemoryLedger>,
    claims_away: AtomicBool,
    steps_away: AtomicBool,
}

impl Flaky {
    fn guard(flag: &AtomicBool) -> Result<(), StoreError> {
        if flag.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable)
        } else {
            Ok(())
        }
    }
}

impl LedgerStore for Flaky {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(async move {
            Self::guard(&self.claims_away)?;
            self.inner.claim(claim).await
        })
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        Box::pin(async move {
            Self::guard(&self.steps_away)?;
            self.inner.take_step(id, step, at).await
        })
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.inner.payment(id)
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.inner.named_payment(payer, key)
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.open_payments(limit)
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.unfinal_payments(limit)
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.prune(before, bytes_max, limit)
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        self.inner.exposure(payer, asset)
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.recent_payments(limit)
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        self.inner.balance(account, asset)
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        self.inner.totals()
    }
}

#[tokio::test]
async fn a_ledger_that_is_away_means_503_and_never_free_service() {
    let inner = Arc::new(MemoryLedger::new());
    let flaky = Arc::new(Flaky {
        inner: Arc::clone(&inner),
        claims_away: AtomicBool::new(true),
        steps_away: AtomicBool::new(false),
    });
    let world = World::over(Arc::clone(&flaky) as Arc<dyn LedgerStore>, inner);
    let (runs, gate) = (
        Arc::new(AtomicU32::new(0)),
        Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
    );
    let service = world.layer(Before).layer(slow(&runs, &gate));
    let credential = credential_v2(&ask(service.clone(), get()).await, 1);
    let answer = ask(service.clone(), paying(&credential)).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(value(&answer, "retry-after"), Some("2"));
    assert!(
        text(answer)
            .await
            .contains("\"code\":\"store_unavailable\"")
    );
    assert_eq!((runs.load(Ordering::SeqCst), world.settles()), (0, 0));

    // away between claim and broadcast: nothing is sent, nothing is served
    flaky.claims_away.store(false, Ordering::SeqCst);
    flaky.steps_away.store(true, Ordering::SeqCst);
    let answer = ask(service.clone(), paying(&credential)).await;
    assert!(!answer.status().is_success(), "{}", answer.status());
    assert_eq!(runs.load(Ordering::SeqCst), 0);

    flaky.steps_away.store(false, Ordering::SeqCst);
    assert_eq!(
        ask(service, paying(&credential)).await.status(),
        StatusCode::OK
    );
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}
