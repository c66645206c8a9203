//! The port, over the transport.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::{Away, Facilitator, SettleOutcome, Trail, Unknown, Verdict};
use faregate_http::{Answer, BaseUrl, CallError};
use faregate_types::Code;
use faregate_types::x402::{FacilitatorRequest, SupportedResponse};
use futures_util::future::BoxFuture;
use url::Url;

use crate::answer;
use crate::config::{ConfigError, RemoteConfig};
use crate::transport::{Carrier, Transport};

/// A facilitator somewhere else, over HTTP.
///
/// `verify` asks `POST /verify`:
///
/// | answer | verdict |
/// |---|---|
/// | 2xx, `isValid: true`, the payer is ours or not named | valid |
/// | any status, `isValid: false` | invalid, with the reason as our code; an unknown reason is `invalid_payment` with the text as detail |
/// | 429 or 5xx without `isValid`; no connection, lost, too slow | away, `facilitator_unavailable` |
/// | everything else: redirects, another payer, `isValid: true` outside of 2xx, no JSON, too large | away, `facilitator_answer_invalid` |
///
/// `settle` asks `POST /settle`, once, and never repeats it by itself. The payment's id goes along as `Idempotency-Key`: a
/// facilitator that tells copies of a payment apart knows then that whoever asks keeps books by payment.
///
/// | answer | outcome |
/// |---|---|
/// | 2xx, `success: true`, a transaction, payer and network are ours or not named | settled |
/// | `success: false`, no transaction, a reason that is given before anything is sent (see below) | failed |
/// | everything else, also when nothing could be sent | unknown, with the transaction if one was named |
///
/// *Failed* needs proof that the money did not move. A refusal by verification is one, with exceptions: a used nonce or a
/// failing simulation can be the trace of a transfer that somebody else submitted, and `transaction_failed` is only the
/// facilitator's word about a transaction it sent.
///
/// Both first look at the payment themselves: scheme, network, payee and amount have to fit the requirements, or nothing is
/// asked. That costs nothing and does not depend on the facilitator doing it.
///
/// `supported` asks `GET /supported`.
///
/// `resolve` repeats the settlement. The protocol wants duplicates to get the recorded answer, and the authorization can
/// move the money only once, so this never pays twice; but a facilitator that never saw the first request will settle
/// *now*. Only success is believed: every refusal of a repeated settlement may be the consequence of a first one that went
/// through (a used nonce, a balance that is now too low), so it stays unknown.
///
/// `settle` does not use its trail: the transaction is made and recorded by the facilitator, and is only known here
/// afterwards.
pub struct RemoteFacilitator {
    transport: Transport,
    supported: Url,
    verify: Url,
    settle: Url,
    verify_timeout: Duration,
    settle_timeout: Duration,
}

impl fmt::Debug for RemoteFacilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteFacilitator")
            .field("settle", &self.settle.as_str())
            .finish_non_exhaustive()
    }
}

impl RemoteFacilitator {
    /// Checks the configuration and makes the HTTP client. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the token should not live on with the caller"
    )]
    pub fn new(config: RemoteConfig) -> Result<Self, ConfigError> {
        let base = config.checked()?;
        Ok(Self::over(Transport::new(&config)?, &config, &base))
    }

    /// Asks a facilitator in this process instead of the one at the URL, which only names it. Everything else is the same.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(clippy::needless_pass_by_value, reason = "as in `new`")]
    pub fn in_process(
        config: RemoteConfig,
        carrier: Arc<dyn Carrier>,
    ) -> Result<Self, ConfigError> {
        let base = config.checked()?;
        Ok(Self::over(Transport::InProcess(carrier), &config, &base))
    }

    fn over(transport: Transport, config: &RemoteConfig, base: &BaseUrl) -> Self {
        Self {
            transport,
            supported: base.join("supported"),
            verify: base.join("verify"),
            settle: base.join("settle"),
            verify_timeout: config.verify_timeout,
            settle_timeout: config.settle_timeout,
        }
    }

    async fn ask_supported(&self) -> Result<SupportedResponse, Away> {
        let answer = self
            .transport
            .call(&self.supported, None, None, self.verify_timeout)
            .await;
        answer::supported(&heard("supported", answer)?)
    }

    async fn ask_verify(&self, request: &FacilitatorRequest) -> Result<Verdict, Away> {
        let payment = match answer::precheck(request) {
            Ok(payment) => payment,
            Err(refusal) => return Ok(Verdict::Invalid(refusal)),
        };
        let answer = self
            .transport
            .call(
                &self.verify,
                Some(request.encode()),
                None,
                self.verify_timeout,
            )
            .await;
        answer::verify(&payment, &heard("verify", answer)?)
    }

    async fn ask_settle(&self, request: &FacilitatorRequest) -> SettleOutcome {
        let payment = match answer::precheck(request) {
            Ok(payment) => payment,
            Err(refusal) => return SettleOutcome::Failed(refusal),
        };
        let key = Some(payment.id());
        let answer = self
            .transport
            .call(
                &self.settle,
                Some(request.encode()),
                key,
                self.settle_timeout,
            )
            .await;
        match heard("settle", answer) {
            Ok(answer) => answer::settle(&payment, &answer),
            Err(away) => SettleOutcome::Unknown(Unknown {
                code: away.code,
                transaction: None,
            }),
        }
    }
}

impl Facilitator for RemoteFacilitator {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        Box::pin(self.ask_supported())
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        Box::pin(self.ask_verify(request))
    }

    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        _trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(self.ask_settle(request))
    }

    fn resolve<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            match self.ask_settle(request).await {
                SettleOutcome::Settled(settlement) => SettleOutcome::Settled(settlement),
                SettleOutcome::Failed(refusal) => SettleOutcome::Unknown(Unknown {
                    code: refusal.code,
                    transaction: transaction.map(Into::into),
                }),
                SettleOutcome::Unknown(unknown) => SettleOutcome::Unknown(Unknown {
                    code: unknown.code,
                    transaction: unknown.transaction.or_else(|| transaction.map(Into::into)),
                }),
            }
        })
    }
}

/// An answer, or who is away. A request that was not sent is treated like one whose answer was lost: the next attempt
/// finds out, and nothing depends on guessing right.
fn heard(call: &'static str, answer: Result<Answer, CallError>) -> Result<Answer, Away> {
    let (code, why) = match answer {
        Ok(answer) if !answer.status.is_redirection() => return Ok(answer),
        Ok(_) => (Code::FacilitatorAnswerInvalid, "redirects are not followed"),
        Err(CallError::TooLarge) => (
            Code::FacilitatorAnswerInvalid,
            "the answer is larger than the limit",
        ),
        Err(CallError::NotSent) => (Code::FacilitatorUnavailable, "no connection"),
        Err(CallError::TimedOut) => (Code::FacilitatorUnavailable, "no answer in time"),
        Err(CallError::Lost) => (Code::FacilitatorUnavailable, "the connection was lost"),
    };
    tracing::warn!(call, why, code = code.as_str(), "facilitator is away");
    Err(Away { code })
}
