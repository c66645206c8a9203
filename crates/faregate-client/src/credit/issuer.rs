//! A credit service as what facilitators and gates need of it: an [`Issuer`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use faregate_core::credit::ReqIds;
use faregate_core::port::{Away, IssueError, IssueOutcome, Issuer, TabAsk};
use faregate_types::credit::x402::TabTicket;
use faregate_types::credit::{Certificate, GuaranteeRequest, GuaranteeVersion};
use faregate_types::{Address, ChainId, Code, Refusal, U256};
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::builder::CreditClientBuilder;
use super::client::CreditClient;
use super::error::{ClaimsFault, CreditError, Distrust};
use super::issue::Found;
use crate::limits::{CREDIT_CONNECT_AGAIN, CREDIT_CONNECT_TIMEOUT};

/// A credit service, connected to when it is first needed: while it is away nothing else waits for it.
///
/// It acts in the name of the builder's key. For payers and recipients other than that key, the service has to know it as
/// one that acts for others.
#[derive(Debug)]
pub struct CoreIssuer {
    chain: ChainId,
    builder: CreditClientBuilder,
    client: OnceCell<CreditClient>,
    failed: Mutex<Option<Instant>>,
}

impl CoreIssuer {
    /// The service that a builder describes, on this chain and no other.
    #[must_use]
    pub fn new(builder: CreditClientBuilder, chain: ChainId) -> Self {
        Self {
            chain,
            builder: builder.chain(chain),
            client: OnceCell::new(),
            failed: Mutex::default(),
        }
    }

    async fn client(&self) -> Result<&CreditClient, Away> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let lately = |failed: Instant| failed.elapsed() < CREDIT_CONNECT_AGAIN;
        if self.failed().is_some_and(lately) {
            return Err(away());
        }
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<CreditClient, Away> {
        let connecting = timeout(CREDIT_CONNECT_TIMEOUT, self.builder.clone().connect());
        let error = match connecting.await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        tracing::warn!(chain = %self.chain, %error, "there is no connection to the credit core");
        *self.failed() = Some(Instant::now());
        Err(away())
    }

    /// When there was no connection last.
    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn opened(&self, ask: &TabAsk) -> Result<TabTicket, IssueError> {
        let client = self.client().await?;
        let opened = async {
            let created = client.open_tab(ask).await?;
            let tab = client.recipient().tab(created.id).await?;
            Ok((created, tab.ok_or(Distrust::Answer)?))
        };
        let (created, tab) = opened.await.map_err(|error: CreditError| said(&error))?;
        Ok(TabTicket {
            tab_id: created.id,
            payer: ask.payer,
            recipient: Some(ask.recipient),
            asset: Some(ask.asset),
            start: Some(tab.start),
            ttl_seconds: Some(tab.ttl_seconds),
            next_req_id: Some(created.next_req_id.unwrap_or(U256::ZERO)),
        })
    }
}

impl Issuer for CoreIssuer {
    fn chain(&self) -> ChainId {
        self.chain
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<GuaranteeVersion>, Away>> {
        Box::pin(async {
            let client = self.client().await?;
            // What it issues is known since the connection was made; that it is still there is not.
            client.rpc().public_params().await.map_err(|_| away())?;
            Ok(client.guarantee_domains().keys().copied().collect())
        })
    }

    fn contract(&self) -> Option<Address> {
        self.client.get().map(CreditClient::contract)
    }

    fn req_ids(&self) -> BoxFuture<'_, Result<ReqIds, Away>> {
        Box::pin(async { Ok(self.client().await?.req_ids()) })
    }

    fn authenticate<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<(), IssueError>> {
        Box::pin(async {
            let client = self.client().await?;
            client
                .check_request(request)
                .map_err(|fault| said(&fault.into()))
        })
    }

    fn open<'a>(&'a self, ask: &'a TabAsk) -> BoxFuture<'a, Result<TabTicket, IssueError>> {
        Box::pin(self.opened(ask))
    }

    fn check<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, Result<(), IssueError>> {
        Box::pin(async {
            let client = self.client().await?;
            let check = async {
                client.check_request(request)?;
                client.rpc().check_guarantee(request).await
            };
            match check.await {
                Ok(checked) if checked.valid => Ok(()),
                Ok(_) => Err(Refusal::new(Code::CreditRefused).into()),
                Err(error) => Err(said(&error)),
            }
        })
    }

