//! A permit and a token in the hands of the till.

use std::sync::Arc;

use faregate_types::{Code, Refusal};
use futures_util::future::{BoxFuture, ready};

use crate::port::{Care, Collector, PermitOrder, PermitVerdict, SettleOutcome, Trail, Unknown};
use crate::rail::{Headers, Instrument, Verified, VerifyError};

/// A permit.
pub(super) struct Collecting {
    pub(super) collector: Arc<dyn Collector>,
    pub(super) order: PermitOrder,
    pub(super) care: Care,
}

impl Instrument for Collecting {
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        Box::pin(async move {
            match self.collector.verify(&self.order, self.care).await? {
                PermitVerdict::Valid { funds } => Ok(Verified { funds: Some(funds) }),
                PermitVerdict::Refused(refused) => {
                    Err(VerifyError::Refused(Refusal::from(refused)))
                }
            }
        })
    }

    fn settle<'a>(&'a self, trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        self.collector.settle(&self.order, trail)
    }

    /// The token response says everything.
    fn receipt(&self, _outcome: &SettleOutcome) -> Headers {
        Headers::new()
    }
}

/// A token. It moves nothing.
pub(super) struct Issued;

impl Instrument for Issued {
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        Box::pin(ready(Ok(Verified::default())))
    }

    fn settle<'a>(&'a self, _trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        let unknown = Unknown {
            code: Code::Internal,
            transaction: None,
        };
        Box::pin(ready(SettleOutcome::Unknown(unknown)))
    }

    fn receipt(&self, _outcome: &SettleOutcome) -> Headers {
        Headers::new()
    }
}
