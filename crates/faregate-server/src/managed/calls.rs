//! Who answers the four calls.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use faregate_core::custody::Standing;
use faregate_core::port::Away;
use faregate_tower::respond;
use faregate_types::l402::{UnsignedToken, unsigned_token};
use faregate_types::lightning::{LightningAddress, Msat};
use faregate_types::{Code, Problem};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::directory::{Draft, Key, Outcome as Entered};
use super::meter::{self, Call, Outcome};
use super::{Desk, Parts};
use crate::bearer::bearer;
use crate::http::{Peer, json as body};
use crate::limits::{self, CALLER_KEY_CHARS_MIN, MANAGED_BODY_BYTES_MAX};
use crate::strangers::{Buckets, limited, stranger};

/// How long a token of l402kit is good for, in milliseconds.
const TOKEN_MS: u64 = 3_600_000;

/// What went wrong is a problem, and counted as one of few kinds.
type Said = Result<Response, (Outcome, Problem)>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InvoiceBody {
    amount_sats: u64,
    owner_address: String,
}

#[derive(Debug, Deserialize)]
struct VerifyBody {
    token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    category: Option<String>,
}

/// `POST /api/invoice`.
pub(super) async fn invoice(State(desk): State<Desk>, request: Request<Body>) -> Response {
    told(Call::Invoice, desk.0.invoice(request).await)
}

/// `POST /api/verify`.
pub(super) async fn verify(State(desk): State<Desk>, request: Request<Body>) -> Response {
    told(Call::Verify, desk.0.verify(request).await)
}

/// `POST /api/register`.
pub(super) async fn register(State(desk): State<Desk>, request: Request<Body>) -> Response {
    told(Call::Register, desk.0.register(request).await)
}

/// `GET /api/apis.json`. For every page: there is nothing secret in it.
pub(super) async fn apis(State(desk): State<Desk>, Query(filter): Query<Filter>) -> Response {
    let apis = desk.0.directory.list(filter.category.as_deref());
    let listed = json!({ "version": "1", "count": apis.len(), "apis": apis });
    let mut response = body::write(StatusCode::OK, &listed);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let kept = HeaderValue::from_static("public, max-age=60");
    headers.insert(CACHE_CONTROL, kept);
    told(Call::List, Ok(response))
}

fn told(call: Call, said: Said) -> Response {
    let (outcome, response) = match said {
        Ok(response) => (Outcome::Ok, response),
        Err((outcome, problem)) => (outcome, respond::problem(&problem)),
    };
    meter::answered(call, outcome);
    response
}

fn bad(detail: impl AsRef<str>) -> (Outcome, Problem) {
    let problem = Problem::new(Code::BadRequest).detail(detail);
    (Outcome::BadRequest, problem)
}

/// Whatever is in the way, the caller can only come back.
fn away(away: Away) -> (Outcome, Problem) {
    (Outcome::Away, Problem::new(away.code).status(503))
}

async fn read<T: DeserializeOwned>(request: Request<Body>) -> Result<T, (Outcome, Problem)> {
    let bytes = body::read(request, MANAGED_BODY_BYTES_MAX).await;
    let bytes = bytes.map_err(|problem| (Outcome::BadRequest, problem))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
}