    fn issued<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<Option<Certificate>, IssueError>> {
        Box::pin(async {
            let client = self.client().await?;
            let found = client.find(request).await;
            match found.map_err(|error| said(&error))? {
                Found::Issued(issued) => Ok(Some(issued.certificate)),
                // Soon there is one.
                Found::Locked => Err(away().into()),
                Found::Nothing | Found::Other => Ok(None),
            }
        })
    }

    fn issue<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, IssueOutcome> {
        Box::pin(async {
            let client = match self.client().await {
                Ok(client) => client,
                Err(Away { code }) => return IssueOutcome::Refused(Refusal::new(code)),
            };
            let error = match client.issue(request).await {
                Ok(issued) => return IssueOutcome::Issued(issued.certificate),
                Err(error) => error,
            };
            match said(&error) {
                _ if error.is_unknown() => IssueOutcome::Unknown(Code::CreditCoreUnavailable),
                IssueError::Refused(refusal) => IssueOutcome::Refused(refusal),
                // What was answered is no certificate of this guarantee, which may be in the service's books all the same.
                IssueError::Away(Away {
                    code: code @ Code::CreditCoreAnswerInvalid,
                }) => IssueOutcome::Unknown(code),
                IssueError::Away(Away { code }) => IssueOutcome::Refused(Refusal::new(code)),
            }
        })
    }
}

const fn away() -> Away {
    Away {
        code: Code::CreditCoreUnavailable,
    }
}

/// What an error is to whoever asked.
fn said(error: &CreditError) -> IssueError {
    match error {
        CreditError::Service(refusal) => match refusal.status {
            // Whoever pays can do nothing about what we may do at the service, and how often.
            401 | 403 if refused_as(&refusal.text) != Code::CreditSuspended => {
                tracing::error!(%error, "the credit core does not let us act for others");
                away().into()
            }
            404 => Refusal::new(Code::CreditTabUnknown).into(),
            429 | 500.. => away().into(),
            _ => Refusal::new(refused_as(&refusal.text))
                .detail(&refusal.text)
                .into(),
        },
        CreditError::Claims(fault) => Refusal::new(faulted_as(fault))
            .detail(fault.to_string())
            .into(),
        CreditError::Distrust(_) | CreditError::Certificate(_) | CreditError::Unreadable(_) => {
            tracing::error!(%error, "the credit core answered something that cannot be believed");
            Away {
                code: Code::CreditCoreAnswerInvalid,
            }
            .into()
        }
        _ => away().into(),
    }
}

/// What the words of a service mean, ours or another of the network (specs/4mica.md §1.7).
fn refused_as(text: &str) -> Code {
    const WORDS: &[(&str, Code)] = &[
        ("user not registered", Code::CreditPayerUnknown),
        ("user suspended", Code::CreditSuspended),
        (
            "only accepts guarantee version",
            Code::CreditVersionMismatch,
        ),
        ("guarantee version", Code::CreditVersionMismatch),
        ("guarantee request version", Code::CreditVersionMismatch),
        ("already exists", Code::CreditReqIdTaken),
        ("req_id not valid", Code::CreditReqIdInvalid),
        ("timestamp is in the future", Code::CreditTimestampInvalid),
        ("start timestamp modified", Code::CreditTimestampInvalid),
        ("tab already closed", Code::CreditTabClosed),
        ("address does not match tab", Code::CreditTabMismatch),
        ("Invalid asset address", Code::CreditTabMismatch),
        ("ignature", Code::CreditSignatureInvalid),
        ("Not enough free collateral", Code::CreditCollateralTooLow),
        ("registry", Code::CreditRegistryNotTrusted),
        ("validation_", Code::CreditConditionInvalid),
        ("job_hash", Code::CreditConditionInvalid),
    ];
    let found = WORDS.iter().find(|(words, _)| text.contains(words));
    found.map_or(Code::CreditRefused, |(_, code)| *code)
}

const fn faulted_as(fault: &ClaimsFault) -> Code {
    match fault {
        ClaimsFault::Payer | ClaimsFault::Signature => Code::CreditSignatureInvalid,
        ClaimsFault::Recipient => Code::CreditRecipientMismatch,
        ClaimsFault::Amount => Code::CreditAmountMismatch,
        ClaimsFault::Version(_) => Code::CreditVersionMismatch,
        ClaimsFault::Binding(_) | ClaimsFault::ValidationChain(_) => Code::CreditConditionInvalid,
        ClaimsFault::Registry => Code::CreditRegistryNotTrusted,
    }
}
