//! Tabs that are opened and claims that are turned into certificates, for whomever the client may do it.

use alloy_primitives::keccak256;
use faregate_core::port::TabAsk;
use faregate_evm::credit::ETH;
use faregate_evm::{SignError, recover};
use faregate_types::credit::api::{CreateTab, CreatedTab};
use faregate_types::credit::{
    Certificate, CertificateError, Claims, Guarantee, GuaranteeRequest, write,
};

use super::checker::Stopped;
use super::client::CreditClient;
use super::error::{CertificateFault, ClaimsFault, CreditError, Distrust, NoAnswer};
use crate::limits::{CREDIT_PAUSE, CREDIT_TRIES};

/// What a service has of a request for a guarantee.
#[derive(Debug)]
pub(super) enum Found {
    /// Its certificate, verified.
    Issued(Box<Issued>),
    /// The guarantee, and no certificate yet: it is as good as issued.
    Locked,
    /// Its number has the certificate of other claims: it will never be issued.
    Other,
    /// Nothing.
    Nothing,
}

/// A certificate that was verified, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    /// Keep it: it is money.
    pub certificate: Certificate,
    /// What it says.
    pub guarantee: Guarantee,
}

impl CreditClient {
    /// Opens a tab, or finds the one there is, and looks whether it is what was asked for.
    pub(super) async fn open_tab(&self, ask: &TabAsk) -> Result<CreatedTab, CreditError> {
        let request = CreateTab {
            payer: ask.payer,
            recipient: ask.recipient,
            token: (ask.asset != ETH).then_some(ask.asset),
            ttl: ask.ttl_secs,
            version: Some(ask.version.number()),
        };
        let tab = self.rpc().create_tab(&request).await?;
        let is_it = tab.payer == ask.payer
            && tab.recipient == ask.recipient
            && tab.asset == ask.asset
            && tab.version == ask.version.number();
        answered(is_it, tab)
    }

    /// Whether these claims can become a certificate, as far as anybody but the service can tell.
    pub(super) fn check_request(&self, request: &GuaranteeRequest) -> Result<(), ClaimsFault> {
        let terms = &self.inner().terms;
        terms.check_claims(&request.claims)?;
        match request.signed_as(terms.claims_domain, recover) {
            Some(_) => Ok(()),
            None => Err(ClaimsFault::Signature),
        }
    }

    /// Has claims turned into a certificate, and verifies it. When it may have happened without an answer, the service is
    /// asked for the certificate.
    pub(super) async fn issue(&self, request: &GuaranteeRequest) -> Result<Issued, CreditError> {
        self.check_request(request)?;
        let key = keccak256(write(request)).to_string();
        let (mut pause, mut tries) = (CREDIT_PAUSE, 1);
        // Once nobody knows whether it happened, no later refusal to answer changes that.
        let mut unknown: Option<CreditError> = None;
        loop {
            let error = match self.rpc().issue_guarantee(request, &key).await {
                Ok(certificate) => return self.issued(request, certificate).await,
                Err(error) => error,
            };
            let mut again = error.is_unknown() || is_passing(&error);
            if again || is_there_already(&error) {
                match self.find(request).await {
                    Ok(Found::Issued(issued)) => return Ok(*issued),
                    // That it is there already is no refusal then.
                    Ok(Found::Locked) => {
                        unknown.get_or_insert(CreditError::NoAnswer(NoAnswer::Lost));
                        again = true;
                    }
                    Ok(Found::Nothing) => {}
                    Ok(Found::Other) if is_there_already(&error) => return Err(error),
                    // Whose it is nobody has said: it may be the one that is asked for.
                    Err(_) if is_there_already(&error) => {
                        let lost = CreditError::NoAnswer(NoAnswer::Lost);
                        return Err(unknown.unwrap_or(lost));
                    }
                    // What it first said counts: it may be unknown, and this is not known any better.
                    Ok(Found::Other) | Err(_) => return Err(unknown.unwrap_or(error)),
                }
            }
            if !again {
                return Err(error);
            }
            if tries >= CREDIT_TRIES {
                return Err(unknown.unwrap_or(error));
            }
            if error.is_unknown() {
                unknown.get_or_insert(error);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            tries = tries.saturating_add(1);
        }
    }

    /// What became of these claims.
    pub(super) async fn find(&self, request: &GuaranteeRequest) -> Result<Found, CreditError> {
        let claims = &request.claims;
        let found = self.rpc().guarantee(claims.tab_id, claims.req_id).await?;
        let is_it = found
            .iter()
            .all(|found| found.tab_id == claims.tab_id && found.req_id == claims.req_id);
        match answered(is_it, found)?.map(|found| found.certificate) {
            Some(Some(text)) => match self.issued(request, text.0).await {
                Ok(issued) => Ok(Found::Issued(Box::new(issued))),
                Err(CreditError::Certificate(CertificateFault::Claims)) => Ok(Found::Other),
                Err(error) => Err(error),
            },
            Some(None) => Ok(Found::Locked),
            None => Ok(Found::Nothing),
        }
    }

    /// Whether a certificate was issued for these claims, by the key and for the contract of this client's core.
    pub(crate) async fn verify_for(
        &self,
        claims: &Claims,
        certificate: Certificate,
    ) -> Result<Issued, CreditError> {
        let inner = self.inner();
        let checked = inner.checker.check(certificate.clone()).await;
        let checked = checked.map_err(|Stopped| CreditError::Sign(SignError::Away))?;
        checked.map_err(|error| CertificateFault::from(CertificateError::from(error)))?;
        let guarantee = inner.terms.said_of(claims, &certificate)?;
        Ok(Issued {
            certificate,
            guarantee,
        })
    }

    async fn issued(
        &self,
        request: &GuaranteeRequest,
        certificate: Certificate,
    ) -> Result<Issued, CreditError> {
        self.verify_for(&request.claims, certificate).await
    }

    /// For pairings, which take too long for where others wait.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, CertificateFault> + Send + 'static,
    ) -> Result<T, CreditError> {
        let client = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&client)).await;
        // A runtime that stops answers nobody any more.
        Ok(done.map_err(|_| CreditError::Sign(SignError::Away))??)
    }
}

/// An answer, if it is about what was asked for.
pub(super) fn answered<T>(is_it: bool, answer: T) -> Result<T, CreditError> {
    if is_it {
        Ok(answer)
    } else {
        Err(Distrust::Answer.into())
    }
}

/// Refused for now, and nothing happened.
fn is_passing(error: &CreditError) -> bool {
    matches!(error, CreditError::NoAnswer(NoAnswer::NotSent))
        || matches!(error, CreditError::Service(refusal)
            if refusal.status == 429 || (refusal.status == 409 && refusal.text.contains("retry")))
}

fn is_there_already(error: &CreditError) -> bool {
    matches!(error, CreditError::Service(refusal)
        if matches!(refusal.status, 400 | 409) && refusal.text.contains("already exists"))
}
