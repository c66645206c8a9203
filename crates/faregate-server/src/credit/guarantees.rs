//! Issuing guarantees: the payer's signature, the rules and the books, then the certificate (specs/4mica.md §5.3).
//!
//! Signatures are checked and made by `workers`, outside of any transaction. A guarantee is in the books before its certificate
//! is signed; when the process ends in between, `upkeep` signs it after the next start. Certificates are deterministic, so it does
//! not matter who signs.

use std::sync::Arc;

use faregate_core::crash::{self, Point};
use faregate_core::credit::{CreditRefusal, Guarantee, Identity, Issue, TabId, Terms};
use faregate_core::port::credit::CreditError;
use faregate_types::credit::api::CheckedGuarantee;
use faregate_types::credit::{
    Certificate, Claims, Guarantee as Statement, GuaranteeRequest, binding, read, write,
};
use tracing::Instrument as _;

use super::refusal::Refusal;
use super::{Call, Parts, Said, message};

/// Marks a request as one that may be a repetition: then the same request hears the same certificate again.
pub(super) const REPEATABLE: &str = "idempotency-key";

/// `POST /core/guarantees/check`: everything but issuing it.
pub(super) async fn check(parts: Arc<Parts>, call: Call) -> Said {
    let (command, terms) = wanted(&parts, &call).await?;
    parts.books.check(&command, &terms).await?;
    Ok(message(&CheckedGuarantee { valid: true }))
}

/// What is asked for, by somebody who may, and signed by the payer.
async fn wanted(parts: &Parts, call: &Call) -> Result<(Issue, Arc<Terms>), Refusal> {
    let request: GuaranteeRequest = call.message()?;
    let caller = call.caller()?;
    if !caller.acts_for_others() && !caller.is(request.claims.recipient) {
        return Err(Refusal::forbidden("recipient must be the caller"));
    }
    parts.on_chain()?;
    let terms = parts.terms();
    let version = request.claims.version().number();
    if !terms.versions.contains(&version) {
        let accepted = terms.versions.iter().copied().collect();
        let refusal = CreditRefusal::RequestVersion { version, accepted };
        return Err(CreditError::from(refusal).into());
    }
    let command = command(&request, parts);
    signed(parts, request).await?;
    Ok((command, terms))
}

/// `POST /core/guarantees`.
pub(super) async fn issue(parts: Arc<Parts>, call: Call) -> Said {
    let (command, terms) = wanted(&parts, &call).await?;
    let repeatable = call.headers.contains_key(REPEATABLE);
    let Ok(place) = Arc::clone(&parts.issues).try_acquire_owned() else {
        return Err(Refusal::away());
    };
    let issuing = async move {
        let issued = parts.books.issue(command.clone(), (*terms).clone()).await;
        let guarantee = match issued {
            Err(CreditError::Refused(CreditRefusal::Duplicate(_))) if repeatable => {
                issued_before(&parts, &command).await?
            }
            issued => issued?,
        };
        crash::point(Point::Locked);
        let certificate = certify(&parts, guarantee).await?;
        drop(place);
        Ok(certificate)
    };
    // Whoever hangs up here stops nothing.
    match tokio::spawn(issuing.in_current_span()).await {
        Ok(certificate) => certificate.map(|certificate| message(&certificate)),
        Err(error) => {
            tracing::error!(%error, "issuing a guarantee ended in a panic");
            Err(Refusal::internal())
        }
    }
}

fn command(request: &GuaranteeRequest, parts: &Parts) -> Issue {
    let claims = &request.claims;
    Issue {
        tab: TabId(claims.tab_id),
        req: claims.req_id,
        identity: Identity {
            payer: claims.payer,
            recipient: claims.recipient,
            asset: claims.asset,
            version: claims.version().number(),
        },
        amount: claims.amount,
        timestamp: claims.timestamp,
        request: write(request).into_bytes().into(),
        at: parts.clock.now(),
    }
}

/// Whether the payer signed it, and whether its condition can ever be met.
async fn signed(parts: &Parts, request: GuaranteeRequest) -> Result<(), Refusal> {
    let (domain, recover) = (parts.published.claims_domain, parts.recover);
    let claims = request.claims.clone();
    let check = move || request.signed_as(domain, recover);
    if parts.workers.run(check).await?.is_none() {
        return Err(Refusal::bad("Invalid signature"));
    }
    condition(parts, &claims)
}

fn condition(parts: &Parts, claims: &Claims) -> Result<(), Refusal> {
    let Some(policy) = &claims.validation else {
        return Ok(());
    };
    binding::check(claims).map_err(|error| Refusal::bad(error.to_string()))?;
    if policy.chain_id != parts.published.chain_id() {
        return Err(Refusal::bad("validation_chain_id is not that of this core"));
    }
    if !parts.published.trusts(policy.registry, policy.chain_id) {
        return Err(Refusal::bad("validation registry is not trusted"));
    }
    Ok(())
}

/// What was issued for this very request; anything else under its number is a duplicate.
async fn issued_before(parts: &Parts, command: &Issue) -> Result<Guarantee, Refusal> {
    let found = parts.books.guarantee(command.tab, command.req).await?;
    match found {
        Some(found) if found.request == command.request => Ok(found),
        _ => Err(CreditError::from(CreditRefusal::Duplicate(command.req)).into()),
    }
}

/// The certificate of a guarantee; signed and kept if it was not before.
pub(super) async fn certify(
    parts: &Arc<Parts>,
    guarantee: Guarantee,
) -> Result<Certificate, Refusal> {
    if let Some(certificate) = guarantee.certificate {
        return Ok(certificate);
    }
    let (tab, req) = (guarantee.tab, guarantee.req);
    let shared = Arc::clone(parts);
    let signed = parts.workers.run(move || sign(&shared, &guarantee)).await?;
    let certificate = signed.ok_or_else(|| {
        tracing::error!(%tab, %req, "a guarantee in the books cannot be certified");
        Refusal::internal()
    })?;
    crash::point(Point::CertificateSigned);
    parts.books.certify(tab, req, certificate.clone()).await?;
    crash::point(Point::CertificateKept);
    Ok(certificate)
}

fn sign(parts: &Parts, guarantee: &Guarantee) -> Option<Certificate> {
    let request: GuaranteeRequest = read(&guarantee.request).ok()?;
    let domain = parts.published.certificate_domain(request.claims.version());
    let said = Statement::of(&request.claims, domain, guarantee.total).ok()?;
    Some(Certificate::issue(&said, &parts.key))
}