impl Parts {
    fn count(&self, buckets: &Buckets, peer: Option<IpAddr>) -> Result<(), (Outcome, Problem)> {
        let took = match peer.and_then(stranger) {
            Some(stranger) => buckets.take(stranger, self.nanos()),
            None => Ok(()),
        };
        took.map_err(too_often)
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn owner(&self, text: &str) -> Result<LightningAddress, (Outcome, Problem)> {
        let owner: LightningAddress = text.parse().map_err(|_| {
            bad("expected the owner's Lightning address, such as shop@wallet.example")
        })?;
        if self.owners.allow(&owner) {
            return Ok(owner);
        }
        let problem = Problem::new(Code::PayeeNotAllowed).status(403);
        let detail = "this service does not receive money for that address";
        Err((Outcome::Forbidden, problem.detail(detail)))
    }

    async fn invoice(&self, request: Request<Body>) -> Said {
        self.count(&self.invoices, peer(&request))?;
        let asked: InvoiceBody = read(request).await?;
        let owner = self.owner(&asked.owner_address)?;
        let amount = Msat::from_sat(asked.amount_sats).filter(|amount| *amount <= self.amount_max);
        let Some(amount) = amount.filter(|amount| self.custody.split(*amount).is_some()) else {
            return Err(bad(
                "expected an amount that is more than the fee and not above the limit",
            ));
        };
        let (rate, all) = &self.invoices_all;
        all.take(*rate, self.nanos()).map_err(too_often)?;
        let invoice = self.custody.invoice(&owner, amount).await.map_err(away)?;
        let invoice = invoice.bolt11();
        let hash = invoice.payment_hash();
        let now_ms = self.clock.now().as_secs().saturating_mul(1_000);
        let made = json!({
            "paymentRequest": invoice.as_str(), "paymentHash": hash,
            "macaroon": unsigned_token(hash, now_ms.saturating_add(TOKEN_MS)),
        });
        Ok(body::write(StatusCode::OK, &made))
    }

    async fn verify(&self, request: Request<Body>) -> Said {
        self.count(&self.verifications, peer(&request))?;
        let asked: VerifyBody = read(request).await?;
        let verdict = self.judge(&asked.token).await?;
        let said = match verdict {
            Ok(()) => json!({ "valid": true }),
            Err(error) => json!({ "valid": false, "error": error }),
        };
        Ok(body::write(StatusCode::OK, &said))
    }

    /// Such a token is signed by nobody: it is good when its invoice was made here and has been paid.
    async fn judge(&self, token: &str) -> Result<Result<(), String>, (Outcome, Problem)> {
        let now_ms = self.clock.now().as_secs().saturating_mul(1_000);
        let read = UnsignedToken::parse(token);
        let read = read.and_then(|token| token.check_time(now_ms).map(|()| token));
        let token = match read {
            Ok(token) => token,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let standing = self.custody.standing(token.hash).await.map_err(away)?;
        Ok(match standing {
            Standing::Paid => Ok(()),
            Standing::NotOurs => Err("no such invoice was made here".to_owned()),
            Standing::Open | Standing::Ended => Err("the invoice was not paid".to_owned()),
        })
    }

    async fn register(&self, request: Request<Body>) -> Said {
        self.count(&self.registrations, peer(&request))?;
        let key = key(request.headers())?;
        let asked: Value = read(request).await?;
        let draft = Draft::read(&asked).map_err(bad)?;
        let owner = asked["lightning_address"].as_str().unwrap_or_default();
        let draft = draft.owned_by(&self.owner(owner)?);
        let proof = self.prover.ask(&draft.url).await;
        let entered = self
            .directory
            .enter(draft, key, proof, self.clock.now())
            .await;
        let entered = entered.map_err(|error| {
            tracing::error!(%error, "the directory could not be written");
            away(Away {
                code: Code::StoreUnavailable,
            })
        })?;
        match entered {
            Entered::Listed { id, verified, key } => {
                let mut said = json!({ "ok": true, "id": id, "verified": verified });
                if let Some(key) = key {
                    said["key"] = Value::from(&*key);
                }
                Ok(body::write(StatusCode::OK, &said))
            }
            Entered::NotYours => {
                let detail = "this URL is listed already: send the key of its entry, or name the key's SHA-256 at /.well-known/l402.txt";
                let problem = Problem::new(Code::Unauthorized).status(403).detail(detail);
                Err((Outcome::Forbidden, problem))
            }
            Entered::Full => {
                let problem = Problem::new(Code::Overloaded).detail("the directory is full");
                Err((Outcome::Away, problem))
            }
        }
    }
}

/// What is kept of the key a caller brings; none is fine.
fn key(headers: &HeaderMap) -> Result<Option<Key>, (Outcome, Problem)> {
    match bearer(headers) {
        None => Ok(None),
        Some(key) if key.len() < CALLER_KEY_CHARS_MIN => Err(bad(format!(
            "expected a key of at least {CALLER_KEY_CHARS_MIN} characters"
        ))),
        Some(key) => Ok(Some(Key(Sha256::digest(key).into()))),
    }
}

fn too_often(wait: Duration) -> (Outcome, Problem) {
    // Nobody waits for hours: who comes back too early hears it again.
    let wait = wait.min(limits::MANAGED_WAIT_MAX);
    (Outcome::Limited, limited(wait))
}

fn peer(request: &Request<Body>) -> Option<IpAddr> {
    request.extensions().get::<Peer>().map(|peer| peer.0.ip())
}
