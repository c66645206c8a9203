//! Scheme `4mica-credit`: tabs, and payments that become guarantees of a credit core (specs/4mica.md §6).
//!
//! | what happened | answer |
//! |---|---|
//! | a verdict, whichever | 200; shapes for clients of the network and of x402 alike |
//! | the core did not say whether it issued the guarantee | 200, `success: false`, `settlement_pending`: the same payment may be settled again |
//! | the core of this network is away | 503 with `Retry-After`; other networks go on |
//! | the body is no JSON, or too large | 400, 413 |
//! | a tab that cannot be | 400, 403, 404, 409 with `{"error": …}` |
//!
//! Nothing is kept here: a core issues one guarantee per tab and number, and the same request gets the same certificate.

use std::fmt;
use std::sync::Arc;

use axum::response::Response;
use faregate_core::crash::{self, Point};
use faregate_core::port::{Away, IssueError, IssueOutcome, Issuer, TabAsk};
use faregate_types::credit::x402::{
    self as wire, CreditCall, CreditSettlement, CreditVerdict, TabRequest,
};
use faregate_types::credit::{GuaranteeVersion, write};
use faregate_types::x402::Kind;
use faregate_types::{Address, ChainId, Code, Problem, Refusal};
use futures_util::future::join_all;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio::time::timeout;

use super::answer::{self, Endpoint};
use super::meter::Outcome;
use crate::http::json as body;
use crate::limits::CREDIT_KINDS_WAIT;

/// The credit cores a facilitator stands before: one per network, the first of which is meant when none is named.
#[derive(Clone, Default)]
pub struct CreditNetworks(Arc<[Arc<dyn Issuer>]>);

impl fmt::Debug for CreditNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chains = self.0.iter().map(|issuer| issuer.chain());
        f.debug_list().entries(chains).finish()
    }
}

impl CreditNetworks {
    /// These, each on a network of its own. Of two on one network the first counts.
    #[must_use]
    pub fn new(issuers: Vec<Arc<dyn Issuer>>) -> Self {
        Self(issuers.into())
    }

