//! A till over a ledger in memory and a facilitator that does as it is told.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses its own part"
)]
#![allow(clippy::unwrap_used, reason = "tests may")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::port::{Away, Facilitator, SettleOutcome, Settlement, Trail, Unknown, Verdict};
use faregate_core::rail::x402::X402;
use faregate_core::{Offer, Payee, Resource, SettlePolicy, Till, TokenAsk};
use faregate_ledger::LedgerStore;
use faregate_store::memory::MemoryLedger;
use faregate_tower::PaywallLayer;
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{
    FacilitatorRequest, Kind, SettleResponse, SupportedResponse, Version, header, v1, v2,
};
use faregate_types::{
    Address, Amount, AssetRegistry, Authorization, B256, ChainId, Code, PaymentId, RailName,
    Refusal, Timestamp, U256,
};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const PAYER: Address = Address::repeat_byte(0x11);
pub const SELLER: Address = Address::repeat_byte(0x22);
pub const TRANSACTION: &str = "0x3333333333333333333333333333333333333333333333333333333333333333";

/// How settlements end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Settled,
    Failed(Code),
    /// Sent, and nobody knows.
    Unknown,
    /// Not sent, and nobody answers.
    Away,
}

pub struct Fake {
    pub verifies: AtomicU32,
    pub settles: AtomicU32,
    pub resolves: AtomicU32,
    pub end: Mutex<End>,
    pub resolved: Mutex<End>,
    pub verdict: Mutex<Result<(), Code>>,
    pub away: Mutex<Option<Code>>,
    pub supported: Mutex<Result<Vec<Kind>, Code>>,
    /// Settlements wait for a permit.
    pub gate: Semaphore,
    spent: Mutex<BTreeSet<PaymentId>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            verifies: AtomicU32::new(0),
            settles: AtomicU32::new(0),
            resolves: AtomicU32::new(0),
            end: Mutex::new(End::Settled),
            resolved: Mutex::new(End::Unknown),
            verdict: Mutex::new(Ok(())),
            away: Mutex::new(None),
            supported: Mutex::new(Ok(vec![
                Kind::exact(Version::V2, "eip155:84532"),
                Kind::exact(Version::V1, "base-sepolia"),
            ])),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            spent: Mutex::default(),
        }
    }
}

fn outcome(end: End) -> SettleOutcome {
    match end {
        End::Settled => SettleOutcome::Settled(Settlement {
            transaction: Some(TRANSACTION.into()),
            payer: Some(PAYER),
        }),
        End::Failed(code) => SettleOutcome::Failed(Refusal::new(code).payer(PAYER)),
        End::Unknown => SettleOutcome::Unknown(Unknown {
            code: Code::SettlementPending,
            transaction: Some(TRANSACTION.into()),
        }),
        End::Away => SettleOutcome::Unknown(Unknown {
            code: Code::FacilitatorUnavailable,
            transaction: None,
        }),
    }
}

impl Facilitator for Fake {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        let answer = self.supported.lock().unwrap().clone();
        Box::pin(std::future::ready(match answer {
            Ok(kinds) => Ok(SupportedResponse {
                kinds,
                extensions: Vec::new(),
                signers: std::collections::BTreeMap::new(),
            }),
            Err(code) => Err(Away { code }),
        }))
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(async move {
            self.verifies.fetch_add(1, Ordering::SeqCst);
            if let Some(code) = *self.away.lock().unwrap() {
                return Err(Away { code });
            }
            let id = request.exact().unwrap().id();
            if self.spent.lock().unwrap().contains(&id) {
                return Ok(Verdict::Invalid(
                    Refusal::new(Code::InvalidExactEvmNonceAlreadyUsed).payer(PAYER),
                ));
            }
            Ok(match *self.verdict.lock().unwrap() {
                Ok(()) => Verdict::Valid { payer: PAYER },
                Err(code) => Verdict::Invalid(Refusal::new(code).payer(PAYER)),
            })
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
            self.settles.fetch_add(1, Ordering::SeqCst);
            drop(self.gate.acquire().await.unwrap());
            let end = *self.end.lock().unwrap();
            if end != End::Away && trail.broadcast(TRANSACTION).await.is_err() {
                return outcome(End::Away);
            }
            if end == End::Settled {
                self.spent
                    .lock()
                    .unwrap()
                    .insert(request.exact().unwrap().id());
            }
            outcome(end)
        })
    }

    fn resolve<'a>(
        &'a self,
        _: &'a FacilitatorRequest,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            self.resolves.fetch_add(1, Ordering::SeqCst);
            outcome(*self.resolved.lock().unwrap())
        })
    }
}

