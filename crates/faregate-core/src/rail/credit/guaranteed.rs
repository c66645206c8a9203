//! One promise on its way to a certificate.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use alloy_primitives::{U256, hex};
use faregate_types::credit::x402::CreditEnvelope;
use faregate_types::credit::{Certificate, Claims, Guarantee};
use faregate_types::x402::{SettleResponse, Version, header};
use faregate_types::{Amount, AssetId, Blame, ChainId, Code, PaymentId, Refusal, Timestamp};
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::owing::OnItsWay;
use super::{Desk, unknown};
use crate::crash::{self, Point};
use crate::port::{
    HeldCertificate, IssueError, IssueOutcome, Issuer, SettleOutcome, Settlement, TabAsk, Trail,
};
use crate::rail::{Headers, Instrument, Verified, VerifyError};
use crate::shared::SharedUses;

const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static(header::PAYMENT_RESPONSE);
const X_PAYMENT_RESPONSE: HeaderName = HeaderName::from_static(header::X_PAYMENT_RESPONSE);

/// So many seconds after nothing is sold for a promise any more, no request for its certificate is on its way either.
const ON_ITS_WAY_SECS: u64 = 60;

/// What has to be known of a promise to bring it to its end, now or from the ledger.
pub(super) struct Matter {
    pub(super) id: PaymentId,
    pub(super) chain: ChainId,
    /// What sells for it.
    pub(super) route: Box<str>,
    /// From when on nothing is sold for it any more that was not issued before.
    pub(super) good_until: Timestamp,
    /// How much the payer may owe for the route. Not kept: it is asked before the claim.
    pub(super) owed_max: Option<U256>,
    pub(super) envelope: CreditEnvelope,
}

impl Matter {
    /// As it stands in the ledger.
    pub(super) fn encode(&self) -> Vec<u8> {
        let envelope = &self.envelope;
        let named = json!({ "scheme": &envelope.scheme, "network": &envelope.network });
        let mut all = json!({
            "x402Version": envelope.version.number(),
            "payload": &envelope.request,
            "route": &*self.route,
            "chain": self.chain.get(),
            "goodUntil": self.good_until.as_secs(),
            "payment": self.id.to_string(),
        });
        if let (Value::Object(members), Value::Object(names)) = (&mut all, &named) {
            match envelope.version {
                Version::V1 => members.extend(names.clone()),
                Version::V2 => drop(members.insert("accepted".to_owned(), named)),
            }
        }
        serde_json::to_vec(&all).unwrap_or_default()
    }

    /// Reads back what [`encode`](Self::encode) wrote.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let damaged = || Refusal::new(Code::Internal).detail("the ledger holds no promise");
        let all: Value = serde_json::from_slice(bytes).map_err(|_| damaged())?;
        let number = |name: &str| all.get(name).and_then(Value::as_u64);
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        let chain = number("chain").and_then(ChainId::new);
        Ok(Self {
            id: (text("payment").and_then(|id| id.parse().ok())).ok_or_else(damaged)?,
            chain: chain.ok_or_else(damaged)?,
            route: text("route").ok_or_else(damaged)?.into(),
            good_until: Timestamp::from_secs(number("goodUntil").ok_or_else(damaged)?),
            owed_max: None,
            envelope: CreditEnvelope::read(&all)?,
        })
    }

    pub(super) const fn claims(&self) -> &Claims {
        &self.envelope.request.claims
    }

    /// The tab, as one asks for it.
    fn tab(&self) -> TabAsk {
        let claims = self.claims();
        TabAsk {
            payer: claims.payer,
            recipient: claims.recipient,
            asset: claims.asset,
            version: claims.version(),
            ttl_secs: None,
        }
    }

    fn held(&self, certificate: Certificate, at: Timestamp) -> Option<HeldCertificate> {
        let (guarantee, _) = Guarantee::decode(&certificate.claims).ok()?;
        let asset = AssetId::erc20(self.chain, guarantee.asset);
        Some(HeldCertificate {
            payment: self.id,
            route: self.route.clone(),
            chain: self.chain,
            tab: guarantee.tab_id,
            req: guarantee.req_id,
            version: guarantee.version(),
            payer: guarantee.payer,
            recipient: guarantee.recipient,
            amount: Amount::new(guarantee.amount, asset),
            total: guarantee.total_amount,
            promised_at: guarantee.timestamp,
            certificate,
            at,
        })
    }
}

/// A promise of scheme `4mica-credit`.
pub(super) struct Guaranteed {
    desk: Arc<Desk>,
    issuer: Arc<dyn Issuer>,
    matter: Matter,
    /// Counts against what the payer may owe until the certificate is kept.
    on_its_way: Mutex<Option<OnItsWay>>,
    shared: Option<SharedUses>,
    held: OnceLock<HeldCertificate>,
}

impl Guaranteed {
    pub(super) fn new(desk: Arc<Desk>, issuer: Arc<dyn Issuer>, matter: Matter) -> Self {
        let shared = desk.replay.as_ref().map(|store| SharedUses {
            store: Arc::clone(store),
            payment: matter.id,
            digest: *matter.id.as_bytes(),
            until: matter.good_until,
        });
        Self {
            shared,
            desk,
            issuer,
            matter,
            on_its_way: Mutex::new(None),
            held: OnceLock::new(),
        }
    }

    fn is_late(&self) -> bool {
        self.desk.clock.now() > self.matter.good_until
    }

    /// Whether also nothing can be on its way any more that left in time.
    fn is_over(&self) -> bool {
        let over_at = self.matter.good_until.checked_add_secs(ON_ITS_WAY_SECS);
        over_at.is_some_and(|over_at| self.desk.clock.now() >= over_at)
    }