    /// True when there is no credit here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn on(&self, chain: Option<ChainId>) -> Option<&Arc<dyn Issuer>> {
        let chain = chain?;
        self.0.iter().find(|issuer| issuer.chain() == chain)
    }

    fn named(&self, network: &str) -> Result<&Arc<dyn Issuer>, Refusal> {
        self.on(wire::chain(network)).ok_or_else(|| {
            Refusal::new(Code::InvalidNetwork).detail(format!("unsupported network {network}"))
        })
    }

    /// What can be verified and settled now: one kind for each network and guarantee version. A core that is away has none.
    pub(super) async fn kinds(&self) -> Vec<Kind> {
        let asked = self.0.iter().map(async |issuer| {
            let versions = timeout(CREDIT_KINDS_WAIT, issuer.versions()).await;
            (issuer.chain(), versions.ok().and_then(Result::ok))
        });
        let known = join_all(asked).await;
        let kinds = known.into_iter().flat_map(|(chain, versions)| {
            let versions = versions.unwrap_or_default();
            versions.into_iter().map(move |version| Kind {
                x402_version: version.number(),
                scheme: wire::SCHEME.to_owned(),
                network: chain.to_string(),
                extra: None,
            })
        });
        kinds.collect()
    }

    /// Whether a request is meant for this scheme: its requirements name it.
    pub(super) fn is_for(&self, body: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Peek {
            #[serde(rename = "paymentRequirements")]
            requirements: Scheme,
        }
        #[derive(serde::Deserialize)]
        struct Scheme {
            scheme: String,
        }
        // Most requests are not: they are not read twice.
        let named = || {
            body.windows(5)
                .any(|part| part.eq_ignore_ascii_case(b"4mica"))
        };
        !self.is_empty()
            && named()
            && serde_json::from_slice::<Peek>(body)
                .is_ok_and(|peek| wire::is_credit(&peek.requirements.scheme))
    }

    /// `POST /tabs`.
    pub(super) async fn tab(
        &self,
        body: &[u8],
        may: impl FnOnce(Address) -> Result<(), Problem>,
    ) -> Response {
        match self.opened(body, may).await {
            Ok(ticket) => text(StatusCode::OK, ticket),
            Err(No::Refused(refusal)) => refused(&refusal),
            Err(No::Problem(problem)) => answer::refuse(Endpoint::Tabs, &problem),
            Err(No::Away(away)) => answer::away(away),
        }
    }

    async fn opened(
        &self,
        body: &[u8],
        may: impl FnOnce(Address) -> Result<(), Problem>,
    ) -> Result<String, No> {
        let bad = |detail: String| No::Refused(Refusal::new(Code::BadRequest).detail(detail));
        let asked = TabRequest::read(body).map_err(|error| bad(error.to_string()))?;
        let demand = asked.demand.as_ref();
        let network = asked.network.as_deref();
        let issuer = match network.or(demand.map(|demand| demand.network.as_str())) {
            Some(network) => self.named(network).map_err(No::Refused)?,
            None => self.0.first().ok_or(No::Away(Away {
                code: Code::CreditCoreUnavailable,
            }))?,
        };
        let recipient = asked.recipient.or(demand.map(|demand| demand.recipient));
        let recipient =
            recipient.ok_or_else(|| bad("recipientAddress: expected to be there".to_owned()))?;
        may(recipient).map_err(No::Problem)?;
        let version = GuaranteeVersion::from_number(asked.version).ok_or_else(|| {
            bad(format!(
                "unsupported guarantee version {}: expected 1 or 2",
                asked.version
            ))
        })?;
        let asset = asked.token.or(demand.map(|demand| demand.asset));
        let ask = TabAsk {
            payer: asked.payer,
            recipient,
            asset: asset.unwrap_or_default(),
            version,
            ttl_secs: asked.ttl,
        };
        match issuer.open(&ask).await {
            Ok(ticket) => Ok(write(&ticket)),
            Err(IssueError::Refused(refusal)) => Err(No::Refused(refusal)),
            Err(IssueError::Away(away)) => Err(No::Away(away)),
        }
    }

    /// What a request asks for, and who decides about it: everything that the words themselves say fits.
    fn call<'a>(&'a self, call: &CreditCall) -> Result<&'a Arc<dyn Issuer>, Refusal> {
        call.check()?;
        let payer = call.payment.request.claims.payer;
        let network = self.named(&call.demand.network);
        network.map_err(|refusal| refusal.payer(payer))
    }

    /// `POST /verify`.
    pub(super) async fn verify(&self, call: &CreditCall) -> (Outcome, Response) {
        let request = &call.payment.request;
        let payer = request.claims.payer;
        let checked = match self.call(call) {
            Ok(issuer) => issuer.check(request).await,
            Err(refusal) => Err(refusal.into()),
        };
        match checked {
            Ok(()) => (Outcome::Valid, answer::ok(&CreditVerdict::valid(payer))),
            Err(IssueError::Refused(refusal)) => invalid(&refusal.payer(payer)),
            Err(IssueError::Away(away)) => (Outcome::Away, answer::away(away)),
        }
    }

    /// `POST /settle`.
    pub(super) async fn settle(&self, call: &CreditCall) -> (Outcome, Response) {
        let (request, network) = (&call.payment.request, &call.demand.network);
        let payer = request.claims.payer;
        let outcome = match self.call(call) {
            Ok(issuer) => issuer.issue(request).await,
            Err(refusal) => IssueOutcome::Refused(refusal),
        };
        match outcome {
            IssueOutcome::Issued(certificate) => {
                crash::point(Point::Guaranteed);
                let answer = CreditSettlement::issued(network, payer, certificate);
                (Outcome::Settled, answer::ok(&answer))
            }
            IssueOutcome::Refused(refusal) if refusal.code == Code::CreditCoreUnavailable => {
                let away = Away { code: refusal.code };
                (Outcome::Away, answer::away(away))
            }
            IssueOutcome::Refused(refusal) => failed(network, &refusal.payer(payer)),
            IssueOutcome::Unknown(code) => {
                let refusal = Refusal::new(Code::SettlementPending)
                    .detail(format!("{}; settle the same payment again", code.meaning()))
                    .payer(payer);
                let answer = CreditSettlement::failed(network, &refusal);
                (Outcome::Pending, answer::ok(&answer))
            }
        }
    }
}

/// Why no tab was opened.
enum No {
    Refused(Refusal),
    Problem(Problem),
    Away(Away),
}

/// A verdict against a payment.
pub(super) fn invalid(refusal: &Refusal) -> (Outcome, Response) {
    let answer = answer::ok(&CreditVerdict::invalid(refusal));
    (Outcome::Invalid, answer)
}

/// A settlement that did not happen.
pub(super) fn failed(network: &str, refusal: &Refusal) -> (Outcome, Response) {
    let answer = answer::ok(&CreditSettlement::failed(network, refusal));
    (Outcome::Failed, answer)
}

/// `{"error": …}`, which is all that clients of the network read, and the code for others.
fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::CreditTabUnknown => StatusCode::NOT_FOUND,
        Code::CreditSuspended => StatusCode::FORBIDDEN,
        Code::CreditTabClosed => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    };
    let detail = refusal.detail.as_deref();
    let error = detail.unwrap_or_else(|| refusal.code.meaning());
    body::write(
        status,
        &json!({ "error": error, "code": refusal.code.as_str() }),
    )
}

fn text(status: StatusCode, json: String) -> Response {
    let mut response = Response::new(json.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