pub struct World {
    pub till: Till,
    pub store: Arc<MemoryLedger>,
    pub facilitator: Arc<Fake>,
}

impl World {
    pub fn new() -> Self {
        let store = Arc::new(MemoryLedger::new());
        Self::over(Arc::clone(&store) as Arc<dyn LedgerStore>, store)
    }

    pub fn over(ledger: Arc<dyn LedgerStore>, store: Arc<MemoryLedger>) -> Self {
        let facilitator = Arc::new(Fake::default());
        let rail = X402::new(Arc::clone(&facilitator) as Arc<dyn Facilitator>);
        let till = Till::new(ledger, Arc::new(|| NOW), vec![Arc::new(rail)]);
        Self {
            till,
            store,
            facilitator,
        }
    }

    pub fn layer(&self, policy: SettlePolicy) -> PaywallLayer {
        PaywallLayer::new(self.till.clone(), offer(policy)).unwrap()
    }

    pub fn settles(&self) -> u32 {
        self.facilitator.settles.load(Ordering::SeqCst)
    }

    pub fn ends(&self, end: End) {
        *self.facilitator.end.lock().unwrap() = end;
    }
}

pub fn offer(policy: SettlePolicy) -> Offer {
    let usdc = AssetRegistry::builtin()
        .default_for(ChainId::BASE_SEPOLIA)
        .unwrap()
        .clone();
    let ask = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(U256::from(1_000), usdc.id),
        asset: usdc,
        payee: Payee::Evm(SELLER),
    };
    let resource = Resource {
        url: "https://api.example/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    Offer::new("joke", resource, vec![ask.into()], policy, 60).unwrap()
}

fn payload(nonce: u64) -> serde_json::Value {
    let authorization = Authorization {
        from: PAYER,
        to: SELLER,
        value: U256::from(1_000),
        valid_after: U256::ZERO,
        valid_before: U256::from(NOW.as_secs() + 60),
        nonce: B256::from(U256::from(nonce)),
    };
    Payload {
        authorization,
        signature: Bytes::from_static(&[7; 65]).into(),
    }
    .to_value()
}

/// A v2 credential for what a 402 asks for.
pub fn credential_v2(unpaid: &Response, nonce: u64) -> HeaderValue {
    let required = unpaid.headers().get(header::PAYMENT_REQUIRED).unwrap();
    let required = header::decode_payment_required(required.as_bytes()).unwrap();
    let payment = v2::PaymentPayload {
        x402_version: faregate_types::x402::VersionTag,
        resource: Some(required.resource),
        accepted: required.accepts.into_iter().next().unwrap(),
        payload: payload(nonce),
        extensions: None,
    };
    HeaderValue::from_str(&header::encode(&payment)).unwrap()
}

/// A v1 credential.
pub fn credential_v1(nonce: u64) -> HeaderValue {
    let payment: v1::PaymentPayload = serde_json::from_value(serde_json::json!({
        "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": payload(nonce),
    }))
    .unwrap();
    HeaderValue::from_str(&header::encode(&payment)).unwrap()
}

pub fn get() -> Request<Body> {
    Request::get("/joke").body(Body::empty()).unwrap()
}

pub fn paying(credential: &HeaderValue) -> Request<Body> {
    Request::get("/joke")
        .header(header::PAYMENT_SIGNATURE, credential)
        .body(Body::empty())
        .unwrap()
}

pub async fn ask<S>(service: S, request: Request<Body>) -> Response
where
    S: tower::Service<Request<Body>, Response = Response>,
    S::Error: std::fmt::Debug,
{
    service.oneshot(request).await.unwrap()
}

/// Asks until no earlier purchase with the credential is in progress.
pub async fn ask_until_done<S>(service: S, credential: &HeaderValue) -> Response
where
    S: tower::Service<Request<Body>, Response = Response> + Clone,
    S::Error: std::fmt::Debug,
{
    loop {
        let answer = ask(service.clone(), paying(credential)).await;
        if value(&answer, "retry-after") != Some("1") {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

pub async fn text(response: Response) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

pub fn receipt(response: &Response) -> SettleResponse {
    let value = response.headers().get(header::PAYMENT_RESPONSE).unwrap();
    assert_eq!(
        response.headers().get(header::X_PAYMENT_RESPONSE),
        Some(value)
    );
    assert_eq!(
        response
            .headers()
            .get_all(header::PAYMENT_RESPONSE)
            .iter()
            .count(),
        1
    );
    header::decode_settle_response(value.as_bytes()).unwrap()
}

pub fn value<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}