    async fn verified(&self) -> Result<Verified, VerifyError> {
        let claims = self.matter.claims();
        if self.is_late() {
            let refusal = Refusal::new(Code::PaymentExpired).payer(claims.payer);
            return Err(refusal.into());
        }
        let authentic = self.issuer.authenticate(&self.matter.envelope.request);
        authentic.await.map_err(|error| match error {
            IssueError::Refused(refusal) => VerifyError::Refused(refusal.payer(claims.payer)),
            IssueError::Away(away) => VerifyError::Away(away),
        })?;
        if let Some(max) = self.matter.owed_max {
            let asset = faregate_types::Erc20::new(self.matter.chain, claims.asset);
            let key = (claims.payer, self.matter.route.clone(), asset);
            let certificates = self.desk.certificates.as_ref();
            let entering = self.desk.owing.enter(certificates, key, claims.amount, max);
            let entered = entering.await?;
            *self.lock() = Some(entered);
        }
        Ok(Verified::default())
    }

    async fn settled(&self) -> SettleOutcome {
        // A copy that comes too late: what was issued in time counts, and nothing is issued any more.
        if self.is_late() {
            return self.resolve().await;
        }
        let request = &self.matter.envelope.request;
        let payer = self.matter.claims().payer;
        match self.issuer.issue(request).await {
            IssueOutcome::Issued(certificate) => {
                crash::point(Point::Guaranteed);
                self.keep(certificate).await
            }
            // Not the payer's fault, and nothing happened: the same bytes may be sent again.
            IssueOutcome::Refused(refusal) if refusal.code.blame() != Blame::Payer => {
                unknown(refusal.code)
            }
            IssueOutcome::Refused(refusal) => {
                self.desk.tabs.forget(self.matter.chain, self.matter.tab());
                SettleOutcome::Failed(refusal.payer(payer))
            }
            IssueOutcome::Unknown(code) => unknown(code),
        }
    }

    /// What was issued is the recipient's once it is kept, and not before.
    async fn keep(&self, certificate: Certificate) -> SettleOutcome {
        let Some(held) = self.matter.held(certificate, self.desk.clock.now()) else {
            return unknown(Code::CreditCoreAnswerInvalid);
        };
        if let Err(error) = self.desk.certificates.keep(held.clone()).await {
            tracing::error!(payment = %self.matter.id, %error, "a certificate could not be kept; the core has it too");
            return unknown(Code::StoreUnavailable);
        }
        crash::point(Point::CertificateHeld);
        // Filled once; a second is the same.
        drop(self.held.set(held));
        *self.lock() = None;
        SettleOutcome::Settled(Settlement {
            transaction: None,
            payer: Some(self.matter.claims().payer),
        })
    }

    /// What became of it, without asking for it again.
    pub(super) async fn resolve(&self) -> SettleOutcome {
        match self.issuer.issued(&self.matter.envelope.request).await {
            Ok(Some(certificate)) => self.keep(certificate).await,
            // Nobody sends it any more, and nothing would be sold for it.
            Ok(None) if self.is_over() => SettleOutcome::Failed(
                Refusal::new(Code::PaymentExpired).payer(self.matter.claims().payer),
            ),
            Ok(None) => unknown(Code::SettlementPending),
            Err(IssueError::Refused(refusal)) => unknown(refusal.code),
            Err(IssueError::Away(away)) => unknown(away.code),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<OnItsWay>> {
        self.on_its_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the payer gets to know: what it owes now, for what, and how it is paid back.
    fn details(&self) -> Value {
        let claims = self.matter.claims();
        let mut details = json!({
            "tabId": format!("{:#x}", claims.tab_id),
            "reqId": format!("{:#x}", claims.req_id),
            "asset": claims.asset.to_string(),
            "recipient": claims.recipient.to_string(),
            "amount": claims.amount.to_string(),
        });
        if let (Some(contract), Value::Object(members)) = (self.issuer.contract(), &mut details) {
            members.insert("contract".to_owned(), contract.to_string().into());
        }
        if let (Some(held), Value::Object(members)) = (self.held.get(), &mut details) {
            let certificate = &held.certificate;
            members.insert("totalAmount".to_owned(), held.total.to_string().into());
            members.insert(
                "certificate".to_owned(),
                json!({
                    "claims": hex::encode_prefixed(&certificate.claims),
                    "signature": hex::encode_prefixed(certificate.signature.as_bytes()),
                }),
            );
        }
        details
    }
}

impl Instrument for Guaranteed {
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        Box::pin(self.verified())
    }

    fn shared(&self) -> Option<&SharedUses> {
        self.shared.as_ref()
    }

    fn settle<'a>(&'a self, _trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.settled())
    }

    fn receipt(&self, outcome: &SettleOutcome) -> Headers {
        let network = &self.matter.envelope.network;
        let mut response = match outcome {
            SettleOutcome::Settled(_) => SettleResponse {
                success: true,
                payer: Some(self.matter.claims().payer.to_string()),
                ..SettleResponse::pending(network, "")
            },
            SettleOutcome::Failed(refusal) => SettleResponse::failed(network, refusal, None),
            SettleOutcome::Unknown(_) => SettleResponse::pending(network, ""),
        };
        if let (SettleOutcome::Settled(_), Value::Object(details)) = (outcome, self.details()) {
            (response.error_reason, response.error_message) = (None, None);
            response.extra = Some(details);
        }
        let name = match self.matter.envelope.version {
            Version::V1 => X_PAYMENT_RESPONSE,
            Version::V2 => PAYMENT_RESPONSE,
        };
        match HeaderValue::from_str(&header::encode(&response)) {
            Ok(value) => vec![(name, value)],
            Err(_) => Headers::new(),
        }
    }
}
